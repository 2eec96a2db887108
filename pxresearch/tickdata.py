"""Market data in the form that the engine and a notebook read: `load` and `ticks`.

Units: times are int64 ns UTC, prices are int32 ticks in `Block`s and floats in `Ticks.frame`.
Order is (ts, seq) always: a third and more of the rows repeat the stamp of the row before.

I/O: `load` and what it returns read the catalogue's files; `Ticks.blocks` reads one session ahead
in a background thread.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date
from html import escape
from typing import Any

import polars as pl

from pxresearch.block import (
    NO_ASK,
    NO_BID,
    Bars,
    Block,
    Chunk,
    Memory,
    Quotes,
    Trades,
    bar_spec,
    canonical,
    read_block,
)
from pxresearch.catalog import Catalog, Part
from pxresearch.errors import AmbiguousInput, CatalogError, DataError, UsageError
from pxresearch.instruments import Contract
from pxresearch.instruments import contract as read_code
from pxresearch.validation.schema import (
    PRICES,
    STORED,
    time_column,
    utc,
)

Days = Mapping[date, Mapping[str, Sequence[Chunk]]]


class Ticks:
    """Market data of one contract: lazy, immutable, and read again on every pass.

    Made by :func:`load` or :func:`ticks`.

    Attributes
    ----------
    contract
        The contract, with its instrument.
    kinds
        Which of quotes, trades, bars and depth there are.
    bar_spec
        Length of the bars, for example ``"1m"``; None without bars.
    """

    def __init__(self, contract: Contract, days: Days, bar_spec: str | None = None) -> None:
        self.contract = contract
        self._days = dict(sorted(days.items()))
        held = {kind for chunks in self._days.values() for kind in chunks}
        self.kinds = tuple(kind for kind in STORED if kind in held)
        self.bar_spec = bar_spec if "bars" in self.kinds else None
        self._held: dict[bool, list[Block]] = {}

    @property
    def sessions(self) -> tuple[date, ...]:
        """Trading sessions, ascending."""
        return tuple(self._days)

    @property
    def rows(self) -> dict[str, int]:
        """Number of rows by kind."""
        return {kind: sum(c.rows for c in self._chunks(kind)) for kind in self.kinds}

    @property
    def first(self) -> int:
        """Time of the first row, ns UTC."""
        return min(c.first for kind in self.kinds for c in self._chunks(kind))

    @property
    def last(self) -> int:
        """Time of the last row, ns UTC (for bars, the last opening)."""
        return max(c.last for kind in self.kinds for c in self._chunks(kind))

    @property
    def source(self) -> str:
        """Where the data came from; ``synthetic`` for the demonstration data."""
        return ", ".join(sorted({c.source for kind in self.kinds for c in self._chunks(kind)}))

    def _chunks(self, kind: str) -> list[Chunk]:
        return [c for chunks in self._days.values() for c in chunks.get(kind, ())]

    def only(self, *kinds: str) -> Ticks:
        """Return the same data with some kinds only.

        Raises
        ------
        DataError
            A kind is not there.
        """
        for kind in kinds:
            self._has(kind)
        days = {
            day: {kind: chunks[kind] for kind in kinds if kind in chunks}
            for day, chunks in self._days.items()
        }
        return Ticks(self.contract, {d: c for d, c in days.items() if c}, self.bar_spec)

    def blocks(self, *, sizes: bool = True) -> Iterator[Block]:
        """Yield one trading session at a time, in order; the next one is read meanwhile.

        Parameters
        ----------
        sizes
            False reads only times and prices of the quotes, at about twice the speed.

        Yields
        ------
        Block
            With C-contiguous arrays, only for reading; `seq` where there are quotes and trades.
        """
        days = list(self._days)
        if all(isinstance(c, Memory) for kind in self.kinds for c in self._chunks(kind)):
            if (
                sizes not in self._held
            ):  # views of the caller's arrays: made once, they cost nothing
                self._held[sizes] = [read_block(d, self._days[d], sizes=sizes) for d in days]
            yield from self._held[sizes]
            return
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="pxresearch-read") as pool:
            ahead = self._submit(pool, days[0], sizes) if days else None
            for following in [*days[1:], None]:
                if ahead is None:
                    return
                block = ahead.result()
                ahead = self._submit(pool, following, sizes) if following else None
                yield block

    def _submit(self, pool: ThreadPoolExecutor, day: date, sizes: bool) -> Future[Block]:
        return pool.submit(read_block, day, self._days[day], sizes=sizes)

    def scan(self, kind: str) -> pl.LazyFrame:
        """Return the rows as stored (int32 ticks), unread, with a column `session`."""
        self._has(kind)
        return pl.concat(
            [
                chunk.lazy().with_columns(pl.lit(day).alias("session"))
                for day, chunks in self._days.items()
                for chunk in chunks.get(kind, ())
            ]
        )

    def frame(self, kind: str | None = None) -> pl.DataFrame:
        """Return a frame to read and plot: times with zone UTC, prices as floats.

        Parameters
        ----------
        kind
            quotes, trades, bars or depth; may be left out when there is only one.

        Raises
        ------
        UsageError
            `kind` is left out and there are several.
        DataError
            The kind is not there.
        """
        if kind is None:
            if len(self.kinds) != 1:
                raise UsageError(f"say which of {', '.join(self.kinds)}: frame('{self.kinds[0]}')")
            kind = self.kinds[0]
        product = self.contract.instrument
        prices = pl.col(*PRICES[kind]) * product.tick_num / product.tick_den
        names = {
            "trades": ("ts", "px", "size", "side"),
            "quotes": ("ts", "bid_px", "ask_px", "bid_sz", "ask_sz"),
            "bars": ("ts_open", "ts_close", "o", "h", "l", "c", "volume"),
            "depth": ("ts", "type", "px", "size"),
        }[kind]
        human = {"px": "price", "bid_px": "bid", "ask_px": "ask", "bid_sz": "bid_size",
                 "ask_sz": "ask_size", "o": "open", "h": "high", "l": "low",
                 "c": "close"}  # fmt: skip
        lazy = self.scan(kind).with_columns(prices).select("session", *names)
        return lazy.rename(human, strict=False).collect()

    def _has(self, kind: str) -> None:
        if kind not in self.kinds:
            raise DataError(
                f"{self.contract.code} has no {kind!r} here; it has {', '.join(self.kinds)}"
            )

    def __len__(self) -> int:
        return sum(self.rows.values())

    def __repr__(self) -> str:
        days = self.sessions
        if not days:
            return f"Ticks({self.contract.code}, empty)"
        span = f"{days[0]}" if len(days) == 1 else f"{days[0]} to {days[-1]}"
        counts = ", ".join(
            f"{n:,} {kind}{f' of {self.bar_spec}' if kind == 'bars' else ''}"
            for kind, n in self.rows.items()
        )
        made = "SYNTHETIC, " if "synthetic" in self.source else ""
        plural = "" if len(days) == 1 else "s"
        return (
            f"Ticks({self.contract.code}, {made}{len(days)} trading day{plural} {span}: {counts}; "
            f"{utc(self.first)} to {utc(self.last)})"
        )

    def _repr_html_(self) -> str:
        return f"<code>{escape(repr(self))}</code>"


def load(
    contract: str,
    start: str | date | None = None,
    end: str | date | None = None,
    *,
    catalog: str | os.PathLike[str] | Catalog = "data",
    kinds: Sequence[str] | None = None,
    bars: str | None = None,
) -> Ticks:
    """Open market data of a contract from the catalogue; nothing but footers is read yet.

    Parameters
    ----------
    contract
        Code with a two-digit year such as ``"ESU13"``; a one-digit year needs `start`.
    start, end
        First and last trading day, inclusive. Without `end` it is the one day `start`; without
        both it is everything.
    catalog
        Folder of the catalogue.
    kinds
        Which of quotes, trades, bars and depth. Left out: quotes and trades; or bars, if there is
        nothing else or `bars` is given. A replay passes over depth.
    bars
        Length of the bars, for example ``"1m"``; needed when several are held.

    Raises
    ------
    CatalogError
        Nothing is held for the request; the text lists what is.
    UsageError
        A date or a kind cannot be read.

    Examples
    --------
    >>> load("ESU13", "2013-09-03")  # doctest: +SKIP
    """
    store = catalog if isinstance(catalog, Catalog) else Catalog(catalog)
    low, high = _day(start), _day(end)
    if low and not high:
        high = low
    named = read_code(contract, on=low)
    parts = [
        p
        for p in store.parts(named.code)
        if (low is None or p.session >= low) and (high is None or p.session <= high)
    ]
    chosen = _choose(parts, kinds, bars, named.code)
    if not chosen:
        wish = f"{named.code} {start or ''}{f' to {end}' if end else ''}".strip()
        kind = f" ({', '.join(kinds)})" if kinds else f" (bars {bars})" if bars else ""
        raise CatalogError(f"nothing is held for {wish}{kind}. {store.holds()}")
    days: dict[date, dict[str, list[Part]]] = {}
    for part in sorted(chosen, key=lambda p: p.first):
        days.setdefault(part.session, {}).setdefault(part.kind, []).append(part)
    return Ticks(named, days, next((p.spec for p in chosen if p.spec), None))


def _day(text: str | date | None) -> date | None:
    if text is None or isinstance(text, date):
        return text
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a day; write it as '2013-09-03'") from None


def _choose(
    parts: Sequence[Part], kinds: Sequence[str] | None, bars: str | None, code: str
) -> list[Part]:
    for kind in kinds or ():
        if kind not in STORED:
            raise UsageError(f"unknown kind {kind!r}; allowed: {', '.join(STORED)}")
    if kinds is None:
        live = {p.kind for p in parts} & {"quotes", "trades"}
        kinds = ("bars",) if bars or not live else tuple(live)
    chosen = [p for p in parts if p.kind in kinds and (not p.spec or bars in (None, p.spec))]
    specs = sorted({p.spec for p in chosen if p.spec})
    if len(specs) > 1:
        raise AmbiguousInput(
            f"{code} has bars of {', '.join(specs)}; choose one with bars='{specs[0]}'"
        )
    return chosen


def ticks(
    contract: str | Contract,
    *,
    quotes: Mapping[str, Any] | pl.DataFrame | None = None,
    trades: Mapping[str, Any] | pl.DataFrame | None = None,
    bars: Mapping[str, Any] | pl.DataFrame | None = None,
) -> Ticks:
    """Wrap arrays of your own, after the same checks as an import.

    Parameters
    ----------
    contract
        Code with a two-digit year, or a contract.
    quotes
        Columns ts, bid, ask and optionally bid_size, ask_size, seq. Null prices are empty sides.
    trades
        Columns ts, price and optionally size (default 1), side, seq.
    bars
        Columns ts_open, ts_close, open, high, low, close and optionally volume.

    Times are int64 ns UTC or datetimes with a zone; prices are floats, or int32 ticks.

    Raises
    ------
    UsageError
        Something other than columns was passed.
    DataError
        A column is missing, of another type or length, time runs backward, a size or side cannot
        be, or bars contradict themselves or overlap; the text names the row.
    OffGridPrice
        A price is not a whole number of ticks.

    Examples
    --------
    >>> day = ticks("ESU13", trades={"ts": [0, 1], "price": [1640.25, 1640.5]})
    >>> day.rows
    {'trades': 2}
    """
    named = contract if isinstance(contract, Contract) else read_code(contract)
    days: dict[date, dict[str, list[Chunk]]] = {}
    spec = None
    for kind, given in (("quotes", quotes), ("trades", trades), ("bars", bars)):
        if given is None:
            continue
        frame = canonical(named, kind, given)
        if kind == "bars" and len(frame):
            length = (frame["ts_close"] - frame["ts_open"]).to_physical().min()
            spec = bar_spec(int(length))  # type: ignore[arg-type]
        column = time_column(kind)
        for key, rows in frame.partition_by("session", as_dict=True, maintain_order=True).items():
            ts = rows[column].to_physical()
            chunk = Memory(len(rows), int(ts[0]), int(ts[-1]), rows.drop("session"))
            days.setdefault(key[0], {})[kind] = [chunk]
    if not days:
        raise DataError(f"{named.code}: no rows were given; pass quotes=, trades= or bars=")
    return Ticks(named, days, spec)


__all__ = ["NO_ASK", "NO_BID", "Bars", "Block", "Quotes", "Ticks", "Trades", "load", "ticks"]

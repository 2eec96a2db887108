"""One trading session as NumPy arrays: what a replay streams through the engine.

Also the way in for a caller's own arrays, after the checks that an import makes.

Units: times are int64 ns UTC, prices are int32 ticks. Order is (ts, seq) always.

I/O: none; a chunk that lies on disk reads itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from pxresearch.errors import DataError
from pxresearch.instruments import Contract
from pxresearch.validation.given import column, refuse_impossible, table
from pxresearch.validation.schema import (
    SCHEMAS,
    refuse_backward,
    session_date,
    time_column,
)

NO_BID = -(2**31)
"""Stands for a missing bid in `Quotes.bid`: lower than any price."""
NO_ASK = 2**31 - 1
"""Stands for a missing ask in `Quotes.ask`: higher than any price."""

I8 = npt.NDArray[np.int64]
I4 = npt.NDArray[np.int32]
I1 = npt.NDArray[np.int8]


@dataclass(frozen=True)
class Quotes:
    """Top of book, ascending in (ts, seq); prices in ticks, `NO_BID` and `NO_ASK` when empty."""

    ts: I8
    bid: I4
    ask: I4
    bid_sz: I4 | None = None
    ask_sz: I4 | None = None
    seq: I8 | None = None


@dataclass(frozen=True)
class Trades:
    """Prints, ascending in (ts, seq); side +1 buyer, -1 seller was the aggressor, 0 unknown."""

    ts: I8
    px: I4
    size: I4
    side: I1
    seq: I8 | None = None


@dataclass(frozen=True)
class Bars:
    """Bars, ascending in time; `ts` is the close: the instant at which a bar may be known."""

    ts_open: I8
    ts: I8
    o: I4
    h: I4
    l: I4  # noqa: E741 - the four letters of a bar
    c: I4
    volume: I8


@dataclass(frozen=True)
class Block:
    """All data of one trading session."""

    session: date
    quotes: Quotes | None = None
    trades: Trades | None = None
    bars: Bars | None = None


class Chunk(Protocol):
    """Rows of one kind in one session, in order of time."""

    @property
    def rows(self) -> int: ...  # noqa: D102
    @property
    def first(self) -> int: ...  # noqa: D102
    @property
    def last(self) -> int: ...  # noqa: D102
    @property
    def source(self) -> str: ...  # noqa: D102
    def frame(self, columns: Sequence[str] | None = None) -> pl.DataFrame: ...  # noqa: D102
    def lazy(self) -> pl.LazyFrame: ...  # noqa: D102


def read_block(day: date, chunks: Mapping[str, Sequence[Chunk]], *, sizes: bool = True) -> Block:
    """Read the chunks of one session, by kind, into arrays; see :meth:`Ticks.blocks`."""
    ordered = "quotes" in chunks and "trades" in chunks  # only then a sequence has a use
    return Block(
        day,
        quotes=_quotes(chunks["quotes"], sizes, ordered) if "quotes" in chunks else None,
        trades=_trades(chunks["trades"], ordered) if "trades" in chunks else None,
        bars=_bars(chunks["bars"]) if "bars" in chunks else None,
    )


def _gather(chunks: Sequence[Chunk], columns: Sequence[str]) -> pl.DataFrame:
    frames = [chunk.frame(columns) for chunk in chunks]
    return frames[0] if len(frames) == 1 else pl.concat(frames)


def _array(frame: pl.DataFrame, name: str, empty: int | None = None) -> Any:
    """Contiguous array of one column, not copied where the column is whole; only for reading."""
    series = frame[name].to_physical()
    if empty is not None and series.null_count():
        series = series.fill_null(empty)
    return series.to_numpy()


def _quotes(chunks: Sequence[Chunk], sizes: bool, ordered: bool) -> Quotes:
    names = ["ts", "bid_px", "ask_px"]
    names += ["bid_sz", "ask_sz"] * sizes + ["seq"] * ordered
    frame = _gather(chunks, names)
    top = (
        _array(frame, "ts"),
        _array(frame, "bid_px", NO_BID),
        _array(frame, "ask_px", NO_ASK),
    )
    seq = _array(frame, "seq") if ordered else None
    if not sizes:
        return Quotes(*top, seq=seq)
    bid_sz, ask_sz = (
        None if frame[n].null_count() == len(frame) else _array(frame, n, 0)
        for n in ("bid_sz", "ask_sz")
    )
    return Quotes(*top, bid_sz, ask_sz, seq)


def _trades(chunks: Sequence[Chunk], ordered: bool) -> Trades:
    names = ["ts", "px", "size", "side"] + ["seq"] * ordered
    frame = _gather(chunks, names)
    return Trades(*(_array(frame, name) for name in names))


def _bars(chunks: Sequence[Chunk]) -> Bars:
    names = ("ts_open", "ts_close", "o", "h", "l", "c", "volume")
    frame = _gather(chunks, names)
    return Bars(*(_array(frame, name) for name in names))


_NAMES = {
    "bid": "bid_px", "ask": "ask_px", "bid_size": "bid_sz", "ask_size": "ask_sz", "price": "px",
    "open": "o", "high": "h", "low": "l", "close": "c",
}  # fmt: skip
_DEFAULTS = {"size": 1, "side": 0, "flags": 0, "bid_sz": None, "ask_sz": None, "n_trades": None,
             "volume": 0, "ts_event": None}  # fmt: skip


@dataclass(frozen=True)
class Memory:
    """A chunk that the caller's arrays back."""

    rows: int
    first: int
    last: int
    data: pl.DataFrame
    source: str = "memory"

    def frame(self, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Rows, of some columns only when given."""
        return self.data.select(columns) if columns else self.data

    def lazy(self) -> pl.LazyFrame:
        """The same rows, unread."""
        return self.data.lazy()


def bar_spec(length_ns: int) -> str:
    """Name of a bar length: ``30s``, ``1m``, ``4h``, ``1d``."""
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")):
        count, rest = divmod(length_ns, unit * 10**9)
        if count and not rest:
            return f"{count}{name}"
    raise DataError(f"bars of {length_ns} ns: the length must be whole seconds")


def canonical(named: Contract, kind: str, given: Mapping[str, Any] | pl.DataFrame) -> pl.DataFrame:
    """Columns of :data:`SCHEMAS` and `session`, checked and sorted; see :func:`ticks`."""
    what = f"{kind} of {named.code}"
    frame = _renamed(table(given, kind, what), what)
    if kind == "bars" and "ts" in frame.columns and "ts_close" not in frame.columns:
        frame = frame.rename({"ts": "ts_close"})
    schema = SCHEMAS[kind]
    columns = []
    for name, dtype in schema.items():
        if name in frame.columns:
            series = frame[name]
        elif name == "seq":
            series = pl.int_range(len(frame), eager=True)
        elif name in _DEFAULTS:
            series = pl.repeat(_DEFAULTS[name], len(frame), eager=True, dtype=dtype)
        else:
            raise DataError(
                f"{what}: column {name!r} is missing; received {', '.join(frame.columns)}"
            )
        columns.append(column(series, name, dtype, kind, what, named.instrument))
    result = pl.DataFrame(columns)
    refuse_backward(result[time_column(kind)].to_physical().to_numpy(), what)
    refuse_impossible(result, kind, what, named.instrument)
    order = [time_column(kind), *(["seq"] if "seq" in schema else [])]
    return result.sort(order, maintain_order=True).with_columns(
        session_date(pl.col(time_column(kind)))
    )


def _renamed(frame: pl.DataFrame, what: str) -> pl.DataFrame:
    seen: dict[str, str] = {}
    for name in frame.columns:
        other = seen.setdefault(_NAMES.get(name) or name, name)
        if other != name:
            raise DataError(f"{what}: columns {other!r} and {name!r} mean the same; keep one")
    return frame.rename(_NAMES, strict=False)

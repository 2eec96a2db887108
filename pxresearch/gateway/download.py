"""Bars from the gateway into the catalogue, one file a trading session.

A session is fetched once: those that the catalogue holds are passed over, so that a second run does
nothing and an interrupted one goes on. Only a finished session is stored: one that still runs, or
whose end the gateway does not have yet, is left for the next run and named.

I/O: asks through the client that it is given; reads and writes the catalogue.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from datetime import date, timedelta

import msgspec
import polars as pl

from pxresearch.catalog import Catalog
from pxresearch.clock import Clock
from pxresearch.errors import UsageError
from pxresearch.gateway.contracts import Listing
from pxresearch.gateway.history import (
    MISSING,
    Bar,
    BarSource,
    Gap,
    Length,
    bar_pages,
    gaps,
    session_span,
)
from pxresearch.importers import VERSION
from pxresearch.importers.base import Options, Piece
from pxresearch.importers.normal import normal
from pxresearch.instruments import Contract
from pxresearch.sessions import session, trading_day
from pxresearch.validation.schema import utc

SOURCE_FORMAT = "projectx-history"
_MINUTE = 60 * 10**9
_SETTLE = 15 * _MINUTE  # after a session's end before its bars count as final
_TAIL = 30 * _MINUTE  # a fresh session's last bar may be this far from its close
_OLD = 24 * 60 * _MINUTE  # then the gateway has what it will ever have

Progress = Callable[[int, int], None]
"""Called with the sessions done and the sessions in all."""


class Downloaded(msgspec.Struct, kw_only=True):
    """What a download did.

    Attributes
    ----------
    stored
        Sessions that were written, ascending.
    held
        Sessions that were in the catalogue already.
    shut
        Days of the span on which the product does not trade.
    left
        Sessions that were not stored, each with the reason.
    rows
        Bars written.
    gaps
        Stretches without bars in what was written.
    """

    contract: str
    spec: str
    stored: list[date] = []
    held: list[date] = []
    shut: list[date] = []
    left: dict[date, str] = {}
    rows: int = 0
    gaps: list[Gap] = []

    @property
    def missing(self) -> list[Gap]:
        """Gaps in trading hours."""
        return [gap for gap in self.gaps if gap.reason == MISSING]

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON."""
        plain = msgspec.to_builtins(self)
        plain["left"] = {str(day): why for day, why in self.left.items()}
        return plain

    def __str__(self) -> str:
        lines = [
            f"{self.contract} bars of {self.spec}: {len(self.stored)} sessions stored "
            f"({self.rows:,} bars), {len(self.held)} held already, {len(self.shut)} closed days"
        ]
        lines += [f"  not stored: session {day}, {why}" for day, why in self.left.items()]
        longest = sorted(self.missing, key=lambda gap: gap.from_ns - gap.to_ns)
        if longest:
            lines.append(f"  {len(longest):,} stretches without bars in trading hours, longest:")
            lines += [f"    {gap}" for gap in longest[:10]]
        return "\n".join(lines)


async def download(
    rest: BarSource, store: Catalog, listing: Listing, first: date, last: date | None, unit: str,
    *, clock: Clock, live: bool = False, progress: Progress | None = None,
) -> Downloaded:  # fmt: skip
    """Bring the bars of a contract for a span of trading days into a catalogue.

    Parameters
    ----------
    first, last
        Trading days, both included; without `last`, up to the newest finished session.
    unit
        Length of a bar: ``1s``, ``1m``, ``5m``, ``1h``, ``1d``.
    live
        Data of a live subscription instead of the simulation data that comes with the API.
    progress
        Called with the sessions done and the sessions in all.

    Raises
    ------
    UsageError
        The span is empty, or the product is not in the shipped table.
    GatewayError, DataError
        The gateway fails, or sends what cannot be. What was stored before stays.
    """
    named, length = _named(listing), Length.read(unit)
    last = last or trading_day(clock.now())
    if first > last:
        raise UsageError(f"the span ends ({last}) before it begins ({first})")
    report = Downloaded(contract=named.code, spec=length.spec)
    wanted = _wanted(store, named, (first, last), report, clock.now())
    done, total = 0, len(wanted)
    for run in _runs(wanted):
        async for day, bars in _sessions(rest, listing, run, length, live):
            _store(store, named, length, day, bars, report, clock.now())
            done += 1
            if progress:
                progress(done, total)
    report.stored.sort()
    report.gaps.sort(key=lambda gap: gap.from_ns)
    return report


def _named(listing: Listing) -> Contract:
    if listing.contract is None:
        raise UsageError(
            f"{listing.id} is of no product in the shipped table; its bars cannot be stored"
        )
    return listing.contract


def _wanted(
    store: Catalog, named: Contract, span: tuple[date, date], report: Downloaded, now: int
) -> list[date]:
    """Sessions of a span that have to be fetched; the others are noted in the report."""
    held = {p.session for p in store.parts(named.code, "bars") if p.spec == report.spec}
    wanted = []
    day, last = span
    while day <= last:
        if day.weekday() < 5:
            if day in held:
                report.held.append(day)
            elif not session(named, day).trades:
                report.shut.append(day)
            elif session_span(day)[1] + _SETTLE > now:
                report.left[day] = "it still runs, or has only just ended; run this again later"
            else:
                wanted.append(day)
        day += timedelta(days=1)
    return wanted


def _runs(days: Sequence[date]) -> Iterator[list[date]]:
    """Stretches of sessions with nothing between them, newest first."""
    run: list[date] = []
    for day in reversed(days):
        if run and session_span(run[-1])[0] != session_span(day)[1]:
            yield run
            run = []
        run.append(day)
    if run:
        yield run


async def _sessions(
    rest: BarSource, listing: Listing, run: Sequence[date], length: Length, live: bool
) -> AsyncGenerator[tuple[date, list[Bar]], None]:
    """Yield each session of a run, newest first, as soon as all its bars are there."""
    start, end = session_span(run[-1])[0], session_span(run[0])[1]
    waiting, bars = list(run), []
    async with aclosing(bar_pages(rest, listing, start, end, length, live=live)) as pages:
        async for page in pages:
            bars = page + bars
            while waiting and session_span(waiting[0])[0] >= page[0].ts:
                begin = session_span(waiting[0])[0]
                yield waiting.pop(0), [bar for bar in bars if bar.ts >= begin]
                bars = [bar for bar in bars if bar.ts < begin]
    for day in waiting:  # the last of them begins before its first bar, or has none
        begin = session_span(day)[0]
        yield day, [bar for bar in bars if bar.ts >= begin]
        bars = [bar for bar in bars if bar.ts < begin]


def _store(
    store: Catalog, named: Contract, length: Length, day: date, bars: list[Bar],
    report: Downloaded, now: int,
) -> None:  # fmt: skip
    reason = _unfinished(named, length, day, bars, now)
    if reason:
        report.left[day] = reason
        return
    frame = pl.DataFrame(
        {
            "ts_open": [bar.ts for bar in bars], "ts_close": [bar.ts + length.ns for bar in bars],
            **{n: pl.Series([getattr(bar, n) for bar in bars], dtype=pl.Int32) for n in "ohlc"},
            "volume": [bar.v for bar in bars],
        }
    )  # fmt: skip
    batch, _ = normal(Piece(named, "bars", frame, length.spec), Options())
    store.write([batch], _facts(named, bars))
    report.stored.append(day)
    report.rows += len(bars)
    begin, end = session_span(day)
    stamps = [bar.ts for bar in bars]
    report.gaps += gaps(stamps, named.instrument, begin, end, length.ns)


def _unfinished(
    named: Contract, length: Length, day: date, bars: Sequence[Bar], now: int
) -> str | None:
    """Why a session is not to be stored, or not yet."""
    if not bars:
        return "the gateway has no bars of it"
    last = bars[-1].ts + length.ns
    short = session(named, day).close - last
    if short <= max(_TAIL, length.ns) or now - session_span(day)[1] > _OLD:
        return None
    return (
        f"its last bar ends at {utc(last)}, {short // _MINUTE} minutes before the session; the "
        "gateway may be behind: run this again later"
    )


def _facts(named: Contract, bars: Sequence[Bar]) -> dict[str, str]:
    return {
        "source": f"ProjectX history of {named.code}",
        "source_format": SOURCE_FORMAT,
        "source_sha256": hashlib.sha256(msgspec.json.encode(bars)).hexdigest(),
        "source_tz": "UTC",
        "stamp": "start",
        "ts_resolution_ns": str(10**9),
        "clock": "event",
        "importer_version": VERSION,
    }

"""Bars from the gateway, paged without gaps or doubles, and the reason where there is none.

The gateway gives the newest 20,000 bars of a window, newest first. Whether a window includes its
end is not documented, so a page ends just before the oldest bar that is known, and where the next
page does not join it bar to bar the seam itself is asked for once more. A bar is stamped at its
opening.

Prices are int ticks, times int64 ns UTC.

I/O: none of its own; asks through the client that it is given.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import AsyncGenerator, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import Protocol

import msgspec

from pxresearch.block import bar_spec
from pxresearch.errors import DataError, NotUnderstood, UnknownName, UsageError
from pxresearch.gateway import wire
from pxresearch.gateway.contracts import Directory, Listing
from pxresearch.instruments import Instrument
from pxresearch.instruments import contract as read_code
from pxresearch.sessions import CHICAGO, Session, session, to_ns, trading_day
from pxresearch.validation.schema import utc

_SECOND = 10**9
_STEP = 100  # ns: the finest time that the gateway writes
_ROLL = time(17)  # Chicago: a trading day begins
_UNITS = {
    "s": (wire.BarUnit.SECOND, 1), "m": (wire.BarUnit.MINUTE, 60), "h": (wire.BarUnit.HOUR, 3_600),
    "d": (wire.BarUnit.DAY, 86_400),
}  # fmt: skip

CLOSED, HOLIDAY, MISSING = "closed", "holiday", "missing"
"""Why there is no bar: the market rests as every day, it is shut that day, or data is lacking."""


class BarSource(Protocol):
    """The client, as far as bars go."""

    async def bars(
        self, contract_id: str, start_ns: int, end_ns: int, unit: wire.BarUnit, number: int,
        *, limit: int = ..., live: bool = ..., partial: bool = ...,
    ) -> list[wire.Bar]:  # fmt: skip
        """Answer of one History/retrieveBars."""
        ...


class ContractSource(Protocol):
    """The client, as far as contracts go."""

    async def available(self, live: bool = ...) -> list[wire.Contract]:
        """All active contracts."""
        ...

    async def contract(self, contract_id: str) -> wire.Contract | None:
        """One contract, also an expired one; None if the venue does not know it."""
        ...


class Bar(msgspec.Struct, frozen=True, gc=False):
    """A bar; `ts` is its opening, prices are ticks."""

    ts: int
    o: int
    h: int
    l: int  # noqa: E741 - the four letters of a bar
    c: int
    v: int


class Length(msgspec.Struct, frozen=True, kw_only=True):
    """A length of bars: as the gateway asks for it, in ns, and by the catalogue's name."""

    unit: wire.BarUnit
    number: int
    ns: int
    spec: str

    @classmethod
    def read(cls, text: str) -> Length:
        """Length of a text such as ``1s``, ``5m``, ``1h`` or ``1d``.

        Raises
        ------
        UsageError
            Not one of these.
        """
        match = re.fullmatch(r"([1-9]\d{0,3})([smhd])", text)
        if match is None or (match[2] == "d" and match[1] != "1"):
            raise UsageError(
                f"unit {text!r} is not known; allowed are seconds 1s, minutes 1m or 5m, hours 1h "
                "and the session 1d"
            )
        unit, seconds = _UNITS[match[2]]
        number = int(match[1])
        ns = number * seconds * _SECOND
        return cls(unit=unit, number=number, ns=ns, spec=bar_spec(ns))


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch without bars, ns UTC, and why: `CLOSED`, `HOLIDAY` or `MISSING`."""

    from_ns: int
    to_ns: int
    reason: str

    def __str__(self) -> str:
        return f"{utc(self.from_ns)} to {utc(self.to_ns)}: {self.reason}"


async def find_listing(rest: ContractSource, code: str) -> Listing:
    """Listing of a contract code (``MNQZ26``), of a product's active contract (``MNQ``) or an id.

    Raises
    ------
    UnknownName
        The venue has no such contract.
    ContractMismatch
        A tick of the venue differs from the shipped table.
    """
    directory = Directory(await rest.available())
    try:
        return directory.find(code)
    except UnknownName:
        expired = await rest.contract(_id_of(code))
        if expired is None:
            raise
        return directory.add(expired)


def _id_of(code: str) -> str:
    """Id under which the venue keeps a contract that it does not list any more."""
    if code.upper().startswith("CON."):
        return code
    named = read_code(code)
    expiry = named.code.removeprefix(named.instrument.root)
    return f"CON.{named.instrument.projectx_id}.{expiry}"


# ---------------------------------------------------------------- pages
async def bar_pages(
    rest: BarSource, listing: Listing, start_ns: int, end_ns: int, length: Length, *,
    limit: int = wire.MAX_BARS, live: bool = False,
) -> AsyncGenerator[list[Bar], None]:  # fmt: skip
    """Yield the bars that open in ``[start_ns, end_ns)``, newest page first, each ascending.

    What has been yielded is whole: no bar between the oldest one seen and `end_ns` comes later.

    Raises
    ------
    NotUnderstood
        The gateway gives a bar outside the window, or two different ones for one time.
    DataError
        A bar contradicts itself, or a price is off the grid (OffGridPrice).
    """
    edge, first = end_ns, True
    while edge > start_ns:
        ask = edge if first else edge - _STEP
        found = await _page(rest, listing, (start_ns, ask), length, limit, live)
        page = [bar for bar in found if bar.ts < edge]
        if first and found and not page:  # the one bar of a page opens at the end itself
            first = False
            continue
        if not first and (not page or page[-1].ts + length.ns != edge):
            seam = await _page(rest, listing, (edge - length.ns, edge), length, limit, live)
            page = _merged([*page, *(bar for bar in seam if bar.ts < edge)], listing)
        page = [bar for bar in page if bar.ts >= start_ns]
        if not page:
            return
        yield page
        edge, first = page[0].ts, False
        if edge - length.ns < start_ns:
            return


async def all_bars(
    rest: BarSource, listing: Listing, start_ns: int, end_ns: int, length: Length, *,
    limit: int = wire.MAX_BARS, live: bool = False,
) -> list[Bar]:  # fmt: skip
    """All bars that open in ``[start_ns, end_ns)``, ascending; see :func:`bar_pages`."""
    pages = [
        page
        async for page in bar_pages(rest, listing, start_ns, end_ns, length, limit=limit, live=live)
    ]
    return [bar for page in reversed(pages) for bar in page]


async def _page(
    rest: BarSource, listing: Listing, window: tuple[int, int], length: Length, limit: int,
    live: bool,
) -> list[Bar]:  # fmt: skip
    start, end = window
    rows = await rest.bars(
        listing.id, start, end, length.unit, length.number, limit=limit, live=live, partial=False
    )
    page = _merged([_bar(row, listing) for row in rows], listing)
    for bar in (page[0], page[-1]) if page else ():
        if not start - length.ns < bar.ts <= end:
            raise NotUnderstood(
                f"asked for bars of {listing.code} from {utc(start)} to {utc(end)}, the gateway "
                f"sent one of {utc(bar.ts)}"
            )
    return page


def _bar(row: wire.Bar, listing: Listing) -> Bar:
    o, h, l, c = (listing.to_ticks(price) for price in (row.o, row.h, row.l, row.c))  # noqa: E741
    if max(o, c) > h or min(o, c) < l or row.v < 0:
        raise DataError(
            f"{listing.code}: the gateway's bar of {row.t} contradicts itself: open {row.o}, high "
            f"{row.h}, low {row.l}, close {row.c}, volume {row.v}"
        )
    return Bar(wire.to_ns(row.t), o, h, l, c, row.v)


def _merged(bars: Sequence[Bar], listing: Listing) -> list[Bar]:
    """Ascending, each time once."""
    found = sorted(set(bars), key=lambda bar: bar.ts)
    for before, bar in itertools.pairwise(found):
        if before.ts == bar.ts:
            raise NotUnderstood(
                f"the gateway gives two different bars of {listing.code} for {utc(bar.ts)}: "
                f"{before} and {bar}; ask again later"
            )
    return found


# ---------------------------------------------------------------- what is missing
def session_span(day: date) -> tuple[int, int]:
    """Beginning and end (ns UTC) of the catalogue's session: 17:00 Chicago to 17:00 of `day`."""
    before = day - timedelta(days=3 if day.weekday() == 0 else 1)
    begin, end = (to_ns(datetime.combine(d, _ROLL, CHICAGO)) for d in (before, day))
    return begin, end


def gaps(
    stamps: Sequence[int], product: Instrument, start_ns: int, end_ns: int, length_ns: int
) -> list[Gap]:
    """Stretches of ``[start_ns, end_ns)`` that no bar covers, ascending, each with its reason.

    Parameters
    ----------
    stamps
        Openings of the bars, ascending.
    length_ns
        Of a bar. A stretch of trading time shorter than this is no gap.
    """
    found: list[Gap] = []
    reached = start_ns
    for stamp in (*stamps, end_ns):
        if stamp > reached:
            found += _explained(product, reached, min(stamp, end_ns), length_ns)
        reached = max(reached, stamp + length_ns)
    return found


def _explained(product: Instrument, start: int, end: int, length: int) -> Iterator[Gap]:
    """Cut a stretch at the bounds of trading."""
    at = start
    for opens, closes, why in _trading(product, start, end):
        if at < min(opens, end):
            yield Gap(from_ns=at, to_ns=min(opens, end), reason=why)
        low, high = max(at, opens), min(closes, end)
        if high - low >= length:
            yield Gap(from_ns=low, to_ns=high, reason=MISSING)
        at = max(at, closes)
        if at >= end:
            return


def _trading(product: Instrument, start: int, end: int) -> Iterator[tuple[int, int, str]]:
    """Open spans from `start` on until one ends past `end`, with the reason for the rest before."""
    day = trading_day(start) - timedelta(days=4)  # what rests at `start` began before it
    why = CLOSED
    while True:
        found = session(product, day)
        if not found.trades:
            why = HOLIDAY if day.weekday() < 5 else why
        else:
            for opens, closes in _spans(found):
                if closes > start:
                    yield opens, closes, why
                    why = CLOSED
                    if closes >= end:
                        return
            why = HOLIDAY if _ends_early(product, found) else CLOSED
        day += timedelta(days=1)


def _spans(found: Session) -> list[tuple[int, int]]:
    if found.pause_from == found.pause_to:
        return [(found.open, found.close)]
    return [(found.open, found.pause_from), (found.pause_to, found.close)]


def _ends_early(product: Instrument, found: Session) -> bool:
    """Whether the session closed before the hour of the weeks beside it."""
    beside = (session(product, found.date + timedelta(days=days)) for days in (-14, -7, 7, 14))
    usual = max((s.close_time.time() for s in beside if s.trades), default=time(0))
    return found.close_time.time() < usual


def stale(last: Bar | None, product: Instrument, now: int, length: Length) -> str | None:
    """Sentence about a last bar that is too old for a market that is open, else None.

    The endpoint has been seen to serve bars that were 75 minutes old.
    """
    found = session(product, trading_day(now))
    allowed = max(3 * length.ns, 300 * _SECOND)
    if last is None or not found.is_open(now) or now - found.open < allowed:
        return None
    age = now - (last.ts + length.ns)
    if age <= allowed:
        return None
    return (
        f"the last bar closed {age // (60 * _SECOND)} minutes ago, at {utc(last.ts + length.ns)}, "
        "and the market is open: the gateway serves old data; ask again later"
    )

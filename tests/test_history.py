"""History: pages join exactly whatever the gateway means by a window, and gaps have a reason."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pxresearch.errors import (
    DataError,
    NotUnderstood,
    OffGridPrice,
    UnknownName,
    UsageError,
)
from pxresearch.gateway import history, wire
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.history import CLOSED, HOLIDAY, MISSING, Bar, Length
from pxresearch.instruments import instrument
from pxresearch.sessions import CHICAGO, session, to_ns
from tests import payloads

MINUTE = 60 * 10**9
ONE = Length.read("1m")
ROW = wire.decode(payloads.CONTRACT, wire.Contract)
LISTING = Directory([ROW]).find("MNQZ26")
MNQ = instrument("MNQ")


def at(*when: int) -> int:
    """Ns of a Chicago wall time."""
    return to_ns(datetime(*when, tzinfo=CHICAGO))  # type: ignore[arg-type]


def wire_bar(ts: int, close: int = 100_000) -> wire.Bar:
    """A bar of one price; `close` is in ticks."""
    price = Decimal(close) / 4
    return wire.Bar(t=wire.to_iso(ts, 0), o=price, h=price, l=price, c=price, v=1)


class Venue:
    """A gateway with bars: `ends` says what its windows include, `cap` what it gives at most."""

    def __init__(self, stamps: Sequence[int], ends: str = "in", cap: int = 20_000) -> None:
        self.stamps, self.ends, self.cap = sorted(stamps), ends, cap
        self.asked: list[tuple[int, int, int]] = []

    async def bars(
        self, contract_id: str, start_ns: int, end_ns: int, unit: wire.BarUnit, number: int,
        *, limit: int = 20_000, live: bool = False, partial: bool = False,
    ) -> list[wire.Bar]:  # fmt: skip
        assert (contract_id, unit, number, live, partial) == (LISTING.id, 2, 1, False, False)
        assert limit <= wire.MAX_BARS
        self.asked.append((start_ns, end_ns, limit))
        keeps = {
            "in": lambda t: t <= end_ns, "out": lambda t: t < end_ns,
            "close": lambda t: t + MINUTE <= end_ns,
        }[self.ends]  # fmt: skip
        found = [t for t in self.stamps if start_ns <= t and keeps(t)]
        return [wire_bar(t, t // MINUTE % 1000 + 1) for t in found[-min(limit, self.cap) :]][::-1]


def read(venue: Venue, start: int, end: int, limit: int = 20_000) -> list[Bar]:
    """All bars of a window."""
    return asyncio.run(history.all_bars(venue, LISTING, start, end, ONE, limit=limit))


@example({0, 1}, 0, 1, 1, "in", 1)
@given(
    st.sets(st.integers(0, 120)), st.integers(0, 120), st.integers(0, 120),
    st.integers(1, 12), st.sampled_from(["in", "out", "close"]), st.integers(1, 12),
)  # fmt: skip
def test_pages_join_without_gap_or_double(
    minutes: set[int], low: int, high: int, limit: int, ends: str, cap: int
) -> None:
    """Whatever a window includes and however few bars a page has, each bar comes once, in order.

    Under "close" a window that ends on the grid leaves out nothing either: that bar ends there.
    """
    base = at(2026, 9, 14, 9, 0)
    venue = Venue([base + m * MINUTE for m in minutes], ends, cap)
    found = read(venue, base + low * MINUTE, base + high * MINUTE, limit)
    assert [bar.ts for bar in found] == [
        base + m * MINUTE for m in sorted(minutes) if low <= m < high
    ]
    assert [bar.c for bar in found] == [bar.ts // MINUTE % 1000 + 1 for bar in found]


@pytest.mark.parametrize("ends", ["out", "in"])
def test_sixty_thousand_bars_take_three_requests(ends: str) -> None:
    """Three full pages; the end is not on the grid, as with any request made now."""
    start = at(2026, 9, 14, 0, 0)
    venue = Venue([start + i * MINUTE for i in range(60_000)], ends)
    found = read(venue, start, start + 60_000 * MINUTE - 1)
    assert [bar.ts for bar in found] == venue.stamps
    assert [limit for *_, limit in venue.asked] == [20_000] * 3


def test_a_page_is_whole_when_it_is_yielded() -> None:
    """Newest first; later pages are older, so what a page covers can be stored at once."""
    start = at(2026, 9, 14, 9, 0)
    venue = Venue([start + i * MINUTE for i in range(10)])

    async def pages() -> list[list[int]]:
        found = history.bar_pages(venue, LISTING, start, start + 10 * MINUTE, ONE, limit=4)
        return [[(bar.ts - start) // MINUTE for bar in page] async for page in found]

    # the first window includes its end, the bar of which is not asked for
    assert asyncio.run(pages()) == [[6, 7, 8, 9], [2, 3, 4, 5], [0, 1]]


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"t": "2026-09-14T20:00:00+00:00"}, NotUnderstood, "2026-09-14 20:00"),
        ({"h": Decimal("24999.75")}, DataError, "contradicts itself"),
        ({"v": -1}, DataError, "contradicts itself"),
        ({"c": Decimal("25000.1")}, OffGridPrice, "25000.1"),
        ({"t": "yesterday"}, NotUnderstood, "yesterday"),
    ],
)
def test_impossible_bars_are_refused(
    change: dict[str, object], error: type[Exception], text: str
) -> None:
    """Outside the window, contradictory, off the grid, without a time: named, never stored."""
    start = at(2026, 9, 14, 9, 0)
    row = {"t": wire.to_iso(start, 0), **dict.fromkeys("ohlc", Decimal(25_000)), "v": 1, **change}

    class Odd(Venue):
        async def bars(self, *args: object, **named: object) -> list[wire.Bar]:
            return [wire.Bar(**row)]  # type: ignore[arg-type]

    with pytest.raises(error, match=text):
        read(Odd([]), start, start + MINUTE)


def test_two_bars_for_one_time_are_refused() -> None:
    """Which of them is right cannot be known."""
    start = at(2026, 9, 14, 9, 0)

    class Torn(Venue):
        async def bars(self, *args: object, **named: object) -> list[wire.Bar]:
            return [wire_bar(start, 1), wire_bar(start, 2)]

    with pytest.raises(NotUnderstood, match="two different bars of MNQZ26"):
        read(Torn([]), start, start + MINUTE)


@pytest.mark.parametrize(
    ("text", "unit", "number", "spec"),
    [("1s", 1, 1, "1s"), ("1m", 2, 1, "1m"), ("5m", 2, 5, "5m"), ("60m", 2, 60, "1h"),
     ("1h", 3, 1, "1h"), ("1d", 4, 1, "1d")],
)  # fmt: skip
def test_lengths(text: str, unit: int, number: int, spec: str) -> None:
    """The gateway's unit and the catalogue's name; an hour is an hour."""
    length = Length.read(text)
    assert (length.unit, length.number, length.spec) == (unit, number, spec)


@pytest.mark.parametrize("text", ["", "m", "0m", "1w", "2d", "1.5m", "1M", "-1m"])
def test_lengths_that_are_none(text: str) -> None:
    """What is allowed is said."""
    with pytest.raises(UsageError, match="5m"):
        Length.read(text)


# ---------------------------------------------------------------- gaps
def day_of_minutes(day: date) -> list[int]:
    """Every minute of a session."""
    found = session(MNQ, day)
    return list(range(found.open, found.close, MINUTE))


def explained(stamps: list[int], start: int, end: int) -> list[tuple[str, int]]:
    """Reason and length in minutes of each gap."""
    found = history.gaps(stamps, MNQ, start, end, MINUTE)
    return [(gap.reason, (gap.to_ns - gap.from_ns) // MINUTE) for gap in found]


def test_a_break_is_closed_a_holiday_is_a_holiday_the_rest_is_missing() -> None:
    """By hand: the hour before 17:00, a weekend of 49 h, Labor Day's stop at 12:00, 7 minutes."""
    week = [date(2026, 9, 3), date(2026, 9, 4), date(2026, 9, 7), date(2026, 9, 8)]
    stamps = [ts for day in week for ts in day_of_minutes(day)]
    lost = at(2026, 9, 8, 9, 0)
    stamps = [ts for ts in stamps if not lost <= ts < lost + 7 * MINUTE]
    assert explained(stamps, at(2026, 9, 2, 17, 0), at(2026, 9, 8, 17, 0)) == [
        (CLOSED, 60), (CLOSED, 49 * 60), (HOLIDAY, 5 * 60), (MISSING, 7), (CLOSED, 60),
    ]  # fmt: skip


def test_a_lost_session_is_missing_and_a_closed_one_is_not() -> None:
    """Christmas 2026 is a Friday; the day before ends at 12:15; the 23rd is lost."""
    stamps = day_of_minutes(date(2026, 12, 22)) + day_of_minutes(date(2026, 12, 24))
    assert explained(stamps, at(2026, 12, 21, 17, 0), at(2026, 12, 27, 17, 0)) == [
        (CLOSED, 60), (MISSING, 23 * 60), (CLOSED, 60), (HOLIDAY, 3 * 24 * 60 + 4 * 60 + 45),
    ]  # fmt: skip


@given(st.sets(st.integers(0, 3 * 1440 - 1)), st.integers(1, 10))
def test_bars_and_gaps_cover_the_span_once(held: set[int], length: int) -> None:
    """Bars and gaps neither overlap nor leave more than a bar's length open."""
    start = at(2026, 9, 13, 17, 0)
    ns = length * MINUTE
    stamps = sorted({start + m // length * length * MINUTE for m in held})
    end = start + 3 * 1440 * MINUTE
    found = history.gaps(stamps, MNQ, start, end, ns)
    pieces = sorted([(ts, ts + ns) for ts in stamps] + [(g.from_ns, g.to_ns) for g in found])
    reached = start
    for low, high in pieces:
        assert reached <= low < reached + ns
        reached = high
    assert end - reached < ns


def test_a_last_bar_that_is_old_is_noticed() -> None:
    """In open hours only; three bar lengths or five minutes are allowed."""
    now = at(2026, 9, 14, 10, 0)
    bar = Bar(now - 76 * MINUTE, 1, 1, 1, 1, 1)
    assert "75 minutes ago" in (history.stale(bar, MNQ, now, ONE) or "")
    assert history.stale(Bar(now - 6 * MINUTE, 1, 1, 1, 1, 1), MNQ, now, ONE) is None
    assert history.stale(bar, MNQ, at(2026, 9, 14, 16, 30), ONE) is None
    assert history.stale(None, MNQ, now, ONE) is None


# ---------------------------------------------------------------- contracts
class Listed:
    """A gateway with contracts."""

    async def available(self, live: bool = False) -> list[wire.Contract]:
        return [ROW]

    async def contract(self, contract_id: str) -> wire.Contract | None:
        if contract_id != "CON.F.US.MNQ.U26":
            return None
        old = payloads.CONTRACT.replace("Z26", "U26").replace("true", "false")
        return wire.decode(old, wire.Contract)


@pytest.mark.parametrize(
    ("code", "contract_id", "active"),
    [("MNQ", "Z26", True), ("mnqz26", "Z26", True), ("CON.F.US.MNQ.Z26", "Z26", True),
     ("MNQU26", "U26", False), ("CON.F.US.MNQ.U26", "U26", False)],
)  # fmt: skip
def test_contracts_are_found(code: str, contract_id: str, active: bool) -> None:
    """By product, code or id; an expired one by the id under which the venue keeps it."""
    found = asyncio.run(history.find_listing(Listed(), code))
    assert (found.id, found.active) == (f"CON.F.US.MNQ.{contract_id}", active)


def test_a_contract_that_is_nowhere() -> None:
    """With what there is."""
    with pytest.raises(UnknownName, match="MNQZ26"):
        asyncio.run(history.find_listing(Listed(), "MNQH24"))


def test_span_of_a_session() -> None:
    """Monday's begins on Friday evening; the others on the evening before."""
    assert history.session_span(date(2026, 9, 14)) == (
        at(2026, 9, 11, 17, 0), at(2026, 9, 14, 17, 0),
    )  # fmt: skip
    begin, end = history.session_span(date(2026, 11, 2))  # clocks went back on the Sunday
    assert end - begin == to_ns(timedelta(days=3, hours=1) // timedelta(microseconds=1) * 1000)

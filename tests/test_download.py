"""Download: each finished session once, an interrupted run goes on, nothing is invented."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest

import pxresearch as px
from pxresearch.catalog import Catalog
from pxresearch.clock import VirtualClock
from pxresearch.errors import DataError, NotReachable, UsageError
from pxresearch.gateway import wire
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.download import Downloaded, download
from pxresearch.instruments import instrument
from pxresearch.sessions import CHICAGO, session, to_ns
from tests import payloads

MINUTE = 60 * 10**9
LISTING = Directory([wire.decode(payloads.CONTRACT, wire.Contract)]).find("MNQ")
MNQ = instrument("MNQ")
WEEK = [date(2026, 9, day) for day in (14, 15, 16, 17, 18)]


def minutes(days: Iterable[date]) -> list[int]:
    """Every minute of some sessions."""
    spans = [session(MNQ, day) for day in days]
    return [ts for span in spans for ts in range(span.open, span.close, MINUTE)]


class Venue:
    """A gateway with minute bars that fails after `calls` requests."""

    def __init__(self, stamps: list[int], cap: int = 20_000, calls: int = 10**6) -> None:
        self.stamps, self.cap, self.calls = stamps, cap, calls
        self.asked: list[tuple[int, int]] = []

    async def bars(
        self, contract_id: str, start_ns: int, end_ns: int, unit: wire.BarUnit, number: int,
        *, limit: int = 20_000, live: bool = False, partial: bool = False,
    ) -> list[wire.Bar]:  # fmt: skip
        if not self.calls:
            raise NotReachable("gone")
        self.calls -= 1
        self.asked.append((start_ns, end_ns))
        found = [t for t in self.stamps if start_ns <= t <= end_ns][-min(limit, self.cap) :]
        price = LISTING.to_price
        return [
            wire.Bar(
                t=wire.to_iso(t, 0), o=price(k), h=price(k + 2), l=price(k - 1), c=price(k), v=k
            )
            for t in reversed(found)
            for k in [t // MINUTE % 5000 + 100_000]
        ]  # fmt: skip


def fetch(
    venue: Venue, root: Path, first: date = WEEK[0], last: date | None = WEEK[-1],
    now: tuple[int, ...] = (2026, 9, 21, 9, 0), unit: str = "1m",
) -> Downloaded:  # fmt: skip
    """Run a download at a time of Chicago's clock."""
    clock = VirtualClock(to_ns(datetime(*now, tzinfo=CHICAGO)))  # type: ignore[misc]
    return asyncio.run(download(venue, Catalog(root), LISTING, first, last, unit, clock=clock))


def stored(root: Path) -> pl.DataFrame:
    """Bars of the catalogue."""
    return px.load("MNQZ26", catalog=root, bars="1m").scan("bars").collect()


@pytest.mark.parametrize("cap", [20_000, 1_000, 997])
def test_what_is_stored_is_what_the_venue_has(tmp_path: Path, cap: int) -> None:
    """Every bar once, in order, with its values, whatever the size of a page."""
    venue = Venue(minutes(WEEK), cap)
    report = fetch(venue, tmp_path)
    assert (report.stored, report.rows) == (WEEK, 5 * 1380)
    assert (report.missing, report.left, report.held) == ([], {}, [])
    frame = stored(tmp_path)
    assert frame["ts_open"].to_physical().to_list() == venue.stamps
    assert frame["c"].to_list() == [t // MINUTE % 5000 + 100_000 for t in venue.stamps]
    assert (frame["h"] - frame["l"] == 3).all()
    assert (frame["ts_close"] - frame["ts_open"]).dt.total_seconds().unique().to_list() == [60]
    assert (frame["flags"] == 0).all()


def test_a_second_run_asks_nothing(tmp_path: Path) -> None:
    """And says what was there."""
    fetch(Venue(minutes(WEEK)), tmp_path)
    files = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.parquet")}
    venue = Venue([])
    report = fetch(venue, tmp_path)
    assert (report.held, report.stored, venue.asked) == (WEEK, [], [])
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.parquet")} == files


@pytest.mark.parametrize("calls", range(1, 9))
def test_an_interrupted_run_goes_on(tmp_path: Path, calls: int) -> None:
    """Whole sessions stay; the next run asks for the rest only; the result is the same."""
    with pytest.raises(NotReachable):
        fetch(Venue(minutes(WEEK), 800, calls), tmp_path)
    before = Catalog(tmp_path).parts("MNQZ26", "bars")
    assert all(part.rows == 1380 for part in before)
    assert len(before) == calls * 800 // 1380
    venue = Venue(minutes(WEEK), 800)
    report = fetch(venue, tmp_path)
    assert report.held == sorted(part.session for part in before)
    newest = session(MNQ, report.stored[-1])
    assert all(end <= newest.close + 3600 * 10**9 for _, end in venue.asked)
    assert stored(tmp_path)["ts_open"].to_physical().to_list() == minutes(WEEK)


def test_holes_between_held_sessions_are_filled_each_by_itself(tmp_path: Path) -> None:
    """Held sessions are not asked for again."""
    fetch(Venue(minutes(WEEK)), tmp_path, WEEK[2], WEEK[2])
    venue = Venue(minutes(WEEK))
    report = fetch(venue, tmp_path)
    assert (report.stored, report.held) == ([*WEEK[:2], *WEEK[3:]], [WEEK[2]])
    inside = session(MNQ, WEEK[2])
    assert not any(start < inside.close and inside.open < end for start, end in venue.asked)


@pytest.mark.parametrize(
    ("now", "kept"),
    [((2026, 9, 18, 12, 0), WEEK[:4]), ((2026, 9, 18, 17, 5), WEEK[:4]),
     ((2026, 9, 18, 17, 16), WEEK)],
)  # fmt: skip
def test_a_running_session_is_not_stored(
    tmp_path: Path, now: tuple[int, ...], kept: list[date]
) -> None:
    """Nor one that has only just ended; it is named, and the next run takes it."""
    report = fetch(Venue(minutes(WEEK)), tmp_path, now=now)
    assert report.stored == kept
    assert list(report.left) == [day for day in WEEK if day not in kept]
    assert "later" in str(report) or kept == WEEK


def test_a_gateway_that_is_behind_leaves_the_session(tmp_path: Path) -> None:
    """75 minutes short after the close: not stored; a day later it is all there will ever be."""
    stamps = minutes(WEEK)[:-75]
    report = fetch(Venue(stamps), tmp_path, now=(2026, 9, 18, 17, 30))
    assert report.stored == WEEK[:4]
    assert "75 minutes before the session" in report.left[WEEK[4]]
    report = fetch(Venue(stamps), tmp_path)
    assert report.stored == [WEEK[4]]
    assert [gap.reason for gap in report.missing] == ["missing"]


def test_days_without_trading_and_sessions_without_bars(tmp_path: Path) -> None:
    """A short day is stored, a closed day is none, a session without bars is named."""
    days = [date(2026, 12, day) for day in (22, 23, 24)]
    report = fetch(Venue(minutes(days[:1] + days[2:])), tmp_path, days[0], date(2026, 12, 25),
                   now=(2026, 12, 30, 9, 0))  # fmt: skip
    assert report.stored == [days[0], days[2]]
    assert report.left == {days[1]: "the gateway has no bars of it"}
    assert report.shut == [date(2026, 12, 25)]
    assert {gap.reason for gap in report.gaps} == {"closed", "holiday"}


def test_impossible_bars_leave_the_catalogue_as_it_was(tmp_path: Path) -> None:
    """A bar after the contract's life, as from a continuous series, is refused as by an import."""
    late = [date(2027, 1, 5)]
    with pytest.raises(DataError, match="after the delivery month"):
        fetch(Venue(minutes(late)), tmp_path, late[0], late[0], now=(2027, 1, 7, 9, 0))
    assert not list(tmp_path.rglob("*.parquet"))


def test_the_span_and_the_unit_are_checked_first(tmp_path: Path) -> None:
    """Before anything is asked."""
    venue = Venue([])
    with pytest.raises(UsageError, match="before it begins"):
        fetch(venue, tmp_path, WEEK[1], WEEK[0])
    with pytest.raises(UsageError, match="unit"):
        fetch(venue, tmp_path, unit="1w")
    assert venue.asked == []


def test_without_an_end_it_goes_to_the_newest_finished_session(tmp_path: Path) -> None:
    """And a report is plain values."""
    report = fetch(Venue(minutes(WEEK)), tmp_path, WEEK[3], None, now=(2026, 9, 18, 12, 0))
    assert report.stored == [WEEK[3]]
    plain = report.to_dict()
    assert plain["stored"] == ["2026-09-17"]
    assert list(plain["left"]) == ["2026-09-18"]  # type: ignore[call-overload]

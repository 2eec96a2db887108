"""The engine's time in a live session: the market's, never backward; and how old a thing is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pxresearch.clock import NS, VirtualClock
from pxresearch.runner.agreement import EVENTS, NS_APART
from pxresearch.runner.timeline import Timeline

START = 1_791_000_000 * NS
MS = 1_000_000
DELAYS = st.lists(st.integers(0, 5_000), min_size=1, max_size=40)


@given(skew=st.integers(-3_000, 3_000), delays=DELAYS)
def test_what_is_older_than_the_others_is_so_by_its_delay(skew: int, delays: list[int]) -> None:
    """However wrong our clock is: only what is beyond the least time on the way makes it old."""
    line = Timeline(VirtualClock(START))
    for i, delay in enumerate(delays):
        ts = START + i * NS
        received = ts + (skew + delay) * MS
        line.event(ts, received)
        least = min(delays[: i + 1])
        assert received - line.happened(ts, received) == (delay - least) * MS


def test_nothing_is_younger_than_its_receipt() -> None:
    """A stamp of the future does not make news of what came long ago."""
    line = Timeline(VirtualClock(START))
    line.event(START, START + 10 * MS)
    assert line.happened(START + 60 * NS, START + NS) == START + NS


@given(st.lists(st.integers(-2_000, 2_000), max_size=60))
def test_time_never_goes_back(steps: list[int]) -> None:
    """Events that come late are moved up to where the engine is, and counted."""
    line, at, last = Timeline(VirtualClock(START)), START, 0
    late = 0
    for step in steps:
        at += step * MS
        got = line.event(at, at + 20 * MS)
        assert got == max(at, last)
        late += at < last
        last = got
    assert line.late == late


def test_one_stamp_of_the_future_moves_nothing() -> None:
    """An hour ahead, once: receipt counts; the next stamp is as good as before."""
    line = Timeline(VirtualClock(START))
    assert line.event(START, START + 20 * MS) == START
    assert line.event(START + 3_600 * NS, START + NS) == START + NS
    assert (line.doubted, line.late) == (1, 0)
    assert line.event(START + 2 * NS, START + 2 * NS + 20 * MS) == START + 2 * NS


@given(ahead=st.integers(61, 80_000))
def test_a_slow_clock_of_ours_is_found_out(ahead: int) -> None:
    """Stamps that go on being ahead are the market's time, once they have agreed long enough."""
    line = Timeline(VirtualClock(START))
    for i in range(EVENTS + 3):
        received = START + i * NS
        got = line.event(received + ahead * NS, received)
        settled = i + 1 >= EVENTS and i * NS >= NS_APART
        assert got == received + (ahead * NS if settled else 0)


def test_a_stamp_of_another_day_is_never_a_time() -> None:
    """However many agree."""
    line = Timeline(VirtualClock(START))
    for i in range(50):
        received = START + i * NS
        assert line.event(received + 2 * 86_400 * NS, received) == received
    assert line.doubted == 50

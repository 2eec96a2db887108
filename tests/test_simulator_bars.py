"""Bars of the simulator against slow loops over the same trades."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pxresearch.clock import NS
from pxresearch.gateway import wire
from pxresearch.gateway.wire import BarUnit
from pxresearch.simulator import history as history_of
from pxresearch.simulator.history import History, Series
from pxresearch.simulator.listing import listed_contracts
from pxresearch.simulator.tape import MINUTE, TRADE, Tape, looped
from tests.exchange_kit import MNQ, START
from tests.venue_kit import STEPS, Room, make_tape

CHICAGO = ZoneInfo("America/Chicago")
LENGTHS = {BarUnit.SECOND: NS, BarUnit.MINUTE: MINUTE, BarUnit.HOUR: 60 * MINUTE}


def brute(trades: list[tuple[int, int, int]], key: Any) -> dict[Any, list[int]]:
    """First, highest, lowest, last price and volume by key, in order of time."""
    bars: dict[Any, list[int]] = {}
    for ts, price, size in trades:
        bar = bars.setdefault(key(ts), [price, price, price, price, 0])
        bar[1:] = [max(bar[1], price), min(bar[2], price), price, bar[4] + size]
    return bars


def session_open(ts: int) -> datetime:
    """17:00 Chicago before an instant; a weekend belongs to the session of Monday."""
    when = datetime.fromtimestamp(ts // NS, CHICAGO)
    open_ = when.replace(hour=17, minute=0, second=0, microsecond=0)
    open_ -= timedelta(days=when.hour < 17)
    while open_.weekday() in (4, 5):  # the evenings of Friday and Saturday
        open_ += timedelta(days=1)
    return open_


def ask(history: History, unit: BarUnit, number: int, now: int, **members: Any) -> Any:
    body = {
        "contract_id": MNQ, "live": False, "start_time": "2026-01-01T00:00:00Z",
        "end_time": "2027-01-01T00:00:00Z", "unit": unit, "unit_number": number, "limit": 20_000,
        "include_partial_bar": True,
    }  # fmt: skip
    return history.answer(wire.RetrieveBars(**{**body, **members}), now)


def make_history(
    tape: Tape, origin: int = 0, since: int = 0, hand: Any = ()
) -> tuple[History, list[tuple[int, int, int]]]:
    """History, and every trade in it from `since` on (two turns of a loop)."""
    series = Series(tape, 0, origin, since)
    for one in hand:
        series.by_hand(*one)
    rows = tape.kind == TRADE
    turns = (0, 1) if tape.length else (0,)
    trades = [
        (int(ts) + origin + turn * tape.length, int(a), int(b))
        for turn in turns
        for ts, a, b in zip(tape.ts[rows], tape.a[rows], tape.b[rows], strict=True)
    ]
    merged = sorted([*trades, *hand], key=lambda one: one[0])
    return History(listed_contracts(START), {MNQ: series}), merged


def shown(bars: list[wire.Bar]) -> list[tuple[str, list[int]]]:
    return [(bar.t, [int(p * 4) for p in (bar.o, bar.h, bar.l, bar.c)] + [bar.v]) for bar in bars]


@given(
    STEPS, st.sampled_from(list(LENGTHS)), st.sampled_from([1, 2, 5, 7, 90]), st.booleans(),
    st.lists(st.tuples(st.integers(0, 2000 * NS), st.integers(80_000, 90_000)), max_size=5),
    st.integers(1, 30),
)  # fmt: skip
@settings(max_examples=80)
def test_bars_of_the_clock_are_those_of_a_slow_loop(
    tape: Tape, unit: BarUnit, number: int, partial: bool, hand: list[Any], limit: int
) -> None:
    """Newest first, limit cut from the old end, the running bar on request, hand trades in it."""
    loop = looped(tape, 30.0)
    origin = START // MINUTE * MINUTE
    made = sorted((START + at, price, 3) for at, price in hand)
    history, trades = make_history(loop, origin, origin, made)
    now = origin + loop.length + loop.length // 2 + 1
    length = LENGTHS[unit] * number
    expected = brute([one for one in trades if one[0] <= now], lambda ts: ts // length * length)
    rows = [
        (wire.to_iso(at, 0), bar)
        for at, bar in sorted(expected.items(), reverse=True)
        if (partial or at + length <= now) and at >= origin
    ]
    first = min(expected) if expected else 0
    answer = ask(history, unit, number, now, include_partial_bar=partial, limit=limit)
    assert shown(answer.bars) == rows[:limit]
    if rows and first >= origin:
        whole = ask(history, unit, number, now, include_partial_bar=partial)
        assert shown(whole.bars) == rows


@pytest.mark.parametrize("unit", [BarUnit.DAY, BarUnit.WEEK, BarUnit.MONTH])
@pytest.mark.parametrize("partial", [True, False])
def test_bars_of_the_calendar_follow_trading_days(unit: BarUnit, partial: bool) -> None:
    """Stamped at 17:00 Chicago, over a change of the clocks, weekends in Monday's."""
    rng = np.random.default_rng(7)
    start = wire.to_ns("2026-10-20T03:00:00Z")  # the clocks change on 1 November
    tape = make_tape([int(s) for s in rng.integers(1, 7200 * NS, 900)], [100] * 900, start)
    history, trades = make_history(tape)
    now = trades[-1][0]

    def key(ts: int) -> datetime:
        day = (session_open(ts) + timedelta(days=1)).date()
        if unit is BarUnit.WEEK:
            day -= timedelta(days=day.weekday())
        if unit is BarUnit.MONTH:
            day = day.replace(day=1)
        eve = day - timedelta(days=1)
        return datetime(eve.year, eve.month, eve.day, 17, tzinfo=CHICAGO)

    expected = brute(trades, key)
    rows = sorted(expected.items(), reverse=True)
    if not partial:
        rows = rows[1:]
    wanted = [(wire.to_iso(int(at.timestamp()) * NS, 0), bar) for at, bar in rows]
    answer = ask(history, unit, 1, now, include_partial_bar=partial)
    assert shown(answer.bars) == wanted
    assert (
        shown(ask(history, unit, 1, now, include_partial_bar=partial, limit=2).bars) == wanted[:2]
    )


@pytest.mark.parametrize("number", [1, 7, 50])
def test_tick_bars_count_anew_each_day(number: int) -> None:
    """So many trades a bar; the last of a day may be short, the last of all only on request."""
    rng = np.random.default_rng(3)
    steps = [int(s) for s in rng.integers(1, 1200 * NS, 400)]
    history, trades = make_history(make_tape(steps, [int(p) for p in rng.integers(90, 99, 400)]))
    now = trades[-1][0]
    by_day: dict[datetime, list[Any]] = {}
    for one in trades:
        by_day.setdefault(session_open(one[0]), []).append(one)
    chunks = [d[i : i + number] for d in by_day.values() for i in range(0, len(d), number)]
    bars = [(wire.to_iso(c[0][0], 0), brute(c, lambda _: 0)[0]) for c in chunks][::-1]
    assert shown(ask(history, BarUnit.TICK, number, now).bars) == bars
    whole = bars if len(chunks[-1]) == number else bars[1:]
    answer = ask(history, BarUnit.TICK, number, now, include_partial_bar=False)
    assert shown(answer.bars) == whole
    assert shown(ask(history, BarUnit.TICK, number, now, limit=3).bars) == bars[:3]


def test_pages_of_bars_join_without_gap_or_double() -> None:
    """Asking for what is before the oldest bar again and again gives each bar once."""
    loop = looped(make_tape([NS] * 400, [100] * 400), 5.0)
    history, _ = make_history(loop, START // MINUTE * MINUTE, START - 10 * 86_400 * NS)
    whole = ask(history, BarUnit.MINUTE, 1, START).bars
    assert len(whole) > 14_000
    end, got = wire.to_iso(START + 1, 9), []
    while page := ask(history, BarUnit.MINUTE, 1, START, end_time=end, limit=4_000).bars:
        got += page
        end = page[-1].t
    assert got == whole


@pytest.mark.parametrize(
    ("members", "code"),
    [({"contract_id": "CON.F.US.XX.Z26"}, 1), ({"unit": BarUnit.UNSPECIFIED}, 2),
     ({"unit": BarUnit.UNKNOWN}, 2), ({"unit_number": 0}, 3), ({"unit_number": -1}, 3),
     ({"limit": 0}, 4), ({"limit": 20_001}, 4), ({"contract_id": "CON.F.US.MNQ.H27"}, 0)],
)  # fmt: skip
def test_codes_of_bars(members: dict[str, Any], code: int) -> None:
    """Each wrong member has its own code; a contract without trades has no bars."""
    history, _ = make_history(make_tape([1], [100]))
    asked = {"unit": BarUnit.MINUTE, "number": members.pop("unit_number", 1), **members}
    answer = ask(history, now=START + NS, **asked)
    assert answer.error_code == code
    assert answer.success is (code == 0)


def test_live_bars_need_their_subscription() -> None:
    """live true is answered ContractNotFound, as without the entitlement."""
    room = Room()
    body = {
        "contractId": MNQ, "live": True, "startTime": "2026-11-25T00:00:00Z",
        "endTime": "2026-11-26T00:00:00Z", "unit": 2, "unitNumber": 1, "limit": 10,
        "includePartialBar": True,
    }  # fmt: skip
    assert room.post("History/retrieveBars", body)["errorCode"] == 1
    (bar,) = room.post("History/retrieveBars", {**body, "live": False})["bars"]
    assert (bar["o"], bar["v"]) == (25_000, 1)


def test_days_and_openings_are_each_others_inverse() -> None:
    """The opening of a trading day belongs to it, the instant before to the day before."""
    for day in ("2026-03-10", "2026-11-04", "2026-07-07"):
        instant = wire.to_ns(f"{day}T18:00:00Z")
        opened = history_of._opening(history_of._days([instant]))[0]
        days = history_of._days([opened - 1, opened, instant])
        assert days[0] < days[1] == days[2]

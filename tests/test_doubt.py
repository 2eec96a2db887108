"""Prices that cannot be any: one of them changes nothing, a market that moves is followed."""

from __future__ import annotations

import asyncio
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pxresearch.clock import NS
from pxresearch.journal import Kind
from pxresearch.runner import Ended
from pxresearch.runner.agreement import EVENTS, NS_APART
from pxresearch.runner.doubt import Doubt
from tests.session_kit import floor, run

LEVEL = 98_000
NEAR = st.integers(LEVEL - 9_000, LEVEL + 9_000)
FAR = st.one_of(st.integers(-50_000, 80_000), st.integers(110_000, 10**9))


def begun() -> Doubt:
    made = Doubt()
    assert made.take(LEVEL, LEVEL + 1, 0) == (LEVEL, LEVEL + 1)
    return made


@given(steps=st.lists(st.tuples(st.integers(-400, 400), st.integers(0, 40)), max_size=60))
def test_a_market_that_moves_in_steps_is_believed(steps: list[tuple[int, int]]) -> None:
    """Nothing of it is passed over, however far it comes."""
    doubt, at = begun(), LEVEL
    for move, spread in steps:
        at += move
        assert doubt.take(at, at + spread, 0) == (at, at + spread)
        assert doubt.take(at, None, 0) == (at, None)  # a trade
    assert doubt.passed == 0


@given(bid=FAR, ask=FAR, good=NEAR)
def test_one_senseless_event_changes_nothing(bid: int, ask: int, good: int) -> None:
    """Both sides far: nothing is taken; one side far: the other is; the next is as before."""
    doubt = begun()
    assert doubt.take(bid, ask, 10 * NS) == (None, None)
    assert doubt.take(bid, LEVEL + 1, 10 * NS) == (None, LEVEL + 1)
    assert doubt.take(LEVEL, ask, 10 * NS) == (LEVEL, None)
    assert doubt.take(bid, None, 10 * NS) == (None, None)
    assert doubt.passed == 4
    assert doubt.take(good, good, 10 * NS) == (good, good)
    assert doubt.passed == 4


def test_an_empty_side_never_becomes_a_price() -> None:
    """However long a bid of 0 stands beside a sound ask."""
    doubt = begun()
    for i in range(1_000):
        assert doubt.take(0, LEVEL + 1, i * NS) == (None, LEVEL + 1)


def test_a_new_level_is_believed_once_the_market_stays_there() -> None:
    """Enough events and enough time, both; what disagrees begins again."""
    doubt, new = begun(), 60_000
    for i in range(EVENTS + 5):
        assert doubt.take(new, new + 1, i) == (None, None)
    assert doubt.take(new, new + 1, NS_APART) == (new, new + 1)
    assert doubt.take(new + 5, new + 6, NS_APART + 1) == (new + 5, new + 6)
    doubt = begun()
    assert doubt.take(new, new + 1, 0) == (None, None)
    assert doubt.take(150_000, 150_001, 10 * NS) == (None, None)
    assert doubt.take(new, new + 1, 20 * NS) == (None, None)
    for i in range(EVENTS - 2):
        assert doubt.take(new, new + 1, (21 + i) * NS) == (None, None)
    assert doubt.take(new, new + 1, 30 * NS) == (new, new + 1)


def test_what_the_core_cannot_hold_is_no_first_price_either() -> None:
    """A number beyond every price is nothing, also before anything is known."""
    doubt = Doubt()
    assert doubt.take(4 * 10**300, None, 0) == (None, None)
    assert doubt.take(4 * 10**300, LEVEL, 0) == (None, LEVEL)
    for i in range(10):
        assert doubt.take(4 * 10**300, None, i * 10 * NS) == (None, None)


def test_prices_near_zero_have_room_in_ticks() -> None:
    """A tenth of nothing is nothing: crude oil has traded below zero."""
    doubt = Doubt()
    doubt.take(5, 6, 0)
    assert doubt.take(-90, -89, 0) == (-90, -89)
    assert doubt.take(-300, -299, 0) == (None, None)


def test_a_bid_of_nothing_costs_no_position(tmp_path: Path) -> None:
    """Through the gateway, with a position open: noted, told, and the session goes on."""

    async def main() -> None:
        async with floor(tmp_path) as f:
            one = f.session()

            async def script() -> None:
                await f.until(lambda: f.held() == 1 and one.healths)
                for garbage in ("zero", "negative", "huge", "text"):
                    f.venue.control.add("garbage_quote", garbage=garbage)
                    await f.one.clock.sleep(5)
                assert f.held() == 1
                one.runner.stop()

            async def both() -> Ended:
                return (await asyncio.gather(one.runner.run(), script()))[0]

            ended = await f.drive(both())
            assert ended.clean
            notes = [row.data for row in one.rows(Kind.NOTE) if "passed_over" in row.data]
            assert {row["passed_over"]["bid"] for row in notes} > {0, -5}  # and a huge one
            risks = {row.data["cause"] for row in one.rows(Kind.RISK)}
            assert risks <= {"interrupted"}
            told = [row.data["title"] for row in one.rows(Kind.ALERT)]
            assert not any("rejected" in title for title in told)  # a cancel that came too late
            assert any("MNQZ26: 0.00 is far from the last price of " in title for title in told)

    run(main)

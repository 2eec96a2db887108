"""What a trader hears of and how soon, and what stays shut over a restart: K14, K19, K20.

A live session over real sockets, in a time that the test moves.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

import pxresearch as px
from pxresearch.clock import NS
from pxresearch.gateway.records import Hub
from pxresearch.gateway.wire import to_ns
from pxresearch.journal import Kind
from tests.controls_kit import ACCOUNT, BID, Stage, play

LONG = px.buy(5, stop_ticks=1_000)
ALERT_S = 5.0
REPORT_S = 2.0


# ------------------------------------------------------------------ K19
def test_each_fill_is_reported_within_two_seconds(tmp_path: Path) -> None:
    """In the status with its position, and in the journal as the venue has it: none more or less.

    Entries, a bracket's legs, and what another hand trades.
    """
    rng = random.Random(19)

    async def script(stage: Stage) -> None:
        async with stage.session():
            for n in range(18):
                await stage.pause(rng.uniform(0.0, 2.0))
                if n % 3 == 2:
                    stage.venue.control.manual(ACCOUNT, stage.contract_id, -1 if stage.held else 1)
                elif stage.held:
                    await stage.show(BID - 50)  # through the stop
                else:
                    await stage.show(BID, px.buy(1, stop_ticks=20))
                await stage.until(lambda: stage.health.fills == len(stage.truth.trades), REPORT_S)
                assert stage.health.contracts[0].position == stage.held

        told = [row.data for row in stage.rows(Kind.FILL)]
        venue = stage.truth.trades
        assert len(venue) >= 12
        assert len(told) == len(venue)
        for here, there in zip(told, venue, strict=True):
            assert here["qty"] == there.size
            assert here["side"] == (1 if there.side == 0 else -1)
            assert here["price"] == there.price * 4
            assert 0 <= here["ts"] - to_ns(there.creation_timestamp) < NS

    play(tmp_path, script)


# ------------------------------------------------------------------ K20
async def refused(stage: Stage) -> None:
    await stage.show(BID, px.buy(50, stop_ticks=40))


async def rejected(stage: Stage) -> None:
    stage.venue.control.add("error_code", operation="Order/place", code=2)
    await stage.show(BID, LONG)


async def unknown(stage: Stage) -> None:
    """No answer, and for a while nobody to ask."""
    stage.venue.control.add("lose_response", operation="Order/place")
    stage.venue.control.add("status", operation="Order/v2/query", status=503, count=3)
    stage.venue.control.add("status", operation="Order/search", status=503, count=3)
    await stage.show(BID, px.buy(1, limit=BID / 4 - 20, stop_ticks=40))


async def by_hand(stage: Stage) -> None:
    stage.venue.control.manual(ACCOUNT, stage.contract_id, 1)


async def lost(stage: Stage, hub: Hub) -> None:
    stage.venue.control.add("hub_refuse", hub=hub.value, step="connect", count=6)
    stage.venue.control.add("hub_drop", hub=hub.value)
    await stage.until(lambda: not stage.live.hub(hub).connected)


async def market_hub(stage: Stage) -> None:
    await lost(stage, Hub.MARKET)


async def user_hub(stage: Stage) -> None:
    await lost(stage, Hub.USER)


async def bare(stage: Stage) -> None:
    """Somebody cancels the stop in the platform."""
    for order in stage.working:
        await stage.one.rest.cancel(ACCOUNT, order.id)


async def half_the_loss(stage: Stage) -> None:
    await stage.show(BID - 450)


async def all_the_loss(stage: Stage) -> None:
    await stage.show(BID - 900)


async def killed(stage: Stage) -> None:
    stage.latch.set(stage.one.clock.now(), why="seen enough", by="a second terminal")


# Each leaves the session so that the next one can happen; the last two end its trading.
BREACHES: tuple[tuple[Callable[[Stage], Awaitable[None]], str], ...] = (
    (refused, "order refused: "), (rejected, "order rejected: "), (unknown, "outcome unknown: "),
    (by_hand, "traded by hand"), (market_hub, "market hub lost"), (user_hub, "user hub lost"),
    (bare, "without protection"), (half_the_loss, "daily loss limit: 50 % used"),
    (all_the_loss, "daily loss limit: everything is closed"), (killed, "kill switch is on"),
)  # fmt: skip


@pytest.mark.parametrize("seed", range(2))
def test_each_breach_is_told_within_five_seconds(tmp_path: Path, seed: int) -> None:
    """All of them, at any moment between two looks; so every percentile is."""
    rng, took = random.Random(seed), {}

    async def script(stage: Stage) -> None:
        async with stage.session(require_bracket=True):
            for cause, words in BREACHES:
                await stage.until(lambda: not stage.blocked)
                await stage.show(BID)
                if cause in (by_hand, bare, half_the_loss) and stage.held == 0:
                    await stage.show(BID, LONG)
                await stage.pause(rng.uniform(0.0, 2.0))
                began = stage.one.clock.now()
                await cause(stage)
                await stage.pause(ALERT_S + 2)
                took[words] = stage.alert(words, began)[0]

    play(tmp_path, script)
    assert len(took) == len(BREACHES)
    assert max(took.values()) <= ALERT_S, took


def test_a_fill_that_the_venue_takes_back_is_told(tmp_path: Path) -> None:
    """With its number and that of its order, to be compared with the platform."""

    async def script(stage: Stage) -> None:
        async with stage.session():
            await stage.show(BID, LONG)
            (fill,) = stage.live.mirror.fills.values()
            stage.live.broker.saw(msgspec.structs.replace(fill, voided=True))
            alert = stage.alert("took back fill")[1]
            assert f"fill {fill.id} of order {fill.order}" in alert.title
            assert alert.level == "critical"

    play(tmp_path, script)


# ------------------------------------------------------------------ K14
def test_a_strategy_that_raises_is_told_with_its_trace_and_stays_shut(tmp_path: Path) -> None:
    """Flat at the venue, the kill switch set, and the line that raised, all within seconds."""

    def wrong(*_: Any) -> Any:
        return {}["no such price"]

    async def script(stage: Stage) -> None:
        async with stage.session():
            await stage.show(BID, LONG)
            began = stage.one.clock.now()
            stage.say(wrong)
            stage.quote(BID + 1)
            await stage.until(lambda: stage.held == 0 and not stage.working, REPORT_S)
            halt = stage.latch.read()
            assert halt is not None
            assert "the strategy raised" in halt.why
            after, alert = stage.alert("error in the strategy raised", began)
            assert after <= ALERT_S
            assert alert.level == "critical"
        assert (stage.ended.clean, stage.ended.flat) == (False, True)
        (error,) = stage.rows(Kind.ERROR)
        assert f"explain {error.seq}'" in alert.text
        assert 'return {}["no such price"]' in error.data["trace"]
        sent = len(stage.truth.orders)
        async with stage.session():
            await stage.show(BID, LONG)
            await stage.pause(2)
            assert stage.health.halted
            assert stage.health.last_refusal.startswith("HALTED")
        assert len(stage.truth.orders) == sent

    play(tmp_path, script)


def test_a_lost_day_stays_lost_over_a_restart_and_no_longer(tmp_path: Path) -> None:
    """Closed at the limit; the next session of the day opens nothing, that of the next day may."""

    async def script(stage: Stage) -> None:
        async with stage.session():
            await stage.show(BID, LONG)
            await stage.show(BID - 900)
            assert (stage.held, stage.working) == (0, [])
            text = stage.alert("daily loss limit: everything is closed")[1].text
            assert text.startswith("day P&L -")
            assert text.endswith(" USD, limit -2,000.00 USD")
        sent = len(stage.truth.orders)
        async with stage.session():
            for _ in range(3):
                await stage.show(BID, LONG)
            await stage.pause(2)
            health = stage.health
            assert "daily loss" in health.locked
            assert health.last_refusal.startswith("DAY_LOCKED (buy ")
            assert health.last_refusal.endswith(" USD, limit -2,000.00 USD)")
        assert len(stage.truth.orders) == sent
        await stage.pause(8 * 3_600)  # until after 17:00 in Chicago
        async with stage.session():
            await stage.show(BID, LONG)
            assert stage.held == 5
        assert len(stage.truth.orders) > sent

    play(tmp_path, script)

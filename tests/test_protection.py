"""A position whose stop does not work at the venue is told of, however the stop ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pxresearch as px
from pxresearch.gateway import wire
from tests.broker_kit import BID, LiveRig, rig_of
from tests.venue_kit import ACCOUNT


def play(scene: Callable[[LiveRig], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        rig = await rig_of(LiveRig)
        assert isinstance(rig, LiveRig)
        rig.broker.adopt(())
        try:
            await rig.quote(BID)
            await scene(rig)
        finally:
            await rig.close()

    asyncio.run(run())


def stop_of(rig: LiveRig) -> wire.Order:
    return next(one for one in rig.room.truth.orders if one.type is wire.OrderType.STOP)


def test_a_stop_that_the_venue_refuses_leaves_the_position_exposed() -> None:
    async def scene(rig: LiveRig) -> None:
        rig.room.control.add("refuse_leg")
        await rig.quote(BID, px.buy(2, stop_ticks=8, target_ticks=12))
        await rig.quote(BID)
        assert stop_of(rig).status is wire.OrderStatus.REJECTED
        assert rig.holding().positions == (2,)
        assert rig.broker.exposed() == {0: 2}

    play(scene)


def test_a_stop_cancelled_in_the_platform_leaves_the_position_exposed() -> None:
    async def scene(rig: LiveRig) -> None:
        await rig.quote(BID, px.sell(2, stop_ticks=8, target_ticks=12))
        await rig.quote(BID)
        assert rig.broker.exposed() == {}
        rig.room.post("Order/cancel", {"accountId": ACCOUNT, "orderId": stop_of(rig).id})
        await rig.quote(BID)
        assert rig.broker.exposed() == {0: 2}

    play(scene)


def test_a_stop_that_went_with_its_position_says_nothing_of_the_next_one() -> None:
    """A target fills, its stop is cancelled; what is taken without a stop has none by intent."""

    async def scene(rig: LiveRig) -> None:
        await rig.quote(BID, px.buy(1, stop_ticks=8, target_ticks=4))
        await rig.quote(BID)
        await rig.quote(BID + 10)
        await rig.quote(BID + 10)
        assert rig.holding().positions == (0,)
        await rig.quote(BID + 10, px.buy(1))
        await rig.quote(BID + 10)
        assert rig.holding().positions == (1,)
        assert rig.broker.exposed() == {}

    play(scene)


def test_a_reversal_is_covered_by_its_own_stop() -> None:
    async def scene(rig: LiveRig) -> None:
        await rig.quote(BID, px.buy(1, stop_ticks=8, target_ticks=20))
        await rig.quote(BID)
        await rig.quote(BID, px.sell(2, stop_ticks=8, target_ticks=20))
        await rig.quote(BID)
        assert rig.holding().positions == (-1,)
        assert rig.broker.exposed() == {}
        assert set(rig.broker.surplus().values()) == {1}  # laid for the whole order: to be trimmed

    play(scene)

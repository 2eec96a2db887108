"""A position whose stop does not work at the venue is told of, however the stop ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pxresearch as px
from pxresearch.gateway import wire
from pxresearch.gateway.tags import ENTRY, make_tag
from tests.broker_kit import BID, LiveRig, rig_of
from tests.exchange_kit import MNQ
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


def leg_of(rig: LiveRig, number: int, side: wire.OrderSide, stop: bool = False) -> int:
    """A leg at the venue, far from the market, of an entry by its number in the engine."""
    down = (side is wire.OrderSide.BUY) is not stop
    price = float((BID - 400 if down else BID + 400) / 4)
    order = {
        "accountId": ACCOUNT, "contractId": MNQ, "side": int(side), "size": 2,
        "type": int(wire.OrderType.STOP if stop else wire.OrderType.LIMIT),
        "customTag": make_tag("Script", "r1", number, ENTRY) + ("-SL" if stop else "-TP"),
        "stopPrice" if stop else "limitPrice": price,
    }  # fmt: skip
    return rig.room.post("Order/place", order)["orderId"]


BEFORE = 90  # an entry that the engine has long forgotten


def test_a_forgotten_leg_beside_a_covered_position_is_to_go() -> None:
    """Its own legs cover it: the other could only turn it round."""

    async def scene(rig: LiveRig) -> None:
        before = leg_of(rig, BEFORE, wire.OrderSide.BUY)
        await rig.quote(BID)
        assert rig.broker.surplus() == {before: 0}
        await rig.quote(BID, px.sell(1, limit=(BID + 80) / 4))  # another one changes nothing
        await rig.quote(BID)
        assert rig.broker.surplus() == {before: 0}
        await rig.quote(BID, px.sell(1, stop_ticks=8, target_ticks=20))
        await rig.quote(BID)
        assert rig.holding().positions == (-1,)
        assert rig.broker.surplus() == {before: 0}

    play(scene)


def test_a_forgotten_leg_that_may_protect_is_left() -> None:
    """A position without legs of its own keeps what closes it, and only that."""

    async def scene(rig: LiveRig) -> None:
        stop = leg_of(rig, BEFORE, wire.OrderSide.BUY, stop=True)
        other = leg_of(rig, BEFORE + 1, wire.OrderSide.SELL, stop=True)
        await rig.quote(BID, px.sell(2))
        await rig.quote(BID)
        assert rig.holding().positions == (-2,)
        assert rig.broker.surplus() == {other: 0}
        assert stop not in rig.broker.surplus()

    play(scene)


def test_a_leg_whose_entry_still_works_is_left() -> None:
    """The venue has told of the leg before the fill that made it."""

    async def scene(rig: LiveRig) -> None:
        await rig.quote(BID, px.sell(2, limit=(BID + 80) / 4))
        (entry,) = rig.holding().working
        leg_of(rig, entry, wire.OrderSide.BUY, stop=True)
        await rig.quote(BID)
        assert rig.holding().working == (entry,)
        assert rig.broker.surplus() == {}

    play(scene)

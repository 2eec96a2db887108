"""One suite for replay, paper and live: the same quotes and signals, the same fills and orders."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import pxresearch as px
from pxresearch.brokers.base import Approved, Broker, approve
from pxresearch.brokers.paper import PaperBroker
from pxresearch.brokers.projectx import ProjectXBroker
from tests.broker_kit import BID, LiveRig, PaperRig, ReplayRig, Rig, rig_of

RIGS = pytest.mark.parametrize("kind", [ReplayRig, PaperRig, LiveRig], ids=lambda k: k.__name__)
P = (BID) / 4


def play(kind: type[Rig], scene: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        rig = await rig_of(kind)
        try:
            await rig.quote(BID)
            await scene(rig)
        finally:
            await rig.close()

    asyncio.run(run())


@RIGS
def test_a_bracket_rests_with_its_entry_and_its_target_ends_it(kind: type[Rig]) -> None:
    async def scene(rig: Any) -> None:
        await rig.quote(BID, px.buy(2, stop_ticks=8, target_ticks=12))
        await rig.quote(BID)
        assert rig.holding().positions == (2,)
        assert rig.roles() == ["stop_loss", "target"]
        await rig.quote(BID + 15)
        await rig.quote(BID + 15)
        assert rig.holding().positions == (0,)
        assert rig.roles() == []
        assert rig.fills() == [(1, 2, 1, "entry"), (-1, 2, 13, "target")]

    play(kind, scene)


@RIGS
def test_the_stop_of_a_bracket_ends_it_at_the_market(kind: type[Rig]) -> None:
    async def scene(rig: Any) -> None:
        await rig.quote(BID, px.sell(1, stop_ticks=6, target_ticks=20))
        await rig.quote(BID)
        assert rig.holding().positions == (-1,)
        await rig.quote(BID + 9)
        await rig.trade(BID + 9)
        await rig.quote(BID + 9)
        assert rig.holding().positions == (0,)
        assert rig.roles() == []
        # stopped by the trade at +9, bought at the ask beside it
        assert rig.fills() == [(-1, 1, 0, "entry"), (1, 1, 10, "stop_loss")]

    play(kind, scene)


@RIGS
def test_a_limit_order_rests_and_is_taken_back(kind: type[Rig]) -> None:
    async def scene(rig: Any) -> None:
        await rig.quote(BID, px.buy(1, limit=P - 2.5, tag=7))
        await rig.quote(BID)
        assert rig.roles() == ["entry"]
        await rig.quote(BID, px.cancel(7))
        await rig.quote(BID - 20)
        assert rig.roles() == []
        assert rig.fills() == []
        assert rig.holding().positions == (0,)

    play(kind, scene)


@RIGS
def test_a_limit_order_fills_at_its_price(kind: type[Rig]) -> None:
    async def scene(rig: Any) -> None:
        await rig.quote(BID, px.buy(1, limit=P - 2.5))
        await rig.quote(BID)
        await rig.quote(BID - 15)
        await rig.quote(BID - 15)
        assert rig.fills() == [(1, 1, -10, "entry")]

    play(kind, scene)


@RIGS
def test_a_reversal_leaves_no_leg_of_the_old_position(kind: type[Rig]) -> None:
    async def scene(rig: Any) -> None:
        await rig.quote(BID, px.buy(1, stop_ticks=8, target_ticks=8))
        await rig.quote(BID)
        await rig.quote(BID, px.sell(1))
        await rig.quote(BID)
        await rig.quote(BID)
        assert rig.holding().positions == (0,)
        assert rig.fills() == [(1, 1, 1, "entry"), (-1, 1, 0, "entry")]
        assert rig.roles() == []

    play(kind, scene)


@RIGS
def test_flatten_cancels_and_closes(kind: type[Rig]) -> None:
    async def scene(rig: Any) -> None:
        await rig.quote(BID, px.buy(2, stop_ticks=8, target_ticks=8), px.buy(1, limit=P - 5))
        await rig.quote(BID)
        assert rig.roles() == ["entry", "stop_loss", "target"]
        await rig.quote(BID, px.flatten())
        await rig.quote(BID)
        await rig.quote(BID)
        assert rig.holding() == rig.holding().__class__(positions=(0,), working=())
        assert rig.fills() == [(1, 2, 1, "entry"), (-1, 2, 0, "flatten")]

    play(kind, scene)


@RIGS
def test_the_same_money(kind: type[Rig]) -> None:
    """The balance after a few trades, by hand: MNQ, 0.50 USD a tick, costs of the table."""

    async def scene(rig: Any) -> None:
        await rig.quote(BID, px.buy(2, stop_ticks=8, target_ticks=12))
        await rig.quote(BID)
        await rig.quote(BID + 15)
        await rig.quote(BID + 15)
        cost = int(rig.session.engine[0]["contract"][0]["cost"])
        assert cost > 0
        assert int(rig.engine["balance"]) == 150_000_000_000 + 2 * 12 * 500_000 - 4 * cost

    play(kind, scene)


@pytest.mark.parametrize("kind", [PaperRig, LiveRig], ids=lambda k: k.__name__)
def test_a_changed_order_fills_at_its_new_price(kind: type[Rig]) -> None:
    async def scene(rig: Any) -> None:
        await rig.quote(BID, px.buy(1, limit=P - 5))
        await rig.quote(BID)
        (number,) = rig.holding().working
        rig.broker.modify(number, limit=BID - 10)
        await rig.quote(BID)
        await rig.quote(BID - 15)
        await rig.quote(BID - 15)
        assert rig.fills() == [(1, 1, -10, "entry")]

    play(kind, scene)


# ------------------------------------------------------------------ the protocol itself
@RIGS
def test_each_is_a_broker(kind: type[Rig]) -> None:
    async def scene(rig: Any) -> None:
        broker: Broker = rig.broker
        for name in ("submit", "cancel", "modify", "flatten", "events", "snapshot", "close"):
            assert callable(getattr(broker, name))
        assert (
            broker.mode
            == {"ReplayRig": "replay", "PaperRig": "paper", "LiveRig": "live"}[kind.__name__]
        )

    play(kind, scene)


def test_an_order_that_no_engine_approved_is_no_order() -> None:
    """Approved comes out of an engine's slot; paper refuses one that its engine has not."""
    rig = PaperRig()
    with pytest.raises(ValueError, match="no order"):
        approve(rig.session.engine[0]["order"][0], 0)
    made = Approved(
        order=5, parent=0, contract=0, side=1, qty=1, kind=0, role=0, limit=None, stop=None,
        trail=0, stop_ticks=0, target_ticks=0, stop_loss=None, take_profit=None,
        trailing_stop=False, tag=0, decided=0, reduces=False,
    )  # fmt: skip
    with pytest.raises(ValueError, match="not one of this engine"):
        rig.broker.submit(made)


def test_a_broker_needs_its_own_kind_of_engine() -> None:
    rig = LiveRig()
    with pytest.raises(ValueError, match="matches its own"):
        PaperBroker(rig.session)
    with pytest.raises(ValueError, match="leaves the matching"):
        ProjectXBroker(
            PaperRig().session, None, None, None, None, (), strategy="S", run="r", runs=set(),
            told=set(), clock=None, wake=lambda: None, note=lambda *_: None,
        )  # type: ignore[arg-type]  # fmt: skip


def test_paper_has_no_way_to_an_order_client() -> None:
    """Nothing that paper.py imports, or they import, is an order client (S96)."""
    import ast
    import inspect

    from pxresearch.brokers import outbox, paper

    for module in (paper, outbox):
        tree = ast.parse(inspect.getsource(module))
        names = {
            node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
        } | {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
        assert not [name for name in names if "gateway" in name or "httpx" in name]

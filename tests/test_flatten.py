"""Flat is what the venue shows, twice; whatever happens to the requests on the way."""

from __future__ import annotations

from typing import Any

import pytest

from pxresearch.clock import NS
from pxresearch.gateway import wire
from pxresearch.gateway.client import Gateway
from pxresearch.gateway.flatten import Flat
from pxresearch.gateway.outcome import Accepted
from pxresearch.gateway.wire import OrderSide, OrderStatus, OrderType
from tests.client_kit import ACCOUNT, Desk
from tests.exchange_kit import MNQ

MES = "CON.F.US.MES.Z26"


async def busy(gw: Gateway) -> None:
    """Two positions, a bracket, two resting orders, a stop."""
    for outcome in (
        await gw.buy("MNQ", 3, stop_ticks=40, target_ticks=80),
        await gw.sell("MES", 2),
        await gw.buy("MNQ", 1, limit=24_900.0),
        await gw.sell("MES", 1, stop=6_000.0),
    ):
        assert isinstance(outcome, Accepted)


def desk(**settings: Any) -> Desk:
    made = Desk(**settings)
    made.move(25_000, MES)
    return made


def assert_flat(made: Desk, flat: Flat) -> None:
    assert flat.verified
    assert flat.trouble is None
    assert list(made.truth.positions) == []
    assert made.working == []
    assert all(one.flat for one in flat.contracts)


def test_flat_with_a_proof_for_each_contract() -> None:
    """S50: what was cancelled and closed, by contract."""
    made = desk()

    async def script(gw: Gateway) -> Flat:
        await busy(gw)
        return await gw.flatten()

    flat = made.run(script)
    assert_flat(made, flat)
    assert {one.contract_id: (one.cancelled, one.closed) for one in flat.contracts} == {
        MNQ: (3, 3), MES: (1, -2),
    }  # fmt: skip
    assert flat.took_s < 1


def test_one_contract_leaves_the_others() -> None:
    """Its orders and its position alone."""
    made = desk()

    async def script(gw: Gateway) -> Flat:
        await busy(gw)
        return await gw.flatten("MES")

    flat = made.run(script)
    assert flat.verified
    assert [one.contract_id for one in made.truth.positions] == [MNQ]
    assert {one.contract_id for one in made.working} == {MNQ}


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("lose_response", {"when": "after", "count": 6}),
        ("lose_response", {"when": "before", "count": 6, "how": "reset"}),
        ("status", {"when": "after", "status": 502, "count": 6}),
        ("status", {"when": "before", "status": 500, "count": 6}),
        ("torn_response", {"count": 6}),
        ("malformed_json", {"count": 6}),
        ("slow_response", {"count": 2, "seconds": 40.0}),
        ("rate_limit_storm", {"count": 4}),
        ("unauthorised", {"count": 4}),
        ("fill_during_cancel", {"times": 2}),
    ],
)
def test_whatever_happens_to_the_requests(name: str, fault: dict[str, Any]) -> None:
    """Requests and answers go lost, are refused or come late; nothing is turned round."""
    made = desk()

    async def script(gw: Gateway) -> Flat:
        await busy(gw)
        made.venue.faults.add(name, made.clock.now(), **fault)
        return await gw.flatten(limit_s=300)

    flat = made.run(script)
    assert_flat(made, flat)
    opened = sum(t.size for t in made.truth.trades if t.profit_and_loss is None)
    closed = sum(t.size for t in made.truth.trades if t.profit_and_loss is not None)
    assert opened == closed  # each close met a position: none opened one the other way


def test_a_resting_order_that_fills_meanwhile_is_closed_too() -> None:
    """By hand in the platform, after the first look."""
    made = desk()
    looks = []

    async def script(gw: Gateway) -> Flat:
        await busy(gw)
        inner = gw.rest.positions

        async def meddled(account: int, *, urgent: bool = False) -> list[wire.Position]:
            rows = await inner(account, urgent=urgent)
            looks.append(len(rows))
            if len(looks) in (2, 3):
                made.venue.exchange.manual(ACCOUNT, MNQ, 1, 2, now=made.clock.now())
            return rows

        gw.rest.positions = meddled  # type: ignore[method-assign]
        return await gw.flatten()

    flat = made.run(script)
    assert_flat(made, flat)
    assert len(looks) >= 5


def test_a_halted_market_is_not_flat_and_says_why() -> None:
    """After its limit it says what is left, and it has kept within the budget of requests."""
    made = desk()

    async def script(gw: Gateway) -> Flat:
        await gw.buy("MNQ", 1)
        made.venue.exchange.halt(MNQ, True)
        before = made.clock.now()
        flat = await gw.flatten(limit_s=60)
        assert made.clock.now() - before <= 66 * NS
        return flat

    flat = made.run(script)
    assert not flat.verified
    proof = flat.contracts[0]
    assert (proof.contract_id, proof.flat, proof.closed) == (MNQ, False, 1)
    assert proof.last_word
    assert flat.rounds <= 20
    sides = [row.side for row in made.truth.trades]
    assert sides == [OrderSide.BUY]


@pytest.mark.parametrize(("halted", "sold"), [(False, 0), (True, 0), (False, 2), (True, 2)])
def test_a_position_keeps_its_stop_until_the_venue_has_taken_the_close(
    halted: bool, sold: int
) -> None:
    """Whoever dies in between, or however long the market is halted: it is never bare."""
    made = desk()
    bare: list[str] = []

    def look(what: str) -> None:
        stops = [o for o in made.working if o.type is OrderType.STOP]
        working = sum(o.size for o in stops if o.status is OrderStatus.OPEN)
        if sum(row.size for row in made.truth.positions) > working:
            bare.append(what)

    async def script(gw: Gateway) -> Flat:
        await gw.buy("MNQ", 3, stop_ticks=40, target_ticks=80)
        if sold:  # the legs stay as large as they were
            await gw.sell("MNQ", sold)
        await gw.buy("MNQ", 1, limit=24_900.0)
        made.venue.exchange.halt(MNQ, halted)
        for name in ("cancel", "close_contract"):
            inner = getattr(gw.rest, name)

            async def watched(*args: Any, inner: Any = inner, name: str = name) -> Any:
                look(f"before {name}")
                outcome = await inner(*args)
                look(f"after {name}")
                return outcome

            setattr(gw.rest, name, watched)
        return await gw.flatten(limit_s=30)

    flat = made.run(script)
    assert flat.verified is not halted
    assert bare == []
    assert bool(made.working) is halted


def test_a_venue_that_cannot_be_asked_is_not_flat() -> None:
    """Even when there was nothing to close."""
    made = desk()

    async def script(gw: Gateway) -> Flat:
        made.venue.faults.add("status", operation="Position/searchOpen", status=503, count=None)
        return await gw.flatten(limit_s=30)

    flat = made.run(script)
    assert not flat.verified
    assert flat.contracts == ()
    assert flat.trouble is not None
    assert "503" in flat.trouble

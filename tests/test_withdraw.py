"""K15: entries withdrawn, protection left; and a token that another session lends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from pxresearch.gateway import wire
from pxresearch.gateway.client import Gateway
from pxresearch.gateway.credentials import Credentials
from pxresearch.gateway.outcome import Accepted
from pxresearch.gateway.profiles import profile
from pxresearch.gateway.rest import Rest
from pxresearch.gateway.withdraw import Withdrawn, entries, withdraw
from tests.client_kit import ACCOUNT, KEY, Desk, Recording
from tests.exchange_kit import MNQ

T = TypeVar("T")
MES = "CON.F.US.MES.Z26"


def desk() -> Desk:
    made = Desk()
    made.move(25_000, MES)
    return made


async def busy(gw: Gateway) -> None:
    """Long 2 MNQ with a bracket, a bracketed bid below; a bid and an offer in MES, where flat."""
    for outcome in (
        await gw.buy("MNQ", 2, stop_ticks=40, target_ticks=80),
        await gw.buy("MNQ", 1, limit=24_900.0, stop_ticks=40),
        await gw.sell("MNQ", 2, limit=25_500.0),
        await gw.buy("MES", 1, limit=6_200.0), await gw.sell("MES", 1, limit=6_300.0),
    ):  # fmt: skip
        assert isinstance(outcome, Accepted)


def assert_withdrawn(made: Desk, done: Withdrawn) -> None:
    assert done.verified
    assert len(done.entries) == 3
    left = [(one.contract_id, one.side, one.size) for one in made.working]
    assert left == [(MNQ, wire.OrderSide.SELL, 2)] * 3  # stop, target, and a way out by hand
    assert [(one.contract_id, one.size) for one in made.truth.positions] == [(MNQ, 2)]


@pytest.mark.parametrize(
    "fault",
    [
        None, ("status", {"status": 503, "count": 5}), ("unauthorised", {"count": 3}),
        ("rate_limit_storm", {"count": 4}), ("lose_response", {"when": "after", "count": 5}),
        ("lose_response", {"when": "before", "count": 5}),
    ],
)  # fmt: skip
def test_entries_go_and_protection_stays(fault: tuple[str, dict[str, Any]] | None) -> None:
    """Whatever happens to the requests; the position is not touched."""
    made = desk()

    async def script(gw: Gateway) -> Withdrawn:
        await busy(gw)
        if fault is not None:
            made.venue.faults.add(fault[0], made.clock.now(), **fault[1])
        return await withdraw(gw.rest, ACCOUNT, clock=made.clock, limit_s=120)

    assert_withdrawn(made, made.run(script))


def test_an_entry_that_fills_meanwhile_keeps_its_protection() -> None:
    """Its legs come alive, and they are none of the entries."""
    made = desk()

    async def script(gw: Gateway) -> Withdrawn:
        await busy(gw)
        inner = gw.rest.cancel

        async def late(account: int, order_id: int) -> Any:
            made.move(99_500)  # through the bid of 24,900
            return await inner(account, order_id)

        gw.rest.cancel = late  # type: ignore[method-assign]
        return await withdraw(gw.rest, ACCOUNT, clock=made.clock)

    done = made.run(script)
    assert done.verified
    held = sum(one.size for one in made.truth.positions)
    stops = [one for one in made.working if one.type is wire.OrderType.STOP]
    assert sum(one.size for one in stops) == held


def test_a_venue_that_cannot_be_asked_is_not_done() -> None:
    """After its time it says why."""
    made = desk()

    async def script(gw: Gateway) -> Withdrawn:
        made.venue.faults.add("status", operation="Position/searchOpen", status=503, count=None)
        return await withdraw(gw.rest, ACCOUNT, clock=made.clock, limit_s=20)

    done = made.run(script)
    assert not done.verified
    assert "503" in (done.trouble or "")


def test_what_is_on_no_known_side_is_left_alone() -> None:
    """An unknown side or direction may be protection."""
    when = "2026-10-01T14:30:00Z"

    def order(side: wire.OrderSide) -> wire.Order:
        return wire.Order(
            id=1, account_id=ACCOUNT, contract_id=MNQ, creation_timestamp=when,
            status=wire.OrderStatus.OPEN, type=wire.OrderType.STOP, side=side, size=1,
        )  # fmt: skip

    def position(kind: wire.PositionType) -> wire.Position:
        return wire.Position(
            id=1, account_id=ACCOUNT, contract_id=MNQ, creation_timestamp=when, type=kind, size=1,
            average_price=25_000,  # type: ignore[arg-type]
        )  # fmt: skip

    for side in wire.OrderSide:
        assert entries([order(side)], [position(wire.PositionType.UNKNOWN)]) == []
    assert entries([order(wire.OrderSide.UNKNOWN)], []) == []
    assert len(entries([order(wire.OrderSide.BUY)], [position(wire.PositionType.LONG)])) == 1
    assert entries([order(wire.OrderSide.BUY)], [position(wire.PositionType.SHORT)]) == []


# ---------------------------------------------------------------- a token that is lent
def with_two(made: Desk, script: Callable[[Rest, Rest], Awaitable[T]]) -> T:
    """Result of a script with a session and another that borrows from it."""

    async def main() -> T:
        def session() -> Rest:
            http = Recording(made.venue, made.clock, made.sent)
            keys = Credentials("trader", KEY)
            return Rest(profile("simulator"), keys, clock=made.clock, http=http)

        first, second = session(), session()
        second.borrow(first)
        try:
            return await script(first, second)
        finally:
            await first.close()
            await second.close()

    async def virtual() -> T:
        return await made.clock.run(main())

    return asyncio.run(virtual())


def logins(made: Desk) -> int:
    return len(made.sent["Auth/loginKey"])


def test_a_lent_token_spares_a_login() -> None:
    """One login serves both, and the borrower follows a renewal."""
    made = desk()

    async def script(first: Rest, second: Rest) -> None:
        await first.token()
        await second.positions(ACCOUNT)
        assert await second.token() == await first.token()
        assert logins(made) == 1

    with_two(made, script)


def test_a_lent_token_that_is_refused_is_not_taken_twice() -> None:
    """Then the borrower logs in by itself."""
    made = desk()

    async def script(first: Rest, second: Rest) -> None:
        await first.token()
        made.venue.faults.add("unauthorised", made.clock.now(), count=1)
        await second.positions(ACCOUNT)
        assert logins(made) == 2

    with_two(made, script)


def test_nothing_to_lend() -> None:
    """A session that never logged in, or whose token has ended, lends none."""
    made = desk()

    async def script(first: Rest, second: Rest) -> None:
        await second.positions(ACCOUNT)
        assert logins(made) == 1
        await first.token()
        await made.clock.sleep(25 * 3600)
        await second.positions(ACCOUNT)
        assert logins(made) == 3

    with_two(made, script)

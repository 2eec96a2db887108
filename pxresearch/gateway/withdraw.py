"""Entries withdrawn, protection left: for when nobody watches what they would open.

An order is an entry unless it can only make a position smaller: it works on the side of the
position, or where there is none. Suspended orders are bracket legs; they go with their entry.

I/O: the network, through `rest`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from pxresearch.clock import NS, Clock
from pxresearch.errors import GatewayError
from pxresearch.gateway import wire
from pxresearch.gateway.outcome import Outcome

_PAUSE_S = 0.25
_LONGEST_S = 4.0
_HELD = {wire.PositionType.LONG: 1, wire.PositionType.SHORT: -1}
_SIDES = {wire.OrderSide.BUY: 1, wire.OrderSide.SELL: -1}


class Venue(Protocol):
    """What a withdrawal needs of `Rest`."""

    async def cancel(self, account: int, order_id: int) -> Outcome: ...  # noqa: D102
    async def working_orders(  # noqa: D102
        self, account: int, *, urgent: bool = False
    ) -> list[wire.Order]: ...
    async def positions(  # noqa: D102
        self, account: int, *, urgent: bool = False
    ) -> list[wire.Position]: ...


class Withdrawn(msgspec.Struct, frozen=True, kw_only=True):
    """How a withdrawal ended.

    Attributes
    ----------
    verified
        The venue itself showed no entry any more.
    entries
        Ids of those that were to be cancelled.
    left
        A position or another order was there at the last look.
    trouble
        Why the venue could not be asked the last time, if it could not.
    """

    verified: bool
    entries: tuple[int, ...]
    left: bool
    trouble: str | None


def entries(orders: Sequence[wire.Order], positions: Sequence[wire.Position]) -> list[wire.Order]:
    """Orders that open a position or make one larger; what is on no known side is none."""
    held = {row.contract_id: row.size * _HELD.get(row.type, 0) for row in positions}
    return [
        order
        for order in orders
        if order.status is not wire.OrderStatus.SUSPENDED
        and (sign := _SIDES.get(order.side, 0)) * held.get(order.contract_id, sign) > 0
    ]


async def withdraw(rest: Venue, account: int, *, clock: Clock, limit_s: float = 20.0) -> Withdrawn:
    """Cancel every working entry of an account, and have the venue show it.

    Parameters
    ----------
    limit_s
        When to give up.
    """
    started, pause = clock.now(), _PAUSE_S
    seen: set[int] = set()
    verified, left, trouble = False, True, ""
    while not verified and clock.now() - started < limit_s * NS:
        try:
            # Orders first: one that fills between the two reads is then seen with its position.
            orders = await rest.working_orders(account, urgent=True)
            positions = await rest.positions(account, urgent=True)
        except GatewayError as error:
            trouble = str(error)
        else:
            found, trouble = entries(orders, positions), ""
            verified, left = not found, bool(orders or positions)
            for order in found:
                seen.add(order.id)
                await rest.cancel(account, order.id)
        if not verified:
            await clock.sleep(pause)
            pause = min(2 * pause, _LONGEST_S)
    return Withdrawn(
        verified=verified, entries=tuple(sorted(seen)), left=left, trouble=trouble or None
    )

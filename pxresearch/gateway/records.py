"""What the venue tells, in the units of this package: ticks, micro-dollars, ns UTC, signed sides.

`wire.py` has JSON's own records; here its prices have become integer ticks of their contract, and
times int64 ns. The mirror, the brokers and the notebook client speak these.

I/O: none
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from pxresearch.errors import NotUnderstood
from pxresearch.gateway.wire import OrderStatus, OrderType

MICROS = 1_000_000
_NOISE = Decimal("1e-4")  # of a micro-dollar: what a binary float leaves behind in a balance


def micros(amount: Decimal) -> int:
    """Micro-dollars of an amount of USD; a float's noise is taken off, anything more is refused.

    Raises
    ------
    NotUnderstood
        Not a whole number of micro-dollars.
    """
    scaled = amount * MICROS
    whole = round(scaled)
    if not scaled.is_finite() or abs(scaled - whole) > _NOISE:
        raise NotUnderstood(f"{amount} USD is not a whole number of micro-dollars")
    return whole


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    pass


# ---------------------------------------------------------------- state of an account
class Account(_Record, frozen=True, kw_only=True):
    """An account; balance in micro-dollars, net of costs."""

    id: int
    name: str
    balance: int
    can_trade: bool
    simulated: bool | None


class Order(_Record, frozen=True, kw_only=True):
    """An order at the venue.

    Attributes
    ----------
    side
        +1 buy, -1 sell.
    qty, filled
        Contracts.
    limit, stop
        Ticks, absolute; None where the order has none.
    trail
        Ticks of distance of a trailing stop.
    fill_price
        Average price as the venue gives it; it may lie off the grid.
    parent, linked
        The entry of a bracket leg; the stop-loss of a take-profit.
    created, updated
        Ns UTC. A filled leg's `updated` may be the time at which it became active.
    """

    id: int
    account: int
    contract_id: str
    status: OrderStatus
    type: OrderType
    side: int
    qty: int
    filled: int
    limit: int | None
    stop: int | None
    trail: int | None
    fill_price: Decimal | None
    tag: str | None
    parent: int | None
    linked: int | None
    created: int
    updated: int | None

    @property
    def done(self) -> bool:
        """Whether nothing can happen to it any more."""
        return self.status.done


class Position(_Record, frozen=True, kw_only=True):
    """A net position; `qty` is signed, short negative, and 0 once it is closed."""

    id: int
    account: int
    contract_id: str
    qty: int
    average_price: Decimal
    created: int


class Fill(_Record, frozen=True, kw_only=True):
    """A half-turn of ours, which the gateway calls a trade.

    Attributes
    ----------
    gross
        Micro-dollars of the part that it closed, before costs; None when it only opened.
    cost
        Fees and commissions, micro-dollars, positive.
    """

    id: int
    account: int
    contract_id: str
    order: int
    ts: int
    side: int
    qty: int
    price: int
    gross: int | None
    cost: int
    voided: bool


# ---------------------------------------------------------------- what a stream delivers
class Quote(_Record, frozen=True, kw_only=True, gc=False):
    """Top of book after a change, complete: what a message left out is what it was.

    Ticks, or None before the first. `volume` is the session's total. `coalesced` counts the quotes
    that this one replaced because nobody had time for them.
    """

    contract_id: str
    ts: int
    received: int
    bid: int | None
    ask: int | None
    last: int | None
    volume: int | None
    coalesced: int = 0


class Trade(_Record, frozen=True, kw_only=True, gc=False):
    """A trade of the market; side +1 the buyer was the aggressor, -1 the seller, 0 unknown."""

    contract_id: str
    ts: int
    received: int
    price: int
    size: int
    side: int


class Depth(_Record, frozen=True, kw_only=True, gc=False):
    """A change of the book, as `wire.DepthType` names it; price in ticks, size contracts."""

    contract_id: str
    ts: int
    received: int
    type: int
    price: int
    size: int


class Update(_Record, frozen=True, kw_only=True):
    """A user event: an account, order, position or fill as the venue now has it."""

    received: int
    record: Account | Order | Position | Fill


class Hub(StrEnum):
    """The two hubs."""

    USER = "user"
    MARKET = "market"


class Gap(_Record, frozen=True, kw_only=True):
    """Events may be lost between two instants (ns UTC); nothing after it holds before `Resynced`.

    `until` is None while the hub is still away.
    """

    hub: Hub
    since: int
    until: int | None
    reason: str


class Resynced(_Record, frozen=True, kw_only=True):
    """Accounts, orders, positions and fills have been read again.

    Attributes
    ----------
    changes
        What differed from what was held here, in words; a fill that was missed, an order by hand.
    learnt
        The records that are new or other than before: fills first, in the order of their time.
    """

    ts: int
    changes: tuple[str, ...]
    learnt: tuple[Account | Order | Position | Fill, ...] = ()


class Stale(_Record, frozen=True, kw_only=True):
    """A subscribed contract is silent in open hours; `fresh` is the event that ends it."""

    contract_id: str
    ts: int
    silent_s: float
    fresh: bool = False


class Notice(_Record, frozen=True, kw_only=True):
    """Anything else a person should know: a logout, an unknown event, a refused subscription."""

    ts: int
    hub: Hub
    kind: str
    text: str


Event = Quote | Trade | Depth | Update | Gap | Resynced | Stale | Notice

"""What the gateway tells of: accounts, contracts, bars, orders, positions, trades.

I/O: none
"""

from __future__ import annotations

from decimal import Decimal

from pxresearch.gateway.wire.base import Wire
from pxresearch.gateway.wire.enums import OrderSide, OrderStatus, OrderType, PositionType


class Account(Wire, kw_only=True, frozen=True):
    """An account."""

    id: int
    name: str
    balance: Decimal
    can_trade: bool
    is_visible: bool = True
    simulated: bool | None = None


class Contract(Wire, kw_only=True, frozen=True):
    """A listed contract."""

    id: str
    name: str
    description: str
    tick_size: Decimal
    tick_value: Decimal
    active_contract: bool
    symbol_id: str


class Bar(Wire, kw_only=True, frozen=True):
    """A bar, stamped at its opening."""

    t: str
    o: Decimal
    h: Decimal
    l: Decimal  # noqa: E741 - the member's name
    c: Decimal
    v: int


class Order(Wire, kw_only=True, frozen=True, omit_defaults=True):
    """An order. On a trailing stop `trail_price` is a distance in price."""

    id: int
    account_id: int
    contract_id: str
    symbol_id: str | None = None
    creation_timestamp: str
    update_timestamp: str | None = None
    status: OrderStatus
    type: OrderType
    side: OrderSide
    size: int
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    fill_volume: int = 0
    filled_price: Decimal | None = None
    custom_tag: str | None = None
    trail_distance: int | None = None
    trail_price: Decimal | None = None
    parent_order_id: int | None = None
    linked_order_id: int | None = None


class Position(Wire, kw_only=True, frozen=True, omit_defaults=True):
    """A net position; size 0 in an event means closed."""

    id: int
    account_id: int
    contract_id: str
    contract_display_name: str | None = None
    creation_timestamp: str
    type: PositionType
    size: int
    average_price: Decimal


class Trade(Wire, kw_only=True, frozen=True, omit_defaults=True):
    """A half-turn of ours; no profit means that it opened."""

    id: int
    account_id: int
    contract_id: str
    creation_timestamp: str
    price: Decimal
    profit_and_loss: Decimal | None = None
    fees: Decimal
    commissions: Decimal | None = None
    side: OrderSide
    size: int
    voided: bool
    order_id: int

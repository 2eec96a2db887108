"""Bodies of the requests.

I/O: none
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from pxresearch.gateway.wire.base import Secret, Wire
from pxresearch.gateway.wire.enums import (
    BarUnit,
    OrderSide,
    OrderSort,
    OrderStatus,
    OrderType,
    SortDirection,
)


class LoginKey(Secret, kw_only=True, frozen=True):
    """Auth/loginKey."""

    user_name: str
    api_key: str


class LoginApp(Secret, kw_only=True, frozen=True):
    """Auth/loginApp, which the documentation has withdrawn; our client never sends it."""

    user_name: str
    password: str
    device_id: str
    app_id: str
    verify_key: str


class Nothing(Wire, kw_only=True, frozen=True):
    """No members."""


class SearchAccounts(Wire, kw_only=True, frozen=True):
    """Account/search."""

    only_active_accounts: bool


class SearchContracts(Wire, kw_only=True, frozen=True):
    """Contract/search; at most 20 rows come back."""

    live: bool
    search_text: str | None = None


class ContractById(Wire, kw_only=True, frozen=True):
    """Contract/searchById."""

    contract_id: str


class AvailableContracts(Wire, kw_only=True, frozen=True):
    """Contract/available."""

    live: bool


class RetrieveBars(Wire, kw_only=True, frozen=True):
    """History/retrieveBars; `limit` keeps the newest bars of the window."""

    contract_id: str
    live: bool
    start_time: str
    end_time: str
    unit: BarUnit
    unit_number: int
    limit: int
    include_partial_bar: bool


class Bracket(Wire, kw_only=True, frozen=True):
    """One leg: ticks from the entry's fill, below it negative; type 4 (or 5) stop, 1 target."""

    ticks: int
    type: OrderType


class PlaceOrder(Wire, kw_only=True, frozen=True, omit_defaults=True):
    """Order/place. `is_automated` is no member of the published schema (design rule 9)."""

    account_id: int
    contract_id: str
    type: OrderType
    side: OrderSide
    size: int
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None
    custom_tag: str | None = None
    stop_loss_bracket: Bracket | None = None
    take_profit_bracket: Bracket | None = None
    is_automated: bool | msgspec.UnsetType = msgspec.UNSET


class ModifyOrder(Wire, kw_only=True, frozen=True, omit_defaults=True):
    """Order/modify; what is left out stays."""

    account_id: int
    order_id: int
    size: int | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None


class OneOrder(Wire, kw_only=True, frozen=True):
    """Order/cancel and Order/searchById."""

    account_id: int
    order_id: int


class Window(Wire, kw_only=True, frozen=True, omit_defaults=True):
    """Order/search and Trade/search."""

    account_id: int
    start_timestamp: str
    end_timestamp: str | None = None


class OfAccount(Wire, kw_only=True, frozen=True):
    """Order/searchOpen and Position/searchOpen."""

    account_id: int


class OrderFilter(Wire, kw_only=True, frozen=True, omit_defaults=True):
    """The inner object of Order/v2/query."""

    account_id: int
    statuses: list[OrderStatus] | None = None
    contract_id: str | None = None
    created_after: str | None = None
    created_before: str | None = None


class QueryOrders(Wire, kw_only=True, frozen=True, omit_defaults=True):
    """Order/v2/query; a page has at most 100 rows and `page_offset` counts rows."""

    filter: OrderFilter
    page_size: int | None = None
    page_offset: int | None = None
    sort_by: OrderSort | None = None
    sort_direction: SortDirection | None = None
    include_total_count: bool | None = None


class CloseContract(Wire, kw_only=True, frozen=True):
    """Position/closeContract; it leaves resting legs alone."""

    account_id: int
    contract_id: str


class PartialClose(Wire, kw_only=True, frozen=True):
    """Position/partialCloseContract."""

    account_id: int
    contract_id: str
    size: int

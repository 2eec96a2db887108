"""The ProjectX API as it is on the wire: every path, enum number, member name and error code.

Pure. Client and simulator read this one package, so neither can have an idea of the API of its own.
Records carry JSON's own values (prices and money as exact `Decimal`); `records.py` turns them into
ticks and micro-dollars.

Reading is liberal: unknown members are passed over, an unknown enum number becomes ``UNKNOWN`` and
never counts as done, user events may come wrapped in ``{action, data}`` or bare, market data as one
object or a list, quotes with only what changed, times with up to nine decimals.

Sources: ProjectX Gateway documentation and its OpenAPI document (state of 2026-09), and the wire
captures of public clients; read 2026-11.

I/O: none
"""

from __future__ import annotations

from pxresearch.gateway.wire.answers import (
    AccountsAnswer,
    Answer,
    BarsAnswer,
    ContractAnswer,
    ContractsAnswer,
    OrderAnswer,
    OrdersAnswer,
    PlaceAnswer,
    PositionsAnswer,
    TokenAnswer,
    TradesAnswer,
    ValidateAnswer,
)
from pxresearch.gateway.wire.codec import decode, encode
from pxresearch.gateway.wire.enums import (
    WORKING,
    BarUnit,
    DepthType,
    OrderSide,
    OrderSort,
    OrderStatus,
    OrderType,
    PositionType,
    SortDirection,
    TapeSide,
)
from pxresearch.gateway.wire.events import (
    LOGOUT_EVENT,
    MARKET_DEPTH,
    MARKET_HUB,
    MARKET_QUOTE,
    MARKET_STREAMS,
    MARKET_TRADE,
    RECORD_END,
    USER_ACCOUNT,
    USER_HUB,
    USER_ORDER,
    USER_POSITION,
    USER_RECORDS,
    USER_STREAMS,
    USER_TRADE,
    DepthCall,
    DepthItem,
    Event,
    MarketCall,
    Quote,
    QuoteCall,
    TapeTrade,
    TradeCall,
    market_record,
    user_record,
)
from pxresearch.gateway.wire.limits import (
    BAR_BUDGET,
    BAR_BUDGET_SECONDS,
    BUDGET,
    BUDGET_SECONDS,
    MAX_BARS,
    MAX_BRACKET_TICKS,
    MAX_PAGE,
    MAX_TAG,
    MAX_TRAIL_TICKS,
    MIN_BRACKET_TICKS,
    STOP_SUFFIX,
    TARGET_SUFFIX,
    TOKEN_SECONDS,
)
from pxresearch.gateway.wire.operations import (
    ACCOUNT_SEARCH,
    AUTH,
    BARS,
    CANCEL,
    CLOSE,
    CONTRACT_AVAILABLE,
    CONTRACT_BY_ID,
    CONTRACT_SEARCH,
    LOGIN_APP,
    LOGIN_KEY,
    LOGOUT,
    MODIFY,
    MUTATION,
    OPERATIONS,
    ORDER_BY_ID,
    ORDER_OPEN,
    ORDER_QUERY,
    ORDER_SEARCH,
    PARTIAL_CLOSE,
    PING,
    PLACE,
    POSITION_OPEN,
    READ,
    TRADE_SEARCH,
    VALIDATE,
    Operation,
)
from pxresearch.gateway.wire.requests import (
    AvailableContracts,
    Bracket,
    CloseContract,
    ContractById,
    LoginApp,
    LoginKey,
    ModifyOrder,
    Nothing,
    OfAccount,
    OneOrder,
    OrderFilter,
    PartialClose,
    PlaceOrder,
    QueryOrders,
    RetrieveBars,
    SearchAccounts,
    SearchContracts,
    Window,
)
from pxresearch.gateway.wire.rows import Account, Bar, Contract, Order, Position, Trade
from pxresearch.gateway.wire.times import to_iso, to_ns

"""The ProjectX API as it is on the wire: every path, enum number, member name and error code.

Pure. Client and simulator read this one file, so neither can have an idea of the API of its own.
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

import calendar
import re
from collections.abc import Mapping
from decimal import Decimal
from enum import IntEnum
from time import gmtime
from typing import Any

import msgspec

from pxresearch.errors import NotUnderstood


# ---------------------------------------------------------------- enums
class _Numbered(IntEnum):
    @classmethod
    def _missing_(cls, value: object) -> Any:
        return cls(-1)


class OrderType(_Numbered):
    """Kind of an order."""

    UNKNOWN = -1
    NONE = 0
    LIMIT = 1
    MARKET = 2
    STOP_LIMIT = 3
    STOP = 4
    TRAILING_STOP = 5
    JOIN_BID = 6
    JOIN_ASK = 7


class OrderSide(_Numbered):
    """Side of an order or a trade of ours."""

    UNKNOWN = -1
    BUY = 0
    SELL = 1

    @property
    def sign(self) -> int:
        """+1 buy, -1 sell.

        Raises
        ------
        NotUnderstood
            A side that is neither.
        """
        if self is OrderSide.UNKNOWN:
            raise NotUnderstood("an order side that is neither 0 (buy) nor 1 (sell)")
        return 1 if self is OrderSide.BUY else -1


class OrderStatus(_Numbered):
    """Where an order is in its life."""

    UNKNOWN = -1
    NONE = 0
    OPEN = 1
    FILLED = 2
    CANCELLED = 3
    EXPIRED = 4
    REJECTED = 5
    PENDING = 6
    PENDING_CANCELLATION = 7
    SUSPENDED = 8

    @property
    def done(self) -> bool:
        """Whether nothing can happen to the order any more; an unknown status is never done."""
        return self in _DONE


_DONE = (OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.REJECTED)
WORKING = (
    OrderStatus.OPEN, OrderStatus.PENDING, OrderStatus.PENDING_CANCELLATION, OrderStatus.SUSPENDED,
)  # fmt: skip
"""Statuses to ask v2/query for: searchOpen leaves suspended bracket legs out."""


class PositionType(_Numbered):
    """Direction of a position; its size has no sign."""

    UNKNOWN = -1
    UNDEFINED = 0
    LONG = 1
    SHORT = 2


class BarUnit(_Numbered):
    """Unit of a bar's length."""

    UNKNOWN = -1
    UNSPECIFIED = 0
    SECOND = 1
    MINUTE = 2
    HOUR = 3
    DAY = 4
    WEEK = 5
    MONTH = 6
    TICK = 7


class TapeSide(_Numbered):
    """Aggressor of a trade on the tape."""

    UNKNOWN = -1
    BUY = 0
    SELL = 1


class DepthType(_Numbered):
    """What a depth item says."""

    UNKNOWN = -1
    NONE = 0
    ASK = 1
    BID = 2
    BEST_ASK = 3
    BEST_BID = 4
    TRADE = 5
    RESET = 6
    LOW = 7
    HIGH = 8
    NEW_BEST_BID = 9
    NEW_BEST_ASK = 10
    FILL = 11


class OrderSort(_Numbered):
    """What Order/v2/query sorts by."""

    UNKNOWN = -1
    CREATED_AT = 0
    ID = 1


class SortDirection(_Numbered):
    """Direction of that sort."""

    UNKNOWN = -1
    ASCENDING = 0
    DESCENDING = 1


# ---------------------------------------------------------------- requests
class _Wire(msgspec.Struct, rename="camel", kw_only=True, frozen=True):
    """A JSON object with camelCase members."""


class LoginKey(_Wire, kw_only=True):
    """Auth/loginKey."""

    user_name: str
    api_key: str


class LoginApp(_Wire, kw_only=True):
    """Auth/loginApp, which the documentation has withdrawn; our client never sends it."""

    user_name: str
    password: str
    device_id: str
    app_id: str
    verify_key: str


class Nothing(_Wire, kw_only=True):
    """No members."""


class SearchAccounts(_Wire, kw_only=True):
    """Account/search."""

    only_active_accounts: bool


class SearchContracts(_Wire, kw_only=True):
    """Contract/search; at most 20 rows come back."""

    live: bool
    search_text: str | None = None


class ContractById(_Wire, kw_only=True):
    """Contract/searchById."""

    contract_id: str


class AvailableContracts(_Wire, kw_only=True):
    """Contract/available."""

    live: bool


class RetrieveBars(_Wire, kw_only=True):
    """History/retrieveBars; `limit` keeps the newest bars of the window."""

    contract_id: str
    live: bool
    start_time: str
    end_time: str
    unit: BarUnit
    unit_number: int
    limit: int
    include_partial_bar: bool


class Bracket(_Wire, kw_only=True):
    """One leg: ticks from the entry's fill, below it negative; type 4 (or 5) stop, 1 target."""

    ticks: int
    type: OrderType


class PlaceOrder(_Wire, kw_only=True, omit_defaults=True):
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


class ModifyOrder(_Wire, kw_only=True, omit_defaults=True):
    """Order/modify; what is left out stays."""

    account_id: int
    order_id: int
    size: int | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None


class OneOrder(_Wire, kw_only=True):
    """Order/cancel and Order/searchById."""

    account_id: int
    order_id: int


class Window(_Wire, kw_only=True, omit_defaults=True):
    """Order/search and Trade/search."""

    account_id: int
    start_timestamp: str
    end_timestamp: str | None = None


class OfAccount(_Wire, kw_only=True):
    """Order/searchOpen and Position/searchOpen."""

    account_id: int


class OrderFilter(_Wire, kw_only=True, omit_defaults=True):
    """The inner object of Order/v2/query."""

    account_id: int
    statuses: list[OrderStatus] | None = None
    contract_id: str | None = None
    created_after: str | None = None
    created_before: str | None = None


class QueryOrders(_Wire, kw_only=True, omit_defaults=True):
    """Order/v2/query; a page has at most 100 rows and `page_offset` counts rows."""

    filter: OrderFilter
    page_size: int | None = None
    page_offset: int | None = None
    sort_by: OrderSort | None = None
    sort_direction: SortDirection | None = None
    include_total_count: bool | None = None


class CloseContract(_Wire, kw_only=True):
    """Position/closeContract; it leaves resting legs alone."""

    account_id: int
    contract_id: str


class PartialClose(_Wire, kw_only=True):
    """Position/partialCloseContract."""

    account_id: int
    contract_id: str
    size: int


# ---------------------------------------------------------------- what the gateway tells of
class Account(_Wire, kw_only=True):
    """An account."""

    id: int
    name: str
    balance: Decimal
    can_trade: bool
    is_visible: bool = True
    simulated: bool | None = None


class Contract(_Wire, kw_only=True):
    """A listed contract."""

    id: str
    name: str
    description: str
    tick_size: Decimal
    tick_value: Decimal
    active_contract: bool
    symbol_id: str


class Bar(_Wire, kw_only=True):
    """A bar, stamped at its opening."""

    t: str
    o: Decimal
    h: Decimal
    l: Decimal  # noqa: E741 - the member's name
    c: Decimal
    v: int


class Order(_Wire, kw_only=True, omit_defaults=True):
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


class Position(_Wire, kw_only=True, omit_defaults=True):
    """A net position; size 0 in an event means closed."""

    id: int
    account_id: int
    contract_id: str
    contract_display_name: str | None = None
    creation_timestamp: str
    type: PositionType
    size: int
    average_price: Decimal


class Trade(_Wire, kw_only=True, omit_defaults=True):
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


# ---------------------------------------------------------------- answers
class Answer(_Wire, kw_only=True):
    """The envelope of every answer; HTTP 200 does not mean success."""

    success: bool
    error_code: int
    error_message: str | None = None


class TokenAnswer(Answer, kw_only=True):
    """Auth/loginKey and loginApp."""

    token: str | None = None


class ValidateAnswer(Answer, kw_only=True):
    """Auth/validate; without a new token the old one stays."""

    new_token: str | None = None


class AccountsAnswer(Answer, kw_only=True):
    """Account/search."""

    accounts: list[Account] | None = None


class ContractsAnswer(Answer, kw_only=True):
    """Contract/search and available."""

    contracts: list[Contract] | None = None


class ContractAnswer(Answer, kw_only=True):
    """Contract/searchById."""

    contract: Contract | None = None


class BarsAnswer(Answer, kw_only=True):
    """History/retrieveBars, newest first."""

    bars: list[Bar] | None = None


class PlaceAnswer(Answer, kw_only=True):
    """Order/place; an id may come with a refusal."""

    order_id: int | None = None


class OrdersAnswer(Answer, kw_only=True):
    """Order/search, searchOpen and v2/query."""

    orders: list[Order] | None = None
    total_count: int | None = None


class OrderAnswer(Answer, kw_only=True):
    """Order/searchById."""

    order: Order | None = None


class PositionsAnswer(Answer, kw_only=True):
    """Position/searchOpen."""

    positions: list[Position] | None = None


class TradesAnswer(Answer, kw_only=True):
    """Trade/search, newest first."""

    trades: list[Trade] | None = None


# ---------------------------------------------------------------- operations
READ, MUTATION, AUTH = "read", "mutation", "auth"


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One of the 21 operations.

    Attributes
    ----------
    path
        Below the base URL.
    kind
        READ may be repeated; MUTATION is sent once and never again; AUTH gives or ends a token.
    codes
        Names of its own error codes: the same number means something else elsewhere.
    unclear
        Codes after which nobody knows whether it was done; they are looked up, never retried.
    bars
        Whether it counts against the budget of 50 in 30 s rather than 200 in 60 s.
    """

    path: str
    request: type[_Wire]
    answer: type[Answer]
    kind: str
    codes: Mapping[int, str]
    unclear: tuple[int, ...] = ()
    bars: bool = False

    @property
    def name(self) -> str:
        """Short name, for example ``Order/place``."""
        return self.path.removeprefix("/api/")

    def code_name(self, code: int) -> str:
        """Name of an error code of this operation."""
        return self.codes.get(code, "NotInTheTable")


def _codes(*names: str) -> dict[int, str]:
    return dict(enumerate(("Success", *names)))


_LOGIN = _codes(
    "UserNotFound", "PasswordVerificationFailed", "InvalidCredentials", "AppNotFound",
    "AppVerificationFailed", "InvalidDevice", "AgreementsNotSigned", "UnknownError",
    "ApiSubscriptionNotFound", "ApiKeyAuthenticationDisabled",
)  # fmt: skip
_ACCOUNT = _codes("AccountNotFound")


def _operation(
    path: str, request: type[_Wire], answer: type[Answer], kind: str, codes: Mapping[int, str],
    unclear: tuple[int, ...] = (), bars: bool = False,
) -> Operation:  # fmt: skip
    return Operation(
        path=f"/api/{path}", request=request, answer=answer, kind=kind, codes=codes,
        unclear=unclear, bars=bars,
    )  # fmt: skip


LOGIN_KEY = _operation("Auth/loginKey", LoginKey, TokenAnswer, AUTH, _LOGIN)
LOGIN_APP = _operation("Auth/loginApp", LoginApp, TokenAnswer, AUTH, _LOGIN)
VALIDATE = _operation(
    "Auth/validate", Nothing, ValidateAnswer, AUTH,
    _codes("InvalidSession", "SessionNotFound", "ExpiredToken", "UnknownError"),
)  # fmt: skip
LOGOUT = _operation("Auth/logout", Nothing, Answer, AUTH, _codes("InvalidSession", "UnknownError"))
ACCOUNT_SEARCH = _operation("Account/search", SearchAccounts, AccountsAnswer, READ, _codes())
CONTRACT_SEARCH = _operation("Contract/search", SearchContracts, ContractsAnswer, READ, _codes())
CONTRACT_BY_ID = _operation(
    "Contract/searchById", ContractById, ContractAnswer, READ, _codes("ContractNotFound")
)
CONTRACT_AVAILABLE = _operation(
    "Contract/available", AvailableContracts, ContractsAnswer, READ, _codes()
)
BARS = _operation(
    "History/retrieveBars", RetrieveBars, BarsAnswer, READ,
    _codes("ContractNotFound", "UnitInvalid", "UnitNumberInvalid", "LimitInvalid"), bars=True,
)  # fmt: skip
PLACE = _operation(
    "Order/place", PlaceOrder, PlaceAnswer, MUTATION,
    _codes(
        "AccountNotFound", "OrderRejected", "InsufficientFunds", "AccountViolation",
        "OutsideTradingHours", "OrderPending", "UnknownError", "ContractNotFound",
        "ContractNotActive", "AccountRejected",
    ), unclear=(6, 7),
)  # fmt: skip
MODIFY = _operation(
    "Order/modify", ModifyOrder, Answer, MUTATION,
    _codes(
        "AccountNotFound", "OrderNotFound", "Rejected", "Pending", "UnknownError",
        "AccountRejected", "ContractNotFound",
    ), unclear=(4, 5),
)  # fmt: skip
CANCEL = _operation(
    "Order/cancel", OneOrder, Answer, MUTATION,
    _codes(
        "AccountNotFound", "OrderNotFound", "Rejected", "Pending", "UnknownError",
        "AccountRejected",
    ), unclear=(4, 5),
)  # fmt: skip
ORDER_SEARCH = _operation("Order/search", Window, OrdersAnswer, READ, _ACCOUNT)
ORDER_OPEN = _operation("Order/searchOpen", OfAccount, OrdersAnswer, READ, _ACCOUNT)
ORDER_BY_ID = _operation("Order/searchById", OneOrder, OrderAnswer, READ, _codes("OrderNotFound"))
ORDER_QUERY = _operation("Order/v2/query", QueryOrders, OrdersAnswer, READ, _ACCOUNT)
POSITION_OPEN = _operation("Position/searchOpen", OfAccount, PositionsAnswer, READ, _ACCOUNT)
CLOSE = _operation(
    "Position/closeContract", CloseContract, Answer, MUTATION,
    _codes(
        "AccountNotFound", "PositionNotFound", "ContractNotFound", "ContractNotActive",
        "OrderRejected", "OrderPending", "UnknownError", "AccountRejected",
    ), unclear=(6, 7),
)  # fmt: skip
PARTIAL_CLOSE = _operation(
    "Position/partialCloseContract", PartialClose, Answer, MUTATION,
    _codes(
        "AccountNotFound", "PositionNotFound", "ContractNotFound", "ContractNotActive",
        "InvalidCloseSize", "OrderRejected", "OrderPending", "UnknownError", "AccountRejected",
    ), unclear=(7, 8),
)  # fmt: skip
TRADE_SEARCH = _operation("Trade/search", Window, TradesAnswer, READ, _ACCOUNT)

PING = "/api/Status/ping"
"""The only GET; it needs no token and answers ``pong``."""

OPERATIONS = (
    LOGIN_KEY, LOGIN_APP, VALIDATE, LOGOUT, ACCOUNT_SEARCH, CONTRACT_SEARCH, CONTRACT_BY_ID,
    CONTRACT_AVAILABLE, BARS, PLACE, MODIFY, CANCEL, ORDER_SEARCH, ORDER_OPEN, ORDER_BY_ID,
    ORDER_QUERY, POSITION_OPEN, CLOSE, PARTIAL_CLOSE, TRADE_SEARCH,
)  # fmt: skip

# ---------------------------------------------------------------- limits
BUDGET, BUDGET_SECONDS = 200, 60
BAR_BUDGET, BAR_BUDGET_SECONDS = 50, 30
MAX_BARS = 20_000  # rows of one retrieveBars
MAX_PAGE = 100  # rows of one v2/query
MIN_BRACKET_TICKS, MAX_BRACKET_TICKS = 4, 1000
MAX_TRAIL_TICKS = 1000
MAX_TAG = 60  # characters; the venue appends -SL and -TP
TOKEN_SECONDS = 24 * 3600
STOP_SUFFIX, TARGET_SUFFIX = "-SL", "-TP"

# ---------------------------------------------------------------- hubs
USER_HUB, MARKET_HUB = "/hubs/user", "/hubs/market"
USER_ACCOUNT, USER_ORDER = "GatewayUserAccount", "GatewayUserOrder"
USER_POSITION, USER_TRADE = "GatewayUserPosition", "GatewayUserTrade"
MARKET_QUOTE, MARKET_TRADE, MARKET_DEPTH = "GatewayQuote", "GatewayTrade", "GatewayDepth"
LOGOUT_EVENT = "GatewayLogout"
USER_STREAMS = {
    "Accounts": USER_ACCOUNT, "Orders": USER_ORDER, "Positions": USER_POSITION,
    "Trades": USER_TRADE,
}  # fmt: skip
"""Subscribe… and Unsubscribe… take one of these names; all but Accounts take the account's id."""
MARKET_STREAMS = {
    "ContractQuotes": MARKET_QUOTE, "ContractTrades": MARKET_TRADE,
    "ContractMarketDepth": MARKET_DEPTH,
}  # fmt: skip
"""These take the contract's id."""
USER_RECORDS: dict[str, type[Account | Order | Position | Trade]] = {
    USER_ACCOUNT: Account, USER_ORDER: Order, USER_POSITION: Position, USER_TRADE: Trade,
}  # fmt: skip


class Quote(msgspec.Struct, rename="camel", gc=False):
    """A quote as it comes: only what changed; what is missing is unchanged, never zero."""

    symbol: str | None = None
    last_price: float | None = None
    best_bid: float | None = None
    best_ask: float | None = None
    change: float | None = None
    change_percent: float | None = None
    open: float | None = None
    high: float | None = None
    low: float | None = None
    volume: float | None = None
    last_updated: str | None = None
    timestamp: str | None = None


class TapeTrade(msgspec.Struct, rename="camel", gc=False):
    """A trade on the tape."""

    price: float
    timestamp: str
    type: TapeSide = TapeSide.UNKNOWN
    volume: float = 0
    symbol_id: str | None = None
    contract_id: str | None = None


class DepthItem(msgspec.Struct, rename="camel", gc=False):
    """A change of the book; `volume` is taken as what rests at the level after it."""

    type: DepthType
    price: float
    volume: float
    timestamp: str
    current_volume: float | None = None


class Event(msgspec.Struct, rename="camel", gc=False):
    """A record of the hub protocol, its arguments still unread.

    type: 1 invocation, 3 completion, 6 ping, 7 close.
    """

    type: int = 0
    target: str = ""
    arguments: msgspec.Raw = msgspec.Raw(b"[]")
    invocation_id: str | None = None
    error: str | None = None
    result: msgspec.Raw = msgspec.Raw(b"null")
    allow_reconnect: bool = False


RECORD_END = "\x1e"

# ---------------------------------------------------------------- JSON
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_DECODERS: dict[Any, msgspec.json.Decoder[Any]] = {}


def encode(value: Any) -> bytes:
    """JSON of a record or of plain values; a Decimal becomes a number, digit by digit."""
    return _ENCODER.encode(value)


def decode(data: bytes | str | msgspec.Raw, kind: Any) -> Any:
    """Record of the given type out of JSON.

    Raises
    ------
    NotUnderstood
        Not JSON, or not of that shape; the text names the member.
    """
    decoder = _DECODERS.get(kind)
    if decoder is None:
        decoder = _DECODERS[kind] = msgspec.json.Decoder(kind)
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotUnderstood(
            f"not the {getattr(kind, '__name__', kind)} of the API: {error}"
        ) from None


class _Wrapped(msgspec.Struct, frozen=True):
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    action: int = -1


def user_record(target: str, arguments: bytes | msgspec.Raw) -> tuple[int, Any]:
    """Action and record of a user event; its one argument wrapped in {action, data} or bare.

    Returns
    -------
    tuple
        The action (-1 where none was given; its meaning is not settled) and the record.

    Raises
    ------
    NotUnderstood
        Not one argument of that record's shape.
    """
    parts = decode(arguments, list[msgspec.Raw])
    if len(parts) != 1:
        raise NotUnderstood(f"{target} has {len(parts)} arguments, the API sends 1")
    wrapped = decode(parts[0], _Wrapped)
    inner = parts[0] if wrapped.data is msgspec.UNSET else wrapped.data
    return wrapped.action, decode(inner, USER_RECORDS[target])


_QUOTE = msgspec.json.Decoder(tuple[str, Quote])
_TRADES = msgspec.json.Decoder(tuple[str, list[TapeTrade] | TapeTrade])
_DEPTH = msgspec.json.Decoder(tuple[str, list[DepthItem] | DepthItem])
_MARKET = {MARKET_QUOTE: _QUOTE, MARKET_TRADE: _TRADES, MARKET_DEPTH: _DEPTH}


def market_record(target: str, arguments: bytes | msgspec.Raw) -> tuple[str, Any]:
    """Contract id and payload of a market event: a `Quote`, or a list of trades or depth items.

    Raises
    ------
    NotUnderstood
        Not that shape.
    """
    try:
        contract_id, data = _MARKET[target].decode(arguments)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotUnderstood(f"{target} is not of the API's shape: {error}") from None
    if target == MARKET_QUOTE or isinstance(data, list):
        return contract_id, data
    return contract_id, [data]


# ---------------------------------------------------------------- time
_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:?\d\d)?"
)
_minutes: dict[str, int] = {}  # the last few minutes' texts, with their ns


def to_ns(text: str) -> int:
    """Nanoseconds UTC of a time of the API; without an offset it is UTC.

    Raises
    ------
    NotUnderstood
        Not a time.

    Examples
    --------
    >>> to_ns("2026-10-01T14:30:00.1234567+00:00")
    1790865000123456700
    """
    start = _minutes.get(text[:17])
    if start is not None:
        tail = text[17:]
        body = tail[:-6] if tail.endswith("+00:00") else tail[:-1] if tail[-1:] == "Z" else ""
        if len(body) == 2 or body[2:3] == ".":
            seconds, fraction = body[:2], body[3:12]
            if seconds.isdigit() and (not fraction or fraction.isdigit()):
                return start + int(seconds) * 10**9 + int((fraction + "000000000")[:9])
    match = _TIME.fullmatch(text)
    if match is None:
        raise NotUnderstood(f"{text!r} is not a time such as 2026-10-01T14:30:00+00:00")
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 61):
        raise NotUnderstood(f"{text!r} is not a time that exists")
    whole = calendar.timegm((year, month, day, hour, minute, 0))
    offset = match[8]
    if offset in (None, "Z", "+00:00"):
        if len(_minutes) > 64:
            _minutes.clear()
        _minutes[text[:17]] = whole * 10**9
    else:
        sign = -1 if offset[0] == "-" else 1
        whole -= sign * (int(offset[1:3]) * 3600 + int(offset[-2:]) * 60)
    return (whole + second) * 10**9 + int((match[7] or "").ljust(9, "0") or 0)


def to_iso(ns: int, digits: int = 7) -> str:
    """Text of a time as the gateway writes it, with so many decimals of the second.

    Examples
    --------
    >>> to_iso(1790865000123456700)
    '2026-10-01T14:30:00.1234567+00:00'
    """
    seconds, part = divmod(ns, 10**9)
    y, mo, d, h, mi, s = gmtime(seconds)[:6]
    fraction = f".{part:09d}"[: digits + 1] if digits else ""
    return f"{y:04d}-{mo:02d}-{d:02d}T{h:02d}:{mi:02d}:{s:02d}{fraction}+00:00"

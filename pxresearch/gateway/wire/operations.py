"""The operations of the API: path, request, answer, kind and error codes of each.

I/O: none
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

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
from pxresearch.gateway.wire.base import Wire
from pxresearch.gateway.wire.requests import (
    AvailableContracts,
    CloseContract,
    ContractById,
    LoginApp,
    LoginKey,
    ModifyOrder,
    Nothing,
    OfAccount,
    OneOrder,
    PartialClose,
    PlaceOrder,
    QueryOrders,
    RetrieveBars,
    SearchAccounts,
    SearchContracts,
    Window,
)

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
    request: type[Wire]
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
    path: str, request: type[Wire], answer: type[Answer], kind: str, codes: Mapping[int, str],
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

"""The hubs: their streams, what they send, and how one record of it is read.

I/O: none
"""

from __future__ import annotations

from typing import Any

import msgspec

from pxresearch.errors import NotUnderstood
from pxresearch.gateway.wire.codec import decode
from pxresearch.gateway.wire.enums import DepthType, TapeSide
from pxresearch.gateway.wire.rows import Account, Order, Position, Trade

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


class QuoteCall(msgspec.Struct, tag_field="target", tag=MARKET_QUOTE, gc=False):
    """A quote's whole record, read in one go."""

    arguments: tuple[str, Quote]


class TradeCall(msgspec.Struct, tag_field="target", tag=MARKET_TRADE, gc=False):
    """The record of a trade or several."""

    arguments: tuple[str, list[TapeTrade] | TapeTrade]


class DepthCall(msgspec.Struct, tag_field="target", tag=MARKET_DEPTH, gc=False):
    """The record of a change of the book or several."""

    arguments: tuple[str, list[DepthItem] | DepthItem]


MarketCall = QuoteCall | TradeCall | DepthCall


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

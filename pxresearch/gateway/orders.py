"""From an order in ticks to a request of the API, with every check that can be made before sending.

What the venue is known to reject is refused here, with what was received and what is allowed; what
it computes otherwise than one thinks (signed bracket ticks, a trailing stop given as a level) is
written here and nowhere else.

I/O: none
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Literal

import msgspec

from pxresearch.core.records import LIMIT, MARKET, ORDER_KINDS, STOP, STOP_LIMIT, TRAILING
from pxresearch.gateway import wire
from pxresearch.gateway.contracts import Listing
from pxresearch.gateway.outcome import REFUSED_HERE, Rejected
from pxresearch.gateway.profiles import Profile
from pxresearch.gateway.wire import OrderSide, OrderType

_TYPES = {
    MARKET: OrderType.MARKET, LIMIT: OrderType.LIMIT, STOP: OrderType.STOP,
    TRAILING: OrderType.TRAILING_STOP,
}  # fmt: skip
_INT32 = 2**31 - 1
_TAG = re.compile(r"[A-Za-z0-9._-]+")


class NewOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order to be placed.

    Attributes
    ----------
    kind
        MARKET, LIMIT, STOP, STOP_LIMIT or TRAILING of `core.records`.
    side
        +1 buy, -1 sell.
    limit, stop
        Ticks, absolute.
    trail
        Ticks of distance of a trailing stop, positive.
    stop_ticks, target_ticks
        Distances of the bracket's legs from the entry's fill, positive; 0 is no leg.
    trailing_stop
        The bracket's stop trails.
    tag
        Unique in the account for ever; see `tags`.
    is_automated
        True, always: the mark cannot be left out (design rule 9).
    """

    account: int
    contract_id: str
    kind: int
    side: int
    qty: int
    tag: str
    is_automated: Literal[True]
    limit: int | None = None
    stop: int | None = None
    trail: int = 0
    stop_ticks: int = 0
    target_ticks: int = 0
    trailing_stop: bool = False


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a working order; None leaves what it is.

    Attributes
    ----------
    limit, stop
        Ticks, absolute.
    trail
        Ticks of distance of a trailing stop from the last trade.
    side
        Of the order, +1 buy or -1 sell; needed with `trail`, and to check a stop's side.
    """

    account: int
    order_id: int
    contract_id: str
    qty: int | None = None
    limit: int | None = None
    stop: int | None = None
    trail: int | None = None
    side: int | None = None


class Market(msgspec.Struct, frozen=True, kw_only=True):
    """The contract's market as last seen, ticks; None where nothing is known."""

    bid: int | None = None
    ask: int | None = None
    last: int | None = None


def place_request(
    order: NewOrder, listing: Listing, market: Market | None, profile: Profile
) -> wire.PlaceOrder | Rejected:
    """Request for an order, or why it is not sent.

    Parameters
    ----------
    market
        For the side of a stop and the level of a trailing stop; without it a trailing stop is
        refused.
    """
    why = _shape(order, listing) or _prices(order, listing, market) or _bracket(order)
    if why:
        return Rejected(reason=REFUSED_HERE, text=why)
    trail = _trail_level(order.side, order.trail, market)
    return wire.PlaceOrder(
        account_id=order.account, contract_id=order.contract_id, type=_TYPES[order.kind],
        side=OrderSide.BUY if order.side > 0 else OrderSide.SELL, size=order.qty,
        limit_price=_price(listing, order.limit), stop_price=_price(listing, order.stop),
        trail_price=_price(listing, trail), custom_tag=order.tag,
        stop_loss_bracket=_leg(
            -order.side * order.stop_ticks,
            OrderType.TRAILING_STOP if order.trailing_stop else OrderType.STOP,
        ),
        take_profit_bracket=_leg(order.side * order.target_ticks, OrderType.LIMIT),
        is_automated=True if profile.automated_flag else msgspec.UNSET,
    )  # fmt: skip


def modify_request(
    change: Change, listing: Listing, market: Market | None
) -> wire.ModifyOrder | Rejected:
    """Request for a change, or why it is not sent; `market` as in `place_request`."""
    why = _change(change, listing, market)
    if why:
        return Rejected(reason=REFUSED_HERE, text=why)
    return wire.ModifyOrder(
        account_id=change.account, order_id=change.order_id, size=change.qty,
        limit_price=_price(listing, change.limit), stop_price=_price(listing, change.stop),
        trail_price=_price(listing, _trail_level(change.side or 0, change.trail or 0, market)),
    )  # fmt: skip


# ------------------------------------------------------------------ checks
def _shape(order: NewOrder, listing: Listing) -> str | None:
    if order.is_automated is not True:
        return "an order without its automated mark is not sent"
    if order.kind == STOP_LIMIT:
        return (
            "the gateway takes no stop-limit orders; use a stop, or a limit order once the price "
            "has been reached"
        )
    if order.kind not in _TYPES:
        return f"order kind {order.kind!r} is none of {', '.join(ORDER_KINDS)}"
    if order.side not in (1, -1):
        return f"side {order.side!r}: +1 buys, -1 sells"
    if listing.id != order.contract_id:
        return f"the order is for {order.contract_id}, the listing for {listing.id}"
    if listing.contract is None:
        return f"{listing.id} is no product of this program's table; it is not traded"
    if not listing.active:
        return f"{listing.code} is not the contract that is traded now; take the front month"
    if not 1 <= len(order.tag) <= wire.MAX_TAG or not _TAG.fullmatch(order.tag):
        return (
            f"tag {order.tag!r}: 1 to {wire.MAX_TAG} letters, digits, dots, dashes or underscores"
        )
    ticks = (order.limit, order.stop, order.trail, order.stop_ticks, order.target_ticks)
    return _whole(order.qty, ticks)


def _whole(qty: object, ticks: tuple[object, ...]) -> str | None:
    # Whoever calls without a type checker: a float here would be a price taken for ticks.
    if type(qty) is not int or not 1 <= qty <= _INT32:
        return f"quantity {qty!r}: a whole number of contracts, at least 1"
    for value in ticks:
        if value is not None and type(value) is not int:
            return f"{value!r} is not a whole number of ticks; `Listing.to_ticks` turns a price"
    return None


def _prices(order: NewOrder, listing: Listing, market: Market | None) -> str | None:
    needs = {LIMIT: "limit", STOP: "stop"}.get(order.kind)
    for name in ("limit", "stop"):
        given = getattr(order, name) is not None
        if given != (name == needs):
            said = "takes no" if given else "needs a"
            return f"a {ORDER_KINDS[order.kind]} order {said} {name} price"
    if order.kind == TRAILING:
        return _trail(order.trail, market)
    if order.trail:
        return f"a {ORDER_KINDS[order.kind]} order has no trail; received {order.trail} ticks"
    return _stop_side(order.side, order.stop, listing, market)


def _stop_side(side: int, stop: int | None, listing: Listing, market: Market | None) -> str | None:
    # The venue judges by the market of its own moment; only a stop that is wrong for every price
    # we know of is refused here.
    if stop is None or market is None:
        return None
    known = [p for p in (market.bid, market.ask, market.last) if p is not None]
    if not known or any((stop - price) * side > 0 for price in known):
        return None
    word, edge, name = ("above", max(known), "buy") if side > 0 else ("below", min(known), "sell")
    return (
        f"a {name} stop at {listing.to_price(stop)} is on the wrong side of the market; it must "
        f"lie {word} it, at {listing.to_price(edge + side)} or beyond"
    )


def _trail(ticks: int, market: Market | None) -> str | None:
    if not 1 <= ticks <= wire.MAX_TRAIL_TICKS:
        return f"a trail of {ticks} ticks: 1 to {wire.MAX_TRAIL_TICKS} are allowed"
    if market is None or market.last is None:
        return "a trailing stop is placed as a level from the last trade, and none is known"
    return None


def _bracket(order: NewOrder) -> str | None:
    for name, ticks in (("stop", order.stop_ticks), ("target", order.target_ticks)):
        if ticks and not wire.MIN_BRACKET_TICKS <= ticks <= wire.MAX_BRACKET_TICKS:
            return (
                f"a bracket's {name} {ticks} ticks away: {wire.MIN_BRACKET_TICKS} to "
                f"{wire.MAX_BRACKET_TICKS} are allowed, always positive; the side gives the sign"
            )
    if order.trailing_stop and not order.stop_ticks:
        return "a trailing bracket stop without its distance; give stop_ticks"
    return None


def _change(change: Change, listing: Listing, market: Market | None) -> str | None:
    wanted = (change.qty, change.limit, change.stop, change.trail)
    if all(value is None for value in wanted):
        return "nothing to change: give qty, limit, stop or trail"
    if why := _whole(1 if change.qty is None else change.qty, wanted[1:]):
        return f"{why}; to end an order, cancel it" if change.qty == 0 else why
    if change.trail is not None:
        # The venue itself does not check this in Order/modify: docs, 2026-09.
        if change.side not in (1, -1):
            return "a trail is changed by the side of its order: give side +1 (buy) or -1 (sell)"
        return _trail(change.trail, market)
    return _stop_side(change.side, change.stop, listing, market) if change.side else None


# ------------------------------------------------------------------ prices
def _trail_level(side: int, ticks: int, market: Market | None) -> int | None:
    # The venue takes |last trade - level| for the distance: docs of Order/place, 2026-09.
    if not ticks or market is None or market.last is None:
        return None
    return market.last + side * ticks


def _price(listing: Listing, ticks: int | None) -> Decimal | None:
    return None if ticks is None else listing.to_price(ticks)


def _leg(ticks: int, kind: OrderType) -> wire.Bracket | None:
    return wire.Bracket(ticks=ticks, type=kind) if ticks else None

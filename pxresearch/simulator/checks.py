"""What the venue refuses an order for, in the gateway's own words where they are known.

Each check gives the message of the answer (code 2 of Order/place, 3 of Order/modify) or None. Texts
marked in the reference as not verified, and those for which it has none, are worded alike.

I/O: none
"""

from __future__ import annotations

from decimal import Decimal

from pxresearch.core.records import MAX_ORDERS
from pxresearch.gateway import wire
from pxresearch.gateway.wire import (
    MAX_BRACKET_TICKS,
    MAX_TRAIL_TICKS,
    MIN_BRACKET_TICKS,
    OrderSide,
    OrderType,
)
from pxresearch.simulator.accounts import VenueAccount
from pxresearch.simulator.floor import Floor
from pxresearch.simulator.listing import FARTHEST, Listed
from pxresearch.simulator.matcher import Market
from pxresearch.simulator.settings import BracketMode

POSITION_BRACKETS = (
    "Brackets cannot be used with Position Brackets. You must enable Auto OCO Brackets."
)
NOT_TRADING = "Trading is currently unavailable. The instrument is not in an active trading status."
OUT_OF_RANGE = "Invalid price. Price is outside allowed range."
NO_SYMBOL = "Invalid symbol"
NO_TRAIL = "Trail Distance not set."
NO_LAST = "Cannot trail without a last price"
FAR_TRAIL = f"Trail Distance exceeds maximum ({MAX_TRAIL_TICKS})"
TAG_USED = "custom tag already in use"
NO_MARGIN = "Not enough margin."
BAD_SIZE = "Invalid size. Size should be greater than zero."
BAD_TYPE = "Invalid order type."
BAD_SIDE = "Invalid order side."
TOO_MANY_ORDERS = "Maximum working orders exceeded."
TOO_MANY_CONTRACTS = (
    "Maximum contracts exceeded. At most 8 contracts can be held or worked at once."
)
_ROOM = MAX_ORDERS - 8  # the rest is for closing and for what the platform itself orders
_PLACEABLE = (
    OrderType.LIMIT, OrderType.MARKET, OrderType.STOP, OrderType.TRAILING_STOP,
    OrderType.JOIN_BID, OrderType.JOIN_ASK,
)  # fmt: skip


def refusal(
    floor: Floor, account: VenueAccount, listed: Listed, request: wire.PlaceOrder
) -> str | None:
    """Why an order is not taken, or None."""
    market = floor.markets[listed.id]
    bracketed = request.stop_loss_bracket or request.take_profit_bracket
    if bracketed and account.spec.bracket_mode is BracketMode.POSITION:
        return POSITION_BRACKETS
    if request.custom_tag is not None and account.book.has_tag(request.custom_tag):
        return TAG_USED
    if request.size <= 0:
        return BAD_SIZE
    if request.type not in _PLACEABLE:
        return BAD_TYPE
    if request.side is OrderSide.UNKNOWN:
        return BAD_SIDE
    if not floor.is_tradable(listed):
        return NOT_TRADING
    if market.bid is None and market.ask is None:
        return NO_SYMBOL
    return (
        _prices(floor, listed, market, request)
        or _brackets(request)
        or _room(floor, account, listed, request)
    )


def _prices(floor: Floor, listed: Listed, market: Market, request: wire.PlaceOrder) -> str | None:
    if request.type is OrderType.LIMIT:
        return limit_refusal(listed, request.limit_price)
    if request.type is OrderType.STOP:
        return stop_refusal(floor, listed, request.side.sign, request.stop_price)
    if request.type is OrderType.TRAILING_STOP:
        found = trail_refusal(listed, market, request.trail_price)
        if found is None and trail_ticks(listed, market, request.trail_price) > MAX_TRAIL_TICKS:
            return FAR_TRAIL
        return found
    near = market.bid if request.type is OrderType.JOIN_BID else market.ask
    joins = request.type in (OrderType.JOIN_BID, OrderType.JOIN_ASK)
    return NO_SYMBOL if joins and near is None else None


def limit_refusal(listed: Listed, price: Decimal | None) -> str | None:
    """What is wrong with a limit price."""
    if price is None:
        return "Limit Price not set."
    ticks = listed.ticks(price)
    if ticks is None:
        return "Invalid limit price. Price is not aligned to tick size."
    return OUT_OF_RANGE if abs(ticks) >= FARTHEST else None


def stop_refusal(floor: Floor, listed: Listed, side: int, price: Decimal | None) -> str | None:
    """What is wrong with a stop price: a buy stop belongs above the market, a sell stop below."""
    if price is None:
        return "Stop Price not set."
    ticks = listed.ticks(price)
    if ticks is None:
        return "Invalid stop price. Price is not aligned to tick size."
    market = floor.markets[listed.id]
    quote = market.ask if side > 0 else market.bid
    by_quote = floor.settings.stop_trigger == "quote"
    reference = quote if by_quote or market.last is None else market.last
    through = reference is not None and (ticks - reference) * side <= 0
    return OUT_OF_RANGE if through or abs(ticks) >= FARTHEST else None


def trail_refusal(listed: Listed, market: Market, price: Decimal | None) -> str | None:
    """What is wrong with a trail price; its distance is not looked at."""
    if price is None:
        return NO_TRAIL
    level = listed.ticks(price)
    if level is None:
        return "Invalid trail price. Price is not aligned to tick size."
    if market.last is None:
        return NO_LAST
    return OUT_OF_RANGE if level == market.last or abs(level) >= FARTHEST else None


def trail_ticks(listed: Listed, market: Market, price: Decimal | None) -> int:
    """Distance that a trail price asks for: from the last trade; 0 where there is none."""
    level = None if price is None else listed.ticks(price)
    return 0 if level is None or market.last is None else abs(market.last - level)


def _brackets(request: wire.PlaceOrder) -> str | None:
    side = request.side.sign
    stop, target = request.stop_loss_bracket, request.take_profit_bracket
    if stop is not None:
        if stop.type not in (OrderType.STOP, OrderType.TRAILING_STOP):
            return "Invalid stop loss type."
        if (found := _leg("stop loss", stop.ticks, -side, side, ".")) is not None:
            return found
    if target is not None:
        if target.type is not OrderType.LIMIT:
            return "Invalid take profit type."
        return _leg("take profit", target.ticks, side, side, "")
    return None


def _leg(name: str, ticks: int, way: int, side: int, stop: str) -> str | None:
    """Check signed ticks that must go `way` (+1 above the fill, -1 below it)."""
    begins = f"Invalid {name} ticks ({ticks})."
    if ticks * way < 0:
        than = "less than" if way < 0 else "greater than"
        when = "when longing" if side > 0 else "when going short"
        return f"{begins} Ticks should be {than} zero {when}{stop}"
    if abs(ticks) < MIN_BRACKET_TICKS:
        return f"{begins} Price should be at least {MIN_BRACKET_TICKS} ticks away."
    if abs(ticks) > MAX_BRACKET_TICKS:
        return f"{begins} Ticks should be {MAX_BRACKET_TICKS} ticks or less."
    return None


def _room(
    floor: Floor, account: VenueAccount, listed: Listed, request: wire.PlaceOrder
) -> str | None:
    if cap_exceeded(floor, account, listed, request.side.sign, request.size):
        return over_cap(floor, account)
    held, _ = account.matcher.position(listed.id)
    if account.matcher.balance <= 0 and held * request.side.sign >= 0:
        return NO_MARGIN
    legs = [request.stop_loss_bracket, request.take_profit_bracket]
    if account.book.working_n + 3 - legs.count(None) > _ROOM:
        return TOO_MANY_ORDERS
    return None if floor.contract_slot(account, listed) is not None else TOO_MANY_CONTRACTS


def over_cap(floor: Floor, account: VenueAccount) -> str:
    """Message of a position that would be too large."""
    minis = floor.settings.max_minis[account.spec.kind]
    return f"Maximum position exceeded. Limit is {minis} minis or {10 * minis} micros."


def cap_exceeded(floor: Floor, account: VenueAccount, listed: Listed, side: int, size: int) -> bool:
    """Whether `size` more on this side could carry the account past its largest position.

    Working orders of the same side count as filled, bracket legs do not; what only reduces passes.
    """
    held, _ = account.matcher.position(listed.id)
    waiting = sum(
        one.left for one in account.book.working(listed.id) if one.side == side and not one.is_leg
    )
    worst = held + side * (waiting + size)
    if abs(worst) <= abs(held):
        return False
    others = sum(
        abs(one.quantity) * one.listed.product.size_tenths
        for one in account.holdings.values()
        if one.listed.id != listed.id
    )
    tenths = abs(worst) * listed.product.size_tenths + others
    return tenths > 10 * floor.settings.max_minis[account.spec.kind]

"""Bracket legs: made with their entry, active once it fills, one cancels the other.

Auto OCO: legs belong to an entry, are sized to what of it has filled, and a leg cancelled by hand
leaves its sibling alone. Position Brackets: the platform protects the net position itself, at
distances in dollars.

I/O: none
"""

from __future__ import annotations

from pxresearch.gateway import wire
from pxresearch.gateway.wire import STOP_SUFFIX, TARGET_SUFFIX, OrderStatus, OrderType
from pxresearch.simulator.accounts import VenueAccount, micros
from pxresearch.simulator.floor import Floor
from pxresearch.simulator.listing import Listed
from pxresearch.simulator.oneoff import OneOff
from pxresearch.simulator.orders import VenueOrder


def make_legs(floor: Floor, entry: VenueOrder) -> list[VenueOrder]:
    """Suspended legs of an entry, the stop first, with the ids after the entry's."""
    legs = [
        _leg(floor, entry, bracket, suffix)
        for bracket, suffix in zip(entry.brackets, (STOP_SUFFIX, TARGET_SUFFIX), strict=True)
        if bracket is not None
    ]
    _join(legs)
    return legs


def _leg(floor: Floor, entry: VenueOrder, bracket: wire.Bracket, suffix: str) -> VenueOrder:
    trailing = bracket.type is OrderType.TRAILING_STOP
    return VenueOrder(
        id=floor.order_id(), account_id=entry.account_id, listed=entry.listed, type=bracket.type,
        side=-entry.side, size=entry.size, created=floor.now, updated=floor.now,
        trail=abs(bracket.ticks) if trailing else None,
        tag=None if entry.tag is None else entry.tag + suffix, status=OrderStatus.SUSPENDED,
        offset=bracket.ticks, parent=entry,
    )  # fmt: skip


def _join(legs: list[VenueOrder]) -> None:
    if len(legs) == 2:
        legs[0].sibling, legs[1].sibling = legs[1], legs[0]


def entry_filled(
    floor: Floor, account: VenueAccount, entry: VenueOrder, qty: int, price: int
) -> None:
    """Activate the legs at an entry's first fill, enlarge them at later ones.

    When the legs have closed what they protected and the entry fills on, new ones are made.
    """
    suspended = [leg for leg in entry.legs if leg.status is OrderStatus.SUSPENDED]
    alive = [leg for leg in entry.legs if not leg.status.done]
    if suspended:
        _activate(floor, account, suspended, entry.filled, price)
    elif alive:
        for leg in alive:
            floor.resize(account, leg, leg.size + qty)
    elif not any(leg.removed for leg in entry.legs):
        entry.legs = make_legs(floor, entry)
        for leg in entry.legs:
            account.book.add(leg)
        _activate(floor, account, entry.legs, qty, price)


def _activate(
    floor: Floor, account: VenueAccount, legs: list[VenueOrder], qty: int, price: int
) -> None:
    for leg in legs:
        level = price + (leg.offset or 0)
        leg.size, leg.updated = qty, floor.now
        leg.limit, leg.stop = (None, level) if leg.is_stop else (level, None)
        refused = floor.oneoffs.use(OneOff.REFUSE_LEG)
        if refused or floor.put_in_core(account, leg, resting=True) is None:
            account.book.end(leg, OrderStatus.REJECTED)
        else:
            leg.status = OrderStatus.OPEN
    for leg in reversed(legs):  # the target is told of first
        floor.tell_order(account, leg)


def leg_filled(floor: Floor, account: VenueAccount, leg: VenueOrder, qty: int) -> None:
    """Take what a leg filled off its sibling; with nothing left the sibling is cancelled."""
    other = leg.sibling
    if other is None or other.status.done:
        return
    if leg.left == 0 and floor.oneoffs.use(OneOff.KEEP_SIBLING):
        return
    if other.left <= qty:
        floor.end(account, other, OrderStatus.CANCELLED)
    else:
        floor.resize(account, other, other.size - qty)


def protect_position(floor: Floor, account: VenueAccount, listed: Listed) -> None:
    """Position Brackets mode: replace the platform's own orders by ones for the position now."""
    for order in account.book.working(listed.id):
        if order.of_position:
            floor.end(account, order, OrderStatus.CANCELLED)
    position, value = account.matcher.position(listed.id)
    if position == 0:
        return
    side = 1 if position > 0 else -1
    entry = value // position
    legs: list[VenueOrder] = []
    for amount, kind, way in (
        (account.spec.position_stop, OrderType.STOP, -1),
        (account.spec.position_target, OrderType.LIMIT, 1),
    ):
        if amount is not None:
            tick = listed.product.tick_value_micros * abs(position)
            level = entry + way * side * max(1, micros(amount) // tick)
            leg = VenueOrder(
                id=floor.order_id(), account_id=account.id, listed=listed, type=kind, side=-side,
                size=abs(position), created=floor.now, updated=floor.now, of_position=True,
                offset=level - entry,
            )  # fmt: skip
            legs.append(leg)
    _join(legs)
    for leg in legs:
        account.book.add(leg)
    _activate(floor, account, legs, abs(position), entry)

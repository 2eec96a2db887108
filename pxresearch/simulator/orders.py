"""Orders of the simulated venue, and the book that keeps all of an account's.

An order is a record of its own from the start to the end of its life; while the core can match it,
it also has a slot there. Bracket legs are orders too: suspended until their entry fills.

I/O: none
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pxresearch.gateway import wire
from pxresearch.gateway.wire import OrderSide, OrderStatus, OrderType
from pxresearch.simulator.listing import Listed

NO_SLOT = -1


@dataclass(slots=True, eq=False)
class VenueOrder:
    """An order; prices in ticks, times in ns UTC.

    Attributes
    ----------
    side
        +1 buy, -1 sell.
    trail
        Distance of a trailing stop.
    offset
        Of a bracket leg: signed ticks from the entry's fill.
    legs
        Of an entry: its legs, the stop first.
    brackets
        Of an entry: what its legs are made of, stop and target.
    sibling
        The other leg.
    removed
        Cancelled by somebody, rather than by its sibling's fill.
    slot, number
        Place in the core, and the core's number of it.
    """

    id: int
    account_id: int
    listed: Listed
    type: OrderType
    side: int
    size: int
    created: int
    updated: int
    limit: int | None = None
    stop: int | None = None
    trail: int | None = None
    tag: str | None = None
    status: OrderStatus = OrderStatus.PENDING
    filled: int = 0
    value: int = 0  # ticks times contracts filled
    offset: int | None = None
    parent: VenueOrder | None = None
    sibling: VenueOrder | None = None
    legs: list[VenueOrder] = field(default_factory=list)
    brackets: tuple[wire.Bracket | None, wire.Bracket | None] = (None, None)
    of_position: bool = False
    removed: bool = False
    slot: int = NO_SLOT
    number: int = 0

    @property
    def left(self) -> int:
        """What can still fill."""
        return self.size - self.filled

    @property
    def is_leg(self) -> bool:
        """Whether it protects a position."""
        return self.parent is not None or self.of_position

    @property
    def is_stop(self) -> bool:
        """Whether a price triggers it."""
        return self.type in (OrderType.STOP, OrderType.TRAILING_STOP)

    def record(self) -> wire.Order:
        """As the gateway tells of it."""
        price = self.listed.price
        # The take-profit names its stop-loss; the stop-loss names nobody.
        linked = None if self.is_stop or self.sibling is None else self.sibling.id
        return wire.Order(
            id=self.id, account_id=self.account_id, contract_id=self.listed.id,
            symbol_id=self.listed.symbol_id, creation_timestamp=wire.to_iso(self.created),
            update_timestamp=wire.to_iso(self.updated), status=self.status, type=self.type,
            side=OrderSide.BUY if self.side > 0 else OrderSide.SELL, size=self.size,
            limit_price=None if self.limit is None else price(self.limit),
            stop_price=None if self.stop is None else price(self.stop),
            fill_volume=self.filled,
            filled_price=self.listed.average(self.value, self.filled) if self.filled else None,
            custom_tag=self.tag,
            trail_distance=self.trail if self.offset is None else self.offset,
            trail_price=None if self.trail is None else price(self.trail),
            parent_order_id=None if self.parent is None else self.parent.id,
            linked_order_id=linked,
        )  # fmt: skip


class OrderBook:
    """Every order that an account ever had, oldest first."""

    def __init__(self) -> None:
        self.orders: list[VenueOrder] = []
        self._by_id: dict[int, VenueOrder] = {}
        self._by_number: dict[int, VenueOrder] = {}
        self._working: dict[int, VenueOrder] = {}
        self._tags: set[str] = set()

    def add(self, order: VenueOrder) -> None:
        """Take an order in; its tag is used up for good."""
        self.orders.append(order)
        self._by_id[order.id] = order
        if order.tag is not None:
            self._tags.add(order.tag)
        if not order.status.done:
            self._working[order.id] = order

    def get(self, order_id: int) -> VenueOrder | None:
        """The order with this id."""
        return self._by_id.get(order_id)

    def has_tag(self, tag: str) -> bool:
        """Whether any order bears or bore the tag."""
        return tag in self._tags

    def working(self, contract_id: str | None = None) -> list[VenueOrder]:
        """Orders that are not done, oldest first."""
        return [
            one for one in self._working.values()
            if contract_id is None or one.listed.id == contract_id
        ]  # fmt: skip

    @property
    def working_n(self) -> int:
        """How many are not done."""
        return len(self._working)

    def place_in_core(self, order: VenueOrder, slot: int, number: int) -> None:
        """Note where the core keeps an order."""
        order.slot, order.number = slot, number
        self._by_number[number] = order

    def of_number(self, number: int) -> VenueOrder:
        """The order that the core knows by this number."""
        return self._by_number[number]

    def end(self, order: VenueOrder, status: OrderStatus) -> None:
        """Nothing can happen to an order any more."""
        order.status = status
        self._working.pop(order.id, None)
        self._by_number.pop(order.number, None)
        order.slot = NO_SLOT

    def matched(self, contract_id: str) -> bool:
        """Whether the core keeps an order in the contract."""
        return any(one.listed.id == contract_id for one in self._by_number.values())

    def newest_first(self) -> Iterator[VenueOrder]:
        """Every order, newest first."""
        return reversed(self.orders)

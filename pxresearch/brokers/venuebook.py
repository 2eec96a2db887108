"""Which order of the engine is which order of the venue, and what the engine has not been told yet.

An order of ours is known by its tag, whose number is the engine's; the venue's legs of a bracket
carry the entry's tag with a suffix. Events come twice, late and out of order, so:

- a fill waits until its order is known, and a leg's until the engine has the leg; one of another
  hand's order is told at once;
- the end of an order waits until its fills have been told;
- a fill is told once, by the venue's number of it.

I/O: none
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from pxresearch.brokers.base import Approved, Input
from pxresearch.core import records as r
from pxresearch.gateway import tags
from pxresearch.gateway.records import Fill, Order
from pxresearch.gateway.wire import OrderStatus, OrderType

_ENDS = {
    OrderStatus.CANCELLED: r.CANCELED, OrderStatus.EXPIRED: r.EXPIRED,
    OrderStatus.REJECTED: r.REJECTED,
}  # fmt: skip
_LEGS = {r.STOP_LOSS: tags.STOP, r.TARGET: tags.TARGET}
Key = tuple[int, str]  # number of an entry, and which leg


class Link(msgspec.Struct):
    """An order of the engine at the venue.

    Attributes
    ----------
    told
        Contracts of it whose fills the engine has been told.
    qty, limit, stop
        As the engine has them.
    acked, ended
        Whether it has been told that the venue has it, and that it is over.
    """

    approved: Approved
    venue_id: int | None = None
    told: int = 0
    qty: int = 0
    limit: int | None = None
    stop: int | None = None
    acked: bool = False
    ended: bool = False


class VenueBook:
    """The pairs, and the inputs that the venue's word makes of them.

    Parameters
    ----------
    strategy, runs
        Whose tags are ours: the strategy's name, and the runs of this trading day.
    index
        Venue's contract id to the engine's index.
    told
        Numbers of fills that the engine has been told before.
    closing
        The engine's orders that close a position, by side times contract index plus one: a fill of
        the venue's own closing order, which has no tag, is that one's.

    Attributes
    ----------
    told
        The same, with those told since.
    links
        Orders of the engine, by its number.
    """

    def __init__(
        self, strategy: str, runs: set[str], index: dict[str, int], told: set[int],
        closing: Callable[[], dict[int, int]],
    ) -> None:  # fmt: skip
        self._strategy, self.runs, self._index, self._closing = strategy, runs, index, closing
        self.told = told
        self.links: dict[int, Link] = {}  # by the engine's number
        self._legs: dict[Key, int] = {}  # to the engine's number
        self._by_venue: dict[int, int] = {}
        self._orders: dict[int, Order] = {}  # of the venue, ours and others
        self._unpaired: dict[int, Order] = {}  # those of ours that are no order of the engine yet
        self._waiting: list[Fill] = []

    # ------------------------------------------------------------ the engine's side
    def expect(self, order: Approved) -> list[Input]:
        """Take an order of the engine in; what the venue had told of it before comes out."""
        self.links[order.order] = Link(
            approved=order, told=order.filled, qty=order.qty, limit=order.limit, stop=order.stop
        )
        if order.role in _LEGS:
            self._legs[order.parent, _LEGS[order.role]] = order.order
        for known in list(self._unpaired.values()):
            if self._ours(known) == order.order:
                return [*self.order(known), *self._release()]
        return []

    def accepted(self, order: int, venue_id: int) -> list[Input]:
        """The venue has answered with its number of an order."""
        self._pair(order, venue_id)
        return self._release()

    def number(self, venue_id: int) -> int | None:
        """The engine's number of an order of the venue."""
        return self._by_venue.get(venue_id)

    def ended(self, order: int) -> None:
        """The engine itself ended it."""
        if order in self.links:
            self.links[order].ended = True

    def venue_id(self, order: int) -> int | None:
        """The venue's number of an order."""
        link = self.links.get(order)
        return None if link is None else link.venue_id

    def ours(self, order: Order) -> bool:
        """Whether an order of the venue is one of this session's."""
        return self._ours(order) is not None or self._of_us(order)

    def role_of(self, order: Order) -> int | None:
        """What an order of the venue is in a bracket of ours: stop, target; None neither."""
        tag = tags.read_tag(order.tag)
        if tag is None or not self._of_us(order):
            return None
        return next((role for role, leg in _LEGS.items() if leg == tag.leg), None)

    def entry_of(self, leg: Order) -> int:
        """The engine's number of the entry that a leg is tagged with; 0 without one."""
        tag = tags.read_tag(leg.tag)
        return 0 if tag is None else tag.intent

    # ------------------------------------------------------------ the venue's side
    def order(self, order: Order) -> list[Input]:
        """What the state of an order at the venue has to tell the engine."""
        self._orders[order.id] = order
        number = self._ours(order)
        if number is None or number not in self.links:
            if self._of_us(order):
                self._unpaired[order.id] = order
            return self._release()
        self._pair(number, order.id)
        link = self.links[number]
        found: list[Input] = []
        if not link.acked and not order.done:
            link.acked = True
            found.append(Input(r.VENUE_ACK, link.approved.contract, self._time(order), number))
        found += self._changed(link, order)
        found += self._release()
        return found + self._end(link, order)

    def fill(self, fill: Fill) -> list[Input]:
        """A fill at the venue; [] when it was told before, or has to wait."""
        if fill.id in self.told or fill.contract_id not in self._index or fill.voided:
            return []
        if all(fill.id != held.id for held in self._waiting):
            self._waiting.append(fill)
        return self._release()

    def waiting(self) -> list[Fill]:
        """Fills whose order is not known yet."""
        return list(self._waiting)

    def give_in(self) -> list[Input]:
        """Tell the waiting fills although nobody knows their orders: they are another hand's."""
        waiting, self._waiting = self._waiting, []
        return [self._tell_other(fill) for fill in waiting]

    # ------------------------------------------------------------ inside
    def _of_us(self, order: Order) -> bool:
        tag = tags.read_tag(order.tag)
        return tag is not None and tag.strategy == self._strategy and tag.run in self.runs

    def _ours(self, order: Order) -> int | None:
        """The engine's number of an order of the venue, as far as it can be told."""
        if order.id in self._by_venue:
            return self._by_venue[order.id]
        tag = tags.read_tag(order.tag)
        if tag is None or not self._of_us(order):
            return None
        if tag.leg in _LEGS.values():
            return self._legs.get((tag.intent, tag.leg))
        return tag.intent

    def _pair(self, number: int, venue_id: int) -> None:
        self._by_venue[venue_id] = number
        self._unpaired.pop(venue_id, None)
        if number in self.links:
            self.links[number].venue_id = venue_id

    def _release(self) -> list[Input]:
        """Fills that can be told now, in the order of their times."""
        found: list[Input] = []
        kept: list[Fill] = []
        for fill in sorted(self._waiting, key=lambda f: (f.ts, f.id)):
            number, order = self._by_venue.get(fill.order), self._orders.get(fill.order)
            if number is None and order is not None:
                number = self._ours(order)
                if not self._of_us(order):
                    found.append(self._tell_other(fill))
                    continue
            if number is None or number not in self.links:
                kept.append(fill)
                continue
            self.links[number].told += fill.qty
            found.append(self._tell(fill, number))
        self._waiting = kept
        for held in found:
            link = self.links.get(held.a)
            if link is not None and link.venue_id in self._orders:
                found = found + self._end(link, self._orders[link.venue_id])
        return found

    def _tell_other(self, fill: Fill) -> Input:
        """A fill of the venue's own closing order, or of another hand."""
        k = self._index[fill.contract_id]
        return self._tell(fill, self._closing().get(fill.side * (k + 1), 0))

    def _tell(self, fill: Fill, number: int) -> Input:
        self.told.add(fill.id)
        return Input(
            r.VENUE_FILL, self._index[fill.contract_id], fill.ts, number, fill.qty, fill.price,
            fill.side * fill.id,
        )  # fmt: skip

    def _end(self, link: Link, order: Order) -> list[Input]:
        status = _ENDS.get(order.status)
        if status is None or link.ended or order.filled > link.told:
            return []
        link.ended = True
        number = link.approved.order
        return [Input(r.VENUE_END, link.approved.contract, self._time(order), number, status)]

    def _changed(self, link: Link, order: Order) -> list[Input]:
        """Quantity and prices at the venue, where the engine has others."""
        if order.done:
            return []
        trails = order.type is OrderType.TRAILING_STOP
        limit = order.limit if order.limit not in (None, link.limit) else None
        stop = order.stop if order.stop not in (None, link.stop) and not trails else None
        # A leg grows with the fills of its entry, here as there: its quantity is no news.
        qty = order.qty if order.qty != link.qty and link.approved.role == r.ENTRY else 0
        if not qty and limit is None and stop is None:
            return []
        link.qty = qty or link.qty
        link.limit = link.limit if limit is None else limit
        link.stop = link.stop if stop is None else stop
        return [
            Input(
                r.VENUE_CHANGE, link.approved.contract, self._time(order), link.approved.order,
                qty, r.LOWEST if limit is None else limit, r.LOWEST if stop is None else stop,
            )
        ]  # fmt: skip

    @staticmethod
    def _time(order: Order) -> int:
        return order.updated or order.created

"""Whether each position has its stop at the venue, and no leg that could do more than close it.

A bracket's legs rest at the venue; what the engine has of them is only what it was told. A stop
that the venue refuses, or that somebody cancels in the platform, ends in the engine as well, so a
look at the engine alone would find nothing missing.

Quantities are contracts.

I/O: none
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pxresearch.brokers.base import Approved
from pxresearch.brokers.session import EngineSession
from pxresearch.brokers.venuebook import VenueBook
from pxresearch.core import records as r
from pxresearch.gateway.mirror import Mirror
from pxresearch.gateway.records import Order
from pxresearch.gateway.wire import OrderStatus, OrderType


class Protection:
    """The legs of one account.

    Parameters
    ----------
    index
        Venue's contract id to the engine's index.
    """

    def __init__(
        self, session: EngineSession, mirror: Mirror, book: VenueBook, index: Mapping[str, int]
    ) -> None:
        self._session, self._mirror, self._book, self._index = session, mirror, book, index
        self._aligned: set[int] = set()

    def exposed(self) -> dict[int, int]:
        """Contracts of a position whose stop does not work at the venue, by index.

        A position that was taken without a stop, by the strategy or by hand, is none.
        """
        working = {order.id: order for order in self._mirror.working}
        missing: dict[int, int] = {}
        covered: dict[int, int] = {}
        for o in self._live():
            if int(o["role"]) != r.STOP_LOSS:
                continue
            k, wanted = int(o["contract"]), int(o["qty"]) - int(o["filled"])
            there = working.get(self._book.venue_id(int(o["id"])) or 0)
            have = there.qty - there.filled if there and there.status is OrderStatus.OPEN else 0
            missing[k] = missing.get(k, 0) + max(wanted - have, 0)
            covered[k] = covered.get(k, 0) + wanted
        for contract_id, k in self._index.items():
            bare = abs(self._position(k)) - covered.get(k, 0)
            if bare > 0:
                missing[k] = missing.get(k, 0) + min(bare, self._lost(contract_id, k))
        return {k: qty for k, qty in missing.items() if qty}

    def surplus(self) -> dict[int, int]:
        """Legs that could do more than the position allows: the contracts each should have.

        By the venue's number; 0 is to be cancelled. A leg whose entry has not filled is none.
        """
        wanted = {int(o["id"]): int(o["qty"]) - int(o["filled"]) for o in self._live()}
        found: dict[int, int] = {}
        for order in self._mirror.working:
            k = self._index.get(order.contract_id)
            if (
                k is None
                or self._book.role_of(order) is None
                or order.status is OrderStatus.SUSPENDED
            ):
                continue
            number = self._book.number(order.id)
            if number is None:
                if not self._protects(k, order):
                    found[order.id] = 0
            elif wanted.get(number, 0) < order.qty - order.filled:
                found[order.id] = wanted.get(number, 0)
        return found

    def by_price(self, leg: Approved, there: Order | None) -> int | None:
        """Price, ticks, that a leg of a bracket given by prices has to be moved to; once.

        The venue knows distances only, and lays it that far from the fill. Whoever moves it
        afterwards means it.
        """
        parent = self._book.links.get(leg.parent)
        if parent is None or leg.role == r.EXIT or leg.order in self._aligned:
            return None
        venue_id = self._book.venue_id(leg.order)
        if there is None and venue_id is not None:
            there = self._mirror.orders.get(venue_id)
        if there is None or there.status is not OrderStatus.OPEN:
            return None
        self._aligned.add(leg.order)
        if there.type is OrderType.TRAILING_STOP:
            return None
        entry, stop = parent.approved, leg.role == r.STOP_LOSS
        wanted, has = (entry.stop_loss, there.stop) if stop else (entry.take_profit, there.limit)
        return wanted if wanted != has else None

    # ------------------------------------------------------------ inside
    def _protects(self, k: int, leg: Order) -> bool:
        """Whether a leg that the engine does not have may be one that its position needs.

        Of an entry whose fill is still to be told, or beyond what the engine's own legs cover.
        """
        entry, role = self._book.entry_of(leg), self._book.role_of(leg)
        covered = 0
        for o in self._live():
            if int(o["id"]) == entry:
                return True
            if int(o["contract"]) == k and int(o["role"]) == role:
                covered += int(o["qty"]) - int(o["filled"])
        position = self._position(k)
        return leg.side * position < 0 and covered < abs(position)

    def _live(self) -> list[Any]:
        engine = self._session.engine[0]
        return [engine["order"][int(i)] for i in engine["live"][: int(engine["live_n"])]]

    def _position(self, k: int) -> int:
        return int(self._session.engine[0]["contract"][k]["position"])

    def _lost(self, contract_id: str, k: int) -> int:
        """Contracts of the stops of the present position that ended at the venue without a fill."""
        position, opened = self._position(k), self._mirror.opened(contract_id)
        return sum(
            order.qty - order.filled
            for order in self._mirror.orders.values()
            if order.contract_id == contract_id
            and order.side * position < 0
            and self._ended(order, opened)
        )

    def _ended(self, order: Order, opened: int) -> bool:
        return (
            order.done
            and self._book.role_of(order) == r.STOP_LOSS
            and (order.updated or 0) >= opened
        )

"""What the venue is asked when its word is missing: an end, a fill, an order of before a restart.

The hub tells everything once. What it should have told and did not is read by REST, and taken in as
if the hub had brought it.

I/O: the network, through `rest`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from pxresearch.brokers.base import Approved, Input
from pxresearch.brokers.settings import LiveSettings
from pxresearch.brokers.venuebook import VenueBook
from pxresearch.clock import NS, Clock
from pxresearch.errors import GatewayError
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.desk import Desk
from pxresearch.gateway.lookup import of_place
from pxresearch.gateway.mirror import Mirror
from pxresearch.gateway.records import Order
from pxresearch.gateway.rest import Rest
from pxresearch.gateway.wire import OrderStatus

_BACK_NS = 600 * NS
_AGAIN_S = 2.0


class Enquiries:
    """The enquiries of one account.

    Parameters
    ----------
    saw
        Gets an order that was read.
    tell
        Gets what the engine is to be told.
    note
        As the broker's.

    Attributes
    ----------
    doubtful
        Orders of before a restart of which nobody knows yet whether the venue has them, in words.
    """

    def __init__(
        self, rest: Rest, desk: Desk, mirror: Mirror, directory: Directory, book: VenueBook, *,
        clock: Clock, settings: LiveSettings, note: Callable[[str, dict[str, Any]], None],
        saw: Callable[[Order], None], tell: Callable[[Sequence[Input]], None],
    ) -> None:  # fmt: skip
        self._rest, self._desk, self._mirror = rest, desk, mirror
        self._directory, self._book = directory, book
        self._clock, self._settings, self._note = clock, settings, note
        self._saw, self._tell = saw, tell
        self._looking = False
        self.doubtful: set[str] = set()

    async def ended(self, venue_id: int) -> None:
        """Ask for an order that should have ended, if the hub has not told its end."""
        await self._clock.sleep(self._settings.unknown_fill_s)
        there = self._mirror.orders.get(venue_id)
        if there is None or there.done:
            return
        try:
            row = await self._rest.order(self._mirror.account_id, venue_id, urgent=True)
        except GatewayError as error:
            self._note("trouble", {"why": f"order {venue_id} cannot be read: {error}"})
            return
        if row is not None:
            now = self._directory.order(row)
        elif self._book.ours(there):
            return  # the next reading decides
        else:  # a hub told of an order that the venue does not know
            now = msgspec.structs.replace(there, status=OrderStatus.CANCELLED)
        self._mirror.apply(now)
        self._saw(now)

    async def fills(self) -> None:
        """Read the last fills, those by which a flatten was done, and take in what is new."""
        now = self._clock.now()
        try:
            rows = await self._rest.trades(self._mirror.account_id, now - _BACK_NS, urgent=True)
            fills = sorted((self._directory.fill(row) for row in rows), key=lambda f: (f.ts, f.id))
        except GatewayError as error:
            self._note("trouble", {"why": f"the fills of the flatten cannot be read: {error}"})
            return
        for one in fills:
            self._mirror.apply(one)
            self._tell(self._book.fill(one))
        self._tell(self._book.give_in())

    def claim(self) -> bool:
        """Whether `orders_of_fills` is to be begun now: a fill waits, and nobody asks yet."""
        if self._looking or not self._book.waiting():
            return False
        self._looking = True
        return True

    async def orders_of_fills(self) -> None:
        """Ask for the orders of fills that nobody knows; what the venue has not is by hand."""
        try:
            await self._clock.sleep(self._settings.unknown_fill_s)
            for fill in self._book.waiting():
                try:
                    row = await self._rest.order(fill.account, fill.order, urgent=True)
                except GatewayError:
                    continue
                if row is not None:
                    self._tell(self._book.order(self._directory.order(row)))
            if not self._desk.unresolved:
                self._tell(self._book.give_in())
        finally:
            self._looking = False

    async def turns_up(self, order: Approved, tags: Sequence[str]) -> bool:
        """Look for an order of before a restart under its possible tags; False: it never arrived.

        From then on the desk watches for it as for a ghost.
        """
        name = f"order {order.order} of before the restart"
        self.doubtful.add(name)
        until = self._clock.now() + round(self._settings.doubt_s * NS)
        try:
            while self._book.venue_id(order.order) is None:
                await self._clock.sleep(_AGAIN_S)
                try:
                    rows = await self._rest.query_orders(
                        self._mirror.account_id, since_ns=order.decided - _BACK_NS, urgent=True
                    )
                except GatewayError:
                    continue
                if any(of_place(rows, tag) is not None for tag in tags):
                    row = next(row for row in rows if row.custom_tag in tags)
                    self._saw(self._directory.order(row))
                    self._mirror.apply(self._directory.order(row))
                elif self._clock.now() >= until:
                    self._desk.ghosts.update(tags)
                    return False
            return True
        finally:
            self.doubtful.discard(name)

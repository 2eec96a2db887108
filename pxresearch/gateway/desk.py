"""Orders out, and what became of each: an unknown outcome is looked up until it is known.

A mutation goes out once. When its outcome is unknown the venue is asked, again and again with
growing pauses, until the answer is certain: found is found; *not there* counts only after a while
(`DeskSettings`), because a slow venue may still be working on it. An order that turns up even later
is reported by `saw`, so that it can be cancelled.

While anything is unresolved, `unresolved` is not empty, and nothing that adds exposure goes out;
cancels and closes always do.

I/O: the network, through `rest`.
"""

from __future__ import annotations

from typing import Protocol

from pxresearch.clock import NS, Clock, WallClock
from pxresearch.errors import GatewayError
from pxresearch.gateway import lookup, records, wire
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.orders import Change, Market, NewOrder, modify_request, place_request
from pxresearch.gateway.outcome import (
    NOT_FOUND,
    NOT_SENT,
    REFUSED_HERE,
    Accepted,
    Outcome,
    Rejected,
    Unknown,
)
from pxresearch.gateway.pending import Case, DeskSettings, Pending
from pxresearch.gateway.profiles import Profile
from pxresearch.gateway.wire import OrderStatus

NOT_DONE = "NOT_DONE"
_BACK_NS = 600 * NS  # our clock and the venue's may differ, and an order be older by its own
_READING_S = 2.0  # for the position before a partial close


class Venue(Protocol):
    """What a desk needs of `Rest`."""

    async def place(self, request: wire.PlaceOrder) -> Outcome: ...  # noqa: D102
    async def modify(self, request: wire.ModifyOrder) -> Outcome: ...  # noqa: D102
    async def cancel(self, account: int, order_id: int) -> Outcome: ...  # noqa: D102
    async def close_contract(self, account: int, contract_id: str) -> Outcome: ...  # noqa: D102
    async def partial_close(  # noqa: D102
        self, account: int, contract_id: str, size: int
    ) -> Outcome: ...
    async def order(  # noqa: D102
        self, account: int, order_id: int, *, urgent: bool = False
    ) -> wire.Order | None: ...
    async def query_orders(  # noqa: D102
        self, account: int, statuses: list[OrderStatus] | None = None, *,
        since_ns: int | None = None, until_ns: int | None = None, contract_id: str | None = None,
        urgent: bool = False,
    ) -> list[wire.Order]: ...  # fmt: skip
    async def orders(  # noqa: D102
        self, account: int, since_ns: int, until_ns: int | None = None, *, urgent: bool = False
    ) -> list[wire.Order]: ...
    async def positions(  # noqa: D102
        self, account: int, *, urgent: bool = False
    ) -> list[wire.Position]: ...


class Desk:
    """The order desk of one gateway session.

    Attributes
    ----------
    ghosts
        Tags of orders that were taken as not accepted; `saw` watches for them.
    """

    def __init__(
        self, rest: Venue, directory: Directory, profile: Profile, *, clock: Clock | None = None,
        settings: DeskSettings | None = None,
    ) -> None:  # fmt: skip
        self._rest, self._directory, self._profile = rest, directory, profile
        self._clock = clock or WallClock()
        self._settings = settings or DeskSettings()
        self._pending = Pending(self._clock, self._settings)
        self._used: set[str] = set()
        self.ghosts: set[str] = set()

    @property
    def unresolved(self) -> tuple[str, ...]:
        """What was sent and nobody knows yet: tags of orders, and other requests in words."""
        return self._pending.names

    async def settle(self) -> dict[str, Outcome]:
        """Look up again whatever is unresolved; what became of each."""
        return await self._pending.settle()

    # ------------------------------------------------------------ orders
    async def place(
        self, order: NewOrder, market: Market | None = None, *, reduces: bool = False
    ) -> Outcome:
        """Place an order.

        Parameters
        ----------
        market
            For the checks of a stop, and the level of a trailing stop.
        reduces
            It can only make the position smaller: it goes out while something is unresolved.

        Returns
        -------
        Accepted, Rejected or Unknown
            Unknown only when the venue could not be asked for `give_up_s`.
        """
        if self.unresolved and not reduces:
            return _refused(f"nobody knows yet what became of: {', '.join(self.unresolved)}")
        if order.tag in self._used:
            return _refused(f"tag {order.tag!r} has been used; every order has its own")
        listing = self._directory.listing(order.contract_id)
        request = place_request(order, listing, market, self._profile)
        if isinstance(request, Rejected):
            return request
        self._used.add(order.tag)
        sent = self._clock.now()
        case = Case(
            what=order.tag, look=lambda: self._find(order, sent),
            absent=lambda: self._ghost(order.tag), settle_s=self._settings.settle_s,
        )  # fmt: skip
        outcome = await self._pending.send(self._rest.place(request), case)
        if isinstance(outcome, Rejected) and outcome.reason == NOT_SENT:
            self._used.discard(order.tag)
        return outcome

    async def _find(self, order: NewOrder, sent: int) -> Accepted | Rejected | None:
        """By its tag, in both lists: an order may show in one before the other."""
        since, failure = sent - _BACK_NS, None
        try:
            rows = await self._rest.query_orders(order.account, since_ns=since, urgent=True)
        except GatewayError as error:
            rows, failure = [], error
        found = lookup.of_place(rows, order.tag)
        if found is None:
            rows = await self._rest.orders(order.account, since, urgent=True)
            found = lookup.of_place(rows, order.tag)
        if found is None and failure is not None:
            raise failure  # half a look proves nothing
        return found

    def _ghost(self, tag: str) -> Rejected:
        self.ghosts.add(tag)
        return Rejected(
            reason=NOT_FOUND,
            text=f"no answer came, and the venue has no order with tag {tag}: it was not accepted",
        )

    def saw(self, order: records.Order) -> bool:
        """Whether an order that the venue now tells of was given up, and lives after all.

        It then works without anybody's knowledge: cancel it, and close what it has filled. To be
        called with every order that a stream or a resync brings.
        """
        tag = order.tag or ""
        if not self._pending.give_back(tag) and tag not in self.ghosts:
            return False
        self.ghosts.discard(tag)
        return not (order.done and order.filled == 0)

    async def cancel(self, account: int, order_id: int) -> Outcome:
        """Cancel an order.

        Returns
        -------
        Accepted, Rejected or Unknown
            Rejected as OrderFilled, OrderCancelled, OrderEnded or OrderNotFound where nothing was
            left to cancel; as NOT_DONE where it still works, and may be sent again.
        """

        async def look() -> Accepted | Rejected | None:
            return lookup.of_cancel(await self._row(account, order_id), order_id)

        what = f"cancel of order {order_id}"
        case = Case(
            what=what, look=look, absent=lambda: _not_done(what), settle_s=self._settings.repeat_s
        )
        outcome = await self._pending.send(self._rest.cancel(account, order_id), case)
        return await self._told_apart(outcome, account, order_id)

    async def modify(
        self, account: int, order_id: int, contract_id: str, *, qty: int | None = None,
        limit: int | None = None, stop: int | None = None, trail: int | None = None,
        side: int | None = None, market: Market | None = None,
    ) -> Outcome:  # fmt: skip
        """Change quantity or prices (ticks) of an order; what is left out stays. See `Change`."""
        change = Change(
            account=account, order_id=order_id, contract_id=contract_id, qty=qty, limit=limit,
            stop=stop, trail=trail, side=side,
        )  # fmt: skip
        request = modify_request(change, self._directory.listing(contract_id), market)
        if isinstance(request, Rejected):
            return request

        async def look() -> Accepted | Rejected | None:
            row = await self._row(account, order_id)
            return lookup.of_modify(row, change, self._directory)

        what = f"change of order {order_id}"
        case = Case(
            what=what, look=look, absent=lambda: _not_done(what), settle_s=self._settings.settle_s
        )
        outcome = await self._pending.send(self._rest.modify(request), case)
        return await self._told_apart(outcome, account, order_id)

    async def _told_apart(self, outcome: Outcome, account: int, order_id: int) -> Outcome:
        """A refused cancel or change, with the reason that the order itself gives."""
        vague = ("OrderNotFound", "Rejected")
        if not isinstance(outcome, Rejected) or outcome.reason not in vague:
            return outcome
        try:
            return lookup.ended(await self._row(account, order_id), order_id) or outcome
        except GatewayError:
            return outcome

    async def _row(self, account: int, order_id: int) -> wire.Order | None:
        return await self._rest.order(account, order_id, urgent=True)

    # ------------------------------------------------------------ positions
    async def close(self, account: int, contract_id: str) -> Outcome:
        """Close a position at the market; resting legs stay and are the caller's to cancel."""

        async def look() -> Accepted | None:
            size = await self._size(account, contract_id)
            return Accepted(found=True) if size == 0 else None

        what = f"close of {contract_id} in account {account}"
        case = Case(
            what=what, look=look, absent=lambda: _not_done(what), settle_s=self._settings.repeat_s
        )
        return await self._pending.send(self._rest.close_contract(account, contract_id), case)

    async def partial_close(self, account: int, contract_id: str, qty: int) -> Outcome:
        """Close `qty` contracts of a position at the market.

        An unknown outcome is settled by the size of the position: it is accepted once that is down
        to what was to be left, whoever brought it there.
        """
        if qty < 1:
            return _refused(f"{qty} contracts to close: at least 1")
        what = f"close of {qty} {contract_id} in account {account}"
        try:
            before = await self._clock.within(_READING_S, self._size(account, contract_id))
            left = before - qty
        except (GatewayError, TimeoutError):  # it goes out all the same; only flat is proof then
            left = None

        async def look() -> Accepted | None:
            size = await self._size(account, contract_id)
            return Accepted(found=True) if size <= max(0, left or 0) else None

        case = Case(
            what=what, look=look, settle_s=self._settings.settle_s,
            absent=lambda: _not_done(what) if left is not None else _never_known(what),
        )  # fmt: skip
        return await self._pending.send(self._rest.partial_close(account, contract_id, qty), case)

    async def _size(self, account: int, contract_id: str) -> int:
        rows = await self._rest.positions(account, urgent=True)
        return sum(row.size for row in rows if row.contract_id == contract_id)


def _not_done(what: str) -> Rejected:
    text = f"the {what} got no answer, and the venue shows no trace of it: it may be sent again"
    return Rejected(reason=NOT_DONE, text=text)


def _never_known(what: str) -> Unknown:
    return Unknown(why=f"the {what} got no answer, and what was open before it is not known")


def _refused(text: str) -> Rejected:
    return Rejected(reason=REFUSED_HERE, text=text)

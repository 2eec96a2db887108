"""Orders out, and what became of each: an unknown outcome is looked up until it is known.

A mutation goes out once. When its outcome is unknown the venue is asked, again and again with
growing pauses, until the answer is certain: found is found; *not there* counts only after
`settle_s`, because a slow venue may still be working on it. An order that turns up even later is
reported by `saw`, so that it can be cancelled.

While anything is unresolved, `unresolved` is not empty, and nothing that adds exposure goes out.

I/O: the network, through `rest`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from pxresearch.clock import NS, Clock, WallClock
from pxresearch.errors import GatewayError
from pxresearch.gateway import records, wire
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.orders import Market, NewOrder, place_request
from pxresearch.gateway.outcome import (
    NOT_FOUND,
    REFUSED_HERE,
    Accepted,
    Outcome,
    Rejected,
    Unknown,
    explain,
)
from pxresearch.gateway.profiles import Profile
from pxresearch.gateway.wire import OrderStatus

NOT_DONE = "NOT_DONE"
ORDER_FILLED = "OrderFilled"
ORDER_DONE = "OrderDone"
_SKEW_NS = 60 * NS  # between our clock and the venue's
_LOOKS = 3  # empty look-ups before "not there" is believed


class DeskSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How an unknown outcome is looked up; seconds.

    Attributes
    ----------
    first_s, longest_s
        Pauses between look-ups, doubling.
    settle_s
        An order that is not there so long after it was sent was not accepted.
    give_up_s
        The venue cannot be asked for so long: the outcome stays unknown.
    """

    first_s: float = 0.25
    longest_s: float = 5.0
    settle_s: float = 30.0
    give_up_s: float = 600.0


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
    unresolved
        Tags and descriptions of what nobody knows yet.
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
        self.unresolved: set[str] = set()
        self.ghosts: set[str] = set()
        self._used: set[str] = set()

    # ------------------------------------------------------------ orders
    async def place(self, order: NewOrder, market: Market | None = None) -> Outcome:
        """Place an order.

        Returns
        -------
        Accepted, Rejected or Unknown
            Unknown only when the venue could not be asked for `give_up_s`.
        """
        if self.unresolved:
            return _refused(f"the outcome of {', '.join(sorted(self.unresolved))} is not known yet")
        if order.tag in self._used:
            return _refused(f"tag {order.tag!r} has been used; every order has its own")
        request = place_request(order, self._directory.listing(order.contract_id), market,
                                self._profile)  # fmt: skip
        if isinstance(request, Rejected):
            return request
        self._used.add(order.tag)
        sent = self._clock.now()
        outcome = await self._guarded(order.tag, self._rest.place(request))
        if not isinstance(outcome, Unknown):
            return outcome
        outcome = await self._resolve(
            order.tag, outcome, lambda: self._find(order, sent), lambda: _absent(order.tag)
        )
        if isinstance(outcome, Rejected) and outcome.reason == NOT_FOUND:
            self.ghosts.add(order.tag)
        return outcome

    async def _find(self, order: NewOrder, sent: int) -> Accepted | Rejected | None:
        since = sent - _SKEW_NS
        rows = await self._rest.query_orders(order.account, since_ns=since, urgent=True)
        if not any(row.custom_tag == order.tag for row in rows):
            rows = await self._rest.orders(order.account, since, urgent=True)
        for row in rows:
            if row.custom_tag == order.tag:
                if row.status is OrderStatus.REJECTED:
                    return Rejected(
                        reason="OrderRejected", order_id=row.id,
                        text="the venue rejected the order; its reason was lost with the answer",
                    )  # fmt: skip
                return Accepted(order_id=row.id, found=True)
        return None

    def saw(self, order: records.Order) -> bool:
        """Whether an order that the venue now tells of had been taken as not accepted.

        It then works without anybody's knowledge: cancel it, and close what it has filled.
        """
        if order.tag not in self.ghosts:
            return False
        if order.tag is not None:
            self.ghosts.discard(order.tag)
        return order.status is not OrderStatus.REJECTED

    async def cancel(self, account: int, order_id: int) -> Outcome:
        """Cancel an order; one that has filled or ended already is rejected, by that name."""
        what = f"cancel of order {order_id}"
        outcome = await self._guarded(what, self._rest.cancel(account, order_id))
        if isinstance(outcome, Accepted):
            return outcome

        async def look() -> Accepted | Rejected | None:
            row = await self._rest.order(account, order_id, urgent=True)
            return _of_cancel(row, order_id)

        if isinstance(outcome, Rejected):
            return await self._told_apart(outcome, look)
        return await self._resolve(what, outcome, look, lambda: _not_done(what))

    async def _told_apart(
        self, outcome: Rejected, look: Callable[[], Awaitable[Accepted | Rejected | None]]
    ) -> Outcome:
        """A refused cancel, with the reason that the order itself gives."""
        if outcome.reason not in ("OrderNotFound", "Rejected"):
            return outcome
        try:
            found = await look()
        except GatewayError:
            return outcome
        return found if isinstance(found, Rejected) else outcome

    async def modify(
        self, account: int, order_id: int, contract_id: str, *, qty: int | None = None,
        limit: int | None = None, stop: int | None = None,
    ) -> Outcome:  # fmt: skip
        """Change quantity or prices (ticks) of an order; what is left out stays."""
        listing = self._directory.listing(contract_id)
        if qty is None and limit is None and stop is None:
            return _refused("nothing to change: give qty, limit or stop")
        if qty is not None and qty < 1:
            return _refused(f"quantity {qty}: at least 1 contract; to end an order, cancel it")
        request = wire.ModifyOrder(
            account_id=account, order_id=order_id, size=qty,
            limit_price=None if limit is None else listing.to_price(limit),
            stop_price=None if stop is None else listing.to_price(stop),
        )  # fmt: skip
        what = f"change of order {order_id}"
        outcome = await self._guarded(what, self._rest.modify(request))
        if not isinstance(outcome, Unknown):
            return outcome

        async def look() -> Accepted | Rejected | None:
            row = await self._rest.order(account, order_id, urgent=True)
            return _of_modify(row, request)

        return await self._resolve(what, outcome, look, lambda: _not_done(what))

    async def close(self, account: int, contract_id: str) -> Outcome:
        """Close a position at the market; resting legs stay and are the caller's to cancel."""
        return await self._close(account, contract_id, None)

    async def partial_close(self, account: int, contract_id: str, qty: int) -> Outcome:
        """Close `qty` contracts of a position at the market."""
        return await self._close(account, contract_id, qty)

    async def _close(self, account: int, contract_id: str, qty: int | None) -> Outcome:
        what = f"close of {contract_id}"
        before = 0
        if qty is not None:
            try:
                before = await self._size(account, contract_id)
            except GatewayError as error:
                return _refused(f"the position cannot be read, so no part of it is closed: {error}")
        call = (
            self._rest.close_contract(account, contract_id)
            if qty is None
            else self._rest.partial_close(account, contract_id, qty)
        )
        outcome = await self._guarded(what, call)
        if not isinstance(outcome, Unknown):
            return outcome
        left = 0 if qty is None else before - qty

        async def look() -> Accepted | Rejected | None:
            size = await self._size(account, contract_id)
            return Accepted(found=True) if size <= left else None

        return await self._resolve(what, outcome, look, lambda: _not_done(what))

    async def _size(self, account: int, contract_id: str) -> int:
        rows = await self._rest.positions(account, urgent=True)
        return sum(row.size for row in rows if row.contract_id == contract_id)

    # ------------------------------------------------------------ looking up
    async def _guarded(self, what: str, call: Awaitable[Outcome]) -> Outcome:
        """Outcome of a call; while it is on its way, and if it is cut off, it is unresolved."""
        self.unresolved.add(what)
        outcome = await call
        if not isinstance(outcome, Unknown):
            self.unresolved.discard(what)
        return outcome

    async def _resolve(
        self, what: str, unknown: Unknown,
        look: Callable[[], Awaitable[Accepted | Rejected | None]],
        absent: Callable[[], Rejected],
    ) -> Outcome:  # fmt: skip
        s, started = self._settings, self._clock.now()
        pause, empty, why = s.first_s, 0, unknown.why
        while True:
            await self._clock.sleep(pause)
            pause = min(2 * pause, s.longest_s)
            try:
                found = await look()
            except GatewayError as error:
                why = f"{unknown.why}; and it cannot be looked up: {error}"
                if self._clock.now() - started >= s.give_up_s * NS:
                    return Unknown(why=why, status=unknown.status)
                continue
            empty += 1
            settled = self._clock.now() - started >= s.settle_s * NS and empty >= _LOOKS
            if found is None and not settled:
                continue
            self.unresolved.discard(what)
            return found or absent()


def _of_cancel(row: wire.Order | None, order_id: int) -> Accepted | Rejected | None:
    """What an order says about the cancel of it; None while it still works."""
    if row is None:
        name = "OrderNotFound"
        return Rejected(reason=name, text=f"order {order_id}: {explain(name, None)}")
    if row.status is OrderStatus.CANCELLED:
        return Accepted(order_id=order_id, found=True)
    if row.status is OrderStatus.FILLED:
        return Rejected(
            reason=ORDER_FILLED, order_id=order_id,
            text=f"order {order_id} filled before the cancel reached it",
        )  # fmt: skip
    if row.status.done:
        return Rejected(
            reason=ORDER_DONE, order_id=order_id,
            text=f"order {order_id} had ended already ({row.status.name.lower()})",
        )  # fmt: skip
    return None


def _of_modify(row: wire.Order | None, wanted: wire.ModifyOrder) -> Accepted | Rejected | None:
    if row is None or row.status.done:
        name = "OrderNotFound"
        return Rejected(reason=name, text=f"order {wanted.order_id}: {explain(name, None)}")
    pairs = (
        (wanted.size, row.size), (wanted.limit_price, row.limit_price),
        (wanted.stop_price, row.stop_price),
    )  # fmt: skip
    if all(asked is None or asked == held for asked, held in pairs):
        return Accepted(order_id=wanted.order_id, found=True)
    return None


def _absent(tag: str) -> Rejected:
    return Rejected(
        reason=NOT_FOUND,
        text=f"no answer came, and the venue has no order with tag {tag}: it was not accepted",
    )


def _not_done(what: str) -> Rejected:
    return Rejected(
        reason=NOT_DONE, text=f"the {what} got no answer, and the venue shows no trace of it"
    )


def _refused(text: str) -> Rejected:
    return Rejected(reason=REFUSED_HERE, text=text)

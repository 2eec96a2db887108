"""A toy venue behind the desk: it takes, loses and delays what it is sent, by a drawn fate.

It keeps the truth apart from what it tells. Orders rest until they are cancelled; a position is a
number. Everything is by the clock of the test.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import msgspec

from pxresearch.clock import NS, VirtualClock
from pxresearch.core.records import LIMIT
from pxresearch.errors import NotReachable
from pxresearch.gateway import wire
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.desk import Desk
from pxresearch.gateway.orders import NewOrder
from pxresearch.gateway.outcome import Accepted, Outcome, Rejected, Unknown
from pxresearch.gateway.profiles import profile
from pxresearch.gateway.wire import OrderStatus
from tests.payloads import CONTRACT
from tests.stub_gateway import START

ACCOUNT = 7001122
NAMES = Directory([wire.decode(CONTRACT, wire.Contract)])
MNQ = NAMES.find("MNQ").id
FATES = ("answer", "lost", "dropped", "late", "refused", "refused lost")
TIMEOUT_S = 10.0


class ToyVenue:
    """See the module.

    Attributes
    ----------
    fate
        Of the next mutation; drawn anew for each where it is None.
    late_s
        After its time-out a *late* request takes effect so much later.
    blind
        Share of look-ups that fail, 0 to 1.
    clear
        So many look-ups do not fail before that begins.
    sent
        How often each mutation arrived: by tag, or by operation and id.
    """

    def __init__(self, clock: VirtualClock, seed: int = 0) -> None:
        self.clock, self.rng = clock, random.Random(seed)
        self.fate: str | None = "answer"
        self.late_s = 5.0
        self.blind = 0.0
        self.clear = 0
        self.skew_s = 0.0
        self.book: dict[int, wire.Order] = {}
        self.sizes: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self._due: list[tuple[int, Callable[[], Outcome]]] = []

    def by_tag(self, tag: str) -> list[wire.Order]:
        """The truth about a tag, by now."""
        self._catch_up()
        return [row for row in self.book.values() if row.custom_tag == tag]

    # ------------------------------------------------------------ mutations
    async def place(self, request: wire.PlaceOrder) -> Outcome:
        return await self._meet(request.custom_tag or "", lambda ok: self._place(request, ok))

    async def modify(self, request: wire.ModifyOrder) -> Outcome:
        return await self._meet(
            f"modify {request.order_id}", lambda ok: self._modify(request, ok)
        )  # fmt: skip

    async def cancel(self, account: int, order_id: int) -> Outcome:
        return await self._meet(f"cancel {order_id}", lambda ok: self._cancel(order_id, ok))

    async def close_contract(self, account: int, contract_id: str) -> Outcome:
        return await self._meet(f"close {contract_id}", lambda ok: self._close(contract_id, 0, ok))

    async def partial_close(self, account: int, contract_id: str, size: int) -> Outcome:
        return await self._meet(
            f"close {contract_id}", lambda ok: self._close(contract_id, size, ok)
        )

    async def _meet(self, name: str, act: Callable[[bool], Outcome]) -> Outcome:
        self._catch_up()
        self.sent[name] += 1
        fate = self.fate or self.rng.choice(FATES)
        if fate in ("answer", "refused"):
            return act(fate == "answer")
        if fate in ("lost", "refused lost"):
            act(fate == "lost")
        await self.clock.sleep(TIMEOUT_S)
        if fate == "late":
            due = self.clock.now() + round(self.late_s * NS)
            self._due.append((due, lambda: act(True)))
        return Unknown(why=f"{name}: no answer within {TIMEOUT_S:g} s")

    def _catch_up(self) -> None:
        ready = [act for due, act in self._due if due <= self.clock.now()]
        self._due = [(due, act) for due, act in self._due if due > self.clock.now()]
        for act in ready:
            act()

    def _place(self, request: wire.PlaceOrder, taken: bool) -> Outcome:
        number = 3_900_000_000 + len(self.book)
        self.book[number] = wire.Order(
            id=number, account_id=request.account_id, contract_id=request.contract_id,
            creation_timestamp=wire.to_iso(self.clock.now() + round(self.skew_s * NS)),
            status=OrderStatus.OPEN if taken else OrderStatus.REJECTED, type=request.type,
            side=request.side, size=request.size, limit_price=request.limit_price,
            stop_price=request.stop_price, custom_tag=request.custom_tag,
        )  # fmt: skip
        if taken:
            return Accepted(order_id=number)
        return Rejected(reason="OrderRejected", text="refused by the toy", code=2, order_id=number)

    def _modify(self, request: wire.ModifyOrder, taken: bool) -> Outcome:
        row = self.book.get(request.order_id)
        if not taken or row is None or row.status.done:
            return Rejected(reason="OrderNotFound", text="refused by the toy", code=2)
        wanted = {
            name: value
            for name in ("size", "limit_price", "stop_price")
            if (value := getattr(request, name)) is not None
        }
        self.book[row.id] = msgspec.structs.replace(row, **wanted)
        return Accepted()

    def _cancel(self, order_id: int, taken: bool) -> Outcome:
        row = self.book.get(order_id)
        if not taken or row is None or row.status.done:
            return Rejected(reason="OrderNotFound", text="refused by the toy", code=2)
        self.end(order_id, OrderStatus.CANCELLED)
        return Accepted()

    def _close(self, contract_id: str, size: int, taken: bool) -> Outcome:
        held = self.sizes[contract_id]
        if not taken or held == 0 or size > held:
            return Rejected(reason="PositionNotFound", text="refused by the toy", code=2)
        self.sizes[contract_id] -= size or held
        return Accepted()

    def end(self, order_id: int, status: OrderStatus) -> None:
        """An order ends."""
        self.book[order_id] = msgspec.structs.replace(self.book[order_id], status=status)

    # ------------------------------------------------------------ look-ups
    def _look(self) -> None:
        self._catch_up()
        self.clear -= 1
        if self.clear < 0 and self.rng.random() < self.blind:
            raise NotReachable("no answer in 5 attempts")

    async def order(
        self, account: int, order_id: int, *, urgent: bool = False
    ) -> wire.Order | None:
        assert urgent
        self._look()
        return self.book.get(order_id)

    async def query_orders(
        self, account: int, statuses: list[OrderStatus] | None = None, *,
        since_ns: int | None = None, until_ns: int | None = None, contract_id: str | None = None,
        urgent: bool = False,
    ) -> list[wire.Order]:  # fmt: skip
        assert urgent
        self._look()
        found: list[wire.Order] = []
        for row in reversed(self.book.values()):
            if wire.to_ns(row.creation_timestamp) < (since_ns or 0):
                break
            found.append(row)
        return found

    async def orders(
        self, account: int, since_ns: int, until_ns: int | None = None, *, urgent: bool = False
    ) -> list[wire.Order]:
        return await self.query_orders(account, since_ns=since_ns, urgent=urgent)

    async def positions(self, account: int, *, urgent: bool = False) -> list[wire.Position]:
        assert urgent
        self._look()
        first = wire.Position(
            id=1, account_id=account, contract_id="", type=wire.PositionType.LONG, size=0,
            creation_timestamp=wire.to_iso(self.clock.now()), average_price=Decimal("25100.5"),
        )  # fmt: skip
        return [
            msgspec.structs.replace(first, contract_id=name, size=size)
            for name, size in self.sizes.items()
            if size
        ]


Work = Callable[[Desk, ToyVenue, VirtualClock], Awaitable[None]]


def play(work: Work, seed: int = 0) -> None:
    async def main() -> None:
        clock = VirtualClock(START)
        venue = ToyVenue(clock, seed)
        await clock.run(work(Desk(venue, NAMES, profile("simulator"), clock=clock), venue, clock))

    asyncio.run(main())


def limit(n: int = 1, **changes: Any) -> NewOrder:
    base = {
        "account": ACCOUNT, "contract_id": MNQ, "kind": LIMIT, "side": 1, "qty": 2,
        "limit": 100_000, "tag": f"px.Test.r1.{n}.E", "is_automated": True,
    }  # fmt: skip
    return NewOrder(**{**base, **changes})


def reason(outcome: Outcome) -> str:
    assert isinstance(outcome, Rejected), outcome
    assert len(outcome.text) > 15
    return outcome.reason

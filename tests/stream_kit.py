"""A stream of the simulated exchange: a hub that can be away, reads that others trade through."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any

import msgspec

from pxresearch.clock import VirtualClock
from pxresearch.errors import NotReachable
from pxresearch.gateway import wire
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.records import Event, Gap, Hub, Resynced, Update
from pxresearch.gateway.stream import Stream
from tests.exchange_kit import ACCOUNT, ME, MNQ, START, Kit
from tests.venue_life import MID, directory, live, record, snapshot


class Venue:
    """An exchange with a hub that can be away and REST reads that others trade through."""

    def __init__(self, seed: int, busy: float = 0.0) -> None:
        self.kit = Kit(partial_fills=True, limit_fill="touch")
        self.kit.open_market(MID)
        self.names = directory(self.kit)
        self.clock = VirtualClock(START)
        self.rng = random.Random(seed)
        self.busy = busy
        self.connected = True
        self.refuse = 0  # reads to fail
        self.restless = False  # somebody buys with every read
        self.hidden = False  # no trade is shown
        self.off_grid = False  # prices of trades lie between two ticks
        self.reads = 0
        self.inbox: asyncio.Queue[list[Event]] = asyncio.Queue()
        self._told = len(self.kit.events)

    # ------------------------------------------------------------ the hubs
    def subscribe_account(self, account: int) -> None:
        assert account == ACCOUNT

    async def start(self) -> None:
        self.put(Gap(hub=Hub.USER, since=0, until=self.clock.now(), reason="connected"))

    async def stop(self) -> None:
        self.inbox.put_nowait([])

    async def get(self) -> list[Event]:
        return await self.inbox.get()

    def put(self, *events: Event) -> None:
        self.inbox.put_nowait(list(events))

    def tell(self) -> None:
        """Send what the exchange has told since the last time, or lose it while away."""
        fresh, self._told = self.kit.events[self._told :], len(self.kit.events)
        if self.connected and fresh:
            self.put(*(Update(received=0, record=record(self.names, e.record)) for e in fresh))

    def tell_but(self, kind: type) -> None:
        """The same without the records of a kind."""
        self.kit.events[self._told :] = [
            e for e in self.kit.events[self._told :] if not isinstance(e.record, kind)
        ]
        self.tell()

    def drop(self) -> None:
        self.connected = False
        self.put(Gap(hub=Hub.USER, since=self.clock.now(), until=None, reason="dropped"))

    def back(self) -> None:
        self.connected = True
        self.put(Gap(hub=Hub.USER, since=0, until=self.clock.now(), reason="reconnected"))

    def trade(self, steps: int) -> None:
        live(self.kit, self.rng.randrange(10**9), steps)
        self.tell()

    # ------------------------------------------------------------ the reads
    def _call(self, operation: wire.Operation, request: Any) -> Any:
        self.reads += 1
        if self.refuse:
            self.refuse -= 1
            raise NotReachable("the gateway is down")
        if self.restless:
            self.kit.place(1)
        if self.rng.random() < self.busy:
            self.trade(1)
        return self.kit.venue.call(ME, operation, request, self.kit.now)

    async def accounts(self, only_active: bool = True) -> list[wire.Account]:
        request = wire.SearchAccounts(only_active_accounts=only_active)
        return self._call(wire.ACCOUNT_SEARCH, request).accounts

    async def contract(self, contract_id: str) -> wire.Contract | None:
        return self._call(wire.CONTRACT_BY_ID, wire.ContractById(contract_id=contract_id)).contract

    async def order(self, account: int, order_id: int) -> wire.Order | None:
        request = wire.OneOrder(account_id=account, order_id=order_id)
        return self._call(wire.ORDER_BY_ID, request).order

    async def orders(
        self, account: int, since_ns: int, until_ns: int | None = None
    ) -> list[wire.Order]:
        request = wire.Window(account_id=account, start_timestamp=wire.to_iso(since_ns))
        return self._call(wire.ORDER_SEARCH, request).orders

    async def working_orders(self, account: int) -> list[wire.Order]:
        inner = wire.OrderFilter(account_id=account, statuses=list(wire.WORKING))
        return self._call(wire.ORDER_QUERY, wire.QueryOrders(filter=inner)).orders

    async def positions(self, account: int) -> list[wire.Position]:
        return self._call(wire.POSITION_OPEN, wire.OfAccount(account_id=account)).positions

    async def trades(
        self, account: int, since_ns: int, until_ns: int | None = None
    ) -> list[wire.Trade]:
        request = wire.Window(account_id=account, start_timestamp=wire.to_iso(since_ns))
        rows = [] if self.hidden else self._call(wire.TRADE_SEARCH, request).trades
        if self.off_grid:
            return [msgspec.structs.replace(row, price=row.price + Decimal("0.1")) for row in rows]
        return rows


def run(venue: Venue, script: Callable[[Stream], Coroutine[Any, Any, None]]) -> None:
    """Run a script with a stream of the venue, which has named no contract but MNQ."""

    async def main() -> None:
        names = Directory(one.row() for one in venue.kit.venue.listed if one.id == MNQ)
        stream = Stream(venue, venue, names, [ACCOUNT], clock=venue.clock)
        await stream.start()
        try:
            await script(stream)
        finally:
            await stream.stop()

    async def virtual() -> None:
        await venue.clock.run(main())

    asyncio.run(virtual())


async def until(stream: Stream, kind: type[Event]) -> list[Event]:
    """Events up to and with the batch that holds one of this kind."""
    found: list[Event] = []
    while not any(isinstance(event, kind) for event in found):
        found += await stream.get()
    return found


def assert_equal(venue: Venue, stream: Stream) -> None:
    truth, mirror = snapshot(venue.kit, venue.names), stream.mirrors[ACCOUNT]
    assert mirror.positions == {row.contract_id: row.qty for row in truth.positions}
    assert {o.id: o.status for o in mirror.orders.values()} == {
        o.id: o.status for o in truth.orders
    }
    assert {o.id: o.filled for o in mirror.orders.values()} == {
        o.id: o.filled for o in truth.orders
    }
    assert mirror.fills.keys() == {f.id for f in truth.fills}
    assert mirror.account == truth.account


async def calm(stream: Stream) -> None:
    """The first reading, and that of the connect."""
    await until(stream, Resynced)
    await until(stream, Resynced)

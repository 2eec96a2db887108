"""After a gap nothing is believed before the account has been read: 1,000 lives with outages."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from pxresearch.clock import NS, VirtualClock
from pxresearch.errors import NotReachable
from pxresearch.gateway import wire
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.records import Event, Gap, Hub, Notice, Quote, Resynced, Update
from pxresearch.gateway.stream import Stream, StreamSettings
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
        return self._call(wire.TRADE_SEARCH, request).trades


def run(
    venue: Venue, script: Callable[[Stream], Coroutine[Any, Any, None]], **settings: Any
) -> None:
    """Run a script with a stream of the venue."""

    async def main() -> None:
        stream = Stream(
            venue, venue, Directory(one.row() for one in venue.kit.venue.listed), [ACCOUNT],
            clock=venue.clock, settings=StreamSettings(**settings),
        )  # fmt: skip
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


@pytest.mark.parametrize("first", range(0, 1_000, 100))
def test_after_an_outage_the_copy_is_the_venue_before_the_next_event(first: int) -> None:
    """S34: fills, cancels, changes and manual trades while the hub is away; 1,000 seeds."""
    for seed in range(first, first + 100):
        venue = Venue(seed)

        async def script(stream: Stream, venue: Venue = venue) -> None:
            await until(stream, Resynced)
            venue.trade(4)
            venue.drop()
            venue.trade(8)
            venue.back()
            quote = Quote(
                contract_id=MNQ, ts=0, received=0, bid=MID, ask=MID + 1, last=None, volume=None
            )
            venue.put(quote)
            events: list[Event] = []
            while quote not in events:
                events += await stream.get()
            kinds = [type(e) for e in events if not isinstance(e, Update)]
            assert kinds == [Gap, Resynced, Gap, Gap, Resynced, Quote]
            assert_equal(venue, stream)

        try:
            run(venue, script)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}") from error


@pytest.mark.parametrize("seed", range(60))
def test_trading_that_goes_on_while_the_account_is_read(seed: int) -> None:
    """The reads are not one instant: what happens between them is neither lost nor doubled."""
    venue = Venue(seed, busy=0.3)

    async def script(stream: Stream) -> None:
        await until(stream, Resynced)
        for _ in range(3):
            venue.trade(3)
            venue.drop()
            venue.trade(3)
            venue.back()
            await until(stream, Resynced)
        venue.busy = 0.0
        venue.trade(1)
        await asyncio.wait_for(_drain(venue, stream), 10)
        assert_equal(venue, stream)

    run(venue, script)


async def _drain(venue: Venue, stream: Stream) -> None:
    """Take everything, doubts and their clearing included."""
    venue.put(Notice(ts=0, hub=Hub.USER, kind="end", text=""))
    ended = False
    while not ended or stream.mirrors[ACCOUNT].doubts():
        ended = any(isinstance(e, Notice) and e.kind == "end" for e in await stream.get()) or ended


def test_nothing_is_delivered_while_the_account_cannot_be_read() -> None:
    """REST is down after the hub is back: notices, then `Resynced`, then what waited."""
    venue = Venue(1)

    async def script(stream: Stream) -> None:
        await until(stream, Resynced)
        await until(stream, Resynced)  # of the connect
        venue.drop()
        assert [type(e) for e in await stream.get()] == [Gap]
        assert not stream.reconciled
        venue.trade(5)
        venue.refuse = 3
        venue.back()
        venue.trade(2)
        before = venue.clock.now()
        events = await until(stream, Gap)
        while not isinstance(events[-1], Resynced):
            events += await stream.get()
        kinds = [type(e) for e in events]
        assert kinds[-5:] == [Gap, Notice, Notice, Notice, Resynced]
        assert venue.clock.now() - before >= 3.5 * NS  # 0.5, 1 and 2 s between the attempts
        assert stream.reconciled

    run(venue, script)


def test_while_the_user_hub_is_away_positions_are_supervised_by_rest() -> None:
    """S19: quotes go on, the account is read every 5 s, and it does not count as reconciled."""
    venue = Venue(6)

    async def script(stream: Stream) -> None:
        await until(stream, Resynced)
        await until(stream, Resynced)
        venue.drop()
        await stream.get()
        venue.kit.place(1, 2)
        venue.tell()
        before = venue.clock.now()
        await until(stream, Resynced)
        assert venue.clock.now() - before <= 5.1 * NS
        assert stream.mirrors[ACCOUNT].position(MNQ) == 2
        assert not stream.reconciled
        await until(stream, Resynced)
        assert venue.clock.now() - before <= 10.1 * NS

    run(venue, script)


def test_a_missing_fill_event_is_found_within_seconds() -> None:
    """S56: order and position events came, the trade event did not; nobody had to wait five min."""
    venue = Venue(2)

    async def script(stream: Stream) -> None:
        await until(stream, Resynced)
        await until(stream, Resynced)  # of the connect
        venue.kit.place(1, tag="a")
        events = [e.record for e in venue.kit.events if not isinstance(e.record, wire.Trade)]
        venue.put(*(Update(received=0, record=record(venue.names, row)) for row in events))
        before = venue.clock.now()
        found = await until(stream, Resynced)
        resynced = found[-1]
        assert isinstance(resynced, Resynced)
        assert any(text.startswith("missed fill") for text in resynced.changes)
        assert venue.clock.now() - before <= 2.1 * NS
        assert_equal(venue, stream)

    run(venue, script)


def test_a_manual_trade_is_noticed_within_the_period() -> None:
    """S100: even when the hub tells nothing of it."""
    venue = Venue(3)

    async def script(stream: Stream) -> None:
        await until(stream, Resynced)
        await until(stream, Resynced)
        venue.connected = False  # the hub lies: it is up and silent
        venue.kit.venue.manual(ACCOUNT, MNQ, 1, 2, now=venue.kit.now)
        before = venue.clock.now()
        found = await until(stream, Resynced)
        assert venue.clock.now() - before <= 301 * NS
        last = found[-1]
        assert isinstance(last, Resynced)
        assert "position in MNQZ26 is +2, was +0" in last.changes

    run(venue, script)


def test_in_calm_times_it_reads_every_five_minutes_and_not_more() -> None:
    """S97: four reads a period while nothing differs."""
    venue = Venue(4)

    async def script(stream: Stream) -> None:
        await until(stream, Resynced)
        await until(stream, Resynced)
        venue.reads = 0
        start = venue.clock.now()
        while venue.clock.now() - start < 3_600 * NS:
            await until(stream, Resynced)
        assert venue.reads <= 12 * 5

    run(venue, script)


def test_an_update_that_tells_nothing_new_is_not_delivered() -> None:
    """No event reaches the strategy twice."""
    venue = Venue(5)

    async def script(stream: Stream) -> None:
        await until(stream, Resynced)
        await until(stream, Resynced)
        venue.kit.place(1, tag="a")
        rows = [record(venue.names, e.record) for e in venue.kit.events]
        venue.put(*(Update(received=0, record=row) for row in rows + rows))
        venue.put(Notice(ts=0, hub=Hub.USER, kind="end", text=""))
        events = await until(stream, Notice)
        got = [e.record for e in events if isinstance(e, Update)]
        assert len(got) == len({repr(row) for row in got})

    run(venue, script)

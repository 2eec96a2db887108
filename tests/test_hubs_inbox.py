"""The inbox: quotes may be merged when nobody takes them, trades and user events never are."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxresearch.clock import NS, VirtualClock
from pxresearch.gateway.hubs import Hubs
from pxresearch.gateway.inbox import Inbox
from pxresearch.gateway.records import Account as AccountRecord
from pxresearch.gateway.records import Depth, Event, Gap, Hub, Quote, Trade, Update
from tests.hub_kit import ID, QUOTE, events_until, running
from tests.hub_server import HubServer


def quote(n: int, contract: str = "A") -> Quote:
    return Quote(contract_id=contract, ts=n, received=n, bid=n, ask=n + 1, last=None, volume=None)


def trade(n: int, contract: str = "A") -> Trade:
    return Trade(contract_id=contract, ts=n, received=n, price=n, size=1, side=1)


def depth(n: int, price: int) -> Depth:
    return Depth(contract_id="A", ts=n, received=n, type=1, price=price, size=n)


def update(n: int) -> Update:
    record = AccountRecord(id=1, name="", balance=n, can_trade=True, simulated=True)
    return Update(received=n, record=record)


def inbox(**limits: int) -> Inbox:
    return Inbox(VirtualClock(0), **limits)


def drain(box: Inbox) -> list[Event]:
    """Everything that is in it."""

    async def run() -> list[Event]:
        found: list[Event] = []
        while len(box):
            found += await box.get()
        return found

    return asyncio.run(run())


def test_below_its_capacity_it_passes_everything_in_order() -> None:
    """Nothing is merged while there is room."""
    events = [quote(1), trade(2), quote(3), update(4), quote(5), depth(6, 1), depth(7, 1)]
    box = inbox(capacity=7)
    box.put(events)
    assert drain(box) == events
    assert box.coalesced == 0


def test_when_full_only_the_newest_quote_and_level_stay() -> None:
    """By hand: of A's three quotes and two changes of level 1 the last stay, at their own place."""
    box = inbox(capacity=6)
    box.put([quote(1), trade(2), quote(3, "B"), depth(4, 1), quote(5), update(6), depth(7, 2),
             depth(8, 1), quote(9)])  # fmt: skip
    found = drain(box)
    assert [getattr(e, "received", None) for e in found] == [2, 3, 6, 7, 8, 9]
    assert [e.coalesced for e in found if isinstance(e, Quote)] == [0, 2]
    assert box.coalesced == 3


KINDS = st.sampled_from(["quote A", "quote B", "trade", "update", "depth 1", "depth 2"])


@given(st.lists(st.lists(KINDS, max_size=12), max_size=30), st.integers(1, 20), st.data())
def test_what_may_not_be_lost_is_not_and_the_newest_quote_is_there(
    chunks: list[list[str]], capacity: int, data: st.DataObject
) -> None:
    """Trades and updates: all, in order. Quotes: delivered plus coalesced are those put; the last
    of each contract is the last put; receipt never runs backward."""
    box = inbox(capacity=capacity, limit=100_000)
    put: list[Event] = []
    got: list[Event] = []
    for chunk in chunks:
        events: list[Event] = []
        for kind in chunk:
            n = len(put) + len(events)
            events.append({
                "quote A": quote(n), "quote B": quote(n, "B"), "trade": trade(n),
                "update": update(n), "depth 1": depth(n, 1), "depth 2": depth(n, 2),
            }[kind])  # fmt: skip
        put += events
        box.put(events)
        if data.draw(st.booleans()):
            got += drain(box)
    got += drain(box)
    for kind in (Trade, Update):
        assert [e for e in got if isinstance(e, kind)] == [e for e in put if isinstance(e, kind)]
    for contract in "AB":
        sent = [e for e in put if isinstance(e, Quote) and e.contract_id == contract]
        seen = [e for e in got if isinstance(e, Quote) and e.contract_id == contract]
        assert sum(1 + e.coalesced for e in seen) == len(sent)
        assert [e.bid for e in seen][-1:] == [e.bid for e in sent][-1:]
    for price in (1, 2):
        sent = [e for e in put if isinstance(e, Depth) and e.price == price]
        assert [e for e in got if isinstance(e, Depth) and e.price == price][-1:] == sent[-1:]
    stamps = [getattr(e, "received", 0) for e in got]
    assert stamps == sorted(stamps)
    assert len(got) + box.coalesced == len(put)


def test_hard_overflow_is_a_gap_and_user_events_outlive_the_market() -> None:
    """Beyond the limit the market's events go, with a gap over just that time."""
    box = inbox(capacity=10, limit=100)
    box.put([update(1)])
    for n in range(2, 150):
        box.put([trade(n)])
    found = drain(box)
    assert found[0] == update(1)
    gap = found[1]
    assert isinstance(gap, Gap)
    assert (gap.hub, gap.since) == (Hub.MARKET, 2)
    assert gap.until is not None
    assert found[2:] == [trade(n) for n in range(gap.until + 1, 150)]
    assert len(found) < 100


def test_hard_overflow_of_user_events_alone_is_a_gap_too() -> None:
    """Memory is bounded whatever comes; the gap makes everything be read again."""
    box = inbox(capacity=10, limit=100)
    box.put([update(n) for n in range(101)])
    (gap,) = drain(box)
    assert isinstance(gap, Gap)
    assert (gap.hub, gap.since, gap.until) == (Hub.USER, 0, 100)


def test_a_full_buffer_of_trades_is_not_searched_at_every_event() -> None:
    """100,000 trades beyond the capacity cost a few looks, not one each (which took minutes)."""
    box = inbox(capacity=100, limit=1_000_000)
    for n in range(100_000):
        box.put([trade(n)])
    assert len(box) == 100_000
    looks = 0
    original = box._shrink

    def counted() -> None:
        nonlocal looks
        looks += 1
        original()

    box._shrink = counted  # type: ignore[method-assign]
    box.put([trade(n) for n in range(50)])
    assert looks <= 1


def test_writers_in_threads_wake_the_reader() -> None:
    """Two writers, one reader that waits: each writer's events come whole and in its order."""
    box = Inbox(VirtualClock(0), capacity=100_000)

    def write(contract: str) -> None:
        for n in range(3_000):
            box.put([trade(n, contract)])
            if n % 500 == 0:
                time.sleep(0.001)

    async def run() -> list[Event]:
        threads = [threading.Thread(target=write, args=(name,)) for name in "AB"]
        for one in threads:
            one.start()
        found: list[Event] = []
        async with asyncio.timeout(20):
            while len(found) < 6_000:
                found += await box.get()
        for one in threads:
            one.join()
        return found

    found = asyncio.run(run())
    for name in "AB":
        mine = [e.price for e in found if isinstance(e, Trade) and e.contract_id == name]
        assert mine == list(range(3_000))


def test_lag_is_the_age_of_what_is_taken() -> None:
    """Received at 1 s, taken at 3 s: 2 s."""

    async def run() -> None:
        clock = VirtualClock(0)
        box = Inbox(clock)
        box.put([quote(NS)])
        clock.advance(3 * NS)
        await box.get()
        assert box.lag_s == 2.0

    asyncio.run(run())


def test_a_closed_inbox_gives_what_it_has_and_then_nothing() -> None:
    """A reader that waits is let go."""

    async def run() -> None:
        box = inbox()
        waiting = asyncio.ensure_future(box.get())
        await asyncio.sleep(0)
        box.put([trade(1)])
        box.close()
        assert await waiting == [trade(1)]
        assert await box.get() == []
        assert await box.get() == []

    asyncio.run(run())


def test_a_slow_reader_loses_no_trade_and_gets_the_last_quote() -> None:
    """Over a real socket: 3,000 quotes and 300 trades while nobody reads."""

    async def run() -> None:
        with HubServer() as server:
            async with running(server, hubs=(Hub.MARKET,), capacity=200) as hubs:
                await asyncio.to_thread(_burst, server)
                found: list[Event] = []
                async with asyncio.timeout(20):
                    while not any(isinstance(e, Trade) and e.size == 999 for e in found):
                        found += await hubs.get()
                        time.sleep(0.001)  # a strategy that blocks the loop
                sizes = [e.size for e in found if isinstance(e, Trade)]
                assert sizes == [*range(1, 301), 999]
                quotes = [e for e in found if isinstance(e, Quote)]
                assert quotes[-1].volume == 2_999
                assert sum(1 + e.coalesced for e in quotes) == 3_000
                state = hubs.state(Hub.MARKET)
                assert state.coalesced == sum(e.coalesced for e in quotes) > 0
                assert state.generation == 1

    asyncio.run(run())


def _burst(server: HubServer) -> None:
    rows = []
    for n in range(3_000):
        rows.append(
            {"type": 1, "target": "GatewayQuote", "arguments": [ID, {**QUOTE, "volume": n}]}
        )
        if n % 10 == 0:
            rows.append(_trade_row(n // 10 + 1))
    server.send("market", *rows, _trade_row(999))


def _trade_row(size: int) -> dict[str, object]:
    item = {"symbolId": "F.US.MNQ", "price": 25100.5, "type": 1, "volume": size,
            "timestamp": "2026-10-01T14:30:01.052+00:00"}  # fmt: skip
    return {"type": 1, "target": "GatewayTrade", "arguments": [ID, [item]]}


def test_a_reader_that_raises_harms_nothing() -> None:
    """An exception in the consumer is the consumer's: the connection lives, the rest arrives."""

    async def run() -> None:
        with HubServer() as server:
            async with running(server, hubs=(Hub.MARKET,)) as hubs:
                server.event("market", "GatewayQuote", ID, QUOTE)
                with pytest.raises(ZeroDivisionError):
                    await _raising(hubs)
                server.event("market", "GatewayQuote", ID, {**QUOTE, "volume": 5})
                (one,) = await events_until(hubs, lambda seen: seen)
                assert isinstance(one, Quote)
                assert one.volume == 5
                assert hubs.state(Hub.MARKET).generation == 1

    asyncio.run(run())


async def _raising(hubs: Hubs) -> None:
    assert await hubs.get()
    raise ZeroDivisionError

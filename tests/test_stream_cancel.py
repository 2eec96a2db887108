"""A caller of the stream may be cancelled at any moment, and no event is lost."""

from __future__ import annotations

import asyncio
import random
import threading

import pytest

from pxresearch.clock import Clock, VirtualClock, WallClock
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.inbox import Inbox
from pxresearch.gateway.records import Event, Trade
from pxresearch.gateway.stream import Stream, StreamSettings

COUNT = 2_000


def trade(n: int) -> Trade:
    return Trade(contract_id="A", ts=n, received=n, price=n, size=1, side=1)


class Source:
    """Hubs that are an inbox and nothing else."""

    def __init__(self, clock: Clock) -> None:
        self.inbox = Inbox(clock, batch=3)

    def subscribe_account(self, account: int) -> None:
        raise AssertionError("no account is followed")

    async def start(self) -> None:
        """Nothing to connect."""

    async def stop(self) -> None:
        self.inbox.close()

    async def get(self) -> list[Event]:
        return await self.inbox.get()


async def collect(stream: Stream, rng: random.Random) -> list[Event]:
    """Everything, by a caller that is cancelled again and again, mostly while it waits."""
    found: list[Event] = []
    while True:
        asking = asyncio.ensure_future(stream.get())
        for _ in range(rng.randrange(5)):
            await asyncio.sleep(0)
        if rng.random() < 0.7:
            asking.cancel()
        try:
            events = await asking
        except asyncio.CancelledError:
            continue
        if not events:
            return found
        found += events


@pytest.mark.parametrize("clock", [WallClock(), VirtualClock(10**18)])
@pytest.mark.parametrize("seed", range(3))
def test_events_outlive_their_cancelled_callers(clock: Clock, seed: int) -> None:
    """A thread writes, the reader is cancelled at random: each event comes once, in order."""

    async def run() -> list[Event]:
        source, rng = Source(clock), random.Random(seed)
        stream = Stream(None, source, Directory([]), [], clock=clock)  # type: ignore[arg-type]

        def write() -> None:
            for n in range(COUNT):
                source.inbox.put([trade(n)])
            source.inbox.close()

        thread = threading.Thread(target=write)
        thread.start()
        try:
            return await collect(stream, rng)
        finally:
            thread.join()

    assert asyncio.run(run()) == [trade(n) for n in range(COUNT)]


def test_a_look_that_falls_due_costs_no_event() -> None:
    """The pause between two looks ends all the time; what comes meanwhile is delivered."""

    async def run() -> list[Event]:
        source = Source(WallClock())
        often = StreamSettings(reconcile_s=0.0005)
        stream = Stream(None, source, Directory([]), [], settings=often)  # type: ignore[arg-type]

        async def write() -> None:
            for n in range(200):
                source.inbox.put([trade(n)])
                await asyncio.sleep(0.0005)
            source.inbox.close()

        writing, found = asyncio.ensure_future(write()), []
        while events := await stream.get():
            found += events
        await writing
        return found

    assert asyncio.run(run()) == [trade(n) for n in range(200)]

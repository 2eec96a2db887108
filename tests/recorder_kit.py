"""A market hub of scripted events; run as a program, a recording in a process of its own.

``python -m tests.recorder_kit CATALOG`` records trades, whose price is their number, until killed.
It prints ``NUMBER NS`` for each batch as it is handed over.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from pxresearch.catalog import Catalog
from pxresearch.clock import Clock, WallClock
from pxresearch.gateway import wire
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.recorder import Recorder
from pxresearch.gateway.records import Event, Quote, Trade
from tests import payloads

CONTRACT_ID = "CON.F.US.MNQ.Z26"
LISTING = Directory([wire.decode(payloads.CONTRACT, wire.Contract)]).find("MNQ")


def quote(ts: int, bid: int | None, ask: int | None, coalesced: int = 0) -> Quote:
    """A quote that took 3 ms to come."""
    return Quote(contract_id=CONTRACT_ID, ts=ts - 3_000_000, received=ts, bid=bid, ask=ask,
                 last=None, volume=None, coalesced=coalesced)  # fmt: skip


def trade(ts: int, price: int, size: int = 1, side: int = 0) -> Trade:
    """A trade without delay."""
    return Trade(contract_id=CONTRACT_ID, ts=ts, received=ts, price=price, size=size, side=side)


class Script:
    """A hub that delivers each batch at its time, then stays silent until it is stopped."""

    def __init__(self, clock: Clock, batches: Sequence[tuple[int, list[Event]]]) -> None:
        self.clock, self.batches = clock, list(batches)
        self.subscribed: dict[str, tuple[bool, bool, bool]] = {}
        self.stopped = asyncio.Event()

    def subscribe_contract(
        self, contract_id: str, quotes: bool = True, trades: bool = True, depth: bool = False
    ) -> None:
        self.subscribed[contract_id] = (quotes, trades, depth)

    async def start(self) -> None:
        """Nothing to connect."""

    async def stop(self) -> None:
        self.stopped.set()

    async def get(self) -> list[Event]:
        if self.stopped.is_set() or not self.batches:
            await self.stopped.wait()
            return []
        at, events = self.batches[0]
        await self.clock.sleep((at - self.clock.now()) / 1e9)
        self.batches.pop(0)
        return events


class Endless(Script):
    """A hundred batches a second of ten trades each."""

    number = 0

    async def get(self) -> list[Event]:
        await self.clock.sleep(0.01)
        now = self.clock.now()
        events: list[Event] = [trade(now, self.number + i) for i in range(10)]
        self.number += 10
        print(self.number, now, flush=True)
        return events


def main() -> None:
    """Record until killed."""
    clock = WallClock()
    store = Catalog(Path(sys.argv[1]))
    asyncio.run(_run(store, clock))


async def _run(store: Catalog, clock: WallClock) -> None:
    await Recorder(Endless(clock, ()), store, [LISTING], clock=clock).run()


if __name__ == "__main__":
    main()

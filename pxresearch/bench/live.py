"""`pxresearch bench live`: from a hub's bytes in to an order's bytes out, and a steady load.

A source in a process of its own (`livesource`) sends quotes; every marked one makes the strategy
send an order, through the parts that trade: hubs and stream, the compiled engine with bars,
strategy and risk manager, the journal (the intent is stored before the order leaves), the order
desk and its connection. The time runs from the write of the quote's bytes to the arrival of the
order's, so both crossings of the loopback are in it.

I/O: reads the clock; starts a process; uses sockets on 127.0.0.1; writes a temporary journal.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pxresearch as px
from pxresearch.bench import machine
from pxresearch.bench.gateway import MNQ, percentiles, report_of, unlimited
from pxresearch.bench.hubsource import ACCOUNT, CONTRACT
from pxresearch.brokers.base import Approved
from pxresearch.brokers.outbox import Outbox
from pxresearch.brokers.session import EngineSession, Feed, FillModel
from pxresearch.clock import NS, WallClock
from pxresearch.core import records as r
from pxresearch.core.indicators import Ema, ema
from pxresearch.gateway import wire
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.credentials import Credentials
from pxresearch.gateway.desk import Desk
from pxresearch.gateway.hubs import Hubs, HubSettings
from pxresearch.gateway.orders import NewOrder
from pxresearch.gateway.profiles import Profile, profile
from pxresearch.gateway.records import Event, Quote, Trade, Update
from pxresearch.gateway.rest import Rest
from pxresearch.gateway.stream import Stream
from pxresearch.gateway.tags import ENTRY, make_tag, run_name
from pxresearch.journal import Journal, Kind
from pxresearch.programmes import programme
from pxresearch.strategy import Strategy, state

STAGES = ("received", "taken", "decided", "stored", "arrived")
"""By the hub's thread; by the loop; by the engine; in the journal; at the venue."""


OPEN = wire.to_ns("2026-10-01T14:30:00+00:00")
"""A Thursday morning in Chicago: the market is open whenever this runs."""


class Marked(Strategy):
    """Turn round at the market on each marked quote; keep an average of the bars meanwhile."""

    bars = "1m"
    length: int = 20
    average = state(Ema)

    def on_bar(self, bar: Any, position: Any) -> Any:
        """Keep the average."""
        ema(self.average, bar.close, self.length)
        return px.hold()

    def on_quote(self, quote: Any, position: Any) -> Any:
        """Trade where the spread is two ticks."""
        if quote.ask - quote.bid < 0.4:
            return px.hold()
        return px.buy(1 - position) if position <= 0 else px.sell(1 + position)


class Shifted(WallClock):
    """The machine's clock, moved so that the run falls into open hours."""

    def __init__(self, start: int) -> None:
        self.offset = start - time.time_ns()

    def now(self) -> int:
        """Time, ns UTC."""
        return time.time_ns() + self.offset


def run_live_bench(quick: bool = False) -> dict[str, Any]:
    """Measure; about two and a half minutes, or twenty seconds when `quick`.

    Returns
    -------
    dict
        ``latency``: at 1,000 quotes/s, microseconds p50, p99 and max of all and of each stage;
        ``load``: the same at 10,000 quotes/s, with what was sent, received and lost; machine.
    """
    seconds = 5.0 if quick else 60.0
    return {
        "machine": machine(),
        "fsync": "interval",
        "latency": asyncio.run(measure(1_000, seconds, 50)),
        "load": asyncio.run(measure(10_000, seconds, 500)),
    }


@contextlib.contextmanager
def source(**options: float) -> Iterator[Profile]:
    """A `livesource` process; yields the profile that points at it."""
    words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    with subprocess.Popen(
        [sys.executable, "-m", "pxresearch.bench.livesource", *words],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        port = int(process.stdout.readline())
        try:
            yield profile("simulator", url=f"http://127.0.0.1:{port}")
        finally:
            process.kill()


async def measure(rate: int, seconds: float, every: int) -> dict[str, Any]:
    """One run at so many quotes a second; each `every`-th is marked."""
    clock = Shifted(OPEN)
    with (
        tempfile.TemporaryDirectory() as folder,
        source(rate=rate, seconds=seconds, every=every, offset=clock.offset) as where,
    ):
        journal = Journal(Path(folder) / "bench.journal")
        try:
            async with Rest(
                where, Credentials(user_name="bench", api_key="none"), settings=unlimited(),
                clock=clock,
            ) as rest:  # fmt: skip
                loop = Loop(rest, where, clock, journal)
                await loop.run()
            sent = await asyncio.to_thread(report_of, where)
        finally:
            journal.close()
    return loop.report(sent) | {"rate": rate, "seconds": seconds}


class Loop:
    """The parts, wired as the runner wires them."""

    def __init__(self, rest: Rest, where: Profile, clock: Shifted, journal: Journal) -> None:
        self._rest, self._clock, self._journal = rest, clock, journal
        directory = Directory([MNQ])
        listing = directory.listing(CONTRACT)
        assert listing.contract is not None
        self._hubs = Hubs(
            where, rest, directory, clock=clock, settings=HubSettings(always_open=True)
        )
        self._stream = Stream(rest, self._hubs, directory, [ACCOUNT], clock=clock)
        self._desk = Desk(rest, directory, where, clock=clock)
        self._session = EngineSession(
            Marked(), [Feed(listing.contract, ("quotes", "trades"))],
            programme("own", start_balance=10_000_000, daily_loss_limit=1_000_000, collar_ticks=400,
                      max_minis=5, max_quote_age_s=5),
            FillModel(), first_ns=clock.now(), last_ns=clock.now() + 3600 * NS,
        )  # fmt: skip
        self._outbox = Outbox(self._session)
        self._run_name = run_name(clock.now())
        self._tasks: set[asyncio.Task[None]] = set()
        self._stamps: list[list[int]] = []
        self._got = {"quotes": 0, "trades": 0, "user": 0}
        self._merged = 0

    async def run(self) -> None:
        """Until the source has sent its last trade."""
        self._hubs.subscribe_contract(CONTRACT)
        self._rest.warm()
        await self._stream.start()
        try:
            running = True
            while running:
                events = await self._stream.get()
                taken = self._clock.now()
                for event in events:
                    running = self._take(event, taken) and running
            await asyncio.gather(*self._tasks)
        finally:
            await self._stream.stop()

    def _take(self, event: Event, taken: int) -> bool:
        """Tell the engine and the journal; False at the end of the stream."""
        got = self._got
        if isinstance(event, Quote):
            if event.bid is None or event.ask is None:
                return True
            got["quotes"] += 1 + event.coalesced
            self._merged += event.coalesced
            self._tell(r.QUOTES, event, taken, event.bid, event.ask)
        elif isinstance(event, Trade):
            if event.size == 0:
                return False
            got["trades"] += 1
            self._tell(r.TRADES, event, taken, event.price, event.size, event.side)
        elif isinstance(event, Update):
            got["user"] += 1
        return True

    def _tell(
        self, what: int, event: Quote | Trade, taken: int, a: int, b: int, c: int = 0
    ) -> None:
        self._session.tell(what, 0, event.ts, a, b, c)
        self._journal.input(what, 0, event.ts, a, b, c, 0, event.received)
        decided = self._outbox.take()
        if decided is None:
            return
        for order in decided.orders:
            stamps = [event.received, taken, self._clock.now()]
            seq = self._journal.write(Kind.ORDER, event.ts, order)
            task = asyncio.ensure_future(self._send(order, seq, stamps))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send(self, order: Approved, seq: int, stamps: list[int]) -> None:
        await self._journal.stored(seq)
        stamps.append(self._clock.now())
        self._stamps.append(stamps)
        new = NewOrder(
            account=ACCOUNT, contract_id=CONTRACT, kind=order.kind, side=order.side, qty=order.qty,
            tag=make_tag("bench", self._run_name, order.order, ENTRY), is_automated=True,
        )  # fmt: skip
        await self._desk.place(new)

    def report(self, sent: dict[str, Any]) -> dict[str, Any]:
        """Latencies and counts, out of both ends' stamps."""
        marks, orders = sent["marks"], sent["orders"]
        rows = [
            [mark, *stamps, order]
            for mark, stamps, order in zip(marks, self._stamps, orders, strict=False)
        ]
        stages = {
            name: percentiles([row[i + 1] - row[i] for row in rows], 1e3)
            for i, name in enumerate(STAGES)
        }
        return {
            "orders": len(orders),
            "unanswered": len(marks) - len(orders),
            "us": percentiles([row[-1] - row[0] for row in rows], 1e3),
            "stages_us": stages,
            "sent": sent["sent"],
            "received": self._got,
            "coalesced": self._merged,
            "lost_trades": sent["sent"]["trades"] - self._got["trades"],
            "lost_user_events": sent["sent"]["user"] - self._got["user"],
            "journal_bytes": self._journal.size,
        }


def format_live_bench(report: dict[str, Any]) -> str:
    """The report as text for a terminal."""
    m = report["machine"]
    lines = [
        f"{m['platform']}, {m['cores']} cores, Python {m['python']}",
        f"journal fsync: {report['fsync']}; an intent is committed before its order leaves",
    ]
    for name in ("latency", "load"):
        row = report[name]
        us, sent, got = row["us"], row["sent"], row["received"]
        lines += [
            "",
            f"{row['rate']:,} quotes/s for {row['seconds']:g} s: hub bytes in, order bytes out",
            f"  {us['p50']:,.0f} us median, {us['p99']:,.0f} p99, {us['max']:,.0f} worst "
            f"({row['orders']:,} orders, {row['unanswered']} unanswered)",
            *(
                f"    to {stage:<9} {one['p50']:>7,.0f} median {one['p99']:>8,.0f} p99"
                for stage, one in row["stages_us"].items()
            ),
            f"  {got['quotes']:,} of {sent['quotes']:,} quotes ({row['coalesced']:,} coalesced), "
            f"{row['lost_trades']} trades and {row['lost_user_events']} user events lost",
        ]
    return "\n".join(lines)

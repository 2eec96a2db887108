"""`pxresearch bench live`: from a hub's bytes in to an order's bytes out, and a steady load.

A source in a process of its own (`livesource`) sends quotes; every marked one makes the strategy
send an order. All else is a live session as `pxresearch trade --live` runs it: hubs and stream, the
runner, the compiled engine with bars, strategy and risk manager, the journal (an intent is stored
before its order leaves), the order desk and its connection. The time runs from the write of the
quote's bytes to the arrival of the order's, so both crossings of the loopback are in it.

I/O: reads the clock; starts a process; uses sockets on 127.0.0.1; writes a temporary journal.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pxresearch as px
from pxresearch.bench import machine
from pxresearch.bench.gateway import MNQ, percentiles, report_of, unlimited
from pxresearch.bench.hubsource import ACCOUNT
from pxresearch.bench.livesource import BALANCE
from pxresearch.brokers.fillmodel import FillModel
from pxresearch.clock import WallClock
from pxresearch.core.indicators import Ema, ema
from pxresearch.errors import PxError
from pxresearch.gateway import wire
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.credentials import Credentials
from pxresearch.gateway.hubs import Hubs, HubSettings
from pxresearch.gateway.outcome import Outcome
from pxresearch.gateway.profiles import Profile, profile
from pxresearch.gateway.records import Event, Quote, Trade, Update
from pxresearch.gateway.rest import Rest
from pxresearch.gateway.tags import read_tag
from pxresearch.journal import Kind, read
from pxresearch.programmes import programme
from pxresearch.runner import LIVE, Connection, Plan, Runner, RunnerSettings
from pxresearch.strategy import Strategy, state

STAGES = ("received", "taken", "placed", "arrived")
"""By the hub's thread; by the loop; engine and journal are done; at the venue."""
FSYNC = "interval"
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


async def measure(rate: int, seconds: float, every: int, fsync: str = FSYNC) -> dict[str, Any]:
    """One run at so many quotes a second; each `every`-th is marked."""
    clock = Shifted(OPEN)
    keys = Credentials(user_name="bench", api_key="none")
    with (
        tempfile.TemporaryDirectory() as folder,
        source(rate=rate, seconds=seconds, every=every, offset=clock.offset) as where,
    ):
        rest = TimedRest(where, keys, settings=unlimited(), clock=clock)
        async with rest:
            directory = Directory([MNQ])
            hubs = TimedHubs(
                where, rest, directory, clock=clock, settings=HubSettings(always_open=True)
            )
            runner = Runner(
                _plan(Path(folder)),
                Connection(profile=where, rest=rest, hubs=hubs, directory=directory),
                clock=clock, settings=RunnerSettings(fsync=fsync),
            )  # fmt: skip
            gc.collect()
            gc.freeze()  # as `pxresearch trade` does
            running = asyncio.ensure_future(runner.run())
            async with asyncio.timeout(seconds + 60):
                await asyncio.wait(
                    {running, asyncio.ensure_future(hubs.over.wait())},
                    return_when=asyncio.FIRST_COMPLETED,
                )
                runner.stop("the source has ended")
                ended = await running
        gc.unfreeze()
        sent = await asyncio.to_thread(report_of, where)
        (journal,) = Path(folder).rglob("*.journal")
        decided, refused = _verdicts(journal)
        size = journal.stat().st_size
    if not ended.clean:
        raise PxError(f"the session did not end well: {ended.reason}")
    return _report(hubs, rest, sent, decided) | {
        "rate": rate, "seconds": seconds, "fsync": fsync, "refused": refused,
        "journal_bytes": size,
    }  # fmt: skip


def _verdicts(journal: Path) -> tuple[dict[int, int], dict[str, int]]:
    """Time of the quote behind each approved order, and how many refusals of each reason."""
    decided: dict[int, int] = {}
    refused: Counter[str] = Counter()
    for row in read(journal, (Kind.ORDER, Kind.REFUSAL)):
        if row.kind is Kind.REFUSAL:
            refused[row.data["reason"]] += 1
        elif row.data["event"] == "approved":
            decided[row.data["order"]] = row.data["decided"]
    return decided, dict(refused)


def _plan(folder: Path) -> Plan:
    return Plan(
        strategy=Marked(), source="", source_hash="", contracts=("MNQZ26",),
        programme=programme(
            "own", start_balance=BALANCE, daily_loss_limit=1_000_000, max_minis=5,
            collar_ticks=400, max_quote_age_s=5,
        ),
        fills=FillModel(), mode=LIVE, account=ACCOUNT, state=folder,
    )  # fmt: skip


class TimedRest(Rest):
    """Notes when an order is handed to it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._now = options["clock"].now
        self.placed: dict[str | None, int] = {}

    async def place(self, request: wire.PlaceOrder) -> Outcome:
        """Place an order, once."""
        self.placed[request.custom_tag] = self._now()
        return await super().place(request)


class TimedHubs(Hubs):
    """Counts what comes, and notes when each marked quote was received and taken."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._now = options["clock"].now
        self.marks: dict[int, tuple[int, int]] = {}
        self.got = {"quotes": 0, "trades": 0, "user": 0}
        self.coalesced = 0
        self.over = asyncio.Event()

    async def get(self) -> list[Event]:
        """Next events, but for the trade of size 0 that ends the run."""
        events = await super().get()
        taken, got = self._now(), self.got
        for event in events:
            if isinstance(event, Quote):
                got["quotes"] += 1 + event.coalesced
                self.coalesced += event.coalesced
                if event.bid is not None and event.ask is not None and event.ask - event.bid > 1:
                    self.marks[event.ts] = event.received, taken
            elif isinstance(event, Trade):
                if event.size == 0:
                    self.over.set()
                got["trades"] += event.size > 0
            elif isinstance(event, Update):
                got["user"] += not self.over.is_set()
        return [event for event in events if not (isinstance(event, Trade) and event.size == 0)]


def _report(
    hubs: TimedHubs, rest: TimedRest, ends: dict[str, Any], decided: dict[int, int]
) -> dict[str, Any]:
    """Latencies and counts, out of both ends' stamps; an order belongs to the quote it names."""
    marks, sent = {int(ts): at for ts, at in ends["marks"].items()}, ends["sent"]
    rows = []
    for text, arrived in ends["orders"].items():
        tag = read_tag(text)
        assert tag is not None
        ts = decided[tag.intent]
        if ts in hubs.marks:  # a quote that came too late was moved up, and its order is not timed
            rows.append((marks[ts], *hubs.marks[ts], rest.placed[text], arrived))
    return {
        "orders": len(ends["orders"]),
        "timed": len(rows),
        "unanswered": len(marks) - len(ends["orders"]),
        "us": percentiles([row[-1] - row[0] for row in rows], 1e3),
        "stages_us": {
            name: percentiles([row[i + 1] - row[i] for row in rows], 1e3)
            for i, name in enumerate(STAGES)
        },
        "sent": sent,
        "received": hubs.got,
        "coalesced": hubs.coalesced,
        "lost": {name: sent[name] - hubs.got[name] for name in sent},
    }


def format_live_bench(report: dict[str, Any]) -> str:
    """The report as text for a terminal."""
    m = report["machine"]
    lines = [
        f"{m['platform']}, {m['cores']} cores, Python {m['python']}",
        f"journal fsync: {report['latency']['fsync']}; an intent survives the process before "
        "its order leaves",
    ]
    for name in ("latency", "load"):
        row = report[name]
        us, sent, got = row["us"], row["sent"], row["received"]
        lines += [
            "",
            f"{row['rate']:,} quotes/s for {row['seconds']:g} s: hub bytes in, order bytes out",
            f"  {us['p50']:,.0f} us median, {us['p99']:,.0f} p99, {us['max']:,.0f} worst "
            f"({row['timed']:,} of {row['orders']:,} orders)"
            + (
                f"; {row['unanswered']} more refused: {row['refused']}" if row["unanswered"] else ""
            ),
            *(
                f"    to {stage:<9} {one['p50']:>7,.0f} median {one['p99']:>8,.0f} p99"
                for stage, one in row["stages_us"].items()
            ),
            f"  {got['quotes']:,} of {sent['quotes']:,} quotes ({row['coalesced']:,} coalesced), "
            f"lost: {row['lost']['trades']} trades, {row['lost']['user']} of {sent['user']:,} "
            "user events",
        ]
    return "\n".join(lines)

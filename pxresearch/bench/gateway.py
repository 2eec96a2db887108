"""`pxresearch bench gateway`: the speed of the gateway client and of the simulator.

The yardstick is a bare loop over the `websockets` library (aiohttp where that is not installed)
with a fast JSON parser (msgspec's, untyped), which reads the very same frames from the same source
and does nothing with them. Runs of the client and of the bare loop alternate; medians and their
ratio are shown.

I/O: reads the clock; starts processes of its own; uses sockets on 127.0.0.1.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from importlib import util
from typing import Any

import aiohttp
import msgspec

from pxresearch.bench import machine
from pxresearch.bench.hubsource import ACCOUNT, CONTRACT
from pxresearch.gateway import wire
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.credentials import Credentials
from pxresearch.gateway.hubs import Hubs, HubSettings
from pxresearch.gateway.profiles import Profile, profile
from pxresearch.gateway.records import Quote, Trade, Update
from pxresearch.gateway.rest import Rest

RUNS = 5
MNQ = wire.Contract(
    id=CONTRACT, name="MNQZ6", description="Micro E-mini Nasdaq-100", tick_size=Decimal("0.25"),
    tick_value=Decimal("0.5"), active_contract=True, symbol_id="F.US.MNQ",
)  # fmt: skip


def run_gateway_bench(quick: bool = False) -> dict[str, Any]:
    """Measure; about two and a half minutes, or twenty seconds when `quick`.

    Returns
    -------
    dict
        ``decode_1`` and ``decode_20`` (records a frame): client and bare records_per_s, ratio and
        the share of quotes that were coalesced; ``load``: events sent and received at 10,000
        quotes/s with percentiles of the delay; ``order``: quote sent to order received,
        microseconds; ``fan_out``: events/s of the simulator to several clients; machine.
    """
    count, runs = (40_000, 3) if quick else (200_000, RUNS)
    return {
        "machine": machine(),
        "runs": runs,
        "bare_library": bare_library(),
        "decode_1": _decode(count, 1, runs),
        "decode_20": _decode(count, 20, runs),
        "load": asyncio.run(_load(5 if quick else 60)),
        "order": asyncio.run(_orders(300 if quick else 3_000)),
        "fan_out": _fan_out(3 if quick else 10),
    }


# ---------------------------------------------------------------- the source in its own process
@contextlib.contextmanager
def source(mode: str, **options: float) -> Iterator[Profile]:
    """A `hubsource` process; yields the profile that points at it."""
    words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    command = [sys.executable, "-m", "pxresearch.bench.hubsource", mode, *words]
    with subprocess.Popen(
        [w.replace("_", "-") if w.startswith("--") else w for w in command],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        port = int(process.stdout.readline())
        try:
            yield profile("simulator", url=f"http://127.0.0.1:{port}")
        finally:
            process.kill()


class _Token:
    async def token(self) -> str:
        return "none"

    async def fresh_token(self) -> str:
        return "none"


@contextlib.asynccontextmanager
async def _hubs(where: Profile, user: bool = False) -> AsyncIterator[Hubs]:
    hubs = Hubs(where, _Token(), Directory([MNQ]), settings=HubSettings(always_open=True))
    if user:
        hubs.subscribe_account(ACCOUNT)
    hubs.subscribe_contract(CONTRACT, quotes=True, trades=True)
    await hubs.start()
    try:
        yield hubs
    finally:
        await hubs.stop()


# ---------------------------------------------------------------- records a second
def _decode(count: int, per_frame: int, runs: int) -> dict[str, Any]:
    taken: dict[str, list[float]] = {"client": [], "bare": []}
    coalesced = 0
    for _ in range(runs):
        with source("blast", count=count, per_frame=per_frame) as where:
            seconds, merged = asyncio.run(_client_run(where, count))
        taken["client"].append(count / seconds)
        coalesced += merged
        with source("blast", count=count, per_frame=per_frame) as where:
            taken["bare"].append(count / asyncio.run(_bare_run(where, count)))
    ours, bare = (statistics.median(taken[name]) for name in ("client", "bare"))
    return {
        "records_per_s": round(ours),
        "bare_records_per_s": round(bare),
        "ratio": round(ours / bare, 3),
        "coalesced_share": round(coalesced / (count * runs), 4),
    }


async def _client_run(where: Profile, count: int) -> tuple[float, int]:
    """Seconds from the first record to the last, and how many quotes were coalesced."""
    seen = merged = 0
    start = 0.0
    async with _hubs(where) as hubs:
        while seen < count:
            for event in await hubs.get():
                if isinstance(event, Quote):
                    start = start or time.perf_counter()
                    seen += 1 + event.coalesced
                    merged += event.coalesced
        return time.perf_counter() - start, merged


async def _bare_run(where: Profile, count: int) -> float:
    """The same frames through the bare library and the parser."""
    end = wire.RECORD_END
    subscribe = {"type": 1, "target": "SubscribeContractQuotes", "arguments": [CONTRACT]}
    calls = ('{"protocol":"json","version":1}' + end, json.dumps(subscribe) + end)
    parse = msgspec.json.Decoder().decode
    seen, start = 0, 0.0
    async for frame in _bare_frames(where.market_hub, calls):
        start = start or time.perf_counter()
        for record in frame.split(end):
            if record and parse(record).get("type") == 1:
                seen += 1
        if seen >= count:
            break
    return time.perf_counter() - start


def bare_library() -> str:
    """The library of the bare client: `websockets` where it is installed, else aiohttp."""
    return "websockets" if util.find_spec("websockets") else "aiohttp"


async def _bare_frames(hub: str, calls: tuple[str, str]) -> AsyncIterator[str]:
    """Frames after the handshake's, as they come."""
    url = hub.replace("http", "ws", 1)
    if bare_library() == "websockets":
        from websockets.asyncio.client import connect

        async with connect(url, compression=None, max_size=None) as socket:
            await socket.send(calls[0])
            await socket.recv()
            await socket.send(calls[1])
            async for frame in socket:
                assert isinstance(frame, str)
                yield frame
        return
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, compress=0, max_msg_size=0) as plain,
    ):
        await plain.send_str(calls[0])
        await plain.receive()
        await plain.send_str(calls[1])
        async for message in plain:
            yield message.data


# ---------------------------------------------------------------- a steady load
async def _load(seconds: int) -> dict[str, Any]:
    """10,000 quotes/s with trades and user events among them: what arrives, and how late."""
    with source("paced", rate=10_000, seconds=seconds) as where:
        quotes = merged = trades = user = 0
        delays: list[int] = []
        async with _hubs(where, user=True) as hubs:
            running = True
            while running:
                for event in await hubs.get():
                    if isinstance(event, Quote):
                        quotes += 1 + event.coalesced
                        merged += event.coalesced
                        delays.append(time.time_ns() - event.ts)
                    elif isinstance(event, Trade):
                        trades += event.size > 0
                        running = event.size > 0
                    elif isinstance(event, Update):
                        user += 1
            sent = await asyncio.to_thread(report_of, where)
    return {
        "seconds": seconds,
        "sent": sent["sent"],
        "received": {"quotes": quotes, "trades": trades, "user": user},
        "coalesced": merged,
        "lost_trades": sent["sent"]["trades"] - trades,
        "lost_user_events": sent["sent"]["user"] - user,
        "delay_ms": percentiles(delays, 1e6),
    }


def report_of(where: Profile) -> dict[str, Any]:
    """What a source has sent and measured."""
    with urllib.request.urlopen(f"{where.rest}/report", timeout=10) as answer:
        return json.loads(answer.read())


def percentiles(samples: list[int], unit: float) -> dict[str, float]:
    """Percentiles of some samples in a unit of so many ns."""
    ordered = sorted(samples)
    at = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    top = len(ordered) - 1
    return {name: round(ordered[round(top * share)] / unit, 3) for name, share in at.items()}


# ---------------------------------------------------------------- quote in, order out
async def _orders(count: int) -> dict[str, Any]:
    """From the write of a quote's bytes to the arrival of the order request, at the other end."""
    request = wire.PlaceOrder(
        account_id=ACCOUNT, contract_id=CONTRACT, type=wire.OrderType.MARKET,
        side=wire.OrderSide.BUY, size=1, is_automated=True,
    )  # fmt: skip
    with source("orders", count=count) as where:
        keys = Credentials(user_name="bench", api_key="none")
        async with Rest(where, keys, settings=unlimited()) as rest, _hubs(where) as hubs:
            running = True
            while running:
                for event in await hubs.get():
                    if isinstance(event, Quote):
                        await rest.place(request)
                    elif isinstance(event, Trade):
                        running = event.size > 0
            sent = await asyncio.to_thread(report_of, where)
    return {"count": count, "us": percentiles(sent["latency_ns"], 1e3)}


def unlimited() -> Any:
    """Settings of a client that no budget holds up; for measuring only."""
    from pxresearch.gateway.rest import RestSettings

    return RestSettings(budget=10**9)


# ---------------------------------------------------------------- the simulator
def _fan_out(seconds: int) -> dict[str, Any]:
    from pxresearch.bench.fanout import run_fan_out

    return run_fan_out(seconds)


def format_gateway_bench(report: dict[str, Any]) -> str:
    """The report as text for a terminal."""
    m, load, order, fan = (report[k] for k in ("machine", "load", "order", "fan_out"))
    lines = [
        f"{m['platform']}, {m['cores']} cores, Python {m['python']}",
        f"medians of {report['runs']} alternating runs",
        "",
        f"{'hub records decoded':<24}{'client':>12}{report['bare_library']:>12}"
        f"{'ratio':>8}{'coalesced':>11}",
    ]
    for name, text in (("decode_1", "1 a frame"), ("decode_20", "20 a frame")):
        row = report[name]
        lines.append(
            f"  {text:<22}{row['records_per_s']:>10,}/s{row['bare_records_per_s']:>10,}/s"
            f"{row['ratio']:>8.2f}{row['coalesced_share']:>10.1%}"
        )
    delay, us = load["delay_ms"], order["us"]
    lines += [
        "",
        f"10,000 quotes/s for {load['seconds']} s: {load['received']['quotes']:,} quotes "
        f"({load['coalesced']:,} coalesced), {load['received']['trades']:,} trades "
        f"({load['lost_trades']} lost), {load['received']['user']:,} user events "
        f"({load['lost_user_events']} lost)",
        f"  delay {delay['p50']} ms median, {delay['p95']} p95, {delay['p99']} p99, "
        f"{delay['max']} worst",
        f"quote in, order out: {us['p50']:,.0f} us median, {us['p99']:,.0f} p99, "
        f"{us['max']:,.0f} worst ({order['count']:,} orders)",
        f"simulator: {fan['events_per_s']:,} events/s to {fan['clients']} clients",
    ]
    return "\n".join(lines)

"""How many events a second the simulator sends to several clients at once.

The simulator runs in a process of its own with a made-up stream; the clients, in a second process,
are bare sockets that subscribe and count the ends of records.

I/O: reads the clock; starts two processes; uses sockets on 127.0.0.1; prints what it counted.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from typing import Any

import aiohttp

from pxresearch.gateway import wire

CLIENTS, RATE = 10, 20_000
KEY = "bench-key"
_COUNTED = (wire.MARKET_QUOTE, wire.MARKET_TRADE)


def run_fan_out(seconds: int) -> dict[str, Any]:
    """Count for so many seconds.

    Returns
    -------
    dict
        clients, seconds, events and events_per_s over all clients.
    """
    server = [
        sys.executable, "-m", "pxresearch.cli", "simulator", "--port", "0", "--username", "bench",
        "--api-key", KEY, "--rate", str(RATE), "--always-open",
    ]  # fmt: skip
    with subprocess.Popen(server, stdout=subprocess.PIPE, text=True) as simulator:
        try:
            assert simulator.stdout is not None
            url = simulator.stdout.readline().split()[1]
            client = [sys.executable, "-m", "pxresearch.bench.fanout", url, str(seconds)]
            done = subprocess.run(
                client, capture_output=True, text=True, check=True, timeout=seconds + 60
            )
        finally:
            simulator.kill()
    events, took = json.loads(done.stdout)
    return {
        "clients": CLIENTS, "seconds": seconds, "events": events,
        "events_per_s": round(events / took),
    }  # fmt: skip


async def _token(session: aiohttp.ClientSession, url: str) -> str:
    body = {"userName": "bench", "apiKey": KEY}
    async with session.post(url + wire.LOGIN_KEY.path, json=body) as answer:
        return (await answer.json(content_type=None))["token"]


async def _contract(session: aiohttp.ClientSession, url: str, token: str) -> str:
    headers = {"Authorization": f"Bearer {token}"}
    path = url + wire.CONTRACT_AVAILABLE.path
    async with session.post(path, json={"live": False}, headers=headers) as answer:
        rows = (await answer.json(content_type=None))["contracts"]
    return next(row["id"] for row in rows if row["symbolId"] == "F.US.MNQ")


async def _client(
    session: aiohttp.ClientSession, url: str, token: str, contract_id: str, counts: list[int],
    at: int,
) -> None:  # fmt: skip
    end = wire.RECORD_END
    hub = f"{url}{wire.MARKET_HUB}?access_token={token}"
    async with session.ws_connect(hub, compress=0, max_msg_size=0) as socket:
        await socket.send_str('{"protocol":"json","version":1}' + end)
        for stream in ("ContractQuotes", "ContractTrades"):
            call = {"type": 1, "target": f"Subscribe{stream}", "arguments": [contract_id]}
            await socket.send_str(json.dumps(call) + end)
        async for message in socket:
            counts[at] += sum(message.data.count(f'"{name}"') for name in _COUNTED)


async def count(url: str, seconds: int) -> tuple[int, float]:
    """Events that all clients received, and the time in which they did."""
    counts = [0] * CLIENTS
    async with aiohttp.ClientSession() as session:
        token = await _token(session, url)
        contract_id = await _contract(session, url, token)
        tasks = [
            asyncio.create_task(_client(session, url, token, contract_id, counts, at))
            for at in range(CLIENTS)
        ]
        await asyncio.sleep(1.0)  # all are subscribed, and the sockets warm
        before, start = sum(counts), time.perf_counter()
        await asyncio.sleep(seconds)
        events, took = sum(counts) - before, time.perf_counter() - start
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return events, took


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(count(sys.argv[1], int(sys.argv[2])))))

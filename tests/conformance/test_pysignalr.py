"""pysignalr, which project-x-py uses, against the simulator."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from pysignalr.client import SignalRClient

from tests.conformance.kit import MARKET_EVENTS, USER_EVENTS, Heard, Rest, simulator, until


@contextlib.asynccontextmanager
async def _connected(
    url: str, token: str, heard: Heard, opened: list[str]
) -> AsyncIterator[SignalRClient]:
    client = SignalRClient(
        f"{url}?access_token={token}", access_token_factory=lambda: token, retry_sleep=0.05
    )
    take = heard.user if url.endswith("user") else heard.market
    for target in USER_EVENTS if url.endswith("user") else MARKET_EVENTS:
        client.on(target, _async(take(target)))
    client.on_open(_async(lambda: opened.append(url)))
    task = asyncio.create_task(client.run())
    try:
        await until(lambda: url in opened)
        yield client
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _async(work: Any) -> Any:
    async def call(*arguments: Any) -> None:
        work(*arguments)

    return call


def test_connects_streams_and_comes_back_after_a_drop() -> None:
    """It negotiates; every stream, a round trip, and a new connection when the hub is dropped."""

    async def run() -> None:
        heard, opened, done = Heard(), list[str](), list[Any]()
        note = _async(done.append)
        async with simulator() as running, Rest(running) as rest:
            users, markets = f"{running.url}/hubs/user", f"{running.url}/hubs/market"
            async with (
                _connected(users, rest.token, heard, opened) as user,
                _connected(markets, rest.token, heard, opened) as market,
            ):
                for stream in ("Quotes", "Trades", "MarketDepth"):
                    await market.send(f"SubscribeContract{stream}", [rest.contract], note)
                await user.send("SubscribeAccounts", [], note)
                for stream in ("Orders", "Positions", "Trades"):
                    await user.send(f"Subscribe{stream}", [rest.account], note)
                await until(lambda: len(done) == 7)
                assert all(one.error is None for one in done)
                await heard.streams(rest.contract)
                await rest.round_trip(heard)

                running.control.add("hub_drop", hub="market", step="now", close="none")
                await until(lambda: opened.count(markets) == 2)
                heard.by.clear()
                for stream in ("Quotes", "Trades", "MarketDepth"):
                    await market.send(f"SubscribeContract{stream}", [rest.contract], note)
                await heard.streams(rest.contract)

    asyncio.run(run())

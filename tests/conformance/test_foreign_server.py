"""Our hubs against a SignalR server of other people: aiosignalr, which sends JSON in binary frames.

Its hub classes find their methods by name, so they have the names of the gateway's.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from pxresearch.gateway import wire
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.hubs import Hubs, HubSettings
from pxresearch.gateway.records import Depth, Fill, Gap, Hub, Quote, Trade, Update
from tests.hub_kit import ACCOUNT, ID, MNQ, QUOTE, TOKEN, Tokens, events_until, until

server_api = pytest.importorskip(
    "aiosignalr.server", reason="needs aiosignalr (pip install aiosignalr)"
)
frontend = pytest.importorskip("aiosignalr.server.aiohttp_server")

AT = "2026-10-01T14:30:01.052+00:00"
TAPE = [{"symbolId": "F.US.MNQ", "price": 25100.5, "timestamp": AT, "type": 1, "volume": 3}]
BOOK = [
    {"type": 6, "price": 0, "volume": 0, "currentVolume": 0, "timestamp": AT},
    {"type": 1, "price": 25100.5, "volume": 4, "currentVolume": 4, "timestamp": AT},
]
FILL = {
    "id": 3300000901, "accountId": ACCOUNT, "contractId": ID, "creationTimestamp": AT,
    "price": 25100.5, "fees": 0.72, "commissions": 0.5, "side": 0, "size": 2, "voided": False,
    "orderId": 3900000101,
}  # fmt: skip
asked: Counter[str] = Counter()
contexts: list[Any] = []


class MarketHub(server_api.Hub):
    """The market hub: the first events of each stream follow its subscription."""

    async def on_connected(self) -> None:
        contexts.append(self.context)

    async def SubscribeContractQuotes(self, contract: str) -> None:
        asked["quotes"] += 1
        await self.clients.caller.send(wire.MARKET_QUOTE, contract, QUOTE)

    async def SubscribeContractTrades(self, contract: str) -> None:
        asked["trades"] += 1
        await self.clients.caller.send(wire.MARKET_TRADE, contract, TAPE)

    async def SubscribeContractMarketDepth(self, contract: str) -> None:
        asked["depth"] += 1
        await self.clients.caller.send(wire.MARKET_DEPTH, contract, BOOK)


class UserHub(server_api.Hub):
    """The user hub: a fill comes once its stream is wanted, wrapped and then bare."""

    async def on_connected(self) -> None:
        contexts.append(self.context)

    async def SubscribeAccounts(self) -> None:
        asked["accounts"] += 1

    async def SubscribeOrders(self, account: int) -> None:
        asked[f"orders {account}"] += 1

    async def SubscribePositions(self, account: int) -> None:
        asked[f"positions {account}"] += 1

    async def SubscribeTrades(self, account: int) -> None:
        asked[f"trades {account}"] += 1
        await self.clients.caller.send(wire.USER_TRADE, {"action": 0, "data": FILL})
        await self.clients.caller.send(wire.USER_TRADE, FILL)


@contextlib.asynccontextmanager
async def _served(hub: type[Any], path: str) -> AsyncIterator[str]:
    options = server_api.ServerOptions(keep_alive_interval=0.1)
    app = frontend.build_aiohttp_app(server_api.SignalRServer(hub, options=options), path=path)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}{path}"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def _running() -> AsyncIterator[Hubs]:
    asked.clear()
    contexts.clear()
    async with (
        _served(UserHub, "/hubs/user") as user,
        _served(MarketHub, "/hubs/market") as market,
    ):
        hubs = Hubs(
            SimpleNamespace(user_hub=user, market_hub=market), Tokens(), Directory([MNQ]),
            settings=HubSettings(always_open=True, backoff_s=0.01), seed=1,
        )  # fmt: skip
        hubs.subscribe_account(ACCOUNT)
        hubs.subscribe_contract(ID, depth=True)
        try:
            await hubs.start()
            yield hubs
        finally:
            await hubs.stop()


def _kinds(events: list[Any]) -> Counter[type]:
    return Counter(type(one.record if isinstance(one, Update) else one) for one in events)


def _back(events: list[Any]) -> set[Hub]:
    return {one.hub for one in events if isinstance(one, Gap) and one.until is not None}


def test_every_stream_of_a_foreign_server_is_read() -> None:
    """Token in the query, each subscription once, each event as the record it is."""

    async def run() -> None:
        async with _running() as hubs:
            assert hubs.state(Hub.USER).connected
            assert hubs.state(Hub.MARKET).connected
            wanted = Counter({Quote: 1, Trade: 1, Depth: 2, Fill: 2})
            events = await events_until(hubs, lambda seen: _kinds(seen) >= wanted)
            quote = next(one for one in events if isinstance(one, Quote))
            assert (quote.contract_id, quote.bid, quote.ask) == (ID, 100_401, 100_402)
            trade = next(one for one in events if isinstance(one, Trade))
            assert (trade.price, trade.size, trade.side) == (100_402, 3, -1)
            assert [one.size for one in events if isinstance(one, Depth)] == [0, 4]
            fills = [one.record for one in events if isinstance(one, Update)]
            assert fills[0] == fills[1]
            assert set(asked.values()) == {1}
            assert len(asked) == 7
            tokens = [context.query_string["access_token"] for context in contexts]
            assert all(one.startswith(TOKEN) for one in tokens)
            received = hubs.state(Hub.MARKET).last_received
            await until(lambda: hubs.state(Hub.MARKET).last_received != received)  # its pings
            assert hubs.state(Hub.MARKET).junk == hubs.state(Hub.USER).junk == 0

    asyncio.run(run())


def test_a_drop_by_a_foreign_server_is_a_gap_and_all_is_subscribed_again() -> None:
    """Both connections are closed by the server; the gap has an end, the streams flow anew."""

    async def run() -> None:
        async with _running() as hubs:
            await events_until(hubs, lambda seen: _kinds(seen)[Fill] == 2)
            for context in tuple(contexts):
                await context.close()
            events = await events_until(hubs, lambda seen: _back(seen) == set(Hub))
            assert next(e for e in events if isinstance(e, Gap)).until is None
            await until(lambda: set(asked.values()) == {2})
            assert len(contexts) == 4

    asyncio.run(run())

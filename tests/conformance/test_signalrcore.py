"""Stock signalrcore, in the ways in which public clients build it, against the simulator."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from signalrcore.hub_connection_builder import HubConnectionBuilder
from signalrcore.protocol.json_hub_protocol import JsonHubProtocol

from tests.conformance.kit import MARKET_EVENTS, USER_EVENTS, Heard, Rest, simulator, until

Build = Callable[[str, str], HubConnectionBuilder]


def _socket(url: str, token: str) -> str:
    return f"{url.replace('http', 'ws', 1)}?access_token={token}"


WAYS: dict[str, Build] = {
    # topstep-client-py and lumibot; the handshake asks for version 0
    "negotiate, token by the factory": lambda url, token: HubConnectionBuilder().with_url(
        url, options={"access_token_factory": lambda: token}
    ),
    # projectx-sdk
    "negotiate, token in the query": lambda url, token: HubConnectionBuilder().with_url(
        _socket(url, token)
    ),
    "no negotiate": lambda url, token: HubConnectionBuilder().with_url(
        _socket(url, token), options={"skip_negotiation": True}
    ),
    "no negotiate, version 1": lambda url, token: (
        HubConnectionBuilder()
        .with_url(_socket(url, token), options={"skip_negotiation": True})
        .with_hub_protocol(JsonHubProtocol(1))
    ),
}


async def _connected(way: str, url: str, token: str, heard: Heard) -> Any:
    connection = WAYS[way](url, token).build()
    opened = threading.Event()
    connection.on_open(opened.set)
    take = heard.user if url.endswith("user") else heard.market
    for target in USER_EVENTS if url.endswith("user") else MARKET_EVENTS:
        connection.on(target, take(target))
    await asyncio.to_thread(connection.start)
    await until(opened.is_set)
    return connection


@pytest.mark.parametrize("way", WAYS)
def test_connects_streams_and_hears_of_its_orders(way: str) -> None:
    """Both hubs, each subscription completed, every stream, a round trip, an end in good time."""

    async def run() -> None:
        heard, done = Heard(), list[Any]()
        async with simulator() as running, Rest(running) as rest:
            user = await _connected(way, f"{running.url}/hubs/user", rest.token, heard)
            market = await _connected(way, f"{running.url}/hubs/market", rest.token, heard)
            for stream in ("Quotes", "Trades", "MarketDepth"):
                market.send(f"SubscribeContract{stream}", [rest.contract], done.append)
            user.send("SubscribeAccounts", [], done.append)
            for stream in ("Orders", "Positions", "Trades"):
                user.send(f"Subscribe{stream}", [rest.account], done.append)
            await until(lambda: len(done) == 7)
            assert all(one.error is None for one in done)
            await heard.streams(rest.contract)
            await rest.round_trip(heard)
            for connection in (user, market):
                async with asyncio.timeout(5):
                    await asyncio.to_thread(connection.stop)

    asyncio.run(run())


def test_an_unknown_method_is_an_error_and_the_connection_lives() -> None:
    """As a real server: a completion with the reason, and no more."""

    async def run() -> None:
        heard, errors = Heard(), list[Any]()
        async with simulator() as running, Rest(running) as rest:
            url = f"{running.url}/hubs/market"
            market = await _connected("no negotiate", url, rest.token, heard)
            market.on_error(errors.append)
            market.send("SubscribeContractDepth", [rest.contract], lambda _: None)
            await until(lambda: errors)
            assert "Method does not exist" in errors[0].error
            for stream in ("Quotes", "Trades", "MarketDepth"):
                market.send(f"SubscribeContract{stream}", [rest.contract])
            await heard.streams(rest.contract)
            await asyncio.to_thread(market.stop)

    asyncio.run(run())

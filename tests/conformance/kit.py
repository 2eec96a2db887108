"""A simulator with a market that moves by itself, and what every public client's test needs."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx

from pxresearch.gateway import wire
from pxresearch.simulator import Simulator, SimulatorSettings, start
from pxresearch.simulator.hub import HubSettings
from pxresearch.simulator.settings import VenueSettings

MARKET_EVENTS = (wire.MARKET_QUOTE, wire.MARKET_TRADE, wire.MARKET_DEPTH)
USER_EVENTS = (wire.USER_ACCOUNT, wire.USER_ORDER, wire.USER_POSITION, wire.USER_TRADE)
KEY = "PLANTED-KEY-OF-THE-TESTS"
TALKATIVE = ("SignalRCoreClient", "pysignalr", "pysignalr.transport", "websockets.client")
"""Public clients that log the token; the log of the tests is searched for ours."""


@contextlib.asynccontextmanager
async def simulator(**hub: Any) -> AsyncIterator[Simulator]:
    """A simulator on a free port; MNQ goes to and fro by a tick, 50 times a second."""
    settings = SimulatorSettings(
        port=0, api_key=KEY, market="none", venue=VenueSettings(always_open=True),
        hub=HubSettings(ping_s=0.5, **hub),
    )  # fmt: skip
    loggers = [logging.getLogger(name) for name in TALKATIVE]
    async with start(settings) as running:
        for one in loggers:
            one.disabled = True
        course = asyncio.create_task(_course(running))
        try:
            yield running
        finally:
            for one in loggers:
                one.disabled = False
            course.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await course


async def _course(running: Simulator) -> None:
    contract = next(one for one in running.venue.exchange.listed if one.product.root == "MNQ")
    for step in itertools.cycle((0, 1, 2, 1)):
        bid, ask = contract.price(100_000 + step), contract.price(100_001 + step)
        running.control.quote(contract.id, bid, ask, 5, 7)
        running.control.trade(contract.id, bid, 1, -1)
        await asyncio.sleep(0.02)


class Rest:
    """The REST calls that a test makes beside a client of the hubs."""

    def __init__(self, running: Simulator) -> None:
        self.account = running.account_id
        self._http = httpx.AsyncClient(base_url=running.url)
        self.token = ""

    async def __aenter__(self) -> Rest:
        answer = await self.post("Auth/loginKey", userName="trader", apiKey=KEY)
        self.token = answer["token"]
        self._http.headers["Authorization"] = f"Bearer {self.token}"
        found = await self.post("Contract/search", searchText="MNQ", live=False)
        self.contract = next(c["id"] for c in found["contracts"] if c["symbolId"] == "F.US.MNQ")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def post(self, path: str, **body: Any) -> dict[str, Any]:
        """Answer of an operation, which has to be a success."""
        response = await self._http.post(f"/api/{path}", json=body)
        answer = response.json()
        assert answer["success"], (path, answer)
        return answer

    async def round_trip(self, heard: Heard) -> None:
        """Buy one, see the fill on the hub, close it, see the position end."""
        own = {"accountId": self.account, "contractId": self.contract}
        placed = await self.post("Order/place", **own, type=2, side=0, size=1)
        orders, positions = heard.by[wire.USER_ORDER], heard.by[wire.USER_POSITION]
        await until(lambda: (placed["orderId"], 2) in [(o["id"], o["status"]) for o in orders])
        await until(lambda: positions and positions[-1]["size"] == 1)
        await self.post("Position/closeContract", **own)
        await until(lambda: positions[-1]["size"] == 0)
        await until(lambda: len(heard.by[wire.USER_TRADE]) == 2 and heard.by[wire.USER_ACCOUNT])


class Heard:
    """What a client has heard: rows of user events, argument lists of market events."""

    def __init__(self) -> None:
        self.by: dict[str, list[Any]] = defaultdict(list)

    def market(self, target: str) -> Callable[[list[Any]], None]:
        """Handler of a market event."""
        return lambda arguments: self.by[target].append(arguments)

    def user(self, target: str) -> Callable[[list[Any]], None]:
        """Handler of a user event, which comes wrapped."""

        def take(arguments: list[Any]) -> None:
            (wrapped,) = arguments
            assert isinstance(wrapped["action"], int)
            self.by[target].append(wrapped["data"])

        return take

    async def streams(self, contract: str) -> None:
        """Wait until every stream has flowed, and look at its shape."""
        await until(lambda: all(len(self.by[one]) > 2 for one in MARKET_EVENTS))
        for target in MARKET_EVENTS:
            assert {arguments[0] for arguments in self.by[target]} == {contract}
        first = self.by[wire.MARKET_QUOTE][0][1]
        assert first["symbol"] == "F.US.MNQ"
        assert first["bestAsk"] - first["bestBid"] == 0.25
        assert self.by[wire.MARKET_TRADE][0][1][0]["type"] == 1  # sold
        assert self.by[wire.MARKET_DEPTH][0][1][0]["type"] == 6  # a reset begins the book


async def until(condition: Callable[[], Any], seconds: float = 15.0) -> None:
    """Wait for a condition, a bounded time."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "the condition did not come true in time"
        await asyncio.sleep(0.01)

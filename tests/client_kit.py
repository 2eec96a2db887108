"""A notebook client and a venue in one process, on a clock of their own."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import httpx

from pxresearch.clock import VirtualClock
from pxresearch.gateway import wire
from pxresearch.gateway.client import Gateway
from pxresearch.gateway.credentials import Credentials
from pxresearch.simulator.accounts import AccountSpec
from pxresearch.simulator.inprocess import InProcess
from pxresearch.simulator.server import FIRST_ACCOUNT, SimulatorSettings, make_venue
from pxresearch.simulator.settings import VenueSettings
from tests.exchange_kit import MNQ, START

T = TypeVar("T")
KEY = "PLANTED-KEY-OF-THE-TESTS"
ACCOUNT = FIRST_ACCOUNT


def spec(number: int, **members: Any) -> AccountSpec:
    """An account of the user."""
    return AccountSpec(id=number, owner="trader", **members)


class Recording(InProcess):
    """Keeps the body of every request, by operation."""

    def __init__(self, venue: Any, clock: Any, sent: dict[str, list[Any]]) -> None:
        super().__init__(venue, clock)
        self._sent = sent

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        name = request.url.path.removeprefix("/api/")
        self._sent[name].append(json.loads(request.content or b"null"))
        return await super().handle_async_request(request)


class Desk:
    """A venue whose market is moved by hand, and sessions with it."""

    def __init__(self, accounts: Sequence[AccountSpec] = (), **settings: Any) -> None:
        self.clock = VirtualClock(START)
        self.settings = SimulatorSettings(
            market="none", api_key=KEY, accounts=accounts,
            venue=VenueSettings(always_open=True, **settings),
        )  # fmt: skip
        self.venue, _ = make_venue(self.settings, self.clock)
        self.sent: defaultdict[str, list[Any]] = defaultdict(list)
        self.move(100_000)

    def move(self, bid: int, at: str = MNQ) -> None:
        """Quote one tick wide and ten deep, and trade at the bid."""
        self.venue.quote(at, bid, bid + 1, 10, 10)
        self.venue.trade(at, bid)

    @property
    def truth(self) -> Any:
        return self.venue.exchange.truth(ACCOUNT)

    @property
    def working(self) -> list[wire.Order]:
        return [one for one in self.truth.orders if not one.status.done]

    def run(self, script: Callable[[Gateway], Awaitable[T]], **options: Any) -> T:
        """Result of a script with a session, on the virtual clock."""

        async def main() -> T:
            transport = Recording(self.venue, self.clock, self.sent)
            keys = Credentials("trader", KEY)
            gateway = Gateway("simulator", keys=keys, clock=self.clock, http=transport, **options)
            async with gateway as session:
                return await script(session)

        async def virtual() -> T:
            return await self.clock.run(main())

        return asyncio.run(virtual())

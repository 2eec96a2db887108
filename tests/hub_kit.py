"""What the tests of the hub client share: a contract, tokens, a clock that runs fast, waits."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, TypeVar

from pxresearch.clock import NS
from pxresearch.gateway import wire
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.hubs import Hubs, HubSettings
from pxresearch.gateway.records import Event, Hub
from tests.hub_server import HubServer

T = TypeVar("T")
ID, ES = "CON.F.US.MNQ.Z26", "CON.F.US.EP.Z26"
ACCOUNT = 7001122
START = 1_795_600_000 * NS  # 2026-11-25 09:46 UTC: open hours
TOKEN = "header.PLANTED-TOKEN-OF-THE-TESTS.signature"
MNQ = wire.Contract(
    id=ID, name="MNQZ6", description="", tick_size=Decimal("0.25"), tick_value=Decimal("0.5"),
    active_contract=True, symbol_id="F.US.MNQ",
)  # fmt: skip
EP = wire.Contract(
    id=ES, name="ESZ6", description="", tick_size=Decimal("0.25"), tick_value=Decimal("12.5"),
    active_contract=True, symbol_id="F.US.EP",
)  # fmt: skip
USER_LIVE = {"Accounts": 1, "Orders(7001122)": 1, "Positions(7001122)": 1, "Trades(7001122)": 1}
MARKET_LIVE = {f"ContractQuotes({ID})": 1, f"ContractTrades({ID})": 1}
QUOTE = {"symbol": "F.US.MNQ", "bestBid": 25100.25, "bestAsk": 25100.5,
         "timestamp": "2026-10-01T14:30:01.348+00:00"}  # fmt: skip


class Tokens:
    """Counts how often it is asked; each login gives another token."""

    def __init__(self) -> None:
        self.asked = self.logins = 0

    async def token(self) -> str:
        self.asked += 1
        return f"{TOKEN}.{self.logins}"

    async def fresh_token(self) -> str:
        self.logins += 1
        return f"{TOKEN}.{self.logins}"


class FastClock:
    """A clock that runs `speed` times as fast as the wall's; it can be set back."""

    def __init__(self, speed: float = 20.0) -> None:
        self.speed, self.offset = speed, 0
        self._zero = time.monotonic()

    def now(self) -> int:
        return START + self.offset + round((time.monotonic() - self._zero) * self.speed * NS)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.speed)

    async def within(self, seconds: float, work: Awaitable[T]) -> T:
        async with asyncio.timeout(seconds / self.speed):
            return await work


def profile(url: str) -> Any:
    """Where the hubs are."""
    return SimpleNamespace(user_hub=f"{url}/hubs/user", market_hub=f"{url}/hubs/market")


PATIENT = {"connect_s": 1000, "answer_s": 1000, "silent_s": 5000}


def make(
    url: str, tokens: Any = None, clock: Any = None, patient: bool = True, **settings: Any
) -> Hubs:
    """Hubs with one account and one contract wanted.

    On a clock that runs fast a busy machine looks like a dead hub, so the limits are wide unless a
    test is about them.
    """
    settings = {"always_open": True, **(PATIENT if patient else {}), **settings}
    hubs = Hubs(
        profile(url), tokens or Tokens(), Directory([MNQ, EP]), clock=clock,
        settings=HubSettings(**settings), seed=1,
    )  # fmt: skip
    hubs.subscribe_account(ACCOUNT)
    hubs.subscribe_contract(ID)
    return hubs


@contextlib.asynccontextmanager
async def running(server: HubServer, **options: Any) -> AsyncIterator[Hubs]:
    """Hubs that have been started, and are stopped at the end."""
    hubs = make(server.url, **options)
    try:
        await hubs.start()
        yield hubs
    finally:
        await hubs.stop()


async def until(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    """Wait for a condition, a bounded time."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "the condition did not come true in time"
        await asyncio.sleep(0.005)


async def events_until(
    hubs: Hubs, enough: Callable[[list[Event]], Any], seconds: float = 10.0
) -> list[Event]:
    """Events received until they are enough."""
    found: list[Event] = []
    async with asyncio.timeout(seconds):
        while not enough(found):
            found += await hubs.get()
    return found


def both_live(server: HubServer, hubs: Hubs) -> bool:
    """Whether both hubs are connected and the server has just what is wanted, once."""
    user, market = server.live("user"), server.live("market")
    return (
        user is not None and market is not None
        and user.live == USER_LIVE and market.live == MARKET_LIVE
        and hubs.state(Hub.USER).connected and hubs.state(Hub.MARKET).connected
    )  # fmt: skip

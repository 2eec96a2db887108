"""A live session with a position and its stop, on a clock that runs fast, and its wires.

REST, the user hub and the market hub each have a wire of their own (`wire_kit`), over real sockets.
The product keeps its default settings; a second of this machine is many of the session's.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec

import pxresearch as px
from pxresearch.accountdir import Latch, account_folder
from pxresearch.alerts import Alert
from pxresearch.brokers.fillmodel import FillModel
from pxresearch.clock import NS, Clock, PacedClock, WallClock
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.credentials import Credentials
from pxresearch.gateway.hubs import Hubs, HubSettings
from pxresearch.gateway.profiles import Profile
from pxresearch.gateway.rest import Rest
from pxresearch.gateway.wire import TOKEN_SECONDS, OrderStatus, OrderType, PositionType
from pxresearch.runner import LIVE, Connection, Ended, Plan, Runner
from pxresearch.simulator.hub import HubSettings as VenueHubs
from pxresearch.simulator.routes import ApiSettings
from pxresearch.simulator.server import FIRST_ACCOUNT, Simulator, SimulatorSettings, start
from pxresearch.strategy import Strategy
from tests.wire_kit import Wire

SPEED = 20.0  # times as fast as the machine's clock
ACCOUNT = FIRST_ACCOUNT
CODE = "MNQZ26"
BID = 100_000  # ticks
RULES: dict[str, Any] = {"start_balance": 150_000, "max_minis": 5, "daily_loss_limit": 2_000}


class Once(Strategy):
    """Buys one with its bracket when flat, and rests an entry below; one more at another bid."""

    def on_quote(self, quote, position, orders):
        """Buy at one price, bid for another one far below, buy again at a third."""
        tick = int(quote.bid * 4)
        if position == 0 and tick == BID and orders.working == 0:
            return px.buy(1, stop_ticks=40, target_ticks=400)
        if position > 0 and tick == BID + 2 and orders.buying == 0:
            return px.buy(1, limit=quote.bid - 50.0, stop_ticks=40)
        if position > 0 and tick == BID + 4 and orders.buying < 2:
            return px.buy(1, stop_ticks=40, target_ticks=400)
        return px.hold()


class Told:
    """Keeps the alerts, with the session's time of each."""

    failed = 0

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.alerts: list[tuple[int, Alert]] = []

    def send(self, alert: Alert) -> None:
        """As a channel gets it."""
        self.alerts.append((self._clock.now(), alert))

    def beat(self, ts: int) -> None:
        """Nobody watches from outside."""


class Scene:
    """A running session and the hand on everything around it."""

    def __init__(
        self, venue: Simulator, clock: Clock, state: Path, wires: tuple[Wire, Wire, Wire]
    ) -> None:
        self.venue, self.clock = venue, clock
        self.rest, self.user, self.market = wires
        self.told = Told(clock)
        self.latch = Latch(account_folder(state, ACCOUNT))
        self.ended: Ended | None = None
        self.runner: Runner
        self.flows = True
        self.bid = BID

    @property
    def wires(self) -> tuple[Wire, ...]:
        """All three."""
        return self.rest, self.user, self.market

    @property
    def session(self) -> Any:
        """Of the runner."""
        assert self.runner._session is not None
        return self.runner._session

    @property
    def contract_id(self) -> str:
        """At the venue."""
        return next(one.id for one in self.venue.venue.exchange.listed if one.code == CODE)

    @property
    def blocked(self) -> str:
        """Why nothing opens."""
        return "; ".join(self.session.gate.reasons)

    # ------------------------------------------------------------ the market
    def quote(self, bid: int) -> None:
        """Move the market; each quote is told, even an equal one."""
        self.bid = bid
        self.venue.venue.quote(self.contract_id, bid, bid + 1, 50, 50)
        self.venue.venue.trade(self.contract_id, bid)

    async def flow(self) -> None:
        """A market that goes on, a quote every half second, as long as `flows`."""
        while True:
            if self.flows:
                self.quote(self.bid)
            await self.clock.sleep(0.5)

    # ------------------------------------------------------------ the venue's truth
    @property
    def held(self) -> int:
        """Signed contracts."""
        rows = self.venue.venue.exchange.truth(ACCOUNT).positions
        return sum(p.size if p.type is PositionType.LONG else -p.size for p in rows)

    @property
    def _working(self) -> list[Any]:
        orders = self.venue.venue.exchange.truth(ACCOUNT).orders
        return [one for one in orders if one.status is OrderStatus.OPEN]

    @property
    def stops(self) -> int:
        """Contracts that a working stop covers."""
        return sum(one.size for one in self._working if one.type is OrderType.STOP)

    @property
    def resting(self) -> int:
        """Working entries: buy limits."""
        return sum(one.type is OrderType.LIMIT and one.side == 0 for one in self._working)

    # ------------------------------------------------------------ waiting and measuring
    async def until(self, true: Callable[[], Any], seconds: float = 60.0) -> float:
        """Wait for something in the session's time; how long it took, seconds of it."""
        began = self.clock.now()
        while not true():
            took = (self.clock.now() - began) / NS
            titles = [alert.title for _, alert in self.told.alerts]
            last = self.session.last_refusal
            assert took < seconds, f"not in {seconds} s; {self.blocked}; {titles}; {last}"
            assert self.ended is None, self.ended
            await asyncio.sleep(0.002)
        return (self.clock.now() - began) / NS

    def alert(self, words: str, since: int) -> tuple[float, str] | None:
        """The first alert since a time whose title has these words: seconds after it, and text."""
        for at, alert in self.told.alerts:
            if at >= since and words in alert.title:
                return (at - since) / NS, alert.title
        return None


@contextlib.asynccontextmanager
async def scene(
    state: Path, *, speed: float = SPEED, token_s: int = TOKEN_SECONDS
) -> AsyncIterator[Scene]:
    """A session that has opened a position; ends it, and checks that it ended flat."""
    async with contextlib.AsyncExitStack() as stack:
        venue = await stack.enter_async_context(start(_venue(speed, token_s)))
        clock = PacedClock(WallClock(), venue.control.clock_state()["ns"], speed)
        port = int(venue.url.rpartition(":")[2])
        wires = (Wire(port), Wire(port), Wire(port))
        for wire in wires:
            stack.push_async_callback(wire.close)
        one = Scene(venue, clock, state, wires)
        one.quote(BID)
        where = _profile([await wire.open() for wire in wires])
        rest = await stack.enter_async_context(
            Rest(where, Credentials("trader", "secret"), clock=clock, seed=1)
        )
        names = Directory(await rest.available())
        hubs = Hubs(
            where, rest, names, clock=clock, seed=1,
            settings=msgspec.structs.replace(HubSettings(), always_open=True),
        )  # fmt: skip
        at = Connection(profile=where, rest=rest, hubs=hubs, directory=names)
        one.runner = Runner(_plan(state), at, clock=clock, deliver=one.told)
        running = asyncio.ensure_future(_run(one))
        flowing = asyncio.ensure_future(one.flow())
        try:
            await _opened(one, running)
            yield one
            for wire in wires:
                wire.heal()
            one.flows = True
            one.runner.stop("the test is over")
            await asyncio.wait_for(running, 20)
            assert one.ended is not None
            assert one.ended.flat
            assert one.held == 0
        finally:
            for task in (running, flowing):
                task.cancel()
            await asyncio.gather(running, flowing, return_exceptions=True)


async def _run(one: Scene) -> None:
    one.ended = await one.runner.run()


async def _opened(one: Scene, running: asyncio.Future[None]) -> None:
    """Until it holds one, its stop rests, and an entry works far below."""
    async with asyncio.timeout(20):
        while one.runner._session is None:
            if running.done():
                running.result()
            await asyncio.sleep(0.002)
    await one.until(lambda: one.held == 1 and one.stops == 1 and not one.blocked)
    one.bid = BID + 2
    await one.until(lambda: one.resting == 1)
    one.bid = BID + 6
    await one.until(lambda: len(one.session.mirror.working) == 4 and not one.blocked)


def _venue(speed: float, token_s: int) -> SimulatorSettings:
    """Its own limits of time are of the session's clock as well."""
    return SimulatorSettings(
        port=0, market="none", clock="data", speed=speed, api=ApiSettings(token_s=token_s),
        hub=VenueHubs(ping_s=15 / speed, timeout_s=120 / speed),
    )  # fmt: skip


def _plan(state: Path) -> Plan:
    return Plan(
        strategy=Once(), source="", source_hash="", contracts=(CODE,),
        programme=px.programme("own", **RULES), fills=FillModel(), mode=LIVE, account=ACCOUNT,
        state=state, compiled=False,
    )  # fmt: skip


def _profile(ports: list[int]) -> Profile:
    rest, user, market = (f"http://127.0.0.1:{port}" for port in ports)
    return Profile(
        name="simulator", firm="local simulator", rest=rest, user_hub=f"{user}/hubs/user",
        market_hub=f"{market}/hubs/market",
    )  # fmt: skip

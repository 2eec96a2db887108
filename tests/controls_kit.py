"""A live session for the controls: the runner over real sockets, in a time that the test moves.

The market is made by the test, quote by quote, and the strategy says what the test says. Time
stands still while anything is under way: seconds are the session's, however busy the machine is.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pxresearch as px
from pxresearch.accountdir import Latch, account_folder
from pxresearch.alerts import Alert
from pxresearch.brokers.fillmodel import FillModel
from pxresearch.clock import NS
from pxresearch.gateway.hubs import Hubs
from pxresearch.gateway.records import Hub
from pxresearch.gateway.wire import OrderStatus, OrderType, PositionType
from pxresearch.health import Health
from pxresearch.journal import Kind, read
from pxresearch.lockstep import Lockstep
from pxresearch.runner import LIVE, Connection, Ended, Plan, Runner, RunnerSettings
from pxresearch.simulator.server import FIRST_ACCOUNT, Simulator, SimulatorSettings, start
from pxresearch.steering import Steered
from tests import trade_kit as kit
from tests.disconnect_kit import Told
from tests.session_kit import Together

ACCOUNT = FIRST_ACCOUNT
CODE = "MNQZ26"
BID = 100_000  # ticks
TURN_S = 0.01  # in which what was sent is worked off
LOOK_S = 0.1
RULES: dict[str, Any] = {
    "start_balance": 150_000, "max_minis": 1, "daily_loss_limit": 2_000,
    "check_bracket_risk": False,
}  # fmt: skip
WAIT_S = 120.0  # of the machine's time

Says = Callable[[Any, int, Any], Any]


class Puppet(px.Strategy):
    """Answers a quote with what the test says."""

    def on_quote(self, quote, position, orders):
        """Ask the test."""
        return _SAYS["now"](quote, position, orders)

    def on_gap(self, gap, position, orders):
        """Ask it likewise."""
        return _SAYS["gap"](gap, position, orders)


_SAYS: dict[str, Says] = {}


def silent(_quote: Any, _position: int, _orders: Any) -> Any:
    """Says nothing."""
    return px.hold()


class Stage:
    """A venue, and one session after the other on one account of it."""

    def __init__(self, venue: Simulator, one: kit.Client, state: Path) -> None:
        self.venue, self.one, self.state = venue, one, state
        self.told = Told(one.clock)
        self.folder = account_folder(state, ACCOUNT)
        self.latch = Latch(self.folder)
        self.contract_id = one.names.find(CODE).id
        self.bid = BID
        self.hubs: list[Hubs] = [one.hubs]
        self.healths: list[Health] = []
        self.runner: Runner
        self.ended: Ended

    # ------------------------------------------------------------ the session
    @contextlib.asynccontextmanager
    async def session(self, says: Says = silent, **rules: Any) -> AsyncIterator[Runner]:
        """A session of these rules; it is stopped at the end, and must be flat then."""
        plan = Plan(
            strategy=Puppet(), source="", source_hash="", contracts=(CODE,),
            programme=px.programme("own", **{**RULES, **rules}), fills=FillModel(), mode=LIVE,
            account=ACCOUNT, state=self.state, compiled=False,
        )  # fmt: skip
        one = self.one
        hubs = Hubs(
            one.where, one.rest, one.names, clock=one.clock, settings=one.pace.hubs(tuple(Hub)),
            seed=len(self.hubs),
        )  # fmt: skip
        self.hubs.append(hubs)
        at = Connection(profile=one.where, rest=one.rest, hubs=hubs, directory=one.names)
        self.runner = Runner(
            plan, at, clock=one.clock, deliver=self.told,
            settings=RunnerSettings(poll_s=1.0, threaded=False),
            on_health=self.healths.append,
        )  # fmt: skip
        self.say(says)
        running = asyncio.ensure_future(self.runner.run())
        try:
            await self.until(lambda: self.runner._session is not None or running.done())
            self.quote(self.bid)
            await self.until(lambda: running.done() or not self.blocked)
            yield self.runner
            self.runner.stop("the test is over")
            self.ended = await running
            assert self.ended.flat
            assert (self.held, self.working) == (0, [])
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    @property
    def live(self) -> Any:
        """The running session."""
        assert self.runner._session is not None
        return self.runner._session

    @property
    def engine(self) -> Any:
        """Its engine's record."""
        return self.live.engine.engine[0]

    @property
    def health(self) -> Health:
        """As it was told last."""
        return self.healths[-1]

    @property
    def blocked(self) -> str:
        """Why nothing opens."""
        return "; ".join(self.live.gate.reasons)

    def rows(self, *kinds: Kind) -> list[Any]:
        """Rows of the newest journal."""
        return list(read(sorted(self.folder.glob("*.journal"))[-1], kinds or None))

    def alert(self, words: str, since: int = 0) -> tuple[float, Alert]:
        """The first alert after a time with these words in its title: seconds later, and it."""
        for at, alert in self.told.alerts:
            if at >= since and words in alert.title:
                return (at - since) / NS, alert
        raise AssertionError([alert.title for _, alert in self.told.alerts])

    # ------------------------------------------------------------ the strategy and the market
    def say(self, says: Says, gap: Says = silent) -> None:
        """What the strategy says from now on, to quotes and to gaps."""
        _SAYS["now"], _SAYS["gap"] = says, gap

    def quote(self, bid: int, ask: int | None = None) -> None:
        """Move the market; ticks. It is a tick wide where nothing else is said."""
        self.bid = bid
        self.venue.venue.quote(self.contract_id, bid, bid + 1 if ask is None else ask, 50, 50)

    def odd(self, members: dict[str, str]) -> None:
        """Tell of a quote that the exchange never saw: JSON by member."""
        self.venue.venue.odd_quote(self.contract_id, members)

    async def show(self, bid: int, *signals: Any, ask: int | None = None) -> None:
        """A quote, what the strategy says to it, and all that comes of it in the same moment."""
        await self._heard(lambda: self.quote(bid, ask), signals)

    async def tell(self, members: dict[str, str], *signals: Any) -> None:
        """The same with an odd quote."""
        await self._heard(lambda: self.odd(members), signals)

    async def _heard(self, act: Callable[[], None], signals: Any) -> None:
        said: list[Any] = [signals]
        self.say(lambda *_: said.pop() if said else px.hold())
        act()
        await self.pause(TURN_S)
        assert not said, "the strategy was not asked"

    async def pause(self, seconds: float) -> None:
        """Let time pass."""
        await self.one.clock.sleep(seconds)

    async def until(self, true: Callable[[], Any], seconds: float = 60.0) -> float:
        """Wait until something is so; the seconds that it took."""
        began = self.one.clock.now()
        while not true():
            took = (self.one.clock.now() - began) / NS
            assert took < seconds, [alert.title for _, alert in self.told.alerts]
            await self.pause(LOOK_S)
        return (self.one.clock.now() - began) / NS

    # ------------------------------------------------------------ the venue's truth
    @property
    def truth(self) -> Any:
        """Account, orders, positions and trades as the exchange has them."""
        return self.venue.venue.exchange.truth(ACCOUNT)

    @property
    def held(self) -> int:
        """Signed contracts."""
        rows = self.truth.positions
        return sum(p.size if p.type is PositionType.LONG else -p.size for p in rows)

    @property
    def working(self) -> list[Any]:
        """Orders that can still fill."""
        return [one for one in self.truth.orders if one.status is OrderStatus.OPEN]

    @property
    def stops(self) -> int:
        """Contracts that a working stop covers."""
        return sum(one.size for one in self.working if one.type is OrderType.STOP)


def play(folder: Path, script: Callable[[Stage], Awaitable[None]]) -> None:
    """Play a script on a stage of its own; one that hangs fails."""

    async def main() -> None:
        settings = SimulatorSettings(port=0, market="none", clock="step")
        async with (
            asyncio.timeout(WAIT_S), start(settings) as venue, kit.client(venue.url) as one,
        ):  # fmt: skip
            stage = Stage(venue, one, folder / "state")
            assert isinstance(one.pace, Steered)
            hubs = Together(stage.hubs)
            step = Lockstep(one.pace.hand, one.pace.clock, one.rest, hubs)  # pyright: ignore[reportArgumentType]
            await step.run(script(stage))

    asyncio.run(main())

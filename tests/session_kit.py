"""Sessions of the runner on a simulator in this process: several accounts, one clock."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from pxresearch.brokers.fillmodel import FillModel
from pxresearch.clock import NS, VirtualClock
from pxresearch.gateway.hubs import Hubs
from pxresearch.gateway.records import Hub
from pxresearch.gateway.stream import StreamSettings
from pxresearch.health import Health
from pxresearch.journal import Kind, read
from pxresearch.lockstep import Lockstep
from pxresearch.programmes import programme
from pxresearch.promotion_identity import source_hash
from pxresearch.runner import Connection, Plan, Runner, RunnerSettings
from pxresearch.simulator.accounts import AccountSpec
from pxresearch.simulator.server import FIRST_ACCOUNT, Simulator
from pxresearch.steering import Steered
from pxresearch.strategy import load_strategy
from tests import trade_kit as kit

T = TypeVar("T")
CODE = "MNQZ26"
ACCOUNT, OTHER = FIRST_ACCOUNT, FIRST_ACCOUNT + 1
WAIT_S = 240.0  # of the machine's time
STRATEGY = '''"""Long while it may be; from a bar of the day on it may raise."""

import pxresearch as px


class Holder(px.Strategy):
    """Buys one contract after every `pause` bars without a position."""

    bars = "1m"
    pause: int = 1
    stop_ticks: int = 400
    target_ticks: int = 400
    raises_after: int = 0  # bars; 0: never

    seen = px.state(int)
    flat = px.state(int)

    def on_bar(self, bar, position, orders):
        """Buy when it has been flat for long enough."""
        self.seen = self.seen + 1
        if self.raises_after > 0 and self.seen > self.raises_after:
            raise ValueError("the strategy does not know what to do")
        if position != 0 or orders.working > 0:
            self.flat = 0
            return px.hold()
        self.flat = self.flat + 1
        if self.flat >= self.pause:
            return px.buy(1, stop_ticks=self.stop_ticks, target_ticks=self.target_ticks)
        return px.hold()
'''


@dataclass
class Running:
    """One session, and what it tells."""

    runner: Runner
    connection: Connection
    folder: Path
    healths: list[Health] = field(default_factory=list)

    @property
    def health(self) -> Health:
        """The newest."""
        return self.healths[-1]

    def rows(self, *kinds: Kind) -> list[Any]:
        """Rows of its newest journal."""
        return list(read(sorted(self.folder.glob("*.journal"))[-1], kinds or None))


class Floor:
    """A simulator on a thin day, its truth, and the sessions that trade there.

    Parameters
    ----------
    reconcile_s
        Of every session.
    """

    def __init__(self, venue: Simulator, one: kit.Client, folder: Path, reconcile_s: float) -> None:
        self.venue, self.one, self.state = venue, one, folder / "state"
        self.file = folder / "holder.py"
        self.file.write_text(STRATEGY, encoding="utf-8")
        self.reconcile_s = reconcile_s
        self._hubs: list[Hubs] = [one.hubs]

    # ------------------------------------------------------------ sessions
    def session(
        self, account: int = ACCOUNT, *, mode: str = "live", days: int = 1, **parameters: Any
    ) -> Running:
        """A session that is not begun yet."""
        text, one = self.file.read_text(encoding="utf-8"), self.one
        plan = Plan(
            strategy=load_strategy(self.file)(**parameters), source=text,
            source_hash=source_hash(text), contracts=(CODE,), programme=programme("combine-50k"),
            fills=FillModel(), mode=mode, account=account, state=self.state, compiled=False,
        )  # fmt: skip
        which = (Hub.USER, Hub.MARKET) if mode == "live" else (Hub.MARKET,)
        hubs = Hubs(
            one.where, one.rest, one.names, clock=one.clock, settings=one.pace.hubs(which), seed=2
        )
        self._hubs.append(hubs)
        connection = Connection(profile=one.where, rest=one.rest, hubs=hubs, directory=one.names)
        made = Running(
            Runner(
                plan, connection, clock=one.clock,
                settings=RunnerSettings(days=days, poll_s=one.pace.poll_s, threaded=False),
                stream=StreamSettings(reconcile_s=self.reconcile_s),
                on_health=lambda health: made.healths.append(health),
            ),
            connection, self.state / str(account),
        )  # fmt: skip
        return made

    async def drive(self, work: Awaitable[T]) -> T:
        """Result of `work`, during which time moves for every session."""
        pace, clock = self.one.pace, self.one.clock
        assert isinstance(pace, Steered)
        assert isinstance(clock, VirtualClock)
        together = Together(self._hubs)
        lockstep = Lockstep(pace.hand, clock, self.one.rest, together)  # pyright: ignore[reportArgumentType]
        return await lockstep.run(work)

    async def until(self, happened: Callable[[], object], minutes: float = 600.0) -> None:
        """Wait, in the market's time, until something has happened."""
        end = self.one.clock.now() + round(minutes * 60 * NS)
        while not happened():
            assert self.one.clock.now() < end, "it has not happened"
            await self.one.clock.sleep(5.0)

    # ------------------------------------------------------------ the venue's own word
    def truth(self, account: int = ACCOUNT) -> dict[str, Any]:
        """Account, orders, positions and trades as the exchange has them."""
        return self.venue.control.truth(account)

    def held(self, account: int = ACCOUNT) -> int:
        """Contracts held."""
        return sum(row["size"] for row in self.truth(account)["positions"])

    def working(self, account: int = ACCOUNT) -> list[dict[str, Any]]:
        """Orders that can still fill."""
        return [row for row in self.truth(account)["orders"] if row["status"] in (1, 6, 7, 8)]

    def entries(self, account: int = ACCOUNT) -> list[dict[str, Any]]:
        """Orders that opened, or were to: the session's own without the bracket's legs."""
        tags = ((row["customTag"] or "", row) for row in self.truth(account)["orders"])
        return [row for tag, row in tags if tag and not tag.endswith(("-SL", "-TP"))]


class Together:
    """Hubs of several sessions as one, for the hand that moves the clock."""

    def __init__(self, hubs: list[Hubs]) -> None:
        self._all = hubs

    @property
    def steady(self) -> bool:
        return all(one.steady for one in self._all)

    def read(self) -> dict[int, int]:
        return {port: n for one in self._all for port, n in one.read().items()}


@contextlib.asynccontextmanager
async def floor(folder: Path, *, reconcile_s: float = 300.0) -> AsyncIterator[Floor]:
    """A simulator with two accounts on the first of the kit's days."""
    accounts = [AccountSpec(id=each, owner="trader", balance=Decimal(50_000))
                for each in (ACCOUNT, OTHER)]  # fmt: skip
    tape = kit.make_tape(folder / "data", days=kit.WEEK[:2], codes=(CODE,))
    async with (
        kit.simulator(tape, days=kit.WEEK[:2], codes=(CODE,), accounts=accounts) as venue,
        kit.client(venue.url) as one,
    ):
        yield Floor(venue, one, folder, reconcile_s)


def run(main: Callable[[], Awaitable[None]]) -> None:
    """Run a test; one that hangs fails."""

    async def bounded() -> None:
        async with asyncio.timeout(WAIT_S):
            await main()

    asyncio.run(bounded())

"""Seeded lives of a trading session at the simulator: faults, kills, restarts, in virtual time.

A run begins a few minutes before the flatten time. While the market moves and the strategy trades,
what the seed draws goes wrong and processes die; after the flatten time the faults stop, the last
process recovers, and everything must be flat and agreed. `run(seed)` is exact: the same seed is the
same run.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import msgspec

from pxresearch.accountdir import Latch, account_folder
from pxresearch.brokers.fillmodel import FillModel
from pxresearch.clock import NS, VirtualClock
from pxresearch.errors import PxError
from pxresearch.gateway.records import Hub
from pxresearch.gateway.wire import to_ns
from pxresearch.programmes import programme
from pxresearch.promotion import source_hash
from pxresearch.runner import LIVE, Ended, Plan, RunnerSettings
from pxresearch.runner.session import Session
from pxresearch.simulator.control import Control
from pxresearch.simulator.inprocess import InProcess
from pxresearch.simulator.server import FIRST_ACCOUNT, SimulatorSettings, make_venue
from pxresearch.strategy import load_strategy
from tests import crash_faults
from tests.crash_checks import Broken, Checks, journals
from tests.crash_process import Doom, Process, Skewed, doom, mortal
from tests.crash_source import Wires
from tests.exchange_kit import MNQ

CUT = to_ns("2026-10-07T20:10:00Z")  # 15:10 in Chicago, a Wednesday
FLATTEN = CUT - 120 * NS
NO_OPEN = FLATTEN - 15 * NS
BEGIN = NO_OPEN - 60 * NS
FLAT_S = 75.0  # after the faults have stopped
APART_S = 10.0
MID = 98_000
LIVES = 5

PROBE = Path(__file__).with_name("crash_probe.py")


class Told(msgspec.Struct, kw_only=True):
    """What a run came to."""

    seed: int
    lives: int = 0
    kills: Counter[str] = msgspec.field(default_factory=Counter)
    faults: Counter[str] = msgspec.field(default_factory=Counter)
    orders: int = 0
    fills: int = 0
    checks: int = 0
    exposed_s: float = 0.0
    flat_s: float = 0.0


class Bench:
    """What all runs of this process share: the strategy, compiled once."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.strategy = folder, load_strategy(f"{PROBE}:CrashProbe")
        self.source = PROBE.read_text(encoding="utf-8")

    def plan(self, rng: random.Random, state: Path) -> Plan:
        """Another session for every seed."""
        rules = programme(
            "combine-150k", flatten_margin_s=120, no_open_margin_s=135, max_minis=1,
            daily_loss_limit=rng.choice((60, 3_000, 3_000)), require_bracket=False,
        )  # fmt: skip
        strategy = self.strategy(
            seed=rng.randrange(10**6), stop_ticks=rng.randint(3, 12),
            target_ticks=rng.randint(2, 12), often=rng.choice((10, 25, 50)),
        )  # fmt: skip
        return Plan(
            strategy=strategy, source=self.source, source_hash=source_hash(self.source),
            contracts=("MNQZ26",),
            programme=rules, fills=FillModel(), mode=LIVE, account=FIRST_ACCOUNT, state=state,
        )  # fmt: skip


class Life:
    """One run."""

    def __init__(self, bench: Bench, seed: int, state: Path) -> None:
        self.rng = rng = random.Random(seed)
        self.told = Told(seed=seed)
        self.clock = VirtualClock(BEGIN)
        settings = SimulatorSettings(market="none", clock="step", seed=seed)
        self.venue, _ = make_venue(settings, self.clock)
        self.control = Control(self.venue, self.clock)
        self.http = InProcess(self.venue, self.clock)
        self.bench, self.plan = bench, bench.plan(rng, state)
        self.latch = Latch(account_folder(state, FIRST_ACCOUNT))
        self.skew = Skewed(self.clock)
        account = self.venue.exchange._floor.accounts[FIRST_ACCOUNT]
        self.checks = Checks(account, MNQ, NO_OPEN)
        self.away: set[Hub] = set()
        self.process: Process | None = None
        self.mid = MID
        self.faults_end = FLATTEN + rng.choice((0, 5, 20)) * NS
        self.troubled_until = BEGIN  # the venue cannot be asked, or does not trade
        self.over = False
        self.apart: int | None = None  # since when the engine is not the venue's
        self.failure: BaseException | None = None
        self.done = asyncio.Event()
        self.root = asyncio.current_task()
        self.beside: set[asyncio.Future[None]] = set()
        tell = self.venue.tell

        def told(events: Any) -> None:
            self.checks.orders()
            tell(events)

        self.venue.tell = told  # type: ignore[method-assign]

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside; it ends with the run."""
        self.beside.add(asyncio.ensure_future(work))

    # ------------------------------------------------------------ the market
    async def market(self) -> None:
        """Walk the price until the run is over, looking at everything after each step."""
        rng = self.rng
        while not self.over:
            await self.clock.sleep(min(0.05 + rng.expovariate(2.0), 3.0))
            self.mid += rng.choice((-2, -1, -1, 0, 0, 0, 1, 1, 2))
            self.venue.quote(MNQ, self.mid, self.mid + 1, 10, 10)
            if rng.random() < 0.5:
                self.venue.trade(MNQ, self.mid + rng.choice((0, 1)), 1)
            self.venue.advance()
            self.venue.flush()
            self.look()

    def look(self) -> None:
        """After every event."""
        now, process = self.clock.now(), self.process
        if process is not None and process.hubs is not None and not process.dead:
            process.hubs.release()
            if self.rng.random() < 0.3:
                for hub in Hub:
                    process.hubs.look(hub)
        session = process.session if process is not None else None
        if process is not None and process.journals:
            process.journals[-1].tick()
        able = (
            session is not None
            and process is not None
            and not process.dead
            and now > self.troubled_until
            and Hub.USER not in self.away
        )
        self.checks.protection(now, able)
        if session is None:
            return
        e = session.engine.engine[0]
        if e["locked"] or e["over"] or e["halted"]:
            self.checks.bar(now)

    async def watch(self) -> None:
        """Look again and again whether the engine is the venue's, when all that was told is in."""
        while not self.over:
            await self.clock.sleep(0.37)
            session = self.process.session if self.process is not None else None
            if session is None or not self.calm(session):
                self.apart = None
                continue
            try:
                self.checks.agreement(session)
                self.apart = None
            except Broken:  # a leg to be trimmed, a fill to be asked for: for a moment
                self.apart = self.apart or self.clock.now()
                if self.clock.now() - self.apart > APART_S * NS:
                    raise

    def calm(self, session: Session) -> bool:
        """Whether nothing is under way and the engine must be the venue's."""
        process, venue = self.process, session.venue
        if process is None or process.hubs is None or process.rest is None or venue is None:
            return False
        return (
            session.gate.mask == 0
            and not process.dead
            and process.hubs.quiet
            and not process.rest.busy
            and not venue._tasks
            and not venue.flattening
            and not venue.unresolved
            and not self.venue.faults.happened.get("drop_event")
            and self.clock.now() > self.troubled_until
        )

    # ------------------------------------------------------------ processes
    async def processes(self) -> None:
        """Start a process, again and again, until a session has come to its end."""
        rng = self.rng
        while True:
            last = self.told.lives >= LIVES or self.clock.now() > FLATTEN + 20 * NS
            process = self.process = Process(
                Doom() if last else doom(rng), self.skew, self.http, self._wires, self._leaves
            )
            self.told.lives += 1
            ended = await self._one(process)
            if ended is not None:
                self._judge(process, ended)
                return
            self.process = None
            pause = rng.choice((0.01, 0.5, 2.0, rng.uniform(1, 30)))
            await self.clock.sleep(min(pause, max((FLATTEN - self.clock.now()) / NS + 5, 2.0)))

    async def _one(self, process: Process) -> Ended | None:
        settings = RunnerSettings(threaded=False, poll_s=1.0)
        spared = {t for t in asyncio.all_tasks()}
        task = asyncio.ensure_future(process.live(self.plan, settings))
        dying = asyncio.ensure_future(process.died.wait())
        over = asyncio.ensure_future(self._stop(process))
        mine = {dying, over}
        try:
            await asyncio.wait({task, dying}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            over.cancel()
        if process.dead:
            self.told.kills[process.doom.kind] += 1
            await process.bury(spared | mine | self.beside | self.http._running)
            dying.cancel()
            return None
        dying.cancel()
        try:
            return task.result()
        except PxError as error:
            self.told.kills[f"could not start: {error!r}"[:300]] += 1
            if process.session is not None:
                raise
            process.kill()
            await process.bury(spared | mine | self.beside | self.http._running)
            return None

    async def _stop(self, process: Process) -> None:
        """Kill it at an instant of its own, or stop it once all is over."""
        if process.doom.kind == "" and process.doom.n and self.rng.random() < 0.5:
            await self.clock.sleep(self.rng.uniform(0.1, 60))
            if self.clock.now() < FLATTEN + 10 * NS:
                process.kill()
                return
        await self.done.wait()
        while process.runner is None:  # one that was killed at the very end, and started again
            await self.clock.sleep(0.5)
        process.runner.stop("the run is over")

    def _wires(self, directory: Any) -> Wires:
        return Wires(self.venue, self.skew, directory, "trader", self.away)

    def _leaves(self, process: Process, body: bytes) -> None:
        try:
            self.checks.entry(process, body, self.clock.now())
        except Broken as error:
            self.failure = self.failure or error

    def _judge(self, process: Process, ended: Ended) -> None:
        if not ended.clean:
            raise Broken(f"the session ended otherwise: {ended}")
        journals(process, self.bench.strategy)

    # ------------------------------------------------------------ the run
    async def run(self) -> None:
        """All of it."""
        market = asyncio.ensure_future(self.market())
        faults = asyncio.ensure_future(crash_faults.inflict(self))
        lives = asyncio.ensure_future(self.processes())
        end = asyncio.ensure_future(self._end())
        tasks = {market, faults, lives, end, asyncio.ensure_future(self.watch())}
        try:
            while not lives.done():
                done, _ = await asyncio.wait(
                    {t for t in tasks if not t.done()}, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    task.result()
                if self.failure is not None:
                    raise self.failure
            lives.result()
        finally:
            self.over = True
            self.told.orders = len(self.checks._account.book.orders)
            self.told.fills = len(self.checks._account.trades)
            self.told.checks, self.told.exposed_s = self.checks.events, self.checks.exposed_s
            if self.process is not None and not lives.done():
                self.process.kill()
            spared = {asyncio.current_task(), self.root}
            left = asyncio.all_tasks() - spared
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            if self.process is not None:
                await self.process.bury(spared)

    async def _end(self) -> None:
        """After the flatten time: wait until it is flat and agreed, within its limit."""
        await self.clock.sleep((self.faults_end - self.clock.now()) / NS + 8)
        stopped = self.clock.now()
        while not self._settled():
            await self.clock.sleep(1.0)
            if self.failure is not None:
                return
            if self.clock.now() - stopped > FLAT_S * NS:
                raise Broken(f"I5, I12: {self._state()}")
        self.told.flat_s = (self.clock.now() - FLATTEN) / NS
        assert self.process is not None
        assert self.process.session is not None
        self.checks.agreement(self.process.session)
        self.done.set()

    def _settled(self) -> bool:
        session = self.process.session if self.process is not None else None
        return (
            session is not None
            and not self.checks.position
            and not self.checks.working
            and not session.flattening
            and not session.exposed
            and session.stream.reconciled
            and not session.gate.mask
        )

    def _state(self) -> str:
        session = self.process.session if self.process is not None else None
        text = f"the venue holds {self.checks.position:+d}, {len(self.checks.working)} orders"
        if session is None:
            return f"{text}; nobody runs; {self.told.kills}"
        return (
            f"{text}; {session.gate.reasons}, flattening {session.flattening}, "
            f"exposed {session.exposed}"
        )


def run(bench: Bench, seed: int) -> Told:
    """One run; raises with the seed in it."""
    with tempfile.TemporaryDirectory(dir=bench.folder) as state, mortal():
        life: Life | None = None

        async def main() -> None:
            nonlocal life
            asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
            life = Life(bench, seed, Path(state))
            await life.clock.run(life.run())

        try:
            asyncio.run(main())
        except BaseException as error:
            raise Broken(
                f"seed {seed}: {type(error).__name__}: {error}\n"
                f"again: python -m tests.test_proof_crash {seed}"
            ) from error
        assert life is not None
        return life.told

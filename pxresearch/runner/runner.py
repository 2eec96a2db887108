"""One strategy on one account, from the lock to the end of its last trading day.

Start-up, crash recovery and reconciliation are one path: the engine as the journal left it, the
account as the venue shows it, and what differs is told to the engine, or blocks every entry.

I/O: the network, the state folder.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from pxresearch.accountdir import AccountLock, account_folder
from pxresearch.brokers.paper import PaperBroker
from pxresearch.brokers.projectx import LiveSettings, ProjectXBroker
from pxresearch.clock import NS, Clock
from pxresearch.core import records as r
from pxresearch.errors import JournalError, UnknownName, UsageError
from pxresearch.gateway.contracts import Directory, Listing
from pxresearch.gateway.desk import Desk
from pxresearch.gateway.flatten import flatten
from pxresearch.gateway.stream import Stream, StreamSettings
from pxresearch.gateway.tags import run_name
from pxresearch.health import Health
from pxresearch.journal import Journal, Kind
from pxresearch.monitor import Thresholds, Watch
from pxresearch.runner.alarms import Alarms, Deliverer
from pxresearch.runner.build import Start, begin, day_number, journal_path, next_day
from pxresearch.runner.day import Day
from pxresearch.runner.events import Events
from pxresearch.runner.fold import Fold
from pxresearch.runner.gate import Gate
from pxresearch.runner.house import House
from pxresearch.runner.listener import Listener
from pxresearch.runner.outside import StatusFile
from pxresearch.runner.plan import Plan, RunnerSettings
from pxresearch.runner.session import Connection, Session
from pxresearch.runner.timeline import Timeline
from pxresearch.runner.vitals import Vitals
from pxresearch.runner.watchdog import Watchdog

_LEAST_WAIT_S = 0.001
_EARLY_NS = 120 * NS  # before a trading day, so that its first quote is seen


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended.

    Attributes
    ----------
    reason
        In words.
    clean
        It came to its planned end, or was stopped, and is flat.
    flat
        Live: the venue shows it. Paper: the engine.
    days
        Trading days run, yyyymmdd.
    """

    reason: str
    clean: bool
    flat: bool
    days: tuple[int, ...]


class Runner:
    """Runs a plan.

    Parameters
    ----------
    connection
        Where; its Rest is logged in.
    clock
        The wall's, or a simulator's.
    deliver
        Where alerts go besides the journal.
    on_health
        Called with each health, for a terminal.
    thresholds
        From when on something deserves an alert.
    """

    def __init__(
        self, plan: Plan, connection: Connection, *, clock: Clock,
        settings: RunnerSettings | None = None, live: LiveSettings | None = None,
        stream: StreamSettings | None = None, deliver: Deliverer | None = None,
        on_health: Callable[[Health], None] | None = None, thresholds: Thresholds | None = None,
    ) -> None:  # fmt: skip
        self.plan, self._at, self._clock = plan, connection, clock
        self._settings = settings or RunnerSettings()
        self._live, self._stream_settings = live, stream
        self._alarms = Alarms(deliver, clock, _watch(plan, thresholds))
        self._on_health = on_health
        self._run = run_name(clock.now())
        self._over = asyncio.Event()
        self._reason, self._ear = "", Listener()
        self._days: list[int] = []
        self._asked_to_stop = ""
        self._session: Session | None = None

    # ------------------------------------------------------------ life
    async def run(self) -> Ended:
        """Trade until the planned days are over, or `stop`.

        Raises
        ------
        AccountInUse
            Another process trades this account.
        PxError
            It could not be started: contracts, account, journal. Nothing was sent.
        """
        folder = account_folder(self.plan.state, self.plan.account)
        with AccountLock(folder, mode=self.plan.mode, run=self._run):
            status = StatusFile(folder, threaded=self._settings.threaded)
            try:
                day = await self._day_to_run()
                if not day:
                    return Ended(reason=self._asked_to_stop, clean=True, flat=True, days=())
                session = self._session = await self._prepare(folder, day)
                return await self._trade(session, status)
            finally:
                status.close()

    def stop(self, reason: str = "stopped by the user") -> None:
        """Flatten, prove it, and end; for Ctrl-C."""
        self._asked_to_stop = self._asked_to_stop or reason

    async def _day_to_run(self) -> int:
        """Trading day to be run, shortly before it begins; 0 when stopped while waiting for it."""
        day, begins = next_day(self.plan.contracts, self._clock.now())
        while (left := begins - self._clock.now()) > _EARLY_NS:
            if self._asked_to_stop:
                return 0
            await self._clock.sleep(min((left - _EARLY_NS) / NS, self._settings.poll_s))
        return day

    async def _prepare(self, folder: Path, date: int) -> Session:
        """Everything that can be refused, before anything trades."""
        plan, at, now = self.plan, self._at, self._clock.now()
        for row in await at.rest.available():
            at.directory.add(row)
        listings = tuple(_listing(at.directory, code) for code in plan.contracts)
        index = {listing.id: k for k, listing in enumerate(listings)}
        start = begin(plan, folder, now, self._settings.horizon_days, date)
        timeline = Timeline(self._clock, lag_s=self._settings.lag_s)
        timeline.reached(int(start.session.engine["now"][0]))
        journal = self._journal(start.path)
        self._alarms.journal = journal
        day = Day(plan, start, start.session, journal, self._run, tuple(index), self._gap_s)
        day.open(now, start.told)
        fold = Fold(start.session, journal, self._ear, timeline)
        for listing in listings:
            at.hubs.subscribe_contract(listing.id)
        stream = Stream(
            at.rest, at.hubs, at.directory, [plan.account] if plan.live else [],
            clock=self._clock, settings=self._stream_settings,
        )  # fmt: skip
        fold.broker = broker = self._broker(start, fold, stream, listings)
        self._days.append(day.date)
        return Session(
            plan=plan, at=at, clock=self._clock, settings=self._settings, run=self._run,
            folder=folder, timeline=timeline, gate=Gate(), alarms=self._alarms, listings=listings,
            index=index, start=start, day=day, fold=fold, stream=stream, broker=broker,
            received=[0] * len(listings),
        )  # fmt: skip

    @property
    def _gap_s(self) -> float:
        """Between two looks that are further apart nothing was covered."""
        return max(30.0, 3 * self._settings.poll_s)

    def _journal(self, path: Path) -> Journal:
        # Its lag is that of the disk, whose time is the machine's.
        settings = self._settings
        return Journal(path, fsync=settings.fsync, threaded=settings.threaded)

    def _broker(
        self, start: Start, fold: Fold, stream: Stream, listings: tuple[Listing, ...]
    ) -> PaperBroker | ProjectXBroker:
        if not self.plan.live:
            return PaperBroker(fold.session)
        at = self._at
        desk = Desk(at.rest, at.directory, at.profile, clock=self._clock)
        return ProjectXBroker(
            fold.session, at.rest, desk, stream.mirrors[self.plan.account], at.directory, listings,
            strategy=self.plan.name[:20], run=self._run, runs={*start.runs, self._run},
            told=start.told, clock=self._clock, wake=self._ear.wake, note=self._ear.of_broker,
            settings=self._live,
        )  # fmt: skip

    async def _trade(self, session: Session, status: StatusFile) -> Ended:
        house = self._house = House(session)
        events = self._events = Events(session, house)
        vitals = self._vitals = Vitals(session, status, self._on_health)
        self._ear.begin(session, house, vitals)
        house.begin()
        watchdog = Watchdog(session)
        house.rearmed = watchdog.release
        if session.venue is not None:
            session.venue.hold = watchdog.hold
            session.at.rest.warm()  # an order does not pay for a handshake
        await session.stream.start()
        tasks = [
            asyncio.ensure_future(self._guarded(events.run(self._roll))),
            asyncio.ensure_future(self._guarded(self._look_on(session, house, vitals, watchdog))),
            asyncio.ensure_future(session.at.rest.keep_fresh()),
        ]
        try:
            await self._over.wait()
        finally:
            house.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            flat = await self._close(session, vitals)
            await watchdog.stop()
        return Ended(
            reason=self._reason,
            clean=flat and not self._ear.failed,
            flat=flat,
            days=tuple(self._days),
        )

    async def _guarded(self, work: Awaitable[None]) -> None:
        """What fails in here ends the session: flat, and told."""
        try:
            await work
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - the account is brought to safety
            self._ear.failed = True
            self._ear.error("the session failed", error)
            self._end(f"failed: {type(error).__name__}: {error}")

    def _end(self, reason: str) -> None:
        self._reason = self._reason or reason
        self._over.set()

    # ------------------------------------------------------------ time
    async def _look_on(
        self, session: Session, house: House, vitals: Vitals, watchdog: Watchdog
    ) -> None:
        """Look at everything once a poll, and at each timer of the engine."""
        poll = round(session.settings.poll_s * NS)
        due = self._clock.now() + poll
        while True:
            lead = max(house.next_timer() - session.timeline.now(), 0)
            wait = min(due - self._clock.now(), lead)
            await self._clock.sleep(max(wait / NS, _LEAST_WAIT_S))
            now = session.timeline.now()
            if now >= session.day_end:
                self._roll(now)
            house.clock(now)
            watchdog.beat()
            if self._clock.now() < due:
                continue
            due = self._clock.now() + poll
            if self._asked_to_stop and not session.stopping:
                session.stopping = self._asked_to_stop
            house.look()
            vitals.look()
            if await self._is_over(session, house, now):
                return

    async def _is_over(self, session: Session, house: House, now: int) -> bool:
        """Whether the last planned day has closed, or a stop has been carried out."""
        if session.stopping:
            if session.exposed and not session.flattening:
                house.flatten(-1, r.INTERRUPTED)
            if not session.exposed:
                self._end(session.stopping)
                return True
            return False
        last = len(self._days) >= session.settings.days
        if last and session.day.closes and now >= session.day.closes and not session.flattening:
            self._end("the trading day is over")
            return True
        return False

    def _roll(self, now: int) -> None:
        """A trading day ends: its journal is closed, the next one begins with the state."""
        session = self._session
        assert session is not None
        held = [session.position(k) for k in range(len(session.listings))]
        self._finish_day(session, flat=not any(held), reason="the trading day is over")
        day = day_number(max(now, session.day_end))
        start = msgspec.structs.replace(
            session.start, path=journal_path(session.folder, self.plan.mode, day), day=day,
            covered_ns=0,
        )  # fmt: skip
        journal = self._journal(start.path)
        self._alarms.journal = session.fold.journal = journal
        session.start = start
        session.day = Day(
            self.plan, start, session.engine, journal, self._run, tuple(session.index), self._gap_s
        )
        told = session.venue.book.told if session.venue is not None else set()
        session.day.open(now, told)
        self._days.append(day)
        self._house.new_day()

    # ------------------------------------------------------------ the end
    def _finish_day(self, session: Session, *, flat: bool, reason: str) -> None:
        now = session.timeline.now()
        self._vitals.settle_faults()
        done = session.day.result(reason, flat=flat, equity=session.fold.equity())
        self._vitals.summary(done)
        session.day.end(now, done)
        self._alarms.journal = None  # what is told from here on is only delivered
        session.fold.journal.close()

    async def _close(self, session: Session, vitals: Vitals) -> bool:
        """Prove that it is flat, write the end, let everything go."""
        if self._ear.failed:
            session.stopping = self._reason
            for k in range(len(session.listings)):
                session.broker.flatten(k)
        flat = await self._prove_flat(session)
        await session.broker.close()  # before the journal: what it stops has a last word
        await session.stream.stop()
        try:
            self._finish_day(session, flat=flat, reason=self._reason)
        except JournalError as error:
            self._ear.failed = True
            self._alarms("error", "critical", f"The end of the session is not journaled: {error}")
        vitals.close()
        return flat

    async def _prove_flat(self, session: Session) -> bool:
        if session.venue is None:
            return not any(session.broker.snapshot().positions)
        found = await flatten(session.at.rest, self.plan.account, clock=self._clock)
        session.fold.settle(self._clock.now())
        told = msgspec.to_builtins(found)
        session.fold.journal.write(Kind.NOTE, session.timeline.now(), {"flat": told})
        watch = session.alarms.watch
        why = "end of the session"
        session.alarms.all(
            watch.flattened(self._clock.now(), why, found.verified, found.trouble or "")
        )
        return found.verified


def _watch(plan: Plan, thresholds: Thresholds | None) -> Watch:
    # A strategy may do without stops; where the account demands them, one that lacks is told.
    wanted = thresholds or Thresholds()
    if not plan.programme.require_bracket:
        wanted = msgspec.structs.replace(wanted, unprotected_s=None)
    name = f"{plan.mode} {plan.account}"
    return Watch(name, thresholds=wanted, max_loss_limit=plan.programme.max_loss_micros)


def _listing(directory: Directory, code: str) -> Listing:
    found = directory.find(code)
    if found.contract is None:
        raise UsageError(f"{code} is no product of this program's table; it is not traded")
    if found.contract.code != code:
        raise UnknownName("contract at the venue", code, [one.code for one in directory])
    return found

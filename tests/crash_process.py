"""A process that can be killed at any point: a runner, its disk and its connections.

`point` is called at every journal write, before and after every commit, and at every stage of every
REST call. The chosen one kills: nothing that runs after it has any effect on the disk or at the
venue, as after ``kill -9``; what was already on its way to the venue arrives.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from typing import Any

import httpx
import msgspec

from pxresearch.accountdir import AccountLock
from pxresearch.clock import Clock
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.credentials import Credentials
from pxresearch.gateway.profiles import profile
from pxresearch.gateway.rest import Rest
from pxresearch.journal import Journal
from pxresearch.journal.store import Stored
from pxresearch.journal.writer import WAIT_S
from pxresearch.runner import Connection, Ended, Plan, Runner, RunnerSettings
from pxresearch.runner import runner as module
from pxresearch.runner.session import Session
from tests.crash_source import Wires

WHERE = profile("simulator")
MUTATIONS = ("/api/Order/", "/api/Position/")
READS = ("search", "query", "searchOpen", "searchById")


class Killed(BaseException):
    """The process is dead; no handler of the package's own catches it and goes on."""


class Doom(msgspec.Struct, frozen=True):
    """Where a process dies: at the n-th point of a kind; kind "" is none of them."""

    kind: str = ""
    n: int = 0


class Skewed:
    """The machine's clock: the venue's, and wrong by so much."""

    def __init__(self, base: Clock) -> None:
        self.base = base
        self.off = 0

    def now(self) -> int:
        return self.base.now() + self.off

    async def sleep(self, seconds: float) -> None:
        await self.base.sleep(seconds)

    async def within(self, seconds: float, work: Any) -> Any:
        return await self.base.within(seconds, work)


class Process:
    """One life of a runner.

    Attributes
    ----------
    broken
        The disk refuses everything.
    """

    def __init__(
        self, doom: Doom, clock: Skewed, http: httpx.AsyncBaseTransport,
        wires: Callable[[Directory], Wires], watch: Callable[[Process, bytes], None],
    ) -> None:  # fmt: skip
        self.doom, self.clock = doom, clock
        self._http, self._wires, self._watch = http, wires, watch
        self.dead = False
        self.died = asyncio.Event()
        self.broken = False
        self.points: Counter[str] = Counter()
        self.runner: Runner | None = None
        self.hubs: Wires | None = None
        self.rest: Rest | None = None
        self.journals: list[DyingJournal] = []
        self.locks: list[DyingLock] = []
        self.flying: set[asyncio.Task[Any]] = set()

    # ------------------------------------------------------------ life and death
    async def live(self, plan: Plan, settings: RunnerSettings) -> Ended:
        """Run until the session has ended, or the process is killed."""
        module.Journal = self._journal  # type: ignore[misc]
        module.AccountLock = self._lock  # type: ignore[misc]
        rest = self.rest = Rest(
            WHERE, Credentials("trader", "secret"), clock=self.clock, http=Via(self), seed=1
        )
        async with rest:
            directory = Directory(await rest.available())
            self.hubs = self._wires(directory)
            at = Connection(profile=WHERE, rest=rest, hubs=self.hubs, directory=directory)
            self.runner = Runner(plan, at, clock=self.clock, settings=settings)
            return await self.runner.run()

    @property
    def session(self) -> Session | None:
        """The runner's session, once it has one."""
        return None if self.runner is None else self.runner._session

    def kill(self) -> None:
        """Be dead from now on."""
        self.dead = True
        if self.hubs is not None:
            self.hubs.cut()
        self.died.set()

    def point(self, *kinds: str) -> None:
        """Reach a point; die here if it is the one."""
        if self.dead:
            raise Killed
        self.points.update(kinds)
        if self.doom.kind in kinds and self.points[self.doom.kind] >= self.doom.n:
            self.kill()
            raise Killed

    async def bury(self, spared: Container[Any]) -> None:
        """Let the dead process' tasks go, and what the system takes back: the lock, the files."""
        while left := [t for t in asyncio.all_tasks() if t not in spared and t not in self.flying]:
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        for journal in self.journals:
            journal.abandon()
        for lock in self.locks:
            lock.abandon()

    # ------------------------------------------------------------ its disk
    def _journal(self, path: Any, **how: Any) -> DyingJournal:
        journal = DyingJournal(path, self, **how)
        self.journals.append(journal)
        return journal

    def _lock(self, folder: Any, **how: Any) -> DyingLock:
        lock = DyingLock(folder, self, **how)
        self.locks.append(lock)
        return lock

    def watch(self, body: bytes) -> None:
        """An order is about to leave."""
        self._watch(self, body)


class DyingLock(AccountLock):
    """A lock whose owner may be killed: its text stays, the system's lock goes."""

    def __init__(self, folder: Any, process: Process, **how: Any) -> None:
        self._process = process
        super().__init__(folder, **how)

    def close(self) -> None:
        if not self._process.dead:
            super().close()

    def abandon(self) -> None:
        self._file.close()


class DyingJournal(Journal):
    """A journal whose every write and commit is a point."""

    def __init__(self, path: Any, process: Process, **how: Any) -> None:
        self._process = process
        process.point("journal", "open")
        super().__init__(path, clock=process.clock.base, tail=True, **how)
        self._append = self._store.append
        self._store.append = self._commit  # type: ignore[method-assign]

    def input(self, *args: Any) -> int:
        self._process.point("journal", "input")
        return super().input(*args)

    def write(self, kind: Any, ts: int, data: Any) -> int:
        self._process.point("journal", "write")
        return super().write(kind, ts, data)

    def keep(self) -> bool:
        self._process.point("journal", "tail")
        kept = super().keep()
        self._process.point("journal", "kept")
        return kept

    def _commit(self, rows: Sequence[Stored]) -> None:
        self._process.point("journal", "commit")
        if self._process.broken:
            raise sqlite3.OperationalError("database or disk is full")
        self._append(rows)
        self._process.point("journal", "committed")

    def close(self) -> None:
        self._process.point("journal", "close")
        super().close()

    def tick(self) -> None:
        """What the thread of a real one does: write what has waited, and what the disk refused."""
        if not self._process.dead and self.lag_s >= WAIT_S:
            with contextlib.suppress(Killed):
                self._flush()

    def abandon(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._store.db.close()
        if self._tail is not None:
            self._tail.close(committed=False)


class Via(httpx.AsyncBaseTransport):
    """The way to the venue; each stage of a request is a point."""

    def __init__(self, process: Process) -> None:
        self._process, self._inner = process, process._http

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        p, path = self._process, request.url.path
        kinds = ["rest"]
        if path.startswith(MUTATIONS) and path.rsplit("/", 1)[1] not in READS:
            kinds.append("mutation")
        if path == "/api/Order/place" and not p.dead:
            p.watch(await request.aread())
        p.point(*kinds, *(f"{kind} before" for kind in kinds))
        try:
            p.point(*(f"{kind} in flight" for kind in kinds))
        except Killed:
            p.flying.add(asyncio.ensure_future(self._arrive(request)))
            raise
        response = await self._inner.handle_async_request(request)
        p.point(*(f"{kind} acted" for kind in kinds))
        with contextlib.suppress(Killed):
            p.point(*(f"{kind} answered" for kind in kinds))
        return response

    async def _arrive(self, request: httpx.Request) -> None:
        with contextlib.suppress(httpx.HTTPError):
            await self._inner.handle_async_request(request)


@contextlib.contextmanager
def mortal() -> Iterator[None]:
    """Runners have, as long as this lasts, the journals and locks of `Process`."""
    kept = module.Journal, module.AccountLock
    try:
        yield
    finally:
        module.Journal, module.AccountLock = kept  # type: ignore[misc]


def doom(rng: random.Random) -> Doom:
    """A place to die, or none."""
    kind = rng.choice((
        "", "", "journal", "write", "input", "commit", "committed", "tail", "kept", "rest",
        "rest before", "mutation before", "mutation in flight", "mutation acted",
        "mutation answered",
    ))  # fmt: skip
    most = {"": 1, "journal": 400, "write": 150, "input": 200, "commit": 12, "committed": 12,
            "tail": 12, "kept": 12, "rest": 40, "rest before": 40}.get(kind, 8)  # fmt: skip
    return Doom(kind, rng.randint(1, most))

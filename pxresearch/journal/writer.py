"""The writer of a journal: callers hand over and go on; a thread of its own does the disk.

What is handed over gets its number at once and waits in memory, at most `WAIT_S` of the machine's
time, until the thread commits all of it in one transaction, in order. What still waits when the
process dies is lost: no more than `WAIT_S` of it, and nothing that was said to be stored.

Two policies. "interval": stored means that it survives the process: `stored` copies what waits into
the `tail` and does not wait for the thread. A second thread forces the file to the disk every
`fsync_s`, so a power cut costs that much and `WAIT_S`. "always": stored means forced to the disk.
Either way every input before an intent is stored with the intent.

When the disk refuses, `failed` says so, whoever waits gets a `JournalError`, and rows are kept
(`backlog`) and written in order when the disk is back.

I/O: writes one file (`store`) and the `tail` beside it; two threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from pxresearch.clock import NS, Clock, WallClock
from pxresearch.errors import JournalError, UsageError
from pxresearch.journal.backlog import TOO_MUCH, Backlog
from pxresearch.journal.blocks import ROW
from pxresearch.journal.records import Kind, encode
from pxresearch.journal.store import Store, chain
from pxresearch.journal.tail import Tail, left, tail_of

WAIT_S = 0.25
RETRY_S = 1.0
CLOSE_TRIES = 3
POLICIES = ("interval", "always")
_BATCH = 64  # rows a transaction
_UNTHREADED = 4_096  # inputs after which a journal without threads writes by itself


class Journal:
    """A journal that is being written; belongs to one thread, which may run an event loop.

    Parameters
    ----------
    path
        Made if it does not exist; else it goes on where it ended.
    clock
        Measures `lag_s`; the machine's by default, because a disk keeps to no other.
    fsync
        "interval" or "always".
    fsync_s
        Seconds between two forcings to the disk, under "interval".
    threaded
        False does all work in the caller's thread, every few thousand inputs and when `stored`
        asks: for runs under a virtual clock, which repeat exactly.
    tail
        Whether `stored` may do with the tail; by default where there are threads and the policy
        allows it.

    Raises
    ------
    JournalError
        The file cannot be opened, or is no journal of this version.
    """

    def __init__(
        self, path: Path, *, clock: Clock | None = None, fsync: str = "interval",
        fsync_s: float = 0.2, threaded: bool = True, tail: bool | None = None,
    ) -> None:  # fmt: skip
        if fsync not in POLICIES or fsync_s <= 0:
            raise UsageError(
                f"fsync must be one of {', '.join(POLICIES)} and fsync_s above 0, "
                f"received {fsync!r} and {fsync_s!r}"
            )
        self.path = path
        self._clock = clock or WallClock()
        self._always, self._fsync_s = fsync == "always", fsync_s
        if not path.exists():  # a tail without its journal is of one that was moved away
            tail_of(path).unlink(missing_ok=True)
        self._store = Store(path)
        self._tail = self._take_over(not self._always and (threaded if tail is None else tail))
        self._committed = self._synced = self._store.last_seq
        self._backlog = Backlog(path, self._clock, self._committed)
        self._lock = threading.Lock()
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._refusal: str | None = None
        self._sync_refusal: str | None = None
        self._wake, self._stop = threading.Event(), threading.Event()
        self._threads: list[threading.Thread] = []
        if threaded:
            self._start(self._write_on)
            if not self._always:
                self._start(self._sync_on)

    def _take_over(self, tail: bool) -> Tail | None:
        """Commit what a killed writer has left, and make a tail of our own."""
        store = self._store
        try:
            if rows := left(self.path, store.last_seq):
                store.append(chain(store.head, rows))
        except sqlite3.Error as error:
            store.close()
            raise self._error(f"the rows of {tail_of(self.path).name}: {error}") from error
        if not tail:
            return None
        try:
            return Tail(self.path)
        except OSError:  # then whoever asks waits for the commit
            return None

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, name=f"journal {self.path.name}", daemon=True)
        thread.start()
        self._threads.append(thread)

    # -------------------------------------------------------------- handing over
    def input(
        self, what: int, k: int, ts: int, a: int, b: int, c: int, d: int, received: int
    ) -> int:
        """Hand over what the engine was told; returns its sequence number."""
        seq = self._backlog.add_input(ROW.pack(what, k, ts, a, b, c, d, received), ts)
        if not self._threads and seq - self._committed >= _UNTHREADED and self.failed is None:
            self._flush()
        return seq

    def write(self, kind: Kind, ts: int, data: Mapping[str, Any] | msgspec.Struct | bytes) -> int:
        """Hand over a row (a snapshot as bytes); returns its sequence number.

        Secrets in it are hidden. It is copied: the caller may go on changing `data`.

        Raises
        ------
        ValueError
            No such kind, or a time beyond int64: the row could never be written.
        """
        kind, ts, body = Kind(kind), int(ts), encode(data)
        if not -(2**63) <= ts < 2**63:
            raise ValueError(f"a time must be ns that an int64 holds, received {ts}")
        return self._backlog.add_row(kind, ts, body)

    # -------------------------------------------------------------- how it stands
    async def stored(self, seq: int) -> None:
        """Return once everything up to a sequence number is stored, by the policy.

        Raises
        ------
        JournalError
            The disk refuses, or the row was lost while it did.
        """
        kept = seq <= self._committed or self.keep()
        if not kept and not self._threads:
            self._flush()
        if self._backlog.was_lost(seq):
            raise self._error(f"row {seq} was lost: {self.failed or TOO_MUCH}")
        if kept or seq <= self._committed:
            return
        future = asyncio.get_running_loop().create_future()
        with self._lock:
            if self.failed is not None or self._backlog.closed:
                raise self._error()
            self._waiters.append((seq, future))
        self._wake.set()
        await future

    def keep(self) -> bool:
        """Let everything that was handed over survive the process from now on, without waiting.

        False where only a commit does that (`stored` asks for one), and while the disk refuses:
        the tail then takes what it has room for, but nothing may rely on it.
        """
        tail = self._tail
        if tail is None or self._backlog.closed:
            return False
        kept = tail.put(self._backlog.waiting(tail.last), self._store.last_seq)
        return kept and self.failed is None

    def _error(self, text: str = "") -> JournalError:
        said = text or f"it cannot be written: {self.failed or 'closed'}"
        return JournalError(f"the journal {self.path}: {said}")

    @property
    def last_seq(self) -> int:
        """The last sequence number that was given."""
        return self._backlog.last_seq

    @property
    def stored_seq(self) -> int:
        """Everything up to this number is stored, by the policy."""
        return max(self._committed, 0 if self._tail is None else self._tail.last)

    @property
    def failed(self) -> str | None:
        """Why the disk refuses; None while all is well."""
        return self._refusal or self._sync_refusal

    @property
    def lag_s(self) -> float:
        """Age of the oldest thing that waits to be stored, seconds."""
        oldest = self._backlog.oldest
        return 0.0 if oldest is None else max(0.0, (self._clock.now() - oldest) / NS)

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return self._store.size()

    # -------------------------------------------------------------- the threads
    def _write_on(self) -> None:
        tries = 0
        while tries < CLOSE_TRIES:
            self._wake.wait(WAIT_S if self._refusal is None else RETRY_S)
            self._wake.clear()
            closed = self._backlog.closed
            self._flush()
            if closed:
                tries = tries + 1 if self._backlog else CLOSE_TRIES

    def _sync_on(self) -> None:
        while not self._stop.wait(self._fsync_s):
            seq = self._store.last_seq
            if seq > self._synced:
                try:
                    self._store.sync()
                    self._synced, self._sync_refusal = seq, None
                except Exception as error:  # noqa: BLE001 - shown, and tried again
                    self._sync_refusal = f"{type(error).__name__}: {error}"

    def _flush(self) -> None:
        """Commit everything that waits; what the disk refuses stays."""
        try:
            batch = self._backlog.first(_BATCH)
            while batch or self._committed < self._store.last_seq:
                if batch:
                    self._store.append(chain(self._store.head, batch))
                    self._backlog.drop(batch)
                if self._always:
                    self._store.sync()
                self._committed = self._store.last_seq
                self._settle(self._committed, None)
                batch = self._backlog.first(_BATCH)
            # Whoever came while the last batch was being told of finds everything done.
            self._settle(self._committed, None)
        except Exception as error:  # noqa: BLE001 - the thread lives on; shown, and tried again
            self._refusal = f"{type(error).__name__}: {error}"
            self._settle(self.last_seq, self._error())
        else:
            self._refusal = None

    def _settle(self, seq: int, error: JournalError | None) -> None:
        """Tell everybody who waits for a number up to this one what became of it."""
        with self._lock:
            due = [future for wanted, future in self._waiters if wanted <= seq]
            self._waiters = [waiter for waiter in self._waiters if waiter[0] > seq]
        for future in due:
            _give(future, error)

    def close(self) -> None:
        """Write what waits and close; takes a few seconds at most. Does nothing the second time.

        Raises
        ------
        JournalError
            Rows could not be written: they are lost, or stand in the tail.
        """
        if not self._backlog.close():
            return
        if not self._threads:
            self._flush()
        self._wake.set()
        self._stop.set()
        for thread in self._threads:
            thread.join(CLOSE_TRIES * RETRY_S + 2.0)
        self._settle(self.last_seq, self._error())
        self._let_go()

    def _let_go(self) -> None:
        """Close the files; what could not be committed goes into the tail as far as it has room."""
        late, tail = self.last_seq - self._committed, self._tail
        if late and tail is not None:
            tail.put(self._backlog.waiting(tail.last), self._committed)
        lost = self.last_seq - self.stored_seq
        if not any(thread.is_alive() for thread in self._threads):
            with contextlib.suppress(OSError):
                self._store.sync()
            self._store.close()
            if tail is not None:
                tail.close(committed=not late)
        why = self.failed or "the disk does not answer"
        if lost:
            raise self._error(f"the last {lost} rows are lost: {why}")
        if late:
            name = tail_of(self.path).name
            raise self._error(f"the last {late} rows stand in {name} until the next start: {why}")


def _give(future: asyncio.Future[None], error: JournalError | None) -> None:
    """Give a future its outcome from any thread; its loop may be gone."""

    def do() -> None:
        if future.done():
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    with contextlib.suppress(RuntimeError):
        future.get_loop().call_soon_threadsafe(do)

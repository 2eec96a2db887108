"""The writer of a journal: callers hand over and go on; a thread of its own does the disk.

What is handed over gets its number at once and waits in memory, at most `WAIT_S` of the machine's
time, until the thread commits all of it in one transaction, in order. `stored` asks for that now
and returns when it is done, so every input before an intent is committed with the intent. What
still waits when the process dies is lost: no more than `WAIT_S` of it, and nothing that was said to
be stored.

Two policies. "interval": stored means committed to the file, which survives the process; a second
thread forces the file to the disk every `fsync_s`, so a power cut costs that much. "always": stored
means forced to the disk.

When the disk refuses, `failed` says so, whoever waits gets a `JournalError`, and rows are kept, up
to `MOST_BYTES` of them (about a million inputs), and written in order when the disk is back. What
comes beyond that is counted, and a GAP row takes its numbers.

I/O: writes one file (`store`); two threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import zlib
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pxresearch.clock import NS, Clock, WallClock
from pxresearch.errors import JournalError, UsageError
from pxresearch.journal.blocks import ROW, ROW_BYTES, pack
from pxresearch.journal.records import Gap, Kind, encode
from pxresearch.journal.store import Store, Stored, chained

WAIT_S = 0.25
RETRY_S = 1.0
CLOSE_TRIES = 3
MOST_BYTES = 64 << 20
_BLOCK = 4_096 * ROW_BYTES  # packing a larger one would keep the loop from its turn
_BATCH = 64  # rows a transaction
_ROW_COST = 200  # bytes that a waiting row takes beside its data
_TOO_MUCH = f"the disk took nothing, and {MOST_BYTES >> 20} MB waited already"
POLICIES = ("interval", "always")


class _Waiting(NamedTuple):
    seq: int
    n: int
    ts: int
    kind: Kind
    data: bytes | bytearray
    since: int

    @property
    def cost(self) -> int:
        return len(self.data) + _ROW_COST


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
        False does all work in the caller's thread, when a block is full or `stored` asks: for
        runs under a virtual clock, which repeat exactly.

    Raises
    ------
    JournalError
        The file cannot be opened, or is no journal of this version.
    """

    def __init__(
        self, path: Path, *, clock: Clock | None = None, fsync: str = "interval",
        fsync_s: float = 0.2, threaded: bool = True,
    ) -> None:  # fmt: skip
        if fsync not in POLICIES or fsync_s <= 0:
            raise UsageError(
                f"fsync must be one of {', '.join(POLICIES)} and fsync_s above 0, "
                f"received {fsync!r} and {fsync_s!r}"
            )
        self.path = path
        self._clock = clock or WallClock()
        self._always, self._fsync_s = fsync == "always", fsync_s
        self._store = Store(path)
        self.last_seq = self._stored = self._synced = self._store.last_seq
        self._lock = threading.Lock()
        self._inputs, self._inputs_since = bytearray(), 0
        self._queue: deque[_Waiting] = deque()
        self._held = 0
        self._keeping, self._closed = True, False
        self._gap: _Waiting | None = None
        self._lost: list[range] = []
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._refusal: str | None = None
        self._sync_refusal: str | None = None
        self._wake, self._stop = threading.Event(), threading.Event()
        self._threads: list[threading.Thread] = []
        if threaded:
            self._start(self._write_on)
            if not self._always:
                self._start(self._sync_on)

    def _start(self, work: Any) -> None:
        thread = threading.Thread(target=work, name=f"journal {self.path.name}", daemon=True)
        thread.start()
        self._threads.append(thread)

    # -------------------------------------------------------------- handing over
    def input(
        self, what: int, k: int, ts: int, a: int, b: int, c: int, d: int, received: int
    ) -> int:
        """Hand over what the engine was told; returns its sequence number."""
        row = ROW.pack(what, k, ts, a, b, c, d, received)
        with self._lock:
            if not self._keeping and self._pass_over(ts):
                return self.last_seq
            self.last_seq += 1
            if not self._inputs:
                self._inputs_since = self._clock.now()
            self._inputs += row
            full, seq = len(self._inputs) >= _BLOCK, self.last_seq
            if full:
                self._seal(seq)
        if full and not self._threads:
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
        with self._lock:
            self._seal(self.last_seq)
            if not self._keeping and self._pass_over(ts):
                return self.last_seq
            self.last_seq += 1
            self._put(_Waiting(self.last_seq, 1, ts, kind, body, self._clock.now()))
            return self.last_seq

    def _seal(self, last: int) -> None:
        """Make a block of the inputs that wait, the last of which has this number."""
        if self._inputs:
            n = len(self._inputs) // ROW_BYTES
            ts = ROW.unpack_from(self._inputs, len(self._inputs) - ROW_BYTES)[2]
            block, self._inputs = self._inputs, bytearray()
            self._put(_Waiting(last - n + 1, n, ts, Kind.INPUT, block, self._inputs_since))

    def _put(self, row: _Waiting) -> None:
        self._queue.append(row)
        self._held += row.cost
        self._keeping = not self._closed and self._held < MOST_BYTES

    def _pass_over(self, ts: int) -> bool:
        """Only count the next row, because no memory is left; False when there is room again."""
        if self._closed:
            raise JournalError(f"the journal {self.path} is closed; nothing can be added")
        if self._held < MOST_BYTES // 2:
            self._end_gap(ts)
            return False
        self.last_seq += 1
        gap = self._gap or _Waiting(self.last_seq, 0, ts, Kind.GAP, b"", self._clock.now())
        self._gap = gap._replace(n=gap.n + 1)
        return True

    def _end_gap(self, ts: int) -> None:
        """Let a GAP row take the numbers of what was only counted."""
        if self._gap is not None:
            gap = Gap(of="journal", since=self._gap.ts, until=ts, missed=self._gap.n, why=_TOO_MUCH)
            self._lost.append(range(self._gap.seq, self._gap.seq + self._gap.n))
            self._put(self._gap._replace(ts=ts, data=encode(gap)))
            self._gap = None

    # -------------------------------------------------------------- how it stands
    async def stored(self, seq: int) -> None:
        """Return once everything up to a sequence number is stored, by the policy.

        Raises
        ------
        JournalError
            The disk refuses, or the row was lost while it did.
        """
        if not self._threads and seq > self._stored:
            self._flush()
        if self._is_stored(seq):
            return
        if not self._threads:
            raise self._error()
        future = asyncio.get_running_loop().create_future()
        with self._lock:
            if self.failed is not None or self._closed:
                raise self._error()
            self._waiters.append((seq, future))
        self._wake.set()
        await future

    def _is_stored(self, seq: int) -> bool:
        gap = self._gap
        if any(seq in lost for lost in self._lost) or (gap is not None and seq >= gap.seq):
            raise JournalError(
                f"row {seq} of the journal {self.path} was lost: {self.failed or _TOO_MUCH}"
            )
        return seq <= self._stored

    def _error(self) -> JournalError:
        return JournalError(f"the journal {self.path} cannot be written: {self.failed or 'closed'}")

    @property
    def failed(self) -> str | None:
        """Why the disk refuses; None while all is well."""
        return self._refusal or self._sync_refusal

    @property
    def stored_seq(self) -> int:
        """Everything up to this sequence number is stored."""
        return self._stored

    @property
    def lag_s(self) -> float:
        """Age of the oldest thing that waits to be stored, seconds."""
        with self._lock:
            since = self._inputs_since if self._inputs else None
            since = self._queue[0].since if self._queue else since
        return 0.0 if since is None else max(0.0, (self._clock.now() - since) / NS)

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
            self._flush()
            if self._closed:
                tries = tries + 1 if self._queue else CLOSE_TRIES

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
            batch = self._take()
            while batch or self._stored < self._store.last_seq:
                if batch:
                    self._store.append(self._chain(batch))
                    self._drop(batch)
                if self._always:
                    self._store.sync()
                self._publish()
                batch = self._take()
        except Exception as error:  # noqa: BLE001 - the thread lives on; shown, and tried again
            self._refuse(error)
        else:
            self._refusal = None

    def _take(self) -> list[_Waiting]:
        with self._lock:
            self._seal(self.last_seq)
            return list(itertools.islice(self._queue, _BATCH))

    def _chain(self, batch: list[_Waiting]) -> list[Stored]:
        rows, head = [], self._store.head
        for one in batch:
            data = bytes(one.data)
            if one.kind == Kind.INPUT:
                data = pack(data)
            elif one.kind == Kind.SNAPSHOT:
                data = zlib.compress(data, 1)
            row = chained(head, one.seq, one.n, one.ts, one.kind.value, data)
            rows.append(row)
            head = row.hash
        return rows

    def _drop(self, batch: list[_Waiting]) -> None:
        with self._lock:
            for one in batch:
                self._queue.popleft()
                self._held -= one.cost

    def _publish(self) -> None:
        """Tell who waited for what is now stored."""
        with self._lock:
            self._stored = self._store.last_seq
            done = [w for w in self._waiters if w[0] <= self._stored]
            self._waiters = [w for w in self._waiters if w[0] > self._stored]
        for _, future in done:
            _settle(future, None)

    def _refuse(self, error: Exception) -> None:
        self._refusal = f"{type(error).__name__}: {error}"
        self._give_up()

    def _give_up(self) -> None:
        """Tell everybody who still waits that it is not stored."""
        with self._lock:
            waiters, self._waiters = self._waiters, []
        for _, future in waiters:
            _settle(future, self._error())

    def close(self) -> None:
        """Write what waits and close; takes a few seconds at most. Does nothing the second time.

        Raises
        ------
        JournalError
            Rows could not be written; they are lost.
        """
        with self._lock:
            if self._closed:
                return
            self._seal(self.last_seq)
            self._end_gap(self._queue[-1].ts if self._queue else 0)
            self._closed, self._keeping = True, False
        if not self._threads:
            self._flush()
        self._wake.set()
        self._stop.set()
        for thread in self._threads:
            thread.join(CLOSE_TRIES * RETRY_S + 2.0)
        self._give_up()
        left = self.last_seq - self._stored
        if not any(thread.is_alive() for thread in self._threads):
            with contextlib.suppress(OSError):
                self._store.sync()
            self._store.close()
        if left:
            raise JournalError(
                f"the last {left} rows of the journal {self.path} are lost: "
                f"{self.failed or 'the disk does not answer'}"
            )


def _settle(future: asyncio.Future[None], error: JournalError | None) -> None:
    """Give a future its outcome from another thread; its loop may be gone."""

    def do() -> None:
        if not future.done():
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

    with contextlib.suppress(RuntimeError):
        future.get_loop().call_soon_threadsafe(do)

"""What was handed over and is not stored yet: numbered at once, kept in order, bounded.

Rows are kept up to `MOST_BYTES` of them (about a million inputs). What comes beyond that is only
counted, and once there is room again a GAP row takes its numbers.

One thread hands over, another takes; each call is short and holds a lock.

I/O: none
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from pathlib import Path
from typing import NamedTuple

from pxresearch.clock import Clock
from pxresearch.errors import JournalError
from pxresearch.journal.blocks import ROW, ROW_BYTES
from pxresearch.journal.records import Gap, Kind, encode

MOST_BYTES = 64 << 20
TOO_MUCH = f"the disk took nothing, and {MOST_BYTES >> 20} MB waited already"
_BLOCK = 2_048 * ROW_BYTES  # packing a larger one would keep the loop from its turn
_ROW_COST = 200  # bytes that a waiting row takes beside its data


class Waiting(NamedTuple):
    """A row that waits; inputs one after the other as `ROW`.

    Attributes
    ----------
    since
        When the first of it was handed over, ns UTC.
    """

    seq: int
    n: int
    ts: int
    kind: Kind
    data: bytes | bytearray
    since: int

    @property
    def cost(self) -> int:
        """Bytes of memory."""
        return len(self.data) + _ROW_COST


class Backlog:
    """Rows on their way to the disk.

    Parameters
    ----------
    path
        Of the journal, for the messages.
    clock
        Stamps what arrives.
    last_seq
        Last number that is taken.
    """

    def __init__(self, path: Path, clock: Clock, last_seq: int) -> None:
        self.last_seq = last_seq
        self.closed = False
        self._path, self._clock = path, clock
        self._lock = threading.Lock()
        self._inputs, self._inputs_since = bytearray(), 0
        self._queue: deque[Waiting] = deque()
        self._held = 0
        self._keeping = True
        self._gap: Waiting | None = None
        self._lost: list[range] = []

    def __bool__(self) -> bool:
        return bool(self._queue or self._inputs)

    def add_input(self, row: bytes, ts: int) -> int:
        """Take an input in; returns its number."""
        with self._lock:
            if not self._keeping and self._pass_over(ts):
                return self.last_seq
            self.last_seq += 1
            if not self._inputs:
                self._inputs_since = self._clock.now()
            self._inputs += row
            if len(self._inputs) >= _BLOCK:
                self._seal()
            return self.last_seq

    def add_row(self, kind: Kind, ts: int, data: bytes) -> int:
        """Take any other row in; returns its number."""
        with self._lock:
            self._seal()
            if not self._keeping and self._pass_over(ts):
                return self.last_seq
            self.last_seq += 1
            self._put(Waiting(self.last_seq, 1, ts, kind, data, self._clock.now()))
            return self.last_seq

    def first(self, most: int) -> list[Waiting]:
        """The rows whose turn it is, at most so many; they stay."""
        with self._lock:
            self._seal()
            return list(itertools.islice(self._queue, most))

    def waiting(self, after: int) -> list[Waiting]:
        """The rows that wait behind a number; they stay."""
        with self._lock:
            self._seal()
            newer = list(itertools.takewhile(lambda row: row.seq > after, reversed(self._queue)))
        return newer[::-1]

    def drop(self, rows: list[Waiting]) -> None:
        """Let go of what `first` gave."""
        with self._lock:
            for row in rows:
                self._queue.popleft()
                self._held -= row.cost

    def close(self) -> bool:
        """Take nothing more; False if it was closed before."""
        with self._lock:
            if self.closed:
                return False
            self._seal()
            self._end_gap(self._gap.ts if self._gap is not None else 0)
            self.closed, self._keeping = True, False
            return True

    def was_lost(self, seq: int) -> bool:
        """Whether a row was only counted."""
        gap = self._gap
        return any(seq in lost for lost in self._lost) or (gap is not None and seq >= gap.seq)

    @property
    def oldest(self) -> int | None:
        """When the oldest that waits was handed over, ns UTC; None when nothing waits."""
        with self._lock:
            if self._queue:
                return self._queue[0].since
            return self._inputs_since if self._inputs else None

    def _seal(self) -> None:
        """Make a block of the inputs that wait."""
        if self._inputs:
            n = len(self._inputs) // ROW_BYTES
            ts = ROW.unpack_from(self._inputs, len(self._inputs) - ROW_BYTES)[2]
            block, self._inputs = self._inputs, bytearray()
            seq = self.last_seq - n + 1
            self._put(Waiting(seq, n, ts, Kind.INPUT, block, self._inputs_since))

    def _put(self, row: Waiting) -> None:
        self._queue.append(row)
        self._held += row.cost
        self._keeping = self._held < MOST_BYTES

    def _pass_over(self, ts: int) -> bool:
        """Only count the next row, because no memory is left; False when there is room again."""
        if self.closed:
            raise JournalError(f"the journal {self._path} is closed; nothing can be added")
        if self._held < MOST_BYTES // 2:
            self._end_gap(ts)
            self._keeping = True
            return False
        self.last_seq += 1
        gap = self._gap or Waiting(self.last_seq, 0, ts, Kind.GAP, b"", self._clock.now())
        self._gap = gap._replace(n=gap.n + 1)
        return True

    def _end_gap(self, ts: int) -> None:
        """Let a GAP row take the numbers of what was only counted."""
        if self._gap is not None:
            gap = Gap(of="journal", since=self._gap.ts, until=ts, missed=self._gap.n, why=TOO_MUCH)
            self._lost.append(range(self._gap.seq, self._gap.seq + self._gap.n))
            self._put(self._gap._replace(ts=ts, data=encode(gap)))
            self._gap = None

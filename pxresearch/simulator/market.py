"""The market's course: which quotes and trades come when, by the venue's clock.

A feed answers two questions: when its next row is due, and which rows are due now. `Replay` plays a
tape, once or as a loop that has no beginning either; `Burst` makes a stream for load tests.

Times are ns UTC of the venue, prices ticks.

I/O: none
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from pxresearch.clock import NS
from pxresearch.simulator.tape import QUOTE, TRADE, Tape

_CHUNK = 4096  # rows that become Python numbers at a time


class Row(NamedTuple):
    """One quote or trade; the members as on the tape."""

    ts: int
    k: int
    kind: int
    a: int
    b: int
    c: int
    d: int


class Feed(Protocol):
    """Where rows come from."""

    codes: tuple[str, ...]

    def next_due(self) -> int | None:
        """Time of the next row; None: there is none any more."""
        ...

    def take(self, now: int) -> Iterator[Row]:
        """Rows up to a time, in order; each comes once."""
        ...


class Replay:
    """A tape on the venue's clock.

    Parameters
    ----------
    tape
        What to play.
    origin
        Venue time of the tape's time 0 (of a loop), or what to add to its times.
    start
        Venue time from which on rows are played; what lies before is history.
    """

    def __init__(self, tape: Tape, origin: int, start: int) -> None:
        self.tape, self.origin = tape, origin
        self.codes = tape.codes
        turn, at = divmod(start - origin, tape.length) if tape.length else (0, start - origin)
        self._turn = turn
        self._at = int(np.searchsorted(tape.ts, at))
        self._rows: Iterator[Row] = iter(())
        self._next: Row | None = None
        self._step()

    def next_due(self) -> int | None:
        """Time of the next row; None: the tape is over."""
        return None if self._next is None else self._next.ts

    def take(self, now: int) -> Iterator[Row]:
        """Rows up to a time, in order; each comes once."""
        while self._next is not None and self._next.ts <= now:
            row = self._next
            self._step()
            yield row

    def _step(self) -> None:
        self._next = next(self._rows, None)
        if self._next is None:
            self._rows = self._chunk()
            self._next = next(self._rows, None)

    def _chunk(self) -> Iterator[Row]:
        tape = self.tape
        if self._at >= len(tape):
            if not tape.length:
                return iter(())
            self._turn, self._at = self._turn + 1, 0
        part = slice(self._at, self._at + _CHUNK)
        self._at += _CHUNK
        shift = self.origin + self._turn * tape.length
        ts = (tape.ts[part] + shift).tolist()
        return map(Row, ts, *(column[part].tolist() for column in tape.columns))


class Burst:
    """A steady stream of quotes of one contract, with a trade after every hundredth.

    Parameters
    ----------
    codes
        Contracts of the venue; the stream is the first one's.
    rate
        Quotes a second.
    """

    def __init__(self, codes: Sequence[str], price: int, rate: int, start: int) -> None:
        self.codes = tuple(codes)
        self._price, self._step, self._start, self._count = price, NS // rate, start, 0

    def next_due(self) -> int:
        """Time of the next row."""
        return self._start + self._count * self._step

    def take(self, now: int) -> Iterator[Row]:
        """Rows up to a time, in order; each comes once."""
        while (ts := self.next_due()) <= now:
            n = self._count
            self._count += 1
            bid = self._price + (n * 7) % 41 - 20
            yield Row(ts, 0, QUOTE, bid, bid + 1, 1 + n % 9, 1 + n % 7)
            if n % 100 == 99:
                side = 1 if n % 200 == 99 else -1
                yield Row(ts, 0, TRADE, bid + (side > 0), 1 + n % 5, side, 0)


class Quiet:
    """No market but what comes by hand."""

    def __init__(self, codes: Sequence[str] = ()) -> None:
        self.codes = tuple(codes)

    def next_due(self) -> None:
        """Never."""

    def take(self, now: int) -> Iterator[Row]:
        """Nothing."""
        return iter(())

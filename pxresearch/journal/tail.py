"""The newest rows of a journal in a mapped file: there they survive the process at once.

A commit takes the writer's thread, and an order waits for it. `put` copies the rows into a file
that is mapped into memory instead: from then on the system has them, whatever becomes of the
process. The thread commits the same rows a moment later, and when all of them are, the file is used
again from its beginning. What a killed writer leaves in it, `left` reads: readers see it behind the
committed rows, and the next writer commits it. It is no protection against a power cut; the forced
commits are.

The file is written full of zeros when it is made, so that a full disk is met there and not later.

I/O: writes and reads one file beside the journal.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

from pxresearch.journal.backlog import Waiting
from pxresearch.journal.records import Kind

SIZE = 1 << 20
_HEAD = struct.Struct("<IIqqq12s")
"""Check sum of all that follows, length of the data, seq, n, ts, kind."""
_SUMMED = 4  # from here on


def tail_of(path: Path) -> Path:
    """The file beside a journal."""
    return path.with_name(path.name + "-tail")


class Tail:
    """A tail that is being written; belongs to the thread that hands rows over.

    Attributes
    ----------
    last
        Number of the last row in it; 0 in a new one.

    Raises
    ------
    OSError
        The file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = tail_of(path)
        with open(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
            file.write(bytes(SIZE))
            file.flush()
            self._map = mmap.mmap(file.fileno(), SIZE)
        self.last, self._end = 0, 0

    def put(self, rows: Sequence[Waiting], committed: int) -> bool:
        """Copy rows in; False when there is no room until more is committed.

        Parameters
        ----------
        rows
            All after `last` that wait.
        committed
            Everything up to this number is; read after `rows` were.
        """
        parts = []
        for row in rows:
            rest = _HEAD.pack(0, len(row.data), row.seq, row.n, row.ts, row.kind.encode())
            rest = rest[_SUMMED:] + row.data
            parts.append(zlib.crc32(rest).to_bytes(4, "little") + rest)
        data = b"".join(parts)
        at = 0 if self.last <= committed else self._end
        if at + len(data) > SIZE:
            return False
        if rows:
            self._map[at : at + len(data)] = data
            self._end, self.last = at + len(data), rows[-1].seq + rows[-1].n - 1
        return True

    def close(self, *, committed: bool) -> None:
        """Let go of the file; once all is committed nobody needs it."""
        self._map.close()
        if committed:
            with contextlib.suppress(OSError):  # somebody may just be reading it
                self.path.unlink()


def left(path: Path, after: int) -> list[Waiting]:
    """Rows of a journal's tail that follow its committed ones, without a hole."""
    try:
        raw = tail_of(path).read_bytes()
    except OSError:
        return []
    rows: list[Waiting] = []
    at, expected = 0, 0
    while at + _HEAD.size <= len(raw):
        summed, length, seq, n, ts, kind = _HEAD.unpack_from(raw, at)
        end = at + _HEAD.size + length
        if n < 1 or expected not in (0, seq) or zlib.crc32(raw[at + _SUMMED : end]) != summed:
            break  # an older use of the file, or a copy that the end of the process cut short
        name = Kind(kind.rstrip(b"\0").decode())
        rows.append(Waiting(seq, n, ts, name, raw[at + _HEAD.size : end], 0))
        at, expected = end, seq + n
    rows = [row for row in rows if row.seq > after]
    return rows if rows and rows[0].seq == after + 1 else []

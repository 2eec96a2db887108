"""A file that grows by one frame a second and is readable whenever the power goes.

A frame is a header (magic, length, CRC-32) and compressed columns of integers. It is written whole
and forced to the disk before the next begins, so a crash costs the frame under way and no other:
reading passes over what is torn and goes on at the next whole frame.

A spool is locked while its process lives; another process can tell an orphan from one in use.

I/O: writes and reads one file.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np
import numpy.typing as npt

from pxresearch.clock import NS
from pxresearch.validation.schema import utc

SUFFIX = ".spool"
NONE = -(2**63)
"""Stands for a value that is not there."""

_MAGIC = b"PXS1"
_HEADER = struct.Struct("<4sII")
_FAR = 1 << 40  # beyond any data: Windows forbids reading what is locked

Rows = npt.NDArray[np.int64]
"""Rows of one series, shape (n, columns)."""


class Note(msgspec.Struct, frozen=True):
    """Something about the recording itself: between two times (ns UTC) events may be lacking."""

    since: int
    until: int
    text: str

    def __str__(self) -> str:
        if self.since == self.until:
            return f"{utc(self.since)}: {self.text}"
        return f"gap of {(self.until - self.since) / NS:.1f} s from {utc(self.since)}: {self.text}"


class _Table(msgspec.Struct, frozen=True, array_like=True):
    width: int
    data: bytes


class Frame(msgspec.Struct, frozen=True, array_like=True):
    """What arrived since the frame before: rows by series name, and notes."""

    tables: dict[str, _Table]
    notes: list[Note]

    def series(self) -> Iterator[tuple[str, Rows]]:
        """Yield the name and rows of each series."""
        for name, table in self.tables.items():
            yield name, np.frombuffer(table.data, "<i8").reshape(-1, table.width)


_ENCODE = msgspec.msgpack.Encoder().encode
_DECODE = msgspec.msgpack.Decoder(Frame).decode


class Spool:
    """A spool that is being written.

    Parameters
    ----------
    path
        Must not exist; its folder is made.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = path.open("xb")
        _lock(self._file)

    def append(self, rows: Mapping[str, Sequence[Sequence[int]]], notes: Sequence[Note]) -> None:
        """Write a frame; on return it is on the disk."""
        tables = {
            name: _Table(len(part[0]), np.asarray(part, "<i8").tobytes())
            for name, part in rows.items()
            if part
        }
        body = zlib.compress(_ENCODE(Frame(tables, list(notes))), 1)
        self._file.write(_HEADER.pack(_MAGIC, len(body), zlib.crc32(body)) + body)
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file and give up its lock."""
        self._file.close()


def frames(path: Path) -> Iterator[Frame]:
    """Yield the whole frames of a spool, in order; what is torn or damaged is passed over."""
    data = path.read_bytes()
    at = 0
    while (at := data.find(_MAGIC, at)) >= 0:
        if len(data) - at < _HEADER.size:
            return
        _, length, check = _HEADER.unpack_from(data, at)
        begin = at + _HEADER.size
        body = data[begin : begin + length]
        if len(body) == length and zlib.crc32(body) == check:
            yield _DECODE(zlib.decompress(body))
            at = begin + length
        else:
            at += 1


def in_use(path: Path) -> bool:
    """Whether a living process still writes a spool."""
    with path.open("r+b") as file:
        try:
            _lock(file)
        except OSError:
            return True
    return False


def _lock(file: BinaryIO) -> None:
    """Lock a file for this process; OSError if another has it. Closing it unlocks."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        here = file.tell()
        file.seek(_FAR)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        file.seek(here)
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

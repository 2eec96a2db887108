"""Inputs of an engine as compressed columns.

An input is eight int64 (what, contract, ts, a, b, c, d, received). A block holds up to a few
thousand: each column as differences in the narrowest integer that holds them, receipt as the delay
behind ts, all of it through zlib at level 1, which gives up the interpreter lock meanwhile. Exact
for every int64: differences wrap round, and so do the sums that undo them.

I/O: none
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np

from pxresearch.errors import JournalError

WIDTH = 8
ROW_BYTES = 8 * WIDTH
ROW = struct.Struct(f"<{WIDTH}q")
"""One input as it waits in memory."""

_TS, _RECEIVED = 2, 7
_TYPES = tuple(np.dtype(t) for t in ("<i1", "<i2", "<i4", "<i8"))


def pack(rows: bytes | bytearray) -> bytes:
    """Block of inputs that stand one after the other as `ROW`."""
    columns = np.frombuffer(rows, "<i8").reshape(-1, WIDTH).T.copy()
    columns[_RECEIVED] -= columns[_TS]
    columns[:, 1:] = np.diff(columns, axis=1)
    codes, parts = bytearray(), []
    for column in columns:
        code = _narrowest(int(column.min()), int(column.max()))
        codes.append(code)
        parts.append(column.astype(_TYPES[code]).tobytes())
    return zlib.compress(b"".join([bytes(codes), *parts]), 1)


def unpack(block: bytes, n: int) -> np.ndarray[Any, Any]:
    """Inputs of a block, int64, shape (n, 8).

    Raises
    ------
    JournalError
        It does not hold n inputs.
    """
    try:
        raw = zlib.decompress(block)
        types = [_TYPES[code] for code in raw[:WIDTH]]
    except (zlib.error, IndexError) as error:
        raise JournalError(f"a block of inputs cannot be read: {error}") from None
    if len(raw) != WIDTH + n * sum(t.itemsize for t in types) or len(types) != WIDTH:
        raise JournalError(f"a block of inputs does not hold the {n} that it should")
    columns, at = np.empty((WIDTH, n), np.int64), WIDTH
    for column, kind in zip(columns, types, strict=True):
        column[:] = np.frombuffer(raw, kind, n, at)
        at += n * kind.itemsize
    columns = np.cumsum(columns, axis=1)
    columns[_RECEIVED] += columns[_TS]
    return columns.T


def _narrowest(low: int, high: int) -> int:
    """Index of the smallest type that holds both."""
    for code, kind in enumerate(_TYPES[:-1]):
        info = np.iinfo(kind)
        if info.min <= low and high <= info.max:
            return code
    return len(_TYPES) - 1

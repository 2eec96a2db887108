"""Inputs of an engine as compressed columns.

An input is eight int64 (what, contract, ts, a, b, c, d, received). A block holds up to a few
thousand: columns as differences, receipt as the delay behind ts, small numbers of either sign made
small and positive, their bytes put together by weight, and all of it through zlib at level 1, which
gives up the interpreter lock meanwhile. About 9 bytes an input. Exact for every int64: differences
wrap round, and so do the sums that undo them. A block that somebody waits for is stored as it is.

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

_PLAIN, _PACKED = b"\0", b"\1"
_TS, _RECEIVED = 2, 7


def pack(rows: bytes | bytearray, *, quick: bool = False) -> bytes:
    """Block of inputs that stand one after the other as `ROW`; `quick` saves time, not bytes."""
    if quick:
        return _PLAIN + rows
    columns = np.frombuffer(rows, "<i8").reshape(-1, WIDTH).T.copy()
    columns[_RECEIVED] -= columns[_TS]
    columns[:, 1:] -= columns[:, :-1].copy()
    folded = (columns << 1) ^ (columns >> 63)
    by_weight = folded.astype("<i8", copy=False).view(np.uint8).reshape(-1, 8).T
    return _PACKED + zlib.compress(by_weight.tobytes(), 1)


def unpack(block: bytes, n: int) -> np.ndarray[Any, Any]:
    """Inputs of a block, int64, shape (n, 8).

    Raises
    ------
    JournalError
        It does not hold n inputs.
    """
    form, body = block[:1], block[1:]
    try:
        raw = zlib.decompress(body) if form == _PACKED else body
    except zlib.error as error:
        raise JournalError(f"a block of inputs cannot be read: {error}") from None
    if form not in (_PLAIN, _PACKED) or len(raw) != n * ROW_BYTES:
        raise JournalError(f"a block of inputs does not hold the {n} that it should")
    if form == _PLAIN:
        return np.frombuffer(raw, "<i8").reshape(n, WIDTH).astype(np.int64)
    by_weight = np.frombuffer(raw, np.uint8).reshape(8, -1)
    folded = np.ascontiguousarray(by_weight.T).view("<u8").reshape(WIDTH, n)
    columns = (folded >> 1).astype(np.int64) ^ -(folded & 1).astype(np.int64)
    columns = np.cumsum(columns, axis=1)
    columns[_RECEIVED] += columns[_TS]
    return columns.T

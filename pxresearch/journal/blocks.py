"""Inputs of an engine as a compressed block.

An input is eight int64 (what, contract, ts, a, b, c, d, received). A block holds up to two
thousand, their bytes put together by place, so that those which hardly change stand in a row; then
zlib at level 1, which gives up the interpreter lock meanwhile. 10 to 16 bytes an input. Taking
differences first would save one of them and double the time, and somebody waits for it.

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


def pack(rows: bytes | bytearray) -> bytes:
    """Block of inputs that stand one after the other as `ROW`."""
    return zlib.compress(np.frombuffer(rows, np.uint8).reshape(-1, ROW_BYTES).T.tobytes(), 1)


def unpack(block: bytes, n: int) -> np.ndarray[Any, Any]:
    """Inputs of a block, int64, shape (n, 8).

    Raises
    ------
    JournalError
        It does not hold n inputs.
    """
    try:
        raw = zlib.decompress(block)
    except zlib.error as error:
        raise JournalError(f"a block of inputs cannot be read: {error}") from None
    if len(raw) != n * ROW_BYTES:
        raise JournalError(f"a block of inputs does not hold the {n} that it should")
    places = np.frombuffer(raw, np.uint8).reshape(ROW_BYTES, n)
    return np.ascontiguousarray(places.T).view("<i8").astype(np.int64, copy=False)

"""Rows of quotes and trades for uncompiled hooks, quick enough to call a plain method on each.

A stretch of events becomes columns, worked out at once by NumPy: only those that the hook names.
The hook gets one object over and over, with these attributes set for each event; any other
attribute (a debugger asks for all) is looked up in its column when it is read.

I/O: none
"""

from __future__ import annotations

import ctypes
import dis
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pxresearch.core.records import NO_ASK, NO_BID
from pxresearch.core.signals import HOLDING


class Columns:
    """Columns of one stretch, each made when it is first asked for."""

    def __init__(
        self, stream: Any, k: int, first: int, end: int, ticks: tuple[int, int, float]
    ) -> None:
        self._stream, self._first, self.n = stream, first, end - first
        self._num, self._den, self.tick = ticks
        self.contract = k
        self._made: dict[str, Any] = {}
        self.clock: Any = None

    def column(self, name: str) -> list[Any]:
        """Values of one field, in order."""
        if name not in self._made:
            value = getattr(self, name)
            self._made[name] = value() if callable(value) else [value] * self.n
        return self._made[name]

    def now(self, name: str) -> Any:
        """Value of one field for the present event."""
        return self.column(name)[self.n - 1 - self.clock.__length_hint__()]

    def raw(self, column: str, kind: Any = ctypes.c_int32) -> Any:
        """Integers of one column of the stream, int64."""
        if column in "cd" and int(self._stream["size_mask"]) == 0:
            return np.zeros(self.n, dtype=np.int64)
        start = int(self._stream[column]) + self._first * ctypes.sizeof(kind)
        return np.ctypeslib.as_array((kind * self.n).from_address(start)).astype(np.int64)

    def ts(self) -> list[int]:
        """Times, ns."""
        return self.raw("ts", ctypes.c_int64).tolist()

    def prices(self, ticks: Any, parts: int = 1) -> Any:
        """Float prices of tick counts, by one rounded division, as compiled."""
        return (ticks * self._num) / (parts * self._den)


class QuoteColumns(Columns):
    """Columns of `events.Quote`."""

    def bid_ticks(self) -> list[int]:
        """Bids in ticks."""
        return self.raw("a").tolist()

    def ask_ticks(self) -> list[int]:
        """Asks in ticks."""
        return self.raw("b").tolist()

    def bid(self) -> list[float]:
        """Bids; NaN where missing."""
        ticks = self.raw("a")
        return np.where(ticks == NO_BID, math.nan, self.prices(ticks)).tolist()

    def ask(self) -> list[float]:
        """Asks; NaN where missing."""
        ticks = self.raw("b")
        return np.where(ticks == NO_ASK, math.nan, self.prices(ticks)).tolist()

    def mid(self) -> list[float]:
        """Middles; NaN where a side is missing."""
        bid, ask = self.raw("a"), self.raw("b")
        gone = (bid == NO_BID) | (ask == NO_ASK)
        return np.where(gone, math.nan, self.prices(bid + ask, 2)).tolist()

    def bid_size(self) -> list[int]:
        """Displayed sizes at the bid."""
        return self.raw("c").tolist()

    def ask_size(self) -> list[int]:
        """Displayed sizes at the ask."""
        return self.raw("d").tolist()


class TradeColumns(Columns):
    """Columns of `events.Trade`."""

    def price_ticks(self) -> list[int]:
        """Prices in ticks."""
        return self.raw("a").tolist()

    def price(self) -> list[float]:
        """Prices."""
        return self.prices(self.raw("a")).tolist()

    def size(self) -> list[int]:
        """Sizes."""
        return self.raw("b").tolist()

    def side(self) -> list[int]:
        """Aggressors."""
        return self.raw("c", ctypes.c_int8).tolist()


def named_fields(method: Callable[..., Any], fields: tuple[str, ...]) -> list[str]:
    """Fields of the event that a hook reads; `ts` when it reads none."""
    code = method.__func__.__code__  # type: ignore[attr-defined]
    names = {str(i.argval) for i in dis.get_instructions(code) if "ATTR" in i.opname}
    return [f for f in fields if f in names] or ["ts"]


def row_loop(value: Any, method: Callable[..., Any]) -> tuple[Any, Callable[..., Any]]:
    """The event object that a hook gets, and the loop that calls it on each event.

    The loop is generated, as `namedtuple` does it, because attributes set by name in a loop of
    Python would cost as much as the hook. It returns (events done, answer) at the first answer that
    is not `hold`, or (all, None).
    """
    fields = named_fields(method, value._fields)

    class Row:
        __slots__ = (*fields, "_data")

        def __getattr__(self, name: str) -> Any:
            if name in value._fields:
                return self._data.now(name)
            raise AttributeError(f"{value.__name__} has no attribute {name!r}")

        def __repr__(self) -> str:
            return repr(value(*(getattr(self, f) for f in value._fields)))

    assigned = ", ".join(f"row.{f}" for f in fields)
    columns = ", ".join(f"data.column({f!r})" for f in fields[1:])
    names = f"{assigned}," if len(fields) > 1 else assigned
    rows = f"zip(clock, {columns})" if columns else "clock"
    source = f"""
def loop(row, data, method, *more):
    data.clock = clock = iter(data.column({fields[0]!r}))
    for {names} in {rows}:
        answer = method(row, *more)
        if answer is not HOLDING and answer is not None:
            return data.n - clock.__length_hint__(), answer
    return data.n, None
"""
    space: dict[str, Any] = {"HOLDING": HOLDING}
    exec(source, space)
    return Row(), space["loop"]

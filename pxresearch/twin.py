"""The uncompiled twin: the same strategy class in plain Python, called back from the same engine.

So a debugger stops in it, and code that numba cannot compile runs. The engine, the fills, the risk
manager and the bars are the compiled ones; only the hooks are Python, reached through C callbacks.

I/O: none
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pxresearch.core import events as ev
from pxresearch.core.layout import Layout
from pxresearch.core.records import HOOKS, MICROS
from pxresearch.core.signals import emit
from pxresearch.errors import StrategyError
from pxresearch.instruments import Instrument
from pxresearch.strategy import Strategy
from pxresearch.twin_rows import QuoteColumns, TradeColumns, row_loop

_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int32, ctypes.POINTER(ctypes.c_int64), ctypes.c_void_p, *([ctypes.c_int64] * 7)
)
_FAILED = -1


def _self_object(strategy: Strategy) -> Any:
    """An object with exactly the declared names and the hooks; others are an error, as compiled."""
    names = (*strategy._parameters, *strategy._states)
    methods = {h: getattr(type(strategy), h) for h in HOOKS if hasattr(type(strategy), h)}
    twin = type(type(strategy).__name__, (), {"__slots__": names, **methods})()
    for name, value in strategy.parameters.items():
        setattr(twin, name, value)
    for name, state in strategy._states.items():
        setattr(twin, name, state.fresh())
    return twin


class Twin:
    """Python hooks behind addresses that the compiled engine can call."""

    def __init__(
        self,
        strategy: Strategy,
        engine: np.ndarray[Any, Any],
        wires: np.ndarray[Any, Any],
        instruments: Sequence[Instrument],
    ) -> None:
        self.strategy = strategy
        self.me = _self_object(strategy)
        self.error: BaseException | None = None
        self.failed_at = 0  # time of the event on which a hook of a stretch raised
        self._engine = engine[0]
        self._contracts = engine["contract"][0]
        self._streams = wires["stream"][0]
        self._ticks = [(i.tick_num, i.tick_den, i.tick_num / i.tick_den) for i in instruments]
        self._callbacks: dict[str, Any] = {}
        self.addresses: dict[str, int] = {}
        for name in HOOKS:
            if hasattr(type(strategy), name):
                call = getattr(self, f"_{name}")(*self._bind(name))
                callback = _CALLBACK(self._guard(call, name in ("on_quote", "on_trade")))
                self._callbacks[name] = callback
                self.addresses[name] = ctypes.cast(callback, ctypes.c_void_p).value or 0

    def _bind(self, name: str) -> tuple[Callable[..., Any], int]:
        method = getattr(self.me, name)
        return method, method.__func__.__code__.co_argcount - 2

    def _guard(self, call: Callable[..., Any], streamed: bool) -> Callable[..., int]:
        """Turn a hook into a callback: signals into the engine's buffer, exceptions kept."""
        engine = self._engine

        def callback(out: Any, _error: Any, _wires: int, *args: int) -> int:
            try:
                answer = call(*args)
                out[0] = answer if streamed else emit(engine, answer)
            except BaseException as error:  # noqa: BLE001  crosses C: it is raised again outside
                self.error = error
                return _FAILED
            return 0

        return callback

    def _extras(self, count: int, k: int, seen: int) -> tuple[Any, ...]:
        if count == 0:
            return ()
        if count == 1:
            return (seen,)
        c = self._contracts[k]
        buying, selling = int(c["buying"]), int(c["selling"])
        orders = ev.Orders(buying + selling, buying, selling)
        return (seen, orders) if count == 2 else (seen, orders, self._account())

    def _account(self) -> ev.Account:
        e = self._engine
        total = int(e["balance"])
        for c in self._contracts[: int(e["contracts_n"])]:
            if c["position"] != 0 and c["marked"] != 0:
                ticks = int(c["position"]) * int(c["mark"]) - int(c["value_at_entry"])
                total += ticks * int(c["tick_value"])
        seen = tuple(int(v) for v in self._contracts["seen"])
        locked = bool(e["halted"] | e["over"] | e["locked"] | e["profit_locked"])
        day = (total - int(e["day_start"])) / MICROS
        return ev.Account(int(e["balance"]) / MICROS, day, seen, locked)

    def _on_quote(self, method: Callable[..., Any], count: int) -> Callable[..., Any]:
        return self._stretch(ev.Quote, QuoteColumns, method, count)

    def _on_trade(self, method: Callable[..., Any], count: int) -> Callable[..., Any]:
        return self._stretch(ev.Trade, TradeColumns, method, count)

    def _stretch(
        self, value: Any, columns: Any, method: Callable[..., Any], count: int
    ) -> Callable[..., Any]:
        """A hook over a quiet stretch: columns first, so that each event costs little."""
        row, loop = row_loop(value, method)

        def stretch(k: int, first: int, end: int, stream: int, _d: int, seen: int) -> int:
            data = columns(self._streams[stream], k, first, end, self._ticks[k])
            row._data = data
            try:
                done, answer = loop(row, data, method, *self._extras(count, k, seen))
            except BaseException:
                self.failed_at = data.now("ts")
                raise
            if answer is None:
                return 0
            n = emit(self._engine, answer)
            if n == 0 and first + done < end:  # a tuple of holds: go on behind it
                return stretch(k, first + done, end, stream, _d, seen)
            return ((first + done) << 8) | n if n else 0

        return stretch

    def _on_bar(self, method: Callable[..., Any], count: int) -> Callable[..., Any]:
        def call(k: int, f: int, ts: int, _c: int, _d: int, seen: int) -> Any:
            num, den, tick = self._ticks[k]
            c = self._contracts[k]
            _kind, _period, start, end, o, h, low, close, volume, n = c["done_bar"].item()
            o, h, low, close = (p * num / (2 * den) for p in (o, h, low, close))
            opened = int(c["session"]["open"])
            day = int(self._engine["day_date"])
            bar = ev.Bar(k, f, start, end, o, h, low, close, volume, n, day, opened, tick)
            return method(bar, *self._extras(count, k, seen))

        return call

    def _on_fill(self, method: Callable[..., Any], count: int) -> Callable[..., Any]:
        def call(k: int, _a: int, _b: int, _c: int, _d: int, seen: int) -> Any:
            num, den, _ = self._ticks[k]
            _due, ts, _k, side, qty, price, position, _o, tag, role = self._engine[
                "notice_ev"
            ].item()
            fill = ev.Fill(k, ts, side, qty, price * num / den, position, tag, role, price)
            return method(fill, *self._extras(count, k, seen))

        return call

    def _on_session(self, method: Callable[..., Any], count: int) -> Callable[..., Any]:
        def call(k: int, opening: int, ts: int, _c: int, _d: int, seen: int) -> Any:
            s = self._contracts[k]["session"]
            times = int(s["open"]), int(s["close"]), int(s["flatten_at"])
            session = ev.Session(k, ts, opening != 0, int(self._engine["day_date"]), *times)
            return method(session, *self._extras(count, k, seen))

        return call

    def _on_gap(self, method: Callable[..., Any], count: int) -> Callable[..., Any]:
        def call(k: int, since: int, until: int, _c: int, _d: int, seen: int) -> Any:
            return method(ev.Gap(k, since, until), *self._extras(count, k, seen))

        return call

    # -------------------------------------------------------------- state as plain data
    def to_record(self, record: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Copy the Python state into a strategy record."""
        for name, state in self.strategy._states.items():
            value = getattr(self.me, name)
            if isinstance(state.kind, Layout):
                for f in state.kind.fields:
                    record[name][f.name][0] = getattr(value, f.name)
            else:
                record[name][0] = value
        return record

    def from_record(self, record: np.ndarray[Any, Any]) -> None:
        """Set the Python state from a strategy record."""
        for name, state in self.strategy._states.items():
            if isinstance(state.kind, Layout):
                cell = getattr(self.me, name)
                for f in state.kind.fields:
                    setattr(cell, f.name, record[name][f.name][0].tolist())
            elif state.kind in (int, float, bool) or state.size:
                setattr(self.me, name, record[name][0].tolist())
            else:
                raise StrategyError(f"state {name} cannot be restored")

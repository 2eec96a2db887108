"""From a strategy's methods to functions that the compiled engine can call by address.

Every hook has one signature, seven int64: the wires, the contract, four numbers that say where the
event is, and the position that the strategy knows. `build` wraps the user's method for it: the
wrapper views the strategy's record, makes the event value, and writes the returned signals into the
engine's buffer.

I/O: keeps compiled hooks in numba's cache folder.
"""

from __future__ import annotations

import functools
import hashlib
import sys
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import numba
import numpy as np

from pxresearch.core import events as ev
from pxresearch.core import kept
from pxresearch.core.jit import (
    ENGINE_T,
    WIRES_T,
    cache_folder,
    compiled,
    core_stamp,
    i4_at,
    i8_at,
    record_at,
)
from pxresearch.core.onemodule import EntryCompiler, InlinePartCompiler, LoopCompiler
from pxresearch.core.records import MAX_STREAMS
from pxresearch.core.signals import emit

SIGNATURE = numba.int64(*([numba.int64] * 7))


@compiled
def _no_extras(S, k, seen):
    return ()


@compiled
def _with_position(S, k, seen):
    return (seen,)


@compiled
def _with_orders(S, k, seen):
    return (seen, ev.orders_value(S.contract[k]))


@compiled
def _with_account(S, k, seen):
    return (seen, ev.orders_value(S.contract[k]), ev.account_value(S))


_EXTRAS = (_no_extras, _with_position, _with_orders, _with_account)


@compiled
def _bar(S, k, a, b, c, d):
    return ev.bar_value(S, S.contract[k], k, a)


@compiled
def _fill(S, k, a, b, c, d):
    return ev.fill_value(S, S.contract[k], k)


@compiled
def _session(S, k, a, b, c, d):
    return ev.session_value(S, S.contract[k], k, a, b)


@compiled
def _gap(S, k, a, b, c, d):
    return ev.Gap(k, a, b)


_EVENTS = {"on_bar": _bar, "on_fill": _fill, "on_session": _session, "on_gap": _gap}


def build(name: str, method: Any, record: np.dtype[Any]) -> kept.Code:
    """Compile one hook, or take it from the cache folder if it has been compiled before.

    Raises
    ------
    Exception
        Whatever numba raises: the method cannot be compiled.
    """
    made_of = ingredients(method)
    path, key = None, ""
    if made_of is not None:
        python = sys.version_info[:2]
        key = kept.key(name, made_of, repr(record), core_stamp(), own_stamp(), python)
        path = Path(cache_folder()) / f"pxresearch-{name}-{key}.bin"
        found = kept.read(path)
        if found is not None:
            return found
    strategy_t = numba.from_dtype(record)
    user = numba.njit(error_model="numpy", pipeline_class=InlinePartCompiler)(method)
    extras = _EXTRAS[method.__code__.co_argcount - 2]
    if name in _STRETCHES:
        wrapper = _STRETCHES[name](user, extras, strategy_t)
    else:
        wrapper = _single(_EVENTS[name], user, extras, strategy_t)
    wrapper.compile(SIGNATURE)
    result = wrapper.overloads[wrapper.signatures[0]]
    symbol = result.fndesc.llvm_func_name
    if path is None:
        return kept.Code(result.library, symbol)
    own_name = f"pxresearch_{name}_{key}"
    bitcode = kept.bitcode_of(result.library, symbol, own_name)
    code, machine = kept.ready(own_name, bitcode)
    kept.write(path, own_name, bitcode, machine)
    return code


@functools.cache
def own_stamp() -> str:
    """Hash over this file, which writes the loops around the hooks."""
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()


def ingredients(function: Any) -> str | None:
    """Everything that decides what a hook compiles to, as text; None if that cannot be told.

    The byte code with its constants, and the globals it names: numbers by value, and functions and
    modules of this package, of numpy and of the standard library by name. A hook that uses anything
    else, a function of the user's for one, is compiled in each process.
    """
    if function.__closure__:
        return None
    codes, seen = [function.__code__], []
    names: list[str] = []
    while codes:
        code = codes.pop()
        codes += [c for c in code.co_consts if isinstance(c, CodeType)]
        plain = [c for c in code.co_consts if not isinstance(c, CodeType)]
        seen.append((code.co_code.hex(), repr(plain), code.co_names, code.co_varnames))
        names += code.co_names
    space = function.__globals__
    for name in sorted(set(names) & set(space)):
        value = space[name]
        home = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", "")
        if isinstance(value, int | float | bool):
            seen.append((name, repr(value)))
        elif str(home).split(".")[0] in ("pxresearch", "math", "numpy"):
            seen.append((name, str(home), getattr(value, "__qualname__", "")))
        else:
            return None
    return repr(seen)


def _single(event: Any, user: Any, extras: Any, strategy_t: Any) -> Any:
    """A hook that is called for one event."""

    @numba.njit(error_model="numpy", pipeline_class=EntryCompiler)
    def wrapper(wires, k, a, b, c, d, seen):
        X = record_at(wires, WIRES_T)
        S = record_at(X.engine, ENGINE_T)
        me = record_at(X.strategy, strategy_t)
        return emit(S, user(me, event(S, k, a, b, c, d), *extras(S, k, seen)))

    return wrapper


def _quote_stretch(user: Any, extras: Any, strategy_t: Any) -> Any:
    """`on_quote`, called for quotes first..end until one is not quiet or it wants something.

    The scan of core/quiet.py is in here, so that its comparisons run while the processor waits for
    the strategy's own arithmetic. A stretch of one, called from the complete path, has no levels.
    """

    @numba.njit(error_model="numpy", pipeline_class=LoopCompiler)
    def loop(me, S, c, q, X, k, first, end, stop_ts, seen):
        bid_lo, bid_hi, ask_lo, ask_hi = c.bid_lo, c.bid_hi, c.ask_lo, c.ask_hi
        ts_a, bid_a, ask_a = q.ts, q.a, q.b
        n = 0
        j = first
        while j < end:
            b = i4_at(bid_a, j)
            a = i4_at(ask_a, j)
            if (
                i8_at(ts_a, j) >= stop_ts
                or b <= bid_lo
                or b >= bid_hi
                or a <= ask_lo
                or a >= ask_hi
            ):
                break
            X.found_end = j  # where an exception happened
            n = emit(S, user(me, ev.whole_quote(c, k, q, j, b, a), *extras(S, k, seen)))
            j += 1
            if n != 0:
                break
        X.found_end = j
        return n

    @numba.njit(error_model="numpy", pipeline_class=EntryCompiler)
    def wrapper(wires, k, first, end, stream, stop_ts, seen):
        X = record_at(wires, WIRES_T)
        S = record_at(X.engine, ENGINE_T)
        me = record_at(X.strategy, strategy_t)
        c = S.contract[k]
        q = X.stream[stream]
        if stream == MAX_STREAMS:
            return emit(S, user(me, ev.quote_at(c, k, q, 0), *extras(S, k, seen)))
        return loop(me, S, c, q, X, k, first, end, stop_ts, seen)

    return wrapper


def _trade_stretch(user: Any, extras: Any, strategy_t: Any) -> Any:
    """`on_trade`, likewise."""

    @numba.njit(error_model="numpy", pipeline_class=LoopCompiler)
    def loop(me, S, c, q, X, k, first, end, stop_ts, seen):
        px_lo, px_hi = c.px_lo, c.px_hi
        ts_a, px_a = q.ts, q.a
        n = 0
        j = first
        while j < end:
            p = i4_at(px_a, j)
            if i8_at(ts_a, j) >= stop_ts or p <= px_lo or p >= px_hi:
                break
            X.found_end = j
            n = emit(S, user(me, ev.trade_at(c, k, q, j), *extras(S, k, seen)))
            j += 1
            if n != 0:
                break
        X.found_end = j
        return n

    @numba.njit(error_model="numpy", pipeline_class=EntryCompiler)
    def wrapper(wires, k, first, end, stream, stop_ts, seen):
        X = record_at(wires, WIRES_T)
        S = record_at(X.engine, ENGINE_T)
        me = record_at(X.strategy, strategy_t)
        c = S.contract[k]
        q = X.stream[stream]
        if stream == MAX_STREAMS:
            return emit(S, user(me, ev.trade_at(c, k, q, 0), *extras(S, k, seen)))
        return loop(me, S, c, q, X, k, first, end, stop_ts, seen)

    return wrapper


_STRETCHES = {"on_quote": _quote_stretch, "on_trade": _trade_stretch}

"""From a strategy's methods to functions that the compiled engine can call by address.

Every hook has one signature, seven int64: the wires, the contract, four numbers of the event, and
the position that the strategy knows. `build` wraps the user's method for it: it views the strategy's
record, makes the event value, and writes the returned signals into the engine's buffer.

I/O: none
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from pxresearch.core import events as ev
from pxresearch.core.jit import ENGINE_T, WIRES_T, compiled, record_at
from pxresearch.core.onemodule import EntryCompiler, PartCompiler
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
def _quote(S, k, a, b, c, d):
    return ev.quote_value(S.contract[k], k, a, b, c, d)


@compiled
def _trade(S, k, a, b, c, d):
    return ev.trade_value(S.contract[k], k, a, b, c, d)


@compiled
def _fill(S, k, a, b, c, d):
    return ev.fill_value(S, S.contract[k], k)


@compiled
def _session(S, k, a, b, c, d):
    return ev.session_value(S, S.contract[k], k, a, b)


_EVENTS = {
    "on_bar": _bar, "on_quote": _quote, "on_trade": _trade, "on_fill": _fill,
    "on_session": _session,
}  # fmt: skip


def build(name: str, method: Any, record: np.dtype[Any]) -> Any:
    """Compile one hook; returns the dispatcher of its wrapper.

    Raises
    ------
    numba.core.errors.NumbaError
        The method cannot be compiled.
    """
    strategy_t = numba.from_dtype(record)
    user = numba.njit(error_model="numpy", pipeline_class=PartCompiler)(method)
    extras = _EXTRAS[method.__code__.co_argcount - 2]
    event = _EVENTS[name]

    @numba.njit(error_model="numpy", pipeline_class=EntryCompiler)
    def wrapper(wires, k, a, b, c, d, seen):
        X = record_at(wires, WIRES_T)
        S = record_at(X.engine, ENGINE_T)
        me = record_at(X.strategy, strategy_t)
        return emit(S, user(me, event(S, k, a, b, c, d), *extras(S, k, seen)))

    wrapper.compile(SIGNATURE)
    return wrapper

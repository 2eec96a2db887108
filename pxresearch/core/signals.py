"""Signals: what a hook returns. Values, alike in compiled and in plain Python.

A hook returns one signal, a tuple of up to eight, or nothing (which holds). Compiled, a signal is a
struct that lives in registers and is written to the engine only when it asks for something.

I/O: none
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import (
    lower_cast,
    make_attribute_wrapper,
    models,
    overload,
    register_model,
    typeof_impl,
)
from numba.typed.typedobjectutils import _nonoptional

from pxresearch.core.jit import compiled, emitted
from pxresearch.core.records import (
    BUY,
    CANCEL,
    FLATTEN,
    HOLD,
    LIMIT,
    MARKET,
    MAX_SIGNALS,
    ORDER,
    SELL,
    STOP,
    STOP_LIMIT,
    TRAILING,
)

NAN = math.nan
ANY_CONTRACT = -1  # the contract of the event
MIXED = 4  # signals in a tuple where another return of the same hook is a single signal


class Signal(NamedTuple):
    """One wish of a strategy. Make it with `buy`, `sell`, `flatten`, `cancel` or `hold`."""

    kind: int
    side: int = 0
    qty: int = 0
    order: int = MARKET
    contract: int = ANY_CONTRACT
    tag: int = 0
    trail: int = 0
    stop_ticks: int = 0
    target_ticks: int = 0
    trailing_stop: int = 0
    limit: float = NAN
    stop: float = NAN
    stop_loss: float = NAN
    take_profit: float = NAN


HOLDING = Signal(HOLD)
FIELDS = Signal._fields
FLOATS = ("limit", "stop", "stop_loss", "take_profit")


def whole(value: Any) -> int:
    """A count as an integer; -1, which the risk manager refuses, when it is not a whole number."""
    number = int(value) if math.isfinite(value) else -1
    return number if number == value else -1


def number(value: Any) -> float:
    """A price as a float; NaN for None."""
    return NAN if value is None else float(value)


def order_kind(limit: Any, stop: Any, trail_ticks: Any) -> int:
    """Kind of order by which prices are given; a price of NaN is given, and will be refused."""
    if trail_ticks is not None:
        return TRAILING
    if limit is not None:
        return LIMIT if stop is None else STOP_LIMIT
    return MARKET if stop is None else STOP


def _order(
    side: int, qty: Any, limit: Any, stop: Any, trail_ticks: Any, stop_ticks: Any,
    target_ticks: Any, stop_price: Any, target_price: Any, trailing: Any, tag: Any, contract: Any,
) -> Signal:  # fmt: skip
    return Signal(
        ORDER, side, whole(qty), order_kind(limit, stop, trail_ticks), int(contract), int(tag),
        0 if trail_ticks is None else whole(trail_ticks), whole(stop_ticks), whole(target_ticks),
        int(trailing), number(limit), number(stop), number(stop_price), number(target_price),
    )  # fmt: skip


def buy(
    qty: int,
    limit: float | None = None,
    stop: float | None = None,
    trail_ticks: int | None = None,
    stop_ticks: int = 0,
    target_ticks: int = 0,
    stop_price: float | None = None,
    target_price: float | None = None,
    trailing: bool = False,
    tag: int = 0,
    contract: int = ANY_CONTRACT,
) -> Signal:
    """Buy `qty` contracts: at the market, or as a limit, stop, stop-limit or trailing stop order.

    Parameters
    ----------
    qty
        Contracts, a whole number of at least 1.
    limit, stop
        Prices on the tick grid. `limit` alone makes a limit order, `stop` alone a stop order that
        triggers at that price, both a stop-limit order.
    trail_ticks
        Makes a trailing stop order that many ticks from the best price since it arrived.
    stop_ticks, target_ticks
        Bracket: distance in ticks of the protective stop and of the target from the fill price;
        0: none.
    stop_price, target_price
        Bracket by price instead.
    trailing
        Let the bracket's stop trail the best price since the fill; needs `stop_ticks`.
    tag
        A number of yours by which `cancel` and `on_fill` know the order; 0: none.
    contract
        Index of the contract in the run; left out, the contract of the event.

    Returns
    -------
    Signal
        Judged by the risk manager, which refuses what is malformed (BAD_QUANTITY, BAD_PRICE,
        OFF_GRID).
    """
    return _order(
        BUY, qty, limit, stop, trail_ticks, stop_ticks, target_ticks, stop_price, target_price,
        trailing, tag, contract,
    )  # fmt: skip


def sell(
    qty: int,
    limit: float | None = None,
    stop: float | None = None,
    trail_ticks: int | None = None,
    stop_ticks: int = 0,
    target_ticks: int = 0,
    stop_price: float | None = None,
    target_price: float | None = None,
    trailing: bool = False,
    tag: int = 0,
    contract: int = ANY_CONTRACT,
) -> Signal:
    """Sell `qty` contracts; parameters as in `buy`."""
    return _order(
        SELL, qty, limit, stop, trail_ticks, stop_ticks, target_ticks, stop_price, target_price,
        trailing, tag, contract,
    )  # fmt: skip


def hold() -> Signal:
    """Do nothing."""
    return HOLDING


def flatten(contract: int = ANY_CONTRACT) -> Signal:
    """Cancel the working entries of a contract and close its position at the market."""
    return Signal(FLATTEN, contract=int(contract))


def cancel(tag: int = 0, contract: int = ANY_CONTRACT) -> Signal:
    """Cancel working entry orders with this tag; 0: all of the contract. Brackets stay."""
    return Signal(CANCEL, tag=int(tag), contract=int(contract))


# ------------------------------------------------------------------ the compiled twin
class SignalType(types.Type):
    """A signal inside compiled code."""

    def __init__(self) -> None:
        super().__init__(name="Signal")

    def unify(self, typingctx: Any, other: Any) -> Any:
        """Let one return of a hook be a single signal and another a tuple of them."""
        if isinstance(other, types.UniTuple) and other.dtype == self and other.count <= MIXED:
            return SIGNALS
        return SIGNALS if other == SIGNALS else None


class SignalsType(types.Type):
    """Up to `MIXED` signals, for hooks that return now one, now several."""

    def __init__(self) -> None:
        super().__init__(name="Signals")

    def unify(self, typingctx: Any, other: Any) -> Any:
        """Take in single signals and tuples."""
        if other == SIGNAL or (isinstance(other, types.UniTuple) and other.dtype == SIGNAL):
            return self
        return None


SIGNAL = SignalType()
SIGNALS = SignalsType()
_MEMBERS = [(f, types.float64 if f in FLOATS else types.int64) for f in FIELDS]


@register_model(SignalType)
class _SignalModel(models.StructModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, _MEMBERS)


@register_model(SignalsType)
class _SignalsModel(models.StructModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, [("n", types.int64), ("all", types.UniTuple(SIGNAL, MIXED))])


for _field in FIELDS:
    make_attribute_wrapper(SignalType, _field, _field)
make_attribute_wrapper(SignalsType, "n", "n")
make_attribute_wrapper(SignalsType, "all", "all")


@typeof_impl.register(Signal)
def _typeof_signal(value: Signal, context: Any) -> SignalType:
    return SIGNAL


@emitted
def _make(
    typingctx: Any, kind: Any, side: Any, qty: Any, order: Any, contract: Any, tag: Any,
    trail: Any, stop_ticks: Any, target_ticks: Any, trailing_stop: Any, limit: Any, stop: Any,
    stop_loss: Any, take_profit: Any,
) -> Any:  # fmt: skip
    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        value = cgutils.create_struct_proxy(SIGNAL)(context, builder)
        for field, arg in zip(FIELDS, args, strict=True):
            setattr(value, field, arg)
        return value._getvalue()

    return SIGNAL(*[t for _, t in _MEMBERS]), codegen


def _fill_mixed(context: Any, builder: Any, parts: list[Any]) -> Any:
    value = cgutils.create_struct_proxy(SIGNALS)(context, builder)
    value.n = context.get_constant(types.int64, len(parts))
    empty = context.get_constant_null(SIGNAL)
    padded = parts + [empty] * (MIXED - len(parts))
    value.all = context.make_tuple(builder, types.UniTuple(SIGNAL, MIXED), padded)
    return value._getvalue()


@lower_cast(SignalType, SignalsType)
def _cast_single(context: Any, builder: Any, fromty: Any, toty: Any, val: Any) -> Any:
    return _fill_mixed(context, builder, [val])


@lower_cast(types.UniTuple, SignalsType)
def _cast_tuple(context: Any, builder: Any, fromty: Any, toty: Any, val: Any) -> Any:
    return _fill_mixed(context, builder, cgutils.unpack_tuple(builder, val, fromty.count))


def _given(arg: Any) -> bool:
    """Whether an argument of a compiled call has a value (is not left out and not None)."""
    if isinstance(arg, types.Omitted):
        return arg.value is not None
    return arg is not None and not isinstance(arg, types.NoneType)


@overload(number)
def _number(value):
    if not _given(value):
        return lambda value: NAN
    return lambda value: float(value)


@overload(whole)
def _whole(value):
    if not _given(value):
        return lambda value: 0
    if isinstance(value, types.Integer | types.Boolean):
        return lambda value: int(value)

    def impl(value):
        if not math.isfinite(value) or math.floor(value) != value:
            return -1
        return int(value)

    return impl


def _overload_order(function: Any, side: int) -> None:
    @overload(function, strict=False)
    def _typed(
        qty, limit=None, stop=None, trail_ticks=None, stop_ticks=0, target_ticks=0,
        stop_price=None, target_price=None, trailing=False, tag=0, contract=-1,
    ):  # fmt: skip
        kind = order_kind(
            limit if _given(limit) else None,
            stop if _given(stop) else None,
            trail_ticks if _given(trail_ticks) else None,
        )

        def impl(
            qty, limit=None, stop=None, trail_ticks=None, stop_ticks=0, target_ticks=0,
            stop_price=None, target_price=None, trailing=False, tag=0, contract=-1,
        ):  # fmt: skip
            return _make(
                ORDER, side, whole(qty), kind, int(contract), int(tag), whole(trail_ticks),
                whole(stop_ticks), whole(target_ticks), int(trailing), number(limit),
                number(stop), number(stop_price), number(target_price),
            )  # fmt: skip

        return impl


_overload_order(buy, BUY)
_overload_order(sell, SELL)


@compiled
def _plain(kind: int, tag: int, contract: int) -> Any:
    return _make(kind, 0, 0, MARKET, contract, tag, 0, 0, 0, 0, NAN, NAN, NAN, NAN)


@overload(hold)
def _hold():
    return lambda: _plain(HOLD, 0, ANY_CONTRACT)


@overload(flatten)
def _flatten(contract=ANY_CONTRACT):
    return lambda contract=ANY_CONTRACT: _plain(FLATTEN, 0, contract)


@overload(cancel)
def _cancel(tag=0, contract=ANY_CONTRACT):
    return lambda tag=0, contract=ANY_CONTRACT: _plain(CANCEL, tag, contract)


# ------------------------------------------------------------------ from a hook to the engine
@compiled
def _write(S: Any, n: int, s: Any) -> int:
    """Write one signal to the engine's buffer unless it holds; returns the new count."""
    if s.kind == HOLD:
        return n
    to = S.signal[n]
    to.kind = s.kind
    to.side = s.side
    to.qty = s.qty
    to.order = s.order
    to.contract = s.contract
    to.tag = s.tag
    to.trail = s.trail
    to.stop_ticks = s.stop_ticks
    to.target_ticks = s.target_ticks
    to.trailing_stop = s.trailing_stop
    to.limit = s.limit
    to.stop = s.stop
    to.stop_loss = s.stop_loss
    to.take_profit = s.take_profit
    return n + 1


def emit(S: Any, answer: Any) -> int:
    """Write what a hook returned to the engine's buffer (plain Python); returns how many ask."""
    if answer is None or answer is HOLDING:
        return 0
    signals = (answer,) if isinstance(answer, Signal) else answer
    if not isinstance(signals, tuple) or not all(isinstance(s, Signal) for s in signals):
        raise TypeError(
            f"a hook must return a signal, a tuple of signals, or nothing; got {answer!r}"
        )
    wanted = [s for s in signals if s.kind != HOLD]
    if len(wanted) > MAX_SIGNALS:
        raise ValueError(
            f"a hook returned {len(wanted)} signals; at most {MAX_SIGNALS} are allowed"
        )
    for i, s in enumerate(wanted):
        S["signal"][i] = tuple(s)
    return len(wanted)


@overload(emit)
def _emit(S, answer):
    if isinstance(answer, types.NoneType):
        return lambda S, answer: 0
    if answer == SIGNAL:
        return lambda S, answer: _write(S, 0, answer)
    if isinstance(answer, types.Optional):

        def optional(S, answer):
            if answer is None:
                return 0
            return emit(S, _nonoptional(answer))  # pyright: ignore[reportCallIssue]  an intrinsic

        return optional
    if answer == SIGNALS:

        def mixed(S, answer):
            n = 0
            for i in range(answer.n):
                n = _write(S, n, answer.all[i])
            return n

        return mixed
    if (
        isinstance(answer, types.UniTuple)
        and answer.dtype == SIGNAL
        and answer.count <= MAX_SIGNALS
    ):

        def several(S, answer):
            n = 0
            for s in answer:
                n = _write(S, n, s)
            return n

        return several
    raise TypingError(
        f"a hook must return a signal, a tuple of at most {MAX_SIGNALS} signals, or nothing; "
        f"got {answer}"
    )

"""Strategy: a class with parameters, declared state and pure hooks.

Annotated attributes with a default are parameters; `state(...)` declares state. The class compiles
to a NumPy record plus one function a hook (`compile_hooks`), and the same class runs uncompiled
(pxresearch.twin), with the identical result.

I/O: reads the strategy's source file (`load_strategy`, `fingerprint`).
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import importlib.util
import inspect
import math
import sys
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from pxresearch.core.layout import Field, Layout
from pxresearch.core.records import HOOKS, MAX_FRAMES
from pxresearch.errors import StrategyError, UnknownName
from pxresearch.strategy_errors import check_hooks, explain

EXTRAS = ("position", "orders", "account")  # what a hook may take after its event, in this order
RESERVED = ("bars",)
_NUMBERS = {float: Field("value", "f8"), int: Field("value", "i8"), bool: Field("value", "i8")}


@dataclass(frozen=True, slots=True)
class State:
    """One declared piece of state; made by `state`."""

    kind: Layout | type
    size: int = 0

    def spec(self, name: str) -> Any:
        """NumPy field of the strategy's record."""
        if isinstance(self.kind, Layout):
            return (name, self.kind.dtype(self.size))
        letter = "f8" if self.kind is float else "i8"
        return (name, letter, (self.size,)) if self.size else (name, letter)

    def fresh(self) -> Any:
        """Initial value in plain Python."""
        if isinstance(self.kind, Layout):
            return self.kind.cell(self.size)
        zero = self.kind(0)
        return [zero] * self.size if self.size else zero


def state(kind: Layout | type, size: int = 0) -> Any:
    """Declare a piece of a strategy's state; it starts at zero.

    Parameters
    ----------
    kind
        An indicator's state (`px.Ema`, `px.Sma`, ...), or `float`, `int` or `bool`.
    size
        Largest window of an indicator that keeps one; for a number, the length of a vector of them.

    Examples
    --------
    >>> import pxresearch as px
    >>> class Average(px.Strategy):
    ...     bars = "1m"
    ...     window: int = 50
    ...     average = px.state(px.Sma, size=200)
    ...     seen = px.state(int)
    """
    if isinstance(kind, Layout):
        if kind.sized and size == 0:
            size = kind.default_size
        if kind.sized and size < 1:
            raise StrategyError(
                f"state({kind.name}) needs its largest window: state({kind.name}, size=200)"
            )
        return State(kind, size)
    if kind not in _NUMBERS or size < 0:
        raise StrategyError(
            f"state({kind!r}, size={size}): allowed are an indicator's state, float, int or bool, "
            "and a size of 0 (one number) or more"
        )
    return State(kind, size)


class Strategy:
    """Base of every strategy.

    Hooks, each optional, each given the event and, if it takes them, `position`, `orders` and
    `account` in this order: `on_bar`, `on_quote`, `on_trade`, `on_fill`, `on_session`, `on_gap`.
    A hook returns a signal (`px.buy`, `px.sell`, `px.flatten`, `px.cancel`, `px.hold`), a tuple of
    signals, or nothing. `on_gap` is of live and paper sessions: the market was not seen for a time.

    `bars` names the timeframes of `on_bar`: "30s", "1m", "4h", "1d" (session), "500t" (ticks),
    "1000v" (volume), "8r" (range in ticks), or a tuple of up to four.
    """

    bars: ClassVar[str | tuple[str, ...]] = ()
    _parameters: ClassVar[dict[str, type]] = {}
    _states: ClassVar[dict[str, State]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._states = _declared_state(cls)
        cls._parameters = _declared_parameters(cls)
        _check_hooks(cls)

    def __init__(self, **parameters: Any) -> None:
        _check_source(type(self))
        for name, kind in self._parameters.items():
            given = parameters.pop(name, getattr(type(self), name))
            object.__setattr__(self, name, _typed(type(self), name, kind, given))
        for name in parameters:
            raise UnknownName(f"parameter of {type(self).__name__}", name, self._parameters)

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameter values of this instance."""
        return {name: getattr(self, name) for name in self._parameters}

    @property
    def timeframes(self) -> tuple[str, ...]:
        """Timeframes of `on_bar`, in the order of `bar.timeframe`."""
        return (self.bars,) if isinstance(self.bars, str) else tuple(self.bars)

    def __repr__(self) -> str:
        inside = ", ".join(f"{k}={v!r}" for k, v in self.parameters.items())
        return f"{type(self).__name__}({inside})"


@functools.cache
def _check_source(cls: type) -> None:
    """Look through the hooks once a class."""
    check_hooks(cls)


def _declared_state(cls: type) -> dict[str, State]:
    found: dict[str, State] = {}
    for base in reversed(cls.__mro__):
        found.update({k: v for k, v in vars(base).items() if isinstance(v, State)})
    return found


def _declared_parameters(cls: type) -> dict[str, type]:
    hints: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if issubclass(base, Strategy) and base is not Strategy:
            hints.update(_hints(base))
    found: dict[str, type] = {}
    for name, kind in hints.items():
        if name in RESERVED or name.startswith("_") or typing.get_origin(kind) is ClassVar:
            continue
        if kind not in (int, float, bool):
            raise StrategyError(
                f"{cls.__name__}.{name}: a parameter must be annotated int, float or bool, "
                f"not {kind!r}"
            )
        if not hasattr(cls, name):
            raise StrategyError(
                f"{cls.__name__}.{name}: a parameter needs a default, as in `{name}: int = 20`"
            )
        found[name] = kind
        _typed(cls, name, kind, getattr(cls, name))
    return found


def _hints(base: type) -> dict[str, Any]:
    plain = {"int": int, "float": float, "bool": bool}
    own = vars(base).get("__annotations__") or getattr(base, "__annotations__", {})
    return {
        name: plain.get(kind, kind) if isinstance(kind, str) else kind for name, kind in own.items()
    }


def _typed(cls: type, name: str, kind: type, value: Any) -> Any:
    """The value as the parameter's type, or a clear refusal."""
    fits = isinstance(value, bool) if kind is bool else isinstance(value, int | float | np.number)
    if fits and kind is int:
        fits = not isinstance(value, bool) and int(value) == value
    if not fits or (kind is float and not math.isfinite(value)):
        raise StrategyError(
            f"{cls.__name__}.{name} must be {kind.__name__}, "
            f"received {value!r} ({type(value).__name__})"
        )
    return kind(value)


def _check_hooks(cls: type) -> None:
    for name, value in vars(cls).items():
        if name.startswith("on_") and callable(value) and name not in HOOKS:
            near = difflib.get_close_matches(name, HOOKS, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise StrategyError(
                f"{cls.__name__}.{name} is not a hook{hint} Hooks: {', '.join(HOOKS)}."
            )
    for name in HOOKS:
        function = getattr(cls, name, None)
        if function is None:
            continue
        names = list(inspect.signature(function).parameters)
        taken = tuple(names[2:])
        if len(names) < 2 or taken != EXTRAS[: len(taken)]:
            raise StrategyError(
                f"{cls.__name__}.{name}({', '.join(names)}): a hook takes self, its event, "
                f"and then {', '.join(EXTRAS)} in this order, as many as it needs"
            )
    frames = (cls.bars,) if isinstance(cls.bars, str) else tuple(cls.bars)
    if hasattr(cls, "on_bar") and not frames:
        raise StrategyError(f'{cls.__name__} has on_bar but no timeframe: add `bars = "1m"`')
    if len(frames) > MAX_FRAMES:
        raise StrategyError(
            f"{cls.__name__}.bars has {len(frames)} timeframes; at most {MAX_FRAMES}"
        )


def record_type(strategy: Strategy) -> np.dtype[Any]:
    """Record of the strategy: parameters, then state."""
    spec: list[Any] = [
        (name, "f8" if kind is float else "i8") for name, kind in strategy._parameters.items()
    ]
    spec += [s.spec(name) for name, s in strategy._states.items()]
    return np.dtype(spec or [("_empty", "i8")], align=True)


def new_record(strategy: Strategy) -> np.ndarray[Any, Any]:
    """A fresh record of shape (1,): parameters set, state zero."""
    rec = np.zeros(1, record_type(strategy))
    for name, value in strategy.parameters.items():
        rec[name] = value
    return rec


def takes_account(strategy: Strategy, hook: str) -> bool:
    """Whether a hook asks for the account, whose figures change with every event."""
    function = getattr(type(strategy), hook, None)
    return function is not None and function.__code__.co_argcount == 2 + len(EXTRAS)


def fingerprint(strategy: Strategy) -> str:
    """SHA-256 over a class's source and its parameter values: the identity that promotion needs."""
    try:
        source = inspect.getsource(type(strategy))
    except (OSError, TypeError):
        source = repr(
            [
                getattr(type(strategy), h).__code__.co_code
                for h in HOOKS
                if hasattr(type(strategy), h)
            ]
        )
    text = source + repr(sorted(strategy.parameters.items()))
    return hashlib.sha256(text.encode()).hexdigest()


# ------------------------------------------------------------------ compiling
def compile_hooks(strategy: Strategy) -> dict[str, Any]:
    """Compile the hooks of a strategy.

    Returns
    -------
    dict
        Hook name → `core.kept.Code` of ``int64(7 × int64)`` for `core.jit.call_hook`.

    Raises
    ------
    StrategyError
        The class uses what numba cannot compile; the text names the line and the cause.
    """
    from pxresearch.hooks import build

    key = (type(strategy), record_type(strategy))
    if key not in _COMPILED:
        built: dict[str, Any] = {}
        for name in HOOKS:
            function = getattr(type(strategy), name, None)
            if function is None:
                continue
            try:
                built[name] = build(name, function, key[1])
            except Exception as error:  # noqa: BLE001  numba raises whatever it trips over
                raise StrategyError(explain(type(strategy), name, function, error)) from None
        _COMPILED[key] = built
    return _COMPILED[key]


_COMPILED: dict[Any, dict[str, Any]] = {}


# ------------------------------------------------------------------ loading from a file
def load_strategy(spec: str | Path) -> type[Strategy]:
    """Load a strategy class from ``file.py`` or ``file.py:Class``.

    Raises
    ------
    StrategyError
        No such file, an import that fails, no strategy class in it, or several and none named.
    """
    path_text, _, wanted = str(spec).partition(".py:")
    path = Path(path_text + ".py" if wanted else path_text)
    if not path.is_file():
        raise StrategyError(f"no strategy file {path}; give a path such as strategies/ema_cross.py")
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()
    name = f"pxresearch_strategy_{path.stem}_{digest[:8]}"
    module_spec = importlib.util.spec_from_file_location(name, path)
    if module_spec is None or module_spec.loader is None:
        raise StrategyError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[name] = module
    try:
        module_spec.loader.exec_module(module)
    except StrategyError:
        raise
    except Exception as error:  # a user's file can raise anything
        raise StrategyError(
            f"{path} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    found = {
        n: v for n, v in vars(module).items()
        if isinstance(v, type) and issubclass(v, Strategy) and v.__module__ == name
    }  # fmt: skip
    if wanted:
        if wanted not in found:
            raise UnknownName(f"strategy class in {path}", wanted, found)
        return found[wanted]
    if len(found) != 1:
        listed = ", ".join(sorted(found)) or "none"
        raise StrategyError(
            f"{path} holds {len(found)} strategy classes ({listed}); name one: {path}:Class"
        )
    return next(iter(found.values()))

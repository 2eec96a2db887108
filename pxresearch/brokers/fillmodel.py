"""How orders fill in a backtest and on paper, and how long everything takes.

I/O: none
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pxresearch.core import records as r
from pxresearch.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Delays of feed, order entry and acknowledgement, ns: a number or an array of samples each.

    Samples are used in turn, by order and by fill, so a run repeats exactly.
    """

    feed: int | Sequence[int] = 0
    entry: int | Sequence[int] = 0
    ack: int | Sequence[int] = 0

    def __post_init__(self) -> None:
        for name in ("feed", "entry", "ack"):
            values = self.samples(name)
            if values.size == 0 or values.min() < 0:
                raise UsageError(f"latency {name} must be one or more times of 0 ns or longer")

    def samples(self, name: str) -> np.ndarray[Any, Any]:
        """Samples of one delay, int64 ns, shape (n,)."""
        value = np.atleast_1d(np.asarray(getattr(self, name)))
        if value.dtype.kind not in "iu":
            raise UsageError(f"latency {name} must be whole nanoseconds, received {value.dtype}")
        return np.ascontiguousarray(value, dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class FillModel:
    """How orders fill; docs/engine.md section 3."""

    limit_fill: str = "through"
    stop_trigger: str = "trade"
    slippage_ticks: int = 0
    partial_fills: bool = False
    mark: str = "exit"
    latency: Latency = field(default_factory=Latency)

    def __post_init__(self) -> None:
        _one_of("limit_fill", self.limit_fill, r.LIMIT_FILLS)
        _one_of("stop_trigger", self.stop_trigger, ("trade", "quote"))
        _one_of("mark", self.mark, ("exit", "last"))
        if not isinstance(self.slippage_ticks, int) or self.slippage_ticks < 0:
            raise UsageError(
                "slippage_ticks must be a whole number of 0 or more, "
                f"received {self.slippage_ticks!r}"
            )


def _one_of(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise UsageError(f"{name} must be one of {', '.join(allowed)}; received {value!r}")

"""What is known of drift in one account, as values and as the file that keeps them.

A *check* says whether a session's recording, replayed, decides the same. A *comparison* sets the
fills of one side against another's: paper against a fresh backtest, live against what paper would
have filled. Slippage is in ticks, positive when the first of the two did worse; money is
micro-dollars; rates are shares of 0 to 1.

I/O: reads and writes ``drift.json`` in an account's folder.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from pathlib import Path

import msgspec

from pxresearch.accountdir.folder import write_whole
from pxresearch.drift.stats import bootstrap, wilson

FILE = "drift.json"
OK, WATCH, DRIFTS, TOO_FEW = "ok", "watch", "drifts", "too few"
ORDERS_MATCHED, SLIPPAGE, FILL_RATE, DAY_PNL = "orders matched", "slippage", "fill rate", "day P&L"


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """How far a metric may go: at least `low`, at most `high`; None: any distance."""

    low: float | None = None
    high: float | None = None

    def below(self, value: float) -> bool:
        """Whether a value is under the limit."""
        return self.low is not None and value < self.low

    def above(self, value: float) -> bool:
        """Whether a value is over the limit."""
        return self.high is not None and value > self.high


LIMITS = {
    # half a tick a fill is half a spread of a liquid contract: more is another way of filling
    SLIPPAGE: Limit(high=0.5),
    # the first fills one order in ten less (or more) than the second
    FILL_RATE: Limit(low=-0.10, high=0.10),
    # nineteen of twenty decisions are the same
    ORDERS_MATCHED: Limit(low=0.95),
    # micro-dollars a day; a loss of 50 USD a day against the second, whatever the cause
    DAY_PNL: Limit(low=-50_000_000.0),
}
"""Beyond these a metric drifts."""


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One figure with its 95 % interval.

    Attributes
    ----------
    value, low, high
        None where there is nothing to measure, or no bound.
    method
        How the interval was made.
    state
        ``drifts``: the whole interval lies beyond the limit. ``watch``: the value does.
        ``too few``: there is no interval yet. Otherwise ``ok``.
    """

    name: str
    unit: str
    n: int
    value: float | None
    low: float | None
    high: float | None
    method: str
    limit: Limit
    state: str


class Pair(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One order on both sides.

    Attributes
    ----------
    decided
        When, ns UTC.
    contract, side, role
        Index, +1 or -1, and core.records.ROLES.
    first, second
        Average fill price in ticks; None: it did not fill.
    first_share, second_share
        Filled share of the quantity, 0 to 1; None: that side has no such order.
    slippage
        Ticks by which the first filled worse; None unless both filled. A bracket's leg is measured
        from its own price, which follows from its own entry.
    """

    decided: int
    contract: int
    side: int
    role: str
    first: float | None
    second: float | None
    first_share: float | None
    second_share: float | None
    slippage: float | None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Fills of the same days, set against each other.

    Attributes
    ----------
    days
        Trading days, yyyymmdd.
    first_pnl, second_pnl
        Net P&L of each of those days, micro-dollars.
    """

    name: str
    first: str
    second: str
    days: tuple[int, ...]
    first_pnl: tuple[int, ...]
    second_pnl: tuple[int, ...]
    pairs: tuple[Pair, ...]
    metrics: tuple[Metric, ...]

    @property
    def drifting(self) -> tuple[str, ...]:
        """Names of the metrics that drift."""
        return tuple(metric.name for metric in self.metrics if metric.state == DRIFTS)


class DayCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One session, replayed from its own recording.

    Attributes
    ----------
    head
        Hash of the journal's last row when it was checked: any other journal is checked again.
    differences
        What the replay did otherwise, in words; empty when nothing.
    """

    day: int
    head: str
    events: int
    orders: int
    fills: int
    differences: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Whether the replay decided the same everywhere."""
        return not self.differences

    @property
    def text(self) -> str:
        """The first difference, and how many there are."""
        if self.clean:
            return f"0 differences in {self.events:,} events"
        more = len(self.differences) - 1
        return self.differences[0] + (f" (and {more} more)" if more else "")


class DriftReport(msgspec.Struct, frozen=True, kw_only=True):
    """Checks by journal name, and comparisons."""

    days: dict[str, DayCheck] = {}
    comparisons: tuple[Comparison, ...] = ()
    version: int = 1

    @property
    def drifting(self) -> tuple[str, ...]:
        """What drifts, as the alert names it."""
        unequal = [f"replay of {name}" for name, day in self.days.items() if not day.clean]
        metrics = [f"{c.name}: {name}" for c in self.comparisons for name in c.drifting]
        return (*unequal, *metrics)


def compare(
    name: str, sides: tuple[str, str], pnl: dict[int, tuple[int, int]], pairs: Sequence[Pair]
) -> Comparison:
    """Set two sets of fills against each other.

    Parameters
    ----------
    sides
        What the first and the second are called.
    pnl
        Trading day to the net P&L of both, micro-dollars.
    pairs
        The orders, those that only one side has included.
    """
    days = tuple(sorted(pnl))
    both = [p for p in pairs if p.first_share is not None and p.second_share is not None]
    entries = [p for p in both if p.role == "entry"]
    slips = [p.slippage for p in both if p.slippage is not None]
    rates = [(p.first_share or 0.0) - (p.second_share or 0.0) for p in entries]
    daily = [float(pnl[day][0] - pnl[day][1]) for day in days]
    return Comparison(
        name=name, first=sides[0], second=sides[1], days=days,
        first_pnl=tuple(pnl[day][0] for day in days), second_pnl=tuple(pnl[day][1] for day in days),
        pairs=tuple(pairs),
        metrics=(
            _matched(pairs),
            _mean(SLIPPAGE, "ticks a fill", slips),
            _mean(FILL_RATE, "share, first less second", rates),
            _mean(DAY_PNL, "micro-dollars a day, first less second", daily),
        ),
    )  # fmt: skip


def fill_rate(pairs: Sequence[Pair], first: bool) -> tuple[int, int, float, float]:
    """Entries that filled whole, entries, and the Wilson interval of their rate, for one side."""
    shares = [p.first_share if first else p.second_share for p in pairs if p.role == "entry"]
    known = [share for share in shares if share is not None]
    hits = sum(share >= 1.0 for share in known)
    return hits, len(known), *wilson(hits, len(known))


def stored(folder: Path) -> DriftReport:
    """The report of an account's folder; an empty one when there is none that can be read."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode((folder / FILE).read_bytes(), type=DriftReport)
    return DriftReport()


def store(folder: Path, report: DriftReport) -> None:
    """Write the report in one step: a reader sees the old one or the new one."""
    write_whole(folder / FILE, msgspec.json.format(msgspec.json.encode(report), indent=1))


def _matched(pairs: Sequence[Pair]) -> Metric:
    """Share of all orders that both sides have; protective legs exist only where entries filled."""
    own = [p for p in pairs if p.role == "entry"]
    hits = sum(p.first_share is not None and p.second_share is not None for p in own)
    value = hits / len(own) if own else None
    return _metric(ORDERS_MATCHED, "share", len(own), value, wilson(hits, len(own)), "Wilson")


def _mean(name: str, unit: str, values: Sequence[float]) -> Metric:
    value = sum(values) / len(values) if values else None
    return _metric(name, unit, len(values), value, bootstrap(values), "bootstrap, fixed seed")


def _metric(
    name: str, unit: str, n: int, value: float | None, span: tuple[float, float], method: str
) -> Metric:
    limit = LIMITS[name]
    low, high = span
    if value is None or math.isinf(low):
        state = TOO_FEW
    elif limit.above(low) or limit.below(high):
        state = DRIFTS
    else:
        state = WATCH if limit.above(value) or limit.below(value) else OK
    return Metric(
        name=name, unit=unit, n=n, value=value, low=_finite(low), high=_finite(high),
        method=method, limit=limit, state=state,
    )  # fmt: skip


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None

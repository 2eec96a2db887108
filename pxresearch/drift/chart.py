"""The drift figure: P&L of both sides by day, slippage, fill rates with their intervals.

Money in USD. The figure is made without pyplot, so nothing keeps it alive.

I/O: none
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, PercentFormatter

from pxresearch.core.records import MICROS
from pxresearch.drift.report import DRIFTS, SLIPPAGE, WATCH, Comparison, DriftReport, fill_rate
from pxresearch.report.day_chart import AMBER, GREY, INK, LONG, LOSS, PALE, WIN
from pxresearch.tearsheet import STYLE, Sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLORS = {"paper": WIN, "backtest": AMBER, "live": LONG}
_STATE = {DRIFTS: LOSS, WATCH: AMBER}
_LABELS = 8  # days that are named on the axis
_BINS = 41  # slippage beyond ten ticks either way goes to the outermost


def draw(report: DriftReport, title: str) -> Figure:
    """Draw a report: one row a comparison; a report without one says so."""
    rows = report.comparisons
    with mpl.rc_context(STYLE):
        height = 1.0 + 3.3 * max(len(rows), 1)
        figure = Sheet(figsize=(12, height), dpi=100, layout="constrained", facecolor="white")
        engine: Any = figure.get_layout_engine()
        engine.set(rect=(0, 0, 1, 1 - 0.75 / height), w_pad=0.08, h_pad=0.1, wspace=0.03)
        figure.text(0.012, 1 - 0.14 / height, title, fontsize=13, fontweight="bold", va="top",
                    color=INK)  # fmt: skip
        figure.text(0.012, 1 - 0.42 / height, _below(report), fontsize=9, va="top", color=GREY)
        grid = figure.add_gridspec(max(len(rows), 1), 3, width_ratios=(5, 4, 3))
        for at, one in enumerate(rows):
            _draw_pnl(figure.add_subplot(grid[at, 0]), one)
            _draw_slippage(figure.add_subplot(grid[at, 1]), one)
            _draw_rates(figure.add_subplot(grid[at, 2]), one)
        if not rows:
            figure.text(0.5, 0.4, "no session has been compared yet", ha="center", color=GREY)
    return figure


def _below(report: DriftReport) -> str:
    clean = sum(day.clean for day in report.days.values())
    drifting = ", ".join(report.drifting) or "nothing"
    return f"replayed from its own recording: {clean} of {len(report.days)} sessions decide the " \
           f"same.   Drifting: {drifting}"  # fmt: skip


def _draw_pnl(ax: Axes, one: Comparison) -> None:
    """Draw the cumulative net P&L of both sides over the days."""
    days = [f"{day // 100 % 100:02}-{day % 100:02}" for day in one.days]
    x = np.arange(len(days) + 1)
    for name, amounts, width in (  # the second is the broader, so that it shows under the first
        (one.second, one.second_pnl, 4.0), (one.first, one.first_pnl, 1.5),
    ):  # fmt: skip
        total = np.concatenate([[0.0], np.cumsum(np.array(amounts, np.float64)) / MICROS])
        ax.plot(x, total, color=_COLORS[name], linewidth=width, marker="o", markersize=width + 2,
                label=f"{name}  {total[-1]:+,.0f}")  # fmt: skip
    ax.axhline(0, color=PALE, linewidth=0.8, zorder=0)
    step = -(-len(days) // _LABELS) or 1
    ax.set_xticks(x[1::step], days[::step])
    ax.set_xlim(0, max(len(days), 1) + 0.2)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    ax.set_ylabel("cumulative net P&L, USD")
    ax.set_title(one.name)
    ax.legend(loc="best")


def _draw_slippage(ax: Axes, one: Comparison) -> None:
    """Draw how the slippage of the fills is spread, with its mean, interval and limit."""
    values = np.array([p.slippage for p in one.pairs if p.slippage is not None], np.float64)
    metric = next(m for m in one.metrics if m.name == SLIPPAGE)
    ax.hist(np.clip(values, -10, 10), bins=np.linspace(-10.25, 10.25, _BINS + 1).tolist(),
            color=_COLORS[one.first], alpha=0.75)  # fmt: skip
    span = max(2.0, min(10.5, float(np.abs(values).max(initial=0.0)) + 0.75))
    ax.set_xlim(-span, span)
    ax.margins(y=0.25)
    if metric.value is not None:
        color = _STATE.get(metric.state, INK)
        if metric.low is not None and metric.high is not None:
            ax.axvspan(metric.low, metric.high, color=color, alpha=0.15, linewidth=0)
        ax.axvline(metric.value, color=color, linewidth=1.6,
                   label=f"mean {metric.value:+.2f} ({metric.state})")  # fmt: skip
    if metric.limit.high is not None:
        ax.axvline(metric.limit.high, color=GREY, linewidth=1, linestyle=":",
                   label=f"limit {metric.limit.high:g}")  # fmt: skip
    ax.set_xlabel(f"slippage of {one.first}, ticks worse than {one.second}")
    ax.set_ylabel("fills")
    ax.set_title(f"{len(values):,} fills on both sides")
    ax.legend(loc="upper left")


def _draw_rates(ax: Axes, one: Comparison) -> None:
    """Draw the fill rate of the entries of both sides, with Wilson intervals."""
    for at, (name, first) in enumerate(((one.first, True), (one.second, False))):
        hits, n, low, high = fill_rate(one.pairs, first)
        rate = hits / n if n else 0.0
        ax.bar(at, rate, width=0.6, color=_COLORS[name], alpha=0.75)
        ax.errorbar(at, rate, yerr=[[rate - low], [high - rate]], color=INK, capsize=5,
                    linewidth=1.3)  # fmt: skip
        ax.annotate(f"{hits:,} of {n:,}", (at, 0.02), ha="center", va="bottom", color="white",
                    fontsize=8)  # fmt: skip
    ax.set_xticks([0, 1], [one.first, one.second])
    ax.set_xlim(-0.6, 1.6)
    ax.set_ylim(0, 1.08)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    ax.set_title("entries filled, 95 % interval")

"""Pictures of a result: the tear sheet, one day, the equity curve.

Money in USD, times in Chicago. Figures are made without pyplot, so nothing keeps them alive and no
backend is chosen; a notebook shows one through its own ``_repr_png_``.

I/O: none but what `report.day_chart` reads
"""

from __future__ import annotations

import io
from datetime import date
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, DateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from pxresearch.core.records import MICROS
from pxresearch.metrics import breaches, day_changes
from pxresearch.report import day_chart, summary
from pxresearch.report.day_chart import AMBER, GREY, INK, LOSS, PALE, WIN
from pxresearch.sessions import CHICAGO, session

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pxresearch.report import Result, Run

_DAY_NS = 86_400_000_000_000
_POINTS = 4_000  # an equity curve is thinned to about this many
_LIMIT_SHARE = 5  # limits are drawn while they stretch the axis no more than this many times

STYLE: Any = {
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlepad": 7,
    "axes.labelsize": 9,
    "axes.edgecolor": "#999999",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.formatter.useoffset": False,
    "grid.color": "#ECECEC",
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "legend.fontsize": 9,
    "legend.frameon": False,
    "legend.handlelength": 1.4,
    "legend.columnspacing": 1.1,
    "legend.handletextpad": 0.5,
    "path.simplify": True,
}
"""Look of every figure."""


class Sheet(Figure):
    """A matplotlib figure that a notebook shows by itself; `savefig` and the rest as usual."""

    def _repr_png_(self) -> bytes:
        return png(self, 110)


def png(figure: Figure, dpi: int) -> bytes:
    """Render a figure to PNG, whatever its canvas."""
    buffer = io.BytesIO()
    before = figure.canvas
    try:
        FigureCanvasAgg(figure).print_figure(buffer, dpi=dpi, format="png")
    finally:
        figure.set_canvas(before)
    return buffer.getvalue()


def sheet(result: Result, day: date | str | None = None, contract: str | None = None) -> Sheet:
    """Draw the whole tear sheet; see `Result.plot`."""
    choice = day_chart.choose(result.run, day, contract)
    with mpl.rc_context(STYLE):
        figure = _figure(result, 12, 10)
        grid = figure.add_gridspec(3, 12, height_ratios=(3.5, 2.9, 2.4))
        day_chart.draw(figure.add_subplot(grid[0, :]), result.run, choice)
        draw_equity(figure.add_subplot(grid[1, :8]), result.run)
        draw_table(figure.add_subplot(grid[1, 8:]), result)
        draw_days(figure.add_subplot(grid[2, :4]), result.run)
        draw_distribution(figure.add_subplot(grid[2, 4:8]), result.run)
        draw_excursions(figure.add_subplot(grid[2, 8:]), result.run)
    return figure


def day_sheet(
    result: Result,
    day: date | str | None = None,
    contract: str | None = None,
    between: tuple[str, str] | None = None,
) -> Sheet:
    """Draw one day alone; see `Result.plot_day`."""
    choice = day_chart.choose(result.run, day, contract)
    with mpl.rc_context(STYLE):
        figure = _figure(result, 12, 5.5)
        day_chart.draw(figure.add_subplot(), result.run, choice, between)
    return figure


def equity_sheet(result: Result) -> Sheet:
    """Draw the equity curve alone; see `Result.plot_equity`."""
    with mpl.rc_context(STYLE):
        figure = _figure(result, 12, 5)
        draw_equity(figure.add_subplot(), result.run)
    return figure


def _figure(result: Result, width: float, height: float) -> Sheet:
    """Empty figure with the headline."""
    run = result.run
    figure = Sheet(figsize=(width, height), dpi=100, layout="constrained", facecolor="white")
    engine: Any = figure.get_layout_engine()
    engine.set(rect=(0, 0, 1, 1 - 0.56 / height), w_pad=0.08, h_pad=0.07, wspace=0.02)
    head = f"{run.strategy}   {run.label.replace(',', ', ')}   {run.programme.name}"
    figure.text(0.012, 1 - 0.12 / height, head, fontsize=13, fontweight="bold", va="top", color=INK)
    days = f"{result.metrics.days:,} trading day{'' if result.metrics.days == 1 else 's'}"
    below = (
        f"{summary.span(run)},  {days},  {run.events:,} events    {summary.pairs(run.parameters)}"
    )
    below = below if len(below) <= 150 else below[:149] + "…"
    figure.text(0.012, 1 - 0.38 / height, below, fontsize=9, va="top", color=GREY)
    if run.synthetic:
        figure.text(0.988, 1 - 0.12 / height, "SYNTHETIC DATA", fontsize=11, fontweight="bold",
                    va="top", ha="right", color=LOSS)  # fmt: skip
    return figure


def draw_equity(ax: Axes, run: Run) -> None:
    """Draw equity, its falls from the peak, and the limits that are near enough to be seen."""
    ts, equity = equity_curve(run)
    x, peak = ts / _DAY_NS, np.maximum.accumulate(equity)
    ax.fill_between(x, equity, peak, step="post", color=LOSS, alpha=0.18, linewidth=0,
                    label="drawdown")  # fmt: skip
    ax.plot(x, equity, color=WIN, linewidth=1.3, drawstyle="steps-post", label="equity")
    low, high = float(equity.min()), float(equity.max())
    reach = (high - low) * _LIMIT_SHARE or np.inf
    for label, color, style, levels in _limits(run):
        lines = np.append(levels, levels[-1])
        if high - lines.min() > reach:
            label = f"{label} {lines[-1]:,.0f} ↓"  # below the picture
            ax.plot([], [], color=color, linestyle=style, linewidth=1.2, label=label)
            continue
        low = min(low, lines.min())
        edges = _day_edges(run) / _DAY_NS
        ax.step(edges, lines, where="post", color=color, linestyle=style, linewidth=1.2,
                label=label)  # fmt: skip
    _mark_breaches(ax, run, ts, equity)
    pad = 0.06 * (high - low) or 10.0
    ax.set_ylim(low - pad, high + pad)
    ax.margins(x=0.01)
    ax.set_title("Equity, USD", loc="left")
    _money_axis(ax.yaxis, high - low)
    _date_axis(ax, run)
    ax.legend(loc="lower right", bbox_to_anchor=(1.005, 0.99), ncols=5, borderaxespad=0.2)


def equity_curve(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Times (ns UTC) and USD, from the start balance to the end, thinned but for its extremes."""
    rows, days = run.log("equity"), run.log("days")
    state = run.engine[0]
    final = int(days["end_equity"][-1]) if len(days) else int(state["balance"])
    ts = np.concatenate([[run.first_ts], rows["ts"], [run.last_ts]])
    value = np.concatenate([[int(state["start_balance"])], rows["equity"], [final]]) / MICROS
    if len(ts) <= 2 * _POINTS:
        return ts, value
    starts = np.linspace(0, len(ts), _POINTS // 2, endpoint=False).astype(int)
    ends = np.append(starts[1:], len(ts))
    kept = {0, len(ts) - 1}
    for a, b in zip(starts, ends, strict=True):
        kept |= {a + int(value[a:b].argmin()), a + int(value[a:b].argmax())}
    at = np.array(sorted(kept))
    return ts[at], value[at]


def _mark_breaches(ax: Axes, run: Run, ts: np.ndarray, equity: np.ndarray) -> None:
    """Put a cross where a loss limit was touched."""
    touched = np.array([row["ts"] for row in breaches(run.log("risk"))], np.int64)
    if len(touched):
        at = np.clip(np.searchsorted(ts, touched, side="right") - 1, 0, len(ts) - 1)
        ax.scatter(touched / _DAY_NS, equity[at], 60, color=LOSS, marker="X", zorder=5,
                   edgecolors="white", label="limit touched")  # fmt: skip


def _limits(run: Run) -> list[tuple[str, str, Any, np.ndarray]]:
    """Label, colour, dashes and the USD level of each day, for each limit of the account."""
    days, rules = run.log("days"), run.programme
    found: list[tuple[str, str, Any, np.ndarray]] = []
    if not len(days):
        return found
    if rules.max_loss_micros is not None:
        found.append(("maximum loss", INK, "-", days["level"] / MICROS))
    if rules.daily_loss_limit_micros is not None:
        levels = (days["start_balance"] - rules.daily_loss_limit_micros) / MICROS
        found.append(("daily loss", AMBER, (0, (5, 2)), levels))
    return found


def _day_edges(run: Run) -> np.ndarray:
    """Start of each day's session and the end of the last, ns UTC, shape (days + 1,)."""
    hours = [session(run.contracts[0], day) for day in _dates(run)]
    return np.array([h.open for h in hours] + [hours[-1].close], np.int64)


def _dates(run: Run) -> list[date]:
    stamps = run.log("days")["date"].tolist()
    return [date(n // 10_000, n // 100 % 100, n % 100) for n in stamps]


def _date_axis(ax: Axes, run: Run) -> None:
    length = (run.last_ts - run.first_ts) / _DAY_NS
    if length <= 1.5:
        day_chart.clock_axis(ax)
        return
    most = 6 if length < 3 else 9
    ax.xaxis.set_major_locator(AutoDateLocator(tz=CHICAGO, minticks=3, maxticks=most))
    text = "%d %b %H:%M" if length < 3 else "%d %b" if length < 200 else "%b %Y"
    ax.xaxis.set_major_formatter(DateFormatter(text, tz=CHICAGO))


def _money_axis(axis: Any, length: float) -> None:
    digits = 0 if length >= 5 else 2
    axis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.{digits}f}"))


def draw_days(ax: Axes, run: Run) -> None:
    """Draw the P&L of each day as bars."""
    days = run.log("days")
    start = int(run.engine["start_balance"][0])
    pnl = np.array(day_changes(days, start)) / MICROS
    ax.set_title("Daily P&L, USD", loc="left")
    ax.bar(np.arange(len(pnl)), pnl, 0.8, color=np.where(pnl >= 0, WIN, LOSS))
    ax.axhline(0, color=INK, linewidth=0.8)
    spare = max(4 - len(pnl), 0) / 2
    ax.set_xlim(-0.6 - spare, max(len(pnl), 1) - 0.4 + spare)
    limit = run.programme.daily_loss_limit_micros
    if limit is not None and len(pnl) and -pnl.min() * 3 >= limit / MICROS:
        ax.axhline(-limit / MICROS, color=AMBER, linewidth=1.2, linestyle=(0, (5, 2)))
    if not pnl.any():
        ax.set_ylim(-100, 100)
    _money_axis(ax.yaxis, float(np.ptp(ax.get_ylim())))
    ax.grid(visible=False, axis="x")
    every = max(-(-len(pnl) // 5), 1)
    shown = range(0, len(pnl), every)
    dates = _dates(run)
    form = "%d %b" if len(pnl) < 200 else "%b %Y"
    ax.set_xticks(list(shown), [f"{dates[k]:{form}}" for k in shown])


def draw_distribution(ax: Axes, run: Run) -> None:
    """Draw how the trades' net results are distributed; bins meet at zero."""
    trades = run.log("trades")
    net = (trades["gross"] - trades["cost"]) / MICROS
    ax.set_title("Net result of trades, USD", loc="left")
    if not len(net):
        _nothing(ax)
        return
    count = int(np.clip(2 * np.sqrt(len(net)), 8, 40))
    width = float(max(np.ptp(np.append(net, 0.0)) / count, 0.01))
    edges = width * np.arange(np.floor(net.min() / width), np.floor(net.max() / width) + 2)
    heights, _ = np.histogram(net, edges)
    middle = edges[:-1] + width / 2
    ax.bar(middle, heights, width * 0.92, color=np.where(middle > 0, WIN, LOSS))
    ax.axvline(0, color=INK, linewidth=0.8)
    mean = float(net.mean())
    ax.axvline(mean, color=INK, linewidth=1.1, linestyle=(0, (3, 2)), label=f"mean {mean:+,.2f}")
    ax.margins(y=0.18)
    ax.legend(loc="upper right")
    ax.set_ylabel("trades")
    ax.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    _money_axis(ax.xaxis, width * count)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=5))


def draw_excursions(ax: Axes, run: Run) -> None:
    """Draw each trade's worst against its best open result."""
    trades = run.log("trades")
    ax.set_title("MAE and MFE, USD", loc="left")
    if not len(trades):
        _nothing(ax)
        return
    net = trades["gross"] - trades["cost"]
    size, alpha = (6, 0.35) if len(trades) > 500 else (22, 0.75)
    for label, mask, color in (("loss", net <= 0, LOSS), ("win", net > 0, WIN)):
        x, y = -trades["mae"][mask] / MICROS, trades["mfe"][mask] / MICROS
        if not len(x):
            continue
        ax.scatter(x, y, size, color=color, alpha=alpha, label=label, linewidths=0)
    ax.set_xlabel("against us (MAE)")
    ax.set_ylabel("for us (MFE)")
    ends = [float(abs(trades[name]).max()) / MICROS or 1.0 for name in ("mae", "mfe")]
    ax.set(xlim=(-0.04 * ends[0], 1.08 * ends[0]), ylim=(-0.04 * ends[1], 1.12 * ends[1]))
    for axis in (ax.xaxis, ax.yaxis):
        _money_axis(axis, 100)
        axis.set_major_locator(MaxNLocator(nbins=5))
    ax.legend(loc="lower right", bbox_to_anchor=(1.01, 0.98), ncols=2, borderaxespad=0.2)


def draw_table(ax: Axes, result: Result) -> None:
    """Write the figures that a reader looks for first."""
    m = result.metrics
    rows = [
        ("Net P&L", summary.money(m.net_pnl_usd, sign=True)),
        ("Costs", summary.money(m.costs_usd)),
        ("Trades", f"{m.trades:,}"),
        ("Win rate", summary.share(m.win_rate)),
        ("Profit factor", summary.number(m.profit_factor)),
        ("Expectancy a trade", summary.money(m.expectancy_usd, sign=True)),
        ("Average win", summary.money(m.average_win_usd, sign=True)),
        ("Average loss", summary.money(m.average_loss_usd, sign=True)),
        ("Max drawdown", summary.money(m.max_drawdown_usd)),
        ("Daily Sharpe", summary.number(m.sharpe)),
        ("Best day's share", summary.share(m.best_day_share)),
        ("Time in the market", summary.share(m.time_in_market)),
        ("Room to maximum loss", summary.money(m.max_loss_room_usd)),
        ("Room to daily loss", summary.money(m.daily_loss_room_usd)),
    ]
    ax.axis("off")
    ax.set_xlim(0, 1)
    ax.set_ylim(len(rows), 0)
    for k, (name, value) in enumerate(rows):
        ax.text(0.06, k + 0.5, name, va="center", color=GREY)
        touched = name.startswith("Room") and value.startswith("-")
        color = LOSS if touched else INK
        ax.text(1.0, k + 0.5, value, va="center", ha="right", color=color)
        ax.axhline(k + 1, xmin=0.06, color=PALE, linewidth=0.6)


def _nothing(ax: Axes) -> None:
    ax.set(xticks=[], yticks=[])
    ax.text(0.5, 0.5, "no trades", transform=ax.transAxes, ha="center", color=GREY)

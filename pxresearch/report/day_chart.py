"""The price of one day with what the strategy did on it: entries, exits, stops and targets.

Prices are in points, times on the axis in Chicago. Prices come from the bars that the strategy saw,
or else from the data of the run.

I/O: may read one day of the catalogue through `Run.ticks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.dates import AutoDateLocator, DateFormatter
from matplotlib.ticker import FuncFormatter

from pxresearch.core import records
from pxresearch.errors import UsageError
from pxresearch.report.frames import prices, trading_days
from pxresearch.sessions import CHICAGO, to_ns, trading_day

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pxresearch.instruments import Contract
    from pxresearch.report import Run
    from pxresearch.tickdata import Ticks

# Okabe and Ito's palette, which colour-blind readers can tell apart.
WIN, LOSS, LONG, SHORT, AMBER = "#0072B2", "#D55E00", "#009E73", "#AA3377", "#E69F00"
INK, GREY, PALE = "#222222", "#777777", "#D9D9D9"

_DAY_NS = 86_400_000_000_000
_CANDLES = 160  # up to this many bars each is drawn on its own
_CROWD = 150  # with more trades than this, brackets are left out and markers small
_POINTS = 2_000  # ticks are gathered to about this many bars


@dataclass(frozen=True, slots=True)
class Choice:
    """A trading day and the contract (its index in the run) to draw."""

    day: date
    index: int


@dataclass(frozen=True, slots=True)
class Path:
    """Price over time: ts in ns UTC, the rest float points, all of shape (n,)."""

    ts: np.ndarray
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray


def choose(run: Run, day: date | str | None, code: str | None) -> Choice:
    """Settle which day and contract to draw; by default where most trades are.

    Raises
    ------
    UsageError
        The run has no such day or contract.
    """
    trades = run.log("trades")
    index = None if code is None else _index(run, code)
    if index is not None:
        trades = trades[trades["contract"] == index]
    found = trading_days(trades["exit_ts"])
    if day is None:
        labels, counts = np.unique(found, return_counts=True)
        chosen = labels[counts.argmax()].item() if len(labels) else _first_day(run)
    else:
        chosen = _known_day(run, day)
    if index is None:
        here = trades["contract"][found == np.datetime64(chosen)]
        index = int(np.bincount(here).argmax()) if len(here) else 0
    return Choice(chosen, index)


def draw(ax: Axes, run: Run, choice: Choice, between: tuple[str, str] | None = None) -> None:
    """Draw the day on an axes: price, brackets, trades, legend and title."""
    contract, path = run.contracts[choice.index], price_path(run, choice)
    trades = _of_day(run, "trades", "exit_ts", choice)
    view = _view(path, trades, between, choice.day)
    _draw_price(ax, path, view)
    points = (trades["entry_price"], trades["exit_price"])
    entry, leave = (_points(p, contract) for p in points)
    shown = [
        price[(ts >= view[0]) & (ts <= view[1])]
        for ts, price in ((trades["entry_ts"], entry), (trades["exit_ts"], leave))
    ]
    _set_range(ax, path, view, np.concatenate(shown))
    if len(trades) <= _CROWD:
        _draw_brackets(ax, run, choice, view)
    _draw_trades(ax, trades, entry, leave)
    ax.set_xlim(*(ts / _DAY_NS for ts in view))
    clock_axis(ax)
    digits = max(
        -int(Decimal(str(contract.instrument.tick_size)).normalize().as_tuple().exponent), 0
    )
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.{digits}f}"))
    ax.set_title(_title(run, choice, len(trades)), loc="left")
    if ax.get_legend_handles_labels()[1]:
        ax.legend(loc="lower right", bbox_to_anchor=(1.005, 0.99), ncols=9, borderaxespad=0.2,
                  markerscale=2 if len(trades) > _CROWD else 1)  # fmt: skip


def _title(run: Run, choice: Choice, shown: int) -> str:
    rows = run.log("trades")
    others = int((trading_days(rows["exit_ts"]) == np.datetime64(choice.day)).sum()) - shown
    text = f"{run.contracts[choice.index].code}  {choice.day:%a %d %b %Y}  {shown:,} trade"
    return text + ("" if shown == 1 else "s") + (f", {others:,} in others" if others else "")


def clock_axis(ax: Axes) -> None:
    """Label the x axis with Chicago clock times."""
    ax.xaxis.set_major_locator(AutoDateLocator(tz=CHICAGO, minticks=6, maxticks=14))
    ax.xaxis.set_major_formatter(DateFormatter("%H:%M", tz=CHICAGO))
    ax.set_xlabel("Chicago time")


def price_path(run: Run, choice: Choice) -> Path:
    """Bars of the day from the log, or else gathered from the data; empty without either."""
    rows = run.log("bars")
    rows = rows[rows["contract"] == choice.index]
    rows = rows[trading_days(rows["bar"]["ts"]) == np.datetime64(choice.day)]
    contract = run.contracts[choice.index]
    if len(rows):
        finest = np.bincount(rows["frame"]).argmax()
        bar = rows["bar"][rows["frame"] == finest]
        ohlc = [_points(bar[name], contract, 2) for name in ("open", "high", "low", "close")]
        return Path(bar["end"], *ohlc)
    for ticks in run.ticks:
        if ticks.contract.code == contract.code:
            ts, half_ticks = _read(ticks, choice.day)
            return _gather(ts, _points(half_ticks, contract, 2))
    nothing = np.zeros(0)
    return Path(nothing.astype(np.int64), nothing, nothing, nothing, nothing)


def _read(ticks: Ticks, day: date) -> tuple[np.ndarray, np.ndarray]:
    """Times and prices in half ticks of one day: the middle of quotes, or trades, or closes."""
    import polars as pl

    kind = next(kind for kind in ("quotes", "trades", "bars") if kind in ticks.kinds)
    stamp, first, second = {
        "quotes": ("ts", "bid_px", "ask_px"),
        "trades": ("ts", "px", "px"),
        "bars": ("ts_close", "c", "c"),
    }[kind]
    middle = pl.col(first).cast(pl.Int64) + pl.col(second)
    lazy = ticks.scan(kind).filter(pl.col("session") == day)
    frame = lazy.select(pl.col(stamp).to_physical().alias("ts"), middle.alias("px")).drop_nulls()
    table = frame.collect()
    return table["ts"].to_numpy(), table["px"].to_numpy()


def _gather(ts: np.ndarray, price: np.ndarray) -> Path:
    """Bars of equal duration, about `_POINTS` of them; spans without a price have none."""
    if not len(ts):
        return Path(ts, price, price, price, price)
    width = max(int(ts[-1] - ts[0]) // _POINTS, 1)
    first = np.unique((ts - ts[0]) // width, return_index=True)[1]
    last = np.append(first[1:], len(ts)) - 1
    high, low = np.maximum.reduceat(price, first), np.minimum.reduceat(price, first)
    return Path(ts[last], price[first], high, low, price[last])


def _index(run: Run, code: str) -> int:
    codes = [contract.code for contract in run.contracts]
    if code.upper() not in codes:
        raise UsageError(f"the run has no contract {code!r}; it has {', '.join(codes)}")
    return codes.index(code.upper())


def _known_day(run: Run, day: date | str) -> date:
    try:
        wanted = date.fromisoformat(day) if isinstance(day, str) else day
    except ValueError:
        raise UsageError(f"{day!r} is not a day; write it as '2013-09-03'") from None
    known = [date(n // 10_000, n // 100 % 100, n % 100) for n in run.log("days")["date"].tolist()]
    if known and wanted not in known:
        raise UsageError(
            f"the run has no trading day {wanted}; it has {len(known)}, {known[0]} to {known[-1]}"
        )
    return wanted


def _first_day(run: Run) -> date:
    stamps = run.log("days")["date"].tolist()
    if not stamps:
        return trading_day(run.first_ts)
    return date(stamps[0] // 10_000, stamps[0] // 100 % 100, stamps[0] % 100)


def _of_day(run: Run, name: str, stamp: str, choice: Choice) -> np.ndarray:
    rows = run.log(name)
    rows = rows[rows["contract"] == choice.index]
    return rows[trading_days(rows[stamp]) == np.datetime64(choice.day)]


def _points(ticks: np.ndarray, contract: Contract, parts: int = 1) -> np.ndarray:
    return prices(ticks, np.zeros(len(ticks), np.int64), (contract,), parts)


def _view(
    path: Path, trades: np.ndarray, between: tuple[str, str] | None, day: date
) -> tuple[int, int]:
    """First and last instant to show."""
    if between is not None:
        return _instant(between[0], day), _instant(between[1], day)
    stamps: Sequence[np.ndarray] = (path.ts, trades["entry_ts"], trades["exit_ts"])
    every = np.concatenate(stamps)
    if not len(every):
        return _instant("08:30", day), _instant("15:00", day)
    low, high = int(every.min()), int(every.max())
    pad = max((high - low) // 100, 1_000_000_000)
    return low - pad, high + pad


def _instant(clock: str, day: date) -> int:
    """Ns UTC of a Chicago time of a trading day; from 17:00 on it is the evening before."""
    try:
        at = time.fromisoformat(clock)
    except ValueError:
        raise UsageError(f"{clock!r} is not a Chicago time; write it as '08:30'") from None
    ns = to_ns(datetime.combine(day, at, CHICAGO))
    return ns if trading_day(ns) == day else ns - _DAY_NS


def _draw_price(ax: Axes, path: Path, view: tuple[int, int]) -> None:
    inside = (path.ts >= view[0]) & (path.ts <= view[1])
    x = path.ts[inside] / _DAY_NS
    o, h, lo, c = (v[inside] for v in (path.open, path.high, path.low, path.close))
    if not len(x):
        ax.text(0.5, 0.5, "no price data for this day", transform=ax.transAxes, ha="center",
                color=GREY)  # fmt: skip
    elif len(x) <= _CANDLES and (h > lo).any():
        rise = np.where(c >= o, GREY, INK)
        body = max(1.5, 400 / len(x))
        for width, a, b in ((0.8, lo, h), (min(body, 7), o, c)):
            lines = np.stack([np.column_stack([x, a]), np.column_stack([x, b])], axis=1)
            ax.add_collection(LineCollection(list(lines), colors=list(rise), linewidths=width))
    else:
        gaps = np.flatnonzero(np.diff(x) > max(10 * np.median(np.diff(x)), 5 / 1440)) + 1
        x, h, lo, c = (np.insert(v, gaps, np.nan) for v in (x, h, lo, c))
        ax.fill_between(x, lo, h, color=PALE, linewidth=0)
        ax.plot(x, c, color=INK, linewidth=0.8)


def _set_range(ax: Axes, path: Path, view: tuple[int, int], marks: np.ndarray) -> None:
    inside = (path.ts >= view[0]) & (path.ts <= view[1])
    every = np.concatenate([path.low[inside], path.high[inside], marks])
    if len(every):
        low, high = every.min(), every.max()
        pad = 0.08 * (high - low) or 1.0
        ax.set_ylim(low - pad, high + pad)


def _make_room(ax: Axes, levels: np.ndarray) -> None:
    """Widen the price axis for levels that lie within half its height beyond it."""
    low, high = ax.get_ylim()
    span = high - low
    near = levels[(levels > low - span / 2) & (levels < high + span / 2)]
    if len(near):
        ax.set_ylim(min(low, near.min() - span / 25), max(high, near.max() + span / 25))


def _draw_brackets(ax: Axes, run: Run, choice: Choice, view: tuple[int, int]) -> None:
    """Draw stops and targets as thin lines over their life; the frame cuts those far off."""
    orders = _of_day(run, "orders", "decided", choice)
    kinds = (
        ("stop", records.STOP_LOSS, LOSS, (0, (4, 2))),
        ("target", records.TARGET, WIN, (0, (1, 1.5))),
    )
    for label, role, color, dashes in kinds:
        rows = orders[orders["role"] == role]
        if not len(rows):
            continue
        column = "limit" if role == records.TARGET else "stop"
        y = _points(rows[column], run.contracts[choice.index])
        ended = np.where(rows["ended"] > 0, np.minimum(rows["ended"], view[1]), view[1])
        _make_room(ax, y[(rows["active_from"] <= view[1]) & (ended >= view[0])])
        alpha = 0.75 if len(rows) < 100 else 0.25
        ax.hlines(y, rows["active_from"] / _DAY_NS, ended / _DAY_NS, label=label, colors=color,
                  linewidth=0.9, linestyles=dashes, alpha=alpha)  # fmt: skip


def _draw_trades(ax: Axes, trades: np.ndarray, entry: np.ndarray, leave: np.ndarray) -> None:
    """Entries by side, exits and connecting lines by outcome."""
    net, crowded = trades["gross"] - trades["cost"], len(trades) > _CROWD
    size, alpha = (9, 0.45) if crowded else (46, 0.95)
    x, until = trades["entry_ts"] / _DAY_NS, trades["exit_ts"] / _DAY_NS
    start, end = np.column_stack([x, entry]), np.column_stack([until, leave])
    color = np.where(net > 0, WIN, LOSS)
    for label, mask in (("win", net > 0), ("loss", net <= 0)):
        if mask.any():
            parts = list(np.stack([start, end], axis=1)[mask])
            lines = LineCollection(parts, colors=color[mask][0], label=label)
            lines.set(linewidth=0.6 if crowded else 1.6, alpha=alpha)
            ax.add_collection(lines)
    for label, side, marker, shade in (("long", 1, "^", LONG), ("short", -1, "v", SHORT)):
        mask = trades["side"] == side
        if mask.any():
            ax.scatter(x[mask], entry[mask], size, color=shade, marker=marker, label=label,
                       alpha=alpha, edgecolors="white", linewidths=0.5, zorder=4)  # fmt: skip
    if len(trades):
        ax.scatter(until, leave, size * 0.7, color="white", marker="o", label="exit",
                   edgecolors=list(color), linewidths=0.7 if crowded else 1.3, alpha=alpha,
                   zorder=5)  # fmt: skip

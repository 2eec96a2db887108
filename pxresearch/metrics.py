"""The numbers of a run: plain functions over the logs, and `Metrics` that holds the results.

Money goes in as integer micro-dollars and every total is an integer sum; a field that ends in
``_usd`` is one correctly rounded division of such a total, positive in our favour (costs, drawdown
and room are sizes, so positive). A *trade* is one FIFO match; it wins when its gross result less
its cost is above zero. A figure that has no value (no trade, no limit, too few days) is None.

I/O: none
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from pxresearch.core.records import CAUSES, DAILY_LOSS, HIGHEST, MAX_LOSS, MICROS

if TYPE_CHECKING:
    from pxresearch.programmes import Programme

DAYS_A_YEAR = 252
"""Trading days by which daily ratios are annualised: the ratio times sqrt(252)."""

BREACHES = (DAILY_LOSS, MAX_LOSS)
"""Causes of risk rows that count as a breach of an account's limit."""

_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """The figures of a run.

    Attributes
    ----------
    days, traded_days
        Trading days with data, and those with at least one fill.
    trades, fills, orders, refusals
        Counts. Refusals are refused signals, repeats included.
    volume
        Contracts traded, both sides counted.
    gross_pnl_usd, costs_usd, net_pnl_usd
        Realized P&L before costs, costs, and the first less the second: the change of balance.
    open_pnl_usd
        Unrealized P&L of what is still open at the end; 0 when flat.
    win_rate
        Winners over all trades, 0 to 1.
    profit_factor
        Sum of winning over sum of losing trades, both net; None without a loser.
    expectancy_usd, average_win_usd, average_loss_usd, largest_win_usd, largest_loss_usd
        Net USD a trade; losses are negative.
    longest_winning_streak, longest_losing_streak
        Trades in a row, in order of exit; a trade of exactly 0 ends both.
    average_mae_usd, average_mfe_usd
        Mean largest loss and gain that a trade showed while open, before costs.
    max_drawdown_usd
        Largest fall of equity from its highest value, watched at every event.
    days_under_water, longest_under_water_days
        Days that ended below the highest equity of an earlier day's end (or the start): all, and
        the longest run of them.
    sharpe, sortino
        Mean over deviation (Sortino: over downside deviation from 0) of the daily change of equity
        in USD, times sqrt(252), no interest; None under two days or without any deviation.
    time_in_market
        Share of session time with an open position, 0 to 1.
    best_day_share
        Best day over total profit; None without a profit.
    consistency_target_usd
        Profit needed to pass: the target, or more where the best day is too large a share.
    days_to_target
        Trading days until the target was met at a day's end; None if it was not.
    max_loss_room_usd, daily_loss_room_usd
        Closest approach to each limit; at or below 0 it was touched; None without the limit.
    breaches
        How often the maximum loss or the daily loss limit was touched.
    ambiguous_share
        Share of trades whose outcome bars could not settle, 0 to 1.
    average_slippage_ticks
        Mean over fills, in ticks against us.
    """

    days: int
    traded_days: int
    trades: int
    fills: int
    orders: int
    refusals: int
    volume: int
    gross_pnl_usd: float
    costs_usd: float
    net_pnl_usd: float
    open_pnl_usd: float
    start_balance_usd: float
    end_balance_usd: float
    wins: int
    losses: int
    win_rate: float | None
    profit_factor: float | None
    expectancy_usd: float | None
    average_win_usd: float | None
    average_loss_usd: float | None
    largest_win_usd: float | None
    largest_loss_usd: float | None
    longest_winning_streak: int
    longest_losing_streak: int
    average_holding_s: float | None
    trades_per_day: float | None
    average_mae_usd: float | None
    average_mfe_usd: float | None
    max_drawdown_usd: float
    days_under_water: int
    longest_under_water_days: int
    sharpe: float | None
    sortino: float | None
    time_in_market: float | None
    best_day_usd: float | None
    worst_day_usd: float | None
    best_day_share: float | None
    profit_target_usd: float | None
    consistency_target_usd: float | None
    days_to_target: int | None
    max_loss_room_usd: float | None
    daily_loss_room_usd: float | None
    breaches: int
    ambiguous_share: float | None
    average_slippage_ticks: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return name to value, in the order of declaration."""
        return asdict(self)


def measure(
    logs: Mapping[str, np.ndarray],
    engine: np.ndarray,
    programme: Programme,
    session_ns: int,
) -> Metrics:
    """Work out all figures of a run.

    Parameters
    ----------
    logs
        Log name to structured array, as the engine wrote them.
    engine
        The final ENGINE record, shape (1,).
    programme
        Rules of the account.
    session_ns
        Session time that the run covers, ns; 0 when not known.
    """
    fills, trades, days, state = logs["fills"], logs["trades"], logs["days"], engine[0]
    start = int(state["start_balance"])
    costs, gross = total(fills["cost"]), total(fills["realized"])
    live = days[(days["events"] > 0) | (days["fills"] > 0)]
    daily = day_changes(live, start)
    return Metrics(
        days=len(live),
        traded_days=int(np.count_nonzero(live["fills"])),
        trades=len(trades),
        fills=len(fills),
        orders=len(logs["orders"]),
        refusals=total(logs["refusals"]["count"]),
        volume=total(fills["qty"]),
        gross_pnl_usd=gross / MICROS,
        costs_usd=costs / MICROS,
        net_pnl_usd=(gross - costs) / MICROS,
        open_pnl_usd=open_pnl(days) / MICROS,
        start_balance_usd=start / MICROS,
        end_balance_usd=int(state["balance"]) / MICROS,
        max_drawdown_usd=abs(int(state["drawdown"])) / MICROS,
        time_in_market=_ratio(total(days["in_market"]), session_ns),
        trades_per_day=_ratio(len(trades), len(live)),
        max_loss_room_usd=max_loss_room(state),
        daily_loss_room_usd=daily_loss_room(days, programme.daily_loss_limit_micros),
        breaches=int(np.isin(logs["risk"]["cause"], BREACHES).sum()),
        average_slippage_ticks=_ratio(total(fills["slippage"]), len(fills)),
        **_trade_figures(trades),
        **_day_figures(daily, start, programme),
    )


def total(column: np.ndarray) -> int:
    """Exact sum of an integer column."""
    return int(column.sum(dtype=np.int64))


def net_results(trades: np.ndarray) -> list[int]:
    """Net result of each trade in micro-dollars, in order of exit."""
    order = np.argsort(trades["exit_ts"], kind="stable")
    return (trades["gross"] - trades["cost"])[order].tolist()


def profit_factor(net: Sequence[int]) -> float | None:
    """Sum of winners over sum of losers; None without a loser."""
    return _ratio(sum(x for x in net if x > 0), -sum(x for x in net if x < 0))


def streaks(net: Sequence[int]) -> tuple[int, int]:
    """Longest runs of winners and of losers; a result of 0 ends both.

    Examples
    --------
    >>> streaks([5, 3, 0, 2, -1, -1])
    (2, 2)
    """
    best, run, last = {1: 0, -1: 0}, 0, 0
    for value in net:
        sign = (value > 0) - (value < 0)
        run = run + 1 if sign == last else 1
        last = sign
        if sign:
            best[sign] = max(best[sign], run)
    return best[1], best[-1]


def day_changes(days: np.ndarray, start: int) -> list[int]:
    """Change of equity on each day in micro-dollars, from one day's end to the next.

    On an account that is flat at every day's end this is the day P&L; a position held overnight
    counts on the days on which it moved, so that the days always add up to the whole.
    """
    return np.diff(days["end_equity"], prepend=np.int64(start)).tolist()


def open_pnl(days: np.ndarray) -> int:
    """Micro-dollars of unrealized P&L at the end of the last day."""
    return int(days["end_equity"][-1] - days["end_balance"][-1]) if len(days) else 0


def sharpe(daily: Sequence[int]) -> float | None:
    """Annualised mean over sample deviation of the daily change; see `Metrics`."""
    if len(daily) < 2:
        return None
    # An exact variance is exactly zero when all days are equal; a float one may not be.
    mean = Fraction(sum(daily), len(daily))
    variance = Fraction(sum((x - mean) ** 2 for x in daily)) / (len(daily) - 1)
    return _annual(mean, variance)


def sortino(daily: Sequence[int]) -> float | None:
    """Annualised mean over the root mean square of the losing days (all days counted)."""
    if len(daily) < 2:
        return None
    downside = Fraction(sum(min(x, 0) ** 2 for x in daily), len(daily))
    return _annual(Fraction(sum(daily), len(daily)), downside)


def under_water(daily: Sequence[int]) -> tuple[int, int]:
    """Count the days that ended below an earlier high: all of them, and the longest run.

    Examples
    --------
    >>> under_water([5, -2, 1, 3, -1])
    (3, 2)
    """
    equity = peak = days = run = longest = 0
    for change in daily:
        equity += change
        peak = max(peak, equity)
        run = run + 1 if equity < peak else 0
        days += equity < peak
        longest = max(longest, run)
    return days, longest


def days_to_target(daily: Sequence[int], programme: Programme) -> int | None:
    """Days until the profit target was met at a day's end, consistency rule included."""
    profit = best = 0
    for number, change in enumerate(daily, 1):
        profit, best = profit + change, max(best, change)
        if programme.target_met(profit, best):
            return number
    return None


def max_loss_room(state: np.void) -> float | None:
    """USD between equity and the maximum loss level at its closest; None without the limit."""
    room = int(state["min_room"])
    watched = state["rules"]["has_max_loss"] and abs(room) < HIGHEST * MICROS
    return room / MICROS if watched else None


def daily_loss_room(days: np.ndarray, limit: int | None) -> float | None:
    """USD left of the daily loss limit on the day it came closest; None without the limit."""
    if limit is None or not len(days):
        return None
    return (int((days["min_equity"] - days["start_balance"]).min()) + limit) / MICROS


def breaches(risk: np.ndarray) -> list[dict[str, Any]]:
    """Touches of a loss limit: ts (ns UTC), cause, value_usd reached and limit_usd."""
    return [
        {
            "ts": int(row["ts"]),
            "cause": CAUSES[row["cause"]],
            "value_usd": int(row["value"]) / MICROS,
            "limit_usd": int(row["limit"]) / MICROS,
        }
        for row in risk
        if row["cause"] in BREACHES
    ]


def _trade_figures(trades: np.ndarray) -> dict[str, Any]:
    net = net_results(trades)
    wins, losses = [x for x in net if x > 0], [x for x in net if x < 0]
    winning, losing = streaks(net)
    held = total(trades["exit_ts"] - trades["entry_ts"])
    return {
        "wins": len(wins),
        "losses": len(losses),
        "win_rate": _ratio(len(wins), len(net)),
        "profit_factor": profit_factor(net),
        "expectancy_usd": _mean_usd(net),
        "average_win_usd": _mean_usd(wins),
        "average_loss_usd": _mean_usd(losses),
        "largest_win_usd": max(wins) / MICROS if wins else None,
        "largest_loss_usd": min(losses) / MICROS if losses else None,
        "longest_winning_streak": winning,
        "longest_losing_streak": losing,
        "average_holding_s": _ratio(held, len(net) * _SECOND),
        "average_mae_usd": _mean_usd(trades["mae"].tolist()),
        "average_mfe_usd": _mean_usd(trades["mfe"].tolist()),
        "ambiguous_share": _ratio(int(np.count_nonzero(trades["ambiguous"])), len(net)),
    }


def _day_figures(daily: list[int], start: int, programme: Programme) -> dict[str, Any]:
    best = max(daily, default=0)
    below, longest = under_water(daily)
    target = programme.profit_target_micros
    needed = programme.consistency_target(max(best, 0))
    return {
        "days_under_water": below,
        "longest_under_water_days": longest,
        "sharpe": sharpe(daily),
        "sortino": sortino(daily),
        "best_day_usd": best / MICROS if daily else None,
        "worst_day_usd": min(daily) / MICROS if daily else None,
        "best_day_share": _ratio(best, sum(daily)),
        "profit_target_usd": None if target is None else target / MICROS,
        "consistency_target_usd": None if needed is None else float(needed),
        "days_to_target": days_to_target(daily, programme),
    }


def _ratio(part: int, whole: int) -> float | None:
    """Part over whole; None unless the whole is positive."""
    return part / whole if whole > 0 else None


def _mean_usd(values: Sequence[int]) -> float | None:
    return sum(values) / (len(values) * MICROS) if values else None


def _annual(mean: Fraction, variance: Fraction) -> float | None:
    return float(mean) / math.sqrt(variance) * math.sqrt(DAYS_A_YEAR) if variance else None

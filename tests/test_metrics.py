"""Metrics: ledgers worked out by hand, and random ones against a naive Decimal computation."""

from __future__ import annotations

import json
import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxresearch import metrics
from pxresearch.core import records as r
from pxresearch.programmes import programme

SECOND = 1_000_000_000
USD = 1_000_000


def table(name, rows):
    out = np.zeros(len(rows), r.LOGS[name])
    for row, values in zip(out, rows, strict=True):
        for key, value in values.items():
            row[key] = value
    return out


def logs(**rows):
    return {name: table(name, rows.get(name, [])) for name in r.LOGS}


def state(**values):
    engine = np.zeros(1, r.ENGINE)
    for name, value in values.items():
        engine[name] = value
    return engine


# Three MES round trips on two days, 0.61 a side, 5 USD a point, start 50,000.
#   1: long 1, 5000.00 to 5004.00, 60 s: gross +20.00, net +18.78
#   2: short 2, 5010.00 to 5012.00, 30 s: gross -20.00, net -22.44
#   3 (next day): long 1, 5000.00 to 5010.00, 90 s: gross +50.00, net +48.78
TRADES = [
    {"qty": 1, "gross": 20 * USD, "cost": 1_220_000, "entry_ts": 0, "exit_ts": 60 * SECOND,
     "mae": -5 * USD, "mfe": 25 * USD},
    {"qty": 2, "gross": -20 * USD, "cost": 2_440_000, "entry_ts": 100 * SECOND,
     "exit_ts": 130 * SECOND, "mae": -30 * USD, "mfe": 10 * USD, "ambiguous": 1},
    {"qty": 1, "gross": 50 * USD, "cost": 1_220_000, "entry_ts": 200 * SECOND,
     "exit_ts": 290 * SECOND, "mae": -10 * USD, "mfe": 55 * USD},
]  # fmt: skip
FILLS = [
    {"qty": n, "cost": n * 610_000, "realized": gross * USD, "slippage": slip}
    for n, gross, slip in ((1, 0, 1), (1, 20, 0), (2, 0, 0), (2, -20, 2), (1, 0, 0), (1, 50, 0))
]
DAYS = [
    {"date": 20260113, "start_balance": 50_000 * USD, "end_balance": 49_996_340_000,
     "end_equity": 49_996_340_000, "min_equity": 49_970 * USD, "events": 10, "fills": 4,
     "in_market": 90 * SECOND},
    {"date": 20260114, "start_balance": 49_996_340_000, "end_balance": 50_045_120_000,
     "end_equity": 50_045_120_000, "min_equity": 49_980 * USD, "events": 10, "fills": 2,
     "in_market": 90 * SECOND},
]  # fmt: skip


@pytest.fixture
def golden() -> metrics.Metrics:
    engine = state(start_balance=50_000 * USD, balance=50_045_120_000, drawdown=45_780_000,
                   min_room=1_970 * USD)  # fmt: skip
    engine["rules"]["has_max_loss"] = 1
    refused = [{"reason": r.COLLAR, "count": 3}]
    book = logs(trades=TRADES, fills=FILLS, days=DAYS, refusals=refused, orders=[{}] * 6)
    return metrics.measure(book, engine, programme("combine-50k"), 3_600 * SECOND)


def test_totals_of_the_hand_made_ledger(golden):
    """Gross 50.00, costs 8 sides of 0.61, net the change of balance."""
    assert (golden.gross_pnl_usd, golden.costs_usd, golden.net_pnl_usd) == (50.0, 4.88, 45.12)
    assert golden.end_balance_usd - golden.start_balance_usd == pytest.approx(45.12, abs=1e-9)
    assert golden.open_pnl_usd == 0
    counts = (golden.trades, golden.fills, golden.orders, golden.refusals, golden.volume)
    assert counts == (3, 6, 6, 3, 8)


def test_trade_figures_of_the_hand_made_ledger(golden):
    """Net results +18.78, -22.44, +48.78."""
    assert (golden.wins, golden.losses) == (2, 1)
    assert golden.win_rate == 2 / 3
    assert golden.profit_factor == pytest.approx(67.56 / 22.44)
    assert golden.expectancy_usd == pytest.approx(15.04)
    assert (golden.average_win_usd, golden.average_loss_usd) == (33.78, -22.44)
    assert (golden.largest_win_usd, golden.largest_loss_usd) == (48.78, -22.44)
    assert (golden.longest_winning_streak, golden.longest_losing_streak) == (1, 1)
    assert golden.average_holding_s == 60
    assert (golden.average_mae_usd, golden.average_mfe_usd) == (-15, 30)
    assert golden.ambiguous_share == 1 / 3
    assert golden.average_slippage_ticks == 0.5


def test_day_figures_of_the_hand_made_ledger(golden):
    """Days of -3.66 and +48.78: mean 22.56, sample deviation 52.44 / sqrt(2)."""
    assert (golden.best_day_usd, golden.worst_day_usd) == (48.78, -3.66)
    assert golden.sharpe == pytest.approx(22.56 / (52.44 / math.sqrt(2)) * math.sqrt(252))
    assert golden.sortino == pytest.approx(22.56 / math.sqrt(3.66**2 / 2) * math.sqrt(252))
    assert (golden.days_under_water, golden.longest_under_water_days) == (1, 1)
    assert golden.best_day_share == pytest.approx(48.78 / 45.12)
    assert golden.time_in_market == 0.05
    assert golden.trades_per_day == 1.5


def test_limits_of_the_hand_made_ledger(golden):
    """Daily limit 1,000: day 1 fell 30 below its start, day 2 by 16.34."""
    assert golden.max_drawdown_usd == 45.78
    assert golden.max_loss_room_usd == 1_970
    assert golden.daily_loss_room_usd == 970
    assert (golden.profit_target_usd, golden.consistency_target_usd) == (3_000, 3_000)
    assert golden.days_to_target is None
    assert golden.breaches == 0


def test_an_empty_run_has_no_ratios():
    """What is not defined is None, what is counted is 0."""
    m = metrics.measure(logs(), state(), programme("own", start_balance=0), 0)
    undefined = ("win_rate", "profit_factor", "expectancy_usd", "sharpe", "sortino", "best_day_usd",
                 "best_day_share", "time_in_market", "trades_per_day", "max_loss_room_usd",
                 "daily_loss_room_usd", "days_to_target", "ambiguous_share")  # fmt: skip
    assert [getattr(m, name) for name in undefined] == [None] * len(undefined)
    assert (m.trades, m.net_pnl_usd, m.max_drawdown_usd, m.days_under_water) == (0, 0, 0, 0)


def test_one_day_has_no_sharpe():
    """A deviation needs two days; equal days have none either."""
    assert metrics.sharpe([5]) is None
    assert metrics.sharpe([5, 5, 5]) is None
    assert metrics.sortino([5, 6]) is None


def test_breaches_are_the_loss_limits_only():
    """A profit lock or a deadline is no breach."""
    causes = (r.DEADLINE, r.DAILY_LOSS, r.PROFIT_LOCK, r.MAX_LOSS, r.LOSS_STREAK)
    risk = table("risk", [{"ts": 7, "cause": c, "value": -1_003_300_000} for c in causes])
    found = metrics.breaches(risk)
    assert [row["cause"] for row in found] == ["daily_loss_limit", "max_loss_limit"]
    assert found[0] == {"ts": 7, "cause": "daily_loss_limit", "value_usd": -1003.3, "limit_usd": 0}


def test_overnight_profit_counts_once():
    """Days add up to the whole even when a position is held over the roll."""
    days = table("days", [{"end_equity": 110}, {"end_equity": 90}, {"end_equity": 130}])
    assert metrics.day_changes(days, 100) == [10, -20, 40]


def test_days_to_target_follows_the_published_examples(reference):
    """Consistency cases of the reference: the first day on which `passed` is true."""
    cases = json.loads((reference / "golden_pnl.json").read_text())["consistency"]
    for case in cases:
        rules = programme("combine-50k", profit_target=case["start_target"],
                          consistency=case["frac"])  # fmt: skip
        daily = [int(Decimal(day) * USD) for day in case["days"]]
        passed = [day["passed"] for day in case["expect"]]
        expected = passed.index(True) + 1 if True in passed else None
        assert metrics.days_to_target(daily, rules) == expected, case["id"]


money = st.integers(-5_000 * USD, 5_000 * USD)
trade = st.fixed_dictionaries({"gross": money, "cost": st.integers(0, 50 * USD)})


@given(st.lists(trade, min_size=1, max_size=40))
def test_trade_figures_equal_a_naive_decimal_computation(rows):
    """Every figure of the trades, in decimals of a dollar."""
    rows = [{**row, "exit_ts": k} for k, row in enumerate(rows)]
    m = metrics.measure(logs(trades=rows), state(), programme("own", start_balance=0), 0)
    net = [Decimal(row["gross"] - row["cost"]) / USD for row in rows]
    wins, losses = [x for x in net if x > 0], [x for x in net if x < 0]
    assert (m.wins, m.losses, m.trades) == (len(wins), len(losses), len(net))
    assert m.expectancy_usd == pytest.approx(float(sum(net) / len(net)))
    assert m.largest_win_usd == (float(max(wins)) if wins else None)
    assert m.largest_loss_usd == (float(min(losses)) if losses else None)
    if losses:
        assert m.profit_factor == pytest.approx(float(sum(wins) / -sum(losses)))
        assert m.average_loss_usd == pytest.approx(float(sum(losses) / len(losses)))
    text = "".join("w" if x > 0 else "l" if x < 0 else "-" for x in net)
    assert m.longest_winning_streak == max(map(len, text.replace("l", "-").split("-")))
    assert m.longest_losing_streak == max(map(len, text.replace("w", "-").split("-")))


@given(st.lists(money, min_size=2, max_size=40))
def test_day_figures_equal_a_naive_decimal_computation(daily):
    """Sharpe by Decimal, days under water by looking back from each day."""
    values = [Decimal(x) for x in daily]
    mean = sum(values) / len(values)
    variance = sum((x - mean) ** 2 for x in values) / (len(values) - 1)
    found = metrics.sharpe(daily)
    if len(set(daily)) == 1:
        assert found is None
    else:
        assert found == pytest.approx(float(mean / variance.sqrt() * Decimal(252).sqrt()))
    levels = [sum(daily[:k]) for k in range(len(daily) + 1)]
    below = [level < max(levels[:k]) for k, level in enumerate(levels) if k]
    assert metrics.under_water(daily)[0] == sum(below)

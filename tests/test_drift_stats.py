"""Pairs, intervals against their definitions, and when a metric counts as drifting."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxresearch.core import records as r
from pxresearch.drift.pairs import day_pnl, decisions, pairs
from pxresearch.drift.report import DRIFTS, OK, TOO_FEW, WATCH, Pair, compare
from pxresearch.drift.stats import bootstrap, wilson


@given(st.integers(0, 400), st.integers(1, 400))
def test_wilson_solves_its_equation(hits, n):
    """The bounds are the rates from which the seen one is z standard errors away (Wilson 1927)."""
    hits = min(hits, n)
    z, rate = NormalDist().inv_cdf(0.975), hits / n
    low, high = wilson(hits, n)
    assert 0 <= low <= rate <= high <= 1
    for bound in (low, high):
        assert abs(rate - bound) == pytest.approx(
            z * math.sqrt(bound * (1 - bound) / n), abs=1e-9
        )  # fmt: skip
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.lists(st.integers(-8, 8).map(float), max_size=60), st.integers(-5, 5))
def test_bootstrap_moves_with_its_values(values, shift):
    """Same values, same interval; a shift shifts it; few values have none; it holds the mean."""
    low, high = bootstrap(values)
    assert (low, high) == bootstrap(list(values))
    if len(values) < 5:
        assert (low, high) == (-math.inf, math.inf)
        return
    assert min(values) <= low <= high <= max(values)
    moved = bootstrap([v + shift for v in values])
    assert moved == (pytest.approx(low + shift), pytest.approx(high + shift))


def test_bootstrap_covers_the_mean_about_as_often_as_it_says():
    """Of 300 samples from a known distribution some 95 % hold its mean (between 90 and 98 %)."""
    rng = np.random.default_rng(5)
    held = sum(low <= 1.0 <= high for low, high in (
        bootstrap(rng.exponential(1.0, 80).tolist()) for _ in range(300)))  # fmt: skip
    assert 0.90 <= held / 300 <= 0.98


def pair(slip: float, share: float = 1.0) -> Pair:
    return Pair(decided=1, contract=0, side=1, role="entry", first=slip, second=0.0,
                first_share=share, second_share=1.0, slippage=slip)  # fmt: skip


@pytest.mark.parametrize(
    ("pairs", "states"),
    [
        ([pair(0.0)] * 30, (OK, OK, OK)),
        ([pair(1.0)] * 30, (OK, DRIFTS, OK)),
        ([pair(-3.0)] * 30, (OK, OK, OK)),  # better than paper is no drift
        ([pair(0.0), pair(1.2)] * 3, (OK, WATCH, OK)),  # six fills prove little
        ([pair(1.0)] * 4, (OK, TOO_FEW, TOO_FEW)),
        ([pair(0.0, 0.0)] * 30, (OK, OK, DRIFTS)),
        ([pair(0.0, 1.0)] * 20 + [pair(0.0, 0.0)] * 3, (OK, OK, WATCH)),
        ([], (TOO_FEW, TOO_FEW, TOO_FEW)),
    ],
)
def test_a_metric_drifts_when_its_whole_interval_is_beyond(pairs, states):
    """Within: ok; the value beyond: watch; the interval beyond: drifts; no interval: too few."""
    found = compare("x", ("live", "paper"), {}, pairs)
    assert tuple(m.state for m in found.metrics[:3]) == states
    assert found.drifting == tuple(
        m.name for m, state in zip(found.metrics, states, strict=False) if state == DRIFTS
    )


def order(number, decided, **changes):
    row = np.zeros(1, r.ORDER_ROW)
    values = {"id": number, "side": 1, "qty": 2, "filled": 2, "value": 200, "status": r.FILLED}
    for name, value in {**values, "decided": decided, **changes}.items():
        row[name] = value
    return row


def test_orders_are_known_by_their_decision():
    """A leg goes by its entry's decision, whenever it was made; twins by their number.

    The first side's entry filled a moment later, so its leg is younger. Both sides have two equal
    entries at another instant, of which the second filled one only. One order was made by hand.
    """
    leg = {"parent": 1, "side": -1, "role": r.STOP_LOSS, "stop": 90, "value": 178}
    twins = [order(3, 50), order(4, 50)]
    first = np.concatenate([order(1, 10), order(2, 11, **leg), *twins,
                            order(5, 60, cause=r.BY_HAND)])  # fmt: skip
    second = np.concatenate([order(1, 10), order(2, 10, **{**leg, "stop": 91}), order(3, 50),
                             order(4, 50, filled=0, value=0, status=r.CANCELED)])  # fmt: skip
    found = pairs(decisions(first), decisions(second))
    assert [(p.decided, p.role) for p in found] == [
        (10, "entry"), (10, "stop_loss"), (50, "entry"), (50, "entry"),
    ]  # fmt: skip
    # both filled at 89: a tick below 90, two below 91, so the first did better by one
    assert [p.slippage for p in found] == [0.0, -1.0, 0.0, None]
    assert [p.second_share for p in found] == [1.0, 1.0, 1.0, 0.0]


def test_pnl_belongs_to_the_trading_day_of_the_fill():
    """Net of costs; an evening after 17:00 Chicago is the next day's."""
    rows = np.zeros(3, r.FILL_ROW)
    noon, evening = 1_789_491_600 * 10**9, 1_789_511_400 * 10**9  # 12:00 and 17:30 on the 15th
    rows["ts"], rows["realized"], rows["cost"] = [noon, noon, evening], [100, -30, 7], [1, 2, 3]
    assert day_pnl(rows) == {20260915: 67, 20260916: 4}

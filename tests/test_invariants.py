"""The standing checks can fail: a row or a field that is wrong is found."""

from __future__ import annotations

import numpy as np
import pytest

import pxresearch as px
from pxresearch.brokers.fillmodel import FillModel
from pxresearch.brokers.replay import Replay
from pxresearch.core import records as r
from tests import invariants
from tests.desk import SECOND, Desk, chicago
from tests.test_lookahead import Everything, as_ticks, walk

RULES = px.programme("own", start_balance=50_000, max_minis=3)


def done():
    """A replay that is clean."""
    replay = Replay(Everything(), [as_ticks(walk(1))], RULES, FillModel())
    replay.run()
    return replay


def first(rows, **where):
    """Index of the first row with these values."""
    chosen = np.logical_and.reduce([rows[name] == value for name, value in where.items()])
    return int(np.flatnonzero(chosen)[0])


def position(logs):
    logs["fills"]["position"][3] += 1


def money(logs):
    logs["trades"]["gross"][0] += 1


def orphan(logs):
    logs["orders"]["parent"][first(logs["orders"], role=r.STOP_LOSS)] = 0


def late(logs):
    at = first(logs["orders"], role=r.ENTRY, status=r.CANCELED)
    logs["orders"]["decided"][at] = logs["orders"]["active_from"][at] = chicago(
        "2026-01-13 15:05:00"
    )
    logs["orders"]["ended"][at] = chicago("2026-01-13 15:06:00")


def too_large(logs):
    logs["orders"]["qty"][first(logs["orders"], role=r.ENTRY, status=r.CANCELED)] = 9


def too_early(logs):
    fills = logs["fills"]
    orders = logs["orders"]
    orders["active_from"][first(orders, id=fills["order"][0])] = fills["ts"][0] + 1


def beyond_the_limit(logs):
    orders, fill = logs["orders"], logs["fills"][0]
    at = first(orders, id=fill["order"])
    orders["kind"][at], orders["limit"][at] = r.LIMIT, fill["price"] - fill["side"]


def refused_reduction(logs):
    fills = logs["fills"]
    row = np.zeros(1, r.REFUSAL_ROW)
    flat = (fills["position"][:-1] != 0) & (np.diff(fills["ts"]) > 2 * SECOND)
    at = int(np.flatnonzero(flat)[0])
    busy = logs["orders"][(logs["orders"]["role"] == r.ENTRY)]
    busy["side"] = np.sign(fills["position"][at])  # nothing else reduces
    logs["orders"][logs["orders"]["role"] == r.ENTRY] = busy
    row["ts"] = row["last_ts"] = fills["ts"][at] + SECOND
    row["side"], row["qty"], row["reason"] = -np.sign(fills["position"][at]), 1, r.RATE
    logs["refusals"] = row


@pytest.mark.parametrize(
    ("spoil", "check"),
    [
        (position, "money"), (money, "money"), (orphan, "orders"), (too_early, "orders"),
        (beyond_the_limit, "orders"), (late, "entries"), (too_large, "entries"),
        (refused_reduction, "refusals"),
    ],
)  # fmt: skip
def test_a_spoilt_log_is_found(spoil, check):
    session = done().session
    logs = {name: rows.copy() for name, rows in session.logs().items()}

    def judge():
        if check in ("money", "orders"):
            getattr(invariants, f"check_{check}")(session, logs)
        else:
            getattr(invariants, f"check_{check}")(invariants.Book(session, logs))

    judge()
    spoil(logs)
    with pytest.raises(AssertionError):
        judge()


def test_a_position_across_the_deadline_is_found():
    """The flatten orders' fills taken out of the story."""
    source = as_ticks(walk(1))

    class Keeps(px.Strategy):
        def on_quote(self, quote, position):
            return px.buy(1) if position == 0 else px.hold()

    replay = Replay(Keeps(), [source], RULES, FillModel(), close=False)
    session = replay.run()
    book = invariants.Book(session, session.logs())
    with pytest.raises(AssertionError, match="open at the deadline"):
        invariants.check_deadline(book, 0, chicago("2026-01-13 15:10:00"))


@pytest.mark.parametrize("name", ["balance", "open_contracts", "free_n"])
def test_a_spoilt_engine_is_found(name):
    desk = Desk().quote(24_000, 24_001, px.buy(1, stop_ticks=5)).quote(24_000, 24_001)
    desk.e[name] += 1
    with pytest.raises(AssertionError):
        desk.quote(24_000, 24_001)


def test_a_stop_larger_than_the_position_is_found():
    desk = Desk().quote(24_000, 24_001, px.buy(1, stop_ticks=5)).quote(24_000, 24_001)
    desk.live(r.STOP_LOSS)[0]["qty"] = 2
    with pytest.raises(AssertionError):
        desk.quote(24_000, 24_001)

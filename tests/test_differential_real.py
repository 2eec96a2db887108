"""The two engines on a real day: every trade of the ES session of 3 September 2013.

The oracle gets the calendar as data and its own version of each strategy, written again from the
strategy's description.
"""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace

import pytest

import pxresearch as px
from pxresearch.brokers.fillmodel import FillModel, Latency
from pxresearch.brokers.replay import Replay
from pxresearch.sessions import schedule
from tests import oracle
from tests.real_engine import dicts
from tests.test_differential import differences

ES_DAY = "mlfinpy/es_ticks_session_20130903.csv.gz"
USD = 1_000_000
SECOND = 1_000_000_000
pytestmark = [
    pytest.mark.realdata, pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pxresearch.sessions.CalendarWarning"),
]  # fmt: skip


# ---------------------------------------------------------------- strategies, each written twice
class Cross(px.Strategy):
    """Long while the average of 20 closes is above that of 60, short below; always bracketed."""

    bars = ("1m", "500t", "2000v", "6r")
    fast = px.state(px.Ema)
    slow = px.state(px.Ema)

    def on_bar(self, bar, position):
        if bar.timeframe != 0:
            return px.hold()
        fast, slow = px.ema(self.fast, bar.close, 20), px.ema(self.slow, bar.close, 60)
        if fast > slow and position <= 0:
            return px.buy(1 - position, stop_ticks=9, target_ticks=15)
        if fast < slow and position >= 0:
            return px.sell(1 + position, stop_ticks=9, target_ticks=15)
        return px.hold()


class Average:
    """Mean of the first n, then previous + (x - previous) * 2 / (n + 1)."""

    def __init__(self, n):
        self.n, self.first, self.value = n, [], None

    def take(self, x):
        if self.value is not None:
            self.value += (x - self.value) * (2 / (self.n + 1))
        else:
            self.first.append(x)
            if len(self.first) == self.n:
                total = 0.0
                for one in self.first:
                    total += one
                self.value = total / self.n
        return self.value


class CrossTwin(oracle.Silent):
    def __init__(self):
        self.fast, self.slow = Average(20), Average(60)

    def on_bar(self, bar, position):
        if bar["frame"] != 0:
            return []
        fast, slow = (one.take(bar["close"] / 8) for one in (self.fast, self.slow))
        if slow is None or (fast > slow) == (fast < slow):
            return []
        side = 1 if fast > slow else -1
        if position * side > 0:
            return []
        return [{
            "side": side, "order": "market", "qty": 1 + abs(position), "stop_ticks": 9,
            "target_ticks": 15,
        }]  # fmt: skip


class Grid(px.Strategy):
    """Every 499th trade one order: all kinds in turn, both sides, with and without brackets."""

    bars = ("1m", "8r")
    n = px.state(int)

    def on_trade(self, trade, position):
        self.n += 1
        if self.n % 499 != 0:
            return px.hold()
        turn, p, t = self.n // 499 % 12, trade.price, trade.tick
        if turn == 0:
            return px.buy(2, limit=p - 2 * t, stop_ticks=6, target_ticks=8, tag=1)
        if turn == 1:
            return px.sell(2, limit=p + 3 * t, stop_ticks=5, trailing=True, tag=2)
        if turn == 2:
            return px.buy(1, stop=p + 2 * t, target_ticks=4)
        if turn == 3:
            return px.sell(3, stop=p - 3 * t, stop_price=p + 2 * t, target_price=p - 9 * t)
        if turn == 4:
            return px.buy(1, stop=p + t, limit=p + 2 * t, stop_ticks=7, target_ticks=7)
        if turn == 5:
            return px.sell(1, trail_ticks=4)
        if turn == 6:
            return px.cancel(1)
        if turn == 7:
            return px.buy(2, trail_ticks=5, stop_ticks=8, target_ticks=3, tag=1)
        if turn == 8:
            return px.sell(4, stop_ticks=10, target_ticks=10)
        if turn == 9:
            return px.sell(2, stop=p - 2 * t, limit=p - 2 * t, tag=2)
        if turn == 10:
            return px.cancel()
        return px.flatten()


class GridTwin(oracle.Silent):
    def __init__(self):
        self.n = 0

    def on_trade(self, trade, _position):
        self.n += 1
        if self.n % 499:
            return []
        p = trade.price

        def one(side, kind, qty, **rest):
            return {"side": side, "order": kind, "qty": qty, **rest}

        return [(
            one(1, "limit", 2, limit=p - 2, stop_ticks=6, target_ticks=8, tag=1),
            one(-1, "limit", 2, limit=p + 3, stop_ticks=5, trailing_stop=True, tag=2),
            one(1, "stop", 1, stop=p + 2, target_ticks=4),
            one(-1, "stop", 3, stop=p - 3, stop_loss=p + 2, take_profit=p - 9),
            one(1, "stop_limit", 1, stop=p + 1, limit=p + 2, stop_ticks=7, target_ticks=7),
            one(-1, "trailing", 1, trail=4),
            {"kind": "cancel", "tag": 1},
            one(1, "trailing", 2, trail=5, stop_ticks=8, target_ticks=3, tag=1),
            one(-1, "market", 4, stop_ticks=10, target_ticks=10),
            one(-1, "stop_limit", 2, stop=p - 2, limit=p - 2, tag=2),
            {"kind": "cancel"},
            {"kind": "flatten"},
        )[self.n // 499 % 12]]  # fmt: skip


# ---------------------------------------------------------------- both engines on the day
@pytest.fixture(scope="module")
def es_day(real_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("es")
    px.import_file(real_data / ES_DAY, folder, contract="ESU13", tz="America/Chicago")
    return px.load("ESU13", catalog=folder)


LATE = Latency(feed=[20_000_000, 1], entry=[SECOND], ack=[3_000_000])
CASES = {
    "averages": (Cross, CrossTwin, {}, {}),
    "all orders": (Grid, GridTwin, {"limit_fill": "touch", "slippage_ticks": 1}, {}),
    "late and partial": (
        Grid, GridTwin,
        {"partial_fills": True, "latency": LATE},
        {"daily_loss_limit": 4_000, "max_loss": 30_000, "daily_profit_lock": 90_000},
    ),
    "limits": (
        Grid, GridTwin, {}, {"daily_loss_limit": 400, "max_loss": 2_000, "loss_pause_after": 3,
                             "loss_pause_s": 600, "collar_ticks": 5, "max_order_qty": 3},
    ),
}  # fmt: skip


def through_the_engine(ticks, strategy, fills, rules):
    programme = px.programme("own", start_balance=50_000, **rules)
    replay = Replay(strategy, [ticks], programme, FillModel(**fills), keep_bars=True)
    session = replay.run()
    e = session.engine[0]
    tables = {name: dicts(name, rows) for name, rows in session.logs().items()}
    if programme.max_loss_micros is None:
        for row in tables["days"]:
            row["level"] = None
    return programme, SimpleNamespace(
        **tables, **{name: int(e[name]) for name in ("events", "dropped", "balance", "drawdown")}
    )


def through_the_oracle(ticks, programme, twin, fills, frames):
    instrument, events = ticks.contract.instrument, []
    for block in ticks.blocks():
        rows = zip(*(a.tolist() for a in (block.trades.ts, block.trades.px, block.trades.size)),
                   block.trades.side.tolist(), strict=True)  # fmt: skip
        events += [oracle.Trade(0, *row) for row in rows]
    days, sessions = schedule(
        [instrument], ticks.first, ticks.last, flatten_margin_s=programme.flatten_margin_s,
        no_open_margin_s=programme.no_open_margin_s,
    )  # fmt: skip
    latency = fills.get("latency", Latency())
    rules = oracle.Rules(
        start_balance=programme.start_balance_micros, max_loss=programme.max_loss_micros,
        max_loss_lock=programme.max_loss_lock_micros,
        daily_loss=programme.daily_loss_limit_micros,
        profit_lock=programme.daily_profit_lock_micros, collar=programme.collar_ticks or 0,
        loss_count=programme.loss_pause_after or 0,
        loss_pause_ns=(programme.loss_pause_s or 0) * SECOND,
        max_order_qty=programme.max_order_qty or 10**9,
        max_tenths=programme.max_size_tenths or 10**9,
        bracket_risk=programme.check_bracket_risk, require_bracket=programme.require_bracket,
    )  # fmt: skip
    spec = oracle.Spec(
        tick_value=instrument.tick_value_micros, cost=instrument.cost_micros(date(2013, 9, 3)),
        size_tenths=instrument.size_tenths, has_quotes=False, has_trades=True,
    )  # fmt: skip
    engine = oracle.Oracle(
        [spec], rules,
        oracle.FillModel(fills.get("limit_fill", "through"), fills.get("partial_fills", False),
                         fills.get("slippage_ticks", 0)),
        oracle.Latency(*([int(v) for v in latency.samples(n)] for n in ("feed", "entry", "ack"))),
        [tuple(map(int, day)) for day in days.tolist()],
        [[oracle.Session(*row)] for row in sessions.reshape(-1).tolist()], twin, frames,
    )  # fmt: skip
    return engine.run(events, close=True)


FRAMES = {
    Cross: [("time", 60 * SECOND), ("tick", 500), ("volume", 2000), ("range", 6)],
    Grid: [("time", 60 * SECOND), ("range", 8)],
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_engines_agree_on_a_real_day(es_day, case):
    strategy, twin, fills, rules = CASES[case]
    programme, real = through_the_engine(es_day, strategy(), fills, rules)
    expected = through_the_oracle(es_day, programme, twin(), fills, FRAMES[strategy])
    found = differences(expected, real)
    assert not found, "\n".join(found)
    assert real.events + real.dropped == 444_201
    assert len(real.fills) > 10
    assert len(real.bars) > 1_000

"""No look-ahead: what happens after an instant changes nothing that was decided before it.

Whatever a strategy, a bar, an indicator or a bracket could peek at, it would show here: all data
from a random instant on is replaced by other data, and every row written or decided before that
instant must stay as it was. A strategy that holds the data itself (a closure over a frame) is
outside of what any engine can see; its run is simply not reproducible live.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pxresearch as px
from pxresearch.brokers.fillmodel import FillModel, Latency
from pxresearch.brokers.replay import Replay
from pxresearch.core import records as r
from pxresearch.tickdata import ticks
from tests.desk import MINUTE, MORNING, SECOND

N = 1_000


class Everything(px.Strategy):
    """All hooks, all order kinds, an indicator; reads whatever it is shown."""

    bars = ("1m", "50t", "4r")
    mean = px.state(px.Ema)
    seen: int = 0

    def on_bar(self, bar, position):
        level = px.ema(self.mean, bar.close, 5)
        if bar.timeframe == 1 and position == 0:
            return px.buy(1, limit=bar.low, stop_ticks=6, target_ticks=9, tag=2)
        if bar.timeframe == 2 and bar.close > level and position <= 0:
            return px.buy(1 - position, stop_ticks=5, trailing=True)
        if bar.timeframe == 0 and position >= 0:
            return px.sell(1 + position, stop_ticks=4, target_ticks=8)
        return px.hold()

    def on_quote(self, quote, position, orders):
        if orders.working == 0 and quote.ask_ticks % 7 == 0:
            return px.buy(1, stop=(quote.ask_ticks + 4) * quote.tick, stop_ticks=5, tag=1)
        if orders.working > 2:
            return px.cancel(1)
        return px.hold()

    def on_trade(self, trade, position, orders, account):
        if account.day_pnl < -300 and position != 0:
            return px.flatten()
        return px.hold()

    def on_fill(self, fill, position):
        if fill.role == 1:
            return px.sell(1, trail_ticks=6)
        return px.hold()


class Bars(px.Strategy):
    """For bars alone."""

    bars = "1m"

    def on_bar(self, bar, position):
        if position == 0 and bar.close >= bar.open:
            return px.buy(1, limit=bar.low, stop_ticks=5, target_ticks=7)
        if position == 0:
            return px.sell(1, stop=bar.low, stop_ticks=5, target_ticks=7)
        return px.hold()


def walk(seed, n=N, start=24_000, after=None, base=None):
    """Quotes and trades as arrays; with `base`, those before `after`, new ones since."""
    rng = np.random.default_rng(seed)
    stamps = MORNING + np.cumsum(rng.integers(0, 3, n)) * (SECOND // 2)
    bid = start + np.cumsum(rng.integers(-2, 3, n)).astype(np.int32)
    data = {
        "ts": stamps,
        "bid": bid.astype("i4"),
        "ask": (bid + rng.integers(1, 3, n)).astype("i4"),
        "px": (bid + rng.integers(0, 2, n)).astype("i4"),
        "sz": rng.integers(1, 20, n).astype("i4"),
    }
    if base is not None:
        cut = int(np.searchsorted(base["ts"], after))
        shift = max(0, int(after - stamps[cut])) if cut < n else 0
        data["ts"] = np.where(np.arange(n) < cut, base["ts"], stamps + shift)
        for name in ("bid", "ask", "px", "sz"):
            data[name] = np.where(np.arange(n) < cut, base[name], data[name]).astype("i4")
    return data


def as_ticks(data, code="ESH26"):
    """Quotes on even rows, trades on odd ones."""
    even, odd = slice(0, None, 2), slice(1, None, 2)
    return ticks(
        code,
        quotes={
            "ts": data["ts"][even], "bid": data["bid"][even], "ask": data["ask"][even],
            "bid_size": data["sz"][even], "ask_size": data["sz"][even], "seq": even_seq(data),
        },
        trades={
            "ts": data["ts"][odd], "price": data["px"][odd], "size": data["sz"][odd],
            "seq": even_seq(data)[: len(data["ts"][odd])] + 1,
        },
    )  # fmt: skip


def even_seq(data):
    return np.arange(0, len(data["ts"]), 2, dtype=np.int64)


def as_bars(data, code="ESH26"):
    """One-minute bars of the trades."""
    minute = data["ts"] // MINUTE
    _, first = np.unique(minute, return_index=True)
    edges = [*first.tolist(), len(minute)]
    groups = [data["px"][a:b] for a, b in pairwise(edges)]
    opens = minute[first] * MINUTE
    return ticks(
        code,
        bars={
            "ts_open": opens, "ts_close": opens + MINUTE,
            "open": np.array([g[0] for g in groups], "i4"),
            "high": np.array([g.max() for g in groups], "i4"),
            "low": np.array([g.min() for g in groups], "i4"),
            "close": np.array([g[-1] for g in groups], "i4"),
            "volume": np.array([len(g) for g in groups], "i8"),
        },
    )  # fmt: skip


def run(strategy, *sources, **model):
    rules = px.programme(
        "own", start_balance=50_000, max_loss=5_000, daily_loss_limit=2_000,
        daily_profit_lock=3_000, max_minis=3, loss_pause_after=4, loss_pause_s=30,
    )  # fmt: skip
    return Replay(strategy, sources, rules, FillModel(**model), keep_bars=True).run().logs()


BORN = ("id", "parent", "contract", "side", "kind", "role", "tag", "decided", "active_from")
WHEN = {"fills": "ts", "equity": "ts", "risk": "ts", "trades": "exit_ts"}


def before(logs, cut):
    """Everything in the logs that was settled before the instant, as plain data."""
    told = {name: logs[name][logs[name][ts] < cut].tolist() for name, ts in WHEN.items()}
    orders = np.sort(logs["orders"], order="id")
    told["ended"] = orders[orders["ended"] < cut].tolist()
    told["decided"] = orders[orders["decided"] < cut][list(BORN)].tolist()
    entries = orders[(orders["decided"] < cut) & (orders["role"] == r.ENTRY)]
    told["entries"] = entries[["id", "qty", "limit", "trail", "stop_ticks"]].tolist()
    told["bars"] = logs["bars"][logs["bars"]["bar"]["end"] < cut].tolist()
    refused = logs["refusals"]
    told["refused"] = refused[refused["ts"] < cut][["ts", "side", "reason"]].tolist()
    return told


def same_before(cut, left, right):
    one, other = before(left, cut), before(right, cut)
    for name, rows in one.items():
        assert rows == other[name], (name, [x for x in zip(rows, other[name]) if x[0] != x[1]][:1])  # noqa: B905
    return one


MODELS = {
    "plain": {},
    "queue": {"limit_fill": "queue", "partial_fills": True},
    "touch, quotes trigger": {"limit_fill": "touch", "stop_trigger": "quote", "slippage_ticks": 1},
    "latency": {"latency": Latency(feed=[10_000_000], entry=[400_000_000, 900_000_000],
                                   ack=[0, 700_000_000])},
}  # fmt: skip


@pytest.mark.parametrize("model", MODELS)
@settings(max_examples=8)
@given(seed=st.integers(0, 10**6), other=st.integers(0, 10**6), share=st.floats(0.05, 0.95))
def test_the_future_changes_nothing_before_it(model, seed, other, share):
    """Ticks, every hook, every order kind: rows before the cut are untouched by what follows."""
    base = walk(seed)
    cut = int(base["ts"][int(share * N)])
    changed = walk(other, after=cut, base=base, start=24_000)
    left = run(Everything(), as_ticks(base), **MODELS[model])
    right = run(Everything(), as_ticks(changed), **MODELS[model])
    same_before(cut, left, right)


@settings(max_examples=8)
@given(seed=st.integers(0, 10**6), other=st.integers(0, 10**6), minute=st.integers(2, 10))
def test_bars_alone(seed, other, minute):
    """Bars: rows before the open of the first changed bar."""
    base = walk(seed)
    cut = (MORNING // MINUTE + minute) * MINUTE
    changed = walk(other, after=cut, base=base)
    left, right = run(Bars(), as_bars(base)), run(Bars(), as_bars(changed))
    told = same_before(cut, left, right)
    assert told["bars"]


@settings(max_examples=8)
@given(seed=st.integers(0, 10**6), other=st.integers(0, 10**6), share=st.floats(0.05, 0.95))
def test_another_contract_tells_nothing_either(seed, other, share):
    """The future of the second contract is as hidden as that of the first."""
    base, second = walk(seed), walk(seed + 1, start=80_000)
    cut = int(second["ts"][int(share * N)])
    changed = walk(other, after=cut, base=second, start=80_000)
    left = run(Everything(), as_ticks(base), as_ticks(second, "NQH26"))
    right = run(Everything(), as_ticks(base), as_ticks(changed, "NQH26"))
    same_before(cut, left, right)


def test_the_perturbation_bites():
    """After the cut the runs differ, and before it there is something to compare."""
    base = walk(1)
    cut = int(base["ts"][N // 2])
    left = run(Everything(), as_ticks(base))
    right = run(Everything(), as_ticks(walk(2, after=cut, base=base)))
    told = same_before(cut, left, right)
    assert len(told["fills"]) > 10
    assert len(told["bars"]) > 10
    assert len(told["ended"]) > 10
    assert left["fills"].tolist() != right["fills"].tolist()


SEEN = []


class Watchful(px.Strategy):
    """Writes down what each hook shows."""

    bars = ("1m", "40t")

    def on_quote(self, quote, position):
        SEEN.append(("quote", quote.ts, quote.bid_ticks))

    def on_trade(self, trade, position):
        SEEN.append(("trade", trade.ts, trade.price_ticks))

    def on_bar(self, bar, position):
        SEEN.append(("bar", bar.end, bar.ts))
        if bar.timeframe == 1:
            return px.buy(1) if position <= 0 else px.sell(1)
        return px.hold()

    def on_fill(self, fill, position):
        SEEN.append(("fill", fill.ts, fill.position))


def test_nothing_shown_is_newer_than_now():
    """Hooks come in the order of time; a bar is shown after its last event."""
    SEEN.clear()
    base = walk(3)
    rules = px.programme("own", start_balance=50_000)
    logs = Replay(Watchful(), [as_ticks(base)], rules, FillModel(), compiled=False).run().logs()
    stamps = [row[1] for row in SEEN]
    assert stamps == sorted(stamps)
    assert {row[0] for row in SEEN} == {"quote", "trade", "bar", "fill"}
    orders = np.sort(logs["orders"], order="id")
    fills = logs["fills"]
    assert len(fills) > 10
    decided = orders["decided"][fills["order"] - 1]
    assert (fills["ts"] >= decided).all()


def test_no_fill_on_the_event_that_decided():
    """The event after the decision fills, at its own price, even with the same time stamp."""
    stamps = np.full(4, MORNING)
    bid = np.array([24_000, 24_010, 24_020, 24_030], "i4")
    source = ticks("ESH26", quotes={"ts": stamps, "bid": bid, "ask": bid + np.int32(1)})

    class Once(px.Strategy):
        done = px.state(int)

        def on_quote(self, quote, position):
            if self.done == 0:
                self.done = 1
                return px.buy(1)
            return px.hold()

    rules = px.programme("own", start_balance=50_000)
    fills = Replay(Once(), [source], rules, FillModel(), close=False).run().logs()["fills"]
    assert fills["price"].tolist() == [24_011]


@pytest.mark.parametrize("name", ["next", "future", "data", "ticks", "wires", "engine", "_kept"])
def test_a_strategy_has_no_way_to_the_data(name):
    """`self` has the declared parameters and state and nothing else, compiled or not."""

    class Nosy(px.Strategy):
        def on_quote(self, quote, position):
            return px.buy(1) if getattr(self, name, None) is not None else px.hold()

    source = as_ticks(walk(4, 50))
    rules = px.programme("own", start_balance=50_000)
    session = Replay(Nosy(), [source], rules, FillModel(), compiled=False).run()
    assert int(session.engine["orders_made"][0]) == 0

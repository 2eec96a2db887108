"""The uncompiled twin: every hook and every extra, to the last bit as compiled."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pxresearch as px
from pxresearch.brokers.fillmodel import FillModel, Latency
from pxresearch.brokers.replay import Replay
from pxresearch.brokers.session import EngineSession
from pxresearch.core.layout import Layout
from pxresearch.sessions import to_ns
from pxresearch.tickdata import ticks as make_ticks

CHICAGO = ZoneInfo("America/Chicago")
OPEN = to_ns(datetime(2024, 7, 7, 17, tzinfo=CHICAGO))  # of the Monday session, 2024-07-08
CLOSE = to_ns(datetime(2024, 7, 8, 16, tzinfo=CHICAGO))
SECOND = 1_000_000_000
HASH = 1_000_003


class Everything(px.Strategy):
    """All hooks, all extras; each field it sees goes into sums, so that any difference shows."""

    bars = ("1m", "20t", "8r")
    every: int = 7
    trailing: bool = False

    bar_sum = px.state(float)
    quote_sum = px.state(float)
    trade_sum = px.state(float)
    money_sum = px.state(float)
    whole_sum = px.state(int, size=4)
    n = px.state(int)
    average = px.state(px.Ema)
    spread = px.state(px.Std, size=16)
    up = px.state(bool)

    def on_session(self, session, position, orders, account):
        """Sum up the session."""
        self.whole_sum[0] += (
            session.contract + session.ts % 7919 + session.date + session.open % 7919
        )
        self.whole_sum[0] += session.close % 7919 + session.flatten_at % 7919 + position
        self.money_sum += account.balance + account.day_pnl
        if session.opening:
            self.whole_sum[0] += orders.working + 1
        return px.hold()

    def on_bar(self, bar, position, orders, account):
        """Sum up the bar; trade on every some."""
        self.n += 1
        self.bar_sum += bar.open + 2 * bar.high + 3 * bar.low + 5 * bar.close + bar.tick
        self.whole_sum[1] += bar.contract + 3 * bar.timeframe + bar.ts % 7919 + bar.end % 7919
        self.whole_sum[1] += bar.volume + bar.count + bar.session + bar.session_open % 7919
        mean = px.ema(self.average, bar.close, 3)
        wide = px.std(self.spread, bar.close, 5)
        self.up = bar.close > mean
        self.money_sum += account.balance + account.day_pnl + account.positions[0]
        if wide > 0.0 and not account.locked and self.n % self.every == 0:
            if self.up:
                return px.buy(1, stop_ticks=6, target_ticks=9, trailing=self.trailing, tag=self.n)
            return px.sell(1, stop_ticks=6, target_ticks=9, trailing=self.trailing, tag=self.n)
        return px.hold()

    def on_quote(self, quote, position, orders):
        """Rest a limit now and then, take it away later."""
        self.n += 1
        if quote.bid == quote.bid and quote.ask == quote.ask:
            self.quote_sum += quote.bid + 2 * quote.ask + 3 * quote.mid
        self.whole_sum[2] += quote.contract + quote.ts % 7919 + quote.bid_size + 3 * quote.ask_size
        self.whole_sum[2] += quote.bid_ticks % 101 + quote.ask_ticks % 103 + position
        if orders.working > 1:
            return px.cancel()
        if self.n % (3 * self.every) == 0 and quote.bid == quote.bid:
            return px.buy(2, limit=quote.bid - quote.tick, stop_ticks=10, tag=1), px.hold()
        if position > 3 or position < -3:
            return px.flatten()
        return px.hold()

    def on_trade(self, trade, position, orders, account):
        """Stop orders and trailing orders."""
        self.n += 1
        self.trade_sum += trade.price + trade.tick
        self.whole_sum[3] += trade.contract + trade.ts % 7919 + trade.size + trade.side
        self.whole_sum[3] += trade.price_ticks + orders.buying + 2 * orders.selling
        self.money_sum += account.day_pnl
        if self.n % (2 * self.every) == 1:
            return px.sell(1, trail_ticks=5, tag=2)
        if self.n % (5 * self.every) == 2:
            stop = trade.price + 2 * trade.tick
            return px.buy(1, stop=stop, limit=stop + trade.tick, target_price=stop + 8 * trade.tick)
        return px.hold()

    def on_fill(self, fill, position):
        """Sum up the fill."""
        self.whole_sum[0] = self.whole_sum[0] * 31 % HASH + fill.contract + fill.ts % 7919
        self.whole_sum[0] += fill.side + fill.qty + fill.position + fill.tag + fill.role + position
        self.money_sum += fill.price + fill.price_ticks
        if fill.role == 1:
            return px.cancel(tag=1)
        return px.hold()


ROWS = st.lists(
    st.tuples(
        st.sampled_from([0, 1, SECOND // 7, SECOND, 13 * SECOND, 90 * SECOND]),  # since the last
        st.integers(-4, 4),  # ticks
        st.integers(0, 9),  # sizes, sides, spreads and empty sides come from it
    ),
    min_size=5,
    max_size=150,
)
RULES = partial(
    px.programme, "own", start_balance=50_000, max_loss=3_000, daily_loss_limit=1_000,
    max_orders_per_minute=200, duplicate_window_ms=None,
)  # fmt: skip


def ticks_of(rows: list[tuple[int, int, int]], kinds: str, start: int = OPEN) -> px.Ticks:
    """Quotes, trades or bars along one random path."""
    gaps, moves, odd = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    ts, ticks = start + np.cumsum(gaps), 22_000 + np.cumsum(moves)
    given: dict[str, Any] = {}
    if "q" in kinds:
        bid = [None if o == 9 else t * 0.25 for t, o in zip(ticks, odd, strict=True)]
        ask = [None if o == 8 else (t + 1 + o % 3) * 0.25 for t, o in zip(ticks, odd, strict=True)]
        given["quotes"] = {"ts": ts, "bid": bid, "ask": ask, "bid_size": odd, "ask_size": 9 - odd,
                           "seq": 2 * np.arange(len(ts))}  # fmt: skip
    if "t" in kinds:
        given["trades"] = {"ts": ts, "price": ticks * 0.25, "size": odd,
                           "side": (odd % 3 - 1).astype(np.int8),
                           "seq": 2 * np.arange(len(ts)) + 1}  # fmt: skip
    if "b" in kinds:
        opens = start + 60 * SECOND * np.arange(len(ts))
        close = (ticks + odd % 4) * 0.25
        given["bars"] = {"ts_open": opens, "ts_close": opens + 60 * SECOND, "open": ticks * 0.25,
                         "high": (ticks + 4) * 0.25, "low": (ticks - 3) * 0.25, "close": close,
                         "volume": odd}  # fmt: skip
    return make_ticks("ESU24", **given)


def passes(
    strategy: px.Strategy, ticks: list[px.Ticks], fills: FillModel
) -> tuple[EngineSession, EngineSession]:
    """The same replay compiled and plain."""
    one, other = (
        Replay(strategy, ticks, RULES(), fills, compiled=compiled, keep_bars=True).run()
        for compiled in (True, False)
    )
    return one, other


def assert_same(one: EngineSession, other: EngineSession) -> None:
    """Equal logs, equal account, equal state of the strategy."""
    logs, plain = one.logs(), other.logs()
    for name in logs:
        assert np.array_equal(logs[name], plain[name]), name
    assert other.twin is not None
    state = other.twin.to_record(other.record)
    for name in one.record.dtype.names or ():
        assert one.record[name].tobytes() == state[name].tobytes(), name
    for name in set(one.engine.dtype.names or ()) - {"signal"}:
        assert np.array_equal(one.engine[name], other.engine[name]), name


@pytest.mark.parametrize("kinds", ["q", "t", "qt", "b"])
@given(
    rows=ROWS,
    every=st.integers(2, 9),
    trailing=st.booleans(),
    delay=st.sampled_from([0, 1, SECOND]),
    slippage=st.integers(0, 2),
)
@settings(max_examples=25)
def test_plain_equals_compiled(
    kinds: str, rows: list, every: int, trailing: bool, delay: int, slippage: int
) -> None:
    fills = FillModel(slippage_ticks=slippage, latency=Latency(feed=delay, entry=delay, ack=delay))
    strategy = Everything(every=every, trailing=trailing)
    assert_same(*passes(strategy, [ticks_of(rows, kinds)], fills))


@given(rows=ROWS, others=ROWS, every=st.integers(2, 9))
@settings(max_examples=15)
def test_plain_equals_compiled_with_two_contracts(rows: list, others: list, every: int) -> None:
    """Quotes of one contract, trades of the other, merged."""
    first = ticks_of(rows, "qt")
    path = ticks_of(others, "t").frame()
    second = make_ticks("NQU24", trades=path.select("ts", "price", "size", "side"))
    assert_same(*passes(Everything(every=every), [first, second], FillModel()))


def test_plain_equals_compiled_over_the_close() -> None:
    """The flatten time, the session's end, the day's roll and the next session's open."""
    rng = np.random.default_rng(5)
    rows = [(int(g), int(m), int(o)) for g, m, o in zip(
        rng.integers(0, 12 * SECOND, 2_000), rng.integers(-3, 4, 2_000), rng.integers(0, 8, 2_000),
        strict=True)]  # fmt: skip
    ticks = ticks_of(rows, "qt", CLOSE - 6_000 * SECOND)
    assert len(ticks.sessions) == 2
    one, other = passes(Everything(every=5), [ticks], FillModel())
    assert_same(one, other)
    logs = one.logs()
    assert len(logs["fills"]) > 10
    assert logs["days"]["open_position"].tolist() == [0, 0]


def test_every_hook_was_called() -> None:
    """Otherwise the tests above would prove little."""
    rng = np.random.default_rng(6)
    rows = [(SECOND, int(m), int(o)) for m, o in zip(
        rng.integers(-3, 4, 1_000), rng.integers(0, 8, 1_000), strict=True)]  # fmt: skip
    one, _ = passes(Everything(every=5), [ticks_of(rows, "qt")], FillModel())
    record = one.record[0]
    for name in ("bar_sum", "quote_sum", "trade_sum", "money_sum"):
        assert record[name] != 0.0, name
    assert all(record["whole_sum"] != 0)
    assert {"entry", "stop_loss", "target"} == {
        ("entry", "stop_loss", "target", "flatten")[role] for role in one.logs()["fills"]["role"]
    } - {"flatten"}


def test_state_goes_to_the_record_and_back() -> None:
    """`to_record` and `from_record` are inverse, indicators and vectors included."""
    rng = np.random.default_rng(7)
    rows = [(SECOND, int(m), 3) for m in rng.integers(-3, 4, 500)]
    one, other = passes(Everything(every=5), [ticks_of(rows, "qt")], FillModel())
    fresh = Replay(Everything(every=5), [ticks_of(rows, "qt")], RULES(), FillModel(),
                   compiled=False).session  # fmt: skip
    assert fresh.twin is not None
    fresh.twin.from_record(one.record)
    assert fresh.twin.to_record(fresh.record).tobytes() == one.record.tobytes()
    for name, state in Everything._states.items():
        if not isinstance(state.kind, Layout):
            assert getattr(fresh.twin.me, name) == getattr(other.twin.me, name)  # type: ignore[union-attr]


def test_plain_code_cannot_keep_what_is_not_declared() -> None:
    """The twin has the declared names only, as the compiled record has."""
    session = Replay(Everything(), [ticks_of([(0, 0, 0)], "t")], RULES(), FillModel(),
                     compiled=False).session  # fmt: skip
    assert session.twin is not None
    with pytest.raises(AttributeError):
        session.twin.me.something = 1

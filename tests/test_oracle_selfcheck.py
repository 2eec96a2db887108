"""The oracle against values worked out by hand: golden ledgers and small scenarios."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from tests.oracle import (
    Bar,
    FillModel,
    Latency,
    Oracle,
    Quote,
    Rules,
    Session,
    Spec,
    Trade,
)
from tests.oracle_account import Account
from tests.oracle_types import State

MICRO = 10**6
SECOND = 10**9
DAY0 = 1_000 * 86_400 * SECOND
TICK = {"G12": "0.0001", "G13": "0.00390625", "G14": "0.0000005"}


def micros(text):
    value = Decimal(text) * MICRO
    assert value == int(value)
    return int(value)


class Ledger:
    """One golden case replayed through the oracle's account."""

    def __init__(self, case):
        self.tick = Decimal(TICK.get(case["id"][:3], "0.25"))
        value = Decimal(case["point_value"]) * self.tick * MICRO
        assert value == int(value)
        spec = Spec(int(value), micros(case["cost_per_side"]), has_quotes=False, has_trades=True)
        self.state = State(spec)
        rules = Rules(
            start_balance=micros(case["start_balance"]), max_loss=micros(case["mll_distance"]),
            max_loss_lock=micros(case["mll_lock"]),
            daily_loss=micros(case["dll"]) if "dll" in case else None,
        )  # fmt: skip
        self.account = Account(rules, [self.state])

    def at(self, price):
        ticks = Decimal(price) / self.tick
        assert ticks == int(ticks)
        self.state.last_mark = int(ticks)
        return int(ticks)

    def step(self, event):
        account, kind = self.account, event["type"]
        if kind in ("fill", "liquidation_fill"):
            side = {"buy": 1, "sell": -1}.get(event.get("side"), -(self.state.position or 1))
            qty = event.get("qty", abs(self.state.position))
            account.fill(self.state, side // abs(side), qty, self.at(event["price"]), 0)
            account.watch()
        elif kind == "mark":
            self.at(event["price"])
            account.watch()
        elif kind == "payout":
            account.balance -= micros(event["amount"])
            account.day_start -= micros(event["amount"])
            account.level = 0
        else:
            account.balance += micros(event.get("net", "0"))
            account.roll()

    def value(self, name):
        account = self.account
        return {
            "balance": account.balance, "equity": account.equity(), "mll": account.level,
            "day_pnl": account.day_pnl(), "unrealized": account.unrealized(),
            "realized_gross": account.realized, "position": self.state.position,
            "breached": account.over, "paused": account.locked,
        }[name]  # fmt: skip


def golden_value(name, value):
    if isinstance(value, bool):
        return value
    return int(value) if name == "position" else micros(value)


def test_golden_ledgers(reference):
    """All fourteen ledgers; the average-price one shares only equity with first in, first out."""
    cases = json.loads((reference / "golden_pnl.json").read_text())["pnl"]
    assert len(cases) == 14
    checked = 0
    for case in cases:
        ledger = Ledger(case)
        for event in case["events"]:
            ledger.step(event)
            for name, wanted in event["expect"].items():
                if case.get("method") == "average" and name != "equity":
                    continue
                assert ledger.value(name) == golden_value(name, wanted), (case["id"], event, name)
                checked += 1
    assert checked > 80


# ---------------------------------------------------------------- a small bench for scenarios
class Script:
    """Emits signals at given calls of a hook, counted from 1."""

    def __init__(self, plan):
        self.plan, self.calls, self.seen = plan, {}, []

    def _emit(self, hook, payload, position):
        self.calls[hook] = self.calls.get(hook, 0) + 1
        self.seen.append((hook, position))
        return self.plan.get((hook, self.calls[hook]), [])

    def on_quote(self, payload, position):
        return self._emit("quote", payload, position)

    def on_trade(self, payload, position):
        return self._emit("trade", payload, position)

    def on_bar(self, payload, position):
        return self._emit("bar", payload, position)

    def on_fill(self, payload, position):
        return self._emit("fill", payload, position)

    def on_session(self, payload, position):
        return self._emit("session", payload, position)


def order(kind, side, qty=1, **rest):
    return {"kind": "order", "order": kind, "side": side, "qty": qty, **rest}


def quote(second, bid, ask, bid_sz=5, ask_sz=5):
    return Quote(0, DAY0 + second * SECOND, bid, ask, bid_sz, ask_sz)


def trade(second, price, size=1, side=0):
    return Trade(0, DAY0 + second * SECOND, price, size, side)


def bar(minute, *ohlc):
    start = DAY0 + minute * 60 * SECOND
    return Bar(0, start, start + 60 * SECOND, *ohlc)


HOUR = 3600 * SECOND
QUOTES = Spec(tick_value=5 * MICRO, cost=1 * MICRO)
TRADES = Spec(tick_value=5 * MICRO, cost=1 * MICRO, has_quotes=False, has_trades=True)
BOTH = Spec(tick_value=5 * MICRO, cost=1 * MICRO, has_quotes=True, has_trades=True)
BARS = Spec(tick_value=5 * MICRO, cost=1 * MICRO, has_quotes=False, bars_only=True)


def run(spec, plan, events, frames=(), session=None, **settings):
    """One contract, two days of 24 hours each, session 0 h to 23 h."""
    days = [(1, DAY0, DAY0 + 24 * HOUR), (2, DAY0 + 24 * HOUR, DAY0 + 48 * HOUR)]
    session = session or {}
    sessions = [
        [Session(**{"open": start, "close": start + 23 * HOUR} | session)] for _, start, _ in days
    ]
    oracle = Oracle(
        [spec], days=days, sessions=sessions, strategy=Script(plan), timeframes=frames, **settings
    )
    return oracle.run(events)


def fills(result):
    return [(row["side"], row["qty"], row["price"]) for row in result.fills]


def status(result):
    return [(row["role"], row["status"], row["cause"]) for row in result.orders]


# ---------------------------------------------------------------- orders without bracket
def test_market_fills_on_the_next_quote_at_the_far_side():
    """Bought at the ask, sold at the bid; -1 tick of spread, two costs."""
    plan = {("quote", 1): [order("market", 1)], ("quote", 2): [order("market", -1)]}
    events = [quote(1, 100, 101), quote(2, 102, 103), quote(3, 104, 105)]
    result = run(QUOTES, plan, events)
    assert fills(result) == [(1, 1, 103), (-1, 1, 104)]
    assert result.balance == 50_000 * MICRO + 5 * MICRO - 2 * MICRO
    assert result.trades[0]["gross"] == 5 * MICRO
    assert (result.trades[0]["mae"], result.trades[0]["mfe"]) == (-5 * MICRO, 5 * MICRO)
    # Marked at the bid 102 after buying at 103: 50,000 - 1 - 5; then 50,000 + 5 - 2.
    assert result.min_equity == 50_000 * MICRO - 6 * MICRO
    assert result.drawdown == 6 * MICRO


def test_slippage_and_missing_side_make_a_market_order_wait():
    """No ask: it waits; then one tick worse than the ask."""
    plan = {("quote", 1): [order("market", 1)]}
    events = [quote(1, 100, 101), quote(2, 100, None), quote(3, 100, 102)]
    result = run(QUOTES, plan, events, fill=FillModel(slippage=1))
    assert fills(result) == [(1, 1, 103)]


@pytest.mark.parametrize(("mode", "second"), [("through", 4), ("touch", 3)])
def test_resting_limit(mode, second):
    """Buy 100: the ask comes to 100, then to 99; filled at its own price."""
    plan = {("quote", 1): [order("limit", 1, limit=100)]}
    events = [quote(1, 101, 102), quote(2, 100, 101), quote(3, 99, 100), quote(4, 98, 99)]
    result = run(QUOTES, plan, events, fill=FillModel(mode))
    assert fills(result) == [(1, 1, 100)]
    assert result.fills[0]["ts"] == DAY0 + second * SECOND


def test_marketable_limit_fills_at_the_quote():
    plan = {("quote", 1): [order("limit", 1, limit=105)]}
    result = run(QUOTES, plan, [quote(1, 100, 101), quote(2, 101, 103)])
    assert fills(result) == [(1, 1, 103)]


def test_queue_waits_for_the_size_ahead():
    """Joins behind 5; trades of 3 and 2 clear them, the third trade fills."""
    plan = {("quote", 1): [order("limit", 1, 2, limit=100)]}
    events = [
        quote(1, 100, 101), quote(2, 100, 101), trade(3, 100, 3), trade(4, 100, 2),
        trade(5, 100, 1), trade(6, 100, 4),
    ]  # fmt: skip
    whole = run(BOTH, plan, events, fill=FillModel("queue"))
    assert [(r["qty"], r["ts"] - DAY0) for r in whole.fills] == [(2, 5 * SECOND)]
    parts = run(BOTH, plan, events, fill=FillModel("queue", partial=True))
    assert [(r["qty"], r["ts"] - DAY0) for r in parts.fills] == [(1, 5 * SECOND), (1, 6 * SECOND)]


def test_queue_below_the_best_price_is_unknown_until_it_is_best():
    """Buy 98 under a bid of 100 with 9 shown there: seven ahead once the bid is 98."""
    plan = {("quote", 1): [order("limit", 1, limit=98)]}
    events = [
        quote(1, 100, 101, 9), quote(2, 100, 101, 9), quote(3, 98, 99, 7), trade(4, 98, 7),
        trade(5, 98, 1),
    ]  # fmt: skip
    result = run(BOTH, plan, events, fill=FillModel("queue"))
    assert [row["ts"] - DAY0 for row in result.fills] == [5 * SECOND]


def test_stop_gap_fills_at_the_gap():
    """Sell stop 95 in a trades-only contract; the next trade is 90, plus a tick of slippage."""
    plan = {("trade", 1): [order("market", 1)], ("trade", 2): [order("stop", -1, stop=95)]}
    events = [trade(1, 100), trade(2, 100), trade(3, 96), trade(4, 90)]
    result = run(TRADES, plan, events, fill=FillModel(slippage=1))
    assert fills(result) == [(1, 1, 101), (-1, 1, 89)]
    assert result.balance == 50_000 * MICRO - 12 * 5 * MICRO - 2 * MICRO


def test_stop_limit_rests_after_the_gap():
    """Buy stop 105 limit 106: trade 108 triggers, no fill; 106 no; 105 fills at 106."""
    plan = {("trade", 1): [order("stop_limit", 1, stop=105, limit=106)]}
    events = [trade(1, 100), trade(2, 108), trade(3, 106), trade(4, 105)]
    result = run(TRADES, plan, events)
    assert fills(result) == [(1, 1, 106)]
    assert result.fills[0]["ts"] == DAY0 + 4 * SECOND


def test_trailing_stop_follows_the_best_price():
    """Trail 4: arrives at 100, best 110, so 106; the trade at 105 fills at 105."""
    plan = {("trade", 1): [order("market", 1)], ("trade", 2): [order("trailing", -1, trail=4)]}
    events = [trade(k + 1, p) for k, p in enumerate((100, 100, 100, 97, 110, 107, 105))]
    result = run(TRADES, plan, events)
    assert fills(result) == [(1, 1, 100), (-1, 1, 105)]
    assert result.orders[1]["stop"] == 106


def test_limit_arrives_only_after_feed_and_entry_latency():
    """Decided at 1 s, 2 s away: the quote at 2 s passes, the one at 3 s fills."""
    plan = {("quote", 1): [order("market", 1)]}
    events = [quote(1, 100, 101), quote(2, 100, 102), quote(3, 100, 103), quote(4, 100, 104)]
    latency = Latency([SECOND], [SECOND], [0])
    result = run(QUOTES, plan, events, latency=latency)
    assert fills(result) == [(1, 1, 103)]
    # The notice comes a second later, before the quote at 4 s.
    assert result.hooks[-2:] == [("on_fill", DAY0 + 4 * SECOND), ("on_quote", DAY0 + 4 * SECOND)]


def test_partial_fills_share_the_displayed_size():
    """5 shown: 3 for the first order, 2 of 4 for the second, the rest on the next quote."""
    plan = {("quote", 1): [order("market", 1, 3), order("market", 1, 4)]}
    events = [quote(1, 100, 101), quote(2, 100, 101), quote(3, 100, 102)]
    result = run(QUOTES, plan, events, fill=FillModel(partial=True))
    assert fills(result) == [(1, 3, 101), (1, 2, 101), (1, 2, 102)]


# ---------------------------------------------------------------- brackets
def bracket(qty=1, **rest):
    return order("market", 1, qty, **{"stop_ticks": 10, "target_ticks": 20} | rest)


def test_target_cancels_the_stop():
    plan = {("quote", 1): [bracket()]}
    events = [quote(1, 99, 100), quote(2, 99, 100), quote(3, 120, 121), quote(4, 121, 122)]
    result = run(QUOTES, plan, events)
    assert fills(result) == [(1, 1, 100), (-1, 1, 120)]
    assert status(result)[1:] == [
        ("stop_loss", "canceled", "sibling_filled"), ("target", "filled", "strategy"),
    ]  # fmt: skip


def test_children_follow_partial_fills_and_shrink_with_other_exits():
    """Entry of 3 in parts 2 and 1; selling 1 shrinks the children to 2, which then stop out."""
    plan = {("quote", 1): [bracket(3)], ("quote", 3): [order("market", -1)]}
    events = [
        quote(1, 99, 100, 9, 2), quote(2, 99, 100, 9, 2), quote(3, 99, 101, 9, 9),
        quote(4, 98, 99, 9, 9), quote(5, 88, 89, 9, 9),
    ]  # fmt: skip
    result = run(QUOTES, plan, events, fill=FillModel(partial=True))
    assert fills(result) == [(1, 2, 100), (1, 1, 101), (-1, 1, 98), (-1, 2, 88)]
    children = result.orders[1:3]
    assert [row["status"] for row in children] == ["filled", "canceled"]
    assert children[0]["filled"] == 2
    assert [row["entry_price"] for row in result.trades] == [100, 100, 101]


def test_a_reversal_keeps_the_bracket_of_what_it_opened():
    """Long 1, sold 3 at 100, stop of 10: the old children go, two short have a stop at 110."""
    plan = {
        ("quote", 1): [bracket()],
        ("quote", 2): [order("market", -1, 3, stop_ticks=10, target_ticks=20)],
    }
    events = [quote(1, 99, 100), quote(2, 99, 100), quote(3, 100, 101), quote(4, 110, 111)]
    result = run(QUOTES, plan, events)
    assert fills(result) == [(1, 1, 100), (-1, 3, 100), (1, 2, 111)]
    assert [(r["parent"], r["status"], r["cause"], r["qty"]) for r in result.orders[1:3]] == [
        (1, "canceled", "position_closed", 1), (1, "canceled", "position_closed", 1),
    ]  # fmt: skip
    assert [(r["role"], r["qty"], r["stop"], r["limit"]) for r in result.orders[4:]] == [
        ("stop_loss", 2, 110, None), ("target", 0, None, 80),
    ]  # fmt: skip


def test_a_bar_that_reaches_both_legs_stops_out_and_is_ambiguous():
    """Bought at the open 100; the next bar spans 89 to 121."""
    plan = {("bar", 1): [bracket()]}
    events = [bar(0, 98, 99, 97, 98), bar(1, 100, 101, 99, 100), bar(2, 100, 121, 89, 110)]
    result = run(BARS, plan, events, frames=[("time", 60 * SECOND)])
    assert fills(result) == [(1, 1, 100), (-1, 1, 90)]
    assert result.trades[0]["ambiguous"]
    assert result.trades[0]["gross"] == -50 * MICRO


def test_a_limit_filled_in_the_range_meets_its_stop_at_once():
    """Buy limit 95 fills inside the bar, its stop at 90 too; the target waits."""
    plan = {("bar", 1): [order("limit", 1, limit=95, stop_ticks=5, target_ticks=5)]}
    events = [bar(0, 98, 99, 97, 98), bar(1, 98, 110, 89, 100)]
    result = run(BARS, plan, events, frames=[("time", 60 * SECOND)])
    assert fills(result) == [(1, 1, 95), (-1, 1, 90)]
    assert result.trades[0]["ambiguous"]


# ---------------------------------------------------------------- limits and sessions
def test_daily_loss_limit_flattens_at_the_gap_and_locks_until_the_roll():
    """-1 - 20*5 = -101 at the bid of 80 trips a limit of 100; sold at 70: day -152."""
    plan = {
        ("quote", 1): [order("market", 1), order("limit", 1, limit=50)],
        ("quote", 4): [order("market", 1)],
        ("quote", 5): [order("market", 1)],
    }
    events = [
        quote(1, 99, 100), quote(2, 99, 100), quote(3, 80, 81), quote(4, 70, 71),
        quote(24 * 3600, 70, 71),
    ]  # fmt: skip
    result = run(QUOTES, plan, events, rules=Rules(daily_loss=100 * MICRO))
    assert fills(result) == [(1, 1, 100), (-1, 1, 70)]
    assert [(r["cause"], r["value"]) for r in result.risk] == [("daily_loss_limit", -101 * MICRO)]
    assert status(result)[1:3] == [
        ("entry", "canceled", "daily_loss_limit"), ("flatten", "filled", "daily_loss_limit"),
    ]  # fmt: skip
    assert [row["reason"] for row in result.refusals] == ["DAY_LOCKED"]
    assert result.days[0]["end_balance"] == 50_000 * MICRO - 152 * MICRO
    assert [row["locked"] for row in result.days] == [True, False]
    # Approved again after the roll; it still works when the data end.
    assert status(result)[3] == ("entry", "in_flight", "")


def test_flatten_time_closes_and_refuses():
    """Flatten at 3 s: the quote of 3 s closes it; refused in that event and past the cut-off."""
    plan = {("quote", 1): [bracket()], ("quote", 3): [order("market", 1)]}
    plan[("quote", 4)] = [order("market", 1)]
    events = [quote(1, 99, 100), quote(2, 99, 100), quote(3, 98, 99), quote(4, 98, 99)]
    session = {"flatten_at": DAY0 + 3 * SECOND, "open": DAY0, "close": DAY0 + HOUR}
    result = run(QUOTES, plan, events, session=session)
    assert fills(result) == [(1, 1, 100), (-1, 1, 98)]
    assert [row["reason"] for row in result.refusals] == ["FLATTENING", "AFTER_CUTOFF"]
    assert result.fills[1]["cause"] == "flatten_deadline"


def test_maximum_loss_is_a_touch_and_final():
    """Level 49,900: equity exactly there ends the account."""
    plan = {("quote", 1): [order("market", 1)], ("quote", 4): [order("market", 1)]}
    spec = Spec(tick_value=5 * MICRO, cost=0)
    events = [quote(1, 99, 100), quote(2, 99, 100), quote(3, 80, 81), quote(4, 90, 91)]
    result = run(spec, plan, events, rules=Rules(max_loss=100 * MICRO))
    assert result.risk[0]["cause"] == "max_loss_limit"
    assert fills(result) == [(1, 1, 100), (-1, 1, 90)]
    assert [row["reason"] for row in result.refusals] == ["ACCOUNT_OVER"]


@pytest.mark.parametrize(
    ("signal", "rules", "reason"),
    [
        (order("market", 1, contract=1), {}, "BAD_CONTRACT"),
        (order("market", 1, 0), {}, "BAD_QUANTITY"),
        (order("limit", 1), {}, "BAD_PRICE"),
        (order("limit", 1, limit=float("inf")), {}, "BAD_PRICE"),
        (order("limit", 1, limit=99.5), {}, "OFF_GRID"),
        (order("market", 1, 3), {"max_order_qty": 2}, "ORDER_SIZE"),
        (order("stop", 1, stop=101), {}, "WRONG_SIDE"),
        (order("market", 1, stop_loss=101), {}, "WRONG_SIDE"),
        (order("limit", 1, limit=90), {"collar": 10}, "COLLAR"),
        (order("market", 1), {"require_bracket": True}, "BRACKET_MISSING"),
        (order("market", 1, 5), {"max_tenths": 4}, "POSITION_CAP"),
        (bracket(2), {"bracket_risk": True, "daily_loss": 103 * MICRO}, "BRACKET_RISK"),
    ],
)
def test_refusals(signal, rules, reason):
    """One signal at the quote 100 to 101; the last one risks 2 * (10 * 5 + 2) = 104 dollars."""
    result = run(QUOTES, {("quote", 1): [signal]}, [quote(1, 100, 101)], rules=Rules(**rules))
    assert [row["reason"] for row in result.refusals] == [reason]
    assert not result.orders


def test_bracket_risk_of_exactly_what_is_left_passes():
    rules = Rules(bracket_risk=True, daily_loss=104 * MICRO)
    result = run(QUOTES, {("quote", 1): [bracket(2)]}, [quote(1, 100, 101)], rules=rules)
    assert len(result.orders) == 1


def test_equal_refusals_in_a_row_become_one():
    plan = {("quote", k): [order("market", 1, 0)] for k in (1, 2, 3)}
    plan[("quote", 4)] = [order("market", -1, 0), order("market", 1, 0)]
    result = run(QUOTES, plan, [quote(k, 100, 101) for k in range(1, 5)])
    assert [(r["side"], r["count"]) for r in result.refusals] == [(1, 3), (-1, 1), (1, 1)]
    assert result.refusals[0]["last_ts"] == DAY0 + 3 * SECOND


def test_duplicate_rate_and_loss_pause():
    """Second equal order is a duplicate; a third different one is over the rate of 1."""
    plan = {("quote", 1): [order("limit", 1, limit=90)] * 2 + [order("limit", 1, limit=91)]}
    rules = Rules(duplicate_ns=SECOND, rate=1)
    result = run(QUOTES, plan, [quote(1, 100, 101)], rules=rules)
    assert [row["reason"] for row in result.refusals] == ["DUPLICATE", "RATE"]
    plan = {("quote", k): [order("market", s)] for k, s in ((1, 1), (2, -1), (3, 1))}
    rules = Rules(loss_count=1, loss_pause_ns=SECOND)
    result = run(QUOTES, plan, [quote(k, 100, 101) for k in range(1, 6)], rules=rules)
    assert [row["reason"] for row in result.refusals] == ["LOSS_PAUSE"]


# ---------------------------------------------------------------- bars
def test_time_bars_end_at_their_own_instant_and_at_the_close():
    """Two-second bars of trades: [0, 2), [2, 4) has no event, [4, 6) ends at the close of 5 s."""
    session = {"open": DAY0, "close": DAY0 + 5 * SECOND}
    events = [trade(0, 10), trade(1, 12), trade(2 + 2, 11, 4), trade(6, 9)]
    result = run(TRADES, {}, events, frames=[("time", 2 * SECOND)], session=session)
    shape = [
        ((r["ts"] - DAY0) // SECOND, (r["end"] - DAY0) // SECOND, r["open"], r["high"], r["low"],
         r["close"], r["volume"], r["count"]) for r in result.bars
    ]  # fmt: skip
    assert shape == [(0, 2, 20, 24, 20, 24, 2, 2), (4, 5, 22, 22, 22, 22, 4, 1)]
    assert result.dropped == 1


@pytest.mark.parametrize(
    ("frame", "closes"),
    [(("tick", 2), [2, 4]), (("volume", 3), [2, 4]), (("range", 3), [3])],
)
def test_event_bars(frame, closes):
    """Trades 10, 11, 13, 13 of 1, 3, 2, 1 contracts."""
    prices, sizes = (10, 11, 13, 13), (1, 3, 2, 1)
    events = [trade(k + 1, p, s) for k, (p, s) in enumerate(zip(prices, sizes, strict=True))]
    result = run(TRADES, {}, events, frames=[frame])
    assert [(row["end"] - DAY0) // SECOND for row in result.bars] == closes


def test_quotes_before_trades_and_sequence_breaks_ties():
    """Same instant: the quote first; with sequence numbers on both, their order."""
    first = [Quote(0, DAY0 + 1, 100, 101), Trade(0, DAY0 + 1, 100)]
    assert [h for h, _ in run(BOTH, {}, first[::-1]).hooks][1:] == ["on_quote", "on_trade"]
    first[0].seq, first[1].seq = 7, 6
    assert [h for h, _ in run(BOTH, {}, first).hooks][1:] == ["on_trade", "on_quote"]

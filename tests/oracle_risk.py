"""The oracle's check of a signal: section 7 of docs/engine.md, row by row."""

from __future__ import annotations

import math
from fractions import Fraction

from tests.oracle_types import (
    ENTRY,
    EXIT,
    LIMIT,
    MARKET,
    MAX_ENTRY_SLOTS,
    MINUTE,
    STOP,
    STOP_LIMIT,
    STOP_LOSS,
    TRAILING,
)

NEEDS = {
    MARKET: (), LIMIT: ("limit",), STOP: ("stop",), STOP_LIMIT: ("limit", "stop"), TRAILING: (),
}  # fmt: skip


def present(value):
    """A price that was given; None and NaN both mean that it was not."""
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def finite(value):
    return not (isinstance(value, float) and math.isinf(value))


def whole(value):
    return Fraction(value).denominator == 1


def prices_of(signal):
    """Every price that matters to this signal: those it needs, and bracket prices given."""
    found = [signal.get(name) for name in NEEDS[signal["order"]]]
    extra = (signal.get("stop_loss"), signal.get("take_profit"))
    return found + [price for price in extra if present(price)]


def bad_price(signal):
    prices = prices_of(signal)
    if any(not present(price) or not finite(price) for price in prices):
        return True
    distances = (signal.get("stop_ticks", 0), signal.get("target_ticks", 0))
    if any(distance < 0 for distance in distances):
        return True
    if signal["order"] == TRAILING and signal.get("trail", 0) < 1:
        return True
    no_stop = not distances[0] and not present(signal.get("stop_loss"))
    return bool(signal.get("trailing_stop")) and no_stop


def malformed(engine, signal):
    """Rows 1 to 4."""
    if not 0 <= signal.get("contract", 0) < len(engine.states):
        return "BAD_CONTRACT"
    if signal["qty"] < 1:
        return "BAD_QUANTITY"
    if bad_price(signal):
        return "BAD_PRICE"
    if not all(whole(price) for price in prices_of(signal)):
        return "OFF_GRID"
    return None


def opening_quantity(engine, signal):
    """What of a signal would open or add, worst case."""
    contract, side = signal.get("contract", 0), signal["side"]
    position = engine.states[contract].position
    if position * side >= 0:
        return signal["qty"]
    already = sum(
        o.left for o in engine.orders
        if o.live and o.contract == contract and o.side == side and not o.child
    )  # fmt: skip
    return max(0, signal["qty"] - max(0, abs(position) - already))


def reference_price(state, side):
    if state.spec.has_quotes:
        return state.ask if side > 0 else state.bid
    return state.last


def expected_entry(state, signal):
    if signal["order"] in (LIMIT, STOP_LIMIT):
        return int(signal["limit"])
    if signal["order"] == STOP:
        return int(signal["stop"])
    return reference_price(state, signal["side"])


def stop_distance(signal, entry):
    """Ticks from the entry to the bracket stop; None without one."""
    if signal.get("stop_ticks", 0):
        return signal["stop_ticks"]
    if present(signal.get("stop_loss")):
        return abs(entry - int(signal["stop_loss"]))
    return None


def worst_position(engine, contract, signal=None):
    """The larger of |p + buys| and |p - sells| over entries, the new one included."""
    position = engine.states[contract].position
    work = {1: 0, -1: 0}
    for order in engine.orders:
        if order.live and order.contract == contract and order.role == ENTRY:
            work[order.side] += order.left
    if signal is not None and signal.get("contract", 0) == contract:
        work[signal["side"]] += signal["qty"]
    return max(abs(position + work[1]), abs(position - work[-1]))


def worst_with(engine, signal):
    return [worst_position(engine, k, signal) for k in range(len(engine.states))]


def in_news(engine, signal, now):
    contract = signal.get("contract", 0)
    for window in engine.rules.news:
        if not window.start <= now < window.end:
            continue
        if contract in window.barred:
            return True
        if contract in window.capped and worst_position(engine, contract, signal) > window.cap:
            return True
    return False


def account_rows(engine, signal, now):
    """Rows 5 to 16."""
    account, rules = engine.account, engine.rules
    state = engine.states[signal.get("contract", 0)]
    session = state.session
    silent = state.event_ts is None or now - state.event_ts >= rules.silence_ns
    rows = (
        ("ACCOUNT_OVER", account.over),
        ("DAY_LOCKED", account.locked),
        ("PROFIT_LOCKED", account.profit_locked),
        ("REDUCE_ONLY", bool(rules.silence_ns) and silent),
        ("FLATTENING", engine.is_flattening(signal.get("contract", 0))),
        ("SESSION_CLOSED", not state.in_session),
        ("AFTER_CUTOFF", now >= min(session.no_open_from, session.flatten_at)),
        ("LOSS_PAUSE", account.paused(now)),
        ("NEWS_WINDOW", in_news(engine, signal, now)),
        ("NOT_PERMITTED", state.spec.cap == 0),
        ("ORDER_SIZE", signal["qty"] > rules.max_order_qty),
    )
    return next((reason for reason, refused in rows if refused), None)


def wrong_side(state, signal, entry, reference):
    side = signal["side"]
    if signal["order"] in (STOP, STOP_LIMIT) and side * (int(signal["stop"]) - reference) <= 0:
        return True
    loss, profit = signal.get("stop_loss"), signal.get("take_profit")
    if present(loss) and side * (entry - int(loss)) <= 0:
        return True
    return present(profit) and side * (int(profit) - entry) <= 0


def price_rows(engine, signal, now):
    """Rows 17 to 21."""
    state, rules = engine.states[signal.get("contract", 0)], engine.rules
    reference = reference_price(state, signal["side"])
    if reference is None:
        return "NO_PRICE"
    age_from = state.quote_ts if state.spec.has_quotes else state.last_ts
    if rules.quote_age_ns and now - age_from > rules.quote_age_ns:
        return "STALE_QUOTE"
    entry = expected_entry(state, signal)
    if wrong_side(state, signal, entry, reference):
        return "WRONG_SIDE"
    if rules.collar and abs(entry - reference) > rules.collar:
        return "COLLAR"
    if rules.require_bracket and stop_distance(signal, entry) is None:
        return "BRACKET_MISSING"
    return None


def duplicate_key(signal):
    """What makes two orders the same: every field that says what is to be done."""
    kind = signal["order"]
    needed = [int(signal[name]) if name in NEEDS[kind] else None for name in ("limit", "stop")]
    trail = signal.get("trail", 0) if kind == TRAILING else 0
    return (signal.get("contract", 0), signal["side"], signal["qty"], kind, *needed, trail)


def repeat_rows(engine, signal, now):
    """Rows 22 and 23."""
    rules = engine.rules
    if rules.duplicate_ns and engine.last_approved is not None:
        ts, key = engine.last_approved
        if key == duplicate_key(signal) and now - ts < rules.duplicate_ns:
            return "DUPLICATE"
    if rules.rate and sum(ts > now - MINUTE for ts in engine.approved_ts) >= rules.rate:
        return "RATE"
    return None


def size_rows(engine, signal):
    """Rows 24 and 25."""
    worst = worst_with(engine, signal)
    spec = engine.states[signal.get("contract", 0)].spec
    product = sum(
        n for n, state in zip(worst, engine.states, strict=True)
        if state.spec.product == spec.product
    )  # fmt: skip
    if product > spec.cap:
        return "PRODUCT_CAP"
    tenths = sum(n * s.spec.size_tenths for n, s in zip(worst, engine.states, strict=True))
    return "POSITION_CAP" if tenths > engine.account.tenths else None


def order_risk(engine, order):
    """Worst case of a working order's bracket, in micro-dollars."""
    state = engine.states[order.contract]
    spec = state.spec
    if order.role == ENTRY:
        if order.risk_ticks is None:
            return 0
        return order.left * (order.risk_ticks * spec.tick_value + 2 * spec.cost)
    if order.role != STOP_LOSS:
        return 0
    mark = engine.account.mark(state)
    mark = state.lots[0].price if mark is None else mark
    # A sell stop guards a long: it is under the mark by mark - stop.
    distance = max(0, -order.side * (mark - order.stop))
    return order.left * (distance * spec.tick_value + spec.cost)


def too_risky(engine, signal):
    """Row 26."""
    rules = engine.rules
    state = engine.states[signal.get("contract", 0)]
    distance = stop_distance(signal, expected_entry(state, signal))
    if rules.daily_loss is None or not rules.bracket_risk or distance is None:
        return False
    spec = state.spec
    risk = opening_quantity(engine, signal) * (distance * spec.tick_value + 2 * spec.cost)
    risk += sum(order_risk(engine, order) for order in engine.orders if order.live)
    return risk > engine.account.day_pnl() + rules.daily_loss


def judge(engine, signal, now):
    """Reason of the first failing row, or None."""
    reason = malformed(engine, signal)
    if reason or not opening_quantity(engine, signal):
        return reason
    reason = (
        account_rows(engine, signal, now)
        or price_rows(engine, signal, now)
        or repeat_rows(engine, signal, now)
        or size_rows(engine, signal)
    )
    if reason:
        return reason
    if too_risky(engine, signal):
        return "BRACKET_RISK"
    busy = sum(order.live and order.role != EXIT for order in engine.orders)
    return "TOO_MANY_ORDERS" if busy >= MAX_ENTRY_SLOTS else None

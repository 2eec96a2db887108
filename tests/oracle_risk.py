"""The oracle's check of a signal: section 7 of docs/engine.md, row by row."""

from __future__ import annotations

import math
from fractions import Fraction

from tests.oracle_types import (
    ENTRY,
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
    return bool(signal.get("trailing_stop")) and not distances[0]


def malformed(signal):
    """Rows 2 to 4."""
    if not 1 <= signal["qty"] <= 1_000_000:
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
    """Price at which an order is expected to fill; None while there is none."""
    if signal["order"] in (LIMIT, STOP_LIMIT):
        return int(signal["limit"])
    if signal["order"] == STOP:
        return int(signal["stop"])
    return reference_price(state, signal["side"])


def stop_distance(state, signal):
    """Ticks from the expected entry to the bracket stop; 0 without one or without a price."""
    if signal.get("stop_ticks", 0):
        return signal["stop_ticks"]
    entry = expected_entry(state, signal)
    if not present(signal.get("stop_loss")) or entry is None:
        return 0
    return max(0, signal["side"] * (entry - int(signal["stop_loss"])))


def worst_position(engine, contract, signal=None):
    """The larger of |p + buys| and |p - sells| over entries, the new one included.

    With a protective or flatten order at work also buys and sells alone: the position may be gone.
    """
    position = engine.states[contract].position
    work = {1: 0, -1: 0}
    for order in engine.orders:
        if order.live and order.contract == contract and order.role == ENTRY:
            work[order.side] += order.left
    if signal is not None and signal.get("contract", 0) == contract:
        work[signal["side"]] += signal["qty"]
    leaving = any(o.live and o.contract == contract and o.role != ENTRY for o in engine.orders)
    alone = max(work.values()) if leaving else 0
    return max(abs(position + work[1]), abs(position - work[-1]), alone)


def worst_with(engine, signal):
    return [worst_position(engine, k, signal) for k in range(len(engine.states))]


def in_news(engine, signal, now):
    """(value, limit) of the first window that refuses, or None."""
    contract = signal.get("contract", 0)
    for window in engine.rules.news:
        if not window.start <= now < window.end:
            continue
        if contract in window.barred:
            return now, window.end
        worst = worst_position(engine, contract, signal)
        if contract in window.capped and worst > window.cap:
            return worst, window.cap
    return None


def account_rows(engine, signal, now):
    """Rows 5 to 16 as (reason, refused, value, limit)."""
    account, rules = engine.account, engine.rules
    state = engine.states[signal.get("contract", 0)]
    session, day = state.session, account.day_pnl()
    cutoff = min(session.no_open_from, session.flatten_at)
    silence = now - (state.event_ts or 0)
    news = in_news(engine, signal, now)
    return (
        ("HALTED", rules.halted, 1, 0),
        ("ACCOUNT_OVER", account.over, account.equity(), account.level),
        ("DAY_LOCKED", account.locked, day, -(rules.daily_loss or 0)),
        ("PROFIT_LOCKED", account.profit_locked, day, rules.profit_lock),
        ("REDUCE_ONLY", rules.silence_ns and silence > rules.silence_ns, silence, rules.silence_ns),
        ("FLATTENING", engine.is_flattening(signal.get("contract", 0)), state.position, 0),
        ("SESSION_CLOSED", not state.in_session, now, session.open),
        ("AFTER_CUTOFF", now >= cutoff, now, cutoff),
        ("LOSS_PAUSE", account.paused(now), now, account.pause_until),
        ("NEWS_WINDOW", news, *(news or (0, 0))),
        ("NOT_PERMITTED", state.spec.cap == 0, signal["qty"], 0),
        ("ORDER_SIZE", signal["qty"] > rules.max_order_qty, signal["qty"], rules.max_order_qty),
    )


def wrong_side(state, signal, entry, reference):
    """(value, limit) of the price on the wrong side, or None."""
    side = signal["side"]
    stop, loss, profit = (signal.get(name) for name in ("stop", "stop_loss", "take_profit"))
    if signal["order"] in (STOP, STOP_LIMIT) and side * (int(stop) - reference) <= 0:
        return int(stop), reference
    if present(loss) and side * (entry - int(loss)) <= 0:
        return int(loss), entry
    if present(profit) and side * (int(profit) - entry) <= 0:
        return int(profit), entry
    return None


def price_rows(engine, signal, now):
    """Rows 17 to 21."""
    state, rules = engine.states[signal.get("contract", 0)], engine.rules
    reference = reference_price(state, signal["side"])
    if reference is None:
        return (("NO_PRICE", True, 0, 0),)
    age = now - (state.quote_ts if state.spec.has_quotes else state.last_ts)
    entry = expected_entry(state, signal)
    wrong = wrong_side(state, signal, entry, reference)
    far = abs(entry - reference)
    bare = not signal.get("stop_ticks", 0) and not present(signal.get("stop_loss"))
    return (
        ("STALE_QUOTE", rules.quote_age_ns and age > rules.quote_age_ns, age, rules.quote_age_ns),
        ("WRONG_SIDE", wrong, *(wrong or (0, 0))),
        ("COLLAR", rules.collar and far > rules.collar, far, rules.collar),
        ("BRACKET_MISSING", rules.require_bracket and bare, 0, 1),
    )


def duplicate_key(signal):
    """What makes two orders the same: every field that says what is to be done."""
    kind = signal["order"]
    needed = [int(signal[name]) if name in NEEDS[kind] else None for name in ("limit", "stop")]
    trail = signal.get("trail", 0) if kind == TRAILING else 0
    return (signal.get("contract", 0), signal["side"], signal["qty"], kind, *needed, trail)


def repeat_rows(engine, signal, now):
    """Rows 22 and 23."""
    rules = engine.rules
    ts, key = engine.last_approved or (0, None)
    again = key == duplicate_key(signal) and now - ts < rules.duplicate_ns
    recent = sum(ts > now - MINUTE for ts in engine.approved_ts)
    return (
        ("DUPLICATE", again, now - ts, rules.duplicate_ns),
        ("RATE", rules.rate and recent >= rules.rate, rules.rate + 1, rules.rate),
    )


def size_rows(engine, signal):
    """Rows 24 and 25."""
    worst = worst_with(engine, signal)
    spec, most = engine.states[signal.get("contract", 0)].spec, engine.account.tenths
    product = sum(
        n for n, state in zip(worst, engine.states, strict=True)
        if state.spec.product == spec.product
    )  # fmt: skip
    tenths = sum(n * s.spec.size_tenths for n, s in zip(worst, engine.states, strict=True))
    return (
        ("PRODUCT_CAP", product > spec.cap, product, spec.cap),
        ("POSITION_CAP", tenths > most, tenths, most),
    )


def order_risk(engine, order):
    """Worst case of a working order's bracket, in micro-dollars."""
    state = engine.states[order.contract]
    spec = state.spec
    if order.role == ENTRY and order.risk_ticks:
        return order.left * (order.risk_ticks * spec.tick_value + 2 * spec.cost)
    if order.role != STOP_LOSS:
        return 0
    mark = engine.account.mark(state)
    mark = state.lots[0].price if mark is None else mark
    # A sell stop guards a long: it is under the mark by mark - stop.
    distance = max(0, -order.side * (mark - order.stop))
    return order.left * (distance * spec.tick_value + spec.cost)


def risk_rows(engine, signal):
    """Row 26."""
    rules, account = engine.rules, engine.account
    state = engine.states[signal.get("contract", 0)]
    distance = stop_distance(state, signal)
    rooms = []
    if rules.daily_loss is not None:
        rooms.append(account.day_pnl() + rules.daily_loss - rules.loss_buffer)
    if account.level is not None:
        rooms.append(account.equity() - account.level - rules.loss_buffer)
    if not rooms or not rules.bracket_risk or not distance:
        return ()
    spec = state.spec
    risk = opening_quantity(engine, signal) * (distance * spec.tick_value + 2 * spec.cost)
    for order in engine.orders:
        closed = order.contract == signal.get("contract", 0) and order.side == signal["side"]
        if order.live and not (order.role == STOP_LOSS and closed):  # a reversal ends these
            risk += order_risk(engine, order)
    return (("BRACKET_RISK", risk > min(rooms), risk, min(rooms)),)


def bracketed(signal):
    prices = ("stop_loss", "take_profit")
    return bool(
        signal.get("stop_ticks", 0) or signal.get("target_ticks", 0)
        or any(present(signal.get(name)) for name in prices)
    )  # fmt: skip


def slot_rows(engine, signal):
    """Row 27: live orders, two more for the bracket of each live entry, and the new one."""
    live = [order for order in engine.orders if order.live]
    waiting = sum(2 for order in live if order.role == ENTRY and order.bracketed)
    wanted = 3 if bracketed(signal) else 1
    full = len(live) + waiting + wanted > MAX_ENTRY_SLOTS
    return (("TOO_MANY_ORDERS", full, len(live), MAX_ENTRY_SLOTS),)


def judge(engine, signal, now):
    """(reason, value, limit) of the first failing row, or None."""
    reason = malformed(signal)
    if reason:
        return reason, signal["qty"], 0
    rows = []
    if opening_quantity(engine, signal):
        rows += account_rows(engine, signal, now)
        rows += price_rows(engine, signal, now)
        if rows[-1][0] != "NO_PRICE":
            rows += repeat_rows(engine, signal, now)
            rows += size_rows(engine, signal)
            rows += risk_rows(engine, signal)
    rows += slot_rows(engine, signal)
    return next(((name, value, limit) for name, bad, value, limit in rows if bad), None)

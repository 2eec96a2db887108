"""The risk manager: `watch` judges the account on every event, `check` judges every signal.

It is the same in replay, paper and live. It fails closed: without a price, with a stale quote or
in a state that is not plainly open, nothing that adds exposure passes. Reductions and cancels
always pass. Each verdict is a reason code with the number that led to it and the limit that it met.
docs/engine.md sections 6 and 7 are the specification.

I/O: none
"""

from __future__ import annotations

from pxresearch.core.account import equity
from pxresearch.core.exposure import (
    bracket_risk_row,
    cap_rows,
    slot_row,
    worst_position,
)
from pxresearch.core.forms import (
    expected_entry,
    fill_form,
    opening_quantity,
    stop_distance_of,
)
from pxresearch.core.jit import NEWS_T, compiled, record_at
from pxresearch.core.logs import log_refusal, log_risk
from pxresearch.core.matching import taker_price
from pxresearch.core.orders import cancel_entries, delay, new_order
from pxresearch.core.records import (
    ACCOUNT_OVER,
    AFTER_CUTOFF,
    APPROVED,
    BLOCKED,
    BRACKET_MISSING,
    BY_STRATEGY,
    COLLAR,
    DAILY_LOSS,
    DAY_LOCKED,
    DUPLICATE,
    ENTRY,
    EXIT,
    FLATTENING,
    HALTED,
    HIGHEST,
    LIMIT,
    LOSS_PAUSE,
    LOSS_STREAK,
    LOWEST,
    MARKET,
    MAX_LOSS,
    MAX_RATE,
    NEVER,
    NEWS,
    NEWS_WINDOW,
    NO_ASK,
    NO_BID,
    NO_PRICE,
    NOT_PERMITTED,
    ORDER_SIZE,
    ORDER_VALUE,
    PROFIT_LOCK,
    PROFIT_LOCKED,
    RATE,
    REDUCE_ONLY,
    REPEATED,
    REPEATED_ORDER,
    SELF_TRADE,
    SESSION_CLOSED,
    SPREAD,
    STALE_QUOTE,
    STOP,
    STOP_LIMIT,
    STOP_LOSS,
    WRONG_SIDE,
)

RATE_WINDOW = 60_000_000_000
NEWS_SIZE = NEWS.itemsize


# ------------------------------------------------------------------ flatten: one routine
@compiled
def flatten_contract(S, X, k, cause, ts):
    """Stop opening in a contract, cancel its entries, close its position."""
    c = S.contract[k]
    if c.flattening == 0:
        c.flattening = 1
        c.flatten_cause = cause
    cancel_entries(S, X, k, 0, cause, ts)
    press_flatten(S, X, k, ts)
    S.dirty = 1


@compiled
def flatten_all(S, X, cause, ts):
    """Flatten every contract of the account."""
    for k in range(S.contracts_n):
        flatten_contract(S, X, k, cause, ts)


@compiled
def press_flatten(S, X, k, ts):
    """While a flattening contract has a position and no flatten order, send one; end when done."""
    c = S.contract[k]
    if c.flattening == 0:
        return
    if c.position == 0:
        if c.orders == 0:
            c.flattening = 0
            S.dirty = 1
        return
    for i in range(S.live_n):
        o = S.order[S.live[i]]
        if o.contract == k and o.role == EXIT:
            return
    side = -1 if c.position > 0 else 1
    slot = new_order(S, k, side, abs(c.position), MARKET, EXIT, ts)
    o = S.order[slot]
    o.cause = c.flatten_cause
    if c.bars_only == 0:
        o.active_from = ts + delay(X, o.id)


# ------------------------------------------------------------------ watch: after every event
@compiled
def watch(S, X, ts):
    """Judge equity against the limits of the account; each acts once until it is reset."""
    if S.over != 0:
        return
    rules = S.rules
    now = equity(S)
    if rules.has_max_loss != 0 and now <= S.level:
        S.over = 1
        log_risk(X, ts, MAX_LOSS, -1, now, S.level)
        flatten_all(S, X, MAX_LOSS, ts)
        return
    day = now - S.day_start
    if rules.has_daily_loss != 0 and S.locked == 0 and day <= -rules.daily_loss:
        S.locked = 1
        log_risk(X, ts, DAILY_LOSS, -1, day, -rules.daily_loss)
        flatten_all(S, X, DAILY_LOSS, ts)
    elif rules.has_profit_lock != 0 and S.profit_locked == 0 and day >= rules.profit_lock:
        S.profit_locked = 1
        log_risk(X, ts, PROFIT_LOCK, -1, day, rules.profit_lock)
        flatten_all(S, X, PROFIT_LOCK, ts)


@compiled
def watch_losses(S, X, ts):
    """Begin a pause when too many trades in a row have lost."""
    rules = S.rules
    if S.over == 0 and S.loss_streak >= rules.loss_count:
        log_risk(X, ts, LOSS_STREAK, -1, S.loss_streak, rules.loss_count)
        S.loss_streak = 0
        S.pause_until = ts + rules.loss_pause_ns if rules.loss_pause_ns > 0 else S.day_end


# ------------------------------------------------------------------ check: every signal


@compiled
def _state(S, X, c, o, ts):
    """Rows 5 to 17: is opening allowed at all, now, in this product, in this size?"""
    rules = S.rules
    if S.halted != 0:
        return HALTED, 1, 0
    if S.blocked != 0:
        return BLOCKED, S.blocked, 0
    if S.over != 0:
        return ACCOUNT_OVER, equity(S), S.level
    if S.locked != 0:
        return DAY_LOCKED, equity(S) - S.day_start, -rules.daily_loss
    if S.profit_locked != 0:
        return PROFIT_LOCKED, equity(S) - S.day_start, rules.profit_lock
    if rules.silence_ns > 0 and ts - c.event_ts > rules.silence_ns:
        return REDUCE_ONLY, ts - c.event_ts, rules.silence_ns
    if c.flattening != 0:
        return FLATTENING, c.position, 0
    if c.in_session == 0:
        return SESSION_CLOSED, ts, c.session.open
    cutoff = min(c.session.no_open_from, c.session.flatten_at)
    if ts >= cutoff:
        return AFTER_CUTOFF, ts, cutoff
    if ts < S.pause_until:
        return LOSS_PAUSE, ts, S.pause_until
    reason, value, limit = _news(S, X, o, ts)
    if reason != APPROVED:
        return reason, value, limit
    if c.cap == 0:
        return NOT_PERMITTED, o.qty, 0
    if rules.max_order_qty > 0 and o.qty > rules.max_order_qty:
        return ORDER_SIZE, o.qty, rules.max_order_qty
    return APPROVED, 0, 0


@compiled
def _news(S, X, o, ts):
    """Row 15: a news window that bars the product, or caps it."""
    for i in range(X.news_n):
        w = record_at(X.news + i * NEWS_SIZE, NEWS_T)
        if w.start <= ts and ts < w.end:
            bit = 1 << o.contract
            if w.barred & bit:
                return NEWS_WINDOW, ts, w.end
            if w.capped & bit:
                worst = worst_position(S, o.contract, o)
                if worst > w.cap:
                    return NEWS_WINDOW, worst, w.cap
    return APPROVED, 0, 0


@compiled
def _market(S, c, o, ts, entry, reference):
    """Rows 18 to 23: is there a fresh price, and is the order sane beside it?"""
    rules = S.rules
    if abs(reference) >= HIGHEST:
        return NO_PRICE, 0, 0
    seen = c.quote_ts if c.has_quotes != 0 else c.last_ts
    if rules.quote_age_ns > 0 and ts - seen > rules.quote_age_ns:
        return STALE_QUOTE, ts - seen, rules.quote_age_ns
    if (o.kind == STOP or o.kind == STOP_LIMIT) and (o.stop - reference) * o.side <= 0:
        return WRONG_SIDE, o.stop, reference
    if o.stop_loss != LOWEST and (entry - o.stop_loss) * o.side <= 0:
        return WRONG_SIDE, o.stop_loss, entry
    if o.take_profit != LOWEST and (o.take_profit - entry) * o.side <= 0:
        return WRONG_SIDE, o.take_profit, entry
    if rules.collar > 0 and abs(entry - reference) > rules.collar:
        return COLLAR, abs(entry - reference), rules.collar
    if rules.spread > 0 and c.has_quotes != 0:
        if c.bid == NO_BID or c.ask == NO_ASK:
            return NO_PRICE, 0, 0
        if c.ask - c.bid > rules.spread or c.ask < c.bid:
            return SPREAD, c.ask - c.bid, rules.spread
    value = abs(entry) * c.tick_value * o.qty
    if rules.order_value > 0 and value > rules.order_value:
        return ORDER_VALUE, value, rules.order_value
    return APPROVED, 0, 0


@compiled
def _crossed(S, o, entry):
    """Price of a resting order of our own that this one would trade with; LOWEST if none."""
    for i in range(S.live_n):
        w = S.order[S.live[i]]
        if w.contract == o.contract and w.side == -o.side and w.role != STOP_LOSS:
            resting = w.kind == LIMIT or (w.kind == STOP_LIMIT and w.triggered != 0)
            if resting and (entry - w.limit) * o.side >= 0:
                return w.limit
    return LOWEST


@compiled
def _is_last(S, o):
    """Whether an order is the one approved last, once more."""
    key = S.dup_key
    same = key[0] == o.contract and key[1] == o.side and key[2] == o.kind and key[3] == o.qty
    return same and key[4] == o.limit and key[5] == o.stop and key[6] == o.trail


@compiled
def _flow(S, X, o, entry, ts):
    """Rows 24 to 28: bracket demanded, own orders crossed, duplicate, repeated, order rate."""
    rules = S.rules
    if rules.require_bracket != 0 and o.stop_ticks == 0 and o.stop_loss == LOWEST:
        return BRACKET_MISSING, 0, 1
    if rules.no_self_trade != 0:
        own = _crossed(S, o, entry)
        if own != LOWEST:
            return SELF_TRADE, entry, own
    if rules.duplicate_ns > 0 and S.dup_ts != NEVER and ts - S.dup_ts < rules.duplicate_ns:
        if _is_last(S, o):
            return DUPLICATE, ts - S.dup_ts, rules.duplicate_ns
    if rules.repeats > 0 and S.same_n >= rules.repeats and _is_last(S, o):
        if ts - S.same_from < RATE_WINDOW:
            S.halted = 1  # a loop gone wild: a person has to look
            log_risk(X, ts, REPEATED_ORDER, o.contract, S.same_n + 1, rules.repeats)
            return REPEATED, S.same_n + 1, rules.repeats
    if rules.rate > 0:
        oldest = S.rate_ts[(S.rate_at - rules.rate) % MAX_RATE]
        if S.rate_at >= rules.rate and ts - oldest < RATE_WINDOW:
            return RATE, rules.rate + 1, rules.rate
    return APPROVED, 0, 0


@compiled
def verdict(S, X, s, o, ts):
    """Judge a signal: (reason, value, limit); fills the draft order `o`."""
    reason = fill_form(S, s, o)
    if reason != APPROVED:
        return reason, s.qty, 0
    c = S.contract[o.contract]
    opening = opening_quantity(S, o)
    reference = taker_price(c, o.side, False)
    entry = expected_entry(o, reference)
    o.stop_distance = stop_distance_of(o, entry)
    if opening == 0:
        return slot_row(S, o)
    reason, value, limit = _state(S, X, c, o, ts)
    if reason == APPROVED:
        reason, value, limit = _market(S, c, o, ts, entry, reference)
        if reason == APPROVED:
            reason, value, limit = _flow(S, X, o, entry, ts)
        if reason == APPROVED:
            reason, value, limit = cap_rows(S, c, o)
        if reason == APPROVED:
            reason, value, limit = bracket_risk_row(S, c, o, opening)
        if reason == APPROVED:
            reason, value, limit = slot_row(S, o)
    return reason, value, limit


@compiled
def check(S, X, s, ts):
    """Judge a signal and make its order, or write down why not; returns True when approved."""
    draft = S.draft
    reason, value, limit = verdict(S, X, s, draft, ts)
    if reason != APPROVED:
        log_refusal(X, ts, s.contract, s, reason, value, limit)
        return False
    c = S.contract[draft.contract]
    slot = new_order(S, draft.contract, draft.side, draft.qty, draft.kind, ENTRY, ts)
    o = S.order[slot]
    o.limit = draft.limit
    o.stop = draft.stop
    o.trail = draft.trail
    o.tag = draft.tag
    o.bracket = draft.bracket
    o.stop_ticks = draft.stop_ticks
    o.target_ticks = draft.target_ticks
    o.stop_loss = draft.stop_loss
    o.take_profit = draft.take_profit
    o.trailing_stop = draft.trailing_stop
    o.stop_distance = draft.stop_distance
    o.cause = BY_STRATEGY
    if c.bars_only == 0:
        o.active_from = ts + delay(X, o.id)
    S.next_ts = min(S.next_ts, o.active_from)
    _remember(S, o, ts)
    return True


@compiled
def _remember(S, o, ts):
    """Keep what the duplicate, repeat and rate checks look back at."""
    if S.dup_ts != NEVER and ts - S.same_from < RATE_WINDOW and _is_last(S, o):
        S.same_n += 1
    else:
        S.same_n = 1
        S.same_from = ts
    S.dup_ts = ts
    key = S.dup_key
    key[0] = o.contract
    key[1] = o.side
    key[2] = o.kind
    key[3] = o.qty
    key[4] = o.limit
    key[5] = o.stop
    key[6] = o.trail
    S.rate_ts[S.rate_at % MAX_RATE] = ts
    S.rate_at += 1

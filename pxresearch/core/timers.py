"""Timers: instants known beforehand, each fired at its own time, in the order of docs/engine.md.

I/O: none
"""

from __future__ import annotations

from pxresearch.core.account import equity, fold, note
from pxresearch.core.bars import (
    next_bar_end,
    take_run,
)
from pxresearch.core.calendar import load_day, next_session_timer, session_timers
from pxresearch.core.calls import (
    deliver,
    finish_bar,
    hook,
)
from pxresearch.core.jit import (
    DAYROW_T,
    compiled,
)
from pxresearch.core.logs import log_equity, log_risk, log_row
from pxresearch.core.orders import expire_orders
from pxresearch.core.records import (
    DEADLINE,
    EXPIRED,
    LOG_DAYS,
    NEVER,
    ON_SESSION,
    OPEN,
    OPEN_BEFORE_PAUSE,
    SESSION_BARS,
    SESSION_END,
)
from pxresearch.core.risk import (
    flatten_contract,
    watch,
)

MINUTE = 60_000_000_000


@compiled
def next_timer(S):
    """The earliest instant that is known beforehand."""
    soonest = min(S.day_end, S.sample_at)
    if S.notice_count > 0:
        soonest = min(soonest, S.notices[S.notice_head].due)
    for k in range(S.contracts_n):
        c = S.contract[k]
        soonest = min(soonest, min(next_session_timer(c), next_bar_end(S, c)))
        if c.past_flatten == 0:
            soonest = min(soonest, c.session.flatten_at)
    return soonest


@compiled
def advance(S, X, ts):
    """Fire every timer due at or before ts, each at its own instant, in order."""
    while X.failed == 0:
        t = next_timer(S)
        if t > ts or t == NEVER:
            break
        S.now = max(S.now, t)
        S.dirty = 1
        if S.sample_at <= t:
            sample(S, X, t)
        for k in range(S.contracts_n):
            for f in range(S.frames_n):
                if S.contract[k].frames[f].end <= t:
                    _end_bar_by_clock(S, X, k, f, t)
        deliver(S, X, t)
        for k in range(S.contracts_n):
            if S.contract[k].past_flatten == 0 and S.contract[k].session.flatten_at <= t:
                reach_flatten_time(S, X, k, t)
        for k in range(S.contracts_n):
            _leave_session(S, X, k, t)
        if S.day_end <= t:
            roll_day(S, X, t)
        for k in range(S.contracts_n):
            _enter_session(S, X, k, t)


@compiled
def _end_bar_by_clock(S, X, k, f, t):
    c = S.contract[k]
    take_run(S, c, c.event_ts)
    if c.frames[f].count > 0:
        finish_bar(S, X, k, f, t, t)


@compiled
def sample(S, X, t):
    """Write an equity sample if anything changed since the last one."""
    for k in range(S.contracts_n):
        fold(S, S.contract[k])
    now = equity(S)
    if now != S.last_sample or S.low != now or S.high != now or S.balance != S.last_balance:
        log_equity(X, t, S.balance, now, S.low, S.high)
        S.last_sample = now
        S.last_balance = S.balance
    S.low = now
    S.high = now
    S.sample_at = (t // MINUTE + 1) * MINUTE if S.open_contracts > 0 else NEVER


@compiled
def reach_flatten_time(S, X, k, t):
    """The flatten time of one contract: from here on it only gets flat."""
    c = S.contract[k]
    c.past_flatten = 1
    if c.position != 0 or c.orders > 0:
        log_risk(X, t, DEADLINE, k, c.position, c.session.deadline)
        flatten_contract(S, X, k, DEADLINE, t)


@compiled
def _leave_session(S, X, k, t):
    """Pause or close the session of contract k if it is due."""
    c = S.contract[k]
    if c.in_session == 0 or next_session_timer(c) > t:
        return
    closing = c.opened == OPEN
    take_run(S, c, c.event_ts)
    for f in range(S.frames_n):
        if c.frames[f].count > 0 and (closing or c.frames[f].kind != SESSION_BARS):
            finish_bar(S, X, k, f, t, t)
    session_timers(c, t)
    if closing:
        expire_orders(S, X, k, EXPIRED, SESSION_END, t)
        if c.position == 0:
            c.flattening = 0
        hook(S, X, ON_SESSION, X.on_session, k, 0, t, 0, 0, t)


@compiled
def _enter_session(S, X, k, t):
    """Open or resume the session of contract k if it is due."""
    c = S.contract[k]
    if c.in_session != 0 or next_session_timer(c) > t:
        return
    session_timers(c, t)
    if c.opened == OPEN_BEFORE_PAUSE or t == c.session.open:
        hook(S, X, ON_SESSION, X.on_session, k, 1, t, 0, 0, t)


@compiled
def roll_day(S, X, t):
    """End the trading day: row, maximum loss level, locks; then load the next day."""
    for k in range(S.contracts_n):
        fold(S, S.contract[k])
    now = equity(S)
    if S.open_contracts > 0:
        S.day_in_market += t - S.in_since
        S.in_since = t
    if S.day_events > 0 or S.day_fills > 0:
        write_day(S, X, now)
    rules = S.rules
    if rules.has_max_loss != 0:
        level = S.balance - rules.max_loss
        if rules.has_lock != 0:
            level = min(level, rules.max_loss_lock)
        S.level = max(S.level, level)
    S.locked = 0
    S.profit_locked = 0
    S.pause_until = min(S.pause_until, t)
    choose_tier(S)
    S.day_start = S.balance
    S.day_trades = 0
    S.day_fills = 0
    S.day_events = 0
    S.day_costs = 0
    S.day_in_market = 0
    S.day_min = now
    S.day_max = now
    S.day_peak = now
    S.day_drawdown = 0
    note(S, now, now, 0)
    load_day(S, X, S.day_index + 1)
    watch(S, X, t)


@compiled
def choose_tier(S):
    """Size cap from the balance at the day's start: the last tier whose threshold it reaches."""
    rules = S.rules
    S.cap_tenths = rules.max_tenths
    for i in range(rules.tiers):
        if S.balance >= rules.tier_from[i]:
            S.cap_tenths = rules.tier_tenths[i]
    if rules.tiers > 0 and rules.max_tenths > 0:
        S.cap_tenths = min(S.cap_tenths, rules.max_tenths)


@compiled
def write_day(S, X, now):
    """Write the row of the trading day that is ending."""
    row = log_row(X, LOG_DAYS, DAYROW_T)
    row.date = S.day_date
    row.start_balance = S.day_start
    row.end_balance = S.balance
    row.end_equity = now
    row.costs = S.day_costs
    row.trades = S.day_trades
    row.fills = S.day_fills
    row.events = S.day_events
    row.min_equity = S.day_min
    row.max_equity = S.day_max
    row.drawdown = S.day_drawdown
    row.level = S.level
    row.in_market = S.day_in_market
    row.locked = S.locked
    row.profit_locked = S.profit_locked
    row.over = S.over
    row.open_orders = S.live_n
    held = 0
    for k in range(S.contracts_n):
        held += abs(S.contract[k].position)
    row.open_position = held

"""One event through the whole chain: timers, match, account, watch, bars, hooks, check.

docs/engine.md section 1 is the specification. `quote_event`, `trade_event` and `bar_event` are the
complete path. `rebound` works out, whenever something changed, the price levels and the next
instant inside which an event cannot do anything but extend bars and extremes; the replay loop skips
the complete path there, which is where its speed comes from and why it stays exact.

I/O: none
"""

from __future__ import annotations

import math

from pxresearch.core.account import equity, fold, note, observe, set_mark
from pxresearch.core.bars import (
    bars_at_rest,
    close_bar,
    is_full,
    next_bar_end,
    run_add,
    take_run,
)
from pxresearch.core.calendar import load_day, next_session_timer, session_timers
from pxresearch.core.jit import (
    BARROW_T,
    DAYROW_T,
    address_of,
    call_hook,
    compiled,
)
from pxresearch.core.logs import log_equity, log_refusal, log_risk, log_row
from pxresearch.core.matching import UNKNOWN_QUEUE, match_event, match_range
from pxresearch.core.orders import cancel_entries, cancels_due, expire_orders
from pxresearch.core.records import (
    BAD_CONTRACT,
    BY_STRATEGY,
    CANCEL,
    DEADLINE,
    EXPIRED,
    FLATTEN,
    HIGHEST,
    IN_FLIGHT,
    LIMIT,
    LOG_BARS,
    LOG_DAYS,
    LOWEST,
    MARKET,
    MAX_NOTICES,
    MAX_STREAMS,
    NEVER,
    NO_ASK,
    NO_BID,
    ON_BAR,
    ON_FILL,
    ON_QUOTE,
    ON_SESSION,
    ON_TRADE,
    OPEN,
    OPEN_BEFORE_PAUSE,
    ORDER,
    QUEUE,
    SESSION_BARS,
    SESSION_END,
    STOP_LIMIT,
    TOUCH,
    TRAILING,
)
from pxresearch.core.risk import (
    ceiling_level,
    check,
    flatten_contract,
    floor_level,
    press_flatten,
    watch,
    watch_losses,
)

MINUTE = 60_000_000_000


# ------------------------------------------------------------------ hooks and what they ask for
@compiled
def decide(S, X, k, n, ts):
    """Act on the first n signals that a hook of contract k returned at ts."""
    for i in range(n):
        s = S.signal[i]
        if s.contract < 0:
            s.contract = k
        if s.contract >= S.contracts_n:
            log_refusal(X, ts, s.contract, s, BAD_CONTRACT, s.contract, S.contracts_n)
        elif s.kind == ORDER:
            check(S, X, s, ts)
        elif s.kind == CANCEL:
            cancel_entries(S, X, s.contract, s.tag, BY_STRATEGY, ts)
        elif s.kind == FLATTEN:
            flatten_contract(S, X, s.contract, BY_STRATEGY, ts)
            S.dirty = 2
    S.dirty = max(S.dirty, 1)


@compiled
def hook(S, X, which, function, k, a, b, c, d, ts):
    """Call one hook of the strategy and act on its answer."""
    if function == 0 or X.failed != 0:
        return
    status, n = call_hook(function, address_of(X), k, a, b, c, d, S.contract[k].seen)
    if status != 0:
        X.failed = 1
        X.failed_hook = which
        X.failed_at = ts
    elif n > 0:
        decide(S, X, k, n, ts)


@compiled
def hook_one(S, X, which, function, k, ts, a, b, c, d):
    """Call `on_quote` or `on_trade` for one event, as a stretch of one in the spare stream."""
    if function == 0 or X.failed != 0:
        return
    X.one_ts = ts
    X.one_a = a
    X.one_b = b
    X.one_c = c
    X.one_d = d
    status, answer = call_hook(
        function, address_of(X), k, 0, 1, MAX_STREAMS, NEVER, S.contract[k].seen
    )
    if status != 0:
        X.failed = 1
        X.failed_hook = which
        X.failed_at = ts
    elif answer != 0:
        decide(S, X, k, answer & 0xFF, ts)


@compiled
def finish_bar(S, X, k, f, end, ts):
    """Close one bar of contract k, keep it if wanted, and show it to the strategy."""
    c = S.contract[k]
    close_bar(c, f, end)
    if X.bars_wanted != 0:
        row = log_row(X, LOG_BARS, BARROW_T)
        row.contract = k
        row.frame = f
        row.bar = c.done_bar
    hook(S, X, ON_BAR, X.on_bar, k, f, ts, 0, 0, ts)


@compiled
def deliver(S, X, ts):
    """Tell the strategy of the fills whose notice has arrived by ts."""
    while S.notice_count > 0:
        first = S.notices[S.notice_head]
        if first.due > ts:
            return
        S.notice_ev = first
        S.notice_head = (S.notice_head + 1) % MAX_NOTICES
        S.notice_count -= 1
        k = S.notice_ev.contract
        S.contract[k].seen = S.notice_ev.position
        S.dirty = 1
        hook(S, X, ON_FILL, X.on_fill, k, 0, 0, 0, 0, ts)


# ------------------------------------------------------------------ timers
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


# ------------------------------------------------------------------ market events
@compiled
def _begin(S, X, k, ts):
    """Timers and session before an event; False when the event is dropped."""
    if ts >= S.timer_ts:
        advance(S, X, ts)
    S.now = ts
    c = S.contract[k]
    if c.in_session == 0:
        S.dropped += 1
        if S.dirty != 0:
            rebound(S)
        return False
    S.events += 1
    S.day_events += 1
    S.seq += 1
    c.event_ts = ts
    if S.cancels > 0:
        cancels_due(S, X, k, ts)
    return True


@compiled
def _judge(S, X, k, ts):
    """Account and watch after matching; flat and without a fill, nothing has changed."""
    if S.open_contracts == 0 and S.judged == S.fills_made:
        return
    S.judged = S.fills_made
    observe(S, S.contract[k])
    watch(S, X, ts)
    if S.rules.loss_count > 0:
        watch_losses(S, X, ts)


@compiled
def _end(S, X, k):
    """After the hooks: press on with a flatten, and work out what may happen next."""
    if S.contract[k].flattening != 0:
        press_flatten(S, X, k, S.now)
    if S.dirty != 0:
        rebound(S)


@compiled
def _complete_bars(S, X, k, ts):
    """Take the run in and finish the tick, volume and range bars that the event completes."""
    if S.frames_n == 0:
        return
    c = S.contract[k]
    for f in range(S.frames_n):
        if c.frames[f].count == 0:  # a bar begins: its end becomes a timer
            S.dirty = 1
    take_run(S, c, ts)
    for f in range(S.frames_n):
        if is_full(c.frames[f]):
            finish_bar(S, X, k, f, ts, ts)
            S.dirty = 1


@compiled
def quote_event(S, X, k, ts, bid, ask, bid_sz, ask_sz):
    """A quote, through the whole chain."""
    if not _begin(S, X, k, ts):
        return
    c = S.contract[k]
    c.bid = bid
    c.ask = ask
    c.bid_sz = bid_sz
    c.ask_sz = ask_sz
    c.quote_ts = ts
    if c.mark_trades == 0:
        if bid != NO_BID:
            c.mark_bid = bid
        if ask != NO_ASK:
            c.mark_ask = ask
        set_mark(c)
    S.avail_buy = ask_sz
    S.avail_sell = bid_sz
    match_event(S, X, k, ts, False)
    _judge(S, X, k, ts)
    if c.has_trades == 0 and bid != NO_BID and ask != NO_ASK and S.frames_n > 0:
        mid = bid + ask
        run_add(c, mid, mid, mid, mid, 0, 1)
    deliver(S, X, ts)
    if c.has_trades == 0:
        _complete_bars(S, X, k, ts)
    hook_one(S, X, ON_QUOTE, X.on_quote, k, ts, bid, ask, bid_sz, ask_sz)
    _end(S, X, k)


@compiled
def _set_last(S, c, ts, price, size, side):
    c.last = price
    c.last_sz = size
    c.last_side = side
    c.last_ts = ts
    if c.mark_trades != 0:
        c.mark_bid = price
        c.mark_ask = price
        set_mark(c)
    S.avail_buy = size
    S.avail_sell = size


@compiled
def trade_event(S, X, k, ts, price, size, side):
    """A trade, through the whole chain."""
    if not _begin(S, X, k, ts):
        return
    c = S.contract[k]
    _set_last(S, c, ts, price, size, side)
    match_event(S, X, k, ts, True)
    _judge(S, X, k, ts)
    if S.frames_n > 0:
        run_add(c, 2 * price, 2 * price, 2 * price, 2 * price, size, 1)
    deliver(S, X, ts)
    _complete_bars(S, X, k, ts)
    hook_one(S, X, ON_TRADE, X.on_trade, k, ts, price, size, side, 0)
    _end(S, X, k)


@compiled
def bar_event(S, X, k, open_ts, ts, open_, high, low, close, volume):
    """A bar of data that has nothing finer: open, range, close (docs/engine.md section 5)."""
    if open_ts >= S.timer_ts:
        advance(S, X, open_ts)
    c = S.contract[k]
    if c.in_session != 0 and c.past_flatten == 0 and c.session.flatten_at < ts:
        reach_flatten_time(S, X, k, open_ts)
    if not _begin(S, X, k, open_ts):
        S.now = ts
        return
    _set_last(S, c, open_ts, open_, HIGHEST, 0)
    match_event(S, X, k, open_ts, True)
    _judge(S, X, k, open_ts)
    S.seq += 1
    c.event_ts = ts
    match_range(S, X, k, open_, low, high, ts)
    adverse = low if c.position > 0 else high
    if c.position != 0:
        c.mark_bid = adverse
        c.mark_ask = adverse
        set_mark(c)
        _judge(S, X, k, ts)
    _set_last(S, c, ts, close, HIGHEST, 0)
    _judge(S, X, k, ts)
    if S.frames_n > 0:
        run_add(c, 2 * open_, 2 * high, 2 * low, 2 * close, volume, 1)
        take_run(S, c, open_ts)
    deliver(S, X, ts)
    _complete_bars(S, X, k, ts)
    S.dirty = 1
    S.now = ts
    _end(S, X, k)


# ------------------------------------------------------------------ what the next event can do
@compiled
def shut(c):
    """Let every event of the contract take the complete path."""
    c.bid_lo = HIGHEST
    c.px_lo = HIGHEST


@compiled
def rebound(S):
    """Levels and instant inside which an event can only extend bars and extremes."""
    S.dirty = 0
    soonest = next_timer(S)
    S.timer_ts = soonest
    for k in range(S.contracts_n):
        c = S.contract[k]
        c.bid_lo = NO_BID
        c.bid_hi = HIGHEST
        c.ask_lo = LOWEST
        c.ask_hi = NO_ASK
        c.px_lo = LOWEST
        c.px_hi = HIGHEST
        quiet = c.in_session != 0 and c.flattening == 0 and c.bars_only == 0 and S.look_closely == 0
        if c.position != 0:
            quiet = quiet and S.open_contracts == 1 and c.seg_on != 0
            _bound_equity(S, c)
        if not quiet:
            shut(c)
        elif S.frames_n > 0 and not bars_at_rest(S, c):
            c.px_lo = HIGHEST
            if c.has_trades == 0:
                c.bid_lo = HIGHEST
    for i in range(S.live_n):
        o = S.order[S.live[i]]
        soonest = min(soonest, o.cancel_at)
        if o.status == IN_FLIGHT:
            soonest = min(soonest, o.active_from)
        else:
            _bound_order(S, S.contract[o.contract], o)
    S.next_ts = soonest


@compiled
def _bound_equity(S, c):
    """Marks at which a limit of the account would act on the one open position."""
    unit = float(abs(c.position) * c.tick_value)
    base = c.value_at_entry * c.tick_value - S.balance
    # A float division is quick and wrong by far less than a tick: one tick of room makes it safe.
    low = math.floor((floor_level(S) + base) / unit) + 1
    high = math.ceil((ceiling_level(S) + base) / unit) - 1
    by_trade = c.mark_trades != 0
    if c.position > 0:
        if by_trade:
            c.px_lo = max(c.px_lo, low)
            c.px_hi = min(c.px_hi, high)
        else:
            c.bid_lo = max(c.bid_lo, low)
            c.bid_hi = min(c.bid_hi, high)
    elif by_trade:
        c.px_hi = min(c.px_hi, -low)
        c.px_lo = max(c.px_lo, -high)
    else:
        c.ask_hi = min(c.ask_hi, -low)
        c.ask_lo = max(c.ask_lo, -high)


@compiled
def _bound_order(S, c, o):
    """Levels at which a working order could do something."""
    if o.kind == MARKET or (o.triggered != 0 and o.kind != STOP_LIMIT):
        shut(c)
    elif o.kind == LIMIT or o.triggered != 0:
        _bound_limit(S, c, o)
    else:
        by_quote = c.has_trades == 0 or (c.quote_stops != 0 and c.has_quotes != 0)
        if o.side > 0:
            high, low = o.stop, (o.best - 1 if o.kind == TRAILING else LOWEST)
        else:
            low, high = o.stop, (o.best + 1 if o.kind == TRAILING else HIGHEST)
        if o.kind == TRAILING and o.best == LOWEST:
            shut(c)
        elif not by_quote:
            c.px_hi = min(c.px_hi, high)
            c.px_lo = max(c.px_lo, low)
        elif o.side > 0:
            c.ask_hi = min(c.ask_hi, high)
            c.ask_lo = max(c.ask_lo, low)
        else:
            c.bid_lo = max(c.bid_lo, low)
            c.bid_hi = min(c.bid_hi, high)


@compiled
def _bound_limit(S, c, o):
    needed = 0 if S.fill.limit_fill == TOUCH else 1
    at_trade = 0 if S.fill.limit_fill == QUEUE else needed
    if o.side > 0:
        c.ask_lo = max(c.ask_lo, o.limit - needed)
        c.px_lo = max(c.px_lo, o.limit - at_trade)
        if o.ahead == UNKNOWN_QUEUE:
            c.bid_lo = max(c.bid_lo, o.limit)
    else:
        c.bid_hi = min(c.bid_hi, o.limit + needed)
        c.px_hi = min(c.px_hi, o.limit + at_trade)
        if o.ahead == UNKNOWN_QUEUE:
            c.ask_hi = min(c.ask_hi, o.limit)

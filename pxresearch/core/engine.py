"""One event through the whole chain: timers, match, account, watch, bars, hooks, check.

docs/engine.md section 1 is the specification. `quote_event`, `trade_event` and `bar_event` are the
complete path; core/bounds.py says when the replay loop may leave it out.

I/O: none
"""

from __future__ import annotations

from pxresearch.core.account import observe, set_mark
from pxresearch.core.bars import (
    is_full,
    run_add,
    take_run,
)
from pxresearch.core.bounds import (
    rebound,
)
from pxresearch.core.calls import (
    deliver,
    finish_bar,
    hook_one,
)
from pxresearch.core.jit import (
    compiled,
)
from pxresearch.core.matching import match_event
from pxresearch.core.orders import cancels_due
from pxresearch.core.ranges import match_range
from pxresearch.core.records import (
    HIGHEST,
    NO_ASK,
    NO_BID,
    ON_QUOTE,
    ON_TRADE,
)
from pxresearch.core.risk import (
    press_flatten,
    watch,
    watch_losses,
)
from pxresearch.core.timers import (
    advance,
    reach_flatten_time,
)

# ------------------------------------------------------------------ hooks and what they ask for


# ------------------------------------------------------------------ timers


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

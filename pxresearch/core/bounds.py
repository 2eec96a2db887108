"""Levels and an instant inside which the next event can only extend bars and extremes.

The replay loop leaves the complete path out there, which is where its speed comes from. Levels may
be too narrow, which costs time; they are never too wide, which would cost exactness.

I/O: none
"""

from __future__ import annotations

import math

from pxresearch.core.bars import (
    bars_at_rest,
)
from pxresearch.core.exposure import ceiling_level, floor_level
from pxresearch.core.jit import (
    compiled,
)
from pxresearch.core.records import (
    HIGHEST,
    IN_FLIGHT,
    LIMIT,
    LOWEST,
    MARKET,
    NO_ASK,
    NO_BID,
    QUEUE,
    STOP_LIMIT,
    TOUCH,
    TRAILING,
    UNKNOWN_QUEUE,
)
from pxresearch.core.timers import (
    next_timer,
)


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

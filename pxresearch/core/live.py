"""What a venue says of our orders, and what the outside may demand, as events of the fold.

Live, a venue fills the orders: `at_venue` switches the matching off, and its fills, refusals and
changes come in here, through the same account, bracket and watch as any other fill. An order is
named by its id; a fill of no order of ours (traded by hand in the platform) has id 0 and makes one.

Commands only take away: they halt, block, flatten and tighten. The one that gives back (`REARM`)
lifts the kill switch and nothing else, and `GAP` only tells.

I/O: none
"""

from __future__ import annotations

from pxresearch.core.account import observe
from pxresearch.core.bounds import rebound
from pxresearch.core.brackets import fill
from pxresearch.core.calls import deliver, hook
from pxresearch.core.jit import compiled
from pxresearch.core.logs import log_risk
from pxresearch.core.orders import end_order, new_order
from pxresearch.core.records import (
    ACCOUNT_IS,
    BLOCK,
    BY_HAND,
    DAILY_LOSS_LIMIT,
    ENTRY,
    FLATTEN_NOW,
    GAP,
    HALT,
    LOWEST,
    MARKET,
    NEVER,
    NO_CAUSE,
    NUMBER_FROM,
    ON_GAP,
    ORDER_QTY,
    OVERFILLED,
    REARM,
    REJECTED,
    SIZE_TENTHS,
    TIGHTEN,
    WORKING,
)
from pxresearch.core.risk import flatten_all, flatten_contract, press_flatten, watch, watch_losses
from pxresearch.core.timers import advance


@compiled
def _reach(S, X, ts):
    """Let the timers up to ts fire; time never goes back."""
    if ts >= S.timer_ts:
        advance(S, X, ts)
    S.now = max(S.now, ts)
    S.seq += 1
    return S.now


@compiled
def _settle(S, X, ts):
    """Account, limits and notices after what a venue or a command has changed."""
    for k in range(S.contracts_n):
        observe(S, S.contract[k])
    S.judged = S.fills_made
    watch(S, X, ts)
    if S.rules.loss_count > 0:
        watch_losses(S, X, ts)
    deliver(S, X, ts)
    for k in range(S.contracts_n):
        press_flatten(S, X, k, ts)
    rebound(S)


@compiled
def _slot_of(S, order_id):
    """Slot of a live order; -1 if it lives no longer."""
    for i in range(S.live_n):
        if S.order[S.live[i]].id == order_id:
            return S.live[i]
    return -1


@compiled
def venue_fill(S, X, k, ts, order_id, qty, price, number):
    """A fill at the venue; what exceeds the order, or has none, makes one: OVERFILLED or BY_HAND.

    `number` is the venue's own of the fill, negative for a sale, so that the input alone says which
    fill it was.
    """
    ts = _reach(S, X, ts)
    side = 1 if number > 0 else -1
    slot = _slot_of(S, order_id)
    ours = 0
    if slot >= 0:
        ours = min(qty, S.order[slot].qty - S.order[slot].filled)
        if ours > 0:
            S.order[slot].status = WORKING
            fill(S, X, slot, ours, price, ts, 0, 0, 0)
    if ours < qty:
        slot = new_order(S, k, side, qty - ours, MARKET, ENTRY, ts)
        if S.overflow == 0:
            S.order[slot].status = WORKING
            S.order[slot].cause = BY_HAND if order_id == 0 else OVERFILLED
            fill(S, X, slot, qty - ours, price, ts, 0, 0, 0)
    _settle(S, X, ts)


@compiled
def venue_ack(S, X, ts, order_id):
    """The venue has the order."""
    _reach(S, X, ts)
    slot = _slot_of(S, order_id)
    if slot >= 0:
        S.order[slot].status = WORKING
    rebound(S)


@compiled
def venue_end(S, X, ts, order_id, status):
    """An order has ended at the venue without (another) fill."""
    ts = _reach(S, X, ts)
    slot = _slot_of(S, order_id)
    if slot >= 0:
        o = S.order[slot]
        cause = BY_HAND  # nobody here asked for it
        if o.cancel_at != NEVER:
            cause = o.cancel_cause
        elif status == REJECTED:
            cause = NO_CAUSE
        end_order(S, X, slot, status, cause, ts)
    _settle(S, X, ts)


@compiled
def venue_change(S, X, ts, order_id, qty, limit, stop):
    """An order has another quantity (0: the same) or price (LOWEST: the same) at the venue."""
    _reach(S, X, ts)
    slot = _slot_of(S, order_id)
    if slot >= 0:
        o = S.order[slot]
        if qty > o.filled:
            o.qty = qty
        if limit != LOWEST:
            o.limit = limit
        if stop != LOWEST:
            o.stop = stop
    rebound(S)


@compiled
def _tighten(S, which, value):
    """Make a limit tighter; a looser one is passed over."""
    rules = S.rules
    if which == DAILY_LOSS_LIMIT:
        if value > 0 and (rules.has_daily_loss == 0 or value < rules.daily_loss):
            rules.daily_loss = value
            rules.has_daily_loss = 1
    elif which == ORDER_QTY:
        if value > 0 and (rules.max_order_qty == 0 or value < rules.max_order_qty):
            rules.max_order_qty = value
    elif which == SIZE_TENTHS and value > 0:
        if rules.max_tenths == 0 or value < rules.max_tenths:
            rules.max_tenths = value
        if S.cap_tenths == 0 or value < S.cap_tenths:
            S.cap_tenths = value


@compiled
def _account_is(S, balance, day_start, level):
    """The venue's account at the start: balance, the day's first balance, maximum loss level."""
    S.balance = balance
    S.start_balance = balance - S.realized + S.costs
    S.day_start = day_start
    S.level = level
    S.last_balance = balance
    S.last_sample = balance
    S.peak = balance
    S.day_peak = max(day_start, balance)
    S.day_min = min(day_start, balance)
    S.day_max = max(day_start, balance)
    S.low = balance
    S.high = balance
    S.min_room = balance - level


@compiled
def command(S, X, k, ts, what, b, c, d):
    """Do what is demanded.

    HALT, b the cause; REARM; BLOCK, b the bits; FLATTEN_NOW, k or -1 for all, b the cause;
    TIGHTEN, b which, c its value; ACCOUNT_IS, b balance, c the day's first, d the maximum loss
    level, micro-dollars; NUMBER_FROM, b the last order number that may have been used; GAP, b
    since when market data of k is missing, c until when: for the strategy to know.
    """
    ts = _reach(S, X, ts)
    if what == HALT:
        if S.halted == 0:
            log_risk(X, ts, b, -1, 1, 0)
        S.halted = 1
        flatten_all(S, X, b, ts)
    elif what == REARM:
        S.halted = 0
        S.same_n = 0
    elif what == BLOCK:
        S.blocked = b
    elif what == FLATTEN_NOW:
        if k < 0:
            flatten_all(S, X, b, ts)
        else:
            flatten_contract(S, X, k, b, ts)
    elif what == TIGHTEN:
        _tighten(S, b, c)
    elif what == ACCOUNT_IS:
        _account_is(S, b, c, d)
    elif what == NUMBER_FROM:
        S.orders_made = max(S.orders_made, b)
    elif what == GAP:
        hook(S, X, ON_GAP, X.on_gap, k, b, c, 0, 0, ts)
    _settle(S, X, ts)

"""Order slots: making, ending and cancelling orders, and writing each down when it has ended.

The life of an order: in flight → working → filled, canceled or expired. A slot is free again when
the order has ended; `live` lists the slots in use in the order of their ids.

I/O: none
"""

from __future__ import annotations

from pxresearch.core.jit import ORDER_T, compiled, i8_at
from pxresearch.core.logs import log_row
from pxresearch.core.records import (
    BY_STRATEGY,
    CANCELED,
    ENTRY,
    FREE,
    IN_FLIGHT,
    LOG_ORDERS,
    LOWEST,
    MAX_ORDERS,
    NEVER,
    TARGET,
)

ASKED = NEVER - 1  # a cancel that ends when the venue says so


@compiled
def clear_orders(S):
    """Make every slot free; for a new engine."""
    S.live_n = 0
    S.free_n = MAX_ORDERS
    for i in range(MAX_ORDERS):
        S.order[i].status = FREE
        S.free[i] = MAX_ORDERS - 1 - i


@compiled
def new_order(S, k, side, qty, kind, role, ts):
    """Take a slot for a new order with the next id; returns the slot."""
    if S.free_n == 0:
        S.overflow = 1
        return 0
    S.free_n -= 1
    slot = S.free[S.free_n]
    S.live[S.live_n] = slot
    S.live_n += 1
    S.orders_made += 1
    S.contract[k].orders += 1
    if role == ENTRY:
        _count_entry(S.contract[k], side, 1)
    elif role != TARGET:
        S.contract[k].urgent += 1
    o = S.order[slot]
    o.id = S.orders_made
    o.parent = 0
    o.contract = k
    o.side = side
    o.kind = kind
    o.role = role
    o.status = IN_FLIGHT
    o.triggered = 0
    o.qty = qty
    o.filled = 0
    o.limit = LOWEST
    o.stop = LOWEST
    o.trail = 0
    o.best = LOWEST
    o.ahead = 0
    o.tag = 0
    o.decided = ts
    o.active_from = ts
    o.cancel_at = NEVER
    o.born = S.seq
    o.visited = 0
    o.cause = BY_STRATEGY
    o.value = 0
    o.bracket = 0
    o.trailing_stop = 0
    o.stop_ticks = 0
    o.target_ticks = 0
    o.stop_loss = LOWEST
    o.take_profit = LOWEST
    S.dirty = 1
    return slot


@compiled
def _count_entry(c, side, step):
    if side > 0:
        c.buying += step
    else:
        c.selling += step


@compiled
def delay(X, order_id):
    """Feed plus entry latency of an order, ns."""
    return sample_at(X.feed, X.feed_n, order_id) + sample_at(X.entry, X.entry_n, order_id)


@compiled
def sample_at(address, n, number):
    """Sample of a delay for the number-th order or fill, counted from 1."""
    if n == 1:  # a 64-bit division costs more than all the rest
        return i8_at(address, 0)
    return i8_at(address, (number - 1) % n)


@compiled
def end_order(S, X, slot, status, cause, ts):
    """End an order: write its row, free its slot."""
    o = S.order[slot]
    write_order(X, o, status, cause, ts)
    o.status = FREE
    S.contract[o.contract].orders -= 1
    if o.role == ENTRY:
        _count_entry(S.contract[o.contract], o.side, -1)
    elif o.role != TARGET:
        S.contract[o.contract].urgent -= 1
    if o.cancel_at != NEVER:
        S.cancels -= 1
    i = 0
    while S.live[i] != slot:
        i += 1
    for j in range(i, S.live_n - 1):
        S.live[j] = S.live[j + 1]
    S.live_n -= 1
    S.free[S.free_n] = slot
    S.free_n += 1
    S.dirty = 1


@compiled
def write_order(X, o, status, cause, ts):
    """Write an order's row with the given status."""
    row = log_row(X, LOG_ORDERS, ORDER_T)
    row.id = o.id
    row.parent = o.parent
    row.contract = o.contract
    row.side = o.side
    row.kind = o.kind
    row.role = o.role
    row.status = status
    row.cause = cause
    row.qty = o.qty
    row.filled = o.filled
    row.limit = o.limit
    row.stop = o.stop
    row.trail = o.trail
    row.stop_ticks = o.stop_ticks
    row.target_ticks = o.target_ticks
    row.tag = o.tag
    row.decided = o.decided
    row.active_from = o.active_from
    row.ended = ts
    row.value = o.value


@compiled
def ask_cancel(S, X, slot, cause, ts):
    """Ask the venue to cancel an order; returns True when it ended at once.

    `ts` is past the clock only while a bar is worked off; other contracts are not there yet.
    Live, it ends when the venue says so.
    """
    o = S.order[slot]
    c = S.contract[o.contract]
    if S.at_venue != 0:
        if o.cancel_at == NEVER:
            o.cancel_at = ASKED
            o.cancel_cause = cause
            S.cancels += 1
            S.asked += 1
            S.dirty = 1
        return False
    wait = 0 if c.bars_only != 0 else delay(X, o.id)
    if wait == 0 and (ts <= S.now or ts <= c.event_ts):
        end_order(S, X, slot, CANCELED, cause, ts)
        return True
    if o.cancel_at == NEVER:
        o.cancel_at = ts + wait
        S.cancels += 1
        S.next_ts = min(S.next_ts, o.cancel_at)
        o.cancel_cause = cause
        S.dirty = 1
    return False


@compiled
def cancel_entries(S, X, k, tag, cause, ts):
    """Ask to cancel the entry orders of contract k with this tag; 0 stands for all."""
    i = 0
    while i < S.live_n:
        slot = S.live[i]
        o = S.order[slot]
        wanted = o.contract == k and o.role == ENTRY and (tag == 0 or o.tag == tag)
        if wanted and ask_cancel(S, X, slot, cause, ts):
            continue
        i += 1


@compiled
def cancels_due(S, X, k, ts):
    """Let cancels of contract k that have reached the venue take effect."""
    if S.at_venue != 0:
        return
    i = 0
    while i < S.live_n:
        slot = S.live[i]
        o = S.order[slot]
        if o.contract == k and o.cancel_at <= ts:
            end_order(S, X, slot, CANCELED, o.cancel_cause, ts)
            continue
        i += 1


@compiled
def expire_orders(S, X, k, status, cause, ts):
    """End every order of contract k: its session is over. Live, ask the venue to."""
    i = 0
    while i < S.live_n:
        slot = S.live[i]
        if S.at_venue != 0:
            if S.order[slot].contract == k:
                ask_cancel(S, X, slot, cause, ts)
        elif S.order[slot].contract == k:
            end_order(S, X, slot, status, cause, ts)
            continue
        i += 1

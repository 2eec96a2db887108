"""A fill and what it brings about: account, bracket, siblings, log, notice.

Every fill goes through `fill`. Protective orders only reduce, and their quantity never exceeds the
position: docs/engine.md section 4.

I/O: none
"""

from __future__ import annotations

from pxresearch.core.account import apply_fill
from pxresearch.core.jit import FILL_T, compiled
from pxresearch.core.logs import log_row
from pxresearch.core.orders import end_order, new_order, sample_at
from pxresearch.core.records import (
    CANCELED,
    ENTRY,
    EXIT,
    FILLED,
    LIMIT,
    LOG_FILLS,
    LOWEST,
    MAX_NOTICES,
    NO_ASK,
    NO_BID,
    POSITION_CLOSED,
    QUEUE,
    SIBLING_FILLED,
    STOP,
    STOP_LOSS,
    TARGET,
    TRAILING,
    UNKNOWN_QUEUE,
    WORKING,
)


@compiled
def fill(S, X, slot, qty, price, ts, slipped, in_range, ambiguous):
    """Fill `qty` of an order at `price`: account, bracket, siblings, log, notice."""
    o = S.order[slot]
    k = o.contract
    c = S.contract[k]
    S.fills_made += 1
    S.day_fills += 1
    realized, opened, unsure = apply_fill(S, X, k, o, qty, price, ts, in_range, ambiguous)
    o.filled += qty
    o.value += qty * price
    row = log_row(X, LOG_FILLS, FILL_T)
    row.ts = ts
    row.order = o.id
    row.contract = k
    row.side = o.side
    row.qty = qty
    row.price = price
    row.cost = qty * c.cost
    row.realized = realized
    row.position = c.position
    row.role = o.role
    row.cause = o.cause
    row.slippage = slipped
    row.ambiguous = unsure
    row.seq = S.seq
    _queue_notice(S, X, o, qty, price, ts)
    if opened > 0 and o.bracket != 0:
        _grow_children(S, X, slot, opened, price, ts)
    if o.role == STOP_LOSS or o.role == TARGET:
        _shrink_sibling(S, X, slot, qty, ts)
    if o.filled >= o.qty:
        end_order(S, X, slot, FILLED, o.cause, ts)
    if opened < qty:
        _trim_children(S, X, k, ts)
    S.dirty = 1


@compiled
def _queue_notice(S, X, o, qty, price, ts):
    """Remember to tell the strategy of a fill, when its notice has arrived."""
    if S.notice_count == MAX_NOTICES:
        S.overflow = 1
        return
    notice = S.notices[(S.notice_head + S.notice_count) % MAX_NOTICES]
    S.notice_count += 1
    n = S.fills_made
    notice.due = ts
    if S.contract[o.contract].bars_only == 0:
        notice.due += sample_at(X.feed, X.feed_n, n) + sample_at(X.ack, X.ack_n, n)
    if S.notice_count > 1:  # notices arrive in the order of the fills
        before = S.notices[(S.notice_head + S.notice_count - 2) % MAX_NOTICES]
        notice.due = max(notice.due, before.due)
    notice.ts = ts
    notice.contract = o.contract
    notice.side = o.side
    notice.qty = qty
    notice.price = price
    notice.position = S.contract[o.contract].position
    notice.order = o.id
    notice.tag = o.tag
    notice.role = o.role


@compiled
def join_queue(S, c, o):
    """Where a limit order stands when it joins: behind the displayed size, if it is at the best."""
    near = c.bid if o.side > 0 else c.ask
    size = c.bid_sz if o.side > 0 else c.ask_sz
    if near == o.limit:
        o.ahead = size
    elif near == NO_BID or near == NO_ASK or (o.limit - near) * o.side > 0:
        o.ahead = 0
    else:
        o.ahead = UNKNOWN_QUEUE


@compiled
def _grow_children(S, X, slot, opened, price, ts):
    """Create the bracket of an entry at its first opening fill, enlarge it at later ones."""
    o = S.order[slot]
    found = False
    for i in range(S.live_n):
        child = S.order[S.live[i]]
        if child.parent == o.id:
            child.qty += opened
            found = True
    if found:
        return
    if o.stop_ticks > 0 or o.stop_loss != LOWEST:
        j = new_order(S, o.contract, -o.side, opened, STOP, STOP_LOSS, ts)
        stop = S.order[j]
        stop.parent = o.id
        stop.tag = o.tag
        stop.status = WORKING
        stop.stop = price - o.side * o.stop_ticks if o.stop_ticks > 0 else o.stop_loss
        if o.trailing_stop != 0:
            stop.kind = TRAILING
            stop.trail = o.stop_ticks
            stop.best = price
    if o.target_ticks > 0 or o.take_profit != LOWEST:
        j = new_order(S, o.contract, -o.side, opened, LIMIT, TARGET, ts)
        target = S.order[j]
        target.parent = o.id
        target.tag = o.tag
        target.status = WORKING
        target.limit = price + o.side * o.target_ticks if o.target_ticks > 0 else o.take_profit
        if S.fill.limit_fill == QUEUE:
            join_queue(S, S.contract[o.contract], target)


@compiled
def _reduce(S, X, slot, qty, cause, ts):
    """Take qty off a protective order; cancel it at nothing left."""
    o = S.order[slot]
    o.qty -= qty
    if o.qty <= o.filled:
        end_order(S, X, slot, CANCELED, cause, ts)


@compiled
def _shrink_sibling(S, X, slot, qty, ts):
    """One leg of a bracket filled: the other one gives up the same quantity."""
    o = S.order[slot]
    for i in range(S.live_n):
        j = S.live[i]
        other = S.order[j]
        if j != slot and other.parent == o.parent:
            _reduce(S, X, j, qty, SIBLING_FILLED, ts)
            return


@compiled
def _trim_children(S, X, k, ts):
    """Keep protective quantity within the position, taking off the oldest bracket first."""
    c = S.contract[k]
    total = 0
    last_parent = -1
    for i in range(S.live_n):
        o = S.order[S.live[i]]
        child = o.role == STOP_LOSS or o.role == TARGET
        if o.contract == k and child and c.position * o.side < 0 and o.parent != last_parent:
            total += o.qty - o.filled
            last_parent = o.parent
    held = abs(c.position)
    i = 0
    while i < S.live_n:
        slot = S.live[i]
        o = S.order[slot]
        i += 1
        if o.contract != k or o.role == ENTRY:
            continue
        if c.position * o.side >= 0:  # flat or reversed: it protects nothing
            end_order(S, X, slot, CANCELED, POSITION_CLOSED, ts)
            i -= 1
        elif o.role != EXIT and total > held:
            parent = o.parent
            cut = min(total - held, o.qty - o.filled)
            total -= cut
            i = 0
            j = 0
            while j < S.live_n:
                other = S.live[j]
                if S.order[other].parent == parent:
                    before = S.live_n
                    _reduce(S, X, other, cut, POSITION_CLOSED, ts)
                    if S.live_n < before:
                        continue
                j += 1

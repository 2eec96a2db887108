"""Orders against the range of a bar, where nothing finer is known: docs/engine.md section 5.

I/O: none
"""

from __future__ import annotations

from pxresearch.core.brackets import (
    fill,
)
from pxresearch.core.jit import compiled
from pxresearch.core.matching import rank_of
from pxresearch.core.records import (
    HIGHEST,
    LIMIT,
    MARKET,
    STOP_LIMIT,
    STOP_LOSS,
    TARGET,
    TOUCH,
    TRAILING,
    WORKING,
)


@compiled
def _bar_stop(S, X, slot, low, high, ts):
    """A stop meets the range of a bar: it fills at its own price plus slippage."""
    o = S.order[slot]
    reached = high >= o.stop if o.side > 0 else low <= o.stop
    if not reached:
        return
    if o.kind == STOP_LIMIT:
        o.triggered = 1
        _bar_limit(S, X, slot, low, high, ts)
        return
    price = o.stop + o.side * S.fill.slippage
    fill(S, X, slot, o.qty - o.filled, price, ts, S.fill.slippage, 1, _other_leg(S, o, low, high))


@compiled
def _other_leg(S, o, low, high):
    """1 when the bar that fills this bracket leg could have filled the other one as well."""
    if o.role != STOP_LOSS and o.role != TARGET:
        return 0
    needed = 0 if S.fill.limit_fill == TOUCH else 1
    for i in range(S.live_n):
        other = S.order[S.live[i]]
        if other.parent == o.parent and other.id != o.id:
            if other.role == TARGET:
                gone = high - other.limit if other.side < 0 else other.limit - low
                return 1 if gone >= needed else 0
            return 1 if (high >= other.stop if other.side > 0 else low <= other.stop) else 0
    return 0


@compiled
def _bar_limit(S, X, slot, low, high, ts):
    """A limit meets the range of a bar: through or touch, at its own price."""
    o = S.order[slot]
    beyond = o.limit - low if o.side > 0 else high - o.limit
    needed = 0 if S.fill.limit_fill == TOUCH else 1
    if beyond >= needed:
        fill(S, X, slot, o.qty - o.filled, o.limit, ts, 0, 1, _other_leg(S, o, low, high))


@compiled
def _protect_in_range(S, X, k, seq, low, high, ts):
    """Stops that were born in this bar's range meet the same range: the pessimistic reading."""
    i = 0
    while i < S.live_n:
        slot = S.live[i]
        o = S.order[slot]
        i += 1
        if o.contract == k and o.role == STOP_LOSS and o.born == seq and o.visited != seq:
            o.visited = seq
            _bar_stop(S, X, slot, low, high, ts)
            i = 0


@compiled
def _next_in_range(S, k, seq, open_, rank):
    """Slot of the order to visit next in the range phase, or -1."""
    best = -1
    nearest = HIGHEST
    for i in range(S.live_n):
        slot = S.live[i]
        o = S.order[slot]
        if o.contract != k or o.born >= seq or o.visited == seq or o.status != WORKING:
            continue
        if o.kind == MARKET or rank_of(o.role) != rank:
            continue
        if rank < 2:
            return slot
        price = o.limit if o.kind == LIMIT or o.triggered != 0 else o.stop
        if abs(price - open_) < nearest:
            nearest = abs(price - open_)
            best = slot
    return best


@compiled
def match_range(S, X, k, open_, low, high, ts):
    """The range phase of a bar event; the open phase was an ordinary trade event before it."""
    if S.contract[k].orders == 0:
        return
    for rank in range(1, 3):
        while True:
            slot = _next_in_range(S, k, S.seq, open_, rank)
            if slot < 0:
                break
            o = S.order[slot]
            o.visited = S.seq
            if o.kind == LIMIT or (o.kind == STOP_LIMIT and o.triggered != 0):
                _bar_limit(S, X, slot, low, high, ts)
            else:
                _bar_stop(S, X, slot, low, high, ts)
            _protect_in_range(S, X, k, S.seq, low, high, ts)
    for i in range(S.live_n):
        o = S.order[S.live[i]]
        if o.contract == k and o.kind == TRAILING and o.status == WORKING:
            best = low if o.side > 0 else high
            if o.born < S.seq and (o.best - best) * o.side > 0:
                o.best = best
                o.stop = best + o.side * o.trail

"""The core's matching and account for a venue of orders: one fill at a time.

A venue has rules of its own for what a fill brings about (which orders belong together, what is
told to whom), so here matching stops after each fill. Orders are entries without a bracket; when an
order fills, and what the fill does to the account, is `core.matching` and `core.account`.

I/O: none
"""

from __future__ import annotations

from pxresearch.core.jit import ENGINE_T, WIRES_T, compiled, entry, record_at
from pxresearch.core.matching import ready, visit
from pxresearch.core.orders import clear_orders, end_order, new_order
from pxresearch.core.records import (
    CANCELED,
    ENTRY,
    HIGHEST,
    LOG_FILLS,
    LOG_ORDERS,
    LOG_TRADES,
    MAX_LOTS,
    NEVER,
    NO_ASK,
    NO_BID,
    WORKING,
)

# What the venue can be told to do.
OPEN, QUOTE, TRADE, NEXT, ADD, ARRIVE, REMOVE = range(7)


@compiled
def _open(S):
    """Set a new engine up: no orders, the balance it starts with, no market."""
    clear_orders(S)
    S.sample_at = NEVER
    S.balance = S.start_balance
    for k in range(S.contracts_n):
        c = S.contract[k]
        c.bid = NO_BID
        c.ask = NO_ASK
        c.last = HIGHEST


@compiled
def _quote(S, k, ts, bid, ask, bid_sz, ask_sz):
    """A quote becomes the present event of contract k."""
    c = S.contract[k]
    S.seq += 1
    S.now = ts
    c.event_ts = ts
    c.bid = bid
    c.ask = ask
    c.bid_sz = bid_sz
    c.ask_sz = ask_sz
    S.avail_buy = ask_sz
    S.avail_sell = bid_sz


@compiled
def _trade(S, k, ts, price, size, side):
    """A trade becomes the present event of contract k."""
    c = S.contract[k]
    S.seq += 1
    S.now = ts
    c.event_ts = ts
    c.last = price
    c.last_sz = size
    c.last_side = side
    S.avail_buy = size
    S.avail_sell = size


@compiled
def _may_fill(S, o):
    """Whether the account has room for the lot that a fill of this order could open."""
    c = S.contract[o.contract]
    return c.lot_count < MAX_LOTS or o.side * c.position < 0


@compiled
def _next(S, X, k, ts, on_trade):
    """Match orders of contract k against its present event until one fills; 0 when none does."""
    before = S.fills_made
    i = 0
    while i < S.live_n:
        slot = S.live[i]
        o = S.order[slot]
        i += 1
        if ready(o, k, S.seq, ts) and _may_fill(S, o):
            o.visited = S.seq
            visit(S, X, slot, ts, on_trade != 0)
            if S.fills_made != before:
                return 1
    return 0


@compiled
def _arrive(S, X, slot, ts):
    """An order reaches the venue and meets the standing quote; 1 when it fills."""
    o = S.order[slot]
    before = S.fills_made
    o.visited = S.seq
    if _may_fill(S, o):
        visit(S, X, slot, ts, False)
    return 1 if S.fills_made != before else 0


@compiled
def _add(S, k, ts, side, qty, kind, resting):
    """Make an order; returns its slot. A resting one is at the venue already."""
    slot = new_order(S, k, side, qty, kind, ENTRY, ts)
    if resting != 0:
        S.order[slot].status = WORKING
    return slot


@entry("int64(int64, int64, int64, int64, int64, int64, int64, int64, int64)", prebuilt="venue")
def venue(engine_address, wires_address, what, k, ts, a, b, c, d):
    """The one entry to the compiled venue; a call drops the log rows of the call before.

    what
        OPEN; QUOTE (bid, ask, sizes) and TRADE (price, size, side), which make an event and match
        nothing; NEXT (a: on a trade), again and again until it returns 0; ADD (side, quantity,
        kind, d: resting), which returns a slot; ARRIVE and REMOVE (a: slot).
    """
    S = record_at(engine_address, ENGINE_T)
    X = record_at(wires_address, WIRES_T)
    X.log_n[LOG_FILLS] = 0
    X.log_n[LOG_TRADES] = 0
    X.log_n[LOG_ORDERS] = 0
    S.notice_count = 0
    if what == QUOTE:
        _quote(S, k, ts, a, b, c, d)
    elif what == TRADE:
        _trade(S, k, ts, a, b, c)
    elif what == NEXT:
        return _next(S, X, k, ts, a)
    elif what == ADD:
        return _add(S, k, ts, a, b, c, d)
    elif what == ARRIVE:
        return _arrive(S, X, a, ts)
    elif what == REMOVE:
        end_order(S, X, a, CANCELED, 0, ts)
    else:
        _open(S)
    return 0

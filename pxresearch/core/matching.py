"""When an order fills: the rules of docs/engine.md sections 3 to 5, each written once.

Replay and paper both call `match_event`. An order is a slot of the engine record; live slots are
visited in the order of their ids, flatten orders and protective stops first. What a fill brings
about is in core/brackets.py, bars alone are in core/ranges.py.

I/O: none
"""

from __future__ import annotations

from pxresearch.core.brackets import (
    fill,
    join_queue,
)
from pxresearch.core.jit import compiled
from pxresearch.core.records import (
    EXIT,
    HIGHEST,
    IN_FLIGHT,
    LIMIT,
    LOWEST,
    MARKET,
    NO_ASK,
    NO_BID,
    QUEUE,
    STOP_LIMIT,
    STOP_LOSS,
    TOUCH,
    TRAILING,
    UNKNOWN_QUEUE,
    WORKING,
)


@compiled
def taker_price(c, side, on_trade):
    """Price at which a market order of this side fills on the event; side * HIGHEST if none."""
    if c.has_quotes == 0:
        return c.last
    quote = c.ask if side > 0 else c.bid
    if quote == NO_ASK or quote == NO_BID:
        return side * HIGHEST
    if on_trade:
        return max(quote, c.last) if side > 0 else min(quote, c.last)
    return quote


# ------------------------------------------------------------------ what a fill brings about


# ------------------------------------------------------------------ one order against one event
@compiled
def _offered(S, side, wanted):
    """How much of `wanted` the event still offers this side; all of it without partial fills."""
    if S.fill.partial == 0:
        return wanted
    return min(wanted, S.avail_buy if side > 0 else S.avail_sell)


@compiled
def _use(S, side, qty):
    """Take the filled quantity off what the event offers."""
    if side > 0:
        S.avail_buy -= qty
    else:
        S.avail_sell -= qty


@compiled
def _take(S, X, slot, price, ts, slip):
    """Fill at the market; `slip` ticks against us, never beyond the limit of a limit order."""
    o = S.order[slot]
    if price == o.side * HIGHEST:
        return
    qty = _offered(S, o.side, o.qty - o.filled)
    if o.role == EXIT:
        qty = min(qty, max(0, -o.side * S.contract[o.contract].position))
    if qty > 0:
        _use(S, o.side, qty)
        fill(S, X, slot, qty, price + o.side * slip, ts, slip, 0, 0)


@compiled
def _arrive_limit(S, X, slot, ts):
    """A limit order reaches the venue: taken at once if marketable, else it rests."""
    o = S.order[slot]
    c = S.contract[o.contract]
    side = o.side
    if c.has_quotes != 0:
        quote = c.ask if side > 0 else c.bid
        marketable = quote != NO_ASK and quote != NO_BID and (o.limit - quote) * side >= 0
    else:
        quote = c.last
        inside = (o.limit - quote) * side
        marketable = inside > 0 or (inside == 0 and S.fill.limit_fill == TOUCH)
    if marketable:
        _take(S, X, slot, quote, ts, 0)
    if S.fill.limit_fill == QUEUE and o.status == WORKING:
        join_queue(S, c, o)


@compiled
def _rest_limit(S, X, slot, ts, on_trade):
    """A resting limit order meets an event."""
    o = S.order[slot]
    c = S.contract[o.contract]
    side = o.side
    if on_trade:
        price = c.last
    else:
        if S.fill.limit_fill == QUEUE and o.ahead == UNKNOWN_QUEUE:
            join_queue(S, c, o)
        price = c.ask if side > 0 else c.bid
        if price == NO_ASK or price == NO_BID:
            return
    beyond = (o.limit - price) * side  # ticks by which the event is past our limit
    left = o.qty - o.filled
    if S.fill.limit_fill == QUEUE:
        if beyond == 0 and on_trade and o.ahead != UNKNOWN_QUEUE:
            excess = c.last_sz - o.ahead
            o.ahead = max(0, -excess)
            if excess > 0:
                wanted = left if S.fill.partial == 0 else min(left, excess)
                _fill_resting(S, X, slot, _offered(S, side, wanted), ts)
            return
    needed = 0 if S.fill.limit_fill == TOUCH else 1
    if beyond >= needed:
        _fill_resting(S, X, slot, _offered(S, side, left), ts)


@compiled
def _fill_resting(S, X, slot, qty, ts):
    o = S.order[slot]
    if o.role == EXIT:
        qty = min(qty, abs(S.contract[o.contract].position))
    if qty > 0:
        _use(S, o.side, qty)
        fill(S, X, slot, qty, o.limit, ts, 0, 0, 0)


@compiled
def _reference(c, side, on_trade):
    """The price that triggers a stop of this side on this event; -side * HIGHEST if none does."""
    by_quote = c.has_trades == 0 or (c.quote_stops != 0 and c.has_quotes != 0)
    if by_quote != (not on_trade):
        return -side * HIGHEST
    if on_trade:
        return c.last
    price = c.ask if side > 0 else c.bid
    if price == NO_ASK or price == NO_BID:
        return -side * HIGHEST
    return price


@compiled
def _stop_triggers(S, o, c, on_trade):
    """Judge, and for a trailing stop move, the trigger of a stop order."""
    price = _reference(c, o.side, on_trade)
    if price == -o.side * HIGHEST:
        return False
    if o.kind == TRAILING:
        if o.best == LOWEST or (o.best - price) * o.side > 0:
            o.best = price
            o.stop = price + o.side * o.trail
            S.dirty = 1
            return False
    return (price - o.stop) * o.side >= 0


@compiled
def visit(S, X, slot, ts, on_trade):
    """Match one order against the present event of its contract."""
    o = S.order[slot]
    c = S.contract[o.contract]
    arriving = o.status == IN_FLIGHT
    if arriving:
        o.status = WORKING
    if o.kind == MARKET:
        _take(S, X, slot, taker_price(c, o.side, on_trade), ts, S.fill.slippage)
    elif o.kind == LIMIT or (o.kind == STOP_LIMIT and o.triggered != 0):
        if arriving:
            _arrive_limit(S, X, slot, ts)
        else:
            _rest_limit(S, X, slot, ts, on_trade)
    elif o.triggered != 0 or _stop_triggers(S, o, c, on_trade):
        o.triggered = 1
        S.dirty = 1
        if o.kind == STOP_LIMIT:
            _arrive_limit(S, X, slot, ts)
        else:
            _take(S, X, slot, taker_price(c, o.side, on_trade), ts, S.fill.slippage)


@compiled
def ready(o, k, seq, ts):
    """Whether an order of contract k can meet the present event."""
    if o.contract != k or o.born >= seq or o.visited == seq:
        return False
    return o.status == WORKING or (o.status == IN_FLIGHT and o.active_from <= ts)


@compiled
def rank_of(role):
    """Flatten orders first, then protective stops, then the rest."""
    if role == EXIT:
        return 0
    return 1 if role == STOP_LOSS else 2


@compiled
def match_event(S, X, k, ts, on_trade):
    """Match every order of contract k against its present event, each at most once."""
    if S.contract[k].orders == 0 or S.at_venue != 0:
        return
    for rank in range(0 if S.contract[k].urgent > 0 else 2, 3):
        i = 0
        while i < S.live_n:
            slot = S.live[i]
            o = S.order[slot]
            if rank_of(o.role) == rank and ready(o, k, S.seq, ts):
                o.visited = S.seq
                before, made = S.live_n, S.orders_made
                visit(S, X, slot, ts, on_trade)
                if S.live_n != before or S.orders_made != made:
                    i = 0
                    continue
            i += 1


# ------------------------------------------------------------------ bars alone

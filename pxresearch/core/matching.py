"""When an order fills: the rules of docs/engine.md sections 3 to 5, each written once.

Replay and paper both call `match_event`. An order is a slot of the engine record; live slots are
visited in the order of their ids, flatten orders and protective stops first. A fill goes through
`fill` alone: it books the account, keeps siblings and protective quantity right, and writes it down.

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
    HIGHEST,
    IN_FLIGHT,
    LIMIT,
    LOG_FILLS,
    LOWEST,
    MARKET,
    MAX_NOTICES,
    NO_ASK,
    NO_BID,
    POSITION_CLOSED,
    QUEUE,
    SIBLING_FILLED,
    STOP,
    STOP_LIMIT,
    STOP_LOSS,
    TARGET,
    TOUCH,
    TRAILING,
    WORKING,
)

UNKNOWN_QUEUE = -1  # our limit is behind the best price: nobody knows yet what stands ahead


@compiled
def taker_price(c, side, on_trade):
    """Price at which a market order of this side fills on the present event; side * HIGHEST if none."""
    if c.has_quotes == 0:
        return c.last
    quote = c.ask if side > 0 else c.bid
    if quote == NO_ASK or quote == NO_BID:
        return side * HIGHEST
    if on_trade:
        return max(quote, c.last) if side > 0 else min(quote, c.last)
    return quote


# ------------------------------------------------------------------ what a fill brings about
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
def _join_queue(S, c, o):
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
            _join_queue(S, S.contract[o.contract], target)


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


# ------------------------------------------------------------------ one order against one event
@compiled
def _offered(S, side, wanted):
    """How much of `wanted` the event still offers to this side (all of it without partial fills)."""
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
        _join_queue(S, c, o)


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
            _join_queue(S, c, o)
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
def _visit(S, X, slot, ts, on_trade):
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
def _ready(o, k, seq, ts):
    """Whether an order of contract k can meet the present event."""
    if o.contract != k or o.born >= seq or o.visited == seq:
        return False
    return o.status == WORKING or (o.status == IN_FLIGHT and o.active_from <= ts)


@compiled
def _rank(role):
    """Flatten orders first, then protective stops, then the rest."""
    if role == EXIT:
        return 0
    return 1 if role == STOP_LOSS else 2


@compiled
def match_event(S, X, k, ts, on_trade):
    """Match every order of contract k against its present event, each at most once."""
    if S.contract[k].orders == 0:
        return
    for rank in range(0 if S.contract[k].urgent > 0 else 2, 3):
        i = 0
        while i < S.live_n:
            slot = S.live[i]
            o = S.order[slot]
            if _rank(o.role) == rank and _ready(o, k, S.seq, ts):
                o.visited = S.seq
                before, made = S.live_n, S.orders_made
                _visit(S, X, slot, ts, on_trade)
                if S.live_n != before or S.orders_made != made:
                    i = 0
                    continue
            i += 1


# ------------------------------------------------------------------ bars alone
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
        if o.kind == MARKET or _rank(o.role) != rank:
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

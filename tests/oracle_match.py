"""The oracle's fill rules: sections 3, 4 and 5 of docs/engine.md."""

from __future__ import annotations

from tests.oracle_types import (
    CLOSED,
    ENTRY,
    EXIT,
    IN_FLIGHT,
    LIMIT,
    SIBLING,
    STOP,
    STOP_LIMIT,
    STOP_LOSS,
    TARGET,
    TRAILING,
    WORKING,
    Quote,
    Trade,
)

STOP_KINDS = (STOP, STOP_LIMIT, TRAILING)


def rank(order):
    """Flatten orders, protective stops, the rest; within each by id."""
    classes = {EXIT: 0, STOP_LOSS: 1}
    return classes.get(order.role, 2), order.id


# ---------------------------------------------------------------- prices of an event
def opposite(state, side):
    """Standing quote that an order of this side would take."""
    return state.ask if side > 0 else state.bid


def taker_price(state, event, side):
    """Price at which a market order fills on this event; None: it waits."""
    if isinstance(event, Quote):
        return opposite(state, side)
    if not state.spec.has_quotes:
        return event.price
    quote = opposite(state, side)
    if quote is None:
        return None
    return max(event.price, quote) if side > 0 else min(event.price, quote)


def trigger_price(engine, state, event, side):
    """What of this event can trigger a stop of this side; None: nothing."""
    by_quote = state.spec.has_quotes and (
        not state.spec.has_trades or engine.fill_model.stop_trigger == "quote"
    )
    if isinstance(event, Quote):
        return opposite(state, side) if by_quote else None
    return None if by_quote else event.price


class Offer:
    """Quantity an event has for us, each side on its own; None is any."""

    def __init__(self, engine, event):
        self.left = {1: None, -1: None}
        if not engine.fill_model.partial:
            return
        if isinstance(event, Quote):
            self.left = {
                1: event.ask_sz if event.ask is not None else 0,
                -1: event.bid_sz if event.bid is not None else 0,
            }
        elif not event.from_bar:
            self.left = {1: event.size, -1: event.size}

    def take(self, side, wanted):
        if self.left[side] is None:
            return wanted
        quantity = min(wanted, self.left[side])
        self.left[side] -= quantity
        return quantity


# ---------------------------------------------------------------- a tick event
def match_tick(engine, state, event):
    """The contract's orders against a quote, a trade, or the open of a bar."""
    offer = Offer(engine, event)
    for order in sorted(engine.live(event.contract), key=rank):
        if not order.live or not arrive(order, event.ts):
            continue
        visit(engine, state, order, event, offer)
        order.arrived_now = False


def arrive(order, by):
    """Whether the order is at the venue for this event; marks the arrival itself."""
    if order.status == IN_FLIGHT:
        if order.active_from > by:
            return False
        order.status, order.arrived_now = WORKING, True
    return True


def visit(engine, state, order, event, offer):
    arriving = order.arrived_now
    if order.kind in STOP_KINDS and not order.triggered:
        if not triggers(engine, state, order, event):
            return
        order.triggered = True
        arriving = True
    if order.kind in (LIMIT, STOP_LIMIT):
        if arriving:
            limit_arrives(engine, state, order, event, offer)
        else:
            limit_rests(engine, state, order, event, offer)
        return
    price = taker_price(state, event, order.side)
    if price is not None:
        slip = engine.fill_model.slippage
        price += order.side * slip
        execute(engine, order, offer, order.left, price, event.ts, slip=slip)


def triggers(engine, state, order, event):
    price = trigger_price(engine, state, event, order.side)
    if price is None:
        return False
    if order.kind == TRAILING and ratchet(order, price):
        return False
    return order.stop is not None and order.side * (price - order.stop) >= 0


def ratchet(order, price):
    """Move a trailing stop after a new best reference; returns whether it was one."""
    if order.best is not None and order.side * (price - order.best) >= 0:
        return False
    order.best = price
    order.stop = price + order.side * order.trail
    return True


def limit_arrives(engine, state, order, event, offer):
    """Marketable at once, or it joins the book."""
    mode = engine.fill_model.limit_fill
    if state.spec.has_quotes:
        price = opposite(state, order.side)
        fills = price is not None and order.side * (order.limit - price) >= 0
    else:
        price = event.price
        inside = order.side * (order.limit - price)
        fills = inside > 0 or (inside == 0 and mode == "touch")
    if fills:
        execute(engine, order, offer, order.left, price, event.ts)
    if order.live:
        join_queue(engine, state, order)


def join_queue(engine, state, order):
    """Size ahead of a limit that joins now: None while it is unknown."""
    if not state.spec.has_quotes:
        return
    best = state.bid if order.side > 0 else state.ask
    shown = state.bid_sz if order.side > 0 else state.ask_sz
    order.ahead = size_ahead(order, best, shown)


def size_ahead(order, best, shown):
    if best is None or order.side * (order.limit - best) > 0:
        return 0
    return shown if best == order.limit else None


def limit_rests(engine, state, order, event, offer):
    mode = engine.fill_model.limit_fill
    queue = mode == "queue" and state.spec.has_quotes
    if isinstance(event, Quote):
        if queue and order.ahead is None:
            join_queue(engine, state, order)
        price = opposite(state, order.side)
    else:
        price = event.price
    if price is None:
        return
    beyond = order.side * (order.limit - price)
    if beyond > 0 or (beyond == 0 and mode == "touch"):
        execute(engine, order, offer, order.left, order.limit, event.ts)
    elif beyond == 0 and queue and isinstance(event, Trade):
        wait_in_queue(engine, order, event, offer)


def wait_in_queue(engine, order, event, offer):
    """A trade at our price eats what stood ahead; what exceeds it fills us."""
    if order.ahead is None:
        return
    excess = event.size - order.ahead
    order.ahead = max(0, order.ahead - event.size)
    if excess > 0:
        wanted = min(order.left, excess) if engine.fill_model.partial else order.left
        execute(engine, order, offer, wanted, order.limit, event.ts)


# ---------------------------------------------------------------- a fill and what follows from it
def execute(engine, order, offer, wanted, price, ts, in_range=False, other_leg=False, slip=0):
    """Fill up to `wanted`; reduce-only orders at most the open position."""
    state = engine.states[order.contract]
    if order.role != ENTRY:
        wanted = min(wanted, max(0, -order.side * state.position))
    quantity = offer.take(order.side, wanted) if offer else wanted
    if not quantity:
        return
    before = state.position
    opened = engine.book(order, quantity, price, ts, in_range, other_leg, slip)
    if order.child:
        shrink_sibling(engine, order, quantity, ts)
    after_position(engine, order, before, ts)
    if opened and order.role == ENTRY and order.bracketed:
        grow_children(engine, order, opened, price, ts, in_range)


def shrink_sibling(engine, order, quantity, ts):
    for other in engine.live(order.contract):
        if other.child and other.parent == order.parent and other is not order:
            shrink(engine, other, quantity, ts, SIBLING)


def shrink(engine, order, quantity, ts, cause):
    order.qty -= min(quantity, order.left)
    if not order.left:
        engine.end(order, "canceled", cause, ts)


def after_position(engine, order, before, ts):
    """Children and flatten orders never exceed the position they are there for."""
    state = engine.states[order.contract]
    position = state.position
    if position == 0 or position * before < 0:
        for other in engine.live(order.contract):
            stale = other.child or (other.role == EXIT and other.side * position >= 0)
            if stale:
                engine.end(other, "canceled", CLOSED, ts)
    elif not order.child and abs(position) < abs(before):
        shrink_groups(engine, order.contract, abs(position), ts)


def shrink_groups(engine, contract, position, ts):
    groups = {}
    for child in engine.live(contract):
        if child.child:
            groups.setdefault(child.parent, []).append(child)
    sizes = {parent: max(c.left for c in group) for parent, group in groups.items()}
    excess = sum(sizes.values()) - position
    for parent in groups:  # in the order in which the brackets were made
        if excess <= 0:
            return
        cut = min(excess, sizes[parent])
        excess -= cut
        for child in groups[parent]:
            shrink(engine, child, cut, ts, CLOSED)


def grow_children(engine, entry, opened, price, ts, in_range):
    """When both children are gone, a later fill makes new ones, from its own price."""
    mine = [o for o in engine.live(entry.contract) if o.child and o.parent == entry.id]
    if mine:
        for child in mine:
            child.qty += opened
        return
    stop = entry.stop_loss
    if entry.stop_ticks:
        stop = price - entry.side * entry.stop_ticks
    if stop is not None:
        make_stop(engine, entry, opened, price, stop, ts, in_range)
    target = entry.take_profit
    if entry.target_ticks:
        target = price + entry.side * entry.target_ticks
    if target is not None:
        child = engine.make(
            entry.contract, -entry.side, LIMIT, TARGET, opened, ts,
            parent=entry.id, limit=target, tag=entry.tag, in_range=in_range,
        )  # fmt: skip
        join_queue(engine, engine.states[entry.contract], child)


def make_stop(engine, entry, opened, price, stop, ts, in_range):
    trailing = entry.trailing_stop
    child = engine.make(
        entry.contract, -entry.side, TRAILING if trailing else STOP, STOP_LOSS, opened, ts,
        parent=entry.id, stop=stop, tag=entry.tag, in_range=in_range,
    )  # fmt: skip
    if trailing:
        child.best, child.trail = price, abs(price - stop)


# ---------------------------------------------------------------- bars alone
def match_open(engine, state, bar):
    """The open phase: an ordinary trade of any size."""
    match_tick(engine, state, Trade(bar.contract, bar.open_ts, bar.open, from_bar=True))


def match_range(engine, state, bar):
    """The range phase, for orders older than it."""
    old = engine.orders[-1].id if engine.orders else 0
    waiting = [o for o in engine.live(bar.contract) if o.status == WORKING]
    for order in sorted(waiting, key=lambda o: range_rank(o, bar)):
        if order.live:
            visit_range(engine, order, bar)
            meet_new_stops(engine, bar, old)
    for order in engine.live(bar.contract):
        trails = order.kind == TRAILING and not order.triggered and order.status == WORKING
        if trails and not order.in_range:
            ratchet(order, bar.low if order.side > 0 else bar.high)
        order.in_range = False
    for lot in state.lots:
        lot.in_range = False


def range_rank(order, bar):
    """As in a tick event, but the rest nearest to the open first."""
    first, ident = rank(order)
    if first < 2:
        return first, 0, ident
    price = order.limit if order.kind == LIMIT or order.triggered else order.stop
    return first, abs((bar.open if price is None else price) - bar.open), ident


def meet_new_stops(engine, bar, old):
    """Stops that this range's fills created meet the same range at once."""
    for order in engine.live(bar.contract):
        if order.live and order.id > old and order.role == STOP_LOSS:
            range_stop(engine, order, bar)


def visit_range(engine, order, bar):
    if order.kind in (STOP, TRAILING):
        range_stop(engine, order, bar)
    elif order.kind == LIMIT or order.triggered:
        range_limit(engine, order, bar)
    elif order.kind == STOP_LIMIT and reached(order, bar):
        range_stop_limit(engine, order, bar)


def reached(order, bar):
    far = bar.high if order.side > 0 else bar.low
    return order.stop is not None and order.side * (far - order.stop) >= 0


def range_stop(engine, order, bar):
    if reached(order, bar):
        order.triggered = True
        slip = engine.fill_model.slippage
        price = order.stop + order.side * slip
        other = leg_reached(engine, order, bar)
        execute(engine, order, None, order.left, price, bar.ts, True, other, slip)


def range_stop_limit(engine, order, bar):
    """Triggered inside the range it is a limit like any other there."""
    order.triggered = True
    range_limit(engine, order, bar)


def range_limit(engine, order, bar):
    if limit_reached(engine, order, bar):
        other = leg_reached(engine, order, bar)
        execute(engine, order, None, order.left, order.limit, bar.ts, True, other)


def limit_reached(engine, order, bar):
    best = bar.low if order.side > 0 else bar.high
    beyond = order.side * (order.limit - best)
    return beyond > 0 or (beyond == 0 and engine.fill_model.limit_fill == "touch")


def leg_reached(engine, order, bar):
    """Whether this bar's range could also have filled the other leg of a bracket."""
    if not order.child:
        return False
    for other in engine.live(order.contract):
        if other.child and other.parent == order.parent and other is not order:
            if other.role == TARGET:
                return limit_reached(engine, other, bar)
            return reached(other, bar)
    return False

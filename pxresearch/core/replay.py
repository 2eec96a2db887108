"""The loop over arrays: streams of quotes, trades and bars, merged by time, through the engine.

Inside the levels that `engine.rebound` worked out, an event is *quiet*: it costs a few comparisons
and the extremes of the open position and the running bar (core/quiet.py). The strategy's hook is
called for a whole quiet stretch at once; it comes back with the first event it wants to act on.
All other events take the complete path. The result is the same as if all did.

I/O: none
"""

from __future__ import annotations

from pxresearch.core.account import equity, set_mark
from pxresearch.core.bounds import rebound
from pxresearch.core.brackets import fill
from pxresearch.core.calendar import load_day
from pxresearch.core.calls import decide
from pxresearch.core.engine import bar_event, quote_event, trade_event
from pxresearch.core.jit import (
    ENGINE_T,
    WIRES_T,
    address_of,
    call_hook,
    compiled,
    entry,
    i1_at,
    i4_at,
    i8_at,
    record_at,
)
from pxresearch.core.live import command, venue_ack, venue_change, venue_end, venue_fill
from pxresearch.core.orders import clear_orders, expire_orders, new_order, write_order
from pxresearch.core.quiet import (
    quiet_quotes,
    quiet_trades,
    run_of_quotes,
    run_of_trades,
    take_segment,
)
from pxresearch.core.records import (
    BARS,
    BEGIN,
    CANCELED,
    CLOCK,
    COMMAND,
    DONE,
    DRAIN,
    END_OF_DATA,
    EXIT,
    GO,
    HIGHEST,
    HOOK_FAILED,
    LOWEST,
    MARKET,
    NEVER,
    NO_ASK,
    NO_BID,
    ON_QUOTE,
    ON_TRADE,
    OVERFLOW,
    QUOTES,
    TRADES,
    VENUE_ACK,
    VENUE_CHANGE,
    VENUE_END,
    VENUE_FILL,
    WORKING,
)
from pxresearch.core.risk import press_flatten
from pxresearch.core.timers import advance, choose_tier, sample, write_day

LOOK = 1024  # events scanned ahead of a hook in plain Python


@compiled
def _halted(S, X):
    """Whether the loop must stop after the event just done."""
    return (X.failed | S.overflow | X.drain) != 0


@compiled
def _take_quotes(S, X, c, q, i):
    """Write back what the quiet quotes from index i, as scanned, did to the contract."""
    j = X.found_end
    bid = i4_at(q.a, j - 1)
    ask = i4_at(q.b, j - 1)
    c.bid = bid
    c.ask = ask
    c.bid_sz = i4_at(q.c, (j - 1) & q.size_mask)
    c.ask_sz = i4_at(q.d, (j - 1) & q.size_mask)
    c.quote_ts = i8_at(q.ts, j - 1)
    c.event_ts = c.quote_ts
    S.now = c.quote_ts
    S.events += j - i
    S.day_events += j - i
    if c.mark_trades == 0:
        c.mark_bid = bid
        c.mark_ask = ask
        set_mark(c)
        if c.position != 0:
            take_segment(S, c, q.a if c.position > 0 else q.b, i, j)
    if c.has_trades == 0 and S.frames_n > 0:
        run_of_quotes(c, q, i, j)
    q.at = j


@compiled
def _quotes_stretch(S, X, function, c, q, k, i, stop_ts, stream):
    """Go through quiet quotes from index i, calling the hook if there is one: (status, signals)."""
    if function == 0:
        X.found_end = quiet_quotes(c, q, i, q.n, stop_ts)
        return 0, 0
    if X.plain_hooks == 0:
        return call_hook(function, address_of(X), k, i, q.n, stream, stop_ts, c.seen)
    end = quiet_quotes(c, q, i, min(q.n, i + LOOK), stop_ts)
    X.found_end = end
    if end == i:
        return 0, 0
    status, answer = call_hook(function, address_of(X), k, i, end, stream, stop_ts, c.seen)
    if answer != 0:
        X.found_end = answer >> 8
    return status, answer & 0xFF


@compiled
def _quotes(S, X, q, limit, stream):
    """Go through quotes of one stream while their time is before `limit`; at least one."""
    k = q.contract
    c = S.contract[k]
    start = q.at
    while q.at < q.n:
        i = q.at
        status, signals = _quotes_stretch(
            S, X, X.on_quote, c, q, k, i, min(S.next_ts, limit), stream
        )
        quiet = X.found_end
        if status != 0:
            _fail(X, ON_QUOTE, i8_at(q.ts, quiet))
            return
        if quiet > i:
            _take_quotes(S, X, c, q, i)
        if signals != 0:
            _answer(S, X, k, signals)
            if _halted(S, X):
                return
            continue
        if quiet == q.n:
            return
        t = i8_at(q.ts, quiet)
        if t >= limit and quiet > start:
            return
        q.at = quiet + 1
        s = quiet & q.size_mask
        quote_event(S, X, k, t, i4_at(q.a, quiet), i4_at(q.b, quiet), i4_at(q.c, s), i4_at(q.d, s))
        if _halted(S, X):
            return


@compiled
def _fail(X, which, ts):
    """A hook raised on the event at ts."""
    X.failed = 1
    X.failed_hook = which
    X.failed_at = ts


@compiled
def _answer(S, X, k, signals):
    """Act on what a hook answered inside the quiet loop."""
    decide(S, X, k, signals, S.now)
    if S.dirty > 1:
        press_flatten(S, X, k, S.now)
        rebound(S)


@compiled
def _take_trades(S, X, c, q, i):
    """Write back what the quiet trades from index i, as scanned, did to the contract."""
    j = X.found_end
    price = i4_at(q.a, j - 1)
    c.last = price
    c.last_sz = i4_at(q.b, j - 1)
    c.last_side = i1_at(q.c, j - 1)
    c.last_ts = i8_at(q.ts, j - 1)
    c.event_ts = c.last_ts
    S.now = c.last_ts
    S.events += j - i
    S.day_events += j - i
    if c.mark_trades != 0:
        c.mark_bid = price
        c.mark_ask = price
        set_mark(c)
        if c.position != 0:
            take_segment(S, c, q.a, i, j)
    if S.frames_n > 0:
        run_of_trades(c, q, i, j)
    q.at = j


@compiled
def _trades_stretch(S, X, function, c, q, k, i, stop_ts, stream):
    """Go through quiet trades from index i, calling the hook if there is one: (status, signals)."""
    if function == 0:
        X.found_end = quiet_trades(c, q, i, q.n, stop_ts)
        return 0, 0
    if X.plain_hooks == 0:
        return call_hook(function, address_of(X), k, i, q.n, stream, stop_ts, c.seen)
    end = quiet_trades(c, q, i, min(q.n, i + LOOK), stop_ts)
    X.found_end = end
    if end == i:
        return 0, 0
    status, answer = call_hook(function, address_of(X), k, i, end, stream, stop_ts, c.seen)
    if answer != 0:
        X.found_end = answer >> 8
    return status, answer & 0xFF


@compiled
def _trades(S, X, q, limit, stream):
    """Go through trades of one stream while their time is before `limit`; at least one."""
    k = q.contract
    c = S.contract[k]
    start = q.at
    while q.at < q.n:
        i = q.at
        status, signals = _trades_stretch(
            S, X, X.on_trade, c, q, k, i, min(S.next_ts, limit), stream
        )
        quiet = X.found_end
        if status != 0:
            _fail(X, ON_TRADE, i8_at(q.ts, quiet))
            return
        if quiet > i:
            _take_trades(S, X, c, q, i)
        if signals != 0:
            _answer(S, X, k, signals)
            if _halted(S, X):
                return
            continue
        if quiet == q.n:
            return
        t = i8_at(q.ts, quiet)
        if t >= limit and quiet > start:
            return
        q.at = quiet + 1
        trade_event(S, X, k, t, i4_at(q.a, quiet), i4_at(q.b, quiet), i1_at(q.c, quiet))
        if _halted(S, X):
            return


@compiled
def _bars(S, X, q):
    """One bar of data."""
    i = q.at
    q.at = i + 1
    bar_event(
        S, X, q.contract, i8_at(q.open_ts, i), i8_at(q.ts, i), i4_at(q.a, i), i4_at(q.b, i),
        i4_at(q.c, i), i4_at(q.d, i), i8_at(q.volume, i),
    )  # fmt: skip


@compiled
def _precedes(p, q):
    """Whether stream p's next event comes before stream q's, p standing before q in the list."""
    if p.next_ts != q.next_ts:
        return p.next_ts < q.next_ts
    if p.contract == q.contract and p.seq != 0 and q.seq != 0:
        return i8_at(p.seq, p.at) <= i8_at(q.seq, q.at)
    return True


@compiled
def _look_ahead(q):
    """Time of a stream's next event: a bar counts from its open."""
    if q.at >= q.n:
        q.next_ts = NEVER
    else:
        q.next_ts = i8_at(q.open_ts if q.kind == BARS else q.ts, q.at)


@compiled
def _begin(S, X):
    """Set a new engine to the first day of its calendar."""
    clear_orders(S)
    S.dup_ts = NEVER
    S.sample_at = NEVER
    for k in range(S.contracts_n):
        c = S.contract[k]
        c.bid = NO_BID
        c.ask = NO_ASK
        c.last = HIGHEST
        c.mark_bid = LOWEST
        c.mark_ask = LOWEST
        for f in range(S.frames_n):
            c.frames[f].end = NEVER
    S.balance = S.start_balance
    S.day_start = S.balance
    S.level = S.balance - S.rules.max_loss
    S.last_sample = S.balance
    S.last_balance = S.balance
    S.peak = S.balance
    S.day_peak = S.balance
    S.day_min = S.balance
    S.day_max = S.balance
    S.low = S.balance
    S.high = S.balance
    S.min_room = S.rules.max_loss
    choose_tier(S)
    load_day(S, X, 0)
    rebound(S)


@compiled
def _go(S, X):
    """Go through the streams in the wires until they end or the loop must stop."""
    for j in range(X.streams_n):
        _look_ahead(X.stream[j])
    while not _halted(S, X):
        best = -1
        for j in range(X.streams_n):
            if X.stream[j].next_ts != NEVER and (
                best < 0 or not _precedes(X.stream[best], X.stream[j])
            ):
                best = j
        if best < 0:
            return
        limit = NEVER
        for j in range(X.streams_n):
            if j != best:
                limit = min(limit, X.stream[j].next_ts)
        q = X.stream[best]
        if q.kind == QUOTES:
            _quotes(S, X, q, limit, best)
        elif q.kind == TRADES:
            _trades(S, X, q, limit, best)
        else:
            _bars(S, X, q)
        _look_ahead(q)


@compiled
def _finish(S, X, close):
    """End of the data: run what is due, close positions at their marks if asked, write the rest."""
    advance(S, X, S.now)
    if close != 0:
        for k in range(S.contracts_n):
            expire_orders(S, X, k, CANCELED, END_OF_DATA, S.now)
            c = S.contract[k]
            if c.position != 0 and c.marked != 0:
                side = -1 if c.position > 0 else 1
                slot = new_order(S, k, side, abs(c.position), MARKET, EXIT, S.now)
                S.order[slot].cause = END_OF_DATA
                S.order[slot].status = WORKING
                fill(S, X, slot, abs(c.position), c.mark, S.now, 0, 0, 0)
    sample(S, X, S.now)
    if S.open_contracts > 0:
        S.day_in_market += S.now - S.in_since
    if S.day_events > 0 or S.day_fills > 0:
        write_day(S, X, equity(S))
    for i in range(S.live_n):
        o = S.order[S.live[i]]
        write_order(X, o, o.status, 0, S.now)


@entry("int64(int64, int64, int64, int64, int64, int64, int64, int64, int64)", prebuilt="engine")
def drive(engine_address, wires_address, what, k, ts, a, b, c, d):
    """The one entry to the compiled engine.

    what
        BEGIN, GO (on with the streams in the wires), FINISH (a: close positions), or one live
        event: a quote (bid, ask, sizes), a trade (price, size, side), CLOCK: let timers fire up
        to ts; of an order (a: its id) VENUE_FILL (quantity, price, side), VENUE_ACK, VENUE_END
        (status), VENUE_CHANGE (quantity, limit, stop); COMMAND (a: which, and its own values).

    Returns
    -------
    DONE, DRAIN (empty the logs and call again), HOOK_FAILED or OVERFLOW.
    """
    S = record_at(engine_address, ENGINE_T)
    X = record_at(wires_address, WIRES_T)
    if what == GO:
        _go(S, X)
    elif what == QUOTES:
        quote_event(S, X, k, ts, a, b, c, d)
    elif what == TRADES:
        trade_event(S, X, k, ts, a, b, c)
    elif what == CLOCK:
        advance(S, X, ts)
        S.now = max(S.now, ts)
        rebound(S)
    elif what == VENUE_FILL:
        venue_fill(S, X, k, ts, a, b, c, d)
    elif what == VENUE_ACK:
        venue_ack(S, X, ts, a)
    elif what == VENUE_END:
        venue_end(S, X, ts, a, b)
    elif what == VENUE_CHANGE:
        venue_change(S, X, ts, a, b, c, d)
    elif what == COMMAND:
        command(S, X, k, ts, a, b, c, d)
    elif what == BEGIN:
        _begin(S, X)
    else:
        _finish(S, X, a)
    if X.failed != 0:
        return HOOK_FAILED
    if S.overflow != 0:
        return OVERFLOW
    return DRAIN if X.drain != 0 else DONE

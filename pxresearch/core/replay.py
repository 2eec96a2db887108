"""The loop over arrays: streams of quotes, trades and bars, merged by time, through the engine.

`run` goes on until every stream is used up, a log wants draining, or a hook failed. Inside the
levels that `engine.rebound` worked out, a quote or a trade costs a few comparisons, the extremes of
the open position and the running bar, and the strategy's own hook.

I/O: none
"""

from __future__ import annotations

from pxresearch.core.account import equity
from pxresearch.core.calendar import load_day
from pxresearch.core.engine import (
    advance,
    bar_event,
    choose_tier,
    decide,
    press_flatten,
    quote_event,
    rebound,
    sample,
    trade_event,
    write_day,
)
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
from pxresearch.core.logs import full
from pxresearch.core.matching import fill
from pxresearch.core.orders import clear_orders, expire_orders, new_order, write_order
from pxresearch.core.records import (
    BARS,
    BEGIN,
    CANCELED,
    CLOCK,
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
    WORKING,
)

FAR = 2**62


@compiled
def _halted(S, X):
    """Whether the loop must stop after the event just done."""
    return X.failed != 0 or S.overflow != 0 or full(X)


@compiled
def _sync_quote(S, c, q, j, n, hi, lo, seg_hi, seg_lo, seg_dd, first_mid):
    """Write back what n quiet quotes up to (not including) index j did to the contract."""
    i = j - 1
    bid = i4_at(q.a, i)
    ask = i4_at(q.b, i)
    c.bid = bid
    c.ask = ask
    c.bid_sz = i4_at(q.c, i & q.size_mask)
    c.ask_sz = i4_at(q.d, i & q.size_mask)
    c.quote_ts = i8_at(q.ts, i)
    c.event_ts = c.quote_ts
    S.now = c.quote_ts
    S.events += n
    S.day_events += n
    if S.rules.mark_last == 0:
        c.mark_bid = bid
        c.mark_ask = ask
        c.mark = bid if c.position >= 0 else ask
        if c.position != 0:
            c.seg_hi = seg_hi
            c.seg_lo = seg_lo
            c.seg_dd = seg_dd
    if c.has_trades == 0 and S.frames_n > 0:
        if c.run_n == 0:
            c.run_open = first_mid
        c.run_high = hi
        c.run_low = lo
        c.run_close = bid + ask
        c.run_n += n


@compiled
def _quotes(S, X, q, limit):
    """Go through quotes of one stream while their time is before `limit`; at least one."""
    k = q.contract
    c = S.contract[k]
    ts_a, bid_a, ask_a, n = q.ts, q.a, q.b, q.n
    start = q.at
    while q.at < n:
        i = q.at
        stop_ts = min(S.next_ts, limit)
        bid_lo, bid_hi, ask_lo, ask_hi = c.bid_lo, c.bid_hi, c.ask_lo, c.ask_hi
        long = c.position >= 0
        seg_hi, seg_lo, seg_dd = c.seg_hi, c.seg_lo, c.seg_dd
        hi, lo = -FAR, FAR
        if c.run_n > 0:
            hi, lo = c.run_high, c.run_low
        first_mid = i4_at(bid_a, i) + i4_at(ask_a, i)
        j = i
        status = 0
        signals = 0
        if X.on_quote == 0:
            while j < n:
                t = i8_at(ts_a, j)
                b = i4_at(bid_a, j)
                a = i4_at(ask_a, j)
                if (
                    (t >= stop_ts) | (b <= bid_lo) | (b >= bid_hi) | (a <= ask_lo) | (a >= ask_hi)
                ):
                    break
                mid = b + a
                hi = max(hi, mid)
                lo = min(lo, mid)
                m = b if long else -a
                seg_hi = max(seg_hi, m)
                seg_lo = min(seg_lo, m)
                seg_dd = max(seg_dd, seg_hi - m)
                j += 1
        else:
            function, x, seen, mask = X.on_quote, address_of(X), c.seen, q.size_mask
            c_a, d_a = q.c, q.d
            while j < n:
                t = i8_at(ts_a, j)
                b = i4_at(bid_a, j)
                a = i4_at(ask_a, j)
                if (
                    (t >= stop_ts) | (b <= bid_lo) | (b >= bid_hi) | (a <= ask_lo) | (a >= ask_hi)
                ):
                    break
                mid = b + a
                hi = max(hi, mid)
                lo = min(lo, mid)
                m = b if long else -a
                seg_hi = max(seg_hi, m)
                seg_lo = min(seg_lo, m)
                seg_dd = max(seg_dd, seg_hi - m)
                packed = (i4_at(c_a, j & mask) << 32) | i4_at(d_a, j & mask)
                j += 1
                status, signals = call_hook(function, x, k, t, b, a, packed, seen)
                if (status | signals) != 0:
                    break
        if j > i:
            _sync_quote(S, c, q, j, j - i, hi, lo, seg_hi, seg_lo, seg_dd, first_mid)
            q.at = j
            if (status | signals) != 0:
                _answer(S, X, k, status, signals, ON_QUOTE)
                if _halted(S, X):
                    break
                continue
        if j >= n:
            break
        t = i8_at(ts_a, j)
        if t >= limit and j > start:
            break
        q.at = j + 1
        s = j & q.size_mask
        quote_event(S, X, k, t, i4_at(bid_a, j), i4_at(ask_a, j), i4_at(q.c, s), i4_at(q.d, s))
        if _halted(S, X):
            break


@compiled
def _answer(S, X, k, status, signals, which):
    """Act on what a hook answered inside the quiet loop."""
    if status != 0:
        X.failed = 1
        X.failed_hook = which
        X.failed_at = S.now
        return
    decide(S, X, k, signals, S.now)
    if S.contract[k].flattening != 0:
        press_flatten(S, X, k, S.now)
    rebound(S)


@compiled
def _sync_trade(S, c, q, j, n, hi, lo, volume, seg_hi, seg_lo, seg_dd, first):
    """Write back what n quiet trades up to (not including) index j did to the contract."""
    i = j - 1
    price = i4_at(q.a, i)
    c.last = price
    c.last_sz = i4_at(q.b, i)
    c.last_side = i1_at(q.c, i)
    c.last_ts = i8_at(q.ts, i)
    c.event_ts = c.last_ts
    S.now = c.last_ts
    S.events += n
    S.day_events += n
    if c.has_quotes == 0 or S.rules.mark_last != 0:
        c.mark_bid = price
        c.mark_ask = price
        c.mark = price
        if c.position != 0:
            c.seg_hi = seg_hi
            c.seg_lo = seg_lo
            c.seg_dd = seg_dd
    if S.frames_n > 0:
        if c.run_n == 0:
            c.run_open = 2 * first
        c.run_high = 2 * hi
        c.run_low = 2 * lo
        c.run_close = 2 * price
        c.run_volume += volume
        c.run_n += n


@compiled
def _trades(S, X, q, limit):
    """Go through trades of one stream while their time is before `limit`; at least one."""
    k = q.contract
    c = S.contract[k]
    n = q.n
    start = q.at
    while q.at < n:
        i = q.at
        stop_ts = min(S.next_ts, limit)
        px_lo, px_hi = c.px_lo, c.px_hi
        long = c.position >= 0
        seg_hi, seg_lo, seg_dd = c.seg_hi, c.seg_lo, c.seg_dd
        hi, lo, volume = -FAR, FAR, 0
        if c.run_n > 0:
            hi, lo = c.run_high // 2, c.run_low // 2
        first = i4_at(q.a, i)
        function, x, seen = X.on_trade, address_of(X), c.seen
        j = i
        status = 0
        signals = 0
        while j < n:
            t = i8_at(q.ts, j)
            p = i4_at(q.a, j)
            if (t >= stop_ts) | (p <= px_lo) | (p >= px_hi):
                break
            hi = max(hi, p)
            lo = min(lo, p)
            size = i4_at(q.b, j)
            volume += size
            m = p if long else -p
            seg_hi = max(seg_hi, m)
            seg_lo = min(seg_lo, m)
            seg_dd = max(seg_dd, seg_hi - m)
            j += 1
            if function != 0:
                status, signals = call_hook(function, x, k, t, p, size, i1_at(q.c, j - 1), seen)
                if (status | signals) != 0:
                    break
        if j > i:
            _sync_trade(S, c, q, j, j - i, hi, lo, volume, seg_hi, seg_lo, seg_dd, first)
            q.at = j
            if (status | signals) != 0:
                _answer(S, X, k, status, signals, ON_TRADE)
                if _halted(S, X):
                    break
                continue
        if j >= n:
            break
        t = i8_at(q.ts, j)
        if t >= limit and j > start:
            break
        q.at = j + 1
        trade_event(S, X, k, t, i4_at(q.a, j), i4_at(q.b, j), i1_at(q.c, j))
        if _halted(S, X):
            break


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
            _quotes(S, X, q, limit)
        elif q.kind == TRADES:
            _trades(S, X, q, limit)
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


@entry("int64(int64, int64, int64, int64, int64, int64, int64, int64, int64)")
def drive(engine_address, wires_address, what, k, ts, a, b, c, d):
    """The one entry to the compiled engine.

    what
        BEGIN, GO (on with the streams in the wires), FINISH (a: close positions), or one live event:
        a quote (bid, ask, sizes), a trade (price, size, side), or CLOCK: let timers fire up to ts.

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
    elif what == BEGIN:
        _begin(S, X)
    else:
        _finish(S, X, a)
    if X.failed != 0:
        return HOOK_FAILED
    if S.overflow != 0:
        return OVERFLOW
    return DRAIN if full(X) else DONE

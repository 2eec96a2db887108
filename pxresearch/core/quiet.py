"""Quiet stretches: events inside the levels at which anything could happen.

First the end of a stretch is found, by comparisons alone: here without a hook, and in a strategy's
compiled hook (pxresearch/hooks.py), where they run while the processor waits for the strategy's own
arithmetic. Then, once a stretch, what it did is taken in: the extremes of the running bar and of
the open position's mark, by loops plain enough to work on several events at a time.

I/O: none
"""

from __future__ import annotations

from pxresearch.core.jit import compiled, i4_at, i8_at, narrow_i4_at


@compiled
def quiet_quotes(c, q, i, e, stop_ts):
    """Index of the first quote from i on that is not quiet; e if all before it are."""
    bid_lo, bid_hi, ask_lo, ask_hi = c.bid_lo, c.bid_hi, c.ask_lo, c.ask_hi
    ts_a, bid_a, ask_a = q.ts, q.a, q.b
    j = i
    while j < e:
        b = i4_at(bid_a, j)
        a = i4_at(ask_a, j)
        if i8_at(ts_a, j) >= stop_ts or b <= bid_lo or b >= bid_hi or a <= ask_lo or a >= ask_hi:
            break
        j += 1
    return j


@compiled
def quiet_trades(c, q, i, e, stop_ts):
    """Index of the first trade from i on that is not quiet; e if all before it are."""
    px_lo, px_hi = c.px_lo, c.px_hi
    ts_a, px_a = q.ts, q.a
    j = i
    while j < e:
        p = i4_at(px_a, j)
        if i8_at(ts_a, j) >= stop_ts or p <= px_lo or p >= px_hi:
            break
        j += 1
    return j


@compiled
def _extremes(column, i, j):
    """(lowest, highest) of numbers i..j of a column."""
    low = high = narrow_i4_at(column, i)
    for n in range(i + 1, j):
        v = narrow_i4_at(column, n)
        low = v if v < low else low
        high = v if v > high else high
    return int(low), int(high)


@compiled
def _largest_fall(column, sign, i, j, top):
    """Largest fall of the signed marks i..j from the highest before each, `top` to begin with."""
    fall = 0
    for n in range(i, j):
        m = sign * i4_at(column, n)
        top = max(top, m)
        fall = max(fall, top - m)
    return fall


@compiled
def take_segment(S, c, column, i, j):
    """Take the marks i..j of a column into the segment of the open position.

    The largest fall takes a look at each mark in turn. It is left out while it could not exceed the
    largest fall of the day and of the run, which is all that it is kept for.
    """
    sign = 1 if c.position > 0 else -1
    low, high = _extremes(column, i, j)
    if sign < 0:
        low, high = -high, -low
    top = max(c.seg_hi, high)
    known = min(S.drawdown, S.day_drawdown)
    if top - low > c.seg_dd and (top - low) * abs(c.position) * c.tick_value > known:
        c.seg_dd = max(c.seg_dd, _largest_fall(column, sign, i, j, c.seg_hi))
    c.seg_hi = top
    c.seg_lo = min(c.seg_lo, low)


@compiled
def run_of_quotes(c, q, i, j):
    """Take the middles of quotes i..j into the contract's run, half ticks."""
    bid_a, ask_a = q.a, q.b
    low = high = i4_at(bid_a, i) + i4_at(ask_a, i)
    if c.run_n == 0:
        c.run_open = low
    else:
        low = min(low, c.run_low)
        high = max(high, c.run_high)
    for n in range(i + 1, j):
        mid = i4_at(bid_a, n) + i4_at(ask_a, n)
        low = min(low, mid)
        high = max(high, mid)
    c.run_low = low
    c.run_high = high
    c.run_close = i4_at(bid_a, j - 1) + i4_at(ask_a, j - 1)
    c.run_n += j - i


@compiled
def run_of_trades(c, q, i, j):
    """Take trades i..j into the contract's run, half ticks and contracts."""
    low, high = _extremes(q.a, i, j)
    low, high = 2 * low, 2 * high
    if c.run_n == 0:
        c.run_open = 2 * i4_at(q.a, i)
    else:
        low = min(low, c.run_low)
        high = max(high, c.run_high)
    volume = 0
    for n in range(i, j):
        volume += i4_at(q.b, n)
    c.run_low = low
    c.run_high = high
    c.run_close = 2 * i4_at(q.a, j - 1)
    c.run_volume += volume
    c.run_n += j - i

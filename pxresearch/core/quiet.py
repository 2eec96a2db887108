"""Quiet stretches: events inside the levels at which anything could happen.

A stretch is scanned in one tight loop, which keeps the extremes of the running bar and of the open
position's mark. The loop exists twice on purpose: here without a hook, and in a strategy's compiled
hook (pxresearch/hooks.py), where the hook's own arithmetic and the scan share the processor.

I/O: none
"""

from __future__ import annotations

from pxresearch.core.jit import compiled, i4_at, i8_at

FAR = 2**62


@compiled
def scan_quotes(X, c, q, i, e, stop_ts):
    """Find how far from i, at most to e, quotes are quiet; leave what they do in `X.found_*`."""
    bid_lo, bid_hi, ask_lo, ask_hi = c.bid_lo, c.bid_hi, c.ask_lo, c.ask_hi
    ts_a, bid_a, ask_a = q.ts, q.a, q.b
    up = c.position >= 0
    seg_hi, seg_lo, seg_dd = c.seg_hi, c.seg_lo, c.seg_dd
    hi, lo = running(c)
    j = i
    while j < e:
        b = i4_at(bid_a, j)
        a = i4_at(ask_a, j)
        if i8_at(ts_a, j) >= stop_ts or b <= bid_lo or b >= bid_hi or a <= ask_lo or a >= ask_hi:
            break
        mid = b + a
        hi = max(hi, mid)
        lo = min(lo, mid)
        m = b if up else -a
        seg_hi = max(seg_hi, m)
        seg_lo = min(seg_lo, m)
        seg_dd = max(seg_dd, seg_hi - m)
        j += 1
    leave(X, j, hi, lo, 0, seg_hi, seg_lo, seg_dd)


@compiled
def scan_trades(X, c, q, i, e, stop_ts):
    """The same for trades."""
    px_lo, px_hi = c.px_lo, c.px_hi
    ts_a, px_a, size_a = q.ts, q.a, q.b
    up = c.position >= 0
    seg_hi, seg_lo, seg_dd = c.seg_hi, c.seg_lo, c.seg_dd
    hi, lo = running_trades(c)
    volume = 0
    j = i
    while j < e:
        p = i4_at(px_a, j)
        if i8_at(ts_a, j) >= stop_ts or p <= px_lo or p >= px_hi:
            break
        hi = max(hi, p)
        lo = min(lo, p)
        volume += i4_at(size_a, j)
        m = p if up else -p
        seg_hi = max(seg_hi, m)
        seg_lo = min(seg_lo, m)
        seg_dd = max(seg_dd, seg_hi - m)
        j += 1
    leave(X, j, hi, lo, volume, seg_hi, seg_lo, seg_dd)


@compiled
def running(c):
    """Highest and lowest middle of the contract's run so far, half ticks."""
    if c.run_n > 0:
        return c.run_high, c.run_low
    return -FAR, FAR


@compiled
def running_trades(c):
    """Highest and lowest trade of the contract's run so far, ticks."""
    if c.run_n > 0:
        return c.run_high >> 1, c.run_low >> 1
    return -FAR, FAR


@compiled
def leave(X, end, hi, lo, volume, seg_hi, seg_lo, seg_dd):
    """Leave what a stretch did where the engine picks it up."""
    X.found_end = end
    X.found_hi = hi
    X.found_lo = lo
    X.found_volume = volume
    X.found_seg_hi = seg_hi
    X.found_seg_lo = seg_lo
    X.found_seg_dd = seg_dd

"""Bare numba loops: the strategy's arithmetic and its fills on the same arrays, and nothing else.

They are what an engine is measured against. They give the engine's fills and profit, which the
benchmark checks on every run.

I/O: none
"""

from __future__ import annotations

from typing import Any

from numba import njit


@njit(cache=True)
def w1(bid: Any, ask: Any, firsts: Any, fast: int, slow: int) -> Any:
    """W1: (fills, profit in ticks, last position closed at the last quote).

    firsts
        Index of the first quote of each session, and the length. A position that is still open then
        is closed at the second quote, where the engine's flatten order finds its first price; no
        decision is taken on those two.
    """
    a, b = 2.0 / (fast + 1), 2.0 / (slow + 1)
    f = s = 0.0
    pos = want = fills = cash = 0
    for d in range(len(firsts) - 1):
        start = firsts[d]
        if d > 0:
            start += 2
            cash += bid[start - 1] if pos > 0 else -ask[start - 1]
            fills += 1
            pos = want = 0
            for i in range(start - 2, start):
                mid = (bid[i] + ask[i]) * 0.125
                f += (mid - f) * a
                s += (mid - s) * b
        for i in range(start, firsts[d + 1]):
            if want > 0:
                cash -= want * ask[i]
                pos, want, fills = 1, 0, fills + 1
            elif want < 0:
                cash -= want * bid[i]
                pos, want, fills = -1, 0, fills + 1
            mid = (bid[i] + ask[i]) * 0.125
            if i < slow:  # the averages start as means, as TA-Lib's do
                f = f + mid if i < fast else f + (mid - f) * a
                f = f / fast if i == fast - 1 else f
                s += mid
                if i < slow - 1:
                    continue
                s /= slow
            else:
                f += (mid - f) * a
                s += (mid - s) * b
            if f > s and pos <= 0:
                want = 1 - pos
            elif f < s and pos >= 0:
                want = -1 - pos
    last = firsts[-1] - 1
    if pos != 0:
        cash += bid[last] if pos > 0 else -ask[last]
        fills += 1
    return fills, cash


@njit(cache=True)
def w2(  # noqa: C901  a loop written out on purpose: what the engine is measured against
    ts: Any, bid: Any, ask: Any, firsts: Any, fast: int, slow: int, delay: int
) -> Any:
    """W2: (fills, profit in ticks): bracket of 20 and 40 ticks, entry after a delay in ns."""
    a, b = 2.0 / (fast + 1), 2.0 / (slow + 1)
    f = s = 0.0
    pos = want = fills = cash = 0
    due = stop = target = 0
    for d in range(len(firsts) - 1):
        start = firsts[d]
        if d > 0:
            open_ = pos != 0
            start += 2 if open_ else 0
            if open_:
                cash += bid[start - 1] if pos > 0 else -ask[start - 1]
                fills += 1
            pos = want = 0
            for i in range(start - 2 if open_ else start, start):
                mid = (bid[i] + ask[i]) * 0.125
                f += (mid - f) * a
                s += (mid - s) * b
        for i in range(start, firsts[d + 1]):
            x, y = bid[i], ask[i]
            if pos > 0:
                if x <= stop:
                    cash, pos, fills = cash + x, 0, fills + 1
                elif x > target:
                    cash, pos, fills = cash + target, 0, fills + 1
            elif pos < 0:
                if y >= stop:
                    cash, pos, fills = cash - y, 0, fills + 1
                elif y < target:
                    cash, pos, fills = cash - target, 0, fills + 1
            elif want != 0 and ts[i] >= due:
                pos, fills = want, fills + 1
                price = y if want > 0 else x
                cash -= want * price
                stop, target = price - want * 20, price + want * 40
                want = 0
            mid = (x + y) * 0.125
            if i < slow:
                f = f + mid if i < fast else f + (mid - f) * a
                f = f / fast if i == fast - 1 else f
                s += mid
                if i < slow - 1:
                    continue
                s /= slow
            else:
                f += (mid - f) * a
                s += (mid - s) * b
            if pos == 0 and want == 0:
                want = 1 if f > s else -1
                due = ts[i] + delay
    last = firsts[-1] - 1
    if pos != 0:
        cash += bid[last] if pos > 0 else -ask[last]
        fills += 1
    return fills, cash


@njit(cache=True)
def w3(close: Any, open_: Any, fast: int, slow: int) -> Any:
    """W3: fills of a cross of two simple averages on bars, at the next open."""
    f = s = 0.0
    pos = fills = cash = want = 0
    for i in range(len(close)):
        if want != 0:
            cash -= want * open_[i]
            pos += want
            fills, want = fills + 1, 0
        f += close[i] - (close[i - fast] if i >= fast else 0)
        s += close[i] - (close[i - slow] if i >= slow else 0)
        if i >= slow - 1:
            if f * slow > s * fast and pos <= 0:
                want = 1 - pos
            elif f * slow < s * fast and pos >= 0:
                want = -1 - pos
    return fills, cash

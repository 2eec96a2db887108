"""Indicators of the extremes of the last n bars: Donchian channels and the stochastic.

Both take the high and low of the next bar, finite, in one unit, high not below low. The window
includes that bar: to ask whether it breaks the channel, compare it with the channel returned at the
bar before.

I/O: none
"""

from __future__ import annotations

from typing import Any

from pxresearch.core.indicators_window import (
    DEFAULT_SIZE,
    NAN,
    check_window,
    jitable,
    next_head,
    ring_mean,
)
from pxresearch.core.layout import SIZE, Field, Layout

_CHANNEL = (
    Field("highs", "f8", SIZE),
    Field("lows", "f8", SIZE),
    Field("head", "i8"),
    Field("count", "i8"),
    Field("upper"),
    Field("lower"),
)

Donchian = Layout("Donchian", _CHANNEL, DEFAULT_SIZE)
Stochastic = Layout(
    "Stochastic",
    (
        *_CHANNEL,
        Field("raw", "f8", SIZE),
        Field("slow", "f8", SIZE),
        Field("raw_head", "i8"),
        Field("slow_head", "i8"),
    ),
    DEFAULT_SIZE,
)


@jitable
def _highest(window: Any, n: int) -> float:
    """Largest of the first n slots."""
    best = window[0]
    for i in range(1, n):
        if window[i] > best:
            best = window[i]
    return best


@jitable
def _lowest(window: Any, n: int) -> float:
    """Smallest of the first n slots."""
    best = window[0]
    for i in range(1, n):
        if window[i] < best:
            best = window[i]
    return best


@jitable
def _widen(state: Any, high: float, low: float, n: int) -> None:
    """Take a bar into the rings of highs and lows and keep their extremes in upper and lower.

    The first bar fills every slot, so that a ring is always full; a ring is searched only when its
    extreme leaves it.
    """
    check_window(n, state.highs)
    if state.count == 0:
        state.upper = high
        state.lower = low
        for i in range(n):
            state.highs[i] = high
            state.lows[i] = low
    head = state.head
    old_high, old_low = state.highs[head], state.lows[head]
    state.highs[head] = high
    state.lows[head] = low
    if high >= state.upper:
        state.upper = high
    elif old_high >= state.upper:
        state.upper = _highest(state.highs, n)
    if low <= state.lower:
        state.lower = low
    elif old_low <= state.lower:
        state.lower = _lowest(state.lows, n)
    state.head = next_head(head, n)
    state.count += 1


@jitable
def donchian(state: Any, high: float, low: float, n: int) -> tuple[float, float, float]:
    """Return Donchian channels: the highest high and lowest low of the last n bars, this included.

    Parameters
    ----------
    state
        Declared as ``px.state(px.Donchian, size=N)``, N the longest n.
    high, low
        Of the next bar, finite.
    n
        Number of bars, 1 to N; constant; usually 20.

    Returns
    -------
    tuple of float
        ``(upper, middle, lower)`` in the unit of the prices, middle = (upper + lower) / 2; NaN for
        the first n - 1 bars.

    Raises
    ------
    ValueError
        If n is below 1 or above N.

    Notes
    -----
    Donchian, "High finance in copper", *Financial Analysts Journal* 16 (1960); upper and lower as
    TA-Lib's MAX and MIN. O(1) unless an extreme leaves the window, then O(n).

    Examples
    --------
    >>> state = Donchian.cell(2)
    >>> [donchian(state, *bar, 2) for bar in ((3.0, 1.0), (4.0, 2.0))]
    [(nan, nan, nan), (4.0, 2.5, 1.0)]
    """
    _widen(state, high, low, n)
    if state.count < n:
        return NAN, NAN, NAN
    return state.upper, (state.upper + state.lower) / 2.0, state.lower


@jitable
def stochastic(
    state: Any, high: float, low: float, close: float, n: int, smooth: int, signal: int
) -> tuple[float, float]:
    """Return the slow stochastic: where the close lies in the range of the last n bars, averaged.

    Parameters
    ----------
    state
        Declared as ``px.state(px.Stochastic, size=N)``, N the longest of the three periods.
    high, low, close
        Of the next bar, finite.
    n
        Bars in the range, 1 to N; constant; usually 14.
    smooth
        Bars of the simple average that makes %K, 1 to N; constant; 1 for the fast stochastic, 3
        for the slow.
    signal
        Values of %K in the simple average that makes %D, 1 to N; constant; usually 3.

    Returns
    -------
    tuple of float
        ``(k, d)``, 0 to 100; a bar whose range of n bars is empty counts 0 (TA-Lib's rule); both
        NaN for the first n + smooth + signal - 3 bars.

    Raises
    ------
    ValueError
        If a period is below 1 or above N.

    Notes
    -----
    Lane, "Lane's stochastics", *Technical Analysis of Stocks & Commodities* 2 (1984); as TA-Lib's
    STOCH with simple averages. O(smooth + signal), and O(n) when an extreme leaves the window.

    Examples
    --------
    >>> state = Stochastic.cell(2)
    >>> [stochastic(state, *bar, 2, 1, 1) for bar in ((3.0, 1.0, 2.0), (5.0, 2.0, 4.0))]
    [(nan, nan), (75.0, 75.0)]
    """
    check_window(smooth, state.raw)
    check_window(signal, state.slow)
    _widen(state, high, low, n)
    if state.count < n:
        return NAN, NAN
    span = state.upper - state.lower
    state.raw[state.raw_head] = 100.0 * ((close - state.lower) / span) if span > 0.0 else 0.0
    state.raw_head = next_head(state.raw_head, smooth)
    if state.count < n + smooth - 1:
        return NAN, NAN
    k = ring_mean(state.raw, state.raw_head, smooth)
    state.slow[state.slow_head] = k
    state.slow_head = next_head(state.slow_head, signal)
    if state.count < n + smooth + signal - 2:
        return NAN, NAN
    return k, ring_mean(state.slow, state.slow_head, signal)

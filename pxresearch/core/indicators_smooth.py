"""Exponentially smoothed indicators of one series: EMA, RSI, MACD.

Each smoothed value is one float and the number of values it has taken: while that number is at most
n the float is their sum, at n it becomes their mean, and from then on the smoothed value. Errors
shrink with every step, so nothing drifts.

I/O: none
"""

from __future__ import annotations

from typing import Any

from pxresearch.core.indicators_window import NAN, check_period, jitable
from pxresearch.core.layout import Field, Layout

Ema = Layout("Ema", (Field("count", "i8"), Field("value")))
Rsi = Layout("Rsi", (Field("count", "i8"), Field("last"), Field("gain"), Field("loss")))
Macd = Layout("Macd", (Field("count", "i8"), Field("fast"), Field("slow"), Field("signal")))


@jitable
def smooth_ema(held: float, x: float, k: int, n: int) -> float:
    """Take x as the k-th value (from 1) into an EMA of n, seeded with the mean of the first n."""
    if k > n:
        return held + (x - held) * (2.0 / (n + 1.0))
    if k < n:
        return held + x
    return (held + x) / n


@jitable
def smooth_wilder(held: float, x: float, k: int, n: int) -> float:
    """Take x as the k-th value (from 1) into Wilder's average of n: a weight of 1/n for the new."""
    if k > n:
        return (held * (n - 1) + x) / n
    if k < n:
        return held + x
    return (held + x) / n


@jitable
def ema(state: Any, x: float, n: int) -> float:
    """Return the exponential moving average: previous + (x - previous) * 2 / (n + 1).

    Parameters
    ----------
    state
        Declared as ``px.state(px.Ema)``.
    x
        Next value, finite.
    n
        Period, at least 1; constant.

    Returns
    -------
    float
        In the unit of x; NaN for the first n - 1 values, then the mean of the first n, then the
        recursion. As TA-Lib's EMA.

    Raises
    ------
    ValueError
        If n is below 1.

    Notes
    -----
    Called on every tick, so both fields are stored whatever the branch: the compiler may then keep
    them in registers over a loop (3 ns a call, as the bare arithmetic); through the record a call
    takes the 6 ns that a store, a load and the arithmetic take one after the other.

    Examples
    --------
    >>> state = Ema.cell()
    >>> [ema(state, x, 3) for x in (1.0, 2.0, 3.0, 4.0)]
    [nan, nan, 2.0, 3.0]
    """
    k = state.count + 1
    value = state.value
    if k > n:  # spelled out, not called: plain Python pays for every call
        if n < 1:
            check_period(n)
        value += (x - value) * (2.0 / (n + 1.0))
    else:
        value = smooth_ema(value, x, k, n)
    state.count = k
    state.value = value
    return value if k >= n else NAN


@jitable
def rsi(state: Any, x: float, n: int) -> float:
    """Return Wilder's relative strength index: 100 * gain / (gain + loss).

    Parameters
    ----------
    state
        Declared as ``px.state(px.Rsi)``.
    x
        Next value, finite; usually the close.
    n
        Period of Wilder's average of the rises and of the falls, at least 1; constant; usually 14.

    Returns
    -------
    float
        0 to 100; 0 where nothing has moved (TA-Lib's rule); NaN for the first n values, because
        n changes need n + 1 values.

    Raises
    ------
    ValueError
        If n is below 1.

    Notes
    -----
    Wilder, *New Concepts in Technical Trading Systems* (1978), section VI; as TA-Lib's RSI.

    Examples
    --------
    >>> state = Rsi.cell()
    >>> [rsi(state, x, 2) for x in (1.0, 2.0, 1.0, 2.0)]
    [nan, nan, 50.0, 75.0]
    """
    check_period(n)
    k = state.count
    change = x - state.last
    state.last = x
    state.count = k + 1
    if k == 0:
        return NAN
    gain = smooth_wilder(state.gain, change if change > 0.0 else 0.0, k, n)
    loss = smooth_wilder(state.loss, -change if change < 0.0 else 0.0, k, n)
    state.gain = gain
    state.loss = loss
    if k < n:
        return NAN
    return 100.0 * (gain / (gain + loss)) if gain > 0.0 else 0.0


@jitable
def macd(state: Any, x: float, fast: int, slow: int, signal: int) -> tuple[float, float, float]:
    """Return moving average convergence/divergence: EMA(fast) - EMA(slow), and its own EMA.

    Parameters
    ----------
    state
        Declared as ``px.state(px.Macd)``.
    x
        Next value, finite; usually the close.
    fast, slow, signal
        Periods, at least 1, fast not above slow; constant; usually 12, 26, 9.

    Returns
    -------
    tuple of float
        ``(macd, signal, histogram)`` in the unit of x, histogram = macd - signal; all NaN for the
        first slow + signal - 2 values.

    Raises
    ------
    ValueError
        If a period is below 1 or fast is above slow.

    Notes
    -----
    Appel, *The Moving Average Convergence-Divergence Trading Method* (1979). As TA-Lib's MACD: the
    fast average is seeded late, with the last `fast` of the first `slow` values, so that both
    averages begin at the same value.

    Examples
    --------
    >>> state = Macd.cell()
    >>> [macd(state, x, 1, 2, 1) for x in (1.0, 2.0)]
    [(nan, nan, nan), (0.5, 0.5, 0.0)]
    """
    check_period(fast)
    check_period(signal)
    if fast > slow:
        raise ValueError("the fast period of macd must not be above the slow period")
    k = state.count + 1
    state.count = k
    state.slow = smooth_ema(state.slow, x, k, slow)
    if k > slow - fast:
        state.fast = smooth_ema(state.fast, x, k - slow + fast, fast)
    if k < slow:
        return NAN, NAN, NAN
    line = state.fast - state.slow
    state.signal = smooth_ema(state.signal, line, k - slow + 1, signal)
    if k < slow + signal - 1:
        return NAN, NAN, NAN
    return line, state.signal, line - state.signal

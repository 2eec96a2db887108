"""Indicators of a bar's true range: ATR, ADX, Keltner channels.

All take the high, low and close of the next bar, finite, in one unit, high not below low.

I/O: none
"""

from __future__ import annotations

from typing import Any

from pxresearch.core.indicators_smooth import smooth_ema, smooth_wilder
from pxresearch.core.indicators_window import NAN, check_period, jitable
from pxresearch.core.layout import Field, Layout

Atr = Layout("Atr", (Field("count", "i8"), Field("close"), Field("value")))
Keltner = Layout("Keltner", (Field("count", "i8"), Field("close"), Field("middle"), Field("range")))
Adx = Layout(
    "Adx",
    (
        Field("count", "i8"),
        Field("high"),
        Field("low"),
        Field("close"),
        Field("plus"),
        Field("minus"),
        Field("range"),
        Field("value"),
    ),
)


@jitable
def true_range(high: float, low: float, previous_close: float) -> float:
    """Return the bar's range, stretched to the previous close (Wilder 1978, section III)."""
    top = high if high > previous_close else previous_close
    bottom = low if low < previous_close else previous_close
    return top - bottom


@jitable
def atr(state: Any, high: float, low: float, close: float, n: int) -> float:
    """Return Wilder's average true range.

    Parameters
    ----------
    state
        Declared as ``px.state(px.Atr)``.
    high, low, close
        Of the next bar, finite.
    n
        Period of Wilder's average, at least 1; constant; usually 14.

    Returns
    -------
    float
        In the unit of the prices; NaN for the first n bars (the first true range needs the close
        before it), then the mean of n true ranges, then (previous * (n - 1) + true range) / n.

    Raises
    ------
    ValueError
        If n is below 1.

    Notes
    -----
    Wilder, *New Concepts in Technical Trading Systems* (1978), section III; as TA-Lib's ATR.

    Examples
    --------
    >>> state = Atr.cell()
    >>> [atr(state, *bar, 2) for bar in ((2.0, 1.0, 2.0), (4.0, 3.0, 3.0), (4.0, 2.0, 2.0))]
    [nan, nan, 2.0]
    """
    check_period(n)
    k = state.count
    state.count = k + 1
    previous = state.close
    state.close = close
    if k == 0:
        return NAN
    value = smooth_wilder(state.value, true_range(high, low, previous), k, n)
    state.value = value
    return value if k >= n else NAN


@jitable
def keltner(
    state: Any, high: float, low: float, close: float, n: int, atr_n: int, width: float
) -> tuple[float, float, float]:
    """Return Keltner channels: the EMA of the close, plus and minus `width` average true ranges.

    Parameters
    ----------
    state
        Declared as ``px.state(px.Keltner)``.
    high, low, close
        Of the next bar, finite.
    n
        Period of the `ema`, at least 1; constant; usually 20.
    atr_n
        Period of the `atr`, at least 1; constant; usually 10.
    width
        Distance of a band from the middle in average true ranges; usually 2.

    Returns
    -------
    tuple of float
        ``(upper, middle, lower)`` in the unit of the prices; all NaN for the first
        max(n - 1, atr_n) bars.

    Raises
    ------
    ValueError
        If n or atr_n is below 1.

    Notes
    -----
    Keltner, *How to Make Money in Commodities* (1960), in Raschke's later form, with an EMA and the
    ATR where Keltner had simple averages of the typical price and of the range.

    Examples
    --------
    >>> state = Keltner.cell()
    >>> [keltner(state, *bar, 2, 1, 1.0) for bar in ((2.0, 1.0, 2.0), (4.0, 2.0, 3.0))]
    [(nan, nan, nan), (4.5, 2.5, 0.5)]
    """
    check_period(n)
    check_period(atr_n)
    k = state.count
    state.count = k + 1
    previous = state.close
    state.close = close
    middle = smooth_ema(state.middle, close, k + 1, n)
    state.middle = middle
    if k == 0:
        return NAN, NAN, NAN
    average = smooth_wilder(state.range, true_range(high, low, previous), k, atr_n)
    state.range = average
    if k < atr_n or k + 1 < n:
        return NAN, NAN, NAN
    return middle + width * average, middle, middle - width * average


@jitable
def _decay_sum(held: float, x: float, k: int, n: int) -> float:
    """Take x as the k-th value into Wilder's sum: plain for n - 1 values, then decaying by 1/n."""
    return held + x if k < n else held - held / n + x


@jitable
def adx(state: Any, high: float, low: float, close: float, n: int) -> tuple[float, float, float]:
    """Return Wilder's average directional index and the two directional indicators behind it.

    Parameters
    ----------
    state
        Declared as ``px.state(px.Adx)``.
    high, low, close
        Of the next bar, finite.
    n
        Period of every average, at least 1; constant; usually 14.

    Returns
    -------
    tuple of float
        ``(adx, plus_di, minus_di)``, 0 to 100. The directional indicators are NaN for the first n
        bars, adx for the first 2 n - 1.

    Raises
    ------
    ValueError
        If n is below 1.

    Notes
    -----
    Wilder, *New Concepts in Technical Trading Systems* (1978), section IV; as TA-Lib's ADX, PLUS_DI
    and MINUS_DI: a bar without any directional movement adds 0 to the first average and leaves it
    as it is afterwards.

    Examples
    --------
    >>> state = Adx.cell()
    >>> [adx(state, *bar, 1) for bar in ((2.0, 1.0, 2.0), (4.0, 2.0, 3.0))]
    [(nan, nan, nan), (100.0, 100.0, 0.0)]
    """
    check_period(n)
    k = state.count
    state.count = k + 1
    up = high - state.high
    down = state.low - low
    previous = state.close
    state.high, state.low, state.close = high, low, close
    if k == 0:
        return NAN, NAN, NAN
    state.plus = _decay_sum(state.plus, up if up > 0.0 and up > down else 0.0, k, n)
    state.minus = _decay_sum(state.minus, down if down > 0.0 and down > up else 0.0, k, n)
    state.range = _decay_sum(state.range, true_range(high, low, previous), k, n)
    if k < n:
        return NAN, NAN, NAN
    moved = state.range > 0.0
    plus = 100.0 * (state.plus / state.range) if moved else 0.0
    minus = 100.0 * (state.minus / state.range) if moved else 0.0
    both = plus + minus
    index = 100.0 * (abs(plus - minus) / both) if both > 0.0 else 0.0
    if both > 0.0 or k < 2 * n:
        state.value = smooth_wilder(state.value, index, k - n + 1, n)
    return (state.value if k >= 2 * n - 1 else NAN), plus, minus

"""Indicators over a moving window of the last n values: averages, spreads and bands.

Also the ring buffers and the exact running sum that the other indicator modules share. A ring of n
slots is a vector of state and a `head`, the slot of the oldest value, where the next one goes.

Every result here depends only on the n values in the window, taken oldest first, so that a stream
of any length and a batch over the last n values agree to the last bit: `sma` keeps its sum in two
floats that together hold it exactly, the others sum the window anew at each call, O(n).

I/O: none
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeVar

from pxresearch.core.layout import SIZE, Field, Layout

_F = TypeVar("_F")

if TYPE_CHECKING:

    def jitable(function: _F) -> _F:
        """Let njit code call `function`, and leave it a plain Python function elsewhere."""
        return function
else:
    from numba.extending import register_jitable as jitable

NAN = math.nan
DEFAULT_SIZE = 64  # longest window of a state declared without size

RING = (Field("window", "f8", SIZE), Field("head", "i8"), Field("count", "i8"))

Sma = Layout("Sma", (*RING, Field("total"), Field("rest")), DEFAULT_SIZE)
Wma = Layout("Wma", RING, DEFAULT_SIZE)
Std = Layout("Std", RING, DEFAULT_SIZE)
ZScore = Layout("ZScore", RING, DEFAULT_SIZE)
Bollinger = Layout("Bollinger", RING, DEFAULT_SIZE)


@jitable
def check_period(n: int) -> None:
    """Raise ValueError unless n is at least 1."""
    if n < 1:
        raise ValueError("the period n of an indicator must be at least 1")


@jitable
def check_window(n: int, window: Any) -> None:
    """Raise ValueError unless n values fit the declared window."""
    if n < 1:
        raise ValueError("the period n of an indicator must be at least 1")
    if n > len(window):
        raise ValueError(
            "the period n is longer than the window this indicator's state was declared with; "
            "declare the state with size=N, N at least n, for example px.state(px.Sma, size=N)"
        )


@jitable
def next_head(head: int, n: int) -> int:
    """Slot after `head` in a ring of n; never outside it, even if n has shrunk."""
    return head + 1 if head + 1 < n else 0


@jitable
def push(state: Any, x: float, n: int) -> None:
    """Put x in the ring `state.window` in place of its oldest value."""
    check_window(n, state.window)
    state.window[state.head] = x
    state.head = next_head(state.head, n)
    state.count += 1


@jitable
def ring_mean(window: Any, head: int, n: int) -> float:
    """Mean of a full ring, summed oldest first."""
    total = 0.0
    for i in range(head, n):
        total += window[i]
    for i in range(head):
        total += window[i]
    return total / n


@jitable
def ring_spread(window: Any, head: int, n: int, x: float) -> tuple[float, float]:
    """Mean minus x, and population standard deviation, of a full ring, both summed oldest first.

    Taking the newest value x off each value first keeps the squares small: nothing cancels when
    the spread is tiny beside the price, and equal values give exactly (0, 0).
    """
    total = 0.0
    for i in range(head, n):
        total += window[i] - x
    for i in range(head):
        total += window[i] - x
    shift = total / n
    squares = 0.0
    for i in range(head, n):
        d = window[i] - x - shift
        squares += d * d
    for i in range(head):
        d = window[i] - x - shift
        squares += d * d
    return shift, math.sqrt(squares / n)


@jitable
def two_sum(a: float, b: float) -> tuple[float, float]:
    """Rounded a + b, and exactly what the rounding lost (Knuth, TAOCP vol. 2, 4.2.2)."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


@jitable
def add_exact(total: float, rest: float, x: float) -> tuple[float, float]:
    """Add x to a sum held as two floats; `total` is the sum rounded once.

    Exact while the values' bits span less than a hundred places, as prices and volumes do, so that
    a running sum does not drift however many values have come and gone.
    """
    s, lost = two_sum(total, x)
    return two_sum(s, lost + rest)


@jitable
def sma(state: Any, x: float, n: int) -> float:
    """Return the simple moving average, the sum of the last n values divided by n.

    Parameters
    ----------
    state
        Declared as ``px.state(px.Sma, size=N)``, N the longest n.
    x
        Next value, finite.
    n
        Number of values, 1 to N; constant.

    Returns
    -------
    float
        In the unit of x; NaN for the first n - 1 values.

    Raises
    ------
    ValueError
        If n is below 1 or above N.

    Notes
    -----
    O(1): a running sum in two floats, see `add_exact`. As TA-Lib's SMA.

    Examples
    --------
    >>> state = Sma.cell(2)
    >>> [sma(state, x, 2) for x in (1.0, 2.0, 4.0)]
    [nan, 1.5, 3.0]
    """
    check_window(n, state.window)
    total, rest = state.total, state.rest
    if state.count >= n:
        total, rest = add_exact(total, rest, -state.window[state.head])
    total, rest = add_exact(total, rest, x)
    state.total, state.rest = total, rest
    push(state, x, n)
    return total / n if state.count >= n else NAN


@jitable
def wma(state: Any, x: float, n: int) -> float:
    """Return the linearly weighted moving average: newest value times n, the one before n - 1, ...

    Divided by n (n + 1) / 2. State ``px.state(px.Wma, size=N)``; x finite; n from 1 to N, constant,
    ValueError otherwise. In the unit of x; NaN for the first n - 1 values. O(n). As TA-Lib's WMA.

    Examples
    --------
    >>> state = Wma.cell(2)
    >>> [wma(state, x, 2) for x in (3.0, 6.0)]
    [nan, 5.0]
    """
    push(state, x, n)
    if state.count < n:
        return NAN
    window, head = state.window, state.head
    total = 0.0
    for i in range(head, n):
        total += window[i] * (i - head + 1)
    for i in range(head):
        total += window[i] * (i + n - head + 1)
    return total / (n * (n + 1) / 2)


@jitable
def std(state: Any, x: float, n: int) -> float:
    """Return the population standard deviation of the last n values (divisor n).

    State ``px.state(px.Std, size=N)``; x finite; n from 1 to N, constant, ValueError otherwise.
    In the unit of x; NaN for the first n - 1 values. O(n), two passes. As TA-Lib's STDDEV, which
    loses digits to cancellation where this does not.

    Examples
    --------
    >>> state = Std.cell(2)
    >>> [std(state, x, 2) for x in (1.0, 3.0)]
    [nan, 1.0]
    """
    push(state, x, n)
    if state.count < n:
        return NAN
    _, deviation = ring_spread(state.window, state.head, n, x)
    return deviation


@jitable
def zscore(state: Any, x: float, n: int) -> float:
    """Return how many standard deviations x lies above the mean of the last n values, x included.

    Population standard deviation; 0 where all n values are equal. State ``px.state(px.ZScore,
    size=N)``; x finite; n from 1 to N, constant, ValueError otherwise. A pure number; NaN for the
    first n - 1 values. O(n).

    Examples
    --------
    >>> state = ZScore.cell(2)
    >>> [zscore(state, x, 2) for x in (1.0, 3.0, 3.0)]
    [nan, 1.0, 0.0]
    """
    push(state, x, n)
    if state.count < n:
        return NAN
    shift, deviation = ring_spread(state.window, state.head, n, x)
    return -shift / deviation if deviation > 0.0 else 0.0


@jitable
def bollinger(state: Any, x: float, n: int, width: float) -> tuple[float, float, float]:
    """Return Bollinger bands: the mean of the last n values, plus and minus `width` deviations.

    Parameters
    ----------
    state
        Declared as ``px.state(px.Bollinger, size=N)``, N the longest n.
    x
        Next value, finite; usually the close.
    n
        Number of values, 1 to N; constant; usually 20.
    width
        Distance of a band from the middle in population standard deviations; usually 2.

    Returns
    -------
    tuple of float
        ``(upper, middle, lower)`` in the unit of x; NaN for the first n - 1 values.

    Raises
    ------
    ValueError
        If n is below 1 or above N.

    Notes
    -----
    Bollinger, *Bollinger on Bollinger Bands* (2001); as TA-Lib's BBANDS with a simple average.
    O(n).

    Examples
    --------
    >>> state = Bollinger.cell(2)
    >>> [bollinger(state, x, 2, 2.0) for x in (1.0, 3.0)]
    [(nan, nan, nan), (4.0, 2.0, 0.0)]
    """
    push(state, x, n)
    if state.count < n:
        return NAN, NAN, NAN
    shift, deviation = ring_spread(state.window, state.head, n, x)
    middle = x + shift
    return middle + width * deviation, middle, middle - width * deviation

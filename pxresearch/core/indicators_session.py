"""Indicators that begin anew with each session: VWAP and the opening range.

Times are int64 nanoseconds UTC; bars are stamped at their end.

I/O: none
"""

from __future__ import annotations

from typing import Any

from pxresearch.core.indicators_window import NAN, add_exact, check_period, jitable
from pxresearch.core.layout import Field, Layout

NS_PER_MINUTE = 60_000_000_000

Vwap = Layout("Vwap", (Field("session", "i8"), Field("volume"), Field("turnover"), Field("rest")))
OpeningRange = Layout(
    "OpeningRange", (Field("session_open", "i8"), Field("bars", "i8"), Field("high"), Field("low"))
)


@jitable
def vwap(state: Any, price: float, volume: float, session: int) -> float:
    """Return the session's volume-weighted average price: sum(price * volume) / sum(volume).

    Parameters
    ----------
    state
        Declared as ``px.state(px.Vwap)``.
    price
        Of the next trade; of the next bar usually (high + low + close) / 3.
    volume
        Contracts, not negative.
    session
        Any integer that names the session, for example its date; the sums begin anew when it
        changes.

    Returns
    -------
    float
        In the unit of the price; NaN until the session has volume.

    Notes
    -----
    Berkowitz, Logue and Noser, "The total cost of transactions on the NYSE", *Journal of Finance*
    43 (1988). The sum of products is kept in two floats, so it does not drift within a session.

    Examples
    --------
    >>> state = Vwap.cell()
    >>> [vwap(state, *trade) for trade in ((10.0, 1, 7), (20.0, 3, 7), (30.0, 2, 8))]
    [10.0, 17.5, 30.0]
    """
    if session != state.session:
        state.session = session
        state.volume = 0.0
        state.turnover = 0.0
        state.rest = 0.0
    total, rest = add_exact(state.turnover, state.rest, price * volume)
    state.turnover = total
    state.rest = rest
    state.volume += volume
    return total / state.volume if state.volume > 0.0 else NAN


@jitable
def opening_range(
    state: Any, high: float, low: float, ts: int, session_open: int, minutes: int
) -> tuple[float, float]:
    """Return the high and low of a session's first minutes, once they are over.

    Parameters
    ----------
    state
        Declared as ``px.state(px.OpeningRange)``.
    high, low
        Of the next bar, finite.
    ts
        End of the bar, ns UTC.
    session_open
        When the range begins, ns UTC: the open at 17:00 Chicago, or that of the day session. The
        range begins anew when it changes.
    minutes
        Length of the range, at least 1, a multiple of the bar's; constant; usually 5 to 60.

    Returns
    -------
    tuple of float
        ``(high, low)`` in the unit of the prices; both NaN until a bar ends at or after
        session_open + minutes, and for the session if no bar ended within the range.

    Raises
    ------
    ValueError
        If minutes is below 1.

    Notes
    -----
    Crabel, *Day Trading with Short Term Price Patterns and Opening Range Breakout* (1990). A bar
    counts if session_open < ts <= session_open + minutes: one that ends within the range although
    it began before it is counted whole, one that ends after it is not counted. Started in the
    middle of a range, it gives the range of the rest: it cannot tell a late start from quiet
    minutes.

    Examples
    --------
    >>> state = OpeningRange.cell()
    >>> [opening_range(state, *bar, k * NS_PER_MINUTE, 0, 2)
    ...  for k, bar in enumerate(((5.0, 4.0), (6.0, 5.0), (9.0, 8.0)), start=1)]
    [(nan, nan), (6.0, 4.0), (6.0, 4.0)]
    """
    check_period(minutes)
    if session_open != state.session_open:
        state.session_open = session_open
        state.bars = 0
    end = session_open + minutes * NS_PER_MINUTE
    if session_open < ts <= end:
        state.high = high if state.bars == 0 or high > state.high else state.high
        state.low = low if state.bars == 0 or low < state.low else state.low
        state.bars += 1
    if ts < end or state.bars == 0:
        return NAN, NAN
    return state.high, state.low

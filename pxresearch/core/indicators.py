"""The indicators: for each a declared state and one function that takes the next value.

The same source runs compiled, the state a NumPy record, and uncompiled, the state a `Cell`, with
the same result to the last bit. A strategy declares the state and calls the function once for each
bar or tick::

    fast_ema = px.state(px.Ema)
    slow_sma = px.state(px.Sma, size=200)      # size: the longest window, 64 if not given

    fast = px.ema(self.fast_ema, bar.close, self.fast)
    slow = px.sma(self.slow_sma, bar.close, self.slow)

Rules for all: a result is a float, or a tuple of floats, NaN until warmed up; inputs are finite (a
NaN would stay in a recursion for good); periods are constant over the life of a state; one state
belongs to one call site.

I/O: none
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pxresearch.core.indicators_channel import Donchian, Stochastic, donchian, stochastic
from pxresearch.core.indicators_range import Adx, Atr, Keltner, adx, atr, keltner
from pxresearch.core.indicators_session import OpeningRange, Vwap, opening_range, vwap
from pxresearch.core.indicators_smooth import Ema, Macd, Rsi, ema, macd, rsi
from pxresearch.core.indicators_window import (
    Bollinger,
    Sma,
    Std,
    Wma,
    ZScore,
    bollinger,
    sma,
    std,
    wma,
    zscore,
)
from pxresearch.core.layout import Layout

LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        Adx,
        Atr,
        Bollinger,
        Donchian,
        Ema,
        Keltner,
        Macd,
        OpeningRange,
        Rsi,
        Sma,
        Std,
        Stochastic,
        Vwap,
        Wma,
        ZScore,
    )
}

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "adx": adx,
    "atr": atr,
    "bollinger": bollinger,
    "donchian": donchian,
    "ema": ema,
    "keltner": keltner,
    "macd": macd,
    "opening_range": opening_range,
    "rsi": rsi,
    "sma": sma,
    "std": std,
    "stochastic": stochastic,
    "vwap": vwap,
    "wma": wma,
    "zscore": zscore,
}

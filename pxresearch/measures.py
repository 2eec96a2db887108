"""What the two numbers of a refusal, and of an act of the risk manager, measure.

The engine writes bare integers (docs/engine.md section 7); here they get their unit, for people.

I/O: none
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pxresearch.core import records as r
from pxresearch.instruments import Instrument
from pxresearch.sessions import CHICAGO, from_ns

USD, TIME, SECONDS, PRICE, TICKS, MINIS = "USD", "time", "s", "price", "ticks", "minis"
CONTRACTS, ORDERS, TIMES, NOTHING = "contracts", "orders", "times", ""

# By reason or cause: the unit, then what value and limit are; an empty limit is not told.
_MEASURES = {
    "ACCOUNT_OVER": (USD, "equity", "level"),
    "DAY_LOCKED": (USD, "day P&L", "limit"),
    "PROFIT_LOCKED": (USD, "day P&L", "lock"),
    "REDUCE_ONLY": (SECONDS, "no event for", "allowed"),
    "FLATTENING": (CONTRACTS, "position", ""),
    "SESSION_CLOSED": (TIME, "at", "session from"),
    "AFTER_CUTOFF": (TIME, "at", "nothing opens from"),
    "LOSS_PAUSE": (TIME, "at", "until"),
    "NEWS_WINDOW": (TIME, "at", "until"),
    "ORDER_SIZE": (CONTRACTS, "order", "maximum"),
    "STALE_QUOTE": (SECONDS, "quote's age", "maximum"),
    "WRONG_SIDE": (PRICE, "price", "against"),
    "COLLAR": (TICKS, "distance", "collar"),
    "SPREAD": (TICKS, "spread", "maximum"),
    "ORDER_VALUE": (USD, "order value", "maximum"),
    "SELF_TRADE": (PRICE, "entry", "own order at"),
    "DUPLICATE": (SECONDS, "after", "window"),
    "REPEATED": (TIMES, "same order", "maximum"),
    "RATE": (ORDERS, "in a minute", "maximum"),
    "PRODUCT_CAP": (CONTRACTS, "position would be", "cap"),
    "POSITION_CAP": (MINIS, "position would be", "cap"),
    "BRACKET_RISK": (USD, "risk", "left"),
    "TOO_MANY_ORDERS": (ORDERS, "live", "room for"),
    "max_loss_limit": (USD, "equity", "level"),
    "daily_loss_limit": (USD, "day P&L", "limit"),
    "daily_profit_lock": (USD, "day P&L", "lock"),
    "consecutive_losses": (TIMES, "lost in a row", "limit"),
    "repeated_order": (TIMES, "same order", "maximum"),
}
_SCALES = {USD: r.MICROS, SECONDS: 10**9, MINIS: 10}
_A_TIME = 10**15  # ns: a value above is an instant, a news window's cap is far below


def blocks(mask: int) -> list[str]:
    """Why nothing opens, in words, by the bits of the engine's `blocked`."""
    return [text for bit, text in enumerate(r.BLOCKS) if mask >> bit & 1]


def clock_time(ns: int) -> str:
    """Time of day in Chicago; "never" for an instant that does not come."""
    return f"{from_ns(ns).astimezone(CHICAGO):%H:%M:%S} Chicago" if 0 < ns < r.NEVER else "never"


def number(name: str, value: int) -> float | int | str:
    """A value of a reason or cause in its unit; an instant as ISO text, UTC; prices in ticks."""
    unit = _MEASURES.get(name, (NOTHING,))[0]
    if unit in _SCALES:
        return int(value) / _SCALES[unit]
    if _A_TIME < value < r.NEVER:
        return f"{np.datetime64(value, 'ns')}Z"
    return int(value)


def phrase(name: str, value: int, limit: int, instrument: Instrument | None = None) -> str:
    """Value and limit in words.

    Parameters
    ----------
    name
        Of `records.REASONS` or `records.CAUSES`.
    value, limit
        As the engine wrote them.
    instrument
        Of the contract; without it prices are given in ticks.

    Returns
    -------
    str
        Such as ``day P&L -1,000.25 USD, limit -1,000.00 USD``; empty where there is no number.
    """
    if name == "BLOCKED":
        return "; ".join(blocks(value))
    if name == r.CAUSES[r.DEADLINE]:
        return f"position {value:+d}, flat by {clock_time(limit)}"
    if name not in _MEASURES:
        return ""
    unit, of_value, of_limit = _MEASURES[name]
    if unit == TIME and limit < _A_TIME:
        unit, of_value, of_limit = CONTRACTS, "position would be", "cap"
    write = _writer(unit, instrument)
    text = f"{of_value} {write(value)}"
    return f"{text}, {of_limit} {write(limit)}" if of_limit else text


def _writer(unit: str, instrument: Instrument | None) -> Callable[[int], str]:
    if unit == TIME:
        return clock_time
    if unit == PRICE and instrument is not None:
        return instrument.price_text
    if unit == PRICE:
        return lambda ticks: f"{ticks:,} ticks"
    if unit == USD:
        return lambda micros: f"{micros / r.MICROS:,.2f} USD"
    if unit in _SCALES:
        return lambda value: f"{value / _SCALES[unit]:,.1f} {unit}"
    return lambda value: f"{value:,} {unit}"

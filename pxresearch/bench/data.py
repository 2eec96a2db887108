"""Synthetic quotes for the benchmark: a random walk of the bid, one to two ticks of spread.

I/O: none
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from pxresearch.instruments import instrument
from pxresearch.sessions import session, trading_day

CHICAGO = ZoneInfo("America/Chicago")
SESSIONS = 5
START = 80_000  # ticks; 20,000.00 of a contract with a tick of 0.25


def full_days(count: int) -> list[dt.date]:
    """The first `count` trading days from 2025-01-06 on that are no holiday and close as usual."""
    nq, found = instrument("NQ"), []
    day = dt.date(2025, 1, 6)
    while len(found) < count:
        held = session(nq, day) if trading_day_of(day) else None
        if held is not None and held.deadline_time.astimezone(CHICAGO).hour == 15:
            found.append(day)
        day += dt.timedelta(days=1)
    return found


def trading_day_of(day: dt.date) -> bool:
    """Whether the date names a trading day."""
    noon = dt.datetime.combine(day, dt.time(9), CHICAGO)
    return trading_day(noon) == day


def session_times(
    n: int, days: Sequence[dt.date], rng: np.random.Generator
) -> np.ndarray[Any, Any]:
    """Ascending event times, int64 ns, shape (n,): 17:00:05 to 15:04 Chicago of each session."""
    parts = []
    for k, day in enumerate(days):
        eve = dt.datetime.combine(day - dt.timedelta(days=1), dt.time(17, 0, 5), CHICAGO)
        first = int(eve.timestamp()) * 10**9
        count = n // len(days) + (n % len(days) if k == len(days) - 1 else 0)
        steps = rng.integers(0, (22 * 3600 + 4 * 60 - 5) * 10**9, count)
        parts.append(first + np.sort(steps))
    return np.concatenate(parts)


def quotes(
    n: int, *, days: Sequence[dt.date] = (), seed: int = 7
) -> dict[str, np.ndarray[Any, Any]]:
    """Quotes for `px.ticks`: ts int64 ns; bid, ask, sizes int32; each of shape (n,)."""
    rng = np.random.default_rng(seed)
    walk = np.cumsum(rng.integers(-1, 2, n)) // 2
    bid = (START + walk).astype(np.int32)
    ask = (bid + 1 + (rng.random(n) < 0.1)).astype(np.int32)
    return {
        "ts": session_times(n, days or full_days(SESSIONS), rng),
        "bid": bid,
        "ask": ask,
        "bid_size": rng.integers(1, 40, n).astype(np.int32),
        "ask_size": rng.integers(1, 40, n).astype(np.int32),
    }


def trades(n: int, *, seed: int = 8) -> dict[str, np.ndarray[Any, Any]]:
    """Trades for `px.ticks` on the same walk, shape (n,)."""
    rng = np.random.default_rng(seed)
    price = (START + np.cumsum(rng.integers(-1, 2, n)) // 2).astype(np.int32)
    return {
        "ts": session_times(n, full_days(SESSIONS), rng),
        "price": price,
        "size": rng.integers(1, 9, n).astype(np.int32),
        "side": (1 - 2 * rng.integers(0, 2, n)).astype(np.int8),
    }


def minute_bars(n: int, *, seed: int = 9) -> dict[str, np.ndarray[Any, Any]]:
    """n one-minute bars for `px.ticks`, 1,320 a session, on weekdays from 2023 on."""
    rng = np.random.default_rng(seed)
    per_session = 1320
    days = [dt.date(2023, 1, 3)]
    while len(days) * per_session < n:
        days.append(days[-1] + dt.timedelta(days=3 if days[-1].weekday() == 4 else 1))
    starts = [
        int(dt.datetime.combine(d - dt.timedelta(days=1), dt.time(17), CHICAGO).timestamp())
        for d in days
    ]
    minutes = np.arange(per_session, dtype=np.int64) * 60
    opens = (np.array(starts, dtype=np.int64)[:, None] + minutes).ravel()[:n] * 10**9
    close = (START + np.cumsum(rng.integers(-8, 9, n))).astype(np.int32)
    open_ = np.concatenate([close[:1], close[:-1]]).astype(np.int32)
    return {
        "ts_open": opens,
        "ts_close": opens + 60 * 10**9,
        "open": open_,
        "high": (np.maximum(open_, close) + rng.integers(0, 6, n)).astype(np.int32),
        "low": (np.minimum(open_, close) - rng.integers(0, 6, n)).astype(np.int32),
        "close": close,
        "volume": rng.integers(1, 500, n).astype(np.int64),
    }

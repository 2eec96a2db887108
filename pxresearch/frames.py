"""`bars`: ticks → bars in a polars frame, by the very code that makes a strategy's bars.

Units: times are int64 ns UTC inside and zoned datetimes in the frame; prices are floats there.

I/O: reads what the ticks read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from pxresearch.block import Block
from pxresearch.core.barloop import fold_bars
from pxresearch.core.records import (
    BAR_ROW,
    ENGINE,
    NEVER,
    NO_ASK,
    NO_BID,
    SESSION_BARS,
    TIME_BARS,
)
from pxresearch.errors import UsageError
from pxresearch.instruments import Instrument
from pxresearch.sessions import Session, session
from pxresearch.tickdata import Ticks
from pxresearch.timeframes import parse_timeframe
from pxresearch.validation.schema import KINDS

CHUNK = 1 << 16  # rows between two looks at the buffer

Array = np.ndarray[Any, Any]


class _Rows(NamedTuple):
    """Rows of one session: prices in half ticks; a tick ends when it begins."""

    ts: Array
    ends: Array
    open: Array
    high: Array
    low: Array
    close: Array
    volume: Array


def bars(ticks: Ticks, timeframe: str, *, kind: str | None = None) -> pl.DataFrame:
    """Bars of a timeframe, the same as a strategy's `on_bar` gets.

    Every row counts, zero-size trades too; of quotes the middle, where both sides are there. Time
    bars lie on a grid from the session's open (17:00 Chicago); a pause and the close end every bar.
    Unlike in a backtest, rows outside the session count: they make bars of their own on the same
    grid, and in a session bar ("1d") they join the session's. A bar without a row does not exist;
    the last one holds what there is, even if it is not complete.

    Parameters
    ----------
    ticks
        From `px.load` or `px.ticks`.
    timeframe
        "30s", "1m", "4h", "1d" (session), "500t" (events), "1000v" (volume), "8r" (range in ticks).
    kind
        "trades", "quotes" or "bars"; left out: trades if there are any, else quotes, else bars.

    Returns
    -------
    polars.DataFrame
        ts (start), end, open, high, low, close, volume, count (of rows), session.

    Raises
    ------
    UsageError
        The timeframe is not known, or finer than the bars that it should be made of.
    DataError
        The kind is not there.

    Examples
    --------
    >>> from pxresearch.tickdata import ticks
    >>> second = 1_000_000_000
    >>> day = ticks("ESU13", trades={"ts": [0, second, 61 * second], "price": [9.0, 9.5, 9.25]})
    >>> bars(day, "1m")["close"].to_list()
    [9.5, 9.25]
    """
    source = _source(ticks, kind)
    frame_kind, period = parse_timeframe(timeframe)
    if source == "bars" and frame_kind == TIME_BARS:
        _check_coarser(ticks, timeframe, period)
    maker = _Maker(frame_kind, period)
    frames = [
        _frame(row, ticks.contract.instrument).with_columns(pl.lit(block.session).alias("session"))
        for block in ticks.only(source).blocks()
        if len(row := maker.session(_rows(block), session(ticks.contract, block.session)))
    ]
    return pl.concat(frames) if frames else _empty(ticks.contract.instrument)


def _source(ticks: Ticks, kind: str | None) -> str:
    if kind is not None and kind not in KINDS:
        raise UsageError(f"kind must be one of {', '.join(KINDS)}; received {kind!r}")
    order = ("trades", "quotes", "bars")
    return kind or next((name for name in order if name in ticks.kinds), "trades")


def _check_coarser(ticks: Ticks, timeframe: str, period: int) -> None:
    kind, length = parse_timeframe(ticks.bar_spec or "1s")
    if kind != TIME_BARS or period % length:
        raise UsageError(
            f"bars of {timeframe} cannot be made of bars of {ticks.bar_spec}: choose a multiple"
        )


class _Maker:
    """One engine record with one contract and one timeframe, fed a session at a time."""

    def __init__(self, kind: int, period: int) -> None:
        self.kind = kind
        self.engine = np.zeros(1, ENGINE)
        self.engine["frames_n"] = 1
        self.contract = self.engine["contract"][0, 0]
        self.contract["frames"][0]["kind"] = kind
        self.contract["frames"][0]["period"] = period
        self.contract["frames"][0]["end"] = NEVER
        self.buffer = np.zeros(2 * CHUNK + 1, BAR_ROW)

    def session(self, rows: _Rows, hours: Session) -> Array:
        """Bars of one session's rows."""
        done: list[Array] = [self.buffer["bar"][:0].copy()]
        at = 0
        for stop, until in self._stretches(hours):
            end = int(np.searchsorted(rows.ts, stop)) if stop != NEVER else len(rows.ts)
            if end > at:
                self.contract["session"]["open"] = hours.open
                self.contract["session"]["close"] = stop
                done += self._stretch(rows, at, end, until)
                at = end
        return np.concatenate(done)

    def _stretches(self, hours: Session) -> list[tuple[int, int]]:
        """Where bars must end: (first instant after, end of a bar that runs until then)."""
        pause = [hours.pause_from, hours.pause_to] if hours.pause_from < hours.pause_to else []
        if self.kind == SESSION_BARS:
            return [*((t, t) for t in pause[:1]), (NEVER, hours.close)]
        return [*((t, t) for t in (hours.open, *pause, hours.close)), (NEVER, NEVER)]

    def _stretch(self, rows: _Rows, first: int, stop: int, until: int) -> Iterator[Array]:
        addresses = [array.ctypes.data for array in rows]
        for at in range(first, stop, CHUNK):
            end = min(at + CHUNK, stop)
            n = fold_bars(
                self.engine.ctypes.data, at, end, *addresses, until if end == stop else 0,
                self.buffer.ctypes.data,
            )  # fmt: skip
            yield self.buffer["bar"][:n].copy()


def _rows(block: Block) -> _Rows:
    """One session's rows as contiguous int64 arrays."""
    if block.trades is not None:
        t = block.trades
        price = 2 * t.px.astype(np.int64)
        return _Rows(t.ts, t.ts, price, price, price, price, t.size.astype(np.int64))
    if block.quotes is not None:
        q = block.quotes
        both = (q.bid != NO_BID) & (q.ask != NO_ASK)
        mid = (q.bid.astype(np.int64) + q.ask)[both]
        ts = q.ts[both]
        return _Rows(ts, ts, mid, mid, mid, mid, np.zeros(len(ts), np.int64))
    b = block.bars
    if b is None:
        nothing = np.zeros(0, np.int64)
        return _Rows(*[nothing] * 7)
    o, h, low, c = (2 * array.astype(np.int64) for array in (b.o, b.h, b.l, b.c))
    return _Rows(b.ts_open, b.ts, o, h, low, c, b.volume)


def _frame(rows: Array, product: Instrument) -> pl.DataFrame:
    return pl.DataFrame(
        {
            **{name: pl.Series(rows[key].astype("datetime64[ns]")).dt.replace_time_zone("UTC")
               for name, key in (("ts", "ts"), ("end", "end"))},
            **{name: rows[name] * product.tick_num / (2 * product.tick_den)
               for name in ("open", "high", "low", "close")},
            "volume": rows["volume"], "count": rows["count"],
        }
    )  # fmt: skip


def _empty(product: Instrument) -> pl.DataFrame:
    none = np.zeros(0, BAR_ROW)["bar"]
    return _frame(none, product).with_columns(pl.lit(None, dtype=pl.Date).alias("session"))

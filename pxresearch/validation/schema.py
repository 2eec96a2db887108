"""The canonical columns: names, types, flags, sessions, the tick grid and the order of time.

Units: times are int64 ns UTC, prices are int32 ticks.

I/O: none
"""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import polars as pl

from pxresearch.errors import DataError, OffGridPrice
from pxresearch.instruments import Instrument

KINDS = ("quotes", "trades", "bars")
"""What can be imported and replayed."""
DEPTH = "depth"
STORED = (*KINDS, DEPTH)
"""What a catalogue holds."""
CHICAGO = "America/Chicago"
TS = pl.Datetime("ns", "UTC")
"""Type of every time column."""
SCHEMAS: dict[str, dict[str, pl.DataType]] = {
    "trades": {
        "ts": TS, "ts_event": pl.Int64(), "seq": pl.Int64(), "px": pl.Int32(),
        "size": pl.Int32(), "side": pl.Int8(), "flags": pl.UInt16(),
    },
    "quotes": {
        "ts": TS, "ts_event": pl.Int64(), "seq": pl.Int64(), "bid_px": pl.Int32(),
        "bid_sz": pl.Int32(), "ask_px": pl.Int32(), "ask_sz": pl.Int32(), "flags": pl.UInt16(),
    },
    "bars": {
        "ts_open": TS, "ts_close": TS, "o": pl.Int32(), "h": pl.Int32(), "l": pl.Int32(),
        "c": pl.Int32(), "volume": pl.Int64(), "n_trades": pl.Int32(), "flags": pl.UInt16(),
    },
    DEPTH: {
        "ts": TS, "ts_event": pl.Int64(), "seq": pl.Int64(), "type": pl.Int8(), "px": pl.Int32(),
        "size": pl.Int32(), "flags": pl.UInt16(),
    },
}  # fmt: skip
PRICES = {
    "trades": ("px",), "quotes": ("bid_px", "ask_px"), "bars": ("o", "h", "l", "c"),
    DEPTH: ("px",),
}  # fmt: skip

ZERO_SIZE, AUCTION, SNAPSHOT, IMPLIED, BAD_CLOCK, OUTSIDE, SOURCE = 1, 2, 4, 8, 16, 32, 64
"""Bits of the column `flags`."""

_GRID = 1e-6  # of a tick: float64 noise
_GRID32 = 0.02  # of a tick: float32 noise, as in Sierra Chart files


def time_column(kind: str) -> str:
    """Name of the column by which rows of this kind are ordered."""
    return "ts_open" if kind == "bars" else "ts"


def utc(ns: int) -> str:
    """Text of a time, for messages."""
    whole, part = divmod(int(ns), 10**9)
    text = datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f"{text}.{part:09d}".rstrip("0").rstrip(".") + " UTC"


def session_date(ts: pl.Expr) -> pl.Expr:
    """Trading session of a time: Chicago date of ts + 7 h, weekends moved on to Monday."""
    day = (ts + pl.duration(hours=7)).dt.convert_time_zone(CHICAGO).dt.date()
    weekday = day.dt.weekday()  # Monday 1 to Sunday 7
    ahead = pl.when(weekday > 5).then(8 - weekday).otherwise(0)
    return (day + pl.duration(days=ahead)).alias("session")


def to_ticks(prices: pl.Series, product: Instrument, tick: float | None = None) -> pl.Series:
    """Int32 ticks of a column of prices; nulls stay null and nothing is rounded.

    Parameters
    ----------
    prices
        Float64 or Float32 prices, Int64 prices in units of 1e-9, or Int32 ticks (returned as is).
    product
        Whose tick size holds.
    tick
        A coarser grid that the prices must keep as well, as a price.

    Raises
    ------
    OffGridPrice
        With the number of prices off the grid and the first of them.
    DataError
        A price is not a number, or does not fit 32 bits of ticks.
    """
    if prices.dtype == pl.Int32:
        return prices
    if prices.dtype == pl.Int64:
        scaled = prices.to_frame("x").select(pl.col("x") * product.tick_den)["x"]
        unit = product.tick_num * 10**9
        near, off = scaled // unit, (scaled % unit) != 0
        shown = prices / 1e9
    else:
        shown = prices.cast(pl.Float64)
        _finite(shown)
        exact = shown * product.tick_den / product.tick_num
        near = exact.round()
        off = (exact - near).abs() > (_GRID32 if prices.dtype == pl.Float32 else _GRID)
    if tick is not None:
        step = product.to_ticks(tick)
        off = off | ((near.cast(pl.Int64) % step) != 0)
    if off.any():
        _refuse_off_grid(shown, off, product, tick)
    try:
        return near.cast(pl.Int32).alias(prices.name)
    except pl.exceptions.InvalidOperationError:
        raise DataError(
            f"{product.root}: {prices.name} reaches {shown.max()}, too far off for a price; is it "
            "scaled? Divide it, or name the right column"
        ) from None


def _finite(prices: pl.Series) -> None:
    bad = ~prices.is_finite().fill_null(value=True)
    if bad.any():
        row = bad.arg_true()[0]
        raise DataError(
            f"{prices.name}: row {row} (counted from 0) is {prices[row]}, not a price "
            f"({bad.sum()} such rows); write an empty field for an empty side, or drop the rows"
        )


def _refuse_off_grid(
    prices: pl.Series, off: pl.Series, product: Instrument, tick: float | None
) -> None:
    rows = off.arg_true()[:3].to_list()
    examples = ", ".join(f"{prices[r]} (row {r})" for r in rows)
    raise OffGridPrice(
        f"{int(off.sum() or 0):,} of {len(prices):,} values of {prices.name} are not whole ticks "
        f"of {tick or product.tick_size} ({product.root}); the first: {examples}. Adjusted or "
        "scaled prices, or another product? Import unadjusted prices of one contract; prices are "
        "never rounded"
    )


def backward(ts: np.ndarray) -> np.ndarray:
    """Rows whose time lies before that of the row above, as indices."""
    return np.flatnonzero(ts[1:] < ts[:-1]) + 1


def refuse_backward(ts: np.ndarray, what: str) -> None:
    """Raise DataError when the clock runs backward somewhere in `ts` (ns)."""
    rows = backward(ts)
    if not len(rows):
        return
    row = int(rows[0])
    worst = int((np.maximum.accumulate(ts) - ts).max())
    raise DataError(
        f"{what}: the clock runs backward at {len(rows):,} rows, first at row {row} (counted from "
        f"0): {utc(ts[row])} after {utc(ts[row - 1])}; the worst row is {worst / 1e6:g} ms late. "
        "Rows are not re-ordered silently: repair the file, or allow a bounded re-sort with "
        f"--resort-ms {int(np.ceil(worst / 1e6))} (resort_ms=...)"
    )

"""What a caller hands over as arrays: that the columns can be read, and that the rows make sense.

Every function here raises a DataError that names the row, counted from 0, and the remedy.

I/O: none
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from pxresearch.errors import AmbiguousInput, DataError, UsageError
from pxresearch.instruments import Instrument
from pxresearch.validation.schema import PRICES, TS, time_column, to_ticks, utc

_MAY_BE_MISSING = ("bid_px", "ask_px", "bid_sz", "ask_sz", "ts_event", "n_trades")
_NOT_NEGATIVE = {"quotes": ("bid_sz", "ask_sz"), "trades": ("size",), "bars": ("volume",)}


def table(given: Any, kind: str, what: str) -> pl.DataFrame:
    """Frame of the caller's columns.

    Raises
    ------
    UsageError
        Not columns at all.
    DataError
        Columns of unequal length, or with values of several types.
    """
    if isinstance(given, pl.DataFrame):
        return given
    if not hasattr(given, "keys") or not hasattr(given, "__getitem__"):
        raise UsageError(
            f"{kind}= takes a dict of columns, such as {{'ts': [...], ...}}, or a polars "
            f"DataFrame; received {type(given).__name__}"
        )
    columns = {name: _mixed(given[name], name, what) for name in given.keys()}  # noqa: SIM118
    try:
        return pl.DataFrame(columns)
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError) as error:
        sizes = {name: len(c) for name, c in columns.items() if hasattr(c, "__len__")}
        if len(set(sizes.values())) > 1:
            listed = ", ".join(f"{name} {n:,}" for name, n in sizes.items())
            raise DataError(
                f"{what}: the columns are of unequal length: {listed}; give every column one "
                "value for each row"
            ) from None
        raise DataError(
            f"{what}: the columns {', '.join(map(str, columns))} make no table "
            f"({str(error).splitlines()[0]}); give each as a list or an array of one dimension"
        ) from None


def _mixed(values: Any, name: str, what: str) -> Any:
    """The same column; whole numbers among floats, which polars refuses, become floats."""
    if not isinstance(values, list | tuple):
        return values
    try:
        return pl.Series(str(name), values)
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError):
        odd = (
            row
            for row, value in enumerate(values)
            if value is not None and (isinstance(value, bool) or not isinstance(value, Real))
        )
        row = next(odd, None)
        if row is None:
            return pl.Series(str(name), values, dtype=pl.Float64, strict=False)
        if not isinstance(values[0], Real):  # times or texts with something else among them
            row = next((i for i, v in enumerate(values) if type(v) is not type(values[0])), 0)
        if row == 0:
            raise DataError(
                f"{what}: row 0 (counted from 0) of {name} is {values[0]!r}, which makes no "
                "column; give a list of values of one type, or a NumPy array"
            ) from None
        raise DataError(
            f"{what}: row {row} (counted from 0) of {name} is {values[row]!r}, of another type "
            f"than {values[0]!r} in row 0; give values of one type"
        ) from None


def column(
    series: pl.Series, name: str, dtype: pl.DataType, kind: str, what: str, product: Instrument
) -> pl.Series:
    """One column in its canonical type; nothing is rounded, cut or guessed.

    Raises
    ------
    AmbiguousInput
        Times without a zone.
    OffGridPrice
        A price that is not a whole number of ticks.
    DataError
        A value of another type, one that does not fit, or a missing one.
    """
    if len(series) == 0:
        return pl.Series(name, [], dtype)
    if name in PRICES[kind]:
        _refuse_type(series, what, series.dtype.is_numeric(), "a price", "float prices")
        if not series.dtype.is_integer():
            series = to_ticks(series, product)
    elif dtype == TS:
        series = _times(series, name, what)
    else:
        hint = "whole numbers" + (" (1 buyer, -1 seller, 0 unknown)" if name == "side" else "")
        _refuse_type(series, what, series.dtype.is_numeric(), "a whole number", hint)
        if series.dtype.is_decimal():
            series = series.cast(pl.Float64)
        if series.dtype.is_float():
            part = ~(series.is_finite() & (series == series.floor())).fill_null(value=True)
            _refuse(part, what, lambda row: f"{name} {series[row]}", "which is not whole",
                    f"give {hint}")  # fmt: skip
    if series.null_count() and name not in _MAY_BE_MISSING:
        row = series.is_null().arg_true()[0]
        raise DataError(
            f"{what}: {name} is missing in row {row} (counted from 0); fill it or drop the row"
        )
    if series.dtype == dtype:
        return series.alias(name)
    result = series.cast(dtype, strict=False)
    if result.null_count() != series.null_count():
        ticks = "whole numbers are ticks, give prices as floats" * (name in PRICES[kind])
        _refuse(result.is_null() & series.is_not_null(), what, lambda row: f"{name} {series[row]}",
                f"which does not fit {dtype}",
                ticks or "is it scaled? Divide it, or name the right column")  # fmt: skip
    return result.alias(name)


def _times(series: pl.Series, name: str, what: str) -> pl.Series:
    if isinstance(series.dtype, pl.Datetime):
        if series.dtype.time_zone is None:
            raise AmbiguousInput(
                f"column {name!r} has no time zone; use .dt.replace_time_zone('UTC') or the zone "
                "that wrote it"
            )
        return series.dt.convert_time_zone("UTC")
    if series.dtype.is_float():
        raise DataError(
            f"{what}: {name} holds floats, {series[0]!r} in row 0; a float cannot hold "
            "nanoseconds exactly: give int64 ns UTC or datetimes with a zone"
        )
    _refuse_type(series, what, series.dtype.is_integer(), "a time",
                 "int64 ns UTC or datetimes with a zone, text by way of "
                 ".str.to_datetime(time_zone='UTC')")  # fmt: skip
    return series


def _refuse_type(series: pl.Series, what: str, fits: bool, wanted: str, remedy: str) -> None:
    if fits or series.null_count() == len(series):
        return
    row = 0
    if series.dtype == pl.String:  # the first that could not even be read as a number
        bad = series.cast(pl.Float64, strict=False).is_null() & series.is_not_null()
        row = bad.arg_true()[0] if bad.any() else series.is_not_null().arg_true()[0]
    raise DataError(
        f"{what}: {series.name} holds {series.dtype}, in row {row} (counted from 0) "
        f"{series[row]!r}, not {wanted}; give {remedy}"
    )


def _refuse(
    bad: pl.Series | npt.NDArray[np.bool_],
    what: str,
    shown: Callable[[int], str],
    why: str,
    remedy: str,
) -> None:
    rows = np.flatnonzero(bad)
    if len(rows):
        row = int(rows[0])
        raise DataError(
            f"{what}: row {row} (counted from 0) has {shown(row)}, {why} ({len(rows):,} such "
            f"rows); {remedy}"
        )


def refuse_impossible(frame: pl.DataFrame, kind: str, what: str, product: Instrument) -> None:
    """Raise DataError where rows of the canonical columns cannot be.

    Negative sizes, unknown sides; bars whose prices contradict each other, that end before they
    begin, or that overlap.
    """
    arrays: Mapping[str, Any] = {
        name: frame[name].to_physical().to_numpy()
        for name in frame.columns
        if name not in _MAY_BE_MISSING
    }
    for name in _NOT_NEGATIVE[kind]:
        low = frame[name].min()
        if low is not None and low < 0:  # type: ignore[operator]
            _refuse((frame[name] < 0).fill_null(value=False), what,
                    lambda row, name=name: f"{name} {frame[name][row]}", "which is negative",
                    "a size is 0 or more; give the side of a trade in column side")  # fmt: skip
    if kind == "trades":
        side = arrays["side"]
        _refuse((side < -1) | (side > 1), what, lambda row: f"side {side[row]}",
                "which is no side",
                "side is 1 (buyer was the aggressor), -1 (seller) or 0 (unknown)")  # fmt: skip
    if kind == "bars":
        _refuse_bars(arrays, what, product)


def _refuse_bars(arrays: Mapping[str, Any], what: str, product: Instrument) -> None:
    begin, end = arrays[time_column("bars")], arrays["ts_close"]
    o, h, low, c = (arrays[name] for name in PRICES["bars"])

    def prices(row: int) -> str:
        names = zip(("open", "high", "low", "close"), (o, h, low, c), strict=True)
        return ", ".join(f"{name} {product.to_price(int(x[row]))}" for name, x in names)

    _refuse(h < low, what, prices, "the high below the low",
            "exchange the columns or drop the rows")  # fmt: skip
    outside = (o < low) | (o > h) | (c < low) | (c > h)
    _refuse(outside, what, prices, "open or close outside low to high",
            "name the right columns or drop the rows")  # fmt: skip
    _refuse(end <= begin, what, lambda row: f"ts_open {utc(begin[row])}, ts_close {utc(end[row])}",
            "so that it ends when or before it begins",
            "ts_open is the first instant of a bar and ts_close its end")  # fmt: skip
    early = np.zeros(len(begin), np.bool_)
    early[1:] = begin[1:] < end[:-1]
    _refuse(early, what, lambda row: f"ts_open {utc(begin[row])} before {utc(end[row - 1])}",
            "the ts_close of the bar above: they overlap",
            "give bars of one length and one contract, each row once")  # fmt: skip

"""From an importer's frame to the canonical one: ticks, order, flags, sessions, evidence.

Units: times are int64 ns UTC, prices become int32 ticks.

I/O: none
"""

from __future__ import annotations

import calendar
import warnings
from datetime import UTC, datetime

import numpy as np
import polars as pl

from pxresearch.catalog import Batch
from pxresearch.errors import AmbiguousInput, DataError
from pxresearch.importers.base import Options, Parsed, Piece, defaults
from pxresearch.instruments import Contract, Instrument
from pxresearch.sessions import CalendarWarning, schedule
from pxresearch.validation import daily_break
from pxresearch.validation.schema import (
    CHICAGO,
    OUTSIDE,
    PRICES,
    SCHEMAS,
    ZERO_SIZE,
    backward,
    refuse_backward,
    session_date,
    time_column,
    to_ticks,
    utc,
)

_HOUR = 3_600 * 10**9


def normal(piece: Piece, options: Options) -> tuple[Batch, int]:
    """Return the canonical batch of a piece, and how many rows a re-sort moved."""
    code = piece.contract.code
    _nothing_missing(piece)
    frame, moved = _in_order(_filled(piece, options.tick), piece, options.resort_ms)
    ts = frame[time_column(piece.kind)].to_numpy()
    _in_life(piece.contract, ts)
    frame = frame.with_columns(_flags(frame, piece, ts))
    order = [n for n in ("ts", "ts_open", "seq") if n in SCHEMAS[piece.kind]]
    frame = frame.sort(order, maintain_order=True)
    if piece.kind == "bars":
        _sound_bars(frame, code)
    frame = frame.cast(SCHEMAS[piece.kind]).with_columns(  # pyright: ignore[reportArgumentType]
        session_date(pl.col(time_column(piece.kind)))
    )
    return Batch(piece.contract, piece.kind, frame, piece.spec), moved


def _nothing_missing(piece: Piece) -> None:
    if piece.frame.is_empty():
        raise DataError(f"{piece.contract.code}: the file holds no rows of {piece.kind}")
    for name in ("ts", "ts_open", "ts_close", "px", "size", "o", "h", "l", "c"):
        if name in piece.frame.columns and piece.frame[name].null_count():
            row = int(piece.frame[name].is_null().arg_true()[0])
            raise DataError(
                f"{piece.contract.code} {piece.kind}: {name} is missing in row {row} (counted "
                f"from 0) and {piece.frame[name].null_count() - 1} more; repair or drop the rows"
            )


def _filled(piece: Piece, tick: float | None) -> pl.DataFrame:
    """All canonical columns, prices as ticks, whole numbers checked for their range."""
    given = piece.frame
    columns: list[pl.Series] = []
    for name, dtype in SCHEMAS[piece.kind].items():
        plain = pl.Int64() if isinstance(dtype, pl.Datetime) else dtype
        if name in given.columns and name in PRICES[piece.kind]:
            column = to_ticks(given[name], piece.contract.instrument, tick)
        elif name in given.columns:
            column = _whole(given[name], plain)
        elif name == "seq":
            column = pl.int_range(len(given), eager=True).alias(name)
        else:
            column = pl.repeat(defaults(piece.kind)[name], len(given), eager=True, dtype=plain)
        columns.append(column.alias(name))
    return pl.DataFrame(columns)


def _whole(series: pl.Series, dtype: pl.DataType) -> pl.Series:
    if series.dtype.is_float():
        bad = ~(series.is_finite() & (series == series.floor())).fill_null(value=True)
        if bad.any():
            row = int(bad.arg_true()[0])
            raise DataError(
                f"{series.name} in row {row} (counted from 0) is {series[row]}, not a whole number "
                "of contracts; is it the right column?"
            )
    try:
        return series.cast(dtype)
    except pl.exceptions.InvalidOperationError:
        raise DataError(
            f"{series.name} reaches {series.max()} (or {series.min()}), which does not fit "
            f"{dtype}; is it the right column?"
        ) from None


def _in_order(
    frame: pl.DataFrame, piece: Piece, resort_ms: float | None
) -> tuple[pl.DataFrame, int]:
    """Refuse a clock that runs backward, or sort within the bound that the caller allows."""
    column = time_column(piece.kind)
    ts = frame[column].to_numpy()
    late = np.maximum.accumulate(ts) - ts
    moved = int((late > 0).sum())
    if not moved:
        return frame, 0
    name = f"{piece.contract.code} {piece.kind}"
    if resort_ms is None:
        refuse_backward(ts, name)
    worst = int(late.argmax())
    if late[worst] > (resort_ms or 0) * 1e6:
        raise DataError(
            f"{name}: row {worst} (counted from 0) is {late[worst] / 1e6:g} ms late, more than the "
            f"{resort_ms:g} ms that a re-sort may bridge; {len(backward(ts)):,} rows run backward. "
            "Repair the file or raise --resort-ms"
        )
    return frame.sort(column, maintain_order=True), moved


def _in_life(contract: Contract, ts: np.ndarray) -> None:
    """Refuse rows after the delivery month: a continuous series, or the wrong contract."""
    last_day = calendar.monthrange(contract.year, contract.month)[1]
    end = datetime(contract.year, contract.month, last_day, 23, 59, tzinfo=UTC)
    late = int((ts > int(end.timestamp()) * 10**9).sum())
    if late:
        raise AmbiguousInput(
            f"{late:,} of {len(ts):,} rows lie after the delivery month of {contract.code} (the "
            f"last at {utc(ts.max())}): a continuous series, or another contract. Cut the file at "
            "the roll and import each part with its own --contract"
        )


def _flags(frame: pl.DataFrame, piece: Piece, ts: np.ndarray) -> pl.Series:
    flags = frame["flags"].to_numpy().astype(np.uint16)
    if piece.kind == "trades":
        sizes = frame["size"].to_numpy()
        if (sizes < 0).any():
            row = int((sizes < 0).argmax())
            raise DataError(
                f"{piece.contract.code}: size {sizes[row]} in row {row} (counted from 0) is below "
                "zero; repair or drop the rows"
            )
        flags |= np.where(sizes == 0, ZERO_SIZE, 0).astype(np.uint16)
    # A quote stamped at the end of its interval belongs to the session that just closed.
    if piece.spec is None or not piece.spec.endswith("d"):  # a daily bar is labelled by its day
        flags |= np.where(outside(piece.contract.instrument, ts), OUTSIDE, 0).astype(np.uint16)
    return pl.Series("flags", flags)


def outside(product: Instrument, ts: np.ndarray) -> np.ndarray:
    """Whether each time (ns) lies outside the product's session; closing instants lie inside."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CalendarWarning)
        days, table = schedule(
            [product], int(ts.min()), int(ts.max()), flatten_margin_s=0, no_open_margin_s=0
        )
    at = np.clip(np.searchsorted(days["start"], ts, side="right") - 1, 0, len(days) - 1)
    shut = (ts < table["open"][at, 0]) | (ts > table["close"][at, 0])
    return shut | ((ts > table["pause_from"][at, 0]) & (ts < table["pause_to"][at, 0]))


def _sound_bars(frame: pl.DataFrame, code: str) -> None:
    body = (pl.max_horizontal("o", "c") > pl.col("h")) | (pl.min_horizontal("o", "c") < pl.col("l"))
    bad = frame.filter(body | (pl.col("volume") < 0))
    if len(bad):
        row = bad.row(0, named=True)
        raise DataError(
            f"{code}: {len(bad):,} bars contradict themselves, the first opening at "
            f"{utc(row['ts_open'])}: open {row['o']}, high {row['h']}, low {row['l']}, close "
            f"{row['c']} ticks, volume {row['volume']}; are the columns in this order?"
        )
    if frame["ts_open"].is_duplicated().any():
        twice = frame["ts_open"].filter(frame["ts_open"].is_duplicated())[0]
        raise DataError(
            f"{code}: two bars open at {utc(twice)}; the file holds a stretch twice, or several "
            "contracts. Keep one"
        )


def evidence(batch: Batch) -> str:
    """Where the daily break fell, or the first row when the file has no break."""
    ts = batch.frame[time_column(batch.kind)].to_physical().to_numpy()
    found = daily_break(ts)
    if found:
        return f"{batch.contract.code} {batch.kind}: {found}"
    first = pl.Series(ts[:1]).cast(pl.Datetime("ns", "UTC")).dt.convert_time_zone(CHICAGO)
    text = first.dt.strftime("%Y-%m-%d %H:%M:%S%.3f")[0]
    return (
        f"{batch.contract.code} {batch.kind}: no daily break in the file; first row {text} Chicago"
    )


def doubts(batch: Batch, parsed: Parsed) -> list[str]:
    """Warnings: a clock that puts rows where the product does not trade."""
    shut = int((batch.frame["flags"] & OUTSIDE > 0).sum())
    share = shut / len(batch.frame)
    if share < 0.02 or shut < 3:
        return []
    return [
        f"{batch.contract.code} {batch.kind}: {share:.0%} of the rows lie outside the session. If "
        f"the clock is not {parsed.tz} or bars are not stamped as assumed ({parsed.stamp}), import "
        "again with --tz and --stamp; before the calendar's first year hours differed"
    ]


def stamp_by_break(stamps: np.ndarray, length: int, product: Instrument) -> str | None:
    """What the breaks say of bar stamps (ns): start, end, or None when they say nothing.

    The first bar after a break of 16:00 to 17:00 Chicago is stamped 17:00 when bars are stamped
    at their start, and one bar length later when they are stamped at their end.
    """
    if length >= _HOUR or len(stamps) < 2:
        return None
    rows = np.flatnonzero(np.diff(stamps) > 30 * 60 * 10**9) + 1
    if not len(rows):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CalendarWarning)
        _, table = schedule(
            [product], int(stamps[0]), int(stamps[-1]), flatten_margin_s=0, no_open_margin_s=0
        )
    opens = table["open"][:, 0]
    first = stamps[rows]
    at_start = int(np.isin(first, opens).sum())
    at_end = int(np.isin(first - length, opens).sum())
    if at_start == at_end:
        return None
    return "start" if at_start > at_end else "end"

"""From the text or number of a stamp to int64 ns UTC.

I/O: none
"""

from __future__ import annotations

import polars as pl

from pxresearch.errors import AmbiguousInput, DataError
from pxresearch.importers.base import Options

_LAYOUTS = (
    "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%m/%d/%Y %H:%M:%S%.f", "%m/%d/%Y %H:%M",
    "%Y-%m-%d %H:%M", "%Y%m%d %H:%M:%S%.f", "%Y%m%d %H%M%S", "%Y%m%d %H:%M", "%Y/%m/%d %H:%M:%S%.f",
    "%Y-%m-%d", "%m/%d/%Y", "%Y%m%d",
)  # fmt: skip
_EPOCHS = ((10**17, 1), (10**14, 10**3), (10**11, 10**6), (10**8, 10**9))
"""A number at or above this is in units of so many ns, for times since 1973."""


def to_utc(naive: pl.Series, tz: str, name: str) -> pl.Series:
    """Int64 ns UTC of wall-clock times in a zone.

    Raises
    ------
    DataError
        A stamp could not be read, or names an hour that the clocks skipped.
    AmbiguousInput
        A stamp lies in the hour that the clocks repeat.
    """
    if naive.null_count():
        row = int(naive.is_null().arg_true()[0])
        raise DataError(
            f"{name}: the time in row {row} (counted from 0) cannot be read ({naive.null_count()} "
            "such rows)"
        )
    if tz == "UTC":
        return naive.to_physical().cast(pl.Int64).alias("ts")
    try:
        local = naive.dt.replace_time_zone(tz)
    except pl.exceptions.ComputeError as error:
        text = str(error)
        if "ambiguous" in text:
            raise AmbiguousInput(
                f"{name}: {text.splitlines()[0]}: that hour comes twice when the clocks go back; "
                "export the data in UTC"
            ) from None
        raise DataError(
            f"{name}: {text.splitlines()[0]}; the file's clock is not {tz}, choose another --tz"
        ) from None
    return local.dt.convert_time_zone("UTC").to_physical().cast(pl.Int64).alias("ts")


def read_clock(stamps: pl.Series, options: Options, name: str) -> tuple[pl.Series, str]:
    """Int64 ns UTC of a column of text, numbers or datetimes, and the zone it was in.

    Raises
    ------
    AmbiguousInput
        Wall-clock times without a zone, and no `tz` among the options.
    DataError
        A stamp that cannot be read.
    """
    if stamps.dtype.is_integer():
        return _from_epoch(stamps, name), "UTC"
    if isinstance(stamps.dtype, pl.Datetime):
        times = stamps.cast(pl.Datetime("ns", stamps.dtype.time_zone))
        if times.dtype.time_zone is not None:  # type: ignore[union-attr]
            return times.dt.convert_time_zone("UTC").to_physical().alias("ts"), "UTC"
        tz = _zone(options.tz, str(stamps[0]))
        return to_utc(times, tz, name), tz
    text = stamps.cast(pl.String).str.strip_chars()
    first = text[0] or ""
    if first.endswith("Z") or first[10:].rpartition("+")[1] or first[19:].count("-"):
        return _from_offset(text, name), "UTC"
    tz = _zone(options.tz, first)
    return to_utc(_parse(text, first, name), tz, name), tz


def _from_epoch(stamps: pl.Series, name: str) -> pl.Series:
    if stamps.null_count():
        raise DataError(f"{name}: {stamps.null_count()} rows have no time")
    low = int(stamps.min())  # type: ignore[arg-type]
    for least, unit in _EPOCHS:
        if low >= least:
            return (stamps.cast(pl.Int64) * unit).alias("ts")
    raise DataError(
        f"{name}: {low} is no time since 1970 in s, ms, us or ns; is it the right column?"
    )


def _from_offset(text: pl.Series, name: str) -> pl.Series:
    try:
        times = text.str.replace("Z$", "+00:00").str.to_datetime(
            "%Y-%m-%dT%H:%M:%S%.f%:z" if "T" in text[0] else "%Y-%m-%d %H:%M:%S%.f%:z",
            time_unit="ns", time_zone="UTC",
        )  # fmt: skip
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{name}: times cannot be read: {str(error).splitlines()[0]}") from None
    return to_utc(times.dt.replace_time_zone(None), "UTC", name)


def _parse(text: pl.Series, first: str, name: str) -> pl.Series:
    for layout in _LAYOUTS:
        try:
            head = text.head(1).str.to_datetime(layout, time_unit="ns", strict=True)
        except pl.exceptions.PolarsError:
            continue
        if head.null_count() == 0:
            return text.str.to_datetime(layout, time_unit="ns", strict=False)
    raise DataError(
        f"{name}: the time {first!r} is of no known layout; known are {', '.join(_LAYOUTS[:6])}, "
        "ISO 8601 and whole numbers since 1970"
    )


def _zone(tz: str | None, example: str) -> str:
    """Return `tz` when it names a zone; say what to give when it does not or is missing."""
    if tz is None:
        raise AmbiguousInput(
            f"the times carry no zone (the first is {example!r}); say which clock wrote them with "
            "--tz, for example --tz UTC, --tz America/Chicago or --tz America/New_York"
        )
    return tz

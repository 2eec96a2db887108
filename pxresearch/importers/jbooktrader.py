"""JBookTrader recordings: one-second bid and ask of one future, in a zip or plain text.

The heading names the columns and the zone of the clock; a row stands at the end of its second.
Version 5 has the bid and ask at the end of the second and the second's volume, which carries no
price and so cannot become trades; version 4 has the lowest bid and highest ask of the second.

I/O: none
"""

from __future__ import annotations

import polars as pl

from pxresearch.errors import DataError
from pxresearch.importers.base import (
    Options,
    Parsed,
    Piece,
    Source,
    check_zone,
    need_contract,
)
from pxresearch.importers.clock import to_utc
from pxresearch.importers.lean import zip_entry, zip_names

_MARK = b"JBookTrader"
_BID_COLUMN = {7: 4, 5: 3}  # columns in a row -> position of the bid; the ask follows


def known(source: Source) -> bool:
    """Whether the content begins with JBookTrader's heading."""
    return _MARK in _text(source)[:200]


def _text(source: Source) -> bytes:
    if not source.data.startswith(b"PK"):
        return source.data
    names = [n for n in zip_names(source) if n.endswith(".txt")]
    return zip_entry(source, names[0]) if len(names) == 1 else b""


def parse(source: Source, options: Options) -> Parsed:
    """Read the quotes of a recording."""
    contract = need_contract(options, source.name)
    head, rows = _split(_text(source))
    zones = [line.split("=", 1)[1].strip() for line in head if line.startswith("timeZone=")]
    if not zones:
        raise DataError(f"{source.name}: the heading has no line timeZone=; it is cut short")
    tz = check_zone(options.tz or zones[0])
    width = rows.split(b"\n", 1)[0].count(b",") + 1
    if width not in _BID_COLUMN:
        raise DataError(f"{source.name}: rows of {width} columns; JBookTrader writes 5 or 7")
    frame = _quotes(rows, width, tz, source.name)
    notes = ["1-second snapshots: the order of events inside a second is lost"]
    if width == 5:
        notes.append(
            "bid and ask are the lowest and highest of each second, not a book of one time"
        )
    else:
        notes.append("the volume of each second has no price and is left out")
    return Parsed(
        "jbooktrader", [Piece(contract, "quotes", frame)], len(frame), tz, "end", warnings=notes
    )


def _split(data: bytes) -> tuple[list[str], bytes]:
    head: list[str] = []
    at = 0
    while at < len(data) and not data[at : at + 1].isdigit():
        end = data.find(b"\n", at)
        end = len(data) if end < 0 else end
        head.append(data[at:end].decode("ascii", "replace").strip())
        at = end + 1
    return head, data[at:]


def _quotes(rows: bytes, width: int, tz: str, name: str) -> pl.DataFrame:
    bid = _BID_COLUMN[width]
    schema = {f"c{i}": pl.String if i < 2 else pl.Float64 for i in range(width)}
    try:
        frame = pl.read_csv(rows, has_header=False, schema=schema)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{name}: a row cannot be read: {error}") from error
    stamps = (pl.col("c0") + pl.col("c1")).str.to_datetime(
        "%m%d%y%H%M%S", time_unit="ns", strict=False
    )
    return frame.select(
        to_utc(frame.select(stamps.alias("ts"))["ts"], tz, name),
        pl.col(f"c{bid}").alias("bid_px"),
        pl.col(f"c{bid + 1}").alias("ask_px"),
    )

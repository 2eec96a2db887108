"""NinjaTrader 8 text exports: daily, minute, tick, sub-second tick and replay tick.

Fields are parted by semicolons, without heading. The export is in UTC and stamps bars at their end
(https://ninjatrader.com/support/helpGuides/nt8/exporting.htm, read 2026-11); files of other origin
may differ, so both are checked against the daily break. Fractions of a second count 100 ns.

A `.Bid.txt` or `.Ask.txt` file is one side of the book; the other side is read from its twin
beside it.

I/O: reads the twin of a one-sided file.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl

from pxresearch.block import bar_spec
from pxresearch.errors import AmbiguousInput, DataError
from pxresearch.importers.base import (
    Options,
    Parsed,
    Piece,
    Source,
    bar_length,
    bar_times,
    need_contract,
)
from pxresearch.importers.clock import to_utc
from pxresearch.importers.normal import stamp_by_break
from pxresearch.instruments import MONTHS, Contract

_LINE = re.compile(rb"\d{8}( \d{6}( \d{7})?)?;[^;\r\n]+(;[^;\r\n]+)*\r?\n?")
_NAME = re.compile(r"(?P<root>[A-Z0-9]+) (?P<month>\d\d|##)-(?P<year>\d\d|##)")
_SIDE = re.compile(r"\.(Bid|Ask)\.txt", re.IGNORECASE)
_LAYOUTS = {
    2: ("px",),
    3: ("px", "size"),
    5: ("px", "bid_px", "ask_px", "size"),
    6: ("o", "h", "l", "c", "volume"),
}


def known(source: Source) -> bool:
    """Whether the first line has NinjaTrader's form."""
    return _LINE.match(source.data[:200]) is not None


def parse(source: Source, options: Options) -> Parsed:
    """Read any of the layouts."""
    contract = need_contract(options, source.name, _code(source.name))
    tz = options.tz or "UTC"
    frame = _table(source.data, source.name, tz)
    side = _SIDE.search(source.name)
    if "o" in frame.columns:
        if side:
            raise DataError(f"{source.name}: bars of one side of the book; import the Last bars")
        return _bars(frame, source, options, contract, tz)
    if side:
        return _one_sided(frame, source, side[1].lower(), contract, tz)
    return _prints(frame, contract, tz)


def _code(name: str) -> str | None:
    match = _NAME.match(name)
    if match is None:
        return None
    if "##" in match[0]:
        raise AmbiguousInput(
            f"{name} is a merged continuous series (##-##); export one contract, such as "
            f"'{match['root']} 12-25'"
        )
    return f"{match['root']}{MONTHS[int(match['month']) - 1]}{match['year']}"


def _table(data: bytes, name: str, tz: str) -> pl.DataFrame:
    first = data.split(b"\n", 1)[0].strip()
    fields = first.split(b";")
    if len(fields) not in _LAYOUTS:
        raise DataError(
            f"{name}: {len(fields)} fields in the first line {first.decode('ascii', 'replace')!r}; "
            "NinjaTrader writes 3 (tick), 5 (replay) or 6 (bars)"
        )
    names = _LAYOUTS[len(fields)]
    comma = b"," in first  # a decimal comma, as German and French settings export it
    if comma:
        data = data.replace(b",", b".")
    schema = {"ts": pl.String} | dict.fromkeys(names, pl.Float64)
    try:
        frame = pl.read_csv(data, has_header=False, separator=";", schema=schema)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{name}: a row cannot be read: {str(error).splitlines()[0]}") from error
    if "size" not in names and "volume" not in names:
        frame = frame.with_columns(pl.lit(0.0).alias("size"))
    return frame.with_columns(to_utc(_times(frame["ts"], fields[0], name), tz, name))


def _times(text: pl.Series, first: bytes, name: str) -> pl.Series:
    if len(first) == 8:
        return text.str.to_datetime("%Y%m%d", time_unit="ns", strict=False)
    whole = text.str.slice(0, 15).str.to_datetime("%Y%m%d %H%M%S", time_unit="ns", strict=False)
    if len(first) == 15:
        return whole
    fraction = text.str.slice(16).cast(pl.Int64, strict=False) * 100
    return whole + fraction.cast(pl.Duration("ns"))


def _bars(
    frame: pl.DataFrame, source: Source, options: Options, contract: Contract, tz: str
) -> Parsed:
    stamps = frame["ts"]
    length = bar_length(stamps, source.name)
    said = stamp_by_break(stamps.to_numpy(), length, contract.instrument)
    stamp = options.stamp or "end"
    if options.stamp is None and said == "start":
        raise AmbiguousInput(
            f"{source.name}: NinjaTrader stamps bars at their end, but the daily break says start; "
            "settle it with --stamp start or --stamp end (and check --tz)"
        )
    notes = []
    if said and said != stamp:
        notes.append(f"the daily break says that bars are stamped at their {said}, not {stamp}")
    bars = frame.drop("ts").with_columns(*bar_times(stamps, length, stamp))
    piece = Piece(contract, "bars", bars, bar_spec(length))
    return Parsed("ninjatrader bars", [piece], len(frame), tz, stamp, warnings=notes)


def _prints(frame: pl.DataFrame, contract: Contract, tz: str) -> Parsed:
    row = pl.int_range(pl.len()) * 2
    pieces = []
    if "bid_px" in frame.columns:
        # The book at the trade, so it stands before the trade: 2 n, and the trade 2 n + 1.
        quotes = frame.select("ts", row.alias("seq"), "bid_px", "ask_px")
        pieces.append(Piece(contract, "quotes", quotes))
    trades = frame.select("ts", (row + 1).alias("seq"), "px", "size")
    pieces.append(Piece(contract, "trades", trades))
    layout = "ninjatrader replay" if len(pieces) == 2 else "ninjatrader tick"
    return Parsed(layout, pieces, len(frame), tz)


def _one_sided(
    frame: pl.DataFrame, source: Source, side: str, contract: Contract, tz: str
) -> Parsed:
    """Join a Bid file and its Ask twin: each row shows both sides as they then stood."""
    other = "ask" if side == "bid" else "bid"
    twin = source.path.with_name(
        _SIDE.sub(lambda m: m[0].replace(m[1], other.capitalize()), source.name)
    )
    if not Path(twin).is_file():
        raise DataError(
            f"{source.name} is one side of the book and {twin.name} is not beside it; export both "
            "Bid and Ask, or import the Last file"
        )
    second = _table(Source.read(twin).data, twin.name, tz)
    halves = [
        half.select("ts", pl.col("px").alias(f"{s}_px"), pl.col("size").alias(f"{s}_sz"))
        for half, s in ((frame, side), (second, other))
    ]
    for half in halves:
        _sorted(half["ts"].to_numpy(), source.name)
    both = pl.concat(halves, how="diagonal").sort("ts", maintain_order=True)
    columns = ("bid_px", "bid_sz", "ask_px", "ask_sz")
    quotes = both.select("ts", pl.col(*columns).forward_fill())
    notes = ["Bid and Ask come from two files: the order of rows of one stamp between them is lost"]
    piece = Piece(contract, "quotes", quotes)
    return Parsed("ninjatrader bid/ask", [piece], len(both), tz, warnings=notes)


def _sorted(ts: np.ndarray, name: str) -> None:
    if (ts[1:] < ts[:-1]).any():
        raise DataError(f"{name}: the clock runs backward in the file or its twin; export again")

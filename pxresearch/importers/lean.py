"""QuantConnect Lean future zips: tick, second, minute, hour and daily; trades and quotes.

One CSV per expiry, without heading. Times count from midnight UTC of the entry's date (every CME,
CBOT, NYMEX and COMEX entry of Lean's market-hours database is UTC); bars are stamped at their
start. Prices are plain decimals. A quote bar has no inside order: its closing bid and ask become
one quote at the bar's end, when they can be known.

I/O: none
"""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import dataclass

import polars as pl

from pxresearch.errors import DataError
from pxresearch.importers.base import Options, Parsed, Piece, Source, wanted
from pxresearch.instruments import MONTHS, Contract

_ENTRY = re.compile(
    r"(?:(?P<day>\d{8})_)?(?P<root>[a-z0-9]+)_(?:(?P<res>tick|second|minute)_)?"
    r"(?P<kind>trade|quote|openinterest)_(?P<year>\d{4})(?P<month>\d{2})\.csv"
)
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "daily": 86_400}
_SPEC = {"second": "1s", "minute": "1m", "hour": "1h", "daily": "1d"}
_COLUMNS = {
    ("tick", "trade"): ("ms", "px", "size", "exchange", "condition", "suspicious"),
    ("tick", "quote"): ("ms", "bid_px", "bid_sz", "ask_px", "ask_sz", "exchange", "suspicious"),
    ("bar", "trade"): ("ms", "o", "h", "l", "c", "volume"),
    ("bar", "quote"): ("ms", "bo", "bh", "bl", "bid_px", "bid_sz", "ao", "ah", "al", "ask_px",
                       "ask_sz"),
}  # fmt: skip
_TEXT = ("exchange", "condition")
_DAY_MS = 86_400_000


@dataclass(frozen=True)
class _Entry:
    name: str
    root: str
    day: str | None
    resolution: str
    kind: str
    year: int
    month: int

    @property
    def code(self) -> str:
        return f"{self.root.upper()}{MONTHS[self.month - 1]}{self.year % 100:02d}"


def known(source: Source) -> bool:
    """Whether the content is a zip whose entries carry Lean's names."""
    if not source.data.startswith(b"PK"):
        return False
    return any(_ENTRY.fullmatch(name) for name in zip_names(source))


def zip_names(source: Source) -> list[str]:
    """Names of the entries of a zip.

    Raises
    ------
    DataError
        The zip is damaged.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(source.data)) as box:
            return box.namelist()
    except zipfile.BadZipFile as error:
        raise DataError(
            f"{source.name} is cut short or damaged ({error}); fetch it again"
        ) from error


def zip_entry(source: Source, name: str) -> bytes:
    """Bytes of one entry of a zip."""
    try:
        with zipfile.ZipFile(io.BytesIO(source.data)) as box:
            return box.read(name)
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        raise DataError(f"{source.name}: entry {name} is damaged ({error})") from error


def parse(source: Source, options: Options) -> Parsed:
    """Read every outright expiry of the zip, or the one asked for."""
    parsed = Parsed("lean", [], 0, "UTC", stamp="start")
    total = 0
    for name in zip_names(source):
        match = _ENTRY.fullmatch(name)
        if match is None:
            parsed.skipped[name] = "not a Lean entry"
            continue
        found = wanted(_entry(match, "tick").code, options)
        if isinstance(found, str):
            parsed.skipped[name] = found
            continue
        data = zip_entry(source, name)
        entry = _entry(match, _resolution(match, data))
        if entry.kind == "openinterest":
            parsed.skipped[name] = "open interest has no prices"
            continue
        piece = _piece(entry, data, found)
        total += len(piece.frame)
        parsed.pieces.append(piece)
    ticks = "_tick_" in zip_names(source)[0]
    stamp = "none" if ticks else "start"
    return Parsed("lean", parsed.pieces, total, "UTC", stamp, "event", skipped=parsed.skipped)


def _entry(match: re.Match[str], resolution: str) -> _Entry:
    return _Entry(match[0], match["root"], match["day"], resolution, match["kind"],
                  int(match["year"]), int(match["month"]))  # fmt: skip


def _resolution(match: re.Match[str], data: bytes) -> str:
    """Hour and daily entries are named alike; only daily rows all stand at midnight."""
    if match["res"]:
        return match["res"]
    stamps = [line[9:14] for line in data.splitlines() if line]
    return "daily" if all(stamp == b"00:00" for stamp in stamps) else "hour"


def _piece(entry: _Entry, data: bytes, contract: Contract) -> Piece:
    frame = _table(entry, data)
    if entry.resolution == "tick":
        frame = frame.rename({"ms": "ts"})
        flags = pl.when(pl.col("suspicious") != 0).then(64).otherwise(0).cast(pl.UInt16)
        frame = frame.with_columns(flags.alias("flags"))
        kind = "trades" if entry.kind == "trade" else "quotes"
        names = ("ts", "px", "size", "flags", "bid_px", "bid_sz", "ask_px", "ask_sz")
        return Piece(contract, kind, frame.select(n for n in names if n in frame.columns))
    length = _SECONDS[entry.resolution] * 10**9
    if entry.kind == "trade":
        bars = frame.rename({"ms": "ts_open"}).with_columns(
            (pl.col("ts_open") + length).alias("ts_close")
        )
        return Piece(contract, "bars", bars, _SPEC[entry.resolution])
    quotes = frame.select(
        (pl.col("ms") + length).alias("ts"), "bid_px", "bid_sz", "ask_px", "ask_sz"
    )
    return Piece(contract, "quotes", quotes)


def _table(entry: _Entry, data: bytes) -> pl.DataFrame:
    names = _COLUMNS["tick" if entry.resolution == "tick" else "bar", entry.kind]
    stamp = pl.Int64 if entry.day else pl.String
    schema = {n: pl.String if n in _TEXT else pl.Float64 for n in names} | {"ms": stamp}
    try:
        frame = pl.read_csv(data, has_header=False, schema=schema, truncate_ragged_lines=True)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{entry.name} is not the CSV of a Lean entry: {error}") from error
    if entry.day:
        midnight = pl.lit(entry.day).str.to_date("%Y%m%d").cast(pl.Datetime("ms")).cast(pl.Int64)
        if frame.filter(pl.col("ms").is_between(0, _DAY_MS).not_()).height:
            raise DataError(f"{entry.name}: a time lies outside the day of the file's name")
        times = (midnight + pl.col("ms")) * 1_000_000
    else:
        times = pl.col("ms").str.to_datetime("%Y%m%d %H:%M", time_unit="ns").cast(pl.Int64)
    return frame.with_columns(times.alias("ms"))

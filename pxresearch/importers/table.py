"""CSV and Parquet with named columns: ticks, quotes or bars.

Columns are known by their usual names or named by the caller. Times with an offset, or whole
numbers since 1970, say their zone themselves; a wall clock needs `tz`, and bars need `stamp`.
Databento's own CSV is known by its columns.

I/O: none
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping

import polars as pl

from pxresearch.block import bar_spec
from pxresearch.errors import AmbiguousInput, DataError, UsageError
from pxresearch.importers.base import (
    Options,
    Parsed,
    Piece,
    Source,
    bar_length,
    bar_times,
    need_contract,
)
from pxresearch.importers.clock import read_clock
from pxresearch.importers.lean import zip_entry, zip_names
from pxresearch.importers.normal import stamp_by_break
from pxresearch.instruments import Contract
from pxresearch.validation.schema import refuse_backward

_USUAL = {
    "ts": ("ts_recv", "datetime", "timestamp", "timestamp_utc", "ts", "ts_event", "time_utc",
           "date_time", "ts_open", "time"),
    "date": ("date",),
    "time": ("time",),
    "price": ("price", "last", "px", "trade_price"),
    "size": ("size", "volume", "qty", "quantity", "vol", "last_size"),
    "side": ("side", "aggressor", "aggressor_side"),
    "bid": ("bid", "bid_price", "bid_px", "bid_px_00"),
    "ask": ("ask", "ask_price", "ask_px", "ask_px_00"),
    "bid_size": ("bid_size", "bid_sz", "bidsize", "bid_sz_00"),
    "ask_size": ("ask_size", "ask_sz", "asksize", "ask_sz_00"),
    "open": ("open", "o"), "high": ("high", "h"), "low": ("low", "l"), "close": ("close", "c"),
    "volume": ("volume", "vol", "v"),
}  # fmt: skip
_OHLC = ("open", "high", "low", "close")
_SIDES = {"B": 1, "BUY": 1, "1": 1, "A": -1, "S": -1, "SELL": -1, "-1": -1, "N": 0, "0": 0, "": 0}
_TEXT = re.compile(rb"[\t\r\n\x20-\x7e\x80-\xff]*")


def known(source: Source) -> bool:
    """Whether the content is Parquet, a zip with one CSV, or text with separated columns."""
    if source.data.startswith(b"PAR1"):
        return True
    if source.data.startswith(b"PK"):
        return len([n for n in zip_names(source) if n.lower().endswith((".csv", ".txt"))]) == 1
    head = source.data[:2000]
    first = head.split(b"\n", 1)[0]
    return _TEXT.fullmatch(head) is not None and any(mark in first for mark in b",;\t")


def parse(source: Source, options: Options) -> Parsed:
    """Read a table of one contract."""
    frame = _read(source)
    if frame.is_empty():
        raise DataError(f"{source.name} holds a heading and no rows; fetch it again")
    contract = _contract(frame, source, options)
    columns = _columns(frame, options.columns, source.name)
    kind = _kind(columns, options.kind, source.name)
    stamps, hint = _stamps(frame, columns)
    told = options
    if options.tz is None and "utc" in hint.lower():
        told = Options(tz="UTC")  # the heading says it
    ts, tz = read_clock(stamps, told, source.name)
    if kind == "bars":
        return _bars(frame, columns, ts, tz, options, contract, source.name)
    pieces = _ticks(frame, columns, ts, contract, kind)
    clock = "recv" if columns["ts"] == "ts_recv" else "event"
    return Parsed("table", pieces, len(frame), tz, clock=clock)


def _read(source: Source) -> pl.DataFrame:
    data = source.data
    if data.startswith(b"PK"):
        names = [n for n in zip_names(source) if n.lower().endswith((".csv", ".txt"))]
        data = zip_entry(source, names[0])
    try:
        if data.startswith(b"PAR1"):
            return pl.read_parquet(io.BytesIO(data))
        first = data.split(b"\n", 1)[0]
        mark = max(",;\t", key=lambda c: first.count(c.encode()))
        return pl.read_csv(data, separator=mark, infer_schema_length=10_000)
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"{source.name} cannot be read as a table: {str(error).splitlines()[0]}"
        ) from error


def _contract(frame: pl.DataFrame, source: Source, options: Options) -> Contract:
    for name in ("symbol", "instrument_id"):
        if name in frame.columns and frame[name].n_unique() > 1:
            held = ", ".join(str(v) for v in frame[name].unique().sort().head(8).to_list())
            raise AmbiguousInput(
                f"{source.name} holds several instruments in column {name!r} ({held}); split it "
                "and import each with its --contract"
            )
    return need_contract(options, source.name)


def _columns(frame: pl.DataFrame, given: Mapping[str, str] | None, name: str) -> dict[str, str]:
    """The file's column for each of ours, as the caller says or else by usual names."""
    for ours, theirs in (given or {}).items():
        if ours not in _USUAL:
            raise UsageError(f"--columns: {ours!r} is none of {', '.join(_USUAL)}")
        if theirs not in frame.columns:
            raise UsageError(
                f"--columns: {name} has no column {theirs!r}; it has {', '.join(frame.columns)}"
            )
    found = dict(given or {})
    lower = {column.strip().lower(): column for column in frame.columns}
    for ours, usual in _USUAL.items():
        hit = next((lower[u] for u in usual if u in lower), None)
        if hit is not None and ours not in found and not (ours == "ts" and "date" in found):
            found[ours] = hit
    split = "date" in found and "time" in found and found.get("ts") == found["time"]
    if split:
        del found["ts"]
    if "ts" not in found and "date" in found:
        found["ts"] = found["date"]
    if "ts" not in found:
        raise AmbiguousInput(
            f"{name}: no column of times is known among {', '.join(frame.columns)} (a file without "
            "heading shows its first row here: add one); name them with --columns ts=NAME"
        )
    return found


def _kind(columns: Mapping[str, str], asked: str | None, name: str) -> str:
    """What the table holds: bars, both (trades with the book), trades or quotes."""
    able = {
        "bars": all(c in columns for c in _OHLC),
        "trades": "price" in columns,
        "quotes": "bid" in columns and "ask" in columns,
    }
    if asked is not None and not able[asked]:
        raise UsageError(f"{name} has no columns for {asked}; it has {', '.join(columns.values())}")
    if asked is not None:
        return asked
    if able["bars"]:
        return "bars"
    if able["trades"] and able["quotes"]:
        return "both"
    chosen = next((kind for kind in ("trades", "quotes") if able[kind]), None)
    if chosen is None:
        raise AmbiguousInput(
            f"{name}: neither a price, nor bid and ask, nor open, high, low and close are known "
            f"among its columns; name them with --columns, for example --columns price=NAME"
        )
    return chosen


def _stamps(frame: pl.DataFrame, columns: Mapping[str, str]) -> tuple[pl.Series, str]:
    if "time" in columns and columns["ts"] == columns.get("date"):
        day, clock = columns["date"], columns["time"]
        text = pl.col(day).cast(pl.String) + " " + pl.col(clock).cast(pl.String)
        return frame.select(text.alias("ts"))["ts"], f"{day} {clock}"
    return frame[columns["ts"]].alias("ts"), columns["ts"]


def _bars(
    frame: pl.DataFrame, columns: Mapping[str, str], ts: pl.Series, tz: str, options: Options,
    contract: Contract, name: str,
) -> Parsed:  # fmt: skip
    refuse_backward(ts.to_numpy(), name)
    length = bar_length(ts, name)
    said = stamp_by_break(ts.to_numpy(), length, contract.instrument)
    if options.stamp is None:
        hint = f" The daily break says {said}." if said else ""
        raise AmbiguousInput(
            f"{name}: does a bar's stamp mark its start or its end?{hint} Say --stamp start or "
            "--stamp end"
        )
    notes = []
    if said and said != options.stamp:
        notes.append(
            f"the daily break says that bars are stamped at their {said}, not {options.stamp}"
        )
    prices = {ours[0]: _number(frame, columns[ours]) for ours in _OHLC}
    volume = {"volume": _number(frame, columns["volume"])} if "volume" in columns else {}
    bars = pl.DataFrame(prices | volume).with_columns(*bar_times(ts, length, options.stamp))
    piece = Piece(contract, "bars", bars, bar_spec(length))
    return Parsed("table", [piece], len(frame), tz, options.stamp, warnings=notes)


def _ticks(
    frame: pl.DataFrame, columns: Mapping[str, str], ts: pl.Series, contract: Contract, kind: str
) -> list[Piece]:
    row = pl.int_range(len(frame), eager=True) * 2
    pieces = []
    if kind in ("quotes", "both"):
        data = {"ts": ts, "seq": row, "bid_px": _number(frame, columns["bid"]),
                "ask_px": _number(frame, columns["ask"])}  # fmt: skip
        for ours, theirs in (("bid_sz", "bid_size"), ("ask_sz", "ask_size")):
            if theirs in columns:
                data[ours] = _number(frame, columns[theirs])
        pieces.append(Piece(contract, "quotes", pl.DataFrame(data)))
    if kind in ("trades", "both"):
        data = {"ts": ts, "seq": row + 1, "px": _number(frame, columns["price"])}
        if "size" not in columns:
            raise AmbiguousInput("trades need a size; name its column with --columns size=NAME")
        data["size"] = _number(frame, columns["size"])
        if "side" in columns:
            data["side"] = _side(frame[columns["side"]])
        pieces.append(Piece(contract, "trades", pl.DataFrame(data)))
    return pieces


def _number(frame: pl.DataFrame, column: str) -> pl.Series:
    """Numbers of a column; Databento's whole numbers of 1e-9 stay whole, others become floats."""
    series = frame[column]
    if series.dtype == pl.String:
        text = series.str.strip_chars()
        number = text.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
        bad = number.is_null() & text.is_not_null() & (text != "")
        if bad.any():
            row = int(bad.arg_true()[0])
            raise DataError(
                f"column {column!r}, row {row} (counted from 0): {series[row]!r} is no number"
            )
        return number
    nano = series.dtype.is_integer() and "ts_event" in frame.columns and _is_price(column)
    return series.cast(pl.Int64) if nano else series.cast(pl.Float64)


def _is_price(column: str) -> bool:
    return column in ("price", "bid_px_00", "ask_px_00", *_OHLC)


def _side(series: pl.Series) -> pl.Series:
    text = series.cast(pl.String).fill_null("").str.strip_chars().str.to_uppercase()
    unknown = text.filter(~text.is_in(list(_SIDES)))
    if len(unknown):
        raise DataError(f"side {unknown[0]!r} is none of {', '.join(s for s in _SIDES if s)}")
    return text.replace_strict(_SIDES, return_dtype=pl.Int8)

"""Databento: DBN files, and the record frames that a Databento CSV shares with them.

Prices are int64 units of 1e-9 and undefined at 2**63-1; times are ns UTC. Rows are ordered and
known by ``ts_recv`` (capture) where there is one, else by ``ts_event``. A book state is shown only
after the last record of an event (flag 128). Side B is the buyer as aggressor, A the seller.

Source: https://databento.com/docs/standards-and-conventions (read 2026-11).

I/O: none; the optional package `databento` decodes the bytes.
"""

from __future__ import annotations

import warnings
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import polars as pl

from pxresearch.errors import AmbiguousInput, DataError
from pxresearch.importers.base import Options, Parsed, Piece, Source, wanted
from pxresearch.importers.book import book_tops
from pxresearch.instruments import Contract
from pxresearch.validation.schema import AUCTION, BAD_CLOCK, SNAPSHOT, SOURCE

UNDEFINED = 2**63 - 1
_LAST, _SNAPSHOT, _BAD_TS, _MAYBE_BAD = 128, 32, 8, 4
_BOOKS = ("mbp-1", "mbp-10", "tbbo")
_LENGTHS = {"ohlcv-1s": 1, "ohlcv-1m": 60, "ohlcv-1h": 3600, "ohlcv-1d": 86_400}
_SUPPORTED = ("trades", "mbo", *_BOOKS, "bbo-1s", "bbo-1m", *_LENGTHS)
_BOOK_COLUMNS = {"bid_px_00": "bid_px", "ask_px_00": "ask_px", "bid_sz_00": "bid_sz",
                 "ask_sz_00": "ask_sz"}  # fmt: skip


def known(source: Source) -> bool:
    """Whether the content is DBN."""
    return source.data.startswith(b"DBN")


def parse(source: Source, options: Options) -> Parsed:
    """Read a DBN file of any supported schema."""
    store = _open(source)
    schema = str(store.schema or "")
    if schema not in _SUPPORTED:
        raise DataError(
            f"{source.name} holds Databento schema {schema or 'of several kinds'!r}, which has no "
            f"prices to replay; supported: {', '.join(_SUPPORTED)}"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # databento warns, and goes on, where a file is cut off
            records = store.to_ndarray()
    except Exception as error:
        raise DataError(
            f"{source.name} is cut short or damaged ({error}); fetch it again"
        ) from error
    if len(records) == 0:
        raise DataError(f"{source.name} holds no records; fetch it again")
    names = _names(store.mappings, source.name)
    return parse_records(records, schema, names, options)


def _open(source: Source) -> Any:
    try:
        from databento import DBNStore
    except ImportError:
        raise DataError(
            "Databento files need the package databento: pip install pxresearch[databento]"
        ) from None
    try:
        return DBNStore.from_bytes(source.data)
    except Exception as error:
        raise DataError(
            f"{source.name} is cut short, or of a DBN version unknown here ({error}); fetch it "
            "again, or pip install --upgrade databento"
        ) from error


Names = list[tuple[int, date, date, str]]
"""Instrument id, first day, day after the last, raw symbol."""


def _names(mappings: dict[str, list[dict[str, Any]]], name: str) -> Names:
    found: Names = []
    for symbol, spans in mappings.items():
        if "." in symbol:
            raise AmbiguousInput(
                f"{name} names {symbol!r}, a continuous or parent symbol, so its contract changes "
                "inside the file; request raw symbols (stype_in='raw_symbol'), or map the file "
                "to raw symbols"
            )
        for span in spans:
            if str(span["symbol"]).isdigit():
                row = (int(span["symbol"]), span["start_date"], span["end_date"], symbol)
                found.append(row)
    return found


def parse_records(records: np.ndarray, schema: str, names: Names, options: Options) -> Parsed:
    """Split records by instrument and turn each outright contract into pieces."""
    clock = "ts_recv" if "ts_recv" in (records.dtype.names or ()) else "ts_event"
    parsed = Parsed(
        source_format=f"databento {schema}", pieces=[], rows_read=len(records), tz="UTC",
        stamp="start" if schema in _LENGTHS else "end" if schema.startswith("bbo") else "none",
        clock="recv" if clock == "ts_recv" else "event",
    )  # fmt: skip
    mine: dict[Contract, np.ndarray] = {}
    for ident in np.unique(records["instrument_id"]):
        rows = records["instrument_id"] == ident
        day = datetime.fromtimestamp(int(records[clock][rows][0]) // 10**9, UTC).date()
        symbol = _symbol(int(ident), day, names)
        found = wanted(symbol, options, on=day) if symbol else "no symbol in the file's metadata"
        if isinstance(found, str):
            parsed.skipped[symbol or f"instrument {ident}"] = found
            reason = "of another instrument"
            parsed.quarantined[reason] = parsed.quarantined.get(reason, 0) + int(rows.sum())
        else:  # a contract may have several ids over time
            mine[found] = mine[found] | rows if found in mine else rows
    for contract, rows in mine.items():
        seq = np.flatnonzero(rows)
        parsed.pieces.extend(_pieces(records[rows], seq, schema, contract, clock, parsed))
    return parsed


def _symbol(ident: int, day: date, names: Names) -> str | None:
    same = [row for row in names if row[0] == ident]
    within = [row for row in same if row[1] <= day < row[2]]
    chosen = within or same  # a one-day request may end at the day of its last record
    return chosen[0][3] if chosen else None


def _pieces(
    rows: np.ndarray, seq: np.ndarray, schema: str, contract: Contract, clock: str, parsed: Parsed
) -> list[Piece]:
    if schema in _LENGTHS:
        return [Piece(contract, "bars", _bars(rows, _LENGTHS[schema]), schema.split("-")[1])]
    base = _base(rows, seq, clock)
    pieces: list[Piece] = []
    if schema == "mbo":
        pieces.append(Piece(contract, "quotes", _from_orders(rows, base)))
    elif schema in _BOOKS or schema.startswith("bbo"):
        pieces.append(Piece(contract, "quotes", _from_levels(rows, base, schema)))
    if not schema.startswith("bbo"):
        pieces.append(Piece(contract, "trades", _trades(rows, base, parsed)))
    return [piece for piece in pieces if len(piece.frame)]


def _base(rows: np.ndarray, seq: np.ndarray, clock: str) -> pl.DataFrame:
    """Times, sequence and flags of every record. Quotes and trades count in halves of a row.

    With tbbo the book stands just before the trade, so a row's quote gets 2 n and its trade
    2 n + 1; else the trade comes before the book that it left.
    """
    source = rows["flags"].astype(np.uint16)
    flags = np.where(source & _SNAPSHOT, SNAPSHOT, 0) | np.where(source & _MAYBE_BAD, SOURCE, 0)
    flags |= np.where(source & _BAD_TS, BAD_CLOCK, 0)
    known_at = rows[clock].astype(np.int64)
    happened = rows["ts_event"].astype(np.int64)
    frame = pl.DataFrame(
        {"ts": known_at, "ts_event": happened, "seq": seq * 2, "flags": flags.astype(np.uint16)}
    )
    return frame.with_columns(
        pl.when(pl.col("ts_event") != pl.col("ts")).then(pl.col("ts_event")).alias("ts_event")
    )


def _trades(rows: np.ndarray, base: pl.DataFrame, parsed: Parsed) -> pl.DataFrame:
    mine = rows["action"] == b"T"
    priced = mine & (rows["price"] != UNDEFINED)
    if lost := int(mine.sum() - priced.sum()):
        parsed.quarantined["trade without a price"] = lost
    side = np.where(rows["side"] == b"B", 1, np.where(rows["side"] == b"A", -1, 0))
    frame = base.with_columns(
        pl.col("seq") + 1,
        pl.Series("px", rows["price"].astype(np.int64)),
        pl.Series("size", rows["size"].astype(np.int64)),
        pl.Series("side", side.astype(np.int8)),
    )
    # Side N: the opening cross or an implied match; the format does not say which.
    crossed = pl.when(pl.col("side") == 0).then(pl.col("flags") | AUCTION).otherwise("flags")
    return frame.with_columns(crossed.alias("flags")).filter(pl.Series(priced))


def _from_levels(rows: np.ndarray, base: pl.DataFrame, schema: str) -> pl.DataFrame:
    """Top of book that the records carry; mbp repeats are left out."""
    names = rows.dtype.names or ()
    renamed = {ours: rows[theirs] for theirs, ours in _BOOK_COLUMNS.items() if theirs in names}
    frame = base.with_columns(pl.Series(n, v.astype(np.int64)) for n, v in renamed.items())
    frame = frame.with_columns(
        pl.when(pl.col(name) != UNDEFINED).then(pl.col(name)).alias(name)
        for name in ("bid_px", "ask_px")
    )
    if schema not in ("mbp-1", "mbp-10"):
        return frame
    last = (rows["flags"] & _LAST) != 0
    frame = frame.filter(pl.Series(last)) if last.any() else frame
    top = pl.struct("bid_px", "ask_px", "bid_sz", "ask_sz")
    # The trade of a row stands at 2 n + 1, and the book it left comes after it.
    return frame.filter(top.ne_missing(top.shift(1))).with_columns(pl.col("seq") + 2)


def _from_orders(rows: np.ndarray, base: pl.DataFrame) -> pl.DataFrame:
    tops = book_tops(rows)
    frame = base[tops["row"]]
    return frame.with_columns(
        pl.col("seq") + 2,
        *(
            pl.when(pl.Series(tops[side + "_sz"]) > 0)
            .then(pl.Series(tops[side + "_px"]))
            .alias(side + "_px")
            for side in ("bid", "ask")
        ),
        *(pl.Series(side + "_sz", tops[side + "_sz"]) for side in ("bid", "ask")),
    )


def _bars(rows: np.ndarray, seconds: int) -> pl.DataFrame:
    opens = rows["ts_event"].astype(np.int64)
    return pl.DataFrame(
        {
            "ts_open": opens,
            "ts_close": opens + seconds * 10**9,
            **{name[0]: rows[name].astype(np.int64) for name in ("open", "high", "low", "close")},
            "volume": rows["volume"].astype(np.int64),
        }
    )

"""Sierra Chart intraday files (.scid): single trades or bars.

Stamps are microseconds since 1899-12-30 UTC (older files: days as a double, told by range). A
record whose Open is 0, or one of two markers, is one trade: Close is its price, High the ask and
Low the bid that stood; the bigger of ask and bid volume tells the aggressor. Prices are float32.

Source: https://www.sierrachart.com/index.php?page=doc/IntradayDataFileFormat.html (read 2026-11).

I/O: none
"""

from __future__ import annotations

import re
import struct

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
from pxresearch.instruments import Contract

_EPOCH_US = 2_209_161_600_000_000  # from 1899-12-30 to 1970-01-01
_EPOCH_DAYS = 25_569
_NEWEST_US = 2**57  # a double of days, read as an integer, lies far above this
_MARKERS = (np.float32(-1.99900095e37), np.float32(-1.99900197e37))
_FIELDS = [("time", "<i8"), ("open", "<f4"), ("high", "<f4"), ("low", "<f4"), ("close", "<f4"),
           ("trades", "<u4"), ("volume", "<u4"), ("bid", "<u4"), ("ask", "<u4")]  # fmt: skip
_CODE = re.compile(r"([A-Z0-9]+[FGHJKMNQUVXZ]\d{2})(?=[.\-_])")


def known(source: Source) -> bool:
    """Whether the content has Sierra Chart's magic number."""
    return source.data.startswith((b"SCID", b"SCDD"))


def parse(source: Source, options: Options) -> Parsed:
    """Read single trades with their quotes, or bars."""
    hint = _CODE.match(source.name)
    contract = need_contract(options, source.name, hint[1] if hint else None)
    records, torn = _records(source)
    ts = _times(records["time"])
    single = (records["open"] == 0) | np.isin(records["open"], _MARKERS)
    if single.any() and not single.all() and options.kind is None:
        raise AmbiguousInput(
            f"{source.name} mixes {int(single.sum()):,} single trades with "
            f"{int((~single).sum()):,} bars; choose with --kind trades or --kind bars"
        )
    quarantined = {"torn last record": 1} if torn else {}
    bars = options.kind == "bars" or not single.any()
    keep = ~single if bars else single
    if left := int((~keep).sum()):
        quarantined["of the other kind"] = left
    stamp = options.stamp or "start"
    make = _bars if bars else _trades
    pieces = make(records[keep], ts[keep], contract, source.name, stamp)
    return Parsed(
        "sierra", pieces, len(records) + torn, "UTC", stamp if bars else "none",
        quarantined=quarantined,
    )  # fmt: skip


def _records(source: Source) -> tuple[np.ndarray, int]:
    data = source.data
    if data.startswith(b"SCDD"):
        raise DataError(f"{source.name} is market depth, which is not imported; give the .scid")
    if len(data) < 16:
        raise DataError(f"{source.name} ends inside its heading; copy it again")
    header, size = struct.unpack_from("<II", data, 4)
    if size != 40 or not 16 <= header <= len(data):
        raise DataError(
            f"{source.name}: header of {header} bytes and records of {size}; known are records of "
            "40 bytes (version 1)"
        )
    count, rest = divmod(len(data) - header, size)
    if count == 0:
        raise DataError(f"{source.name} holds no whole record; copy it again")
    return np.frombuffer(data, _FIELDS, count, header), 1 if rest else 0


def _times(raw: np.ndarray) -> np.ndarray:
    """Int64 ns UTC."""
    if (raw > _NEWEST_US).any():
        days = raw.copy().view("<f8")
        return np.rint((days - _EPOCH_DAYS) * 86_400_000).astype(np.int64) * 1_000_000
    return (raw - _EPOCH_US) * 1_000


def _trades(
    records: np.ndarray, ts: np.ndarray, contract: Contract, name: str, stamp: str
) -> list[Piece]:
    row = np.arange(len(records), dtype=np.int64) * 2
    side = np.sign(records["ask"].astype(np.int64) - records["bid"].astype(np.int64))
    trades = pl.DataFrame(
        {
            "ts": ts,
            "seq": row + 1,
            "px": records["close"],
            "size": records["volume"].astype(np.int64),
            "side": side.astype(np.int8),
        }
    )
    pieces = [Piece(contract, "trades", trades)]
    quoted = (records["low"] != 0) & (records["high"] != 0)
    if quoted.any():
        # The book as it stood when the trade came: before it, so 2 n against 2 n + 1.
        quotes = pl.DataFrame(
            {"ts": ts, "seq": row, "bid_px": records["low"], "ask_px": records["high"]}
        )
        pieces.insert(0, Piece(contract, "quotes", quotes.filter(pl.Series(quoted))))
    return pieces


def _bars(
    records: np.ndarray, ts: np.ndarray, contract: Contract, name: str, stamp: str
) -> list[Piece]:
    stamps = pl.Series("ts", ts)
    length = bar_length(stamps, name)
    opens, closes = bar_times(stamps, length, stamp)
    prices = {letter[0]: records[letter] for letter in ("open", "high", "low", "close")}
    frame = pl.DataFrame(
        {
            "ts_open": opens,
            "ts_close": closes,
            **prices,
            "volume": records["volume"].astype(np.int64),
            "n_trades": records["trades"].astype(np.int64),
        }
    )
    return [Piece(contract, "bars", frame, bar_spec(length))]

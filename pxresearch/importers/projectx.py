"""ProjectX bars: the JSON answer of `/api/History/retrieveBars`, or a list of such answers.

Bars are stamped at their start with a written UTC offset and come newest first. Pages overlap at
their ends: equal bars are taken once.

Source: https://gateway.docs.projectx.com/docs/api-reference/market-data/retrieve-bars (read
2026-11).

I/O: none
"""

from __future__ import annotations

import json
from typing import Any

import polars as pl

from pxresearch.block import bar_spec
from pxresearch.errors import DataError
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


def known(source: Source) -> bool:
    """Whether the content is JSON with bars."""
    head = source.data[:400].lstrip()
    return head.startswith((b"{", b"[")) and (b'"bars"' in source.data or b'"t"' in head)


def parse(source: Source, options: Options) -> Parsed:
    """Read the bars of one contract."""
    contract = need_contract(options, source.name)
    rows = _rows(source)
    frame = _table(rows, source.name)
    ts, tz = read_clock(frame["t"], options, source.name)
    frame = frame.with_columns(ts).drop("t").sort("ts", maintain_order=True)
    once = frame.unique(maintain_order=True)
    repeated = len(frame) - len(once)
    length = bar_length(once["ts"], source.name)
    stamp = options.stamp or "start"
    bars = once.drop("ts").with_columns(*bar_times(once["ts"], length, stamp))
    piece = Piece(contract, "bars", bars.rename({"v": "volume"}), bar_spec(length))
    notes = ["the last bar may have been partial when the file was fetched"]
    quarantined = {"repeated where pages overlap": repeated} if repeated else {}
    return Parsed(
        "projectx", [piece], len(frame), tz, stamp, quarantined=quarantined, warnings=notes
    )


def _rows(source: Source) -> list[dict[str, Any]]:
    try:
        answer = json.loads(source.data)
    except ValueError as error:
        raise DataError(f"{source.name} is not whole JSON ({error}); fetch it again") from error
    pages = answer if isinstance(answer, list) else [answer]
    if pages and isinstance(pages[0], dict) and "t" in pages[0]:
        return pages
    rows: list[dict[str, Any]] = []
    for page in pages:
        if not isinstance(page, dict) or not page.get("success", True):
            said = (
                page.get("errorMessage") or page.get("errorCode")
                if isinstance(page, dict)
                else page
            )
            raise DataError(f"{source.name} is an answer without success ({said}); fetch it again")
        rows.extend(page.get("bars") or [])
    if not rows:
        raise DataError(f"{source.name} holds no bars; fetch it again")
    return rows


def _table(rows: list[dict[str, Any]], name: str) -> pl.DataFrame:
    schema = {"t": pl.String} | dict.fromkeys("ohlc", pl.Float64) | {"v": pl.Int64}
    try:
        table = {key: [row[key] for row in rows] for key in schema}
        return pl.DataFrame(table, schema=schema, strict=False)
    except (KeyError, TypeError, pl.exceptions.PolarsError) as error:
        raise DataError(
            f"{name}: a bar lacks {error} (needed: t, o, h, l, c, v); fetch it again"
        ) from error

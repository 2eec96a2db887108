"""A journal as polars frames, one a kind of row.

Inputs have typed columns. Other rows have the members of their data as columns; what is not one
value (a list, an object) is JSON text. Prices are ticks, money micro-dollars, times UTC.

I/O: reads a journal; `export` writes Parquet files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from pxresearch.core.records import INPUTS
from pxresearch.errors import JournalError
from pxresearch.journal.access import opened, stored_rows
from pxresearch.journal.blocks import WIDTH, unpack
from pxresearch.journal.reader import newest, read
from pxresearch.journal.records import Header, Kind, Row

_TIME = pl.Datetime("ns", "UTC")
_LAST = 2**62


def frames(path: Path) -> dict[str, pl.DataFrame]:
    """Rows of a journal by kind; only kinds that are there.

    Returns
    -------
    dict
        ``"input"``: seq, ts, what, contract, a, b, c, d (see `core.replay.drive`), received.
        Any other kind: seq, ts and its members.

    Raises
    ------
    JournalError
        It cannot be read.

    Examples
    --------
    >>> frames(Path("paper-2026-10-01.journal"))["refusal"]  # doctest: +SKIP
    """
    found: dict[str, pl.DataFrame] = {}
    inputs = _inputs(path)
    if len(inputs):
        found[Kind.INPUT.value] = inputs
    rows: dict[str, list[Row]] = {}
    for row in read(path, [kind for kind in Kind if kind != Kind.INPUT]):
        rows.setdefault(row.kind.value, []).append(row)
    return found | {kind: _frame(some) for kind, some in rows.items()}


def export(path: Path, folder: Path) -> list[Path]:
    """Write each frame as a Parquet file; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for kind, frame in frames(path).items():
        written.append(folder / f"{kind}.parquet")
        frame.write_parquet(written[-1])
    return written


def _inputs(path: Path) -> pl.DataFrame:
    header: Header | None = None
    if at := newest(path, Kind.RUN, _LAST):
        header = next(read(path, (Kind.RUN,), at)).data
    numbers, blocks = [np.empty(0, np.int64)], [np.empty((0, WIDTH), np.int64)]
    with opened(path) as db:
        for row in stored_rows(db, where=f"kind = '{Kind.INPUT.value}'"):
            numbers.append(np.arange(row.seq, row.seq + row.n))
            try:
                blocks.append(unpack(row.data, row.n))
            except JournalError as error:
                raise JournalError(f"{path}, row {row.seq}: {error}") from None
    table = np.ascontiguousarray(np.concatenate(blocks).T)
    names = ("what", "k", "ts", "a", "b", "c", "d", "received")
    codes = list(header.contracts) if header is not None else []
    return pl.DataFrame(
        {"seq": np.concatenate(numbers), **dict(zip(names, table, strict=True))}
    ).select(
        "seq",
        pl.col("ts").cast(_TIME),
        pl.col("what").replace_strict(
            dict(enumerate(INPUTS)), default=None, return_dtype=pl.String
        ),
        pl.col("k").replace_strict(
            dict(enumerate(codes)), default=None, return_dtype=pl.String
        ).alias("contract"),
        "a", "b", "c", "d",
        pl.col("received").cast(_TIME),
    )  # fmt: skip


def _frame(rows: list[Row]) -> pl.DataFrame:
    members = [_members(row) for row in rows]
    names = dict.fromkeys(name for one in members for name in one)
    columns = {name: _column([one.get(name) for one in members]) for name in names}
    return pl.DataFrame(
        {
            "seq": pl.Series([row.seq for row in rows], dtype=pl.Int64),
            "ts": pl.Series([row.ts for row in rows], dtype=pl.Int64).cast(_TIME),
            **columns,
        }
    )


def _members(row: Row) -> dict[str, Any]:
    """Data of a row, each member one value; a snapshot's size stands for it."""
    if isinstance(row.data, bytes):
        return {"bytes": len(row.data)}
    data = msgspec.to_builtins(row.data)
    renamed = {f"{n}_" if n in ("seq", "ts") else n: value for n, value in data.items()}
    return {name: _single(value) for name, value in renamed.items()}


def _single(value: Any) -> Any:
    return msgspec.json.encode(value).decode() if isinstance(value, (dict, list)) else value


def _column(values: list[Any]) -> pl.Series:
    """A column of one type; text where the values have several."""
    types = {type(v) for v in values if v is not None}
    if types == {int, float}:
        return pl.Series([None if v is None else float(v) for v in values], dtype=pl.Float64)
    if len(types) > 1:
        return pl.Series([None if v is None else str(v) for v in values], dtype=pl.String)
    if types == {int}:
        return pl.Series(values, dtype=pl.Int64)
    return pl.Series(values)

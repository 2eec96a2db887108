"""What a journal recorded, in the form that the drift checks replay.

A *part* is what was told to one engine: its header, the state it began with, and every input after.
A restart with the same settings goes on in the same part, as the engine did.

I/O: reads a journal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from pxresearch.brokers.session import EngineSession
from pxresearch.core import records as r
from pxresearch.errors import StrategyError
from pxresearch.journal import Gap, Header, Kind, build
from pxresearch.journal.access import opened, stored_rows
from pxresearch.journal.blocks import unpack
from pxresearch.journal.records import decode
from pxresearch.tickdata import Ticks, ticks

_TOLD = "kind IN ('run', 'snapshot', 'input', 'gap')"
Rows = np.ndarray[Any, Any]
WHAT, K, TS, A, B, C, D = range(7)
"""Columns of the inputs; the time of receipt is not told to the engine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Inputs of one engine.

    Attributes
    ----------
    start
        Its state before the first input; None: a new one.
    inputs
        int64, shape (n, 7), in the order in which it was told.
    snapshots
        (number of inputs before it, row, state) of each later snapshot.
    faults
        What is missing in the recording, in words.
    """

    header: Header
    start: bytes | None
    inputs: Rows
    snapshots: tuple[tuple[int, int, bytes], ...]
    faults: tuple[str, ...]


def parts(path: Path) -> list[Part]:
    """Every part of a journal, oldest first.

    Raises
    ------
    JournalError
        The journal cannot be read.
    """
    found: list[_Reading] = []
    with opened(path) as db:
        for row in stored_rows(db, where=_TOLD):
            if row.kind == Kind.INPUT:  # whole blocks: a row an input would take far longer
                found[-1].blocks.append(unpack(row.data, row.n)[:, : D + 1])
                continue
            data = decode(Kind(row.kind), row.data)
            if row.kind != Kind.RUN:
                found[-1].take(row.seq, data)
            elif not found or _settings(found[-1].header) != _settings(data):
                found.append(_Reading(data))
    return [reading.part() for reading in found]


def begun(part: Part) -> EngineSession:
    """An engine as the part's own began: same strategy, rules, calendar and first state."""
    session = build(part.header)
    if part.start is not None:
        session.restore(part.start)
    return session


def tell(session: EngineSession, row: Sequence[int]) -> bool:
    """Tell an input; False when the strategy raised and is out from here on, as in the session."""
    try:
        session.tell(*row)
    except StrategyError:
        session.disarm()
        return False
    return True


def recorded_ticks(recorded: Sequence[Part]) -> list[Ticks]:
    """The market of several parts as data of a backtest, one value a contract, in their order."""
    inputs = np.concatenate([part.inputs for part in recorded])
    codes = recorded[0].header.contracts
    return [ticks(code, **_frames(inputs[inputs[:, K] == k])) for k, code in enumerate(codes)]


@dataclass(slots=True)
class _Reading:
    """A part that is being read."""

    header: Header
    start: bytes | None = None
    blocks: list[Rows] = field(default_factory=list)
    snapshots: list[tuple[int, int, bytes]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def take(self, seq: int, data: bytes | Gap) -> None:
        if isinstance(data, Gap):
            if data.of == "journal":
                self.faults.append(f"the journal lacks rows from {seq} on: {data.why}")
        elif not self.blocks and self.start is None:
            self.start = data
        else:
            self.snapshots.append((sum(map(len, self.blocks)), seq, data))

    def part(self) -> Part:
        return Part(
            header=self.header,
            start=self.start,
            inputs=np.concatenate([np.zeros((0, D + 1), np.int64), *self.blocks]),
            snapshots=tuple(self.snapshots),
            faults=tuple(self.faults),
        )


def _settings(header: Header) -> Header:
    """What the engine is built from; the run and the versions are not part of it."""
    return msgspec.structs.replace(header, run="", package="", core="")


def _frames(rows: Rows) -> dict[str, Any]:
    """Quotes and trades of one contract as frames; an empty side is null."""
    import polars as pl

    found = {}
    for what, kind, names in (
        (r.QUOTES, "quotes", ("ts", "bid", "ask", "bid_size", "ask_size")),
        (r.TRADES, "trades", ("ts", "price", "size", "side")),
    ):
        at = np.flatnonzero(rows[:, WHAT] == what)
        columns = dict(zip(names, rows[at, TS : TS + len(names)].T, strict=True))
        frame = pl.DataFrame({**columns, "seq": at})
        if kind == "quotes":
            frame = frame.with_columns(
                pl.col("bid").replace(r.NO_BID, None), pl.col("ask").replace(r.NO_ASK, None)
            )
        if len(at):
            found[kind] = frame
    return found

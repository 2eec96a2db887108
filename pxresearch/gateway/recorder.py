"""Quotes, trades and depth from the market hub into the catalogue, for hours, safe against a crash.

Each second everything that arrived is forced to the disk as one frame of a spool; when a trading
session ends, or the recording does, the spool becomes ordinary files of the catalogue and goes.
What a crash leaves behind becomes such files at the next start. So at most the last second is lost,
and the catalogue never holds a broken file.

A row's `ts` is its receipt here, when a strategy could know it; `ts_event` is the exchange's time.
The gateway sends no sizes with quotes: they are null. The first quote after a gap carries the flag
SNAPSHOT, and gaps stand in the files' metadata as ``gaps``.

Prices are int ticks, times int64 ns UTC.

I/O: writes the catalogue and its spools; receives through the hubs that it is given.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
import polars as pl

from pxresearch.catalog import Batch, Catalog
from pxresearch.clock import NS, Clock
from pxresearch.errors import DataError, UsageError
from pxresearch.gateway.contracts import Listing
from pxresearch.gateway.history import session_span
from pxresearch.gateway.records import Depth, Event, Gap, Hub, Notice, Quote, Stale, Trade
from pxresearch.gateway.spool import NONE, SUFFIX, Note, Rows, Spool, frames, in_use
from pxresearch.importers import VERSION
from pxresearch.importers.base import Options, Piece
from pxresearch.importers.normal import normal
from pxresearch.instruments import contract as read_code
from pxresearch.sessions import trading_day
from pxresearch.validation.schema import BAD_CLOCK, DEPTH, SNAPSHOT

FOLDER = ".record"
"""Of the spools, in the catalogue's folder."""
COLUMNS = {
    "quotes": ("ts", "ts_event", "seq", "bid_px", "ask_px", "flags"),
    "trades": ("ts", "ts_event", "seq", "px", "size", "side", "flags"),
    DEPTH: ("ts", "ts_event", "seq", "type", "px", "size", "flags"),
}
"""What a spool keeps of each kind."""


class MarketHub(Protocol):
    """The hubs, as far as recording goes."""

    def subscribe_contract(
        self, contract_id: str, quotes: bool = ..., trades: bool = ..., depth: bool = ...
    ) -> None:
        """Receive these streams of a contract."""
        ...

    async def start(self) -> None:
        """Connect."""
        ...

    async def stop(self) -> None:
        """Close; `get` then ends with an empty list."""
        ...

    async def get(self) -> list[Event]:
        """Next events, in order; an empty list only after `stop`."""
        ...


class Recorded(msgspec.Struct, kw_only=True):
    """What a recording brought.

    Attributes
    ----------
    rows
        Rows stored, by contract and kind.
    coalesced
        Quotes that this program was too slow for.
    gaps
        Stretches in which events may be lacking.
    kept
        Spools that could not be stored, with the reason; they stay where they are.
    recovered
        Rows that an earlier recording had left behind, stored now.
    """

    rows: dict[str, int] = {}
    coalesced: int = 0
    gaps: list[Note] = []
    kept: dict[str, str] = {}
    recovered: int = 0

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON."""
        return msgspec.to_builtins(self)

    def __str__(self) -> str:
        counts = ", ".join(f"{n:,} {name}" for name, n in self.rows.items()) or "nothing"
        lines = [f"recorded {counts}"]
        if self.recovered:
            lines.append(f"  {self.recovered:,} rows of an earlier recording were saved")
        if self.coalesced:
            lines.append(f"  {self.coalesced:,} quotes came faster than they could be taken")
        lines += [f"  {gap}" for gap in self.gaps[:20]]
        lines += [f"  not stored, kept in {path}: {why}" for path, why in self.kept.items()]
        return "\n".join(lines)


class Recorder:
    """Records contracts.

    Parameters
    ----------
    hubs
        Not yet started; its market hub is used.
    listings
        What to record.
    depth
        Also changes of the book.
    flush_s
        How often what arrived is forced to the disk.
    on_note
        Gets each gap and notice as it comes.
    """

    def __init__(
        self, hubs: MarketHub, store: Catalog, listings: Sequence[Listing], *, clock: Clock,
        depth: bool = False, flush_s: float = 1.0, on_note: Callable[[Note], None] | None = None,
    ) -> None:  # fmt: skip
        self._hubs, self._store, self._clock, self._flush_s = hubs, store, clock, flush_s
        self._codes = {one.id: _code(one) for one in listings}
        self._depth, self._on_note = depth, on_note
        self._stop = asyncio.Event()
        self._rows: dict[str, list[Sequence[int]]] = {}
        self._notes: list[Note] = []
        self._spool: Spool | None = None
        self._ends = 0  # of the session that the spool belongs to
        self._seq = 0
        self._last = 0  # stamp of the last row: time never runs back in a file
        self._fresh = set(self._codes.values())  # no quote yet since a gap
        self.report = Recorded()

    def stop(self) -> None:
        """End the recording; `run` stores what there is and returns."""
        self._stop.set()

    async def run(self, seconds: float | None = None) -> Recorded:
        """Record for so long, or until `stop`; what was received is stored however it ends.

        Raises
        ------
        GatewayError
            The hubs gave up.
        """
        self.report.recovered = recover(self._store, self.report)
        for contract_id in self._codes:
            self._hubs.subscribe_contract(contract_id, depth=self._depth)
        until = None if seconds is None else self._clock.now() + round(seconds * NS)
        reader = asyncio.create_task(self._read())
        try:
            await self._hubs.start()
            while not (reader.done() or self._stop.is_set()):
                left = self._flush_s if until is None else (until - self._clock.now()) / NS
                if left <= 0:
                    break
                with contextlib.suppress(TimeoutError):
                    await self._clock.within(min(left, self._flush_s), self._wake(reader))
                self._flush()
        finally:
            await self._hubs.stop()
            await asyncio.gather(reader, return_exceptions=True)
            self._flush()
            self._rotate()
        reader.result()
        return self.report

    async def _wake(self, reader: asyncio.Task[None]) -> None:
        stopped = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({reader, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()

    # ------------------------------------------------------------ what arrives
    async def _read(self) -> None:
        while events := await self._hubs.get():
            for event in events:
                self._take(event)

    def _take(self, event: Event) -> None:
        match event:
            case Quote():
                code = self._codes[event.contract_id]
                flags = SNAPSHOT if code in self._fresh else 0
                self._fresh.discard(code)
                self.report.coalesced += event.coalesced
                values = [NONE if px is None else px for px in (event.bid, event.ask)]
                self._row(code, "quotes", event, values, flags)
            case Trade():
                values = [event.price, event.size, event.side]
                self._row(self._codes[event.contract_id], "trades", event, values)
            case Depth():
                values = [event.type, event.price, event.size]
                self._row(self._codes[event.contract_id], DEPTH, event, values)
            case Gap(hub=Hub.MARKET, until=int(until)):
                self._note(event.since, until, event.reason)
                self._fresh = set(self._codes.values())
            case Stale(fresh=True):
                since = event.ts - round(event.silent_s * NS)
                self._note(since, event.ts, f"{event.contract_id} was silent in open hours")
            case Notice(hub=Hub.MARKET):
                self._note(event.ts, event.ts, f"{event.kind}: {event.text}")
            case _:
                pass  # a gap that is still open, or something about the account

    def _row(
        self, code: str, kind: str, event: Quote | Trade | Depth, values: list[int], flags: int = 0
    ) -> None:
        ts = event.received
        if ts < self._last:  # the clock was set back
            ts, flags = self._last, flags | BAD_CLOCK
        self._last = ts
        self._seq += 1
        row = (ts, event.ts, self._seq, *values, flags)
        self._rows.setdefault(f"{code} {kind}", []).append(row)

    def _note(self, since: int, until: int, text: str) -> None:
        note = Note(since, until, text)
        self._notes.append(note)
        self.report.gaps.append(note)
        if self._on_note is not None:
            self._on_note(note)

    # ------------------------------------------------------------ to the disk
    def _flush(self) -> None:
        """Put what arrived into the spool of the session that runs now."""
        now = self._clock.now()
        if now >= self._ends:
            self._rotate()
        if not (self._rows or self._notes):
            return
        if self._spool is None:
            self._spool = Spool(self._store.root / FOLDER / f"{now}-{secrets.token_hex(4)}{SUFFIX}")
            self._ends = _session_end(now)
        rows, notes = self._rows, self._notes
        self._rows, self._notes = {}, []
        self._spool.append(rows, notes)

    def _rotate(self) -> None:
        """Store the spool of the session that is over."""
        if self._spool is None:
            return
        path = self._spool.path
        self._spool.close()
        self._spool = None
        _merge(self._store, path, self.report)


def _code(listing: Listing) -> str:
    if listing.contract is None:
        raise UsageError(f"{listing.id} is of no product in the shipped table; it is not recorded")
    return listing.contract.code


def _session_end(now: int) -> int:
    return session_span(trading_day(now))[1]


# ---------------------------------------------------------------- to the catalogue
def recover(store: Catalog, report: Recorded | None = None) -> int:
    """Store what recordings that were cut off have left behind.

    Returns
    -------
    int
        Rows stored.
    """
    report = report or Recorded()
    before = sum(report.rows.values())
    for path in sorted((store.root / FOLDER).glob(f"*{SUFFIX}")):
        if not in_use(path):
            _merge(store, path, report)
    return sum(report.rows.values()) - before


def _merge(store: Catalog, path: Path, report: Recorded) -> None:
    """Turn a spool into files of the catalogue; a spool that cannot be is kept and told of."""
    parts: dict[str, list[Rows]] = {}
    notes: list[Note] = []
    for frame in frames(path):
        notes += frame.notes
        for name, rows in frame.series():
            parts.setdefault(name, []).append(rows)
    try:
        batches = [_batch(name, rows) for name, rows in parts.items()]
        store.write(batches, _facts(path, notes))
    except DataError as error:
        report.kept[str(path)] = str(error)
        return
    path.unlink()
    for name, rows in parts.items():
        report.rows[name] = report.rows.get(name, 0) + sum(map(len, rows))


def _batch(name: str, rows: Iterable[Rows]) -> Batch:
    code, kind = name.split(" ")
    table = np.concatenate(list(rows))
    data = {column: table[:, at] for at, column in enumerate(COLUMNS[kind])}
    prices = [pl.col(n).replace(NONE, None).cast(pl.Int32) for n in data if n.endswith("px")]
    same = pl.when(pl.col("ts_event") != pl.col("ts")).then(pl.col("ts_event")).alias("ts_event")
    frame = pl.DataFrame(data).with_columns(*prices, same)
    return normal(Piece(read_code(code), kind, frame), Options())[0]


def _facts(path: Path, notes: Sequence[Note]) -> dict[str, str]:
    return {
        "source": "ProjectX market hub",
        "source_format": "projectx-hub",
        "source_sha256": hashlib.sha256(path.name.encode()).hexdigest(),
        "source_tz": "UTC",
        "stamp": "none",
        "ts_resolution_ns": "1",
        "clock": "recv",
        "importer_version": VERSION,
        "gaps": msgspec.json.encode(notes).decode(),
    }

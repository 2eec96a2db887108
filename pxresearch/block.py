"""One trading session as NumPy arrays: what a replay streams through the engine.

Units: times are int64 ns UTC, prices are int32 ticks. Order is (ts, seq) always.

I/O: none; a chunk that lies on disk reads itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

NO_BID = -(2**31)
"""Stands for a missing bid in `Quotes.bid`: lower than any price."""
NO_ASK = 2**31 - 1
"""Stands for a missing ask in `Quotes.ask`: higher than any price."""

I8 = npt.NDArray[np.int64]
I4 = npt.NDArray[np.int32]
I1 = npt.NDArray[np.int8]


@dataclass(frozen=True)
class Quotes:
    """Top of book, ascending in (ts, seq); prices in ticks, `NO_BID` and `NO_ASK` when empty."""

    ts: I8
    bid: I4
    ask: I4
    bid_sz: I4 | None = None
    ask_sz: I4 | None = None
    seq: I8 | None = None


@dataclass(frozen=True)
class Trades:
    """Prints, ascending in (ts, seq); side +1 buyer, -1 seller was the aggressor, 0 unknown."""

    ts: I8
    px: I4
    size: I4
    side: I1
    seq: I8 | None = None


@dataclass(frozen=True)
class Bars:
    """Bars, ascending in time; `ts` is the close: the instant at which a bar may be known."""

    ts_open: I8
    ts: I8
    o: I4
    h: I4
    l: I4  # noqa: E741 - the four letters of a bar
    c: I4
    volume: I8


@dataclass(frozen=True)
class Block:
    """All data of one trading session."""

    session: date
    quotes: Quotes | None = None
    trades: Trades | None = None
    bars: Bars | None = None


class Chunk(Protocol):
    """Rows of one kind in one session, in order of time."""

    @property
    def rows(self) -> int: ...  # noqa: D102
    @property
    def first(self) -> int: ...  # noqa: D102
    @property
    def last(self) -> int: ...  # noqa: D102
    @property
    def source(self) -> str: ...  # noqa: D102
    def frame(self, columns: Sequence[str] | None = None) -> pl.DataFrame: ...  # noqa: D102
    def lazy(self) -> pl.LazyFrame: ...  # noqa: D102


def read_block(day: date, chunks: Mapping[str, Sequence[Chunk]], *, sizes: bool = True) -> Block:
    """Read the chunks of one session, by kind, into arrays; see :meth:`Ticks.blocks`."""
    return Block(
        day,
        quotes=_quotes(chunks["quotes"], sizes) if "quotes" in chunks else None,
        trades=_trades(chunks["trades"]) if "trades" in chunks else None,
        bars=_bars(chunks["bars"]) if "bars" in chunks else None,
    )


def _gather(chunks: Sequence[Chunk], columns: Sequence[str]) -> pl.DataFrame:
    frames = [chunk.frame(columns) for chunk in chunks]
    return frames[0] if len(frames) == 1 else pl.concat(frames)


def _array(frame: pl.DataFrame, name: str, empty: int | None = None) -> Any:
    """Contiguous array of one column. Writable: numba compiles anew for read-only arrays."""
    series = frame[name].to_physical()
    if empty is not None and series.null_count():
        series = series.fill_null(empty)
    return series.to_numpy(writable=True)


def _quotes(chunks: Sequence[Chunk], sizes: bool) -> Quotes:
    names = ["ts", "bid_px", "ask_px"] + (["bid_sz", "ask_sz", "seq"] if sizes else [])
    frame = _gather(chunks, names)
    top = (
        _array(frame, "ts"),
        _array(frame, "bid_px", NO_BID),
        _array(frame, "ask_px", NO_ASK),
    )
    if not sizes:
        return Quotes(*top)
    bid_sz, ask_sz = (
        None if frame[n].null_count() == len(frame) else _array(frame, n, 0)
        for n in ("bid_sz", "ask_sz")
    )
    return Quotes(*top, bid_sz, ask_sz, _array(frame, "seq"))


def _trades(chunks: Sequence[Chunk]) -> Trades:
    names = ("ts", "px", "size", "side", "seq")
    frame = _gather(chunks, names)
    return Trades(*(_array(frame, name) for name in names))


def _bars(chunks: Sequence[Chunk]) -> Bars:
    names = ("ts_open", "ts_close", "o", "h", "l", "c", "volume")
    frame = _gather(chunks, names)
    return Bars(*(_array(frame, name) for name in names))

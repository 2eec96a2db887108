"""Market data as one tape: quotes and trades of several contracts in order of time.

A tape can be made into a loop that flows at any hour: silences are shortened, and the little that
the last price differs from the first is taken off evenly, so that the seam is no jump.

Times are ns (UTC as recorded, from 0 in a loop), prices int32 ticks.

I/O: `recorded` reads the catalogue; `demo` writes the synthetic week to a temporary folder.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np

from pxresearch.block import Bars, Block
from pxresearch.clock import NS
from pxresearch.demo import MODELS, make_demo
from pxresearch.errors import CatalogError, DataError
from pxresearch.tickdata import Ticks, load

QUOTE, TRADE = 0, 1
MINUTE = 60 * NS
_BAR_PATH = (0.0, 0.25, 0.5, 1.0)  # of a bar's length: open, the extremes, close


@dataclass(frozen=True)
class Tape:
    """Rows in order of time.

    Attributes
    ----------
    codes
        Contracts; `k` points to them.
    kind
        QUOTE or TRADE.
    a, b, c, d
        Of a quote bid, ask and their sizes; of a trade price, size and side.
    length
        Of a loop, ns, whole minutes; 0 where the tape ends for good.
    """

    codes: tuple[str, ...]
    ts: np.ndarray
    k: np.ndarray
    kind: np.ndarray
    a: np.ndarray
    b: np.ndarray
    c: np.ndarray
    d: np.ndarray
    length: int = 0

    def __len__(self) -> int:
        return len(self.ts)

    @property
    def columns(self) -> tuple[np.ndarray, ...]:
        """k, kind, a, b, c, d."""
        return self.k, self.kind, self.a, self.b, self.c, self.d


def recorded(codes: Sequence[str], first: date | None, last: date | None, catalog: Path) -> Tape:
    """Tape of contracts as the catalogue has them.

    Raises
    ------
    CatalogError
        Nothing is held for a contract and those days.
    """
    return joined([load(code, first, last, catalog=catalog) for code in codes])


def demo(catalog: Path | None) -> Tape:
    """Tape of the synthetic week: the catalogue's, or one made for the occasion."""
    codes = [model.code for model in MODELS]
    if catalog is not None:
        try:
            return joined([load(code, catalog=catalog).only("quotes", "trades") for code in codes])
        except (CatalogError, DataError):
            pass  # it has none, or not all of it
    with tempfile.TemporaryDirectory(
        prefix="pxresearch-demo-", ignore_cleanup_errors=True
    ) as folder:
        make_demo(folder, quotes=60_000, trades=15_000)
        return joined([load(code, catalog=folder) for code in codes])


def joined(sources: Sequence[Ticks]) -> Tape:
    """One tape of several contracts' data."""
    parts = [
        np.vstack([np.full(rows.shape[1], k), rows])
        for k, source in enumerate(sources)
        for block in source.blocks()
        for rows in _rows(block)
    ]
    if not parts:
        raise CatalogError("no quotes, trades or bars to play")
    k, ts, seq, kind, *columns = np.hstack(parts)
    order = np.lexsort((kind, seq, ts))
    narrow = [one[order].astype(np.int32) for one in columns]
    return Tape(
        tuple(one.contract.code for one in sources), ts[order], k[order].astype(np.int16),
        kind[order].astype(np.int8), *narrow,
    )  # fmt: skip


def _rows(block: Block) -> list[np.ndarray]:
    """Rows ts, seq, kind, a, b, c, d of a session."""
    found = []
    if (q := block.quotes) is not None:
        ones, seq = np.ones_like(q.bid), _or_zero(q.seq, q.ts)
        sizes = ones if q.bid_sz is None else q.bid_sz, ones if q.ask_sz is None else q.ask_sz
        found.append(np.vstack([q.ts, seq, np.full(len(q.ts), QUOTE), q.bid, q.ask, *sizes]))
    if (t := block.trades) is not None:
        kind, none = np.full(len(t.ts), TRADE), np.zeros(len(t.ts), np.int64)
        found.append(np.vstack([t.ts, _or_zero(t.seq, t.ts), kind, t.px, t.size, t.side, none]))
    if not found and block.bars is not None:
        found += _rows_of_bars(block.bars)
    return found


def _or_zero(seq: np.ndarray | None, ts: np.ndarray) -> np.ndarray:
    return np.zeros_like(ts) if seq is None else seq


def _rows_of_bars(bars: Bars) -> list[np.ndarray]:
    """Four trades a bar, the nearer extreme first, each with a quote a tick wide around it."""
    high_first = np.abs(bars.h - bars.o) < np.abs(bars.o - bars.l)
    second, third = np.where(high_first, bars.h, bars.l), np.where(high_first, bars.l, bars.h)
    prices = np.vstack([bars.o, second, third, bars.c]).T.ravel()
    share = np.array(_BAR_PATH)[None, :] * (bars.ts - bars.ts_open - 1)[:, None]
    ts = (bars.ts_open[:, None] + share.astype(np.int64)).ravel()
    size = np.maximum(bars.volume // 4, 1).repeat(4)
    seq, one, none = np.arange(len(ts)), np.ones(len(ts)), np.zeros(len(ts), np.int64)
    quotes = [ts, 2 * seq, none + QUOTE, prices, prices + 1, one, one]
    trades = [ts, 2 * seq + 1, none + TRADE, prices, size, none, none]
    return [np.vstack(quotes).astype(np.int64), np.vstack(trades).astype(np.int64)]


def looped(tape: Tape, most_silence_s: float) -> Tape:
    """The tape as a loop from time 0: no silence is longer, and the seam is no jump.

    The length is whole minutes, so that every turn has the same minute bars.
    """
    steps = np.diff(tape.ts, prepend=tape.ts[0])
    ts = np.cumsum(np.minimum(steps, round(most_silence_s * NS)))
    length = int(-(-(int(ts[-1]) + 1) // MINUTE) * MINUTE)
    a, b = tape.a.copy(), tape.b.copy()
    for k in range(len(tape.codes)):
        drift = _drift(tape, k)
        off = np.round(drift * (ts / length)).astype(np.int32)
        quotes = (tape.k == k) & (tape.kind == QUOTE)
        for column in (a, b):
            there = quotes & (np.abs(column.astype(np.int64)) < 2**30)  # an empty side is huge
            column[there] -= off[there]
        trades = (tape.k == k) & (tape.kind == TRADE)
        a[trades] -= off[trades]
    return replace(tape, ts=ts, a=a, b=b, length=length)


def _drift(tape: Tape, k: int) -> int:
    """By how many ticks the last price of a contract is above the first."""
    own = tape.k == k
    for kind in (TRADE, QUOTE):
        prices = tape.a[own & (tape.kind == kind)]
        prices = prices[np.abs(prices.astype(np.int64)) < 2**30]
        if len(prices):
            return int(prices[-1]) - int(prices[0])
    return 0


def busiest(tape: Tape) -> int:
    """Time at which the hour with most rows begins."""
    minutes = tape.ts // MINUTE
    counts = np.bincount(minutes - minutes[0])
    totals = np.convolve(counts, np.ones(60, np.int64))[: len(counts)]
    end = int(np.argmax(totals))
    return (int(minutes[0]) + max(end - 59, 0)) * MINUTE

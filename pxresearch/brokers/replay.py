"""Replay: history through the engine, one trading session at a time.

Blocks of arrays stream in, so a year of ticks needs no more memory than its largest day.

I/O: reads what the ticks read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import Any

import numpy as np

from pxresearch.block import Block
from pxresearch.brokers.feeds import Feed
from pxresearch.brokers.fillmodel import FillModel
from pxresearch.brokers.paper import ReplayBroker
from pxresearch.brokers.session import EngineSession
from pxresearch.core import records as r
from pxresearch.errors import DataError
from pxresearch.programmes import Programme
from pxresearch.strategy import Strategy
from pxresearch.tickdata import Ticks

_NOTHING = np.zeros(1, dtype=np.int64)


class Replay:
    """One pass of a strategy over history.

    Parameters
    ----------
    strategy, ticks, programme, fills
        See `pxresearch.backtesting`.
    close
        Close what is open at the end of the data, at its exit side.
    """

    def __init__(
        self,
        strategy: Strategy,
        ticks: Sequence[Ticks],
        programme: Programme,
        fills: FillModel,
        *,
        compiled: bool = True,
        close: bool = True,
        keep_bars: bool = False,
    ) -> None:
        empty = [t.contract.code for t in ticks if not t.kinds]
        if empty:
            raise DataError(f"no data for {', '.join(empty)} in the span asked for")
        self.ticks = tuple(ticks)
        self.close = close
        self._sized = " and ".join(
            ["limit_fill='queue'"] * (fills.limit_fill == "queue")
            + ["partial_fills=True"] * fills.partial_fills
        )
        self.session = EngineSession(
            strategy,
            [Feed(t.contract, t.kinds, t.bar_spec) for t in ticks],
            programme,
            fills,
            first_ns=min(t.first for t in ticks),
            last_ns=max(t.last for t in ticks),
            compiled=compiled,
            keep_bars=keep_bars,
        )
        self.broker = ReplayBroker(self.session)

    def run(self, progress: Callable[[int], None] | None = None) -> EngineSession:
        """Go through all the data; `progress` gets the number of rows done after each session."""
        for blocks in _by_session(self.ticks):
            held = self._connect(blocks)
            self.session.tell(r.GO)
            if progress is not None:
                progress(sum(int(s["n"]) for s in self.session.wires["stream"][0][: len(held)]))
        self.session.wires["streams_n"] = 0
        self.session.tell(r.FINISH, a=int(self.close))
        return self.session

    def _connect(self, blocks: Sequence[tuple[int, Block]]) -> list[Any]:
        """Point the wires at a session's arrays; returns what must stay alive meanwhile."""
        if self._sized:
            for k, block in blocks:
                self._need_sizes(k, block)
        self._held = connect(self.session, blocks)
        return self._held

    def _need_sizes(self, k: int, block: Block) -> None:
        """Refuse quotes that carry no sizes, in which the chosen fill model could fill nothing."""
        quotes = block.quotes
        if (
            quotes is None
            or len(quotes.ts) == 0
            or (quotes.bid_sz is not None and quotes.ask_sz is not None)
        ):
            return
        raise DataError(
            f"{self._sized} needs quotes with sizes; those of {self.ticks[k].contract.code} in "
            f"session {block.session} carry none. Give bid_size and ask_size, or use "
            "limit_fill='through' or 'touch' without partial_fills"
        )


def connect(session: EngineSession, blocks: Sequence[tuple[int, Block]]) -> list[Any]:
    """Point a session's wires at arrays, for the next `GO`.

    Parameters
    ----------
    blocks
        Contract indices and their data, ascending.

    Returns
    -------
    list
        The arrays: what must stay alive until the loop has gone through them.
    """
    streams = session.wires["stream"][0]
    held: list[Any] = []
    for k, block in blocks:
        for kind, data in enumerate((block.quotes, block.trades, block.bars)):
            if data is not None and len(data.ts) > 0:
                _set_stream(streams[len(held)], kind, k, data)
                held.append(data)
    session.wires["streams_n"] = len(held)
    return held


def _set_stream(stream: Any, kind: int, k: int, data: Any) -> None:
    """Fill one stream record from the arrays of a block."""
    stream["kind"], stream["contract"], stream["n"], stream["at"] = kind, k, len(data.ts), 0
    stream["ts"] = _address(data.ts, np.int64)
    seq = getattr(data, "seq", None)
    stream["seq"] = 0 if seq is None else _address(seq, np.int64)
    stream["size_mask"] = -1
    if kind == r.QUOTES:
        stream["a"], stream["b"] = _address(data.bid, np.int32), _address(data.ask, np.int32)
        sized = data.bid_sz is not None and data.ask_sz is not None
        stream["size_mask"] = -1 if sized else 0
        for name, sizes in (("c", data.bid_sz), ("d", data.ask_sz)):
            stream[name] = _address(sizes, np.int32) if sized else _NOTHING.ctypes.data
    elif kind == r.TRADES:
        stream["a"], stream["b"] = _address(data.px, np.int32), _address(data.size, np.int32)
        stream["c"] = _address(data.side, np.int8)
    else:
        for name, array in zip("abcd", (data.o, data.h, data.l, data.c), strict=True):
            stream[name] = _address(array, np.int32)
        stream["volume"] = _address(data.volume, np.int64)
        stream["open_ts"] = _address(data.ts_open, np.int64)


def _address(array: Any, dtype: type) -> int:
    """Address of an array of the kind the engine expects; any other would be read as garbage."""
    if array.dtype != dtype or not array.flags.c_contiguous:
        raise DataError(f"internal: expected contiguous {np.dtype(dtype)}, got {array.dtype}")
    return array.ctypes.data


def _by_session(ticks: Sequence[Ticks]) -> Iterator[list[tuple[int, Block]]]:
    """Blocks of all contracts, session by session."""
    sources = [t.blocks(sizes=True) for t in ticks]
    heads: list[Block | None] = [next(s, None) for s in sources]
    while True:
        waiting: list[date] = [h.session for h in heads if h is not None]
        if not waiting:
            return
        day = min(waiting)
        chosen = [(k, h) for k, h in enumerate(heads) if h is not None and h.session == day]
        yield chosen
        for k, _ in chosen:
            heads[k] = next(sources[k], None)

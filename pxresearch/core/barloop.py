"""Rows of data → bars, without an engine around them: what `pxresearch.frames` runs.

The rules are those of `core.bars`, word for word; here is only the loop, and a buffer for what it
closes. Prices come in half ticks.

I/O: none
"""

from __future__ import annotations

from pxresearch.core.bars import close_bar, is_full, run_add, take_run
from pxresearch.core.jit import BARROW_T, ENGINE_T, compiled, entry, i8_at, record_at
from pxresearch.core.records import BAR_ROW, NEVER

ROW_SIZE = BAR_ROW.itemsize


@compiled
def _put(c, end, out, n):
    """Close the running bar at `end` and write it as row n of the buffer; returns n + 1."""
    close_bar(c, 0, end)
    row = record_at(out + n * ROW_SIZE, BARROW_T)
    row.bar = c.done_bar
    return n + 1


@entry("int64(int64, int64, int64, int64, int64, int64, int64, int64, int64, int64, int64, int64)")
def fold_bars(engine, first, stop, ts, ends, open_, high, low, close, volume, until, out):
    """Take in rows first to stop - 1 of the arrays at these addresses; one timeframe, one contract.

    ends
        End of each row: of a bar its close, of a tick its time.
    until
        Close the running bar after the last row, at this instant or its own end if that is
        earlier (`NEVER`: at the end of the last row if it has none); 0: leave it running.
    out
        Buffer of `BAR_ROW` with room for two rows a row and one more.

    Returns
    -------
    Number of bars written.
    """
    S = record_at(engine, ENGINE_T)
    c = S.contract[0]
    bar = c.frames[0]
    n = 0
    for i in range(first, stop):
        t = i8_at(ts, i)
        if bar.count > 0 and bar.end <= t:
            n = _put(c, bar.end, out, n)
        run_add(
            c, i8_at(open_, i), i8_at(high, i), i8_at(low, i), i8_at(close, i), i8_at(volume, i), 1
        )
        take_run(S, c, t)
        if is_full(bar):
            n = _put(c, i8_at(ends, i), out, n)
    if until != 0 and bar.count > 0:
        end = min(bar.end, until)
        n = _put(c, end if end != NEVER else i8_at(ends, stop - 1), out, n)
    return n

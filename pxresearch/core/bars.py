"""Ticks → time, tick, volume, range and session bars, several timeframes at once.

Bars are aligned to the contract's session: the first time bar starts at the session's open, the
last ends at its close. Prices are half ticks: trades count double, a quote counts as bid + ask.
A bar is handed out only when it has closed; a time bar closes at its end by the clock, before any
event at or past that instant.

What all timeframes have in common since the last look (first, highest, lowest, last, count, volume)
is kept once, in the contract's *run*; `take_run` adds it to every timeframe. So a tick costs the
same with one timeframe or four.

I/O: none
"""

from __future__ import annotations

from pxresearch.core.jit import compiled
from pxresearch.core.records import (
    NEVER,
    RANGE_BARS,
    SESSION_BARS,
    TICK_BARS,
    TIME_BARS,
    VOLUME_BARS,
)


@compiled
def run_add(c, open_, high, low, close, volume, count):
    """Add prices in half ticks to the contract's run."""
    if c.run_n == 0:
        c.run_open = open_
        c.run_high = high
        c.run_low = low
    else:
        c.run_high = max(c.run_high, high)
        c.run_low = min(c.run_low, low)
    c.run_close = close
    c.run_volume += volume
    c.run_n += count


@compiled
def start_bar(c, bar, ts):
    """Open a bar at an event's time, on the grid of the session."""
    bar.ts = ts
    bar.end = NEVER
    close = c.session.close
    if c.session.pause_from < c.session.pause_to and ts < c.session.pause_from:
        close = c.session.pause_from
    if bar.kind == TIME_BARS:
        bar.ts = c.session.open + (ts - c.session.open) // bar.period * bar.period
        bar.end = min(bar.ts + bar.period, close)
    elif bar.kind == SESSION_BARS:
        bar.ts = c.session.open
        bar.end = c.session.close


@compiled
def take_run(S, c, ts):
    """Move the contract's run into every timeframe; ts is the time of the run's last event."""
    if c.run_n == 0:
        return
    for f in range(S.frames_n):
        bar = c.frames[f]
        if bar.count == 0:
            start_bar(c, bar, ts)
            bar.open = c.run_open
            bar.high = c.run_high
            bar.low = c.run_low
        else:
            bar.high = max(bar.high, c.run_high)
            bar.low = min(bar.low, c.run_low)
        bar.close = c.run_close
        bar.volume += c.run_volume
        bar.count += c.run_n
    c.run_n = 0
    c.run_volume = 0


@compiled
def is_full(bar):
    """Whether a tick, volume or range bar is complete with the event just taken in."""
    if bar.count == 0:
        return False
    if bar.kind == TICK_BARS:
        return bar.count >= bar.period
    if bar.kind == VOLUME_BARS:
        return bar.volume >= bar.period
    if bar.kind == RANGE_BARS:
        return bar.high - bar.low >= 2 * bar.period
    return False


@compiled
def close_bar(c, f, end):
    """Take a finished bar out of its timeframe into `done_bar`, and clear the timeframe."""
    bar = c.frames[f]
    done = c.done_bar
    done.kind = bar.kind
    done.period = bar.period
    done.ts = bar.ts
    done.end = end
    done.open = bar.open
    done.high = bar.high
    done.low = bar.low
    done.close = bar.close
    done.volume = bar.volume
    done.count = bar.count
    bar.count = 0
    bar.volume = 0
    bar.end = NEVER


@compiled
def next_bar_end(S, c):
    """The earliest end of a running time bar of the contract."""
    soonest = NEVER
    for f in range(S.frames_n):
        if c.frames[f].count > 0:
            soonest = min(soonest, c.frames[f].end)
    return soonest


@compiled
def bars_at_rest(S, c):
    """Whether the next event can only extend running bars, never start or complete one."""
    for f in range(S.frames_n):
        bar = c.frames[f]
        if bar.count == 0 or bar.kind in (TICK_BARS, VOLUME_BARS, RANGE_BARS):
            return False
    return True

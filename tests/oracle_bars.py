"""The oracle's bars: time, tick, volume and range bars in half ticks."""

from __future__ import annotations

from tests.oracle_types import Bar, OpenBar, Trade


def half_ticks(state, event):
    """(open, high, low, close, volume) an event adds to bars, or None when it adds nothing."""
    if isinstance(event, Bar):
        prices = (event.open, event.high, event.low, event.close)
        return (*(2 * price for price in prices), event.volume)
    if isinstance(event, Trade):
        twice = 2 * event.price
        return twice, twice, twice, twice, event.size
    if state.spec.has_trades or event.bid is None or event.ask is None:
        return None
    middle = event.bid + event.ask
    return middle, middle, middle, middle, 0


def start_of(frame, session, event):
    """(start, end) of the bar that an event begins; the end is None while it is not known.

    A time bar that a pause or the close cuts short ends there, as a bar end.
    """
    kind, period = frame
    inside = event.open_ts if isinstance(event, Bar) else event.ts
    if kind == "session":
        return session.open, session.close
    if kind != "time":
        return inside, None
    start = session.open + (inside - session.open) // period * period
    pause = session.pause_from < session.pause_to and inside < session.pause_from
    return start, min(start + period, session.pause_from if pause else session.close)


def take_in(bar, values):
    """Extend an open bar by an event's values."""
    _, high, low, close, volume = values
    bar.high, bar.low, bar.close = max(bar.high, high), min(bar.low, low), close
    bar.volume += volume
    bar.count += 1


def complete(frame, bar):
    """Whether a tick, volume or range bar is full."""
    kind, period = frame
    if kind == "tick":
        return bar.count >= period
    if kind == "volume":
        return bar.volume >= period
    if kind == "range":
        return bar.high - bar.low >= 2 * period
    return False


def add_event(frames, state, event):
    """Put an event into every open bar of its contract; returns [(frame, bar)] completed by it."""
    values = half_ticks(state, event)
    done = []
    if values is None:
        return done
    for index, frame in enumerate(frames):
        bar = state.bars[index]
        if bar is None:
            start, end = start_of(frame, state.session, event)
            opened, high, low, _, _ = values
            bar = OpenBar(start, end, opened, high, low, opened, 0, 0)
            state.bars[index] = bar
        take_in(bar, values)
        if complete(frame, bar):
            bar.end = event.ts
            state.bars[index] = None
            done.append((index, bar))
    return done

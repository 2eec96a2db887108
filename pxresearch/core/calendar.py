"""The calendar inside the engine: which day it is, and where each contract is in its session.

The instants come in beforehand as rows (`records.DAY`, `records.SESSION`, costs a day); nothing
here knows a clock, a zone or a holiday.

I/O: none
"""

from __future__ import annotations

from pxresearch.core.jit import DAY_T, SESSION_T, compiled, i8_at, record_at
from pxresearch.core.records import (
    BEFORE_OPEN,
    CLOSED,
    DAY,
    NEVER,
    OPEN,
    OPEN_BEFORE_PAUSE,
    PAUSED,
    SESSION,
)

DAY_SIZE = DAY.itemsize
SESSION_SIZE = SESSION.itemsize


@compiled
def load_day(S, X, index):
    """Make row `index` of the calendar the present day; past the last row nothing is open."""
    S.day_index = index
    if index >= X.days_n:
        S.day_end = NEVER
        for k in range(S.contracts_n):
            S.contract[k].opened = CLOSED
            S.contract[k].in_session = 0
            S.contract[k].past_flatten = 1
        return
    day = record_at(X.days + index * DAY_SIZE, DAY_T)
    S.day_date = day.date
    S.day_end = day.end
    for k in range(S.contracts_n):
        c = S.contract[k]
        row = index * S.contracts_n + k
        c.session = record_at(X.sessions + row * SESSION_SIZE, SESSION_T)
        c.cost = i8_at(X.costs, row)
        c.opened = BEFORE_OPEN if c.session.open < c.session.close else CLOSED
        c.in_session = 0
        c.past_flatten = 0 if c.opened == BEFORE_OPEN else 1


@compiled
def next_session_timer(c):
    """The next instant at which the contract's session opens, pauses, resumes or closes."""
    if c.opened == BEFORE_OPEN:
        return c.session.open
    if c.opened == OPEN_BEFORE_PAUSE:
        return c.session.pause_from
    if c.opened == PAUSED:
        return c.session.pause_to
    if c.opened == OPEN:
        return c.session.close
    return NEVER


@compiled
def session_timers(c, t):
    """Move the contract past the session timer that is due at t."""
    if c.opened == BEFORE_OPEN:
        pauses = c.session.pause_from < c.session.pause_to
        c.opened = OPEN_BEFORE_PAUSE if pauses and c.session.pause_from > t else OPEN
    elif c.opened == OPEN_BEFORE_PAUSE:
        c.opened = PAUSED
    elif c.opened == PAUSED:
        c.opened = OPEN
    else:
        c.opened = CLOSED
    c.in_session = 1 if c.opened == OPEN or c.opened == OPEN_BEFORE_PAUSE else 0

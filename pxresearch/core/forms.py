"""From a signal to the fields of an order: rows 1 to 4 of docs/engine.md section 7.

I/O: none
"""

from __future__ import annotations

import math

from pxresearch.core.jit import compiled
from pxresearch.core.records import (
    APPROVED,
    BAD_PRICE,
    BAD_QUANTITY,
    ENTRY,
    EXIT,
    HIGHEST,
    LIMIT,
    LOWEST,
    OFF_GRID,
    STOP,
    STOP_LIMIT,
    TRAILING,
)


@compiled
def to_ticks(c, price):
    """Ticks of a float price, or HIGHEST when it is not a whole number of ticks."""
    exact = price * c.tick_den / c.tick_num
    ticks = math.floor(exact + 0.5)
    if abs(exact - ticks) > 1e-6 * max(1.0, abs(exact) * 1e-6):
        return HIGHEST
    return int(ticks)


@compiled
def _price(c, value, needed):
    """(reason, ticks) of one price of a signal; NaN means that it was not given."""
    if math.isnan(value):
        return (BAD_PRICE, LOWEST) if needed else (APPROVED, LOWEST)
    if math.isinf(value) or abs(value) > 1e12:
        return BAD_PRICE, LOWEST
    ticks = to_ticks(c, value)
    if ticks == HIGHEST:
        return OFF_GRID, LOWEST
    return APPROVED, ticks


@compiled
def fill_form(S, s, o):
    """Rows 2 to 4: turn a signal into order fields in ticks; returns the first fault."""
    if s.qty < 1 or s.qty > 1_000_000:
        return BAD_QUANTITY
    c = S.contract[s.contract]
    if (
        s.trail < 0
        or s.stop_ticks < 0
        or s.target_ticks < 0
        or (s.order == TRAILING and s.trail < 1)
    ):
        return BAD_PRICE
    if s.trailing_stop != 0 and s.stop_ticks == 0:
        return BAD_PRICE
    bad = APPROVED
    reason, o.limit = _price(c, s.limit, s.order in (LIMIT, STOP_LIMIT))
    bad = _first(bad, reason)
    reason, o.stop = _price(c, s.stop, s.order in (STOP, STOP_LIMIT))
    bad = _first(bad, reason)
    reason, o.stop_loss = _price(c, s.stop_loss, False)
    bad = _first(bad, reason)
    reason, o.take_profit = _price(c, s.take_profit, False)
    bad = _first(bad, reason)
    o.contract = s.contract
    o.side = s.side
    o.qty = s.qty
    o.kind = s.order
    o.trail = s.trail
    o.tag = s.tag
    o.stop_ticks = s.stop_ticks
    o.target_ticks = s.target_ticks
    o.trailing_stop = s.trailing_stop
    gives = s.stop_ticks > 0 or s.target_ticks > 0
    o.bracket = gives or o.stop_loss != LOWEST or o.take_profit != LOWEST
    return bad


@compiled
def _first(before, now):
    """The reason with the lower row, APPROVED being none."""
    if before == APPROVED or (now != APPROVED and now < before):
        return now
    return before


@compiled
def opening_quantity(S, o):
    """What an order adds to the exposure, beyond the position it reduces."""
    c = S.contract[o.contract]
    room = max(0, -o.side * c.position)
    if room > 0:
        for i in range(S.live_n):
            w = S.order[S.live[i]]
            if w.contract == o.contract and w.side == o.side and w.role in (ENTRY, EXIT):
                room -= w.qty - w.filled
    return o.qty - min(o.qty, max(0, room))


@compiled
def stop_distance_of(o, entry):
    """Ticks from the expected entry to the bracket's stop; 0 without one."""
    if o.stop_ticks > 0:
        return o.stop_ticks
    if o.stop_loss != LOWEST and abs(entry) < HIGHEST:
        return max(0, (entry - o.stop_loss) * o.side)
    return 0


@compiled
def expected_entry(o, reference):
    """Price at which an order is expected to fill, ticks."""
    if o.kind == LIMIT or o.kind == STOP_LIMIT:
        return o.limit
    return o.stop if o.kind == STOP else reference

"""The account: fills in, position, profit and loss and equity out; exact.

Lots are matched first in, first out, which is what trade records need; FIFO and average price give
the same equity at every instant (reference: pnl.md section 2). A cost is charged at each fill.

Extremes of equity (drawdown, closest approach to a limit, MAE and MFE) are exact to the tick but
are not computed on every tick: while the position does not change, equity is linear in one mark, so
a *segment* keeps the highest, the lowest and the largest fall of that mark, and `fold` turns them
into money when the segment ends. With positions in several contracts every event is its own point.

I/O: none
"""

from __future__ import annotations

from pxresearch.core.jit import TRADE_T, compiled
from pxresearch.core.logs import log_row
from pxresearch.core.records import (
    LOG_TRADES,
    LOWEST,
    MAX_LOTS,
    NEVER,
)

MINUTE = 60_000_000_000


@compiled
def set_mark(c):
    """Choose the mark for the present position: its exit side."""
    c.mark = c.mark_bid if c.position >= 0 else c.mark_ask
    c.marked = 1 if c.mark != LOWEST else 0


@compiled
def unrealized(c):
    """Open profit of one contract at its mark, micro-dollars."""
    if c.position == 0 or c.marked == 0:
        return 0
    return (c.position * c.mark - c.value_at_entry) * c.tick_value


@compiled
def equity(S):
    """Balance plus open profit of all contracts, micro-dollars."""
    total = S.balance
    if S.open_contracts != 0:
        for k in range(S.contracts_n):
            total += unrealized(S.contract[k])
    return total


@compiled
def note(S, low, high, fall):
    """Take in equity that went between low and high and fell by at most `fall` on the way."""
    S.drawdown = max(S.drawdown, max(fall, S.peak - low))
    S.peak = max(S.peak, high)
    S.day_drawdown = max(S.day_drawdown, max(fall, S.day_peak - low))
    S.day_peak = max(S.day_peak, high)
    S.day_min = min(S.day_min, low)
    S.day_max = max(S.day_max, high)
    S.low = min(S.low, low)
    S.high = max(S.high, high)
    if S.rules.has_max_loss != 0:
        S.min_room = min(S.min_room, low - S.level)


@compiled
def fold(S, c):
    """End the segment of marks of one contract: money into the account, extremes into its lots."""
    if c.seg_on == 0:
        return
    c.seg_on = 0
    size = abs(c.position)
    base = S.balance - c.value_at_entry * c.tick_value
    note(
        S,
        base + size * c.seg_lo * c.tick_value,
        base + size * c.seg_hi * c.tick_value,
        c.seg_dd * size * c.tick_value,
    )
    for k in range(c.lot_count):
        lot = c.lots[(c.lot_head + k) % MAX_LOTS]
        lot.best = max(lot.best, c.seg_hi)
        lot.worst = min(lot.worst, c.seg_lo)


@compiled
def observe(S, c):
    """Take in the present mark of a contract (after each event, once matching is done)."""
    if c.position == 0 or c.marked == 0:
        return
    m = c.mark if c.position > 0 else -c.mark
    if S.open_contracts > 1:
        now = equity(S)
        note(S, now, now, 0)
        for k in range(c.lot_count):
            lot = c.lots[(c.lot_head + k) % MAX_LOTS]
            lot.best = max(lot.best, m)
            lot.worst = min(lot.worst, m)
    elif c.seg_on == 0:
        c.seg_on = 1
        c.seg_hi = m
        c.seg_lo = m
        c.seg_dd = 0
    else:
        c.seg_hi = max(c.seg_hi, m)
        c.seg_lo = min(c.seg_lo, m)
        c.seg_dd = max(c.seg_dd, c.seg_hi - m)


@compiled
def _close_lot(S, X, k, lot, n, price, ts, o, ambiguous):
    """Match n contracts of a lot against a fill: one trade record; returns its gross profit."""
    c = S.contract[k]
    side = 1 if lot.qty > 0 else -1
    gross = side * n * (price - lot.price) * c.tick_value
    best = max(lot.best, side * price)
    worst = min(lot.worst, side * price)
    row = log_row(X, LOG_TRADES, TRADE_T)
    row.contract = k
    row.side = side
    row.qty = n
    row.entry_ts = lot.ts
    row.exit_ts = ts
    row.entry_price = lot.price
    row.exit_price = price
    row.gross = gross
    row.cost = n * (lot.cost + c.cost)
    row.mae = n * (worst - side * lot.price) * c.tick_value
    row.mfe = n * (best - side * lot.price) * c.tick_value
    row.entry_order = lot.order
    row.exit_order = o.id
    row.tag = lot.tag
    row.exit_role = o.role
    row.exit_cause = o.cause
    row.ambiguous = ambiguous
    S.day_trades += 1
    lot.qty -= side * n
    net = gross - row.cost
    S.loss_streak = S.loss_streak + 1 if net < 0 else 0
    return gross


@compiled
def apply_fill(S, X, k, o, qty, price, ts, in_range, ambiguous):
    """Book a fill of order `o`; returns (realized gross profit, contracts that opened, ambiguous).

    in_range
        The fill happened inside a bar's range, so what it opens may be closed by the same bar.
    ambiguous
        A trade that this fill closes has an ambiguous exit.
    """
    c = S.contract[k]
    if S.open_contracts == 1 and c.position == 0:
        for j in range(S.contracts_n):
            fold(S, S.contract[j])
    fold(S, c)
    before = c.position
    side = o.side
    cost = qty * c.cost
    S.balance -= cost
    S.costs += cost
    S.day_costs += cost
    realized = 0
    doubt = ambiguous
    left = qty
    while left > 0 and c.lot_count > 0:
        lot = c.lots[c.lot_head % MAX_LOTS]
        if (lot.qty > 0) == (side > 0):
            break
        n = min(left, abs(lot.qty))
        unsure = ambiguous
        if in_range != 0 and lot.in_range != 0 and lot.born == S.seq:
            unsure = 1
            doubt = 1
        c.value_at_entry -= (1 if lot.qty > 0 else -1) * n * lot.price
        realized += _close_lot(S, X, k, lot, n, price, ts, o, unsure)
        left -= n
        if lot.qty == 0:
            c.lot_head = (c.lot_head + 1) % MAX_LOTS
            c.lot_count -= 1
    S.balance += realized
    S.realized += realized
    if left > 0:
        if c.lot_count == MAX_LOTS:
            S.overflow = 1
            return realized, 0, doubt
        lot = c.lots[(c.lot_head + c.lot_count) % MAX_LOTS]
        c.lot_count += 1
        lot.qty = side * left
        lot.price = price
        lot.ts = ts
        lot.order = o.id
        lot.tag = o.tag
        lot.cost = c.cost
        lot.born = S.seq
        lot.in_range = in_range
        lot.best = side * price
        lot.worst = side * price
        c.value_at_entry += side * left * price
    c.position = before + side * qty
    set_mark(c)
    _count_open(S, before, c.position, ts)
    now = equity(S)
    note(S, now, now, 0)
    if S.sample_at == NEVER:
        S.sample_at = (ts // MINUTE + 1) * MINUTE
    return realized, left, doubt


@compiled
def _count_open(S, before, after, ts):
    """Keep the number of open contracts, and the time in the market."""
    if before == 0 and after != 0:
        S.open_contracts += 1
        if S.open_contracts == 1:
            S.in_since = ts
    elif before != 0 and after == 0:
        S.open_contracts -= 1
        if S.open_contracts == 0:
            S.day_in_market += ts - S.in_since

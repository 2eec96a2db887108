"""What the account could come to: worst-case positions, bracket risk, free order slots.

Rows 29 to 32 of docs/engine.md section 7; the risk manager asks, this counts.

I/O: none
"""

from __future__ import annotations

from pxresearch.core.account import equity
from pxresearch.core.jit import compiled
from pxresearch.core.records import (
    APPROVED,
    BRACKET_RISK,
    ENTRY,
    MAX_CONTRACTS,
    MAX_ORDERS,
    POSITION_CAP,
    PRODUCT_CAP,
    STOP_LOSS,
    TOO_MANY_ORDERS,
)


@compiled
def worst_position(S, k, extra):
    """Largest position a contract can reach with its working orders and one more, contracts.

    While protective or flatten orders work, the position can be gone before the others fill.
    """
    c = S.contract[k]
    buys = 0
    sells = 0
    if c.orders > 0:
        for i in range(S.live_n):
            o = S.order[S.live[i]]
            if o.contract == k and o.role == ENTRY:
                if o.side > 0:
                    buys += o.qty - o.filled
                else:
                    sells += o.qty - o.filled
    if extra.contract == k:
        if extra.side > 0:
            buys += extra.qty
        else:
            sells += extra.qty
    worst = max(abs(c.position + buys), abs(c.position - sells))
    if c.orders > c.buying + c.selling:
        worst = max(worst, max(buys, sells))
    return worst


@compiled
def cap_rows(S, c, o):
    """Rows 29 and 30: product cap in contracts, position cap in tenths of mini-equivalents."""
    product = 0
    tenths = 0
    for k in range(S.contracts_n):
        worst = worst_position(S, k, o)
        tenths += worst * S.contract[k].size_tenths
        if S.contract[k].product == c.product:
            product += worst
    if c.cap > 0 and product > c.cap:
        return PRODUCT_CAP, product, c.cap
    if S.cap_tenths > 0 and tenths > S.cap_tenths:
        return POSITION_CAP, tenths, S.cap_tenths
    return APPROVED, 0, 0


@compiled
def bracket_risk_row(S, c, o, opening):
    """Row 31: worst case of all brackets against what is left of the loss limits."""
    rules = S.rules
    if rules.bracket_risk == 0 or (rules.has_daily_loss == 0 and rules.has_max_loss == 0):
        return APPROVED, 0, 0
    if o.stop_distance == 0:
        return APPROVED, 0, 0
    risk = opening * (o.stop_distance * c.tick_value + 2 * c.cost)
    for i in range(S.live_n):
        w = S.order[S.live[i]]
        wc = S.contract[w.contract]
        left = w.qty - w.filled
        if w.role == ENTRY and w.stop_distance > 0:
            risk += left * (w.stop_distance * wc.tick_value + 2 * wc.cost)
        elif w.role == STOP_LOSS and (w.contract != o.contract or w.side != o.side):
            mark = wc.mark if wc.marked != 0 else wc.lots[wc.lot_head].price
            risk += left * (max(0, (w.stop - mark) * w.side) * wc.tick_value + wc.cost)
    room = equity(S) - floor_level(S) - rules.loss_buffer
    if risk > room:
        return BRACKET_RISK, risk, room
    return APPROVED, 0, 0


@compiled
def slot_row(S, o):
    """Row 32: slots left, with two kept for each bracket and one for each contract's flatten."""
    kept = MAX_CONTRACTS + (3 if o.bracket != 0 else 1)
    for i in range(S.live_n):
        w = S.order[S.live[i]]
        if w.role == ENTRY and w.bracket != 0:
            kept += 2
    if kept > S.free_n:
        return TOO_MANY_ORDERS, MAX_ORDERS - S.free_n, MAX_ORDERS - MAX_CONTRACTS
    return APPROVED, 0, 0


@compiled
def floor_level(S):
    """Highest equity at which a limit acts, or a value never reached."""
    if S.over != 0:
        return -(2**62)
    low = -(2**62)
    if S.rules.has_max_loss != 0:
        low = S.level
    if S.rules.has_daily_loss != 0 and S.locked == 0:
        low = max(low, S.day_start - S.rules.daily_loss)
    return low


@compiled
def ceiling_level(S):
    """Lowest equity at which the profit lock acts, or a value never reached."""
    if S.over != 0 or S.rules.has_profit_lock == 0 or S.profit_locked != 0:
        return 2**62
    return S.day_start + S.rules.profit_lock

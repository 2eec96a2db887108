"""How a trading session stands, as one value: for the terminal, for ``status``, for the monitor.

Money is micro-dollars, positions signed contracts, prices ticks, times ns UTC, ages seconds. What
is not known is None, never 0.

I/O: none
"""

from __future__ import annotations

import msgspec


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One contract of a session.

    Attributes
    ----------
    feed_age_s
        Since the last quote or trade; None before the first.
    open_pnl
        Marked at the exit side; None without a price.
    flatten_at
        When it is flattened today; None on a day on which it does not trade.
    protected
        Contracts of the position that a working stop covers.
    """

    code: str
    position: int
    bid: int | None
    ask: int | None
    last: int | None
    feed_age_s: float | None
    open_pnl: int | None
    flatten_at: int | None
    session_open: bool
    protected: int = 0
    working: int = 0


class OrderTimes(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds from the sending of an order to its answer."""

    p50: float
    p95: float
    p99: float
    n: int


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """A session now.

    Attributes
    ----------
    day_pnl
        Realized and open, costs off, since 17:00 Chicago.
    day_room, max_loss_room
        What may still be lost today, and until the maximum loss level; None without that limit.
    flatten_at
        The earliest flatten time that is still to come; None without one.
    user_hub, market_hub
        Connected, and everything wanted subscribed.
    blocked
        Why nothing that adds exposure passes, in words; empty when it may.
    unresolved
        What was sent and nobody knows yet.
    halted
        The kill switch is on.
    locked
        Why the day, or the account, is over; empty when it is not.
    calls
        REST calls since the start, by operation.
    """

    ts: int
    account: int
    account_name: str
    mode: str
    strategy: str
    run: str
    trading_day: int
    contracts: tuple[Line, ...]
    balance: int
    day_pnl: int | None
    realized: int
    open_pnl: int | None
    costs: int
    daily_loss_limit: int | None
    day_room: int | None
    max_loss_room: int | None
    flatten_at: int | None
    user_hub: bool
    market_hub: bool
    reconciled: bool
    blocked: tuple[str, ...]
    unresolved: tuple[str, ...]
    halted: bool
    locked: str
    calls: dict[str, int]
    order_ms: OrderTimes | None
    journal_lag_s: float
    journal_failed: str | None
    alerts_failed: int
    events: int
    orders: int
    fills: int
    refusals: int
    last_signal: str
    last_refusal: str
    version: int = 1

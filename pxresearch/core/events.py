"""What a strategy sees: one value per event, the same in compiled and in plain Python.

Prices are floats here, and nowhere else in the core. A missing side of a quote is NaN. Times are
int64 ns UTC.

I/O: none
"""

from __future__ import annotations

import math
from typing import NamedTuple

from pxresearch.core.account import equity
from pxresearch.core.jit import compiled, i1_at, i4_at, i8_at
from pxresearch.core.records import MICROS, NO_ASK, NO_BID

NAN = math.nan


class Quote(NamedTuple):
    """Top of book after a change."""

    contract: int  # index in the run
    ts: int
    bid: float
    ask: float
    mid: float
    bid_size: int
    ask_size: int
    bid_ticks: int
    ask_ticks: int
    tick: float  # tick size


class Trade(NamedTuple):
    """One trade of the market."""

    contract: int
    ts: int
    price: float
    size: int
    side: int  # +1 the buyer was the aggressor, -1 the seller, 0 unknown
    price_ticks: int
    tick: float


class Bar(NamedTuple):
    """A closed bar; `ts` is its start."""

    contract: int
    timeframe: int  # index in the strategy's `bars`
    ts: int
    end: int
    open: float
    high: float
    low: float
    close: float
    volume: int
    count: int  # events in it
    session: int  # trading day, yyyymmdd
    session_open: int
    tick: float


class Fill(NamedTuple):
    """One of our fills, when its notice has arrived."""

    contract: int
    ts: int  # of the fill
    side: int
    qty: int
    price: float
    position: int  # after it
    tag: int
    role: int  # 0 entry, 1 stop loss, 2 target, 3 flatten
    price_ticks: int


class Session(NamedTuple):
    """The session of a contract opens or closes."""

    contract: int
    ts: int
    opening: bool
    date: int  # trading day, yyyymmdd
    open: int
    close: int
    flatten_at: int


class Gap(NamedTuple):
    """Quotes and trades of a contract are missing: the feed was away, or nobody was running.

    Of live and paper sessions, and of a replay of their journal. It is told with the first event
    after it, and before that.
    """

    contract: int
    since: int
    until: int  # when the first event after it was received


class Orders(NamedTuple):
    """The strategy's own entry orders of the contract, in flight or working."""

    working: int
    buying: int
    selling: int


class Account(NamedTuple):
    """The account as the risk manager sees it now."""

    balance: float  # USD
    day_pnl: float  # USD, costs and open positions included
    positions: tuple[int, ...]  # by contract, all eight, as last notified
    locked: bool  # nothing that adds exposure passes today


@compiled
def price_of(c, ticks):
    """Float price of a tick count: one correctly rounded division."""
    return (ticks * c.tick_num) / c.tick_den


@compiled
def tick_of(c):
    """Tick size as a float."""
    return c.tick_num / c.tick_den


@compiled
def quote_at(c, k, q, j):
    """Quote j of a stream as a strategy sees it; what it does not look at is never computed."""
    bid = i4_at(q.a, j)
    ask = i4_at(q.b, j)
    has_bid = bid != NO_BID
    has_ask = ask != NO_ASK
    return Quote(
        k,
        i8_at(q.ts, j),
        price_of(c, bid) if has_bid else NAN,
        price_of(c, ask) if has_ask else NAN,
        ((bid + ask) * c.tick_num) / (2 * c.tick_den) if has_bid & has_ask else NAN,
        i4_at(q.c, j & q.size_mask),
        i4_at(q.d, j & q.size_mask),
        bid,
        ask,
        tick_of(c),
    )


@compiled
def whole_quote(c, k, q, j, bid, ask):
    """The same for a quote that has both sides, as every quiet one has."""
    return Quote(
        k,
        i8_at(q.ts, j),
        price_of(c, bid),
        price_of(c, ask),
        ((bid + ask) * c.tick_num) / (2 * c.tick_den),
        i4_at(q.c, j & q.size_mask),
        i4_at(q.d, j & q.size_mask),
        bid,
        ask,
        tick_of(c),
    )


@compiled
def trade_at(c, k, q, j):
    """Trade j of a stream as a strategy sees it."""
    price = i4_at(q.a, j)
    return Trade(
        k, i8_at(q.ts, j), price_of(c, price), i4_at(q.b, j), i1_at(q.c, j), price, tick_of(c)
    )


@compiled
def _half(c, half_ticks):
    return (half_ticks * c.tick_num) / (2 * c.tick_den)


@compiled
def bar_value(S, c, k, f):
    """The bar just closed as a strategy sees it."""
    b = c.done_bar
    return Bar(
        k, f, b.ts, b.end, _half(c, b.open), _half(c, b.high), _half(c, b.low), _half(c, b.close),
        b.volume, b.count, S.day_date, c.session.open, tick_of(c),
    )  # fmt: skip


@compiled
def fill_value(S, c, k):
    """The fill just notified as a strategy sees it."""
    n = S.notice_ev
    return Fill(k, n.ts, n.side, n.qty, price_of(c, n.price), n.position, n.tag, n.role, n.price)


@compiled
def session_value(S, c, k, opening, ts):
    """The session as a strategy sees it."""
    return Session(
        k, ts, opening != 0, S.day_date, c.session.open, c.session.close, c.session.flatten_at
    )


@compiled
def orders_value(c):
    """The strategy's entry orders of a contract."""
    return Orders(c.buying + c.selling, c.buying, c.selling)


@compiled
def account_value(S):
    """The account as a strategy sees it."""
    p = S.contract
    locked = (S.halted | S.over | S.locked | S.profit_locked) != 0
    return Account(
        S.balance / MICROS,
        (equity(S) - S.day_start) / MICROS,
        (
            p[0].seen, p[1].seen, p[2].seen, p[3].seen,
            p[4].seen, p[5].seen, p[6].seen, p[7].seen,
        ),
        locked,
    )  # fmt: skip

"""A session's health, read out of the engine and what is around it.

I/O: none
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pxresearch.brokers.session import EngineSession
from pxresearch.clock import NS
from pxresearch.core import records as r
from pxresearch.gateway.calllog import CallLog
from pxresearch.health import Line, OrderTimes
from pxresearch.runner.coverage import Span


def lines(session: EngineSession, now: int, received: Sequence[int]) -> tuple[Line, ...]:
    """One line a contract.

    Parameters
    ----------
    now
        Our clock, ns UTC.
    received
        When the last event of each contract came, by our clock; 0 for none.
    """
    e = session.engine[0]
    return tuple(_line(session, e, k, now, received[k]) for k in range(len(session.feeds)))


def _line(session: EngineSession, e: np.void, k: int, now: int, got: int) -> Line:
    c = e["contract"][k]
    position, bid, ask, last = (int(c[name]) for name in ("position", "bid", "ask", "last"))
    open_pnl: int | None = 0
    if position:
        value = (position * int(c["mark"]) - int(c["value_at_entry"])) * int(c["tick_value"])
        open_pnl = value if c["marked"] else None
    orders = [e["order"][int(slot)] for slot in e["live"][: int(e["live_n"])]]
    ours = [o for o in orders if int(o["contract"]) == k]
    return Line(
        code=session.feeds[k].contract.code, position=position,
        bid=None if bid == r.NO_BID else bid, ask=None if ask == r.NO_ASK else ask,
        last=None if last == r.HIGHEST else last,
        feed_age_s=(now - got) / NS if got else None, open_pnl=open_pnl,
        flatten_at=None if c["past_flatten"] and not c["in_session"] else int(
            c["session"]["flatten_at"]
        ),
        session_open=bool(c["in_session"]),
        protected=sum(
            int(o["qty"]) - int(o["filled"]) for o in ours if int(o["role"]) == r.STOP_LOSS
        ),
        working=len(ours),
    )  # fmt: skip


def locked(session: EngineSession) -> str:
    """Why the day or the account is over; empty when it is not."""
    e = session.engine[0]
    if e["over"]:
        return "the maximum loss limit was touched: the account is over"
    if e["locked"]:
        return "the daily loss limit was touched: locked until the next trading day"
    if e["profit_locked"]:
        return "the daily profit lock was touched: locked until the next trading day"
    return ""


def hours(session: EngineSession, day: int) -> list[Span]:
    """Spans of a trading day in which a contract of the session may be traded, ns UTC."""
    rows = session.session_rows(day)
    found: list[Span] = []
    for row in rows:
        start, end = int(row["open"]), min(int(row["close"]), int(row["flatten_at"]))
        pause = (int(row["pause_from"]), int(row["pause_to"]))
        if pause[0] < pause[1] and start < pause[0] < end:
            found += [(start, pause[0]), (min(pause[1], end), end)]
        elif start < end:
            found.append((start, end))
    return found


def closes(session: EngineSession, day: int) -> int:
    """When the last contract of the session closes on a trading day; 0 when none trades."""
    rows = [row for row in session.session_rows(day) if row["open"] < row["close"]]
    return max((int(row["close"]) for row in rows), default=0)


def flatten_times(session: EngineSession, day: int) -> list[int]:
    """Flatten time of each contract on a trading day; 0 for one that does not trade."""
    return [
        int(row["flatten_at"]) if row["open"] < row["close"] else 0
        for row in session.session_rows(day)
    ]


def order_times(calls: CallLog) -> OrderTimes | None:
    """How long the venue took for its answers; None before the first."""
    ms = calls.percentiles()
    if not ms:
        return None
    return OrderTimes(p50=ms["p50"], p95=ms["p95"], p99=ms["p99"], n=len(calls.latency_s))

"""Rows that the engine writes: fixed buffers that the caller drains and the engine never grows.

I/O: none
"""

from __future__ import annotations

from pxresearch.core.jit import EQUITY_T, REFUSAL_T, RISK_T, compiled, record_at
from pxresearch.core.records import LOG_EQUITY, LOG_MARGIN, LOG_REFUSALS, LOG_RISK, LOGS

_SIZES = tuple(dtype.itemsize for dtype in LOGS.values())


@compiled
def log_row(X, which, row_type):
    """The next free row of a log; the loop stops for draining long before one is full."""
    n = X.log_n[which]
    X.log_n[which] = n + 1
    if n > X.log_cap[which] - LOG_MARGIN:
        X.drain = 1
    return record_at(X.log[which] + n * _SIZES[which], row_type)


@compiled
def log_risk(X, ts, cause, contract, value, limit):
    """Write a risk event with the number that led to it and the limit it met."""
    row = log_row(X, LOG_RISK, RISK_T)
    row.ts = ts
    row.cause = cause
    row.contract = contract
    row.value = value
    row.limit = limit


@compiled
def log_equity(X, ts, balance, equity, low, high):
    """Write an equity sample; low and high are the extremes since the last one."""
    row = log_row(X, LOG_EQUITY, EQUITY_T)
    row.ts = ts
    row.balance = balance
    row.equity = equity
    row.low = low
    row.high = high


@compiled
def log_refusal(X, ts, contract, s, reason, value, limit):
    """Write a refused signal; an unbroken run of the same refusal shares one row and is counted."""
    n = X.log_n[LOG_REFUSALS]
    if n > 0:
        last = record_at(X.log[LOG_REFUSALS] + (n - 1) * _SIZES[LOG_REFUSALS], REFUSAL_T)
        same = last.contract == contract and last.side == s.side and last.kind == s.order
        if same and last.reason == reason:
            last.count += 1
            last.last_ts = ts
            return
    row = log_row(X, LOG_REFUSALS, REFUSAL_T)
    row.ts = ts
    row.last_ts = ts
    row.count = 1
    row.contract = contract
    row.side = s.side
    row.kind = s.order
    row.reason = reason
    row.qty = s.qty
    row.value = value
    row.limit = limit

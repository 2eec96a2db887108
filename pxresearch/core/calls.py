"""Calling the strategy, and acting on what it asks for.

A hook is called by address; the signals that it leaves in the engine's buffer are judged at once,
in order. Fill notices and finished bars reach the strategy through here as well.

I/O: none
"""

from __future__ import annotations

from pxresearch.core.bars import (
    close_bar,
)
from pxresearch.core.jit import (
    BARROW_T,
    address_of,
    call_hook,
    compiled,
)
from pxresearch.core.logs import log_refusal, log_row
from pxresearch.core.orders import cancel_entries
from pxresearch.core.records import (
    BAD_CONTRACT,
    BY_STRATEGY,
    CANCEL,
    FLATTEN,
    LOG_BARS,
    MAX_NOTICES,
    MAX_STREAMS,
    NEVER,
    ON_BAR,
    ON_FILL,
    ORDER,
)
from pxresearch.core.risk import (
    check,
    flatten_contract,
)


@compiled
def decide(S, X, k, n, ts):
    """Act on the first n signals that a hook of contract k returned at ts."""
    for i in range(n):
        s = S.signal[i]
        if s.contract < 0:
            s.contract = k
        if s.contract >= S.contracts_n:
            log_refusal(X, ts, s.contract, s, BAD_CONTRACT, s.contract, S.contracts_n)
        elif s.kind == ORDER:
            check(S, X, s, ts)
        elif s.kind == CANCEL:
            cancel_entries(S, X, s.contract, s.tag, BY_STRATEGY, ts)
        elif s.kind == FLATTEN:
            flatten_contract(S, X, s.contract, BY_STRATEGY, ts)
            S.dirty = 2
    S.dirty = max(S.dirty, 1)


@compiled
def hook(S, X, which, function, k, a, b, c, d, ts):
    """Call one hook of the strategy and act on its answer."""
    if function == 0 or X.failed != 0:
        return
    status, n = call_hook(function, address_of(X), k, a, b, c, d, S.contract[k].seen)
    if status != 0:
        X.failed = 1
        X.failed_hook = which
        X.failed_at = ts
    elif n > 0:
        decide(S, X, k, n, ts)


@compiled
def hook_one(S, X, which, function, k, ts, a, b, c, d):
    """Call `on_quote` or `on_trade` for one event, as a stretch of one in the spare stream."""
    if function == 0 or X.failed != 0:
        return
    X.one_ts = ts
    X.one_a = a
    X.one_b = b
    X.one_c = c
    X.one_d = d
    status, answer = call_hook(
        function, address_of(X), k, 0, 1, MAX_STREAMS, NEVER, S.contract[k].seen
    )
    if status != 0:
        X.failed = 1
        X.failed_hook = which
        X.failed_at = ts
    elif answer != 0:
        decide(S, X, k, answer & 0xFF, ts)


@compiled
def finish_bar(S, X, k, f, end, ts):
    """Close one bar of contract k, keep it if wanted, and show it to the strategy."""
    c = S.contract[k]
    close_bar(c, f, end)
    if X.bars_wanted != 0:
        row = log_row(X, LOG_BARS, BARROW_T)
        row.contract = k
        row.frame = f
        row.bar = c.done_bar
    hook(S, X, ON_BAR, X.on_bar, k, f, ts, 0, 0, ts)


@compiled
def deliver(S, X, ts):
    """Tell the strategy of the fills whose notice has arrived by ts."""
    while S.notice_count > 0:
        first = S.notices[S.notice_head]
        if first.due > ts:
            return
        S.notice_ev = first
        S.notice_head = (S.notice_head + 1) % MAX_NOTICES
        S.notice_count -= 1
        k = S.notice_ev.contract
        S.contract[k].seen = S.notice_ev.position
        S.dirty = 1
        hook(S, X, ON_FILL, X.on_fill, k, 0, 0, 0, 0, ts)

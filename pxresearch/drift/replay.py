"""A session's recording through the replay's array loop: does it decide what the session decided?

Live and paper take one input at a time, a backtest runs over arrays. Both are the same compiled
functions, and this is the check that they did the same: the recorded market goes through the loop
of `brokers.replay`, everything else (commands, what a venue said) at its own place between, and the
logs of both must be equal row by row.

The loop merges arrays by time, then contract, then sequence. Where the session took its inputs in
another order the arrays are cut, so the order stays the session's own.

I/O: reads a journal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np

from pxresearch.block import Block, Quotes, Trades
from pxresearch.brokers.replay import connect
from pxresearch.brokers.session import EngineSession, Logs
from pxresearch.core import records as r
from pxresearch.drift.recording import TS, WHAT, A, B, C, D, K, Part, Rows, begun, parts, tell
from pxresearch.drift.report import DayCheck

COMPARED = ("orders", "refusals", "fills", "trades", "risk", "days")
"""Logs that must be equal; orders, refusals and fills carry the numbers that decided."""

STATE = (
    "balance", "realized", "costs", "day_start", "level", "locked", "profit_locked", "over",
    "halted", "blocked", "events", "orders_made", "fills_made", "open_contracts", "loss_streak",
)  # fmt: skip
"""Members of the engine's record that must be equal at the end, beside the strategy's own."""

UNLIKE = "seq"
"""Column that counts events: the array loop passes over quiet ones without counting."""

MOST = 5
"""Differences that are written out, a log."""


def replay_check(path: Path) -> list[str]:
    """What a replay of a session's own recording decides otherwise, in words; empty when nothing.

    Raises
    ------
    JournalError
        The journal cannot be read.
    """
    return list(check_parts(parts(path)).check.differences)


@dataclass(frozen=True, slots=True)
class Replayed:
    """One session: its parts, what the engine of each wrote, and what a replay did otherwise."""

    recorded: Sequence[Part]
    logs: Sequence[Logs]
    check: DayCheck


def check_parts(recorded: Sequence[Part]) -> Replayed:
    """Replay the parts of one session; the check's `head` is left empty."""
    differences: list[str] = []
    events = orders = fills = 0
    logs = []
    for part in recorded:
        told, looped = begun(part), begun(part)
        differences += [*part.faults, *_tell(told, part)]
        _loop(looped, part.inputs)
        differences += compare_state(told, looped)
        for session in (told, looped):
            session.tell(r.FINISH, a=0)
        logs.append(told.logs())
        differences += _logs_differ(logs[-1], looped.logs())
        events += int(np.count_nonzero(part.inputs[:, WHAT] <= r.TRADES))
        orders += len(logs[-1]["orders"])
        fills += len(logs[-1]["fills"])
    check = DayCheck(
        day=recorded[-1].header.date, head="", events=events, orders=orders,
        fills=fills, differences=tuple(dict.fromkeys(differences)),
    )  # fmt: skip
    return Replayed(recorded, logs, check)


def compare_state(told: EngineSession, looped: EngineSession) -> list[str]:
    """Members of account, positions and strategy that differ, in words."""
    first, second = told.engine[0], looped.engine[0]
    pairs = [(name, int(first[name]), int(second[name])) for name in STATE]
    for k, feed in enumerate(told.feeds):
        held, other = (int(one["contract"][k]["position"]) for one in (first, second))
        pairs.append((f"position in {feed.contract.code}", held, other))
    found = [f"{name}: session {a:,}, replay {b:,}" for name, a, b in pairs if a != b]
    size = told.engine.nbytes
    if told.snapshot()[size:] != looped.snapshot()[size:]:
        found.append("the strategy's own state")
    return found


def _logs_differ(first: Logs, second: Logs) -> list[str]:
    return [text for name in COMPARED for text in _rows_differ(name, first[name], second[name])]


def _rows_differ(name: str, first: Rows, second: Rows) -> list[str]:
    found = []
    if len(first) != len(second):
        found.append(f"{name}: session {len(first):,}, replay {len(second):,}")
    n = min(len(first), len(second))
    columns = [c for c in first.dtype.names or () if c != UNLIKE]
    unequal = np.zeros(n, np.bool_)
    for column in columns:
        unequal |= first[column][:n] != second[column][:n]
    for at in np.flatnonzero(unequal)[:MOST].tolist():
        a, b = first[at], second[at]
        words = ", ".join(f"{c} {a[c]} -> {b[c]}" for c in columns if a[c] != b[c])
        found.append(f"{name}, row {at}: {words}")
    return found


def _tell(session: EngineSession, part: Part) -> list[str]:
    """Tell every input; compare with each snapshot on the way."""
    wrong = []
    told = 0
    for upto, seq, state in (*part.snapshots, (len(part.inputs), 0, None)):
        for row in part.inputs[told:upto].tolist():
            tell(session, row)
        told = upto
        if state is not None and session.snapshot() != state:
            wrong.append(f"the state at the snapshot of row {seq} is not what was written")
    return wrong


def _loop(session: EngineSession, inputs: Rows) -> None:
    """Take the market through the array loop, the rest one by one."""
    rows = inputs[_needed(inputs)]
    for start, stop in _pieces(rows):
        if rows[start, WHAT] > r.TRADES:
            tell(session, rows[start].tolist())
            continue
        held = connect(session, _blocks(rows[start:stop]))
        while not tell(session, [r.GO]):
            pass  # on with the rest, without the strategy
        session.wires["streams_n"] = 0
        held.clear()


def _needed(inputs: Rows) -> Rows:
    """Mask of the inputs without the clocks that change nothing.

    What follows a clock at or after its time lets the same timers fire, at their own times.
    """
    is_clock, ts = inputs[:, WHAT] == r.CLOCK, inputs[:, TS]
    others = np.flatnonzero(~is_clock)
    following = np.searchsorted(others, np.arange(len(inputs)), side="right")
    known = following < len(others)
    later = np.zeros(len(inputs), np.bool_)
    later[known] = ts[others[following[known]]] >= ts[known]
    return ~(is_clock & later)


def _pieces(rows: Rows) -> Iterator[tuple[int, int]]:
    """Spans: market that the loop takes in this very order, or one other input."""
    market, ts, k = rows[:, WHAT] <= r.TRADES, rows[:, TS], rows[:, K]
    ordered = (ts[:-1] < ts[1:]) | ((ts[:-1] == ts[1:]) & (k[:-1] <= k[1:]))
    joined = market[:-1] & market[1:] & ordered
    cuts = [0, *(np.flatnonzero(~joined) + 1).tolist(), len(rows)]
    yield from pairwise(dict.fromkeys(cuts))


def _blocks(rows: Rows) -> list[tuple[int, Block]]:
    """The arrays of a span of market, by contract."""
    found = []
    for k in np.unique(rows[:, K]).tolist():
        own = np.flatnonzero(rows[:, K] == k)
        quotes = own[rows[own, WHAT] == r.QUOTES]
        trades = own[rows[own, WHAT] == r.TRADES]
        block = Block(
            date.min,
            quotes=Quotes(
                rows[quotes, TS], _i4(rows[quotes, A]), _i4(rows[quotes, B]),
                _i4(rows[quotes, C]), _i4(rows[quotes, D]), quotes,
            ),
            trades=Trades(
                rows[trades, TS], _i4(rows[trades, A]), _i4(rows[trades, B]),
                rows[trades, C].astype(np.int8), trades,
            ),
        )  # fmt: skip
        found.append((k, block))
    return found


def _i4(column: Rows) -> Rows:
    return column.astype(np.int32)

"""What stood behind one row of a journal: the input, the state, the rule with its numbers.

The engine is rebuilt up to the input that led to the row. What that one input made it decide is
read from the engine's own logs, so the explanation is what the core did, not what was noted of it.

I/O: reads a journal.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from pxresearch.brokers.session import EngineSession
from pxresearch.core.jit import core_stamp
from pxresearch.errors import StrategyError, UsageError
from pxresearch.journal import view
from pxresearch.journal.reader import newest, read
from pxresearch.journal.rebuild import rebuild
from pxresearch.journal.records import Input, Kind, Row
from pxresearch.strategy import Strategy

_LOGS = ("orders", "fills", "refusals", "risk")


def explain(path: Path, seq: int, strategy: type[Strategy] | None = None) -> dict[str, Any]:
    """Explain a row.

    Returns
    -------
    dict
        ``row``; ``input`` that led to it, with its number; ``decided``: what the engine did at that
        input (orders, fills, refusals with rule, value and limit, risk, errors); ``before`` and
        ``after`` it: market, account, positions, orders, limits, strategy (`view.of_engine`);
        ``same_core``: whether this version is the one that traded.

    Raises
    ------
    UsageError
        There is no such row.
    JournalError
        The state there is not known.
    """
    row = row_at(path, seq)
    cause = row if row.kind == Kind.INPUT else _input_before(path, seq)
    header = next(read(path, (Kind.RUN,), newest(path, Kind.RUN, seq))).data
    session = rebuild(path, cause.seq - 1 if cause else seq, strategy, whole=False)
    before = view.of_engine(session)
    decided = {} if cause is None else _decide(session, cause.data)
    return {
        "row": {"seq": row.seq, "ts": view.when(row.ts), "kind": row.kind.value, **_data(row)},
        "input": None
        if cause is None
        else {"seq": cause.seq, **view.of_input(session, cause.data)},
        "decided": decided,
        "before": before,
        "after": view.of_engine(session),
        "run": header.run,
        "same_core": header.core == core_stamp(),
    }


def row_at(path: Path, seq: int) -> Row:
    """The row with a number; that of the gap which took it, if it was lost."""
    row = next(read(path, since=seq), None)
    if row is None or row.seq > seq:
        raise UsageError(f"the journal {path} has no row {seq}")
    return row


def _input_before(path: Path, seq: int) -> Row | None:
    """The last input before a row."""
    block = newest(path, Kind.INPUT, seq)
    found = None
    for row in read(path, (Kind.INPUT,), block) if block else ():
        if row.seq > seq:
            break
        found = row
    return found


def _decide(session: EngineSession, told: Input) -> dict[str, list[dict[str, Any]]]:
    """Tell the engine one input and return what it wrote down meanwhile."""
    had = {name: len(session.logs()[name]) for name in _LOGS}
    known = {o["id"] for o in view.of_engine(session)["orders"]}
    error = []
    try:
        session.tell(*told[:-1])
    except StrategyError as raised:
        error = [{"strategy": str(raised)}]
    logs = session.logs()
    made: dict[str, list[dict[str, Any]]] = {
        name: [view.of_log(session, name, row) for row in logs[name][had[name] :]] for name in _LOGS
    }
    made["orders"] += [o for o in view.of_engine(session)["orders"] if o["id"] not in known]
    return {**made, "errors": error}


def _data(row: Row) -> dict[str, Any]:
    if row.kind in (Kind.SNAPSHOT, Kind.INPUT):
        return {}
    data = msgspec.to_builtins(row.data)
    data.pop("source", None)
    return {"data": data}

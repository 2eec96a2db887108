"""Fills of one side against another's: paper against a backtest, live against paper.

I/O: none
"""

from __future__ import annotations

from collections.abc import Sequence

from pxresearch.brokers.replay import Replay
from pxresearch.brokers.session import Logs
from pxresearch.drift.pairs import Decision, Done, day_pnl, decisions, pairs
from pxresearch.drift.recording import Part, begun, recorded_ticks
from pxresearch.drift.replay import Replayed
from pxresearch.drift.report import Comparison, compare
from pxresearch.drift.shadow import shadowed

AGAINST_BACKTEST = "paper against backtest"
AGAINST_PAPER = "live against paper"


def against_backtest(days: Sequence[Replayed]) -> Comparison:
    """Paper sessions against one backtest that runs through all their days."""
    recorded = [part for day in days for part in day.recorded]
    header = recorded[0].header
    replay = Replay(
        begun(recorded[0]).strategy, recorded_ticks(recorded), header.programme, header.fills,
        compiled=header.compiled, close=False,
    )  # fmt: skip
    fresh = replay.run().logs()
    own = [logs for day in days for logs in day.logs]
    return _compared(AGAINST_BACKTEST, ("paper", "backtest"), own, [fresh], recorded)


def against_paper(days: Sequence[Replayed]) -> Comparison:
    """Live sessions against what paper would have filled of the same orders."""
    recorded = [part for day in days for part in day.recorded]
    doubles = [shadowed(day.recorded) for day in days]
    live = [logs for own, _ in doubles for logs in own]
    paper = [logs for _, logs in doubles]
    return _compared(AGAINST_PAPER, ("live", "paper"), live, paper, recorded)


def _compared(
    name: str, sides: tuple[str, str], first: Sequence[Logs], second: Sequence[Logs],
    recorded: Sequence[Part],
) -> Comparison:  # fmt: skip
    own, other = _pnl(first), _pnl(second)
    days = sorted({part.header.date for part in recorded})
    pnl = {day: (own.get(day, 0), other.get(day, 0)) for day in days}
    return compare(name, sides, pnl, pairs(_decisions(first), _decisions(second)))


def _decisions(ran: Sequence[Logs]) -> dict[Decision, Done]:
    return {key: done for logs in ran for key, done in decisions(logs["orders"]).items()}


def _pnl(ran: Sequence[Logs]) -> dict[int, int]:
    totals: dict[int, int] = {}
    for logs in ran:
        for day, amount in day_pnl(logs["fills"]).items():
            totals[day] = totals.get(day, 0) + amount
    return totals

"""Drift of one account: every session checked once, the newest strategy compared, and stored.

I/O: reads the journals of an account's folder; reads and writes its ``drift.json``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from pxresearch.drift.compare import against_backtest, against_paper
from pxresearch.drift.recording import parts
from pxresearch.drift.replay import Replayed, check_parts
from pxresearch.drift.report import DayCheck, DriftReport, store, stored
from pxresearch.errors import PxError
from pxresearch.promotion import PaperSession, sessions


def update(
    folder: Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> DriftReport:
    """Check the sessions of an account's folder that are not checked yet, compare, and store it.

    Compared are the sessions of the newest strategy, as it stands with its parameters and account.

    Parameters
    ----------
    progress
        Called with the journals done and their number.
    """
    found = [one for mode in ("paper", "live") for one in sessions(folder, mode) if _whole(one)]
    known = stored(folder)
    if all(one.check is not None for one in found) and len(found) == len(known.days):
        return known
    checks: dict[str, DayCheck] = {}
    paper, live = [], []
    for done, one in enumerate(found):
        check, ran = _checked(one)
        checks[one.path.name] = check
        if ran is not None and _same(one, found):
            (live if ran.recorded[0].header.live else paper).append(ran)
        progress(done + 1, len(found))
    comparisons = []
    if paper:
        comparisons.append(against_backtest(paper))
    if live:
        comparisons.append(against_paper(live))
    report = DriftReport(days=checks, comparisons=tuple(comparisons))
    store(folder, report)
    return report


def _checked(one: PaperSession) -> tuple[DayCheck, Replayed | None]:
    """Replay one session; one that cannot be replayed is a difference, not the end of the rest."""
    try:
        ran = check_parts(parts(one.path))
        return msgspec.structs.replace(ran.check, head=one.head), ran
    except PxError as error:
        day = one.day.year * 10_000 + one.day.month * 100 + one.day.day
        text = f"it cannot be replayed: {error}"
        return DayCheck(
            day=day, head=one.head, events=0, orders=0, fills=0, differences=(text,)
        ), None


def _whole(one: PaperSession) -> bool:
    return one.end is not None and not one.damage and bool(one.identities)


def _same(one: PaperSession, found: Sequence[PaperSession]) -> bool:
    """Whether a session is of the strategy and account of the newest one."""
    newest = max(found, key=lambda other: (other.day, other.path.name)).identities[-1]
    return not any(identity.changes(newest, ramp=True) for identity in one.identities)

"""An engine for a session: fresh, or as an earlier journal left it.

The calendar of a chain of sessions always begins on the same day, so that a snapshot of one fits
the next.

I/O: reads journals.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from pxresearch.brokers.feeds import Feed
from pxresearch.brokers.session import EngineSession
from pxresearch.clock import NS
from pxresearch.core import records as r
from pxresearch.errors import JournalError, StrategyError
from pxresearch.instruments import contract
from pxresearch.journal import Header, Kind, Recovered, has_rows, newest, read, recover
from pxresearch.runner.plan import Plan
from pxresearch.sessions import session, trading_day

KINDS = ("quotes", "trades")
_HALF_HOUR = 1800 * NS


class Start(msgspec.Struct, kw_only=True):
    """Where a session begins.

    Attributes
    ----------
    path
        The journal of this trading day.
    first_ns, last_ns
        Span of the calendar.
    told
        Venue's numbers of the fills that the engine knows.
    runs
        Names of the earlier runs of this day.
    covered_ns
        Of this day by earlier runs.
    resumed
        The same day goes on; `carried`: an earlier day's state was taken over.
    """

    session: EngineSession
    path: Path
    day: int
    first_ns: int
    last_ns: int
    told: set[int]
    runs: set[str]
    covered_ns: int = 0
    resumed: bool = False
    carried: bool = False


def journal_path(folder: Path, mode: str, day: int) -> Path:
    """Journal of a trading day, yyyymmdd."""
    return folder / f"{mode}-{day // 10_000:04d}-{day // 100 % 100:02d}-{day % 100:02d}.journal"


def day_number(now: int) -> int:
    """Trading day of an instant, yyyymmdd."""
    day = trading_day(now)
    return day.year * 10_000 + day.month * 100 + day.day


def next_day(codes: tuple[str, ...], now: int) -> tuple[int, int]:
    """Which trading day to run, yyyymmdd, and when it begins, ns UTC.

    It is today, and after its last close the next one.
    """
    day = trading_day(now)
    at = now
    if max(session(contract(code), day).close for code in codes) <= now:
        at = now // _HALF_HOUR * _HALF_HOUR
        while trading_day(at) == day:  # days begin on the half hour; it may be a weekend off
            at += _HALF_HOUR
    return day_number(at), at


def begin(plan: Plan, folder: Path, now: int, horizon_days: int, day: int) -> Start:
    """An engine at `now` for a trading day: out of its journal, an earlier one's end, or fresh.

    Raises
    ------
    JournalError
        Today's journal is damaged, or of another strategy; it says what to do.
    """
    path = journal_path(folder, plan.mode, day)
    if path.exists() and _begun(path):
        return _resume(plan, path, day, now, horizon_days)
    last_ns = now + horizon_days * 24 * 3600 * NS
    earlier = _earlier(plan, folder, path)
    if earlier is not None:
        header = earlier.header
        session = build(plan, header.first_ns, last_ns)
        _replay(session, earlier)
        session.apply_rules()  # a new day may have others
        return Start(
            session=session, path=path, day=day, first_ns=header.first_ns, last_ns=last_ns,
            told=_told(earlier.path), runs={run for run in _runs(earlier.path)}, carried=True,
        )  # fmt: skip
    return Start(
        session=build(plan, now, last_ns), path=path, day=day, first_ns=now, last_ns=last_ns,
        told=set(), runs=set(),
    )  # fmt: skip


def build(plan: Plan, first_ns: int, last_ns: int) -> EngineSession:
    """An engine for a plan, at the beginning of its calendar."""
    return EngineSession(
        plan.strategy, [Feed(contract(code), KINDS) for code in plan.contracts], plan.programme,
        plan.fills, first_ns=first_ns, last_ns=last_ns, compiled=plan.compiled, trading=True,
        at_venue=plan.live,
    )  # fmt: skip


def _begun(path: Path) -> bool:
    """Whether a journal holds a state; a process that was killed before its first has left none."""
    return has_rows(path) and newest(path, Kind.SNAPSHOT, r.NEVER) > 0


def same(plan: Plan, header: Header) -> bool:
    """Whether a journal's session is this plan's, but for the limits, which may be tighter."""
    return (
        header.source_hash == plan.source_hash
        and header.strategy == plan.name
        and header.parameters == plan.strategy.parameters
        and header.contracts == plan.contracts
        and header.mode == plan.mode
    )


def _resume(plan: Plan, path: Path, day: int, now: int, horizon_days: int) -> Start:
    found = recover(path)
    if not same(plan, found.header):
        raise JournalError(
            f"{path.name} holds a {plan.mode} session of {found.header.strategy} with other code, "
            "parameters or contracts; one trading day has one session. Start it as it was, or "
            "wait for the next trading day"
        )
    header = found.header
    last_ns = max(header.last_ns, now + horizon_days * 24 * 3600 * NS)
    # Rules are not loosened within a day, whatever a changed setting says.
    held = msgspec.structs.replace(plan, programme=header.programme)
    session = build(held, header.first_ns, last_ns)
    _replay(session, found)
    return Start(
        session=session, path=path, day=day, first_ns=header.first_ns, last_ns=last_ns,
        told=_told(path), runs=_runs(path), covered_ns=_covered(path), resumed=True,
    )  # fmt: skip


def _earlier(plan: Plan, folder: Path, today: Path) -> Recovered | None:
    """The newest journal before today's, if it is this plan's and whole."""
    older = sorted(p for p in folder.glob(f"{plan.mode}-*.journal") if p.name < today.name)
    if not older:
        return None
    try:
        found = recover(older[-1])
    except JournalError:
        return None
    # A paper account with other rules is another account.
    kept = plan.live or found.header.programme == plan.programme
    return found if kept and same(plan, found.header) else None


def _replay(session: EngineSession, found: Recovered) -> None:
    """Bring an engine to where a journal ends."""
    if found.snapshot is not None:
        session.restore(found.snapshot)
    for row in found.inputs():
        what, k, ts, a, b, c, d, _ = row.data
        try:
            session.tell(what, k, ts, a, b, c, d)
        except StrategyError:
            session.disarm()


def _told(path: Path) -> set[int]:
    told: set[int] = set()
    for row in read(path, (Kind.INPUT, Kind.NOTE)):
        if row.kind is Kind.INPUT:
            if row.data[0] == r.VENUE_FILL:
                told.add(abs(row.data[6]))
        else:
            told.update(row.data.get("told", ()))
    return told


def _runs(path: Path) -> set[str]:
    return {row.data.run for row in read(path, (Kind.RUN,))}


def _covered(path: Path) -> int:
    return max(
        (row.data["covered_ns"] for row in read(path, (Kind.NOTE,)) if "covered_ns" in row.data),
        default=0,
    )

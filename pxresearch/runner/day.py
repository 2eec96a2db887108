"""One trading day of a session: its journal, its counts, its coverage, its end.

I/O: through the journal.
"""

from __future__ import annotations

from collections import Counter

from pxresearch import __version__
from pxresearch.brokers.session import EngineSession
from pxresearch.core.jit import core_stamp
from pxresearch.journal import Header, Journal, Kind, SessionEnd
from pxresearch.runner import look
from pxresearch.runner.build import KINDS, Start
from pxresearch.runner.coverage import Coverage
from pxresearch.runner.plan import Plan

COMPLETE = 0.95


class Day:
    """A trading day.

    Attributes
    ----------
    counts
        Of events, orders, fills, refusals and alerts.
    faults
        What went wrong and is not settled, in words.
    closes, start_ns, end_ns
        Last close of a contract, and the day's own span, ns UTC.
    """

    def __init__(
        self, plan: Plan, start: Start, session: EngineSession, journal: Journal, run: str,
        contract_ids: tuple[str, ...], most_gap_s: float,
    ) -> None:  # fmt: skip
        self.date, self.path, self.journal = start.day, start.path, journal
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []
        self._plan, self._session = plan, session
        self.header = Header(
            account=plan.account, mode=plan.mode, date=start.day, run=run, strategy=plan.name,
            source=plan.source, source_hash=plan.source_hash,
            parameters=dict(plan.strategy.parameters), contracts=plan.contracts,
            contract_ids=contract_ids, programme=session.programme, fills=plan.fills,
            first_ns=start.first_ns, last_ns=start.last_ns,
            kinds=tuple(KINDS for _ in plan.contracts), live=plan.live,
            compiled=plan.compiled, package=__version__, core=core_stamp(),
        )  # fmt: skip
        self.coverage = Coverage(look.hours(session, start.day), start.covered_ns, most_gap_s)
        self.closes = look.closes(session, start.day)
        # Not by the engine: a session that begins a little before its day has one still before it.
        row = session.days[session.days["date"] == start.day][0]
        self.start_ns, self.end_ns = int(row["start"]), int(row["end"])

    def open(self, now: int, told: set[int]) -> None:
        """Write the header, and the state that the day begins with."""
        self.journal.write(Kind.RUN, now, self.header)
        self.journal.write(Kind.NOTE, now, {"told": sorted(told)})
        self.snapshot(now)
        for row in self._plan.note:
            self.journal.write(Kind.NOTE, now, row)

    def snapshot(self, now: int) -> None:
        """Write the whole state, and what else a restart needs."""
        self.journal.write(Kind.NOTE, now, {"covered_ns": self.coverage.covered_ns})
        self.journal.write(Kind.SNAPSHOT, now, self._session.snapshot())

    def result(self, reason: str, *, flat: bool, equity: int) -> SessionEnd:
        """How the day went."""
        e, hours = self._session.engine[0], self.coverage.hours_s
        covered = self.coverage.covered_s
        return SessionEnd(
            date=self.date, mode=self._plan.mode,
            complete=hours > 0 and covered >= COMPLETE * hours,
            covered_s=covered, hours_s=hours, faults=tuple(self.faults), flat=flat,
            events=self.counts["events"], orders=self.counts["orders"],
            fills=self.counts["fills"], refusals=self.counts["refusals"],
            day_pnl=equity - int(e["day_start"]), costs=int(e["day_costs"]),
            balance=int(e["balance"]), reason=reason,
        )  # fmt: skip

    def end(self, now: int, done: SessionEnd) -> None:
        """Write the day's end: the last row of its journal."""
        self.snapshot(now)
        self.journal.write(Kind.END, now, done)

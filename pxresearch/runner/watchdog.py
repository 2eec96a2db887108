"""The guardian of a live session: told that the loop lives, and what there is to lose.

I/O: through the guardian's threads.
"""

from __future__ import annotations

import asyncio

from pxresearch.accountdir import Latch
from pxresearch.guardian import Duty, Guardian, Report
from pxresearch.journal import Kind
from pxresearch.runner import look
from pxresearch.runner.session import Session


class Watchdog:
    """The guardian, where a session is live and keeps threads at all."""

    def __init__(self, session: Session) -> None:
        self._s = session
        self._guardian: Guardian | None = None
        spare = session.at.spare
        if session.plan.live and spare is not None:
            loop = asyncio.get_running_loop()

            def report(one: Report) -> None:
                loop.call_soon_threadsafe(self._reported, one)

            self._guardian = Guardian(
                session.plan.account, spare, Latch(session.folder),
                clock=session.clock,
                on_report=report,
            )  # fmt: skip
            self._guardian.start()

    def beat(self) -> None:
        """The loop lives; and this is what it has to see to."""
        guardian, s = self._guardian, self._s
        if guardian is None:
            return
        times = [at for at in look.flatten_times(s.engine, s.day.date) if at]
        guardian.duty = Duty(
            exposed=s.exposed, flatten_at=min(times, default=None),
            flattening="flattening" if s.flattening else "",
        )  # fmt: skip
        guardian.beat(s.clock.now())

    async def stop(self) -> None:
        """Watch no more."""
        if self._guardian is not None:
            await asyncio.to_thread(self._guardian.stop)

    def _reported(self, report: Report) -> None:
        s = self._s
        s.fold.journal.write(Kind.NOTE, report.ts, {"guardian": report.text, "ok": report.ok})
        if report.ok is not True:
            s.day.faults.append(report.text)
        s.alarms("guardian", "critical", report.text)

"""The guardian of a live session: told that the loop lives, and what there is to lose.

I/O: through the guardian's threads.
"""

from __future__ import annotations

import asyncio

import msgspec

from pxresearch.accountdir import Latch
from pxresearch.alerts import Alert
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
                session.alarms.at_once(_alert(one))  # the loop may hang
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
        guardian.duty = Duty(
            exposed=s.exposed, flatten_at=self._first_flatten(),
            flattening="flattening" if s.flattening else "",
        )  # fmt: skip
        guardian.beat(s.clock.now())

    def _first_flatten(self) -> int | None:
        """Earliest flatten time of what is open: a contract that is done calls for nothing."""
        s = self._s
        times = look.flatten_times(s.engine, s.day.date)
        contracts = s.engine.engine[0]["contract"]
        held = [
            at
            for k, at in enumerate(times)
            if at and (contracts[k]["position"] or contracts[k]["orders"])
        ]
        return min(held, default=None)

    def hold(self) -> str:
        """Why an entry must not leave although it was approved; said just before it would."""
        guardian = self._guardian
        if guardian is None:
            return ""
        if guardian.took_over:
            return f"the guardian has taken over: {guardian.took_over}"
        guardian.duty = msgspec.structs.replace(guardian.duty, exposed=True)
        guardian.beat(self._s.clock.now())
        return ""

    def release(self) -> None:
        """The kill switch was released: the account may be traded again."""
        if self._guardian is not None:
            self._guardian.release()

    async def stop(self) -> None:
        """Watch no more."""
        if self._guardian is not None:
            await asyncio.to_thread(self._guardian.stop)

    def _reported(self, report: Report) -> None:
        s = self._s
        s.fold.journal.write(Kind.NOTE, report.ts, {"guardian": report.text, "ok": report.ok})
        if report.ok is not True:
            s.day.faults.append(report.text)


def _alert(report: Report) -> Alert:
    return Alert(
        ts=report.ts, kind="guardian", level="critical", title=report.text, text=report.text,
        key="guardian",
    )  # fmt: skip

"""What the fold and the broker tell while a session runs, and what follows from it at once.

I/O: through the journal and the alarms.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Mapping
from typing import Any

from pxresearch.brokers.base import Approved
from pxresearch.core import records as r
from pxresearch.errors import StrategyError
from pxresearch.journal import Kind
from pxresearch.monitor import Topic
from pxresearch.runner.house import House
from pxresearch.runner.session import Session
from pxresearch.runner.vitals import Vitals


class Listener:
    """The ear of one session; a `fold.Watcher`. `begin` comes before anything is told.

    Attributes
    ----------
    failed
        The session cannot end clean any more.
    """

    def __init__(self) -> None:
        self._session: Session | None = None
        self._house: House
        self._vitals: Vitals
        self.failed = False

    def begin(self, session: Session, house: House, vitals: Vitals) -> None:
        """Listen to a session from now on."""
        self._session, self._house, self._vitals = session, house, vitals

    # ------------------------------------------------------------ the fold
    def decided(self, name: str, row: Mapping[str, Any]) -> None:
        """See `fold.Watcher`."""
        self._vitals.decided(name, row)
        if name == "fills":
            self._house.filled()
            self._overshot(row)

    def _overshot(self, row: Mapping[str, Any]) -> None:
        """Close what an order has opened that was to reduce, or had nothing left to fill."""
        s = self._of()
        if s.venue is None or row["position"] * row["side"] <= 0:
            return
        link = s.venue.book.links.get(row["order"])
        turned = link is not None and link.approved.reduces and not link.approved.stop_ticks
        if not turned and row["cause"] != r.CAUSES[r.OVERFILLED]:
            return
        k = int(row["contract"])
        code = s.listings[k].code
        text = f"{code}: an order of ours filled beyond the position and opened one: closed"
        s.alarms(Topic.PROTECTION, "critical", text)
        # Not from within the fold, which is telling the engine of this fill.
        asyncio.get_running_loop().call_soon(self._house.flatten, k, r.NO_PROTECTION)

    def approved(self, order: Approved) -> None:
        """See `fold.Watcher`."""
        self._vitals.approved(order)

    def raised(self, error: StrategyError) -> None:
        """See `fold.Watcher`: the strategy is asked no more, and the account is made flat.

        Live, the kill switch keeps it so, whatever starts the session again.
        """
        self.error("the strategy raised", error)
        s = self._of()
        why = s.stopping = f"the strategy raised: {error}"
        self.failed = True
        if s.plan.live:  # not from within the fold, which is telling the engine
            asyncio.get_running_loop().call_soon(self._house.halt, why, r.KILL_SWITCH)

    # ------------------------------------------------------------ the broker
    def wake(self) -> None:
        """The broker has something for the engine."""
        if self._session is not None:
            self._session.fold.settle(self._session.clock.now())

    def of_broker(self, kind: str, facts: dict[str, Any]) -> None:
        """A note of the broker's."""
        error = facts.pop("error", None)
        self._vitals.of_broker(kind, facts)
        if isinstance(error, BaseException):
            self.error("the broker failed", error)

    # ------------------------------------------------------------ what fails
    def error(self, what: str, error: BaseException) -> None:
        """Journal an error with its trace, and tell of it."""
        s = self._of()
        trace = "".join(traceback.format_exception(error))
        told = {"what": what, "error": repr(error), "trace": trace}
        seq = s.fold.journal.write(Kind.ERROR, s.timeline.now(), told)
        s.day.faults.append(f"{what}: {error}")
        s.alarms.all(s.alarms.watch.error(s.clock.now(), what, error, seq))

    def _of(self) -> Session:
        assert self._session is not None, "nothing is told before `begin`"
        return self._session

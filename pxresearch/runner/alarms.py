"""What a person has to hear of: into the journal, and to whoever delivers it.

I/O: through the journal and the deliverer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec

from pxresearch.alerts import Alert
from pxresearch.clock import Clock
from pxresearch.journal import Journal, Kind


class Deliverer(Protocol):
    """Sends alerts off the trading path."""

    failed: int

    def send(self, alert: Alert) -> None:
        """Hand over; never blocks, never raises."""
        ...


class Alarms:
    """Alerts of one session.

    Parameters
    ----------
    deliver
        None: they are only journaled.
    """

    def __init__(self, deliver: Deliverer | None, clock: Clock) -> None:
        self._deliver, self._clock = deliver, clock
        self.journal: Journal | None = None
        self.last = ""

    @property
    def failed_deliveries(self) -> int:
        """Alerts that could not be delivered."""
        return self._deliver.failed if self._deliver is not None else 0

    def __call__(self, kind: str, level: str, title: str, text: str = "", key: str = "") -> None:
        """Raise one."""
        self.all([
            Alert(
                ts=self._clock.now(), kind=kind, level=level, title=title, text=text or title,
                key=key or kind,
            )
        ])  # fmt: skip

    def all(self, alerts: Iterable[Alert]) -> None:
        """Raise several."""
        for alert in alerts:
            self.last = alert.title
            if self.journal is not None:
                self.journal.write(Kind.ALERT, alert.ts, msgspec.to_builtins(alert))
            if self._deliver is not None:
                self._deliver.send(alert)

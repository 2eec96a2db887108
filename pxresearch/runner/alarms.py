"""What a person has to hear of: into the journal, and to whoever delivers it.

What deserves an alert is the monitor's to decide; the same thing again within a minute is counted.

I/O: through the journal and the deliverer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec

from pxresearch.alerts import Alert
from pxresearch.clock import Clock
from pxresearch.journal import Journal, Kind
from pxresearch.monitor import Watch


class Deliverer(Protocol):
    """Sends alerts off the trading path."""

    @property
    def failed(self) -> int:
        """Alerts that could not be delivered."""
        ...

    def send(self, alert: Alert) -> None:
        """Hand over; never blocks, never raises."""
        ...

    def beat(self, ts: int) -> None:
        """All is well; for an outside monitor."""
        ...


class Alarms:
    """Alerts of one session.

    Parameters
    ----------
    deliver
        None: they are only journaled.
    watch
        Decides, and counts what repeats.
    """

    def __init__(self, deliver: Deliverer | None, clock: Clock, watch: Watch) -> None:
        self._deliver, self._clock, self.watch = deliver, clock, watch
        self.journal: Journal | None = None

    @property
    def failed(self) -> int:
        """Alerts that could not be delivered."""
        return self._deliver.failed if self._deliver is not None else 0

    def __call__(
        self, topic: str, level: str, title: str, text: str = "", subject: str = ""
    ) -> None:
        """Tell of something that happened."""
        self.all(self.watch.event(self._clock.now(), topic, level, title, text, subject))

    def all(self, alerts: Iterable[Alert]) -> None:
        """Raise what the monitor has decided on."""
        for alert in alerts:
            if self.journal is not None:
                self.journal.write(Kind.ALERT, alert.ts, msgspec.to_builtins(alert))
            if self._deliver is not None:
                self._deliver.send(alert)

    def at_once(self, alert: Alert) -> None:
        """Deliver from any thread, past the journal and the monitor."""
        if self._deliver is not None:
            self._deliver.send(alert)

    def beat(self, ts: int) -> None:
        """Tell an outside monitor that all is well, if it is."""
        if self._deliver is not None and self.watch.sound:
            self._deliver.beat(ts)

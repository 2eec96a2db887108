"""The engine's time in a live session: what the market's own stamps say, and never backward.

The engine lives in exchange time. Between events its timers are driven by our clock, less what it
is ahead of the venue and less a moment in which quotes may still be on their way; so a bar closes
on the same event as in a replay of the recording.

One senseless stamp, an hour ahead, would close the position and end the day. So a stamp that is far
ahead of our clock, as those before it were not, waits until others agree (`agreement`): until then
receipt counts. Where our clock is slow they do agree, and deadlines follow the market's.

I/O: none
"""

from __future__ import annotations

from pxresearch.clock import NS, Clock
from pxresearch.runner.agreement import Agreement

_WINDOW_NS = 300 * NS
AHEAD_NS = 60 * NS
MOST_AHEAD_NS = 24 * 3600 * NS
"""A stamp that far ahead is never believed, however many agree."""


class Timeline:
    """Engine time out of receipt and exchange stamps.

    Parameters
    ----------
    lag_s
        How long after its time an event may still come and be in order.
    most_s
        Largest difference of clocks that is corrected; a larger one is told by `skew_s` and left,
        because then a late feed cannot be told from a wrong clock, and deadlines follow ours.

    Attributes
    ----------
    late
        Events that came after the engine's time had passed them; they were moved up to it.
    doubted
        Events whose stamp was not believed.
    """

    def __init__(self, clock: Clock, *, lag_s: float = 0.25, most_s: float = 2.0) -> None:
        self._clock = clock
        self._lag, self._most = round(lag_s * NS), round(most_s * NS)
        self._last = 0
        self._least: int | None = None  # of the present window
        self._before: int | None = None  # of the window before
        self._since = 0
        self._ahead = 0  # of our clock, by the last stamp that was believed
        self._elsewhere = Agreement(lambda one, other: abs(one - other) <= AHEAD_NS)
        self.late = self.doubted = 0

    def event(self, ts: int, received: int) -> int:
        """Engine time of an event of the market."""
        if not self._believe(ts - received, received):
            self.doubted += 1
            ts = received
        delay = received - ts
        if self._least is None or delay < self._least:
            self._least = delay
        if received - self._since > _WINDOW_NS:
            self._before, self._least, self._since = self._least, delay, received
        if ts < self._last:
            self.late += 1
            return self._last
        self._last = ts
        return ts

    def _believe(self, ahead: int, received: int) -> bool:
        """Whether a stamp that far ahead of our clock is a time."""
        if ahead > self._ahead + AHEAD_NS and (
            ahead > MOST_AHEAD_NS or not self._elsewhere.reached(ahead, received)
        ):
            return False
        self._ahead = max(ahead, 0)
        self._elsewhere.broken()
        return True

    def happened(self, ts: int, received: int) -> int:
        """When by our clock something of that engine time was so; it came at `received`, or before.

        What took longer on the way than others did is that much older than its receipt.
        """
        return min(received, ts + self.offset)

    def reached(self, ts: int) -> int:
        """Note an engine time that something else than the market has brought; it, or the last."""
        self._last = max(self._last, ts)
        return self._last

    @property
    def offset(self) -> int:
        """Our clock less the venue's, with the least time on the way, ns."""
        known = [one for one in (self._least, self._before) if one is not None]
        return min(known, default=0)

    @property
    def skew_s(self) -> float:
        """The same in seconds."""
        return self.offset / NS

    def now(self) -> int:
        """Engine time by our clock: up to here nothing is expected any more."""
        offset = self.offset if abs(self.offset) <= self._most else 0
        return max(self._last, self._clock.now() - offset - self._lag)

"""When to try again, and how long it has been.

I/O: none; the time comes from a clock.
"""

from __future__ import annotations

import random

from pxresearch.clock import NS, Clock


class Backoff:
    """Waits between attempts: they double up to a limit, and each is drawn from its upper half.

    Examples
    --------
    >>> waits = Backoff(0.25, 30.0, random.Random(1))
    >>> all(0.25 <= waits.next() <= 30.0 for _ in range(20))
    True
    """

    def __init__(self, first_s: float, max_s: float, rng: random.Random) -> None:
        self._first, self._max, self._rng = 2 * first_s, max_s, rng
        self._span = self._first

    def next(self) -> float:
        """Seconds to wait now."""
        span = min(self._span, self._max)
        self._span = span * 2
        return span * self._rng.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Begin anew."""
        self._span = self._first

    def longest(self) -> None:
        """Wait long from now on: somebody else wants the session, and it is not fought for."""
        self._span = self._max


class Elapsed:
    """A time line of its own, which never runs back.

    It follows the clock forward; where that was set back, it counts our own waits.

    Attributes
    ----------
    ns
        Nanoseconds since it was made.
    """

    def __init__(self, clock: Clock) -> None:
        self.ns = 0
        self._clock, self._last = clock, clock.now()

    def step(self, waited_s: float) -> None:
        """Move on; we have waited for so long."""
        now = self._clock.now()
        self.ns += max(now - self._last, round(waited_s * NS), 0)
        self._last = now

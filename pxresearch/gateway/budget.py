"""How many requests may still be sent: a sliding window with a reserve for what must get out.

The venue allows 200 requests in 60 s, and 50 retrieveBars in 30 s beside them; beyond that it
answers 429. What gets an account out of danger (cancels, closes, and the looking up of an unknown
order) may use the last part of the window, nothing else may. After a 429 the window counts as used
up, each time for longer, until the venue answers otherwise.

I/O: none
"""

from __future__ import annotations

from collections import deque

from pxresearch.clock import NS
from pxresearch.errors import UsageError

_ON_THE_WAY_S = 0.5  # the venue counts when a request arrives: two may come closer together there
_FIRST_CLOSED_S, _LONGEST_CLOSED_S = 5.0, 60.0


class Budget:
    """One window.

    Parameters
    ----------
    limit
        Requests in a window.
    seconds
        Length of the window.
    reserve
        Requests of it that only urgent calls may use.

    Raises
    ------
    UsageError
        A reserve that leaves nothing else.
    """

    def __init__(self, limit: int, seconds: float, reserve: int = 0) -> None:
        if not 0 <= reserve < limit:
            raise UsageError(f"a reserve of {reserve} out of {limit} requests: 0 to {limit - 1}")
        self.limit, self.reserve, self.seconds = limit, reserve, seconds
        self._window = round((seconds + _ON_THE_WAY_S) * NS)
        self._sent: deque[int] = deque()
        self._latest = 0
        self._closed_until = 0
        self._closed_s = 0.0

    def wait(self, now: int, *, urgent: bool = False) -> float:
        """Seconds until a request may be sent; 0 when it may be now.

        Parameters
        ----------
        now
            ns UTC.
        urgent
            It may use the reserve, and goes out although the venue has just answered 429.
        """
        self._forget(now)
        allowed = self.limit if urgent else self.limit - self.reserve
        until = 0 if urgent else self._closed_until
        if len(self._sent) >= allowed:
            until = max(until, self._sent[len(self._sent) - allowed] + self._window)
        return max(0.0, (until - now) / NS)

    def closed(self, now: int) -> bool:
        """Whether a 429 holds back what is not urgent."""
        return now < self._closed_until

    def take(self, now: int) -> None:
        """Count a request that goes out."""
        self._forget(now)
        self._sent.append(now)

    def refused(self, now: int, after_s: float | None = None) -> None:
        """The venue answered 429, perhaps with the seconds to stay away."""
        if now >= self._closed_until:  # one storm is one step, however many calls it meets
            self._closed_s = min(max(2 * self._closed_s, _FIRST_CLOSED_S), _LONGEST_CLOSED_S)
        wait = max(self._closed_s, min(after_s or 0.0, _LONGEST_CLOSED_S))
        self._closed_until = max(self._closed_until, now + round(wait * NS))

    def answered(self) -> None:
        """The venue answered something else: the next 429 begins anew."""
        self._closed_s = 0.0

    def used(self, now: int) -> int:
        """Requests in the present window."""
        self._forget(now)
        return len(self._sent)

    def _forget(self, now: int) -> None:
        if (back := self._latest - now) > 0:  # the clock was set back: the window goes with it
            self._sent = deque(sent - back for sent in self._sent)
            self._closed_until -= back
        self._latest = now
        while self._sent and self._sent[0] <= now - self._window:
            self._sent.popleft()

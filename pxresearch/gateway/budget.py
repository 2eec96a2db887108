"""How many requests may still be sent: a sliding window with a reserve for what must get out.

The venue allows 200 requests in 60 s, and 50 retrieveBars in 30 s beside them; beyond that it
answers 429. What gets an account out of danger (cancels, closes, and the looking up of an unknown
order) may use the last part of the window, nothing else may.

I/O: none
"""

from __future__ import annotations

from collections import deque

from pxresearch.clock import NS


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
    """

    def __init__(self, limit: int, seconds: float, reserve: int = 0) -> None:
        self.limit, self.reserve = limit, reserve
        self._window = round(seconds * NS)
        self._sent: deque[int] = deque()
        self._closed_until = 0

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

    def take(self, now: int) -> None:
        """Count a request that goes out."""
        self._sent.append(now)

    def close(self, now: int, seconds: float) -> None:
        """The venue answered 429: nothing but urgent calls for so long."""
        self._closed_until = max(self._closed_until, now + round(seconds * NS))

    def used(self, now: int) -> int:
        """Requests in the present window."""
        self._forget(now)
        return len(self._sent)

    def _forget(self, now: int) -> None:
        while self._sent and self._sent[0] <= now - self._window:
            self._sent.popleft()

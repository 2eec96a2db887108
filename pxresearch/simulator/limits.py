"""Rate limits of the gateway: 200 requests in 60 s, and 50 in 30 s for bars, by user.

The window slides: a request is taken when fewer than the limit were taken in the seconds before.
Whether the real window slides is not known.

I/O: none
"""

from __future__ import annotations

from collections import deque

from pxresearch.clock import NS
from pxresearch.gateway import wire


class Window:
    """Requests of one user against one limit.

    Parameters
    ----------
    limit, seconds
        So many requests in so long; limit 0 permits any number.
    """

    def __init__(self, limit: int, seconds: float) -> None:
        self.limit, self._length = limit, round(seconds * NS)
        self._taken: deque[int] = deque()

    def take(self, now: int) -> float | None:
        """Count a request; None, or the seconds to wait when the limit is reached."""
        taken = self._taken
        while taken and taken[0] <= now - self._length:
            taken.popleft()
        if self.limit and len(taken) >= self.limit:
            return (taken[0] + self._length - now) / NS
        if self.limit:
            taken.append(now)
        return None


class Limits:
    """The two budgets of each user."""

    def __init__(self, limited: bool = True) -> None:
        self._limits = {
            True: (wire.BAR_BUDGET if limited else 0, wire.BAR_BUDGET_SECONDS),
            False: (wire.BUDGET if limited else 0, wire.BUDGET_SECONDS),
        }
        self._windows: dict[tuple[str, bool], Window] = {}

    def take(self, user: str, bars: bool, now: int) -> float | None:
        """Count a request of a user; None, or the seconds to wait."""
        key = user.lower(), bars
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = Window(*self._limits[bars])
        return window.take(now)

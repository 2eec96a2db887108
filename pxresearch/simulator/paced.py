"""A clock that begins at a time of the past and runs faster or slower than another.

I/O: none; the clock it follows may read the machine's.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from pxresearch.clock import Clock

T = TypeVar("T")


class PacedClock:
    """Time since the start of another clock, so many times as fast.

    Parameters
    ----------
    base
        The clock to follow.
    start
        First time, ns UTC.
    speed
        Seconds here in one second there.
    """

    def __init__(self, base: Clock, start: int, speed: float) -> None:
        self._base, self._start, self._speed = base, start, speed
        self._begun = base.now()

    def now(self) -> int:
        """Time, ns UTC."""
        return self._start + round((self._base.now() - self._begun) * self._speed)

    async def sleep(self, seconds: float) -> None:
        """Wait so many seconds of this clock."""
        await self._base.sleep(seconds / self._speed)

    async def within(self, seconds: float, work: Awaitable[T]) -> T:
        """Result of `work`, or TimeoutError once `seconds` of this clock have gone by."""
        return await self._base.within(seconds / self._speed, work)

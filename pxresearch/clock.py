"""The one place that reads the time: a clock is handed to whatever has to know it or to wait.

`WallClock` is the machine's. `VirtualClock` stands still until somebody moves it, so that a day of
tokens, reconnects and time-outs runs in a second and the same way each time. `PacedClock` begins at
a time of the past and runs faster or slower than another.

Times are int64 ns UTC; waits are float seconds.

I/O: `WallClock` reads the clock and sleeps.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Awaitable
from typing import Protocol, TypeVar

NS = 1_000_000_000
T = TypeVar("T")


class Clock(Protocol):
    """What tells the time, and waits for it."""

    def now(self) -> int:
        """Time, ns UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; 0 lets others run."""
        ...

    async def within(self, seconds: float, work: Awaitable[T]) -> T:
        """Result of `work`, or TimeoutError once `seconds` have gone by; `work` is cancelled."""
        ...


class WallClock:
    """The machine's clock."""

    def now(self) -> int:
        """Time, ns UTC."""
        return time.time_ns()

    async def sleep(self, seconds: float) -> None:
        """Wait; 0 lets others run."""
        await asyncio.sleep(seconds)

    async def within(self, seconds: float, work: Awaitable[T]) -> T:
        """Result of `work`, or TimeoutError once `seconds` have gone by; `work` is cancelled."""
        async with asyncio.timeout(seconds):
            return await work


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


class VirtualClock:
    """A clock that is moved by hand, or by `run`, which jumps from one waiter to the next.

    Belongs to one event loop.

    Parameters
    ----------
    start
        First time, ns UTC.
    """

    def __init__(self, start: int) -> None:
        self._now = start
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now(self) -> int:
        """Time, ns UTC."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has been moved so far; 0 lets others run."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future = asyncio.get_running_loop().create_future()
        due = self._now + round(seconds * NS)
        heapq.heappush(self._waiters, (due, next(self._order), future))
        await future

    async def within(self, seconds: float, work: Awaitable[T]) -> T:
        """Result of `work`, or TimeoutError once `seconds` have gone by; `work` is cancelled."""
        task = asyncio.ensure_future(work)
        alarm = asyncio.ensure_future(self.sleep(seconds))
        try:
            await asyncio.wait({task, alarm}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise TimeoutError
        finally:
            for one in (task, alarm):
                if not one.done():
                    one.cancel()
            await asyncio.gather(task, alarm, return_exceptions=True)

    @property
    def next_due(self) -> int | None:
        """When the next waiter wakes, ns UTC; None without one."""
        while self._waiters and self._waiters[0][2].done():
            heapq.heappop(self._waiters)
        return self._waiters[0][0] if self._waiters else None

    def reach(self, to: int) -> None:
        """Tell a later time from now on, but let who waited for it sleep until `advance`."""
        self._now = max(self._now, to)

    def advance(self, to: int) -> None:
        """Move to a time, never backward, and wake whoever waited for it, in order."""
        while (due := self.next_due) is not None and due <= to:
            self._now = max(self._now, due)
            heapq.heappop(self._waiters)[2].set_result(None)
        self._now = max(self._now, to)

    async def run(self, work: Awaitable[T]) -> T:
        """Result of `work`; whenever nothing can go on, the clock jumps to the next waiter.

        Nothing but waits on this clock may hold `work` up: no socket, no thread.
        """
        task = asyncio.ensure_future(work)
        idle = 0
        while not task.done():
            await asyncio.sleep(0)
            idle = 0 if runnable() else idle + 1
            if idle < 2 or task.done():
                continue
            due = self.next_due
            if due is None:
                task.cancel()
                raise RuntimeError("everything waits, and nothing for this clock")
            self.advance(due)
            idle = 0
        return task.result()


def runnable() -> bool:
    """Whether the running loop has callbacks ready: somebody can still go on."""
    return bool(getattr(asyncio.get_running_loop(), "_ready", ()))

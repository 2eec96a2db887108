"""A session on a simulator's time: the wall's, a faster one, or one that moves when both can.

With ``--clock step`` a simulator stands still until it is moved. With ``--step`` a session moves it
(`lockstep`): five trading days pass in minutes, over the real sockets, with the code of a live
session, and the same way each time. With ``--clock data`` the simulator runs by itself and `follow`
keeps its pace.

What makes a connection dead is not measured in a time that jumps: there the hubs neither ping nor
give up for silence. A pause between two attempts, and a contract without data, are of this time.

Times are ns UTC, spans seconds.

I/O: HTTP to the simulator's ``/control``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import TypeVar

import msgspec

from pxresearch.clock import Clock, PacedClock, VirtualClock, WallClock
from pxresearch.errors import NotReachable, UsageError
from pxresearch.gateway.caller import RestSettings
from pxresearch.gateway.hubs import Hubs, HubSettings
from pxresearch.gateway.profiles import Profile
from pxresearch.gateway.records import Hub
from pxresearch.gateway.rest import Rest
from pxresearch.lockstep import Hand, Lockstep, Told

T = TypeVar("T")
POLL_S = 20.0
"""How often a runner looks at what has no event, on a clock that is steered."""
_NEVER_S = 10.0**9
_FOLLOW_S = 0.02


class Pace(msgspec.Struct, kw_only=True):
    """How a runner keeps time.

    Attributes
    ----------
    clock
        For everything of the session.
    rest
        Settings of REST under it.
    poll_s
        How often what has no event is to be looked at.
    threaded
        Whether disk and watchdogs may have threads; False where runs are to repeat exactly.
    """

    clock: Clock
    rest: RestSettings = RestSettings()
    poll_s: float = 1.0
    threaded: bool = True
    hub: HubSettings = HubSettings()

    def hubs(self, which: Sequence[Hub]) -> HubSettings:
        """Settings of the hubs under it."""
        return msgspec.structs.replace(self.hub, hubs=tuple(which))

    async def run(self, work: Awaitable[T], rest: Rest, hubs: Hubs) -> T:
        """Result of `work` under it."""
        return await work


class Steered(Pace, kw_only=True):
    """A clock that we move together with the simulator's."""

    hand: Hand
    step_s: float = 1.0
    late_s: float = 0.0

    async def run(self, work: Awaitable[T], rest: Rest, hubs: Hubs) -> T:
        """See `Pace`."""
        assert isinstance(self.clock, VirtualClock)
        lockstep = Lockstep(
            self.hand, self.clock, rest, hubs, step_s=self.step_s, late_s=self.late_s
        )
        return await lockstep.run(work)


class Led(Pace, kw_only=True):
    """A clock that stands where the simulator's stands, which somebody else moves."""

    hand: Hand

    async def run(self, work: Awaitable[T], rest: Rest, hubs: Hubs) -> T:
        """See `Pace`."""
        led = asyncio.ensure_future(self._follow())
        try:
            return await work
        finally:
            led.cancel()
            await asyncio.gather(led, return_exceptions=True)

    async def _follow(self) -> None:
        assert isinstance(self.clock, VirtualClock)
        while True:
            with contextlib.suppress(NotReachable):  # the hubs tell of it
                self.clock.advance((await self.hand.look()).ns)
            await asyncio.sleep(_FOLLOW_S)


@contextlib.asynccontextmanager
async def follow(
    where: Profile, *, step: bool = False, step_s: float = 1.0, late_s: float = 0.0,
    poll_s: float = POLL_S,
) -> AsyncIterator[Pace]:  # fmt: skip
    """Keep the time of a gateway: the wall's, unless it is a simulator with another.

    Parameters
    ----------
    step
        Move a simulator's clock that stands still; without it somebody else does.
    step_s, late_s, poll_s
        See `Lockstep` and `Pace`; of a clock that we move.

    Raises
    ------
    NotReachable
        `step`, and no simulator answers.
    UsageError
        `step`, and the clock runs by itself.
    """
    if not where.is_local:
        if step:
            raise UsageError(f"--step moves a simulator's clock; {where.firm} has the wall's")
        yield Pace(clock=WallClock())
        return
    hand = Hand(where.rest)
    try:
        told = await _first(hand, step)
        if told is None or told.mode == "now":
            yield Pace(clock=WallClock())
        elif told.mode == "data":
            yield paced(told.ns, told.speed)
        elif step:
            yield Steered(
                clock=VirtualClock(told.ns), poll_s=poll_s, threaded=False, hub=unhurried(poll_s),
                hand=hand, step_s=step_s, late_s=late_s,
            )  # fmt: skip
        else:
            yield Led(clock=VirtualClock(told.ns), threaded=False, hub=unhurried(1.0), hand=hand)
    finally:
        await hand.close()


async def _first(hand: Hand, step: bool) -> Told | None:
    """The clock's first answer; None from a local gateway that is no simulator."""
    try:
        told = await hand.look()
    except NotReachable:
        if step:
            raise
        return None
    if step and told.mode != "step":
        raise UsageError(
            f"--step: this simulator's clock is {told.mode!r} and moves by itself; start the "
            "simulator with --clock step"
        )
    return told


def paced(start: int, speed: float) -> Pace:
    """A pace so many times the wall's, with limits that give a network the time it needs there."""
    rest, hub, slower = RestSettings(), HubSettings(), max(speed, 1.0)
    slow = ("timeout_s", "backoff_s", "backoff_max_s", "login_pause_s")
    wide = ("connect_s", "answer_s", "ping_s", "silent_s", "backoff_s", "backoff_max_s",
            "healthy_s", "retry_s", "tick_s")  # fmt: skip
    return Pace(
        clock=PacedClock(WallClock(), start, speed), poll_s=min(slower, POLL_S),
        rest=msgspec.structs.replace(rest, **{n: getattr(rest, n) * slower for n in slow}),
        hub=msgspec.structs.replace(
            hub, **{n: getattr(hub, n) * slower for n in wide}, stale_s=max(hub.stale_s, slower),
            market_silence_reconnect_s=max(hub.market_silence_reconnect_s, 4 * slower),
        ),
    )  # fmt: skip


def unhurried(tick_s: float) -> HubSettings:
    """Settings of hubs on a clock that jumps, looked at every `tick_s` seconds of it."""
    return HubSettings(ping_s=_NEVER_S, silent_s=_NEVER_S, tick_s=tick_s)

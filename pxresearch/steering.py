"""A runner on a simulator's time: the wall's, a faster one, or one that moves when both can.

With ``--clock step`` a simulator stands still until it is moved. `Steering` moves it a little,
waits until everything that it has sent over the sockets has been received and worked off, and only
then lets whoever waits on the runner's side go on; so five trading days pass in minutes, over the
real sockets, with the code of a live session, and the same way each time. With ``--clock data`` the
simulator runs by itself and `follow` keeps its pace.

What makes a connection dead is not measured in a time that jumps: there the hubs neither ping nor
give up for silence. A pause between two attempts, and a contract without data, are of this time.

Times are ns UTC, spans seconds.

I/O: HTTP to the simulator's ``/control``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from typing import TypeVar

import httpx
import msgspec

from pxresearch.clock import NS, Clock, PacedClock, VirtualClock, WallClock, runnable
from pxresearch.errors import NotReachable, UsageError
from pxresearch.gateway.caller import RestSettings
from pxresearch.gateway.hubs import Hubs, HubSettings
from pxresearch.gateway.line import Broken, Lines
from pxresearch.gateway.profiles import Profile
from pxresearch.gateway.records import Hub
from pxresearch.gateway.rest import Rest

T = TypeVar("T")
MOST = 500
"""Instants that the simulator plays in one go; its queue to a client must hold their records."""
POLL_S = 20.0
"""How often a runner looks at what has no event, on a clock that is steered."""
_CLOCK = "/control/clock"
_NEVER_S = 10.0**9
_TURNS = 10  # of the loop before waiting costs no processor
_NAP_S = 0.001
_FOLLOW_S = 0.02


class Told(msgspec.Struct, frozen=True):
    """What a simulator says of its clock; ``sent`` is records by the port of a connection."""

    ns: int
    mode: str
    speed: float
    next: int | None
    sent: Mapping[int, int]


class Hand:
    """The hand on a simulator's clock.

    Parameters
    ----------
    url
        Base of the simulator.
    """

    def __init__(self, url: str) -> None:
        self._url = f"{url}{_CLOCK}"
        self._lines = Lines(url, {"Content-Type": "application/json"}, WallClock())

    async def look(self) -> Told:
        """How the clock is."""
        try:
            async with httpx.AsyncClient(trust_env=False) as client:
                answer = await client.get(self._url)
        except httpx.HTTPError as error:
            raise self._fault(repr(error)) from None
        return self._told(answer.status_code, answer.content)

    async def move(self, to: int) -> Told:
        """Move it towards a time; it may take several moves to get there."""
        body = msgspec.json.encode({"to": to, "most": MOST})
        try:
            line = self._lines.take() or await self._lines.open()
            answer = await line.ask(lambda: self._lines.request(_CLOCK, "", body))
        except (OSError, Broken) as error:
            raise self._fault(str(error)) from None
        return self._told(answer.status, answer.body)

    async def close(self) -> None:
        """Close the connection."""
        await self._lines.close()

    def _told(self, status: int, body: bytes) -> Told:
        if status != httpx.codes.OK:
            raise self._fault(f"HTTP {status} {body[:200].decode(errors='replace')}")
        try:
            return msgspec.json.decode(body, type=Told)
        except msgspec.DecodeError as error:
            raise self._fault(str(error)) from None

    def _fault(self, why: str) -> NotReachable:
        return NotReachable(f"{self._url}: {why}; is a pxresearch simulator there?")


class Steering:
    """Moves a simulator and a runner together, as fast as both can work.

    Parameters
    ----------
    hand, clock
        On the simulator's clock, and the runner's own.
    rest, hubs
        The runner's connections, where what is still under way can be seen.
    step_s
        Most of a busy market that is played at once. A strategy sees each event by itself, but what
        it sends meets the market at the end of the step.
    late_s
        By how much a waiter may be woken too late, so that fewer steps do. Where nothing is sent to
        the venue, as on paper, no result depends on either.
    patience_s
        Of the machine's time: how long an answer or a record that does not come is waited for.

    Attributes
    ----------
    moves
        Steps so far.
    """

    def __init__(
        self, hand: Hand, clock: VirtualClock, rest: Rest, hubs: Hubs, *, step_s: float = 1.0,
        late_s: float = 0.0, patience_s: float = 0.5,
    ) -> None:  # fmt: skip
        if step_s <= 0 or late_s < 0:
            raise UsageError(
                f"step_s must be above 0 and late_s 0 or more, received {step_s} and {late_s}"
            )
        self._hand, self._clock, self._rest, self._hubs = hand, clock, rest, hubs
        self._step, self._late = round(step_s * NS), round(late_s * NS)
        self._patience = patience_s
        self.moves = 0

    async def run(self, work: Awaitable[T]) -> T:
        """Result of `work`, during which time moves."""
        task = asyncio.ensure_future(work)
        driver = asyncio.ensure_future(self._drive())
        try:
            await asyncio.wait({task, driver}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                driver.result()
            return await task
        finally:
            for one in (task, driver):
                one.cancel()
            await asyncio.gather(task, driver, return_exceptions=True)

    async def _drive(self) -> None:
        told = await self._hand.look()
        while True:
            await self._settled(told.sent)
            to = self._target(told.next)
            self._clock.reach(to)  # the stamp of what comes now
            told = await self._hand.move(to)
            while told.ns < to:
                await self._settled(told.sent)
                told = await self._hand.move(to)
            await self._settled(told.sent)
            self._clock.advance(to)
            self.moves += 1

    def _target(self, market: int | None) -> int:
        """Where both go next: to the runner's next waiter, or a step into a market that moves."""
        now, own = self._clock.now(), self._clock.next_due
        due = [] if own is None else [max(own, now + self._late)]
        if market is not None:
            due.append(max(market, now) + self._step)
        if not due:
            raise RuntimeError("everything waits, and nothing for this clock")
        return max(now, min(due))

    async def _settled(self, sent: Mapping[int, int]) -> None:
        """Wait until all that was sent is here, and nobody can go on without time."""
        loop = asyncio.get_running_loop()
        calm = waits = 0
        limit = loop.time() + self._patience
        while calm < 2:
            await asyncio.sleep(0 if waits < _TURNS else _NAP_S)
            if runnable():
                calm = waits = 0
                limit = loop.time() + self._patience
            elif not self._under_way(sent):
                calm, waits = calm + 1, 0
            elif loop.time() < limit:
                calm, waits = 0, waits + 1
            else:
                return

    def _under_way(self, sent: Mapping[int, int]) -> bool:
        read = self._hubs.read()
        missing = any(count < sent.get(port, 0) for port, count in read.items())
        return missing or self._rest.busy or not self._hubs.steady


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
        steering = Steering(
            self.hand, self.clock, rest, hubs, step_s=self.step_s, late_s=self.late_s
        )
        return await steering.run(work)


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
        See `Steering` and `Pace`; of a clock that we move.

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

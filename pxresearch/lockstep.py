"""A simulator's clock and a session's, moved together over real sockets, as fast as both can work.

A move is three steps: the session's clock tells the new time, the simulator plays up to it, and
when everything that it sent has been received and worked off, whoever waited for that time wakes.
What was sent is counted at both ends of each connection; what a request brought is asked for anew.

Times are ns UTC, spans seconds.

I/O: HTTP to the simulator's ``/control``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import TypeVar

import httpx
import msgspec

from pxresearch.clock import NS, VirtualClock, WallClock, runnable
from pxresearch.errors import NotReachable, UsageError
from pxresearch.gateway.hubs import Hubs
from pxresearch.gateway.line import Broken, Lines
from pxresearch.gateway.rest import Rest

T = TypeVar("T")
MOST = 500
"""Instants that the simulator plays in one go; its queue to a client must hold their records."""
_CLOCK = "/control/clock"
_TURNS = 10  # of the loop before waiting costs no processor
_NAP_S = 0.001


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


class Lockstep:
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
        told = await self._caught_up(self._clock.now())
        while True:
            to = self._target(told.next)
            self._clock.reach(to)  # the stamp of what comes now
            told = await self._caught_up(to)
            self._clock.advance(to)
            told = await self._caught_up(to, told)
            self.moves += 1

    async def _caught_up(self, to: int, told: Told | None = None) -> Told:
        """Have the simulator at a time and all that it sent worked off, with what that leads to."""
        made, ports = self._made, set(self._hubs.read())
        while True:
            if told is None:
                made, ports = self._made, set(self._hubs.read())
                told = await self._hand.move(to)
            await self._settled(told.sent)
            if told.ns >= to and made == self._made and not self._beyond(told.sent, ports):
                return told
            told = None  # a request, a call or a new connection may bring more than was told of

    @property
    def _made(self) -> int:
        return sum(self._rest.calls.sent.values())

    def _beyond(self, sent: Mapping[int, int], ports: set[int]) -> bool:
        """Whether more has come than was told of, or on a connection that was not there."""
        read = self._hubs.read()
        return not ports.issuperset(read) or any(read.get(port, 0) > sent[port] for port in sent)

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

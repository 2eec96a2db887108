"""Keeps one hub connected: a fresh connection and token each time, back-off, watchdogs.

One task on the caller's loop. It makes a `Link`, waits for the handshake, subscribes what is
desired, and from then on looks at it several times a second. Whatever ends a connection, be it the
hub, the network or a watchdog, goes the same way: gap, tear-down, wait, next attempt.

Limits are measured on a time line that never runs back (`Elapsed`): a clock that is set back delays
no watchdog, and a laptop that wakes from sleep notices at once that its connections are dead.

I/O: through `Link`.
"""

from __future__ import annotations

import asyncio
import random
from typing import Protocol

import msgspec

from pxresearch.clock import NS, Clock
from pxresearch.errors import GatewayError, NotReachable
from pxresearch.gateway import reader, wire
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.inbox import Inbox
from pxresearch.gateway.link import Link
from pxresearch.gateway.records import Gap, Hub, Notice
from pxresearch.gateway.signalr import Lost
from pxresearch.gateway.silence import Silence
from pxresearch.gateway.subscriptions import Desired, Progress, Subscription

_UNAUTHORISED = 401


class HubSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the hubs are kept; seconds.

    Attributes
    ----------
    hubs
        Which to connect.
    connect_s, answer_s
        Limits of a connection's opening, and of the completion of a call.
    ping_s, silent_s
        When we ping, and after what silence (no record at all) a hub is given up.
    backoff_s, backoff_max_s, healthy_s
        First and longest wait between attempts, and how long a connection must have lived for the
        next wait to be the first again.
    retry_s
        When a refused subscription is asked for again.
    stale_s
        A subscribed contract without data in open hours for so long is stale.
    market_silence_reconnect_s
        All of them silent for so long: the hub is frozen and connected anew.
    always_open
        The market has no hours, as in the simulator.
    max_attempts
        Failed attempts in a row after which it gives up and `get` raises; None: never.
    capacity, limit
        Events waiting from which on quotes are coalesced, and at the very most.
    tick_s
        How often the watchdogs look.
    """

    hubs: tuple[Hub, ...] = (Hub.USER, Hub.MARKET)
    connect_s: float = 10.0
    answer_s: float = 5.0
    ping_s: float = 12.0
    silent_s: float = 32.0
    backoff_s: float = 0.25
    backoff_max_s: float = 30.0
    healthy_s: float = 10.0
    retry_s: float = 30.0
    stale_s: float = 30.0
    market_silence_reconnect_s: float = 120.0
    always_open: bool = False
    max_attempts: int | None = None
    capacity: int = 10_000
    limit: int = 200_000
    tick_s: float = 0.25


class HubState(msgspec.Struct, frozen=True, kw_only=True):
    """How a hub is.

    Attributes
    ----------
    connected
        Everything that is wanted has been subscribed or refused.
    since
        When that began or ended, ns UTC.
    generation
        Number of the connection.
    attempts
        Failed attempts in a row.
    reason
        Why it is not connected.
    last_received, last_data
        When the last record, and the last event came, ns UTC.
    coalesced, lag_s
        Of the inbox, which both hubs share: quotes and depth that newer ones replaced; age of the
        oldest event of the last batch.
    junk, unknown
        Records that could not be read; events and records of a kind that nobody knows.
    subscribed, refused
        Streams that the hub confirmed, and those that it refused.
    stale
        Contracts that are silent in open hours.
    """

    connected: bool
    since: int
    generation: int
    attempts: int
    reason: str
    last_received: int | None
    last_data: int | None
    coalesced: int
    lag_s: float
    junk: int
    unknown: int
    subscribed: tuple[Subscription, ...]
    refused: tuple[Subscription, ...]
    stale: tuple[str, ...]


class Tokens(Protocol):
    """What gives a token; `Rest` does."""

    async def token(self) -> str:
        """Token with life left."""
        ...

    async def fresh_token(self) -> str:
        """Token of a new login."""
        ...


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


class Supervisor:
    """Keeps one hub; see the module.

    Parameters
    ----------
    hub, url
        Which, and where.
    tokens
        Asked before every attempt.
    desired
        What to subscribe; `wake` after a change.
    silence
        Watches the contracts; None for the user hub.
    """

    def __init__(
        self, hub: Hub, url: str, *, tokens: Tokens, directory: Directory, desired: Desired,
        inbox: Inbox, clock: Clock, settings: HubSettings, silence: Silence | None,
        rng: random.Random,
    ) -> None:  # fmt: skip
        self.hub, self._url, self._tokens, self._directory = hub, url, tokens, directory
        self._desired, self._inbox, self._clock, self._s = desired, inbox, clock, settings
        self._silence = silence
        self._backoff = Backoff(settings.backoff_s, settings.backoff_max_s, rng)
        self._notices = reader.Notices(hub)
        self._elapsed = Elapsed(clock)
        self._changed = asyncio.Event()
        self.tried = asyncio.Event()
        self._link: Link | None = None
        self._progress: Progress | None = None
        self._connected = False
        self._since = clock.now()
        self._generation = self._attempts = self._junk = self._unknown = 0
        self._reason = "not started"
        self._gap_from: int | None = None  # since when events may be lost
        self._last_received: int | None = None
        self._last_data: int | None = None
        self._want_fresh = False

    # ------------------------------------------------------------ for others
    def wake(self) -> None:
        """Look at once: something has changed."""
        self._changed.set()

    def forget(self, contract_id: str) -> None:
        """Drop the last quote of a contract that is wanted no more."""
        if self._link is not None:
            self._link.reader.forget(contract_id)

    @property
    def state(self) -> HubState:
        """How the hub is now."""
        link, progress = self._link, self._progress
        read = link.reader if link else None
        return HubState(
            connected=self._connected, since=self._since, generation=self._generation,
            attempts=self._attempts, reason=self._reason,
            last_received=link.received or self._last_received if link else self._last_received,
            last_data=link.data or self._last_data if link else self._last_data,
            coalesced=self._inbox.coalesced, lag_s=self._inbox.lag_s,
            junk=self._junk + (read.junk if read else 0),
            unknown=self._unknown + (read.unknown if read else 0),
            subscribed=progress.live if progress else (),
            refused=progress.refused if progress else (),
            stale=self._silence.stale if self._silence else (),
        )  # fmt: skip

    async def run(self) -> None:
        """Keep the hub until cancelled.

        Raises
        ------
        NotReachable
            `max_attempts` have failed in a row.
        """
        while True:
            try:
                await self._attempt()
            except (Lost, GatewayError) as error:
                self._failed(error)
            self.tried.set()
            if self._s.max_attempts is not None and self._attempts >= self._s.max_attempts:
                raise NotReachable(
                    f"the {self.hub} hub failed {self._attempts} times in a row and was given up; "
                    f"the last time: {self._reason}"
                )
            await self._clock.sleep(self._backoff.next())

    # ------------------------------------------------------------ one connection
    async def _attempt(self) -> None:
        fresh, self._want_fresh = self._want_fresh, False
        self._changed.clear()
        read = reader.Reader(self.hub, self._directory, self._notices)
        link = self._link = Link(
            self._url, await (self._tokens.fresh_token() if fresh else self._tokens.token()),
            read, self._inbox, self._clock, self.wake, f"pxresearch {self.hub} hub",
        )  # fmt: skip
        try:
            link.start()
            await self._opening(link)
            self._generation += 1
            await self._keeping(link)
        finally:
            self._progress = None
            await link.end()
            self._last_received = link.received or self._last_received
            self._last_data = link.data or self._last_data
            self._junk += read.junk
            self._unknown += read.unknown
            self._link = None

    async def _opening(self, link: Link) -> None:
        limit = self._elapsed.ns + round(self._s.connect_s * NS)
        while not link.open:
            if link.lost is not None:
                raise link.lost
            if self._elapsed.ns >= limit:
                raise Lost(f"no connection within {self._s.connect_s:g} s")
            await self._pause()

    async def _keeping(self, link: Link) -> None:
        opened = pinged = heard = self._elapsed.ns
        count = link.count
        progress = self._progress = Progress(
            self._desired, answer_s=self._s.answer_s, retry_s=self._s.retry_s
        )
        if self._silence is not None:
            self._silence.restart()
        while True:
            self._controls(link, progress)
            if link.lost is not None:
                raise link.lost
            elapsed = self._elapsed.ns
            self._subscribe(link, progress, elapsed)
            if elapsed - opened >= self._s.healthy_s * NS:
                self._backoff.reset()
                self._attempts = 0
            if elapsed - pinged >= self._s.ping_s * NS:
                link.ping()
                pinged = elapsed
            if link.count != count:
                count, heard = link.count, elapsed
            if elapsed - heard >= self._s.silent_s * NS:
                raise Lost(f"nothing was received for {(elapsed - heard) / NS:.0f} s")
            self._watch_market(link, elapsed)
            await self._pause()

    def _subscribe(self, link: Link, progress: Progress, elapsed: int) -> None:
        for call in progress.due(elapsed):
            link.call(*call)
        if (late := progress.overdue(elapsed)) is not None:
            raise Lost(f"{late} was not answered within {self._s.answer_s:g} s")
        if not self._connected and progress.settled:
            self._returned()

    def _watch_market(self, link: Link, elapsed: int) -> None:
        if self._silence is None or not self._connected:
            return
        contracts, now = self._desired.contracts, self._clock.now()
        self._inbox.put(self._silence.look(contracts, link.reader.seen, now, elapsed))
        if self._silence.frozen:
            limit = self._s.market_silence_reconnect_s
            raise Lost(f"no market data of any contract in open hours for {limit:g} s")

    def _controls(self, link: Link, progress: Progress) -> None:
        controls, now = link.reader.controls, self._clock.now()
        while controls:
            record = controls.pop(0)
            if record.type == reader.COMPLETION:
                if (refused := progress.answered(record, self._elapsed.ns)) is not None:
                    self._inbox.put(self._notices.say(f"refused {refused}", refused, now))
            elif record.type == reader.CLOSE:
                said = f": {record.error[:200]}" if record.error else ""
                raise Lost(f"the hub closed the connection{said}")
            elif record.target == wire.LOGOUT_EVENT:
                self._backoff.longest()
                text = "the venue ended this session; another login of this user may have taken it"
                self._inbox.put([Notice(ts=now, hub=self.hub, kind="logout", text=text)])
                raise Lost("the venue ended this session (GatewayLogout)")

    async def _pause(self) -> None:
        """Wait a tick, or until something has changed."""
        waited_s = 0.0
        try:
            await self._clock.within(self._s.tick_s, self._changed.wait())
        except TimeoutError:
            waited_s = self._s.tick_s
        self._changed.clear()
        self._elapsed.step(waited_s)

    # ------------------------------------------------------------ coming and going
    def _returned(self) -> None:
        self._connected, self._since, self._reason = True, self._clock.now(), ""
        if self._gap_from is not None:
            since, self._gap_from = self._gap_from, None
            gap = Gap(hub=self.hub, since=since, until=self._since, reason="reconnected")
            self._inbox.put([gap])
        self.tried.set()

    def _failed(self, error: Lost | GatewayError) -> None:
        now = self._clock.now()
        self._attempts += 1
        self._want_fresh = isinstance(error, Lost) and error.status == _UNAUTHORISED
        self._reason = str(error)
        if self._connected:
            self._connected, self._since = False, now
        if self._gap_from is None:
            self._gap_from = min(self._last_received or self._since, now)
            gap = Gap(hub=self.hub, since=self._gap_from, until=None, reason=self._reason)
            self._inbox.put([gap])

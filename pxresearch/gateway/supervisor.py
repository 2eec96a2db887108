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

from pxresearch.clock import NS, Clock
from pxresearch.errors import GatewayError, NotReachable
from pxresearch.gateway import reader, wire
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.hubstate import HubSettings, HubState
from pxresearch.gateway.inbox import Inbox
from pxresearch.gateway.link import Link
from pxresearch.gateway.pace import Backoff, Elapsed
from pxresearch.gateway.records import Gap, Hub, Notice
from pxresearch.gateway.silence import Silence
from pxresearch.gateway.subscriptions import Desired, Progress
from pxresearch.gateway.websocket import Lost

_UNAUTHORISED = 401


class Tokens(Protocol):
    """What gives a token; `Rest` does."""

    async def token(self) -> str:
        """Token with life left."""
        ...

    async def fresh_token(self) -> str:
        """Token of a new login."""
        ...


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
    def steady(self) -> bool:
        """Whether it waits for nothing but time and records: no opening, no call, no end."""
        link, progress = self._link, self._progress
        if link is None:
            return True
        return link.open and link.lost is None and progress is not None and progress.settled

    @property
    def read(self) -> tuple[int, int] | None:
        """Port of the connection, and records read on it; None without one."""
        link = self._link
        return (link.port, link.count) if link is not None and link.open else None

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
        self._changed.clear()
        ask = self._tokens.fresh_token if self._want_fresh else self._tokens.token
        read = reader.Reader(self.hub, self._directory, self._notices)
        link = self._link = Link(
            self._url, await ask(), read, self._inbox, self._clock, self.wake,
            f"pxresearch {self.hub} hub",
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
        if progress.settled:
            if self.hub is Hub.USER and progress.refused:
                self._incomplete(", ".join(map(str, progress.refused)))
            elif not self._connected:
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

    def _incomplete(self, refused: str) -> None:
        """Count the hub as away although it is there: events of ours would be missed."""
        self._away(f"the hub refused {refused}")
        self.tried.set()

    def _failed(self, error: Lost | GatewayError) -> None:
        self._attempts += 1
        if isinstance(error, Lost):
            self._want_fresh = error.status == _UNAUTHORISED
        self._away(str(error))

    def _away(self, reason: str) -> None:
        now, self._reason = self._clock.now(), reason
        if self._connected:
            self._connected, self._since = False, now
        if self._gap_from is None:
            self._gap_from = min(self._last_received or self._since, now)
            self._inbox.put([Gap(hub=self.hub, since=self._gap_from, until=None, reason=reason)])

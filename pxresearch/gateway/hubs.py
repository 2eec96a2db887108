"""Both hubs of the gateway as one ordered stream of events.

    hubs = Hubs(profile, rest, directory)
    hubs.subscribe_account(account_id)
    hubs.subscribe_contract("CON.F.US.MNQ.Z26")
    await hubs.start()
    while events := await hubs.get():
        ...

A lost connection is a `Gap` without an end, its return a `Gap` with one: the hubs replay nothing,
so what happened in between has to be asked for by REST. `Stream` does that; this module never does.

Everything here belongs to the loop that called `start`.

I/O: one thread with one TCP connection a hub.
"""

from __future__ import annotations

import asyncio
import random

from pxresearch.clock import Clock, WallClock
from pxresearch.errors import UsageError
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.hubstate import HubSettings, HubState
from pxresearch.gateway.inbox import Inbox
from pxresearch.gateway.profiles import Profile
from pxresearch.gateway.records import Event, Hub
from pxresearch.gateway.silence import Silence, open_hours
from pxresearch.gateway.subscriptions import Desired
from pxresearch.gateway.supervisor import Supervisor, Tokens

__all__ = ["HubSettings", "HubState", "Hubs", "Tokens"]


class Hubs:
    """The user hub and the market hub.

    Parameters
    ----------
    profile
        Where they are.
    tokens
        `Rest`, or anything with ``token()`` and ``fresh_token()``.
    directory
        Contracts that the venue has named; prices become ticks by it.
    clock
        For limits, waits and stamps of receipt.
    seed
        Of the jitter of the back-off; None draws one.
    """

    def __init__(
        self, profile: Profile, tokens: Tokens, directory: Directory, *,
        clock: Clock | None = None, settings: HubSettings | None = None, seed: int | None = None,
    ) -> None:  # fmt: skip
        self._directory = directory
        self._clock = clock or WallClock()
        self._settings = s = settings or HubSettings()
        self._inbox = Inbox(self._clock, capacity=s.capacity, limit=s.limit)
        self._desired = {hub: Desired() for hub in Hub}
        is_open = (lambda _id, _now: True) if s.always_open else open_hours(directory)
        silence = Silence(is_open, stale_s=s.stale_s, frozen_s=s.market_silence_reconnect_s)
        rng = random.Random(seed)
        self._supervisors = {
            hub: Supervisor(
                hub, profile.user_hub if hub is Hub.USER else profile.market_hub, tokens=tokens,
                directory=directory, desired=self._desired[hub], inbox=self._inbox,
                clock=self._clock, settings=s, silence=silence if hub is Hub.MARKET else None,
                rng=rng,
            )
            for hub in s.hubs
        }  # fmt: skip
        self._tasks: dict[Hub, asyncio.Task[None]] = {}
        self._crash: BaseException | None = None
        self._stopped = False

    # ------------------------------------------------------------ what to receive
    def subscribe_account(self, account: int) -> None:
        """Receive the account's own events, its orders, positions and fills."""
        self._desired[Hub.USER].add_account(account)
        self._wake(Hub.USER)

    def unsubscribe_account(self, account: int) -> None:
        """Receive them no more."""
        self._desired[Hub.USER].drop_account(account)
        self._wake(Hub.USER)

    def subscribe_contract(
        self, contract_id: str, quotes: bool = True, trades: bool = True, depth: bool = False
    ) -> None:
        """Receive exactly these streams of a contract; a second call replaces the first.

        Raises
        ------
        NotUnderstood
            The contract has not been looked up at the venue, so its prices cannot be read.
        """
        self._directory.listing(contract_id)
        self._desired[Hub.MARKET].set_contract(
            contract_id, quotes=quotes, trades=trades, depth=depth
        )
        self._wake(Hub.MARKET)

    def unsubscribe_contract(self, contract_id: str) -> None:
        """Receive nothing of it any more."""
        self._desired[Hub.MARKET].set_contract(contract_id, quotes=False, trades=False, depth=False)
        if Hub.MARKET in self._supervisors:
            self._supervisors[Hub.MARKET].forget(contract_id)
        self._wake(Hub.MARKET)

    # ------------------------------------------------------------ life
    async def start(self) -> None:
        """Connect; returns when each hub is connected and subscribed, or its first try has failed.

        A hub that failed goes on trying, and has put a `Gap` without an end in the stream.
        """
        if self._stopped:
            raise UsageError("these hubs were stopped; make new ones")
        for hub, one in self._supervisors.items():
            if hub not in self._tasks:
                task = self._tasks[hub] = asyncio.create_task(one.run(), name=f"{hub} hub")
                task.add_done_callback(self._ended)
        tried = [asyncio.ensure_future(one.tried.wait()) for one in self._supervisors.values()]
        try:
            await asyncio.gather(*tried)
        finally:
            for one in tried:
                one.cancel()

    async def stop(self) -> None:
        """Close both; under a second in any state, any number of times. `get` ends with ``[]``."""
        tasks = list(self._tasks.values())
        if not self._stopped:
            self._stopped = True
            for task in tasks:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._over()

    async def get(self) -> list[Event]:
        """Next events of both hubs, in the order of their receipt; ``[]`` only after `stop`.

        Raises
        ------
        NotReachable
            A hub has been given up after ``max_attempts``; what was received before comes first.
        """
        events = await self._inbox.get()
        if not events and self._crash is not None:
            raise self._crash
        return events

    def state(self, hub: Hub) -> HubState:
        """How a hub is now."""
        if hub not in self._supervisors:
            raise UsageError(f"the {hub} hub is not among the settings' hubs")
        return self._supervisors[hub].state

    @property
    def steady(self) -> bool:
        """Whether no connection is being opened or ended, or waits for the answer to a call."""
        return all(one.steady for one in self._supervisors.values())

    def read(self) -> dict[int, int]:
        """Records read on each open connection, by its port; their events are in the buffer."""
        return dict(one.read for one in self._supervisors.values() if one.read is not None)

    def _wake(self, hub: Hub) -> None:
        if hub in self._supervisors:
            self._supervisors[hub].wake()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or task.exception() is None:
            return
        self._crash = self._crash or task.exception()
        self._over()

    def _over(self) -> None:
        for one in self._supervisors.values():
            one.tried.set()  # a `start` that still waits returns
        self._inbox.close()

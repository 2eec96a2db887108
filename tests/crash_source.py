"""The hubs of a client without a socket: the simulator's own connections, read by the real reader.

What a connection would send goes through `gateway.reader` into the real inbox, in order, at once or
`delay_s` later. A hub that is away loses what is sent meanwhile, as the real one does.
"""

from __future__ import annotations

import json
from collections import deque
from functools import partial

from pxresearch.clock import NS, Clock
from pxresearch.gateway import wire
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.hubstate import HubState
from pxresearch.gateway.inbox import Inbox
from pxresearch.gateway.reader import Notices, Reader
from pxresearch.gateway.records import Event, Gap, Hub
from pxresearch.simulator.api import Venue
from pxresearch.simulator.hub import Link

METHODS = {
    Hub.USER: ("SubscribeOrders", "SubscribePositions", "SubscribeTrades"),
    Hub.MARKET: ("SubscribeContractQuotes", "SubscribeContractTrades"),
}


class Wires:
    """Both hubs of one client; a `Source` and what `Runner` needs beside it.

    Parameters
    ----------
    away
        Hubs that cannot be reached; shared with whoever cuts them.
    """

    def __init__(
        self, venue: Venue, clock: Clock, directory: Directory, owner: str, away: set[Hub]
    ) -> None:
        self._venue, self._clock, self._directory, self._owner = venue, clock, directory, owner
        self._away = away
        self.inbox = Inbox(clock)
        self.delay_s = 0.0
        self._subjects: dict[Hub, list[int | str]] = {Hub.USER: [], Hub.MARKET: []}
        self._links: dict[Hub, Link] = {}
        self._readers: dict[Hub, Reader] = {}
        self._since = dict.fromkeys(Hub, clock.now())
        self._attempts = dict.fromkeys(Hub, 0)
        self._gone: set[Hub] = set()  # of those it was told that they are away
        self._held: deque[tuple[int, Hub, list[bytes]]] = deque()
        self._stopped = False

    # ------------------------------------------------------------ a source
    def subscribe_account(self, account: int) -> None:
        self._subjects[Hub.USER].append(account)

    def subscribe_contract(self, contract_id: str) -> None:
        self._subjects[Hub.MARKET].append(contract_id)

    async def start(self) -> None:
        for hub in Hub:
            self.look(hub)
            if hub in self._away:
                self._gap(hub, None, "refused")

    async def stop(self) -> None:
        self.cut()
        self.inbox.close()

    async def get(self) -> list[Event]:
        return await self.inbox.get()

    def state(self, hub: Hub) -> HubState:
        there = hub in self._links
        return HubState(
            connected=there, since=self._since[hub], generation=1, attempts=self._attempts[hub],
            reason="" if there else "away", last_received=None, last_data=None, coalesced=0,
            lag_s=0.0, junk=0, unknown=0, subscribed=(), refused=(), stale=(),
        )  # fmt: skip

    # ------------------------------------------------------------ the connections
    def look(self, hub: Hub) -> None:
        """Connect a hub that can be reached, and drop one that cannot."""
        if self._stopped:
            return
        if hub in self._away and hub in self._links:
            self._drop(hub)
            self._gap(hub, None, "dropped")
        elif hub not in self._away and hub not in self._links:
            self._connect(hub)
        elif hub in self._away:
            self._attempts[hub] += 1

    def cut(self) -> None:
        """Be gone, without a word."""
        self._stopped = True
        for hub in list(self._links):
            self._drop(hub)

    def _drop(self, hub: Hub) -> None:
        self._venue.switch.remove(self._links.pop(hub))
        self._since[hub] = self._clock.now()
        self._held = deque(one for one in self._held if one[1] is not hub)

    def _connect(self, hub: Hub) -> None:
        self._readers[hub] = Reader(hub, self._directory, Notices(hub))
        link = self._venue.link(hub.value, self._owner, self._clock.now(), partial(self._pull, hub))
        self._links[hub], self._attempts[hub] = link, 0
        calls = [(name, [one]) for one in self._subjects[hub] for name in METHODS[hub]]
        if hub is Hub.USER:
            calls.append(("SubscribeAccounts", []))
        rows = [{"protocol": "json", "version": 1}] + [
            {"type": 1, "target": name, "arguments": arguments} for name, arguments in calls
        ]
        if hub in self._gone:  # the first connection of real hubs is no gap either
            self._gap(hub, self._clock.now(), "reconnected")
        text = "".join(json.dumps(row) + wire.RECORD_END for row in rows)
        link.receive(text, self._clock.now())

    def _gap(self, hub: Hub, until: int | None, reason: str) -> None:
        self.inbox.put([Gap(hub=hub, since=self._since[hub], until=until, reason=reason)])
        (self._gone.add if until is None else self._gone.discard)(hub)
        self._since[hub] = self._clock.now()

    def _pull(self, hub: Hub) -> None:
        link, now = self._links.get(hub), self._clock.now()
        if link is None:
            return
        while frames := link.frames(now):
            text = "".join(frames)
            rows = [one.encode() for one in text.split(wire.RECORD_END) if one not in ("", "{}")]
            if rows:
                self._held.append((now + round(self.delay_s * NS), hub, rows))
        self.release()

    def release(self) -> None:
        """Deliver what was held back for long enough."""
        now = self._clock.now()
        while self._held and (self._held[0][0] <= now or not self.delay_s):
            _, hub, rows = self._held.popleft()
            reader = self._readers[hub]
            self.inbox.put(reader.read(rows, now))
            reader.controls.clear()

    @property
    def quiet(self) -> bool:
        """Whether everything that was sent has been taken."""
        return not self._held and not len(self.inbox)

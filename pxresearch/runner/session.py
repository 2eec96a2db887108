"""Everything that belongs to one running session, in one place, owned by one loop.

I/O: none
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from pxresearch.brokers.paper import PaperBroker
from pxresearch.brokers.projectx import ProjectXBroker
from pxresearch.brokers.session import EngineSession
from pxresearch.clock import Clock
from pxresearch.gateway.contracts import Directory, Listing
from pxresearch.gateway.hubstate import HubState
from pxresearch.gateway.mirror import Mirror
from pxresearch.gateway.profiles import Profile
from pxresearch.gateway.records import Hub
from pxresearch.gateway.rest import Rest
from pxresearch.gateway.stream import Source, Stream
from pxresearch.runner.alarms import Alarms
from pxresearch.runner.build import Start
from pxresearch.runner.day import Day
from pxresearch.runner.fold import Fold
from pxresearch.runner.gate import Gate
from pxresearch.runner.plan import Plan, RunnerSettings
from pxresearch.runner.timeline import Timeline


class Hubs(Source, Protocol):
    """What a session needs of the hubs."""

    def subscribe_contract(self, contract_id: str) -> None: ...  # noqa: D102
    def state(self, hub: Hub) -> HubState: ...  # noqa: D102


class Connection(msgspec.Struct, kw_only=True):
    """A gateway to trade at; its hubs have no subscription yet, its Rest is logged in.

    Attributes
    ----------
    spare
        Makes another Rest, for the guardian's thread; None: there is no guardian.
    """

    profile: Profile
    rest: Rest
    hubs: Hubs
    directory: Directory
    spare: Callable[[], Rest] | None = None


class Session(msgspec.Struct, kw_only=True):
    """A running session.

    Attributes
    ----------
    listings
        The contracts at the venue, by the engine's index; `index` leads back.
    received
        When the last event of each contract came, by our clock; 0 for none.
    stopping
        Why it is to end; empty while it is not.
    """

    plan: Plan
    at: Connection
    clock: Clock
    settings: RunnerSettings
    run: str
    folder: Path
    timeline: Timeline
    gate: Gate
    alarms: Alarms
    listings: tuple[Listing, ...]
    index: dict[str, int]
    start: Start
    day: Day
    fold: Fold
    stream: Stream
    broker: PaperBroker | ProjectXBroker
    received: list[int]
    stopping: str = ""
    last_signal: str = ""
    last_refusal: str = ""

    @property
    def engine(self) -> EngineSession:
        """The engine."""
        return self.fold.session

    @property
    def venue(self) -> ProjectXBroker | None:
        """The broker, where it is live."""
        return self.broker if isinstance(self.broker, ProjectXBroker) else None

    @property
    def mirror(self) -> Mirror | None:
        """The venue's account, where it is followed."""
        return self.stream.mirrors.get(self.plan.account)

    def hub(self, hub: Hub) -> HubState | None:
        """How a hub is; None where the session does not use it."""
        if hub is Hub.USER and not self.plan.live:
            return None
        return self.at.hubs.state(hub)

    def position(self, k: int) -> int:
        """Signed contracts of the engine."""
        return int(self.engine.engine[0]["contract"][k]["position"])

    @property
    def day_end(self) -> int:
        """When the trading day ends, ns UTC."""
        return self.day.end_ns

    @property
    def day_start(self) -> int:
        """When it began, ns UTC."""
        return self.day.start_ns

    @property
    def flattening(self) -> bool:
        """Whether a contract is being made flat."""
        contracts = self.engine.engine[0]["contract"][: len(self.listings)]
        return bool(contracts["flattening"].any()) or bool(self.venue and self.venue.flattening)

    @property
    def exposed(self) -> bool:
        """Whether a position or a working order exists, or may."""
        e = self.engine.engine[0]
        return bool(e["open_contracts"] or e["live_n"]) or bool(
            self.venue and self.venue.unresolved
        )

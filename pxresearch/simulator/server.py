"""A whole simulator from its settings: data, accounts, venue, and the server around it.

I/O: reads the catalogue; `Simulator` listens on a port.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import msgspec

from pxresearch.clock import NS, Clock, PacedClock, VirtualClock, WallClock
from pxresearch.errors import UsageError
from pxresearch.simulator import tape as tapes
from pxresearch.simulator.accounts import AccountSpec
from pxresearch.simulator.api import Venue
from pxresearch.simulator.app import HOST, App
from pxresearch.simulator.control import Control
from pxresearch.simulator.exchange import Exchange
from pxresearch.simulator.faults import Faults
from pxresearch.simulator.history import DAY, History, Series
from pxresearch.simulator.hub import HubSettings
from pxresearch.simulator.listing import Listed, listed_contracts
from pxresearch.simulator.market import Burst, Feed, Quiet, Replay
from pxresearch.simulator.routes import ApiSettings
from pxresearch.simulator.settings import VenueSettings
from pxresearch.simulator.tape import Tape
from pxresearch.simulator.users import User, Users

MARKETS = ("demo", "catalog", "none")
CLOCKS = ("now", "data", "step")
FOLLOWERS = {"MNQ": ("NQ",), "MES": ("ES",)}
"""In the demo the big contract follows the micro: same index, same tick."""
DEFAULT_PORT = 8800
FIRST_ACCOUNT = 7_001_122
_START = 1_790_865_000 * NS  # 2026-10-01 14:30 UTC: where a clock without data begins
_BURST_PRICE = 100_000  # ticks


class SimulatorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What to simulate.

    Attributes
    ----------
    port
        0 takes a free one.
    username, api_key
        The login.
    users
        Further logins.
    accounts
        Accounts to open; left out, one practice account of the first login in Auto-OCO mode.
    market
        demo: a synthetic week; catalog: recorded data of `contracts`; none: only by hand.
    contracts, first, last, catalog
        What to play from the catalogue.
    clock
        now: the data is looped and moved in time, so that it flows at any hour; data: the time of
        the data, `speed` times as fast; step: the time of the data, moved by the control alone.
    rate
        Quotes a second of a made-up stream in place of the data, for load tests; 0: none.
    most_silence_s
        A looped market is never silent for longer, in seconds.
    history_days
        How far back the bars of a looped market go.
    seed
        Of faults, tokens and connection ids.
    """

    port: int = DEFAULT_PORT
    username: str = "trader"
    api_key: str = "secret"
    users: Sequence[User] = ()
    accounts: Sequence[AccountSpec] = ()
    market: str = "demo"
    contracts: Sequence[str] = ()
    first: date | None = None
    last: date | None = None
    catalog: Path | None = None
    clock: str = "now"
    speed: float = 1.0
    rate: int = 0
    most_silence_s: float = 0.25
    history_days: int = 90
    seed: int = 0
    venue: VenueSettings = msgspec.field(default_factory=VenueSettings)
    api: ApiSettings = msgspec.field(default_factory=ApiSettings)
    hub: HubSettings = msgspec.field(default_factory=HubSettings)

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("market", self.market, MARKETS), ("clock", self.clock, CLOCKS),
        ):  # fmt: skip
            if value not in allowed:
                raise UsageError(f"{name} must be one of {', '.join(allowed)}; received {value!r}")
        if not 0 <= self.port < 65_536:
            raise UsageError(f"port must be 0 (a free one) to 65535, received {self.port}")
        if not 0 < self.speed <= 10_000:
            raise UsageError(f"speed must be above 0 and at most 10000, received {self.speed}")
        if self.speed != 1 and self.clock != "data":
            raise UsageError(f"speed {self.speed} needs the clock 'data', received {self.clock!r}")
        if not 0 <= self.rate <= 100_000:
            raise UsageError(f"rate must be 0 to 100000 quotes a second, received {self.rate}")
        if self.market == "catalog" and not self.contracts:
            raise UsageError("market catalog needs contracts, for example --contract ESU13")
        if self.market != "catalog" and self.contracts:
            raise UsageError("contracts are chosen with market catalog only")

    def __repr__(self) -> str:
        return f"SimulatorSettings(port={self.port}, market={self.market!r}, clock={self.clock!r})"


class Course(NamedTuple):
    """The market of a venue: feed, the ids that follow each of its contracts, bars."""

    feed: Feed
    places: list[list[str]]
    series: dict[str, Series]


def make_venue(settings: SimulatorSettings, clock: Clock | None = None) -> tuple[Venue, Clock]:
    """Build a venue.

    Parameters
    ----------
    clock
        The venue's time in place of the one that the settings ask for.

    Raises
    ------
    CatalogError
        Nothing is held for the contracts.
    """
    tape = _tape(settings)
    if clock is None:
        clock = _clock(settings, tape)
    now = clock.now()
    listed = listed_contracts(now, tape.codes if tape and settings.market == "catalog" else ())
    course = _course(settings, tape, listed, now)
    exchange = Exchange(listed, settings.venue, now=now)
    for spec in settings.accounts or [_practice(settings.username)]:
        exchange.add_account(spec)
    users = Users(
        [User(name=settings.username, api_key=settings.api_key), *settings.users],
        seed=settings.seed, token_s=settings.api.token_s,
    )  # fmt: skip
    venue = Venue(
        exchange, users, History(listed, course.series), course.feed, course.places, clock,
        Faults(settings.seed), settings.api, settings.hub,
    )  # fmt: skip
    return venue, clock


def _practice(owner: str) -> AccountSpec:
    return AccountSpec(id=FIRST_ACCOUNT, owner=owner, balance=Decimal(150_000))


def _tape(settings: SimulatorSettings) -> Tape | None:
    if settings.market == "none" or settings.rate:
        return None
    if settings.market == "demo":
        made = tapes.demo(settings.catalog)
    else:
        catalog = settings.catalog or Path("data")
        made = tapes.recorded(settings.contracts, settings.first, settings.last, catalog)
    return tapes.looped(made, settings.most_silence_s) if settings.clock == "now" else made


def _clock(settings: SimulatorSettings, tape: Tape | None) -> Clock:
    if settings.clock == "now":
        return WallClock()
    start = _START if tape is None else int(tape.ts[0]) - 1
    if settings.clock == "step":
        return VirtualClock(start)
    return PacedClock(WallClock(), start, settings.speed)


def _course(
    settings: SimulatorSettings, tape: Tape | None, listed: Sequence[Listed], now: int
) -> Course:
    if settings.rate:
        first = next(one for one in listed if one.product.root == "MNQ")
        return Course(Burst([first.code], _BURST_PRICE, settings.rate, now), [[first.id]], {})
    if tape is None:
        return Course(Quiet(), [], {})
    places = [_places(settings, code, listed) for code in tape.codes]
    origin = since = 0
    if tape.length:
        minute = now // tapes.MINUTE * tapes.MINUTE
        origin, since = minute - tapes.busiest(tape), minute - settings.history_days * DAY
    series = {
        contract_id: Series(tape, k, origin, since)
        for k, ids in enumerate(places)
        for contract_id in ids
    }
    return Course(Replay(tape, origin, now), places, series)


def _places(settings: SimulatorSettings, code: str, listed: Sequence[Listed]) -> list[str]:
    """Ids of the contracts that follow a contract of the tape."""
    by_code = {one.code: one.id for one in listed}
    if settings.market == "catalog":
        return [by_code[code]]
    root = code[:-3]
    by_root = {one.product.root: one.id for one in listed}
    return [by_root[name] for name in (root, *FOLLOWERS.get(root, ()))]


class Simulator:
    """A running simulator; use it as an asynchronous context.

    Attributes
    ----------
    url
        Base of REST and hubs.
    username, api_key, account_id
        The first login and account.
    venue, control
        The venue, and the hand on it.
    """

    def __init__(self, settings: SimulatorSettings) -> None:
        self.settings = settings
        self.username, self.api_key = settings.username, settings.api_key
        self.url = ""
        self._app: App | None = None

    async def __aenter__(self) -> Simulator:
        settings = self.settings
        self.venue, clock = await asyncio.to_thread(make_venue, settings)
        self.control = Control(
            self.venue, clock if isinstance(clock, VirtualClock) else None, mode=settings.clock,
            speed=settings.speed,
        )  # fmt: skip
        self.account_id = self.venue.exchange.account_ids[0]
        self._app = App(self.venue, self.control, settings.port, settings.seed)
        port = await self._app.start()
        self.url = f"http://{HOST}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        if self._app is not None:
            await self._app.stop()


def start(settings: SimulatorSettings | None = None) -> Simulator:
    """Make a simulator: ``async with start(SimulatorSettings(port=0)) as simulator: ...``."""
    return Simulator(settings or SimulatorSettings())

"""Name what is wrong before money is at stake: one pass over everything a session needs.

Each check stands alone: what could not be looked at because something before it failed is *not
checked*, never failed, so that what is broken is the one thing that is red.

I/O: the network, through the REST client and the hubs; asks the machine about power and network.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from typing import TypeVar

import httpx
import msgspec

from pxresearch.clock import NS, Clock, WallClock
from pxresearch.errors import GatewayError, LoginRefused, PxError, UsageError
from pxresearch.gateway import checks
from pxresearch.gateway.calllog import CallRecord
from pxresearch.gateway.contracts import Directory, Listing
from pxresearch.gateway.credentials import Credentials, credentials
from pxresearch.gateway.diagnosis import Check, Diagnosis, Level
from pxresearch.gateway.history import Length, all_bars, stale
from pxresearch.gateway.hubs import Hubs, HubSettings
from pxresearch.gateway.machine import check_machine
from pxresearch.gateway.profiles import Profile
from pxresearch.gateway.records import Depth, Hub, Quote, Trade
from pxresearch.gateway.rest import Rest, RestSettings
from pxresearch.sessions import session, trading_day

T = TypeVar("T")
AFTER_LOGIN = ("accounts", "contracts", "history", "user hub", "market hub", "rate budget", "clock",
               "REST latency", "event age")  # fmt: skip
_LIKELY = ("MNQ", "MES", "MCL", "MGC", "NQ", "ES")  # to listen to
_HOUR = 3600 * NS


class DoctorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How long the doctor takes.

    Attributes
    ----------
    pings
        Round trips for the histogram.
    listen_s, events
        The market hub is listened to for so long, or until so many events have come.
    timeout_s
        Limit of one request, and of a hub's opening.
    """

    pings: int = 20
    listen_s: float = 5.0
    events: int = 50
    timeout_s: float = 5.0


async def diagnose(
    profile: Profile, *, account: int | None = None, environ: Mapping[str, str] | None = None,
    clock: Clock | None = None, settings: DoctorSettings | None = None,
    http: httpx.AsyncBaseTransport | None = None,
) -> Diagnosis:  # fmt: skip
    """Look at everything that a session on this gateway needs.

    Parameters
    ----------
    account
        The account that will trade; left out, one that can is enough.
    environ
        Where the credentials are; the process's environment, and the keyring, when left out.
    http
        In place of the network, for REST.

    Returns
    -------
    Diagnosis
        Nothing is raised for what is wrong with the gateway, the account or this machine.
    """
    clock = clock or WallClock()
    found: list[Check] = []
    try:
        keys = credentials(environ)
    except UsageError as error:
        remedy = "docs/gateway.md tells how to set them"
        found.append(Check(name="credentials", level=Level.FAIL, text=str(error), remedy=remedy))
        found += _skipped("no credentials", "REST", *checks.LOGIN_CHECKS.values(), *AFTER_LOGIN)
    else:
        visit = _Visit(profile, keys, clock, settings or DoctorSettings(), http)
        found += await visit.make(account)
    found.append(checks.check_calendar(clock.now()))
    found += check_machine()
    return Diagnosis(profile=profile.name, url=profile.rest, checks=found)


def _skipped(why: str, *names: str) -> list[Check]:
    return [Check(name=name, level=Level.SKIP, text=why) for name in names]


class _Visit:
    """One visit to the gateway; the checks collect in `found`."""

    def __init__(
        self, profile: Profile, keys: Credentials, clock: Clock, settings: DoctorSettings,
        http: httpx.AsyncBaseTransport | None,
    ) -> None:  # fmt: skip
        self.found: list[Check] = []
        self._profile, self._keys = profile, keys
        self._clock, self._settings = clock, settings
        self._statuses: Counter[int | None] = Counter()
        self._rest = Rest(
            profile, keys, clock=clock, http=http, on_call=self._count,
            settings=RestSettings(timeout_s=settings.timeout_s, attempts=2),
        )  # fmt: skip

    def _count(self, call: CallRecord) -> None:
        self._statuses[call.status] += 1

    async def make(self, account: int | None) -> list[Check]:
        """Make all checks that need the gateway."""
        try:
            if await self._login():
                await self._look(account)
        finally:
            await self._rest.close()
        return self.found

    async def _login(self) -> bool:
        """Checks REST, credentials, subscription and agreements; whether there is a token."""
        answers = Check(name="REST", level=Level.OK, text=f"{self._profile.rest} answers")
        try:
            await self._rest.ping()
            await self._rest.token()
        except LoginRefused as error:
            why = error.reason or "Unauthorised"
            login = checks.check_login(why, self._keys.user_name, str(error))
            self.found += [answers, *login, *_skipped("no login", *AFTER_LOGIN)]
            return False
        except GatewayError as error:
            remedy = "check the network, the URL, and whether the gateway is in maintenance"
            self.found += [
                Check(name="REST", level=Level.FAIL, text=str(error), remedy=remedy),
                *_skipped("no answer by REST", "credentials", *checks.LOGIN_CHECKS.values()),
                *_skipped("no answer by REST", *AFTER_LOGIN),
            ]
            return False
        self.found += [answers, *checks.check_login(None, self._keys.user_name)]
        return True

    async def _look(self, account: int | None) -> None:
        accounts = await self._try("accounts", self._rest.accounts())
        if accounts is not None:
            self.found.append(checks.check_accounts(accounts, account))
        rows = await self._try("contracts", self._rest.available())
        directory = Directory()
        if rows is not None:
            check, directory = checks.check_contracts(rows)
            self.found.append(check)
        listing = _liveliest(directory, self._clock.now())
        await self._history(listing)
        ages = await self._hubs(directory, listing, [row.id for row in accounts or ()])
        pings = [await self._ping() for _ in range(self._settings.pings)]
        self.found += [
            checks.check_budget(self._rest.room(), self._statuses),
            checks.check_skew(self._rest.clock_skew_s, ages),
            checks.check_latency("REST latency", [one for one in pings if one is not None]),
            checks.check_latency("event age", [max(0.0, age) for age in ages]),
        ]

    async def _ping(self) -> float | None:
        with contextlib.suppress(GatewayError):
            return await self._rest.ping()
        return None

    async def _try(self, name: str, work: Awaitable[T]) -> T | None:
        """Result of some work; None and a red check if it fails."""
        try:
            return await work
        except PxError as error:
            remedy = "run doctor again; if it stays so, ask the firm"
            self.found.append(Check(name=name, level=Level.FAIL, text=str(error), remedy=remedy))
            return None

    async def _history(self, listing: Listing | None) -> None:
        """Check history: bars of the last hour, and how old the newest one is."""
        if listing is None or listing.contract is None:
            self.found += _skipped("no contract to look at", "history")
            return
        now, length = self._clock.now(), Length.read("1m")
        work = all_bars(self._rest, listing, now - _HOUR, now, length, limit=60)
        bars = await self._try("history", work)
        if bars is None:
            return
        old = stale(bars[-1] if bars else None, listing.contract.instrument, now, length)
        text = old or f"{len(bars)} bars of {listing.code} in the last hour"
        remedy = "do not start a strategy on this history"
        level = Level.WARN if old else Level.OK
        self.found.append(Check(name="history", level=level, text=text, remedy=remedy))

    async def _hubs(
        self, directory: Directory, listing: Listing | None, accounts: Sequence[int]
    ) -> list[float]:
        """Checks user hub and market hub; ages (s) of the market events that came meanwhile."""
        limit = self._settings.timeout_s
        settings = HubSettings(connect_s=limit, answer_s=limit)
        hubs = Hubs(self._profile, self._rest, directory, clock=self._clock, settings=settings)
        for account in accounts:
            hubs.subscribe_account(account)
        if listing is not None:
            hubs.subscribe_contract(listing.id)
        ages: list[float] = []
        try:
            await hubs.start()
            with contextlib.suppress(TimeoutError):
                if listing is not None and hubs.state(Hub.MARKET).connected:
                    await self._clock.within(self._settings.listen_s, self._listen(hubs, ages))
            now = self._clock.now()
            is_open = listing is not None and _is_open(listing, now)
            code = listing.code if listing is not None and (is_open or ages) else None
            for hub, listened in ((Hub.USER, None), (Hub.MARKET, code)):
                self.found.append(checks.check_hub(hub, hubs.state(hub), now, listened_to=listened))
        finally:
            await hubs.stop()
        return ages

    async def _listen(self, hubs: Hubs, ages: list[float]) -> None:
        snapshot = 1  # the first event greets a subscriber; it is as old as the last change
        while len(ages) < self._settings.events and hubs.state(Hub.MARKET).connected:
            events = [one for one in await hubs.get() if isinstance(one, (Quote, Trade, Depth))]
            ages += [(one.received - one.ts) / NS for one in events[snapshot:]]
            snapshot = 0 if events else snapshot


def _is_open(listing: Listing, now: int) -> bool:
    named = listing.contract
    return named is not None and session(named, trading_day(now)).is_open(now)


def _liveliest(directory: Directory, now: int) -> Listing | None:
    """The contract that most likely trades now; None without any."""
    known = [one for one in directory if one.active and one.contract is not None]

    def rank(one: Listing) -> tuple[bool, int]:
        root = one.contract.instrument.root if one.contract else ""
        return not _is_open(one, now), _LIKELY.index(root) if root in _LIKELY else len(_LIKELY)

    return min(known, key=rank, default=None)

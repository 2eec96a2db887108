"""Events of both hubs, with the account read again by REST wherever some may be missing.

Start-up, every return of the user hub, a doubt that does not clear, and the look every five minutes
are one routine: read accounts, positions, orders and fills, make the mirror equal, tell `Resynced`.
While that runs nothing is delivered; what the hubs send meanwhile waits in their buffer and is
applied after it, where an event that the snapshot already holds tells nothing new and is passed
over.

The reads of a snapshot are not one instant. It is believed when it says what the mirror says, or
when two in a row say the same.

I/O: the network, through `rest` and `hubs`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

import msgspec

from pxresearch.clock import NS, Clock, WallClock
from pxresearch.errors import DataError, GatewayError, NotUnderstood
from pxresearch.gateway import wire
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.mirror import Mirror, Snapshot
from pxresearch.gateway.records import Event, Gap, Hub, Notice, Resynced, Update

_SKEW_NS = 60 * NS
_SNAPSHOTS = 6  # of which two in a row must say the same


class StreamSettings(msgspec.Struct, frozen=True, kw_only=True):
    """When the account is read again; seconds.

    Attributes
    ----------
    reconcile_s
        The look without a cause.
    away_s
        The look while the user hub is away: positions stay supervised, by REST alone.
    doubt_s
        A doubt that has not cleared for so long; one that a reading leaves is looked at again
        after twice the time, and so on up to `reconcile_s`.
    retry_s, retry_max_s
        First and longest pause after a failed reading.
    look_back_s
        How far the first reading of orders and fills goes back.
    """

    reconcile_s: float = 300.0
    away_s: float = 5.0
    doubt_s: float = 2.0
    retry_s: float = 0.5
    retry_max_s: float = 10.0
    look_back_s: float = 24 * 3600.0


class Reads(Protocol):
    """What a stream needs of `Rest`."""

    async def accounts(self, only_active: bool = True) -> list[wire.Account]: ...  # noqa: D102
    async def contract(self, contract_id: str) -> wire.Contract | None: ...  # noqa: D102
    async def orders(  # noqa: D102
        self, account: int, since_ns: int, until_ns: int | None = None
    ) -> list[wire.Order]: ...
    async def order(self, account: int, order_id: int) -> wire.Order | None: ...  # noqa: D102
    async def working_orders(self, account: int) -> list[wire.Order]: ...  # noqa: D102
    async def positions(self, account: int) -> list[wire.Position]: ...  # noqa: D102
    async def trades(  # noqa: D102
        self, account: int, since_ns: int, until_ns: int | None = None
    ) -> list[wire.Trade]: ...


class Source(Protocol):
    """What a stream needs of `Hubs`."""

    def subscribe_account(self, account: int) -> None: ...  # noqa: D102
    async def start(self) -> None: ...  # noqa: D102
    async def stop(self) -> None: ...  # noqa: D102

    async def get(self) -> list[Event]:
        """Next events; nothing is lost when it is cancelled."""
        ...


class Stream:
    """The events of some accounts and contracts; subscribe the contracts at the hubs.

    Parameters
    ----------
    accounts
        Ids of the accounts to follow; none for market data alone.

    Attributes
    ----------
    mirrors
        Account id to its local copy.
    reconciled
        Whether the mirrors are the venue's: False from a gap until the hub is back and the account
        has been read again, and while it cannot be read.
    doubts
        What does not fit together in the mirrors, in words; it is read again within `doubt_s`.
    """

    def __init__(
        self, rest: Reads, hubs: Source, directory: Directory, accounts: Sequence[int], *,
        clock: Clock | None = None, settings: StreamSettings | None = None,
    ) -> None:  # fmt: skip
        self._rest, self._hubs, self._directory = rest, hubs, directory
        self._clock = clock or WallClock()
        self._settings = settings or StreamSettings()
        self.mirrors = {account: Mirror(account, directory) for account in accounts}
        self._blocked = bool(accounts)  # nothing is delivered before the next reading
        self._away: set[Hub] = set()
        self._since = self._clock.now() - round(self._settings.look_back_s * NS)
        self._next_look = self._clock.now()
        self._doubts: set[str] = set()
        self._doubt_pause = self._settings.doubt_s
        self._doubt_due: int | None = None
        self._waiting: deque[Event] = deque()
        self._failures = 0
        self._stopped = asyncio.Event()

    @property
    def reconciled(self) -> bool:
        """See the class."""
        return not self._blocked and not self._failures and not self._user_away

    @property
    def _user_away(self) -> bool:
        return Hub.USER in self._away

    @property
    def doubts(self) -> list[str]:
        """See the class."""
        return sorted(self._doubts)

    async def start(self) -> None:
        """Connect and subscribe the accounts; the first events are `Resynced` and what follows."""
        for account in self.mirrors:
            self._hubs.subscribe_account(account)
        await self._hubs.start()

    async def stop(self) -> None:
        """Close the hubs; `get` then ends with ``[]``."""
        self._stopped.set()
        await self._hubs.stop()

    async def __aiter__(self) -> AsyncIterator[Event]:
        while events := await self.get():
            for event in events:
                yield event

    async def get(self) -> list[Event]:
        """Next events, at least one; ``[]`` once the hubs have stopped.

        One caller at a time.
        """
        while True:
            if self._stopped.is_set():
                return []
            if self._must_read():
                return await self._read_again()
            if self._blocked:
                # What waits stays in the hubs' buffer, which is bounded.
                with contextlib.suppress(TimeoutError):
                    await self._clock.within(self._until_look(), self._stopped.wait())
            elif not self._waiting:
                if not await self._receive():
                    return []
            elif out := self._deliver():
                return out

    # ------------------------------------------------------------ events
    def _deliver(self) -> list[Event]:
        """Events up to the next one after which everything has to be read again."""
        out: list[Event] = []
        told = False
        while self._waiting and not self._blocked:
            event = self._waiting.popleft()
            if isinstance(event, Update):
                if not self._apply(event):
                    continue
                told = True
            elif isinstance(event, Gap) and self.mirrors:
                self._gap(event)
            out.append(event)
        if told:
            self._note_doubts()
        return out

    def _gap(self, gap: Gap) -> None:
        """The user hub goes: look by REST now and then. It is back: look before anything else."""
        if gap.until is None:
            self._away.add(gap.hub)
            if gap.hub is Hub.USER:
                soon = self._clock.now() + round(self._settings.away_s * NS)
                self._next_look = min(self._next_look, soon)
            return
        self._away.discard(gap.hub)
        if gap.hub is Hub.USER:
            self._blocked = True
            self._next_look = self._clock.now()

    def _apply(self, event: Update) -> bool:
        record = event.record
        account = getattr(record, "account", record.id)
        mirror = self.mirrors.get(account)
        return mirror is not None and mirror.apply(record)

    def _note_doubts(self) -> None:
        found = self._doubting()
        if not found:
            self._doubt_due = None
        elif found - self._doubts:
            soon = self._clock.now() + round(self._settings.doubt_s * NS)
            self._doubt_due = soon if self._doubt_due is None else min(self._doubt_due, soon)
        self._doubts = found

    def _doubting(self) -> set[str]:
        return {text for mirror in self.mirrors.values() for text in mirror.doubts()}

    async def _receive(self) -> bool:
        """Wait for events, or until it is time to look; False once there are no more."""
        try:
            return await self._clock.within(self._until_look(), self._fetch())
        except TimeoutError:
            return True

    async def _fetch(self) -> bool:
        # They are kept in the step in which they come: a caller that is cancelled loses none.
        events = await self._hubs.get()
        self._waiting.extend(events)
        return bool(events)

    # ------------------------------------------------------------ reading again
    def _due(self) -> int:
        # A reading that has failed has a pause of its own, whatever is in doubt.
        if self._doubt_due is None or self._failures:
            return self._next_look
        return min(self._next_look, self._doubt_due)

    def _until_look(self) -> float:
        if not self.mirrors:
            return self._settings.reconcile_s
        return max(0.001, (self._due() - self._clock.now()) / NS)

    def _must_read(self) -> bool:
        return bool(self.mirrors) and self._clock.now() >= self._due()

    async def _read_again(self) -> list[Event]:
        """Read every account; `Resynced`, or a `Notice` after which it is tried again."""
        started = self._clock.now()
        try:
            changes, learnt = [], []
            for mirror in self.mirrors.values():
                text, records = mirror.load(await self._believed(mirror))
                changes += text
                learnt += records
        except (GatewayError, DataError) as error:
            return [self._failed(error)]
        self._failures, self._blocked = 0, False
        s, now = self._settings, self._clock.now()
        self._next_look = now + round((s.away_s if self._user_away else s.reconcile_s) * NS)
        self._doubts = self._doubting()
        if not self._doubts:  # else what is missing may be as old as the last reading
            self._since = started - _SKEW_NS
        # What a reading does not settle is looked at again, but less and less often.
        again = min(2 * self._doubt_pause, s.reconcile_s)
        self._doubt_pause = again if self._doubts else s.doubt_s
        self._doubt_due = now + round(again * NS) if self._doubts else None
        return [Resynced(ts=self._clock.now(), changes=tuple(changes), learnt=tuple(learnt))]

    def _failed(self, error: Exception) -> Notice:
        # Only after a gap nothing is delivered meanwhile: else every event has come, and does.
        s = self._settings
        pause = min(s.retry_max_s, s.retry_s * 2 ** min(self._failures, 30))
        self._failures += 1
        self._next_look = self._clock.now() + round(pause * NS)
        text = f"the account cannot be read, so what is held of it is not trusted: {error}"
        return Notice(ts=self._clock.now(), hub=Hub.USER, kind="unreconciled", text=text)

    async def _believed(self, mirror: Mirror) -> Snapshot:
        last = None
        for _ in range(_SNAPSHOTS):
            snapshot = await self._snapshot(mirror)
            if snapshot == last or not mirror.compare(snapshot):
                return snapshot
            last = snapshot
        raise NotUnderstood(
            f"account {mirror.account_id} changed between each two of {_SNAPSHOTS} readings"
        )

    async def _snapshot(self, mirror: Mirror) -> Snapshot:
        rest, since, account = self._rest, self._since, mirror.account_id
        accounts = {row.id: row for row in await rest.accounts(only_active=False)}
        if account not in accounts:
            raise NotUnderstood(
                f"account {account} is not among those of this user: "
                f"{', '.join(map(str, accounts)) or 'none'}"
            )
        positions = await rest.positions(account)
        orders = {row.id: row for row in await rest.orders(account, since)}
        orders |= {row.id: row for row in await rest.working_orders(account)}
        for order in mirror.working:
            # An older one that has ended meanwhile is in neither of the two lists.
            if order.id not in orders and (row := await rest.order(account, order.id)) is not None:
                orders[order.id] = row
        trades = await rest.trades(account, since)
        for contract_id in {row.contract_id for row in (*positions, *orders.values(), *trades)}:
            await self._look_up(contract_id)
        names = self._directory
        return Snapshot(
            account=names.account(accounts[account]),
            orders=tuple(names.order(orders[key]) for key in sorted(orders)),
            positions=tuple(
                sorted((names.position(row) for row in positions), key=lambda p: p.contract_id)
            ),
            fills=tuple(sorted((names.fill(row) for row in trades), key=lambda f: f.id)),
            since=since,
        )  # fmt: skip

    async def _look_up(self, contract_id: str) -> None:
        """Take in a contract that only a person's trading has brought here."""
        if contract_id in self._directory:
            return
        row = await self._rest.contract(contract_id)
        if row is None:
            raise NotUnderstood(f"the venue does not know its own contract {contract_id!r}")
        self._directory.add(row)

"""What a hub shall send: one desired set, and how far one connection has got with it.

Pure. The desired set outlives connections; a `Progress` belongs to one of them and says which calls
are still to be made. A hub is never asked twice for the same stream, so there is at most one live
subscription of each.

I/O: none
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

from pxresearch.clock import NS
from pxresearch.gateway import wire


class Subscription(NamedTuple):
    """One stream of one account or contract: ``("ContractQuotes", "CON.F.US.MNQ.Z26")``."""

    stream: str
    of: int | str | None = None

    @property
    def arguments(self) -> list[object]:
        """Arguments of the call."""
        return [] if self.of is None else [self.of]

    def __str__(self) -> str:
        return self.stream if self.of is None else f"{self.stream}({self.of})"


class Call(NamedTuple):
    """A call to make."""

    id: str
    method: str
    arguments: list[object]


class _Sent(NamedTuple):
    what: Subscription
    on: bool
    at: int


class Desired:
    """The one set of streams that a hub shall send."""

    def __init__(self) -> None:
        self._accounts: dict[int, None] = {}
        self._contracts: dict[str, tuple[str, ...]] = {}

    def __iter__(self) -> Iterator[Subscription]:
        if self._accounts:
            yield Subscription("Accounts")
        for account in self._accounts:
            for stream in wire.USER_STREAMS:
                if stream != "Accounts":
                    yield Subscription(stream, account)
        for contract_id, streams in self._contracts.items():
            for stream in streams:
                yield Subscription(stream, contract_id)

    @property
    def contracts(self) -> tuple[str, ...]:
        """Ids of the contracts of which anything is wanted."""
        return tuple(self._contracts)

    def add_account(self, account: int) -> None:
        """Want all user events of an account."""
        self._accounts[account] = None

    def drop_account(self, account: int) -> None:
        """Want them no more."""
        self._accounts.pop(account, None)

    def set_contract(self, contract_id: str, *, quotes: bool, trades: bool, depth: bool) -> None:
        """Want exactly these streams of a contract; none of them drops it."""
        wanted = (quotes, trades, depth)
        streams = tuple(itertools.compress(wire.MARKET_STREAMS, wanted))
        if streams:
            self._contracts[contract_id] = streams
        else:
            self._contracts.pop(contract_id, None)


class Progress:
    """How far one connection has got.

    Parameters
    ----------
    answer_s
        How long a call may stay without its completion.
    retry_s
        When a refused subscription is asked for again.
    """

    def __init__(self, desired: Desired, *, answer_s: float, retry_s: float) -> None:
        self._desired = desired
        self._answer, self._retry = round(answer_s * NS), round(retry_s * NS)
        self._on: set[Subscription] = set()
        self._sent: dict[str, _Sent] = {}
        self._refused: dict[Subscription, int] = {}  # and when
        self._ids = map(str, itertools.count(1))

    @property
    def settled(self) -> bool:
        """Whether each wanted stream has been answered for."""
        return not self._sent and all(
            one in self._on or one in self._refused for one in self._desired
        )

    @property
    def live(self) -> tuple[Subscription, ...]:
        """Streams that the hub has confirmed."""
        return tuple(sorted(self._on, key=str))

    @property
    def refused(self) -> tuple[Subscription, ...]:
        """Wanted streams that the hub refused."""
        return tuple(one for one in self._desired if one in self._refused)

    def due(self, now: int) -> list[Call]:
        """Calls to make now; each is taken as made."""
        wanted = set(self._desired)
        under_way = {sent.what for sent in self._sent.values()}
        self._refused = {
            one: at for one, at in self._refused.items() if one in wanted and now - at < self._retry
        }
        calls = [
            self._call(one, False, now) for one in sorted(self._on - wanted - under_way, key=str)
        ]
        known = self._on | under_way | set(self._refused)
        return calls + [self._call(one, True, now) for one in self._desired if one not in known]

    def answered(self, record: wire.Event, now: int) -> str | None:
        """Take a completion in; what was refused and why, if it was."""
        sent = self._sent.pop(record.invocation_id or "", None)
        if sent is None:
            return None
        if not sent.on:
            self._on.discard(sent.what)
            return f"Unsubscribe{sent.what}: {record.error[:200]}" if record.error else None
        if record.error:
            self._refused[sent.what] = now
            return f"Subscribe{sent.what}: {record.error[:200]}"
        self._on.add(sent.what)
        return None

    def overdue(self, now: int) -> str | None:
        """Name of a call that has waited too long for its completion."""
        for sent in self._sent.values():
            if now - sent.at >= self._answer:
                return f"{'Subscribe' if sent.on else 'Unsubscribe'}{sent.what}"
        return None

    def _call(self, what: Subscription, on: bool, now: int) -> Call:
        call = Call(next(self._ids), ("Subscribe" if on else "Unsubscribe") + what.stream,
                    what.arguments)  # fmt: skip
        self._sent[call.id] = _Sent(what, on, now)
        return call

"""Who gets what: the connections of both hubs, their subscriptions, and the way to all of them.

An event is encoded once and the same text goes to every subscriber. Nothing is kept for those who
are away.

I/O: none
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from pxresearch.gateway import wire
from pxresearch.simulator import render
from pxresearch.simulator.board import Board
from pxresearch.simulator.exchange import Exchange
from pxresearch.simulator.fault_table import LINK
from pxresearch.simulator.faults import Fault, Faults
from pxresearch.simulator.hub import Link, Refused
from pxresearch.simulator.outbox import KEPT

_ERROR = "due to an error on the server."
Key = tuple[str, Hashable]  # target of the event; account or contract id, or the owner


class Switch:
    """Connections and subscriptions.

    Parameters
    ----------
    exchange
        Knows whose account is whose.
    boards
        By contract id.
    now
        The venue's time.
    """

    def __init__(
        self, exchange: Exchange, boards: dict[str, Board], faults: Faults, now: Callable[[], int]
    ) -> None:
        self.links: dict[Link, None] = {}
        self._exchange, self._boards, self._faults, self._now = exchange, boards, faults, now
        self._subscribed: dict[Key, dict[Link, None]] = {}
        self.sent: dict[str, int] = {}

    # ------------------------------------------------------------ connections
    def add(self, link: Link) -> None:
        """Take a connection in."""
        self.links[link] = None

    def remove(self, link: Link) -> None:
        """Forget a connection and its subscriptions."""
        self.links.pop(link, None)
        for links in self._subscribed.values():
            links.pop(link, None)

    def suffer_now(self, link_now: int) -> None:
        """Let the faults for open connections happen that are due."""
        for fault in self._faults.take(LINK, self._now(), step="now") if self._faults else ():
            for link in list(self.links):
                if fault["hub"] in ("", link.hub):
                    link.suffer(fault, link_now)

    # ------------------------------------------------------------ what a connection asks
    def subscribe(self, link: Link, method: str, arguments: list[Any]) -> list[str]:
        """Records that follow at once on a new subscription.

        Raises
        ------
        Refused
            No such method on this hub, wrong arguments, somebody else's account.
        """
        verb = next((v for v in ("Subscribe", "Unsubscribe") if method.startswith(v)), "")
        streams = wire.USER_STREAMS if link.hub == "user" else wire.MARKET_STREAMS
        target = streams.get(method.removeprefix(verb)) if verb else None
        if target is None:
            raise Refused(f"{_ERROR} HubException: Method does not exist.")
        key = self._key(link, target, arguments)
        if verb == "Unsubscribe":
            self._subscribed.get(key, {}).pop(link, None)
            return []
        self._subscribed.setdefault(key, {})[link] = None
        return self._first(key)

    def _key(self, link: Link, target: str, arguments: list[Any]) -> Key:
        expected = 0 if target == wire.USER_ACCOUNT else 1
        if len(arguments) != expected:
            raise Refused(
                f"{_ERROR} InvalidDataException: Invocation provides {len(arguments)} argument(s) "
                f"but target expects {expected}."
            )
        if not expected:
            return target, link.owner
        given = arguments[0]
        kind = int if link.hub == "user" else str
        if not isinstance(given, kind) or isinstance(given, bool):
            raise Refused(
                f"{_ERROR} InvalidDataException: Error binding arguments. Make sure that the types "
                "of the provided values match the types of the hub method being invoked."
            )
        if link.hub == "user":
            if given not in self._exchange.account_ids or self._exchange.owner(given) != link.owner:
                raise Refused(f"{_ERROR} HubException: Account not found.")
        elif given not in self._boards:
            raise Refused(f"{_ERROR} HubException: Contract not found.")
        return target, given

    def _first(self, key: Key) -> list[str]:
        target, contract_id = key
        if target == wire.MARKET_DEPTH and len(self._subscribed[key]) == 1:
            self._boards[str(contract_id)].changes(self._now())  # nobody was told of those
        return self.newest(key) if target in (wire.MARKET_QUOTE, wire.MARKET_DEPTH) else []

    def fault(self, hub: str, step: str, name: str) -> Fault | None:
        """A fault of this name that happens now at a step of the protocol."""
        if not self._faults:
            return None
        return self._faults.first(LINK, self._now(), name=name, hub=hub, step=step)

    def newest(self, key: Hashable) -> list[str]:
        """The present state of a contract's quotes or depth."""
        assert isinstance(key, tuple)
        target, contract_id = key
        board, now = self._boards[contract_id], self._now()
        if target == wire.MARKET_DEPTH:
            return [board.book(now)]
        return [board.full(now)] if board.begun else []

    # ------------------------------------------------------------ what is sent
    def wanted(self, target: str, key: Hashable) -> bool:
        """Whether anybody is subscribed."""
        return bool(self._subscribed.get((target, key)))

    def market(self, target: str, contract_id: str, record: str) -> None:
        """Send a market event to its subscribers."""
        links = self._subscribed.get((target, contract_id))
        if not links:
            return
        key: Hashable = KEPT if target == wire.MARKET_TRADE else (target, contract_id)
        self._count(target, len(links))
        for link in links:
            link.put(record, key)

    def user(self, target: str, key: Hashable, record: str) -> None:
        """Send a user event to its subscribers."""
        links = self._subscribed.get((target, key), {})
        self._count(target, len(links))
        for link in links:
            link.put(record)

    def logout(self, hub: str) -> None:
        """Send GatewayLogout to every connection of a hub, or of both."""
        record = render.invocation(wire.LOGOUT_EVENT, "Another session has logged in.")
        for link in self.links:
            if hub in ("", link.hub):
                self._count(wire.LOGOUT_EVENT, 1)
                link.put(record)

    def ping(self, hub: str, payload: str) -> None:
        """Ask the adapters of a hub's connections for a WebSocket ping."""
        for link in self.links:
            if hub in ("", link.hub):
                link.ping(payload)

    def _count(self, target: str, n: int) -> None:
        self.sent[target] = self.sent.get(target, 0) + n

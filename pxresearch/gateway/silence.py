"""Silence that means something: of a connection, and of a contract whose market is open.

Pure. A user hub may be silent for hours; a contract in open hours may not, and a venue's market hub
has been seen to freeze for minutes while it looked connected.

I/O: none
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from pxresearch import sessions
from pxresearch.clock import NS
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.records import Stale

IsOpen = Callable[[str, int], bool]


def open_hours(directory: Directory) -> IsOpen:
    """Whether a contract trades at an instant, by the shipped session table.

    A product that the table does not have counts as closed: it cannot be traded either.
    """

    def is_open(contract_id: str, now: int) -> bool:
        named = directory.listing(contract_id).contract
        if named is None:
            return False
        return sessions.session(named, sessions.trading_day(now)).is_open(now)

    return is_open


class Silence:
    """Watches the contracts of one hub over all its connections.

    Parameters
    ----------
    is_open
        Whether a contract trades at an instant.
    stale_s
        Silence in open hours after which a contract is stale.
    frozen_s
        Silence of every open contract after which the hub is taken for frozen.
    """

    def __init__(self, is_open: IsOpen, *, stale_s: float, frozen_s: float) -> None:
        self._is_open, self._stale_s, self._frozen_s = is_open, stale_s, frozen_s
        self._seen: dict[str, int] = {}  # stamp of the last event that was noticed
        self._since: dict[str, int] = {}  # when the silence began to count, on `elapsed`
        self._stale: dict[str, int] = {}  # the same of those that are stale
        self.frozen = False

    @property
    def stale(self) -> tuple[str, ...]:
        """Contracts that are stale now."""
        return tuple(self._stale)

    def restart(self) -> None:
        """Count from now on: a connection has begun. What was stale is so until data comes."""
        self._seen.clear()
        self._since.clear()

    def look(
        self, contracts: Iterable[str], seen: Mapping[str, int], now: int, elapsed: int
    ) -> list[Stale]:
        """Events for contracts that have fallen silent, or speak again.

        Parameters
        ----------
        contracts
            That are subscribed.
        seen
            Stamp of the last event of each on this connection.
        now
            Ns UTC, for the open hours.
        elapsed
            Ns on a time line that never runs back.
        """
        wanted = tuple(contracts)
        for kept in (self._seen, self._since, self._stale):
            for gone in kept.keys() - set(wanted):
                del kept[gone]
        found: list[Stale] = []
        silent: list[float] = []
        for one in wanted:
            is_open, last = self._is_open(one, now), seen.get(one)
            spoke = last is not None and last != self._seen.get(one)
            if last is not None and spoke:
                self._seen[one] = last
                if one in self._stale:
                    silent_s = (elapsed - self._stale.pop(one)) / NS
                    found.append(Stale(contract_id=one, ts=now, silent_s=silent_s, fresh=True))
            if spoke or not is_open:  # the night does not count
                self._since[one] = elapsed
            since = self._since.setdefault(one, elapsed)
            if is_open:
                silent.append((elapsed - since) / NS)
                if silent[-1] >= self._stale_s and one not in self._stale:
                    self._stale[one] = since
                    found.append(Stale(contract_id=one, ts=now, silent_s=silent[-1]))
        self.frozen = bool(silent) and min(silent) >= self._frozen_s
        return found

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
        self._since: dict[str, int] = {}  # when the silence began to count
        self._stale: dict[str, int] = {}  # stale contracts, and since when they are silent
        self.frozen = False

    @property
    def stale(self) -> tuple[str, ...]:
        """Contracts that are stale now."""
        return tuple(self._stale)

    def restart(self) -> None:
        """Count from now on: a connection has begun. What was stale is so until data comes."""
        self._since.clear()

    def look(self, contracts: Iterable[str], seen: Mapping[str, int], now: int) -> list[Stale]:
        """Events for contracts that have fallen silent, or speak again.

        Parameters
        ----------
        contracts
            That are subscribed.
        seen
            Time of the last event of each on this connection.
        """
        found: list[Stale] = []
        wanted = tuple(contracts)
        silent: list[float] = []
        for one in wanted:
            last = seen.get(one, 0)
            if one in self._stale and last > self._stale[one]:
                silent_s = (last - self._stale.pop(one)) / NS
                found.append(Stale(contract_id=one, ts=last, silent_s=silent_s, fresh=True))
            if not self._is_open(one, now):
                self._since[one] = now  # the night does not count
                continue
            since = self._since[one] = max(self._since.get(one, now), last)
            silent.append((now - since) / NS)
            if silent[-1] >= self._stale_s and one not in self._stale:
                self._stale[one] = since
                found.append(Stale(contract_id=one, ts=now, silent_s=silent[-1]))
        for one in [one for one in self._stale if one not in wanted]:
            del self._stale[one]
        self._since = {one: at for one, at in self._since.items() if one in wanted}
        self.frozen = bool(silent) and min(silent) >= self._frozen_s
        return found

"""Ids of connections to come: given by negotiate, used once, good for some seconds.

I/O: none
"""

from __future__ import annotations

import hashlib
import itertools
from typing import Any

from pxresearch.clock import NS

_TRANSPORTS = [{"transport": "WebSockets", "transferFormats": ["Text", "Binary"]}]
HIGHEST = 1
OK, NOT_FOUND, CONFLICT = 200, 404, 409


class Negotiations:
    """The ids of both hubs.

    Parameters
    ----------
    seed
        Of the ids.
    life_s
        Seconds for which an id waits for its connection.
    """

    def __init__(self, seed: int, life_s: float) -> None:
        self._seed, self._life = seed, round(life_s * NS)
        self._numbers = itertools.count(1)
        self._waiting: dict[str, tuple[str, int]] = {}  # hub, and until when
        self._taken: set[str] = set()

    def answer(self, hub: str, version: str | None, now: int) -> dict[str, Any]:
        """Body of negotiate: for version 0 (or none asked for) without a connection token."""
        asked = int(version) if version and version.isascii() and version.isdigit() else 0
        number = next(self._numbers)
        connection_id = self._text("id", number)
        key, token = connection_id, {}
        if asked >= 1:
            key = self._text("token", number)
            token = {"connectionToken": key}
        self._waiting = {k: v for k, v in self._waiting.items() if v[1] > now}
        self._waiting[key] = hub, now + self._life
        return {
            "negotiateVersion": min(asked, HIGHEST), "connectionId": connection_id, **token,
            "availableTransports": _TRANSPORTS,
        }  # fmt: skip

    def take(self, hub: str, key: str, now: int) -> int:
        """Use an id for a connection: OK, NOT_FOUND, or CONFLICT when it is in use."""
        if key in self._taken:
            return CONFLICT
        known, until = self._waiting.get(key, ("", 0))
        if known != hub or until <= now:
            return NOT_FOUND
        del self._waiting[key]
        self._taken.add(key)
        return OK

    def give_back(self, key: str) -> None:
        """The connection of an id is over: the id is unknown from now on."""
        self._taken.discard(key)

    def _text(self, what: str, number: int) -> str:
        return hashlib.sha256(f"{what} {self._seed} {number}".encode()).hexdigest()[:22]

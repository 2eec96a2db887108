"""What the venue was asked and what it told, for tests and for people; secrets are left out.

I/O: none
"""

from __future__ import annotations

import itertools
import re
from collections import deque
from typing import Any

import msgspec

from pxresearch.gateway import wire
from pxresearch.simulator.messages import Delivery, HttpRequest
from pxresearch.simulator.tamper import Outgoing

KEPT = 100_000  # entries
_SECRET = re.compile(
    r'("(?:apiKey|password|verifyKey|token|newToken)"\s*:\s*)"(?:[^"\\]|\\.)*"?', re.IGNORECASE
)
_LONGEST = 4_000  # characters of a body


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One request with its answer, or one user event."""

    number: int
    ts: int
    kind: str
    what: str
    body: str = ""
    status: int | None = None
    answer: str = ""
    faults: list[str] = []
    ending: str = ""
    seen: bool = True


class Log:
    """The newest entries, in order."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._numbers = itertools.count(1)

    def request(
        self, now: int, request: HttpRequest, delivery: Delivery, faults: list[str], *, seen: bool
    ) -> None:
        """Note a request; `seen` tells whether it reached the venue."""
        response = delivery.response
        asked, answered = _shown(request.body), _shown(response.body)
        self._entries.append(
            Entry(
                number=next(self._numbers), ts=now, kind="request", what=request.path, body=asked,
                status=response.status, answer=answered, faults=faults, ending=delivery.ending,
                seen=seen,
            )
        )  # fmt: skip

    def event(self, now: int, sent: Outgoing) -> None:
        """Note a user event."""
        body = wire.encode({"action": sent.action, "data": sent.data}).decode()
        self._entries.append(Entry(next(self._numbers), now, "event", sent.target, body))

    def trouble(self, now: int, what: str, text: str) -> None:
        """Note a fault that could not happen."""
        self._entries.append(Entry(next(self._numbers), now, "trouble", what, text))

    def since(self, number: int = 0, kind: str = "", what: str = "") -> list[dict[str, Any]]:
        """Entries after a number, of a kind, about a path or target."""
        return [
            msgspec.to_builtins(one)
            for one in self._entries
            if one.number > number
            and kind in ("", one.kind)
            and one.what.lower().endswith(what.lower())
        ]


def _shown(body: bytes) -> str:
    """Start of a body, secrets blotted out, a half one at the cut too."""
    return _SECRET.sub(r'\1"***"', body[:_LONGEST].decode("utf-8", "replace"))

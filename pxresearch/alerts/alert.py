"""An alert: what a person has to hear of.

I/O: none
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Level(StrEnum):
    """How bad it is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


_RANKS: dict[str, int] = {level: rank for rank, level in enumerate(Level)}


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One alert.

    Attributes
    ----------
    ts
        When what it tells of happened, ns UTC.
    kind
        What it is about, for example ``"connection"``; see `pxresearch.monitor.Topic`.
    level
        A `Level`, or its name; any other counts as a warning.
    title
        One line, which says it all to who reads no further.
    text
        The numbers, and what to do.
    key
        Alerts about the same thing have the same.
    """

    ts: int
    kind: str
    level: str
    title: str
    text: str
    key: str

    @property
    def rank(self) -> int:
        """How much it matters; 0 is least."""
        return _RANKS.get(self.level, _RANKS[Level.WARNING])

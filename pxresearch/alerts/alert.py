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

    @classmethod
    def of(cls, name: str) -> Level:
        """Level of that name; WARNING for any other, for no alert is lost over a slip."""
        return cls(name) if name in set(cls) else cls.WARNING

    @property
    def rank(self) -> int:
        """0 for what matters least."""
        return list(Level).index(self)


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One alert.

    Attributes
    ----------
    ts
        When what it tells of happened, ns UTC.
    kind
        What it is about, for example ``"connection"``; see `pxresearch.monitor.Topic`.
    level
        A `Level`, or its name.
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

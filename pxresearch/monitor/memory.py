"""What the monitor remembers, so that each thing is told once: spells, steps and gatherings.

Times are ns UTC.

I/O: none
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Sequence

import msgspec

from pxresearch.alerts.alert import Alert, Level
from pxresearch.clock import NS

Key = tuple[str, str]
"""Topic and subject of a trouble."""


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """A state that is bad while it lasts.

    Attributes
    ----------
    subject
        What of the topic's things it is, for example a contract; empty where there is one.
    over
        The title of the alert that tells of its end.
    after_s
        It has to last so long before it is told, seconds.
    sick
        The session itself is not sound: the heartbeat stays out.
    """

    topic: str
    subject: str = ""
    level: Level
    title: str
    text: str
    over: str
    after_s: float = 0.0
    sick: bool = False

    @property
    def key(self) -> Key:
        """What it is, whatever its numbers are."""
        return self.topic, self.subject


class _Spell:
    __slots__ = ("since", "told", "trouble")

    def __init__(self, since: int, trouble: Trouble) -> None:
        self.since, self.told, self.trouble = since, False, trouble


class Spells:
    """Troubles that last: told when they have lasted long enough, and when they are over.

    What was over before it was told is never told.
    """

    def __init__(self) -> None:
        self._open: dict[Key, _Spell] = {}

    def see(
        self, now: Iterable[Trouble], ts: int, held: Collection[Key] = ()
    ) -> tuple[list[Trouble], list[tuple[Trouble, float]]]:
        """Take note of every trouble there is.

        Parameters
        ----------
        now
            All of them.
        ts
            Now, ns UTC.
        held
            Of these nobody can say whether they are over.

        Returns
        -------
        list of Trouble
            Those to be told now.
        list of tuple of Trouble and float
            Those that were told and are over, and how long they lasted, seconds.
        """
        present = {trouble.key: trouble for trouble in now}
        begun: list[Trouble] = []
        for key, trouble in present.items():
            spell = self._open.setdefault(key, _Spell(ts, trouble))
            spell.trouble = trouble
            if not spell.told and (ts - spell.since) / NS >= trouble.after_s:
                spell.told = True
                begun.append(trouble)
        over = [self._open.pop(key) for key in set(self._open) - set(present) - set(held)]
        ended = [(spell.trouble, (ts - spell.since) / NS) for spell in over if spell.told]
        return begun, sorted(ended, key=lambda one: one[0].key)

    def drop(self, key: Key) -> None:
        """Forget one without a word: it does not matter any more."""
        self._open.pop(key, None)

    @property
    def told(self) -> list[Trouble]:
        """Those that were told and last."""
        return [spell.trouble for spell in self._open.values() if spell.told]


class Steps:
    """Thresholds on a way that leads to something bad, each told once."""

    def __init__(self) -> None:
        self._told: dict[Hashable, int] = {}

    def reach(self, key: Hashable, passed: Sequence[bool]) -> int | None:
        """Index of the furthest step that is passed; None when it, or a further one, was told.

        A jump over several tells the furthest alone.
        """
        furthest = max((i for i, one in enumerate(passed) if one), default=-1)
        if furthest <= self._told.get(key, -1):
            return None
        self._told[key] = furthest
        return furthest


class _Gathered:
    __slots__ = ("count", "last", "until")

    def __init__(self, until: int) -> None:
        self.until, self.count = until, 0
        self.last: Alert | None = None


class Gathering:
    """Lets the first of its kind through, and counts those that follow shortly.

    Parameters
    ----------
    window_s
        For how long they are counted, seconds.
    """

    def __init__(self, window_s: float) -> None:
        self._window_s, self._window = window_s, round(window_s * NS)
        self._open: dict[str, _Gathered] = {}

    def take(self, alert: Alert) -> list[Alert]:
        """What is to be said of an alert now: itself, or nothing yet."""
        said = self.due(alert.ts)
        gathered = self._open.get(alert.key)
        if gathered is None:
            self._open[alert.key] = _Gathered(alert.ts + self._window)
            return [*said, alert]
        gathered.count, gathered.last = gathered.count + 1, alert
        return said

    def due(self, ts: int | None) -> list[Alert]:
        """What was counted in the windows that are over at `ts`; in all of them, for None."""
        said: list[Alert] = []
        for key, gathered in list(self._open.items()):
            if ts is not None and ts < gathered.until:
                continue
            del self._open[key]
            if gathered.last is not None:
                said.append(self._counted(gathered.last, gathered.count))
                self._open[key] = _Gathered(gathered.until + self._window)
        return said

    def _counted(self, last: Alert, count: int) -> Alert:
        return msgspec.structs.replace(
            last, title=f"{last.title} ({count:,} more)",
            text=f"{count:,} more within {self._window_s:g} s. The last: {last.text}",
        )  # fmt: skip

"""Whether what cannot be believed once is so after all: several events in a row, over seconds.

I/O: none
"""

from __future__ import annotations

from collections.abc import Callable

from pxresearch.clock import NS

EVENTS = 3
NS_APART = 3 * NS  # from the first of them to the one that is believed


class Agreement:
    """Events that say the same, as far as `near` calls two levels the same."""

    def __init__(self, near: Callable[[int, int], bool]) -> None:
        self._near = near
        self._level, self._agreed, self._since = 0, 0, 0

    def reached(self, level: int, now: int) -> bool:
        """Take an event in, at `now` (ns UTC); True once enough have said so for long enough."""
        if not self._agreed or not self._near(level, self._level):
            self._level, self._agreed, self._since = level, 0, now
        self._agreed += 1
        return self._agreed >= EVENTS and now - self._since >= NS_APART

    def broken(self) -> None:
        """Something else was believed: begin again."""
        self._agreed = 0

"""What waits to be sent on one connection: bounded, and never the reason for a lost trade.

When it is full, quotes and depth of a contract shrink to one record that tells how things are at
the moment it is sent. Trades, user events and the protocol's own records stay.

I/O: none
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable

OWN = "own"  # a record of the protocol itself
KEPT = "kept"  # data that must not be left out


class Outbox:
    """Records for one connection.

    Parameters
    ----------
    limit
        Records from which on quotes and depth are replaced by their newest state.
    newest
        Records of that state, by key.
    """

    def __init__(self, limit: int, newest: Callable[[Hashable], list[str]]) -> None:
        self._limit, self._newest = limit, newest
        self._waiting: deque[tuple[Hashable, str | None]] = deque()
        self._marked: set[Hashable] = set()  # keys whose newest state will be sent
        self._shrink_at = limit
        self.left_out = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether it is full although everything that can shrink has shrunk."""
        return self._shrink_at > self._limit

    def put(self, text: str, key: Hashable = KEPT) -> None:
        """Add a record; with any key but `OWN` and `KEPT` a newer state of it can replace it."""
        if key in self._marked:
            self.left_out += 1
            return
        self._waiting.append((key, text))
        if len(self._waiting) >= self._shrink_at:
            self._shrink()

    def take(self, most: int) -> list[str]:
        """Remove up to so many records, in order."""
        taken: list[str] = []
        waiting = self._waiting
        while waiting and len(taken) < most:
            key, text = waiting.popleft()
            if text is None:
                self._marked.discard(key)
                taken.extend(self._newest(key))
            else:
                taken.append(text)
        if len(waiting) < self._limit:
            self._shrink_at = self._limit
        return taken

    def clear(self, *, data_only: bool = False) -> None:
        """Leave everything out, or all but the protocol's own records."""
        kept = [one for one in self._waiting if data_only and one[0] == OWN]
        self.left_out += len(self._waiting) - len(kept)
        self._waiting = deque(kept)
        self._marked.clear()

    def _shrink(self) -> None:
        """Keep one mark per key, at the place of its last record."""
        self._marked.clear()
        kept: deque[tuple[Hashable, str | None]] = deque()
        for key, text in reversed(self._waiting):
            if key in (OWN, KEPT):
                kept.appendleft((key, text))
            elif key not in self._marked:
                self._marked.add(key)
                kept.appendleft((key, None))
        self.left_out += len(self._waiting) - len(kept)
        self._waiting = kept
        # Not again until as many more have come: shrinking walks the whole queue.
        self._shrink_at = self._limit if len(kept) < self._limit else 2 * len(kept)

"""Why nothing that adds exposure passes: reasons come and go, the engine is told of each change.

I/O: none
"""

from __future__ import annotations

from pxresearch.core import records as r


class Gate:
    """The bits of the engine's ``blocked``, with a word for each.

    Attributes
    ----------
    mask
        The bits that are set.
    """

    def __init__(self) -> None:
        self.mask = 0
        self._words: dict[int, str] = {}
        self.since: dict[int, int] = {}

    def set(self, bit: int, active: object, now: int, words: str = "") -> bool:
        """Set or clear a reason; True when that changed something."""
        before = self.mask
        if active:
            self.mask |= bit
            self._words[bit] = words
            self.since.setdefault(bit, now)
        else:
            self.mask &= ~bit
            self.since.pop(bit, None)
        return self.mask != before

    def age_s(self, bit: int, now: int) -> float:
        """How long a reason has stood, seconds; 0 when it does not."""
        return (now - self.since[bit]) / 1e9 if bit in self.since else 0.0

    @property
    def reasons(self) -> tuple[str, ...]:
        """Every reason, in words."""
        found = []
        for index, text in enumerate(r.BLOCKS):
            if self.mask & (1 << index):
                more = self._words.get(1 << index, "")
                found.append(f"{text}: {more}" if more else text)
        return tuple(found)

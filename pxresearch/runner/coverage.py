"""How much of a trading day's hours a session was running and fed.

The hours are those in which any contract of the session may be traded: from its open to its flatten
time, without pauses. Only whole spans between two looks count, so what nobody saw is not covered.

I/O: none
"""

from __future__ import annotations

from collections.abc import Sequence

from pxresearch.clock import NS

Span = tuple[int, int]


def merged(spans: Sequence[Span]) -> list[Span]:
    """Spans without overlap, in order; empty ones left out."""
    found: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def length(spans: Sequence[Span]) -> int:
    """Sum of their lengths."""
    return sum(end - start for start, end in spans)


class Coverage:
    """Covered time of one day.

    Parameters
    ----------
    hours
        The day's trading hours, ns UTC.
    covered_ns
        What an earlier run of the same day has covered.
    most_gap_s
        Two looks that are further apart have nothing covered between them.
    """

    def __init__(
        self, hours: Sequence[Span], covered_ns: int = 0, most_gap_s: float = 30.0
    ) -> None:
        self._hours = merged(hours)
        self._covered = covered_ns
        self._most = round(most_gap_s * NS)
        self._last: int | None = None
        self._fed = False

    @property
    def hours_s(self) -> float:
        """Length of the trading hours."""
        return length(self._hours) / NS

    @property
    def covered_ns(self) -> int:
        """Covered so far."""
        return self._covered

    @property
    def covered_s(self) -> float:
        """The same in seconds."""
        return self._covered / NS

    def look(self, now: int, fed: bool) -> None:
        """Note whether the session runs and is fed at an instant, ns UTC."""
        last, was = self._last, self._fed
        self._last, self._fed = now, fed
        if last is None or not (fed and was) or not 0 < now - last <= self._most:
            return
        for start, end in self._hours:
            self._covered += max(0, min(end, now) - max(start, last))

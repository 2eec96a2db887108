"""Times in numbers that a person can judge: percentiles and a histogram.

Times are float seconds in, milliseconds out.

I/O: none
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

import msgspec

BOUNDS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)
"""Upper bounds of the classes; what is above the last has a class of its own."""
_BAR = 30  # characters of the longest


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Percentiles (ms, nearest rank) and the number of samples in each class of `BOUNDS_MS`."""

    count: int
    p50: float
    p95: float
    max: float
    classes: tuple[int, ...]

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Latency | None:
        """Of some samples; None without any.

        Examples
        --------
        >>> found = Latency.of([0.003, 0.001, 0.002])
        >>> (found.p50, found.max, found.classes[:4])
        (2.0, 3.0, (1, 1, 1, 0))
        """
        ordered = sorted(one * 1e3 for one in seconds)
        if not ordered:
            return None
        classes = [0] * (len(BOUNDS_MS) + 1)
        for one in ordered:
            classes[bisect_left(BOUNDS_MS, one)] += 1
        p50, p95 = (ordered[-(-len(ordered) * share // 100) - 1] for share in (50, 95))
        return cls(
            count=len(ordered), p50=round(p50, 3), p95=round(p95, 3), max=round(ordered[-1], 3),
            classes=tuple(classes),
        )  # fmt: skip

    def __str__(self) -> str:
        return f"p50 {self.p50:.1f} ms, p95 {self.p95:.1f}, max {self.max:.1f} ({self.count})"

    def chart(self) -> list[str]:
        """One line for each class between the first and the last that has samples."""
        held = [at for at, count in enumerate(self.classes) if count]
        names = [f"to {bound:,} ms" for bound in BOUNDS_MS] + [f"over {BOUNDS_MS[-1]:,} ms"]
        most = max(self.classes)
        return [
            f"{names[at]:>13}  {self.classes[at]:>5}  "
            f"{'#' * -(-self.classes[at] * _BAR // most)}".rstrip()
            for at in range(held[0], held[-1] + 1)
        ]

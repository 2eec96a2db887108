"""Intervals for small samples: Wilson for a rate, a percentile bootstrap for a mean.

Both are 95 % intervals. The bootstrap draws with a fixed seed, so the same fills give the same
figures on every machine and every run.

Sources: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
J. Am. Stat. Assoc. 22 (1927) 209-212; B. Efron, R. Tibshirani, "An Introduction to the Bootstrap"
(1993), chapter 13 (the percentile interval).

I/O: none
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

CONFIDENCE = 0.95
RESAMPLES = 4_000
SEED = 20_260_914
LEAST = 5
"""Fewer values than this say nothing about a mean: the interval is then unbounded."""

_Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
_AT_ONCE = 1 << 20  # numbers drawn at a time, so that many values need no more memory


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Wilson score interval of a rate; 0 to 1 without any case.

    Examples
    --------
    >>> [round(x, 3) for x in wilson(9, 10)]
    [0.596, 0.982]
    """
    if n == 0:
        return 0.0, 1.0
    rate, z2 = hits / n, _Z * _Z
    middle = rate + z2 / (2 * n)
    spread = _Z * math.sqrt(rate * (1 - rate) / n + z2 / (4 * n * n))
    low, high = (middle - spread) / (1 + z2 / n), (middle + spread) / (1 + z2 / n)
    return (0.0 if hits == 0 else low), (1.0 if hits == n else high)


def bootstrap(values: Sequence[float]) -> tuple[float, float]:
    """Percentile interval of the mean; without a bound for fewer than :data:`LEAST` values."""
    n = len(values)
    if n < LEAST:
        return -math.inf, math.inf
    data = np.asarray(values, dtype=np.float64)
    rng = np.random.Generator(np.random.PCG64(SEED))
    rows = max(_AT_ONCE // n, 1)
    means = np.concatenate([
        data[rng.integers(0, n, (min(rows, RESAMPLES - done), n))].mean(axis=1)
        for done in range(0, RESAMPLES, rows)
    ])  # fmt: skip
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, (tail, 1 - tail))
    return float(low), float(high)

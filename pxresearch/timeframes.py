"""Timeframes by name: "30s", "1m", "4h", "1d", "500t", "1000v", "8r".

I/O: none
"""

from __future__ import annotations

import re

from pxresearch.core.records import RANGE_BARS, SESSION_BARS, TICK_BARS, TIME_BARS, VOLUME_BARS
from pxresearch.errors import UsageError

_NS = {"s": 1_000_000_000, "m": 60_000_000_000, "h": 3_600_000_000_000}
_COUNTS = {"t": TICK_BARS, "v": VOLUME_BARS, "r": RANGE_BARS}


def parse_timeframe(text: str) -> tuple[int, int]:
    """Kind and period of a timeframe.

    Returns
    -------
    tuple
        Kind (`TIME_BARS`, ...) and period: ns, ticks (events), contracts, or ticks of range.

    Raises
    ------
    UsageError
        Not a timeframe.

    Examples
    --------
    >>> parse_timeframe("5m")
    (0, 300000000000)
    """
    match = re.fullmatch(r"([1-9][0-9]{0,8})([smhdtvr])", str(text))
    if match:
        count, unit = int(match[1]), match[2]
        if unit in _NS:
            return TIME_BARS, count * _NS[unit]
        if unit in _COUNTS:
            return _COUNTS[unit], count
        if count == 1:
            return SESSION_BARS, 1
    raise UsageError(
        f"timeframe {text!r} is not known; allowed: seconds '30s', minutes '1m', hours '4h', "
        "the session '1d', events '500t', volume '1000v', range in ticks '8r'"
    )

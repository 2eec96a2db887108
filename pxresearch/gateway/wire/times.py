"""Times of the API, as ns UTC.

I/O: none
"""

from __future__ import annotations

import calendar
import re
from time import gmtime

from pxresearch.errors import NotUnderstood

_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:?\d\d)?",
    re.ASCII,
)
_seconds: dict[str, int] = {}  # the last few seconds' texts, with their ns
_SCALE = [10 ** (9 - digits) for digits in range(10)]


def to_ns(text: str) -> int:
    """Nanoseconds UTC of a time of the API; without an offset it is UTC.

    Raises
    ------
    NotUnderstood
        Not a time.

    Examples
    --------
    >>> to_ns("2026-10-01T14:30:00.1234567+00:00")
    1790865000123456700
    """
    start = _seconds.get(text[:19])
    if start is not None and text[19:20] == "." and text[-6:] == "+00:00":
        digits = text[20:-6]
        if digits.isdecimal() and digits.isascii() and len(digits) <= 9:
            return start + int(digits) * _SCALE[len(digits)]
    match = _TIME.fullmatch(text)
    if match is None:
        raise NotUnderstood(f"{text!r} is not a time such as 2026-10-01T14:30:00+00:00")
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    if not (
        1 <= month <= 12
        and 1 <= day <= calendar.monthrange(year, month)[1]
        and hour < 24
        and minute < 60
        and second < 61  # a leap second
    ):
        raise NotUnderstood(f"{text!r} is not a time that exists")
    whole = calendar.timegm((year, month, day, hour, minute, 0))
    offset = match[8]
    if offset in (None, "Z", "+00:00"):
        if len(_seconds) > 64:
            _seconds.clear()
        _seconds[text[:19]] = (whole + second) * 10**9
    else:
        sign = -1 if offset[0] == "-" else 1
        whole -= sign * (int(offset[1:3]) * 3600 + int(offset[-2:]) * 60)
    return (whole + second) * 10**9 + int((match[7] or "").ljust(9, "0") or 0)


def to_iso(ns: int, digits: int = 7) -> str:
    """Text of a time as the gateway writes it, with so many decimals of the second.

    Examples
    --------
    >>> to_iso(1790865000123456700)
    '2026-10-01T14:30:00.1234567+00:00'
    """
    seconds, part = divmod(ns, 10**9)
    y, mo, d, h, mi, s = gmtime(seconds)[:6]
    fraction = f".{part:09d}"[: digits + 1] if digits else ""
    return f"{y:04d}-{mo:02d}-{d:02d}T{h:02d}:{mi:02d}:{s:02d}{fraction}+00:00"

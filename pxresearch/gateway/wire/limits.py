"""Limits of the API.

I/O: none
"""

from __future__ import annotations

BUDGET, BUDGET_SECONDS = 200, 60
BAR_BUDGET, BAR_BUDGET_SECONDS = 50, 30
MAX_BARS = 20_000  # rows of one retrieveBars
MAX_PAGE = 100  # rows of one v2/query
MIN_BRACKET_TICKS, MAX_BRACKET_TICKS = 4, 1000
MAX_TRAIL_TICKS = 1000
MAX_TAG = 60  # characters; the venue appends -SL and -TP
TOKEN_SECONDS = 24 * 3600
STOP_SUFFIX, TARGET_SUFFIX = "-SL", "-TP"

"""How long a live broker waits for what.

I/O: none
"""

from __future__ import annotations

import msgspec


class LiveSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds.

    Attributes
    ----------
    late_s
        An entry is not sent any more so long after what it was decided on: the feed or the disk
        was slow, or the events had to wait while the account was read.
    exit_s
        How long an order that reduces waits for the journal; then it is sent all the same.
    unknown_fill_s
        How long a fill waits for its order before the venue is asked for it.
    doubt_s
        After a restart: how long an order that the venue does not show may still turn up.
    flatten_s
        Limit of one attempt to get flat; attempts follow one another until it is.
    """

    late_s: float = 2.0
    exit_s: float = 0.1
    unknown_fill_s: float = 1.0
    doubt_s: float = 30.0
    flatten_s: float = 60.0

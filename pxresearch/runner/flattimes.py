"""The flatten time of each contract: the venue is asked, whatever the engine thinks it holds.

It is asked at that time, some times more until the firm's own limit, and whenever something is open
afterwards: what a person opens in the platform then is closed as well.

I/O: through the broker.
"""

from __future__ import annotations

from pxresearch.clock import NS
from pxresearch.runner import look
from pxresearch.runner.session import Session

AGAIN_NS = 30 * NS  # a fill whose every event was lost is found so long after it at most
ASKED_NS = 180 * NS  # from the flatten time on


class FlattenTimes:
    """The flatten times of one session's day."""

    def __init__(self, session: Session) -> None:
        self._s = session
        self._asked: dict[int, int] = {}

    def look(self, now: int) -> None:
        """Flatten at the venue what has to be flat now; the account has been read."""
        s = self._s
        if s.venue is None:
            return
        for k, at in enumerate(look.flatten_times(s.engine, s.day.date)):
            if not at or now < at or k in s.venue.flattening:
                continue
            last = self._asked.get(k)
            due = last is None or (now < at + ASKED_NS and now - last >= AGAIN_NS)
            if due or self._open(k):
                self._asked[k] = now
                s.venue.flatten(k)

    def new_day(self) -> None:
        """Another trading day has begun."""
        self._asked.clear()

    def _open(self, k: int) -> bool:
        mirror, contract_id = self._s.mirror, self._s.listings[k].id
        return mirror is not None and (
            mirror.position(contract_id) != 0
            or any(order.contract_id == contract_id for order in mirror.working)
        )

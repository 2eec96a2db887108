"""When the simulated venue takes orders: the session calendar, or always.

An instrument is in an active trading status from its open to the earliest of pause, close and the
day's flat-by time (15:10 Chicago or the early cut-off).

I/O: none
"""

from __future__ import annotations

from pxresearch.instruments import Instrument
from pxresearch.sessions import Session, may_open, session, trading_day


class Hours:
    """The calendar, with today's sessions at hand."""

    def __init__(self, always_open: bool) -> None:
        self.always_open = always_open
        self._spans: dict[str, tuple[int, int]] = {}  # by group, a span that is open throughout

    def is_open(self, product: Instrument, now: int) -> bool:
        """Whether orders in the product are taken and matched."""
        if self.always_open:
            return True
        start, end = self._spans.get(product.group, (0, 0))
        if start <= now < end:
            return True
        if not may_open(now, product):
            return False
        self._spans[product.group] = _span(session(product, trading_day(now)), now)
        return True


def _span(today: Session, now: int) -> tuple[int, int]:
    end = min(today.deadline, today.close)
    return now, min(end, today.pause_from) if now < today.pause_from else end

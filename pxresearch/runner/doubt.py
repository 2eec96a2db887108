"""A price that cannot be one: passed over, unless the market stays there.

One senseless quote (a bid of 0 in an empty book) would be a loss beyond every limit, and close the
position and the day. So a price far from the last believed one waits: where a quote's other side is
near it counts as missing, and else it is believed once events agree on the new level (`agreement`).
Stops that work at the venue do not wait for this.

Prices are ticks, times ns UTC.

I/O: none
"""

from __future__ import annotations

from pxresearch.core.records import NO_ASK, NO_BID
from pxresearch.runner.agreement import Agreement

FAR = 10
"""Percent of the last price; the daily limits of equity index futures begin at 7."""
LEAST_TICKS = 100  # and no less than this, for prices near zero


class Doubt:
    """The prices of one contract.

    Attributes
    ----------
    last
        The last that was believed, ticks; None before the first.
    passed
        How many events were not believed, or not as a whole.
    """

    def __init__(self) -> None:
        self.last: int | None = None
        self.passed = 0
        self._elsewhere = Agreement(_near)

    def take(self, bid: int | None, ask: int | None, now: int) -> tuple[int | None, int | None]:
        """What is believed of a quote; a trade is one with one side. None: nothing of that side."""
        told = [price for price in (bid, ask) if price is not None]
        sides = [price for price in told if NO_BID < price < NO_ASK]  # the core knows no others
        last = self.last
        near = [price for price in sides if last is None or _near(price, last)]
        if len(near) < len(told):
            if sides and not near and self._elsewhere.reached(sum(sides) // len(sides), now):
                near = sides
            else:
                self.passed += 1
        if near:
            self.last = sum(near) // len(near)
            self._elsewhere.broken()
        return bid if bid in near else None, ask if ask in near else None


def _near(price: int, level: int) -> bool:
    return abs(price - level) <= max(LEAST_TICKS, abs(level) * FAR // 100)

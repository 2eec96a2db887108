"""What an open position was worth when it was entered and what it has gained, exact or not at all.

I/O: none
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

from pxresearch.gateway.contracts import Listing
from pxresearch.gateway.records import Fill, Quote

_ROUNDED = Fraction(1, 100)  # of a tick: what a venue's printed average may have lost


def by_fills(fills: Iterable[Fill]) -> int:
    """Ticks times signed contracts of what is open, first in first out, as the core counts it.

    Parameters
    ----------
    fills
        All of one contract since it was flat; voided ones do not count.
    """
    lots: deque[tuple[int, int]] = deque()  # price, signed contracts
    for fill in sorted((f for f in fills if not f.voided), key=lambda f: (f.ts, f.id)):
        left = fill.side * fill.qty
        while left and lots and lots[0][1] * left < 0:
            price, qty = lots.popleft()
            if abs(qty) > abs(left):
                lots.appendleft((price, qty + left))
                left = 0
            else:
                left += qty
        if left:
            lots.append((fill.price, left))
    return sum(price * qty for price, qty in lots)


def by_average(average: Decimal, qty: int, listing: Listing) -> int | None:
    """Signed micro-dollars of `qty` contracts at a venue's average price; None if it is inexact.

    An average off the grid is read as the whole number of ticks that it comes from when it lies
    within a hundredth of a tick of one, else it must give whole micro-dollars by itself.
    """
    ticks = Fraction(average) * abs(qty) / listing.tick
    if abs(ticks - round(ticks)) < _ROUNDED:
        ticks = Fraction(round(ticks))
    value = ticks * listing.tick_value
    if value.denominator != 1:
        return None
    return value.numerator if qty > 0 else -value.numerator


def profit(qty: int, entered: int | None, quote: Quote | None, listing: Listing) -> int | None:
    """Open profit of signed contracts, micro-dollars, at the exit side; None without a price.

    Parameters
    ----------
    entered
        Signed value at entry, micro-dollars.
    """
    if entered is None or quote is None:
        return None
    mark = quote.bid if qty > 0 else quote.ask
    return None if mark is None else qty * mark * listing.tick_value - entered

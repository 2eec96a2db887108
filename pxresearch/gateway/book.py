"""The order book of one contract out of depth, quotes and trades.

The hub sends a snapshot after a subscription (it begins with a reset) and then changes by level.
What a depth item's `volume` means is not settled at the venue; it is taken as what rests at the
level afterwards, and 0 as an empty level (reference: gateway API 5.3). A quote, which has prices
and no sizes, is the better word on the best prices: levels beyond it are dropped.

Units: prices in ticks, sizes in contracts.

I/O: none
"""

from __future__ import annotations

import hashlib

from pxresearch.gateway.records import Depth, Quote, Trade
from pxresearch.gateway.wire import DepthType

_BIDS = {DepthType.BID, DepthType.BEST_BID, DepthType.NEW_BEST_BID}
_ASKS = {DepthType.ASK, DepthType.BEST_ASK, DepthType.NEW_BEST_ASK}
_BEST = {
    DepthType.BEST_BID, DepthType.NEW_BEST_BID, DepthType.BEST_ASK, DepthType.NEW_BEST_ASK,
}  # fmt: skip
Level = tuple[int, int]


class Book:
    """Levels, imbalance and cumulative delta of a contract.

    Attributes
    ----------
    delta
        Contracts bought minus contracts sold by aggressors since the book was made.
    unknown
        Depth items of a kind that nobody knows; they change nothing.

    Examples
    --------
    >>> book = Book()
    >>> book.apply(Depth(contract_id="C", ts=0, received=0, type=2, price=100, size=7))
    >>> book.apply(Depth(contract_id="C", ts=0, received=0, type=1, price=101, size=3))
    >>> book.best_bid, book.best_ask, book.imbalance()
    ((100, 7), (101, 3), 0.4)
    """

    def __init__(self) -> None:
        self.delta = 0
        self.unknown = 0
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}

    # ------------------------------------------------------------ events
    def apply(self, event: Depth | Quote | Trade) -> None:
        """Take an event of the contract in."""
        if isinstance(event, Depth):
            self._depth(event)
        elif isinstance(event, Quote):
            self._quote(event)
        else:
            self.delta += event.side * event.size

    def _depth(self, event: Depth) -> None:
        kind = DepthType(event.type)
        if kind is DepthType.RESET:
            self._bids.clear()
            self._asks.clear()
        elif kind in _BIDS:
            self._set(self._bids, event, better=kind in _BEST, sign=1)
        elif kind in _ASKS:
            self._set(self._asks, event, better=kind in _BEST, sign=-1)
        elif kind in (DepthType.UNKNOWN, DepthType.NONE):
            self.unknown += 1

    def _set(self, levels: dict[int, int], event: Depth, *, better: bool, sign: int) -> None:
        if event.size > 0:
            levels[event.price] = event.size
        else:
            levels.pop(event.price, None)
        if better:
            _drop_beyond(levels, event.price, sign)

    def _quote(self, event: Quote) -> None:
        if event.bid is not None:
            _drop_beyond(self._bids, event.bid, 1)
        if event.ask is not None:
            _drop_beyond(self._asks, event.ask, -1)

    # ------------------------------------------------------------ looking
    @property
    def best_bid(self) -> Level | None:
        """Price and size of the highest bid."""
        return max(self._bids.items(), default=None)

    @property
    def best_ask(self) -> Level | None:
        """Price and size of the lowest ask."""
        return min(self._asks.items(), default=None)

    def levels(self, n: int = 10) -> tuple[list[Level], list[Level]]:
        """The best `n` levels of each side, best first: bids, asks."""
        return sorted(self._bids.items(), reverse=True)[:n], sorted(self._asks.items())[:n]

    def imbalance(self, n: int = 5) -> float | None:
        """(bids - asks) / (bids + asks) over the best `n` levels; None for an empty book."""
        bids, asks = (sum(size for _, size in side) for side in self.levels(n))
        return (bids - asks) / (bids + asks) if bids + asks else None

    @property
    def microprice(self) -> float | None:
        """Middle of the best prices weighted by the size opposite, ticks; None if one-sided."""
        bid, ask = self.best_bid, self.best_ask
        if bid is None or ask is None:
            return None
        return (bid[0] * ask[1] + ask[0] * bid[1]) / (bid[1] + ask[1])

    @property
    def digest(self) -> str:
        """Hash of every level and the delta: two books with one digest are the same."""
        text = f"{sorted(self._bids.items())}{sorted(self._asks.items())}{self.delta}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _repr_html_(self) -> str:
        bids, asks = self.levels(10)
        rows = [("", price, size) for price, size in reversed(asks)]
        rows += [(size, price, "") for price, size in bids]
        body = "".join(f"<tr><td>{b}</td><th>{p}</th><td>{a}</td></tr>" for b, p, a in rows)
        return f"<table><tr><th>bid</th><th>ticks</th><th>ask</th></tr>{body}</table>"

    def __repr__(self) -> str:
        return f"Book(bid={self.best_bid}, ask={self.best_ask}, delta={self.delta:+d})"


def _drop_beyond(levels: dict[int, int], best: int, sign: int) -> None:
    for price in [p for p in levels if (p - best) * sign > 0]:
        del levels[price]

"""A second exchange, slow and plain: the fill rules of docs/engine.md section 3 and a FIFO ledger.

Written from the documents alone, in fractions of dollars; it shares nothing with the package. One
account, one contract; orders fill whole. Limits fill through, stops trigger on trades.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

WORKING, FILLED, CANCELED, WAITING = "working", "filled", "canceled", "waiting"


@dataclass
class Ledger:
    """Fills in; position, realized profit and balance out. Money in dollars."""

    balance: Fraction
    point: Fraction  # dollars a point
    cost: Fraction  # a contract and side
    lots: list[list[Any]] = field(default_factory=list)  # [signed contracts, price]

    @property
    def position(self) -> int:
        return sum(lot[0] for lot in self.lots)

    @property
    def average(self) -> Fraction | None:
        held = self.position
        return sum((lot[0] * lot[1] for lot in self.lots), Fraction(0)) / held if held else None

    def fill(self, side: int, qty: int, price: Fraction) -> Fraction | None:
        """Book a fill; gross profit of what it closed, None when it closed nothing."""
        self.balance -= qty * self.cost
        gross: Fraction | None = None
        while qty and self.lots and (self.lots[0][0] > 0) != (side > 0):
            held, entry = self.lots[0]
            n = min(qty, abs(held))
            gross = (gross or Fraction(0)) + -side * n * (price - entry) * self.point
            self.lots[0][0] += side * n
            qty -= n
            if self.lots[0][0] == 0:
                self.lots.pop(0)
        if qty:
            self.lots.append([side * qty, price])
        self.balance += gross or 0
        return gross


@dataclass
class Order:
    """An order; `stop_off` and `target_off` are signed ticks of its legs, 0 for none."""

    key: int
    side: int
    qty: int
    kind: str
    limit: Fraction | None = None
    stop: Fraction | None = None
    trail: Fraction | None = None
    best: Fraction | None = None
    stop_off: int = 0
    target_off: int = 0
    state: str = WORKING
    price: Fraction | None = None
    triggered: bool = False
    sibling: Order | None = None
    made_at: int = -1


class Venue:
    """One contract: `quote`, `trade`, `place`, `cancel`, `move`."""

    def __init__(self, tick: Fraction, ledger: Ledger) -> None:
        self.tick, self.ledger = tick, ledger
        self.bid: Fraction | None = None
        self.ask: Fraction | None = None
        self.last: Fraction | None = None
        self.orders: list[Order] = []
        self.fills: list[tuple[int, int, int, Fraction]] = []  # order, side, contracts, price
        self.event = 0

    # ------------------------------------------------------------ the market
    def quote(self, bid: Fraction | None, ask: Fraction | None) -> None:
        self.bid, self.ask = bid, ask
        self._match(None)

    def trade(self, price: Fraction) -> None:
        self.last = price
        self._match(price)

    def _match(self, traded: Fraction | None) -> None:
        self.event += 1
        for order in list(self.orders):
            if order.state == WORKING and order.made_at < self.event:
                self._meet(order, traded)

    def _opposite(self, side: int) -> Fraction | None:
        return self.ask if side > 0 else self.bid

    def _meet(self, order: Order, traded: Fraction | None) -> None:
        if order.kind == "limit":
            price = self._opposite(order.side) if traded is None else traded
            if price is not None and (order.limit - price) * order.side >= self.tick:  # type: ignore[operator]
                self._fill(order, order.limit)  # type: ignore[arg-type]
            return
        if order.kind in ("stop", "trailing") and not order.triggered:
            if traded is None:
                return
            if order.kind == "trailing" and (order.best - traded) * order.side > 0:  # type: ignore[operator]
                order.best, order.stop = traded, traded + order.side * order.trail  # type: ignore[operator]
                return
            if (traded - order.stop) * order.side < 0:  # type: ignore[operator]
                return
            order.triggered = True
        self._at_market(order, traded)

    def _at_market(self, order: Order, traded: Fraction | None) -> None:
        price = self._opposite(order.side)
        if price is None:
            return
        if traded is not None:
            price = max(price, traded) if order.side > 0 else min(price, traded)
        self._fill(order, price)

    # ------------------------------------------------------------ orders
    def place(self, order: Order) -> None:
        """Take an order in and let it meet the standing quote."""
        self.orders.append(order)
        order.made_at = self.event
        if order.kind == "market":
            self._at_market(order, None)
        elif order.kind == "limit":
            self._arrive(order)

    def _arrive(self, order: Order) -> None:
        quote = self._opposite(order.side)
        if quote is not None and (order.limit - quote) * order.side >= 0:  # type: ignore[operator]
            self._fill(order, quote)

    def move(self, order: Order, limit: Fraction) -> None:
        """A limit order gets another price."""
        order.limit = limit
        self._arrive(order)

    def cancel(self, order: Order) -> None:
        order.state = CANCELED

    def _fill(self, order: Order, price: Fraction) -> None:
        order.state, order.price = FILLED, price
        self.fills.append((order.key, order.side, order.qty, price))
        self.ledger.fill(order.side, order.qty, price)
        if order.sibling is not None and order.sibling.state == WORKING:
            order.sibling.state = CANCELED
        legs = []
        if order.stop_off:
            level = price + order.stop_off * self.tick
            legs.append(Order(order.key + 1, -order.side, order.qty, "stop", stop=level))
        if order.target_off:
            level = price + order.target_off * self.tick
            key = order.key + 1 + len(legs)
            legs.append(Order(key, -order.side, order.qty, "limit", limit=level))
        if len(legs) == 2:
            legs[0].sibling, legs[1].sibling = legs[1], legs[0]
        for leg in legs:
            leg.made_at = self.event
            self.orders.append(leg)

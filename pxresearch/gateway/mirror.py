"""The local copy of one account: what the venue's events and snapshots add up to.

Events come twice, late and out of order, and some do not come at all. So:

- An order moves forward only. Done is final, what has filled never shrinks, and of two states the
  one that the venue stamped later holds; with one stamp, the one that is further in its life.
- A fill counts once, by its id. A position is what it was at the last snapshot plus the fills
  since, which no order of arrival can change.
- What the venue says of a position is kept beside that. While the two differ, or an order has
  filled more than its fills add up to, something is missing; and a status that nobody knows may be
  an end. `doubts` says so, and only a snapshot settles it.
- An account event carries no time: a late one holds until the next event or snapshot.

I/O: none
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal

import msgspec

from pxresearch.clock import NS
from pxresearch.gateway import entry
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.records import Account, Fill, Order, Position, Quote
from pxresearch.gateway.wire import OrderStatus

Record = Account | Order | Position | Fill

_LIFE = {
    OrderStatus.UNKNOWN: 0, OrderStatus.NONE: 0, OrderStatus.SUSPENDED: 1, OrderStatus.PENDING: 1,
    OrderStatus.OPEN: 2, OrderStatus.PENDING_CANCELLATION: 3,
}  # fmt: skip
_DONE = 4


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """An account as read by REST.

    Attributes
    ----------
    orders
        All that work, and those of the time since the last snapshot in any state.
    fills
        Of that time.
    since
        When that time began, ns UTC; 0 is always.
    """

    account: Account | None
    orders: tuple[Order, ...]
    positions: tuple[Position, ...]
    fills: tuple[Fill, ...]
    since: int = 0


class Mirror:
    """One account.

    Parameters
    ----------
    account_id
        Records of other accounts are passed over.
    directory
        For names and tick values.
    """

    def __init__(self, account_id: int, directory: Directory) -> None:
        self.account_id = account_id
        self.account: Account | None = None
        self.orders: dict[int, Order] = {}
        self.fills: dict[int, Fill] = {}
        self._directory = directory
        self._said: dict[str, Position] = {}  # by the venue, last
        self._base: dict[str, int] = {}  # position without the fills that are held
        self._held: defaultdict[str, int] = defaultdict(int)  # sum of those fills
        self._filled: defaultdict[int, int] = defaultdict(int)  # of an order, by its fills
        self._loaded = False

    # ------------------------------------------------------------ looking
    @property
    def working(self) -> list[Order]:
        """Orders that can still fill, oldest first."""
        return sorted((o for o in self.orders.values() if not o.done), key=lambda o: o.id)

    @property
    def positions(self) -> dict[str, int]:
        """Signed contracts by contract id, without those that are flat."""
        every = self._base.keys() | self._held.keys()
        return {key: qty for key in sorted(every) if (qty := self.position(key)) != 0}

    def position(self, contract_id: str) -> int:
        """Signed contracts; 0 is flat."""
        return self._base.get(contract_id, 0) + self._held.get(contract_id, 0)

    def opened(self, contract_id: str) -> int:
        """When the position began, as the venue says it, ns UTC; 0 while it says none."""
        said = self._said.get(contract_id)
        return 0 if said is None or said.qty == 0 else said.created

    def average_price(self, contract_id: str) -> Decimal | None:
        """Average entry price as the venue says it; None while it says another position."""
        said = self._said.get(contract_id)
        if said is None or said.qty == 0 or said.qty != self.position(contract_id):
            return None
        return said.average_price

    def open_pnl(
        self, contract_id: str, quote: Quote | None, now: int, max_age_s: float
    ) -> int | None:
        """Open profit, micro-dollars, marked at the exit side; None where it cannot be known.

        Parameters
        ----------
        quote
            Last quote of the contract; one that is older than `max_age_s` at `now` (ns UTC) is not
            a price.
        """
        qty = self.position(contract_id)
        if qty == 0:
            return 0
        if quote is None or now - quote.received > max_age_s * NS:
            return None
        listing = self._directory.listing(contract_id)
        return entry.profit(qty, self.entered(contract_id), quote, listing)

    def entered(self, contract_id: str) -> int | None:
        """Signed value at entry, micro-dollars: by the fills if all are held, else the average.

        0 when flat; None where it cannot be known.
        """
        qty = self.position(contract_id)
        if qty == 0:
            return 0
        listing = self._directory.listing(contract_id)
        if self._base.get(contract_id, 0) == 0:
            ours = (f for f in self.fills.values() if f.contract_id == contract_id)
            return entry.by_fills(ours) * listing.tick_value
        average = self.average_price(contract_id)
        return None if average is None else entry.by_average(average, qty, listing)

    def doubts(self) -> list[str]:
        """What does not fit together, in words; empty when all does."""
        found = []
        for contract_id in sorted(self._said.keys() | self._base.keys() | self._held.keys()):
            said = self._said.get(contract_id)
            told, ours = (0 if said is None else said.qty), self.position(contract_id)
            if told != ours:
                found.append(
                    f"{self._name(contract_id)}: the venue says {told:+d}, the fills say {ours:+d}"
                )
        found += [
            f"order {order.id} has filled {order.filled}, its fills are {self._filled[order.id]}"
            for order in self.orders.values()
            if order.filled > self._filled[order.id]
        ]
        found += [
            f"order {order.id} has a status that is not known"
            for order in self.orders.values()
            if order.status is OrderStatus.UNKNOWN
        ]
        return found

    # ------------------------------------------------------------ events
    def apply(self, record: Record) -> bool:
        """Take an event in; False when it told nothing new."""
        if isinstance(record, Account):
            return self._account(record)
        if record.account != self.account_id:
            return False
        if isinstance(record, Order):
            return self._order(record)
        return self._fill(record) if isinstance(record, Fill) else self._position(record)

    def _account(self, record: Account) -> bool:
        if record.id != self.account_id or record == self.account:
            return False
        self.account = record
        return True

    def _order(self, record: Order) -> bool:
        held = self.orders.get(record.id)
        if held is not None and (record == held or not _later(record, held)):
            return False
        self.orders[record.id] = record
        return True

    def _fill(self, record: Fill) -> bool:
        held = self.fills.get(record.id)
        if held is not None and (held.voided or not record.voided):
            return False
        self._count(record, held)
        return True

    def _count(self, record: Fill, held: Fill | None) -> None:
        for fill, sign in ((held, -1), (record, 1)):
            if fill is not None and not fill.voided:
                self._held[fill.contract_id] += sign * fill.side * fill.qty
        if held is None:  # voided later or not, the order did fill
            self._filled[record.order] += record.qty
        self.fills[record.id] = record

    def _position(self, record: Position) -> bool:
        if self._said.get(record.contract_id) == record:
            return False
        self._said[record.contract_id] = record
        return True

    # ------------------------------------------------------------ snapshots
    def compare(self, snapshot: Snapshot) -> list[str]:
        """What a snapshot has otherwise than this copy, in words; empty when nothing."""
        return [text for text, _ in self._differences(snapshot)]

    def load(self, snapshot: Snapshot) -> tuple[list[str], list[Record]]:
        """Make this copy equal to a snapshot; returns the differences and the records behind them.

        Records of a difference: fills first, by time, then orders, positions and the account. Of
        the first snapshot only what is open is told in words: before it nothing was held.
        """
        found = self._differences(snapshot)
        told = [text for text, record in found if self._loaded or _is_open(record)]
        self._loaded = True
        for fill in snapshot.fills:
            held = self.fills.get(fill.id)
            if held != fill:
                self._count(fill, held)
        for order in snapshot.orders:
            if order.id not in self.orders and order.created < snapshot.since:
                # Some of its fills may be older than those that were read.
                self._filled[order.id] = max(self._filled[order.id], order.filled)
        self.orders |= {order.id: order for order in (*snapshot.orders, *self._gone(snapshot))}
        self._said = {row.contract_id: row for row in snapshot.positions}
        every = self._said.keys() | self._held.keys() | self._base.keys()
        self._base = {
            key: (self._said[key].qty if key in self._said else 0) - self._held[key]
            for key in every
        }
        if snapshot.account is not None:
            self.account = snapshot.account
        learnt = [record for _, record in found if record is not None]
        order_of = {Fill: 0, Order: 1, Position: 2, Account: 3}
        learnt.sort(key=lambda r: (order_of[type(r)], r.ts if isinstance(r, Fill) else r.id))
        return told, learnt

    def _gone(self, snapshot: Snapshot) -> list[Order]:
        """Orders that no longer work at the venue, which did not say how they ended."""
        shown = {order.id for order in snapshot.orders}
        ended = OrderStatus.CANCELLED
        return [msgspec.structs.replace(o, status=ended) for o in self.working if o.id not in shown]

    def _differences(self, snapshot: Snapshot) -> list[tuple[str, Record | None]]:
        found: list[tuple[str, Record | None]] = []
        if snapshot.account is not None and snapshot.account != self.account:
            found += [(text, snapshot.account) for text in _of_account(self.account, snapshot)]
        for fill in sorted(snapshot.fills, key=lambda f: (f.ts, f.id)):
            held = self.fills.get(fill.id)
            if held is None:
                found.append((f"missed {self._told(fill)}", fill))
            elif held.voided != fill.voided:
                found.append((f"{self._told(fill)} is voided now", fill))
        for order in snapshot.orders:
            text = self._of_order(order)
            if text:
                found.append((text, order))
        found += [
            (f"order {o.id} ({self._name(o.contract_id)}) no longer works at the venue", o)
            for o in self._gone(snapshot)
        ]
        return found + self._of_positions(snapshot.positions)

    def _of_order(self, order: Order) -> str | None:
        held, name = self.orders.get(order.id), self._name(order.contract_id)
        if held is None:
            if order.tag is None and not order.done:
                return f"order {order.id} ({name}, {order.side * order.qty:+d}) by another hand"
            return f"order {order.id} ({name}) was not known"
        if held == order:
            return None
        if (held.status, held.filled) != (order.status, order.filled):
            return (
                f"order {order.id} ({name}) is {order.status.name.lower()} with {order.filled} "
                f"filled, was {held.status.name.lower()} with {held.filled}"
            )
        prices = ("qty", "limit", "stop", "trail")
        if any(getattr(held, p) != getattr(order, p) for p in prices):
            return f"order {order.id} ({name}) has another price or quantity"
        return None

    def _of_positions(self, rows: Sequence[Position]) -> list[tuple[str, Record | None]]:
        there = {row.contract_id: row for row in rows}
        found: list[tuple[str, Record | None]] = []
        for key in sorted(there.keys() | self.positions.keys()):
            told = there[key].qty if key in there else 0
            if told != self.position(key):
                text = f"position in {self._name(key)} is {told:+d}, was {self.position(key):+d}"
                said = self._said.get(key)
                closed = None if said is None else msgspec.structs.replace(said, qty=0)
                found.append((text, there.get(key, closed)))
        return found

    def _name(self, contract_id: str) -> str:
        if contract_id in self._directory:
            return self._directory.listing(contract_id).code
        return contract_id

    def _told(self, fill: Fill) -> str:
        price = self._directory.listing(fill.contract_id).to_price(fill.price)
        return (
            f"fill {fill.id}: {self._name(fill.contract_id)} {fill.side * fill.qty:+d} at {price}"
        )


def _is_open(record: Record | None) -> bool:
    return isinstance(record, Position) or (isinstance(record, Order) and not record.done)


def _later(new: Order, held: Order) -> bool:
    """Whether a state of an order comes after another one of the same order."""
    if held.done != new.done:
        return new.done
    if new.filled != held.filled:
        return new.filled > held.filled
    if new.updated is not None and held.updated is not None and new.updated != held.updated:
        return new.updated > held.updated
    return _LIFE.get(new.status, _DONE) >= _LIFE.get(held.status, _DONE)


def _of_account(held: Account | None, snapshot: Snapshot) -> list[str]:
    now = snapshot.account
    if now is None:
        return []
    if held is None:
        return [f"balance is {now.balance / 1e6:,.2f}"]
    found = []
    if held.balance != now.balance:
        found.append(f"balance is {now.balance / 1e6:,.2f}, was {held.balance / 1e6:,.2f}")
    if held.can_trade != now.can_trade:
        found.append(f"the account may {'' if now.can_trade else 'not '}trade")
    return found

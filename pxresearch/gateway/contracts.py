"""The venue's contracts beside the shipped table: `CON.F.US.ENQ.Z26` is NQZ26, NQM is crude oil.

A contract is found by its symbol id (``F.US.ENQ``), never by a text that looks like its name. A
tick size or tick value that differs from the shipped table stops the start: every figure of profit
and risk hangs on it.

I/O: none
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator
from decimal import Decimal
from fractions import Fraction

import msgspec

from pxresearch.errors import ContractMismatch, NotUnderstood, OffGridPrice, UnknownName
from pxresearch.gateway import records, wire
from pxresearch.instruments import Contract, Instrument, contract, instruments

_GRID = 1e-6  # of a tick: a JSON double's noise
_PREFIX = "CON."


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """A contract at the venue.

    Attributes
    ----------
    contract
        In the words of this package; None for a product that the shipped table does not have, which
        can be looked at and closed but not traded.
    tick
        Tick size as an exact fraction.
    tick_value
        Micro-dollars a tick.
    active
        Whether the venue takes orders in it.
    """

    id: str
    symbol_id: str
    name: str
    contract: Contract | None
    tick: Fraction
    tick_value: int
    active: bool

    @property
    def code(self) -> str:
        """Contract code such as ``MNQZ26``, or the venue's id where there is none."""
        return self.contract.code if self.contract else self.id

    def to_ticks(self, price: float | Decimal) -> int:
        """Ticks of a price on the wire; never rounded.

        Raises
        ------
        OffGridPrice
            Not a whole number of ticks.
        """
        if isinstance(price, float):
            near = price * self.tick.denominator / self.tick.numerator
            if not math.isfinite(near):
                raise OffGridPrice(f"{self.code}: {price} is no price")
            whole = round(near)
            if abs(near - whole) < _GRID:
                return whole
        else:
            exact = Fraction(price) / self.tick
            if exact.denominator == 1:
                return exact.numerator
            if abs(exact - round(exact)) < Fraction(1, 10**6):
                return round(exact)
        below = Fraction(price) // self.tick
        raise OffGridPrice(
            f"{self.code}: {price} is not a multiple of its tick size {self.to_price(1)}; the "
            f"nearest are {self.to_price(below)} and {self.to_price(below + 1)}"
        )

    def to_price(self, ticks: int) -> Decimal:
        """Price of a number of ticks, exact."""
        return Decimal(ticks * self.tick.numerator) / self.tick.denominator


class Directory:
    """The contracts that the venue has named so far."""

    def __init__(self, rows: Iterable[wire.Contract] = ()) -> None:
        self._by_id: dict[str, Listing] = {}
        for row in rows:
            self.add(row)

    def __iter__(self) -> Iterator[Listing]:
        return iter(self._by_id.values())

    def __contains__(self, contract_id: str) -> bool:
        return contract_id in self._by_id

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, row: wire.Contract) -> Listing:
        """Take a contract in, after comparing it with the shipped table.

        Raises
        ------
        ContractMismatch
            Tick size or tick value is another than in the table; with both.
        """
        tick = Fraction(row.tick_size)
        value = records.micros(row.tick_value)
        named = _contract(row)
        if named is not None:
            _compare(row, tick, value, named.instrument)
        listing = Listing(
            id=row.id, symbol_id=row.symbol_id, name=row.name, contract=named, tick=tick,
            tick_value=value, active=row.active_contract,
        )  # fmt: skip
        self._by_id[row.id] = listing
        return listing

    def listing(self, contract_id: str) -> Listing:
        """Return the listing of a venue id.

        Raises
        ------
        NotUnderstood
            The venue has not named it; ask Contract/searchById first.
        """
        found = self._by_id.get(contract_id)
        if found is None:
            raise NotUnderstood(f"contract {contract_id!r} has not been looked up at the venue")
        return found

    def find(self, code: str) -> Listing:
        """Return the listing of a contract code such as ``NQZ26``, or of a product's active one.

        Raises
        ------
        UnknownName
            The venue lists no such contract.
        """
        text = code.strip().upper()
        for one in self:
            if one.id.upper() == text or (one.contract and one.contract.code == text):
                return one
        for one in self:
            if one.active and one.contract and one.contract.instrument.root == text:
                return one
        raise UnknownName("contract at the venue", code, [one.code for one in self])

    # ------------------------------------------------------------ wire to records
    def account(self, row: wire.Account) -> records.Account:
        """Account in our units."""
        return records.Account(
            id=row.id, name=row.name, balance=records.micros(row.balance),
            can_trade=row.can_trade, simulated=row.simulated,
        )  # fmt: skip

    def order(self, row: wire.Order) -> records.Order:
        """Order in our units."""
        listing = self.listing(row.contract_id)
        updated = row.update_timestamp
        return records.Order(
            id=row.id, account=row.account_id, contract_id=row.contract_id, status=row.status,
            type=row.type, side=row.side.sign, qty=row.size, filled=row.fill_volume,
            limit=None if row.limit_price is None else listing.to_ticks(row.limit_price),
            stop=None if row.stop_price is None else listing.to_ticks(row.stop_price),
            trail=_trail(row, listing), fill_price=row.filled_price, tag=row.custom_tag,
            parent=row.parent_order_id, linked=row.linked_order_id,
            created=wire.to_ns(row.creation_timestamp),
            updated=None if updated is None else wire.to_ns(updated),
        )  # fmt: skip

    def position(self, row: wire.Position) -> records.Position:
        """Position in our units.

        Raises
        ------
        NotUnderstood
            A position with a size that is neither long nor short.
        """
        self.listing(row.contract_id)
        sign = {wire.PositionType.LONG: 1, wire.PositionType.SHORT: -1}.get(row.type, 0)
        if row.size < 0 or (row.size > 0 and sign == 0):
            raise NotUnderstood(f"position {row.id} has size {row.size} and type {row.type!r}")
        return records.Position(
            id=row.id, account=row.account_id, contract_id=row.contract_id, qty=sign * row.size,
            average_price=row.average_price, created=wire.to_ns(row.creation_timestamp),
        )  # fmt: skip

    def fill(self, row: wire.Trade) -> records.Fill:
        """Fill in our units."""
        gross = row.profit_and_loss
        return records.Fill(
            id=row.id, account=row.account_id, contract_id=row.contract_id, order=row.order_id,
            ts=wire.to_ns(row.creation_timestamp), side=row.side.sign, qty=row.size,
            price=self.listing(row.contract_id).to_ticks(row.price),
            gross=None if gross is None else records.micros(gross),
            cost=records.micros(row.fees + (row.commissions or 0)), voided=row.voided,
        )  # fmt: skip


def _trail(row: wire.Order, listing: Listing) -> int | None:
    # A trailing stop reads back as a distance: in price always, in ticks where the API is new.
    if row.type is not wire.OrderType.TRAILING_STOP:
        return None
    if row.trail_price is not None:
        return abs(listing.to_ticks(row.trail_price))
    return None if row.trail_distance is None else abs(row.trail_distance)


@functools.cache
def _by_symbol() -> dict[str, Instrument]:
    return {item.projectx_id: item for item in instruments()}


def _contract(row: wire.Contract) -> Contract | None:
    product = _by_symbol().get(row.symbol_id)
    expiry = row.id.rpartition(".")[2]
    if product is None or not row.id.startswith(_PREFIX + row.symbol_id + "."):
        return None
    return contract(product.root + expiry)


def _compare(row: wire.Contract, tick: Fraction, value: int, product: Instrument) -> None:
    ours = Fraction(product.tick_num, product.tick_den)
    if tick != ours:
        raise ContractMismatch(
            f"{row.id}: the venue says tick size {row.tick_size}, the table of this program says "
            f"{product.tick_size} for {product.root}; nothing is started. Update pxresearch, or "
            "ask the firm which is right"
        )
    if value != product.tick_value_micros:
        raise ContractMismatch(
            f"{row.id}: the venue says tick value {row.tick_value} USD, the table of this program "
            f"says {Decimal(product.tick_value_micros) / records.MICROS} USD for {product.root}; "
            "nothing is started. Update pxresearch, or ask the firm which is right"
        )

"""The contracts that the simulated venue lists: one active month of each of the 51 products.

Which month is active follows a simple rule by group (`_ROLLS`); a contract for which there is
market data is always the active one of its product. Any other month of a product can be looked up
by its id and is not active.

I/O: none
"""

from __future__ import annotations

import calendar
import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from pxresearch.errors import UsageError
from pxresearch.gateway import wire
from pxresearch.instruments import MONTHS, Contract, Instrument, contract, instruments
from pxresearch.sessions import trading_day

MAX_FOUND = 20  # rows of one Contract/search
FARTHEST = 2**30  # ticks; no price is that far from 0
_DECIMALS = Decimal("1e-9")
_DIGITS = 30  # before or after the point: a number with more is never computed with
_YEARS_KNOWN = (-10, 2)  # of delivery months that can be looked up, from the year now
# The last day on which a month is active: (months before delivery, day of that month).
_ROLLS = {
    "equity": (0, 10), "fx": (0, 10), "crypto": (0, 20), "energy": (1, 15), "metals": (1, 25),
    "rates": (1, 25), "grains": (1, 25), "livestock": (0, 5),
}  # fmt: skip


@dataclass(frozen=True)
class Listed:
    """A contract at the venue; prices are ticks inside and exact decimals outside."""

    contract: Contract
    active: bool

    @functools.cached_property
    def product(self) -> Instrument:
        """The product."""
        return self.contract.instrument

    @functools.cached_property
    def symbol_id(self) -> str:
        """Id of the product, ``F.US.ENQ``."""
        return self.product.projectx_id

    @functools.cached_property
    def id(self) -> str:
        """Id of the contract, ``CON.F.US.ENQ.Z26``."""
        return f"CON.{self.symbol_id}.{self.code[len(self.product.root) :]}"

    @property
    def code(self) -> str:
        """Contract code with a two-digit year, ``NQZ26``."""
        return self.contract.code

    @property
    def name(self) -> str:
        """The exchange's code with a one-digit year, ``NQZ6``."""
        return self.code[:-2] + self.code[-1]

    def row(self) -> wire.Contract:
        """As the gateway tells of it."""
        month = calendar.month_name[self.contract.month]
        return wire.Contract(
            id=self.id, name=self.name, symbol_id=self.symbol_id, active_contract=self.active,
            description=f"{self.product.name}: {month} {self.contract.year}",
            tick_size=self.price(1),
            tick_value=Decimal(self.product.tick_value_micros) / 1_000_000,
        )  # fmt: skip

    def price(self, ticks: int) -> Decimal:
        """Price of a number of ticks, exact."""
        return Decimal(ticks * self.product.tick_num) / self.product.tick_den

    def average(self, value: int, quantity: int) -> Decimal:
        """Price of `value` ticks over `quantity` contracts; nine decimals where it does not end."""
        exact = Decimal(value * self.product.tick_num) / (quantity * self.product.tick_den)
        whole = exact == exact.quantize(_DECIMALS)
        return exact if whole else exact.quantize(_DECIMALS)

    def ticks(self, price: Decimal) -> int | None:
        """Ticks of a price, or None off the grid; a price beyond all bounds is `FARTHEST` away."""
        if price.adjusted() > _DIGITS:
            return FARTHEST if price > 0 else -FARTHEST
        if price.adjusted() < -_DIGITS:
            return 0 if price == 0 else None
        exact = Fraction(price) * self.product.tick_den / self.product.tick_num
        whole = exact.denominator == 1
        return max(-FARTHEST, min(exact.numerator, FARTHEST)) if whole else None


def listed_contracts(now: int, market_codes: Iterable[str] = ()) -> list[Listed]:
    """One active contract of each product, in the order of the shipped table.

    Parameters
    ----------
    now
        ns UTC.
    market_codes
        Contract codes for which there is market data.
    """
    codes = {(found := contract(code)).instrument.root: found for code in market_codes}
    day = trading_day(now)
    return [
        Listed(codes.get(item.root) or _front(item, day), active=True) for item in instruments()
    ]


def by_id(listed: dict[str, Listed], contract_id: str, now: int) -> Listed | None:
    """The contract of an id: an active one, another month of a known product, or None."""
    found = listed.get(contract_id)
    if found is not None:
        return found
    symbol, _, expiry = contract_id.rpartition(".")
    for item in instruments():
        if symbol == f"CON.{item.projectx_id}" and len(expiry) == 3:
            try:
                month = contract(item.root + expiry)
            except UsageError:
                return None
            ahead = month.year - trading_day(now).year
            known = _YEARS_KNOWN[0] <= ahead <= _YEARS_KNOWN[1]
            return Listed(month, active=False) if known else None
    return None


def search(listed: Iterable[Listed], text: str) -> list[Listed]:
    """At most 20 contracts with the text in name, id or description: NQ finds MNQ and NQM too."""
    wanted = text.strip().upper()
    rows = [(one, one.row()) for one in listed]
    found = [
        one
        for one, row in rows
        if wanted in row.name.upper() or wanted in row.id or wanted in row.description.upper()
    ]
    return found[:MAX_FOUND]


def _front(item: Instrument, day: date) -> Contract:
    before, last = _ROLLS[item.group]
    months: Sequence[tuple[int, int]] = [
        (year, MONTHS.index(letter) + 1)
        for year in (day.year, day.year + 1, day.year + 2)
        for letter in item.months
    ]
    for year, month in months:
        roll_year, roll_month = (year, month - before) if month > before else (year - 1, 12)
        if day <= date(roll_year, roll_month, last):
            return contract(f"{item.root}{MONTHS[month - 1]}{year % 100:02d}")
    raise AssertionError(f"{item.root} lists no month in three years")

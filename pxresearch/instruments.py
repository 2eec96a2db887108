"""Contract specifications, dated costs and contract codes of the 51 products TopstepX permits.

A price inside pxresearch is an integer count of ticks and money an integer count of micro-dollars
(10⁻⁶ USD), so tick sizes are exact fractions and every tick value and fee is a whole number here.

The tables lie beside the package (``tables/instruments.csv``, ``tables/costs.csv``); each row has
its source and the day from which it holds. The specification read in September 2026 is used for
every day: no earlier one is known.

I/O: reads the two tables once, on first use.
"""

from __future__ import annotations

import csv
import functools
import math
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from importlib import resources

from pxresearch.errors import AmbiguousInput, DataError, OffGridPrice, UnknownName, UsageError

MONTHS = "FGHJKMNQUVXZ"
"""CME month letters, January first."""

_MICROS = 1_000_000
_GRID_TOLERANCE = 1e-6  # of a tick: far above float noise, far below any real off-grid price
_CENTURY_PIVOT = 70  # ESU98 is 1998, ESU13 is 2013: no listed future is older than 1970
_CODE = re.compile(r"([A-Z0-9]+)([A-Z])(\d{1,2})")


@dataclass(frozen=True, slots=True)
class Instrument:
    """A product: what a tick is worth, where it trades and how its size counts.

    Attributes
    ----------
    root
        Exchange symbol without month and year, for example ``"ES"``.
    group
        equity, rates, fx, crypto, energy, metals, grains or livestock; decides the hours.
    tick_num, tick_den
        Tick size as an exact fraction; ``price = ticks * tick_num / tick_den``.
    tick_value_micros
        Micro-dollars per tick per contract; ES 12_500_000.
    months
        Letters of the listed delivery months.
    projectx_id
        Symbol id of the ProjectX gateway, for example ``"F.US.EP"``.
    size_class
        mini, micro or special.
    size_tenths
        Weight in the position limit, in tenths of a mini: mini 10, micro 1, SIL 2, MBT and MET 10.
    source, valid_from
        Where the row was read, and on which day.
    """

    root: str
    name: str
    exchange: str
    group: str
    tick_num: int
    tick_den: int
    tick_value_micros: int
    months: str
    projectx_id: str
    size_class: str
    size_tenths: int
    source: str
    valid_from: date

    @property
    def tick_size(self) -> float:
        """Price of one tick, as the nearest float."""
        return self.tick_num / self.tick_den

    @property
    def point_value(self) -> Decimal:
        """USD per point of price per contract; ES 50."""
        return Decimal(self.tick_value_micros * self.tick_den) / (self.tick_num * _MICROS)

    def to_price(self, ticks: int) -> float:
        """Price of a whole number of ticks: one correctly rounded division.

        Examples
        --------
        >>> instrument("ES").to_price(20001)
        5000.25
        """
        return ticks * self.tick_num / self.tick_den

    def price_text(self, ticks: int) -> str:
        """A price for people: thousands separated, as many decimals as the tick size has.

        Examples
        --------
        >>> instrument("ES").price_text(20002)
        '5,000.50'
        """
        tick = Decimal(self.tick_num) / self.tick_den  # 2^a·5^b below: it ends
        decimals = max(0, -int(tick.normalize().as_tuple().exponent))
        return f"{ticks * tick:,.{decimals}f}"

    def to_ticks(self, price: float | int | str | Decimal) -> int:
        """Ticks of a price; never rounded.

        A float may miss the grid by a millionth of a tick (its own noise); an int, a str or a
        Decimal may not miss it at all.

        Raises
        ------
        OffGridPrice
            The price is not a whole number of ticks.
        DataError
            The price is not a finite number.

        Examples
        --------
        >>> instrument("ES").to_ticks("5000.25")
        20001
        """
        if isinstance(price, float) and math.isfinite(price):
            near = price * self.tick_den / self.tick_num
            if abs(near - round(near)) < _GRID_TOLERANCE:
                return round(near)
        exact = self._exact(price)
        ratio = exact * self.tick_den / self.tick_num
        ticks = round(ratio)
        if ratio != ticks:
            low = math.floor(ratio)
            raise OffGridPrice(
                f"{self.root} price {price} is not a multiple of its tick size "
                f"{_plain(self.tick_num, self.tick_den)}; the nearest valid prices are "
                f"{_plain(low * self.tick_num, self.tick_den)} and "
                f"{_plain((low + 1) * self.tick_num, self.tick_den)}"
            )
        return ticks

    def cost_micros(self, day: date) -> int:
        """Cost of one contract on one side, in micro-dollars: exchange fee, NFA and commission.

        Parameters
        ----------
        day
            Trading day of the fill.

        Raises
        ------
        DataError
            The day lies before 1970.
        """
        return self._cost_row(day).micros

    def fee_parts_micros(self, day: date) -> tuple[int, int]:
        """The same cost in its two parts: fees (exchange and NFA) and commission, micro-dollars."""
        row = self._cost_row(day)
        return row.micros - row.commission, row.commission

    def cost_basis(self, day: date) -> str:
        """Say where :meth:`cost_micros` of the day comes from.

        The text opens with ``published``, ``measured`` (read off real statements) or ``assumed``
        (no source speaks of that time; the higher known cost is charged).
        """
        row = self._cost_row(day)
        return f"{row.basis}: {row.source}"

    def _cost_row(self, day: date) -> _Cost:
        rows = _costs()[self.root]
        at = bisect_right(rows, day, key=lambda row: row.valid_from)
        if at == 0:
            raise DataError(
                f"no cost of {self.root} is known for {day}; the table begins {rows[0].valid_from}"
            )
        return rows[at - 1]

    def _exact(self, price: float | int | str | Decimal) -> Fraction:
        try:
            # The detour by Decimal keeps out the fractions ("1/3") that Fraction itself reads.
            return Fraction(Decimal(price.strip()) if isinstance(price, str) else price)
        except (ValueError, OverflowError, InvalidOperation, TypeError):
            raise DataError(
                f"{self.root} price {price!r} is not a finite number; give a number such as "
                f"{self.to_price(100 * self.tick_den)!r}, or drop the record"
            ) from None


@dataclass(frozen=True, slots=True)
class Contract:
    """One delivery month of a product; ``code`` always has a two-digit year."""

    code: str
    instrument: Instrument
    year: int
    month: int


@dataclass(frozen=True, slots=True)
class _Cost:
    valid_from: date
    micros: int
    commission: int
    basis: str
    source: str


def instrument(root: str) -> Instrument:
    """Return the product with this root symbol, in either case.

    Raises
    ------
    UnknownName
        No such product in the table; names the nearest ones.

    Examples
    --------
    >>> instrument("MES").tick_value_micros
    1250000
    """
    table = _instruments()
    found = table.get(root.strip().upper())
    if found is None:
        raise UnknownName("product", root, table)
    return found


def instruments() -> tuple[Instrument, ...]:
    """All products, in the order of the table."""
    return tuple(_instruments().values())


def contract(code: str, on: date | None = None) -> Contract:
    """Read a contract code such as ``ESU13`` or ``mnqz26``.

    Parameters
    ----------
    code
        Root, month letter, year of two digits; or of one digit, if `on` is given.
    on
        A day on which the contract was listed. A one-digit year then means the first delivery
        month at or after that day's month whose year ends in the digit.

    Raises
    ------
    UsageError
        Not a contract code, or the product has no such delivery month.
    UnknownName
        The root is no known product.
    AmbiguousInput
        A one-digit year without `on`.

    Examples
    --------
    >>> contract("ESU3", on=date(2013, 9, 3)).code
    'ESU13'
    """
    match = _CODE.fullmatch(code.strip().upper())
    if match is None:
        raise UsageError(
            f"{code!r} is not a contract code; write product, month letter and a two-digit year, "
            "for example 'ESU13'"
        )
    root, letter, digits = match.groups()
    product = instrument(root)
    if letter not in product.months:
        raise UsageError(
            f"{code!r}: {product.root} ({product.name}) has no delivery month {letter!r}; "
            f"its months are {', '.join(product.months)}"
        )
    month = MONTHS.index(letter) + 1
    year = _full_year(code, digits, month, on)
    return Contract(f"{product.root}{letter}{year % 100:02d}", product, year, month)


def _full_year(code: str, digits: str, month: int, on: date | None) -> int:
    if len(digits) == 2:
        short = int(digits)
        return short + (1900 if short >= _CENTURY_PIVOT else 2000)
    if on is None:
        raise AmbiguousInput(
            f"{code!r} has a one-digit year, which comes round every ten years; write two digits "
            f"(for example {code[:-1] + '2' + digits!r}) or give a day on which it traded (on=...)"
        )
    first = on.year + (month < on.month)
    return first + (int(digits) - first) % 10


@functools.cache
def _instruments() -> dict[str, Instrument]:
    return {row["root"]: _instrument(row) for row in read_table("instruments.csv")}


def _instrument(row: dict[str, str]) -> Instrument:
    tick = Fraction(row["tick_size"])
    return Instrument(
        root=row["root"],
        name=row["name"],
        exchange=row["exchange"],
        group=row["group"],
        tick_num=tick.numerator,
        tick_den=tick.denominator,
        tick_value_micros=_whole(Fraction(row["tick_value"]) * _MICROS),
        months=row["months"],
        projectx_id=row["projectx_id"],
        size_class=row["size_class"],
        size_tenths=_whole(Fraction(row["mini_equivalent"]) * 10),
        source=row["source"],
        valid_from=date.fromisoformat(row["valid_from"]),
    )


@functools.cache
def _costs() -> dict[str, list[_Cost]]:
    table: dict[str, list[_Cost]] = {}
    for row in read_table("costs.csv"):
        cost = _Cost(
            date.fromisoformat(row["valid_from"]),
            _whole(Fraction(row["cost_per_side"]) * _MICROS),
            _whole(Fraction(row["commission"]) * _MICROS),
            row["basis"],
            row["source"],
        )
        table.setdefault(row["root"], []).append(cost)
    for rows in table.values():
        rows.sort(key=lambda cost: cost.valid_from)
    return table


def read_table(name: str) -> Iterator[dict[str, str]]:
    """Rows of a shipped CSV table, as dictionaries of strings."""
    text = (resources.files("pxresearch") / "tables" / name).read_text(encoding="utf-8")
    yield from csv.DictReader(text.splitlines())


def _whole(value: Fraction) -> int:
    if value.denominator != 1:
        raise DataError(f"shipped table: {value} should be a whole number; reinstall pxresearch")
    return value.numerator


def _plain(numerator: int, denominator: int) -> str:
    # Tick sizes have denominators 2^a·5^b, so the decimal is finite and this is exact.
    return f"{Decimal(numerator) / denominator:f}"

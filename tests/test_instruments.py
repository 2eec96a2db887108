"""Instruments: exact tick arithmetic, dated costs and contract codes, for all 51 products.

I/O: reads the reference tables beside the repository.
"""

from __future__ import annotations

import csv
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxresearch.errors import AmbiguousInput, DataError, OffGridPrice, UnknownName, UsageError
from pxresearch.instruments import contract, instrument, instruments

ALL = [item.root for item in instruments()]


def test_table_agrees_with_the_reference_on_every_product(reference: Path):
    """Tick size, tick value, point value, months, ids and weights equal the reference rows."""
    with open(reference / "instruments.csv", encoding="utf-8", newline="") as file:
        rows = {row["root"]: row for row in csv.DictReader(file)}
    assert list(rows) == ALL
    assert len(ALL) == 51
    for root, row in rows.items():
        item = instrument(root)
        size = Decimal(item.tick_num) / item.tick_den
        assert size == Decimal(row["tick_size"]), root
        assert item.tick_size == float(row["tick_size"])
        assert Decimal(item.tick_value_micros) == Decimal(row["tick_value"]) * 10**6
        assert item.point_value == Decimal(row["point_value"])
        assert item.size_tenths == Decimal(row["mini_equivalent"]) * 10
        assert (item.exchange, item.group, item.months, item.projectx_id) == (
            row["exchange"],
            row["group"],
            row["months"],
            row["projectx_symbol_id"],
        )
        day = date.fromisoformat(row["cost_as_of"])
        assert item.cost_micros(day) == Decimal(row["cost_per_side"]) * 10**6


@pytest.mark.parametrize("root", ALL)
@given(ticks=st.integers(-1_000_000, 1_000_000))
def test_every_tick_survives_price_and_back(root: str, ticks: int):
    """to_ticks(to_price(n)) is n, and the float is the one nearest to the exact price."""
    item = instrument(root)
    price = item.to_price(ticks)
    assert item.to_ticks(price) == ticks
    exact = Decimal(ticks * item.tick_num) / item.tick_den
    assert price == float(exact)
    assert item.to_ticks(exact) == ticks
    assert item.to_ticks(str(exact)) == ticks
    text = item.price_text(ticks)
    assert Decimal(text.replace(",", "")) == exact
    assert len(text.partition(".")[2]) == len(item.price_text(1).partition(".")[2])


@pytest.mark.parametrize("root", ALL)
@given(ticks=st.integers(-100_000, 100_000), part=st.floats(0.001, 0.999))
def test_prices_between_ticks_are_refused(root: str, ticks: int, part: float):
    """A thousandth of a tick off the grid is an error, never rounded."""
    item = instrument(root)
    with pytest.raises(OffGridPrice):
        item.to_ticks((ticks + part) * item.tick_num / item.tick_den)


def test_values_typed_by_hand():
    """ES 12.50, M6B 0.625, ZT 7.8125 a tick; seven decimals of 6J; SIL counts as two micros."""
    assert instrument("ES").tick_value_micros == 12_500_000
    assert instrument("M6B").tick_value_micros == 625_000
    assert instrument("ZT").tick_value_micros == 7_812_500
    assert instrument("6J").to_ticks("0.0067005") == 13_401
    assert instrument("6J").to_price(13_401) == 0.0067005
    assert instrument("6J").price_text(13_401) == "0.0067005"
    assert instrument("MNQ").price_text(96_754) == "24,188.50"
    assert instrument("YM").price_text(44_012) == "44,012"
    assert [instrument(r).size_tenths for r in ("ES", "MES", "SIL", "MBT", "MET")] == [
        10,
        1,
        2,
        10,
        10,
    ]
    assert instrument("mes") is instrument("MES")


def test_off_grid_message_names_price_tick_and_neighbours():
    """The text has what was received, the tick size and the two nearest prices."""
    with pytest.raises(OffGridPrice, match=r"ES price 5000\.3 .*0\.25.* 5000\.25 and 5000\.5$"):
        instrument("ES").to_ticks(5000.3)
    with pytest.raises(OffGridPrice, match=r"-37\.64 .* -37\.65 and -37\.625"):
        instrument("QM").to_ticks(Decimal("-37.64"))
    # A float has noise, text has none.
    assert instrument("ES").to_ticks(5000.25 + 1e-9) == 20_001
    with pytest.raises(OffGridPrice):
        instrument("ES").to_ticks("5000.250000001")


@pytest.mark.parametrize(
    "price", [float("nan"), float("inf"), -float("inf"), "nan", "x", "1/4", ""]
)
def test_what_is_no_finite_number_is_a_data_error(price: float | str):
    """NaN, infinity and text that is no number are refused with the product's name."""
    with pytest.raises(DataError, match=r"ES price .* is not a finite number"):
        instrument("ES").to_ticks(price)


def test_unknown_products_name_the_nearest():
    """A typing error gets a suggestion; a ProjectX id is not a root."""
    with pytest.raises(UnknownName, match="'MNQ'"):
        instrument("MNG1")
    with pytest.raises(UnknownName):
        instrument("F.US.EP")


def test_costs_are_dated():
    """MCL and MNG rise on 2026-10-01; October 2025 had no commission; before that, assumed."""
    mcl, mng = instrument("MCL"), instrument("MNG")
    assert [mcl.cost_micros(date(2026, 9, 30)), mcl.cost_micros(date(2026, 10, 1))] == [
        760_000,
        860_000,
    ]
    assert [mng.cost_micros(date(2026, 9, 30)), mng.cost_micros(date(2026, 10, 1))] == [
        860_000,
        960_000,
    ]
    october = {"MNQ": "0.74", "MCL": "1.04", "MGC": "1.24", "SIL": "2.04", "CL": "3.04"}
    october |= {"6E": "3.24", "ES": "2.80"}
    for root, round_turn in october.items():
        item = instrument(root)
        assert 2 * item.cost_micros(date(2025, 10, 15)) == Decimal(round_turn) * 10**6
        assert item.cost_basis(date(2025, 10, 15)).startswith("measured: ")
    assert instrument("MES").cost_micros(date(2026, 10, 5)) == 610_000
    assert instrument("ES").cost_basis(date(2026, 10, 5)).startswith("published: ")
    assert instrument("ES").cost_basis(date(2013, 9, 3)).startswith("assumed: ")


@pytest.mark.parametrize("root", ALL)
def test_every_product_has_a_cost_on_every_day_since_2008(root: str):
    """Positive for each year's first day; an assumed cost is never below the known ones."""
    item = instrument(root)
    costs = [item.cost_micros(date(year, 1, 1)) for year in range(2008, 2028)]
    assert min(costs) > 0
    assert item.cost_micros(date(2008, 1, 1)) >= item.cost_micros(date(2025, 10, 15))


def test_a_day_before_the_cost_table_is_an_error():
    with pytest.raises(DataError, match="no cost of ES is known for 1969-12-31"):
        instrument("ES").cost_micros(date(1969, 12, 31))


@pytest.mark.parametrize("root", ALL)
def test_contract_codes_of_every_product_parse(root: str):
    """Each listed month of each product, in either case, gives back its code."""
    for letter in instrument(root).months:
        made = contract(f" {root}{letter}26 ".lower())
        assert (made.code, made.instrument.root, made.year) == (f"{root}{letter}26", root, 2026)


def test_contract_reads_month_and_year():
    made = contract("ESU13")
    assert (made.year, made.month) == (2013, 9)
    assert contract("ESH98").year == 1998
    assert contract("6EZ26").month == 12
    assert contract("E7H27").instrument.root == "E7"


@pytest.mark.parametrize(
    ("code", "on", "full"),
    [
        ("ESU3", date(2013, 9, 3), "ESU13"),
        ("ESU3", date(2013, 9, 30), "ESU13"),
        ("ESU3", date(2013, 10, 1), "ESU23"),
        ("ESH4", date(2013, 12, 18), "ESH14"),
        ("ESZ9", date(2020, 1, 2), "ESZ29"),
        ("esh0", date(2029, 12, 31), "ESH30"),
    ],
)
def test_a_one_digit_year_is_settled_by_the_day(code: str, on: date, full: str):
    """The first delivery month at or after the day whose year ends in the digit."""
    assert contract(code, on).code == full


def test_contract_errors_say_what_to_do():
    with pytest.raises(AmbiguousInput, match=r"one-digit year.*two digits.*on="):
        contract("ESU4")
    with pytest.raises(
        UsageError, match=r"ES .* has no delivery month 'F'; its months are H, M, U"
    ):
        contract("ESF26")
    with pytest.raises(UnknownName, match="unknown product 'XX'"):
        contract("XXU26")
    for code in ("ES", "E7", "ESU", "ESU2013", "ES U13", ""):
        with pytest.raises(UsageError):
            contract(code)

"""Contracts, orders, positions and trades as the venue tells of them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from pxresearch.gateway import wire
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.wire import OrderStatus, OrderType
from pxresearch.instruments import instruments
from pxresearch.simulator.exchange import Exchange
from pxresearch.simulator.listing import listed_contracts
from tests.exchange_kit import ACCOUNT, MNQ, START, Kit


@pytest.fixture
def kit() -> Kit:
    made = Kit()
    made.open_market()
    return made


# ------------------------------------------------------------ contracts
def test_one_active_contract_of_each_of_the_51_products(kit: Kit) -> None:
    rows = kit.call(wire.CONTRACT_AVAILABLE, live=False).contracts
    assert len(rows) == 51 == len({row.symbol_id for row in rows})
    assert all(row.active_contract for row in rows)
    assert kit.call(wire.CONTRACT_AVAILABLE, live=True).contracts == []
    by_id = {row.id: row for row in rows}
    nasdaq = by_id["CON.F.US.ENQ.Z26"]
    assert (nasdaq.name, nasdaq.symbol_id) == ("NQZ6", "F.US.ENQ")
    assert (nasdaq.tick_size, nasdaq.tick_value) == (Decimal("0.25"), 5)
    assert nasdaq.description == "E-mini Nasdaq-100: December 2026"
    assert by_id["CON.F.US.NQM.F27"].tick_size == Decimal("0.025")  # crude oil


def test_the_client_agrees_with_every_listed_contract(kit: Kit) -> None:
    """Tick sizes and values pass the comparison that stops a start; ids are read back."""
    directory = Directory(kit.call(wire.CONTRACT_AVAILABLE, live=False).contracts)
    assert {one.contract.instrument.root for one in directory if one.contract} == {
        item.root for item in instruments()
    }
    assert directory.find("NQZ26").id == "CON.F.US.ENQ.Z26"


@pytest.mark.parametrize(
    ("day", "symbol", "expected"),
    [
        ("2026-12-10", "F.US.ENQ", "Z26"),
        ("2026-12-11", "F.US.ENQ", "H27"),
        ("2026-11-13", "F.US.CLE", "Z26"),
        ("2026-11-17", "F.US.CLE", "F27"),
        ("2026-11-25", "F.US.GCE", "Z26"),
        ("2026-11-27", "F.US.GCE", "G27"),
        ("2013-09-03", "F.US.EP", "U13"),
    ],
)
def test_front_month_by_date(day: str, symbol: str, expected: str) -> None:
    now = wire.to_ns(f"{day}T15:00:00Z")
    (found,) = [one.id for one in listed_contracts(now) if one.symbol_id == symbol]
    assert found == f"CON.{symbol}.{expected}"


def test_every_day_of_three_years_has_a_front_month_that_has_not_expired() -> None:
    for ordinal in range(date(2025, 1, 1).toordinal(), date(2028, 1, 1).toordinal(), 5):
        day = date.fromordinal(ordinal)
        listed = listed_contracts(wire.to_ns(f"{day}T15:00:00Z"))
        assert len(listed) == 51
        for one in listed:
            assert (one.contract.year, one.contract.month) >= (day.year, day.month)


def test_a_contract_with_data_is_the_active_one() -> None:
    venue = Exchange(listed_contracts(START, ["ESU13"]), now=START)
    ids = [one.id for one in venue.listed]
    assert "CON.F.US.EP.U13" in ids
    assert "CON.F.US.EP.Z26" not in ids
    assert len(ids) == 51


def test_search_is_loose_and_short(kit: Kit) -> None:
    found = kit.call(wire.CONTRACT_SEARCH, live=False, search_text="nq").contracts
    assert [row.symbol_id for row in found] == ["F.US.ENQ", "F.US.MNQ", "F.US.NQM", "F.US.NQG"]
    assert len(kit.call(wire.CONTRACT_SEARCH, live=False, search_text="").contracts) == 20
    assert kit.call(wire.CONTRACT_SEARCH, live=False, search_text="zzzz").contracts == []
    assert kit.call(wire.CONTRACT_SEARCH, live=True, search_text="NQ").contracts == []


def test_other_months_resolve_and_are_not_active(kit: Kit) -> None:
    old = kit.call(wire.CONTRACT_BY_ID, contract_id="CON.F.US.ENQ.U25").contract
    assert (old.name, old.active_contract) == ("NQU5", False)
    assert kit.call(wire.CONTRACT_BY_ID, contract_id=MNQ).contract.active_contract
    for wrong in ("CON.F.US.ENQ.F26", "CON.F.US.ENQ.Z99", "CON.F.US.NQ.Z26", "ENQ", ""):
        answer = kit.call(wire.CONTRACT_BY_ID, contract_id=wrong)
        assert (answer.success, answer.error_code, answer.contract) == (False, 1, None)


# ------------------------------------------------------------ orders and trades
def _many(kit: Kit, n: int) -> list[int]:
    return [kit.place((1, -1)[i % 2]).order_id for i in range(n)]


def _query(kit: Kit, **members: object) -> wire.OrdersAnswer:
    wanted = members.pop("filter", wire.OrderFilter(account_id=ACCOUNT))
    return kit.call(wire.ORDER_QUERY, filter=wanted, **members)


def test_query_pages_by_rows_newest_first(kit: Kit) -> None:
    ids = _many(kit, 150)
    first = _query(kit, include_total_count=True)
    assert [one.id for one in first.orders] == ids[:49:-1]
    assert (len(first.orders), first.total_count) == (100, 150)
    rest = _query(kit, page_offset=100, page_size=1000)
    assert [one.id for one in rest.orders] == ids[49::-1]
    assert rest.total_count is None
    page = _query(kit, page_offset=3, page_size=2, sort_direction=wire.SortDirection.ASCENDING)
    assert [one.id for one in page.orders] == ids[3:5]
    by_id = _query(kit, sort_by=wire.OrderSort.ID, page_size=1)
    assert [one.id for one in by_id.orders] == ids[-1:]
    assert _query(kit, page_offset=150).orders == []


def test_query_filters_by_status_and_time_but_not_by_contract(kit: Kit) -> None:
    n = kit.place(1, 1, OrderType.LIMIT, limit=99_000, sl=-8, tp=8).order_id
    done = kit.place(1).order_id

    def ids(**members: object) -> list[int]:
        chosen = wire.OrderFilter(account_id=ACCOUNT, **members)  # type: ignore[arg-type]
        return [one.id for one in _query(kit, filter=chosen).orders]

    assert ids(statuses=list(wire.WORKING)) == [n + 2, n + 1, n]
    assert ids(statuses=[OrderStatus.SUSPENDED]) == [n + 2, n + 1]
    assert ids(statuses=[OrderStatus.FILLED]) == [done]
    moment = kit.order(done).creation_timestamp
    assert ids(created_after=moment) == [done]
    assert ids(created_before=moment) == [done, n + 2, n + 1, n]
    assert ids(contract_id="CON.F.US.EP.Z26") == [done, n + 2, n + 1, n]  # as measured
    strict = Kit(query_ignores_contract=False)
    strict.open_market()
    strict.place(1)
    wanted = wire.OrderFilter(account_id=ACCOUNT, contract_id="CON.F.US.EP.Z26")
    assert _query(strict, filter=wanted).orders == []


def test_search_is_by_window_orders_oldest_trades_newest_first(kit: Kit) -> None:
    ids = _many(kit, 5)
    at = [kit.order(n).creation_timestamp for n in ids]
    for start, end, expected in ((0, 4, ids), (1, 3, ids[1:4]), (4, None, ids[4:])):
        window = {
            "account_id": ACCOUNT,
            "start_timestamp": at[start],
            "end_timestamp": None if end is None else at[end],
        }
        orders = kit.call(wire.ORDER_SEARCH, **window).orders
        trades = kit.call(wire.TRADE_SEARCH, **window).trades
        assert [one.id for one in orders] == expected
        assert [row.order_id for row in trades] == expected[::-1]


def test_reads_of_another_owner_find_no_account(kit: Kit) -> None:
    n = kit.place(1).order_id
    asked: list[tuple[wire.Operation, dict[str, object]]] = [
        (wire.ORDER_SEARCH, {"account_id": ACCOUNT, "start_timestamp": "2026-01-01T00:00:00Z"}),
        (wire.ORDER_OPEN, {"account_id": ACCOUNT}),
        (wire.ORDER_BY_ID, {"account_id": ACCOUNT, "order_id": n}),
        (wire.ORDER_QUERY, {"filter": wire.OrderFilter(account_id=ACCOUNT)}),
        (wire.POSITION_OPEN, {"account_id": ACCOUNT}),
        (wire.TRADE_SEARCH, {"account_id": ACCOUNT, "start_timestamp": "2026-01-01T00:00:00Z"}),
    ]
    for operation, members in asked:
        assert kit.call(operation, **members).success
        answer = kit.call(operation, "somebody else", **members)
        assert (answer.success, answer.error_code) == (False, 1)
    assert kit.call(wire.ACCOUNT_SEARCH, "somebody else", only_active_accounts=False).accounts == []


def test_positions_are_one_row_a_contract(kit: Kit) -> None:
    kit.place(-1, 2)
    kit.open_market(at="CON.F.US.M6E.Z26")
    kit.place(1, 1, at="CON.F.US.M6E.Z26")
    rows = kit.call(wire.POSITION_OPEN, account_id=ACCOUNT).positions
    assert [(row.contract_display_name, int(row.type), row.size) for row in rows] == [
        ("MNQZ26", 2, 2),
        ("M6EZ26", 1, 1),
    ]
    assert len({row.id for row in rows}) == 2


def test_the_fee_parts_of_every_product_are_its_cost() -> None:
    for item in instruments():
        for day in (date(2013, 9, 3), date(2025, 11, 3), date(2026, 9, 30), date(2026, 11, 25)):
            fees, commission = item.fee_parts_micros(day)
            assert fees + commission == item.cost_micros(day)
            assert fees > 0 <= commission
    mcl = next(item for item in instruments() if item.root == "MCL")
    assert mcl.fee_parts_micros(date(2026, 10, 1)) == (610_000, 250_000)
    assert mcl.fee_parts_micros(date(2025, 11, 3)) == (520_000, 0)

"""The wire: each operation and event in its recorded shape, byte for byte out, tolerantly in."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxresearch.errors import NotUnderstood, OffGridPrice
from pxresearch.gateway import outcome, wire
from pxresearch.gateway.contracts import Directory
from tests import payloads

BY_NAME = {operation.name: operation for operation in wire.OPERATIONS}
OF = {"account_id": 7001122}
CONTRACT_ID = "CON.F.US.MNQ.Z26"
START, END = "2026-10-01T14:30:00+00:00", "2026-10-01T14:32:00+00:00"
BUILT = {
    "Auth/loginKey": wire.LoginKey(user_name="trader_one", api_key="k3y-example"),
    "Auth/loginApp": wire.LoginApp(
        user_name="u", password="p", device_id="d", app_id="a", verify_key="v"
    ),
    "Auth/validate": wire.Nothing(),
    "Auth/logout": wire.Nothing(),
    "Account/search": wire.SearchAccounts(only_active_accounts=True),
    "Contract/search": wire.SearchContracts(live=False, search_text="NQ"),
    "Contract/searchById": wire.ContractById(contract_id=CONTRACT_ID),
    "Contract/available": wire.AvailableContracts(live=False),
    "History/retrieveBars": wire.RetrieveBars(
        contract_id=CONTRACT_ID, live=False, start_time=START, end_time=END,
        unit=wire.BarUnit.MINUTE, unit_number=1, limit=20_000, include_partial_bar=False,
    ),
    "Order/place": wire.PlaceOrder(
        **OF, contract_id=CONTRACT_ID, type=wire.OrderType.MARKET, side=wire.OrderSide.BUY, size=2,
        custom_tag="bot1-000017", is_automated=True,
        stop_loss_bracket=wire.Bracket(ticks=-60, type=wire.OrderType.STOP),
        take_profit_bracket=wire.Bracket(ticks=120, type=wire.OrderType.LIMIT),
    ),
    "Order/modify": wire.ModifyOrder(**OF, order_id=3900000103, limit_price=Decimal("25130.75")),
    "Order/cancel": wire.OneOrder(**OF, order_id=3900000103),
    "Order/search": wire.Window(**OF, start_timestamp=START, end_timestamp=END),
    "Order/searchOpen": wire.OfAccount(**OF),
    "Order/searchById": wire.OneOrder(**OF, order_id=3900000103),
    "Order/v2/query": wire.QueryOrders(
        filter=wire.OrderFilter(**OF, statuses=list(wire.WORKING)), page_size=100, page_offset=100,
        sort_by=wire.OrderSort.ID, sort_direction=wire.SortDirection.ASCENDING,
        include_total_count=True,
    ),
    "Position/searchOpen": wire.OfAccount(**OF),
    "Position/closeContract": wire.CloseContract(**OF, contract_id=CONTRACT_ID),
    "Position/partialCloseContract": wire.PartialClose(**OF, contract_id=CONTRACT_ID, size=1),
    "Trade/search": wire.Window(**OF, start_timestamp=START),
}  # fmt: skip


def directory() -> Directory:
    """The two contracts of the payloads."""
    return Directory(wire.decode(row, wire.Contract) for row in (payloads.CONTRACT, payloads.YEN))


# ---------------------------------------------------------------- operations
def test_there_are_twenty_one_operations() -> None:
    """Twenty by POST, and the ping; each with payloads here."""
    assert len(BY_NAME) == 20
    assert wire.PING == "/api/Status/ping"
    assert set(BY_NAME) == set(payloads.ANSWERS) == set(payloads.REQUESTS) == set(BUILT)
    assert all(operation.path == f"/api/{name}" for name, operation in BY_NAME.items())


@pytest.mark.parametrize("name", BUILT)
def test_request_byte_for_byte(name: str) -> None:
    """What is sent has the API's members, in its spelling, and no nulls that mean nothing."""
    built = BUILT[name]
    assert type(built) is BY_NAME[name].request
    sent = payloads.REQUESTS[name]
    if name == "Contract/search":
        assert json.loads(wire.encode(built)) == json.loads(sent)
    else:
        assert wire.encode(built).decode() == sent
    assert wire.decode(sent, BY_NAME[name].request) == built


@pytest.mark.parametrize("name", payloads.ANSWERS)
def test_answer_is_taken_as_success(name: str) -> None:
    """Every answer decodes; a mutation is accepted, a read gives its answer."""
    operation, body = BY_NAME[name], payloads.ANSWERS[name].encode()
    if operation.kind == wire.MUTATION:
        found = outcome.judge_mutation(operation, 200, body)
        assert isinstance(found, outcome.Accepted)
    else:
        answer = outcome.judge_read(operation, 200, body)
        assert isinstance(answer, operation.answer)
        assert answer.success is True


@pytest.mark.parametrize("name", payloads.REFUSALS)
def test_refusal_has_the_name_of_its_own_table(name: str) -> None:
    """Status 200 with success false is a refusal, named from that operation's own codes."""
    operation, body = BY_NAME[name], payloads.REFUSALS[name].encode()
    judge = outcome.judge_mutation if operation.kind == wire.MUTATION else outcome.judge_read
    found = judge(operation, 200, body)
    assert isinstance(found, outcome.Rejected)
    assert found.reason == payloads.REFUSED_AS[name]
    assert found.text


def test_refused_place_keeps_its_order_id_and_says_what_to_do() -> None:
    """The id that comes with a refusal is kept, and the bracket mode explained."""
    found = outcome.judge_mutation(wire.PLACE, 200, payloads.REFUSALS["Order/place"].encode())
    assert isinstance(found, outcome.Rejected)
    assert found.order_id == 3900000102
    assert "Auto OCO" in found.text


def test_rows_in_our_units() -> None:
    """Ticks, micro-dollars, ns and signs by hand: 25100.5 is 100402 quarters of a point."""
    book = directory()
    order, leg, trailing = (
        book.order(wire.decode(text, wire.Order))
        for text in (payloads.ORDER, payloads.TARGET_LEG, payloads.TRAILING)
    )
    assert (order.side, order.filled, order.done) == (1, 2, True)
    assert order.fill_price == Decimal("25100.5")
    assert order.created == 1790865000_123456_000
    assert (leg.limit, leg.parent, leg.linked, leg.done) == (100522, 3900000101, 3900000102, False)
    assert (trailing.trail, trailing.stop) == (20, 100382)
    position = book.position(wire.decode(payloads.POSITION, wire.Position))
    assert (position.qty, position.average_price) == (-2, Decimal("25100.583333333"))
    assert book.position(wire.decode(payloads.CLOSED, wire.Position)).qty == 0
    opening, closing = (
        book.fill(wire.decode(text, wire.Trade)) for text in (payloads.OPENING, payloads.CLOSING)
    )
    assert (opening.price, opening.gross, opening.cost) == (100402, None, 1_220_000)
    assert (closing.gross, closing.cost, closing.side) == (120_000_000, 720_000, -1)
    account = book.account(wire.decode(payloads.ACCOUNT, wire.Account))
    assert (account.balance, account.can_trade) == (150_000_000_000, True)


# ---------------------------------------------------------------- tolerance
@pytest.mark.parametrize("status", [9, 77, -5])
def test_unknown_numbers_are_unknown_and_never_done(status: int) -> None:
    """A number that the table lacks must not make an order look finished."""
    text = payloads.ORDER.replace('"status":2', f'"status":{status}')
    order = wire.decode(text.replace('"type":2', '"type":42'), wire.Order)
    assert order.status is wire.OrderStatus.UNKNOWN
    assert order.type is wire.OrderType.UNKNOWN
    assert not order.status.done


def test_an_unknown_side_is_refused() -> None:
    """Neither bought nor sold is not guessed."""
    row = wire.decode(payloads.ORDER.replace('"side":0', '"side":2'), wire.Order)
    with pytest.raises(NotUnderstood, match="side"):
        directory().order(row)


def test_done_statuses_are_these_four() -> None:
    """Filled, cancelled, expired, rejected; the working ones are asked for by number."""
    assert {int(s) for s in wire.OrderStatus if s.done} == {2, 3, 4, 5}
    assert [int(s) for s in wire.WORKING] == [1, 6, 7, 8]


@pytest.mark.parametrize("name", payloads.ANSWERS)
def test_new_members_are_passed_over(name: str) -> None:
    """A member that the API gains tomorrow changes nothing, at any depth."""
    grown = payloads.ANSWERS[name].replace("{", '{"new":{"a":[1,null]},')
    kind = BY_NAME[name].answer
    assert wire.decode(grown, kind) == wire.decode(payloads.ANSWERS[name], kind)


def test_absent_and_null_lists_are_not_empty_ones() -> None:
    """No list is no answer: it must not read as an account without orders."""
    for text in (f"{{{payloads.TAIL}", f'{{"orders":null,{payloads.TAIL}'):
        assert wire.decode(text, wire.OrdersAnswer).orders is None


# ---------------------------------------------------------------- user events
USER = [
    (wire.USER_ACCOUNT, payloads.ACCOUNT), (wire.USER_ORDER, payloads.ORDER),
    (wire.USER_ORDER, payloads.STOP_LEG), (wire.USER_POSITION, payloads.CLOSED),
    (wire.USER_TRADE, payloads.OPENING), (wire.USER_TRADE, payloads.CLOSING),
]  # fmt: skip


@pytest.mark.parametrize(("target", "record"), USER)
def test_user_events_wrapped_and_bare(target: str, record: str) -> None:
    """The wire wraps what the documentation shows bare; both give the same record."""
    bare = wire.user_record(target, f"[{record}]".encode())
    wrapped = wire.user_record(target, f'[{{"action":2,"data":{record}}}]'.encode())
    assert bare == (-1, wrapped[1])
    assert wrapped[0] == 2
    assert wrapped[1] == wire.decode(record, wire.USER_RECORDS[target])


@pytest.mark.parametrize(("target", "record"), USER)
def test_user_events_leave_nulls_out(target: str, record: str) -> None:
    """An event without its null members is the record with them."""
    members = {k: v for k, v in json.loads(record, parse_float=Decimal).items() if v is not None}
    sparse = wire.encode([{"action": 1, "data": members}])
    assert b"null" not in sparse
    assert wire.user_record(target, sparse)[1] == wire.decode(record, wire.USER_RECORDS[target])


@pytest.mark.parametrize("arguments", [b"[]", b"[{},{}]", b'[{"action":1,"data":null}]', b"[7]"])
def test_user_events_of_another_shape_are_refused(arguments: bytes) -> None:
    """One argument, an object; anything else is not guessed at."""
    with pytest.raises(NotUnderstood):
        wire.user_record(wire.USER_ORDER, arguments)


# ---------------------------------------------------------------- market events
def test_a_sparse_quote_says_only_what_changed() -> None:
    """A member that is missing is None, never zero."""
    contract_id, quote = wire.market_record(wire.MARKET_QUOTE, payloads.SPARSE_QUOTE.encode())
    assert (contract_id, quote.best_bid) == (CONTRACT_ID, 25100.25)
    assert [quote.best_ask, quote.last_price, quote.volume] == [None] * 3
    full = wire.market_record(wire.MARKET_QUOTE, payloads.FULL_QUOTE.encode())[1]
    assert (full.best_ask, full.last_price, full.volume) == (25100.75, 25100.5, 120345)


@pytest.mark.parametrize(
    ("target", "item"), [(wire.MARKET_TRADE, payloads.TAPE), (wire.MARKET_DEPTH, payloads.DEPTH)]
)
def test_trades_and_depth_as_object_and_as_list(target: str, item: str) -> None:
    """One object is a list of one."""
    one = wire.market_record(target, f'["{CONTRACT_ID}",{item}]'.encode())
    many = wire.market_record(target, f'["{CONTRACT_ID}",[{item},{item}]]'.encode())
    assert many[1] == one[1] * 2
    assert len(one[1]) == 1


def test_what_a_trade_and_a_level_say() -> None:
    """Aggressor, size, kind of level; an unknown number is UNKNOWN."""
    trade = wire.market_record(wire.MARKET_TRADE, f'["X",{payloads.TAPE}]'.encode())[1][0]
    assert (trade.type, trade.volume, trade.price) == (wire.TapeSide.SELL, 3, 25100.5)
    level = payloads.DEPTH.replace('"type":4', '"type":99')
    found = [
        wire.market_record(wire.MARKET_DEPTH, f'["X",[{text}]]'.encode())[1][0]
        for text in (payloads.DEPTH, level)
    ]
    assert [item.type for item in found] == [wire.DepthType.BEST_BID, wire.DepthType.UNKNOWN]
    assert found[0].volume == 2


# ---------------------------------------------------------------- prices
@given(st.integers(-2_000_000_000, 2_000_000_000))
def test_prices_of_the_finest_grid_are_exact(ticks: int) -> None:
    """The yen's 0.0000005 keeps its digits: ticks, price, JSON text and back, no exponent."""
    listing = directory().find("6JZ26")
    price = listing.to_price(ticks)
    assert Fraction(price) == Fraction(ticks * 5, 10**7)
    order = wire.ModifyOrder(**OF, order_id=1, limit_price=price)
    text = wire.encode(order).decode()
    back = wire.decode(text, wire.ModifyOrder).limit_price
    assert back == price
    assert listing.to_ticks(back) == ticks
    assert listing.to_ticks(float(json.loads(text)["limitPrice"])) == ticks


def test_a_price_between_two_ticks_is_refused() -> None:
    """Never rounded."""
    with pytest.raises(OffGridPrice, match="6JZ26"):
        directory().find("6JZ26").to_ticks(Decimal("0.0067125003"))


# ---------------------------------------------------------------- times
INSTANT = 1790865000  # 2026-10-01T14:30:00Z


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2026-10-01T14:30:00+00:00", 0), ("2026-10-01T14:30:00Z", 0), ("2026-10-01T14:30:00", 0),
        ("2026-10-01T14:30:00.052+00:00", 52_000_000), ("2026-10-01T14:30:00.9Z", 900_000_000),
        ("2026-10-01T14:30:00.123456+00:00", 123_456_000),
        ("2026-10-01T14:30:00.1234567+00:00", 123_456_700),
        ("2026-10-01T14:30:00.123456789Z", 123_456_789),
        ("2026-10-01T09:30:00.5-05:00", 500_000_000), ("2026-10-01T20:00:00+05:30", 0),
        ("2026-10-01T16:30:00+0200", 0),
    ],
)  # fmt: skip
def test_times_of_the_api(text: str, ns: int) -> None:
    """3, 6, 7 and 9 decimals, Z, none and offsets: the same instant to the nanosecond, twice."""
    assert wire.to_ns(text) == wire.to_ns(text) == INSTANT * 10**9 + ns


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-10-01", "2026-13-01T00:00:00Z", "2026-10-01T25:00:00Z",
     "2026-02-29T00:00:00Z", "2026-10-01T14:30:75Z", "2026-10-01T14:30:00.0٣+00:00",
     "2026-10-01T14:30:0x", "2026-10-01T14:30:00.Z", "2026-10-01T14:30:00.1x", "14:30:00"],
)  # fmt: skip
def test_what_is_no_time_is_refused(text: str) -> None:
    """Also right after a good time of the same minute."""
    wire.to_ns("2026-10-01T14:30:00Z")
    with pytest.raises(NotUnderstood):
        wire.to_ns(text)


@given(st.integers(0, 4_000_000_000 * 10**9), st.integers(-14 * 60, 14 * 60))
def test_times_go_out_and_back(ns: int, offset: int) -> None:
    """to_iso and to_ns undo each other, and both agree with datetime in every zone."""
    assert wire.to_ns(wire.to_iso(ns, 9)) == ns
    assert wire.to_ns(wire.to_iso(ns)) == ns // 100 * 100
    zone = timezone(timedelta(minutes=offset))
    local = datetime.fromtimestamp(ns // 10**9, UTC).astimezone(zone)
    assert wire.to_ns(local.isoformat()) == ns // 10**9 * 10**9


# ---------------------------------------------------------------- mangled
KINDS = [(BY_NAME[name].answer, text) for name, text in payloads.ANSWERS.items()]


@given(st.sampled_from(KINDS), st.data())
def test_mangled_json_is_not_understood_and_nothing_else(
    case: tuple[type[wire.Answer], str], data: st.DataObject
) -> None:
    """Cut, overwritten or invented bytes either decode or raise NotUnderstood."""
    kind, text = case
    body = bytearray(text.encode())
    at = data.draw(st.integers(0, len(body)))
    junk = data.draw(st.binary(max_size=6))
    for mangled in (bytes(body[:at]), bytes(body[:at] + junk + body[at + len(junk) :]), junk):
        with contextlib.suppress(NotUnderstood):
            assert isinstance(wire.decode(mangled, kind), kind)


MARKET = [
    (wire.MARKET_QUOTE, payloads.SPARSE_QUOTE), (wire.MARKET_TRADE, f'["X",{payloads.TAPE}]'),
    (wire.MARKET_DEPTH, f'["X",[{payloads.DEPTH}]]'),
]  # fmt: skip


@given(st.sampled_from([*((target, f"[{text}]") for target, text in USER), *MARKET]), st.data())
def test_mangled_events_are_not_understood_and_nothing_else(
    case: tuple[str, str], data: st.DataObject
) -> None:
    """The same for what a hub sends."""
    target, text = case
    body = bytearray(text.encode())
    at = data.draw(st.integers(0, len(body)))
    body[at:at] = data.draw(st.binary(max_size=4))
    del body[data.draw(st.integers(0, len(body))) :]
    read = wire.user_record if target in wire.USER_RECORDS else wire.market_record
    with contextlib.suppress(NotUnderstood):
        read(target, bytes(body))

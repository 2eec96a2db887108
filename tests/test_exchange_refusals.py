"""Every refusal: its code in the operation's own table, its exact words, the record it leaves."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from pxresearch.gateway import wire
from pxresearch.gateway.wire import OrderStatus, OrderType
from pxresearch.instruments import instrument
from pxresearch.sessions import may_open
from pxresearch.simulator.accounts import AccountSpec
from pxresearch.simulator.hours import Hours
from pxresearch.simulator.settings import AccountKind, BracketMode
from tests.exchange_kit import ACCOUNT, ME, MNQ, Kit

LIMIT, STOP, TRAIL = OrderType.LIMIT, OrderType.STOP, OrderType.TRAILING_STOP
OUT = "Invalid price. Price is outside allowed range."
CLOSED = "Trading is currently unavailable. The instrument is not in an active trading status."
EXPIRED, UNKNOWN = "CON.F.US.MNQ.H26", "CON.F.US.XYZ.Z26"


@pytest.fixture
def kit() -> Kit:
    made = Kit()
    made.open_market()
    return made


ORDER_REJECTED: list[tuple[dict[str, Any], str]] = [
    ({"kind": TRAIL}, "Trail Distance not set."),
    (
        {"kind": TRAIL, "trail": Decimal("24990.10")},
        "Invalid trail price. Price is not aligned to tick size.",
    ),
    ({"kind": TRAIL, "trail": 98_999}, "Trail Distance exceeds maximum (1000)"),
    ({"kind": TRAIL, "trail": 100_000}, OUT),
    (
        {"sl": 60},
        "Invalid stop loss ticks (60). Ticks should be less than zero when longing.",
    ),
    (
        {"side": -1, "tp": 60},
        "Invalid take profit ticks (60). Ticks should be less than zero when going short",
    ),
    (
        {"side": -1, "sl": -60},
        "Invalid stop loss ticks (-60). Ticks should be greater than zero when going short.",
    ),
    (
        {"tp": -60},
        "Invalid take profit ticks (-60). Ticks should be greater than zero when longing",
    ),
    ({"sl": -3}, "Invalid stop loss ticks (-3). Price should be at least 4 ticks away."),
    ({"tp": 0}, "Invalid take profit ticks (0). Price should be at least 4 ticks away."),
    ({"tp": 1001}, "Invalid take profit ticks (1001). Ticks should be 1000 ticks or less."),
    ({"sl": -1001}, "Invalid stop loss ticks (-1001). Ticks should be 1000 ticks or less."),
    ({"sl": -9, "sl_type": LIMIT}, "Invalid stop loss type."),
    ({"tp": 9, "tp_type": STOP}, "Invalid take profit type."),
    ({"kind": STOP, "stop": 100_000}, OUT),
    ({"kind": STOP, "stop": 99_999}, OUT),
    ({"side": -1, "kind": STOP, "stop": 100_000}, OUT),
    ({"kind": STOP}, "Stop Price not set."),
    (
        {"kind": STOP, "stop": Decimal("25001.10")},
        "Invalid stop price. Price is not aligned to tick size.",
    ),
    ({"kind": LIMIT}, "Limit Price not set."),
    ({"kind": LIMIT, "limit": Decimal("1e999999")}, OUT),
    ({"kind": LIMIT, "limit": Decimal("-1e40")}, OUT),
    (
        {"kind": LIMIT, "limit": Decimal("1e-999999")},
        "Invalid limit price. Price is not aligned to tick size.",
    ),
    (
        {"kind": LIMIT, "limit": Decimal("25000.2500000000000000000000000000000000000001")},
        "Invalid limit price. Price is not aligned to tick size.",
    ),
    ({"kind": TRAIL, "trail": Decimal("1e30")}, OUT),
    (
        {"kind": LIMIT, "limit": Decimal("25001.10")},
        "Invalid limit price. Price is not aligned to tick size.",
    ),
    ({"kind": OrderType.STOP_LIMIT, "limit": 100_010, "stop": 100_010}, "Invalid order type."),
    ({"kind": OrderType.NONE}, "Invalid order type."),
    ({"size": 0}, "Invalid size. Size should be greater than zero."),
    ({"size": -1}, "Invalid size. Size should be greater than zero."),
    ({"size": 151}, "Maximum position exceeded. Limit is 15 minis or 150 micros."),
]


@pytest.mark.parametrize(("members", "text"), ORDER_REJECTED)
def test_order_rejected(kit: Kit, members: dict[str, Any], text: str) -> None:
    """Code 2 with the venue's words; a record with status 5 and an event without a reason."""
    answer = kit.place(members.pop("side", 1), tag="t", **members)
    assert (answer.success, answer.error_code, answer.error_message) == (False, 2, text)
    (event,) = kit.batch
    assert (event.record.id, event.record.status) == (answer.order_id, OrderStatus.REJECTED)
    assert event.record.fill_volume == 0
    assert kit.truth.orders == [event.record]
    assert (kit.working, kit.position()) == ([], 0)


def test_four_and_a_thousand_ticks_are_taken(kit: Kit) -> None:
    assert kit.place(1, sl=-4, tp=1000).success
    assert kit.place(-1, sl=1000, tp=-4).success
    assert kit.place(1, 1, TRAIL, trail=101_000).success


def test_a_tag_is_used_up_for_good_and_belongs_to_its_first_order(kit: Kit) -> None:
    first = kit.place(1, tag="once").order_id
    answer = kit.place(1, tag="once")
    assert (answer.error_code, answer.error_message) == (2, "custom tag already in use")
    assert [one.id for one in kit.truth.orders if one.custom_tag == "once"] == [first]
    assert kit.place(1, tag="").success
    assert kit.place(1, tag="").success  # no tag at all


def test_no_quote_and_no_last_price() -> None:
    kit = Kit()
    assert kit.place(1).error_message == "Invalid symbol"
    kit.quote(100_000, None)
    assert kit.place(1, 1, OrderType.JOIN_ASK).error_message == "Invalid symbol"
    answer = kit.place(1, 1, TRAIL, trail=100_010)
    assert (answer.error_code, answer.error_message) == (2, "Cannot trail without a last price")


def test_position_brackets_mode_refuses_brackets_with_an_id() -> None:
    kit = Kit(account={"bracket_mode": BracketMode.POSITION})
    kit.open_market()
    answer = kit.place(1, sl=-40)
    assert answer.error_code == 2
    assert answer.order_id > 0
    assert answer.error_message == (
        "Brackets cannot be used with Position Brackets. You must enable Auto OCO Brackets."
    )
    assert kit.place(1).success


def test_halted_and_closed_come_with_code_2(kit: Kit) -> None:
    resting = kit.place(1, 1, LIMIT, limit=99_990).order_id
    kit.place(1, 2)
    kit.venue.halt(MNQ, True)
    assert kit.place(1).error_message == CLOSED
    assert kit.place(1).error_code == 2
    assert (kit.modify(resting, size=2).error_code, kit.close().error_code) == (3, 5)
    answer = kit.partial_close(1)
    assert (answer.error_code, answer.error_message) == (6, None)
    kit.quote(99_900, 99_901)
    assert kit.position() == 2  # nothing fills in a halt
    kit.venue.halt(MNQ, False)
    kit.quote(99_900, 99_901)
    assert kit.position() == 3
    assert kit.close().success


@pytest.mark.parametrize(
    ("at", "is_open"),
    [
        ("2026-11-24T15:00:00Z", True),  # a Tuesday morning
        ("2026-11-24T21:09:59Z", True),  # one second before 15:10 in Chicago
        ("2026-11-24T21:10:00Z", False),
        ("2026-11-24T22:59:00Z", False),
        ("2026-11-24T23:00:01Z", True),  # 17:00: the next trading day
        ("2026-11-28T15:00:00Z", False),  # Saturday
        ("2026-12-25T15:00:00Z", False),  # Christmas
    ],
)
def test_hours_of_the_calendar(at: str, is_open: bool) -> None:
    kit = Kit(start=wire.to_ns(at) - 10**9, always_open=False)
    contract = next(one.id for one in kit.venue.listed if one.symbol_id == "F.US.MNQ")
    kit.now -= 2 * 10**9
    kit.open_market(at=contract)
    answer = kit.place(1, at=contract)
    assert (answer.success, answer.error_message) == (is_open, None if is_open else CLOSED)


@pytest.mark.parametrize("root", ["MNQ", "ZC", "HE"])
def test_hours_are_those_of_the_sessions_at_every_instant(root: str) -> None:
    """Pauses, early cut-offs and the weekend, asked in order as the venue asks."""
    hours, product = Hours(always_open=False), instrument(root)
    start = wire.to_ns("2026-11-23T00:00:00Z")  # the week of Thanksgiving
    for minute in range(0, 7 * 24 * 60, 5):
        at = start + minute * 60 * 10**9
        assert hours.is_open(product, at) == may_open(at, product), minute


def test_codes_of_place(kit: Kit) -> None:
    for members, code in (
        ({"account": 1}, 1),
        ({"owner": "somebody else"}, 1),
        ({"at": UNKNOWN}, 8),
        ({"at": "MNQZ26"}, 8),
        ({"at": EXPIRED}, 9),
    ):
        answer = kit.place(1, **members)
        assert (answer.success, answer.error_code, answer.order_id) == (False, code, None)
    kit.venue.set_can_trade(ACCOUNT, False)
    assert kit.place(1).error_code == 10
    assert kit.truth.account.can_trade is False
    assert kit.truth.orders == []


def test_codes_of_modify(kit: Kit) -> None:
    n = kit.place(1, 2, STOP, stop=100_050).order_id
    trail = kit.place(-1, 1, TRAIL, trail=99_900).order_id
    for order, prices, code, text in (
        (1, {"size": 1}, 2, None),
        (n, {"stop_price": 100_000}, 3, OUT),
        (n, {"stop_price": Decimal("25020.10")}, 3,
         "Invalid stop price. Price is not aligned to tick size."),
        (n, {"limit_price": 100_050}, 3, "Invalid price. The order has no such price."),
        (n, {"size": 0}, 3, "Invalid size. Size should be greater than zero."),
        (n, {"size": 500}, 3, "Maximum position exceeded. Limit is 15 minis or 150 micros."),
        (trail, {"trail_price": Decimal("24990.10")}, 3,
         "Invalid trail price. Price is not aligned to tick size."),
        (trail, {"trail_price": 90_000}, 0, None),  # no limit of 1000 ticks here
        (n, {}, 0, None),
    ):  # fmt: skip
        answer = kit.modify(order, **prices)
        assert (answer.error_code, answer.error_message) == (code, text)
    assert kit.order(trail).trail_distance == 10_000
    other = kit.call(wire.MODIFY, "somebody else", account_id=ACCOUNT, order_id=n)
    assert other.error_code == 1
    waiting = kit.place(1, 1, LIMIT, limit=99_000, sl=-8).order_id + 1
    assert kit.modify(waiting, stop_price=99_990).error_message == "Order is suspended."


def test_codes_of_cancel_tell_filled_cancelled_and_unknown_apart(kit: Kit) -> None:
    filled = kit.place(1).order_id
    cancelled = kit.place(1, 1, LIMIT, limit=99_000).order_id
    assert kit.cancel(cancelled).success
    answers = [kit.cancel(n) for n in (filled, cancelled, 17)]
    assert [(one.error_code, one.error_message) for one in answers] == [
        (3, "Order is already filled."),
        (3, "Order is already cancelled."),
        (2, None),
    ]
    assert kit.modify(filled, size=2).error_code == 3
    other = kit.call(wire.CANCEL, "somebody else", account_id=ACCOUNT, order_id=filled)
    assert other.error_code == 1


def test_codes_of_the_closes(kit: Kit) -> None:
    for at, code in ((MNQ, 2), (UNKNOWN, 3), (EXPIRED, 4)):
        assert kit.close(at).error_code == code
        assert kit.partial_close(1, at).error_code == code
    kit.place(1, 2)
    for size in (0, -1, 3):
        assert kit.partial_close(size).error_code == 5
    kit.quote(None, 100_001)
    assert (kit.close().error_code, kit.partial_close(1).error_code) == (5, 6)
    other = kit.call(wire.CLOSE, "somebody else", account_id=ACCOUNT, contract_id=MNQ)
    assert other.error_code == 1


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"kind": AccountKind.LIVE}, "Live accounts not supported"),
        ({"follower": True}, "Follower accounts cannot cancel orders"),
    ],
)
def test_live_and_follower_accounts_are_not_for_the_api(spec: dict[str, Any], text: str) -> None:
    kit = Kit(account=spec)
    kit.open_market()
    assert kit.place(1).error_code == 10
    answer = kit.cancel(5)
    assert (answer.error_code, answer.error_message) == (6, text)
    assert kit.modify(5, size=1).error_code == 6
    assert (kit.close().error_code, kit.partial_close(1).error_code) == (8, 9)


def test_order_slots_and_contracts_run_out_with_a_message(kit: Kit) -> None:
    taken = 0
    while (answer := kit.place(1, 1, LIMIT, limit=99_000)).success:
        taken += 1
    assert taken == 56
    assert (answer.error_code, answer.error_message) == (2, "Maximum working orders exceeded.")
    assert kit.cancel(kit.working[0].id).success
    assert kit.place(1, 1, LIMIT, limit=99_000).success

    kit.venue.add_account(AccountSpec(id=2, owner=ME))
    for i, one in enumerate(kit.venue.listed[4:13]):  # a position and a resting order by turns
        kit.open_market(at=one.id)
        kind = (OrderType.MARKET, OrderType.JOIN_BID)[i % 2]
        answer = kit.place(1, 1, kind, at=one.id, account=2)
        assert answer.success == (i < 8)
    assert answer.error_message.startswith("Maximum contracts exceeded.")


def test_an_account_without_money_may_only_reduce() -> None:
    kit = Kit(account={"balance": Decimal("0.61")})
    kit.open_market()
    assert kit.place(1).success
    answer = kit.place(1)
    assert (answer.error_code, answer.error_message) == (2, "Not enough margin.")
    assert kit.place(-1).success

"""Kinds of accounts, rules that the venue enforces, Position Brackets, one-off misbehaviour."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pxresearch.errors import UnknownName, UsageError
from pxresearch.gateway import wire
from pxresearch.gateway.wire import OrderStatus, OrderType
from pxresearch.simulator.accounts import AccountSpec
from pxresearch.simulator.oneoff import OneOff
from pxresearch.simulator.settings import AccountKind, BracketMode, VenueSettings
from tests.exchange_kit import ACCOUNT, ME, MNQ, TICK, Kit, in_words


@pytest.fixture
def kit() -> Kit:
    made = Kit()
    made.open_market()
    return made


def statuses(kit: Kit) -> list[int]:
    return [int(one.status) for one in kit.truth.orders]


# ------------------------------------------------------------ accounts
def test_kinds_have_their_names_caps_and_simulated_flag() -> None:
    caps = dict.fromkeys(AccountKind, 15) | {AccountKind.COMBINE: 5}
    kit = Kit(account={"kind": AccountKind.COMBINE}, max_minis=caps)
    kit.open_market()
    kit.venue.add_account(AccountSpec(id=2, owner=ME, kind=AccountKind.LIVE))
    rows = kit.call(wire.ACCOUNT_SEARCH, only_active_accounts=False).accounts
    assert [row.simulated for row in rows] == [True, False]
    assert rows[0].name.startswith("150KTC-")
    assert (
        kit.place(1, 51).error_message
        == "Maximum position exceeded. Limit is 5 minis or 50 micros."
    )
    assert kit.place(1, 50).success
    assert not kit.place(1, 1).success
    assert kit.place(-1, 100).success  # to the cap on the other side
    assert kit.position() == -50


def test_working_orders_count_towards_the_cap_and_other_products_too(kit: Kit) -> None:
    assert kit.place(1, 100, OrderType.LIMIT, limit=99_000).success
    assert not kit.place(1, 51).success
    assert kit.place(1, 30, sl=-8, tp=8).success
    assert kit.place(-1, 30).success  # what reduces passes
    es = "CON.F.US.EP.Z26"
    kit.open_market(at=es)
    assert kit.place(1, 15, at=es).success
    assert not kit.place(1, 1, at=es).success


def test_bracket_legs_do_not_count_towards_the_cap(kit: Kit) -> None:
    assert kit.place(1, 100, sl=-8, tp=8).success
    assert kit.place(-1, 150).success  # to short 50; with both legs it would be short 250
    assert kit.position() == -50


def test_an_id_is_taken_once_and_names_must_exist(kit: Kit) -> None:
    with pytest.raises(UsageError, match="is there already"):
        kit.venue.add_account(AccountSpec(id=ACCOUNT, owner="x"))
    with pytest.raises(UnknownName):
        kit.venue.truth(1)
    with pytest.raises(UnknownName):
        kit.venue.quote("CON.F.US.MNQ.H26", kit.now, 1, 2, 1, 1)
    with pytest.raises(UsageError, match="not answered by the exchange"):
        kit.call(wire.VALIDATE)


@pytest.mark.parametrize(
    "members",
    [
        {"limit_fill": "always"}, {"stop_trigger": "bid"}, {"slippage_ticks": -1},
        {"ack_delay_ms": -1}, {"max_minis": {AccountKind.LIVE: 1}},
        {"max_minis": dict.fromkeys(AccountKind, 26)},
    ],
)  # fmt: skip
def test_settings_refuse_what_they_cannot_do(members: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        VenueSettings(**members)  # type: ignore[arg-type]


def test_a_spec_refuses_rules_without_sense() -> None:
    with pytest.raises(UsageError, match="daily_loss"):
        AccountSpec(id=1, owner=ME, daily_loss=Decimal(0))
    with pytest.raises(UsageError, match="finer than a micro-dollar"):
        AccountSpec(id=1, owner=ME, balance=Decimal("0.0000001"))


def test_can_trade_is_told_and_closing_stays_possible(kit: Kit) -> None:
    kit.place(1, 2, sl=-8)
    kit.venue.set_can_trade(ACCOUNT, False)
    (event,) = kit.venue.take_events()
    assert event.target == wire.USER_ACCOUNT
    assert event.record.can_trade is False
    assert kit.place(-1).error_code == 10
    assert kit.cancel(kit.working[0].id).success
    assert kit.close().success
    kit.venue.set_can_trade(ACCOUNT, True)
    assert kit.place(1).success


def test_an_order_by_hand_is_the_accounts_and_has_no_tag(kit: Kit) -> None:
    answer = kit.venue.manual(ACCOUNT, MNQ, 1, 3, now=kit.now)
    assert answer.success
    assert kit.position() == 3
    assert kit.truth.orders[0].custom_tag is None
    assert {event.owner for event in kit.venue.take_events()} == {ME}
    resting = kit.venue.manual(
        ACCOUNT, MNQ, -1, 1, type=OrderType.LIMIT, limit_price=Decimal("25100"), now=kit.now
    )
    assert resting.success
    assert kit.working[0].limit_price == 25_100


# ------------------------------------------------------------ rules
def test_daily_loss_flattens_and_locks_until_the_next_trading_day() -> None:
    """Ten micros from 25,000.25: -1,000 dollars, costs counted, at the bid of 24,951.00."""
    kit = Kit(account={"daily_loss": Decimal(1000)})
    kit.open_market()
    kit.place(1, 10, sl=-900, tp=900)
    kit.quote(99_804, 99_805)  # -985.00 open and -6.10 costs
    assert kit.position() == 10
    kit.quote(99_802, 99_803)  # -995.00 and -6.10
    assert (kit.position(), kit.working) == (0, [])
    assert kit.truth.account.can_trade is False
    assert kit.truth.account.balance == 150_000 - 995 - Decimal("12.20")
    assert in_words(kit.batch)[-1][0] == "Account"
    assert kit.place(1).error_code == 4
    kit.now = wire.to_ns("2026-11-25T22:59:58Z")
    assert kit.place(1).error_code == 4
    kit.now = wire.to_ns("2026-11-25T23:00:00Z")
    kit.quote(99_802, 99_803)
    assert kit.truth.account.can_trade is True
    assert kit.place(1).success


def test_a_limit_is_breached_on_a_touch_and_by_a_fill_alone() -> None:
    """One micro bought at the ask: one tick and its cost below the start, 1.11 dollars."""
    for limit, position in ((Decimal("1.11"), 0), (Decimal("1.12"), 1)):
        kit = Kit(account={"daily_loss": limit})
        kit.open_market()
        assert kit.place(1).success
        assert kit.position() == position
        assert kit.truth.account.can_trade == bool(position)


def test_maximum_loss_ends_the_account() -> None:
    kit = Kit(account={"max_loss": Decimal(100), "kind": AccountKind.COMBINE})
    kit.open_market()
    kit.place(-1, 10)
    kit.quote(100_018, 100_019)
    assert kit.position() == 0
    kit.now = wire.to_ns("2026-11-27T15:00:00Z")
    assert kit.place(1).error_code == 4
    assert kit.call(wire.ACCOUNT_SEARCH, only_active_accounts=True).accounts == []
    assert len(kit.call(wire.ACCOUNT_SEARCH, only_active_accounts=False).accounts) == 1


# ------------------------------------------------------------ Position Brackets
def test_position_brackets_follow_the_position() -> None:
    """100 dollars of stop and 200 of target: on two micros 100 and 200 ticks, on four half."""
    kit = Kit(
        account={"bracket_mode": BracketMode.POSITION, "position_stop": Decimal(100),
                 "position_target": Decimal(200)}
    )  # fmt: skip
    kit.open_market()
    kit.place(1, 2)
    stop, target = kit.working
    assert (stop.stop_price, target.limit_price) == (99_901 * TICK, 100_201 * TICK)
    assert (stop.parent_order_id, target.linked_order_id) == (None, stop.id)
    kit.place(1, 2)
    stop, target = kit.working
    assert (stop.size, stop.stop_price) == (4, 99_951 * TICK)
    assert (target.size, target.limit_price) == (4, 100_101 * TICK)
    kit.quote(100_102, 100_103)
    assert (kit.position(), kit.working) == (0, [])
    assert kit.truth.account.balance == 150_000 + 200 - 8 * Decimal("0.61")
    kit.place(-1, 1)
    assert kit.close().success
    assert (kit.position(), kit.working) == (0, [])


# ------------------------------------------------------------ one-offs
def test_partial_fill_leaves_the_rest_for_the_next_event(kit: Kit) -> None:
    kit.venue.arm(OneOff.PARTIAL_FILL)
    n = kit.place(1, 3, sl=-8, tp=8).order_id
    order = kit.order(n)
    assert (order.status, order.fill_volume, order.size) == (OrderStatus.OPEN, 1, 3)
    assert [leg.size for leg in kit.working[1:]] == [1, 1]
    kit.quote(100_001, 100_002)
    order = kit.order(n)
    assert (order.status, order.filled_price) == (OrderStatus.FILLED, Decimal("25000.416666667"))
    assert [leg.size for leg in kit.working] == [3, 3]
    assert kit.place(-1, 2).success  # the fault is used up
    assert kit.position() == 1


def test_a_refused_leg_leaves_the_other(kit: Kit) -> None:
    kit.venue.arm(OneOff.REFUSE_LEG)
    n = kit.place(1, 1, sl=-8, tp=8).order_id
    assert in_words(kit.batch)[-2:] == [("Order", 1, n + 2, 1), ("Order", 2, n + 1, 5)]
    kit.trade(99_000)
    assert kit.position() == 1  # nothing protected it


def test_a_sibling_that_is_kept_can_fill_too(kit: Kit) -> None:
    kit.venue.arm(OneOff.KEEP_SIBLING)
    kit.place(1, 1, sl=-8, tp=8)
    kit.quote(100_010, 100_011)
    assert len(kit.working) == 1
    kit.trade(99_990)
    assert (kit.position(), kit.working) == (-1, [])


@pytest.mark.parametrize(
    ("kind", "prices", "expected"),
    [
        (OrderType.LIMIT, {"limit": 99_990}, 99_990),
        (OrderType.STOP, {"stop": 100_050}, 100_001),
    ],
)
def test_a_fill_wins_the_race_against_its_cancel(
    kit: Kit, kind: OrderType, prices: dict[str, int], expected: int
) -> None:
    n = kit.place(1, 2, kind, **prices).order_id  # type: ignore[arg-type]
    kit.venue.arm(OneOff.FILL_DURING_CANCEL)
    answer = kit.cancel(n)
    assert (answer.error_code, answer.error_message) == (3, "Order is already filled.")
    assert kit.order(n).filled_price == expected * TICK
    assert kit.position() == 2
    other = kit.place(1, 1, OrderType.LIMIT, limit=99_000).order_id
    assert kit.cancel(other).success  # used up


def test_a_held_acknowledgement_stays_pending() -> None:
    kit = Kit(ack_delay_ms=1500)
    kit.open_market()
    kit.venue.arm(OneOff.HOLD_ACK)
    n = kit.place(1, 2, sl=-8).order_id
    assert (statuses(kit), kit.position()) == ([6, 8], 0)
    kit.quote(100_004, 100_005)
    assert (statuses(kit), kit.position()) == ([6, 8], 0)
    kit.quote(100_009, 100_010)
    assert (statuses(kit), kit.position()) == ([2, 1], 2)
    assert kit.order(n).filled_price == 100_005 * TICK  # at the market that stood when it came
    kit.venue.arm(OneOff.HOLD_ACK)
    n = kit.place(1, 1, sl=-8).order_id
    assert kit.cancel(n).success
    kit.quote(100_009, 100_010)
    kit.quote(100_009, 100_010)
    assert (statuses(kit)[-2:], kit.position()) == ([3, 3], 2)


def test_a_dropped_event_is_never_told(kit: Kit) -> None:
    kit.venue.arm(OneOff.DROP_EVENT, 2)
    n = kit.place(1).order_id
    assert in_words(kit.batch)[0] == ("Trade", 0, n, 1, None)
    assert kit.order(n).status is OrderStatus.FILLED
    kit.venue.arm(OneOff.DROP_EVENT, 0)
    kit.place(1)
    assert len(kit.batch) == 5
    with pytest.raises(UsageError):
        kit.venue.arm(OneOff.DROP_EVENT, -1)

"""Lives of orders, event by event: brackets, closes, reversals, trailing stops, modifications."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pxresearch.gateway import wire
from pxresearch.gateway.wire import OrderStatus, OrderType
from tests.exchange_kit import ACCOUNT, MNQ, TICK, Kit, in_words

BOUGHT, SOLD = 1, -1
FEES = Decimal("0.61")  # a micro contract and side: 0.36 fees, 0.25 commission


@pytest.fixture
def kit() -> Kit:
    """MNQ at 25,000.00 / 25,000.25."""
    made = Kit()
    made.open_market()
    made.events.clear()
    return made


def test_golden_life_of_a_bracketed_entry(kit: Kit) -> None:
    """The recorded life of a market sell with both legs, event by event."""
    answer = kit.place(SOLD, 2, sl=101, tp=-99, tag="bot-1")
    n = answer.order_id
    assert n > 2**31
    assert in_words(kit.batch) == [
        ("Order", 1, n + 1, 8),
        ("Order", 1, n, 6),
        ("Order", 1, n + 2, 8),
        ("Order", 2, n, 2),
        ("Trade", 0, n, 2, None),
        ("Position", 1, 2, 2),
        ("Account", 1, 150_000 - 2 * FEES),
        ("Order", 1, n + 2, 1),
        ("Order", 1, n + 1, 1),
    ]
    stop, entry, target = (event.record for event in kit.batch[:3])
    assert len({stop.creation_timestamp, entry.creation_timestamp, target.creation_timestamp}) == 1
    for leg in (stop, target):
        assert (leg.limit_price, leg.stop_price, leg.filled_price) == (None, None, None)
        assert (leg.size, leg.side, leg.parent_order_id) == (2, wire.OrderSide.BUY, n)
    assert (stop.custom_tag, target.custom_tag) == ("bot-1-SL", "bot-1-TP")
    assert (stop.linked_order_id, target.linked_order_id) == (None, n + 1)
    assert (stop.trail_distance, target.trail_distance) == (101, -99)
    active = kit.order(n + 1)
    assert (active.stop_price, active.type) == (100_101 * TICK, OrderType.STOP)
    assert kit.order(n + 2).limit_price == 99_901 * TICK

    kit.quote(99_899, 99_900)  # through the target: it fills at its price
    assert in_words(kit.batch) == [
        ("Order", 2, n + 2, 2),
        ("Trade", 0, n + 2, 2, Decimal("99.00")),
        ("Order", 2, n + 1, 3),
        ("Position", 2, 0, 0),
        ("Account", 1, 150_000 + 99 - 4 * FEES),
    ]
    closed = kit.batch[3].record
    assert closed.average_price == 100_000 * TICK
    assert kit.order(n + 2).update_timestamp == active.update_timestamp  # the known trap
    assert kit.truth.positions == []


def test_a_limit_entry_keeps_its_legs_suspended_until_it_fills(kit: Kit) -> None:
    n = kit.place(BOUGHT, 1, OrderType.LIMIT, limit=99_990, sl=-8, tp=8).order_id
    assert in_words(kit.batch)[-1] == ("Order", 1, n, 1)
    open_only = kit.call(wire.ORDER_OPEN, account_id=ACCOUNT).orders
    assert [one.id for one in open_only] == [n]
    kit.quote(99_989, 99_990)  # at the price is not through it
    assert kit.position() == 0
    assert kit.order(n + 1).custom_tag is None
    assert kit.cancel(n).success
    assert [one.status for one in kit.truth.orders] == [OrderStatus.CANCELLED] * 3


def test_a_leg_cancelled_by_hand_leaves_its_sibling(kit: Kit) -> None:
    n = kit.place(BOUGHT, 1, sl=-8, tp=8).order_id
    assert kit.cancel(n + 1).success
    assert [one.id for one in kit.working] == [n + 2]
    kit.quote(100_010, 100_011)
    assert (kit.position(), kit.working) == (0, [])


def test_close_contract_leaves_the_legs_and_they_can_open_a_position(kit: Kit) -> None:
    n = kit.place(BOUGHT, 2, sl=-8, tp=400, tag="x").order_id
    assert kit.close().success
    close = kit.truth.orders[-1]
    assert (close.type, close.custom_tag, close.size) == (OrderType.MARKET, None, 2)
    assert (kit.position(), [one.id for one in kit.working]) == (0, [n + 1, n + 2])
    kit.trade(99_990)
    assert (kit.position(), kit.working) == (-2, [])


def test_partial_close_takes_what_was_asked(kit: Kit) -> None:
    kit.place(BOUGHT, 5)
    assert kit.partial_close(2).success
    assert kit.position() == 3
    assert kit.truth.trades[-1].profit_and_loss == Decimal("-1.00")  # two contracts, one tick
    assert kit.truth.positions[0].average_price == 100_001 * TICK


@pytest.mark.parametrize("two_rows", [True, False])
def test_a_fill_through_zero(two_rows: bool) -> None:
    kit = Kit(two_rows_through_zero=two_rows)
    kit.open_market()
    kit.place(BOUGHT, 1)
    old = kit.truth.positions[0].id
    kit.quote(100_011, 100_012)
    n = kit.place(SOLD, 3).order_id
    rows = [event.record for event in kit.batch if event.target == wire.USER_TRADE]
    gross = Decimal("5.00")  # ten ticks of 0.50
    if two_rows:
        assert [(row.size, row.profit_and_loss) for row in rows] == [(1, gross), (2, None)]
        assert [row.fees for row in rows] == [Decimal("0.36"), Decimal("0.72")]
    else:
        assert [(row.size, row.profit_and_loss) for row in rows] == [(3, gross)]
    assert {row.order_id for row in rows} == {n}
    told = [event.record for event in kit.batch if event.target == wire.USER_POSITION]
    assert [(row.size, int(row.type)) for row in told] == [(0, 0), (2, 2)]
    assert told[0].id == old != told[1].id
    assert kit.truth.account.balance == 150_000 + gross - 4 * FEES


def test_adding_averages_and_lots_close_first_in_first_out(kit: Kit) -> None:
    kit.place(BOUGHT, 1)  # 100,001
    kit.quote(100_001, 100_002)
    kit.place(BOUGHT, 2)  # 100,002
    assert kit.truth.positions[0].average_price == Decimal("25000.416666667")
    kit.quote(100_011, 100_012)
    kit.place(SOLD, 1)
    assert kit.truth.trades[-1].profit_and_loss == Decimal("5.00")  # of the lot at 100,001
    assert kit.truth.positions[0].average_price == 100_002 * TICK


def test_trailing_stop_keeps_its_distance_and_ratchets(kit: Kit) -> None:
    kit.place(BOUGHT, 1)
    n = kit.place(SOLD, 1, OrderType.TRAILING_STOP, trail=99_980).order_id
    order = kit.order(n)
    assert (order.trail_distance, order.trail_price) == (20, 20 * TICK)
    kit.trade(99_990)  # nearer to the stop: it stays
    assert kit.order(n).stop_price == 99_980 * TICK
    kit.trade(100_030)
    assert kit.order(n).stop_price == 100_010 * TICK
    kit.trade(100_015)
    assert kit.order(n).stop_price == 100_010 * TICK
    kit.quote(100_008, 100_009)
    kit.trade(100_010)
    assert kit.order(n).filled_price == 100_008 * TICK  # at the bid, past the stop
    assert kit.position() == 0


def test_a_trailing_leg_is_type_5_and_follows(kit: Kit) -> None:
    n = kit.place(BOUGHT, 1, sl=-8, sl_type=OrderType.TRAILING_STOP).order_id
    leg = kit.order(n + 1)
    assert (leg.type, leg.stop_price, leg.trail_price) == (5, 99_993 * TICK, 8 * TICK)
    kit.trade(100_020)
    assert kit.order(n + 1).stop_price == 100_012 * TICK


def test_join_orders_rest_at_the_best_price(kit: Kit) -> None:
    bid = kit.place(BOUGHT, 1, OrderType.JOIN_BID).order_id
    ask = kit.place(SOLD, 1, OrderType.JOIN_ASK).order_id
    assert kit.order(bid).limit_price == 100_000 * TICK
    assert kit.order(ask).limit_price == 100_001 * TICK
    assert kit.order(ask).type is OrderType.JOIN_ASK


def test_a_market_order_without_an_opposite_side_waits(kit: Kit) -> None:
    kit.quote(100_000, None)
    n = kit.place(BOUGHT, 1).order_id
    assert kit.order(n).status is OrderStatus.OPEN
    kit.quote(100_000, 100_003)
    assert kit.order(n).filled_price == 100_003 * TICK


def test_modify_moves_prices_and_size_and_can_fill(kit: Kit) -> None:
    n = kit.place(BOUGHT, 1, OrderType.LIMIT, limit=99_990).order_id
    assert kit.modify(n, size=3).success
    assert kit.modify(n, limit_price=99_995).success
    order = kit.order(n)
    assert (order.size, order.limit_price) == (3, 99_995 * TICK)
    assert kit.modify(n, limit_price=100_005).success  # marketable: the ask, not the limit
    assert in_words(kit.batch)[:2] == [("Order", 1, n, 1), ("Order", 2, n, 2)]
    assert kit.order(n).filled_price == 100_001 * TICK
    assert kit.position() == 3


def test_moving_one_leg_leaves_the_other_and_a_stop_moves_ten_times(kit: Kit) -> None:
    n = kit.place(BOUGHT, 1, sl=-100, tp=100).order_id
    for i in range(10):
        assert kit.modify(n + 1, stop_price=99_910 + i).success
    assert kit.order(n + 1).stop_price == 99_919 * TICK
    assert kit.order(n + 2).limit_price == 100_101 * TICK
    kit.trade(99_919)
    assert (kit.position(), kit.working) == (0, [])


def test_an_entry_made_smaller_makes_its_waiting_legs_smaller(kit: Kit) -> None:
    n = kit.place(BOUGHT, 4, OrderType.LIMIT, limit=99_990, sl=-8, tp=8).order_id
    assert kit.modify(n, size=2).success
    assert [kit.order(n + i).size for i in range(3)] == [2, 2, 2]
    kit.trade(99_980)
    assert [(one.size, one.status) for one in kit.working] == [(2, OrderStatus.OPEN)] * 2


def test_stop_orders_fill_at_the_gap(kit: Kit) -> None:
    n = kit.place(SOLD, 1, OrderType.STOP, stop=99_990).order_id
    kit.quote(99_950, 99_951)
    assert kit.order(n).status is OrderStatus.OPEN  # triggered by trades alone
    kit.trade(99_951)
    assert kit.order(n).filled_price == 99_950 * TICK


def test_by_quotes_a_stop_needs_no_trade() -> None:
    kit = Kit(stop_trigger="quote", slippage_ticks=2)
    kit.open_market()
    n = kit.place(SOLD, 1, OrderType.STOP, stop=99_990).order_id
    kit.quote(99_990, 99_991)
    assert kit.order(n).filled_price == 99_988 * TICK


def test_two_accounts_do_not_meet(kit: Kit) -> None:
    from pxresearch.simulator.accounts import AccountSpec

    kit.venue.add_account(AccountSpec(id=2, owner="other"))
    kit.place(BOUGHT, 1, at=MNQ, account=2, owner="other")
    assert {event.owner for event in kit.batch} == {"other"}
    assert kit.truth.orders == []
    assert kit.venue.truth(2).positions[0].size == 1

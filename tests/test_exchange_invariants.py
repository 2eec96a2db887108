"""What holds at every instant, with partial fills, brackets, cancels, closes and reversals."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pxresearch.gateway import wire
from pxresearch.gateway.wire import OrderSide, OrderStatus, OrderType
from pxresearch.simulator.oneoff import OneOff
from tests.exchange_kit import TICK, Kit

MID = 100_000
near = st.integers(-15, 15)
sides = st.sampled_from((1, -1))
sizes = st.tuples(st.integers(1, 4), st.integers(1, 4))
legs = st.sampled_from((0, 5, 8))
steps = st.one_of(
    st.tuples(st.just("quote"), near, sizes),
    st.tuples(st.just("quote"), near, sizes),
    st.tuples(st.just("trade"), near, st.integers(1, 4)),
    st.tuples(st.just("market"), sides, st.integers(1, 6), legs, legs),
    st.tuples(st.just("limit"), sides, st.integers(1, 6), near, legs, legs),
    st.tuples(st.just("cancel"), st.integers(0, 9)),
    st.tuples(st.just("shrink"), st.integers(0, 9), st.integers(1, 6)),
    st.tuples(st.just("close")),
    st.tuples(st.just("arm"), st.sampled_from((OneOff.PARTIAL_FILL, OneOff.HOLD_ACK))),
)  # fmt: skip


class Life:
    """A random life; `by_hand` are legs that somebody took away or resized."""

    def __init__(self) -> None:
        self.kit = Kit(partial_fills=True, limit_fill="touch", ack_delay_ms=1500)
        self.kit.open_market()
        self.by_hand: set[int] = set()

    def quote(self, offset: int, size: tuple[int, int]) -> None:
        self.kit.quote(MID + offset, MID + offset + 1, size=size)

    def trade(self, offset: int, size: int) -> None:
        self.kit.trade(MID + offset, size)

    def market(self, side: int, qty: int, stop: int, target: int) -> None:
        self.kit.place(side, qty, sl=-side * stop or None, tp=side * target or None)

    def limit(self, side: int, qty: int, offset: int, stop: int, target: int) -> None:
        self.kit.place(
            side, qty, OrderType.LIMIT, limit=MID + offset, sl=-side * stop or None,
            tp=side * target or None,
        )  # fmt: skip

    def _chosen(self, at: int) -> wire.Order | None:
        working = self.kit.working
        return working[at % len(working)] if working else None

    def cancel(self, at: int) -> None:
        if (order := self._chosen(at)) is not None:
            self.by_hand.add(order.id)
            cancelled = self.kit.cancel(order.id).success  # not if it was held and has just filled
            assert cancelled or self.kit.order(order.id).status is OrderStatus.FILLED

    def shrink(self, at: int, size: int) -> None:
        order = self._chosen(at)
        if order is not None and order.parent_order_id is None:
            self.kit.modify(order.id, size=size)

    def close(self) -> None:
        self.kit.close()

    def arm(self, what: OneOff) -> None:
        self.kit.venue.arm(what)

    def check(self) -> None:
        truth = self.kit.truth
        orders = {one.id: one for one in truth.orders}
        assert len(orders) == len(truth.orders)
        _fills_add_up(truth, orders)
        _protection_equals_what_filled(truth.orders, self.by_hand)
        _told_is_true(self.kit, truth, orders)


def _fills_add_up(truth: Any, orders: dict[int, wire.Order]) -> None:
    filled: dict[int, int] = defaultdict(int)
    net = 0
    for row in truth.trades:
        filled[row.order_id] += row.size
        net += row.size if row.side is OrderSide.BUY else -row.size
        assert orders[row.order_id].side is row.side
    assert {k: one.fill_volume for k, one in orders.items() if one.fill_volume} == filled
    held = sum(
        row.size if row.type is wire.PositionType.LONG else -row.size for row in truth.positions
    )
    assert net == held
    for one in orders.values():
        assert 0 <= one.fill_volume <= one.size
        assert (one.status is OrderStatus.FILLED) == (one.fill_volume == one.size)
        assert (one.filled_price is None) == (one.fill_volume == 0)


def _protection_equals_what_filled(orders: list[wire.Order], by_hand: set[int]) -> None:
    """Each leg that is left protects exactly what its entry filled and no leg has closed yet."""
    children: dict[int, list[wire.Order]] = defaultdict(list)
    for one in orders:
        if one.parent_order_id is not None:
            children[one.parent_order_id].append(one)
    for entry in orders:
        own = children.get(entry.id, [])
        closed = sum(leg.fill_volume for leg in own)
        assert closed <= entry.fill_volume  # never both legs of a pair
        alive = [leg for leg in own if not leg.status.done]
        if entry.fill_volume == 0:
            assert all(leg.status in (OrderStatus.SUSPENDED, OrderStatus.CANCELLED) for leg in own)
            continue
        for leg in alive:
            assert leg.status is OrderStatus.OPEN
            assert leg.size - leg.fill_volume == entry.fill_volume - closed
        if own and not by_hand & {leg.id for leg in own}:
            assert bool(alive) == (closed < entry.fill_volume)


def _told_is_true(kit: Kit, truth: Any, orders: dict[int, wire.Order]) -> None:
    """The last event of each thing is the truth, and nothing is told of after its end."""
    last: dict[tuple[str, int], Any] = {}
    ended: set[int] = set()
    for event in kit.events:
        last[event.target, event.record.id] = event.record
        if event.target == wire.USER_ORDER:
            assert event.record.id not in ended
            if event.record.status.done:
                ended.add(event.record.id)
    assert {k: v for (what, k), v in last.items() if what == wire.USER_ORDER} == orders
    positions = [v for (what, _), v in last.items() if what == wire.USER_POSITION and v.size]
    assert positions == truth.positions
    trades = [v for (what, _), v in last.items() if what == wire.USER_TRADE]
    assert trades == truth.trades
    if (wire.USER_ACCOUNT, truth.account.id) in last:
        assert last[wire.USER_ACCOUNT, truth.account.id] == truth.account


@settings(max_examples=100)
@given(st.lists(steps, max_size=40))
def test_invariants_of_a_random_life(steps: list[tuple[Any, ...]]) -> None:
    life = Life()
    for name, *arguments in steps:
        getattr(life, name)(*arguments)
        life.check()


def test_a_life_has_partly_filled_brackets() -> None:
    """The invariants above are about something: an entry of 3 fills 1, then 2, its legs follow."""
    life = Life()
    life.quote(0, (9, 1))
    life.market(1, 3, 5, 5)
    life.check()
    legs = life.kit.working[1:]
    assert [(leg.size, leg.status) for leg in legs] == [(1, OrderStatus.OPEN)] * 2
    life.quote(1, (9, 2))
    life.check()
    assert [leg.size for leg in life.kit.working] == [3, 3]
    assert life.kit.position() == 3
    life.quote(6, (2, 9))  # the target fills two of three
    life.check()
    assert [(leg.size, leg.fill_volume) for leg in life.kit.working] == [(1, 0), (3, 2)]


def test_new_legs_for_what_fills_after_the_first_ones_have_closed() -> None:
    kit = Kit(partial_fills=True)
    kit.open_market()
    entry = kit.place(1, 3, OrderType.LIMIT, limit=99_990, sl=-8, tp=20, tag="late").order_id
    kit.trade(99_989, 1)
    assert kit.modify(entry, limit_price=99_900).success
    kit.quote(99_981, 99_985)
    kit.trade(99_982, 1)  # the stop of the one that filled
    assert (kit.position(), [one.id for one in kit.working]) == (0, [entry])
    kit.trade(99_899, 2)
    assert kit.position() == 2
    legs = [one for one in kit.working if one.parent_order_id == entry]
    assert [(one.custom_tag, one.size) for one in legs] == [("late-SL", 2), ("late-TP", 2)]
    assert [one.stop_price or one.limit_price for one in legs] == [99_892 * TICK, 99_920 * TICK]


def test_legs_that_somebody_took_away_do_not_come_back() -> None:
    kit = Kit(partial_fills=True)
    kit.open_market()
    entry = kit.place(1, 3, OrderType.LIMIT, limit=99_990, sl=-8, tp=20).order_id
    kit.trade(99_989, 1)
    for leg in (entry + 1, entry + 2):
        assert kit.cancel(leg).success
    kit.trade(99_989, 2)
    assert (kit.position(), kit.working) == (3, [])

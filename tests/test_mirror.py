"""The local copy: any order of arrival adds up to the same, and what is missing shows."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pxresearch.gateway import entry
from pxresearch.gateway.mirror import Mirror, Snapshot
from pxresearch.gateway.records import Account, Fill, Order, Position, Quote
from pxresearch.gateway.wire import OrderStatus, OrderType
from tests.exchange_kit import ACCOUNT, MNQ, Kit
from tests.venue_life import directory, live, record, snapshot


def lived(seed: int, steps: int = 25) -> tuple[Kit, Any, list[Any], Snapshot]:
    """A random life: the exchange, its contracts, all events in order, the truth."""
    kit = Kit(partial_fills=True, limit_fill="touch")
    live(kit, seed, steps)
    names = directory(kit)
    return kit, names, [record(names, e.record) for e in kit.events], snapshot(kit, names)


def positions(truth: Snapshot) -> dict[str, int]:
    return {row.contract_id: row.qty for row in truth.positions}


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), shuffle=st.integers(0, 10**6))
def test_any_order_of_arrival_with_doubles_adds_up_to_the_truth(seed: int, shuffle: int) -> None:
    """S15, S16: no event is missing, so orders, fills and positions are the venue's."""
    _, names, events, truth = lived(seed)
    rng = random.Random(shuffle)
    arriving = events + rng.sample(events, len(events) // 2)
    rng.shuffle(arriving)
    mirror = Mirror(ACCOUNT, names)
    for event in arriving:
        mirror.apply(event)
    assert mirror.positions == positions(truth)
    assert mirror.fills == {fill.id: fill for fill in truth.fills}
    done = {o.id: o for o in truth.orders if o.done}
    assert {k: o for k, o in mirror.orders.items() if o.done} == done
    assert [o.id for o in mirror.working] == [o.id for o in truth.orders if not o.done]
    assert [o.filled for o in mirror.working] == [o.filled for o in truth.orders if not o.done]


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), loss=st.integers(0, 10**6), share=st.floats(0, 1))
def test_a_snapshot_makes_it_the_truth_whatever_was_lost(
    seed: int, loss: int, share: float
) -> None:
    """And later events, doubled or not, keep it so."""
    kit, names, events, truth = lived(seed)
    rng = random.Random(loss)
    mirror = Mirror(ACCOUNT, names)
    for event in events:
        if rng.random() < share:
            mirror.apply(event)
    mirror.load(truth)
    assert_same(mirror, truth)
    assert mirror.compare(truth) == []
    for event in rng.sample(events, len(events) // 2):  # late ones of the time before
        mirror.apply(event)
        assert mirror.positions == positions(truth)
        assert lives(mirror.orders.values()) == lives(truth.orders)
        assert mirror.fills == {f.id: f for f in truth.fills}
    before = len(kit.events)
    live(kit, seed + 1, 10)
    for event in kit.events[before:]:
        mirror.apply(record(names, event.record))
    assert mirror.positions == positions(snapshot(kit, names))


def lives(orders: Any) -> dict[int, tuple[OrderStatus, int]]:
    """Status and filled quantity by order; a leg's size may change under one time stamp."""
    return {o.id: (o.status, o.filled) for o in orders}


def assert_same(mirror: Mirror, truth: Snapshot) -> None:
    assert mirror.positions == positions(truth)
    assert mirror.orders == {o.id: o for o in truth.orders}
    assert mirror.fills == {f.id: f for f in truth.fills}
    assert mirror.account == truth.account
    assert mirror.doubts() == []


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), which=st.integers(0, 10**6))
def test_a_missing_fill_is_a_doubt(seed: int, which: int) -> None:
    """S56: the order and the position say more than the fills; never silently wrong."""
    _, names, events, _ = lived(seed)
    fills = [e for e in events if isinstance(e, Fill)]
    if not fills:
        return
    lost = fills[which % len(fills)]
    mirror = Mirror(ACCOUNT, names)
    for event in events:
        if event is not lost:
            mirror.apply(event)
    assert any(f"order {lost.order} has filled" in text for text in mirror.doubts())


def test_differences_are_told_in_words() -> None:
    """A missed fill, an order by another hand, a changed position: each by name and number."""
    kit = Kit()
    kit.open_market()
    names = directory(kit)
    mirror = Mirror(ACCOUNT, names)
    mirror.load(snapshot(kit, names))
    kit.now += 1
    kit.venue.manual(ACCOUNT, MNQ, 1, 2, now=kit.now)
    texts, learnt = mirror.load(snapshot(kit, names))
    fill = next(iter(mirror.fills.values()))
    order = next(iter(mirror.orders.values()))
    assert texts == [
        "balance is 149,998.78, was 150,000.00",
        f"missed fill {fill.id}: MNQZ26 +2 at 25000.25",
        f"order {order.id} (MNQZ26) was not known",
        "position in MNQZ26 is +2, was +0",
    ]
    assert [type(one) for one in learnt] == [Fill, Order, Position, Account]


def test_an_unknown_status_is_never_done() -> None:
    """A number that the API may add one day does not end an order."""
    kit = Kit()
    kit.open_market()
    kit.place(1, tag="a")
    names = directory(kit)
    filled = snapshot(kit, names).orders[0]
    odd = msgspec.structs.replace(filled, status=OrderStatus(77), filled=0)
    mirror = Mirror(ACCOUNT, names)
    mirror.apply(odd)
    assert [o.id for o in mirror.working] == [odd.id]
    mirror.apply(filled)
    assert mirror.working == []


@pytest.mark.parametrize(
    ("quote", "expected"),
    [
        ({"bid": 100_010, "ask": 100_011}, 2 * (100_010 - 100_001) * 500_000),  # long: the bid
        ({"bid": None, "ask": 100_011}, None),
        ({"bid": 100_010, "ask": 100_011, "received": -6 * 10**9}, None),  # six seconds old
        (None, None),
    ],
)
def test_open_profit_is_exact_or_unknown(quote: dict[str, Any] | None, expected: int) -> None:
    """S49: None rather than 0 when there is no price; marked at the exit side."""
    kit = Kit()
    kit.open_market()
    kit.place(1, 2)
    names = directory(kit)
    mirror = Mirror(ACCOUNT, names)
    mirror.load(snapshot(kit, names))
    shown = None
    if quote is not None:
        age = quote.pop("received", 0)
        shown = Quote(
            contract_id=MNQ, ts=0, received=kit.now + age, last=None, volume=None, **quote
        )
    assert mirror.open_pnl(MNQ, shown, kit.now, 5.0) == expected
    assert mirror.open_pnl("CON.F.US.MES.Z26", shown, kit.now, 5.0) == 0


def test_a_voided_fill_is_taken_back() -> None:
    """The venue voids a trade: the position goes back, and stays so."""
    kit = Kit()
    kit.open_market()
    kit.place(1, 2)
    names = directory(kit)
    mirror = Mirror(ACCOUNT, names)
    for event in kit.events:
        mirror.apply(record(names, event.record))
    fill = next(iter(mirror.fills.values()))
    assert mirror.position(MNQ) == 2
    assert mirror.apply(msgspec.structs.replace(fill, voided=True))
    assert not mirror.apply(fill)
    assert mirror.position(MNQ) == 0
    assert mirror.doubts() == ["MNQZ26: the venue says +2, the fills say +0"]
    mirror.load(msgspec.structs.replace(snapshot(kit, names), positions=()))
    assert mirror.doubts() == []


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6))
def test_the_value_at_entry_by_fills_is_that_of_the_average(seed: int) -> None:
    """Two ways to one number, wherever the venue's average is good enough."""
    _, names, _, truth = lived(seed)
    for row in truth.positions:
        listing = names.listing(row.contract_id)
        ours = [f for f in truth.fills if f.contract_id == row.contract_id]
        by_average = entry.by_average(row.average_price, row.qty, listing)
        assert entry.by_fills(ours) * listing.tick_value == by_average


def test_an_order_older_than_the_window_leaves_no_doubt() -> None:
    """Half of it filled three days ago; its fill is not among those of the last day."""
    kit = Kit(partial_fills=True, limit_fill="touch")
    kit.open_market()
    kit.place(1, 15)  # 10 are shown
    names = directory(kit)
    truth = snapshot(kit, names)
    order = truth.orders[0]
    assert 0 < order.filled < 15
    window = msgspec.structs.replace(truth, fills=(), since=order.created + 1)
    mirror = Mirror(ACCOUNT, names)
    mirror.load(window)
    assert mirror.doubts() == []
    assert mirror.position(MNQ) == order.filled
    unseen = Mirror(ACCOUNT, names)
    unseen.load(msgspec.structs.replace(truth, fills=(), since=order.created))
    assert len(unseen.doubts()) == 1


def test_an_order_that_vanished_is_told_with_its_record() -> None:
    """It works no more, and whoever holds it learns so."""
    kit = Kit()
    kit.open_market()
    kit.place(1, kind=OrderType.LIMIT, limit=99_000, tag="a")
    names = directory(kit)
    mirror = Mirror(ACCOUNT, names)
    first, learnt = mirror.load(snapshot(kit, names))
    order = mirror.working[0]
    assert first == [f"order {order.id} (MNQZ26) was not known"]
    assert [type(one) for one in learnt] == [Order, Account]
    texts, learnt = mirror.load(msgspec.structs.replace(snapshot(kit, names), orders=()))
    assert texts == [f"order {order.id} (MNQZ26) no longer works at the venue"]
    assert learnt == [msgspec.structs.replace(order, status=OrderStatus.CANCELLED)]
    assert mirror.working == []

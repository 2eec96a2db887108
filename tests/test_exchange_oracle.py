"""The exchange against a second, slow one, and its money against exact fractions."""

from __future__ import annotations

import random
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pxresearch.gateway import wire
from pxresearch.gateway.wire import OrderStatus, OrderType
from tests.exchange_kit import ACCOUNT, MNQ, Kit
from tests.exchange_oracle import CANCELED, FILLED, WORKING, Ledger, Order, Venue

TICK = Fraction(1, 4)
MID = 100_000
NAMES = {FILLED: OrderStatus.FILLED, CANCELED: OrderStatus.CANCELLED, WORKING: OrderStatus.OPEN}
near = st.integers(-12, 12)
sides = st.sampled_from((1, -1))
sizes = st.integers(1, 5)
legs = st.integers(0, 12)
missing = st.sampled_from(("", "", "", "bid", "ask"))
steps = st.one_of(
    st.tuples(st.just("quote"), near, st.integers(1, 3), missing),
    st.tuples(st.just("trade"), near),
    st.tuples(st.just("market"), sides, sizes, legs, legs),
    st.tuples(st.just("limit"), sides, sizes, near, legs, legs),
    st.tuples(st.just("stop"), sides, sizes, near),
    st.tuples(st.just("trailing"), sides, sizes, st.integers(1, 12)),
    st.tuples(st.just("cancel"), st.integers(0, 30)),
    st.tuples(st.just("move"), st.integers(0, 30), near),
    st.tuples(st.just("close")),
)


class Pair:
    """The same steps in both; whatever the venue refuses, the second one never hears of."""

    def __init__(self) -> None:
        self.kit = Kit()
        cost = Fraction("0.61")
        self.plain = Venue(TICK, Ledger(Fraction(150_000), Fraction(2), cost))
        self.quote(0, 1, "")
        self.trade(0)

    def quote(self, offset: int, spread: int, missing: str) -> None:
        bid = None if missing == "bid" else MID + offset
        ask = None if missing == "ask" else MID + offset + spread
        self.kit.quote(bid, ask)
        self.plain.quote(*(None if p is None else p * TICK for p in (bid, ask)))

    def trade(self, offset: int) -> None:
        self.kit.trade(MID + offset)
        self.plain.trade((MID + offset) * TICK)

    def _offer(self, order: Order, **members: Any) -> None:
        kind = {"market": OrderType.MARKET, "limit": OrderType.LIMIT, "stop": OrderType.STOP,
                "trailing": OrderType.TRAILING_STOP}[order.kind]  # fmt: skip
        answer = self.kit.place(
            order.side, order.qty, kind, sl=order.stop_off or None, tp=order.target_off or None,
            **members,
        )  # fmt: skip
        if answer.success:
            order.key = answer.order_id
            self.plain.place(order)

    def market(self, side: int, qty: int, stop: int, target: int) -> None:
        self._offer(Order(0, side, qty, "market", stop_off=-side * stop, target_off=side * target))

    def limit(self, side: int, qty: int, offset: int, stop: int, target: int) -> None:
        level = MID + offset
        order = Order(0, side, qty, "limit", limit=level * TICK, stop_off=-side * stop,
                      target_off=side * target)  # fmt: skip
        self._offer(order, limit=level)

    def stop(self, side: int, qty: int, offset: int) -> None:
        level = MID + offset
        self._offer(Order(0, side, qty, "stop", stop=level * TICK), stop=level)

    def trailing(self, side: int, qty: int, distance: int) -> None:
        last = self.plain.last
        level = last + side * distance * TICK
        order = Order(0, side, qty, "trailing", stop=level, trail=distance * TICK, best=last)
        self._offer(order, trail=Decimal(level.numerator) / level.denominator)

    def cancel(self, at: int) -> None:
        if at < len(self.plain.orders):
            order = self.plain.orders[at]
            answer = self.kit.cancel(order.key)
            assert answer.success == (order.state == WORKING)
            if answer.success:
                self.plain.cancel(order)

    def move(self, at: int, offset: int) -> None:
        if at < len(self.plain.orders):
            order = self.plain.orders[at]
            if self.kit.modify(order.key, limit_price=MID + offset).success:
                assert order.state == WORKING
                assert order.kind == "limit"
                self.plain.move(order, (MID + offset) * TICK)

    def close(self) -> None:
        held = self.plain.ledger.position
        if self.kit.close().success:
            (order,) = [e.record for e in self.kit.batch if e.target == wire.USER_ORDER][:1]
            side = -1 if held > 0 else 1
            self.plain.place(Order(order.id, side, abs(held), "market"))

    def agree(self) -> None:
        truth, ledger = self.kit.truth, self.plain.ledger
        assert Fraction(truth.account.balance) == ledger.balance
        assert self.kit.position() == ledger.position
        if ledger.average is not None:
            (row,) = truth.positions
            assert abs(Fraction(row.average_price) - ledger.average) <= Fraction(1, 10**9)
        rows: dict[int, list[Fraction]] = {}
        for row in truth.trades:
            rows.setdefault(row.order_id, []).append(Fraction(row.price))
        assert {key: [price] for key, _, _, price in self.plain.fills} == {
            key: sorted(set(prices)) for key, prices in rows.items()
        }
        assert [key for key, *_ in self.plain.fills] == list(rows)
        by_id = {one.id: one for one in truth.orders}
        for order in self.plain.orders:
            assert by_id[order.key].status is NAMES[order.state], order


@settings(max_examples=120)
@given(st.lists(steps, max_size=45))
def test_the_venue_agrees_with_a_plain_one(life: list[tuple[Any, ...]]) -> None:
    """Fills in order and price, statuses, position, average and balance, after every step."""
    pair = Pair()
    for name, *arguments in life:
        getattr(pair, name)(*arguments)
        pair.agree()


@pytest.mark.parametrize("seed", range(3))
def test_a_thousand_fills_to_the_micro_dollar(seed: int) -> None:
    """Balance = start + gross - costs, over two products and a change of costs in between."""
    rng = random.Random(seed)
    print(f"seed {seed}")
    kit = Kit(start=wire.to_ns("2026-09-30T15:00:00Z"))
    names = ["CON.F.US.MNQ.Z26", next(c.id for c in kit.venue.listed if c.symbol_id == "F.US.MCLE")]
    ledgers = {
        names[0]: (TICK, Ledger(Fraction(0), Fraction(2), Fraction("0.61"))),
        names[1]: (Fraction(1, 100), Ledger(Fraction(0), Fraction(100), Fraction("0.76"))),
    }
    for i in range(1000):
        if i == 500:
            kit.now = wire.to_ns("2026-10-01T15:00:00Z")
            ledgers[names[1]][1].cost = Fraction("0.86")
        name = rng.choice(names)
        bid = rng.randint(6_000, 7_000)
        kit.quote(bid, bid + 1, at=name)
        side, size = rng.choice((1, -1)), rng.randint(1, 9)
        if not kit.place(side, size, at=name).success:  # at the cap: the other way
            side = -side
            assert kit.place(side, size, at=name).success
        tick, ledger = ledgers[name]
        gross = ledger.fill(side, size, (bid + (side > 0)) * tick)
        told = [e.record for e in kit.batch if isinstance(e.record, wire.Trade)]
        closing = [row.profit_and_loss for row in told if row.profit_and_loss is not None]
        assert sum(map(Fraction, closing)) == (gross or 0)
        assert bool(closing) == (gross is not None)
    truth = kit.truth
    money = sum(
        (row.profit_and_loss or 0) - row.fees - (row.commissions or 0) for row in truth.trades
    )
    assert len({row.id for row in truth.trades}) == len(truth.trades) >= 1000
    assert truth.account.balance == Decimal(150_000) + money
    assert Fraction(truth.account.balance) == 150_000 + sum(v.balance for _, v in ledgers.values())
    for name, (_, ledger) in ledgers.items():
        assert kit.position(name) == ledger.position
        net = sum(
            row.size if row.side is wire.OrderSide.BUY else -row.size
            for row in truth.trades
            if row.contract_id == name
        )
        assert net == ledger.position


def test_the_same_calls_give_the_same_bytes() -> None:
    """Ids, order of events, times and prices follow from the calls alone."""

    def run() -> list[bytes]:
        kit = Kit()
        kit.open_market()
        kit.place(1, 3, sl=-20, tp=30, tag="a")
        kit.place(-1, 2, OrderType.LIMIT, limit=100_008, sl=10)
        kit.quote(100_009, 100_010)
        kit.close()
        kit.quote(99_900, 99_901)
        kit.trade(99_900)
        return [wire.encode(event) for event in kit.events]

    first = run()
    assert len(first) > 20
    assert first == run()


def test_account_and_contract_are_those_of_the_kit() -> None:
    kit = Kit()
    (row,) = kit.call(wire.ACCOUNT_SEARCH, only_active_accounts=True).accounts
    assert (row.id, row.balance) == (ACCOUNT, Decimal(150_000))
    assert kit.call(wire.CONTRACT_BY_ID, contract_id=MNQ).contract.tick_value == Decimal("0.5")

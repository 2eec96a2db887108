"""What a venue says, told to the core: the same fills give the same account as the own matching."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pxresearch as px
from pxresearch.brokers.feeds import Feed
from pxresearch.brokers.fillmodel import FillModel
from pxresearch.brokers.session import EngineSession
from pxresearch.core import records as r
from tests.desk import MINUTE, MORNING, SECOND, Desk, chicago

CODE = "ESH26"
BID = 20_000  # ticks of 0.25: 5,000.00
RULES = {"start_balance": 50_000, "max_loss": 2_000, "daily_loss_limit": 1_000}
DAY = 86_400 * SECOND
_SAID: dict[str, tuple] = {"answer": ()}


class Told(px.Strategy):
    """Answers each quote with what the test says, and remembers the fills it was told of."""

    heard = px.state(int)

    def on_quote(self, quote, position):
        return _SAID["answer"]

    def on_fill(self, fill, position):
        self.heard += fill.side * fill.qty
        return px.hold()


def session(*, at_venue: bool, **rules) -> EngineSession:
    return EngineSession(
        Told(), [Feed(px.contract(CODE), ("quotes",))], px.programme("own", **{**RULES, **rules}),
        FillModel(), first_ns=MORNING - MINUTE, last_ns=MORNING + 3 * DAY, compiled=False,
        at_venue=at_venue,
    )  # fmt: skip


def show(one: EngineSession, ts: int, bid: int, *signals) -> None:
    _SAID["answer"] = signals
    try:
        one.tell(r.QUOTES, 0, ts, bid, bid + 1, 10, 10)
    finally:
        _SAID["answer"] = ()


def live_orders(one: EngineSession) -> dict[int, np.void]:
    e = one.engine[0]
    found = [e["order"][int(i)] for i in e["live"][: int(e["live_n"])]]
    return {int(o["id"]): o for o in found}


def money(one: EngineSession) -> dict[str, int]:
    e, c = one.engine[0], one.engine[0]["contract"][0]
    named = ("balance", "realized", "costs", "open_contracts", "orders_made", "fills_made")
    return {
        **{name: int(e[name]) for name in named}, "position": int(c["position"]),
        "entry": int(c["value_at_entry"]), "heard": int(one.twin.to_record(one.record)["heard"][0]),
    }  # fmt: skip


def random_signal(rng: random.Random):
    side = rng.choice((px.buy, px.sell))
    near = rng.randint(-6, 6)
    kind = rng.randrange(6)
    if kind == 0:
        return side(rng.randint(1, 3), stop_ticks=rng.randint(4, 9), target_ticks=rng.randint(4, 9))
    if kind == 1:
        return side(1, limit=(BID + near) / 4, tag=1, stop_ticks=rng.choice((0, 5)))
    if kind == 2:
        return side(1, stop=(BID + near) / 4, tag=1)
    return px.cancel(1) if kind == 3 else px.hold()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_the_same_fills_give_the_same_account(seed: int) -> None:
    """A matching engine's fills, told to one at a venue just when they happen: nothing differs."""
    rng = random.Random(seed)
    paper = session(at_venue=False, daily_loss_limit=None, max_loss=None)
    venue = session(at_venue=True, daily_loss_limit=None, max_loss=None)
    bid, told = BID, 0
    for step in range(60):
        bid += rng.randint(-3, 3)
        signals = (random_signal(rng),) if rng.random() < 0.5 else ()
        ts = MORNING + step * SECOND
        show(paper, ts, bid, *signals)
        rows = paper.logs()["fills"]
        ended = {int(o["id"]) for o in paper.logs()["orders"]}
        for row in rows[told:]:
            number = 1_000 + told
            told += 1
            venue.tell(
                r.VENUE_FILL, 0, ts, int(row["order"]), int(row["qty"]), int(row["price"]),
                number if row["side"] > 0 else -number,
            )  # fmt: skip
        show(venue, ts, bid, *signals)
        for number, order in list(live_orders(venue).items()):
            if int(order["cancel_at"]) != r.NEVER and number in ended:
                venue.tell(r.VENUE_END, 0, ts, number, r.CANCELED)
        assert money(venue) == money(paper), (seed, step)
        assert live_orders(venue).keys() == live_orders(paper).keys(), (seed, step)


def test_nothing_is_matched_at_a_venue() -> None:
    one = session(at_venue=True)
    show(one, MORNING, BID, px.buy(1))
    for step in range(1, 20):
        show(one, MORNING + step * SECOND, BID + step)
    assert money(one)["position"] == 0
    assert len(live_orders(one)) == 1


def test_acknowledged_changed_and_ended() -> None:
    one = session(at_venue=True)
    show(one, MORNING, BID, px.buy(2, limit=BID / 4 - 1, stop_ticks=8))
    (number,) = live_orders(one)
    assert live_orders(one)[number]["status"] == r.IN_FLIGHT
    one.tell(r.VENUE_ACK, 0, MORNING + 1, number)
    assert live_orders(one)[number]["status"] == r.WORKING
    one.tell(r.VENUE_CHANGE, 0, MORNING + 2, number, 1, BID - 7, r.LOWEST)
    changed = live_orders(one)[number]
    assert (int(changed["qty"]), int(changed["limit"])) == (1, BID - 7)
    one.tell(r.VENUE_END, 0, MORNING + 3, number, r.REJECTED)
    assert live_orders(one) == {}
    row = one.logs()["orders"][-1]
    assert (row["id"], row["status"], row["cause"]) == (number, r.REJECTED, r.NO_CAUSE)
    one.tell(r.VENUE_END, 0, MORNING + 4, number, r.CANCELED)  # said twice: nothing
    assert len(one.logs()["orders"]) == 1


def test_a_cancel_ends_when_the_venue_says_so() -> None:
    one = session(at_venue=True)
    show(one, MORNING, BID, px.buy(1, limit=BID / 4 - 1, tag=3))
    show(one, MORNING + SECOND, BID, px.cancel(3))
    (number,) = live_orders(one)
    assert int(one.engine["asked"][0]) == 1
    # it fills before the cancel arrives: the fill counts
    one.tell(r.VENUE_FILL, 0, MORNING + 2 * SECOND, number, 1, BID - 4, 77)
    assert money(one)["position"] == 1
    assert live_orders(one) == {}


def test_a_fill_of_no_order_of_ours_counts_for_the_account() -> None:
    """Sold by hand, 3 at 20,010: the position, its cost and its limits are the account's."""
    one = session(at_venue=True)
    show(one, MORNING, BID)
    one.tell(r.VENUE_FILL, 0, MORNING + 1, 0, 3, BID + 10, -501)
    found = money(one)
    assert found["position"] == -3
    assert found["balance"] == 50_000_000_000 - found["costs"]
    row = one.logs()["fills"][-1]
    assert r.CAUSES[row["cause"]] == "by_hand"
    # 1,000 USD a day: 3 contracts of 12.50 a tick are lost after 27 ticks against us
    show(one, MORNING + SECOND, BID + 40)
    assert int(one.engine["locked"][0]) == 1
    assert [int(o["role"]) for o in live_orders(one).values()] == [r.EXIT]


def test_more_filled_than_ordered_is_told_apart() -> None:
    one = session(at_venue=True)
    show(one, MORNING, BID, px.buy(1))
    (number,) = live_orders(one)
    one.tell(r.VENUE_FILL, 0, MORNING + 1, number, 3, BID, 9)
    assert money(one)["position"] == 3
    assert [(int(f["qty"]), r.CAUSES[f["cause"]]) for f in one.logs()["fills"]] == [
        (1, "strategy"), (2, "overfilled"),
    ]  # fmt: skip


# ------------------------------------------------------------------ commands
def test_halt_flattens_and_refuses_until_rearmed() -> None:
    one = session(at_venue=True)
    show(one, MORNING, BID, px.buy(1))
    one.tell(r.VENUE_FILL, 0, MORNING + 1, 1, 1, BID, 5)
    one.tell(r.COMMAND, 0, MORNING + 2, r.HALT, r.KILL_SWITCH)
    assert [int(o["role"]) for o in live_orders(one).values()] == [r.EXIT]
    one.tell(r.VENUE_FILL, 0, MORNING + 3, 2, 1, BID, -6)
    show(one, MORNING + SECOND, BID, px.buy(1))
    assert r.REASONS[one.logs()["refusals"][-1]["reason"]] == "HALTED"
    one.tell(r.COMMAND, 0, MORNING + 2 * SECOND, r.REARM)
    show(one, MORNING + 3 * SECOND, BID, px.buy(1))
    assert len(live_orders(one)) == 1


@pytest.mark.parametrize("bit", range(len(r.BLOCKS)))
def test_each_block_refuses_what_opens_and_nothing_else(bit: int) -> None:
    one = session(at_venue=True)
    show(one, MORNING, BID, px.buy(1))
    one.tell(r.VENUE_FILL, 0, MORNING + 1, 1, 1, BID, 5)
    one.tell(r.COMMAND, 0, MORNING + 2, r.BLOCK, 1 << bit)
    show(one, MORNING + SECOND, BID, px.buy(1))
    row = one.logs()["refusals"][-1]
    assert (r.REASONS[row["reason"]], int(row["value"])) == ("BLOCKED", 1 << bit)
    show(one, MORNING + 2 * SECOND, BID, px.sell(1))  # closes
    assert len(live_orders(one)) == 1


def test_limits_are_tightened_and_never_loosened() -> None:
    one = session(at_venue=True)
    rules = one.engine[0]["rules"]
    for value, holds in ((400, 400), (900, 400), (0, 400), (-5, 400), (300, 300)):
        one.tell(r.COMMAND, 0, MORNING, r.TIGHTEN, r.DAILY_LOSS_LIMIT, value * 1_000_000)
        assert int(rules["daily_loss"]) == holds * 1_000_000
    one.tell(r.COMMAND, 0, MORNING, r.TIGHTEN, r.ORDER_QTY, 2)
    show(one, MORNING + SECOND, BID, px.buy(3))
    assert r.REASONS[one.logs()["refusals"][-1]["reason"]] == "ORDER_SIZE"
    one.tell(r.COMMAND, 0, MORNING, r.TIGHTEN, r.SIZE_TENTHS, 10)
    show(one, MORNING + 2 * SECOND, BID, px.buy(2))
    assert r.REASONS[one.logs()["refusals"][-1]["reason"]] == "POSITION_CAP"


def test_the_account_is_what_the_venue_says() -> None:
    one = session(at_venue=True)
    one.tell(
        r.COMMAND, 0, MORNING, r.ACCOUNT_IS, 50_400_000_000, 50_900_000_000, 49_000_000_000
    )  # 500 down today
    e = one.engine[0]
    assert (int(e["balance"]), int(e["day_start"]), int(e["level"])) == (
        50_400_000_000, 50_900_000_000, 49_000_000_000,
    )  # fmt: skip
    assert not e["locked"]
    one.tell(
        r.COMMAND, 0, MORNING, r.ACCOUNT_IS, 49_900_000_000, 50_900_000_000, 49_000_000_000
    )  # 1,000 down: the limit, on the command itself
    assert e["locked"]


# ------------------------------------------------------------------ the rows that came with it
def test_spread() -> None:
    desk = Desk(max_spread_ticks=2, cost=0)
    desk.quote(BID, BID + 2, px.buy(1))
    assert desk.reasons() == []
    desk.quote(BID, BID + 3, px.buy(1), px.sell(2))
    desk.quote(BID + 1, BID, px.sell(2))  # crossed
    assert desk.reasons() == ["SPREAD"] * 3
    assert desk.quote(BID, BID + 9, px.sell(1)).quote(BID, BID).position() == 0  # an exit passes


def test_order_value() -> None:
    """5,000.25 x 50 USD a point: 250,012.50 each."""
    desk = Desk(max_order_value=500_025, cost=0)
    desk.quote(BID, BID + 1, px.buy(2))
    assert desk.reasons() == []
    desk.quote(BID, BID + 2, px.buy(2))
    assert desk.reasons() == ["ORDER_VALUE"]


def test_no_order_meets_an_own_one() -> None:
    desk = Desk(prevent_self_trade=True, cost=0)
    desk.quote(BID, BID + 10, px.sell(1, limit=(BID + 4) / 4))
    desk.quote(BID, BID + 10, px.buy(1, limit=(BID + 3) / 4), px.buy(1, limit=(BID + 4) / 4),
               px.buy(1))  # fmt: skip
    assert desk.reasons() == ["SELF_TRADE"] * 2  # at its limit, and at the market beyond it


def test_the_same_order_again_and_again_sets_the_kill_switch() -> None:
    desk = Desk(max_repeats=3, cost=0)
    for _ in range(3):
        desk.quote(BID, BID, px.buy(1, limit=(BID - 40) / 4))
    assert desk.reasons() == []
    desk.quote(BID, BID, px.buy(1, limit=(BID - 41) / 4), px.buy(1, limit=(BID - 40) / 4))
    assert desk.reasons() == []  # another one in between: it begins anew
    for _ in range(3):
        desk.quote(BID, BID, px.buy(1, limit=(BID - 40) / 4))
    assert desk.reasons() == ["REPEATED"]
    assert desk.e["halted"] == 1
    desk.quote(BID, BID, px.buy(1))
    assert desk.last_reason() == "HALTED"


def test_the_same_order_an_hour_later_is_another() -> None:
    desk = Desk(max_repeats=2, cost=0)
    for _ in range(6):
        desk.quote(BID, BID, px.buy(1, limit=(BID - 40) / 4), step=61 * SECOND)
    assert desk.reasons() == []


def test_the_session_end_asks_the_venue_and_ends_nothing_itself() -> None:
    """At 15:07 the engine stops opening and closes; what works is cancelled when the venue says."""
    one = session(at_venue=True)
    show(one, MORNING, BID, px.buy(1, limit=BID / 4 - 10))
    one.tell(r.CLOCK, ts=chicago("2026-01-13 15:07:00"))
    assert len(live_orders(one)) == 1
    assert int(one.engine["asked"][0]) == 1


def test_a_number_that_may_have_been_used_is_not_used_again() -> None:
    """After a restart: the next order is beyond it, and the counter never goes back."""
    one = session(at_venue=True)
    show(one, MORNING, BID, px.buy(1))
    one.tell(r.COMMAND, 0, MORNING + 1, r.NUMBER_FROM, 40)
    one.tell(r.COMMAND, 0, MORNING + 2, r.NUMBER_FROM, 7)
    show(one, MORNING + SECOND, BID, px.buy(1))
    assert sorted(live_orders(one)) == [1, 41]

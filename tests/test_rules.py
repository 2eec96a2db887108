"""The risk manager through the engine: every reason, its exact boundary, precedence, and the watch.

One contract is ES (tick value 12.50), prices in ticks; see tests/desk.py.
"""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pxresearch as px
from pxresearch.brokers.fillmodel import FillModel, Latency
from pxresearch.core import records as r
from pxresearch.programmes import NewsWindow
from tests import invariants
from tests.desk import MINUTE, MORNING, SECOND, Desk, chicago

BID, ASK = 24_000, 24_001
TICK = 0.25
USD = 1_000_000


def asked(*signals, setup=None, **rules):
    """Reason of the last of these signals on a standing quote."""
    desk = Desk(**rules)
    desk.quote(BID, ASK)
    if setup is not None:
        setup(desk)
    before = len(desk.reasons())
    desk.quote(BID, ASK, *signals)
    found = desk.reasons()
    return found[-1] if len(found) > before else "APPROVED"


def holding(qty, **rules):
    """A desk that holds `qty` (below 0: short)."""
    desk = Desk(**rules)
    desk.quote(BID, ASK, px.buy(qty) if qty > 0 else px.sell(-qty)).quote(BID, ASK)
    assert desk.position() == qty, desk.reasons()
    return desk


# ------------------------------------------------------------------ each reason and its boundary
@pytest.mark.parametrize(
    ("signal", "reason"),
    [
        (px.buy(1), "APPROVED"),
        (px.buy(1, contract=1), "BAD_CONTRACT"),
        (px.buy(0), "BAD_QUANTITY"),
        (px.buy(-1), "BAD_QUANTITY"),
        (px.buy(1.5), "BAD_QUANTITY"),
        (px.buy(math.nan), "BAD_QUANTITY"),
        (px.buy(1, limit=math.nan), "BAD_PRICE"),
        (px.buy(1, stop=math.inf), "BAD_PRICE"),
        (px.buy(1, stop_ticks=-1), "BAD_PRICE"),
        (px.buy(1, target_ticks=-1), "BAD_PRICE"),
        (px.buy(1, trail_ticks=0), "BAD_PRICE"),
        (px.buy(1, trailing=True), "BAD_PRICE"),
        (px.buy(1, stop_price=-math.inf), "BAD_PRICE"),
        (px.buy(1, limit=6000.1), "OFF_GRID"),
        (px.buy(1, limit=6000.0, stop_price=5990.3), "OFF_GRID"),
        (px.buy(1, limit=6000.125), "OFF_GRID"),
        (px.buy(1, stop=6000.25), "WRONG_SIDE"),
        (px.buy(1, stop=6000.5), "APPROVED"),
        (px.sell(1, stop=6000.0), "WRONG_SIDE"),
        (px.sell(1, stop=5999.75), "APPROVED"),
        (px.buy(1, limit=5999.0, stop_price=5999.0), "WRONG_SIDE"),
        (px.buy(1, limit=5999.0, stop_price=5998.75), "APPROVED"),
        (px.buy(1, limit=5999.0, target_price=5999.0), "WRONG_SIDE"),
        (px.sell(1, limit=6001.0, stop_price=6001.0), "WRONG_SIDE"),
        (px.sell(1, limit=6001.0, target_price=6000.75), "APPROVED"),
    ],
)  # fmt: skip
def test_form_and_sides(signal, reason):
    """Rows 1 to 4 and 19."""
    assert asked(signal) == reason


def test_session_and_cut_off():
    """Rows 11 and 12; a refusal at the cut-off itself, none a nanosecond before."""
    cut = chicago("2026-01-13 15:05:00")
    for at, reason in ((cut - 1, "APPROVED"), (cut, "AFTER_CUTOFF")):
        desk = Desk(at=cut - MINUTE).quote(BID, ASK)
        assert desk.quote(BID, ASK, px.buy(1), at=at).last_reason() == reason
    grains = Desk("ZCH26", "ESH26", at=chicago("2026-01-13 07:44:59"))
    grains.quote(1_800, 1_801, px.buy(1)).quote(BID, ASK, k=1)
    assert grains.reasons() == []
    grains.now = chicago("2026-01-13 08:00:00")
    grains.quote(BID, ASK, px.buy(1, contract=0), k=1)
    assert grains.last_reason() == "SESSION_CLOSED"
    grains.quote(BID, ASK, px.buy(1, contract=0), k=1, at=chicago("2026-01-13 08:30:00"))
    assert grains.reasons() == ["SESSION_CLOSED"]


def test_news_windows():
    """Row 14: barred from the first instant to before the last; the cap counts the worst case."""
    window = NewsWindow(
        start_ns=MORNING, end_ns=MORNING + MINUTE, no_opening=("ES",), capped=("MES",), cap=3
    )
    for at, reason in (
        (MORNING - 1, "APPROVED"), (MORNING, "NEWS_WINDOW"), (MORNING + MINUTE - 1, "NEWS_WINDOW"),
        (MORNING + MINUTE, "APPROVED"),
    ):  # fmt: skip
        desk = Desk(at=MORNING - SECOND, news_windows=[window]).quote(BID, ASK)
        assert desk.quote(BID, ASK, px.buy(1), at=at).last_reason() == reason, at
    micro = Desk("MESH26", news_windows=[window])
    micro.quote(BID, ASK, px.buy(3), px.buy(1, limit=5_000.0))
    assert micro.reasons() == ["NEWS_WINDOW"]
    micro.quote(BID, ASK, px.buy(1), px.sell(2), px.sell(2))  # holds 3: the second sale opens one
    assert micro.reasons() == ["NEWS_WINDOW"] * 2


def test_products_and_sizes():
    """Rows 15, 16, 24 and 25 at n and n + 1."""
    assert asked(px.buy(1), product_caps={"ES": 0}) == "NOT_PERMITTED"
    for n in (1, 4):
        assert asked(px.buy(n), max_order_qty=n) == "APPROVED"
        assert asked(px.buy(n + 1), max_order_qty=n) == "ORDER_SIZE"
        assert asked(px.buy(n), product_caps={"ES": n}) == "APPROVED"
        assert asked(px.buy(n + 1), product_caps={"ES": n}) == "PRODUCT_CAP"
        assert asked(px.sell(n), max_minis=n, max_order_qty=99) == "APPROVED"
        assert asked(px.sell(n + 1), max_minis=n, max_order_qty=99) == "POSITION_CAP"


def test_prices():
    """Rows 17, 18 and 20: a missing side, an old quote, an entry too far away."""
    desk = Desk().quote(r.NO_BID, ASK, px.sell(1), px.buy(1))
    assert desk.reasons() == ["NO_PRICE"]
    pair = Desk("ESH26", "NQH26").quote(BID, ASK, px.buy(1, contract=1))
    assert pair.reasons() == ["NO_PRICE"]
    for age, reason in ((5 * SECOND, "APPROVED"), (5 * SECOND + 1, "STALE_QUOTE")):
        pair = Desk("ESH26", "NQH26", max_quote_age_s=5).quote(BID, ASK)
        pair.quote(80_000, 80_001, px.buy(1, contract=0), k=1, at=pair.now + age)
        assert pair.last_reason() == reason
    for ticks, reason in ((10, "APPROVED"), (11, "COLLAR")):
        assert asked(px.buy(1, limit=(ASK - ticks) * TICK), collar_ticks=10) == reason
        assert asked(px.buy(1, stop=(ASK + ticks) * TICK), collar_ticks=10) == reason
        assert asked(px.sell(1, limit=(BID + ticks) * TICK), collar_ticks=10) == reason


def test_silence():
    """Row 9: a contract without events for longer than `feed_silence_s` may only be reduced."""
    for age, reason in ((5 * SECOND, "APPROVED"), (5 * SECOND + 1, "REDUCE_ONLY")):
        pair = Desk("ESH26", "NQH26", feed_silence_s=5).quote(BID, ASK)
        pair.quote(80_000, 80_001, px.buy(1, contract=0), k=1, at=pair.now + age)
        assert pair.last_reason() == reason
    pair = Desk("ESH26", "NQH26", feed_silence_s=5)
    pair.quote(BID, ASK, px.buy(2)).quote(BID, ASK)
    pair.quote(80_000, 80_001, px.sell(2, contract=0), k=1, step=MINUTE)
    assert pair.reasons() == []


def test_bracket_demanded():
    """Row 21: a stop by distance or price, not a target alone."""
    rules = {"require_bracket": True}
    assert asked(px.buy(1, target_ticks=5), **rules) == "BRACKET_MISSING"
    assert asked(px.buy(1, stop_ticks=5), **rules) == "APPROVED"
    assert asked(px.buy(1, stop_price=5_990.0), **rules) == "APPROVED"
    desk = holding(-2)
    desk.e["rules"]["require_bracket"] = 1
    assert desk.quote(BID, ASK, px.buy(2)).reasons() == []


def test_duplicates():
    """Row 22: the very same order inside the window; another price or quantity is another order."""
    rules = {"duplicate_window_ms": 2_000}
    one = px.buy(1, limit=5_990.0)
    for step, reason in ((2 * SECOND - 1, "DUPLICATE"), (2 * SECOND, "APPROVED")):
        desk = Desk(**rules).quote(BID, ASK, one)
        assert desk.quote(BID, ASK, one, step=step).last_reason() == reason
    for other in (px.buy(2, limit=5_990.0), px.buy(1, limit=5_990.25), px.sell(1, limit=6_010.0),
                  px.buy(1)):  # fmt: skip
        desk = Desk(**rules).quote(BID, ASK, one, other)
        assert desk.reasons() == []


def test_order_rate():
    """Row 23: n in any 60 s; the n + 1st passes again when the first is 60 s old."""
    rules = {"max_orders_per_minute": 3}
    desk = Desk(**rules)
    for n in range(3):
        desk.quote(BID, ASK, px.buy(1, limit=5_990.0 - n))
    first = desk.now - 2 * SECOND
    assert desk.reasons() == []
    desk.quote(BID, ASK, px.buy(1), at=first + MINUTE - 1)
    assert desk.reasons() == ["RATE"]
    desk.quote(BID, ASK, px.buy(1), at=first + MINUTE)
    assert desk.reasons() == ["RATE"]


def test_refused_orders_do_not_count_for_the_rate():
    desk = Desk(max_orders_per_minute=1)
    desk.quote(BID, ASK, px.buy(1, limit=6_000.1), px.buy(1))
    assert desk.reasons() == ["OFF_GRID"]


def test_bracket_risk():
    """Row 26: quantity x (distance x tick value + two costs) to the very dollar of what is left."""
    rules = {"daily_loss_limit": 1_000, "cost": 0}
    assert asked(px.buy(1, stop_ticks=80), **rules) == "APPROVED"  # 80 x 12.50 = 1,000
    assert asked(px.buy(1, stop_ticks=81), **rules) == "BRACKET_RISK"
    assert asked(px.buy(2, stop_ticks=40), **rules) == "APPROVED"
    assert asked(px.buy(2, stop_ticks=41), **rules) == "BRACKET_RISK"
    costly = {"daily_loss_limit": 1_000, "cost": 1_250_000}
    assert asked(px.buy(4, stop_ticks=19), **costly) == "APPROVED"  # 4 x (237.50 + 2.50) = 960
    assert asked(px.buy(1, stop_ticks=80), **costly) == "BRACKET_RISK"
    assert asked(px.buy(1, stop_ticks=81), check_bracket_risk=False, **rules) == "APPROVED"
    assert asked(px.buy(1, limit=ASK * TICK - 5, stop_price=ASK * TICK - 25), **rules) == "APPROVED"
    assert asked(px.buy(1, limit=ASK * TICK - 5, stop_price=ASK * TICK - 25.25), **rules) == (
        "BRACKET_RISK"
    )


def test_bracket_risk_adds_up():
    """Working entries and working stops are in the sum; what is lost already is out of the room."""
    rules = {"daily_loss_limit": 1_000, "cost": 0}
    first = px.buy(1, limit=5_990.0, stop_ticks=50)
    assert asked(px.buy(1, limit=5_980.0, stop_ticks=30), setup=lambda d: d.quote(BID, ASK, first),
                 **rules) == "APPROVED"  # fmt: skip
    assert asked(px.buy(1, limit=5_980.0, stop_ticks=31), setup=lambda d: d.quote(BID, ASK, first),
                 **rules) == "BRACKET_RISK"  # fmt: skip
    for ticks, reason in ((30, "APPROVED"), (31, "BRACKET_RISK")):
        desk = Desk(**rules)
        desk.quote(BID, BID, px.buy(1, stop_ticks=50)).quote(BID)
        # 20 ticks down: 250 lost, 30 ticks to the stop; room 750 - 375 = 375 = 30 ticks
        desk.quote(BID - 20, BID - 20, px.buy(1, stop_ticks=ticks))
        assert desk.last_reason() == reason, ticks


def test_slots():
    """Row 27: orders fill the table; the flatten orders keep theirs."""
    desk = Desk()
    n = 0
    while desk.last_reason() == "APPROVED":
        desk.quote(BID, ASK, px.buy(1, limit=5_000.0 + n))
        n += 1
        assert n < 100
    assert desk.reasons() == ["TOO_MANY_ORDERS"]
    assert len(desk.live()) <= r.MAX_ORDERS - r.MAX_CONTRACTS
    bracketed = Desk()
    for n in range(60):
        bracketed.quote(BID, ASK, px.buy(1, limit=5_000.0 + n, stop_ticks=9, target_ticks=9))
    for price in range(BID, 19_900, -400):  # all of them fill, each with two children
        bracketed.quote(price, price + 1)
    assert "TOO_MANY_ORDERS" in bracketed.reasons()
    assert int(bracketed.e["overflow"]) == 0
    assert len(bracketed.rows("fills")) > 10


def test_loss_pause():
    """Row 13: n losing trades in a row; a winner in between starts the count again."""
    rules = {"loss_pause_after": 2, "loss_pause_s": 60, "cost": 0}

    def trip(desk, ticks):
        desk.quote(BID, BID, px.buy(1)).quote(BID, BID, px.sell(1)).quote(BID + ticks)

    desk = Desk(**rules)
    for ticks in (-4, 4, -4):
        trip(desk, ticks)
    assert desk.quote(BID, BID, px.buy(1, limit=5_000.0), px.cancel()).reasons() == []
    trip(desk, -4)
    since = desk.now
    assert desk.rows("risk")["cause"].tolist() == [r.LOSS_STREAK]
    desk.quote(BID, BID, px.buy(1), at=since + MINUTE - 1)
    assert desk.reasons() == ["LOSS_PAUSE"]
    desk.quote(BID, BID, px.buy(1), at=since + MINUTE)
    assert desk.reasons() == ["LOSS_PAUSE"]
    rest = Desk(loss_pause_after=1, cost=0)  # no length: the rest of the day
    trip(rest, -4)
    rest.quote(BID, BID, px.buy(1), at=chicago("2026-01-13 15:04:00"))
    assert rest.reasons() == ["LOSS_PAUSE"]
    rest.quote(BID, BID, px.buy(1), at=chicago("2026-01-13 17:00:01"))
    assert rest.reasons() == ["LOSS_PAUSE"]


def test_a_trade_that_only_pays_costs_is_a_loss():
    desk = Desk(loss_pause_after=1, cost=10_000)
    desk.quote(BID, BID, px.buy(1)).quote(BID, BID, px.sell(1)).quote(BID, BID, px.buy(1))
    assert desk.reasons() == ["LOSS_PAUSE"]


def test_kill_switch():
    """Row 5, from outside, at any time; lifting it lets orders pass again."""
    desk = holding(1)
    desk.e["halted"] = 1
    desk.quote(BID, ASK, px.buy(1), px.sell(2), px.sell(1))
    assert desk.reasons() == ["HALTED", "HALTED"]  # the reversal opens, the exit does not
    assert desk.quote(BID, ASK).position() == 0
    desk.e["halted"] = 0
    assert desk.quote(BID, ASK, px.buy(1)).quote(BID, ASK).position() == 1


# ------------------------------------------------------------------ precedence
def test_precedence():
    """Faults are taken away one by one, from the first row on; the next row speaks up each time."""
    window = NewsWindow(
        start_ns=MORNING - MINUTE, end_ns=MORNING + 600 * MINUTE, no_opening=("ES",)
    )
    cut = chicago("2026-01-13 15:05:00")
    desk = Desk(
        "ESH26", "NQH26", at=cut - 10 * MINUTE, until=cut + 86_400 * SECOND, news_windows=[window],
        product_caps={"ES": 0}, max_order_qty=2, max_quote_age_s=10, feed_silence_s=20,
        collar_ticks=50, require_bracket=True, duplicate_window_ms=600_000, max_orders_per_minute=2,
        max_minis=1, daily_loss_limit=1_000,
    )  # fmt: skip
    e, c = desk.e, desk.contract()
    e["halted"], e["over"], e["locked"], e["profit_locked"] = 1, 1, 1, 1
    c["flattening"] = 1
    e["pause_until"] = cut + 600 * MINUTE
    nq = (100_000, 100_001)

    def reason(**order):
        wish = {"limit": 5_000.0, "target_price": 5_000.0, **order}
        signal = px.buy(order.pop("qty", 3), **{k: v for k, v in wish.items() if k != "qty"})
        desk.quote(*nq, signal._replace(contract=order.get("contract", 0)), k=1)
        return desk.last_reason()

    desk.now = cut + MINUTE  # the ES is silent, stale, unseen, and past its cut-off
    assert reason(contract=2, qty=0, limit=math.nan) == "BAD_CONTRACT"
    assert reason(qty=0, limit=math.nan) == "BAD_QUANTITY"
    assert reason(limit=math.nan, stop_price=5_000.1) == "BAD_PRICE"
    assert reason(stop_price=5_000.1) == "OFF_GRID"
    assert reason() == "HALTED"
    for name, wanted in (
        ("halted", "ACCOUNT_OVER"), ("over", "DAY_LOCKED"), ("locked", "PROFIT_LOCKED"),
        ("profit_locked", "REDUCE_ONLY"),
    ):  # fmt: skip
        e[name] = 0
        assert reason() == wanted
    e["rules"]["silence_ns"] = 0
    assert reason() == "FLATTENING"
    c["flattening"] = 0
    c["in_session"] = 0
    assert reason() == "SESSION_CLOSED"
    c["in_session"] = 1
    assert reason() == "AFTER_CUTOFF"
    c["session"]["no_open_from"] = c["session"]["flatten_at"] = cut + 900 * MINUTE
    assert reason() == "LOSS_PAUSE"
    e["pause_until"] = 0
    assert reason() == "NEWS_WINDOW"
    desk.session.wires["news_n"] = 0
    assert reason() == "NOT_PERMITTED"
    c["cap"] = 1
    assert reason() == "ORDER_SIZE"
    e["rules"]["max_order_qty"] = 0
    assert reason() == "NO_PRICE"
    desk.quote(BID, ASK)
    desk.now += 11 * SECOND
    assert reason() == "STALE_QUOTE"
    e["rules"]["quote_age_ns"] = 0
    assert reason() == "WRONG_SIDE"
    assert reason(target_price=5_001.0) == "COLLAR"
    e["rules"]["collar"] = 0
    # make the wish look like the last approved order, and the rate used up
    e["rate_at"], e["dup_ts"] = 2, desk.now
    e["rate_ts"][:2] = desk.now
    e["dup_key"] = (0, 1, r.LIMIT, 3, 20_000, r.LOWEST, 0)
    assert reason(target_price=5_001.0) == "BRACKET_MISSING"
    wish = {"target_price": 5_001.0, "stop_price": 4_000.0}
    assert reason(**wish) == "DUPLICATE"
    e["dup_ts"] = desk.now - 700 * SECOND
    assert reason(**wish) == "RATE"
    e["rate_at"] = 0
    assert reason(**wish) == "PRODUCT_CAP"
    c["cap"] = 3
    assert reason(**wish) == "POSITION_CAP"
    e["cap_tenths"] = 30
    assert reason(**wish) == "BRACKET_RISK"
    e["rules"]["bracket_risk"] = 0
    taken = int(e["free_n"])
    e["free_n"] = 8
    with invariants.off():
        assert reason(**wish) == "TOO_MANY_ORDERS"
    e["free_n"] = taken
    reason(**wish)
    assert len(desk.live()) == 1  # every fault is gone: it is an order


def test_reductions_pass_in_every_state():
    """I9: none of the rows 5 to 26 can keep a position open."""
    for name in ("halted", "over", "locked", "profit_locked"):
        desk = holding(2)
        desk.e[name] = 1
        assert desk.quote(BID, ASK, px.sell(2)).quote(BID, ASK).position() == 0, name
    desk = holding(-2, max_order_qty=2, max_orders_per_minute=1, duplicate_window_ms=60_000)
    desk.e["pause_until"] = MORNING + 600 * MINUTE
    desk.contract()["cap"] = 0
    desk.quote(BID, ASK, px.buy(1), px.buy(1), px.buy(1))
    assert desk.reasons() == ["LOSS_PAUSE"]  # the third one would open
    assert desk.quote(BID, ASK).position() == 0


# ------------------------------------------------------------------ watch
def test_a_gap_through_the_daily_limit_flattens_on_that_event():
    """The flatten order is decided on the very event, which gaps 50 ticks past the limit."""
    gap = Desk(daily_loss_limit=1_000, max_loss=5_000, cost=0)
    gap.quote(BID, BID, px.buy(2), px.buy(1, limit=5_000.0)).quote(BID)
    gap.quote(BID - 39)
    assert int(gap.e["locked"]) == 0
    gap.quote(BID - 90)
    at = gap.now
    assert int(gap.e["locked"]) == 1
    (flat,) = gap.live(r.EXIT)
    assert int(flat["decided"]) == at
    assert int(flat["cause"]) == r.DAILY_LOSS
    assert gap.live(r.ENTRY) == []  # what worked is cancelled on the same event
    row = gap.rows("risk")[0]
    assert (row["ts"], row["cause"], row["value"], row["limit"]) == (
        at, r.DAILY_LOSS, -2 * 90 * 12_500_000, -1_000 * USD,
    )  # fmt: skip
    gap.quote(BID - 91)
    assert gap.position() == 0
    assert gap.quote(BID, BID, px.buy(1)).last_reason() == "DAY_LOCKED"


def test_the_lock_ends_at_17_ct_and_survives_a_restart():
    """Locked when the snapshot was taken, locked when it is restored, until the roll."""
    desk = Desk(daily_loss_limit=1_000, cost=0)
    desk.quote(BID, BID, px.buy(2)).quote(BID).quote(BID - 41).quote(BID - 41)
    assert desk.position() == 0
    state = desk.session.snapshot()
    again = Desk(daily_loss_limit=1_000, cost=0)
    again.session.restore(state)
    again.now = desk.now
    for one in (desk, again):
        assert one.quote(BID, BID, px.buy(1)).last_reason() == "DAY_LOCKED"
        one.clock(chicago("2026-01-13 17:00:00") - 1)
        assert int(one.e["locked"]) == 1
        one.clock(chicago("2026-01-13 17:00:00"))
        assert int(one.e["locked"]) == 0
        one.quote(BID, BID, px.buy(1)).quote(BID)
        assert one.position() == 1
    assert desk.session.snapshot() == again.session.snapshot()


def test_the_limit_itself_is_a_touch():
    """Day P&L of exactly minus the limit locks; a micro-dollar less does not."""
    for cost, locked in ((0, 1), (-1, 0)):
        desk = Desk(daily_loss_limit=1_000, cost=cost)  # a rebate of a micro-dollar leaves one
        desk.quote(BID, BID, px.buy(1)).quote(BID).quote(BID - 80)
        assert int(desk.e["locked"]) == locked, desk.day_pnl()


def test_the_profit_lock():
    """At the lock: flat on that event, refused by name, until the roll."""
    desk = Desk(daily_profit_lock=500, cost=0)
    desk.quote(BID, BID, px.sell(1)).quote(BID).quote(BID - 39)
    assert int(desk.e["profit_locked"]) == 0
    desk.quote(BID - 40)
    assert int(desk.e["profit_locked"]) == 1
    assert int(desk.live(r.EXIT)[0]["cause"]) == r.PROFIT_LOCK
    desk.quote(BID - 40, BID - 40, px.buy(1, limit=5_000.0))
    assert desk.position() == 0
    assert desk.last_reason() == "PROFIT_LOCKED"
    desk.clock(chicago("2026-01-13 17:00:00")).quote(BID, BID, px.buy(1)).quote(BID)
    assert desk.position() == 1


def test_the_maximum_loss_level_trails_the_end_of_day_and_locks():
    """Up with the day's end, never down, never with the day's peak, and not past the lock."""
    desk = Desk(max_loss=2_000, max_loss_lock=50_000, cost=0, until=chicago("2026-01-21 10:00:00"))
    level = 48_000
    for ticks, peak, wanted in (
        (80, 200, 49_000), (-40, 10, 49_000), (200, 300, 50_000), (100, 100, 50_000),
    ):  # fmt: skip
        desk.quote(BID, BID, px.buy(1)).quote(BID).quote(BID + peak)
        assert int(desk.e["level"]) == level * USD
        desk.quote(BID + peak, BID + peak, px.sell(1)).quote(BID + ticks)
        desk.clock(int(desk.session.days[int(desk.e["day_index"])]["end"]))
        level = wanted
        assert int(desk.e["level"]) == level * USD


def test_a_touch_of_the_maximum_loss_is_for_good():
    """Breached at equality; liquidated above the level it stays breached, the next day too."""
    desk = Desk(max_loss=2_000, max_loss_lock=50_000, daily_loss_limit=2_000, cost=0)
    desk.quote(BID, BID, px.buy(1)).quote(BID).quote(BID - 159)
    assert int(desk.e["over"]) == 0
    desk.quote(BID - 160)
    assert (int(desk.e["over"]), int(desk.e["locked"])) == (1, 0)  # the maximum loss comes first
    desk.quote(BID + 100)
    assert desk.position() == 0
    assert desk.e["balance"] > desk.e["level"]
    desk.clock(chicago("2026-01-14 10:00:00")).quote(BID, BID, px.buy(1))
    assert desk.last_reason() == "ACCOUNT_OVER"


def test_every_contract_is_flattened_by_a_limit():
    """The limit is the account's: the quiet contract gets its flatten order on the same event."""
    desk = Desk("ESH26", "NQH26", daily_loss_limit=1_000, cost=0)
    desk.quote(BID, BID, px.buy(2)).quote(BID)
    desk.quote(80_000, 80_000, px.buy(1), k=1).quote(80_000, k=1)
    desk.quote(BID - 40)
    flats = desk.live(r.EXIT)
    assert sorted(int(o["contract"]) for o in flats) == [0, 1]
    assert {int(o["decided"]) for o in flats} == {desk.now}
    desk.quote(BID - 40).quote(80_000, k=1)
    assert (desk.position(0), desk.position(1)) == (0, 0)


def test_the_flatten_goes_on_until_flat():
    """A market without a bid cannot be sold to; the order waits and nothing opens meanwhile."""
    desk = holding(2, daily_loss_limit=100)
    desk.quote(BID - 20, ASK - 20)
    for _ in range(3):
        desk.quote(r.NO_BID, ASK - 20, px.buy(1))
        assert desk.position() == 2
        assert len(desk.live(r.EXIT)) == 1
    assert set(desk.reasons()) == {"DAY_LOCKED"}
    assert desk.quote(BID - 30, ASK - 20).position() == 0


def test_partial_fills_and_late_entries_end_flat():
    """An entry in flight that fills during the flatten is flattened as well."""
    slow = FillModel(latency=Latency(entry=3 * SECOND))
    desk = Desk(fills=slow, daily_loss_limit=100, cost=0)
    desk.quote(BID, BID, px.buy(1))
    for _ in range(4):
        desk.quote(BID)
    assert desk.position() == 1
    desk.quote(BID, BID, px.buy(2))
    desk.quote(BID - 20)  # locked while the entry of 2 is on its way
    assert int(desk.e["locked"]) == 1
    for _ in range(12):
        desk.quote(BID - 20)
    assert desk.position() == 0
    assert desk.live() == []


# ------------------------------------------------------------------ caps over the whole account
def test_the_cap_counts_every_contract_and_every_working_order():
    """1 mini = 10 micros over all contracts, each at its own worst case, gross."""
    desk = Desk("ESH26", "MNQH26", "SILH26", max_minis=3, max_order_qty=99)
    desk.quote(80_000, 80_000, k=1).quote(6_000, 6_000, k=2)
    desk.quote(BID, BID, px.buy(1), px.buy(1, limit=5_000.0))  # 20 tenths
    desk.quote(80_000, 80_000, px.sell(8), k=1)  # 28: shorts do not net with longs
    assert desk.reasons() == []
    desk.quote(6_000, 6_000, px.buy(2), k=2)  # SIL counts 2 each: 32
    assert desk.reasons() == ["POSITION_CAP"]
    desk.quote(6_000, 6_000, px.buy(1), k=2)  # 30
    assert desk.reasons() == ["POSITION_CAP"]
    desk.quote(80_000, 80_000, px.sell(1), k=1)
    assert desk.reasons() == ["POSITION_CAP"] * 2
    desk.quote(BID, BID, px.sell(2, limit=6_100.0))  # ES: the larger of +2 and -1 is still 2
    assert desk.reasons() == ["POSITION_CAP"] * 2
    desk.quote(BID, BID, px.cancel()).quote(80_000, 80_000, px.sell(1), k=1)  # 10 + 9 + 2
    assert desk.reasons() == ["POSITION_CAP"] * 2


def test_express_tiers():
    """The tier of the day goes by the balance at its start; exactly 1,500 and above 2,000."""
    rules = px.programme("express-50k", daily_loss_limit=None)
    for balance, minis in ((0, 2), (1_499_999_999, 2), (1_500_000_000, 3), (2_000_000_000, 3),
                           (2_000_000_001, 5), (9_000_000_000, 5)):  # fmt: skip
        desk = Desk(account=rules, at=chicago("2026-01-13 16:00:00") - SECOND, cost=0)
        desk.quote(BID)
        with invariants.off():
            desk.e["balance"] = balance
            desk.clock(chicago("2026-01-13 17:00:00"))
            assert int(desk.e["cap_tenths"]) == minis * 10 == rules.size_tenths(balance)
            desk.quote(BID, BID, px.buy(minis, limit=5_000.0))
            assert desk.reasons() == [], balance
            desk.quote(BID, BID, px.buy(1, limit=5_000.0))
            assert desk.reasons() == ["POSITION_CAP"], balance


def test_the_tier_does_not_rise_during_the_day():
    """A profit of today counts from 17:00 CT on."""
    desk = Desk(account=px.programme("express-50k", daily_loss_limit=None), cost=0)
    desk.quote(BID, BID, px.buy(2)).quote(BID, BID, px.sell(2)).quote(BID + 100)
    assert int(desk.e["balance"]) == 2_500 * USD
    assert desk.quote(BID, BID, px.buy(3)).last_reason() == "POSITION_CAP"
    desk.clock(chicago("2026-01-13 17:00:00")).quote(BID, BID, px.buy(5)).quote(BID)
    assert desk.position() == 5


WISHES = st.tuples(
    st.sampled_from(["market", "limit", "stop", "trail", "cancel", "flatten"]),
    st.sampled_from([-1, 1]), st.integers(1, 9), st.integers(1, 12), st.integers(0, 2),
    st.booleans(),
)  # fmt: skip


def wish(kind, side, qty, far, k, bracket, price):
    """One signal of an adversary who wants as much as he can get."""
    order = px.buy if side > 0 else px.sell
    legs = {"stop_ticks": far, "target_ticks": far} if bracket else {}
    if kind == "cancel":
        return px.cancel(contract=k)
    if kind == "flatten":
        return px.flatten(contract=k)
    if kind == "market":
        return order(qty, contract=k, **legs)
    if kind == "trail":
        return order(qty, trail_ticks=far, contract=k)
    away = (price - side * far if kind == "limit" else price + side * (far + 1)) * TICK
    return order(qty, **{kind: away}, contract=k, **legs)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 2), st.integers(-6, 6), st.lists(WISHES, max_size=3)),
        min_size=5, max_size=60,
    ),
    delay=st.sampled_from([0, 1_500_000_000]),
)  # fmt: skip
def test_no_approved_order_exceeds_a_cap(steps, delay):
    """Whatever is asked, at each approval the worst case of all that works is within the caps."""
    caps = {"ES": 3, "NQ": 2}
    desk = Desk(
        "ESH26", "NQH26", "MESH26", max_minis=4, max_order_qty=6, product_caps=caps, cost=0,
        daily_loss_limit=3_000, max_loss=6_000, fills=FillModel(latency=Latency(entry=delay)),
    )  # fmt: skip
    price = [BID] * 3
    for k in range(3):
        desk.quote(BID, k=k)
    for k, move, wishes in steps:
        price[k] += move
        made = int(desk.e["orders_made"])
        # the signals one by one, each on an event of its own, so that each verdict is seen alone
        for one in wishes or [None]:
            signals = () if one is None else (wish(*one, price[one[4]]),)
            desk.quote(price[k], price[k], *signals, k=k)
            new = [o for o in desk.live(r.ENTRY) if int(o["id"]) > made]
            made = int(desk.e["orders_made"])
            if new and adds(desk, new[-1]):
                within(desk, caps)


def adds(desk, order):
    """Whether the newest order opens anything beside what works already."""
    k = int(order["contract"])
    room = max(0, -int(order["side"]) * desk.position(k))
    for o in desk.live(r.ENTRY):
        if o["contract"] == k and o["side"] == order["side"] and o["id"] != order["id"]:
            room -= int(o["qty"] - o["filled"])
    return int(order["qty"]) > max(0, room)


def within(desk, caps):
    worst = [0, 0, 0]
    for k in range(3):
        buys, sells = (
            sum(
                int(o["qty"] - o["filled"]) for o in desk.live(r.ENTRY)
                if o["contract"] == k and o["side"] == side
            )
            for side in (1, -1)
        )  # fmt: skip
        worst[k] = max(abs(desk.position(k) + buys), abs(desk.position(k) - sells))
    assert worst[0] <= caps["ES"], worst
    assert worst[1] <= caps["NQ"], worst
    assert worst[0] * 10 + worst[1] * 10 + worst[2] <= 40, worst


def test_a_flatten_that_met_no_event_goes_on_in_the_next_session():
    """Nothing came between 15:07 and the close: flat on the first events after the open."""
    desk = Desk(account="combine-50k", at=chicago("2026-01-13 15:04:00"))
    desk.quote(BID, ASK, px.buy(1, stop_ticks=40)).quote(BID, ASK)
    assert desk.position() == 1
    desk.clock(chicago("2026-01-13 17:30:00"))
    desk.quote(BID, ASK, px.buy(1)).quote(BID, ASK)
    assert desk.position() == 0
    assert desk.reasons() == ["FLATTENING"]
    assert desk.quote(BID, ASK, px.buy(1)).quote(BID, ASK).position() == 1

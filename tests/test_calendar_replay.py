"""Every trading day of 2023-2026: nothing is open or working at any deadline.

Quotes a minute apart from before the open until after the close of every weekday, holidays too, for
a product of each kind of hours. The strategy always wants a position and always has orders in the
market. What must hold is worked out here from Chicago wall times and the reference's own holiday
table, not from the package's calendar.
"""

from __future__ import annotations

import csv
import functools
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

import pxresearch as px
from pxresearch.brokers.fillmodel import FillModel, Latency
from pxresearch.brokers.replay import Replay
from pxresearch.core import records as r
from pxresearch.sessions import to_ns
from pxresearch.tickdata import ticks

CHICAGO = ZoneInfo("America/Chicago")
MINUTE = 60 * 10**9
DAY = 24 * 60
PRODUCTS = {  # code, its column of the holiday table, minutes of the day: open, close, flat by
    "ESZ26": ("equity", -7 * 60, 16 * 60, 15 * 60 + 10),
    "CLZ26": ("energy", -7 * 60, 16 * 60, 15 * 60 + 10),
    "GCZ26": ("metals", -7 * 60, 16 * 60, 15 * 60 + 10),
    "6EZ26": ("fx", -7 * 60, 16 * 60, 15 * 60 + 10),
    "ZCZ26": ("grains", -5 * 60, 13 * 60 + 20, 13 * 60 + 20),
    "HEZ26": ("livestock", 8 * 60 + 30, 13 * 60 + 5, 13 * 60 + 5),
}
GRAINS_PAUSE = (7 * 60 + 45, 8 * 60 + 30)
FIRST, LAST = date(2023, 1, 3), date(2026, 12, 31)
FLATTEN_S, CUTOFF_S = 180, 300


class Insatiable(px.Strategy):
    """Wants a position at once, rests two more orders, and never sells of its own will."""

    sent: int = 0

    def on_quote(self, quote, position, orders):
        if position == 0 and orders.working == 0:
            return (
                px.buy(1, stop_ticks=500, target_ticks=500),
                px.buy(1, limit=(quote.bid_ticks - 60) * quote.tick),
                px.sell(1, limit=(quote.ask_ticks + 60) * quote.tick),
            )
        if orders.working < 2:
            return px.buy(1, stop=(quote.ask_ticks + 60) * quote.tick)
        return px.hold()


def midnight(day):
    """Ns UTC of a Chicago midnight."""
    return to_ns(datetime(day.year, day.month, day.day, tzinfo=CHICAGO))


def wall(day, minutes):
    """Ns UTC of a Chicago wall time; negative minutes are on the evening before."""
    at = datetime(day.year, day.month, day.day) + timedelta(minutes=minutes)  # noqa: DTZ001
    return to_ns(at.replace(tzinfo=CHICAGO))


def weekdays():
    """Every Monday to Friday of the span."""
    days = (FIRST + timedelta(n) for n in range((LAST - FIRST).days + 1))
    return [day for day in days if day.weekday() < 5]


def clock(text):
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


@pytest.fixture(scope="module")
def holidays(reference):
    with open(reference / "holiday_closes.csv", encoding="utf-8", newline="") as file:
        return {date.fromisoformat(row["date"]): row for row in csv.DictReader(file)}


def hours(code, day, holidays):
    """(open, close, deadline) ns UTC of a product on a weekday, or None on a closed one."""
    group, opens, closes, flat_by = PRODUCTS[code]
    row = holidays.get(day)
    if row is not None:
        word = row[f"{group}_close_ct"]
        if row["topstep_sim_flat_by_ct"] == "closed" or word in ("C", "closed"):
            return None
        closes = closes if word == "-" else min(closes, clock(word))
        flat_by = min(flat_by, clock(row["topstep_sim_flat_by_ct"]))
    if group == "grains" and GRAINS_PAUSE[0] < flat_by <= GRAINS_PAUSE[1]:
        flat_by = GRAINS_PAUSE[0]  # the day of mourning: nothing can be closed in the pause
    if flat_by <= opens:
        return None
    return wall(day, opens), wall(day, closes), wall(day, min(flat_by, closes))


@functools.cache
def data(code):
    """Quotes every minute around the open and the afternoon of every weekday, prices in ticks.

    The minutes go from 07:30 to 16:30, and round both evening opens; 30 s after the minute, so
    that no event stands on a deadline by luck.
    """
    minutes = np.concatenate([
        np.arange(-7 * 60 - 10, -7 * 60 + 20), np.arange(-5 * 60 - 10, -5 * 60 + 20),
        np.arange(7 * 60 + 30, 16 * 60 + 30),
    ])  # fmt: skip
    stamps = np.concatenate([
        midnight(day) + (wall(day, 720) - midnight(day) - 720 * MINUTE) + minutes * MINUTE
        for day in weekdays()
    ])  # fmt: skip
    stamps = np.unique(stamps) + 30 * 10**9
    n = len(stamps)
    bid = (4_000 + 20 * np.sin(np.arange(n) / 40)).astype(np.int32)
    return ticks(code, quotes={"ts": stamps, "bid": bid, "ask": bid + np.int32(1)})


def replay(code, latency=0):
    rules = px.programme("own", start_balance=10_000_000)
    fills = FillModel(latency=Latency(entry=latency))
    return Replay(Insatiable(), [data(code)], rules, fills, close=False)


@pytest.mark.parametrize(
    ("code", "latency"), [*((code, 0) for code in PRODUCTS), ("ESZ26", 250_000_000)]
)
def test_flat_at_every_deadline(code, latency, holidays):
    """No position, no order, no opening past the cut-off; closed days have no trade at all."""
    session = replay(code, latency).run()
    logs = session.logs()
    fills, orders = logs["fills"], logs["orders"]
    open_days = [(day, hours(code, day, holidays)) for day in weekdays()]
    traded = [span for _, span in open_days if span is not None]
    opens, deadlines = (np.array([span[i] for span in traded], np.int64) for i in (0, 2))
    assert len(traded) > 980

    held = np.searchsorted(fills["ts"], deadlines)
    at_deadline = np.where(held > 0, fills["position"][held - 1], 0)
    assert not at_deadline.any(), fills[held[at_deadline != 0] - 1][:1]

    day_of = np.searchsorted(deadlines, orders["decided"], side="right")
    day_of = np.minimum(day_of, len(deadlines) - 1)
    across = (orders["decided"] < deadlines[day_of]) & (orders["ended"] >= deadlines[day_of])
    assert not across.any(), orders[across][:1]

    entries = orders[orders["role"] == r.ENTRY]
    span = np.searchsorted(opens, entries["decided"], side="right") - 1
    assert (span >= 0).all()
    late = entries["decided"] >= deadlines[span] - CUTOFF_S * 10**9
    assert not late.any(), entries[late][:1]

    at = np.searchsorted(opens, fills["ts"], side="right") - 1
    outside = (at < 0) | (fills["ts"] >= deadlines[at])
    assert not outside.any(), fills[outside][:1]
    flats = fills[fills["role"] == r.EXIT]
    early = flats["ts"] < deadlines[np.searchsorted(deadlines, flats["ts"])] - FLATTEN_S * 10**9
    assert not early.any(), flats[early][:1]
    assert len(np.unique(at)) == len(traded), "some open day had no trade"
    assert len(flats) >= len(traded) - 20, "the flatten routine was not put to work"
    assert not logs["days"]["open_position"].any()
    assert not logs["days"]["open_orders"].any()


def test_the_days_are_the_days(holidays):
    """The log has one row for each weekday on which some product trades."""
    session = replay("6EZ26").run()
    dates = {str(d) for d in session.logs()["days"]["date"]}
    for day in weekdays():
        closed = day in holidays and holidays[day]["topstep_sim_flat_by_ct"] == "closed"
        if hours("6EZ26", day, holidays) is None or closed:
            assert f"{day:%Y%m%d}" not in dates or not closed, day
        else:
            assert f"{day:%Y%m%d}" in dates, day


def test_a_deadline_in_the_pause_is_kept_before_it():
    """9 January 2025, flat by 08:15: corn, held since the evening, is sold before 07:45."""
    logs = replay("ZCZ26").run().logs()
    day = date(2025, 1, 9)
    fills = logs["fills"]
    mine = fills[(fills["ts"] > wall(day, -5 * 60)) & (fills["ts"] < wall(day, 16 * 60))]
    assert mine["role"][0] == r.ENTRY
    assert mine["position"][-1] == 0
    last = int(mine["ts"][-1])
    assert wall(day, 7 * 60 + 45) - FLATTEN_S * 10**9 <= last < wall(day, 7 * 60 + 45)


def test_several_products_each_by_its_own_clock(holidays):
    """One account, three kinds of hours: each contract is flat by its own deadline."""
    codes = ("ESZ26", "ZCZ26", "HEZ26")
    rules = px.programme("own", start_balance=10_000_000)
    sources = [data(code) for code in codes]
    fills = Replay(Insatiable(), sources, rules, FillModel(), close=False).run().logs()["fills"]
    for k, code in enumerate(codes):
        mine = fills[fills["contract"] == k]
        spans = [hours(code, day, holidays) for day in weekdays()]
        deadlines = np.array([span[2] for span in spans if span is not None], np.int64)
        held = np.searchsorted(mine["ts"], deadlines)
        assert not np.where(held > 0, mine["position"][held - 1], 0).any(), code
        assert len(mine) > 1_900

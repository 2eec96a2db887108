"""The simulator's market: tapes, loops, feeds, bars, and what the market hub tells."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pxresearch.clock import NS, PacedClock, VirtualClock
from pxresearch.gateway import wire
from pxresearch.gateway.wire import DepthType
from pxresearch.simulator.market import Burst, Replay
from pxresearch.simulator.tape import MINUTE, QUOTE, TRADE, Tape, busiest, looped
from tests.exchange_kit import MNQ, START
from tests.venue_kit import CODE, STEPS, Room, make_tape


# ---------------------------------------------------------------- tape and feeds
def test_a_tape_is_in_order_of_time_and_sequence() -> None:
    """The quote comes before the trade of the same instant; sizes and sides are kept."""
    tape = make_tape([1, 0, 5], [100, 101, 102])
    assert list(tape.kind) == [QUOTE, TRADE, QUOTE, TRADE, QUOTE, TRADE]
    assert list(tape.a) == [100, 100, 101, 101, 102, 102]
    assert list(tape.b[tape.kind == TRADE]) == [1, 2, 3]


@given(STEPS, st.floats(0.5, 20))
@settings(max_examples=50)
def test_a_loop_has_no_long_silence_and_no_jump(tape: Tape, silence: float) -> None:
    """No silence beyond the limit; the seam and every step change by at most a tick more."""
    loop = looped(tape, silence)
    assert loop.length % MINUTE == 0
    assert int(loop.ts[-1]) < loop.length
    assert np.diff(loop.ts).max() <= round(silence * NS)
    own, new = (one.a[one.kind == TRADE].astype(int) for one in (tape, loop))
    assert np.abs(np.diff(new) - np.diff(own)).max() <= 1 + abs(own[-1] - own[0]) / 2
    assert abs(new[0] - new[-1]) <= 1 + abs(own[-1] - own[0]) * (1 - loop.ts[-1] / loop.length)
    quotes = loop.kind == QUOTE
    assert (loop.b[quotes] - loop.a[quotes] == 1).all()
    assert (loop.a[quotes] == new).all()


@given(STEPS, st.integers(-5, 5), st.lists(st.integers(1, 200 * NS), min_size=1, max_size=30))
@settings(max_examples=50)
def test_a_looped_feed_gives_each_row_once_however_it_is_asked(
    tape: Tape, turn: int, steps: list[int]
) -> None:
    """From any start, turn after turn, the rows are those of the loop in order."""
    loop = looped(tape, 2.0)
    start = START + turn * loop.length + loop.length // 3
    feed, now, got = Replay(loop, START, start), start, []
    for step in steps:
        now += step
        assert feed.next_due() is not None
        got += feed.take(now)
    all_rows = [
        (START + n * loop.length + int(loop.ts[i]), int(loop.a[i]))
        for n in range(turn - 1, (now - START) // loop.length + 1)
        for i in range(len(loop))
    ]
    assert [(row.ts, row.a) for row in got] == [one for one in all_rows if start <= one[0] <= now]
    assert feed.next_due() > now


def test_a_tape_that_is_no_loop_ends() -> None:
    """After its last row nothing is due any more."""
    feed = Replay(make_tape([5, 5], [1, 2]), 0, START)
    assert len(list(feed.take(START + 10**12))) == 4
    assert feed.next_due() is None


def test_the_busiest_hour_is_found() -> None:
    """Where most rows are within sixty minutes."""
    steps = [10 * MINUTE] * 30 + [NS] * 100 + [10 * MINUTE] * 30
    loop = looped(make_tape(steps, [100] * len(steps)), 1e6)
    begin = busiest(loop)
    inside = (loop.ts >= begin) & (loop.ts < begin + 60 * MINUTE)
    assert inside.sum() >= 200


@pytest.mark.parametrize("rate", [1, 7, 10_000])
def test_a_burst_keeps_its_rate(rate: int) -> None:
    """So many quotes a second, a trade after every hundredth, never crossed."""
    rows = list(Burst([CODE], 100_000, rate, START).take(START + 3 * NS))
    quotes = [row for row in rows if row.kind == QUOTE]
    assert abs(len(quotes) - 3 * rate) <= 1
    assert len(rows) - len(quotes) == len(quotes) // 100
    assert all(row.b - row.a == 1 for row in quotes)


def test_a_paced_clock_runs_so_many_times_as_fast() -> None:
    """Ten seconds here are one there, from the time at which it begins."""
    base = VirtualClock(START)
    paced = PacedClock(base, 5 * NS, 10)
    base.advance(START + 3 * NS)
    assert paced.now() == 35 * NS


# ---------------------------------------------------------------- what the hub tells
def quotes(room: Room, link: Any) -> list[dict[str, Any]]:
    records = room.heard(link)
    for one in records:
        assert one["arguments"][0] == MNQ
        wire.market_record(one["target"], json.dumps(one["arguments"]).encode())
    return [one["arguments"][1] for one in records if one["target"] == wire.MARKET_QUOTE]


def test_the_first_quote_is_complete_and_later_ones_sparse() -> None:
    """symbol, contract and both times always; beyond them only what changed."""
    room = Room()
    link = room.link("market")
    first = room.invoke(link, "SubscribeContractQuotes", MNQ)[1]["arguments"][1]
    always = {"symbol", "contract", "lastUpdated", "timestamp"}
    prices = {"lastPrice", "bestBid", "bestAsk", "open", "high", "low", "volume"}
    assert set(first) == always | prices
    assert (first["bestBid"], first["bestAsk"]) == (25_000, 25_000.25)
    assert first["symbol"] == "F.US.MNQ"
    room.venue.quote(MNQ, 100_000, 100_003)
    room.venue.quote(MNQ, 100_000, 100_003)
    room.venue.trade(MNQ, 100_003, size=4)
    ask_moved, nothing, traded = quotes(room, link)
    assert set(ask_moved) - always == {"bestAsk"}
    assert set(nothing) == always
    assert set(traded) - always == {"lastPrice", "high", "volume"}
    assert traded["volume"] == 5


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(1, 4), st.booleans()), max_size=40))
@settings(max_examples=30)
def test_a_subscriber_that_merges_knows_the_whole_quote(moves: list[tuple[int, int, bool]]) -> None:
    """Early or late, merging what is sent gives the same as the complete quote at the end."""
    room = Room()
    early = room.link("market")
    merged = room.invoke(early, "SubscribeContractQuotes", MNQ)[1]["arguments"][1]
    for bid, spread, trades in moves:
        room.venue.quote(MNQ, 100_000 + bid, 100_000 + bid + spread)
        if trades:
            room.venue.trade(MNQ, 100_000 + bid)
        for one in quotes(room, early):
            merged.update(one)
    late = room.link("market")
    whole = room.invoke(late, "SubscribeContractQuotes", MNQ)[1]["arguments"][1]
    assert merged == whole


@given(st.lists(st.tuples(st.integers(-30, 30), st.integers(1, 9)), max_size=30))
@settings(max_examples=30)
def test_depth_is_a_reset_and_changes_that_give_the_same_book(moves: list[Any]) -> None:
    """Whoever follows the changes has the book that a new subscriber gets."""

    def follow(book: dict[Any, int], records: list[Any]) -> None:
        for one in records:
            if one.get("target") != wire.MARKET_DEPTH:
                continue
            for item in one["arguments"][1]:
                if item["type"] == DepthType.RESET:
                    book.clear()
                elif item["volume"] == 0:
                    book.pop((side[item["type"]], item["price"]))
                else:
                    book[side[item["type"]], item["price"]] = item["volume"]

    asks_and_bids = (DepthType.ASK, DepthType.BEST_ASK), (DepthType.BID, DepthType.BEST_BID)
    side = {kind: kinds[0] for kinds in asks_and_bids for kind in kinds}  # as public clients do

    room = Room()
    early, book = room.link("market"), {}
    follow(book, room.invoke(early, "SubscribeContractMarketDepth", MNQ))
    for bid, size in moves:
        room.venue.quote(MNQ, 100_000 + bid, 100_001 + bid, size, 10 - size)
        follow(book, room.heard(early))
    late, new = room.link("market"), {}
    follow(new, room.invoke(late, "SubscribeContractMarketDepth", MNQ))
    assert book == new
    bids = [price for kind, price in book if kind == DepthType.BID]
    asks = [price for kind, price in book if kind == DepthType.ASK]
    assert len(bids) == len(asks) == 10
    assert max(bids) < min(asks)


def test_a_new_session_begins_with_its_own_figures() -> None:
    """After 17:00 Chicago volume, high and low start anew; the change is from the last price."""
    room = Room()
    link = room.link("market")
    room.invoke(link, "SubscribeContractQuotes", MNQ)
    room.clock.advance(wire.to_ns("2026-11-25T23:00:01Z"))
    room.venue.trade(MNQ, 100_008, size=3)
    (quote,) = quotes(room, link)
    assert (quote["volume"], quote["open"], quote["low"]) == (3, 25_002, 25_002)
    assert (quote["change"], quote["changePercent"]) == (2, 0.008)

"""The book of a contract: what the venue shows, level by level, and nothing that it does not."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxresearch.gateway.book import Book
from pxresearch.gateway.records import Depth, Quote, Trade
from pxresearch.gateway.wire import DepthType
from tests.exchange_kit import MNQ


def depth(kind: int, price: int = 0, size: int = 0) -> Depth:
    return Depth(contract_id=MNQ, ts=0, received=0, type=kind, price=price, size=size)


def quote(bid: int | None, ask: int | None) -> Quote:
    return Quote(contract_id=MNQ, ts=0, received=0, bid=bid, ask=ask, last=None, volume=None)


def trade(size: int, side: int) -> Trade:
    return Trade(contract_id=MNQ, ts=0, received=0, price=100, size=size, side=side)


def snapshot(bids: dict[int, int], asks: dict[int, int]) -> list[Depth]:
    """What the hub sends after a subscription."""
    rows = [depth(DepthType.BID, p, n) for p, n in bids.items()]
    rows += [depth(DepthType.ASK, p, n) for p, n in asks.items()]
    return [depth(DepthType.RESET), *rows]


def filled(bids: dict[int, int], asks: dict[int, int]) -> Book:
    book = Book()
    for event in snapshot(bids, asks):
        book.apply(event)
    return book


SIDE = st.dictionaries(st.integers(0, 50), st.integers(1, 99), max_size=12)


@given(bids=SIDE, asks=SIDE, n=st.integers(1, 15), seed=st.integers(0, 10**6))
def test_levels_are_what_was_told_last(
    bids: dict[int, int], asks: dict[int, int], n: int, seed: int
) -> None:
    """Against plain dictionaries, with levels that change and go in any order."""
    asks = {price + 60: size for price, size in asks.items()}
    book = filled(bids, asks)
    rng = random.Random(seed)
    for _ in range(20):
        side, kind, low = rng.choice([(bids, DepthType.BID, 0), (asks, DepthType.ASK, 60)])
        price, size = low + rng.randrange(50), rng.choice([0, 0, 3, 8])
        book.apply(depth(kind, price, size))
        side.pop(price, None)
        if size:
            side[price] = size
    best_bids, best_asks = book.levels(n)
    assert best_bids == sorted(bids.items(), key=lambda level: -level[0])[:n]
    assert best_asks == sorted(asks.items())[:n]
    assert book.best_bid == (best_bids[0] if bids else None)
    assert book.best_ask == (best_asks[0] if asks else None)
    total_b, total_a = sum(s for _, s in best_bids), sum(s for _, s in best_asks)
    if total_a + total_b == 0:
        assert book.imbalance(n) is None
    else:
        assert book.imbalance(n) == (total_b - total_a) / (total_b + total_a)


def test_a_reset_forgets_every_level() -> None:
    """A snapshot after a reconnect stands alone; the delta is of the tape and stays."""
    book = filled({100: 5, 99: 9}, {101: 4})
    book.apply(trade(3, 1))
    for event in snapshot({90: 1}, {}):
        book.apply(event)
    assert book.levels() == ([(90, 1)], [])
    assert book.best_ask is None
    assert book.microprice is None
    assert book.imbalance() == 1.0
    assert book.delta == 3


@pytest.mark.parametrize("kind", [DepthType.BEST_BID, DepthType.NEW_BEST_BID])
def test_a_best_bid_leaves_nothing_above_it(kind: DepthType) -> None:
    """What was told above the best price has gone without a word."""
    book = filled({100: 5, 99: 9, 98: 1}, {101: 4})
    book.apply(depth(kind, 99, 7))
    assert book.levels() == ([(99, 7), (98, 1)], [(101, 4)])


@pytest.mark.parametrize("kind", [DepthType.BEST_ASK, DepthType.NEW_BEST_ASK])
def test_a_best_ask_leaves_nothing_below_it(kind: DepthType) -> None:
    """The same on the other side."""
    book = filled({100: 5}, {101: 4, 102: 6})
    book.apply(depth(kind, 102, 2))
    assert book.levels() == ([(100, 5)], [(102, 2)])


@given(bids=SIDE, asks=SIDE, bid=st.integers(0, 110), spread=st.integers(1, 9))
def test_no_level_lies_beyond_the_last_quote(
    bids: dict[int, int], asks: dict[int, int], bid: int, spread: int
) -> None:
    """The quote is the better word on the best prices, so that the book is never crossed."""
    book = filled(bids, {price + 55: size for price, size in asks.items()})
    book.apply(quote(bid, bid + spread))
    left, right = book.levels(100)
    assert all(price <= bid for price, _ in left)
    assert all(price >= bid + spread for price, _ in right)
    assert len(left) == sum(price <= bid for price in bids)


def test_a_quote_without_a_side_says_nothing_of_it() -> None:
    """Absent is not zero."""
    book = filled({100: 5}, {101: 4})
    book.apply(quote(None, None))
    assert (book.best_bid, book.best_ask) == ((100, 5), (101, 4))


def test_the_microprice_leans_to_the_thinner_side() -> None:
    """(100 x 1 + 102 x 3) / 4: three bid against one offered, so it lies near the ask."""
    assert filled({100: 3}, {102: 1}).microprice == 101.5


def test_delta_is_bought_less_sold() -> None:
    """By the aggressor; one that nobody knows counts nothing."""
    book = Book()
    for event in (trade(5, 1), trade(2, -1), trade(9, 0)):
        book.apply(event)
    assert book.delta == 3


def test_kinds_that_nobody_knows_change_nothing_and_are_counted() -> None:
    """A new kind of the API, or one without meaning for the levels, is no error."""
    book = filled({100: 5}, {101: 4})
    before = book.digest
    for kind in (99, DepthType.NONE, DepthType.TRADE, DepthType.LOW, DepthType.HIGH):
        book.apply(depth(kind, 100, 1))
    assert book.digest == before
    assert book.unknown == 2


@given(bids=SIDE, asks=SIDE, seed=st.integers(0, 10**6))
def test_one_digest_is_one_book(bids: dict[int, int], asks: dict[int, int], seed: int) -> None:
    """S61: the way to it does not matter, each level does."""
    asks = {price + 60: size for price, size in asks.items()}
    book = filled(bids, asks)
    order = list(asks.items())
    random.Random(seed).shuffle(order)
    assert filled(dict(reversed(bids.items())), dict(order)).digest == book.digest
    before = book.digest
    book.apply(depth(DepthType.BID, 30, 1234))
    assert book.digest != before
    assert book.digest != filled(asks, bids).digest

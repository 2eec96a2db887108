"""The market hub's depth: a client that keeps levels by side and price has the venue's book."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from pxresearch.gateway.wire import DepthType
from pxresearch.simulator.board import LEVELS, Board
from pxresearch.simulator.listing import listed_contracts

NOW = 1_790_865_000_000_000_000
SIDES = {DepthType.ASK: "ask", DepthType.BEST_ASK: "ask", DepthType.BID: "bid"}
SIDES[DepthType.BEST_BID] = "bid"
side = st.none() | st.tuples(st.integers(99_980, 100_020), st.integers(1, 40))


def _take(book: dict[tuple[str, float], int], record: str) -> None:
    """What a public client does: a reset clears, volume 0 takes a level out, all else sets it."""
    for item in json.loads(record.rstrip("\x1e"))["arguments"][1]:
        kind = DepthType(item["type"])
        if kind is DepthType.RESET:
            book.clear()
        elif item["volume"] == 0:
            book.pop((SIDES[kind], item["price"]), None)
        else:
            book[SIDES[kind], item["price"]] = item["volume"]


@given(st.lists(st.tuples(side, side), min_size=1, max_size=12))
def test_changes_lead_to_the_book_that_a_new_subscriber_is_sent(
    quotes: list[tuple[tuple[int, int] | None, tuple[int, int] | None]],
) -> None:
    board = Board(next(one for one in listed_contracts(NOW) if one.product.root == "MNQ"))
    followed: dict[tuple[str, float], int] = {}
    _take(followed, board.book(NOW))
    for bid, ask in quotes:
        (bid_at, bid_size), (ask_at, ask_size) = bid or (None, 0), ask or (None, 0)
        board.set(NOW, bid_at, ask_at, bid_size, ask_size)
        record = board.changes(NOW)
        if record is not None:
            _take(followed, record)
        fresh: dict[tuple[str, float], int] = {}
        _take(fresh, board.book(NOW))
        assert followed == fresh
        assert len(fresh) == LEVELS * ((bid is not None) + (ask is not None))

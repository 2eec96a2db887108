"""No doubled order, none lost from view: ten thousand, each with its own fate, in virtual time.

The oracle is the toy venue's own book, which no answer touches.
"""

from __future__ import annotations

import pytest

from pxresearch.clock import VirtualClock
from pxresearch.gateway import wire
from pxresearch.gateway.desk import Desk
from pxresearch.gateway.outcome import Accepted, Outcome
from pxresearch.gateway.wire import OrderStatus
from tests.toy_venue import ACCOUNT, FATES, MNQ, ToyVenue, limit, play, reason


def check_place(outcome: Outcome, rows: list[wire.Order], fate: str) -> None:
    assert len(rows) <= 1, "a doubled order"
    if isinstance(outcome, Accepted):
        assert [row.id for row in rows] == [outcome.order_id]
        assert rows[0].status is OrderStatus.OPEN
    elif reason(outcome) == "NOT_FOUND":
        assert rows == []
        assert fate in ("dropped", "late")
    else:
        assert reason(outcome) == "OrderRejected"
        assert rows[0].status is OrderStatus.REJECTED


@pytest.mark.parametrize("seed", range(10))
def test_no_order_is_doubled_or_lost_from_view(seed: int) -> None:
    """1,000 orders a seed, each with its own fate and with look-ups that fail one time in three."""

    async def work(desk: Desk, venue: ToyVenue, clock: VirtualClock) -> None:
        venue.blind = 1 / 3
        verdicts: set[str] = set()
        for n in range(1_000):
            venue.fate = venue.rng.choice(FATES)
            venue.late_s = venue.rng.uniform(0.1, 25)
            outcome = await desk.place(limit(n))
            tag = limit(n).tag
            assert venue.sent[tag] == 1, f"seed {seed}, order {n}: sent {venue.sent[tag]} times"
            check_place(outcome, venue.by_tag(tag), venue.fate)
            assert desk.unresolved == ()
            verdicts.add(f"{venue.fate}: {getattr(outcome, 'reason', 'Accepted')}")
        assert verdicts == {
            "answer: Accepted", "lost: Accepted", "late: Accepted", "dropped: NOT_FOUND",
            "refused: OrderRejected", "refused lost: OrderRejected",
        }, f"seed {seed}"  # fmt: skip

    play(work, seed)


@pytest.mark.parametrize("seed", range(4))
def test_cancels_changes_and_closes_are_sent_once_and_resolved(seed: int) -> None:
    """500 rounds a seed: what is reported is what the venue's book says."""

    async def work(desk: Desk, venue: ToyVenue, clock: VirtualClock) -> None:
        venue.blind = 0.2
        for n in range(500):
            venue.fate, venue.late_s = "answer", venue.rng.uniform(0.1, 8)
            placed = await desk.place(limit(n))
            assert isinstance(placed, Accepted)
            number = placed.order_id or 0
            venue.fate = venue.rng.choice(FATES)
            changed = await desk.modify(ACCOUNT, number, MNQ, limit=99_000, qty=3)
            row = venue.book[number]
            assert isinstance(changed, Accepted) == (row.size == 3)
            assert venue.sent[f"modify {number}"] == 1
            venue.fate = venue.rng.choice(FATES)
            gone = await desk.cancel(ACCOUNT, number)
            assert isinstance(gone, Accepted) == venue.book[number].status.done, (seed, n, gone)
            assert venue.sent[f"cancel {number}"] == 1
            venue.sizes[MNQ], venue.fate = 3, venue.rng.choice(FATES)
            sent, venue.clear = venue.sent[f"close {MNQ}"], 1
            part = await desk.partial_close(ACCOUNT, MNQ, 2)
            assert isinstance(part, Accepted) == (venue.sizes[MNQ] == 1), (seed, n, part)
            venue.fate = venue.rng.choice(FATES)
            full = await desk.close(ACCOUNT, MNQ)
            assert isinstance(full, Accepted) == (venue.sizes[MNQ] == 0), (seed, n, full)
            assert venue.sent[f"close {MNQ}"] == sent + 2
            assert desk.unresolved == ()

    play(work, seed)

"""The desk: whatever the venue does with an order and its answer, one order at most, and the truth.

The oracle is the toy venue's own book, which no answer touches.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from pxresearch.clock import NS, VirtualClock
from pxresearch.core.records import STOP, TRAILING
from pxresearch.errors import NotReachable
from pxresearch.gateway import wire
from pxresearch.gateway.desk import Desk
from pxresearch.gateway.orders import Market
from pxresearch.gateway.outcome import Accepted, Outcome, Rejected, Unknown
from pxresearch.gateway.wire import OrderStatus
from tests.payloads import TRAILING as TRAILING_ROW
from tests.stub_gateway import START
from tests.toy_venue import ACCOUNT, MNQ, NAMES, ToyVenue, limit, play, reason


# ------------------------------------------------------------------ when it is known, and when not
def test_not_there_counts_only_after_the_settling_time() -> None:
    """A slow venue may take an order 29 s later: half a minute and several looks are waited."""

    async def work(desk: Desk, venue: ToyVenue, clock: VirtualClock) -> None:
        venue.fate, venue.late_s = "late", 29.0
        outcome = await desk.place(limit(1))
        assert isinstance(outcome, Accepted)
        assert outcome.found
        venue.fate = "dropped"
        before = clock.now()
        assert reason(await desk.place(limit(2))) == "NOT_FOUND"
        waited = (clock.now() - before) / NS
        assert 40 <= waited <= 46, "10 s for the answer, 30 s and at most one pause for the looks"

    play(work)


def test_one_empty_look_is_not_enough() -> None:
    """The venue could not be asked for 36 s: the first look that finds nothing settles nothing."""

    async def work(desk: Desk, venue: ToyVenue, clock: VirtualClock) -> None:
        venue.fate, venue.late_s, venue.blind = "late", 45.0, 1.0
        task = asyncio.ensure_future(desk.place(limit(1)))
        await clock.sleep(10 + 36)
        venue.blind = 0.0
        assert isinstance(await task, Accepted)

    play(work)


def test_an_order_that_is_being_looked_up_is_told_by_the_look() -> None:
    """The stream has it first: the look-up goes on and tells whoever placed it; nobody else."""

    async def work(desk: Desk, venue: ToyVenue, clock: VirtualClock) -> None:
        venue.fate = "lost"
        task = asyncio.ensure_future(desk.place(limit(1)))
        await clock.sleep(10.1)
        (row,) = venue.by_tag(limit(1).tag)
        assert not desk.saw(NAMES.order(row))
        assert desk.unresolved == (limit(1).tag,)
        assert isinstance(await task, Accepted)

    play(work)


def test_a_ghost_is_reported_when_it_turns_up() -> None:
    """Taken as not accepted, accepted a minute later: the stream's order is told, once."""

    async def work(desk: Desk, venue: ToyVenue, clock: VirtualClock) -> None:
        venue.fate, venue.late_s = "late", 60.0
        assert reason(await desk.place(limit(1))) == "NOT_FOUND"
        assert desk.ghosts == {limit(1).tag}
        await clock.sleep(60)
        (row,) = venue.by_tag(limit(1).tag)
        assert desk.saw(NAMES.order(row))
        assert not desk.saw(NAMES.order(row))
        assert not desk.saw(NAMES.order(msgspec.structs.replace(row, custom_tag=None)))
        assert desk.ghosts == set()

    play(work)


def test_a_ghost_that_ended_without_a_fill_needs_nobody() -> None:
    """Rejected or cancelled with nothing filled; with a fill it does."""

    async def work(desk: Desk, venue: ToyVenue, clock: VirtualClock) -> None:
        venue.fate, venue.late_s = "late", 60.0
        for n, (filled, wanted) in enumerate([(0, False), (1, True)]):
            await desk.place(limit(n))
            await clock.sleep(60)
            (row,) = venue.by_tag(limit(n).tag)
            over = msgspec.structs.replace(row, status=OrderStatus.CANCELLED, fill_volume=filled)
            assert desk.saw(NAMES.order(over)) is wanted

    play(work)


def test_while_nobody_knows_nothing_adds_exposure() -> None:
    """The venue cannot be asked: unknown after ten minutes, entries refused, exits sent; then it
    can, and all is known."""

    async def work(desk: Desk, venue: ToyVenue, clock: VirtualClock) -> None:
        venue.fate, venue.blind = "lost", 1.0
        first = asyncio.ensure_future(desk.place(limit(1)))
        await clock.sleep(60)
        assert desk.unresolved == (limit(1).tag,)
        assert reason(await desk.place(limit(2))) == "REFUSED_HERE"
        outcome = await first
        assert isinstance(outcome, Unknown)
        assert "cannot be looked up" in outcome.why
        assert clock.now() - START < 640 * NS
        venue.fate = "answer"
        assert limit(1).tag in getattr(await desk.place(limit(2)), "text", "")
        assert venue.sent[limit(2).tag] == 0
        assert isinstance(await desk.place(limit(3), reduces=True), Accepted)
        assert isinstance(await desk.cancel(ACCOUNT, 3_900_000_001), Accepted)
        venue.blind = 0.0
        settled = await desk.settle()
        assert isinstance(settled[limit(1).tag], Accepted)
        assert desk.unresolved == ()
        assert isinstance(await desk.place(limit(2)), Accepted)
        assert venue.sent[limit(1).tag] == 1

    play(work)


def test_an_order_that_was_cut_off_on_its_way_is_unresolved() -> None:
    """The caller is cancelled while the request is out; the stream's order ends the doubt."""

    async def work(desk: Desk, venue: ToyVenue, clock: VirtualClock) -> None:
        venue.fate = "lost"
        task = asyncio.ensure_future(desk.place(limit(1)))
        await clock.sleep(1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert desk.unresolved == (limit(1).tag,)
        (row,) = venue.by_tag(limit(1).tag)
        assert desk.saw(NAMES.order(row)), "it lives, and nobody was told"
        assert desk.unresolved == ()

    play(work)


def test_half_a_look_proves_nothing() -> None:
    """One of the two lists cannot be had: it counts for finding, never for not finding."""

    async def work(desk: Desk, venue: ToyVenue, clock: VirtualClock) -> None:
        whole = venue.query_orders

        async def broken(*_: Any, **__: Any) -> list[wire.Order]:
            raise NotReachable("HTTP 502")

        venue.orders, venue.query_orders = whole, broken  # type: ignore[method-assign]
        venue.fate = "lost"
        assert isinstance(await desk.place(limit(1)), Accepted)
        venue.fate = "dropped"
        assert isinstance(await desk.place(limit(2)), Unknown)

    play(work)


def test_clocks_that_differ_hide_no_order() -> None:
    """The venue's clock is five minutes behind: its order is older by its own time, and found."""

    async def work(desk: Desk, venue: ToyVenue, clock: VirtualClock) -> None:
        venue.fate, venue.skew_s = "lost", -300.0
        assert isinstance(await desk.place(limit(1)), Accepted)

    play(work)


def test_two_orders_at_a_time_do_not_block_each_other() -> None:
    """On its way is not unresolved."""

    async def work(desk: Desk, venue: ToyVenue, clock: VirtualClock) -> None:
        both = await asyncio.gather(desk.place(limit(1)), desk.place(limit(2)))
        assert all(isinstance(one, Accepted) for one in both)

    play(work)


def test_a_tag_serves_once() -> None:
    """Used: refused before sending. Not sent at all: it may be used."""

    async def work(desk: Desk, venue: ToyVenue, clock: VirtualClock) -> None:
        whole = venue.place

        async def unsent(request: wire.PlaceOrder) -> Outcome:
            return Rejected(reason="NOT_SENT", text="no room in the budget for 12 s")

        venue.place = unsent  # type: ignore[method-assign]
        assert reason(await desk.place(limit(1))) == "NOT_SENT"
        venue.place = whole  # type: ignore[method-assign]
        assert isinstance(await desk.place(limit(1)), Accepted)
        assert reason(await desk.place(limit(1))) == "REFUSED_HERE"
        assert venue.sent[limit(1).tag] == 1

    play(work)


def test_what_cannot_be_right_is_not_sent() -> None:
    """Refusals of the desk's own leave the venue alone."""

    async def work(desk: Desk, venue: ToyVenue, clock: VirtualClock) -> None:
        wrong = limit(1, kind=STOP, limit=None, stop=100)
        assert reason(await desk.place(wrong, Market(last=200))) == "REFUSED_HERE"
        assert reason(await desk.modify(ACCOUNT, 1, MNQ)) == "REFUSED_HERE"
        assert reason(await desk.partial_close(ACCOUNT, MNQ, 0)) == "REFUSED_HERE"
        assert not venue.sent
        assert isinstance(await desk.place(wrong, Market(last=90)), Accepted)

    play(work)


# ------------------------------------------------------------------ cancels and changes
@pytest.mark.parametrize("fate", ["answer", "lost"])
def test_cancelling_what_is_over_has_three_outcomes(fate: str) -> None:
    """Filled, cancelled and unknown are told apart; a lost answer to a done cancel is accepted."""

    async def work(desk: Desk, venue: ToyVenue, clock: VirtualClock) -> None:
        found: dict[str, str] = {}
        for n, status in enumerate([OrderStatus.FILLED, OrderStatus.CANCELLED, None]):
            venue.fate = "answer"
            placed = await desk.place(limit(n))
            assert isinstance(placed, Accepted)
            if status is None:
                del venue.book[placed.order_id or 0]
            else:
                venue.end(placed.order_id or 0, status)
            venue.fate = fate
            outcome = await desk.cancel(ACCOUNT, placed.order_id or 0)
            found[str(status)] = getattr(outcome, "reason", "Accepted")
        assert list(found.values()) == [
            "OrderFilled", "OrderCancelled" if fate == "answer" else "Accepted", "OrderNotFound",
        ]  # fmt: skip

    play(work)


def test_a_change_of_what_has_filled_says_so() -> None:
    """Not found is vague; the order itself is asked."""

    async def work(desk: Desk, venue: ToyVenue, clock: VirtualClock) -> None:
        placed = await desk.place(limit(1))
        assert isinstance(placed, Accepted)
        venue.end(placed.order_id or 0, OrderStatus.FILLED)
        outcome = await desk.modify(ACCOUNT, placed.order_id or 0, MNQ, limit=99_000)
        assert reason(outcome) == "OrderFilled"
        venue.blind = 1.0
        outcome = await desk.modify(ACCOUNT, placed.order_id or 0, MNQ, limit=99_000)
        assert reason(outcome) == "OrderNotFound", "the venue's own word, where no more is known"

    play(work)


def test_a_cancel_without_a_trace_may_be_sent_again() -> None:
    """Never arrived: after ten seconds of looking it is not done, and a second one does it."""

    async def work(desk: Desk, venue: ToyVenue, clock: VirtualClock) -> None:
        placed = await desk.place(limit(1))
        assert isinstance(placed, Accepted)
        venue.fate = "dropped"
        before = clock.now()
        assert reason(await desk.cancel(ACCOUNT, placed.order_id or 0)) == "NOT_DONE"
        assert (clock.now() - before) / NS < 25
        venue.fate = "answer"
        assert isinstance(await desk.cancel(ACCOUNT, placed.order_id or 0), Accepted)

    play(work)


def test_a_trail_reads_back_as_a_distance() -> None:
    """20 ticks held: a lost change to 20 is found, one to 21 is not."""

    async def work(desk: Desk, venue: ToyVenue, clock: VirtualClock) -> None:
        row = wire.decode(TRAILING_ROW, wire.Order)
        venue.book[row.id] = row
        venue.fate = "lost"
        at = Market(last=100_401)
        found = await desk.modify(ACCOUNT, row.id, MNQ, trail=20, side=-1, market=at)
        assert isinstance(found, Accepted)
        other = await desk.modify(ACCOUNT, row.id, MNQ, trail=21, side=-1, market=at)
        assert reason(other) == "NOT_DONE"

    play(work)


def test_a_trailing_stop_goes_through_the_desk() -> None:
    """Placed as a level from the last trade that the caller knows."""

    async def work(desk: Desk, venue: ToyVenue, clock: VirtualClock) -> None:
        order = limit(1, kind=TRAILING, limit=None, trail=20, side=-1)
        assert reason(await desk.place(order)) == "REFUSED_HERE"
        assert isinstance(await desk.place(order, Market(last=100_401)), Accepted)

    play(work)


# ------------------------------------------------------------------ closes
def test_a_partial_close_without_a_reading_before_it_is_known_only_when_flat() -> None:
    """A reduction goes out although the position cannot be read; what is not certain stays open."""

    async def work(desk: Desk, venue: ToyVenue, clock: VirtualClock) -> None:
        venue.sizes[MNQ], venue.fate, venue.blind = 3, "lost", 1.0
        task = asyncio.ensure_future(desk.partial_close(ACCOUNT, MNQ, 2))
        await clock.sleep(1)
        venue.blind = 0.0
        assert isinstance(await task, Unknown)
        assert venue.sent[f"close {MNQ}"] == 1
        assert venue.sizes[MNQ] == 1
        assert len(desk.unresolved) == 1
        venue.fate = "answer"
        assert isinstance(await desk.close(ACCOUNT, MNQ), Accepted)
        (settled,) = (await desk.settle()).values()
        assert isinstance(settled, Accepted)
        assert desk.unresolved == ()

    play(work)


def test_a_partial_close_waits_two_seconds_for_a_reading_and_no_more() -> None:
    """Getting out comes first: a read that hangs holds no exit up."""

    async def work(desk: Desk, venue: ToyVenue, clock: VirtualClock) -> None:
        whole = venue.positions

        async def hangs(*_: Any, **__: Any) -> list[wire.Position]:
            await clock.sleep(50)
            return []

        venue.sizes[MNQ], venue.positions = 3, hangs  # type: ignore[method-assign]
        assert isinstance(await desk.partial_close(ACCOUNT, MNQ, 2), Accepted)
        assert clock.now() - START == 2 * NS
        venue.positions = whole  # type: ignore[method-assign]

    play(work)

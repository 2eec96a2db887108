"""After a gap nothing is believed before the account has been read: 1,000 lives with outages."""

from __future__ import annotations

import asyncio

import pytest

from pxresearch.clock import NS
from pxresearch.gateway import wire
from pxresearch.gateway.records import Event, Gap, Hub, Notice, Quote, Resynced, Update
from pxresearch.gateway.stream import Stream
from tests.exchange_kit import ACCOUNT, MNQ
from tests.stream_kit import Venue, assert_equal, calm, run, until
from tests.venue_life import MID, record


@pytest.mark.parametrize("first", range(0, 1_000, 100))
def test_after_an_outage_the_copy_is_the_venue_before_the_next_event(first: int) -> None:
    """S34: fills, cancels, changes and manual trades while the hub is away; 1,000 seeds."""
    for seed in range(first, first + 100):
        venue = Venue(seed)

        async def script(stream: Stream, venue: Venue = venue) -> None:
            await until(stream, Resynced)
            venue.trade(4)
            venue.drop()
            venue.trade(8)
            venue.back()
            quote = Quote(
                contract_id=MNQ, ts=0, received=0, bid=MID, ask=MID + 1, last=None, volume=None
            )
            venue.put(quote)
            events: list[Event] = []
            while quote not in events:
                events += await stream.get()
            kinds = [type(e) for e in events if not isinstance(e, Update)]
            assert kinds == [Gap, Resynced, Gap, Gap, Resynced, Quote]
            assert_equal(venue, stream)

        try:
            run(venue, script)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}") from error


@pytest.mark.parametrize("seed", range(60))
def test_trading_that_goes_on_while_the_account_is_read(seed: int) -> None:
    """The reads are not one instant: what happens between them is neither lost nor doubled."""
    venue = Venue(seed, busy=0.3)

    async def script(stream: Stream) -> None:
        await until(stream, Resynced)
        for _ in range(3):
            venue.trade(3)
            venue.drop()
            venue.trade(3)
            venue.back()
            await until(stream, Resynced)
        venue.busy = 0.0
        venue.trade(1)
        await asyncio.wait_for(_drain(venue, stream), 10)
        assert_equal(venue, stream)

    run(venue, script)


async def _drain(venue: Venue, stream: Stream) -> None:
    """Take everything, doubts and their clearing included."""
    venue.put(Notice(ts=0, hub=Hub.USER, kind="end", text=""))
    ended = False
    while not ended or stream.mirrors[ACCOUNT].doubts():
        ended = any(isinstance(e, Notice) and e.kind == "end" for e in await stream.get()) or ended


def test_nothing_is_delivered_while_the_account_cannot_be_read() -> None:
    """REST is down after the hub is back: notices, then `Resynced`, then what waited."""
    venue = Venue(1)

    async def script(stream: Stream) -> None:
        await calm(stream)
        venue.drop()
        assert [type(e) for e in await stream.get()] == [Gap]
        assert not stream.reconciled
        venue.trade(5)
        venue.refuse = 3
        venue.back()
        venue.trade(2)
        before = venue.clock.now()
        events = await until(stream, Gap)
        while not isinstance(events[-1], Resynced):
            events += await stream.get()
        kinds = [type(e) for e in events]
        assert kinds[-5:] == [Gap, Notice, Notice, Notice, Resynced]
        assert venue.clock.now() - before >= 3.5 * NS  # 0.5, 1 and 2 s between the attempts
        assert stream.reconciled

    run(venue, script)


def test_while_the_user_hub_is_away_positions_are_supervised_by_rest() -> None:
    """S19: quotes go on, the account is read every 5 s, and it does not count as reconciled."""
    venue = Venue(6)

    async def script(stream: Stream) -> None:
        await calm(stream)
        venue.drop()
        await stream.get()
        venue.kit.place(1, 2)
        venue.tell()
        before = venue.clock.now()
        await until(stream, Resynced)
        assert venue.clock.now() - before <= 5.1 * NS
        assert stream.mirrors[ACCOUNT].position(MNQ) == 2
        assert not stream.reconciled
        await until(stream, Resynced)
        assert venue.clock.now() - before <= 10.1 * NS

    run(venue, script)


def test_a_missing_fill_event_is_found_within_seconds() -> None:
    """S56: order and position events came, the trade event did not; nobody had to wait five min."""
    venue = Venue(2)

    async def script(stream: Stream) -> None:
        await calm(stream)
        venue.kit.place(1, tag="a")
        events = [e.record for e in venue.kit.events if not isinstance(e.record, wire.Trade)]
        venue.put(*(Update(received=0, record=record(venue.names, row)) for row in events))
        before = venue.clock.now()
        found = await until(stream, Resynced)
        resynced = found[-1]
        assert isinstance(resynced, Resynced)
        assert any(text.startswith("missed fill") for text in resynced.changes)
        assert venue.clock.now() - before <= 2.1 * NS
        assert_equal(venue, stream)

    run(venue, script)


def test_a_manual_trade_is_noticed_within_the_period() -> None:
    """S100: even when the hub tells nothing of it."""
    venue = Venue(3)

    async def script(stream: Stream) -> None:
        await calm(stream)
        venue.connected = False  # the hub lies: it is up and silent
        venue.kit.venue.manual(ACCOUNT, MNQ, 1, 2, now=venue.kit.now)
        before = venue.clock.now()
        found = await until(stream, Resynced)
        assert venue.clock.now() - before <= 301 * NS
        last = found[-1]
        assert isinstance(last, Resynced)
        assert "position in MNQZ26 is +2, was +0" in last.changes

    run(venue, script)


def test_in_calm_times_it_reads_every_five_minutes_and_not_more() -> None:
    """S97: four reads a period while nothing differs."""
    venue = Venue(4)

    async def script(stream: Stream) -> None:
        await calm(stream)
        venue.reads = 0
        start = venue.clock.now()
        while venue.clock.now() - start < 3_600 * NS:
            await until(stream, Resynced)
        assert venue.reads <= 12 * 5

    run(venue, script)


def test_the_return_of_the_market_hub_costs_no_request() -> None:
    """It tells of no account; the user hub's does, and is read."""
    venue = Venue(4)

    async def script(stream: Stream) -> None:
        await calm(stream)
        reads, now = venue.reads, venue.clock.now()
        for until_ns in (None, now + NS):
            venue.put(Gap(hub=Hub.MARKET, since=now, until=until_ns, reason="dropped"))
            assert [type(e) for e in await stream.get()] == [Gap]
            assert stream.reconciled
        venue.put(Notice(ts=0, hub=Hub.USER, kind="end", text=""))
        assert [type(e) for e in await stream.get()] == [Notice]
        assert venue.reads == reads
        venue.put(Gap(hub=Hub.USER, since=now, until=now + NS, reason="reconnected"))
        assert [type(e) for e in await stream.get()] == [Gap]
        assert not stream.reconciled
        assert [type(e) for e in await stream.get()] == [Resynced]
        assert venue.reads > reads

    run(venue, script)


def test_an_update_that_tells_nothing_new_is_not_delivered() -> None:
    """No event reaches the strategy twice."""
    venue = Venue(5)

    async def script(stream: Stream) -> None:
        await calm(stream)
        venue.kit.place(1, tag="a")
        rows = [record(venue.names, e.record) for e in venue.kit.events]
        venue.put(*(Update(received=0, record=row) for row in rows + rows))
        venue.put(Notice(ts=0, hub=Hub.USER, kind="end", text=""))
        events = await until(stream, Notice)
        got = [e.record for e in events if isinstance(e, Update)]
        assert len(got) == len({repr(row) for row in got})

    run(venue, script)


# ------------------------------------------------------------------ trouble
def test_a_look_that_fails_holds_back_nothing_that_has_come() -> None:
    """Nothing is missing, so quotes and fills go on; it only counts as unreconciled."""
    venue = Venue(7)

    async def script(stream: Stream) -> None:
        await calm(stream)
        venue.refuse = 2
        notice = (await until(stream, Notice))[-1]
        assert isinstance(notice, Notice)
        assert notice.kind == "unreconciled"
        assert not stream.reconciled
        venue.kit.place(1, tag="a")
        venue.tell()
        await until(stream, Update)
        assert stream.mirrors[ACCOUNT].position(MNQ) == 1
        await until(stream, Resynced)
        assert stream.reconciled

    run(venue, script)


def test_a_doubt_that_no_reading_settles_does_not_use_up_the_requests() -> None:
    """The venue lost a trade for good: a look after 2, 4, 8 ... s, then every five minutes."""
    venue = Venue(8)

    async def script(stream: Stream) -> None:
        await calm(stream)
        venue.hidden = True
        venue.kit.place(1, tag="a")
        venue.tell_but(wire.Trade)
        start, venue.reads = venue.clock.now(), 0
        while venue.clock.now() - start < 3_600 * NS:
            await until(stream, Resynced)
        assert len(stream.doubts) == 1
        assert "has filled 1, its fills are 0" in stream.doubts[0]
        assert venue.reads <= 10 * (12 + 9)
        venue.hidden = False
        await until(stream, Resynced)
        assert stream.doubts == []
        assert_equal(venue, stream)

    run(venue, script)


def test_an_account_that_never_stands_still_is_not_believed() -> None:
    """Each reading differs from the one before: a notice, and it is tried again."""
    venue = Venue(9)
    venue.restless = True

    async def script(stream: Stream) -> None:
        events = await stream.get()
        assert [type(e) for e in events] == [Notice]
        assert "changed between each two of 6 readings" in getattr(events[0], "text", "")
        assert not stream.reconciled
        venue.restless = False
        await until(stream, Resynced)
        assert stream.reconciled
        assert_equal(venue, stream)

    run(venue, script)


def test_a_contract_that_only_a_person_traded_is_looked_up() -> None:
    """S100: by hand in the platform, in a product that nothing here had asked for."""
    venue = Venue(10)
    venue.kit.open_market(30_000, at="CON.F.US.MES.Z26")

    async def script(stream: Stream) -> None:
        await calm(stream)
        venue.connected = False
        venue.kit.venue.manual(ACCOUNT, "CON.F.US.MES.Z26", -1, 1, now=venue.kit.now)
        last = (await until(stream, Resynced))[-1]
        assert isinstance(last, Resynced)
        assert "position in MESZ26 is -1, was +0" in last.changes

    run(venue, script)


def test_what_the_venue_tells_off_the_grid_is_a_notice() -> None:
    """It cannot be read, so the account is not believed; the stream lives on."""
    venue = Venue(11)

    async def script(stream: Stream) -> None:
        await calm(stream)
        venue.kit.place(1, tag="a")
        venue.off_grid = True
        venue.drop()
        venue.back()
        notice = (await until(stream, Notice))[-1]
        assert "not a multiple of its tick size" in getattr(notice, "text", "")
        assert not stream.reconciled
        venue.off_grid = False
        await until(stream, Resynced)
        assert stream.reconciled

    run(venue, script)

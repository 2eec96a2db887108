"""A simulator's clock and a client's, moved together: nothing lost, nothing early, always the same.

The tape is the oracle: what it holds is what must arrive, at its time, before any later timer.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from pxresearch.clock import NS, PacedClock, WallClock
from pxresearch.errors import NotReachable, UsageError
from pxresearch.gateway import wire
from pxresearch.gateway.caller import RestSettings
from pxresearch.gateway.hubs import HubSettings
from pxresearch.gateway.outcome import Accepted
from pxresearch.gateway.profiles import profile
from pxresearch.gateway.records import Event, Fill, Gap, Hub, Order, Quote, Trade, Update
from pxresearch.instruments import contract
from pxresearch.lockstep import MOST, Hand, Lockstep
from pxresearch.sessions import session
from pxresearch.simulator.server import SimulatorSettings, start
from pxresearch.steering import follow
from tests import trade_kit as kit

HOUR = 3600.0
ACCOUNT = 7001122


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One thin day."""
    return kit.make_tape(tmp_path_factory.mktemp("thin"), days=kit.DAY)


# ------------------------------------------------------------------ nothing lost, nothing early
def test_whatever_the_tape_holds_has_come_when_a_timer_wakes(folder: Path) -> None:
    """At each wake-up the client has every row up to that time, none beyond, each once."""
    tape = kit.tape_of(folder)

    async def main() -> None:
        async with kit.steered(folder) as (_, one):
            taker, looks = kit.Taker(one), 0

            def look() -> None:
                nonlocal looks
                looks += 1
                assert taker.rows == kit.due(tape, one.clock.now())

            await kit.for_a_while(one, taker, 2 * HOUR, tick_s=47.3, look=look)
            assert looks == 153
            assert len(taker.rows) > 900
            assert taker.wrong_stamps == 0

    asyncio.run(main())


def test_two_runs_are_the_same_to_the_last_stamp(folder: Path) -> None:
    """Events, their order and their stamps of receipt do not depend on the machine."""

    async def once() -> list[Event]:
        async with kit.steered(folder) as (_, one):
            taker = kit.Taker(one)
            await kit.for_a_while(one, taker, HOUR / 2)
            return [event for event in taker.events if isinstance(event, Quote | Trade)]

    first, second = asyncio.run(once()), asyncio.run(once())
    assert first
    assert first == second


@pytest.mark.parametrize("step_s", [0.2, 5.0])
def test_a_crowded_second_comes_whole(tmp_path: Path, step_s: float) -> None:
    """More rows at once than a connection's queue holds: none is merged with another."""
    codes, n = kit.CODES[:1], 20 * MOST
    opens = session(contract(codes[0]), kit.DAY[0]).open
    quotes = {
        "ts": opens + NS + np.arange(n) * 1_000_000, "seq": np.arange(n),
        "bid_px": 97_000 + np.arange(n) % 7, "ask_px": 97_010 + np.arange(n) % 7,
        "bid_sz": np.ones(n), "ask_sz": np.ones(n),
    }  # fmt: skip
    kit.store(tmp_path, {codes[0]: {"quotes": quotes}})
    crowded = kit.tape_of(tmp_path, codes)

    async def main() -> None:
        async with kit.steered(tmp_path, codes=codes, step_s=step_s) as (_, one):
            taker = kit.Taker(one, codes)
            await kit.for_a_while(one, taker, 60.0)
            assert len(taker.rows) == n
            assert taker.rows == kit.due(crowded, one.clock.now())
            assert one.hubs.state(Hub.MARKET).coalesced == 0

    asyncio.run(main())


# ------------------------------------------------------------------ what is under way
def test_time_stands_while_an_order_is_under_way(folder: Path) -> None:
    """An order's answer and event come at the time it was sent, its fill with the market's step."""

    async def main() -> None:
        async with kit.steered(folder) as (simulator, one):
            taker = kit.Taker(one)
            one.hubs.subscribe_account(ACCOUNT)
            sent: dict[int, int] = {}
            mnq = one.names.find("MNQZ26").id

            async def on_row(row: kit.Row) -> None:
                if len(taker.rows) % 20 == 0:
                    order = wire.PlaceOrder(
                        account_id=ACCOUNT, contract_id=mnq, type=wire.OrderType.MARKET,
                        side=wire.OrderSide.BUY, size=1,
                    )  # fmt: skip
                    before = one.clock.now()
                    outcome = await one.rest.place(order)
                    assert isinstance(outcome, Accepted)
                    assert outcome.order_id is not None
                    assert one.clock.now() == before
                    sent[outcome.order_id] = before

            await kit.for_a_while(one, taker, 0.3 * HOUR, on_row=on_row)
            assert len(sent) > 5
            updates = [e for e in taker.events if isinstance(e, Update)]
            told: dict[int, int] = {}
            for update in updates:
                if isinstance(update.record, Order):
                    told.setdefault(update.record.id, update.received)
            assert told == sent
            fills = [(e.received, e.record.ts) for e in updates if isinstance(e.record, Fill)]
            assert len(fills) == len(sent)
            assert all(ts <= received <= ts + NS for received, ts in fills)
            assert simulator.control.truth(ACCOUNT)["positions"][0]["size"] == len(sent)

    asyncio.run(main())


@pytest.mark.parametrize("fault", ["hub_reset", "hub_drop"])
def test_a_lost_connection_costs_seconds_of_the_clock(folder: Path, fault: str) -> None:
    """The hubs come back by their own back-off, and only what came in between is missing."""
    tape = kit.tape_of(folder)

    async def main() -> None:
        async with kit.steered(folder) as (simulator, one):
            taker = kit.Taker(one)
            simulator.control.add(fault, hub="market", step="now", after_s=600)
            await kit.for_a_while(one, taker, HOUR)
            gaps = [e for e in taker.events if isinstance(e, Gap)]
            assert [gap.until is None for gap in gaps if gap.hub is Hub.MARKET][-2:] == [
                True,
                False,
            ]
            back = gaps[-1]
            assert back.until is not None
            assert back.until - back.since < 60 * NS
            whole = kit.due(tape, one.clock.now())
            assert set(taker.rows) <= set(whole)
            missing = set(whole) - set(taker.rows)
            assert all(back.since <= row[0] <= back.until for row in missing)

    asyncio.run(main())


@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "completion_missing", "hub": "market", "step": "subscribe"},
        {"fault": "hub_half_open", "hub": "market", "step": "now", "after_s": 300},
    ],
)
def test_what_never_comes_is_not_waited_for(folder: Path, fault: dict[str, object]) -> None:
    """A swallowed answer or a dead connection slows the clock down; it does not stop it."""

    async def main() -> None:
        async with kit.steered(folder) as (simulator, one):
            simulator.control.add(**fault)  # pyright: ignore[reportArgumentType]
            taker, first = kit.Taker(one), one.clock.now()
            lockstep = Lockstep(
                Hand(simulator.url), one.clock, one.rest, one.hubs, patience_s=0.01  # pyright: ignore[reportArgumentType]
            )  # fmt: skip

            async def work() -> None:
                starting = asyncio.ensure_future(one.hubs.start())
                await one.clock.sleep(900.0)
                await one.hubs.stop()
                await starting

            await lockstep.run(work())
            assert one.clock.now() == first + 900 * NS
            assert not taker.rows

    asyncio.run(main())


# ------------------------------------------------------------------ steps, and other paces
@pytest.mark.parametrize("late_s", [0.0, 30.0])
def test_a_waiter_is_never_early_and_late_by_what_is_allowed(folder: Path, late_s: float) -> None:
    """Long steps wake late, and do with fewer moves; exact ones wake to the nanosecond."""
    late: list[float] = []

    async def main() -> int:
        async with kit.steered(folder, late_s=late_s, step_s=max(late_s, 1.0)) as (simulator, one):
            lockstep = Lockstep(
                Hand(simulator.url), one.clock, one.rest, one.hubs,  # pyright: ignore[reportArgumentType]
                step_s=max(late_s, 1.0), late_s=late_s,
            )  # fmt: skip

            async def work() -> None:
                for _ in range(200):
                    due = one.clock.now() + 7 * NS
                    await one.clock.sleep(7.0)
                    late.append((one.clock.now() - due) / NS)

            await lockstep.run(work())
            return lockstep.moves

    moves = asyncio.run(main())
    assert min(late) >= 0
    assert max(late) <= late_s
    assert (moves > 200) == (late_s == 0)


def test_work_that_fails_and_a_simulator_that_goes_end_the_run(folder: Path) -> None:
    """Neither leaves the other waiting."""

    async def main() -> None:
        async with kit.steered(folder) as (simulator, one):

            async def fails() -> None:
                await one.clock.sleep(5.0)
                raise LookupError("of the work")

            with pytest.raises(LookupError, match="of the work"):
                await one.pace.run(fails(), one.rest, one.hubs)
            await simulator.__aexit__(None, None, None)
            cancelled = asyncio.Event()

            async def waits() -> None:
                try:
                    await one.clock.sleep(5.0)
                finally:
                    cancelled.set()

            with pytest.raises(NotReachable, match="is a pxresearch simulator there"):
                await one.pace.run(waits(), one.rest, one.hubs)
            assert cancelled.is_set()

    asyncio.run(main())


def test_a_clock_that_somebody_else_moves_is_followed(folder: Path) -> None:
    """Two clients on one simulator: one moves it, the other's waiters wake by it."""

    async def main() -> None:
        async with (
            kit.steered(folder) as (simulator, one),
            kit.client(simulator.url, step=False) as two,
        ):
            taker, other = kit.Taker(one), kit.Taker(two)
            woke: list[int] = []

            async def follower() -> None:
                await two.hubs.start()
                taking = asyncio.ensure_future(other.take())
                due = two.clock.now() + 600 * NS
                await two.clock.sleep(600.0)
                woke.append(two.clock.now() - due)
                await two.hubs.stop()
                await taking

            following = asyncio.ensure_future(two.pace.run(follower(), two.rest, two.hubs))
            await kit.for_a_while(one, taker, 1200.0)
            await following
            assert woke
            assert woke[0] >= 0
            assert set(other.rows) <= set(taker.rows)
            assert taker.rows == kit.due(kit.tape_of(folder), one.clock.now())

    asyncio.run(main())


def test_the_pace_is_that_of_the_gateway() -> None:
    """The wall's where the venue has it, and so many times as fast where the data's time runs."""

    async def at(clock: str, speed: float = 1.0) -> None:
        made = SimulatorSettings(port=0, market="none", clock=clock, speed=speed)
        async with start(made) as simulator:
            where = profile("simulator", url=simulator.url)
            async with follow(where) as pace:
                if clock == "now":
                    assert isinstance(pace.clock, WallClock)
                    assert pace.hubs((Hub.MARKET,)) == HubSettings(hubs=(Hub.MARKET,))
                else:
                    assert isinstance(pace.clock, PacedClock)
                    assert abs(pace.clock.now() - simulator.venue.now()) < speed * NS
                    assert pace.rest.timeout_s == RestSettings().timeout_s * speed
                    assert pace.hubs(tuple(Hub)).silent_s == HubSettings().silent_s * speed
            with pytest.raises(UsageError, match="moves by itself"):
                async with follow(where, step=True):
                    pass

    async def main() -> None:
        await at("now")
        await at("data", 50.0)
        with pytest.raises(UsageError, match="TopstepX has the wall's"):
            async with follow(profile("topstepx"), step=True):
                pass

    asyncio.run(main())

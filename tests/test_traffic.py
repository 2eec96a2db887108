"""S96-S98, S100: what a session sends while nothing happens, counted here and at the venue."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from tests.session_kit import ACCOUNT, Floor, Running, floor, run

pytestmark = pytest.mark.slow
HOUR_S, HOURS = 3_600.0, 2.0
READING = Counter({
    "Account/search": 1, "Position/searchOpen": 1, "Order/search": 1, "Order/v2/query": 1,
    "Trade/search": 1,
})  # fmt: skip
"""One look at the account."""
START = {"Auth/loginKey", "Contract/available"}
ALWAYS = 10**6  # bars without a position before it buys: never


def seen(place: Floor) -> Counter[str]:
    """Requests as the venue has logged them."""
    rows = place.venue.control.log(kind="request")
    return Counter(row["what"].removeprefix("/api/") for row in rows)


async def for_a_while(place: Floor, one: Running, hours: float) -> tuple[Counter[str], int]:
    """Calls that a session makes in so many hours after its first ten minutes; events in them."""

    async def work() -> tuple[Counter[str], int]:
        running = asyncio.ensure_future(one.runner.run())
        await place.one.clock.sleep(600.0)
        before, events = seen(place), one.health.events
        assert before == Counter(place.one.rest.calls.sent)
        await place.one.clock.sleep(hours * HOUR_S)
        after = seen(place)
        assert after == Counter(place.one.rest.calls.sent) == Counter(one.health.calls)
        events = one.health.events - events
        one.runner.stop()
        await running
        return after - before, events

    return await place.drive(work())


@pytest.mark.parametrize("reconcile_s", [300.0, 600.0])
def test_a_quiet_live_session_only_reads_the_account_every_so_often(
    tmp_path: Path, reconcile_s: float
) -> None:
    """Not one request for the market, the orders or the token in between."""

    async def main() -> None:
        async with floor(tmp_path, reconcile_s=reconcile_s) as place:
            calls, events = await for_a_while(place, place.session(pause=ALWAYS), HOURS)
            assert events > HOURS * HOUR_S / 20
            readings = calls["Account/search"]
            assert abs(readings - HOURS * HOUR_S / reconcile_s) <= 1
            assert calls == Counter({name: readings for name in READING})

    run(main)


def test_a_trade_costs_one_order_and_a_reading_stays_a_reading(tmp_path: Path) -> None:
    """Entry, stop and target are one request; their fills and legs are told by the hub."""

    async def main() -> None:
        async with floor(tmp_path) as place:
            one = place.session(pause=10, stop_ticks=10, target_ticks=10)
            calls, _ = await for_a_while(place, one, HOURS)
            placed = calls.pop("Order/place")
            assert placed > 2
            readings = calls["Account/search"]
            assert abs(readings - HOURS * HOUR_S / 300) <= 1
            assert calls == Counter({name: readings for name in READING})
            tags = [row["customTag"] for row in place.entries()]
            assert len(set(tags)) == len(tags)

    run(main)


def test_a_paper_session_sends_nothing_at_all(tmp_path: Path) -> None:
    """It logs in, asks for the contracts, and from then on only listens."""

    async def main() -> None:
        async with floor(tmp_path) as place:
            one = place.session(mode="paper", stop_ticks=20, target_ticks=20)
            calls, events = await for_a_while(place, one, HOURS)
            assert calls == Counter()
            assert events > HOURS * HOUR_S / 20
            assert one.health.fills > 5
            assert set(seen(place)) == START
            assert place.truth(ACCOUNT)["orders"] == []

    run(main)

"""The notebook client over real sockets: bars of weeks, events, the book, marks."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import pxresearch as px
from pxresearch.clock import NS
from pxresearch.errors import NotReachable
from pxresearch.gateway.client import Gateway
from pxresearch.gateway.credentials import Credentials
from pxresearch.gateway.outcome import Accepted
from pxresearch.gateway.records import Quote, Resynced, Update
from pxresearch.gateway.stream import Stream
from pxresearch.simulator import Simulator, SimulatorSettings, start
from pxresearch.simulator.settings import VenueSettings
from tests.exchange_kit import MNQ


def with_simulator(script: Callable[[Simulator], Awaitable[None]], market: str = "demo") -> None:
    settings = SimulatorSettings(port=0, market=market, venue=VenueSettings(always_open=True))

    async def main() -> None:
        async with start(settings) as simulator:
            async with asyncio.timeout(60):
                await script(simulator)

    asyncio.run(main())


def session(simulator: Simulator) -> Gateway:
    keys = Credentials(simulator.username, simulator.api_key)
    return Gateway("simulator", url=simulator.url, keys=keys, always_open=True)


def test_stream_book_and_marks() -> None:
    """One session over real sockets: events in order, the book with both sides, open profit."""

    async def script(simulator: Simulator) -> None:
        async with session(simulator) as gw:
            book = await gw.book("MNQ")
            bids, asks = book.levels()
            assert bids[0][0] < asks[0][0]
            assert "<table>" in book._repr_html_()
            stream = gw.stream("MNQ")
            await stream.start()
            try:
                await trade_and_watch(gw, stream)
            finally:
                await stream.stop()
            marked = await gw.positions(marked=True)
            assert marked["open_pnl"].is_not_null().all()
            assert (await gw.flatten()).verified

    with_simulator(script)


async def trade_and_watch(gw: Gateway, stream: Stream) -> None:
    first = (await stream.get())[0]
    assert isinstance(first, Resynced)
    assert isinstance(await gw.buy("MNQ", 1, stop_ticks=40), Accepted)
    mirror, quoted = stream.mirrors[gw.account.id], False
    async for event in stream:
        quoted |= isinstance(event, Quote)
        fresh = isinstance(event, Update) and mirror.position(MNQ) == 1
        if quoted and fresh and len(mirror.working) == 1 and not mirror.doubts():
            return


def test_bars_of_weeks_in_one_call() -> None:
    """S08: beyond 20,000 rows, ascending, none twice, and each with its session."""

    async def script(simulator: Simulator) -> None:
        async with session(simulator) as gw:
            end = simulator.venue.now() // (60 * NS) * 60 * NS
            frame = await gw.bars("MNQ", days=16, end_ns=end)
            assert frame.height > 20_000
            assert frame["ts"].is_sorted()
            assert frame["ts"].is_unique().all()
            assert (frame["high"] >= frame["low"]).all()
            assert frame["session"].null_count() == 0
            hours = await gw.bars("MNQ", days=2, unit="1h", end_ns=end)
            assert 0 < hours.height <= 49
            assert hours["volume"].sum() <= frame["volume"].sum()

    with_simulator(script)


def test_a_silent_market_has_no_book_and_no_profit() -> None:
    """An error that says why, and null in place of a number."""

    async def script(simulator: Simulator) -> None:
        async with session(simulator) as gw:
            with pytest.raises(NotReachable, match=r"no depth of MNQZ26 came in 0\.3 s"):
                await gw.book("MNQ", wait_s=0.3)

    with_simulator(script, market="none")


def test_events_without_await() -> None:
    """A plain iterator of events, which ends with its block."""

    async def script(simulator: Simulator) -> None:
        def plain() -> int:
            keys = Credentials(simulator.username, simulator.api_key)
            with (
                px.connect("simulator", url=simulator.url, keys=keys, always_open=True) as gw,
                gw.events("MNQ") as events,
            ):
                assert isinstance(next(events), Resynced)
                return sum(isinstance(next(events), Quote) for _ in range(4))

        assert await asyncio.to_thread(plain) > 0

    with_simulator(script)


def test_the_guide_runs_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every block of docs/gateway.md, in order, as a person would paste it."""
    text = (Path(__file__).parents[1] / "docs" / "gateway.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    assert len(blocks) == 4

    async def script(simulator: Simulator) -> None:
        monkeypatch.setenv("PROJECT_X_USERNAME", simulator.username)
        monkeypatch.setenv("PROJECT_X_API_KEY", simulator.api_key)
        here = f'connect("simulator", url="{simulator.url}", always_open=True'
        code = "\n".join(blocks).replace('connect("simulator"', here)
        names: dict[str, Any] = {}
        await asyncio.to_thread(exec, compile(code, "gateway.md", "exec"), names)
        assert isinstance(names["entry"], Accepted)
        assert names["proof"].verified
        assert simulator.venue.exchange.truth(simulator.account_id).positions == []

    with_simulator(script)

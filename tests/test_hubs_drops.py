"""Two hundred seeded drops: each time the hubs are back with the desired set, nothing doubled."""

from __future__ import annotations

import asyncio
import json
import random

import pytest

from pxresearch.clock import NS
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.hubs import Hubs
from pxresearch.gateway.inbox import Inbox
from pxresearch.gateway.link import Link
from pxresearch.gateway.reader import Notices, Reader
from pxresearch.gateway.records import Event, Gap, Hub, Quote
from tests.hub_kit import ES, ID, MNQ, QUOTE, FastClock, Tokens, make, until
from tests.hub_server import Connection, HubServer

FAULTS = [
    "", "401", "503", "drop upgrade", "reset upgrade", "drop handshake", "reset handshake",
    "handshake error", "garbled handshake", "drop after handshake", "drop in subscribe",
    "close in subscribe", "half record",
]  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_fifty_drops_at_random_steps(seed: int) -> None:
    """Faults before and while it opens, contracts that come and go meanwhile: after each, the
    server has what is wanted, once, on one connection; gaps pair up; each quote comes once."""

    async def run() -> None:
        rng, tokens = random.Random(seed), Tokens()
        with HubServer() as server:
            hubs = make(server.url, tokens=tokens, clock=FastClock(200), backoff_s=0.01,
                        backoff_max_s=1)  # fmt: skip
            events: list[Event] = []
            await hubs.start()
            consumer = asyncio.ensure_future(_consume(hubs, events))
            for n in range(50):
                server.faults = rng.choices(FAULTS, k=rng.randint(0, 3))
                hub = rng.choice(list(Hub))
                before = hubs.state(hub).generation
                server.abort(hub)
                if rng.random() < 0.5:
                    hubs.subscribe_contract(ES, trades=rng.random() < 0.5)
                else:
                    hubs.unsubscribe_contract(ES)
                await until(lambda hub=hub, before=before: hubs.state(hub).generation > before)
                await until(lambda: all(_right(server, hubs, one) for one in Hub))
                server.event("market", "GatewayQuote", ID, {**QUOTE, "volume": n})
                await until(lambda n=n: any(isinstance(e, Quote) and e.volume == n for e in events))
            await hubs.stop()
            await consumer
            assert [e.volume for e in events if isinstance(e, Quote)] == list(range(50))
            for hub in Hub:
                gaps = [e for e in events if isinstance(e, Gap) and e.hub is hub]
                assert [g.until is None for g in gaps] == [True, False] * (len(gaps) // 2)
                assert all(a.since == b.since for a, b in zip(gaps[::2], gaps[1::2], strict=True))
            assert tokens.asked + tokens.logins == len(server.requests)

    asyncio.run(run())


async def _consume(hubs: Hubs, events: list[Event]) -> None:
    while batch := await hubs.get():
        events += batch


def _right(server: HubServer, hubs: Hubs, hub: Hub) -> bool:
    """Whether the server has, on one connection, each stream that is wanted just once."""
    live: Connection | None = server.live(hub)
    wanted = {str(one): 1 for one in hubs._desired[hub]}
    return live is not None and live.live == wanted and hubs.state(hub).connected


def test_back_off_begins_anew_only_after_ten_healthy_seconds() -> None:
    """By hand: the sixth wait is 8 to 16 s; ten seconds of health make the next at most 0.5 s."""

    async def run() -> None:
        clock = FastClock(20)
        with HubServer() as server:
            server.faults = ["503"] * 5
            hubs = make(
                server.url,
                clock=clock,
                hubs=(Hub.USER,),
            )
            await hubs.start()
            await until(lambda: hubs.state(Hub.USER).connected)
            assert hubs.state(Hub.USER).attempts == 5
            assert await _away_s(server, hubs, clock) >= 8  # it had not lived for 10 s
            assert hubs.state(Hub.USER).attempts == 6
            await until(lambda: hubs.state(Hub.USER).attempts == 0)
            assert clock.now() - hubs.state(Hub.USER).since > 8 * NS  # from the handshake on
            assert await _away_s(server, hubs, clock) < 3
            await hubs.stop()

    asyncio.run(run())


async def _away_s(server: HubServer, hubs: Hubs, clock: FastClock) -> float:
    """Drop the user hub; seconds until it is back."""
    before, begin = hubs.state(Hub.USER).generation, clock.now()
    server.abort("user")
    await until(lambda: hubs.state(Hub.USER).generation > before)
    took = (clock.now() - begin) / NS
    await until(lambda: hubs.state(Hub.USER).connected)
    return took


def test_nothing_of_a_connection_that_was_given_up_arrives() -> None:
    """Its thread may still be reading; what it brings belongs to the gap."""

    async def run() -> None:
        clock = FastClock()
        inbox, read = Inbox(clock), Reader(Hub.MARKET, Directory([MNQ]), Notices(Hub.MARKET))
        link = Link("http://127.0.0.1:1", "t", read, inbox, clock, lambda: None, "old")
        row = {"type": 1, "target": "GatewayQuote", "arguments": [ID, QUOTE]}
        link.records([json.dumps(row).encode()])
        assert len(inbox) == 1
        link.cut()
        link.records([json.dumps(row).encode()])
        assert len(inbox) == 1

    asyncio.run(run())

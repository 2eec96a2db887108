"""Two hundred seeded drops: each time the hubs are back with the desired set, nothing doubled."""

from __future__ import annotations

import asyncio
import random

import pytest

from pxresearch.gateway.hubs import Hubs
from pxresearch.gateway.records import Event, Gap, Hub, Quote
from tests.hub_kit import ES, ID, QUOTE, FastClock, Tokens, make, until
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
            hubs = make(server.url, tokens=tokens, clock=FastClock(200), connect_s=400,
                        answer_s=400, backoff_s=0.01, backoff_max_s=1)  # fmt: skip
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

"""A venue from its settings: the same bytes from the same seed, its clocks, what it refuses."""

from __future__ import annotations

import asyncio
import json
import random
import re
from typing import Any

import pytest

from pxresearch.clock import VirtualClock
from pxresearch.errors import CatalogError, UsageError
from pxresearch.gateway import wire
from pxresearch.simulator import SimulatorSettings
from pxresearch.simulator.control import Control
from pxresearch.simulator.hub import HubSettings
from pxresearch.simulator.inprocess import InProcess
from pxresearch.simulator.messages import HttpRequest
from pxresearch.simulator.server import make_venue
from pxresearch.simulator.settings import VenueSettings
from tests.exchange_kit import MNQ
from tests.venue_kit import END, make_tape

HELLO = '{"protocol":"json","version":1}' + END


def script_of(seed: int) -> bytes:
    """Everything a venue sends in a session with faults, moved step by step."""
    rng = random.Random(seed)
    settings = SimulatorSettings(
        clock="step", seed=5, venue=VenueSettings(always_open=True), hub=HubSettings(ping_s=3),
    )  # fmt: skip
    venue, clock = make_venue(settings)
    assert isinstance(clock, VirtualClock)
    control, said = Control(venue, clock), []
    for name in ("duplicate_event", "reorder_events", "status"):
        control.add(name, count=None, probability=0.2)
    links = [venue.link(hub, "trader", 0, lambda: None) for hub in ("user", "market")]
    for link, streams in zip(links, (wire.USER_STREAMS, wire.MARKET_STREAMS), strict=True):
        link.receive(HELLO, 0)
        for stream in streams:
            arguments = [MNQ] if link.hub == "market" else [7_001_122] * (stream != "Accounts")
            call = {"type": 1, "target": f"Subscribe{stream}", "arguments": arguments}
            link.receive(json.dumps(call) + END, 0)
    token = venue.users.issue("trader", clock.now())
    for n in range(60):
        control.advance(rng.random() * 5)
        body = {"accountId": 7_001_122, "contractId": MNQ, "type": 2, "side": rng.randrange(2)}
        for path, members in (
            ("Order/place", {**body, "size": 1 + n % 3}),
            ("Position/searchOpen", {"accountId": 7_001_122}),
        ):
            headers = {"authorization": f"Bearer {token}"}
            raw = json.dumps(members).encode()
            request = HttpRequest(method="POST", path=f"/api/{path}", headers=headers, body=raw)
            delivery = venue.handle(request)
            said.append(repr(delivery))
        for link in links:
            link.tick(n * 10**9)
            said += link.frames(n * 10**9)
    return "\n".join(said).encode()


def test_the_same_seed_gives_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Data, seed and requests alike: answers, events, quotes, faults byte for byte."""
    rng = random.Random(1)
    tape = make_tape(
        [rng.randrange(10**8) for _ in range(4000)],
        [100_000 + rng.randrange(9) for _ in range(4000)],
    )
    monkeypatch.setattr("pxresearch.simulator.tape.demo", lambda catalog: tape)
    first = script_of(1)
    assert first == script_of(1)
    assert first != script_of(2)
    assert len(re.findall(b"GatewayUserTrade", first)) > 30
    assert b"GatewayDepth" in first


def test_step_mode_moves_by_control_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time is the data's; a step is the next row; the end of the data is an error."""
    tape = make_tape([5 * 10**9] * 3, [100_000, 100_004, 100_008])
    monkeypatch.setattr("pxresearch.simulator.tape.demo", lambda catalog: tape)
    venue, clock = make_venue(SimulatorSettings(clock="step"))
    assert isinstance(clock, VirtualClock)
    control = Control(venue, clock)
    venue.advance()
    assert venue.exchange.market(MNQ).bid is None
    control.step()
    assert venue.exchange.market(MNQ).bid == 100_000
    control.advance(5.0)
    assert venue.exchange.market(MNQ).bid == 100_004
    assert venue.exchange.market("CON.F.US.ENQ.Z26").bid == 100_004
    control.step(1)
    with pytest.raises(UsageError, match="over"):
        control.step()
    with pytest.raises(UsageError, match="forward"):
        control.advance(-1)


def test_the_market_flows_in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """`play` moves the market with the virtual clock until the data is over."""
    tape = make_tape([10**9] * 50, list(range(100_000, 100_050)))
    monkeypatch.setattr("pxresearch.simulator.tape.demo", lambda catalog: tape)
    venue, clock = make_venue(SimulatorSettings(clock="step"))
    assert isinstance(clock, VirtualClock)

    async def main() -> None:
        transport = InProcess(venue, clock)
        await clock.run(transport.play())
        await transport.aclose()

    asyncio.run(main())
    assert venue.exchange.market(MNQ).bid == 100_049


@pytest.mark.parametrize(
    "wrong",
    [{"market": "moon"}, {"clock": "sundial"}, {"port": 70_000}, {"speed": 2.0}, {"rate": -1},
     {"market": "catalog"}, {"contracts": ["ESU13"]}, {"speed": 0.0, "clock": "data"}],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    """With the value and what is allowed; a secret is in no repr."""
    with pytest.raises(UsageError, match=str(next(iter(wrong)))[:4]):
        SimulatorSettings(**wrong)
    assert "secret" not in repr(SimulatorSettings(api_key="secret"))


def test_recorded_data_that_is_not_there_says_what_is(tmp_path: Any) -> None:
    """The catalogue's own error, before anything listens."""
    with pytest.raises(CatalogError, match="empty"):
        make_venue(SimulatorSettings(market="catalog", contracts=["ESU13"], catalog=tmp_path))

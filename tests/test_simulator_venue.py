"""A venue from its settings: the same bytes from the same seed, its clocks, what it refuses."""

from __future__ import annotations

import asyncio
import json
import random
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pxresearch.clock import PacedClock, VirtualClock
from pxresearch.demo import make_demo
from pxresearch.errors import CatalogError, UsageError
from pxresearch.gateway import wire
from pxresearch.simulator import SimulatorSettings
from pxresearch.simulator.control import Control
from pxresearch.simulator.hub import HubSettings
from pxresearch.simulator.inprocess import InProcess
from pxresearch.simulator.messages import HttpRequest
from pxresearch.simulator.routes import ApiSettings
from pxresearch.simulator.server import make_venue
from pxresearch.simulator.settings import VenueSettings
from tests.exchange_kit import MNQ
from tests.test_simulator_api import BODIES
from tests.venue_kit import ACCOUNT, END, Room, make_tape

HELLO = '{"protocol":"json","version":1}' + END


def script_of(seed: int) -> bytes:
    """Everything a venue sends in a session with faults, moved step by step."""
    rng = random.Random(seed)
    chosen = SimulatorSettings(
        clock="step", seed=5, venue=VenueSettings(always_open=True), hub=HubSettings(ping_s=3),
    )  # fmt: skip
    venue, clock = make_venue(chosen)
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
    for n in range(40):
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
    assert len(re.findall(b"GatewayUserTrade", first)) > 20
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


ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=4),
    st.sampled_from([MNQ, "CON.F.US.MNQ.H27", ACCOUNT, 1, 2, 4, 5, 25_000, 24_000.25, 1e15,
                     "2026-11-25T15:00:00Z", "2026-11-25T15:00:00.1234567-06:00"]),
    st.fixed_dictionaries({"ticks": st.integers(-2000, 2000), "type": st.integers(0, 9)}),
    st.fixed_dictionaries({"accountId": st.just(ACCOUNT)}),
)  # fmt: skip


@given(
    calls=st.lists(
        st.tuples(st.sampled_from(list(BODIES)), st.dictionaries(st.integers(0, 11), ODD)),
        min_size=1,
        max_size=15,
    )
)
@settings(max_examples=80)
def test_no_request_breaks_the_venue(calls: list[tuple[str, dict[int, Any]]]) -> None:
    """Any values in any members: a status of the API, and the trades are still the positions."""
    room = Room(api=ApiSettings(rate_limits=False))
    for name, odd in calls:
        kind = next(one for one in wire.OPERATIONS if one.name == name).request
        members = kind.__struct_encode_fields__
        body = BODIES[name] | {members[n % len(members)]: value for n, value in odd.items()}
        status = room.status(name, json.dumps(body).encode())
        assert status in (200, 400), (name, body)
    truth = room.truth
    net: dict[str, int] = {}
    for trade in truth.trades:
        net[trade.contract_id] = net.get(trade.contract_id, 0) + trade.side.sign * trade.size
    held = {one.contract_id: one.size * (1 if one.type == 1 else -1) for one in truth.positions}
    assert {contract: size for contract, size in net.items() if size} == held


def test_recorded_data_plays_in_its_own_time_at_any_speed(tmp_path: Any) -> None:
    """The clock begins at the first row and runs so many times as fast; then there is silence."""
    make_demo(tmp_path, quotes=300, trades=60)
    base = VirtualClock(0)
    made = make_venue(
        SimulatorSettings(
            market="catalog", contracts=["MNQZ26"], catalog=tmp_path, clock="data", speed=3600.0,
            venue=VenueSettings(always_open=True),
        )
    )  # fmt: skip
    venue, clock = made
    first = venue.feed.next_due()
    assert isinstance(clock, PacedClock)
    assert 0 <= venue.now() - first < 3600 * 60 * 10**9
    paced = PacedClock(base, first, 3600.0)
    venue.clock = paced
    seen = 0
    while venue.feed.next_due() is not None:
        base.advance(base.now() + 10**9)
        before = venue.exchange.market(MNQ)
        venue.advance()
        seen += venue.exchange.market(MNQ) != before
    assert seen > 50
    assert venue.now() - first >= 4 * 86_400 * 10**9

"""Drops at every step of the protocol, over real sockets, with trading meanwhile.

At the moment at which `Resynced` is delivered, the local copy is the venue's. Each seed is one
drop; its number is in the failure. 250 seeds by default, PXRESEARCH_PROOF=4 runs a thousand.
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
from decimal import Decimal
from typing import Any

import pytest

from pxresearch.gateway import wire
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.credentials import Credentials
from pxresearch.gateway.hubs import Hubs, HubSettings
from pxresearch.gateway.mirror import Mirror
from pxresearch.gateway.profiles import profile
from pxresearch.gateway.records import Gap, Hub, Resynced
from pxresearch.gateway.rest import Rest, RestSettings
from pxresearch.gateway.stream import Stream, StreamSettings
from pxresearch.simulator import SimulatorSettings, start
from pxresearch.simulator.routes import ApiSettings
from pxresearch.simulator.server import Simulator
from pxresearch.simulator.settings import VenueSettings
from tests.exchange_kit import MNQ

CHUNKS = 10
EACH = 25 * int(os.environ.get("PXRESEARCH_PROOF", "1"))
PRICE = Decimal(25_000)
LIMIT_S = 20.0  # for one seed, on a busy machine
# How the present connection ends, and what stands in the way of the next one.
ENDS: tuple[tuple[str, dict[str, Any]], ...] = (
    *(("hub_drop", {"close": c}) for c in ("none", "close", "reconnect", "error")),
    ("hub_reset", {}),
    ("hub_half_open", {}),
    ("hub_silent", {"what": "all", "seconds": 1.0}),
    ("logout", {}),
    ("hub_drop", {"step": "mid_record"}),
    ("hub_drop", {"step": "record", "records": 2}),
    ("hub_reset", {"step": "mid_record"}),
)
NEXT: tuple[tuple[str, dict[str, Any]] | None, ...] = (
    None,
    None,
    ("hub_refuse", {"step": "connect"}),
    *(("hub_refuse", {"step": "upgrade", "status": s}) for s in (401, 404, 503)),
    *(("hub_drop", {"step": s}) for s in ("upgrade", "handshake", "subscribe", "mid_record")),
    *(("hub_reset", {"step": s}) for s in ("upgrade", "handshake", "subscribe")),
    ("hub_half_open", {"step": "handshake"}),
    ("handshake_error", {}),
    ("completion_error", {}),
    ("completion_missing", {}),
    ("hub_split", {"step": "handshake"}),
)
FAST = HubSettings(
    always_open=True, connect_s=0.3, answer_s=0.3, ping_s=0.1, silent_s=0.35, backoff_s=0.005,
    backoff_max_s=0.02, healthy_s=0.05, retry_s=0.2, tick_s=0.01,
)  # fmt: skip


class Scene:
    """A simulator, a stream of its account, and somebody who trades there."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.account = simulator.account_id
        self.exchange = simulator.venue.exchange
        self.rng = random.Random()
        self.price = PRICE
        self.count = 0

    def trade(self, steps: int) -> None:
        """Fills, resting orders, cancels and orders by hand, straight at the venue."""
        for _ in range(steps):
            self.count += 1
            act = self.rng.choice((self._market, self._limit, self._cancel, self._by_hand))
            act()
            self.move()

    def move(self) -> None:
        """A new quote, at most four ticks away."""
        self.price = PRICE + self.rng.randint(-4, 4) * Decimal("0.25")
        self.simulator.control.quote(MNQ, self.price, self.price + Decimal("0.25"), 50, 50)

    def _place(self, **members: Any) -> None:
        request = wire.PlaceOrder(
            account_id=self.account, contract_id=MNQ, custom_tag=f"t{self.count}", **members
        )
        self._call(wire.PLACE, request)

    def _call(self, operation: wire.Operation, request: Any) -> wire.Answer:
        venue = self.simulator.venue
        answer = self.exchange.call(self.simulator.username, operation, request, venue.now())
        venue.flush()
        return answer

    def _market(self) -> None:
        side = self.rng.choice((wire.OrderSide.BUY, wire.OrderSide.SELL))
        away = 5 if side is wire.OrderSide.BUY else -5
        self._place(
            type=wire.OrderType.MARKET, side=side, size=self.rng.randint(1, 3),
            stop_loss_bracket=wire.Bracket(ticks=-away, type=wire.OrderType.STOP),
            take_profit_bracket=wire.Bracket(ticks=away, type=wire.OrderType.LIMIT),
        )  # fmt: skip

    def _limit(self) -> None:
        price = PRICE - self.rng.randint(0, 6) * Decimal("0.25")
        self._place(type=wire.OrderType.LIMIT, side=wire.OrderSide.BUY, size=1, limit_price=price)

    def _cancel(self) -> None:
        working = [o for o in self.truth.orders if not o.status.done]
        if working:
            order = self.rng.choice(working)
            self._call(wire.CANCEL, wire.OneOrder(account_id=self.account, order_id=order.id))

    def _by_hand(self) -> None:
        self.simulator.control.manual(self.account, MNQ, self.rng.choice((1, -1)))

    def tidy(self) -> None:
        """Close and cancel all, so that the next seed has room."""
        self._call(wire.CLOSE, wire.CloseContract(account_id=self.account, contract_id=MNQ))
        for order in self.truth.orders:
            if not order.status.done:
                self._call(wire.CANCEL, wire.OneOrder(account_id=self.account, order_id=order.id))

    @property
    def truth(self) -> Any:
        return self.exchange.truth(self.account)


def difference(mirror: Mirror, truth: Any, names: Directory) -> list[str]:
    """What the copy has otherwise than the venue."""
    orders = {row.id: (row.status, row.fill_volume) for row in truth.orders}
    ours = {o.id: (o.status, o.filled) for o in mirror.orders.values()}
    found = [f"order {k}: {ours.get(k)} is {v}" for k, v in orders.items() if ours.get(k) != v]
    positions = {p.contract_id: p.qty for p in map(names.position, truth.positions)}
    if mirror.positions != positions:
        found.append(f"positions {mirror.positions} are {positions}")
    if mirror.fills.keys() != {row.id for row in truth.trades}:
        found.append("fills differ")
    if mirror.account != names.account(truth.account):
        found.append(f"account {mirror.account} is {truth.account}")
    return found


async def drop(scene: Scene, stream: Stream, names: Directory, seed: int) -> None:
    """One seed: the connection ends, the venue goes on, the stream comes back."""
    rng = scene.rng
    rng.seed(seed)
    control, hub = scene.simulator.control, rng.choice(("user", "user", "market"))
    scene.trade(2)
    if (obstacle := rng.choice(NEXT)) is not None:
        name, parameters = obstacle
        control.add(name, hub=hub, **parameters)
    name, parameters = rng.choice(ENDS)
    control.add(name, hub=hub, **parameters)
    scene.trade(rng.randint(2, 6))
    back = False
    while True:
        events = await stream.get()
        assert events
        for event in events:
            if isinstance(event, Resynced):
                # Nobody has traded since: it must be equal now, before anything else comes.
                assert not difference(stream.mirrors[scene.account], scene.truth, names)
                if back:
                    control.remove()
                    return
            back = back or (isinstance(event, Gap) and event.until is not None)
        if not back:
            scene.move()  # a fault that waits for the next record gets


async def chunk_of(first: int) -> None:
    settings = SimulatorSettings(
        port=0, market="none", venue=VenueSettings(always_open=True),
        api=ApiSettings(rate_limits=False),
    )  # fmt: skip
    async with start(settings) as simulator:
        scene = Scene(simulator)
        scene.move()
        simulator.control.trade(MNQ, PRICE)
        where = profile("simulator", url=simulator.url)
        names = Directory(one.row() for one in scene.exchange.listed)
        keys = Credentials(simulator.username, simulator.api_key)
        unlimited = RestSettings(budget=10**9, bar_budget=10**9)
        async with Rest(where, keys, settings=unlimited) as rest:
            hubs = Hubs(where, rest, names, settings=FAST, seed=first)
            hubs.subscribe_contract(MNQ)
            stream = Stream(
                rest, hubs, names, [scene.account], settings=StreamSettings(doubt_s=0.3)
            )
            await stream.start()
            try:
                for seed in range(first, first + EACH):
                    try:
                        async with asyncio.timeout(LIMIT_S):
                            await drop(scene, stream, names, seed)
                    except (AssertionError, TimeoutError) as error:
                        raise AssertionError(f"seed {seed}: {error}") from error
                    scene.tidy()
            finally:
                await stream.stop()
            live = hubs.state(Hub.USER).subscribed
            assert len(live) == len(set(live))


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_after_every_drop_the_copy_is_the_venue_before_the_next_event(chunk: int) -> None:
    """S18, S34, S87; and no thread is left."""
    before = threading.active_count()
    asyncio.run(chunk_of(chunk * EACH))
    left = [t.name for t in threading.enumerate() if "hub" in t.name]
    assert not left
    assert threading.active_count() <= before + 1  # the loop's pool may keep

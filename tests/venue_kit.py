"""A venue whose market and clock are moved by hand, and short ways to ask it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from hypothesis import strategies as st

from pxresearch.clock import NS, VirtualClock
from pxresearch.gateway import wire
from pxresearch.simulator.api import Venue
from pxresearch.simulator.control import Control
from pxresearch.simulator.hub import HubSettings, Link
from pxresearch.simulator.messages import Delivery, HttpRequest
from pxresearch.simulator.routes import ApiSettings
from pxresearch.simulator.server import FIRST_ACCOUNT, SimulatorSettings, make_venue
from pxresearch.simulator.settings import VenueSettings
from pxresearch.simulator.tape import Tape, joined
from pxresearch.tickdata import ticks
from tests.exchange_kit import MNQ, START

CODE = "MNQZ26"
ACCOUNT, KEY = FIRST_ACCOUNT, "PLANTED-KEY-OF-THE-TESTS"
END = wire.RECORD_END


def make_tape(steps: list[int], prices: list[int], start: int = START) -> Tape:
    """A quote and, at the same instant, a trade at its bid for each step of ns and price."""
    ts = start + np.cumsum(np.array(steps, np.int64))
    px = np.array(prices, np.int32)
    return joined([
        ticks(
            CODE, quotes={"ts": ts, "bid": px, "ask": px + 1, "seq": 2 * np.arange(len(ts))},
            trades={"ts": ts, "price": px, "size": np.arange(1, len(ts) + 1),
                    "seq": 2 * np.arange(len(ts)) + 1},
        )
    ])  # fmt: skip


STEPS = st.lists(
    st.tuples(st.integers(1, 100 * NS), st.integers(-8, 8)), min_size=2, max_size=60
).map(lambda rows: make_tape([r[0] for r in rows], list(np.cumsum([r[1] for r in rows]) + 90_000)))


class Room:
    """The venue; a market of MNQ, 100,000 ticks bid, one tick wide, last traded at the bid."""

    def __init__(
        self, *, api: ApiSettings | None = None, hub: HubSettings | None = None,
        venue: VenueSettings | None = None, market: bool = True, **settings: Any,
    ) -> None:  # fmt: skip
        self.clock = VirtualClock(START)
        self.settings = SimulatorSettings(
            market="none", api_key=KEY, api=api or ApiSettings(), hub=hub or HubSettings(),
            venue=venue or VenueSettings(always_open=True), **settings,
        )  # fmt: skip
        self.venue: Venue = make_venue(self.settings, self.clock)[0]
        self.control = Control(self.venue, self.clock)
        self.links: list[Link] = []
        if market:
            self.move(100_000)
        self.token = self.login()

    def move(self, bid: int, at: str = MNQ) -> None:
        """Quote one tick wide and ten deep, and trade at the bid."""
        self.venue.quote(at, bid, bid + 1, 10, 10)
        self.venue.trade(at, bid)

    def login(self, name: str = "trader", key: str = KEY) -> str:
        answer = self.post("Auth/loginKey", {"userName": name, "apiKey": key}, token=None)
        return answer["token"]

    # ------------------------------------------------------------ REST
    def deliver(
        self, path: str, body: Any = None, *, method: str = "POST", token: str | None = "",
        headers: dict[str, str] | None = None,
    ) -> Delivery:  # fmt: skip
        """What a client gets; `token` "" is that of the room, None is none."""
        sent = dict(headers or {})
        if token is not None:
            sent["authorization"] = f"Bearer {token or self.token}"
        raw = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
        full = path if path.startswith("/") else f"/api/{path}"
        return self.venue.handle(HttpRequest(method=method, path=full, headers=sent, body=raw))

    def status(self, path: str, body: Any = None, **more: Any) -> int:
        return self.deliver(path, body, **more).response.status

    def post(self, path: str, body: Any = None, **more: Any) -> Any:
        """JSON of a 200."""
        response = self.deliver(path, body, **more).response
        assert response.status == 200, (path, response)
        return json.loads(response.body)

    def place(self, **members: Any) -> Any:
        order = {"accountId": ACCOUNT, "contractId": MNQ, "type": 2, "side": 0, "size": 1}
        return self.post("Order/place", {**order, **members})

    @property
    def truth(self) -> Any:
        return self.venue.exchange.truth(ACCOUNT)

    # ------------------------------------------------------------ hubs
    def link(self, hub: str = "user", owner: str = "trader", *, open_: bool = True) -> Link:
        link = self.venue.link(hub, owner, self.clock.now(), lambda: None)
        self.links.append(link)
        if open_:
            self.say(link, {"protocol": "json", "version": 1})
            assert self.heard(link) == [{}]
        return link

    def say(self, link: Link, *records: Any) -> None:
        """Send records in one message."""
        link.receive("".join(json.dumps(one) + END for one in records), self.clock.now())

    def invoke(self, link: Link, method: str, *arguments: Any, number: str | None = "1") -> Any:
        """Call a method; everything that is heard then."""
        record = {"type": 1, "target": method, "arguments": list(arguments)}
        self.say(link, record if number is None else {**record, "invocationId": number})
        return self.heard(link)

    def raw(self, link: Link) -> str:
        """Everything that is to be sent, frames joined."""
        frames: list[str] = []
        while new := link.frames(self.clock.now()):
            frames += new
        return "".join(frames)

    def heard(self, link: Link) -> list[Any]:
        """The same, record by record."""
        text = self.raw(link)
        assert not text or text.endswith(END), text
        return [json.loads(one) for one in text.split(END)[:-1]]

    def pass_(self, seconds: float) -> None:
        """Let time go by, a second at a time, each connection looking after itself."""
        for _ in range(max(int(seconds), 1)):
            self.clock.advance(self.clock.now() + NS)
            self.venue.advance()
            for link in self.links:
                link.tick(self.clock.now())

"""The simulator on a socket, and the same bytes from the same seed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from pxresearch.gateway import wire
from pxresearch.simulator import Simulator, SimulatorSettings, start
from pxresearch.simulator.routes import ApiSettings
from pxresearch.simulator.settings import VenueSettings
from tests.exchange_kit import MNQ
from tests.venue_kit import END

WAIT = 20.0  # seconds at most for anything, on a busy machine
HELLO = '{"protocol":"json","version":1}' + END


class Session:
    """A running simulator with a market by hand, and a client of it."""

    def __init__(self, simulator: Simulator, http: aiohttp.ClientSession) -> None:
        self.simulator, self.http = simulator, http
        self.token = ""
        self.hubs: list[Hub] = []

    async def post(self, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        url = f"{self.simulator.url}{path}"
        async with self.http.post(url, json=body, headers=headers) as answer:
            assert answer.status == 200, (path, answer.status, await answer.text())
            return await answer.json(content_type=None)

    async def login(self) -> None:
        keys = {"userName": self.simulator.username, "apiKey": self.simulator.api_key}
        self.token = (await self.post("/api/Auth/loginKey", keys))["token"]

    async def place(self) -> Any:
        order = {"accountId": self.simulator.account_id, "contractId": MNQ}
        return await self.post("/api/Order/place", {**order, "type": 2, "side": 0, "size": 1})

    async def hub(self, name: str, query: str = "") -> Hub:
        url = f"{self.simulator.url}/hubs/{name}?access_token={self.token}{query}"
        soon = aiohttp.ClientWSTimeout(ws_close=0.1)
        self.hubs.append(Hub(await self.http.ws_connect(url, timeout=soon)))
        return self.hubs[-1]


class Hub:
    """A bare client of a hub."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.waiting: list[Any] = []
        self.end: Any = None

    async def say(self, *texts: str) -> None:
        await self.socket.send_str("".join(texts))

    async def hear(self) -> Any:
        """Next record, or None at the end of the connection."""
        while not self.waiting:
            message = await asyncio.wait_for(self.socket.receive(), WAIT)
            if message.type is not aiohttp.WSMsgType.TEXT:
                self.end = message.type
                return None
            self.waiting += [json.loads(one) for one in message.data.split(END)[:-1]]
        return self.waiting.pop(0)

    async def greet(self, *calls: tuple[str, list[Any]]) -> None:
        await self.say(HELLO)
        assert await self.hear() == {}
        for n, (target, arguments) in enumerate(calls):
            record = {"type": 1, "invocationId": str(n), "target": target, "arguments": arguments}
            await self.say(json.dumps(record) + END)
            assert await self.hear() == {"type": 3, "invocationId": str(n), "result": None}


def serve(script: Callable[[Session], Awaitable[None]], **settings: Any) -> None:
    """Run a script against a simulator, and prove that it leaves nothing behind."""
    settings = {"market": "none", "venue": VenueSettings(always_open=True), **settings}

    async def main() -> None:
        simulator = start(SimulatorSettings(port=0, **settings))
        async with simulator, aiohttp.ClientSession() as http:
            session = Session(simulator, http)
            await session.login()
            if settings["market"] == "none":
                simulator.venue.quote(MNQ, 100_000, 100_001, 9, 9)
                simulator.venue.trade(MNQ, 100_000)
            await asyncio.wait_for(script(session), 3 * WAIT)
            for hub in session.hubs:
                await hub.socket.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_rest_and_both_hubs_on_one_port() -> None:
    """An order over REST, its events on the user hub, quotes on the market hub, any case."""

    async def script(session: Session) -> None:
        account = session.simulator.account_id
        user, market = await session.hub("USER"), await session.hub("market")
        await user.greet(("SubscribeOrders", [account]))
        await market.greet(("SubscribeContractQuotes", [MNQ]))
        quote = await market.hear()
        assert quote["target"] == wire.MARKET_QUOTE
        assert quote["arguments"][1]["bestAsk"] == 25_000.25
        placed = await session.place()
        statuses = [(await user.hear())["arguments"][0]["data"] for _ in range(2)]
        assert [one["status"] for one in statuses] == [6, 2]
        assert {one["id"] for one in statuses} == {placed["orderId"]}
        async with session.http.get(f"{session.simulator.url}/api/status/ping") as answer:
            assert (answer.status, await answer.text()) == (200, "pong")

    serve(script)


def test_negotiate_then_connect_with_its_id() -> None:
    """The token in the header or the query; an id once; none at all is a direct connection."""

    async def script(session: Session) -> None:
        url = f"{session.simulator.url}/hubs/user"
        bearer = {"Authorization": f"Bearer {session.token}"}
        async with session.http.post(f"{url}/negotiate?negotiateVersion=1", headers=bearer) as got:
            key = (await got.json())["connectionToken"]
        hub = await session.hub("user", f"&id={key}")
        await hub.greet(("SubscribeAccounts", []))
        for wrong, status in ((key, 409), ("nobody", 404)):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.hub("user", f"&id={wrong}")
            assert refused.value.status == status
        async with session.http.post(f"{url}/negotiate") as got:
            assert (got.status, await got.read()) == (401, b"")
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.http.ws_connect(f"{url}?access_token=wrong")
        assert refused.value.status == 401
        asked = {"Origin": "http://page", "Access-Control-Request-Headers": "x-requested-with"}
        async with session.http.options(f"{url}/negotiate", headers=asked) as got:
            assert got.status == 204
            assert got.headers["Access-Control-Allow-Origin"] == "http://page"
            assert got.headers["Access-Control-Allow-Headers"] == "x-requested-with"

    serve(script)


@pytest.mark.parametrize("answer_first", [True, False])
def test_answer_and_events_in_either_order(answer_first: bool) -> None:
    """By the switch the answer of an order is there before its first event, or after it."""

    async def script(session: Session) -> None:
        hub = await session.hub("user")
        await hub.greet(("SubscribeOrders", [session.simulator.account_id]))
        if not answer_first:
            session.simulator.control.add("event_before_answer", seconds=0.5)
        placing = asyncio.create_task(session.place())
        if answer_first:
            await placing
        event = await hub.hear()
        assert placing.done() is answer_first
        answer = await placing
        assert event["arguments"][0]["data"]["id"] == answer["orderId"]

    serve(script, api=ApiSettings(answer_first=answer_first))


def test_faults_of_the_network_on_a_real_socket() -> None:
    """Closed, reset and torn responses are errors of the client; a trickle comes whole."""

    async def script(session: Session) -> None:
        control = session.simulator.control
        for name, parameters in (
            ("lose_response", {}), ("lose_response", {"how": "reset"}), ("torn_response", {}),
        ):  # fmt: skip
            control.add(name, operation="Order/place", **parameters)
            with pytest.raises(aiohttp.ClientError):
                await session.place()
        control.add("slow_trickle", operation="Order/place", seconds=0.1)
        assert (await session.place())["success"]
        assert len(session.simulator.venue.exchange.truth(session.simulator.account_id).orders) == 4
        assert session.simulator.venue.faults.happened["lose_response"] == 2

    serve(script)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("hub_drop", {}), ("hub_drop", {"close": "reconnect"}), ("hub_reset", {}),
     ("hub_drop", {"step": "upgrade"}), ("hub_refuse", {"status": 503}),
     ("hub_refuse", {"step": "connect"}), ("hub_drop", {"step": "handshake"}),
     ("hub_drop", {"step": "mid_record"}), ("handshake_error", {})],
)  # fmt: skip
def test_faults_of_a_hub_on_a_real_socket(name: str, parameters: dict[str, Any]) -> None:
    """The connection ends or never comes to be, and the next one works."""

    async def script(session: Session) -> None:
        if parameters.get("step", "now") == "now" and name in ("hub_drop", "hub_reset"):
            hub = await session.hub("market")
            await hub.greet()
            session.simulator.control.add(name, **parameters)
            last = await hub.hear()
            assert (last is None) is (parameters.get("close") is None)
            assert await hub.hear() is None
        else:
            # aiohttp silently repeats a GET that got no answer
            twice = parameters.get("step") in ("upgrade", "connect")
            session.simulator.control.add(name, count=1 + twice, **parameters)
            with pytest.raises((aiohttp.ClientError, AssertionError)):
                await (await session.hub("market")).greet()
        await (await session.hub("market")).greet(("SubscribeContractQuotes", [MNQ]))

    serve(script)


def test_half_open_and_pings_with_payload() -> None:
    """A half-open connection takes bytes and says nothing; a WebSocket ping has its payload."""

    async def script(session: Session) -> None:
        hub = await session.hub("market")
        await hub.greet()
        session.simulator.control.add("hub_ping", payload="abc")
        frame = await asyncio.wait_for(hub.socket.receive(), WAIT)
        assert (frame.type, frame.data) == (aiohttp.WSMsgType.PING, b"abc")
        session.simulator.control.add("hub_half_open")
        (link,) = session.simulator.venue.switch.links
        while not link.frozen:
            await asyncio.sleep(0.01)
        await hub.say('{"type":1,"invocationId":"1","target":"Nothing","arguments":[]}', END)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(hub.socket.receive(), 0.3)

    async def with_pings(session: Session) -> None:
        real = session.http.ws_connect
        session.http.ws_connect = lambda url, **more: real(url, autoping=False, **more)  # type: ignore[method-assign]
        await script(session)

    serve(with_pings)


def test_a_stop_says_good_bye() -> None:
    """Open connections get a Close message that allows a reconnect, at once."""

    async def main() -> None:
        async with aiohttp.ClientSession() as http:
            async with start(SimulatorSettings(port=0, market="none")) as simulator:
                session = Session(simulator, http)
                await session.login()
                hub = await session.hub("user")
                await hub.greet()
            assert await hub.hear() == {"type": 7, "allowReconnect": True}
            assert await hub.hear() is None

    asyncio.run(main())


def test_control_over_http() -> None:
    """Faults, quotes, trades, orders by hand, state and log; a mistake is a 400 with a reason."""

    async def script(session: Session) -> None:
        account, url = session.simulator.account_id, f"{session.simulator.url}/control"
        number = (await session.post("/control/faults", {"fault": "status", "count": None}))["id"]
        async with session.http.get(f"{url}/faults") as answer:
            assert [one["name"] for one in (await answer.json())["faults"]] == ["status"]
        async with session.http.delete(f"{url}/faults?id={number}") as answer:
            assert answer.status == 200
        await session.post("/control/quote", {"contractId": MNQ, "bid": 25_010.25, "ask": 25_010.5})
        await session.post("/control/trade", {"contractId": MNQ, "price": 25_010.25, "side": -1})
        by_hand = {"accountId": account, "contractId": MNQ, "side": 1, "size": 2}
        assert (await session.post("/control/manual", by_hand))["success"]
        async with session.http.get(f"{url}/state") as answer:
            state = await answer.json()
        (position,) = state["accounts"][0]["positions"]
        assert (position["size"], position["averagePrice"]) == (2, 25_010.5)
        async with session.http.get(f"{url}/log?kind=event&what=trade") as answer:
            (entry,) = (await answer.json())["entries"]
        assert entry["what"] == wire.USER_TRADE
        for path, body, reason in (
            ("faults", {"fault": "nonsense"}, "unknown fault"),
            ("faults", {"fault": "status", "stat": 1}, "no parameter 'stat'"),
            ("quote", {"contractId": MNQ, "bid": 25_010.3}, "no price of"),
            ("quote", {"contractId": "X"}, "unknown contract"),
            ("clock", {"advanceS": 1}, "--clock step"), ("clock", {}, "give one of"),
            ("manual", {}, "accountId"), ("trade", "x", "Expected"),
        ):  # fmt: skip
            async with session.http.post(f"{url}/{path}", json=body) as answer:
                assert answer.status == 400
                assert reason in (await answer.json())["error"]
        async with session.http.get(f"{url}/nothing") as answer:
            assert answer.status == 404

    serve(script)

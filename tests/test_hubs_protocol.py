"""The protocol: signalrcore's private parts, frames, records, and what becomes of each."""

from __future__ import annotations

import asyncio
import importlib.metadata
import inspect
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from signalrcore.hub.base_hub_connection import BaseHubConnection
from signalrcore.messages.invocation_message import InvocationMessage
from signalrcore.messages.ping_message import PingMessage
from signalrcore.protocol.json_hub_protocol import JsonHubProtocol
from signalrcore.transport.websockets.websocket_client import WebSocketClient
from signalrcore.transport.websockets.websocket_transport import WebsocketTransport

from pxresearch.gateway import records, wire, wsframes
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.reader import Notices, Reader
from pxresearch.gateway.records import Depth, Gap, Hub, Notice, Quote, Trade, Update
from pxresearch.gateway.signalr import Connection, HubProtocol, Transport
from pxresearch.gateway.websocket import Lost, Socket
from tests.hub_kit import ID, MNQ, QUOTE, TOKEN, FastClock, events_until, running, until
from tests.hub_server import HubServer

END = "\x1e"
STAMP = "2026-10-01T14:30:01.3481234+00:00"
STAMP_NS = 1_790_865_001_348_123_400


# ---------------------------------------------------------------- signalrcore
def test_the_version_whose_private_parts_are_overridden() -> None:
    """Another version of signalrcore has to be read before it is used."""
    assert importlib.metadata.version("signalrcore") == "1.0.2"


OVERRIDDEN = [
    (JsonHubProtocol, HubProtocol, "encode", ["self", "message"]),
    (WebSocketClient, Socket, "connect", ["self"]),
    (WebSocketClient, Socket, "close", ["self"]),
    (WebSocketClient, Socket, "create_socket", ["self"]),
    (WebSocketClient, Socket, "get_socket_headers", ["self"]),
    (WebSocketClient, Socket, "send", ["self", "message", "opcode"]),
    (WebsocketTransport, Transport, "create_client", ["self"]),
    (WebsocketTransport, Transport, "start", ["self", "reconnection"]),
    (WebsocketTransport, Transport, "send", ["self", "message"]),
    (WebsocketTransport, Transport, "on_message", ["self", "app", "raw_message"]),
]


@pytest.mark.parametrize(
    ("base", "ours", "name", "parameters"), OVERRIDDEN, ids=[row[2] for row in OVERRIDDEN]
)
def test_what_is_overridden_is_still_there(
    base: type, ours: type, name: str, parameters: list[str]
) -> None:
    """Each method has the parameters that our own of the same name was written for."""
    assert issubclass(ours, base)
    assert list(inspect.signature(getattr(base, name)).parameters) == parameters
    assert getattr(ours, name) is not getattr(base, name)


def test_invoke_hands_the_transport_a_message_with_our_id() -> None:
    """What `Connection.call` builds on: `invoke` checks the state, then sends."""
    sent: list[Any] = []

    class Fake:
        def is_running(self) -> bool:
            return True

        send = staticmethod(sent.append)

    hub = BaseHubConnection("ws://127.0.0.1", skip_negotiation=True, headers={"x": TOKEN})
    hub.transport = Fake()  # type: ignore[assignment]
    hub.invoke("SubscribeOrders", [7], invocation_id="3")
    (message,) = sent
    assert isinstance(message, InvocationMessage)
    row = HubProtocol().encode(message)
    assert json.loads(row.rstrip(END)) == {
        "type": 1, "invocationId": "3", "target": "SubscribeOrders", "arguments": [7],
    }  # fmt: skip
    assert row.endswith(END)


def test_handshake_and_ping_as_the_protocol_has_them() -> None:
    """Version 1, which the library would send as 0, and a bare ping."""
    protocol = HubProtocol()
    assert json.loads(protocol.encode(protocol.handshake_message()).rstrip(END)) == {
        "protocol": "json", "version": 1,
    }  # fmt: skip
    assert protocol.encode(PingMessage()) == '{"type":6}' + END


def test_a_call_before_the_connection_is_open_is_an_error() -> None:
    """The library would lose it without a word, or send it before the handshake."""
    connection = Connection("http://127.0.0.1:1/hubs/user", TOKEN, sink=None)  # type: ignore[arg-type]
    with pytest.raises(Lost):
        connection.call("1", "SubscribeAccounts", [])


# ---------------------------------------------------------------- frames
def server_frame(opcode: int, payload: bytes, fin: bool = True) -> bytes:
    """A frame as a server sends it, written from the standard."""
    head = bytes([(0x80 if fin else 0) | opcode])
    n = len(payload)
    size = (
        bytes([n])
        if n < 126
        else (b"\x7e" + n.to_bytes(2, "big") if n < 65_536 else b"\x7f" + n.to_bytes(8, "big"))
    )
    return head + size + payload


PAYLOAD = st.one_of(st.binary(max_size=200), st.sampled_from([b"x" * 70_000, b"y" * 126]))


@settings(max_examples=50)
@given(st.lists(st.tuples(PAYLOAD, st.integers(1, 3), st.booleans()), max_size=6), st.data())
def test_frames_however_the_stream_is_cut(
    messages: list[tuple[bytes, int, bool]], data: st.DataObject
) -> None:
    """Messages in parts, pings between the parts, chunks of any size: the same messages."""
    stream = b""
    for payload, parts, ping in messages:
        step = len(payload) // parts + 1
        pieces = [payload[i : i + step] for i in range(0, len(payload), step)] or [b""]
        for i, piece in enumerate(pieces):
            stream += server_frame(1 if i == 0 else 0, piece, fin=i == len(pieces) - 1)
            if ping:
                stream += server_frame(9, b"p")
    reader, found = wsframes.FrameReader(), []
    while stream:
        size = data.draw(st.integers(1, min(len(stream), 50_000)))
        found += reader.feed(stream[:size])
        stream = stream[size:]
    assert found == [payload for payload, _, _ in messages]
    assert all(one == (wsframes.PING, b"p") for one in reader.controls)
    assert bool(reader.controls) == any(ping for _, _, ping in messages)


@pytest.mark.parametrize(
    "stream",
    [b"\x81\xfe\x00\x01", b"\x81\x7f" + (1 << 40).to_bytes(8, "big"), server_frame(0, b"x"),
     server_frame(1, b"x", fin=False) + server_frame(1, b"x"), server_frame(9, b"x" * 126),
     server_frame(9, b"", fin=False)],
    ids=["masked", "huge", "no beginning", "two beginnings", "long ping", "split ping"],
)  # fmt: skip
def test_what_is_no_websocket_is_refused(stream: bytes) -> None:
    """Nothing after such a frame can be trusted."""
    with pytest.raises(wsframes.BadFrame):
        wsframes.FrameReader().feed(stream)


@given(PAYLOAD, st.sampled_from([1, 8, 9, 10]))
def test_our_frames_are_masked_and_whole(payload: bytes, opcode: int) -> None:
    """Unmasked by hand as RFC 6455 says, the payload is there."""
    frame = wsframes.frame(opcode, payload)
    assert frame[0] == 0x80 | opcode
    assert frame[1] & 0x80
    at = {126: 4, 127: 10}.get(frame[1] & 0x7F, 2)
    key, masked = frame[at : at + 4], frame[at + 4 :]
    assert bytes(b ^ key[i % 4] for i, b in enumerate(masked)) == payload


@settings(max_examples=50)
@given(st.lists(st.binary(min_size=1).filter(lambda b: b"\x1e" not in b)), st.data())
def test_records_split_and_joined_by_messages(rows: list[bytes], data: st.DataObject) -> None:
    """However records are spread over messages, the same records come out."""
    stream = b"".join(row + b"\x1e" for row in rows)
    protocol, found = HubProtocol(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += protocol.cut([stream[:size], b""])
        stream = stream[size:]
    assert found == rows


# ---------------------------------------------------------------- records to events
def reader(hub: Hub = Hub.MARKET) -> Reader:
    return Reader(hub, Directory([MNQ]), Notices(hub))


def row(target: str, *arguments: Any, **more: Any) -> bytes:
    return json.dumps({"type": 1, "target": target, "arguments": arguments, **more}).encode()


def test_sparse_quotes_are_completed_per_contract() -> None:
    """By hand: what a message leaves out is what it was; nothing is ever zero for missing."""
    one = reader()
    found = one.read([
        row("GatewayQuote", ID, {"symbol": "F.US.MNQ", "bestBid": 25100.25, "timestamp": STAMP}),
        row("GatewayQuote", ID, {"bestAsk": 25100.75, "volume": 17, "lastUpdated": STAMP}),
        row("GatewayQuote", ID, {"bestBid": None, "lastPrice": 25100.5, "timestamp": STAMP}),
    ], 5)  # fmt: skip
    made = [(e.bid, e.ask, e.last, e.volume) for e in found if isinstance(e, Quote)]
    assert made == [(100401, None, None, None), (100401, 100403, None, 17),
                    (100401, 100403, 100402, 17)]  # fmt: skip
    assert {(e.ts, e.received) for e in found if isinstance(e, Quote)} == {(STAMP_NS, 5)}
    assert one.seen == {ID: 5}
    fresh = reader().read([row("GatewayQuote", ID, {"bestAsk": 25100.75, "timestamp": STAMP})], 6)
    assert isinstance(fresh[0], Quote)
    assert fresh[0].bid is None  # a new connection knows nothing of the one before
    one.forget(ID)
    (again,) = one.read([row("GatewayQuote", ID, {"bestAsk": 25100.75, "timestamp": STAMP})], 7)
    assert isinstance(again, Quote)
    assert again.bid is None


@pytest.mark.parametrize("several", [False, True])
def test_trades_and_depth_as_object_or_list(several: bool) -> None:
    """One object or several; sides and types by the tables of the API."""
    tape = {"price": 25100.5, "timestamp": STAMP, "type": 1, "volume": 3, "symbolId": "F.US.MNQ"}
    level = {"price": 25100.0, "timestamp": STAMP, "type": 4, "volume": 8, "currentVolume": 2}
    found = reader().read([
        row("GatewayTrade", ID, [tape, tape] if several else tape),
        row("GatewayDepth", ID, [level, level] if several else level),
    ], 9)  # fmt: skip
    trade = Trade(contract_id=ID, ts=STAMP_NS, received=9, price=100402, size=3, side=-1)
    depth = Depth(contract_id=ID, ts=STAMP_NS, received=9, type=4, price=100400, size=8)
    times = 2 if several else 1
    assert found == [trade] * times + [depth] * times


def test_a_trade_that_cannot_be_read_takes_no_other_along() -> None:
    """One price between two ticks in a list: its neighbours are delivered, and it is told."""
    one = reader()
    items = [
        {"price": price, "volume": 1, "type": 0, "timestamp": STAMP}
        for price in (25100.25, 25100.3, 25100.5)
    ]
    events = one.read([row("GatewayTrade", ID, items)], 1)
    assert [e.price for e in events if isinstance(e, Trade)] == [100_401, 100_402]
    assert [e.kind for e in events if isinstance(e, Notice)] == ["unreadable"]
    assert one.junk == 1


@pytest.mark.parametrize("wrapped", [False, True])
def test_user_events_wrapped_or_bare(wrapped: bool) -> None:
    """An account's balance in micro-dollars, however it comes."""
    account = {"id": 7, "name": "PRAC", "balance": 50_000.1, "canTrade": True, "simulated": True}
    payload = {"action": 1, "data": account} if wrapped else account
    (found,) = reader(Hub.USER).read([row("GatewayUserAccount", payload)], 3)
    made = records.Account(
        id=7, name="PRAC", balance=50_000_100_000, can_trade=True, simulated=True
    )
    assert found == Update(received=3, record=made)


def test_a_user_event_that_cannot_be_read_is_a_gap() -> None:
    """Only REST can tell what it said, so it asks for a new reading of everything."""
    one = reader(Hub.USER)
    (gap,) = one.read([row("GatewayUserOrder", {"action": 1, "data": {"id": "x"}})], 4)
    assert isinstance(gap, Gap)
    assert (gap.hub, gap.since, gap.until) == (Hub.USER, 4, 4)
    assert one.junk == 1


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (b"<html>", "unreadable"), (b"\xff\xfe", "unreadable"), (b'{"type":"x"}', "unreadable"),
        (b'{"type":1,"target":"GatewayQuote"}', "unreadable"),
        (row("GatewayQuote", ID, {"bestBid": 25100.1, "timestamp": STAMP}), "unreadable"),
        (row("GatewayQuote", ID, {"bestBid": 25100.25, "timestamp": "yesterday"}), "unreadable"),
        (row("GatewayQuote", "CON.F.US.X.Z26", {"bestBid": 1.0, "timestamp": STAMP}), "unreadable"),
        (row("GatewayNew", 1), "unknown-event GatewayNew"), (b'{"type":77}', "unknown-record"),
    ],
    ids=["html", "bytes", "type", "no arguments", "grid", "time", "contract", "event", "record"],
)  # fmt: skip
def test_what_cannot_be_read_is_told_once_and_the_rest_goes_on(bad: bytes, kind: str) -> None:
    """Counted each time, told once a minute, never raised; the next record is read."""
    one = reader()
    good = row("GatewayQuote", ID, QUOTE)
    first = one.read([bad, good], 1)
    assert [type(e) for e in first] == [Notice, Quote]
    assert isinstance(first[0], Notice)
    assert first[0].kind == kind
    assert [type(e) for e in one.read([bad, good, bad], 2)] == [Quote]
    (told,) = one.read([bad], 2 + 60 * 10**9)
    assert isinstance(told, Notice)
    assert "2 more" in told.text
    assert one.junk + one.unknown == 4


@settings(max_examples=50)
@given(st.lists(st.one_of(st.binary(max_size=80), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["type", "target", "arguments", "error", "data"]), inner, max_size=4),
).map(lambda value: json.dumps(value).encode()))))  # fmt: skip
def test_no_record_raises(rows: list[bytes]) -> None:
    """Whatever a hub sends is read, told or put aside."""
    for hub in Hub:
        reader(hub).read(rows, 1)


@pytest.mark.parametrize("price", [1e308, -1e308])
def test_a_number_beyond_every_price_is_no_quote(price: float) -> None:
    """What cannot be counted in ticks is put aside, and the next record is read."""
    one = reader()
    bad, good = row("GatewayQuote", ID, {**QUOTE, "bestBid": price}), row("GatewayQuote", ID, QUOTE)
    assert [type(e) for e in one.read([bad, good], 1)] == [Notice, Quote]


@pytest.mark.parametrize("volume", [1e300, 2.0**31, -1.0])
def test_a_size_that_cannot_be_counted_is_no_trade(volume: float) -> None:
    """The core counts contracts in 32 bits, and none below zero."""
    trade = {
        "symbolId": "F.US.MNQ", "price": 25_000.25, "timestamp": "2026-10-01T14:30:01Z", "type": 0,
        "volume": 1,
    }  # fmt: skip
    one = reader()
    rows = [row("GatewayTrade", ID, [{**trade, "volume": n}]) for n in (volume, 2)]
    assert [type(e) for e in one.read(rows, 1)] == [Notice, Trade]


def test_pings_and_the_rest_of_the_protocol_are_silent() -> None:
    """Pings, stream items and sequence numbers are nothing to tell; completions are put aside."""
    one = reader()
    rows = [b'{"type":6}', b'{"type":2,"invocationId":"1","item":1}', b'{"type":9,"sequenceId":1}']
    assert one.read([*rows, b'{"type":3,"invocationId":"1","result":null}'], 1) == []
    assert [c.invocation_id for c in one.controls] == ["1"]
    assert one.junk == one.unknown == 0


# ---------------------------------------------------------------- over a socket
def test_control_frames_are_answered_and_junk_survived() -> None:
    """Pings with a payload, before the handshake and after; junk, split and joined records."""

    async def run() -> None:
        with HubServer() as server:
            server.faults = ["ping before handshake"]
            server.extra_in_handshake = '{"type":6}' + END + row("GatewayQuote", ID, QUOTE).decode()
            server.extra_in_handshake += END
            async with running(server, hubs=(Hub.MARKET,)) as hubs:
                assert isinstance((await hubs.get())[0], Quote)  # came with the handshake
                live = server.live("market")
                assert live is not None
                server.do(lambda: live.socket.ping(b"with payload"))
                server.do(lambda: live.socket.pong(b"unasked"))
                whole = row("GatewayQuote", ID, {**QUOTE, "volume": 1}).decode() + END
                server.send("market", "junk" + END + whole[:50], whole[50:] + whole)
                found = await events_until(hubs, lambda seen: len(seen) >= 3)
                assert [type(e) for e in found] == [Notice, Quote, Quote]
                await until(lambda: live.pongs == [b"early", b"with payload"])
                assert hubs.state(Hub.MARKET).generation == 1
                assert live.handshake == {"protocol": "json", "version": 1}

    asyncio.run(run())


def test_a_split_record_of_one_connection_does_not_reach_into_the_next() -> None:
    """The rest of a record dies with its connection, and so do the quotes that it completed."""

    async def run() -> None:
        with HubServer() as server:
            async with running(server, clock=FastClock(), hubs=(Hub.MARKET,)) as hubs:
                server.event("market", "GatewayQuote", ID, QUOTE)
                server.send("market", row("GatewayQuote", ID, QUOTE).decode()[:60])
                server.abort("market")
                await until(lambda: hubs.state(Hub.MARKET).generation == 2)
                await until(lambda: hubs.state(Hub.MARKET).connected)
                server.event("market", "GatewayQuote", ID, {"bestAsk": 25101.0, "timestamp": STAMP})
                found = await events_until(hubs, lambda seen: len(seen) >= 4)
                assert [type(e) for e in found] == [Quote, Gap, Gap, Quote]
                assert isinstance(found[3], Quote)
                assert (found[3].bid, found[3].ask) == (None, 100404)

    asyncio.run(run())


@given(st.integers(0, 4_102_444_800 * 10**9), st.integers(0, 9))
def test_times_read_fast_are_the_times_that_were_written(ns: int, digits: int) -> None:
    """Both ways through the second's cache: what was written with so many decimals is read."""
    for _ in range(2):
        cut = 10 ** (9 - digits)
        assert wire.to_ns(wire.to_iso(ns, digits)) == ns // cut * cut

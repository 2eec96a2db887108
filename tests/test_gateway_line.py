"""The connection for orders: each goes out once, and what is said of it is true."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pxresearch.clock import WallClock
from pxresearch.gateway import line, wire
from pxresearch.gateway.profiles import profile
from pxresearch.gateway.tokens import Token
from pxresearch.gateway.transport import NoReply, Reply, Transport
from tests.line_kit import BODY, GOOD, SECRET, Act, answer, place, serving, until


def good(reply: Reply | NoReply) -> bool:
    return isinstance(reply, Reply) and (reply.status, reply.body) == (200, BODY)


# ------------------------------------------------------------------ what goes out
def parsed(request: tuple[bytes, bytes]) -> tuple[bytes, bytes, dict[bytes, bytes], bytes]:
    """Method, target, headers and body, by h11's server."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(b"".join(request))
    head, body = connection.next_event(), b""
    assert isinstance(head, h11.Request)
    while isinstance(event := connection.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    return head.method, head.target, dict(head.headers), body


def test_the_request_is_the_one_that_httpx_would_send() -> None:
    """Same method, path, body and headers, but for those that ask to compress and to keep open."""

    async def run() -> list[Any]:
        async with serving() as (server, transport):
            await transport.post(wire.PLACE, lambda: b'{"size":1}', Token(SECRET, 0))
            await place(transport, b'{"size":1}')
            return [parsed(request) for request in server.requests]

    theirs, ours = asyncio.run(run())
    for name in (b"accept-encoding", b"connection"):
        del theirs[2][name]
    assert ours == theirs
    assert ours[2][b"authorization"] == f"Bearer {SECRET}".encode()


# ------------------------------------------------------------------ what comes back
@st.composite
def framed(draw: st.DrawFn) -> tuple[bytes, list[bytes], bool]:
    """A body, an answer that holds it in one of the framings, in pieces; whether it ends so."""
    body = draw(st.binary(max_size=300))
    how = draw(st.sampled_from(["length", "chunks", "end"]))
    head = b"HTTP/1.1 100 Continue\r\n\r\n" * draw(st.integers(0, 1)) + b"HTTP/1.1 200 OK\r\n"
    if how == "length":
        whole = head + b"content-length: %d\r\n\r\n" % len(body) + body
    elif how == "end":
        whole = head + b"\r\n" + body
    else:
        size = draw(st.integers(1, 100))
        parts = [body[i : i + size] for i in range(0, len(body), size)] + [b""]
        coded = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
        whole = head + b"Transfer-Encoding: chunked\r\n\r\n" + coded
    cuts = sorted(draw(st.sets(st.integers(1, len(whole) - 1), max_size=5)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    return body, pieces, how == "end"


@settings(max_examples=40, deadline=None)
@given(st.lists(framed(), min_size=1, max_size=4))
def test_an_answer_is_read_whole_however_it_is_framed_and_cut(
    answers: list[tuple[bytes, list[bytes], bool]],
) -> None:
    """Each request gets its own body, and only an answer that ended so costs the connection."""

    async def run() -> tuple[list[Any], int]:
        async with serving() as (server, transport):
            for _, pieces, ends in answers:
                server.script.append(Act(tuple(pieces), "close" if ends else "keep"))
            found = [await place(transport) for _ in answers]
            return found, server.opened

    found, opened = asyncio.run(run())
    assert [reply.body for reply in found] == [body for body, _, _ in answers]
    assert opened == 1 + sum(ends for _, _, ends in answers[:-1])


HALF = answer()[:-5]
NO_ANSWER = {
    "closed": Act(end="close"),
    "reset": Act(end="reset"),
    "torn": Act((HALF,), "close"),
    "torn by a reset": Act((HALF,), "reset"),
    "torn in the head": Act((answer()[:20],), "close"),
    "torn chunk": Act((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{",), "close"),
    "no HTTP": Act((b"\x00\x01 what is this?\r\n\r\n",)),
    "two lengths": Act((b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",)),
    "another protocol": Act((b"HTTP/1.1 101 Switching\r\n\r\n",)),
    "endless": Act((b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (2 << 20),)),
    "silent": Act(end="hold"),
    "slow": Act((HALF,), "hold"),
}


@pytest.mark.parametrize("fate", NO_ANSWER)
def test_without_a_whole_answer_it_may_have_arrived_and_is_not_sent_again(fate: str) -> None:
    """One request, no verdict; the next one goes over another connection and gets its own."""

    async def run() -> None:
        limit = 0.2 if fate in ("silent", "slow", "another protocol") else 5.0
        async with serving(timeout_s=limit) as (server, transport):
            assert good(await place(transport))
            server.script.append(NO_ANSWER[fate])
            reply = await place(transport, b'{"n":2}')
            assert isinstance(reply, NoReply)
            assert reply.sent
            assert len(reply.why) > 15
            assert [body for _, body in server.requests] == [b"{}", b'{"n":2}']
            assert good(await place(transport))
            assert (server.opened, len(server.requests)) == (2, 3)

    asyncio.run(run())


def test_what_comes_late_is_nobodys_answer() -> None:
    """An answer after its limit is not taken for that of the next order."""

    async def run() -> None:
        async with serving(timeout_s=0.1) as (server, transport):
            server.script += [Act((answer(b'{"late":1}')[:-1],), "hold"), GOOD]
            assert isinstance(await place(transport), NoReply)
            server.open[0].write(b"}")
            assert good(await place(transport))

    asyncio.run(run())


@pytest.mark.parametrize("after", [b" ", answer(b'{"more":1}')])
def test_more_than_was_asked_for_ends_the_connection(after: bytes) -> None:
    """An answer with something behind it counts, its connection does not go on."""

    async def run() -> None:
        async with serving() as (server, transport):
            server.script.append(Act((answer() + after,)))
            assert good(await place(transport))
            assert good(await place(transport))
            assert server.opened == 2

    asyncio.run(run())


# ------------------------------------------------------------------ nothing was sent
def test_without_a_connection_nothing_was_sent() -> None:
    """A refused connection is told for what it is."""

    async def run() -> NoReply | Reply:
        async with serving() as (server, _):
            port = server.port
        where = profile("simulator", url=f"http://127.0.0.1:{port}")
        transport = Transport(where, WallClock(), timeout_s=5.0)
        try:
            return await place(transport)
        finally:
            await transport.close()

    reply = asyncio.run(run())
    assert isinstance(reply, NoReply)
    assert not reply.sent
    assert reply.why.startswith("not sent: ")


def test_a_connection_that_is_not_opened_in_time_sends_nothing() -> None:
    """The limit holds for the opening too: here a handshake that nobody answers."""

    async def run() -> tuple[NoReply | Reply, int]:
        async with serving() as (server, _):
            where = profile("simulator", url=f"https://127.0.0.1:{server.port}")
            transport = Transport(where, WallClock(), timeout_s=0.2)
            reply = await place(transport)
            await transport.close()
            return reply, len(server.requests)

    reply, requests = asyncio.run(run())
    assert isinstance(reply, NoReply)
    assert (reply.sent, requests) == (False, 0)
    assert "0.2 s" in reply.why


@pytest.mark.parametrize("token", ["a\r\nX: y", "a\nb", "tök", "a\x00"])
def test_a_token_that_is_no_header_is_not_sent_and_not_shown(token: str) -> None:
    """A line break in it would be a header of its own."""

    async def run() -> NoReply | Reply:
        async with serving() as (server, transport):
            reply = await transport.mutate(wire.PLACE, lambda: b"{}", Token(token, 0))
            assert not server.requests
            assert good(await place(transport))
            return reply

    reply = asyncio.run(run())
    assert isinstance(reply, NoReply)
    assert not reply.sent
    assert token not in reply.why


@pytest.mark.parametrize("yields", [False, True])
def test_a_connection_that_ended_while_idle_is_not_used(yields: bool) -> None:
    """The order goes over a new one, even when the loop has not heard of the end yet."""

    async def run() -> None:
        async with serving() as (server, transport):
            for n in range(1, 20):
                assert good(await place(transport))
                assert server.opened == n
                writer = server.open[0]
                server.open[0].transport.abort()
                if yields:
                    await until(lambda gone=writer: gone not in server.open)
                else:  # the server's end is in the kernel, and our side has not looked
                    await asyncio.sleep(0)
            assert len(server.requests) == 19

    asyncio.run(run())


def test_two_at_once_take_two_connections_and_get_their_own_answers() -> None:
    """A cancel does not wait for the answer of an order."""

    async def run() -> list[bytes]:
        async with serving() as (server, transport):
            server.script += [Act((answer(b"1"),)), Act((answer(b"2"),)), Act((answer(b"3"),))]
            found = await asyncio.gather(*(place(transport) for _ in range(3)))
            assert server.opened == 3
            await asyncio.gather(*(place(transport) for _ in range(3)))
            assert server.opened == 3
            return sorted(reply.body for reply in found if isinstance(reply, Reply))

    assert asyncio.run(run()) == [b"1", b"2", b"3"]


def test_a_caller_that_goes_away_takes_the_connection_along() -> None:
    """Its answer, when it comes, meets nobody."""

    async def run() -> None:
        async with serving() as (server, transport):
            server.script.append(Act(end="hold"))
            asking = asyncio.ensure_future(place(transport))
            await until(lambda: server.requests)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            assert good(await place(transport))
            assert server.opened == 2

    asyncio.run(run())


# ------------------------------------------------------------------ kept open
class Waits(WallClock):
    """Sleeps no longer than a moment, and remembers how long it should have."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0.001)


def test_a_warm_connection_is_there_before_the_first_order_and_again_after_its_end() -> None:
    """Nobody asks for anything, and one is open; the venue closes it, and another is."""

    async def run() -> None:
        async with serving(clock=Waits()) as (server, transport):
            transport.warm()
            transport.warm()
            for n in range(1, 6):
                await until(lambda n=n: (server.opened, len(server.open)) == (n, 1))
                if n == 3:
                    assert good(await place(transport))
                    assert server.opened == 3
                server.open[0].transport.abort()
            await until(lambda: server.opened == 6)
            assert len(server.requests) == 1

    asyncio.run(run())


def test_opening_ahead_waits_longer_each_time_it_fails() -> None:
    """Nobody listens: the pauses grow to a minute, and an order does not wait for them."""

    async def run() -> list[float]:
        clock = Waits()
        async with serving() as (server, _):
            port = server.port
        lines = line.Lines(f"http://127.0.0.1:{port}", {}, clock)
        lines.warm()
        await until(lambda: len(clock.slept) >= 9)
        await lines.close()
        return clock.slept[:9]

    assert asyncio.run(run()) == [1, 2, 4, 8, 16, 32, 60, 60, 60]


@pytest.mark.parametrize(
    ("environment", "direct"),
    [({}, True), ({"HTTPS_PROXY": "http://p:1"}, False), ({"ALL_PROXY": "http://p:1"}, False),
     ({"HTTP_PROXY": "http://p:1"}, True),
     ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "api.topstepx.com"}, True)],
)  # fmt: skip
def test_a_proxy_is_not_passed_by(
    environment: dict[str, str], direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the environment names one for the gateway, orders go through it like all else."""
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    async def run() -> bool:
        transport = Transport(profile("topstepx"), WallClock(), timeout_s=1.0)
        await transport.close()
        return transport._lines is not None

    assert asyncio.run(run()) is direct

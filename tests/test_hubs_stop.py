"""A stop takes under a second in every state and leaves nothing; no secret gets out."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable

import psutil
import pytest

from pxresearch.gateway.hubs import Hubs
from pxresearch.gateway.records import Gap, Hub
from pxresearch.gateway.signalr import Connection
from pxresearch.gateway.websocket import Lost
from tests.hub_kit import ID, QUOTE, TOKEN, FastClock, Tokens, both_live, make, until
from tests.hub_server import HubServer

Arrange = Callable[[HubServer, Hubs], Awaitable[asyncio.Future[None] | None]]


def handles() -> int:
    """Open files of this process."""
    process = psutil.Process()
    return process.num_handles() if sys.platform == "win32" else process.num_fds()


async def _connected(server: HubServer, hubs: Hubs) -> None:
    await hubs.start()
    assert both_live(server, hubs)


async def _upgrading(server: HubServer, hubs: Hubs) -> asyncio.Future[None]:
    server.always = "silent upgrade"
    starting = asyncio.ensure_future(hubs.start())
    await until(lambda: len(server.requests) == 2)
    return starting


async def _handshaking(server: HubServer, hubs: Hubs) -> asyncio.Future[None]:
    server.always = "silent handshake"
    starting = asyncio.ensure_future(hubs.start())
    await until(lambda: len([c for c in server.connections if c.socket is not None]) == 2)
    return starting


async def _subscribing(server: HubServer, hubs: Hubs) -> asyncio.Future[None]:
    server.always = "unanswered"
    starting = asyncio.ensure_future(hubs.start())
    await until(lambda: sum(len(c.records) for c in server.connections) >= 2)
    return starting


async def _backing_off(server: HubServer, hubs: Hubs) -> None:
    server.always = "503"
    await hubs.start()
    await until(lambda: hubs.state(Hub.USER).attempts and hubs.state(Hub.MARKET).attempts)


async def _not_started(server: HubServer, hubs: Hubs) -> None:
    pass


STATES = [_connected, _upgrading, _handshaking, _subscribing, _backing_off, _not_started]


@pytest.mark.parametrize("arrange", STATES, ids=lambda one: one.__name__)
def test_stop_in_each_state(arrange: Arrange) -> None:
    """Under a second, twice, at once, and no thread and no file is left."""

    async def run() -> None:
        with HubServer() as server:
            await asyncio.sleep(0)
            threads, open_before = set(threading.enumerate()), handles()
            hubs = make(server.url)
            starting = await arrange(server, hubs)
            begin = time.monotonic()
            await asyncio.gather(hubs.stop(), hubs.stop())
            await hubs.stop()
            assert time.monotonic() - begin < 1.0
            while left := await hubs.get():
                assert all(isinstance(event, Gap) for event in left)
            assert set(threading.enumerate()) == threads
            await until(lambda: all(c.over for c in server.connections) or arrange is _upgrading)
            if arrange is not _upgrading:  # there the server's own ends are still open
                await until(lambda: handles() <= open_before)
            if starting is not None:
                await starting  # a start that was under way returns too

    asyncio.run(run())


def test_stop_while_a_token_is_waited_for() -> None:
    """A login that hangs does not hold the stop up."""

    class Hanging(Tokens):
        async def token(self) -> str:
            await asyncio.Event().wait()
            return ""

    async def run() -> None:
        hubs = make("http://127.0.0.1:1", tokens=Hanging())
        starting = asyncio.ensure_future(hubs.start())
        await asyncio.sleep(0.01)
        begin = time.monotonic()
        await hubs.stop()
        assert time.monotonic() - begin < 1.0
        starting.cancel()

    asyncio.run(run())


@pytest.mark.skipif(sys.platform != "linux", reason="a full backlog drops connects on Linux only")
def test_stop_while_connecting_to_a_black_hole() -> None:
    """A connect that nobody answers ends with the stop, not with the system's limit."""

    async def run() -> None:
        with socket.socket() as hole:
            hole.bind(("127.0.0.1", 0))
            hole.listen(0)
            filling = [socket.socket() for _ in range(4)]
            for one in filling:
                one.setblocking(False)
                one.connect_ex(hole.getsockname())
            threads = set(threading.enumerate())
            hubs = make(f"http://127.0.0.1:{hole.getsockname()[1]}")
            starting = asyncio.ensure_future(hubs.start())
            await until(lambda: len(threading.enumerate()) == len(threads) + 2)
            begin = time.monotonic()
            await hubs.stop()
            assert time.monotonic() - begin < 1.0
            assert set(threading.enumerate()) == threads
            starting.cancel()
            for one in filling:
                one.close()

    asyncio.run(run())


def test_a_stop_says_goodbye() -> None:
    """A Close message and a close frame, which the library sends neither of."""

    async def run() -> None:
        with HubServer() as server:
            hubs = make(server.url)
            await hubs.start()
            await hubs.stop()
            await until(lambda: all(c.over for c in server.connections))
            for one in server.connections:
                assert one.records[-1] == {"type": 7}
                assert one.close_code == 1000

    asyncio.run(run())


def test_a_hundred_reconnects_leave_no_thread_and_no_file() -> None:
    """Fifty drops of each hub, and then as many threads and files as before."""

    async def run() -> None:
        clock = FastClock(100)
        with HubServer() as server:
            threads, open_before = set(threading.enumerate()), handles()
            hubs = make(server.url, clock=clock, healthy_s=0.01)
            await hubs.start()
            for n in range(50):
                server.abort("user")
                server.abort("market")
                for hub in Hub:
                    await until(lambda n=n, hub=hub: hubs.state(hub).generation == n + 2)
                await until(lambda: both_live(server, hubs))
            assert len(threading.enumerate()) == len(threads) + 2
            await hubs.stop()
            assert set(threading.enumerate()) == threads
            await until(lambda: handles() <= open_before)

    asyncio.run(run())


def test_no_token_in_any_log_text_or_repr(caplog: pytest.LogCaptureFixture) -> None:
    """A planted token is looked for in every logger at DEBUG, in reasons, reprs and tracebacks."""
    caplog.set_level(logging.DEBUG)
    for name in ("SignalRCoreClient", "asyncio", "pxresearch"):
        caplog.set_level(logging.DEBUG, logger=name)
    texts: list[str] = []

    async def run() -> None:
        with HubServer() as server:
            hubs = make(server.url, clock=FastClock())
            server.faults = ["401", "401", "handshake error", "500", "drop upgrade"]
            await hubs.start()
            await until(lambda: both_live(server, hubs))
            server.event("market", "GatewayQuote", ID, QUOTE)
            server.abort("market")
            await until(lambda: hubs.state(Hub.MARKET).generation == 2)
            texts.extend(repr(event) for event in await hubs.get())
            for hub in Hub:
                one = hubs._supervisors[hub]
                texts.extend(map(repr, (one, one._link, one._link and one._link._connection)))
                texts.append(repr(hubs.state(hub)))
            await hubs.stop()
            assert all(TOKEN in one.token for one in server.connections)

    asyncio.run(run())
    texts += _tracebacks()
    texts.append(caplog.text)
    assert not [text for text in texts if "PLANTED" in text]
    assert len(texts) > 8


def _tracebacks() -> list[str]:
    """What a crash report with all locals would show of connections that fail."""
    found: list[str] = []
    with HubServer() as server:
        server.faults = ["401", "drop upgrade", "handshake error"]
        for url in [server.url] * 4 + ["http://127.0.0.1:1"]:
            connection = Connection(f"{url}/hubs/user", TOKEN, sink=None)  # type: ignore[arg-type]
            if len(found) == 3:
                connection.end()  # stopped while it connects
            try:
                connection.run()
            except Lost as error:
                told = traceback.TracebackException.from_exception(error, capture_locals=True)
                found.append("".join(told.format()))
    assert len(found) == 5
    return found

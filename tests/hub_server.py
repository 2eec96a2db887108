"""A toy SignalR hub on aiohttp, in a thread of its own, that can fail at each step of the protocol.

It takes any token that it has not been told to refuse. A `Fault` is used up by one connection
attempt; without one, the server behaves.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

END = "\x1e"


@dataclass
class Connection:
    """What one connection did."""

    hub: str
    token: str
    at: float
    handshake: dict[str, Any] | None = None
    live: dict[str, int] = field(default_factory=dict)  # stream to how often it is subscribed
    records: list[dict[str, Any]] = field(default_factory=list)
    pongs: list[bytes] = field(default_factory=list)
    socket: Any = None
    over: bool = False
    close_code: int | None = None

    @property
    def calls(self) -> list[str]:
        """Methods that were called, in order."""
        return [r["target"] for r in self.records if r.get("type") == 1]


class HubServer:
    """Use as a context manager; `url` is the base of both hubs."""

    def __init__(self, port: int = 0, context: ssl.SSLContext | None = None) -> None:
        self._port, self._context = port, context
        self.connections: list[Connection] = []
        self.faults: list[str] = []
        self.always: str | None = None  # a fault for every attempt
        self.refused_methods: set[str] = set()
        self.unanswered_methods: set[str] = set()
        self.requests: list[float] = []
        self.extra_in_handshake = ""
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hub server", daemon=True)

    def __enter__(self) -> HubServer:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)

    # ------------------------------------------------------------ for tests
    def live(self, hub: str) -> Connection | None:
        """The connection of a hub that is open now; there must not be two."""
        found = [c for c in self.connections if c.hub == hub and not c.over and c.handshake]
        assert len(found) <= 1, f"{len(found)} connections of the {hub} hub at once"
        return found[0] if found else None

    def do(self, work: Callable[[], Any]) -> None:
        """Run something on the server's loop and wait for it."""

        async def run() -> None:
            done = work()
            if asyncio.iscoroutine(done):
                await done

        asyncio.run_coroutine_threadsafe(run(), self.loop).result(10)

    def send(self, hub: str, *records: dict[str, Any] | str) -> None:
        """Send records to whoever is connected, one frame each."""

        async def work() -> None:
            one = self.live(hub)
            assert one is not None
            for record in records:
                text = record if isinstance(record, str) else json.dumps(record) + END
                await one.socket.send_str(text)

        self.do(work)

    def event(self, hub: str, target: str, *arguments: Any) -> None:
        """Send one event."""
        self.send(hub, {"type": 1, "target": target, "arguments": list(arguments)})

    def abort(self, hub: str) -> None:
        """Reset the TCP connection."""
        one = self.live(hub)
        assert one is not None
        self.do(lambda: _reset(one.socket))

    # ------------------------------------------------------------ the server
    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self.loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application()
        app.router.add_get("/hubs/{hub}", self._hub)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self._port, ssl_context=self._context)
        await site.start()
        self.url = f"{'https' if self._context else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
        self._started.set()
        await self._end.wait()
        await self._turns()  # closed while it accepts, the loop would lose a connection
        await site.stop()
        assert runner.server is not None
        for protocol in runner.server.connections:
            if protocol.transport is not None:
                protocol.transport.abort()
        await runner.cleanup()
        await self._turns()  # the loop closes a socket one turn after its transport

    async def _turns(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    async def _hub(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(time.monotonic())
        fault = self.always or (self.faults.pop(0) if self.faults else "")
        one = Connection(
            request.match_info["hub"], request.query.get("access_token", ""), time.monotonic()
        )
        self.connections.append(one)
        if fault.isdigit():
            one.over = True
            return web.Response(status=int(fault), text="no")
        if fault == "silent upgrade":
            one.over = True
            await self._end.wait()
        if fault in ("drop upgrade", "reset upgrade"):
            one.over = True
            _reset_transport(request) if fault.startswith("reset") else _close_transport(request)
            return web.Response()
        socket = one.socket = web.WebSocketResponse(compress=False, autoping=False)
        await socket.prepare(request)
        try:
            await self._talk(one, fault)
        except (ConnectionError, RuntimeError):
            pass
        finally:
            one.over = True
            one.close_code = socket.close_code
        return socket

    async def _talk(self, one: Connection, fault: str) -> None:
        socket = one.socket
        async for message in socket:
            if message.type is WSMsgType.PONG:
                one.pongs.append(bytes(message.data))
                continue
            if message.type is not WSMsgType.TEXT:
                continue
            for text in filter(None, message.data.split(END)):
                record = json.loads(text)
                if "protocol" in record:
                    if await self._handshake(one, record, fault):
                        return
                else:
                    one.records.append(record)
                    if record.get("type") == 1 and await self._called(one, record, fault):
                        return

    async def _handshake(self, one: Connection, record: dict[str, Any], fault: str) -> bool:
        socket = one.socket
        if fault == "drop handshake":
            _close(socket)
            return True
        if fault == "reset handshake":
            _reset(socket)
            return True
        if fault == "silent handshake":
            return False
        if fault == "handshake error" or record.get("version") != 1:
            await socket.send_str(
                json.dumps({"error": "The server does not support version"}) + END
            )
            await socket.close()
            return True
        if fault == "garbled handshake":
            await socket.send_str("<html>" + END)
            return False
        if fault == "ping before handshake":
            await socket.ping(b"early")
        one.handshake = record
        await socket.send_str("{}" + END + self.extra_in_handshake)
        if fault == "drop after handshake":
            _close(socket)
            return True
        return False

    async def _called(self, one: Connection, record: dict[str, Any], fault: str) -> bool:
        socket, target = one.socket, record["target"]
        if fault == "drop in subscribe":
            _close(socket)
            return True
        if fault == "close in subscribe":
            await socket.send_str('{"type":7,"error":"going down","allowReconnect":true}' + END)
            await socket.close()
            return True
        if fault == "half record":
            await socket.send_str('{"type":3,"invocationId":')
            _close(socket)
            return True
        if target in self.unanswered_methods or fault == "unanswered":
            return False
        answer: dict[str, Any] = {"type": 3, "invocationId": record["invocationId"]}
        if target in self.refused_methods:
            answer["error"] = f"{target} is refused"
        else:
            answer["result"] = None
            self._subscribed(one, target, record["arguments"])
        await socket.send_str(json.dumps(answer) + END)
        return False

    def _subscribed(self, one: Connection, target: str, arguments: list[Any]) -> None:
        on = target.startswith("Subscribe")
        name = (
            target.removeprefix("Un").removeprefix("S").removeprefix("s").removeprefix("ubscribe")
        )
        key = f"{name}({arguments[0]})" if arguments else name
        count = one.live.get(key, 0) + (1 if on else -1)
        if count:
            one.live[key] = count
        else:
            one.live.pop(key, None)


def _close(socket: web.WebSocketResponse) -> None:
    socket._req.transport.close()  # type: ignore[union-attr]


def _reset(socket: web.WebSocketResponse) -> None:
    socket._req.transport.abort()  # type: ignore[union-attr]


def _reset_transport(request: web.Request) -> None:
    request.transport.abort()  # type: ignore[union-attr]


def _close_transport(request: web.Request) -> None:
    request.transport.close()  # type: ignore[union-attr]

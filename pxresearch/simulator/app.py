"""The venue on a socket: REST, both hubs and the control endpoint on one port of 127.0.0.1.

Thin: it carries bytes to the pure parts and back, and does to a socket what the faults demand.

I/O: listens on a port; the market's course runs as a task.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys

import msgspec
from aiohttp import WSMsgType, web

from pxresearch.clock import NS, Clock, WallClock
from pxresearch.simulator.api import Venue
from pxresearch.simulator.control import Control
from pxresearch.simulator.faults import Fault
from pxresearch.simulator.hub import ENDINGS, Link
from pxresearch.simulator.messages import (
    CLOSED,
    JSON,
    RESET,
    TORN,
    TRICKLE,
    Delivery,
    HttpRequest,
    Response,
)
from pxresearch.simulator.negotiate import OK, Negotiations

HOST = "127.0.0.1"
_PAUSE = 0.02  # seconds after which the market is looked at again, whatever is due
_LEAST = 0.001
_SLICE = 2_000_000  # ns of the market between two turns of the connections, when it is behind
_TURNS = 50  # of the connections, to send what an act of the control has brought
_PIECES = 10  # of a body that trickles
_LARGEST = 2**20  # bytes of a request or of a message
_HUBS = ("user", "market")


class App:
    """The server.

    Parameters
    ----------
    venue, control
        What it serves.
    port
        0 takes a free one.
    seed
        Of connection ids.
    """

    def __init__(self, venue: Venue, control: Control, port: int, seed: int) -> None:
        self._venue, self._control, self._port = venue, control, port
        self._network: Clock = WallClock()
        self._negotiations = Negotiations(seed, venue.hub.id_s)
        self._over = asyncio.Event()
        self._sockets: set[asyncio.Task[None]] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._runner: web.AppRunner | None = None

    async def start(self) -> int:
        """Begin to listen; the port."""
        app = web.Application(client_max_size=_LARGEST)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, self._port).start()
        self._tasks = [asyncio.create_task(self._pace())]
        return self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Tell the hubs' clients, end every connection, stop listening."""
        for link in list(self._venue.switch.links):
            link.close(reconnect=True)
        if self._sockets:
            await asyncio.wait(self._sockets, timeout=0.5)
        self._over.set()
        for task in (*self._tasks, *self._sockets):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._sockets, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()

    async def _pace(self) -> None:
        """Let market and faults happen when they are due."""
        venue = self._venue
        while True:
            venue.advance(_SLICE)
            venue.flush()
            venue.switch.suffer_now(self._network.now())
            due = venue.next_due()
            wait = _PAUSE if due is None else (due - venue.now()) / NS
            await asyncio.sleep(min(max(wait, _LEAST), _PAUSE) if wait > 0 else 0)

    # ------------------------------------------------------------ HTTP
    async def _handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path.lower().rstrip("/")
        if path.startswith("/hubs/"):
            return await self._hub(request, path.removeprefix("/hubs/"))
        asked = await _asked(request)
        if path.startswith("/control"):
            return _plain(await self._controlled(asked))
        fate = self._venue.fate(asked)
        delivery = await self._venue.serve(asked, fate, self._network)
        response = await _deliver(request, delivery)
        if self._venue.api.answer_first:
            asyncio.get_running_loop().call_soon(self._venue.flush)
        return response

    async def _controlled(self, asked: HttpRequest) -> Response:
        """Let the hand on the venue act; what follows on the hubs goes out before the answer."""
        answer, switch = self._control.handle(asked), self._venue.switch
        switch.suffer_now(self._network.now())
        for _ in range(_TURNS):
            if not any(link.waiting for link in switch.links):
                break
            await asyncio.sleep(0)
        return answer

    # ------------------------------------------------------------ hubs
    async def _hub(self, request: web.Request, path: str) -> web.StreamResponse:
        hub, _, rest = path.partition("/")
        if hub not in _HUBS or rest not in ("", "negotiate"):
            return web.Response(status=404)
        cors = _cors(request)
        if request.method == "OPTIONS":
            return web.Response(status=204, headers=cors)
        asked = await _asked(request)
        step = "negotiate" if rest else "upgrade"
        refused = await self._refused(request, hub, step)
        if refused is not None:
            return refused
        owner = self._venue.users.owner(asked.token, self._venue.now())
        if owner is None:
            return web.Response(status=401, headers=cors)
        now = self._network.now()
        if rest:
            if request.method != "POST":
                return web.Response(status=405, headers={**cors, "Allow": "POST"})
            answer = self._negotiations.answer(hub, request.query.get("negotiateVersion"), now)
            body = msgspec.json.encode(answer)
            return web.Response(body=body, headers={**cors, "Content-Type": JSON})
        return await self._upgrade(request, hub, owner, cors)

    async def _upgrade(
        self, request: web.Request, hub: str, owner: str, cors: dict[str, str]
    ) -> web.StreamResponse:
        websocket = web.WebSocketResponse(compress=False, max_msg_size=_LARGEST, timeout=1.0)
        if not websocket.can_prepare(request).ok:
            return web.Response(status=400, text="Connection ID required", headers=cors)
        key = request.query.get("id")
        if key is not None:
            status = self._negotiations.take(hub, key, self._network.now())
            if status != OK:
                return web.Response(status=status, headers=cors)
        await websocket.prepare(request)
        try:
            await self._talk(request, websocket, hub, owner)
        finally:
            if key is not None:
                self._negotiations.give_back(key)
        return websocket

    async def _refused(
        self, request: web.Request, hub: str, step: str
    ) -> web.StreamResponse | None:
        """What the faults make of a negotiate or an upgrade; None: it goes on."""
        fault = self._fault(hub, "connect", "hub_refuse")
        if fault is not None:
            _end(request.transport, reset=True)
            return web.Response()
        fault = self._fault(hub, step, "hub_refuse")
        if fault is not None:
            return web.Response(status=fault["status"])
        for name in ENDINGS:
            fault = self._fault(hub, step, name)
            if fault is None:
                continue
            if name == "hub_delay":
                await self._network.sleep(fault["seconds"])
            elif name in ("hub_half_open", "hub_silent"):
                await self._over.wait()
            else:
                _end(request.transport, reset=name == "hub_reset")
                return web.Response()
        return None

    def _fault(self, hub: str, step: str, name: str) -> Fault | None:
        return self._venue.switch.fault(hub, step, name)

    async def _talk(
        self, request: web.Request, websocket: web.WebSocketResponse, hub: str, owner: str
    ) -> None:
        """One connection, from its upgrade to its end."""
        wake = asyncio.Event()
        link = self._venue.link(hub, owner, self._network.now(), wake.set)
        link.port = request.transport.get_extra_info("peername")[1] if request.transport else 0
        writer = asyncio.create_task(self._write(request, websocket, link, wake))
        self._sockets.add(writer)
        try:
            async for message in websocket:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    link.receive(message.data, self._network.now())
                    if link.frozen:
                        await writer
        finally:
            self._venue.switch.remove(link)
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer
            self._sockets.discard(writer)

    async def _write(
        self, request: web.Request, websocket: web.WebSocketResponse, link: Link,
        wake: asyncio.Event,
    ) -> None:  # fmt: skip
        """Send what a connection has to send, until it is to end."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionError, RuntimeError):
            while True:
                wake.clear()
                wait = link.tick(self._network.now())
                while frames := link.frames(self._network.now()):
                    for frame in frames:
                        await websocket.send_str(frame)
                while link.pings:
                    await websocket.ping(link.pings.pop(0).encode())
                if link.frozen:
                    await self._over.wait()
                    return
                if link.cut is not None:
                    break
                alarm = loop.call_later(wait, wake.set)
                await wake.wait()
                alarm.cancel()
            if link.cut.reset:
                _end(request.transport, reset=True)
            else:
                await websocket.close()


async def _asked(request: web.Request) -> HttpRequest:
    return HttpRequest(
        method=request.method, path=request.path, body=await request.read(),
        headers={name.lower(): value for name, value in request.headers.items()},
        query=dict(request.query),
    )  # fmt: skip


def _plain(response: Response) -> web.Response:
    headers = dict(response.headers)
    if response.content_type:
        headers["Content-Type"] = response.content_type
    made = web.Response(status=response.status, body=response.body or None, headers=headers)
    if not response.content_type:
        made.headers.popall("Content-Type", None)
    return made


async def _deliver(request: web.Request, delivery: Delivery) -> web.StreamResponse:
    """Send a response as its fate wants it."""
    response = delivery.response
    if delivery.ending in (CLOSED, RESET):
        _end(request.transport, reset=delivery.ending == RESET)
        return web.Response()
    if delivery.ending not in (TORN, TRICKLE):
        return _plain(response)
    stream = web.StreamResponse(status=response.status, headers=response.headers)
    stream.content_type = response.content_type.partition(";")[0]
    stream.content_length = len(response.body)
    await stream.prepare(request)
    if delivery.ending == TORN:
        await stream.write(response.body[: delivery.sent])
        _end(request.transport, reset=False)
        return stream
    size = -(-len(response.body) // _PIECES)
    for start in range(0, len(response.body), size):
        await stream.write(response.body[start : start + size])
        await asyncio.sleep(delivery.seconds / _PIECES)
    await stream.write_eof()
    return stream


def _end(transport: asyncio.Transport | None, *, reset: bool) -> None:
    """End a TCP connection, politely or with a reset."""
    if transport is None:
        return
    if not reset:
        transport.close()
        return
    raw = transport.get_extra_info("socket")
    if raw is not None:
        linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()


def _cors(request: web.Request) -> dict[str, str]:
    origin = request.headers.get("Origin")
    if origin is None:
        return {}
    asked = request.headers.get("Access-Control-Request-Headers", "x-requested-with")
    return {
        "Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true",
        "Access-Control-Allow-Headers": asked, "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
        "Vary": "Origin",
    }  # fmt: skip

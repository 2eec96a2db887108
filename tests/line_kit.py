"""A server on a socket that answers as a script says, and a transport that talks to it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from pxresearch.clock import Clock, WallClock
from pxresearch.gateway import wire
from pxresearch.gateway.profiles import profile
from pxresearch.gateway.tokens import Token
from pxresearch.gateway.transport import NoReply, Reply, Transport

SECRET = "PLANTED-TOKEN"
BODY = b'{"orderId":7,"success":true,"errorCode":0,"errorMessage":null}'


class Act(NamedTuple):
    """What is done with a request: bytes in pieces, then an end.

    Attributes
    ----------
    end
        keep, close or reset the connection, or hold it without a word.
    """

    pieces: tuple[bytes, ...] = ()
    end: str = "keep"


def answer(body: bytes = BODY, *headers: str, status: str = "200 OK") -> bytes:
    """An answer with its length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


GOOD = Act((answer(),))


class Server:
    """Answers each request by the next act of `script`, GOOD when that is used up.

    Attributes
    ----------
    requests
        Whole ones, as they came: head and body.
    opened
        Connections so far.
    open
        Those that are open now.
    """

    def __init__(self) -> None:
        self.script: deque[Act] = deque()
        self.requests: list[tuple[bytes, bytes]] = []
        self.opened = 0
        self.open: list[asyncio.StreamWriter] = []
        self.port = 0
        self.over = asyncio.Event()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.opened += 1
        self.open.append(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = int(head.lower().partition(b"content-length:")[2].split()[0])
                self.requests.append((head, await reader.readexactly(size)))
                if not await self._act(writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open.remove(writer)
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()

    async def _act(self, writer: asyncio.StreamWriter) -> bool:
        act = self.script.popleft() if self.script else GOOD
        for piece in act.pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        if act.end == "hold":
            await self.over.wait()
        if act.end == "reset":
            sock: Any = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        return act.end == "keep"


@contextlib.asynccontextmanager
async def serving(
    context: ssl.SSLContext | None = None, clock: Clock | None = None, timeout_s: float = 5.0
) -> AsyncIterator[tuple[Server, Transport]]:
    """A server, and a transport to it."""
    server = Server()
    listener = await asyncio.start_server(server.handle, "127.0.0.1", 0, ssl=context)
    server.port = listener.sockets[0].getsockname()[1]
    scheme = "https" if context else "http"
    where = profile("simulator", url=f"{scheme}://127.0.0.1:{server.port}")
    transport = Transport(where, clock or WallClock(), timeout_s=timeout_s)
    try:
        yield server, transport
    finally:
        await transport.close()
        listener.close()
        server.over.set()
        for writer in list(server.open):
            writer.transport.abort()
        await until(lambda: not server.open)
        await listener.wait_closed()


async def place(transport: Transport, body: bytes = b"{}") -> Reply | NoReply:
    """An order."""
    return await transport.mutate(wire.PLACE, lambda: body, Token(SECRET, 0))


async def until(condition: Any, seconds: float = 5.0) -> None:
    """Wait for a condition, a bounded time."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.001)

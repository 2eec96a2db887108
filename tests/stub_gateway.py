"""A scripted gateway in place of the network: it answers as told, and keeps what reached it.

Nothing here judges anything. A token is a JWT with an invented signature; its life is by the clock
of the test.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx

from pxresearch.clock import NS, VirtualClock
from pxresearch.gateway.credentials import Credentials
from pxresearch.gateway.profiles import profile
from pxresearch.gateway.rest import Rest, RestSettings
from tests.payloads import ANSWERS

START = 1_790_865_000 * NS  # 2026-10-01T14:30:00Z
KEY = "k3y-planted-0815"
T = TypeVar("T")


@dataclass
class Reply:
    """What happens to one request.

    Attributes
    ----------
    after_s
        Before the answer, by the test's clock.
    fate
        ``answer``; ``refuse``: no connection; ``reset``: taken, then cut off; ``silence``: taken,
        never answered.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    after_s: float = 0.0
    fate: str = "answer"


@dataclass(frozen=True)
class Seen:
    """A request that arrived."""

    operation: str
    body: bytes
    token: str | None
    at: int

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def jwt(clock: VirtualClock, life_s: float, serial: int) -> str:
    """Token that lives so long from now."""
    now = clock.now() // NS
    claims = {"sub": "trader", "n": serial, "iat": now, "exp": now + int(life_s)}
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256"}, claims, "signature")]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def refusal(code: int, message: str | None = None) -> Reply:
    """An envelope with an error code."""
    envelope = {"success": False, "errorCode": code, "errorMessage": message}
    return Reply(body=json.dumps(envelope).encode())


class Gateway(httpx.AsyncBaseTransport):
    """The gateway.

    Attributes
    ----------
    script
        By operation (or ``*``): the next replies; used up, the usual answer comes.
    always
        By operation: the reply from now on.
    checks_tokens
        Whether a token that is not alive meets 401.
    """

    def __init__(self, clock: VirtualClock, life_s: float = 24 * 3600) -> None:
        self.clock, self.life_s = clock, life_s
        self.seen: list[Seen] = []
        self.script: dict[str, deque[Reply]] = {}
        self.always: dict[str, Reply] = {}
        self.checks_tokens = False
        self.alive: dict[str, int] = {}  # token to its end
        self.handler: Callable[[str, Any], bytes | None] = lambda operation, body: None

    def next(self, operation: str, *replies: Reply) -> None:
        """Answer the next requests so."""
        self.script.setdefault(operation, deque()).extend(replies)

    def count(self, operation: str) -> int:
        """Requests of an operation that arrived."""
        return sum(one.operation == operation for one in self.seen)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        operation = request.url.path.removeprefix("/api/")
        reply = self._reply(operation)
        if reply is not None and reply.fate == "refuse":
            raise httpx.ConnectError("connection refused", request=request)
        body = await request.aread()
        token = request.headers.get("authorization", "").removeprefix("Bearer ") or None
        self.seen.append(Seen(operation, body, token, self.clock.now()))
        if reply is None:
            reply = self._usual(operation, body, token)
        if reply.fate == "silence":
            await self.clock.sleep(10**9)
        await self.clock.sleep(reply.after_s)
        if reply.fate == "reset":
            raise httpx.ReadError("connection reset by peer", request=request)
        return httpx.Response(reply.status, content=reply.body, headers=reply.headers)

    def _reply(self, operation: str) -> Reply | None:
        for name in (operation, "*"):
            if self.script.get(name):
                return self.script[name].popleft()
        return self.always.get(operation)

    def _usual(self, operation: str, body: bytes, token: str | None) -> Reply:
        if operation == "Status/ping":
            return Reply(body=b"pong")
        if operation in ("Auth/loginKey", "Auth/validate"):
            if operation == "Auth/validate" and not self._lives(token):
                return Reply(status=401)
            return Reply(body=self._token(operation))
        if self.checks_tokens and not self._lives(token):
            return Reply(status=401)
        made = self.handler(operation, json.loads(body))
        return Reply(body=ANSWERS[operation].encode() if made is None else made)

    def _lives(self, token: str | None) -> bool:
        return token is not None and self.alive.get(token, 0) > self.clock.now()

    def _token(self, operation: str) -> bytes:
        made = jwt(self.clock, self.life_s, len(self.alive))
        self.alive[made] = self.clock.now() + round(self.life_s * NS)
        name = "token" if operation == "Auth/loginKey" else "newToken"
        return json.dumps(
            {name: made, "success": True, "errorCode": 0, "errorMessage": None}
        ).encode()


def run(
    work: Callable[[Rest, Gateway, VirtualClock], Awaitable[T]], *,
    prepare: Callable[[Gateway], None] | None = None, settings: RestSettings | None = None,
    life_s: float = 24 * 3600, **options: Any,
) -> T:  # fmt: skip
    """Result of `work` with a client that has logged in, in virtual time."""

    async def main() -> T:
        clock = VirtualClock(START)
        gateway = Gateway(clock, life_s)
        if prepare is not None:
            prepare(gateway)

        async def session() -> T:
            async with Rest(
                profile("simulator"), Credentials("trader", KEY), clock=clock, http=gateway,
                settings=settings, **options,
            ) as rest:  # fmt: skip
                return await work(rest, gateway, clock)

        return await clock.run(session())

    return asyncio.run(main())


async def served(
    answer: Callable[[str, bytes], bytes | None], work: Callable[[Rest], Awaitable[None]],
    **options: Any,
) -> list[str]:  # fmt: skip
    """Paths that reached a bare server on a real socket; None hangs up without an answer."""
    seen: list[str] = []

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split(b" ")[1].decode().removeprefix("/api/")
                fields = head.lower().split(b"content-length: ")
                size = int(fields[1].split(b"\r\n")[0]) if len(fields) > 1 else 0
                body = answer(path, await reader.readexactly(size))
                seen.append(path)
                if body is None:
                    break
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    where = profile("simulator", url=f"http://127.0.0.1:{port}")
    try:
        async with Rest(where, Credentials("trader", KEY), **options) as rest:
            await work(rest)
    finally:
        server.close()
        await asyncio.wait_for(server.wait_closed(), 5)
    return seen

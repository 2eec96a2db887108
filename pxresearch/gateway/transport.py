"""One HTTP request, sent once: what came back, or whether it ever left.

Reads go through httpx. What changes something at the venue takes a connection that is kept open for
it (`line`), unless a proxy stands between.

Neither a body nor a header with a secret is kept in a variable here, and no exception of the
library is passed on: its traceback would show both.

I/O: the network, through httpx and `line`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx
import msgspec

from pxresearch.clock import NS, Clock
from pxresearch.gateway import wire
from pxresearch.gateway.line import Answer, Lines
from pxresearch.gateway.profiles import Profile
from pxresearch.gateway.tokens import Token

T = TypeVar("T")
# Raised before a byte of the request can have left.
_NOT_SENT = (
    httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol,
    httpx.InvalidURL, httpx.LocalProtocolError,
)  # fmt: skip
_HEADERS = {
    "Accept": "application/json", "Content-Type": "application/json", "User-Agent": "pxresearch",
}  # fmt: skip
_HARD_LIMIT = 3.0  # times the limit: for a clock that stands still while a socket hangs


class Reply(msgspec.Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """An answer; its body may hold a token, so it has no repr."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    took_s: float

    def __repr__(self) -> str:
        return f"Reply(status={self.status}, {len(self.body)} bytes)"


class NoReply(msgspec.Struct, frozen=True, kw_only=True):
    """No answer; `sent` is False only when the request cannot have reached the venue."""

    why: str
    sent: bool
    took_s: float


class Transport:
    """The connection to one gateway.

    Parameters
    ----------
    timeout_s
        Limit of a whole request, by `clock`.
    http
        In place of the network.
    """

    def __init__(
        self, profile: Profile, clock: Clock, *, timeout_s: float,
        http: httpx.AsyncBaseTransport | None = None,
    ) -> None:  # fmt: skip
        self._clock, self._limit = clock, timeout_s
        self._client = httpx.AsyncClient(
            base_url=profile.rest, transport=http, timeout=timeout_s * _HARD_LIMIT,
            follow_redirects=False, trust_env=not profile.is_local, headers=_HEADERS,
        )  # fmt: skip
        direct = http is None and not _proxied(profile)
        self._lines = Lines(profile.rest, _HEADERS, clock) if direct else None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
        if self._lines is not None:
            await self._lines.close()

    def warm(self) -> None:
        """Keep a connection open for mutations from now on."""
        if self._lines is not None:
            self._lines.warm()

    async def post(
        self, operation: wire.Operation, body: Callable[[], bytes], token: Token | None
    ) -> Reply | NoReply:
        """Send one request of an operation, once."""
        work = self._through_client("POST", operation.path, body, token)
        return await self._reply(self._clock.now(), work)

    async def mutate(
        self, operation: wire.Operation, body: Callable[[], bytes], token: Token
    ) -> Reply | NoReply:
        """Send one request that changes something, once, over an open connection if there is."""
        lines = self._lines
        if lines is None:
            return await self.post(operation, body, token)
        start = self._clock.now()
        try:
            line = lines.take() or await self._limited(lines.open())
            answer = line.ask(lambda: lines.request(operation.path, token.reveal(), body()))
        except Exception as error:  # noqa: BLE001 - nothing is written before `ask` returns
            what = str(error) or f"no connection within {self._limit:g} s"
            return NoReply(why=f"not sent: {what}", sent=False, took_s=self._took(start))
        return await self._reply(start, answer)

    async def get(self, path: str) -> Reply | NoReply:
        """Send a GET without a token."""
        work = self._through_client("GET", path, None, None)
        return await self._reply(self._clock.now(), work)

    async def _through_client(
        self, method: str, path: str, body: Callable[[], bytes] | None, token: Token | None
    ) -> Answer:
        response = await self._client.request(
            method, path, content=body() if body else None,
            headers={"Authorization": f"Bearer {token.reveal()}"} if token else None,
        )  # fmt: skip
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, headers, response.content)

    async def _reply(self, start: int, work: Awaitable[Answer]) -> Reply | NoReply:
        try:
            answer = await self._limited(work)
        except TimeoutError:
            why = f"no answer within {self._limit:g} s"
            return NoReply(why=why, sent=True, took_s=self._took(start))
        except Exception as error:  # noqa: BLE001 - whatever it is, the request may have left
            sent = not isinstance(error, _NOT_SENT)
            what = str(error) or type(error).__name__
            why = f"the connection broke before an answer: {what}" if sent else f"not sent: {what}"
            return NoReply(why=why, sent=sent, took_s=self._took(start))
        return Reply(
            status=answer.status, body=answer.body, headers=answer.headers,
            took_s=self._took(start),
        )  # fmt: skip

    async def _limited(self, work: Awaitable[T]) -> T:
        async with asyncio.timeout(self._limit * _HARD_LIMIT):
            return await self._clock.within(self._limit, work)

    def _took(self, start: int) -> float:
        return (self._clock.now() - start) / NS


def _proxied(profile: Profile) -> bool:
    """Whether the environment puts a proxy before the gateway, as httpx will find it."""
    where, proxies = urlsplit(profile.rest), getproxies()
    named = where.scheme in proxies or "all" in proxies
    return not profile.is_local and named and not proxy_bypass(where.hostname or "")

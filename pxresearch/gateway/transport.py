"""One HTTP request, sent once: what came back, or whether it ever left.

Neither a body nor a header with a secret is kept in a variable here, and no exception of the
library is passed on: its traceback would show both.

I/O: the network, through httpx.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import httpx
import msgspec

from pxresearch.clock import NS, Clock
from pxresearch.gateway import wire
from pxresearch.gateway.profiles import Profile
from pxresearch.gateway.tokens import Token

# Raised before a byte of the request can have left.
_NOT_SENT = (
    httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol,
    httpx.InvalidURL, httpx.LocalProtocolError,
)  # fmt: skip
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
            follow_redirects=False, trust_env=not profile.is_local,
            headers={"Accept": "application/json", "Content-Type": "application/json",
                     "User-Agent": "pxresearch"},
        )  # fmt: skip

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def post(
        self, operation: wire.Operation, body: Callable[[], bytes], token: Token | None
    ) -> Reply | NoReply:
        """Send one request of an operation, once."""
        return await self._send("POST", operation.path, body, token)

    async def get(self, path: str) -> Reply | NoReply:
        """Send a GET without a token."""
        return await self._send("GET", path, None, None)

    async def _send(
        self, method: str, path: str, body: Callable[[], bytes] | None, token: Token | None
    ) -> Reply | NoReply:
        start = self._clock.now()
        try:
            response = await self._clock.within(
                self._limit,
                self._client.request(
                    method, path, content=body() if body else None,
                    headers={"Authorization": f"Bearer {token.reveal()}"} if token else None,
                ),
            )  # fmt: skip
        except TimeoutError:
            return NoReply(
                why=f"no answer within {self._limit:g} s", sent=True, took_s=self._took(start)
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, the request may have left
            sent = not isinstance(error, _NOT_SENT)
            what = str(error) or type(error).__name__
            why = f"the connection broke before an answer: {what}" if sent else f"not sent: {what}"
            return NoReply(why=why, sent=sent, took_s=self._took(start))
        return Reply(
            status=response.status_code, body=response.content, took_s=self._took(start),
            headers={name.lower(): value for name, value in response.headers.items()},
        )  # fmt: skip

    def _took(self, start: int) -> float:
        return (self._clock.now() - start) / NS

"""The session token: one for all calls and both hubs, renewed ahead of its end, swapped at once.

Inside the margin before its end a token still serves, while one renewal runs beside it: `validate`
first, a fresh login if that gives none. A renewal that fails is told and tried again; only when the
old token has really ended does a caller have to wait, or get the error.

I/O: none; it calls what it was given.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from pxresearch.clock import NS, Clock
from pxresearch.errors import GatewayError
from pxresearch.gateway.wire import TOKEN_SECONDS

_SAFETY_S = 5.0  # a token that ends while a request is on its way has ended
_RETRY_S = 30.0


class Token:
    """A token and its life; no repr shows it.

    Attributes
    ----------
    issued, expires
        ns UTC; the end is the claim ``exp``, or 24 hours where there is none.
    """

    __slots__ = ("_value", "expires", "issued")

    def __init__(self, value: str, now: int) -> None:
        self._value = value
        self.issued = now
        end = _expiry(value)
        self.expires = now + TOKEN_SECONDS * NS if end is None else end

    def __repr__(self) -> str:
        return f"Token(expires={self.expires})"

    def reveal(self) -> str:
        """The token itself, to be sent."""
        return self._value

    def left_s(self, now: int) -> float:
        """Seconds that it will still serve."""
        return (self.expires - now) / NS - _SAFETY_S


class _Claims(msgspec.Struct):
    exp: float | None = None


def _expiry(value: str) -> int | None:
    parts = value.split(".")
    if len(parts) != 3:
        return None
    try:
        raw = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        end = msgspec.json.decode(raw, type=_Claims).exp
    except (binascii.Error, msgspec.DecodeError, ValueError):
        return None
    return None if end is None else round(end * NS)


class Tokens:
    """Holds the token.

    Parameters
    ----------
    login
        Gives a token's text, or raises GatewayError.
    validate
        Gives the text of a new token for a living one; None where the venue gives none.
    margin_s
        How long before its end a token is renewed.
    on_notice
        Called with a sentence when a renewal failed while the old token still serves.
    """

    def __init__(
        self, login: Callable[[], Awaitable[str]],
        validate: Callable[[Token], Awaitable[str | None]], clock: Clock, *,
        margin_s: float = 600.0, on_notice: Callable[[str], None] | None = None,
    ) -> None:  # fmt: skip
        self._login, self._validate, self._clock = login, validate, clock
        self._margin, self._on_notice = margin_s, on_notice
        self._token: Token | None = None
        self._renewal: asyncio.Task[Token] | None = None
        self._not_before = 0  # next try after a failed renewal

    @property
    def left_s(self) -> float | None:
        """Seconds of life of the present token; None without one."""
        return None if self._token is None else self._token.left_s(self._clock.now())

    async def token(self) -> Token:
        """Token with life left.

        Raises
        ------
        GatewayError
            There is none, and none is to be had.
        """
        now = self._clock.now()
        held = self._token
        if held is None or held.left_s(now) <= 0:
            return await self._renewed(fresh=True)
        if held.left_s(now) < self._margin and now >= self._not_before:
            self._start(fresh=False)
        return held

    async def fresh(self) -> Token:
        """Token of a new login; callers at the same time share it.

        Raises
        ------
        GatewayError
            The login was refused or did not get through.
        """
        return await self._renewed(fresh=True)

    def reject(self, token: Token) -> None:
        """The venue answered 401 to this token: it is not used again."""
        if self._token is token:
            self._token = None

    async def keep(self, every_s: float = 30.0) -> None:
        """Renew ahead of the end although nobody calls; runs until cancelled."""
        while True:
            try:
                await self.token()
            except GatewayError as error:
                self._tell(f"no token: {error}")
            await self._clock.sleep(every_s)

    async def close(self) -> None:
        """End a renewal that is under way."""
        if self._renewal is not None and not self._renewal.done():
            self._renewal.cancel()
            await asyncio.gather(self._renewal, return_exceptions=True)

    # ------------------------------------------------------------ renewal
    async def _renewed(self, *, fresh: bool) -> Token:
        task = self._start(fresh=fresh)
        # One caller's cancellation must not take the token away from the others.
        return await asyncio.shield(task)

    def _start(self, *, fresh: bool) -> asyncio.Task[Token]:
        task = self._renewal
        if task is None or task.done():
            task = self._renewal = asyncio.ensure_future(self._renew(fresh))
            task.add_done_callback(self._settled)
        return task

    async def _renew(self, fresh: bool) -> Token:
        text: str | None = None
        held = self._token
        if not fresh and held is not None:
            try:
                text = await self._validate(held)
            except GatewayError as error:
                self._tell(f"the token was not validated, logging in again: {error}")
        if text is None:
            text = await self._login()
        token = self._token = Token(text, self._clock.now())
        return token

    def _settled(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            return
        error = task.exception()  # and it counts as seen
        if error is None:
            self._not_before = 0
            return
        self._not_before = self._clock.now() + round(_RETRY_S * NS)
        left = self.left_s
        if left is not None and left > 0:
            self._tell(f"the token ends in {left / 60:.0f} min and was not renewed: {error}")

    def _tell(self, text: str) -> None:
        if self._on_notice is not None:
            self._on_notice(text)

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
from typing import Annotated, Any

import msgspec

from pxresearch.clock import NS, Clock
from pxresearch.errors import GatewayError, LoginRefused, NotReachable
from pxresearch.gateway.wire import TOKEN_SECONDS

_SAFETY_S = 5.0  # a token that ends while a request is on its way has ended
_SHORTEST_S = 60.0  # a new token that ends sooner shows that our clock is wrong
_UNREACHED_S = 2.0  # after a login that did not get through its own attempts


class Token:
    """A token and its life; no repr shows it.

    Attributes
    ----------
    issued, expires
        ns UTC, by our own clock. The life is ``exp`` less ``iat`` of its claims, 24 hours where
        there are none, and never beyond ``exp``, unless our clock has already passed that.
    """

    __slots__ = ("_value", "expires", "issued")

    def __init__(self, value: str, now: int) -> None:
        self._value = value
        self.issued = now
        claims = _claims(value)
        life = TOKEN_SECONDS
        if claims.exp is not None and claims.iat is not None and claims.exp > claims.iat:
            life = claims.exp - claims.iat
        end = now + round(life * NS)
        if claims.exp is not None and claims.exp * NS > now + _SHORTEST_S * NS:
            end = min(end, round(claims.exp * NS))
        self.expires = end

    def __repr__(self) -> str:
        return f"Token(expires={self.expires})"

    def reveal(self) -> str:
        """The token itself, to be sent."""
        return self._value

    def left_s(self, now: int) -> float:
        """Seconds that it will still serve."""
        return (self.expires - now) / NS - _SAFETY_S


_Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e11)]


class _Claims(msgspec.Struct):
    exp: _Seconds | None = None
    iat: _Seconds | None = None


def _claims(value: str) -> _Claims:
    """Claims of a JWT; empty for anything else."""
    parts = value.split(".")
    if len(parts) != 3:
        return _Claims()
    try:
        raw = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        return msgspec.json.decode(raw, type=_Claims)
    except (binascii.Error, msgspec.DecodeError, ValueError):
        return _Claims()


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
    pause_s
        Between renewals, and after a refused login.
    on_notice
        Called with a sentence when a renewal failed while the old token still serves.
    """

    def __init__(
        self, login: Callable[[], Awaitable[str]],
        validate: Callable[[Token], Awaitable[str | None]], clock: Clock, *,
        margin_s: float = 600.0, pause_s: float = 30.0,
        on_notice: Callable[[str], None] | None = None,
    ) -> None:  # fmt: skip
        self._login, self._validate, self._clock = login, validate, clock
        self._margin, self._pause, self._on_notice = margin_s, pause_s, on_notice
        self._token: Token | None = None
        self._renewal: asyncio.Task[Token] | None = None
        self._not_before = 0
        self._failure: GatewayError | None = None  # of the last renewal
        self._lender: Callable[[], Token | None] | None = None
        self._lent: Token | None = None

    @property
    def left_s(self) -> float | None:
        """Seconds of life of the present token; None without one."""
        return None if self._token is None else self._token.left_s(self._clock.now())

    @property
    def trouble(self) -> str:
        """Why the last renewal failed; empty when it did not."""
        return "" if self._failure is None else str(self._failure)

    async def token(self) -> Token:
        """Token with life left; inside the margin a renewal begins beside it.

        Raises
        ------
        GatewayError
            There is none, and none is to be had.
        """
        now = self._clock.now()
        held = self._token
        if held is None or held.left_s(now) <= 0:
            return await self._renewed()
        if held.left_s(now) < self._margin and not self._pause_s(now):
            self._start(fresh=False)
        return held

    async def fresh(self) -> Token:
        """Token of a new login; callers at the same time share it.

        Raises
        ------
        GatewayError
            The login was refused or did not get through.
        """
        return await self._renewed()

    def lend(self) -> Token | None:
        """Return the present token for another session; a plain read, from any thread."""
        return self._token

    def borrow(self, lender: Callable[[], Token | None]) -> None:
        """Take another session's token rather than log in; one that was refused is not taken."""
        self._lender = lender

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
    async def _renewed(self) -> Token:
        running = self._renewal is not None and not self._renewal.done()
        wait = self._pause_s(self._clock.now())
        if self._failure is not None and wait and not running:
            kind = LoginRefused if isinstance(self._failure, LoginRefused) else NotReachable
            raise kind(f"{self._failure} (the next login is tried in {wait:.0f} s)")
        task = self._start(fresh=True)
        # One caller's cancellation must not take the token away from the others.
        return await asyncio.shield(task)

    def _pause_s(self, now: int) -> float:
        """Seconds until the venue may be asked again; 0 also after the clock was set back."""
        wait = (self._not_before - now) / NS
        return wait if 0 < wait <= self._pause else 0.0

    def _start(self, *, fresh: bool) -> asyncio.Task[Token]:
        task = self._renewal
        if task is None or task.done():
            task = self._renewal = asyncio.ensure_future(self._renew(fresh))
            task.add_done_callback(self._settled)
        return task

    async def _renew(self, fresh: bool) -> Token:
        text: str | None = None
        held = self._token
        if (lent := self._borrowed()) is not None:
            self._token = self._lent = lent
            return lent
        if not fresh and held is not None:
            try:
                text = await self._validate(held)
            except GatewayError as error:
                self._tell(f"the token was not validated, logging in again: {error}")
            if text is not None and Token(text, self._clock.now()).expires <= held.expires:
                text = None  # the same end: nothing is gained
        if text is None:
            text = await self._login()
        token = self._token = Token(text, self._clock.now())
        return token

    def _borrowed(self) -> Token | None:
        lent = None if self._lender is None else self._lender()
        if lent is None or lent is self._lent or lent.left_s(self._clock.now()) <= 0:
            return None
        return lent

    def _settled(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            return
        error = task.exception()  # and it counts as seen
        self._failure = error if isinstance(error, GatewayError) else None
        pause = min(self._pause, _UNREACHED_S) if isinstance(error, NotReachable) else self._pause
        self._not_before = self._clock.now() + round(pause * NS)
        left = self.left_s
        if error is not None and left is not None and left > 0:
            self._tell(f"the token ends in {left / 60:.1f} min and was not renewed: {error}")

    def _tell(self, text: str) -> None:
        if self._on_notice is not None:
            self._on_notice(text)

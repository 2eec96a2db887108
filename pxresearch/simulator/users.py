"""Who may log in, and the tokens they get: signed JWTs, good for 24 hours of the venue's clock.

A token is checked by its signature, its end, and a list of those that were given back. Times are
ns UTC inside and whole seconds in the token.

I/O: none
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
from collections.abc import Iterable

import msgspec

from pxresearch.clock import NS
from pxresearch.errors import UsageError
from pxresearch.gateway import wire

_HEADER = {"alg": "HS256", "typ": "JWT"}


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A login.

    Attributes
    ----------
    name
        The platform's user name; upper and lower case do not matter.
    api_key
        The secret; no repr shows it.
    subscribed, agreements_signed, key_login
        False makes the login fail with code 9, 7 or 10.
    """

    name: str
    api_key: str
    subscribed: bool = True
    agreements_signed: bool = True
    key_login: bool = True

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.api_key.strip():
            raise UsageError("a user needs a name and an api key, received a blank one")

    def __repr__(self) -> str:
        return f"User(name={self.name!r})"


class _Claims(msgspec.Struct):
    sub: str
    exp: int
    jti: int


class Users:
    """The logins of a venue and the tokens that are valid.

    Parameters
    ----------
    users
        Who may log in.
    seed
        Of the signing key.
    token_s
        Life of a token, seconds.
    """

    def __init__(
        self, users: Iterable[User], *, seed: int = 0, token_s: int = wire.TOKEN_SECONDS
    ) -> None:
        self._by_name = {one.name.lower(): one for one in users}
        self._key = hashlib.sha256(f"pxresearch simulator {seed}".encode()).digest()
        self._numbers = itertools.count(1)
        self._ended: set[int] = set()
        self._valid_from = 0  # number of the oldest token that is still good
        self.token_s = token_s

    def login(self, name: str, api_key: str, now: int) -> tuple[int, str | None]:
        """Error code of Auth/loginKey, and the token when it is 0."""
        user = self._by_name.get(name.lower())
        given, wanted = api_key.encode(), (user.api_key if user else "").encode()
        if user is None or not hmac.compare_digest(given, wanted):
            return 3, None
        if not user.key_login:
            return 10, None
        if not user.subscribed:
            return 9, None
        if not user.agreements_signed:
            return 7, None
        return 0, self.issue(user.name, now)

    def known(self, name: str) -> bool:
        """Whether somebody of this name may log in."""
        return name.lower() in self._by_name

    def issue(self, name: str, now: int) -> str:
        """Make a token."""
        start = now // NS
        number = next(self._numbers)
        claims = {"sub": name, "iat": start, "exp": start + self.token_s, "jti": number}
        signed = f"{_part(msgspec.json.encode(_HEADER))}.{_part(msgspec.json.encode(claims))}"
        return f"{signed}.{self._signature(signed)}"

    def owner(self, token: str | None, now: int) -> str | None:
        """User name behind a valid token, or None."""
        claims = self._claims(token)
        if claims is None or claims.exp * NS <= now or claims.jti in self._ended:
            return None
        return claims.sub if claims.jti >= self._valid_from else None

    def end(self, token: str) -> None:
        """Give a token back: it alone is no longer valid."""
        claims = self._claims(token)
        if claims is not None:
            self._ended.add(claims.jti)

    def end_all(self) -> None:
        """End every token that was ever given."""
        self._valid_from = next(self._numbers)

    def _claims(self, token: str | None) -> _Claims | None:
        signed, _, signature = (token or "").rpartition(".")
        if not signed or not hmac.compare_digest(self._signature(signed), signature):
            return None
        body = signed.rpartition(".")[2]
        padded = body + "=" * (-len(body) % 4)
        return msgspec.json.decode(base64.urlsafe_b64decode(padded), type=_Claims)

    def _signature(self, signed: str) -> str:
        text = signed.encode("utf-8", "replace")
        return _part(hmac.new(self._key, text, hashlib.sha256).digest())


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

"""The 21 operations over HTTP: paths and members in any case, tokens, limits, envelopes.

I/O: none
"""

from __future__ import annotations

from email.utils import formatdate

import msgspec

from pxresearch.clock import NS
from pxresearch.gateway import wire
from pxresearch.simulator import bodies, render
from pxresearch.simulator.exchange import Exchange
from pxresearch.simulator.history import History
from pxresearch.simulator.limits import Limits
from pxresearch.simulator.messages import JSON, HttpRequest, Response, problem
from pxresearch.simulator.users import Users

_BY_PATH = {one.path.lower(): one for one in wire.OPERATIONS}
_APP_NOT_FOUND, _USER_NOT_FOUND = 4, 1
_PONG = "pong"


class ApiSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Switches of the REST side.

    Attributes
    ----------
    rate_limits
        Keep to 200 requests in 60 s and 50 in 30 s for bars.
    retry_after
        Tell in the header of a 429 how long to wait; the real one is not known to.
    answer_first
        Send the answer of a mutation before its events; otherwise they race, and the events win.
    live_bars
        Give bars with ``live: true`` too, as to somebody who pays for live data.
    token_s
        Life of a token, seconds.
    """

    rate_limits: bool = True
    retry_after: bool = False
    answer_first: bool = False
    live_bars: bool = False
    token_s: int = wire.TOKEN_SECONDS


def operation_of(path: str) -> wire.Operation | None:
    """Operation of a path; upper and lower case do not matter."""
    return _BY_PATH.get(path.rstrip("/").lower())


class Routes:
    """From a request to its response."""

    def __init__(
        self, exchange: Exchange, users: Users, history: History, settings: ApiSettings
    ) -> None:
        self.exchange, self.users, self.history = exchange, users, history
        self.settings = settings
        self._limits = Limits(settings.rate_limits)

    def answer(self, request: HttpRequest, now: int) -> Response:
        """Answer a request at a time, ns UTC."""
        operation = operation_of(request.path)
        if operation is None:
            if request.path.rstrip("/").lower() == wire.PING.lower():
                return self._ping(request)
            return Response(status=404)
        if request.method != "POST":
            return Response(status=405, headers={"Allow": "POST"})
        if operation in (wire.LOGIN_KEY, wire.LOGIN_APP):
            return self._login(operation, request, now)
        owner = self.users.owner(request.token, now)
        if owner is None:
            return Response(status=401, headers={"WWW-Authenticate": "Bearer"})
        return self._limited(owner, operation, now) or self._call(owner, operation, request, now)

    def _ping(self, request: HttpRequest) -> Response:
        if request.method != "GET":
            return Response(status=405, headers={"Allow": "GET"})
        if "json" in request.headers.get("accept", ""):
            return Response(status=200, body=msgspec.json.encode(_PONG), content_type=JSON)
        text = "text/plain; charset=utf-8"
        return Response(status=200, body=_PONG.encode(), content_type=text)

    def _limited(self, owner: str, operation: wire.Operation, now: int) -> Response | None:
        wait = self._limits.take(owner, operation.bars, now)
        if wait is None:
            return None
        seconds = str(-int(-wait // 1))
        headers = {"Retry-After": seconds} if self.settings.retry_after else {}
        return Response(status=429, headers=headers)

    # ------------------------------------------------------------ tokens
    def _login(self, operation: wire.Operation, request: HttpRequest, now: int) -> Response:
        try:
            body = bodies.read(request.body, operation.request)
        except bodies.BadBody as error:
            return invalid(error)
        limited = self._limited(body.user_name, operation, now)
        if limited is not None:
            return limited
        if operation is wire.LOGIN_APP:
            code = _APP_NOT_FOUND if self.users.known(body.user_name) else _USER_NOT_FOUND
            return enveloped(wire.TokenAnswer(success=False, error_code=code))
        code, token = self.users.login(body.user_name, body.api_key, now)
        text = "Please log in to the platform and sign the agreements." if code == 7 else None
        return enveloped(
            wire.TokenAnswer(success=code == 0, error_code=code, error_message=text, token=token)
        )

    # ------------------------------------------------------------ everything else
    def _call(
        self, owner: str, operation: wire.Operation, request: HttpRequest, now: int
    ) -> Response:
        try:
            body = bodies.read(request.body, operation.request)
        except bodies.BadBody as error:
            return invalid(error)
        if operation is wire.VALIDATE:
            token = self.users.issue(owner, now)
            return enveloped(wire.ValidateAnswer(success=True, error_code=0, new_token=token))
        if operation is wire.LOGOUT:
            self.users.end(request.token or "")
            return enveloped(wire.Answer(success=True, error_code=0))
        if operation is wire.BARS:
            return enveloped(self._bars(body, now))
        return enveloped(self.exchange.call(owner, operation, body, now))

    def _bars(self, body: wire.RetrieveBars, now: int) -> wire.BarsAnswer:
        if body.live and not self.settings.live_bars:
            return wire.BarsAnswer(success=False, error_code=1)
        return self.history.answer(body, now)


def enveloped(answer: wire.Answer) -> Response:
    """HTTP 200 with the answer's members, whether it succeeded or not."""
    return Response(status=200, body=wire.encode(render.rest(answer)), content_type=JSON)


def invalid(error: bodies.BadBody) -> Response:
    """HTTP 400 with the problem document of a body that cannot be read."""
    title = "One or more validation errors occurred."
    return problem(400, title, {error.member: [error.text]})


def http_date(now: int) -> str:
    """Time as the Date header writes it."""
    return formatdate(now // NS, usegmt=True)

"""How a call is made: its token, its place in the budget, and when it may be made again.

A read may be repeated: after 429, 5xx, silence or a garbled answer it is tried again with back-off,
after a 401 once with a fresh login, and in the end it gives the answer or raises. A mutation is
sent once, whatever happens, and gives an `Outcome`.

I/O: the network, through `transport`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime

import httpx
import msgspec

from pxresearch.clock import NS, Clock
from pxresearch.errors import (
    GatewayError,
    LoginRefused,
    NotReachable,
    NotUnderstood,
    ReadRefused,
    UsageError,
)
from pxresearch.gateway import wire
from pxresearch.gateway.budget import Budget
from pxresearch.gateway.calllog import CallLog, CallRecord, redacted
from pxresearch.gateway.credentials import Credentials
from pxresearch.gateway.outcome import (
    BAD_REQUEST,
    NOT_SENT,
    Again,
    Outcome,
    Rejected,
    Unauthorised,
    Unknown,
    judge_mutation,
    judge_read,
)
from pxresearch.gateway.profiles import Profile
from pxresearch.gateway.tokens import Token, Tokens
from pxresearch.gateway.transport import NoReply, Reply, Transport
from pxresearch.gateway.wire.base import Wire

Verdict = wire.Answer | Rejected | Again | Unauthorised
_TOO_MANY, _UNAUTHORISED = 429, 401
_LONGEST_RETRY_AFTER_S = 60.0
_LOGIN_TEXTS = {
    "UserNotFound": "the gateway knows no such user name; it is the platform login, not the e-mail",
    "InvalidCredentials": "user name and API key do not belong together; copy the key again, and "
    "take the platform login, not the e-mail",
    "AgreementsNotSigned": "agreements are not signed; log in to the platform once and complete "
    "them",
    "UnknownError": "the gateway failed and does not say why; try again in a minute",
    "ApiSubscriptionNotFound": "there is no API subscription for this user; subscribe at ProjectX, "
    "link it in the platform's settings, then make the key anew",
    "ApiKeyAuthenticationDisabled": "this firm has turned login by key off; ask the firm",
    BAD_REQUEST: "the gateway did not take the login as such; is the address right?",
}
_OTHER_LOGIN = "a code that belongs to another way of logging in; is the address right?"


class RestSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How calls are made; seconds.

    Attributes
    ----------
    timeout_s
        Limit of one request.
    attempts
        Of a read, in all.
    backoff_s, backoff_max_s
        First and longest wait between attempts; each is drawn between 0 and itself.
    token_margin_s
        How long before its end a token is renewed.
    login_pause_s
        Between renewals of the token, and after a refused login.
    budget, bar_budget, reserve
        Requests in 60 s; bar requests in 30 s; those of the first that only cancels, closes and the
        looking up of unknown orders may use.
    """

    timeout_s: float = 10.0
    attempts: int = 5
    backoff_s: float = 0.5
    backoff_max_s: float = 15.0
    token_margin_s: float = 600.0
    login_pause_s: float = 30.0
    budget: int = wire.BUDGET
    bar_budget: int = wire.BAR_BUDGET
    reserve: int = 40

    def __post_init__(self) -> None:
        times = (self.timeout_s, self.backoff_s, self.token_margin_s, self.login_pause_s)
        if self.attempts < 1 or min(times) <= 0:
            raise UsageError(f"attempts and times must be positive, received {self}")


class Caller:
    """Makes the calls of one session; see the module.

    Attributes
    ----------
    calls
        Counters and times.
    tokens
        The session token.
    under_way
        Requests that wait for their answer.
    clock_skew_s
        Our clock less the venue's, by the ``Date`` of its last answer, good to about a second.
    """

    def __init__(
        self, profile: Profile, credentials: Credentials, *, clock: Clock, settings: RestSettings,
        http: httpx.AsyncBaseTransport | None, on_call: Callable[[CallRecord], None] | None,
        on_notice: Callable[[str], None] | None, seed: int,
    ) -> None:  # fmt: skip
        self._profile, self._credentials = profile, credentials
        self._clock, self._settings, self._on_notice = clock, settings, on_notice
        self._transport = Transport(profile, clock, timeout_s=settings.timeout_s, http=http)
        self._budget = Budget(settings.budget, wire.BUDGET_SECONDS, settings.reserve)
        self._bar_budget = Budget(settings.bar_budget, wire.BAR_BUDGET_SECONDS)
        self._rng = random.Random(seed)
        self.calls = CallLog(on_call)
        self.clock_skew_s: float | None = None
        self.under_way = 0
        self.tokens = Tokens(
            self._login, self._validate, clock, margin_s=settings.token_margin_s,
            pause_s=settings.login_pause_s, on_notice=on_notice,
        )  # fmt: skip

    async def close(self) -> None:
        """Close the connections; the token stays valid at the venue."""
        await self.tokens.close()
        await self._transport.close()

    def warm(self) -> None:
        """Keep a connection open for mutations from now on."""
        self._transport.warm()

    def room(self) -> dict[str, tuple[int, int]]:
        """Requests used and allowed in the present windows of both budgets."""
        now = self._clock.now()
        pairs = {"all": self._budget, "bars": self._bar_budget}
        return {name: (one.used(now), one.limit) for name, one in pairs.items()}

    # ------------------------------------------------------------ reads
    async def read(
        self, operation: wire.Operation, request: Wire, *, urgent: bool = False
    ) -> wire.Answer:
        """Answer of a read.

        Raises
        ------
        ReadRefused
            The gateway answered with an error code of the operation.
        LoginRefused, NotReachable
            No token, or no answer that can be used after all attempts.
        """
        verdict = await self._repeat(operation, lambda: request, urgent=urgent)
        if isinstance(verdict, Rejected):
            raise ReadRefused(operation.name, verdict.code or 0, verdict.reason, verdict.text)
        return verdict

    async def _repeat(
        self, operation: wire.Operation, request: Callable[[], Wire], *,
        token: Token | bool = True, urgent: bool = False,
    ) -> wire.Answer | Rejected:  # fmt: skip
        """Answer or Rejected; `token` True asks for one, False sends none."""
        why, pause, renewed = "", 0.0, False
        for attempt in range(self._settings.attempts):
            if attempt:
                await self._clock.sleep(max(pause, self._jitter(attempt)))
            held = await self.tokens.token() if token is True else token or None
            verdict = await self._attempt(operation, request, held, urgent)
            if isinstance(verdict, Unauthorised) and token is True and not renewed:
                renewed = True  # the token was put aside: the next one is of a fresh login
                held = await self.tokens.token()
                verdict = await self._attempt(operation, request, held, urgent)
            if isinstance(verdict, Unauthorised):
                again = " again, after a fresh login" if renewed else ""
                raise LoginRefused(f"{operation.name}: {verdict.why}{again}")
            if not isinstance(verdict, Again):
                return verdict
            why, pause = verdict.why, verdict.after or 0.0
            if pause > _LONGEST_RETRY_AFTER_S:
                raise NotReachable(f"{why}; the gateway wants no request for {pause:g} s")
        raise NotReachable(
            f"{operation.name} got no usable answer in {self._settings.attempts} attempts; "
            f"the last time: {why}"
        )

    async def _attempt(
        self, operation: wire.Operation, request: Callable[[], Wire], token: Token | None,
        urgent: bool,
    ) -> Verdict:  # fmt: skip
        budget = self._bar_budget if operation.bars else self._budget
        while (wait := budget.wait(self._clock.now(), urgent=urgent)) > 0:
            await self._clock.sleep(wait)
        sent = self._clock.now()
        budget.take(sent)
        self.under_way += 1
        try:
            reply = await self._transport.post(operation, lambda: wire.encode(request()), token)
        finally:
            self.under_way -= 1
        verdict: Verdict
        if isinstance(reply, NoReply):
            verdict = Again(why=f"{operation.name}: {reply.why}")
        else:
            verdict = judge_read(operation, reply.status, reply.body, _retry_after(reply))
            self._learn(reply, token, budget)
        self._record(operation, request, reply, verdict, sent)
        return verdict

    def _jitter(self, attempt: int) -> float:
        span = min(self._settings.backoff_max_s, self._settings.backoff_s * 2 ** (attempt - 1))
        return self._rng.uniform(0, span)

    # ------------------------------------------------------------ mutations
    async def mutate(
        self, operation: wire.Operation, request: Wire, *, urgent: bool = False
    ) -> Outcome:
        """Send once. What is not urgent finds room now or is not sent: a late order is another."""
        try:
            token = await self.tokens.token()
            while (wait := self._budget.wait(self._clock.now(), urgent=urgent)) > 0:
                if not urgent:
                    return _not_sent(self._no_room(operation, wait))
                await self._clock.sleep(wait)
        except GatewayError as error:
            return _not_sent(f"{operation.name} was not sent: {error}")
        sent = self._clock.now()
        self._budget.take(sent)
        self.under_way += 1
        try:
            reply = await self._transport.mutate(operation, lambda: wire.encode(request), token)
        finally:
            self.under_way -= 1
        outcome: Outcome
        if isinstance(reply, NoReply):
            why = f"{operation.name}: {reply.why}"
            outcome = Unknown(why=why) if reply.sent else _not_sent(why)
        else:
            outcome = judge_mutation(operation, reply.status, reply.body)
            self._learn(reply, token, self._budget)
        self._record(operation, lambda: request, reply, outcome, sent)
        return outcome

    def _no_room(self, operation: wire.Operation, wait: float) -> str:
        if self._budget.closed(self._clock.now()):
            why = "the gateway has answered 429 (too many requests)"
        else:
            why = (
                f"{self._budget.limit - self._budget.reserve} requests in {wire.BUDGET_SECONDS} s "
                f"are used, and {self._budget.reserve} more are kept for cancels and closes"
            )
        return f"{operation.name} was not sent: {why}; there is room in {wait:.1f} s"

    # ------------------------------------------------------------ login
    async def _login(self) -> str:
        keys = self._credentials
        answer = await self._repeat(
            wire.LOGIN_KEY,
            lambda: wire.LoginKey(user_name=keys.user_name, api_key=keys.api_key),
            token=False, urgent=True,
        )  # fmt: skip
        if isinstance(answer, Rejected):
            text = _LOGIN_TEXTS.get(answer.reason, _OTHER_LOGIN)
            raise LoginRefused(
                f"login refused with code {answer.code} ({answer.reason}): {text}"
                + ("" if "gave no reason" in answer.text else f" ({answer.text})"),
                answer.reason,
            )
        token = answer.token if isinstance(answer, wire.TokenAnswer) else None
        if not token:
            raise NotUnderstood("Auth/loginKey: success without a token")
        return token

    async def _validate(self, token: Token) -> str | None:
        answer = await self._repeat(wire.VALIDATE, lambda: wire.Nothing(), token=token, urgent=True)
        if isinstance(answer, Rejected):
            raise LoginRefused(f"the gateway refuses the token: {answer.reason}")
        return answer.new_token if isinstance(answer, wire.ValidateAnswer) else None

    async def ping(self) -> float:
        """Round trip of Status/ping, seconds.

        Raises
        ------
        NotReachable
            No ``pong``.
        """
        self._budget.take(self._clock.now())
        reply = await self._transport.get(wire.PING)
        if isinstance(reply, NoReply):
            raise NotReachable(f"{self._profile.rest}: {reply.why}")
        if reply.status != 200 or reply.body.strip().strip(b'"').lower() != b"pong":
            raise NotReachable(
                f"{self._profile.rest} answers HTTP {reply.status} and no pong; is it a gateway?"
            )
        self._learn(reply, None, self._budget)
        return reply.took_s

    # ------------------------------------------------------------ what an answer teaches
    def _learn(self, reply: Reply, token: Token | None, budget: Budget) -> None:
        if reply.status == _UNAUTHORISED and token is not None:
            self.tokens.reject(token)
        if reply.status == _TOO_MANY:
            budget.refused(self._clock.now(), _retry_after(reply))
        else:
            budget.answered()
        try:
            there = parsedate_to_datetime(reply.headers.get("date", ""))
        except ValueError:
            return
        # The header has whole seconds: its middle is the best guess.
        seconds = there.replace(tzinfo=there.tzinfo or UTC).timestamp() + 0.5
        self.clock_skew_s = self._clock.now() / NS - reply.took_s / 2 - seconds

    def _record(
        self, operation: wire.Operation, request: Callable[[], Wire], reply: Reply | NoReply,
        verdict: object, sent: int,
    ) -> None:  # fmt: skip
        wanted = self.calls.wanted
        try:
            self.calls.note(
                operation,
                redacted(wire.encode(request())) if wanted else None,
                redacted(reply.body) if wanted and isinstance(reply, Reply) else None,
                verdict, sent=sent, took_s=reply.took_s,
                status=reply.status if isinstance(reply, Reply) else None,
            )  # fmt: skip
        except Exception as error:  # noqa: BLE001 - the outcome of an order outlives its log
            if self._on_notice is not None:
                self._on_notice(f"a call could not be logged: {error!r}")


def _retry_after(reply: Reply) -> float | None:
    text = reply.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() else None


def _not_sent(text: str) -> Rejected:
    return Rejected(reason=NOT_SENT, text=text)

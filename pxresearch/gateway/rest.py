"""The REST calls of the gateway, each with its own kind of care.

A read may be repeated: after 429, 5xx, silence or a garbled answer it is tried again with back-off,
after a 401 once with a fresh login, and in the end it gives the answer or raises. A mutation is
sent once, whatever happens, and gives an `Outcome`. What holds nothing (``null`` for a list) is
never taken for an empty account.

I/O: the network, through `transport`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, TypeVar

import httpx
import msgspec

from pxresearch.clock import NS, Clock, WallClock
from pxresearch.errors import GatewayError, LoginRefused, NotReachable, NotUnderstood, ReadRefused
from pxresearch.gateway import wire
from pxresearch.gateway.budget import Budget
from pxresearch.gateway.calllog import CallLog, CallRecord
from pxresearch.gateway.credentials import Credentials
from pxresearch.gateway.outcome import (
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

A = TypeVar("A", bound=wire.Answer)
_TOO_MANY = 429
_LOGIN_TEXTS = {
    1: "the gateway knows no such user name; it is the platform login, not the e-mail",
    3: "user name and API key do not belong together; copy the key again, and take the platform "
    "login, not the e-mail",
    7: "agreements are not signed; log in to the platform once and complete them",
    9: "there is no API subscription for this user; subscribe at ProjectX, link it in the "
    "platform's settings, then make the key anew",
    10: "this firm has turned login by key off",
}


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
    budget, bar_budget, reserve
        Requests in 60 s; bar requests in 30 s; those of the first that only cancels, closes and the
        looking up of unknown orders may use.
    closed_s
        After a 429 nothing but those goes out for so long.
    """

    timeout_s: float = 10.0
    attempts: int = 5
    backoff_s: float = 0.5
    backoff_max_s: float = 15.0
    token_margin_s: float = 600.0
    budget: int = wire.BUDGET
    bar_budget: int = wire.BAR_BUDGET
    reserve: int = 40
    closed_s: float = 5.0


class Rest:
    """A session with the gateway; use it with ``async with``, which logs in.

    Parameters
    ----------
    http
        In place of the network; for a simulator in the same process.
    on_call
        Gets a record of each call, secrets hidden.
    on_notice
        Gets a sentence when something needs a person's eye: a token that was not renewed.
    seed
        Of the jitter.
    """

    def __init__(
        self, profile: Profile, credentials: Credentials, *, clock: Clock | None = None,
        settings: RestSettings | None = None, http: httpx.AsyncBaseTransport | None = None,
        on_call: Callable[[CallRecord], None] | None = None,
        on_notice: Callable[[str], None] | None = None, seed: int = 0,
    ) -> None:  # fmt: skip
        self.profile = profile
        self.settings = s = settings or RestSettings()
        self.calls = CallLog(on_call)
        self.date_skew_s: float | None = None
        self._clock = clock or WallClock()
        self._credentials = credentials
        self._transport = Transport(profile, self._clock, timeout_s=s.timeout_s, http=http)
        self._tokens = Tokens(
            self._login, self._validate, self._clock, margin_s=s.token_margin_s,
            on_notice=on_notice,
        )  # fmt: skip
        self._budget = Budget(s.budget, wire.BUDGET_SECONDS, s.reserve)
        self._bar_budget = Budget(s.bar_budget, wire.BAR_BUDGET_SECONDS)
        self._rng = random.Random(seed)

    def __repr__(self) -> str:
        return f"Rest({self.profile.name}, user {self._credentials.user_name!r})"

    async def __aenter__(self) -> Rest:
        try:
            await self._tokens.token()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        await self.close()

    async def close(self) -> None:
        """Close the connections; the token stays valid at the venue."""
        await self._tokens.close()
        await self._transport.close()

    # ------------------------------------------------------------ tokens
    async def token(self) -> str:
        """Token with life left, renewed when its end is near."""
        return (await self._tokens.token()).reveal()

    async def fresh_token(self) -> str:
        """Token of a new login."""
        return (await self._tokens.fresh()).reveal()

    async def keep_token(self) -> None:
        """Renew the token ahead of its end although nothing is called; runs until cancelled."""
        await self._tokens.keep()

    @property
    def token_left_s(self) -> float | None:
        """Seconds of life of the token; None without one."""
        return self._tokens.left_s

    async def _login(self) -> str:
        key = self._credentials
        answer = await self._read(
            wire.LOGIN_KEY,
            lambda: wire.LoginKey(user_name=key.user_name, api_key=key.api_key),
            token=False,
        )
        if isinstance(answer, Rejected):
            text = _LOGIN_TEXTS.get(answer.code or 0, answer.text)
            raise LoginRefused(f"login refused with code {answer.code} ({answer.reason}): {text}")
        if not answer.token:
            raise NotUnderstood("Auth/loginKey: success without a token")
        return answer.token

    async def _validate(self, token: Token) -> str | None:
        answer = await self._read(wire.VALIDATE, wire.Nothing, token=token)
        if isinstance(answer, Rejected):
            raise LoginRefused(f"the gateway refuses the token: {answer.reason}")
        return answer.new_token or None

    # ------------------------------------------------------------ reads
    async def accounts(self, only_active: bool = True) -> list[wire.Account]:
        """Accounts of the user."""
        request = wire.SearchAccounts(only_active_accounts=only_active)
        return _rows(await self._ask(wire.ACCOUNT_SEARCH, request), "accounts")

    async def available(self, live: bool = False) -> list[wire.Contract]:
        """Contracts that can be traded; `live` chooses the data subscription, not real money."""
        request = wire.AvailableContracts(live=live)
        return _rows(await self._ask(wire.CONTRACT_AVAILABLE, request), "contracts")

    async def search_contracts(self, text: str, live: bool = False) -> list[wire.Contract]:
        """Up to 20 contracts whose name is anything like the text: NQ finds crude oil's NQM too."""
        request = wire.SearchContracts(search_text=text, live=live)
        return _rows(await self._ask(wire.CONTRACT_SEARCH, request), "contracts")

    async def contract(self, contract_id: str) -> wire.Contract | None:
        """Contract of an id, expired ones included; None if the venue does not know it."""
        request = wire.ContractById(contract_id=contract_id)
        try:
            answer = await self._ask(wire.CONTRACT_BY_ID, request)
        except ReadRefused as error:
            if error.name == "ContractNotFound":
                return None
            raise
        return answer.contract

    async def bars(
        self, contract_id: str, start_ns: int, end_ns: int, unit: wire.BarUnit, number: int, *,
        limit: int = wire.MAX_BARS, live: bool = False, partial: bool = False,
    ) -> list[wire.Bar]:  # fmt: skip
        """Bars of a window, newest first; `limit` keeps the newest. `history` pages them."""
        request = wire.RetrieveBars(
            contract_id=contract_id, live=live, start_time=wire.to_iso(start_ns),
            end_time=wire.to_iso(end_ns), unit=unit, unit_number=number, limit=limit,
            include_partial_bar=partial,
        )  # fmt: skip
        return _rows(await self._ask(wire.BARS, request), "bars")

    async def orders(
        self, account: int, since_ns: int, until_ns: int | None = None, *, urgent: bool = False
    ) -> list[wire.Order]:
        """Orders created in a window, in any status."""
        request = _window(account, since_ns, until_ns)
        return _rows(await self._ask(wire.ORDER_SEARCH, request, urgent=urgent), "orders")

    async def open_orders(self, account: int) -> list[wire.Order]:
        """Orders of status Open, without suspended bracket legs; `working_orders` has them."""
        request = wire.OfAccount(account_id=account)
        return _rows(await self._ask(wire.ORDER_OPEN, request), "orders")

    async def order(
        self, account: int, order_id: int, *, urgent: bool = False
    ) -> wire.Order | None:
        """Order of an id; None if the venue does not know it."""
        request = wire.OneOrder(account_id=account, order_id=order_id)
        try:
            answer = await self._ask(wire.ORDER_BY_ID, request, urgent=urgent)
        except ReadRefused as error:
            if error.name == "OrderNotFound":
                return None
            raise
        return answer.order

    async def query_orders(
        self, account: int, statuses: Sequence[wire.OrderStatus] | None = None, *,
        since_ns: int | None = None, until_ns: int | None = None, contract_id: str | None = None,
        urgent: bool = False,
    ) -> list[wire.Order]:  # fmt: skip
        """Orders by status, all pages, oldest first.

        Pages go by row, and an order that comes meanwhile is at the end of this sort, so none is
        missed; the contract is looked at here, because the venue's own filter is known to be blind.
        """
        found: dict[int, wire.Order] = {}
        offset = 0
        inner = wire.OrderFilter(
            account_id=account, statuses=None if statuses is None else list(statuses),
            created_after=None if since_ns is None else wire.to_iso(since_ns),
            created_before=None if until_ns is None else wire.to_iso(until_ns),
        )  # fmt: skip
        while True:
            request = wire.QueryOrders(
                filter=inner, page_size=wire.MAX_PAGE, page_offset=offset,
                sort_by=wire.OrderSort.ID, sort_direction=wire.SortDirection.ASCENDING,
            )  # fmt: skip
            page = _rows(await self._ask(wire.ORDER_QUERY, request, urgent=urgent), "orders")
            found |= {row.id: row for row in page}
            # An order that ends meanwhile moves the rest up by one: the next page overlaps.
            offset += max(1, len(page) - 10)
            if len(page) < wire.MAX_PAGE:
                break
        rows = found.values()
        return [row for row in rows if contract_id is None or row.contract_id == contract_id]

    async def working_orders(self, account: int, *, urgent: bool = False) -> list[wire.Order]:
        """Everything that can still fill: open, pending and suspended orders."""
        return await self.query_orders(account, wire.WORKING, urgent=urgent)

    async def positions(self, account: int, *, urgent: bool = False) -> list[wire.Position]:
        """Open positions, one row a contract."""
        request = wire.OfAccount(account_id=account)
        return _rows(await self._ask(wire.POSITION_OPEN, request, urgent=urgent), "positions")

    async def trades(
        self, account: int, since_ns: int, until_ns: int | None = None, *, urgent: bool = False
    ) -> list[wire.Trade]:
        """Half-turns in a window, newest first."""
        request = _window(account, since_ns, until_ns)
        return _rows(await self._ask(wire.TRADE_SEARCH, request, urgent=urgent), "trades")

    async def ping(self) -> float:
        """Round trip of Status/ping, seconds.

        Raises
        ------
        NotReachable
            No ``pong``.
        """
        reply = await self._transport.get(wire.PING)
        if isinstance(reply, NoReply):
            raise NotReachable(f"{self.profile.rest}: {reply.why}")
        if reply.status != 200 or reply.body.strip().strip(b'"').lower() != b"pong":
            raise NotReachable(f"{self.profile.rest} answers {reply.status} and no pong")
        self._skew(reply)
        return reply.took_s

    # ------------------------------------------------------------ mutations
    async def place(self, request: wire.PlaceOrder) -> Outcome:
        """Place an order, once."""
        return await self._mutate(wire.PLACE, request)

    async def modify(self, request: wire.ModifyOrder) -> Outcome:
        """Change an order, once."""
        return await self._mutate(wire.MODIFY, request)

    async def cancel(self, account: int, order_id: int) -> Outcome:
        """Cancel an order, once; may use the reserve."""
        request = wire.OneOrder(account_id=account, order_id=order_id)
        return await self._mutate(wire.CANCEL, request, urgent=True)

    async def close_contract(self, account: int, contract_id: str) -> Outcome:
        """Close a position at the market, once; its resting legs stay. May use the reserve."""
        request = wire.CloseContract(account_id=account, contract_id=contract_id)
        return await self._mutate(wire.CLOSE, request, urgent=True)

    async def partial_close(self, account: int, contract_id: str, size: int) -> Outcome:
        """Close part of a position at the market, once; may use the reserve."""
        request = wire.PartialClose(account_id=account, contract_id=contract_id, size=size)
        return await self._mutate(wire.PARTIAL_CLOSE, request, urgent=True)

    async def _mutate(
        self, operation: wire.Operation, request: Any, *, urgent: bool = False
    ) -> Outcome:
        wait = self._budget.wait(self._clock.now(), urgent=urgent)
        if wait > 0 and not urgent:
            return _not_sent(
                f"the venue's limit of {self.settings.budget} requests a minute leaves no room for "
                f"{wait:.1f} s, and an order that waits is another order"
            )
        try:
            if wait > 0:
                await self._clock.sleep(wait)
            token = await self._tokens.token()
        except GatewayError as error:
            return _not_sent(str(error))
        self._budget.take(self._clock.now())
        outcome = await self._once(operation, request, token)
        return outcome

    async def _once(self, operation: wire.Operation, request: Any, token: Token) -> Outcome:
        body = wire.encode(request)
        sent = self._clock.now()
        reply = await self._transport.post(operation, lambda: body, token)
        outcome: Outcome
        if isinstance(reply, NoReply):
            outcome = Unknown(why=reply.why) if reply.sent else _not_sent(reply.why)
            self.calls.note(operation, body, sent, reply.took_s, None, b"", outcome)
            return outcome
        outcome = judge_mutation(operation, reply.status, reply.body)
        self.calls.note(operation, body, sent, reply.took_s, reply.status, reply.body, outcome)
        self._react(reply, token)
        return outcome

    # ------------------------------------------------------------ how a read is tried again
    async def _ask(self, operation: wire.Operation, request: Any, *, urgent: bool = False) -> Any:
        answer = await self._read(operation, lambda: request, urgent=urgent)
        if isinstance(answer, Rejected):
            raise ReadRefused(operation.name, answer.code or 0, answer.reason, answer.text)
        return answer

    async def _read(
        self, operation: wire.Operation, request: Callable[[], Any], *,
        token: Token | bool = True, urgent: bool = False,
    ) -> Any:  # fmt: skip
        """Answer or Rejected; `token` True asks for one, False sends none."""
        why, renewed = "", False
        for attempt in range(self.settings.attempts):
            if attempt:
                await self._clock.sleep(self._pause(attempt, why))
            held = await self._tokens.token() if token is True else token or None
            verdict = await self._attempt(operation, request, held, urgent)
            if isinstance(verdict, Unauthorised):
                if token is not True or renewed:
                    raise LoginRefused(f"{operation.name}: {verdict.why}")
                renewed = True
                await self._tokens.fresh()
                verdict = await self._attempt(
                    operation, request, await self._tokens.token(), urgent
                )
                if isinstance(verdict, Unauthorised):
                    raise LoginRefused(f"{operation.name}: 401 again after a fresh login")
            if not isinstance(verdict, Again):
                return verdict
            why = verdict.why
            if verdict.after:
                await self._clock.sleep(verdict.after)
        raise NotReachable(
            f"{operation.name} got no usable answer in {self.settings.attempts} attempts; "
            f"the last time: {why}"
        )

    async def _attempt(
        self, operation: wire.Operation, request: Callable[[], Any], token: Token | None,
        urgent: bool,
    ) -> Any:  # fmt: skip
        budget = self._bar_budget if operation.bars else self._budget
        while (wait := budget.wait(self._clock.now(), urgent=urgent)) > 0:
            await self._clock.sleep(wait)
        budget.take(self._clock.now())
        sent = self._clock.now()
        reply = await self._transport.post(operation, lambda: wire.encode(request()), token)
        verdict: Any
        if isinstance(reply, NoReply):
            verdict = Again(why=reply.why)
            self._note(operation, request, sent, reply.took_s, None, b"", verdict)
            return verdict
        after = _retry_after(reply)
        verdict = judge_read(operation, reply.status, reply.body, after)
        self._note(operation, request, sent, reply.took_s, reply.status, reply.body, verdict)
        self._react(reply, token)
        return verdict

    def _note(
        self, operation: wire.Operation, request: Callable[[], Any], sent: int, took_s: float,
        status: int | None, body: bytes, verdict: Any,
    ) -> None:  # fmt: skip
        self.calls.note(operation, wire.encode(request()), sent, took_s, status, body, verdict)

    def _pause(self, attempt: int, why: str) -> float:
        span = min(self.settings.backoff_max_s, self.settings.backoff_s * 2 ** (attempt - 1))
        return self._rng.uniform(0, span)

    def _react(self, reply: Reply, token: Token | None) -> None:
        """What any answer teaches: a spent token, a spent budget, the venue's clock."""
        now = self._clock.now()
        if reply.status == 401 and token is not None:
            self._tokens.reject(token)
        if reply.status == _TOO_MANY:
            self._budget.close(now, self.settings.closed_s)
        self._skew(reply)

    def _skew(self, reply: Reply) -> None:
        date = reply.headers.get("date")
        if date:
            try:
                there = parsedate_to_datetime(date).timestamp()
            except (ValueError, TypeError):
                return
            # The header has whole seconds: its middle is the best guess.
            self.date_skew_s = self._clock.now() / NS - reply.took_s / 2 - (there + 0.5)


def _rows(answer: Any, name: str) -> list[Any]:
    rows = getattr(answer, name)
    if rows is None:
        raise NotUnderstood(
            f"the gateway answered success without {name!r}; that is not the same as none"
        )
    return rows


def _window(account: int, since_ns: int, until_ns: int | None) -> wire.Window:
    return wire.Window(
        account_id=account, start_timestamp=wire.to_iso(since_ns),
        end_timestamp=None if until_ns is None else wire.to_iso(until_ns),
    )  # fmt: skip


def _retry_after(reply: Reply) -> float | None:
    text = reply.headers.get("retry-after", "")
    return float(text) if text.isdecimal() else None


def _not_sent(text: str) -> Rejected:
    return Rejected(reason=NOT_SENT, text=text)

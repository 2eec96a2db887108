"""The REST calls of the gateway, one method an operation.

Reads give the wire's records or raise a `GatewayError`; mutations are sent once and give an
`Outcome`. What holds nothing (``null`` for a list) is never taken for an empty account. How a call
is made, repeated and counted is in `caller`.

I/O: the network, through `caller`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TypeVar

import httpx

from pxresearch.clock import Clock, WallClock
from pxresearch.errors import NotUnderstood, ReadRefused
from pxresearch.gateway import wire
from pxresearch.gateway.caller import Caller, RestSettings
from pxresearch.gateway.calllog import CallLog, CallRecord
from pxresearch.gateway.credentials import Credentials
from pxresearch.gateway.outcome import Outcome
from pxresearch.gateway.profiles import Profile
from pxresearch.gateway.wire.base import Wire

A = TypeVar("A", bound=wire.Answer)
T = TypeVar("T")
_OVERLAP = 10  # rows by which the pages of v2/query overlap


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

    Attributes
    ----------
    calls
        Counters of what was sent and what came of it, and times for a histogram.
    """

    def __init__(
        self, profile: Profile, credentials: Credentials, *, clock: Clock | None = None,
        settings: RestSettings | None = None, http: httpx.AsyncBaseTransport | None = None,
        on_call: Callable[[CallRecord], None] | None = None,
        on_notice: Callable[[str], None] | None = None, seed: int = 0,
    ) -> None:  # fmt: skip
        self.profile = profile
        self._user = credentials.user_name
        self._caller = Caller(
            profile, credentials, clock=clock or WallClock(), settings=settings or RestSettings(),
            http=http, on_call=on_call, on_notice=on_notice, seed=seed,
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"Rest({self.profile.name}, user {self._user!r})"

    async def __aenter__(self) -> Rest:
        try:
            await self._caller.tokens.token()
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
        await self._caller.close()

    def warm(self) -> None:
        """From now on keep a connection open for orders, so that none waits for a handshake."""
        self._caller.warm()

    # ------------------------------------------------------------ the session
    async def token(self) -> str:
        """Token with life left, renewed when its end is near."""
        return (await self._caller.tokens.token()).reveal()

    async def fresh_token(self) -> str:
        """Token of a new login."""
        return (await self._caller.tokens.fresh()).reveal()

    async def keep_fresh(self) -> None:
        """Renew the token ahead of its end although nothing is called; runs until cancelled."""
        await self._caller.tokens.keep()

    def borrow(self, other: Rest) -> None:
        """Use the token of another session, of another thread too; log in only if it is refused."""
        self._caller.tokens.borrow(other._caller.tokens.lend)

    @property
    def token_left_s(self) -> float | None:
        """Seconds of life of the token; None without one."""
        return self._caller.tokens.left_s

    @property
    def token_trouble(self) -> str:
        """Why the token could not be renewed the last time; empty when it could."""
        return self._caller.tokens.trouble

    @property
    def calls(self) -> CallLog:
        """What was sent and what came of it, counted, and the times that it took."""
        return self._caller.calls

    @property
    def busy(self) -> bool:
        """Whether a request waits for its answer."""
        return self._caller.under_way > 0

    @property
    def clock_skew_s(self) -> float | None:
        """Our clock less the venue's, good to about a second; None before the first answer."""
        return self._caller.clock_skew_s

    def room(self) -> dict[str, tuple[int, int]]:
        """Requests used and allowed in the present window, by budget (``all``, ``bars``)."""
        return self._caller.room()

    async def ping(self) -> float:
        """Round trip of Status/ping, seconds; NotReachable without its ``pong``."""
        return await self._caller.ping()

    # ------------------------------------------------------------ reads
    async def accounts(self, only_active: bool = True) -> list[wire.Account]:
        """Accounts of the user."""
        request = wire.SearchAccounts(only_active_accounts=only_active)
        answer = await self._ask(wire.AccountsAnswer, wire.ACCOUNT_SEARCH, request)
        return _there(answer.accounts, "accounts")

    async def available(self, live: bool = False) -> list[wire.Contract]:
        """Contracts that can be traded; `live` chooses the data subscription, not real money."""
        request = wire.AvailableContracts(live=live)
        answer = await self._ask(wire.ContractsAnswer, wire.CONTRACT_AVAILABLE, request)
        return _there(answer.contracts, "contracts")

    async def search_contracts(self, text: str, live: bool = False) -> list[wire.Contract]:
        """Up to 20 contracts whose name is anything like the text: NQ finds crude oil's NQM too."""
        request = wire.SearchContracts(search_text=text, live=live)
        answer = await self._ask(wire.ContractsAnswer, wire.CONTRACT_SEARCH, request)
        return _there(answer.contracts, "contracts")

    async def contract(self, contract_id: str) -> wire.Contract:
        """Contract of an id, expired ones included; ReadRefused if the venue knows none."""
        request = wire.ContractById(contract_id=contract_id)
        answer = await self._ask(wire.ContractAnswer, wire.CONTRACT_BY_ID, request)
        return _there(answer.contract, "contract")

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
        answer = await self._ask(wire.BarsAnswer, wire.BARS, request)
        return _there(answer.bars, "bars")

    async def orders(
        self, account: int, since_ns: int, until_ns: int | None = None, *, urgent: bool = False
    ) -> list[wire.Order]:
        """Orders created in a window, in any status."""
        request = _window(account, since_ns, until_ns)
        answer = await self._ask(wire.OrdersAnswer, wire.ORDER_SEARCH, request, urgent)
        return _there(answer.orders, "orders")

    async def open_orders(self, account: int) -> list[wire.Order]:
        """Orders of status Open; suspended bracket legs are only in `working_orders`."""
        request = wire.OfAccount(account_id=account)
        answer = await self._ask(wire.OrdersAnswer, wire.ORDER_OPEN, request)
        return _there(answer.orders, "orders")

    async def order(
        self, account: int, order_id: int, *, urgent: bool = False
    ) -> wire.Order | None:
        """Order of an id; None if the venue says that there is none."""
        request = wire.OneOrder(account_id=account, order_id=order_id)
        try:
            answer = await self._ask(wire.OrderAnswer, wire.ORDER_BY_ID, request, urgent)
        except ReadRefused as error:
            if error.name == "OrderNotFound":
                return None
            raise
        return _there(answer.order, "order")

    async def query_orders(
        self, account: int, statuses: Sequence[wire.OrderStatus] | None = None, *,
        since_ns: int | None = None, until_ns: int | None = None, contract_id: str | None = None,
        urgent: bool = False,
    ) -> list[wire.Order]:  # fmt: skip
        """Orders by status, all pages, oldest first.

        New orders come at the end of this sort, and the pages overlap because an order that ends
        meanwhile moves the rest up. The contract is looked at here: the venue's filter is blind.

        Raises
        ------
        NotUnderstood
            A full page that brings nothing new: pages beyond it cannot be had.
        """
        inner = wire.OrderFilter(
            account_id=account, statuses=None if statuses is None else list(statuses),
            created_after=None if since_ns is None else wire.to_iso(since_ns),
            created_before=None if until_ns is None else wire.to_iso(until_ns),
        )  # fmt: skip
        found: dict[int, wire.Order] = {}
        offset, more = 0, True
        while more:
            request = wire.QueryOrders(
                filter=inner, page_size=wire.MAX_PAGE, page_offset=offset,
                sort_by=wire.OrderSort.ID, sort_direction=wire.SortDirection.ASCENDING,
                include_total_count=True,
            )  # fmt: skip
            answer = await self._ask(wire.OrdersAnswer, wire.ORDER_QUERY, request, urgent)
            page = _there(answer.orders, "orders")
            before = len(found)
            found |= {row.id: row for row in page}
            reached, total = offset + len(page), answer.total_count
            more = bool(page) and (len(page) >= wire.MAX_PAGE if total is None else reached < total)
            if more and len(found) == before:
                raise NotUnderstood(
                    f"Order/v2/query gives the same {len(page)} orders for offset {offset} again"
                )
            offset += max(1, len(page) - _OVERLAP)
        rows = sorted(found.values(), key=lambda row: row.id)
        return [row for row in rows if contract_id is None or row.contract_id == contract_id]

    async def working_orders(self, account: int, *, urgent: bool = False) -> list[wire.Order]:
        """Everything that can still fill: open, pending and suspended orders."""
        return await self.query_orders(account, wire.WORKING, urgent=urgent)

    async def positions(self, account: int, *, urgent: bool = False) -> list[wire.Position]:
        """Open positions, one row a contract."""
        request = wire.OfAccount(account_id=account)
        answer = await self._ask(wire.PositionsAnswer, wire.POSITION_OPEN, request, urgent)
        return _there(answer.positions, "positions")

    async def trades(
        self, account: int, since_ns: int, until_ns: int | None = None, *, urgent: bool = False
    ) -> list[wire.Trade]:
        """Half-turns in a window, newest first."""
        request = _window(account, since_ns, until_ns)
        answer = await self._ask(wire.TradesAnswer, wire.TRADE_SEARCH, request, urgent)
        return _there(answer.trades, "trades")

    async def _ask(
        self, kind: type[A], operation: wire.Operation, request: Wire, urgent: bool = False
    ) -> A:
        answer = await self._caller.read(operation, request, urgent=urgent)
        assert isinstance(answer, kind)  # the operation's own answer, by its table
        return answer

    # ------------------------------------------------------------ mutations
    async def place(self, request: wire.PlaceOrder) -> Outcome:
        """Place an order, once."""
        return await self._caller.mutate(wire.PLACE, request)

    async def modify(self, request: wire.ModifyOrder) -> Outcome:
        """Change an order, once."""
        return await self._caller.mutate(wire.MODIFY, request)

    async def cancel(self, account: int, order_id: int) -> Outcome:
        """Cancel an order, once; may use the reserve."""
        request = wire.OneOrder(account_id=account, order_id=order_id)
        return await self._caller.mutate(wire.CANCEL, request, urgent=True)

    async def close_contract(self, account: int, contract_id: str) -> Outcome:
        """Close a position at the market, once; its resting legs stay. May use the reserve."""
        request = wire.CloseContract(account_id=account, contract_id=contract_id)
        return await self._caller.mutate(wire.CLOSE, request, urgent=True)

    async def partial_close(self, account: int, contract_id: str, size: int) -> Outcome:
        """Close part of a position at the market, once; may use the reserve."""
        request = wire.PartialClose(account_id=account, contract_id=contract_id, size=size)
        return await self._caller.mutate(wire.PARTIAL_CLOSE, request, urgent=True)


def _there(value: T | None, name: str) -> T:
    if value is None:
        raise NotUnderstood(
            f"the gateway answered success without {name!r}, which is not the same as none"
        )
    return value


def _window(account: int, since_ns: int, until_ns: int | None) -> wire.Window:
    return wire.Window(
        account_id=account, start_timestamp=wire.to_iso(since_ns),
        end_timestamp=None if until_ns is None else wire.to_iso(until_ns),
    )  # fmt: skip

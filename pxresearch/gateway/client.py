"""The gateway for a person at a notebook: history, account and orders without a strategy.

    async with Gateway("topstepx", account="PRAC-V2-1234") as gw:
        bars = await gw.bars("MNQ", days=5)
        outcome = await gw.buy("MNQ", 1, stop_ticks=40, target_r=2)
        proof = await gw.flatten()

`Gateway` is for asyncio; `plain.py` has the same without ``await``. Credentials come from the
environment or the keyring (`credentials`). An account is always chosen by the user: with several
that can trade, none is taken blindly.

I/O: the network.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import httpx
import msgspec
import polars as pl

from pxresearch.clock import NS, Clock, WallClock
from pxresearch.errors import NotReachable, NotUnderstood, UsageError
from pxresearch.gateway import choice, frames, glance, records, wire
from pxresearch.gateway.book import Book
from pxresearch.gateway.contracts import Directory, Listing
from pxresearch.gateway.credentials import Credentials, credentials
from pxresearch.gateway.desk import Desk
from pxresearch.gateway.flatten import Flat, flatten
from pxresearch.gateway.history import Length, all_bars
from pxresearch.gateway.hubs import Hubs, HubSettings
from pxresearch.gateway.orders import NewOrder
from pxresearch.gateway.outcome import NOT_FOUND, Outcome, Rejected
from pxresearch.gateway.profiles import profile as find_profile
from pxresearch.gateway.rest import Rest
from pxresearch.gateway.stream import Stream
from pxresearch.gateway.tags import ENTRY, make_tag, run_name
from pxresearch.gateway.terms import Asked, Price, price_ticks, terms

_DAY_NS = 24 * 3600 * NS


class Gateway:
    """A session at a gateway.

    Parameters
    ----------
    profile
        One of `profiles.PROFILES`: topstepx, simulator ...
    account
        Id or name; may be left out while only one account can trade.
    url
        Another base URL, for example of a simulator.
    keys
        User name and key; from the environment or the keyring when left out.
    always_open
        The market has no hours, as in a simulator with that switch.
    """

    def __init__(
        self, profile: str = "topstepx", *, account: int | str | None = None,
        url: str | None = None, keys: Credentials | None = None, clock: Clock | None = None,
        http: httpx.AsyncBaseTransport | None = None, always_open: bool = False,
    ) -> None:  # fmt: skip
        self.profile = find_profile(profile, url=url)
        self._clock = clock or WallClock()
        self._wanted, self._always_open = account, always_open
        self.rest = Rest(self.profile, keys or credentials(), clock=self._clock, http=http)
        self.directory = Directory()
        self.desk = Desk(self.rest, self.directory, self.profile, clock=self._clock)
        self._accounts: list[records.Account] = []
        self._account: records.Account | None = None
        self._run = run_name(self._clock.now())
        self._intents = 0

    def __repr__(self) -> str:
        chosen = f", account {self._account.name}" if self._account else ""
        return f"Gateway({self.profile.firm}{chosen})"

    def _repr_html_(self) -> str:
        account = self._account
        rows = {"gateway": self.profile.firm, "contracts": str(len(self.directory))}
        if account is None:
            rows["accounts"] = f"{choice.listed(self._accounts)}; none is chosen"
        else:
            rows["account"] = f"{account.name} ({account.id})"
            rows["balance at the start"] = f"{account.balance / records.MICROS:,.2f} USD"
        cells = (
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>"
            for name, text in rows.items()
        )
        return f"<table>{''.join(cells)}</table>"

    async def __aenter__(self) -> Gateway:
        await self.rest.__aenter__()
        try:
            for row in await self.rest.available():
                self.directory.add(row)
            self._accounts = [self.directory.account(row) for row in await self.rest.accounts()]
            self._account = choice.choose(self._accounts, self._wanted)
        except BaseException:
            await self.rest.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        await self.rest.close()

    # ------------------------------------------------------------ account
    @property
    def account(self) -> records.Account:
        """The chosen account as it was at the start.

        Raises
        ------
        UsageError
            None was chosen, and the user has several; or the session has not begun.
        """
        if self._account is None:
            raise UsageError(
                "no account is chosen: open the session with account=, an id or a name of "
                f"{choice.listed(self._accounts)}"
            )
        return self._account

    async def accounts(self) -> pl.DataFrame:
        """Return all active accounts; see `frames.account_frame`."""
        rows = await self.rest.accounts()
        return frames.account_frame(self.directory.account(row) for row in rows)

    async def balance(self) -> float:
        """Return the account's balance now, USD."""
        for row in await self.rest.accounts(only_active=False):
            if row.id == self.account.id:
                return self.directory.account(row).balance / records.MICROS
        raise NotUnderstood(f"account {self.account.id} is no longer among the user's accounts")

    async def positions(self, *, marked: bool = False, wait_s: float = 3.0) -> pl.DataFrame:
        """Return the open positions; see `frames.position_frame`.

        Parameters
        ----------
        marked
            Look at the market hub, for `wait_s` seconds at most, to fill `open_pnl`. It stays null
            where no quote came: it is never 0 for want of a price.
        """
        rows = await self.rest.positions(self.account.id)
        await self._look_up([row.contract_id for row in rows])
        held = [self.directory.position(row) for row in rows]
        profit: dict[str, int | None] = {}
        if marked and held:
            hubs = self._hubs(records.Hub.MARKET)
            profit = await glance.open_pnl(hubs, held, self.directory, self._clock, wait_s)
        return frames.position_frame(held, self.directory, profit)

    async def orders(self, days: float = 1) -> pl.DataFrame:
        """Return the orders of the last days, in any state; see `frames.order_frame`."""
        rows = await self.rest.orders(self.account.id, self._since(days))
        return await self._order_frame(rows)

    async def working(self) -> pl.DataFrame:
        """Return the orders that can still fill, suspended bracket legs among them."""
        return await self._order_frame(await self.rest.working_orders(self.account.id))

    async def trades(self, days: float = 1) -> pl.DataFrame:
        """Return our half-turns of the last days; see `frames.fill_frame`."""
        rows = await self.rest.trades(self.account.id, self._since(days))
        await self._look_up([row.contract_id for row in rows])
        return frames.fill_frame((self.directory.fill(row) for row in rows), self.directory)

    async def _order_frame(self, rows: Sequence[wire.Order]) -> pl.DataFrame:
        await self._look_up([row.contract_id for row in rows])
        return frames.order_frame((self.directory.order(row) for row in rows), self.directory)

    async def _look_up(self, contract_ids: Sequence[str]) -> None:
        for contract_id in set(contract_ids):
            if contract_id not in self.directory:
                self.directory.add(await self.rest.contract(contract_id))

    def _since(self, days: float) -> int:
        return self._clock.now() - round(days * _DAY_NS)

    # ------------------------------------------------------------ contracts and history
    async def contracts(self) -> pl.DataFrame:
        """Return what can be traded; see `frames.contract_frame`."""
        return frames.contract_frame(self.directory)

    def contract(self, code: str) -> Listing:
        """Return a contract by code (``MNQZ26``), product (``MNQ``: the active one) or venue id."""
        return self.directory.find(code)

    async def bars(
        self, code: str, days: float = 5, unit: str = "1m", *, end_ns: int | None = None
    ) -> pl.DataFrame:
        """Return bars, ascending; any number of them, page by page.

        Parameters
        ----------
        days
            How far back.
        unit
            ``1s``, ``1m``, ``5m``, ``1h``, ``1d`` ...
        end_ns
            Where they end, ns UTC; now when left out.
        """
        listing = self.contract(code)
        end = self._clock.now() if end_ns is None else end_ns
        start = end - round(days * _DAY_NS)
        found = await all_bars(self.rest, listing, start, end, Length.read(unit))
        return frames.bar_frame(found, listing)

    # ------------------------------------------------------------ orders
    async def buy(self, code: str, qty: int, **asked: Any) -> Outcome:
        """Buy `qty` contracts; see `order`."""
        return await self.order(code, _positive(qty), **asked)

    async def sell(self, code: str, qty: int, **asked: Any) -> Outcome:
        """Sell `qty` contracts; see `order`."""
        return await self.order(code, -_positive(qty), **asked)

    async def order(
        self, code: str, qty: int, *, limit: Price | None = None, stop: Price | None = None,
        stop_ticks: int = 0, target_ticks: int = 0, stop_loss: Price | None = None,
        take_profit: Price | None = None, target_r: float | None = None, trailing: bool = False,
    ) -> Outcome:  # fmt: skip
        """Place an order: market, or limit or stop at a price; with a bracket in one line.

        The parameters are those of `terms.Asked`; a negative `qty` sells.

        Returns
        -------
        Accepted, Rejected or Unknown
            Once sent it is never sent again; an unknown outcome has been looked up.
        """
        listing = self.contract(code)
        asked = Asked(
            qty=qty, limit=limit, stop=stop, stop_ticks=stop_ticks, target_ticks=target_ticks,
            stop_loss=stop_loss, take_profit=take_profit, target_r=target_r, trailing=trailing,
        )  # fmt: skip
        meant = msgspec.structs.asdict(terms(asked, listing))
        account = self.account.id
        self._intents += 1
        tag = make_tag("notebook", self._run, self._intents, ENTRY)
        order = NewOrder(
            account=account, contract_id=listing.id, is_automated=True, tag=tag, **meant
        )  # fmt: skip
        return await self.desk.place(order)

    async def modify(
        self, order_id: int, *, qty: int | None = None, limit: Price | None = None,
        stop: Price | None = None,
    ) -> Outcome:  # fmt: skip
        """Change an order; what is left out stays."""
        row = await self.rest.order(self.account.id, order_id)
        if row is None:
            text = f"the venue knows no order {order_id} of account {self.account.id}"
            return Rejected(reason=NOT_FOUND, text=text)
        await self._look_up([row.contract_id])
        listing = self.directory.listing(row.contract_id)
        return await self.desk.modify(
            self.account.id, order_id, row.contract_id, qty=qty,
            limit=None if limit is None else price_ticks(listing, "limit", limit),
            stop=None if stop is None else price_ticks(listing, "stop", stop),
        )  # fmt: skip

    async def cancel(self, order_id: int) -> Outcome:
        """Cancel an order."""
        return await self.desk.cancel(self.account.id, order_id)

    async def close(self, code: str, qty: int | None = None) -> Outcome:
        """Close a position, or `qty` contracts of it; resting orders stay (`flatten` takes all)."""
        listing = self.contract(code)
        if qty is None:
            return await self.desk.close(self.account.id, listing.id)
        return await self.desk.partial_close(self.account.id, listing.id, qty)

    async def flatten(self, code: str | None = None, limit_s: float = 60.0) -> Flat:
        """Cancel and close everything, or one contract, and have the venue prove it."""
        contract_id = None if code is None else self.contract(code).id
        return await flatten(
            self.rest, self.account.id, clock=self._clock, contract_id=contract_id, limit_s=limit_s
        )

    @property
    def unresolved(self) -> tuple[str, ...]:
        """What was sent and nobody knows yet, by tag or in words; no new order goes out with it."""
        return self.desk.unresolved

    async def settle(self) -> dict[str, Outcome]:
        """Look up again what is unresolved, after an `Unknown` or an interrupted call."""
        return await self.desk.settle()

    # ------------------------------------------------------------ live
    def stream(self, *codes: str, depth: bool = False) -> Stream:
        """Events of some contracts, and of the account if one is chosen; ``await start()`` it.

        Examples
        --------
        >>> stream = gw.stream("MNQ")  # doctest: +SKIP
        >>> await stream.start()  # doctest: +SKIP
        >>> async for event in stream: ...  # doctest: +SKIP
        """
        hubs = self._hubs(*records.Hub)
        for code in codes:
            hubs.subscribe_contract(self.contract(code).id, depth=depth)
        accounts = [self._account.id] if self._account else []
        return Stream(self.rest, hubs, self.directory, accounts, clock=self._clock)

    async def book(self, code: str, wait_s: float = 5.0) -> Book:
        """Return the order book as the market hub shows it now; to follow it, see `stream`.

        Raises
        ------
        NotReachable
            No depth came in `wait_s` seconds.
        """
        listing = self.contract(code)
        hubs = self._hubs(records.Hub.MARKET)
        book = await glance.book_now(hubs, listing.id, self._clock, wait_s)
        if book.best_bid is None and book.best_ask is None:
            raise NotReachable(
                f"no depth of {listing.code} came in {wait_s:g} s: the market hub cannot be "
                "reached, or the market is closed"
            )
        return book

    def _hubs(self, *which: records.Hub) -> Hubs:
        settings = HubSettings(hubs=which, always_open=self._always_open)
        return Hubs(
            self.profile, self.rest, self.directory, clock=self._clock, settings=settings
        )  # fmt: skip


def _positive(qty: int) -> int:
    # buy(-1) could mean either; an order is never turned round by a sign.
    if type(qty) is not int or qty < 1:
        raise UsageError(f"quantity {qty!r}: a whole number of contracts, at least 1")
    return qty

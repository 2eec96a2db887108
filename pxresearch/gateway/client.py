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

from collections.abc import Sequence
from types import TracebackType
from typing import Any

import httpx
import polars as pl

from pxresearch.clock import NS, Clock, WallClock
from pxresearch.core.records import LIMIT, MARKET, STOP
from pxresearch.errors import NotUnderstood, UsageError
from pxresearch.gateway import frames, records
from pxresearch.gateway.contracts import Directory, Listing
from pxresearch.gateway.credentials import Credentials, credentials
from pxresearch.gateway.desk import Desk
from pxresearch.gateway.flatten import Flat, flatten
from pxresearch.gateway.history import Length, all_bars
from pxresearch.gateway.hubs import Hubs, HubSettings
from pxresearch.gateway.orders import NewOrder
from pxresearch.gateway.outcome import Outcome
from pxresearch.gateway.profiles import profile as find_profile
from pxresearch.gateway.rest import Rest
from pxresearch.gateway.stream import Stream
from pxresearch.gateway.tags import ENTRY, make_tag, run_name

_DAY_NS = 24 * 3600 * NS
_SKEW_NS = 60 * NS
_LIVE_WORDS = ("LIVE",)


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
        self._account: records.Account | None = None
        self._run = run_name(self._clock.now())
        self._intents = 0

    def __repr__(self) -> str:
        chosen = f", account {self._account.name}" if self._account else ""
        return f"Gateway({self.profile.firm}{chosen})"

    async def __aenter__(self) -> Gateway:
        await self.rest.__aenter__()
        try:
            for row in await self.rest.available():
                self.directory.add(row)
            self._account = await self._choose()
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
                "no account is chosen: give account=... (an id or a name of 'accounts()')"
            )
        return self._account

    async def _choose(self) -> records.Account | None:
        rows = [self.directory.account(row) for row in await self.rest.accounts()]
        if self._wanted is not None:
            wanted = str(self._wanted)
            found = [a for a in rows if wanted in (str(a.id), a.name)]
            if not found:
                raise UsageError(f"no account {wanted!r}; this user has {_listed(rows)}")
            return _not_live(found[0])
        able = [a for a in rows if a.can_trade]
        return _not_live(able[0]) if len(able) == 1 else None

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

    async def positions(self) -> pl.DataFrame:
        """Return the open positions; see `frames.position_frame`."""
        rows = await self.rest.positions(self.account.id)
        await self._look_up([row.contract_id for row in rows])
        return frames.position_frame((self.directory.position(r) for r in rows), self.directory)

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

    async def _order_frame(self, rows: Sequence[Any]) -> pl.DataFrame:
        await self._look_up([row.contract_id for row in rows])
        return frames.order_frame((self.directory.order(row) for row in rows), self.directory)

    async def _look_up(self, contract_ids: Sequence[str]) -> None:
        for contract_id in set(contract_ids):
            if contract_id not in self.directory:
                row = await self.rest.contract(contract_id)
                if row is None:
                    raise NotUnderstood(f"the venue does not know its own {contract_id!r}")
                self.directory.add(row)

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
    async def buy(self, code: str, qty: int, **terms: Any) -> Outcome:
        """Buy; see `order` for the terms."""
        return await self.order(code, qty, **terms)

    async def sell(self, code: str, qty: int, **terms: Any) -> Outcome:
        """Sell; see `order` for the terms."""
        return await self.order(code, -qty, **terms)

    async def order(
        self, code: str, qty: int, *, limit: float | None = None, stop: float | None = None,
        stop_ticks: int = 0, target_ticks: int = 0, stop_loss: float | None = None,
        take_profit: float | None = None, target_r: float | None = None,
    ) -> Outcome:  # fmt: skip
        """Place an order: market, or limit or stop at a price; with a bracket in one line.

        Parameters
        ----------
        qty
            Contracts; negative sells.
        limit, stop
            Price of a limit or a stop order.
        stop_ticks, target_ticks
            Distances of the bracket's legs from the fill, positive.
        stop_loss, take_profit
            The same as prices; for a limit or stop order, whose price is known.
        target_r
            Target as a multiple of the stop's distance.

        Returns
        -------
        Accepted, Rejected or Unknown
            Once sent it is never sent again; an unknown outcome has been looked up.
        """
        listing = self.contract(code)
        if limit is not None and stop is not None:
            raise UsageError("give limit or stop, not both: the gateway takes no stop-limit orders")
        level = None if limit is None and stop is None else listing.to_ticks(_given(limit, stop))
        side = 1 if qty > 0 else -1
        stop_ticks = stop_ticks or _distance(listing, level, stop_loss, -side, "stop_loss")
        target_ticks = target_ticks or _distance(listing, level, take_profit, side, "take_profit")
        if target_r is not None:
            target_ticks = _multiple(target_r, stop_ticks, target_ticks)
        self._intents += 1
        order = NewOrder(
            account=self.account.id, contract_id=listing.id,
            kind=MARKET if level is None else LIMIT if stop is None else STOP,
            side=side, qty=abs(qty), limit=level if stop is None else None,
            stop=level if stop is not None else None, stop_ticks=stop_ticks,
            target_ticks=target_ticks, is_automated=True,
            tag=make_tag("notebook", self._run, self._intents, ENTRY),
        )  # fmt: skip
        return await self.desk.place(order)

    async def modify(
        self, order_id: int, *, qty: int | None = None, limit: float | None = None,
        stop: float | None = None,
    ) -> Outcome:  # fmt: skip
        """Change an order; what is left out stays."""
        row = await self.rest.order(self.account.id, order_id)
        if row is None:
            raise UsageError(f"the venue knows no order {order_id} of this account")
        await self._look_up([row.contract_id])
        listing = self.directory.listing(row.contract_id)
        return await self.desk.modify(
            self.account.id, order_id, row.contract_id, qty=qty,
            limit=None if limit is None else listing.to_ticks(limit),
            stop=None if stop is None else listing.to_ticks(stop),
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

    # ------------------------------------------------------------ live
    def stream(self, *codes: str, depth: bool = False) -> Stream:
        """Events of some contracts, and of the account if one is chosen; ``await start()`` it.

        Examples
        --------
        >>> stream = gw.stream("MNQ")  # doctest: +SKIP
        >>> await stream.start()  # doctest: +SKIP
        >>> async for event in stream: ...  # doctest: +SKIP
        """
        hubs = Hubs(
            self.profile, self.rest, self.directory, clock=self._clock,
            settings=HubSettings(always_open=self._always_open),
        )  # fmt: skip
        for code in codes:
            hubs.subscribe_contract(self.contract(code).id, depth=depth)
        accounts = [self._account.id] if self._account else []
        return Stream(self.rest, hubs, self.directory, accounts, clock=self._clock)


def _not_live(account: records.Account) -> records.Account:
    if account.simulated is False or account.name.upper().startswith(_LIVE_WORDS):
        raise UsageError(
            f"account {account.name} is a live-funded one; the gateway does not trade those, and "
            "neither does this program"
        )
    return account


def _listed(rows: Sequence[records.Account]) -> str:
    return ", ".join(
        f"{a.name} ({a.id}{'' if a.can_trade else ', cannot trade'})" for a in rows
    ) or "no account"  # fmt: skip


def _given(first: float | None, second: float | None) -> float:
    value = first if first is not None else second
    assert value is not None
    return float(value)


def _distance(
    listing: Listing, level: int | None, price: float | None, sign: int, name: str
) -> int:
    """Ticks from the order's level to a bracket price on the side `sign`."""
    if price is None:
        return 0
    if level is None:
        raise UsageError(
            f"{name} is a price, and where a market order fills is not known before; give it in "
            f"ticks: {'stop_ticks' if name == 'stop_loss' else 'target_ticks'}"
        )
    ticks = (listing.to_ticks(float(price)) - level) * sign
    if ticks <= 0:
        raise UsageError(
            f"{name} {price} is on the wrong side of the order's price {listing.to_price(level)}"
        )
    return ticks


def _multiple(ratio: float, stop_ticks: int, target_ticks: int) -> int:
    if target_ticks or not stop_ticks or ratio <= 0:
        raise UsageError(
            "target_r is a positive multiple of the stop's distance; give it with stop_ticks or "
            "stop_loss, and without a target of its own"
        )
    return max(1, round(stop_ticks * ratio))

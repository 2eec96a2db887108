"""The simulated exchange: accounts, orders, brackets, positions and trades, on the core's matching.

Pure and deterministic: ids, answers and events follow from the calls alone. Fills, positions,
profit and costs are the core's own (`core.matching`, `core.account`), so an order fills here when
it would fill in a backtest on the same quotes and trades. How the real venue behaves where that is
known, and the switches where it is not: docs/simulator.md.

I/O: none
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from pxresearch.errors import UnknownName, UsageError
from pxresearch.gateway import wire
from pxresearch.gateway.wire import OrderType
from pxresearch.gateway.wire.base import Wire
from pxresearch.simulator import rules
from pxresearch.simulator.accounts import AccountSpec, VenueAccount
from pxresearch.simulator.desk import Desk
from pxresearch.simulator.events import Truth, UserEvent
from pxresearch.simulator.floor import Floor
from pxresearch.simulator.listing import Listed
from pxresearch.simulator.matcher import Market
from pxresearch.simulator.oneoff import OneOff
from pxresearch.simulator.reads import Reads
from pxresearch.simulator.settings import VenueSettings
from pxresearch.simulator.trading import Trading


class Exchange:
    """One venue.

    Parameters
    ----------
    listed
        The active contracts, see `listing.listed_contracts`.
    settings
        Switches.
    now
        ns UTC.
    """

    def __init__(
        self, listed: Iterable[Listed], settings: VenueSettings | None = None, *, now: int
    ) -> None:
        self._floor = Floor(listed, settings or VenueSettings(), now)
        self._trading = Trading(self._floor)
        desk, reads = Desk(self._floor, self._trading), Reads(self._floor)
        self._desk = desk
        self._handlers: dict[str, Callable[[str, Any], wire.Answer]] = {
            wire.ACCOUNT_SEARCH.path: reads.accounts,
            wire.CONTRACT_SEARCH.path: reads.contracts,
            wire.CONTRACT_BY_ID.path: reads.contract,
            wire.CONTRACT_AVAILABLE.path: reads.available,
            wire.ORDER_SEARCH.path: reads.orders,
            wire.ORDER_OPEN.path: reads.open_orders,
            wire.ORDER_BY_ID.path: reads.order,
            wire.ORDER_QUERY.path: reads.query,
            wire.POSITION_OPEN.path: reads.positions,
            wire.TRADE_SEARCH.path: reads.trades,
            wire.PLACE.path: desk.place,
            wire.MODIFY.path: desk.modify,
            wire.CANCEL.path: desk.cancel,
            wire.CLOSE.path: desk.close,
            wire.PARTIAL_CLOSE.path: desk.partial_close,
        }

    @property
    def listed(self) -> list[Listed]:
        """The active contracts."""
        return list(self._floor.listed.values())

    @property
    def settings(self) -> VenueSettings:
        """The switches."""
        return self._floor.settings

    @property
    def account_ids(self) -> list[int]:
        """Ids of all accounts, in the order in which they were opened."""
        return list(self._floor.accounts)

    def owner(self, account_id: int) -> str:
        """User name of an account's owner."""
        return self._account(account_id).owner

    def market(self, contract_id: str) -> Market:
        """Present market of an active contract."""
        self._listed(contract_id)
        return self._floor.markets[contract_id]

    def add_account(self, spec: AccountSpec) -> None:
        """Open an account.

        Raises
        ------
        UsageError
            The id is taken.
        """
        if spec.id in self._floor.accounts:
            raise UsageError(f"account {spec.id} is there already; give another id")
        self._floor.accounts[spec.id] = VenueAccount(spec, self._floor.settings)

    # ------------------------------------------------------------ requests
    def call(self, owner: str, operation: wire.Operation, request: Wire, now: int) -> wire.Answer:
        """Answer of an operation on accounts, contracts, orders, positions or trades.

        Parameters
        ----------
        owner
            User name behind the token; other users' accounts do not exist for it.
        now
            ns UTC.

        Raises
        ------
        UsageError
            An operation that is not the exchange's: Auth, History.
        NotUnderstood
            A time in the request that is none.
        """
        handler = self._handlers.get(operation.path)
        if handler is None:
            raise UsageError(f"{operation.name} is not answered by the exchange")
        self.advance(now)
        answer = handler(owner, request)
        rules.watch(self._floor, self._trading)
        return answer

    def take_events(self) -> list[UserEvent]:
        """User events since the last call, in order."""
        return self._floor.take_events()

    # ------------------------------------------------------------ the market
    def quote(
        self, contract_id: str, ts: int, bid: int | None, ask: int | None, bid_sz: int, ask_sz: int
    ) -> None:
        """Move the best prices of a contract, and match. Ticks; None for an empty side."""
        self._listed(contract_id)
        self.advance(ts)
        markets = self._floor.markets
        markets[contract_id] = Market(ts, bid, ask, bid_sz, ask_sz, markets[contract_id].last)
        self._trading.match(contract_id)
        rules.watch(self._floor, self._trading)

    def trade(self, contract_id: str, ts: int, price: int, size: int, side: int) -> None:
        """Print a trade of the market, and match. `side`: +1 buyer, -1 seller, 0 unknown."""
        self._listed(contract_id)
        self.advance(ts)
        markets = self._floor.markets
        markets[contract_id] = markets[contract_id]._replace(ts=ts, last=price)
        self._trading.match(contract_id, (price, size, side))
        rules.watch(self._floor, self._trading)

    def advance(self, now: int) -> None:
        """Let the time go on: the turn of the trading day, acknowledgements held back."""
        if self._floor.advance(now):
            rules.new_day(self._floor)
        if self._trading.holds:
            self._trading.release()

    # ------------------------------------------------------------ by hand
    def manual(
        self, account_id: int, contract_id: str, side: int, size: int, *,
        type: OrderType = OrderType.MARKET, limit_price: Decimal | None = None,
        stop_price: Decimal | None = None, now: int,
    ) -> wire.Answer:  # fmt: skip
        """Order by hand in the platform, without a tag; `side` is +1 or -1."""
        request = wire.PlaceOrder(
            account_id=account_id, contract_id=contract_id, type=type,
            side=wire.OrderSide.BUY if side > 0 else wire.OrderSide.SELL, size=size,
            limit_price=limit_price, stop_price=stop_price,
        )  # fmt: skip
        return self.call(self._account(account_id).owner, wire.PLACE, request, now)

    def set_can_trade(self, account_id: int, allowed: bool) -> None:
        """Switch the permission to place orders, and tell of it."""
        account = self._account(account_id)
        account.can_trade = allowed
        self._floor.tell_account(account)

    def halt(self, contract_id: str, halted: bool) -> None:
        """Halt or resume a contract: quotes go on, orders are neither taken nor filled."""
        self._listed(contract_id)
        (self._floor.halted.add if halted else self._floor.halted.discard)(contract_id)

    def arm(self, what: OneOff, times: int = 1) -> None:
        """Let a one-off misbehaviour happen on the next occasion, or the next `times`."""
        self._floor.oneoffs.arm(what, times)

    # ------------------------------------------------------------ for tests and control
    def truth(self, account_id: int) -> Truth:
        """All of an account as it really is."""
        account = self._account(account_id)
        return Truth(
            account=account.record(),
            orders=[self._floor.record(account, one) for one in account.book.orders],
            positions=[one.record(account.id) for one in account.holdings.values()],
            trades=list(account.trades),
        )

    def _account(self, account_id: int) -> VenueAccount:
        found = self._floor.accounts.get(account_id)
        if found is None:
            raise UnknownName("account", str(account_id), map(str, self._floor.accounts))
        return found

    def _listed(self, contract_id: str) -> Listed:
        found = self._floor.listed.get(contract_id)
        if found is None:
            raise UnknownName("active contract", contract_id, self._floor.listed)
        return found

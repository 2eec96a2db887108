"""The state of the exchange, and the few moves that everything else is made of.

I/O: none
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from pxresearch.core.records import LIMIT, MARKET, STOP, TRAILING
from pxresearch.gateway import wire
from pxresearch.gateway.wire import OrderStatus, OrderType
from pxresearch.sessions import trading_day
from pxresearch.simulator.accounts import VenueAccount
from pxresearch.simulator.events import CLOSED, UPDATED, UserEvent
from pxresearch.simulator.hours import Hours
from pxresearch.simulator.listing import Listed
from pxresearch.simulator.matcher import Market
from pxresearch.simulator.oneoff import OneOff, OneOffs
from pxresearch.simulator.orders import VenueOrder
from pxresearch.simulator.settings import VenueSettings

MINUTE = 60_000_000_000
_FIRST_ORDER = 3_900_000_101  # live ids do not fit 32 bits
_FIRST_TRADE = 3_300_000_901
_FIRST_POSITION = 830_000_017
_KINDS = {
    OrderType.MARKET: MARKET, OrderType.LIMIT: LIMIT, OrderType.JOIN_BID: LIMIT,
    OrderType.JOIN_ASK: LIMIT, OrderType.STOP: STOP, OrderType.TRAILING_STOP: TRAILING,
}  # fmt: skip


class Floor:
    """Accounts, contracts, markets, clock and events of one exchange.

    Parameters
    ----------
    listed
        The active contracts.
    settings
        Switches.
    now
        ns UTC; it never goes back.
    """

    def __init__(self, listed: Iterable[Listed], settings: VenueSettings, now: int) -> None:
        self.settings = settings
        self.listed = {one.id: one for one in listed}
        self.markets = dict.fromkeys(self.listed, Market())
        self.accounts: dict[int, VenueAccount] = {}
        self.halted: set[str] = set()
        self.oneoffs = OneOffs()
        self.now = now
        self.day = trading_day(now)
        self._minute = now // MINUTE
        self._hours = Hours(settings.always_open)
        self._costs: dict[str, tuple[int, int]] = {}
        self._events: list[UserEvent] = []
        self._order_ids = itertools.count(_FIRST_ORDER)
        self._trade_ids = itertools.count(_FIRST_TRADE)
        self._position_ids = itertools.count(_FIRST_POSITION)

    def account_of(self, owner: str, account_id: int) -> VenueAccount | None:
        """The account with this id, if it is this owner's: another's does not exist for it."""
        account = self.accounts.get(account_id)
        return account if account is not None and account.owner == owner else None

    # ------------------------------------------------------------ time
    def advance(self, now: int) -> bool:
        """Move the time on; True on the first call of a new trading day."""
        self.now = max(self.now, now)
        minute = self.now // MINUTE
        if minute == self._minute:
            return False
        self._minute = minute
        day = trading_day(self.now)
        if day == self.day:
            return False
        self.day = day
        self._costs.clear()
        return True

    def is_tradable(self, listed: Listed) -> bool:
        """Whether the contract is in an active trading status."""
        return listed.id not in self.halted and self._hours.is_open(listed.product, self.now)

    def costs(self, listed: Listed) -> tuple[int, int]:
        """Fees and commission of a contract on one side today, micro-dollars."""
        found = self._costs.get(listed.product.root)
        if found is None:
            found = self._costs[listed.product.root] = listed.product.fee_parts_micros(self.day)
        return found

    # ------------------------------------------------------------ ids and events
    def order_id(self) -> int:
        """Take the next order id."""
        return next(self._order_ids)

    def trade_id(self) -> int:
        """Take the next trade id."""
        return next(self._trade_ids)

    def position_id(self) -> int:
        """Take the next position id."""
        return next(self._position_ids)

    def tell(
        self, account: VenueAccount, target: str, action: int,
        record: wire.Account | wire.Order | wire.Position | wire.Trade,
    ) -> None:  # fmt: skip
        """Add an event for the account's owner."""
        if self.oneoffs.use(OneOff.DROP_EVENT):
            return
        event = UserEvent(
            owner=account.owner, account_id=account.id, target=target, action=action, record=record
        )  # fmt: skip
        self._events.append(event)

    def tell_order(self, account: VenueAccount, order: VenueOrder) -> None:
        """Tell of an order as it is now."""
        action = CLOSED if order.status.done else UPDATED
        self.tell(account, wire.USER_ORDER, action, self.record(account, order))

    def tell_account(self, account: VenueAccount) -> None:
        """Tell of an account as it is now."""
        self.tell(account, wire.USER_ACCOUNT, UPDATED, account.record())

    def take_events(self) -> list[UserEvent]:
        """Events since the last call, in order."""
        taken, self._events = self._events, []
        return taken

    # ------------------------------------------------------------ orders in the core
    def record(self, account: VenueAccount, order: VenueOrder) -> wire.Order:
        """An order as the gateway tells of it; a trailing stop where it stands now."""
        if order.type is OrderType.TRAILING_STOP and order.slot >= 0:
            order.stop = account.matcher.stop_of(order.slot)
        return order.record()

    def contract_slot(self, account: VenueAccount, listed: Listed) -> int | None:
        """Place of a contract in the account's record, its costs of today set; None if full."""
        cost = sum(self.costs(listed))
        return account.matcher.contract(listed, self.markets[listed.id], cost)

    def put_in_core(self, account: VenueAccount, order: VenueOrder, resting: bool) -> int | None:
        """Give an order to the core; its contract's place, or None when there is no room."""
        k = self.contract_slot(account, order.listed)
        matcher = account.matcher
        if k is None or matcher.free_orders == 0:
            return None
        if not resting:
            matcher.quote(k, self.now, self.markets[order.listed.id])
        slot = matcher.add(k, self.now, order.side, order.left, _KINDS[order.type], resting)
        account.book.place_in_core(order, slot, matcher.number(slot))
        self.set_prices(account, order)
        return k

    def set_prices(self, account: VenueAccount, order: VenueOrder) -> None:
        """Write an order's quantity and prices into the core; a trailing stop starts anew."""
        members = {"qty": order.size, "filled": order.filled}
        if order.limit is not None:
            members["limit"] = order.limit
        if order.stop is not None:
            members["stop"] = order.stop
        if order.trail is not None and order.stop is not None:
            members["trail"] = order.trail
            members["best"] = order.stop - order.side * order.trail
        account.matcher.set(order.slot, **members)

    def resize(self, account: VenueAccount, order: VenueOrder, size: int) -> None:
        """Change an order's quantity and tell of it."""
        order.size = size
        if order.slot >= 0:
            account.matcher.set(order.slot, qty=size)
        self.tell_order(account, order)

    def end(self, account: VenueAccount, order: VenueOrder, status: OrderStatus) -> None:
        """End an order that the core has not ended itself, and tell of it."""
        if order.slot >= 0:
            k = self.contract_slot(account, order.listed)
            if k is not None:
                account.matcher.remove(k, order.slot, self.now)
        account.book.end(order, status)
        order.updated = self.now
        self.tell_order(account, order)

"""What happens when orders meet the market: arrivals, fills, and what a fill brings about.

Of one fill the users hear: the order, the trade, the sibling of a leg, the position, the account,
then the legs of an entry.

I/O: none
"""

from __future__ import annotations

from pxresearch.gateway import wire
from pxresearch.gateway.wire import OrderSide, OrderStatus, OrderType
from pxresearch.simulator import brackets
from pxresearch.simulator.accounts import Holding, VenueAccount, dollars
from pxresearch.simulator.events import CLOSED, INSERTED, UPDATED
from pxresearch.simulator.floor import Floor
from pxresearch.simulator.matcher import Fill
from pxresearch.simulator.oneoff import OneOff
from pxresearch.simulator.orders import VenueOrder
from pxresearch.simulator.settings import BracketMode

_MS = 1_000_000


class Trading:
    """Orders of the floor, from acceptance to their end."""

    def __init__(self, floor: Floor) -> None:
        self.floor = floor
        self._held: list[tuple[int, VenueAccount, VenueOrder]] = []  # until when

    # ------------------------------------------------------------ orders come and go
    def accept(self, account: VenueAccount, order: VenueOrder) -> None:
        """Take a checked order, with its legs, and let it meet the market."""
        floor = self.floor
        order.legs = brackets.make_legs(floor, order)
        stops = [leg for leg in order.legs if leg.is_stop]
        targets = [leg for leg in order.legs if not leg.is_stop]
        for one in (order, *order.legs):
            account.book.add(one)
        for one in (*stops, order, *targets):
            floor.tell_order(account, one)
        if floor.oneoffs.use(OneOff.HOLD_ACK):
            until = floor.now + floor.settings.ack_delay_ms * _MS
            self._held.append((until, account, order))
        else:
            self.activate(account, order)

    @property
    def holds(self) -> bool:
        """Whether an acknowledgement is held back."""
        return bool(self._held)

    def release(self) -> None:
        """Let held orders whose time has come meet the market."""
        held, self._held = self._held, []
        for until, account, order in held:
            if order.status.done:
                continue
            if until <= self.floor.now and self.floor.is_tradable(order.listed):
                self.activate(account, order)
            else:
                self._held.append((until, account, order))

    def activate(self, account: VenueAccount, order: VenueOrder) -> None:
        """Let an order reach the book: it fills at once, or rests and is told of as open."""
        k = self.floor.put_in_core(account, order, resting=False)
        if k is None:
            self.cancel(account, order, OrderStatus.REJECTED)
            return
        self._arrive(account, order, k)
        if order.status is OrderStatus.PENDING:
            order.status, order.updated = OrderStatus.OPEN, self.floor.now
            self.floor.tell_order(account, order)

    def reprice(self, account: VenueAccount, order: VenueOrder) -> None:
        """Let a modified order that can be marketable now meet the standing quote."""
        k = self.floor.contract_slot(account, order.listed)
        if k is not None:
            account.matcher.quote(k, self.floor.now, self.floor.markets[order.listed.id])
            self._arrive(account, order, k)

    def _arrive(self, account: VenueAccount, order: VenueOrder, k: int) -> None:
        account.matcher.offer_one(self.floor.oneoffs.armed(OneOff.PARTIAL_FILL))
        fill = account.matcher.arrive(k, order.slot, self.floor.now)
        if fill is not None:
            self._filled(account, fill)

    def cancel(
        self, account: VenueAccount, order: VenueOrder,
        status: OrderStatus = OrderStatus.CANCELLED,
    ) -> None:  # fmt: skip
        """End an order, and with it its legs that still wait for a fill."""
        self.floor.end(account, order, status)
        for leg in order.legs:
            if leg.status is OrderStatus.SUSPENDED:
                self.floor.end(account, leg, OrderStatus.CANCELLED)

    def fill_now(self, account: VenueAccount, order: VenueOrder) -> None:
        """Fill a working order although its price was not met: the fault of a lost race."""
        k = self.floor.contract_slot(account, order.listed)
        if k is None or order.slot < 0:
            return
        market = self.floor.markets[order.listed.id]
        if order.limit is not None:
            side = {"ask": order.limit} if order.side > 0 else {"bid": order.limit}
            market = market._replace(**side)
        account.matcher.quote(k, self.floor.now, market)
        account.matcher.set(order.slot, triggered=1)
        fill = account.matcher.arrive(k, order.slot, self.floor.now)
        if fill is not None:
            self._filled(account, fill)

    # ------------------------------------------------------------ the market moves
    def match(self, contract_id: str, trade: tuple[int, int, int] | None = None) -> None:
        """Match every account's orders in a contract against its new quote, or its new trade."""
        floor = self.floor
        listed = floor.listed[contract_id]
        if not floor.is_tradable(listed):
            return
        for account in floor.accounts.values():
            if not account.book.matched(contract_id):
                continue
            k = floor.contract_slot(account, listed)
            if k is None:
                continue
            if trade is None:
                account.matcher.quote(k, floor.now, floor.markets[contract_id])
            else:
                account.matcher.trade(k, floor.now, *trade)
            self._fills_of_event(account, k, trade is not None)

    def _fills_of_event(self, account: VenueAccount, k: int, on_trade: bool) -> None:
        oneoffs, matcher = self.floor.oneoffs, account.matcher
        while True:
            matcher.offer_one(oneoffs.armed(OneOff.PARTIAL_FILL))
            fill = matcher.next_fill(k, self.floor.now, on_trade)
            if fill is None:
                return
            self._filled(account, fill)

    # ------------------------------------------------------------ a fill
    def _filled(self, account: VenueAccount, fill: Fill) -> None:
        floor = self.floor
        order = account.book.of_number(fill.order)
        self._book_order(account, order, fill)
        self._tell_trades(account, order, fill)
        if order.is_leg:
            brackets.leg_filled(floor, account, order, fill.qty)
        self._tell_position(account, order, fill)
        floor.tell_account(account)
        if any(order.brackets):
            brackets.entry_filled(floor, account, order, fill.qty, fill.price)
        by_position = account.spec.bracket_mode is BracketMode.POSITION
        if by_position and (fill.position == 0 or not order.of_position):
            brackets.protect_position(floor, account, order.listed)

    def _book_order(self, account: VenueAccount, order: VenueOrder, fill: Fill) -> None:
        floor = self.floor
        order.filled += fill.qty
        order.value += fill.qty * fill.price
        if not (order.is_leg and floor.settings.leg_update_stays):
            order.updated = floor.now
        if order.left > 0:
            order.status = OrderStatus.OPEN
            floor.oneoffs.use(OneOff.PARTIAL_FILL)
        else:
            account.book.end(order, OrderStatus.FILLED)
        floor.tell_order(account, order)

    def _tell_trades(self, account: VenueAccount, order: VenueOrder, fill: Fill) -> None:
        before = fill.position - order.side * fill.qty
        closed = min(fill.qty, abs(before)) if before * order.side < 0 else 0
        parts: list[tuple[int, int | None]] = [(fill.qty, fill.realized if closed else None)]
        if 0 < closed < fill.qty and self.floor.settings.two_rows_through_zero:
            parts = [(closed, fill.realized), (fill.qty - closed, None)]
        fees, commission = self.floor.costs(order.listed)
        for qty, gross in parts:
            row = wire.Trade(
                id=self.floor.trade_id(), account_id=account.id, contract_id=order.listed.id,
                creation_timestamp=wire.to_iso(self.floor.now),
                price=order.listed.price(fill.price),
                profit_and_loss=None if gross is None else dollars(gross),
                fees=dollars(qty * fees), commissions=dollars(qty * commission),
                side=OrderSide.BUY if order.side > 0 else OrderSide.SELL, size=qty,
                voided=False, order_id=order.id,
            )  # fmt: skip
            account.trades.append(row)
            self.floor.tell(account, wire.USER_TRADE, INSERTED, row)

    def _tell_position(self, account: VenueAccount, order: VenueOrder, fill: Fill) -> None:
        listed = order.listed
        holding = account.holdings.get(listed.id)
        if holding is not None and holding.quantity * fill.position <= 0:
            holding.quantity = 0
            del account.holdings[listed.id]
            self.floor.tell(account, wire.USER_POSITION, CLOSED, holding.record(account.id))
            holding = None
        if fill.position == 0:
            return
        _, value = account.matcher.position(listed.id)
        average = listed.average(value, fill.position)
        if holding is None:
            holding = Holding(
                self.floor.position_id(), listed, self.floor.now, fill.position, average
            )
            account.holdings[listed.id] = holding
        holding.quantity, holding.average = fill.position, average
        self.floor.tell(account, wire.USER_POSITION, UPDATED, holding.record(account.id))


def market_order(floor: Floor, account: VenueAccount, contract_id: str, size: int) -> VenueOrder:
    """A market order of the platform against `size` contracts (signed) of a position; no tag."""
    return VenueOrder(
        id=floor.order_id(), account_id=account.id, listed=floor.listed[contract_id],
        type=OrderType.MARKET, side=-1 if size > 0 else 1, size=abs(size), created=floor.now,
        updated=floor.now,
    )  # fmt: skip

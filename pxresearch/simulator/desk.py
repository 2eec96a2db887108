"""The desk: the requests that change something, each checked, answered and carried out.

I/O: none
"""

from __future__ import annotations

from decimal import Decimal

from pxresearch.gateway import wire
from pxresearch.gateway.wire import Answer, OrderStatus, OrderType, PlaceAnswer
from pxresearch.simulator import checks
from pxresearch.simulator.accounts import VenueAccount
from pxresearch.simulator.floor import Floor
from pxresearch.simulator.listing import FARTHEST, Listed, by_id
from pxresearch.simulator.oneoff import OneOff
from pxresearch.simulator.orders import VenueOrder
from pxresearch.simulator.settings import AccountKind
from pxresearch.simulator.trading import Trading, market_order

NO_LIVE = "Live accounts not supported"
NO_FOLLOWER = "Follower accounts cannot {} orders"
_OK = Answer(success=True, error_code=0)
_DONE = {
    OrderStatus.FILLED: "Order is already filled.",
    OrderStatus.CANCELLED: "Order is already cancelled.",
    OrderStatus.REJECTED: "Order was rejected.",
    OrderStatus.EXPIRED: "Order has expired.",
}


def _no(operation: wire.Operation, name: str, text: str | None = None) -> Answer:
    code = next(number for number, known in operation.codes.items() if known == name)
    return Answer(success=False, error_code=code, error_message=text)


class Desk:
    """Order/place, modify, cancel and Position/closeContract, partialCloseContract."""

    def __init__(self, floor: Floor, trading: Trading) -> None:
        self.floor = floor
        self.trading = trading

    def _barred(self, account: VenueAccount, verb: str) -> str | None:
        """Why the API may not touch the orders of this account at all."""
        if account.spec.kind is AccountKind.LIVE:
            return NO_LIVE
        return NO_FOLLOWER.format(verb) if account.spec.follower else None

    # ------------------------------------------------------------ place
    def place(self, owner: str, request: wire.PlaceOrder) -> PlaceAnswer:
        """Order/place."""
        account = self.floor.account_of(owner, request.account_id)
        if account is None:
            return _placed(_no(wire.PLACE, "AccountNotFound"))
        barred = self._barred(account, "place")
        if barred is not None or not account.can_trade:
            return _placed(_no(wire.PLACE, "AccountRejected", barred))
        if account.locked or account.over:
            return _placed(_no(wire.PLACE, "AccountViolation"))
        listed = by_id(self.floor.listed, request.contract_id, self.floor.now)
        if listed is None:
            return _placed(_no(wire.PLACE, "ContractNotFound"))
        if not listed.active:
            return _placed(_no(wire.PLACE, "ContractNotActive"))
        refused = checks.refusal(self.floor, account, listed, request)
        if refused is not None:
            order = self._rejected(account, listed, request, refused)
            return _placed(_no(wire.PLACE, "OrderRejected", refused), order.id)
        order = self._order(account, listed, request)
        order.brackets = (request.stop_loss_bracket, request.take_profit_bracket)
        self.trading.accept(account, order)
        return _placed(_OK, order.id)

    def _order(self, account: VenueAccount, listed: Listed, request: wire.PlaceOrder) -> VenueOrder:
        market = self.floor.markets[listed.id]
        side = request.side.sign
        order = VenueOrder(
            id=self.floor.order_id(), account_id=account.id, listed=listed, type=request.type,
            side=side, size=request.size, created=self.floor.now, updated=self.floor.now,
            tag=request.custom_tag or None,
        )  # fmt: skip
        if request.type is OrderType.LIMIT:
            order.limit = _ticks(listed, request.limit_price)
        elif request.type is OrderType.STOP:
            order.stop = _ticks(listed, request.stop_price)
        elif request.type is OrderType.JOIN_BID:
            order.limit = market.bid
        elif request.type is OrderType.JOIN_ASK:
            order.limit = market.ask
        elif request.type is OrderType.TRAILING_STOP:
            self._trail(order, request.trail_price)
        return order

    def _trail(self, order: VenueOrder, price: Decimal | None) -> None:
        market = self.floor.markets[order.listed.id]
        order.trail = checks.trail_ticks(order.listed, market, price)
        order.stop = (market.last or 0) + order.side * order.trail

    def _rejected(
        self, account: VenueAccount, listed: Listed, request: wire.PlaceOrder, why: str
    ) -> VenueOrder:
        """Leave the record of a refused order; a tag that is another order's stays that order's."""
        order = VenueOrder(
            id=self.floor.order_id(), account_id=account.id, listed=listed, type=request.type,
            side=1 if request.side is wire.OrderSide.BUY else -1, size=request.size,
            created=self.floor.now, updated=self.floor.now, status=OrderStatus.REJECTED,
            limit=_shown(listed, request.limit_price), stop=_shown(listed, request.stop_price),
            tag=None if why == checks.TAG_USED else request.custom_tag or None,
        )  # fmt: skip
        account.book.add(order)
        self.floor.tell_order(account, order)
        return order

    # ------------------------------------------------------------ modify
    def modify(self, owner: str, request: wire.ModifyOrder) -> Answer:
        """Order/modify; what is not given stays."""
        found = self._working(wire.MODIFY, owner, request.account_id, request.order_id, "modify")
        if isinstance(found, Answer):
            return found
        account, order = found
        refused = self._modify_refusal(account, order, request)
        if refused is not None:
            return _no(wire.MODIFY, "Rejected", refused)
        if request.trail_price is not None:
            self._trail(order, request.trail_price)
        if request.stop_price is not None:
            order.stop = _ticks(order.listed, request.stop_price)
        if request.limit_price is not None:
            order.limit = _ticks(order.listed, request.limit_price)
        if request.size is not None:
            self._resize(account, order, request.size)
        order.updated = self.floor.now
        priced = (request.limit_price, request.stop_price, request.trail_price)
        if order.slot >= 0 and any(price is not None for price in priced):
            self.floor.set_prices(account, order)
        self.floor.tell_order(account, order)
        if order.slot >= 0 and request.limit_price is not None:
            self.trading.reprice(account, order)
        return _OK

    def _resize(self, account: VenueAccount, order: VenueOrder, size: int) -> None:
        order.size = size
        if order.slot >= 0:
            account.matcher.set(order.slot, qty=size)
        for leg in order.legs:
            if leg.status is OrderStatus.SUSPENDED:
                self.floor.resize(account, leg, size)

    def _modify_refusal(
        self, account: VenueAccount, order: VenueOrder, request: wire.ModifyOrder
    ) -> str | None:
        listed, floor = order.listed, self.floor
        if not floor.is_tradable(listed):
            return checks.NOT_TRADING
        if order.status is OrderStatus.SUSPENDED:
            return "Order is suspended."
        if request.size is not None:
            if request.size <= order.filled:
                return checks.BAD_SIZE
            more = request.size - order.size
            adds = more > 0 and not order.is_leg
            if adds and checks.cap_exceeded(floor, account, listed, order.side, more):
                return checks.over_cap(floor, account)
        for price, fits in (
            (request.limit_price, order.limit is not None),
            (request.stop_price, order.type is OrderType.STOP),
            (request.trail_price, order.type is OrderType.TRAILING_STOP),
        ):
            if price is not None and not fits:
                return "Invalid price. The order has no such price."
        if request.limit_price is not None:
            return checks.limit_refusal(listed, request.limit_price)
        if request.stop_price is not None:
            return checks.stop_refusal(floor, listed, order.side, request.stop_price)
        if request.trail_price is not None:
            return checks.trail_refusal(listed, floor.markets[listed.id], request.trail_price)
        return None

    # ------------------------------------------------------------ cancel
    def cancel(self, owner: str, request: wire.OneOrder) -> Answer:
        """Order/cancel."""
        found = self._working(wire.CANCEL, owner, request.account_id, request.order_id, "cancel")
        if isinstance(found, Answer):
            return found
        account, order = found
        if order.slot >= 0 and self.floor.oneoffs.use(OneOff.FILL_DURING_CANCEL):
            self.trading.fill_now(account, order)
            if order.status.done:
                return _no(wire.CANCEL, "Rejected", _DONE[order.status])
        order.removed = True
        self.trading.cancel(account, order)
        return _OK

    def _working(
        self, operation: wire.Operation, owner: str, account_id: int, order_id: int, verb: str
    ) -> tuple[VenueAccount, VenueOrder] | Answer:
        account = self.floor.account_of(owner, account_id)
        if account is None:
            return _no(operation, "AccountNotFound")
        barred = self._barred(account, verb)
        if barred is not None:
            return _no(operation, "AccountRejected", barred)
        order = account.book.get(order_id)
        if order is None:
            return _no(operation, "OrderNotFound")
        if order.status.done:
            return _no(operation, "Rejected", _DONE[order.status])
        return account, order

    # ------------------------------------------------------------ close
    def close(self, owner: str, request: wire.CloseContract) -> Answer:
        """Position/closeContract: a market order without a tag; resting legs stay."""
        return self._close(wire.CLOSE, owner, request.account_id, request.contract_id, None)

    def partial_close(self, owner: str, request: wire.PartialClose) -> Answer:
        """Position/partialCloseContract."""
        return self._close(
            wire.PARTIAL_CLOSE, owner, request.account_id, request.contract_id, request.size
        )

    def _close(
        self, operation: wire.Operation, owner: str, account_id: int, contract_id: str,
        size: int | None,
    ) -> Answer:  # fmt: skip
        floor = self.floor
        account = self.floor.account_of(owner, account_id)
        if account is None:
            return _no(operation, "AccountNotFound")
        barred = self._barred(account, "close")
        if barred is not None:
            return _no(operation, "AccountRejected", barred)
        listed = by_id(floor.listed, contract_id, floor.now)
        if listed is None:
            return _no(operation, "ContractNotFound")
        if not listed.active:
            return _no(operation, "ContractNotActive")
        held, _ = account.matcher.position(contract_id)
        if held == 0:
            return _no(operation, "PositionNotFound")
        if size is not None and not 0 < size <= abs(held):
            return _no(operation, "InvalidCloseSize")
        market = floor.markets[contract_id]
        price = market.bid if held > 0 else market.ask
        if price is None or not floor.is_tradable(listed) or account.matcher.free_orders == 0:
            return _no(operation, "OrderRejected")
        wanted = abs(held) if size is None else size
        order = market_order(floor, account, contract_id, wanted if held > 0 else -wanted)
        self.trading.accept(account, order)
        return _OK


def _ticks(listed: Listed, price: Decimal | None) -> int | None:
    return None if price is None else listed.ticks(price)


def _shown(listed: Listed, price: Decimal | None) -> int | None:
    """Ticks of a refused order's price for its record, where it is one."""
    ticks = _ticks(listed, price)
    return None if ticks is None or abs(ticks) >= FARTHEST else ticks


def _placed(answer: Answer, order_id: int | None = None) -> PlaceAnswer:
    return PlaceAnswer(
        success=answer.success, error_code=answer.error_code, error_message=answer.error_message,
        order_id=order_id,
    )  # fmt: skip

"""One exchange, one account, a clock that moves a second with every call."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pxresearch.gateway import wire
from pxresearch.gateway.wire import OrderSide, OrderType
from pxresearch.simulator.accounts import AccountSpec
from pxresearch.simulator.events import UserEvent
from pxresearch.simulator.exchange import Exchange
from pxresearch.simulator.listing import listed_contracts
from pxresearch.simulator.settings import VenueSettings

START = wire.to_ns("2026-11-25T15:00:00Z")  # a Wednesday, 09:00 in Chicago
SECOND = 10**9
MNQ = "CON.F.US.MNQ.Z26"
ME, ACCOUNT = "trader", 7001122
TICK = Decimal("0.25")


class Kit:
    """Short calls; prices of MNQ in ticks of 0.25 unless a Decimal is given."""

    def __init__(
        self, *, start: int = START, account: dict[str, Any] | None = None, **settings: Any
    ):
        settings.setdefault("always_open", True)
        self.now = start
        self.venue = Exchange(listed_contracts(start), VenueSettings(**settings), now=start)
        self.venue.add_account(AccountSpec(id=ACCOUNT, owner=ME, **(account or {})))
        self.events: list[UserEvent] = []
        self.batch: list[UserEvent] = []  # of the last call

    def _after(self) -> None:
        self.batch = self.venue.take_events()
        self.events += self.batch

    def call(self, operation: wire.Operation, owner: str = ME, **members: Any) -> Any:
        self.now += SECOND
        answer = self.venue.call(owner, operation, operation.request(**members), self.now)
        self._after()
        return answer

    # ------------------------------------------------------------ market
    def quote(
        self, bid: int | None, ask: int | None, *, size: tuple[int, int] = (10, 10), at: str = MNQ
    ) -> None:
        self.now += SECOND
        self.venue.quote(at, self.now, bid, ask, *size)
        self._after()

    def trade(self, price: int, size: int = 1, *, at: str = MNQ) -> None:
        self.now += SECOND
        self.venue.trade(at, self.now, price, size, 1)
        self._after()

    def open_market(self, bid: int = 100_000, at: str = MNQ) -> None:
        """One tick of spread and a trade at the bid."""
        self.quote(bid, bid + 1, at=at)
        self.trade(bid, at=at)

    # ------------------------------------------------------------ orders
    def place(
        self, side: int, size: int = 1, kind: OrderType = OrderType.MARKET, *,
        limit: int | Decimal | None = None, stop: int | Decimal | None = None,
        trail: int | Decimal | None = None, sl: int | None = None, tp: int | None = None,
        sl_type: OrderType = OrderType.STOP, tp_type: OrderType = OrderType.LIMIT,
        tag: str | None = None, at: str = MNQ, account: int = ACCOUNT, owner: str = ME,
    ) -> Any:  # fmt: skip
        return self.call(
            wire.PLACE, owner, account_id=account, contract_id=at, type=kind,
            side=OrderSide.BUY if side > 0 else OrderSide.SELL, size=size,
            limit_price=_price(limit), stop_price=_price(stop), trail_price=_price(trail),
            custom_tag=tag,
            stop_loss_bracket=None if sl is None else wire.Bracket(ticks=sl, type=sl_type),
            take_profit_bracket=None if tp is None else wire.Bracket(ticks=tp, type=tp_type),
        )  # fmt: skip

    def modify(self, order_id: int, **prices: Any) -> Any:
        members = {k: v if k == "size" else _price(v) for k, v in prices.items()}
        return self.call(wire.MODIFY, account_id=ACCOUNT, order_id=order_id, **members)

    def cancel(self, order_id: int) -> Any:
        return self.call(wire.CANCEL, account_id=ACCOUNT, order_id=order_id)

    def close(self, at: str = MNQ) -> Any:
        return self.call(wire.CLOSE, account_id=ACCOUNT, contract_id=at)

    def partial_close(self, size: int, at: str = MNQ) -> Any:
        return self.call(wire.PARTIAL_CLOSE, account_id=ACCOUNT, contract_id=at, size=size)

    # ------------------------------------------------------------ looking
    def order(self, order_id: int) -> wire.Order:
        answer = self.call(wire.ORDER_BY_ID, account_id=ACCOUNT, order_id=order_id)
        assert answer.success
        return answer.order

    @property
    def truth(self) -> Any:
        return self.venue.truth(ACCOUNT)

    @property
    def working(self) -> list[wire.Order]:
        return [one for one in self.truth.orders if not one.status.done]

    def position(self, at: str = MNQ) -> int:
        """Signed."""
        rows = [one for one in self.truth.positions if one.contract_id == at]
        assert len(rows) <= 1
        return sum(row.size if row.type is wire.PositionType.LONG else -row.size for row in rows)


def _price(value: int | Decimal | None) -> Decimal | None:
    return value * TICK if isinstance(value, int) else value


def in_words(events: list[UserEvent]) -> list[tuple[Any, ...]]:
    """(what, action, and what matters of it) of each event."""
    return [
        (event.target.removeprefix("GatewayUser"), event.action, *_of(event)) for event in events
    ]


def _of(event: UserEvent) -> tuple[Any, ...]:
    record = event.record
    if isinstance(record, wire.Order):
        return record.id, int(record.status)
    if isinstance(record, wire.Trade):
        return record.order_id, record.size, record.profit_and_loss
    if isinstance(record, wire.Position):
        return int(record.type), record.size
    return (record.balance,)

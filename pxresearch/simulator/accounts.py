"""Accounts of the simulated venue: what they are, what they hold, what they did.

Money is micro-dollars inside, exact decimals of dollars outside.

I/O: none
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from pxresearch.errors import UsageError
from pxresearch.gateway import wire
from pxresearch.gateway.wire import PositionType
from pxresearch.simulator.listing import Listed
from pxresearch.simulator.matcher import Market, Matcher
from pxresearch.simulator.orders import OrderBook
from pxresearch.simulator.settings import AccountKind, BracketMode, VenueSettings

_MICROS = 1_000_000


class AccountSpec(msgspec.Struct, frozen=True, kw_only=True):
    """An account to open. Money in dollars; None: no such rule.

    Attributes
    ----------
    owner
        User name of whoever may see it and trade it.
    follower
        Copies another account; the API may not trade it.
    daily_loss, max_loss
        The venue flattens and locks the account when its profit of the day, or of its life, open
        positions included, falls to minus this.
    position_stop, position_target
        In Position Brackets mode: the platform protects each position with orders that far away.
    """

    id: int
    owner: str
    name: str = ""
    kind: AccountKind = AccountKind.PRACTICE
    balance: Decimal = Decimal(150_000)
    bracket_mode: BracketMode = BracketMode.AUTO_OCO
    can_trade: bool = True
    visible: bool = True
    follower: bool = False
    daily_loss: Decimal | None = None
    max_loss: Decimal | None = None
    position_stop: Decimal | None = None
    position_target: Decimal | None = None

    def __post_init__(self) -> None:
        for name in ("daily_loss", "max_loss", "position_stop", "position_target"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise UsageError(f"{name} must be above 0 dollars, received {value}")
        if self.balance * _MICROS % 1 != 0:
            raise UsageError(f"balance {self.balance} is finer than a micro-dollar")


_NAMES = {
    AccountKind.PRACTICE: "PRAC-V2", AccountKind.COMBINE: "150KTC-V2",
    AccountKind.FUNDED: "EXPRESS-V2", AccountKind.LIVE: "LIVE-V2",
}  # fmt: skip


class Holding(msgspec.Struct):
    """A position, from flat to flat."""

    id: int
    listed: Listed
    created: int
    quantity: int
    average: Decimal

    def record(self, account_id: int) -> wire.Position:
        """As the gateway tells of it; size 0 and type 0 once it is closed."""
        kind = PositionType.LONG if self.quantity > 0 else PositionType.SHORT
        return wire.Position(
            id=self.id, account_id=account_id, contract_id=self.listed.id,
            contract_display_name=self.listed.code, creation_timestamp=wire.to_iso(self.created),
            type=kind if self.quantity else PositionType.UNDEFINED, size=abs(self.quantity),
            average_price=self.average,
        )  # fmt: skip


class VenueAccount:
    """An account, with its orders, positions and trades (oldest first)."""

    def __init__(self, spec: AccountSpec, settings: VenueSettings) -> None:
        self.spec = spec
        self.book = OrderBook()
        self.matcher = Matcher(micros(spec.balance), settings)
        self.holdings: dict[str, Holding] = {}
        self.trades: list[wire.Trade] = []
        self.can_trade = spec.can_trade
        self.locked = False  # by a rule of the account, for the day
        self.over = False  # by its maximum loss, for good
        self.day_start = self.matcher.balance

    @property
    def id(self) -> int:
        """Id of the account."""
        return self.spec.id

    @property
    def owner(self) -> str:
        """Whose it is."""
        return self.spec.owner

    def record(self) -> wire.Account:
        """As the gateway tells of it."""
        spec = self.spec
        return wire.Account(
            id=spec.id, name=spec.name or f"{_NAMES[spec.kind]}-{spec.id}",
            balance=dollars(self.matcher.balance),
            can_trade=self.can_trade and not self.locked and not self.over,
            is_visible=spec.visible, simulated=spec.kind is not AccountKind.LIVE,
        )  # fmt: skip

    def open_profit(self, markets: dict[str, Market]) -> int:
        """Open profit at the exit side, else at the last trade, micro-dollars."""
        total = 0
        for holding in self.holdings.values():
            market = markets[holding.listed.id]
            mark = market.bid if holding.quantity > 0 else market.ask
            mark = market.last if mark is None else mark
            if mark is not None:
                _, value = self.matcher.position(holding.listed.id)
                gained = holding.quantity * mark - value
                total += gained * holding.listed.product.tick_value_micros
        return total


def micros(amount: Decimal) -> int:
    """Micro-dollars of dollars; whole, or the amount would not be exact."""
    return int(amount * _MICROS)


def dollars(amount: int) -> Decimal:
    """Dollars of micro-dollars, exact."""
    return Decimal(amount) / _MICROS

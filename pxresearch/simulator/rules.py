"""Rules of an account that the venue itself enforces: daily loss and maximum loss.

I/O: none
"""

from __future__ import annotations

from pxresearch.simulator.accounts import VenueAccount, micros
from pxresearch.simulator.floor import Floor
from pxresearch.simulator.trading import Trading, market_order


def watch(floor: Floor, trading: Trading) -> None:
    """Flatten and lock every account that has lost what it may lose."""
    for account in floor.accounts.values():
        spec = account.spec
        if account.locked or account.over or (spec.daily_loss is None and spec.max_loss is None):
            continue
        equity = account.matcher.balance + account.open_profit(floor.markets)
        if spec.max_loss is not None:
            account.over = equity <= micros(spec.balance) - micros(spec.max_loss)
        if spec.daily_loss is not None:
            account.locked = equity <= account.day_start - micros(spec.daily_loss)
        if account.over or account.locked:
            _flatten(floor, trading, account)
            floor.tell_account(account)


def _flatten(floor: Floor, trading: Trading, account: VenueAccount) -> None:
    for order in account.book.working():
        if not order.status.done:
            trading.cancel(account, order)
    for holding in list(account.holdings.values()):
        order = market_order(floor, account, holding.listed.id, holding.quantity)
        trading.accept(account, order)


def new_day(floor: Floor) -> None:
    """The trading day has turned: daily locks end, the day's profit counts from here."""
    for account in floor.accounts.values():
        account.day_start = account.matcher.balance
        if account.locked:
            account.locked = False
            floor.tell_account(account)

"""The requests that only read: accounts, contracts, orders, positions and trades of one owner.

I/O: none
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator

from pxresearch.gateway import wire
from pxresearch.gateway.wire import WORKING, Answer, OrderSort, OrderStatus, SortDirection
from pxresearch.simulator.accounts import VenueAccount
from pxresearch.simulator.floor import Floor
from pxresearch.simulator.listing import by_id, search
from pxresearch.simulator.orders import VenueOrder

_NOT_FOUND = 1  # the one code of every read that can fail
_END = 2**63


class Reads:
    """Account/*, Contract/*, Order/search*, v2/query, Position/searchOpen and Trade/search."""

    def __init__(self, floor: Floor) -> None:
        self.floor = floor

    # ------------------------------------------------------------ accounts and contracts
    def accounts(self, owner: str, request: wire.SearchAccounts) -> Answer:
        """Account/search; an account that is over is not active."""
        rows = [
            one.record()
            for one in self.floor.accounts.values()
            if one.owner == owner and not (request.only_active_accounts and one.over)
        ]
        return wire.AccountsAnswer(success=True, error_code=0, accounts=rows)

    def contracts(self, owner: str, request: wire.SearchContracts) -> Answer:
        """Contract/search; there is no live data, and the live list is silently empty."""
        found = search(self.floor.listed.values(), request.search_text or "")
        rows = [] if request.live else [one.row() for one in found]
        return wire.ContractsAnswer(success=True, error_code=0, contracts=rows)

    def available(self, owner: str, request: wire.AvailableContracts) -> Answer:
        """Contract/available."""
        rows = [] if request.live else [one.row() for one in self.floor.listed.values()]
        return wire.ContractsAnswer(success=True, error_code=0, contracts=rows)

    def contract(self, owner: str, request: wire.ContractById) -> Answer:
        """Contract/searchById; months that are not the active one are found too."""
        found = by_id(self.floor.listed, request.contract_id, self.floor.now)
        if found is None:
            return wire.ContractAnswer(success=False, error_code=_NOT_FOUND)
        return wire.ContractAnswer(success=True, error_code=0, contract=found.row())

    # ------------------------------------------------------------ orders
    def orders(self, owner: str, request: wire.Window) -> Answer:
        """Order/search, by time of creation, oldest first."""
        account = self.floor.account_of(owner, request.account_id)
        if account is None:
            return wire.OrdersAnswer(success=False, error_code=_NOT_FOUND)
        start, end = _window(request)
        orders = account.book.orders
        first = bisect_left(orders, start, key=lambda one: one.created)
        return self._rows(account, (one for one in orders[first:] if one.created <= end))

    def open_orders(self, owner: str, request: wire.OfAccount) -> Answer:
        """Order/searchOpen: status Open alone, so no suspended leg."""
        account = self.floor.account_of(owner, request.account_id)
        if account is None:
            return wire.OrdersAnswer(success=False, error_code=_NOT_FOUND)
        working = account.book.working()
        return self._rows(account, (one for one in working if one.status is OrderStatus.OPEN))

    def order(self, owner: str, request: wire.OneOrder) -> Answer:
        """Order/searchById."""
        account = self.floor.account_of(owner, request.account_id)
        found = None if account is None else account.book.get(request.order_id)
        if account is None or found is None:
            return wire.OrderAnswer(success=False, error_code=_NOT_FOUND)
        return wire.OrderAnswer(success=True, error_code=0, order=self.floor.record(account, found))

    def query(self, owner: str, request: wire.QueryOrders) -> Answer:
        """Order/v2/query: at most 100 rows from the row asked for, newest first by default."""
        account = self.floor.account_of(owner, request.filter.account_id)
        if account is None:
            return wire.OrdersAnswer(success=False, error_code=_NOT_FOUND)
        chosen = list(self._matching(account, request.filter))
        if request.sort_direction is SortDirection.ASCENDING:
            chosen.reverse()
        if request.sort_by is OrderSort.ID:
            descending = request.sort_direction is not SortDirection.ASCENDING
            chosen.sort(key=lambda one: one.id, reverse=descending)
        start = max(0, request.page_offset or 0)
        size = request.page_size
        rows = wire.MAX_PAGE if size is None else max(0, min(size, wire.MAX_PAGE))
        return wire.OrdersAnswer(
            success=True, error_code=0,
            orders=[self.floor.record(account, one) for one in chosen[start : start + rows]],
            total_count=len(chosen) if request.include_total_count else None,
        )  # fmt: skip

    def _matching(self, account: VenueAccount, wanted: wire.OrderFilter) -> Iterator[VenueOrder]:
        """Orders that pass the filter, newest first."""
        statuses = wanted.statuses or list(OrderStatus)
        after = wire.to_ns(wanted.created_after) if wanted.created_after else 0
        before = wire.to_ns(wanted.created_before) if wanted.created_before else _END
        contract_id = None if self.floor.settings.query_ignores_contract else wanted.contract_id
        only_working = set(statuses) <= set(WORKING)
        pool = reversed(account.book.working()) if only_working else account.book.newest_first()
        for one in pool:
            if (
                one.status in statuses
                and after <= one.created <= before
                and contract_id in (None, one.listed.id)
            ):
                yield one

    def _rows(self, account: VenueAccount, orders: Iterable[VenueOrder]) -> Answer:
        rows = [self.floor.record(account, one) for one in orders]
        return wire.OrdersAnswer(success=True, error_code=0, orders=rows)

    # ------------------------------------------------------------ positions and trades
    def positions(self, owner: str, request: wire.OfAccount) -> Answer:
        """Position/searchOpen."""
        account = self.floor.account_of(owner, request.account_id)
        if account is None:
            return wire.PositionsAnswer(success=False, error_code=_NOT_FOUND)
        rows = [one.record(account.id) for one in account.holdings.values()]
        return wire.PositionsAnswer(success=True, error_code=0, positions=rows)

    def trades(self, owner: str, request: wire.Window) -> Answer:
        """Trade/search, newest first."""
        account = self.floor.account_of(owner, request.account_id)
        if account is None:
            return wire.TradesAnswer(success=False, error_code=_NOT_FOUND)
        start, end = _window(request)
        # Every row's time is written alike, so texts sort as times do.
        low, high = wire.to_iso(start), wire.to_iso(min(end, _LAST))
        first = bisect_left(account.trades, low, key=lambda row: row.creation_timestamp)
        rows = [row for row in account.trades[first:] if row.creation_timestamp <= high]
        return wire.TradesAnswer(success=True, error_code=0, trades=rows[::-1])


_LAST = wire.to_ns("2200-01-01T00:00:00Z")


def _window(request: wire.Window) -> tuple[int, int]:
    end = request.end_timestamp
    return wire.to_ns(request.start_timestamp), _END if end is None else wire.to_ns(end)

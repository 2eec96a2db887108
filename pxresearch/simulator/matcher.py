"""The core's matching and account of one venue account: its record, wires and rows.

Contracts take one of the record's eight slots when they are first traded and give it up when there
is neither a position nor an order. Order slots are the record's 64.

I/O: none
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pxresearch.core import records as r
from pxresearch.core import venue as core
from pxresearch.core.records import HIGHEST, NO_ASK, NO_BID
from pxresearch.simulator.listing import Listed
from pxresearch.simulator.settings import VenueSettings

_ROWS = {r.LOG_FILLS: 64, r.LOG_TRADES: 2 * r.MAX_LOTS, r.LOG_ORDERS: 64}
_NO_DELAY = np.zeros(1, np.int64)


class Fill(NamedTuple):
    """A fill as the core booked it; money in micro-dollars, price in ticks."""

    order: int  # the core's number of the order
    qty: int
    price: int
    realized: int
    position: int  # after it


class Market(NamedTuple):
    """A contract's market; None where there is nothing. Ticks and contracts."""

    ts: int = 0
    bid: int | None = None
    ask: int | None = None
    bid_sz: int = 0
    ask_sz: int = 0
    last: int | None = None


class Matcher:
    """One account in the core.

    Parameters
    ----------
    balance
        Micro-dollars.
    settings
        For the fill rules.
    """

    def __init__(self, balance: int, settings: VenueSettings) -> None:
        self._engine = np.zeros(1, r.ENGINE)
        self._wires = np.zeros(1, r.WIRES)
        self._logs = {log: np.zeros(n, list(r.LOGS.values())[log]) for log, n in _ROWS.items()}
        self._address = (self._engine.ctypes.data, self._wires.ctypes.data)
        self._state = self._engine[0]
        self._contracts = self._engine["contract"][0]
        self._orders = self._engine["order"][0]
        self._fills = self._logs[r.LOG_FILLS]
        self._slots: dict[str, int] = {}
        self._quote_stops = int(settings.stop_trigger == "quote")
        self._partial = int(settings.partial_fills)
        self._wire(balance, settings)
        self._tell(core.OPEN)

    def _wire(self, balance: int, settings: VenueSettings) -> None:
        state, wires = self._state, self._wires[0]
        state["contracts_n"], state["start_balance"] = r.MAX_CONTRACTS, balance
        state["fill"]["limit_fill"] = r.LIMIT_FILLS.index(settings.limit_fill)
        state["fill"]["slippage"] = settings.slippage_ticks
        state["fill"]["partial"] = self._partial
        for log, rows in self._logs.items():
            wires["log"][log], wires["log_cap"][log] = rows.ctypes.data, len(rows)
        for name in ("feed", "entry", "ack"):
            wires[name], wires[f"{name}_n"] = _NO_DELAY.ctypes.data, 1

    def _tell(
        self, what: int, k: int = 0, ts: int = 0, a: int = 0, b: int = 0, c: int = 0, d: int = 0
    ) -> int:
        return core.venue(*self._address, what, k, ts, a, b, c, d)

    # ------------------------------------------------------------ account
    @property
    def balance(self) -> int:
        """Micro-dollars: fills and their costs booked, open profit not."""
        return int(self._state["balance"])

    @property
    def free_orders(self) -> int:
        """Order slots that are not taken."""
        return int(self._state["free_n"])

    def position(self, contract_id: str) -> tuple[int, int]:
        """Signed position, and what it was entered for in contracts times ticks (signed alike)."""
        k = self._slots.get(contract_id)
        if k is None:
            return 0, 0
        return int(self._contracts[k]["position"]), int(self._contracts[k]["value_at_entry"])

    def contract(self, listed: Listed, market: Market, cost: int) -> int | None:
        """Slot of a contract, or None when all eight are in use.

        Parameters
        ----------
        cost
            Micro-dollars a contract and side, from now on.
        """
        k = self._slots.get(listed.id)
        if k is None:
            k = self._free_contract()
            if k is None:
                return None
            self._slots[listed.id] = k
            row, product = self._contracts[k], listed.product
            row["tick_num"], row["tick_den"] = product.tick_num, product.tick_den
            row["tick_value"], row["has_quotes"], row["bars_only"] = (
                product.tick_value_micros, 1, 1,
            )  # fmt: skip
            row["quote_stops"], row["last"] = self._quote_stops, HIGHEST
        self._contracts[k]["has_trades"] = int(market.last is not None)
        self._contracts[k]["cost"] = cost
        return k

    def _free_contract(self) -> int | None:
        if len(self._slots) < r.MAX_CONTRACTS:
            return next(k for k in range(r.MAX_CONTRACTS) if k not in self._slots.values())
        for contract_id, k in self._slots.items():
            if self._contracts[k]["position"] == 0 and self._contracts[k]["orders"] == 0:
                del self._slots[contract_id]
                return k
        return None

    # ------------------------------------------------------------ market and matching
    def quote(self, k: int, ts: int, market: Market) -> None:
        """Make a quote the present event of a contract."""
        self._tell(
            core.QUOTE, k, ts, NO_BID if market.bid is None else market.bid,
            NO_ASK if market.ask is None else market.ask, market.bid_sz, market.ask_sz,
        )  # fmt: skip

    def trade(self, k: int, ts: int, price: int, size: int, side: int) -> None:
        """Make a trade the present event of a contract."""
        self._tell(core.TRADE, k, ts, price, size, side)

    def offer_one(self, wanted: bool) -> None:
        """Let the present event fill one contract a side only, or what the settings say."""
        self._state["fill"]["partial"] = 1 if wanted else self._partial
        if wanted:
            self._state["avail_buy"] = self._state["avail_sell"] = 1

    def next_fill(self, k: int, ts: int, on_trade: bool) -> Fill | None:
        """Next fill on the present event, or None when no further order fills."""
        return self._fill() if self._tell(core.NEXT, k, ts, int(on_trade)) else None

    def _fill(self) -> Fill:
        row = self._fills[0]
        return Fill(
            int(row["order"]), int(row["qty"]), int(row["price"]), int(row["realized"]),
            int(row["position"]),
        )  # fmt: skip

    # ------------------------------------------------------------ orders
    def add(self, k: int, ts: int, side: int, qty: int, kind: int, resting: bool) -> int:
        """Make an order; returns its slot. `set` its prices before it arrives."""
        return self._tell(core.ADD, k, ts, side, qty, kind, int(resting))

    def number(self, slot: int) -> int:
        """The core's number of the order in a slot; fills name it."""
        return int(self._orders[slot]["id"])

    def set(self, slot: int, **members: int) -> None:
        """Set members of an order: qty, limit, stop, trail, best."""
        for name, value in members.items():
            self._orders[slot][name] = value

    def stop_of(self, slot: int) -> int:
        """Present stop price of an order; a trailing one moves by itself."""
        return int(self._orders[slot]["stop"])

    def arrive(self, k: int, slot: int, ts: int) -> Fill | None:
        """Let an order (again) reach the venue and meet the standing quote."""
        self._orders[slot]["status"] = r.IN_FLIGHT
        return self._fill() if self._tell(core.ARRIVE, k, ts, slot) else None

    def remove(self, k: int, slot: int, ts: int) -> None:
        """Take an order out."""
        self._tell(core.REMOVE, k, ts, slot)

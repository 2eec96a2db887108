"""The same order on two sides: which of one set of orders is which of another.

An order belongs to the decision that made it: the instant, the contract and the side of the entry
(a bracket's legs go by their entry), and its role. Several alike are taken in the order of their
ids. Prices are ticks, money micro-dollars, times ns UTC.

I/O: none
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from pxresearch.core.records import BY_HAND, FILLED, OVERFILLED, ROLES, STOP_LOSS, TARGET
from pxresearch.drift.report import Pair
from pxresearch.sessions import trading_day

Rows = np.ndarray[Any, Any]


class Decision(NamedTuple):
    """What an order is known by on either side."""

    decided: int
    contract: int
    side: int
    role: int
    nth: int


class Done(NamedTuple):
    """What became of an order."""

    side: int
    qty: int
    filled: int
    value: int  # sum of quantity times price, ticks
    wanted: int  # price of a bracket's leg, ticks; 0 for any other order

    @property
    def price(self) -> float | None:
        """Average price in ticks; None unfilled."""
        return self.value / self.filled if self.filled else None

    @property
    def share(self) -> float:
        """Filled part of the quantity, 0 to 1."""
        return self.filled / self.qty if self.qty else 0.0


def decisions(orders: Rows, ignore: Iterable[int] = ()) -> dict[Decision, Done]:
    """Every order of a run's log by its decision; orders made by hand are nobody's decision.

    Parameters
    ----------
    orders
        Rows of ``core.records.ORDER_ROW``.
    ignore
        Ids of orders to leave out.
    """
    rows = np.sort(orders, order="id")
    by_id = {int(row["id"]): row for row in rows}
    left_out, seen, found = set(ignore), Counter[tuple[int, ...]](), {}
    for number, row in by_id.items():
        root = by_id.get(int(row["parent"]), row)
        by_hand = row["cause"] in (BY_HAND, OVERFILLED) and row["status"] == FILLED
        if by_hand or number in left_out:
            continue
        same = (int(root["decided"]), int(row["contract"]), int(root["side"]), int(row["role"]))
        found[Decision(*same, seen[same])] = Done(
            int(row["side"]), int(row["qty"]), int(row["filled"]), int(row["value"]), _wanted(row)
        )
        seen[same] += 1
    return found


def pairs(first: Mapping[Decision, Done], second: Mapping[Decision, Done]) -> list[Pair]:
    """Both sides of every order, in the order of their decisions; None where a side has it not."""
    return [
        _pair(key, first.get(key), second.get(key)) for key in sorted(first.keys() | second.keys())
    ]


def day_pnl(fills: Rows) -> dict[int, int]:
    """Net P&L by trading day (yyyymmdd), micro-dollars, booked when it was realized."""
    totals: dict[int, int] = {}
    for ts, realized, cost in fills[["ts", "realized", "cost"]].tolist():
        day = trading_day(ts)
        key = day.year * 10_000 + day.month * 100 + day.day
        totals[key] = totals.get(key, 0) + realized - cost
    return totals


def _wanted(row: Any) -> int:
    """Price that a bracket's leg was to fill at."""
    if row["role"] == STOP_LOSS:
        return int(row["stop"])
    return int(row["limit"]) if row["role"] == TARGET else 0


def _pair(key: Decision, first: Done | None, second: Done | None) -> Pair:
    either = first or second
    assert either is not None
    slippage = None
    if first and second and first.price is not None and second.price is not None:
        missed = (first.price - first.wanted) - (second.price - second.wanted)
        slippage = either.side * missed
    return Pair(
        decided=key.decided,
        contract=key.contract,
        side=either.side,
        role=ROLES[key.role],
        first=first.price if first else None,
        second=second.price if second else None,
        first_share=first.share if first else None,
        second_share=second.share if second else None,
        slippage=slippage,
    )

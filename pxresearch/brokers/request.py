"""An approved order as the request that goes to a gateway.

Prices are ticks.

I/O: none
"""

from __future__ import annotations

from pxresearch.brokers.base import Approved
from pxresearch.brokers.session import EngineSession
from pxresearch.core import records as r
from pxresearch.gateway.orders import Market, NewOrder


def new_order(
    session: EngineSession, order: Approved, account: int, contract_id: str, tag: str
) -> NewOrder:
    """The request of an entry, with its bracket."""
    return NewOrder(
        account=account, contract_id=contract_id, kind=order.kind, side=order.side, qty=order.qty,
        tag=tag, is_automated=True, limit=order.limit, stop=order.stop, trail=order.trail,
        stop_ticks=order.stop_ticks, target_ticks=_target_ticks(session, order),
        trailing_stop=order.trailing_stop,
    )  # fmt: skip


def market_of(session: EngineSession, k: int) -> Market:
    """The market of a contract as the engine knows it."""
    c = session.engine[0]["contract"][k]
    bid, ask, last = int(c["bid"]), int(c["ask"]), int(c["last"])
    return Market(
        bid=None if bid == r.NO_BID else bid, ask=None if ask == r.NO_ASK else ask,
        last=None if last == r.HIGHEST else last,
    )  # fmt: skip


def _target_ticks(session: EngineSession, order: Approved) -> int:
    """Distance of the target; of one that was given by its price, from the expected entry."""
    if order.target_ticks or order.take_profit is None:
        return order.target_ticks
    c = session.engine[0]["contract"][order.contract]
    entry = order.limit if order.limit is not None else order.stop
    if entry is None:
        entry = int(c["ask"] if order.side > 0 else c["bid"])
    return max(0, (order.take_profit - entry) * order.side)

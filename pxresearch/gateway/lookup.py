"""What a look at the venue says about an outcome that nobody knows.

Each function gives the outcome once what it was shown settles it, and None while it does not: the
venue may still be working on the request.

I/O: none
"""

from __future__ import annotations

from collections.abc import Iterable

from pxresearch.gateway import wire
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.orders import Change
from pxresearch.gateway.outcome import Accepted, Rejected, explain
from pxresearch.gateway.wire import OrderStatus

ORDER_FILLED, ORDER_CANCELLED, ORDER_ENDED = "OrderFilled", "OrderCancelled", "OrderEnded"
ALREADY = frozenset({ORDER_FILLED, ORDER_CANCELLED, ORDER_ENDED})
_ENDS = {
    OrderStatus.FILLED: (ORDER_FILLED, "has filled"),
    OrderStatus.CANCELLED: (ORDER_CANCELLED, "was cancelled already"),
    OrderStatus.EXPIRED: (ORDER_ENDED, "has expired"),
    OrderStatus.REJECTED: (ORDER_ENDED, "was rejected by the venue"),
}


def of_place(rows: Iterable[wire.Order], tag: str) -> Accepted | Rejected | None:
    """Of an order, by its tag."""
    for row in rows:
        if row.custom_tag != tag:
            continue
        if row.status is OrderStatus.REJECTED:
            return Rejected(
                reason="OrderRejected", order_id=row.id,
                text="the venue rejected the order; its reason was lost with the answer",
            )  # fmt: skip
        return Accepted(order_id=row.id, found=True)
    return None


def of_cancel(row: wire.Order | None, order_id: int) -> Accepted | Rejected | None:
    """Of a cancel that was sent: a cancelled order is what was wanted."""
    if row is not None and row.status is OrderStatus.CANCELLED:
        return Accepted(order_id=order_id, found=True)
    return ended(row, order_id)


def of_modify(
    row: wire.Order | None, change: Change, directory: Directory
) -> Accepted | Rejected | None:
    """Of a change: every value that was asked for is there."""
    if row is None or row.status.done:
        return ended(row, change.order_id)
    held = directory.order(row)
    pairs = (
        (change.qty, held.qty), (change.limit, held.limit), (change.stop, held.stop),
        # The venue measures the distance from its own last trade: equal is proof, another is none.
        (change.trail, held.trail),
    )  # fmt: skip
    if all(asked is None or asked == there for asked, there in pairs):
        return Accepted(order_id=change.order_id, found=True)
    return None


def ended(row: wire.Order | None, order_id: int) -> Rejected | None:
    """Why nothing can be done to an order any more; None while it works."""
    if row is None:
        text = f"order {order_id}: {explain('OrderNotFound', None)}"
        return Rejected(reason="OrderNotFound", text=text)
    if row.status not in _ENDS:
        return None
    reason, how = _ENDS[row.status]
    return Rejected(reason=reason, order_id=order_id, text=f"order {order_id} {how}")

"""What a venue would not take of a paper session's orders.

Paper fills what the engine approves; a gateway has bounds of its own (a bracket of four ticks at
least, no stop-limit orders). A session whose orders would have been refused is no proof of
anything, so it is told at once and counts as a fault of the day.

I/O: none
"""

from __future__ import annotations

from pxresearch.brokers.base import Approved
from pxresearch.core import records as r
from pxresearch.gateway.contracts import Listing
from pxresearch.gateway.orders import Market, NewOrder, place_request
from pxresearch.gateway.outcome import Rejected
from pxresearch.gateway.profiles import Profile

_TAG = "px.paper"


def refusal(order: Approved, listing: Listing, profile: Profile, last: int) -> str:
    """Why the gateway would refuse an entry; empty when it would take it.

    Parameters
    ----------
    last
        Last trade, ticks, from which a trailing stop is laid.
    """
    if order.role != r.ENTRY:
        return ""
    asked = NewOrder(
        account=0, contract_id=listing.id, kind=order.kind, side=order.side, qty=order.qty,
        tag=_TAG, is_automated=True, limit=order.limit, stop=order.stop, trail=order.trail,
        stop_ticks=order.stop_ticks, target_ticks=order.target_ticks,
        trailing_stop=order.trailing_stop,
    )  # fmt: skip
    market = Market() if last == r.HIGHEST else Market(last=last)
    answer = place_request(asked, listing, market, profile)
    return answer.text if isinstance(answer, Rejected) else ""

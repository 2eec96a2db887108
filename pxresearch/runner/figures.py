"""Own balance against the venue's.

While a position is open the two may have closed other lots of it (fills that became known in
another order, or an average where we count lots): what was realized differs then, what is open
differs by the same, and the sum, which every limit uses, does not. Once flat they must agree.

Money is micro-dollars.

I/O: none
"""

from __future__ import annotations

from collections.abc import Sequence

from pxresearch.brokers.session import EngineSession
from pxresearch.gateway.contracts import Listing
from pxresearch.gateway.mirror import Mirror

CENT = 10_000


def balance_off(session: EngineSession, mirror: Mirror, listings: Sequence[Listing]) -> int:
    """Own balance less the venue's; 0 within a cent, or where only the lots differ.

    What is open counts at its entry. A venue's entry that is not known counts as our own.
    """
    assert mirror.account is not None, "a balance is compared after it was read"
    e = session.engine[0]
    off = int(e["balance"]) - mirror.account.balance
    if abs(off) <= CENT:
        return 0
    for k, listing in enumerate(listings):
        c = e["contract"][k]
        theirs = mirror.entered(listing.id)
        if theirs is not None and mirror.position(listing.id) == int(c["position"]):
            off -= int(c["value_at_entry"]) * int(c["tick_value"]) - theirs
    return off if abs(off) > CENT else 0

"""Paper: the engine's own matching on live quotes. It has no order client, and no way to one.

What a replay fills from arrays, this fills from the quotes as they come: the same compiled rules,
the same account, the same risk manager. So there is nothing to send, and nothing to wait for.

I/O: none
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pxresearch.brokers.base import Approved, Holding, Input
from pxresearch.brokers.session import EngineSession
from pxresearch.core import records as r


class PaperBroker:
    """A broker whose venue is the engine.

    Parameters
    ----------
    session
        An engine that matches its orders itself.
    """

    mode = "paper"

    def __init__(self, session: EngineSession) -> None:
        if session.engine["at_venue"][0]:
            raise ValueError("a paper broker needs an engine that matches its own orders")
        self._session = session
        self._changes: list[Input] = []

    def submit(
        self, order: Approved, after: Callable[[], Awaitable[None]] | None = None,
        since: int | None = None,
    ) -> None:  # fmt: skip
        """Nothing is sent: the order rests in the engine and meets the next quote.

        `after` is not waited for: an intent that the disk lost was never more than a thought.
        """
        if order.order not in self.snapshot().working:
            raise ValueError(f"order {order.order} is not one of this engine")

    def cancel(self, order: int) -> None:
        """Nothing is sent: the engine ends it, after its latency."""

    def modify(
        self, order: int, *, qty: int = 0, limit: int | None = None, stop: int | None = None
    ) -> None:
        """Change an order as a venue would, at once."""
        self._changes.append(
            Input(
                r.VENUE_CHANGE, 0, int(self._session.engine["now"][0]), order, qty,
                r.LOWEST if limit is None else limit, r.LOWEST if stop is None else stop,
            )
        )  # fmt: skip

    def flatten(self, contract: int) -> None:
        """Nothing is sent: the engine's flatten order fills at the next quote."""

    def events(self) -> list[Input]:
        """Changes asked for; fills are the engine's own."""
        taken, self._changes = self._changes, []
        return taken

    def snapshot(self) -> Holding:
        """What the engine holds."""
        engine = self._session.engine[0]
        slots = [int(slot) for slot in engine["live"][: int(engine["live_n"])]]
        contracts = engine["contract"][: len(self._session.feeds)]
        return Holding(
            positions=tuple(int(p) for p in contracts["position"]),
            working=tuple(sorted(int(engine["order"][slot]["id"]) for slot in slots)),
        )

    async def close(self) -> None:
        """Nothing to stop."""


class ReplayBroker(PaperBroker):
    """The same over arrays: what has rested in the engine is seen when the loop stops."""

    mode = "replay"

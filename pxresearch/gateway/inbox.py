"""Events on their way from the receiving threads to the loop: bounded, in order, one wake-up.

When nobody takes them fast enough, a quote is replaced by the next one of its contract and a change
of the book by the next one of its level; both are counted. Trades and user events are never
dropped: should even they grow beyond the hard limit, they are let go together and a `Gap` stands in
their place, so that everything is read again by REST.

I/O: none; it takes the time from its clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Hashable, Sequence

import msgspec

from pxresearch.clock import NS, Clock
from pxresearch.gateway.records import Depth, Event, Gap, Hub, Quote, Trade, Update


class Inbox:
    """A buffer with many writers, in any thread, and one reader, on the loop.

    Parameters
    ----------
    clock
        For the lag.
    capacity
        Events from which on quotes and depth are coalesced.
    limit
        Events that are never exceeded.
    batch
        Most events that one `get` takes.

    Attributes
    ----------
    coalesced
        Quotes and depth changes that a newer one replaced.
    lag_s
        Age of the oldest event of the last batch when it was taken, seconds.
    """

    def __init__(
        self, clock: Clock, *, capacity: int = 10_000, limit: int = 200_000, batch: int = 512
    ) -> None:
        self.coalesced = 0
        self.lag_s = 0.0
        self._clock, self._capacity, self._limit, self._batch = clock, capacity, limit, batch
        self._items: deque[Event] = deque()
        self._shrink_at = capacity
        self._lock = threading.Lock()
        self._waiting: asyncio.Future[None] | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._items)

    def put(self, events: Sequence[Event]) -> None:
        """Append events in order; from any thread."""
        if not events:
            return
        with self._lock:
            self._items.extend(events)
            if len(self._items) > self._shrink_at:
                self._shrink()
            waiting, self._waiting = self._waiting, None
        _wake(waiting)

    async def get(self) -> list[Event]:
        """Next events, at least one; an empty list only once it is closed and empty.

        One caller at a time. Others get a turn between two calls. Nothing is lost when it is
        cancelled.
        """
        if self._items:
            await asyncio.sleep(0)
        while True:
            with self._lock:
                if self._items:
                    return self._take()
                if self._closed:
                    return []
                waiting = self._waiting = asyncio.get_running_loop().create_future()
            await waiting

    def close(self) -> None:
        """Let `get` end once everything has been taken."""
        with self._lock:
            self._closed = True
            waiting, self._waiting = self._waiting, None
        _wake(waiting)

    def _take(self) -> list[Event]:
        items = self._items
        taken = [items.popleft() for _ in range(min(self._batch, len(items)))]
        self._shrink_at = max(self._capacity, min(self._shrink_at, 2 * len(items)))
        received = getattr(taken[0], "received", None)
        if received is not None:
            self.lag_s = max(0.0, (self._clock.now() - received) / NS)
        return taken

    # ------------------------------------------------------------ when it is full
    def _shrink(self) -> None:
        kept: list[Event] = []
        newest: dict[Hashable, int] = {}  # key to its place in `kept`
        for event in reversed(self._items):
            key = _key(event)
            at = newest.get(key) if key is not None else None
            if at is None:
                if key is not None:
                    newest[key] = len(kept)
                kept.append(event)
                continue
            self.coalesced += 1
            if isinstance(event, Quote):
                later = kept[at]
                assert isinstance(later, Quote)
                merged = later.coalesced + event.coalesced + 1
                kept[at] = msgspec.structs.replace(later, coalesced=merged)
        kept.reverse()
        for hub, kinds in ((Hub.MARKET, (Quote, Trade, Depth)), (Hub.USER, (Update,))):
            if len(kept) > self._limit:
                kept = _let_go(kept, hub, kinds)
        self._items = deque(kept)
        # Half of the room must fill before the next look, or each event would cost a look.
        self._shrink_at = min(max(self._capacity, 2 * len(kept)), self._limit)


def _wake(waiting: asyncio.Future[None] | None) -> None:
    """Let a reader go on, from any thread."""
    if waiting is not None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and with it the reader
            waiting.get_loop().call_soon_threadsafe(_release, waiting)


def _release(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


def _key(event: Event) -> Hashable:
    if isinstance(event, Quote):
        return event.contract_id
    if isinstance(event, Depth):
        return event.contract_id, event.type, event.price
    return None


def _let_go(events: list[Event], hub: Hub, kinds: tuple[type, ...]) -> list[Event]:
    gone = [event.received for event in events if isinstance(event, (Quote, Trade, Depth, Update))
            and isinstance(event, kinds)]  # fmt: skip
    kept = [event for event in events if not isinstance(event, kinds)]
    if not gone:
        return kept
    reason = f"{len(gone)} events were not taken in time, more than this program holds"
    return [*kept, Gap(hub=hub, since=min(gone), until=max(gone), reason=reason)]

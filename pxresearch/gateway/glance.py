"""A look at the market hub: the book or the marks as they are now, without staying.

I/O: the network, through the hubs that it is given.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from pxresearch.clock import Clock
from pxresearch.gateway import entry
from pxresearch.gateway.book import Book
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.records import Depth, Event, Position, Quote, Trade


class Source(Protocol):
    """What a look needs of `Hubs`."""

    def subscribe_contract(  # noqa: D102
        self, contract_id: str, quotes: bool = True, trades: bool = True, depth: bool = False
    ) -> None: ...
    async def start(self) -> None: ...  # noqa: D102
    async def stop(self) -> None: ...  # noqa: D102
    async def get(self) -> list[Event]: ...  # noqa: D102


class _Aim(Protocol):
    def take(self, event: Event) -> None: ...

    @property
    def reached(self) -> bool: ...


async def book_now(hubs: Source, contract_id: str, clock: Clock, limit_s: float) -> Book:
    """Return the book with both sides, or what has come of it in `limit_s` seconds."""
    hubs.subscribe_contract(contract_id, depth=True)
    aim = _WholeBook(contract_id)
    await _look(hubs, aim, clock, limit_s)
    return aim.book


async def open_pnl(
    hubs: Source, held: Sequence[Position], directory: Directory, clock: Clock, limit_s: float
) -> dict[str, int | None]:
    """Open profit by contract id, micro-dollars, as far as quotes came in `limit_s` seconds."""
    for row in held:
        hubs.subscribe_contract(row.contract_id, trades=False)
    aim = _AllQuotes({row.contract_id for row in held})
    await _look(hubs, aim, clock, limit_s)
    found: dict[str, int | None] = {}
    for row in held:
        listing = directory.listing(row.contract_id)
        entered = entry.by_average(row.average_price, row.qty, listing)
        quote = aim.quotes.get(row.contract_id)
        found[row.contract_id] = entry.profit(row.qty, entered, quote, listing)
    return found


class _WholeBook:
    def __init__(self, contract_id: str) -> None:
        self.book = Book()
        self._contract_id = contract_id

    def take(self, event: Event) -> None:
        if isinstance(event, (Depth, Quote, Trade)) and event.contract_id == self._contract_id:
            self.book.apply(event)

    @property
    def reached(self) -> bool:
        return self.book.best_bid is not None and self.book.best_ask is not None


class _AllQuotes:
    def __init__(self, contract_ids: Collection[str]) -> None:
        self.quotes: dict[str, Quote] = {}
        self._wanted = set(contract_ids)

    def take(self, event: Event) -> None:
        if isinstance(event, Quote) and event.bid is not None and event.ask is not None:
            self.quotes[event.contract_id] = event

    @property
    def reached(self) -> bool:
        return self._wanted <= self.quotes.keys()


async def _look(hubs: Source, aim: _Aim, clock: Clock, limit_s: float) -> None:
    try:
        await clock.within(limit_s, _feed(hubs, aim))
    except TimeoutError:
        return
    finally:
        await hubs.stop()


async def _feed(hubs: Source, aim: _Aim) -> None:
    await hubs.start()
    while not aim.reached and (events := await hubs.get()):
        for event in events:  # all of them: a snapshot is one batch
            aim.take(event)

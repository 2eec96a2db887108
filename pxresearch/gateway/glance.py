"""A look at the market hub: the book or the quotes as they are now, without staying.

I/O: the network, through the hubs that it is given.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from pxresearch.clock import Clock
from pxresearch.gateway.book import Book
from pxresearch.gateway.records import Depth, Event, Quote, Trade


class Source(Protocol):
    """What a look needs of `Hubs`."""

    async def start(self) -> None: ...  # noqa: D102
    async def stop(self) -> None: ...  # noqa: D102
    async def get(self) -> list[Event]: ...  # noqa: D102


class _Aim(Protocol):
    def take(self, event: Event) -> None: ...

    @property
    def reached(self) -> bool: ...


async def book_now(hubs: Source, contract_id: str, clock: Clock, limit_s: float) -> Book:
    """Return the book with both sides, or what has come of it in `limit_s` seconds."""
    aim = _WholeBook(contract_id)
    await _look(hubs, aim, clock, limit_s)
    return aim.book


async def quotes_now(
    hubs: Source, contract_ids: Collection[str], clock: Clock, limit_s: float
) -> Mapping[str, Quote]:
    """Return a quote of each contract, as far as they came in `limit_s` seconds."""
    aim = _AllQuotes(contract_ids)
    if contract_ids:
        await _look(hubs, aim, clock, limit_s)
    return aim.quotes


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

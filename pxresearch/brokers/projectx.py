"""Live: approved orders go to a ProjectX gateway, and what the venue says goes to the engine.

An order goes out once, and only after the journal has it; an unknown outcome is looked up by the
order desk. A bracket goes out with its entry and rests at the venue as soon as that fills;
`exposed` tells of a position whose stop the venue does not show. Fills come from the user hub and,
where one is missing, from REST; each is told to the engine once.

I/O: the network, through the desk and `rest`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from pxresearch.brokers.base import Approved, Holding, Input
from pxresearch.brokers.enquiries import Enquiries
from pxresearch.brokers.protection import Protection
from pxresearch.brokers.request import market_of, new_order
from pxresearch.brokers.session import EngineSession
from pxresearch.brokers.settings import LiveSettings
from pxresearch.brokers.venuebook import VenueBook
from pxresearch.clock import NS, Clock
from pxresearch.core import records as r
from pxresearch.errors import JournalError
from pxresearch.gateway import flatten as flattening
from pxresearch.gateway.contracts import Directory, Listing
from pxresearch.gateway.desk import Desk
from pxresearch.gateway.flatten import Flat
from pxresearch.gateway.mirror import Mirror
from pxresearch.gateway.outcome import Accepted, Outcome, Rejected, Unknown
from pxresearch.gateway.records import Account, Fill, Order, Position
from pxresearch.gateway.rest import Rest
from pxresearch.gateway.tags import ENTRY, make_tag, read_tag

Record = Account | Order | Position | Fill
Note = Callable[[str, dict[str, Any]], None]


class ProjectXBroker:
    """A broker at a gateway, for one account.

    Parameters
    ----------
    session
        An engine that does not match (``at_venue``).
    listings
        Contracts of the session at the venue, by index.
    strategy, run, runs
        For the tags of orders; `runs` are those of this trading day, this one among them.
    told
        Venue's numbers of the fills that the engine has been told before a restart.
    wake
        Called when `events` has something.
    note
        Gets what is to be remembered: a kind (request, flat, trouble ...) and its facts.

    Attributes
    ----------
    hold
        Asked just before an entry leaves; a reason keeps it here.
    """

    mode = "live"

    def __init__(
        self, session: EngineSession, rest: Rest, desk: Desk, mirror: Mirror, directory: Directory,
        listings: Sequence[Listing], *, strategy: str, run: str, runs: set[str], told: set[int],
        clock: Clock, wake: Callable[[], None], note: Note, settings: LiveSettings | None = None,
    ) -> None:  # fmt: skip
        if not session.engine["at_venue"][0]:
            raise ValueError("a live broker needs an engine that leaves the matching to the venue")
        self._session, self._rest, self._desk, self._mirror = session, rest, desk, mirror
        self._directory = directory
        self._listings = tuple(listings)
        self._clock, self._wake, self._note = clock, wake, note
        self._settings = settings or LiveSettings()
        self._strategy, self._run = strategy, run
        self._index = {listing.id: k for k, listing in enumerate(listings)}
        self.book = VenueBook(strategy, runs, self._index, told, self._closing)
        self._protection = Protection(session, mirror, self.book, self._index)
        self._enquiries = Enquiries(
            rest, desk, mirror, directory, self.book, clock=clock, settings=self._settings,
            note=note, saw=self.saw, tell=self._tell,
        )  # fmt: skip
        self._events: list[Input] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._flattening: dict[int, asyncio.Task[None]] = {}
        self._cancel_wanted: set[int] = set()
        self._adopted = False
        self.last_flat: dict[int, Flat] = {}
        self.hold: Callable[[], str] = lambda: ""

    # ------------------------------------------------------------ the protocol
    def submit(
        self, order: Approved, after: Callable[[], Awaitable[None]] | None = None,
        since: int | None = None,
    ) -> None:  # fmt: skip
        """Send an entry; a bracket's leg is at the venue already, and is only expected."""
        self._tell(self.book.expect(order))
        if order.role != r.ENTRY:
            self._align(order)  # the venue may have told of it before its entry's fill
            return
        self._spawn(self._place(order, after, self._clock.now() if since is None else since))

    def cancel(self, order: int) -> None:
        """Take an order back, as soon as the venue has given it a number."""
        venue_id = self.book.venue_id(order)
        if venue_id is None:
            self._cancel_wanted.add(order)
        else:
            self._spawn(self._cancel(order, venue_id))

    def modify(
        self, order: int, *, qty: int = 0, limit: int | None = None, stop: int | None = None
    ) -> None:
        """Change an order; the engine is told when the venue has changed it."""
        self._spawn(self._modify(order, qty, limit, stop))

    def flatten(self, contract: int) -> None:
        """Get flat in a contract, proven; one attempt follows another until it is."""
        if contract not in self._flattening:
            task = self._spawn(self._flatten(contract))
            self._flattening[contract] = task

    def events(self) -> list[Input]:
        """What the engine has to be told, in order."""
        taken, self._events = self._events, []
        return taken

    def snapshot(self) -> Holding:
        """Positions and working orders by the local copy of the venue's account."""
        working = {order.id for order in self._mirror.working}
        linked = self.book.links.items()
        return Holding(
            positions=tuple(self._mirror.position(one.id) for one in self._listings),
            working=tuple(sorted(n for n, link in linked if link.venue_id in working)),
        )

    async def close(self) -> None:
        """Stop what is under way. Orders stay as they are."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # ------------------------------------------------------------ how things are
    @property
    def unresolved(self) -> tuple[str, ...]:
        """What was sent and nobody knows yet."""
        return tuple(sorted({*self._desk.unresolved, *self._enquiries.doubtful}))

    @property
    def flattening(self) -> tuple[int, ...]:
        """Contracts that are being flattened."""
        return tuple(sorted(self._flattening))

    def exposed(self) -> dict[int, int]:
        """Contracts of a position whose stop does not work at the venue, by index.

        Before the account was read nobody knows; to close it again and again on suspicion would use
        up the requests that the reading needs.
        """
        return self._protection.exposed() if self._adopted else {}

    def surplus(self) -> dict[int, int]:
        """Legs that could do more than the position allows, and what each should have."""
        return self._protection.surplus()

    def trim(self, venue_id: int, qty: int) -> None:
        """Bring a leg down to so many contracts; 0 cancels it."""
        there = self._mirror.orders[venue_id]
        number = self.book.number(venue_id)
        if qty == 0 or number is None:
            self._spawn(self._cancel(number, venue_id))
        else:
            self.modify(number, qty=qty + there.filled)

    @property
    def last_number(self) -> int:
        """Highest number of an order of this strategy that the venue shows, of whatever run."""
        tags = (read_tag(order.tag) for order in self._mirror.orders.values())
        ours = (tag.intent for tag in tags if tag is not None and tag.strategy == self._strategy)
        return max(ours, default=0)

    def strangers(self) -> list[Order]:
        """Working orders of the account that are not this session's."""
        return [order for order in self._mirror.working if not self.book.ours(order)]

    # ------------------------------------------------------------ the venue's word
    def saw(self, record: Record) -> None:
        """Take in what the user hub, or a reading, brings."""
        if isinstance(record, Order):
            if self._desk.saw(record):
                facts = {"order": record.id, "tag": record.tag, "filled": record.filled}
                self._note("ghost", facts)
                self._spawn(self._cancel(None, record.id))
            number = self.book.number(record.id)
            if number is not None and (link := self.book.links.get(number)) is not None:
                self._align(link.approved, record)
            self._tell(self.book.order(record))
            number = self.book.number(record.id)
            if number in self._cancel_wanted and not record.done:
                self._cancel_wanted.discard(number)
                self._spawn(self._cancel(number, record.id))
        elif isinstance(record, Fill):
            if record.voided:
                self._note("voided", {"fill": record.id, "order": record.order})
            self._tell(self.book.fill(record))
            if self._enquiries.claim():
                self._spawn(self._enquiries.orders_of_fills())

    def resynced(self) -> None:
        """Everything has been read: a fill whose order is still unknown is another hand's."""
        if self.book.waiting():
            self._tell(self.book.give_in())

    def adopt(self, live: Sequence[Approved]) -> None:
        """After a restart: pair the engine's orders with the venue's; look for those missing."""
        self._adopted = True
        for order in live:
            self._tell(self.book.expect(order))
        for row in sorted(self._mirror.orders.values(), key=lambda o: o.id):
            self._tell(self.book.order(row))
        for order in live:
            link = self.book.links[order.order]
            if link.venue_id is None and order.role == r.ENTRY:
                self._spawn(self._search(order))

    def _closing(self) -> dict[int, int]:
        engine = self._session.engine[0]
        slots = [engine["order"][int(i)] for i in engine["live"][: int(engine["live_n"])]]
        return {
            int(o["side"]) * (int(o["contract"]) + 1): int(o["id"])
            for o in slots
            if int(o["role"]) == r.EXIT
        }

    # ------------------------------------------------------------ what goes out
    async def _place(
        self, order: Approved, after: Callable[[], Awaitable[None]] | None, since: int
    ) -> None:
        tag = make_tag(self._strategy, self._run, order.order, ENTRY)
        if after is not None and order.reduces:
            with contextlib.suppress(JournalError, TimeoutError):
                await self._clock.within(self._settings.exit_s, after())
        elif after is not None:
            try:
                await after()
            except JournalError as error:
                self._refused(order, f"not sent, because the journal cannot be written: {error}")
                return
            age_s = (self._clock.now() - since) / NS
            if age_s > self._settings.late_s:
                text = f"not sent: what it was decided on is {age_s:.1f} s old"
                self._refused(order, text)
                return
        if order.order in self._cancel_wanted:
            self._refused(order, "not sent, because it was cancelled before it left")
            return
        if not order.reduces and (why := self.hold()):
            self._refused(order, f"not sent: {why}")
            return
        contract_id = self._listings[order.contract].id
        new = new_order(self._session, order, self._mirror.account_id, contract_id, tag)
        market = market_of(self._session, order.contract)
        # The intent is stored: the row of the request follows its bytes, not the other way round.
        sent = {"what": "place", "order": order.order, "tag": tag}
        asyncio.get_running_loop().call_soon(self._note, "request", sent)
        outcome = await self._desk.place(new, market, reduces=order.reduces)
        self._outcome("place", order.order, outcome, tag=tag)
        if isinstance(outcome, Accepted) and outcome.order_id is not None:
            self._tell(self.book.accepted(order.order, outcome.order_id))
            if order.order in self._cancel_wanted:
                self._cancel_wanted.discard(order.order)
                await self._cancel(order.order, outcome.order_id)
        elif isinstance(outcome, Rejected):
            self._end(order, r.REJECTED)

    def _refused(self, order: Approved, text: str) -> None:
        self._note("rejected", {"order": order.order, "why": text})
        self._end(order, r.REJECTED)

    def _end(self, order: Approved, status: int) -> None:
        self._cancel_wanted.discard(order.order)
        self.book.ended(order.order)
        self._tell([Input(r.VENUE_END, order.contract, self._clock.now(), order.order, status)])

    async def _cancel(self, order: int | None, venue_id: int) -> None:
        outcome = await self._desk.cancel(self._mirror.account_id, venue_id)
        self._outcome("cancel", order or 0, outcome, venue_order=venue_id)
        await self._enquiries.ended(venue_id)

    async def _modify(self, order: int, qty: int, limit: int | None, stop: int | None) -> None:
        venue_id, link = self.book.venue_id(order), self.book.links.get(order)
        if venue_id is None or link is None:
            self._note("rejected", {"order": order, "why": "the venue has not named it yet"})
            return
        one = link.approved
        outcome = await self._desk.modify(
            self._mirror.account_id, venue_id, self._listings[one.contract].id, qty=qty or None,
            limit=limit, stop=stop, side=one.side, market=market_of(self._session, one.contract),
        )  # fmt: skip
        self._outcome("modify", order, outcome, venue_order=venue_id)

    def _align(self, leg: Approved, there: Order | None = None) -> None:
        by_price = self._protection.by_price(leg, there)
        if by_price is not None and leg.role == r.STOP_LOSS:
            self.modify(leg.order, stop=by_price)
        elif by_price is not None:
            self.modify(leg.order, limit=by_price)

    # ------------------------------------------------------------ getting flat
    async def _flatten(self, k: int) -> None:
        contract_id = self._listings[k].id
        try:
            while True:
                flat = await flattening.flatten(
                    self._rest, self._mirror.account_id, clock=self._clock,
                    contract_id=contract_id, limit_s=self._settings.flatten_s,
                )  # fmt: skip
                self.last_flat[k] = flat
                if flat.verified:
                    break
                self._note("not_flat", {"contract": k, "trouble": flat.trouble})
            if self._adopted:  # before, whose they are is not known: they are read with the orders
                await self._enquiries.fills()
        finally:
            self._flattening.pop(k, None)
        for order in self._mirror.working:
            if order.contract_id == contract_id:
                self._spawn(self._enquiries.ended(order.id))
        self._note("flat", {"contract": k, "rounds": flat.rounds, "took_s": flat.took_s})
        self._wake()

    async def _search(self, order: Approved) -> None:
        tags = [make_tag(self._strategy, run, order.order, ENTRY) for run in self.book.runs]
        if not await self._enquiries.turns_up(order, tags):
            self._refused(order, "it never arrived")
        self._wake()

    # ------------------------------------------------------------ inside
    def _outcome(self, what: str, order: int, outcome: Outcome, **facts: Any) -> None:
        kind = type(outcome).__name__.lower()
        told: dict[str, Any] = {"what": what, "order": order, **facts}
        if isinstance(outcome, Rejected):
            told |= {"reason": outcome.reason, "why": outcome.text}
        elif isinstance(outcome, Unknown):
            told |= {"why": outcome.why}
        else:
            told |= {"venue_order": outcome.order_id or facts.get("venue_order")}
        self._note(kind, told)

    def _tell(self, inputs: Sequence[Input]) -> None:
        if inputs:
            self._events.extend(inputs)
            self._wake()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - it must be seen, and the session go on to flat
            self._note("error", {"why": f"{type(error).__name__}: {error}", "error": error})

"""The venue: exchange, market, users, hubs and faults under one roof, and its HTTP face.

Pure but for the clock that it is given: an adapter brings requests and connections, and carries
away what it is to send. The same data, seed and requests give the same bytes, tokens apart.

I/O: none
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from pxresearch.clock import Clock
from pxresearch.errors import PxError
from pxresearch.gateway import wire
from pxresearch.simulator import acts
from pxresearch.simulator.board import Board, side_or_none
from pxresearch.simulator.exchange import Exchange
from pxresearch.simulator.fate import Fate
from pxresearch.simulator.fault_table import AT_ONCE
from pxresearch.simulator.faults import Faults
from pxresearch.simulator.history import History
from pxresearch.simulator.hub import HubSettings, Link
from pxresearch.simulator.log import Log
from pxresearch.simulator.market import Feed, Row
from pxresearch.simulator.messages import Delivery, HttpRequest
from pxresearch.simulator.routes import ApiSettings, Routes, http_date, operation_of
from pxresearch.simulator.switch import Switch
from pxresearch.simulator.tamper import Outgoing, tampered
from pxresearch.simulator.tape import QUOTE
from pxresearch.simulator.users import Users

_SERVER = "pxresearch-simulator"


class Venue:
    """A local ProjectX Gateway.

    Parameters
    ----------
    exchange, users, history
        What it trades, who may, and the bars.
    feed
        The market's course.
    places
        Of each of the feed's contracts, the ids that follow it.
    clock
        The venue's time.
    faults
        What goes wrong.
    """

    def __init__(
        self, exchange: Exchange, users: Users, history: History, feed: Feed,
        places: list[list[str]], clock: Clock, faults: Faults | None = None,
        api: ApiSettings | None = None, hub: HubSettings | None = None,
    ) -> None:  # fmt: skip
        self.exchange, self.users, self.history, self.clock = exchange, users, history, clock
        self.faults = Faults() if faults is None else faults
        self.api, self.hub = api or ApiSettings(), hub or HubSettings()
        self.feed, self.places = feed, places
        self.boards = {
            one.id: Board(one, one_object=self.hub.one_object) for one in exchange.listed
        }
        self.switch = Switch(exchange, self.boards, self.faults, self.now)
        self.log = Log()
        self._routes = Routes(exchange, users, history, self.api)
        self._open_boards()

    def _open_boards(self) -> None:
        now = self.now()
        for contract_id, board in self.boards.items():
            found = self.history.day(contract_id, now)
            if found is not None:
                board.begin(*found, now)

    def now(self) -> int:
        """Time, ns UTC."""
        return self.clock.now()

    # ------------------------------------------------------------ REST
    async def serve(self, request: HttpRequest, fate: Fate, network: Clock) -> Delivery:
        """Answer a request as the client sees it; waits are of the network's clock.

        The events of the request are sent before this returns, or by `flush` afterwards where
        answers go first.
        """
        if wait := fate.wait_s("before"):
            await network.sleep(wait)
        delivery = self.act(request, fate)
        if not self.api.answer_first:
            self.flush()
        if wait := fate.wait_s("after"):
            await network.sleep(wait)
        return delivery

    def handle(self, request: HttpRequest) -> Delivery:
        """Answer a request without any wait, and send its events."""
        delivery = self.act(request, self.fate(request))
        self.flush()
        return delivery

    def fate(self, request: HttpRequest) -> Fate:
        """Draw what happens to a request."""
        operation = operation_of(request.path)
        name = operation.name if operation is not None else request.path.removeprefix("/api/")
        return Fate(self.faults, operation, name, self.now())

    def act(self, request: HttpRequest, fate: Fate) -> Delivery:
        """Let the venue see the request, unless its fate is another, and answer."""
        now = self.now()
        self.advance()
        instead = fate.instead()
        if instead is None:
            response = self._routes.answer(request, now)
            delivery = fate.deliver(response)
        else:
            delivery = instead
        self.log.request(now, request, delivery, fate.names, seen=instead is None)
        headers = {**delivery.response.headers, "Date": http_date(now), "Server": _SERVER}
        response = msgspec.structs.replace(delivery.response, headers=headers)
        return msgspec.structs.replace(delivery, response=response)

    # ------------------------------------------------------------ time and market
    def next_due(self) -> int | None:
        """When `advance` has something to do, ns UTC; None: never."""
        due = [self.feed.next_due(), self.faults.next_due()]
        return min((at for at in due if at is not None), default=None)

    def advance(self, span: int | None = None) -> None:
        """Let the market and the faults catch up with the clock.

        Parameters
        ----------
        span
            Most of the market's time to catch up with in one go, ns; for a caller that has others
            to serve between.
        """
        now = until = self.now()
        if span is not None and (due := self.feed.next_due()) is not None:
            until = min(now, due + span)
        for row in self.feed.take(until):
            self._play(row, now)
        for fault in self.faults.take(AT_ONCE, now) if self.faults else ():
            try:
                acts.perform(self, fault)
            except PxError as error:  # armed for later, so nobody waits for the reason
                self.log.trouble(now, fault.name, str(error))
        self.exchange.advance(now)

    def steps(self, to: int) -> Iterator[int]:
        """Times at which something is due up to a time, in order, and the time itself."""
        while (due := self.next_due()) is not None and due < to:
            yield due
        yield to

    def _play(self, row: Row, now: int) -> None:
        for contract_id in self.places[row.k]:
            if row.kind == QUOTE:
                bid, ask = side_or_none(row.a), side_or_none(row.b)
                self._quote(contract_id, row.ts, now, bid, ask, row.c, row.d)
            else:
                self._trade(contract_id, row.ts, now, row.a, row.b, row.c)

    def _quote(
        self, contract_id: str, ts: int, now: int, bid: int | None, ask: int | None, bid_sz: int,
        ask_sz: int,
    ) -> None:  # fmt: skip
        self.exchange.quote(contract_id, ts, bid, ask, bid_sz, ask_sz)
        board, switch = self.boards[contract_id], self.switch
        board.set(ts, bid, ask, bid_sz, ask_sz)
        if switch.wanted(wire.MARKET_QUOTE, contract_id):
            switch.market(wire.MARKET_QUOTE, contract_id, board.quote(now))
        if switch.wanted(wire.MARKET_DEPTH, contract_id):
            changes = board.changes(now)
            if changes is not None:
                switch.market(wire.MARKET_DEPTH, contract_id, changes)
        self.flush()

    def _trade(self, contract_id: str, ts: int, now: int, price: int, size: int, side: int) -> None:
        self.exchange.trade(contract_id, ts, price, size, side)
        board, switch = self.boards[contract_id], self.switch
        board.traded(ts, price, size)
        if switch.wanted(wire.MARKET_TRADE, contract_id):
            switch.market(wire.MARKET_TRADE, contract_id, board.trade(price, size, side))
        if switch.wanted(wire.MARKET_QUOTE, contract_id):
            switch.market(wire.MARKET_QUOTE, contract_id, board.quote(now))
        if switch.wanted(wire.MARKET_DEPTH, contract_id):
            switch.market(wire.MARKET_DEPTH, contract_id, board.print(price, size))
        self.flush()

    # ------------------------------------------------------------ by hand
    def quote(
        self, contract_id: str, bid: int | None, ask: int | None, bid_sz: int = 1, ask_sz: int = 1
    ) -> None:
        """Move the market of a contract by hand; ticks."""
        now = self.now()
        self._quote(contract_id, now, now, bid, ask, bid_sz, ask_sz)

    def trade(self, contract_id: str, price: int, size: int = 1, side: int = 0) -> None:
        """Print a trade by hand; ticks, contracts, +1 bought, -1 sold."""
        now = self.now()
        self._trade(contract_id, now, now, price, size, side)
        self.history.by_hand(contract_id, now, price, size)

    def odd_quote(self, contract_id: str, members: dict[str, str]) -> None:
        """Tell of a quote that the exchange never saw; JSON by member."""
        record = self.boards[contract_id].odd(self.now(), members)
        self.switch.market(wire.MARKET_QUOTE, contract_id, record)

    # ------------------------------------------------------------ user events
    def flush(self) -> None:
        """Send the user events that are ready."""
        events = self.exchange.take_events()
        if events:
            self.tell([Outgoing.of(one) for one in events])

    def tell(self, events: list[Outgoing]) -> None:
        """Send user events, with what the faults make of them."""
        now = self.now()
        sent = tampered(events, self.faults, now) if self.faults else events
        for one in sent:
            record = one.text(self.hub.bare_events)
            key = one.owner if one.target == wire.USER_ACCOUNT else one.account_id
            self.switch.user(one.target, key, record)
            self.log.event(now, one)

    def link(self, hub: str, owner: str, link_now: int, wake: Callable[[], None]) -> Link:
        """Open a connection of a hub; the adapter ends it with `switch.remove`."""
        link = Link(hub, owner, self.switch, self.hub, link_now, wake)
        self.switch.add(link)
        return link

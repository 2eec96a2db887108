"""Records of a hub to events in ticks; runs in the connection's thread, once per connection.

A quote on the wire holds only what changed; here each one is completed from the last of its
contract. A new connection begins with nothing known, because what changed in between is lost.

Nothing that a hub sends raises. What cannot be read is counted and told as a `Notice`, at most once
a minute and kind; a user event that cannot be read is a `Gap`, since only asking by REST can tell
what it said.

I/O: none
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from pxresearch.clock import NS
from pxresearch.errors import GatewayError, NotUnderstood, OffGridPrice
from pxresearch.gateway import wire
from pxresearch.gateway.contracts import Directory, Listing
from pxresearch.gateway.records import Depth, Event, Gap, Hub, Notice, Quote, Trade, Update

INVOCATION, COMPLETION, PING, CLOSE = 1, 3, 6, 7
_IGNORED = (2, 4, 5, 8, 9)  # of the hub protocol, but nothing that ProjectX uses
_CALL = msgspec.json.Decoder(wire.MarketCall)
_RECORD = msgspec.json.Decoder(wire.Event)
_PRICES = 4096  # of a contract, kept with their ticks
_MOST_SIZE = 2**31  # exclusive; the core counts contracts in int32
Item = TypeVar("Item", wire.TapeTrade, wire.DepthItem)
_SIDES = {wire.TapeSide.BUY: 1, wire.TapeSide.SELL: -1}


class Notices:
    """Notices of one hub, each kind at most once in `every_s`; what was held back is counted."""

    def __init__(self, hub: Hub, every_s: float = 60.0) -> None:
        self._hub, self._every = hub, round(every_s * NS)
        self._last: dict[str, int] = {}
        self._held: dict[str, int] = {}

    def say(self, kind: str, text: str, now: int) -> list[Event]:
        """Give the notice, or nothing if this kind was said a moment ago."""
        last = self._last.get(kind)
        if last is not None and 0 <= now - last < self._every:
            self._held[kind] = self._held.get(kind, 0) + 1
            return []
        self._last[kind] = now
        held = self._held.pop(kind, 0)
        more = f" (and {held} more since the last notice)" if held else ""
        return [Notice(ts=now, hub=self._hub, kind=kind, text=text + more)]


class _Top:
    """Last quote of a contract, and the ticks of the prices it was made of."""

    __slots__ = ("ask", "bid", "last", "listing", "prices", "volume")

    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        self.prices: dict[float | None, int | None] = {None: None}
        self.bid: int | None = None
        self.ask: int | None = None
        self.last: int | None = None
        self.volume: int | None = None

    def ticks(self, price: float | None) -> int | None:
        """Ticks of a price; the same few hundred prices come again and again."""
        found = self.prices.get(price)
        if found is None and price is not None:
            if len(self.prices) > _PRICES:
                self.prices = {None: None}
            found = self.prices[price] = self.listing.to_ticks(price)
        return found


class Reader:
    """Reads what one connection receives.

    Parameters
    ----------
    hub
        Which hub it is.
    directory
        Contracts that the venue has named.
    notices
        Shared by the connections of a hub.

    Attributes
    ----------
    seen
        Contract id to the time of its last market event, ns UTC.
    controls
        Completions, Close messages and logouts, for the supervisor to take.
    junk, unknown
        Records that could not be read; events of a name that nobody knows.
    """

    def __init__(self, hub: Hub, directory: Directory, notices: Notices) -> None:
        self.hub, self.directory, self.notices = hub, directory, notices
        self.seen: dict[str, int] = {}
        self.controls: list[wire.Event] = []
        self.junk = 0
        self.unknown = 0
        self._tops: dict[str, _Top] = {}
        self._readers: dict[type, Callable[[Any, int, list[Event]], None]] = {
            wire.QuoteCall: self._quote, wire.TradeCall: self._trades, wire.DepthCall: self._depth,
        }  # fmt: skip
        self._user: dict[str, Callable[[Any], Any]] = {
            wire.USER_ACCOUNT: directory.account, wire.USER_ORDER: directory.order,
            wire.USER_POSITION: directory.position, wire.USER_TRADE: directory.fill,
        }  # fmt: skip

    def read(self, rows: list[bytes], received: int) -> list[Event]:
        """Events of some records, in order; control records are put aside in `controls`."""
        out: list[Event] = []
        decode, readers = _CALL.decode, self._readers
        for row in rows:
            try:
                call = decode(row)
            except (msgspec.DecodeError, UnicodeDecodeError):
                self._other(row, received, out)
                continue
            try:
                readers[type(call)](call.arguments, received, out)
            except (GatewayError, OffGridPrice) as error:
                self._unreadable(str(error), received, out)
        return out

    def forget(self, contract_id: str) -> None:
        """Drop the last quote of a contract that is no longer subscribed."""
        self._tops.pop(contract_id, None)
        self.seen.pop(contract_id, None)

    # ------------------------------------------------------------ market
    def _top(self, contract_id: str) -> _Top:
        top = self._tops.get(contract_id)
        if top is None:
            top = self._tops[contract_id] = _Top(self.directory.listing(contract_id))
        return top

    def _quote(self, arguments: tuple[str, wire.Quote], received: int, out: list[Event]) -> None:
        contract_id, row = arguments
        top = self._tops.get(contract_id) or self._top(contract_id)
        stamp = row.timestamp or row.last_updated
        ts = received if stamp is None else wire.to_ns(stamp)
        bid, ask, last = top.ticks(row.best_bid), top.ticks(row.best_ask), top.ticks(row.last_price)
        if bid is not None:
            top.bid = bid
        if ask is not None:
            top.ask = ask
        if last is not None:
            top.last = last
        if row.volume is not None:
            top.volume = int(row.volume)
        self.seen[contract_id] = received
        out.append(
            Quote(
                contract_id=contract_id,
                ts=ts,
                received=received,
                bid=top.bid,
                ask=top.ask,
                last=top.last,
                volume=top.volume,
            )
        )

    def _trades(
        self,
        arguments: tuple[str, list[wire.TapeTrade] | wire.TapeTrade],
        received: int,
        out: list[Event],
    ) -> None:
        contract_id, items = arguments

        def trade(item: wire.TapeTrade, listing: Listing) -> Trade:
            return Trade(
                contract_id=contract_id,
                ts=wire.to_ns(item.timestamp),
                received=received,
                price=listing.to_ticks(item.price),
                size=_size(item.volume),
                side=_SIDES.get(item.type, 0),
            )

        self._each(contract_id, items, trade, received, out)

    def _depth(
        self,
        arguments: tuple[str, list[wire.DepthItem] | wire.DepthItem],
        received: int,
        out: list[Event],
    ) -> None:
        contract_id, items = arguments

        def depth(item: wire.DepthItem, listing: Listing) -> Depth:
            return Depth(
                contract_id=contract_id,
                ts=wire.to_ns(item.timestamp),
                received=received,
                type=int(item.type),
                price=listing.to_ticks(item.price),
                size=int(item.volume),
            )

        self._each(contract_id, items, depth, received, out)

    def _each(
        self,
        contract_id: str,
        items: list[Item] | Item,
        make: Callable[[Item, Listing], Event],
        received: int,
        out: list[Event],
    ) -> None:
        """Events of one item or several; one that cannot be read does not take the others along."""
        listing = self._top(contract_id).listing
        self.seen[contract_id] = received
        for item in items if isinstance(items, list) else [items]:
            try:
                out.append(make(item, listing))
            except (GatewayError, OffGridPrice) as error:
                self._unreadable(str(error), received, out)

    # ------------------------------------------------------------ everything else
    def _other(self, row: bytes, received: int, out: list[Event]) -> None:
        try:
            record = _RECORD.decode(row)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._unreadable("a record that is not JSON of the hub protocol", received, out)
            return
        if record.type == INVOCATION:
            self._event(record, received, out)
        elif record.type in (COMPLETION, CLOSE):
            self.controls.append(record)
        elif record.type != PING and record.type not in _IGNORED:
            self.unknown += 1
            text = f"a record of type {record.type}, which the hub protocol does not have"
            out += self.notices.say("unknown-record", text, received)

    def _event(self, record: wire.Event, received: int, out: list[Event]) -> None:
        target = record.target
        if target == wire.LOGOUT_EVENT:
            self.controls.append(record)
        elif target in self._user:
            try:
                _, row = wire.user_record(target, record.arguments)
                out.append(Update(received=received, record=self._user[target](row)))
            except (GatewayError, OffGridPrice) as error:
                self.junk += 1
                reason = f"{target} could not be read: {error}"
                out.append(Gap(hub=self.hub, since=received, until=received, reason=reason))
        elif target in wire.MARKET_STREAMS.values():
            self._unreadable(f"{target} is not of the API's shape", received, out)
        else:
            self.unknown += 1
            text = f"event {target[:60]!r} is not known to this program; it was passed over"
            out += self.notices.say(f"unknown-event {target[:60]}", text, received)

    def _unreadable(self, text: str, received: int, out: list[Event]) -> None:
        self.junk += 1
        out += self.notices.say("unreadable", text, received)


def _size(volume: float) -> int:
    if not 0 <= volume < _MOST_SIZE:
        raise NotUnderstood(f"{volume:g} contracts cannot have been traded")
    return int(volume)

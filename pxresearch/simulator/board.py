"""One contract as the market hub tells of it: sparse quotes, trades, a book of a few levels.

The first quote to a new subscriber is complete, every other one has what changed. The book's best
level is the quote's; what lies behind it is made up, the same for the same price.

I/O: none
"""

from __future__ import annotations

from pxresearch.block import NO_ASK, NO_BID
from pxresearch.gateway import wire
from pxresearch.gateway.wire import DepthType
from pxresearch.sessions import trading_day
from pxresearch.simulator.listing import Listed

LEVELS = 10
_BEST = (DepthType.BEST_ASK, DepthType.BEST_BID)  # they name a level, they are none of their own
_MINUTE = 60_000_000_000
_END = "]}" + wire.RECORD_END


class Board:
    """State of a contract in words.

    Parameters
    ----------
    listed
        The contract.
    one_object
        Trades and depth as one object instead of a list.
    """

    def __init__(self, listed: Listed, *, one_object: bool = False) -> None:
        self.listed = listed
        self._id, self._symbol = listed.id, listed.symbol_id
        self._heads = {
            target: f'{{"type":1,"target":"{target}","arguments":["{self._id}",'
            for target in (wire.MARKET_QUOTE, wire.MARKET_TRADE, wire.MARKET_DEPTH)
        }
        self._tail = f'","contract":"{self._id}"}}' + _END
        self._list = ("", "") if one_object else ("[", "]")
        self._texts: dict[int, str] = {}
        self._told: dict[str, str] = {}
        self.begun = False  # there has been a quote or a trade
        self._ts = 0  # of the newest
        self._bid: tuple[int, int] | None = None  # price and size
        self._ask: tuple[int, int] | None = None
        self._book: dict[tuple[DepthType, int], int] = {}
        self._open: int | None = None
        self._high = self._low = self._volume = 0
        self._last: int | None = None
        self._settled: int | None = None  # last price of the session before
        self._minute, self._day = 0, None

    def begin(self, so_far: tuple[int, ...], settled: int | None, ts: int) -> None:
        """Set what the session saw (open, high, low, last, volume) and the last price before."""
        self._open, self._high, self._low, self._last, self._volume = so_far
        self._settled, self._ts = settled, ts
        self._minute, self._day = ts // _MINUTE, trading_day(ts)

    # ------------------------------------------------------------ what happens
    def set(self, ts: int, bid: int | None, ask: int | None, bid_sz: int, ask_sz: int) -> None:
        """Take a new best bid and ask; ticks, None for an empty side."""
        self._ts, self.begun = ts, True
        self._bid = None if bid is None else (bid, bid_sz)
        self._ask = None if ask is None else (ask, ask_sz)

    def traded(self, ts: int, price: int, size: int) -> None:
        """Take a trade into the session's figures."""
        self._ts, self.begun = ts, True
        self._turn(ts)
        self._last = price
        self._volume += size
        if self._open is None:
            self._open = self._high = self._low = price
        self._high, self._low = max(self._high, price), min(self._low, price)

    # ------------------------------------------------------------ quotes and trades
    def quote(self, now: int) -> str:
        """The record of what changed since the last one."""
        members = self._members()
        changed = {n: text for n, text in members.items() if self._told.get(n, "null") != text}
        self._told = members
        return self._text(changed, now)

    def full(self, now: int) -> str:
        """The record of everything that is known; what changes later is told against it."""
        self._told = self._members()
        return self._text(self._told, now)

    def odd(self, now: int, members: dict[str, str]) -> str:
        """The record of members with any text as their value; nothing is kept of it."""
        return self._text(members, now)

    def trade(self, price: int, size: int, side: int) -> str:
        """The record of a trade."""
        opening, closing = self._list
        item = (
            f'{{"symbolId":"{self._symbol}","price":{self._price(price)},"timestamp":"'
            f'{wire.to_iso(self._ts, 3)}","type":{_aggressor(side)},"volume":{size},'
            f'"contractId":"{self._id}"}}'
        )
        return f"{self._heads[wire.MARKET_TRADE]}{opening}{item}{closing}{_END}"

    def _text(self, members: dict[str, str], now: int) -> str:
        shown = "".join([f'"{name}":{text},' for name, text in members.items()])
        return (
            f'{self._heads[wire.MARKET_QUOTE]}{{"symbol":"{self._symbol}",{shown}'
            f'"lastUpdated":"{wire.to_iso(now)}","timestamp":"{wire.to_iso(self._ts, 3)}'
            f"{self._tail}"
        )

    def _members(self) -> dict[str, str]:
        """Members of a whole quote as JSON."""
        price = self._price
        members: dict[str, str] = {}
        if self._last is not None:
            members["lastPrice"] = price(self._last)
        if self.begun:
            members["bestBid"] = price(None if self._bid is None else self._bid[0])
            members["bestAsk"] = price(None if self._ask is None else self._ask[0])
        if self._settled and self._last is not None:
            change = self._last - self._settled
            members["change"] = price(change)
            members["changePercent"] = f"{100 * change / self._settled:.4f}"
        if self._open is not None:
            members["open"], members["high"] = price(self._open), price(self._high)
            members["low"] = price(self._low)
        if self._open is not None or self._volume:
            members["volume"] = str(self._volume)
        return members

    def _turn(self, ts: int) -> None:
        """Begin a new session when its day has come."""
        if ts // _MINUTE == self._minute:
            return
        self._minute = ts // _MINUTE
        day = trading_day(ts)
        if day != self._day:
            if self._day is not None:
                self._settled = self._last
            self._day, self._open, self._volume = day, None, 0

    def _price(self, ticks: int | None) -> str:
        """Price as JSON; null for an empty side."""
        if ticks is None:
            return "null"
        text = self._texts.get(ticks)
        if text is None:
            text = self._texts[ticks] = format(self.listed.price(ticks), "f")
        return text

    # ------------------------------------------------------------ depth
    def book(self, now: int) -> str:
        """The record of the whole book as it was last told of, a Reset first."""
        if not self._book:
            self._book = self._levels()
        items: list[tuple[DepthType, int, int]] = [(DepthType.RESET, 0, 0)]
        items += [(kind, price, size) for (kind, price), size in self._book.items()]
        return self._depth(items, now)

    def changes(self, now: int) -> str | None:
        """The record of what changed in the book since it was last told of."""
        old, new = self._book, self._levels()
        self._book = new
        gone = [key for key in old if key not in new and key[0] not in _BEST]
        items = [(kind, price, 0) for kind, price in gone]
        items += [(*key, size) for key, size in new.items() if old.get(key) != size]
        return self._depth(items, now) if items else None

    def print(self, price: int, size: int) -> str:
        """The record of a trade in the book."""
        return self._depth([(DepthType.TRADE, price, size)], self._ts)

    def _levels(self) -> dict[tuple[DepthType, int], int]:
        levels: dict[tuple[DepthType, int], int] = {}
        for best, kind, best_kind, step in (
            (self._ask, DepthType.ASK, DepthType.BEST_ASK, 1),
            (self._bid, DepthType.BID, DepthType.BEST_BID, -1),
        ):
            if best is None:
                continue
            price, size = best
            levels[kind, price] = levels[best_kind, price] = size
            for n in range(1, LEVELS):
                at = price + n * step
                levels[kind, at] = 5 + at * 7919 % 23
        return levels

    def _depth(self, items: list[tuple[DepthType, int, int]], now: int) -> str:
        at, head = wire.to_iso(now, 3), self._heads[wire.MARKET_DEPTH]
        shown = [
            f'{{"timestamp":"{at}","type":{kind:d},"price":{self._price(price)},'
            f'"volume":{size},"currentVolume":{size}}}'
            for kind, price, size in items
        ]
        opening, closing = self._list
        if opening:
            return f"{head}{opening}{','.join(shown)}{closing}{_END}"
        return "".join(f"{head}{one}{_END}" for one in shown)


def _aggressor(side: int) -> int:
    return 1 if side < 0 else 0  # unknown ones count as bought, the wire has no third value


def side_or_none(price: int) -> int | None:
    """A price of the tape; None for an empty side."""
    return None if price in (NO_BID, NO_ASK) else price

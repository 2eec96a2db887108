"""What must hold at the venue after every event, whatever was killed and whatever failed.

| invariant | here |
|---|---|
| I1 one venue order an intent | `orders` |
| I2 a position has its stop, or a timer runs | `protection` |
| I3 own state is the venue's, or entries are blocked | `agreement` |
| I4 no entry after the cut-off, a lock or the kill switch | `entry` |
| I6, I8 no order without its row; the journal replays to the same bytes | `entry`, `journals` |
| I5, I12 flat by the cut, and agreed again soon after the faults stop | `crash_kit` |
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from pxresearch.clock import NS
from pxresearch.core import records as r
from pxresearch.gateway.tags import read_tag
from pxresearch.gateway.wire import OrderStatus
from pxresearch.journal import Kind, read, rebuild, verify
from pxresearch.runner.session import Session
from pxresearch.simulator.accounts import VenueAccount
from pxresearch.simulator.orders import VenueOrder
from tests.crash_process import Process

MNQ_TICK = Decimal("0.25")
LATE_NS = 5 * NS  # for the disk, for a look at the switch, and for a clock that is 2 s wrong
UNPROTECTED_S = 30.0


class Broken(AssertionError):
    """An invariant does not hold."""


class Checks:
    """The invariants of one account.

    Parameters
    ----------
    closes_ns
        From when on nothing may open.

    Attributes
    ----------
    events
        Checks made.
    exposed_s
        Longest time that a position was without its stop while a process could see to it.
    """

    def __init__(self, account: VenueAccount, contract_id: str, closes_ns: int) -> None:
        self._account, self._contract_id, self._closes = account, contract_id, closes_ns
        self._intents: defaultdict[int, list[VenueOrder]] = defaultdict(list)
        self._seen = 0
        self._since: int | None = None
        self._barred: int | None = None  # since a lock or the switch
        self._approved: dict[Process, tuple[int, dict[int, dict[str, Any]]]] = {}
        self.events = 0
        self.exposed_s = 0.0
        self.by_hand = False

    # ------------------------------------------------------------ the venue's truth
    @property
    def position(self) -> int:
        """Signed."""
        holding = self._account.holdings.get(self._contract_id)
        return holding.quantity if holding is not None else 0

    @property
    def working(self) -> list[VenueOrder]:
        return self._account.book.working()

    def orders(self) -> None:
        """I1: of an intent there is one order at the venue, whatever was sent again."""
        self.events += 1
        orders = self._account.book.orders
        for order in orders[self._seen :]:
            tag = read_tag(order.tag)
            if tag is not None and not order.is_leg:
                self._intents[tag.intent].append(order)
                there = [o for o in self._intents[tag.intent] if o.status != OrderStatus.REJECTED]
                if len(there) > 1:
                    raise Broken(f"I1: one intent, two orders: {[o.tag for o in there]}")
        self._seen = len(orders)

    def protection(self, now: int, able: bool) -> None:
        """I2: the venue holds a stop for all of the position, or not for long it does not.

        `able`: a process lives, the venue can be asked, and the market is open.
        """
        self.events += 1
        position = self.position
        stops = sum(
            o.left
            for o in self.working
            if o.is_stop and o.status is OrderStatus.OPEN and o.side * position < 0
        )
        if not able or stops >= abs(position) or self.by_hand:
            self._since = None
            return
        self._since = self._since or now
        exposed = (now - self._since) / NS
        self.exposed_s = max(self.exposed_s, exposed)
        if exposed > UNPROTECTED_S:
            raise Broken(f"I2: {position:+d} with a stop for {stops} since {exposed:.1f} s")

    # ------------------------------------------------------------ what leaves
    def bar(self, now: int) -> None:
        """From now on nothing may open."""
        self._barred = self._barred or now

    def entry(self, process: Process, body: bytes, now: int) -> None:
        """I4, I6: an order that leaves has its row, and the time for it has not passed."""
        self.events += 1
        asked = json.loads(body)
        side = 1 if asked["side"] == 0 else -1
        reduces = self.position * side < 0 and asked["size"] <= abs(self.position)
        tag = read_tag(asked["customTag"])
        if tag is None:
            raise Broken(f"I6: an order without a tag: {asked}")
        row = self._rows(process).get(tag.intent)
        if row is None and not (process.broken and self._exit(process, tag.intent)):
            raise Broken(f"I6: {asked['customTag']} leaves and the disk does not have it")
        if row is None or row["reduces"]:
            return
        if (row["side"], row["qty"]) != (side, asked["size"]):
            raise Broken(f"I6: {asked} is not what was approved: {row}")
        if reduces:
            return
        if now > self._closes + LATE_NS:
            raise Broken(f"I4: {asked['customTag']} leaves {(now - self._closes) / NS:.1f} s late")
        if self._barred is not None and now > self._barred + LATE_NS:
            raise Broken(f"I4: {asked['customTag']} leaves after a lock or the kill switch")

    def _exit(self, process: Process, number: int) -> bool:
        """Whether the risk manager has approved it as one that reduces: those leave at any rate."""
        venue = process.session.venue if process.session is not None else None
        return venue is not None and venue.book.links[number].approved.reduces

    def _rows(self, process: Process) -> dict[int, dict[str, Any]]:
        last, rows = self._approved.get(process, (0, {}))
        for row in read(process.journals[-1].path, (Kind.ORDER,), last + 1):
            last = row.seq
            if row.data["event"] == "approved":
                rows[row.data["order"]] = row.data
        self._approved[process] = last, rows
        return rows

    # ------------------------------------------------------------ agreement
    def agreement(self, session: Session) -> None:
        """I3: positions, working orders and balance of the engine are the venue's, to the cent."""
        self.events += 1
        e = session.engine.engine[0]
        mine, there = int(e["contract"][0]["position"]), self.position
        if mine != there:
            raise Broken(f"I3: the engine holds {mine:+d}, the venue {there:+d}")
        ours, others = sorted(_engine(e)), sorted(_venue(self.working))
        if ours != others:
            raise Broken(f"I3: orders of the engine {ours}, of the venue {others}")
        off = int(e["balance"]) - self._account.matcher.balance
        if mine:  # which of its lots a position has closed may differ; the sum may not
            c, held = e["contract"][0], self._account.holdings[self._contract_id]
            point = Decimal(int(c["tick_value"])) / MNQ_TICK
            off -= int(c["value_at_entry"]) * int(c["tick_value"])
            off += int(held.average * held.quantity * point)
        if abs(off) > 10_000:
            raise Broken(f"I3: the balance is {off / 1e6:+.4f} USD off the venue's")


def _engine(e: Any) -> Iterator[tuple[int, int, int]]:
    """Number of the entry, side and quantity left of what the engine has working."""
    for slot in e["live"][: int(e["live_n"])]:
        o = e["order"][int(slot)]
        number = int(o["id"]) if int(o["role"]) == r.ENTRY else int(o["parent"])
        yield number, int(o["side"]), int(o["qty"]) - int(o["filled"])


def _venue(working: list[VenueOrder]) -> Iterator[tuple[int, int, int]]:
    for order in working:
        tag = read_tag(order.tag)
        if order.status is OrderStatus.SUSPENDED:
            continue  # a leg whose entry has not filled is none yet
        yield (0 if tag is None else tag.intent), order.side, order.left


def journals(process: Process, strategy: Any) -> None:
    """I8: whole, and a replay comes to the very bytes that the engine had."""
    session = process.session
    assert session is not None
    path = session.day.path
    if damage := verify(path):
        raise Broken(f"I8: the journal is damaged: {damage}")
    state = rebuild(path, strategy=strategy).snapshot()
    if state != session.engine.snapshot():
        raise Broken("I8: the journal replays to another state")
    (end,) = [row.data for row in read(path, (Kind.END,))][-1:]
    if not end.flat:
        raise Broken("the session's end says that it is not flat")

"""Three brokers behind one rig: the same quotes, trades and signals, whoever fills the orders."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import numpy as np

import pxresearch as px
from pxresearch.brokers.base import Holding
from pxresearch.brokers.feeds import Feed
from pxresearch.brokers.fillmodel import FillModel
from pxresearch.brokers.outbox import Outbox, bare_legs
from pxresearch.brokers.paper import PaperBroker
from pxresearch.brokers.projectx import ProjectXBroker
from pxresearch.brokers.replay import Replay
from pxresearch.brokers.session import EngineSession
from pxresearch.core import records as r
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.credentials import Credentials
from pxresearch.gateway.desk import Desk
from pxresearch.gateway.mirror import Mirror
from pxresearch.gateway.profiles import profile
from pxresearch.gateway.reader import Notices, Reader
from pxresearch.gateway.records import Hub
from pxresearch.gateway.rest import Rest
from pxresearch.simulator.inprocess import InProcess
from tests.exchange_kit import MNQ, START
from tests.venue_kit import ACCOUNT, END, KEY, Room

SECOND = 10**9
CODE = "MNQZ26"
BID = 100_000
RULES = {"start_balance": 150_000, "daily_loss_limit": None}


class Script(px.Strategy):
    """Answers the n-th event with the n-th answer."""

    def on_quote(self, quote, position):
        return _next()

    def on_trade(self, trade, position):
        return _next()


_ANSWERS: list[tuple] = []
_AT = [0]


def _next():
    at = _AT[0]
    _AT[0] += 1
    return _ANSWERS[at] if at < len(_ANSWERS) else ()


def _session(**more) -> EngineSession:
    _AT[0] = 0
    return EngineSession(
        Script(), [Feed(px.contract(CODE), ("quotes", "trades"))], px.programme("own", **RULES),
        FillModel(), first_ns=START - 60 * SECOND, last_ns=START + 86_400 * SECOND,
        compiled=False, **more,
    )  # fmt: skip


class Rig:
    """Shows events, a second apart; prices are ticks."""

    def __init__(self) -> None:
        self.now = START
        _ANSWERS.clear()
        _AT[0] = 0

    async def quote(self, bid: int, *signals) -> None:
        """A quote one tick wide, and what the strategy answers to it."""
        self.now += SECOND
        _ANSWERS.append(signals)
        await self.show(r.QUOTES, (bid, bid + 1, 10, 10))

    async def trade(self, price: int, *signals) -> None:
        self.now += SECOND
        _ANSWERS.append(signals)
        await self.show(r.TRADES, (price, 1, 1, 0))

    async def show(self, what, values) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing to let go."""

    # ------------------------------------------------------------ what came of it
    @property
    def engine(self):
        return self.session.engine[0]

    def fills(self):
        """(side, quantity, price, role) of each fill."""
        return [
            (int(f["side"]), int(f["qty"]), int(f["price"]) - BID, r.ROLES[f["role"]])
            for f in self.fill_rows()
        ]

    def fill_rows(self):
        return self.session.logs()["fills"]

    def roles(self):
        """Roles of the orders that work, by the broker."""
        live = {int(o["id"]): o for o in self.engine["order"] if int(o["status"]) != r.FREE}
        return sorted(r.ROLES[int(live[n]["role"])] for n in self.broker.snapshot().working)

    def holding(self) -> Holding:
        return self.broker.snapshot()


class ReplayRig(Rig):
    """Plays all events so far as arrays, anew each time."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[tuple] = []

    async def show(self, what, values) -> None:
        self._rows.append((what, self.now, *values))
        self._play()

    def _play(self) -> None:
        quotes = [row for row in self._rows if row[0] == r.QUOTES]
        trades = [row for row in self._rows if row[0] == r.TRADES]
        column = lambda rows, i: np.array([row[i] for row in rows], np.int64)  # noqa: E731
        data = {}
        if quotes:
            data["quotes"] = {
                "ts": column(quotes, 1), "bid": column(quotes, 2), "ask": column(quotes, 3),
                "bid_size": column(quotes, 4), "ask_size": column(quotes, 5),
            }  # fmt: skip
        data["trades"] = {
            "ts": column(trades, 1), "price": column(trades, 2), "size": column(trades, 3),
            "side": column(trades, 4).astype(np.int8),
        }  # fmt: skip
        if not trades:
            del data["trades"]
        _AT[0] = 0
        replay = Replay(
            Script(), [px.ticks(CODE, **data)], px.programme("own", **RULES), FillModel(),
            compiled=False, close=False,
        )  # fmt: skip
        self.session, self.broker = replay.run(), replay.broker


class PaperRig(Rig):
    """One event at a time through the paper broker."""

    def __init__(self) -> None:
        super().__init__()
        self.session = _session()
        self.broker = PaperBroker(self.session)
        self._outbox = Outbox(self.session)
        self._filled: list = []

    async def show(self, what, values) -> None:
        self.session.tell(what, 0, self.now, *values)
        self.settle()

    def settle(self) -> None:
        """Carry out what was decided, and tell what came of it."""
        while True:
            decided = self._outbox.take()
            if decided is not None:
                self._filled += list(decided.rows.get("fills", ()))
                for order in decided.flattens:
                    self.broker.flatten(order.contract)
                for number in (*decided.cancels, *bare_legs(decided)):
                    self.broker.cancel(number)
                for order in decided.orders:
                    self.broker.submit(order)
            inputs = self.broker.events()
            for one in inputs:
                self.session.tell(*one)
            if decided is None and not inputs:
                return

    def fill_rows(self):
        return self._filled


class LiveRig(PaperRig):
    """One event at a time, orders at the simulated venue, in one process and in virtual time."""

    def __init__(self) -> None:
        Rig.__init__(self)
        self.room = Room(market=False)
        self.session = _session(at_venue=True)
        self._outbox = Outbox(self.session)
        self._filled = []

    async def open(self) -> None:
        clock, where = self.room.clock, profile("simulator")
        self.rest = Rest(
            where, Credentials(user_name="trader", api_key=KEY), clock=clock,
            http=InProcess(self.room.venue, clock),
        )  # fmt: skip
        self.directory = Directory(await self.rest.available())
        self.mirror = Mirror(ACCOUNT, self.directory)
        self._link = self.room.link("user")
        for number, name in enumerate(("Accounts", "Orders", "Positions", "Trades")):
            account = [] if name == "Accounts" else [ACCOUNT]
            self.room.invoke(self._link, f"Subscribe{name}", *account, number=str(number))
        self._reader = Reader(Hub.USER, self.directory, Notices(Hub.USER))
        desk = Desk(self.rest, self.directory, where, clock=clock)
        self.notes: list[tuple] = []
        self.broker = ProjectXBroker(
            self.session, self.rest, desk, self.mirror, self.directory,
            [self.directory.listing(MNQ)], strategy="Script", run="r1", runs={"r1"}, told=set(),
            clock=clock, wake=lambda: None, note=lambda *one: self.notes.append(one),
        )  # fmt: skip

    async def show(self, what, values) -> None:
        clock, venue = self.room.clock, self.room.venue
        clock.advance(self.now)
        if what == r.QUOTES:
            venue.quote(MNQ, *values)
        else:
            venue.trade(MNQ, values[0], 1, 1)
        await self._work()
        self.session.tell(what, 0, self.now, *values)
        await self._work()

    async def _work(self) -> None:
        """Until nothing is under way at the venue."""
        for _ in range(200):
            self._hear()
            self.settle()
            await asyncio.sleep(0)
            if not self.broker._tasks and not self._link.waiting:
                return
            due = self.room.clock.next_due
            if due is not None and not self._link.waiting:
                self.room.clock.advance(due)
                self.now = max(self.now, due)
        raise AssertionError("the venue does not come to rest")

    def _hear(self) -> None:
        now = self.room.clock.now()
        text = "".join(self._link.frames(now))
        rows = [one.encode() for one in text.split(END) if one]
        for event in self._reader.read(rows, now):
            if self.mirror.apply(event.record):
                self.broker.saw(event.record)

    async def close(self) -> None:
        await self.broker.close()
        await self.rest.close()


def price(ticks: int) -> Decimal:
    return Decimal(BID + ticks) / 4


async def rig_of(kind: type[Rig]) -> Rig:
    rig = kind()
    if isinstance(rig, LiveRig):
        await rig.open()
    return rig

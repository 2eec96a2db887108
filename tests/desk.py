"""A desk for tests of the engine: one event at a time, orders said in the test itself.

The engine is the compiled one; only the strategy's hooks are Python. `Desk.quote` and `Desk.trade`
show one event and let the strategy answer it with the signals given along.
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

import pxresearch as px
from pxresearch.brokers.feeds import Feed
from pxresearch.brokers.fillmodel import FillModel
from pxresearch.brokers.session import EngineSession
from pxresearch.core import records as r
from pxresearch.programmes import Programme
from pxresearch.sessions import to_ns

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
CHICAGO = ZoneInfo("America/Chicago")


def chicago(text):
    """Ns UTC of a Chicago wall time such as "2026-01-13 10:00:00"."""
    return to_ns(datetime.fromisoformat(text).replace(tzinfo=CHICAGO))


MORNING = chicago("2026-01-13 10:00:00")
_SAID = {"answer": ()}


class Told(px.Strategy):
    """Answers each quote and trade with what the test says."""

    def on_quote(self, quote, position):
        return _SAID["answer"]

    def on_trade(self, trade, position):
        return _SAID["answer"]


class Desk:
    """An engine session fed by hand; prices are integer ticks, time steps a second an event."""

    def __init__(
        self, *codes, account=None, kinds=("quotes",), at=MORNING, until=None, cost=None,
        fills=None, **rules,
    ):  # fmt: skip
        if account is None:
            account = px.programme("own", **{"start_balance": 50_000, **rules})
        elif not isinstance(account, Programme):
            account = px.programme(account, **rules)
        contracts = [px.contract(code) for code in codes or ("ESH26",)]
        self.session = EngineSession(
            Told(), [Feed(c, kinds) for c in contracts], account, fills or FillModel(),
            first_ns=at - MINUTE, last_ns=until or at + 3 * 86_400 * SECOND, compiled=False,
        )  # fmt: skip
        self.now = at - SECOND
        if cost is not None:
            self.costs(cost)

    @property
    def e(self):
        return self.session.engine[0]

    def contract(self, k=0):
        return self.e["contract"][k]

    def costs(self, micros):
        """Charge this much a side from now on, on every day of the calendar."""
        address = int(self.session.wires["costs"][0])
        for array in self.session._kept:
            if isinstance(array, np.ndarray) and array.ctypes.data == address:
                array[:] = micros
        self.e["contract"]["cost"] = micros

    def quote(self, bid, ask=None, *signals, k=0, step=SECOND, at=None, sizes=(10, 10)):
        """Show a quote (`ask` left out: equal to the bid) and answer it with `signals`."""
        self.now = at if at is not None else self.now + step
        _SAID["answer"] = signals
        try:
            ask = bid if ask is None else ask
            self.session.tell(r.QUOTES, k, self.now, bid, ask, *sizes)
        finally:
            _SAID["answer"] = ()
        return self

    def trade(self, price, *signals, k=0, step=SECOND, at=None, size=1, side=0):
        """Show a trade and answer it with `signals`."""
        self.now = at if at is not None else self.now + step
        _SAID["answer"] = signals
        try:
            self.session.tell(r.TRADES, k, self.now, price, size, side)
        finally:
            _SAID["answer"] = ()
        return self

    def clock(self, ts):
        """Let time pass without an event."""
        self.now = ts
        self.session.tell(r.CLOCK, ts=ts)
        return self

    # -------------------------------------------------------------- what came of it
    def rows(self, name):
        return self.session.logs()[name]

    def reasons(self):
        """Names of the refusals so far, one for each refused signal."""
        return [
            r.REASONS[row["reason"]] for row in self.rows("refusals") for _ in range(row["count"])
        ]

    def last_reason(self):
        found = self.reasons()
        return found[-1] if found else "APPROVED"

    def live(self, role=None):
        """Orders that are in flight or working."""
        found = [self.e["order"][slot] for slot in self.e["live"][: int(self.e["live_n"])]]
        return [o for o in found if role is None or o["role"] == role]

    def position(self, k=0):
        return int(self.contract(k)["position"])

    def unrealized(self):
        """Open profit at the marks, micro-dollars, from the engine's fields."""
        return sum(
            (int(c["position"]) * int(c["mark"]) - int(c["value_at_entry"])) * int(c["tick_value"])
            for c in self.e["contract"] if c["position"] != 0
        )  # fmt: skip

    def equity(self):
        return int(self.e["balance"]) + self.unrealized()

    def day_pnl(self):
        return self.equity() - int(self.e["day_start"])

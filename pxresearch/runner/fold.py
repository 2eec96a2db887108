"""The fold: one input after another into the journal and the engine, and its decisions out.

Every input goes through `tell`, in the order in which it came; that order is the journal's, so a
replay of the journal is this session again.

I/O: through the journal and the broker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from pxresearch.brokers.base import Approved, Broker, Input
from pxresearch.brokers.outbox import Decided, Outbox, bare_legs
from pxresearch.brokers.session import EngineSession
from pxresearch.core import records as r
from pxresearch.errors import StrategyError
from pxresearch.journal import Journal, Kind
from pxresearch.runner.timeline import Timeline

_KINDS = {
    "refusals": Kind.REFUSAL, "fills": Kind.FILL, "risk": Kind.RISK, "orders": Kind.ORDER,
}  # fmt: skip


_MARKED = ("position", "marked", "mark", "value_at_entry", "tick_value")


class Watcher(Protocol):
    """Who wants to know what the engine decided."""

    def decided(self, name: str, row: Mapping[str, Any]) -> None:
        """One row of a log: fills, refusals, orders, risk, trades, days."""
        ...

    def approved(self, order: Approved) -> None:
        """An order passed the risk manager."""
        ...

    def raised(self, error: StrategyError) -> None:
        """The strategy raised."""
        ...


class Fold:
    """One engine with its journal and its broker.

    Attributes
    ----------
    seq
        The journal's number of the last input.
    events
        Quotes and trades told.
    """

    def __init__(
        self, session: EngineSession, journal: Journal, watcher: Watcher, timeline: Timeline
    ) -> None:
        self.session, self.journal, self._timeline = session, journal, timeline
        self.outbox = Outbox(session)
        self.broker: Broker | None = None
        self._watcher = watcher
        self._telling = False
        engine = session.engine  # views of single fields: a record's own look-up takes longer
        rules = engine["rules"]
        self._figures = {name: engine[name] for name in ("balance", "day_start", "level")}
        self._figures |= {"daily_loss": rules["daily_loss"], "cap_tenths": engine["cap_tenths"]}
        self._contracts = {name: engine["contract"][0][name] for name in _MARKED}
        self.seq = journal.last_seq
        self.events = 0

    def market(self, what: int, k: int, ts: int, a: int, b: int, c: int, d: int, got: int) -> None:
        """A quote or a trade."""
        self.events += 1
        self.seq = self.journal.input(what, k, ts, a, b, c, d, got)
        self._drive(what, k, ts, a, b, c, d)
        if (decided := self.outbox.take()) is not None:
            self._act(decided, ts, got)
            self.settle(got)

    def tell(self, one: Input, received: int) -> None:
        """Anything else, and what follows from it."""
        self._tell(one, received)
        self.settle(received)

    def settle(self, received: int) -> None:
        """Tell what the broker has for the engine, until it has no more."""
        if self._telling or self.broker is None:
            return
        self._telling = True
        try:
            while inputs := self.broker.events():
                for one in inputs:
                    self._tell(one, received)
        finally:
            self._telling = False

    def _tell(self, one: Input, received: int) -> None:
        ts = max(one.ts, int(self.session.engine["now"][0]))
        self.seq = self.journal.input(one.what, one.k, ts, one.a, one.b, one.c, one.d, received)
        self._drive(one.what, one.k, ts, one.a, one.b, one.c, one.d)
        if (decided := self.outbox.take()) is not None:
            self._act(decided, ts, received)

    def _drive(self, what: int, k: int, ts: int, a: int, b: int, c: int, d: int) -> None:
        try:
            self.session.tell(what, k, ts, a, b, c, d)
        except StrategyError as error:
            self.session.disarm()
            self._watcher.raised(error)

    # ------------------------------------------------------------ decisions
    def _act(self, decided: Decided, ts: int, received: int) -> None:
        for name, rows in decided.rows.items():
            self._write_rows(name, rows)
        if "risk" in decided.rows:
            self.journal.keep()  # a lock outlives the process, whenever that dies
        broker = self.broker
        assert broker is not None, "an engine decides only when it has a broker"
        for order in decided.flattens:
            self._write_order(order, ts)
            broker.flatten(order.contract)
            self._watcher.approved(order)
        for number in decided.cancels:
            self.journal.write(Kind.ORDER, ts, {"event": "cancel_asked", "order": number})
            broker.cancel(number)
        for number in bare_legs(decided):
            broker.cancel(number)
        for order in decided.orders:
            seq = self._write_order(order, ts)
            since = self._timeline.happened(ts, received)
            broker.submit(order, self._after(seq), since)
            self._watcher.approved(order)

    def _after(self, seq: int) -> Callable[[], Any]:
        return lambda: self.journal.stored(seq)

    def _write_order(self, order: Approved, ts: int) -> int:
        told = {"event": "approved", "input": self.seq, **_plain(order), **self.numbers()}
        return self.journal.write(Kind.ORDER, ts, told)

    def _write_rows(self, name: str, rows: np.ndarray[Any, Any]) -> None:
        for row in rows:
            plain = as_plain(name, row)
            kind = _KINDS.get(name)
            if kind is not None:
                self.journal.write(kind, int(plain.get("ts", plain.get("ended", 0))), plain)
            self._watcher.decided(name, plain)

    def numbers(self) -> dict[str, int]:
        """The account's figures behind a verdict, micro-dollars."""
        told = {name: int(one[0]) for name, one in self._figures.items()}
        equity = self.equity()
        return {**told, "equity": equity, "day_pnl": equity - told["day_start"]}

    def equity(self) -> int:
        """Balance and open profit at the marks, micro-dollars."""
        total = int(self._figures["balance"][0])
        for k in range(len(self.session.feeds)):
            total += self.open_pnl(k) or 0
        return total

    def open_pnl(self, k: int) -> int | None:
        """Open profit of a contract, micro-dollars; None without a mark."""
        c = self._contracts
        position = int(c["position"][k])
        if position == 0:
            return 0
        if not c["marked"][k]:
            return None
        points = position * int(c["mark"][k]) - int(c["value_at_entry"][k])
        return points * int(c["tick_value"][k])


def as_plain(name: str, row: Any) -> dict[str, Any]:
    """A log row as names and numbers; enums by their names."""
    plain = {field: int(row[field]) for field in row.dtype.names if field != "bar"}
    if name == "refusals":
        plain["reason"] = r.REASONS[plain["reason"]]  # type: ignore[assignment]
    if "cause" in plain:
        plain["cause"] = r.CAUSES[plain["cause"]]  # type: ignore[assignment]
    if name == "orders":
        plain["event"] = r.STATUS_NAMES[plain["status"]]  # type: ignore[assignment]
    if name == "fills":
        plain["role"] = r.ROLES[plain["role"]]  # type: ignore[assignment]
    return plain


def _plain(order: Approved) -> dict[str, Any]:
    return {name: getattr(order, name) for name in order.__struct_fields__} | {
        "kind": r.ORDER_KINDS[order.kind],
        "role": r.ROLES[order.role],
    }

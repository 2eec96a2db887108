"""What the engine has decided since the last look: approved orders, cancels, flattens, log rows.

A look that finds nothing costs a comparison of two counters, because it follows every event.

I/O: none
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from pxresearch.brokers.base import Approved, approve
from pxresearch.brokers.session import EngineSession
from pxresearch.core import records as r

_REFUSALS = r.LOG_REFUSALS


class Decided(msgspec.Struct, kw_only=True):
    """What is new.

    Attributes
    ----------
    orders
        Entries and bracket legs, in the order of their numbers.
    flattens
        Orders that close a position: the contract is to be made flat.
    cancels
        Numbers of orders whose cancel was asked for.
    rows
        Log name to its new rows, and to its newest refusal when that was counted up.
    """

    orders: list[Approved]
    flattens: list[Approved]
    cancels: list[int]
    rows: dict[str, np.ndarray[Any, Any]]


class Outbox:
    """Reads an engine's decisions out of its record; nothing is taken twice.

    Parameters
    ----------
    session
        Whose; it is told by somebody else.
    """

    def __init__(self, session: EngineSession) -> None:
        self._session = session
        engine = session.engine
        self._made, self._asked = engine["orders_made"], engine["asked"]
        self._logged = session.wires["log_n"][0]
        self._orders = engine["order"][0]
        self._live, self._live_n = engine["live"][0], engine["live_n"]
        self._contracts = engine["contract"][0]
        self.forget()

    def forget(self) -> None:
        """Pass over all that is there: for a session that was restored."""
        self._seen_made = int(self._made[0])
        self._cancelling: set[int] = set()
        self._seen_asked = int(self._asked[0])
        for order in self._slots():
            if int(order["cancel_at"]) != r.NEVER:
                self._cancelling.add(int(order["id"]))
        self._rows()

    def take(self) -> Decided | None:
        """What is new; None when nothing is."""
        made, asked = int(self._made[0]), int(self._asked[0])
        logged = self._logged.tobytes() != self._before
        counted = self._counted()
        if made == self._seen_made and asked == self._seen_asked and not logged and not counted:
            return None
        orders, flattens = [], []
        if made != self._seen_made:
            for slot in self._slots():
                if int(slot["id"]) > self._seen_made:
                    new = approve(slot, int(self._contracts["position"][int(slot["contract"])]))
                    (flattens if new.role == r.EXIT else orders).append(new)
            self._seen_made = made
        return Decided(
            orders=orders, flattens=flattens, cancels=self._cancels(asked),
            rows=self._rows() if logged or counted else {},
        )  # fmt: skip

    def live(self) -> list[Approved]:
        """Every order that lives now."""
        return [
            approve(slot, int(self._contracts["position"][int(slot["contract"])]))
            for slot in self._slots()
        ]

    def _slots(self) -> list[Any]:
        n = int(self._live_n[0])
        return [self._orders[int(slot)] for slot in self._live[:n]]

    def _cancels(self, asked: int) -> list[int]:
        if asked == self._seen_asked:
            return []
        self._seen_asked = asked
        now = {int(o["id"]) for o in self._slots() if int(o["cancel_at"]) != r.NEVER}
        fresh, self._cancelling = sorted(now - self._cancelling), now
        return fresh

    # ------------------------------------------------------------ log rows
    def _counted(self) -> bool:
        """Whether the newest refusal has been counted up."""
        n = int(self._logged[_REFUSALS])
        if n == 0:
            return False
        return int(self._session.buffers["refusals"][n - 1]["count"]) != self._count

    def _rows(self) -> dict[str, np.ndarray[Any, Any]]:
        """New rows, copied; the buffers are empty then, but for the newest refusal."""
        found: dict[str, np.ndarray[Any, Any]] = {}
        for index, name in enumerate(r.LOGS):
            n, buffer = int(self._logged[index]), self._session.buffers[name]
            if n == 0:
                continue
            # The row that was left here before has been told; it is told again only if counted up.
            old = 1 if index == _REFUSALS and self._kept and not self._counted_first(buffer) else 0
            if n > old:
                found[name] = buffer[old:n].copy()
            if index == _REFUSALS:
                buffer[0] = buffer[n - 1]
                self._logged[index], self._kept = 1, True
                self._count = int(buffer[0]["count"])
            else:
                self._logged[index] = 0
        self._before = self._logged.tobytes()
        return found

    def _counted_first(self, buffer: np.ndarray[Any, Any]) -> bool:
        return int(buffer[0]["count"]) != self._count

    _kept = False
    _count = 0
    _before = b""


def bare_legs(decided: Decided) -> list[int]:
    """Numbers of bracket legs that ended because their position is gone.

    The engine ended them in the same event; a venue has to be asked, or they would open a position.
    """
    return [
        int(row["id"])
        for row in decided.rows.get("orders", ())
        if row["role"] in (r.STOP_LOSS, r.TARGET) and row["cause"] == r.POSITION_CLOSED
    ]

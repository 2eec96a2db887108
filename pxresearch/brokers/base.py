"""What a broker is: it takes orders that the risk manager approved, and tells what became of them.

Replay, paper and live are three of them under one engine. In replay and on paper the engine's own
matching fills the orders; live a venue does, and its word comes back as inputs of the engine.

Prices are ticks, quantities contracts, times ns UTC.

I/O: none
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple, Protocol

import msgspec
import numpy as np

from pxresearch.core.records import ENTRY, FREE, LOWEST


class Input(NamedTuple):
    """One thing the engine is told; see `core.replay.drive`."""

    what: int
    k: int
    ts: int
    a: int = 0
    b: int = 0
    c: int = 0
    d: int = 0


class Approved(msgspec.Struct, frozen=True, kw_only=True):
    """An order that the risk manager has approved. Only `outbox` makes one, out of the engine.

    Attributes
    ----------
    order, parent
        The engine's number of it; of a bracket's leg, that of its entry.
    contract
        Index in the session.
    kind, role
        As in `core.records`.
    limit, stop
        Ticks, absolute; None where the order has none.
    stop_ticks, target_ticks
        Distances of the bracket from the fill; 0 is no leg. A bracket given by prices has its
        distances from the expected entry, and `stop_loss` and `take_profit` as well.
    reduces
        It can only make the position smaller.
    filled
        Contracts filled before: 0 but after a restart.
    is_automated
        True on every order, by construction (design rule 9).
    """

    order: int
    parent: int
    contract: int
    side: int
    qty: int
    kind: int
    role: int
    limit: int | None
    stop: int | None
    trail: int
    stop_ticks: int
    target_ticks: int
    stop_loss: int | None
    take_profit: int | None
    trailing_stop: bool
    tag: int
    decided: int
    reduces: bool
    filled: int = 0
    is_automated: Literal[True] = True


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """What a broker holds for the session.

    Attributes
    ----------
    positions
        Signed contracts by contract index.
    working
        The engine's numbers of the orders that can still fill, ascending.
    """

    positions: tuple[int, ...]
    working: tuple[int, ...]


class Broker(Protocol):
    """Where approved orders go."""

    mode: str

    def submit(
        self, order: Approved, after: Callable[[], Awaitable[None]] | None = None,
        since: int | None = None,
    ) -> None:  # fmt: skip
        """Take an order.

        What adds exposure leaves only once `after` (the journal) is done, and only while what it
        was decided on, which happened at `since` by our clock (ns UTC), is news.
        """
        ...

    def cancel(self, order: int) -> None:
        """Take an order back."""
        ...

    def modify(
        self, order: int, *, qty: int = 0, limit: int | None = None, stop: int | None = None
    ) -> None:
        """Change an order; what is left out stays."""
        ...

    def flatten(self, contract: int) -> None:
        """Make a contract flat, and go on until it is."""
        ...

    def events(self) -> list[Input]:
        """What the engine has to be told since the last call, in order."""
        ...

    def snapshot(self) -> Holding:
        """What is held now."""
        ...

    async def close(self) -> None:
        """Stop. Orders stay as they are."""
        ...


def approve(slot: np.void, position: int) -> Approved:
    """An order slot of the engine as a value; for `outbox` alone.

    Raises
    ------
    ValueError
        The slot holds no order.
    """
    o = dict(zip(slot.dtype.names or (), slot.item(), strict=True))  # all fields in one step
    if o["status"] == FREE:
        raise ValueError("no order in this slot")
    distance = o["stop_distance"] if o["role"] == ENTRY else 0
    side, qty = o["side"], o["qty"]
    loss, profit = _price(o["stop_loss"]), _price(o["take_profit"])
    return Approved(
        order=o["id"], parent=o["parent"], contract=o["contract"], side=side, qty=qty,
        kind=o["kind"], role=o["role"], limit=_price(o["limit"]), stop=_price(o["stop"]),
        trail=o["trail"], stop_ticks=o["stop_ticks"] or (distance if loss is not None else 0),
        target_ticks=o["target_ticks"], stop_loss=loss, take_profit=profit,
        trailing_stop=bool(o["trailing_stop"]), tag=o["tag"], decided=o["decided"],
        reduces=position * side < 0 and qty <= abs(position), filled=o["filled"],
    )  # fmt: skip


def _price(ticks: int) -> int | None:
    return None if ticks == LOWEST else ticks

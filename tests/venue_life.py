"""Random lives of an account at the simulated exchange, and the same in this package's records."""

from __future__ import annotations

import random
from typing import Any

from pxresearch.gateway import wire
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.mirror import Record, Snapshot
from pxresearch.gateway.wire import OrderType
from tests.exchange_kit import ACCOUNT, MNQ, TICK, Kit

MID = 100_000


def directory(kit: Kit) -> Directory:
    """The venue's contracts."""
    return Directory(one.row() for one in kit.venue.listed)


def record(names: Directory, row: Any) -> Record:
    """A wire record in our units."""
    kinds = {
        wire.Account: names.account, wire.Order: names.order, wire.Position: names.position,
        wire.Trade: names.fill,
    }  # fmt: skip
    return kinds[type(row)](row)


def snapshot(kit: Kit, names: Directory) -> Snapshot:
    """All of the account as it really is."""
    truth = kit.venue.truth(ACCOUNT)
    return Snapshot(
        account=names.account(truth.account),
        orders=tuple(names.order(row) for row in truth.orders),
        positions=tuple(names.position(row) for row in truth.positions),
        fills=tuple(names.fill(row) for row in truth.trades),
    )


def live(kit: Kit, seed: int, steps: int) -> None:
    """Trade at random: markets, limits, stops, brackets, changes, cancels, closes, by hand too."""
    rng = random.Random(seed)
    kit.open_market(MID)
    for _ in range(steps):
        _step(kit, rng)


def _step(kit: Kit, rng: random.Random) -> None:
    side, size, near = rng.choice((1, -1)), rng.randint(1, 3), rng.randint(-12, 12)
    bracket: dict[str, Any] = {}
    if rng.random() < 0.5:
        bracket = {"sl": -side * rng.randint(4, 9), "tp": side * rng.randint(4, 9)}
    kind = rng.choice(("quote", "quote", "trade", "market", "limit", "stop", "modify", "cancel",
                       "close", "manual"))  # fmt: skip
    working = kit.working
    if kind == "quote":
        kit.quote(MID + near, MID + near + 1)
    elif kind == "trade":
        kit.trade(MID + near, size)
    elif kind == "market":
        kit.place(side, size, tag=f"t{kit.now}", **bracket)
    elif kind == "limit":
        kit.place(side, size, OrderType.LIMIT, limit=MID + near, tag=f"t{kit.now}", **bracket)
    elif kind == "stop":
        kit.place(side, size, OrderType.STOP, stop=MID + side * 20, tag=f"t{kit.now}")
    elif kind == "close":
        kit.close()
    elif kind == "manual":
        kit.now += 10**9
        kit.venue.manual(ACCOUNT, MNQ, side, size, now=kit.now)
        kit.events += kit.venue.take_events()
    elif working:
        chosen = rng.choice(working)
        if kind == "cancel":
            kit.cancel(chosen.id)
        elif chosen.limit_price is not None:
            kit.modify(chosen.id, limit_price=chosen.limit_price + side * TICK)

"""Flat, and proven so: cancel what works, close what is open, ask; again until nothing is left.

What can only close a position is cancelled last, not before the venue has taken the close, and so
is each stop on its closing side, whatever its size: whatever ends the process or the connection in
between, and as long as a market is halted, the position keeps its stop.

Design rule 8. No outcome of a request counts here, only what the venue says when it is asked: a
cancel or close whose answer was lost is simply seen, or not seen, in the next round. A close closes
what is there, so a second one cannot turn a position round.

I/O: the network, through `rest`.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from pxresearch.clock import NS, Clock
from pxresearch.errors import GatewayError
from pxresearch.gateway import wire
from pxresearch.gateway.outcome import Accepted, Outcome, Rejected, Unknown


class Venue(Protocol):
    """What a flatten needs of `Rest`."""

    async def cancel(self, account: int, order_id: int) -> Outcome: ...  # noqa: D102
    async def close_contract(self, account: int, contract_id: str) -> Outcome: ...  # noqa: D102
    async def working_orders(  # noqa: D102
        self, account: int, *, urgent: bool = False
    ) -> list[wire.Order]: ...
    async def positions(  # noqa: D102
        self, account: int, *, urgent: bool = False
    ) -> list[wire.Position]: ...


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What was done in one contract, and how it stands.

    Attributes
    ----------
    cancelled, closed
        Orders that were to be cancelled, contracts that were to be closed (signed, as first seen).
    flat
        The venue was seen without a position and a working order in it.
    last_word
        Of the venue, where a request was rejected or got no answer.
    """

    contract_id: str
    cancelled: int
    closed: int
    flat: bool
    last_word: str | None


class Flat(msgspec.Struct, frozen=True, kw_only=True):
    """How a flatten ended.

    Attributes
    ----------
    verified
        The venue itself showed nothing, twice in a row.
    trouble
        Why the venue could not be asked the last time, if it could not.
    """

    verified: bool
    rounds: int
    took_s: float
    contracts: tuple[Proof, ...]
    trouble: str | None


class _Work(msgspec.Struct):
    orders: set[int]
    closed: int = 0
    word: str | None = None


async def flatten(
    rest: Venue, account: int, *, clock: Clock, contract_id: str | None = None,
    limit_s: float = 60.0, pause_s: float = 0.25, longest_s: float = 4.0,
) -> Flat:  # fmt: skip
    """Flatten an account, or one contract of it.

    Parameters
    ----------
    limit_s
        When to give up and say that it is not flat.
    pause_s, longest_s
        Between a round's requests and the next look: at first, and at most. It doubles while
        something is left, so that the requests of a halted market do not use up the budget.

    Returns
    -------
    Flat
        Never raises for what the venue does; a venue that cannot be asked is not flat.
    """
    started = clock.now()
    seen: dict[str, _Work] = {}
    rounds = calm = 0
    trouble: str | None = None
    pause = pause_s
    while clock.now() - started < limit_s * NS:
        rounds += 1
        try:
            orders, positions = await _look(rest, account, contract_id)
        except GatewayError as error:
            calm, trouble = 0, str(error)
            await clock.sleep(pause)
            pause = min(2 * pause, longest_s)
            continue
        trouble = None
        _take_in(seen, orders, positions)
        calm = 0 if orders or positions else calm + 1
        if calm == 2:
            break
        await _round(rest, account, seen, orders, positions)
        await clock.sleep(pause_s if calm else pause)
        pause = min(2 * pause, longest_s)
    proofs = [_proof(key, work, calm == 2) for key, work in sorted(seen.items())]
    took = (clock.now() - started) / NS
    return Flat(
        verified=calm == 2, rounds=rounds, took_s=took, contracts=tuple(proofs), trouble=trouble
    )  # fmt: skip


def _proof(contract_id: str, work: _Work, verified: bool) -> Proof:
    return Proof(
        contract_id=contract_id, cancelled=len(work.orders), closed=work.closed,
        flat=verified, last_word=work.word,
    )  # fmt: skip


async def _round(
    rest: Venue, account: int, seen: dict[str, _Work],
    orders: list[wire.Order], positions: list[wire.Position],
) -> None:  # fmt: skip
    held = {row.contract_id: row for row in positions}
    closing = [order for order in orders if _protects(order, held.get(order.contract_id))]
    for order in orders:
        if order not in closing:
            _note(seen[order.contract_id], await rest.cancel(account, order.id))
    for row in positions:
        outcome = await rest.close_contract(account, row.contract_id)
        _note(seen[row.contract_id], outcome)
        if isinstance(outcome, Accepted):
            for order in closing:
                if order.contract_id == row.contract_id:
                    _note(seen[order.contract_id], await rest.cancel(account, order.id))


def _protects(order: wire.Order, position: wire.Position | None) -> bool:
    if position is None:
        return False
    long = position.type is wire.PositionType.LONG
    if order.side is not (wire.OrderSide.SELL if long else wire.OrderSide.BUY):
        return False
    # A stop that is too large is the stop all the same; what it opens, the next round closes.
    stop = order.type in (wire.OrderType.STOP, wire.OrderType.TRAILING_STOP)
    return stop or order.size - order.fill_volume <= position.size


async def _look(
    rest: Venue, account: int, contract_id: str | None
) -> tuple[list[wire.Order], list[wire.Position]]:
    # Orders first: one that fills between the two reads is then seen as a position.
    orders = await rest.working_orders(account, urgent=True)
    positions = [row for row in await rest.positions(account, urgent=True) if row.size]
    if contract_id is None:
        return orders, positions
    return (
        [row for row in orders if row.contract_id == contract_id],
        [row for row in positions if row.contract_id == contract_id],
    )


def _take_in(
    seen: dict[str, _Work], orders: list[wire.Order], positions: list[wire.Position]
) -> None:
    for row in (*orders, *positions):
        work = seen.setdefault(row.contract_id, _Work(orders=set()))
        if isinstance(row, wire.Order):
            work.orders.add(row.id)
        elif work.closed == 0:
            work.closed = row.size if row.type is wire.PositionType.LONG else -row.size


def _note(work: _Work, outcome: Outcome) -> None:
    if isinstance(outcome, Rejected):
        work.word = outcome.text
    elif isinstance(outcome, Unknown):
        work.word = outcome.why

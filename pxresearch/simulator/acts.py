"""Faults that happen at once: what each does to the exchange, the market or the hubs.

I/O: none
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Protocol

from pxresearch.errors import UsageError
from pxresearch.gateway import wire
from pxresearch.simulator.exchange import Exchange
from pxresearch.simulator.faults import Fault
from pxresearch.simulator.oneoff import OneOff
from pxresearch.simulator.switch import Switch
from pxresearch.simulator.tamper import Outgoing
from pxresearch.simulator.users import Users

_NOBODYS = 999_999_999_999  # an order id that the exchange never gives
_GARBAGE = {"text": '"NaN"', "zero": "0", "negative": "-1.25", "huge": "1e300"}


class Stage(Protocol):
    """What the acts work on: the venue."""

    exchange: Exchange
    switch: Switch
    users: Users

    def now(self) -> int:
        """Time, ns UTC."""
        ...

    def quote(self, contract_id: str, bid: int | None, ask: int | None,
              bid_sz: int = 1, ask_sz: int = 1) -> None:  # fmt: skip
        """Move the market of a contract by hand."""
        ...

    def odd_quote(self, contract_id: str, members: dict[str, str]) -> None:
        """Tell of a quote that the exchange never saw."""
        ...

    def tell(self, events: list[Outgoing]) -> None:
        """Send user events that did not happen."""
        ...


def perform(stage: Stage, fault: Fault) -> None:
    """Let a fault happen.

    Raises
    ------
    UsageError
        It names an account or contract that is not there.
    """
    act = _ACTS.get(fault.name)
    if act is None:
        stage.exchange.arm(OneOff(fault.name), fault["times"])
    else:
        act(stage, fault)


def _contract(stage: Stage, fault: Fault) -> str:
    """Contract of a fault; the first that has a market when none is named."""
    if fault["contract_id"]:
        return fault["contract_id"]
    for one in stage.exchange.listed:
        market = stage.exchange.market(one.id)
        if market.bid is not None and market.ask is not None:
            return one.id
    raise UsageError(f"{fault.name}: no contract has a market; give contract_id")


def _account(stage: Stage, fault: Fault) -> int:
    return fault["account_id"] or stage.exchange.account_ids[0]


def _top(stage: Stage, fault: Fault) -> tuple[str, int, int]:
    contract_id = _contract(stage, fault)
    market = stage.exchange.market(contract_id)
    if market.bid is None or market.ask is None:
        raise UsageError(f"{fault.name}: {contract_id} has no market on both sides")
    return contract_id, market.bid, market.ask


def _manual(stage: Stage, fault: Fault) -> None:
    try:
        price = Decimal(fault["limit_price"]) if fault["limit_price"] else None
    except InvalidOperation:
        raise UsageError(
            f"manual_order: limit_price must be a number in quotes, received "
            f"{fault['limit_price']!r}"
        ) from None
    stage.exchange.manual(
        _account(stage, fault), _contract(stage, fault), 1 if fault["side"] == "buy" else -1,
        fault["size"], type=wire.OrderType.MARKET if price is None else wire.OrderType.LIMIT,
        limit_price=price, now=stage.now(),
    )  # fmt: skip


def _unknown_event(stage: Stage, fault: Fault) -> None:
    account_id, now = _account(stage, fault), wire.to_iso(stage.now())
    contract_id = _contract(stage, fault)
    data = {
        "id": _NOBODYS, "accountId": account_id, "contractId": contract_id,
        "symbolId": contract_id.removeprefix("CON.").rpartition(".")[0],
        "creationTimestamp": now, "updateTimestamp": now, "status": 1, "type": 1, "side": 0,
        "size": 1, "limitPrice": stage_price(stage, contract_id), "fillVolume": 0,
    }  # fmt: skip
    owner = stage.exchange.owner(account_id)
    stage.tell([Outgoing(owner, account_id, wire.USER_ORDER, 1, data)])


def stage_price(stage: Stage, contract_id: str) -> Decimal:
    """Best bid of a contract, or one tick where it has none."""
    listed = next(one for one in stage.exchange.listed if one.id == contract_id)
    bid = stage.exchange.market(contract_id).bid
    return listed.price(1 if bid is None else bid)


def _one_sided(stage: Stage, fault: Fault) -> None:
    contract_id, bid, ask = _top(stage, fault)
    gone = fault["side"] in ("ask", "sell")
    stage.quote(contract_id, bid if gone else None, None if gone else ask)


def _crossed(stage: Stage, fault: Fault) -> None:
    contract_id, _, ask = _top(stage, fault)
    stage.quote(contract_id, ask + fault["ticks"], ask)


def _garbage(stage: Stage, fault: Fault) -> None:
    stage.odd_quote(_contract(stage, fault), {"bestBid": _GARBAGE[fault["garbage"]]})


def _off_tick(stage: Stage, fault: Fault) -> None:
    contract_id, bid, _ = _top(stage, fault)
    listed = next(one for one in stage.exchange.listed if one.id == contract_id)
    between = listed.price(bid) + listed.price(1) / 3
    stage.odd_quote(contract_id, {"bestBid": format(between.quantize(Decimal("1e-9")), "f")})


def _burst(stage: Stage, fault: Fault) -> None:
    contract_id, bid, ask = _top(stage, fault)
    for n in range(fault["quotes"]):
        stage.quote(contract_id, bid - n % 2, ask + n % 3)


_ACTS: dict[str, Callable[[Stage, Fault], None]] = {
    "manual_order": _manual,
    "unknown_event": _unknown_event,
    "logout": lambda stage, fault: stage.switch.logout(fault["hub"]),
    "halt": lambda stage, fault: stage.exchange.halt(_contract(stage, fault), fault["halted"]),
    "can_trade": lambda stage, fault: stage.exchange.set_can_trade(
        _account(stage, fault), fault["allowed"]
    ),
    "expire_tokens": lambda stage, fault: stage.users.end_all(),
    "hub_ping": lambda stage, fault: stage.switch.ping(fault["hub"], fault["payload"]),
    "one_sided_quote": _one_sided,
    "crossed_quote": _crossed,
    "garbage_quote": _garbage,
    "off_tick_price": _off_tick,
    "burst": _burst,
}

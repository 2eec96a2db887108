"""An engine's state as plain values with names and units, for a person to read.

Prices are given as such (floats) beside ticks, money in USD, times as ISO text in UTC.

I/O: none
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pxresearch import measures
from pxresearch.brokers.session import EngineSession
from pxresearch.core import records as r
from pxresearch.journal.records import Input

_QUOTED = ("bid", "ask", "bid_size", "ask_size")
_VALUES = {
    r.QUOTES: _QUOTED,
    r.TRADES: ("price", "size", "side"),
    r.VENUE_FILL: ("order", "qty", "price", "fill"),
    r.VENUE_ACK: ("order",),
    r.VENUE_END: ("order", "status"),
    r.VENUE_CHANGE: ("order", "qty", "limit", "stop"),
    r.COMMAND: ("command",),
}
_COMMANDS = {
    r.HALT: ("cause",),
    r.BLOCK: ("blocked",),
    r.FLATTEN_NOW: ("cause",),
    r.TIGHTEN: ("rule", "limit"),
    r.ACCOUNT_IS: ("balance", "day_start", "max_loss_level"),
    r.NUMBER_FROM: ("last_number",),
    r.GAP: ("since", "until"),
}
_OF_A_CONTRACT = (r.FLATTEN_NOW, r.GAP)
_PRICES = {"bid", "ask", "price", "limit", "stop"}


def when(ns: int) -> str | None:
    """Time as ISO text, UTC; None for one that does not come or never was."""
    return None if ns in (0, r.NEVER) else f"{np.datetime64(ns, 'ns')}Z"


def usd(micros: int) -> float:
    """USD of micro-dollars."""
    return int(micros) / r.MICROS


def of_input(session: EngineSession, told: Input) -> dict[str, Any]:
    """What the engine was told, each value by its name."""
    names = _VALUES.get(told.what, ())
    values: dict[str, Any] = dict(zip(names, (told.a, told.b, told.c, told.d), strict=False))
    if told.what == r.COMMAND:
        values = _command(told)
    elif told.what == r.VENUE_FILL:  # a sale has a negative number
        values |= {"fill": abs(told.d), "side": _side(r.BUY if told.d > 0 else r.SELL)}
    elif told.what == r.VENUE_END:
        values["status"] = r.STATUS_NAMES[told.b]
    for name in _PRICES & set(names):
        values[name] = _price(session, told.k, values[name])
    one = told.a in _OF_A_CONTRACT if told.what == r.COMMAND else told.what != r.CLOCK
    feed = session.feeds[told.k].contract.code if one and told.k >= 0 else None
    return {
        "what": r.INPUTS[told.what], "contract": feed, "ts": when(told.ts), **values,
        "received": when(told.received),
    }  # fmt: skip


def _command(told: Input) -> dict[str, Any]:
    """A command, each of its values by its name and in its unit."""
    names = _COMMANDS.get(told.a, ())
    values: dict[str, Any] = dict(zip(names, (told.b, told.c, told.d), strict=False))
    if "cause" in values:
        values["cause"] = r.CAUSES[told.b]
    elif told.a == r.BLOCK:
        values["blocked"] = measures.blocks(told.b)
    elif told.a == r.TIGHTEN:
        divisor = {r.DAILY_LOSS_LIMIT: r.MICROS, r.SIZE_TENTHS: 10}.get(told.b, 1)
        values = {"rule": r.TIGHTENED[told.b], "limit": told.c / divisor}
    elif told.a == r.ACCOUNT_IS:
        values = {name: usd(value) for name, value in values.items()}
    elif told.a == r.GAP:
        values = {name: when(value) for name, value in values.items()}
    return {"command": r.COMMANDS[told.a], **values}


def of_engine(session: EngineSession) -> dict[str, Any]:
    """Market, account, limits, positions, orders, and the strategy's parameters and state."""
    return {
        "now": when(int(session.engine["now"][0])),
        "market": [_market(session, k) for k in range(len(session.feeds))],
        "account": _account(session),
        "positions": [p for k in range(len(session.feeds)) if (p := _position(session, k))],
        "orders": _orders(session),
        "limits": _limits(session),
        "strategy": {
            "class": type(session.strategy).__name__,
            "parameters": session.strategy.parameters,
            "state": _strategy(session),
        },
    }


def _price(session: EngineSession, k: int, ticks: int) -> float | None:
    if ticks in (r.NO_BID, r.NO_ASK) or not r.LOWEST < ticks < r.HIGHEST:
        return None
    return session.feeds[k].contract.instrument.to_price(int(ticks))


def _market(session: EngineSession, k: int) -> dict[str, Any]:
    e = session.engine[0]
    c, s = e["contract"][k], e["contract"][k]["session"]
    return {
        "contract": session.feeds[k].contract.code,
        "bid": _price(session, k, c["bid"]), "ask": _price(session, k, c["ask"]),
        "bid_size": int(c["bid_sz"]), "ask_size": int(c["ask_sz"]),
        "last": _price(session, k, c["last"]) if c["last_ts"] else None,
        "quote_age_s": (int(e["now"]) - int(c["quote_ts"])) / 1e9 if c["quote_ts"] else None,
        "in_session": bool(c["in_session"]), "flattening": bool(c["flattening"]),
        "no_open_from": when(int(s["no_open_from"])), "flatten_at": when(int(s["flatten_at"])),
    }  # fmt: skip


def _open_pnl(session: EngineSession, k: int) -> int:
    c = session.engine[0]["contract"][k]
    if not c["position"] or not c["marked"]:
        return 0
    return (int(c["position"]) * int(c["mark"]) - int(c["value_at_entry"])) * int(c["tick_value"])


def _equity(session: EngineSession) -> int:
    opened = sum(_open_pnl(session, k) for k in range(len(session.feeds)))
    return int(session.engine["balance"][0]) + opened


def _account(session: EngineSession) -> dict[str, Any]:
    e, equity = session.engine[0], _equity(session)
    return {
        "balance": usd(e["balance"]), "equity": usd(equity),
        "day_pnl": usd(equity - int(e["day_start"])), "day_costs": usd(e["day_costs"]),
        "realized": usd(e["realized"]), "costs": usd(e["costs"]),
        "loss_streak": int(e["loss_streak"]), "halted": bool(e["halted"]),
        "day_locked": bool(e["locked"]), "profit_locked": bool(e["profit_locked"]),
        "over": bool(e["over"]), "pause_until": when(int(e["pause_until"])),
        "blocked": measures.blocks(int(e["blocked"])),
    }  # fmt: skip


def _position(session: EngineSession, k: int) -> dict[str, Any] | None:
    c = session.engine[0]["contract"][k]
    qty = int(c["position"])
    if qty == 0:
        return None
    instrument = session.feeds[k].contract.instrument
    average = int(c["value_at_entry"]) / qty * instrument.tick_num / instrument.tick_den
    return {
        "contract": session.feeds[k].contract.code, "qty": qty, "average_price": average,
        "open_pnl": usd(_open_pnl(session, k)), "mark": _price(session, k, c["mark"]),
    }  # fmt: skip


def of_order(session: EngineSession, o: Mapping[str, Any] | np.void) -> dict[str, Any]:
    """An order of the engine, or a row of its log of orders."""
    k = int(o["contract"])
    return {
        "id": int(o["id"]), "parent": int(o["parent"]),
        "contract": session.feeds[k].contract.code, "side": _side(o["side"]),
        "kind": r.ORDER_KINDS[o["kind"]], "role": r.ROLES[o["role"]],
        "status": r.STATUS_NAMES[o["status"]], "cause": r.CAUSES[o["cause"]],
        "qty": int(o["qty"]), "filled": int(o["filled"]),
        "limit": _price(session, k, o["limit"]), "stop": _price(session, k, o["stop"]),
        "stop_ticks": int(o["stop_ticks"]), "target_ticks": int(o["target_ticks"]),
        "tag": int(o["tag"]), "decided": when(int(o["decided"])),
    }  # fmt: skip


def _side(side: int) -> str:
    return {r.BUY: "buy", r.SELL: "sell"}.get(int(side), "")


def _orders(session: EngineSession) -> list[dict[str, Any]]:
    e = session.engine[0]
    return [of_order(session, e["order"][slot]) for slot in e["live"][: e["live_n"]].tolist()]


def _limits(session: EngineSession) -> list[dict[str, Any]]:
    """Each limit that is set, how much of it is used, and what is left."""
    e, rules = session.engine[0], session.engine[0]["rules"]
    equity, found = _equity(session), []

    def add(name: str, used: float, limit: float) -> None:
        found.append({"limit": name, "now": used, "allowed": limit, "left": limit - used})

    if rules["has_daily_loss"]:
        add("daily_loss_usd", usd(int(e["day_start"]) - equity), usd(rules["daily_loss"]))
    if rules["has_max_loss"]:
        allowed = int(e["start_balance"]) - int(e["level"])
        add("max_loss_usd", usd(int(e["start_balance"]) - equity), usd(allowed))
    if rules["has_profit_lock"]:
        add("profit_lock_usd", usd(equity - int(e["day_start"])), usd(rules["profit_lock"]))
    if e["cap_tenths"] or rules["max_tenths"]:
        held = sum(
            abs(int(c["position"])) * int(c["size_tenths"])
            for c in e["contract"][: e["contracts_n"]]
        )
        add("position_minis", held / 10, int(e["cap_tenths"] or rules["max_tenths"]) / 10)
    if rules["loss_count"]:
        add("losses_in_a_row", int(e["loss_streak"]), int(rules["loss_count"]))
    return found


def of_log(session: EngineSession, name: str, row: np.void) -> dict[str, Any]:
    """A row of one of the engine's logs, numbers by name."""
    if name == "orders":
        return of_order(session, row)
    k = int(row["contract"])
    code = session.feeds[k].contract.code if 0 <= k < len(session.feeds) else None
    values = {"contract": code, "ts": when(int(row["ts"]))}
    if name == "refusals":
        rule = r.REASONS[row["reason"]]
        value, limit = int(row["value"]), int(row["limit"])
        instrument = session.feeds[k].contract.instrument if code else None
        values |= {
            "rule": rule, "side": _side(row["side"]), "kind": r.ORDER_KINDS[row["kind"]],
            "qty": int(row["qty"]), "value": measures.number(rule, value),
            "limit": measures.number(rule, limit),
            "says": measures.phrase(rule, value, limit, instrument), "count": int(row["count"]),
        }  # fmt: skip
    elif name == "fills":
        values |= {
            "order": int(row["order"]), "side": _side(row["side"]), "qty": int(row["qty"]),
            "price": _price(session, k, row["price"]), "cost": usd(row["cost"]),
            "realized": usd(row["realized"]), "position": int(row["position"]),
            "role": r.ROLES[row["role"]], "cause": r.CAUSES[row["cause"]],
        }  # fmt: skip
    else:
        cause, value, limit = r.CAUSES[row["cause"]], int(row["value"]), int(row["limit"])
        values |= {
            "cause": cause, "value": measures.number(cause, value),
            "limit": measures.number(cause, limit), "says": measures.phrase(cause, value, limit),
        }  # fmt: skip
    return values


def _strategy(session: EngineSession) -> dict[str, Any]:
    """State of the strategy by name; rings and other arrays as their length."""
    record = session.record if session.twin is None else session.twin.to_record(session.record)
    names = record.dtype.names or ()
    wanted = [n for n in names if n not in session.strategy.parameters and not n.startswith("_")]
    return {name: _value(record[name][0]) for name in wanted}


def _value(value: Any) -> Any:
    if isinstance(value, np.void):
        return {name: _value(value[name]) for name in value.dtype.names or ()}
    if isinstance(value, np.ndarray):
        return value.tolist() if value.size <= 16 else f"{value.size} values"
    return value.item()

"""What the gateway tells, as polars frames to read and plot.

Times have zone UTC, prices are floats, money is USD, quantities are signed where a side is meant,
and `session` is the trading day.

I/O: none
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from pxresearch.gateway.contracts import Directory, Listing
from pxresearch.gateway.history import Bar
from pxresearch.gateway.records import MICROS, Account, Fill, Order, Position
from pxresearch.validation.schema import TS, session_date

_BAR = {
    "ts": pl.Int64, "open": pl.Int64, "high": pl.Int64, "low": pl.Int64, "close": pl.Int64,
    "volume": pl.Int64,
}  # fmt: skip


def bar_frame(bars: Sequence[Bar], listing: Listing) -> pl.DataFrame:
    """Bars, ascending: session, ts (of the opening), open, high, low, close, volume."""
    rows = [(bar.ts, bar.o, bar.h, bar.l, bar.c, bar.v) for bar in bars]
    frame = pl.DataFrame(rows, schema=_BAR, orient="row")
    prices = pl.col("open", "high", "low", "close")
    priced = prices * listing.tick.numerator / listing.tick.denominator
    timed = frame.with_columns(pl.col("ts").cast(TS), priced)
    return timed.with_columns(session_date(pl.col("ts"))).select("session", *_BAR)


def account_frame(rows: Iterable[Account]) -> pl.DataFrame:
    """Accounts: id, name, balance, can_trade, simulated."""
    schema = {
        "id": pl.Int64, "name": pl.String, "balance": pl.Float64, "can_trade": pl.Boolean,
        "simulated": pl.Boolean,
    }  # fmt: skip
    data = [(a.id, a.name, a.balance / MICROS, a.can_trade, a.simulated) for a in rows]
    return pl.DataFrame(data, schema=schema, orient="row")


def contract_frame(listings: Iterable[Listing]) -> pl.DataFrame:
    """Contracts: code, id, name, tick_size, tick_value, active, tradable here."""
    schema = {
        "code": pl.String, "id": pl.String, "name": pl.String, "tick_size": pl.Float64,
        "tick_value": pl.Float64, "active": pl.Boolean, "known": pl.Boolean,
    }  # fmt: skip
    data = [
        (x.code, x.id, x.name, float(x.tick), x.tick_value / MICROS, x.active,
         x.contract is not None)
        for x in listings
    ]  # fmt: skip
    return pl.DataFrame(data, schema=schema, orient="row")


def order_frame(rows: Iterable[Order], directory: Directory) -> pl.DataFrame:
    """Orders, oldest first; qty is signed, fill_price the venue's average."""
    schema: dict[str, Any] = {
        "created": pl.Int64, "id": pl.Int64, "contract": pl.String, "kind": pl.String,
        "status": pl.String, "qty": pl.Int64, "filled": pl.Int64, "limit": pl.Float64,
        "stop": pl.Float64, "fill_price": pl.Float64, "tag": pl.String, "parent": pl.Int64,
    }  # fmt: skip
    data = []
    for o in sorted(rows, key=lambda o: o.id):
        at = directory.listing(o.contract_id)
        data.append(
            (o.created, o.id, at.code, o.type.name.lower(), o.status.name.lower(), o.side * o.qty,
             o.filled, _price(at, o.limit), _price(at, o.stop),
             None if o.fill_price is None else float(o.fill_price), o.tag, o.parent)
        )  # fmt: skip
    return _timed(pl.DataFrame(data, schema=schema, orient="row"), "created")


def position_frame(
    rows: Iterable[Position], directory: Directory, open_pnl: Mapping[str, int | None]
) -> pl.DataFrame:
    """Positions: created, contract, qty (signed), average_price, open_pnl (null where unknown).

    Parameters
    ----------
    open_pnl
        Micro-dollars by contract id, as far as there is a price for it.
    """
    schema = {
        "created": pl.Int64, "contract": pl.String, "qty": pl.Int64, "average_price": pl.Float64,
        "open_pnl": pl.Float64,
    }  # fmt: skip
    data = []
    for p in rows:
        profit = open_pnl.get(p.contract_id)
        usd = None if profit is None else profit / MICROS
        code = directory.listing(p.contract_id).code
        data.append((p.created, code, p.qty, float(p.average_price), usd))
    return _timed(pl.DataFrame(data, schema=schema, orient="row"), "created")


def fill_frame(rows: Iterable[Fill], directory: Directory) -> pl.DataFrame:
    """Half-turns, oldest first: qty signed, gross of what was closed, cost of this side, USD."""
    schema = {
        "ts": pl.Int64, "id": pl.Int64, "order": pl.Int64, "contract": pl.String, "qty": pl.Int64,
        "price": pl.Float64, "gross": pl.Float64, "cost": pl.Float64, "voided": pl.Boolean,
    }  # fmt: skip
    data = []
    for f in sorted(rows, key=lambda f: (f.ts, f.id)):
        at = directory.listing(f.contract_id)
        gross = None if f.gross is None else f.gross / MICROS
        data.append(
            (f.ts, f.id, f.order, at.code, f.side * f.qty, _price(at, f.price), gross,
             f.cost / MICROS, f.voided)
        )  # fmt: skip
    return _timed(pl.DataFrame(data, schema=schema, orient="row"), "ts")


def _price(listing: Listing, ticks: int | None) -> float | None:
    return None if ticks is None else float(listing.to_price(ticks))


def _timed(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    timed = frame.with_columns(pl.col(name).cast(TS))
    return timed.with_columns(session_date(pl.col(name))).select("session", *frame.columns)

"""The engine's logs as polars frames that a trader can read.

Times become ``Datetime("ns", "UTC")``, each with the trading day it belongs to; prices floats in
points; micro-dollars ``*_usd`` floats, each the correctly rounded micro / 10⁶ (sum the logs, not
the floats, where the last digit matters); enum numbers become names; what does not apply is null.

I/O: none
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pxresearch.core import records
from pxresearch.instruments import Contract
from pxresearch.sessions import trading_day

if TYPE_CHECKING:
    import polars as pl

_HOUR = 3_600_000_000_000
_SECOND = 1_000_000_000
_ORDER_SIDES = {records.BUY: "buy", records.SELL: "sell"}
_POSITION_SIDES = {records.BUY: "long", records.SELL: "short"}
_MONEY_CAUSES = (records.DAILY_LOSS, records.MAX_LOSS, records.PROFIT_LOCK)


def fills(rows: np.ndarray, contracts: Sequence[Contract]) -> pl.DataFrame:
    """One row a fill: realized is gross, cost is positive, slippage in ticks against us."""
    return _frame(
        ts=_time(rows["ts"]),
        trading_day=trading_days(rows["ts"]),
        order=rows["order"],
        contract=_codes(rows["contract"], contracts),
        side=_named(rows["side"], _ORDER_SIDES),
        qty=rows["qty"],
        price=prices(rows["price"], rows["contract"], contracts),
        realized_usd=_usd(rows["realized"]),
        cost_usd=_usd(rows["cost"]),
        position=rows["position"],
        role=_enum(rows["role"], records.ROLES),
        cause=_enum(rows["cause"], records.CAUSES),
        slippage_ticks=rows["slippage"],
        ambiguous=rows["ambiguous"] != 0,
    )


def trades(rows: np.ndarray, contracts: Sequence[Contract]) -> pl.DataFrame:
    """One row a FIFO match: net = gross - cost; mae and mfe are gross, of the whole quantity."""
    return _frame(
        contract=_codes(rows["contract"], contracts),
        side=_named(rows["side"], _POSITION_SIDES),
        qty=rows["qty"],
        entry_ts=_time(rows["entry_ts"]),
        exit_ts=_time(rows["exit_ts"]),
        trading_day=trading_days(rows["exit_ts"]),
        entry_price=prices(rows["entry_price"], rows["contract"], contracts),
        exit_price=prices(rows["exit_price"], rows["contract"], contracts),
        gross_usd=_usd(rows["gross"]),
        cost_usd=_usd(rows["cost"]),
        net_usd=_usd(rows["gross"] - rows["cost"]),
        mae_usd=_usd(rows["mae"]),
        mfe_usd=_usd(rows["mfe"]),
        holding_s=(rows["exit_ts"] - rows["entry_ts"]) / _SECOND,
        exit=_enum(rows["exit_role"], records.ROLES),
        cause=_enum(rows["exit_cause"], records.CAUSES),
        ambiguous=rows["ambiguous"] != 0,
        tag=rows["tag"],
        entry_order=rows["entry_order"],
        exit_order=rows["exit_order"],
    )


def orders(rows: np.ndarray, contracts: Sequence[Contract]) -> pl.DataFrame:
    """One row an order, its children included; limit and stop only where the kind has them."""
    kind, index = rows["kind"], rows["contract"]
    has_limit = np.isin(kind, (records.LIMIT, records.STOP_LIMIT))
    has_stop = np.isin(kind, (records.STOP, records.STOP_LIMIT, records.TRAILING))
    return _frame(
        order=rows["id"],
        parent=_where(rows["parent"] > 0, rows["parent"]),
        trading_day=trading_days(rows["decided"]),
        contract=_codes(index, contracts),
        side=_named(rows["side"], _ORDER_SIDES),
        kind=_enum(kind, records.ORDER_KINDS),
        role=_enum(rows["role"], records.ROLES),
        qty=rows["qty"],
        filled=rows["filled"],
        limit=_where(has_limit, prices(rows["limit"], index, contracts)),
        stop=_where(has_stop, prices(rows["stop"], index, contracts)),
        trail_ticks=_where(kind == records.TRAILING, rows["trail"]),
        stop_ticks=_where(rows["stop_ticks"] > 0, rows["stop_ticks"]),
        target_ticks=_where(rows["target_ticks"] > 0, rows["target_ticks"]),
        status=_enum(rows["status"], records.STATUS_NAMES),
        cause=_enum(rows["cause"], records.CAUSES),
        decided=_time(rows["decided"]),
        active_from=_time(rows["active_from"]),
        ended=_time(rows["ended"]),
        tag=rows["tag"],
    )


def refusals(rows: np.ndarray, contracts: Sequence[Contract]) -> pl.DataFrame:
    """One row an unbroken run of the same refusal; value and limit as the rule compared them."""
    return _frame(
        ts=_time(rows["ts"]),
        last_ts=_time(rows["last_ts"]),
        trading_day=trading_days(rows["ts"]),
        count=rows["count"],
        contract=_codes(rows["contract"], contracts),
        side=_named(rows["side"], _ORDER_SIDES),
        kind=_enum(rows["kind"], records.ORDER_KINDS),
        qty=rows["qty"],
        reason=_enum(rows["reason"], records.REASONS),
        value=rows["value"],
        limit=rows["limit"],
    )


def equity(rows: np.ndarray) -> pl.DataFrame:
    """One row a minute in which a position was open; low and high since the row before."""
    money = {f"{name}_usd": _usd(rows[name]) for name in ("balance", "equity", "low", "high")}
    return _frame(ts=_time(rows["ts"]), trading_day=trading_days(rows["ts"]), **money)


def days(rows: np.ndarray, changes: Sequence[int]) -> pl.DataFrame:
    """One row a trading day; pnl is the change of equity, micro-dollars in `changes`."""
    money = ("start_balance", "end_balance", "end_equity", "costs", "min_equity", "max_equity",
             "drawdown")  # fmt: skip
    flags = ("locked", "profit_locked", "over")
    return _frame(
        trading_day=_dates(rows["date"]),
        pnl_usd=_usd(np.array(changes, np.int64)),
        **{f"{name}_usd": _usd(rows[name]) for name in money},
        max_loss_level_usd=_usd(rows["level"]),
        trades=rows["trades"],
        fills=rows["fills"],
        events=rows["events"],
        in_market_s=rows["in_market"] / _SECOND,
        **{name: rows[name] != 0 for name in flags},
        open_orders=rows["open_orders"],
        open_position=rows["open_position"],
    )


def bars(rows: np.ndarray, contracts: Sequence[Contract], names: Sequence[str]) -> pl.DataFrame:
    """One row a bar that the strategy saw; `names` are its timeframes."""
    bar, index = rows["bar"], rows["contract"]
    ohlc = {name: prices(bar[name], index, contracts, 2) for name in _OHLC}
    return _frame(
        ts=_time(bar["end"]),
        ts_open=_time(bar["ts"]),
        trading_day=trading_days(bar["ts"]),
        contract=_codes(index, contracts),
        frame=_named(rows["frame"], dict(enumerate(names))),
        **ohlc,
        volume=bar["volume"],
        count=bar["count"],
    )


def risk(rows: np.ndarray, contracts: Sequence[Contract]) -> pl.DataFrame:
    """One row a risk event; value and limit in USD where the cause is a limit on money."""
    money = np.isin(rows["cause"], _MONEY_CAUSES)
    return _frame(
        ts=_time(rows["ts"]),
        trading_day=trading_days(rows["ts"]),
        cause=_enum(rows["cause"], records.CAUSES),
        contract=_codes(rows["contract"], contracts),
        value_usd=_where(money, _usd(rows["value"])),
        limit_usd=_where(money, _usd(rows["limit"])),
    )


_OHLC = ("open", "high", "low", "close")


def trading_days(ts: np.ndarray) -> np.ndarray:
    """Trading day of each instant (ns UTC), as datetime64[D]; NaT at 0 and at `NEVER`."""
    # Days begin on a whole hour UTC (17:00 Chicago), so an hour has one trading day.
    hours, back = np.unique(ts // _HOUR, return_inverse=True)
    known = (hours > 0) & (hours < records.NEVER // _HOUR)
    labels = [
        np.datetime64(trading_day(int(hour) * _HOUR) if ok else "NaT", "D")
        for hour, ok in zip(hours, known, strict=True)
    ]
    return np.array(labels, "datetime64[D]")[back]


def prices(
    ticks: np.ndarray, index: np.ndarray, contracts: Sequence[Contract], parts: int = 1
) -> np.ndarray:
    """Float price of integer ticks (`parts` = 2: half ticks), by the contract of each row."""
    num = np.array([c.instrument.tick_num for c in contracts], np.int64)
    den = np.array([c.instrument.tick_den for c in contracts], np.int64)
    return ticks * num[index] / (den[index] * parts)


def _frame(**columns: Any) -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame(columns)


def _time(ts: np.ndarray) -> pl.Series:
    import polars as pl

    known = (ts > 0) & (ts < records.NEVER)
    return _where(known, ts.astype("datetime64[ns]")).cast(pl.Datetime("ns", "UTC"))


def _dates(yyyymmdd: np.ndarray) -> np.ndarray:
    text = [f"{n // 10_000:04}-{n // 100 % 100:02}-{n % 100:02}" for n in yyyymmdd.tolist()]
    return np.array(text, "datetime64[D]")


def _usd(micros: np.ndarray) -> np.ndarray:
    return micros / records.MICROS


def _enum(numbers: np.ndarray, names: Sequence[str]) -> pl.Series:
    return _named(numbers, dict(enumerate(names)))


def _named(numbers: np.ndarray, names: dict[int, str]) -> pl.Series:
    """Names of an enum's numbers; an empty or unknown one is null."""
    import polars as pl

    kind = pl.Enum([name for name in names.values() if name])
    return pl.Series([names.get(n) or None for n in numbers.tolist()], dtype=kind)


def _codes(index: np.ndarray, contracts: Sequence[Contract]) -> pl.Series:
    """Contract codes; null where the row speaks of no contract (-1)."""
    import polars as pl

    codes = {k: c.code for k, c in enumerate(contracts)}
    return pl.Series([codes.get(k) for k in index.tolist()], dtype=pl.String)


def _where(mask: np.ndarray, values: np.ndarray) -> pl.Series:
    """Return the values as a series that is null outside the mask."""
    import polars as pl

    series = pl.Series("", values)
    return series.set(pl.Series(~mask), None) if not mask.all() else series

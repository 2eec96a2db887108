"""`Result`: what a run produced, as a summary, frames, figures and files.

Money inside a `Run` is integer micro-dollars, prices integer ticks, time ns UTC; a `Result` shows
USD, points and Chicago time. Nothing heavy is imported before it is asked for.

I/O: `Result.save` writes files; `Result.plot` may read prices from the catalogue.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pxresearch import metrics
from pxresearch.core.records import LOGS, REASONS
from pxresearch.instruments import Contract
from pxresearch.metrics import Metrics
from pxresearch.report import frames, summary
from pxresearch.sessions import session

if TYPE_CHECKING:
    import polars as pl

    from pxresearch.programmes import Programme
    from pxresearch.tearsheet import Sheet
    from pxresearch.tickdata import Ticks


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Everything that a replay or a paper or live session left behind.

    Attributes
    ----------
    strategy, parameters
        Name of the strategy class and the values it ran with.
    contracts
        In the order in which the logs count them.
    programme
        Rules of the account.
    settings
        Fill model, latency and the like, to be shown.
    logs
        Log name to structured array; a name that is missing counts as empty.
    engine
        The final ENGINE record, shape (1,).
    frames
        Timeframes of the strategy, for example ``("1m",)``, in the order of the logs.
    ticks
        The data that was replayed, for price pictures; may be empty.
    events, first_ts, last_ts, elapsed_s
        Number of market events, first and last of them (ns UTC), and the seconds it took.
    """

    strategy: str
    parameters: dict[str, Any]
    contracts: tuple[Contract, ...]
    programme: Programme
    settings: dict[str, Any]
    logs: Mapping[str, np.ndarray]
    engine: np.ndarray
    frames: tuple[str, ...]
    ticks: tuple[Ticks, ...]
    events: int
    first_ts: int
    last_ts: int
    elapsed_s: float
    compiled: bool
    synthetic: bool

    def log(self, name: str) -> np.ndarray:
        """Rows of one log; empty when the run has none."""
        found = self.logs.get(name)
        return np.zeros(0, LOGS[name]) if found is None else found

    @property
    def label(self) -> str:
        """Contract codes, joined by commas."""
        return ",".join(contract.code for contract in self.contracts)


class Result:
    """The result of a run; print it, plot it, read its frames, save it.

    The frames are polars, made on first use: `trades`, `fills`, `orders`, `refusals`, `equity`,
    `days`, `bars` and `risk`. `metrics` has every figure by name.

    Parameters
    ----------
    run
        What the engine left behind.

    Examples
    --------
    >>> result = px.backtest(EmaCross(), ticks)  # doctest: +SKIP
    >>> result.metrics.net_pnl_usd  # doctest: +SKIP
    """

    def __init__(self, run: Run) -> None:
        self.run = run

    @cached_property
    def metrics(self) -> Metrics:
        """Every figure of the run; None where it has no value."""
        run = self.run
        logs = {name: run.log(name) for name in LOGS}
        return metrics.measure(logs, run.engine, run.programme, _session_ns(run))

    @cached_property
    def trades(self) -> pl.DataFrame:
        """Round trips, matched first in first out."""
        return frames.trades(self.run.log("trades"), self.run.contracts)

    @cached_property
    def fills(self) -> pl.DataFrame:
        """Executions with price, cost and role."""
        return frames.fills(self.run.log("fills"), self.run.contracts)

    @cached_property
    def orders(self) -> pl.DataFrame:
        """Orders with their end; bracket legs have a `parent`."""
        return frames.orders(self.run.log("orders"), self.run.contracts)

    @cached_property
    def refusals(self) -> pl.DataFrame:
        """Signals that the risk manager refused, with the reason."""
        return frames.refusals(self.run.log("refusals"), self.run.contracts)

    @cached_property
    def equity(self) -> pl.DataFrame:
        """Balance and equity by the minute, while a position was open."""
        return frames.equity(self.run.log("equity"))

    @cached_property
    def days(self) -> pl.DataFrame:
        """Trading days with P&L, extremes, limits and counts."""
        rows, start = self.run.log("days"), int(self.run.engine["start_balance"][0])
        return frames.days(rows, metrics.day_changes(rows, start))

    @cached_property
    def bars(self) -> pl.DataFrame:
        """Bars that the strategy saw."""
        return frames.bars(self.run.log("bars"), self.run.contracts, self.run.frames)

    @cached_property
    def risk(self) -> pl.DataFrame:
        """Limits touched, flattens and locks."""
        return frames.risk(self.run.log("risk"), self.run.contracts)

    @property
    def breaches(self) -> list[dict[str, Any]]:
        """Touches of the daily or the maximum loss limit; empty when there was none."""
        return metrics.breaches(self.run.log("risk"))

    @property
    def refusals_by_reason(self) -> dict[str, int]:
        """Refused signals by reason, most frequent first."""
        counts: dict[str, int] = {}
        for row in self.run.log("refusals"):
            name = REASONS[row["reason"]]
            counts[name] = counts.get(name, 0) + int(row["count"])
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    @property
    def warnings(self) -> list[str]:
        """What a reader must know before trusting the figures; empty when there is nothing."""
        return list(summary.warnings(self))

    def plot(self, day: date | str | None = None, *, contract: str | None = None) -> Sheet:
        """Draw the tear sheet.

        Parameters
        ----------
        day
            Trading day of the price chart; default: the one with most trades.
        contract
            Code for the price chart; default: the most traded one of that day.

        Raises
        ------
        UsageError
            The run has no such day or contract.
        """
        from pxresearch import tearsheet

        return tearsheet.sheet(self, day, contract)

    def plot_day(
        self,
        day: date | str | None = None,
        *,
        contract: str | None = None,
        between: tuple[str, str] | None = None,
    ) -> Sheet:
        """Draw the price of one day with the trades on it.

        Parameters
        ----------
        day, contract
            As for :meth:`plot`.
        between
            Chicago times such as ``("08:30", "10:00")``; default: all data of the day.
        """
        from pxresearch import tearsheet

        return tearsheet.day_sheet(self, day, contract, between)

    def plot_equity(self) -> Sheet:
        """Draw equity, drawdown and the account's limits."""
        from pxresearch import tearsheet

        return tearsheet.equity_sheet(self)

    def to_json(self) -> dict[str, Any]:
        """Return the run as plain values that ``json.dumps`` takes; all metrics are in it."""
        from pxresearch import export

        return export.as_json(self)

    def save(self, directory: str | os.PathLike[str]) -> dict[str, Path]:
        """Write result.json, report.html, tearsheet.png, trades.csv and trades.parquet.

        Returns
        -------
        dict
            File name to path. The directory is made; files of these names are replaced.
        """
        from pxresearch import export

        return export.save(self, Path(directory))

    def __repr__(self) -> str:
        return "\n".join(summary.lines(self))

    def _repr_html_(self) -> str:
        from pxresearch import export

        return export.fragment(self)


def _session_ns(run: Run) -> int:
    """Session time between the first and the last event, of the longest session each day."""
    covered = 0
    for stamp in run.log("days")["date"].tolist():
        day = date(stamp // 10_000, stamp // 100 % 100, stamp % 100)
        covered += max((_open_ns(run, contract, day) for contract in run.contracts), default=0)
    return covered


def _open_ns(run: Run, contract: Contract, day: date) -> int:
    hours = session(contract, day)
    whole = _overlap(hours.open, hours.close, run.first_ts, run.last_ts)
    return whole - _overlap(hours.pause_from, hours.pause_to, run.first_ts, run.last_ts)


def _overlap(a: int, b: int, c: int, d: int) -> int:
    return max(min(b, d) - max(a, c), 0)

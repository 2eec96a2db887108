"""`backtest`: one call from a strategy and ticks to a result.

I/O: reads what the ticks read; measures its own duration.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pxresearch.brokers.fillmodel import FillModel, Latency
from pxresearch.brokers.replay import Replay
from pxresearch.errors import UsageError
from pxresearch.programmes import Programme, programme
from pxresearch.strategy import Strategy
from pxresearch.tickdata import Ticks

if TYPE_CHECKING:
    from pxresearch.report import Result


def backtest(
    strategy: Strategy,
    ticks: Ticks | Sequence[Ticks],
    *,
    account: str | Programme,
    limit_fill: str = "through",
    stop_trigger: str = "trade",
    slippage_ticks: int = 0,
    latency: Latency | int = 0,
    partial_fills: bool = False,
    mark: str = "exit",
    compiled: bool = True,
    finish: str = "close",
    keep_bars: bool = True,
    progress: Callable[[int], None] | None = None,
) -> Result:
    """Replay a strategy over history, under the rules of an account.

    Parameters
    ----------
    strategy
        An instance, for example ``EmaCross(fast=10)``.
    ticks
        From `px.load` or `px.ticks`; several for several contracts in one account (indices in this
        order).
    account
        Name of a programme ("combine-50k") or one made with `px.programme`. No default: the limits
        of an account are money.
    limit_fill
        When a resting limit fills: "through", "touch" or "queue".
    stop_trigger
        "trade", or "quote" for the bid or ask side.
    slippage_ticks
        Ticks against us on every market and stop fill.
    latency
        One order latency in ns, or a `px.Latency` of feed, entry and acknowledgement.
    partial_fills
        Limit fills by the displayed or traded size.
    mark
        "exit" marks open positions at their exit side, "last" at the last trade.
    compiled
        False runs the same class in plain Python, for a debugger.
    finish
        "close" closes what is open at the end of the data at its exit side; "open" leaves it.
    keep_bars
        Keep the bars of the strategy's timeframes for `result.bars`.
    progress
        Called with the rows done after each trading session.

    Returns
    -------
    Result
        Summary, frames, figures.

    Raises
    ------
    UsageError
        A setting is wrong, or the strategy cannot be compiled or raised.
    DataError
        The data cannot be used.
    """
    _check_strategy(strategy)
    chosen = _sources(ticks)
    if finish not in ("close", "open"):
        raise UsageError(f"finish must be 'close' or 'open', received {finish!r}")
    rules = account if isinstance(account, Programme) else _programme(account)
    delays = latency if isinstance(latency, Latency) else Latency(entry=latency)
    fills = FillModel(
        limit_fill=limit_fill,
        stop_trigger=stop_trigger,
        slippage_ticks=slippage_ticks,
        partial_fills=partial_fills,
        mark=mark,
        latency=delays,
    )
    replay = Replay(
        strategy,
        chosen,
        rules,
        fills,
        compiled=compiled,
        close=finish == "close",
        keep_bars=keep_bars,
    )
    started = time.perf_counter()  # compiling, which happens once, is not the engine's speed
    session = replay.run(progress)
    elapsed = time.perf_counter() - started
    return _result(strategy, chosen, rules, fills, session, elapsed, compiled)


def _check_strategy(strategy: Any) -> None:
    if isinstance(strategy, Strategy):
        return
    received = _short(strategy)
    if isinstance(strategy, type):
        received = f"the class {strategy.__name__}; write {strategy.__name__}(...)"
    raise UsageError(
        f"backtest needs an instance of a strategy, such as EmaCross(fast=10), first; received "
        f"{received}"
    )


def _sources(ticks: Any) -> list[Ticks]:
    """The sources as a list."""
    if isinstance(ticks, Ticks):
        return [ticks]
    given = ticks if isinstance(ticks, Sequence) and not isinstance(ticks, str) else (ticks,)
    wrong = [_short(item) for item in given if not isinstance(item, Ticks)]
    if given and not wrong:
        return list(given)
    received = wrong[0] if wrong else "an empty list"
    raise UsageError(
        "backtest needs data from px.load('ESU13', ...) or px.ticks('ESU13', quotes=...), or a "
        f"list of those, as ticks; received {received}"
    )


def _programme(account: Any) -> Programme:
    if isinstance(account, str):
        return programme(account)
    raise UsageError(
        "account takes the name of a programme, such as 'combine-50k', or what "
        f"px.programme('own', start_balance=50_000) returns; received {_short(account)}"
    )


def _short(value: Any) -> str:
    """What was received, by type: a frame or a strategy in full would bury the message."""
    return "None" if value is None else f"a {type(value).__name__}"


def _result(
    strategy: Strategy,
    ticks: Sequence[Ticks],
    rules: Programme,
    fills: FillModel,
    session: Any,
    elapsed: float,
    compiled: bool,
) -> Result:
    from pxresearch.report import Result, Run

    delays = fills.latency
    settings = {
        "limit_fill": fills.limit_fill,
        "stop_trigger": fills.stop_trigger,
        "slippage_ticks": fills.slippage_ticks,
        "partial_fills": fills.partial_fills,
        "mark": fills.mark,
        "feed_latency_ns": int(delays.samples("feed")[0]),
        "entry_latency_ns": int(delays.samples("entry")[0]),
        "ack_latency_ns": int(delays.samples("ack")[0]),
    }
    return Result(
        Run(
            strategy=type(strategy).__name__,
            parameters=strategy.parameters,
            contracts=tuple(t.contract for t in ticks),
            programme=rules,
            settings=settings,
            logs=session.logs(),
            engine=session.engine,
            frames=strategy.timeframes,
            ticks=tuple(ticks),
            events=int(session.engine["events"][0]),
            first_ts=min(t.first for t in ticks),
            last_ts=max(t.last for t in ticks),
            elapsed_s=elapsed,
            compiled=compiled,
            synthetic=any("synthetic" in t.source for t in ticks),
        )
    )

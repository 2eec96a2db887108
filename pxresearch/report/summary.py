"""The words of a result: figures formatted for reading, warnings, the printed summary.

USD with two decimals and thousands separators, times in Chicago, a dash where a figure has no
value. Rounding happens here and nowhere before.

I/O: none
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pxresearch.core.records import MICROS
from pxresearch.sessions import CHICAGO, from_ns

if TYPE_CHECKING:
    from pxresearch.metrics import Metrics
    from pxresearch.report import Result, Run

_WIDTH = 100  # characters of the printed summary

Cell = tuple[str, str]
"""A name and a value, both ready to print."""


def money(value: float | None, sign: bool = False) -> str:
    """Format USD for reading: ``1,234.50``; a dash for None."""
    if value is None:
        return "–"
    return f"{value:+,.2f}" if sign and value else f"{value:,.2f}"


def number(value: float | None, digits: int = 2, unit: str = "") -> str:
    """Format a number for reading; a dash for None."""
    return "–" if value is None else f"{value:,.{digits}f}{unit}"


def share(value: float | None) -> str:
    """Format 0.123 as ``12.3 %``; a dash for None."""
    return "–" if value is None else f"{100 * value:.1f} %"


def duration(seconds: float | None) -> str:
    """Format seconds as ``45 s``, ``3 min 05 s`` or ``2 h 10 min``; a dash for None."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3_600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3_600} h {whole % 3_600 // 60:02} min"


def pairs(values: dict[str, Any]) -> str:
    """Format settings as ``fast=10  slow=60``."""
    return "  ".join(f"{name}={value}" for name, value in values.items()) or "none"


def span(run: Run) -> str:
    """First and last event in Chicago time; one date when both fall on it."""
    first, last = (from_ns(ts).astimezone(CHICAGO) for ts in (run.first_ts, run.last_ts))
    same = first.date() == last.date()
    return f"{first:%Y-%m-%d %H:%M} to {last:{'%H:%M' if same else '%Y-%m-%d %H:%M'}} Chicago"


def speed(run: Run) -> str:
    """Events and how fast they went by."""
    rate = run.events / run.elapsed_s if run.elapsed_s > 0 else 0.0
    shown = f"{rate / 1e6:,.1f} million" if rate >= 1e6 else f"{rate:,.0f}"
    how = "compiled" if run.compiled else "uncompiled"
    return f"{run.events:,} events in {run.elapsed_s:,.2f} s, {shown} a second, {how}"


def figures(m: Metrics) -> list[list[Cell]]:
    """Name and value of the figures worth reading first, in three columns."""
    streak = f"{m.longest_winning_streak} / {m.longest_losing_streak}"
    result = [
        ("Net P&L", money(m.net_pnl_usd, sign=True)),
        ("Gross P&L", money(m.gross_pnl_usd, sign=True)),
        ("Costs", money(m.costs_usd)),
        ("Open P&L", money(m.open_pnl_usd, sign=True)),
        ("End balance", money(m.end_balance_usd)),
        ("Best day", money(m.best_day_usd, sign=True)),
        ("Worst day", money(m.worst_day_usd, sign=True)),
        ("Best day's share", share(m.best_day_share)),
    ]
    trading = [
        ("Trades", f"{m.trades:,}"),
        ("Win rate", share(m.win_rate)),
        ("Profit factor", number(m.profit_factor)),
        ("Expectancy", money(m.expectancy_usd, sign=True)),
        ("Average win", money(m.average_win_usd, sign=True)),
        ("Average loss", money(m.average_loss_usd, sign=True)),
        ("Largest win", money(m.largest_win_usd, sign=True)),
        ("Largest loss", money(m.largest_loss_usd, sign=True)),
    ]
    risk = [
        ("Max drawdown", money(m.max_drawdown_usd)),
        ("Days under water", f"{m.days_under_water} of {m.days}"),
        ("Daily Sharpe", number(m.sharpe)),
        ("Daily Sortino", number(m.sortino)),
        ("Average MAE", money(m.average_mae_usd, sign=True)),
        ("Average MFE", money(m.average_mfe_usd, sign=True)),
        ("Average holding", duration(m.average_holding_s)),
        ("Win / loss streak", streak),
    ]
    return [result, trading, risk]


def counts(m: Metrics) -> list[Cell]:
    """Name and value of the counts."""
    return [
        ("Fills", f"{m.fills:,}"),
        ("Orders", f"{m.orders:,}"),
        ("Refused", f"{m.refusals:,}"),
        ("Trades a day", number(m.trades_per_day, 1)),
        ("In the market", share(m.time_in_market)),
        ("Slippage", number(m.average_slippage_ticks, 2, " ticks")),
    ]


def limits(result: Result) -> list[tuple[str, str, str]]:
    """Name, value and standing of each limit and target of the account."""
    rules, m = result.run.programme, result.metrics
    rows = []
    if rules.max_loss_micros is not None:
        rows.append(("Maximum loss", rules.max_loss_micros, _room(m.max_loss_room_usd)))
    if rules.daily_loss_limit_micros is not None:
        rows.append(("Daily loss", rules.daily_loss_limit_micros, _room(m.daily_loss_room_usd)))
    if rules.daily_profit_lock_micros is not None:
        rows.append(("Daily profit lock", rules.daily_profit_lock_micros, ""))
    if rules.profit_target_micros is not None:
        rows.append(("Profit target", rules.profit_target_micros, _to_target(m)))
    return [(name, money(value / MICROS), text) for name, value, text in rows]


def _room(room: float | None) -> str:
    if room is None:
        return "not approached"
    return f"closest approach {money(room)}" if room > 0 else f"TOUCHED, passed by {money(-room)}"


def _to_target(m: Metrics) -> str:
    if m.days_to_target is not None:
        return f"reached on day {m.days_to_target}"
    needed = m.consistency_target_usd or 0.0
    raised = needed > (m.profit_target_usd or 0.0)
    why = f" (raised to {money(needed)} by the best day)" if raised else ""
    return f"{money(max(needed - m.net_pnl_usd, 0.0))} to go{why}"


def warnings(result: Result) -> Iterator[str]:
    """Yield what a reader must know before trusting the figures."""
    m, run = result.metrics, result.run
    state = run.engine[0]
    for breach in result.breaches[:3]:
        when = from_ns(breach["ts"]).astimezone(CHICAGO)
        name = breach["cause"].replace("_", " ")
        yield f"{name} touched on {when:%Y-%m-%d at %H:%M:%S} Chicago"
    if len(result.breaches) > 3:
        yield f"limits touched {m.breaches} times in all"
    if m.ambiguous_share:
        yield f"{share(m.ambiguous_share)} of trades are ambiguous: bars hide the order of prices"
    if dropped := int(state["dropped"]):
        yield f"{dropped:,} events outside the session were left out"
    for k, contract in enumerate(run.contracts):
        if position := int(state["contract"][k]["position"]):
            yield f"position open at the end: {position:+d} {contract.code}"
    reasons = result.refusals_by_reason
    if reasons:
        listed = [f"{count:,} {name}" for name, count in list(reasons.items())[:4]]
        more = f", {len(reasons) - 4} other reasons" if len(reasons) > 4 else ""
        yield f"refused signals: {', '.join(listed)}{more}"
    if not m.trades:
        yield "no trade was closed"


def lines(result: Result) -> Iterator[str]:
    """Yield the printed summary, line by line."""
    run, m = result.run, result.metrics
    head = f"{run.strategy}  {run.label.replace(',', ', ')}  {run.programme.name}"
    mark = "SYNTHETIC DATA" if run.synthetic else ""
    yield f"{head}{mark:>{max(_WIDTH - len(head), len(mark) + 2)}}" if mark else head
    plural = "" if m.days == 1 else "s"
    yield f"{span(run)}, {m.days:,} trading day{plural}"
    yield speed(run)
    yield from _wrapped("parameters  ", run.parameters)
    yield from _wrapped("settings    ", run.settings)
    yield ""
    for row in zip(*figures(m), strict=True):
        yield "    ".join(f"{name:<17}{value:>12}" for name, value in row)
    yield ""
    yield "   ".join(f"{name} {value}" for name, value in counts(m))
    yield ""
    for name, value, standing in limits(result):
        yield f"{name:<17}{value:>12}    {standing}".rstrip()
    for text in result.warnings:
        yield f"! {text}"


def _wrapped(head: str, values: dict[str, Any]) -> list[str]:
    return textwrap.wrap(
        pairs(values), _WIDTH, initial_indent=head, subsequent_indent=" " * len(head)
    )

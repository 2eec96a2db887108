"""The verb ``status``: how each account stands, from a second terminal.

I/O: reads the state folder; ``--check`` writes its drift report, ``--figure`` a picture; prints.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pxresearch.cli_common import (
    DEFAULT_STATE,
    JsonOption,
    StateOption,
    price,
    progress_bar,
    quiet_stdout,
    say,
    say_json,
    table,
    tell,
)
from pxresearch.errors import UsageError

if TYPE_CHECKING:
    from pxresearch.drift.report import DriftReport, Metric
    from pxresearch.health import Health
    from pxresearch.overview import Overview

_SHOWN = 10  # live sessions


def status(
    account: Annotated[
        int | None, typer.Option("--account", help="Id of one account; default: all.")
    ] = None,
    state: StateOption = DEFAULT_STATE,
    check: Annotated[
        bool, typer.Option("--check", help="Replay sessions not yet checked for drift.")
    ] = False,
    figure: Annotated[
        Path | None, typer.Option("--figure", help="Draw the drift of one account, as PNG.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Who trades, P&L against limits, paper sessions that count, live sessions, drift."""
    from pxresearch.accountdir.folder import account_ids
    from pxresearch.clock import WallClock
    from pxresearch.overview import overview

    known = account_ids(state)
    if account is not None and account not in known:
        raise UsageError(
            f"--account: received {account}; {state.expanduser()} holds "
            f"{', '.join(map(str, known)) or 'no account'}"
        )
    wanted = known if account is None else [account]
    if figure is not None and len(wanted) != 1:
        raise UsageError("--figure draws one account: give --account ID")
    folders = [state.expanduser() / str(one) for one in wanted]
    with quiet_stdout(json):
        if check:
            _check(folders, hidden=json)
        now = WallClock().now()
        found = [overview(folder, now) for folder in folders]
        if figure is not None:
            _draw(found[0], figure)
    if json:
        say_json({"state": str(state.expanduser()), "accounts": [one.to_dict() for one in found]})
    else:
        say("\n\n".join(map(_text, found)) or f"no account in {state.expanduser()} yet")


def _check(folders: list[Path], *, hidden: bool) -> None:
    from pxresearch.drift.account import update

    for folder in folders:
        with progress_bar(f"drift of account {folder.name}", hidden=hidden) as shown:
            update(folder, shown)


def _draw(one: Overview, path: Path) -> None:
    from pxresearch.drift.chart import draw
    from pxresearch.tearsheet import png

    strategy = f"   {one.identity.strategy}" if one.identity else ""
    path.write_bytes(png(draw(one.drift, f"Drift of account {one.account}{strategy}"), 110))
    tell(f"saved {path}")


# ------------------------------------------------------------------ text
def _text(one: Overview) -> str:
    parts = [_head(one)]
    if one.health is not None:
        parts.append(_health(one.health))
    if one.promotion is not None:
        assert one.identity is not None
        share = f"{one.promotion.counted} of {one.promotion.needed}"
        parts.append(f"paper sessions of {one.identity.strategy} that count: {share}")
        parts[-1] += f"\n{one.promotion.missing}" if one.promotion.missing else ""
        if one.promotion.rows:
            parts.append(table([row.row() for row in one.promotion.rows]))
    if one.next_day:
        parts.append(f"ramp: {one.next_day}")
    if one.live:
        parts.append(_live(one))
    parts.append(_drift(one.drift))
    return "\n\n".join(parts)


def _head(one: Overview) -> str:
    name = f" ({one.health.account_name})" if one.health is not None else ""
    lines = [f"account {one.account}{name}"]
    if not one.running:
        lines.append("no process has it")
    else:
        lines.append(f"running: {one.owner or 'a process that does not say which it is'}")
    if one.stale:
        age = "never written" if one.age_s is None else f"{one.age_s:,.0f} s old"
        lines.append(f"NO NEWS FROM IT: its status is {age}. 'pxresearch flatten' works without it")
    if one.halted:
        lines.append(f"KILL SWITCH: {one.halted}")
    lines += [f"DAMAGED: {name}: {why}" for name, why in one.damaged.items()]
    return "\n".join(lines)


def _health(h: Health) -> str:
    """The newest status; of a process that is gone it is the last."""
    rows = [
        {
            "contract": line.code,
            "position": line.position,
            "protected": line.protected,
            "working": line.working,
            "bid": price(line.code, line.bid),
            "ask": price(line.code, line.ask),
            "last": price(line.code, line.last),
            "feed age": _seconds(line.feed_age_s),
            "open P&L": _usd(line.open_pnl),
            "flat by": _chicago(line.flatten_at),
        }
        for line in h.contracts
    ]
    lines = [
        f"as of {_chicago(h.ts)} Chicago: {h.mode}, {h.strategy}, run {h.run}",
        f"balance {_usd(h.balance)}  day P&L {_usd(h.day_pnl)} (open {_usd(h.open_pnl)}, costs "
        f"{_usd(h.costs)})",
        f"room: today {_usd(h.day_room)} of {_usd(h.daily_loss_limit)}, to the maximum loss "
        f"{_usd(h.max_loss_room)}",
        f"hubs: user {_up(h.user_hub)}, market {_up(h.market_hub)}; "
        f"{'reconciled' if h.reconciled else 'NOT RECONCILED'}; "
        f"{h.events:,} events, {h.orders:,} orders, {h.fills:,} fills, {h.refusals:,} refusals",
        f"REST calls: {', '.join(f'{k} {n:,}' for k, n in h.calls.items()) or 'none'}",
    ]
    lines += [f"entries blocked: {why}" for why in h.blocked]
    lines += [f"outcome unknown: {what}" for what in h.unresolved]
    lines += [f"locked: {h.locked}"] if h.locked else []
    lines += [f"JOURNAL: {h.journal_failed}"] if h.journal_failed else []
    lines += [f"alerts that could not be delivered: {h.alerts_failed}"] if h.alerts_failed else []
    return "\n".join([*lines, "", table(rows)])


def _live(one: Overview) -> str:
    rows = [
        {
            "day": shown["day"],
            "strategy": shown["strategy"],
            "orders": shown["orders"],
            "fills": shown["fills"],
            "refusals": shown["refusals"],
            "net P&L": _usd(shown["day_pnl"]),
            "flat": {None: "-", True: "yes", False: "NO"}[shown["flat"]],
            "faults": "; ".join(shown["faults"]) or "-",
        }
        for shown in one.to_dict()["live_sessions"][-_SHOWN:]
    ]
    return f"live sessions: {len(one.live)}\n{table(rows)}"


def _drift(report: DriftReport) -> str:
    if not report.days:
        return "drift: no session has been checked; 'pxresearch status --check' does it"
    clean = sum(day.clean for day in report.days.values())
    lines = [f"drift: {clean} of {len(report.days)} sessions, replayed, decide the same"]
    lines += [f"  {name}: {day.text}" for name, day in report.days.items() if not day.clean]
    for one in report.comparisons:
        days = f"{len(one.days)} day{'' if len(one.days) == 1 else 's'}"
        lines += ["", f"{one.name}, {days}", table([_metric(m) for m in one.metrics])]
    return "\n".join(lines)


def _metric(metric: Metric) -> dict[str, Any]:
    """Row of a metric; money in USD."""
    micros = metric.unit.startswith("micro-dollars")
    shown = _usd if micros else _number
    spans = [shown(x) for x in (metric.low, metric.high)]
    limits = [shown(x) for x in (metric.limit.low, metric.limit.high)]
    return {
        "metric": metric.name,
        "unit": metric.unit.replace("micro-dollars", "USD"),
        "n": metric.n,
        "value": shown(metric.value),
        "95 % interval": f"{spans[0]} to {spans[1]}",
        "allowed": f"{limits[0]} to {limits[1]}",
        "": metric.state.upper() if metric.state == "drifts" else metric.state,
    }


def _usd(micros: float | None) -> str:
    return "-" if micros is None else f"{micros / 1_000_000:,.2f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _seconds(age: float | None) -> str:
    return "-" if age is None else f"{age:.1f} s"


def _up(connected: bool) -> str:
    return "up" if connected else "DOWN"


def _chicago(ts: int | None) -> str:
    from pxresearch.sessions import CHICAGO, from_ns

    return "-" if ts is None else from_ns(ts).astimezone(CHICAGO).strftime("%Y-%m-%d %H:%M:%S")

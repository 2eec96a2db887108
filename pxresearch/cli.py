"""The command ``pxresearch``: parse, build, call, print.

Exit code 0: done; 1: failed (data that cannot be used, an interruption, a defect); 2: bad usage.
A failure is told in a line or two on stderr; ``--debug`` anywhere on the line, or
PXRESEARCH_DEBUG=1, shows the stack trace. Every other module of the package is imported by the verb
that needs it, so that ``--help`` stays fast.

I/O: reads the command line and the environment; prints; the verbs read and write files.
"""

from __future__ import annotations

import io
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from pxresearch import (
    __version__,
    cli_alert,
    cli_bench,
    cli_data,
    cli_gateway,
    cli_journal,
    cli_risk,
    cli_safety,
    cli_simulator,
    cli_status,
    cli_trade,
)
from pxresearch.cli_common import (
    DEFAULT_CATALOG,
    CatalogOption,
    JsonOption,
    progress_bar,
    quiet_stdout,
    say,
    say_json,
)
from pxresearch.errors import PxError, UsageError

app = typer.Typer(
    name="pxresearch",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Backtest CME futures on ticks with one strategy class.",
)
app.add_typer(cli_data.app, name="data")
app.add_typer(cli_bench.app, name="bench", help="Measure the speed of this machine.")
app.add_typer(cli_journal.app, name="journal")
app.add_typer(cli_alert.app, name="alert")
app.add_typer(cli_risk.app, name="risk")
app.command()(cli_trade.trade)
app.command()(cli_simulator.simulator)
app.command()(cli_status.status)
app.command()(cli_gateway.doctor)
app.command()(cli_safety.flatten)
app.command()(cli_safety.rearm)
app.command()(cli_safety.limits)

_FAR = date(9999, 12, 31)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    Parameters
    ----------
    argv
        Arguments; those of the process when left out.
    """
    args = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in args or os.environ.get("PXRESEARCH_DEBUG", "") not in ("", "0")
    _printable()
    if not debug:
        warnings.showwarning = _warn
    try:
        app(args=[a for a in args if a != "--debug"], prog_name="pxresearch")
    except PxError as error:
        _fail(str(error), 2 if isinstance(error, UsageError) else 1, debug)
    except KeyboardInterrupt:
        _fail("interrupted", 1, debug)
    except OSError as error:
        _fail(str(error), 1, debug)
    except Exception as error:  # noqa: BLE001 - the last line of defence; --debug shows it whole
        _fail(f"{type(error).__name__}: {error}\nThis is a defect; --debug shows where.", 1, debug)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the stack trace of a failure.")
    ] = False,
) -> None:
    if version:
        say(f"pxresearch {__version__}")
        raise typer.Exit


@app.command()
def backtest(
    strategy: Annotated[
        str, typer.Argument(metavar="STRATEGY", help="Shipped name, file.py or file.py:Class.")
    ],
    contract: Annotated[
        list[str] | None, typer.Option(help="Contract, for example ESU13; repeat for several.")
    ] = None,
    from_: Annotated[str | None, typer.Option("--from", help="First trading day.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="Last trading day.")] = None,
    account: Annotated[str | None, typer.Option(help="Account rules: combine-50k ...")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Strategy parameter, fast=10; repeatable.")
    ] = None,
    bars: Annotated[str | None, typer.Option(help="Replay stored bars, for example 1m.")] = None,
    catalog: CatalogOption = DEFAULT_CATALOG,
    out: Annotated[Path | None, typer.Option(help="Folder to save the report in.")] = None,
    json: JsonOption = False,
    uncompiled: Annotated[
        bool, typer.Option("--uncompiled", help="Run in plain Python: slow, for a debugger.")
    ] = False,
) -> None:
    """Replay a strategy over stored data and report."""
    days = _day("--from", from_), _day("--to", to)
    request = _Request(strategy, tuple(contract or ()), days, account, tuple(set_ or ()), bars)
    with quiet_stdout(json):
        result = _run(request, catalog, compiled=not uncompiled, hidden=json)
        saved = {} if out is None else {k: str(path) for k, path in result.save(out).items()}
    if json:
        say_json({**result.to_json(), "saved": saved})
        return
    say(str(result))
    for path in saved.values():
        say(f"saved {path}")


@dataclass(frozen=True, slots=True)
class _Request:
    """The arguments of one backtest, as typed."""

    strategy: str
    contracts: tuple[str, ...]
    days: tuple[date | None, date | None]
    account: str | None
    sets: tuple[str, ...]
    bars: str | None


def _run(request: _Request, catalog: Path, *, compiled: bool, hidden: bool) -> Any:
    """Build the backtest that was asked for and run it."""
    from pxresearch.settings import find_strategy, load_settings

    path, name = find_strategy(request.strategy)
    from pxresearch.backtesting import backtest as run
    from pxresearch.brokers.fillmodel import Latency
    from pxresearch.programmes import programme
    from pxresearch.strategy import load_strategy
    from pxresearch.tickdata import load

    cls = load_strategy(f"{path}:{name}" if name else str(path))
    settings = load_settings(
        path.with_suffix(".toml"), cls._parameters,
        account=request.account, contracts=request.contracts, sets=request.sets,
    )  # fmt: skip
    if not settings.contracts:
        raise UsageError("no contract chosen: give --contract, for example --contract MNQZ26")
    account = programme(settings.account, **settings.account_changes)
    first, last = request.days
    last = last or (_FAR if first else None)
    ticks = [
        load(code, first, last, catalog=catalog, bars=request.bars) for code in settings.contracts
    ]
    fills, rows = settings.fills, sum(map(len, ticks))
    feed, entry, ack = fills.latency_ns()
    with progress_bar("backtest", hidden=hidden) as update:
        return run(
            cls(**settings.parameters), ticks, account=account, limit_fill=fills.limit_fill,
            stop_trigger=fills.stop_trigger, slippage_ticks=fills.slippage_ticks,
            partial_fills=fills.partial_fills, latency=Latency(feed=feed, entry=entry, ack=ack),
            compiled=compiled, progress=lambda done: update(done, rows),
        )  # fmt: skip


def _day(flag: str, text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{flag}: received {text!r}, allowed is a day such as 2026-09-14"
        ) from None


def _warn(message: Warning | str, *rest: Any, **named: Any) -> None:
    """Show a warning in one line, without the source line that raised it."""
    typer.echo(f"pxresearch: warning: {message}", err=True)


def _fail(text: str, code: int, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    typer.echo(f"pxresearch: {text}", err=True)
    sys.exit(code)


def _printable() -> None:
    """Characters that a Windows console or file cannot show become '?', never an exception."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


if __name__ == "__main__":
    main()

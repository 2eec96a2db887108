"""``pxresearch data``: bring market data into the catalogue and look at what is there.

I/O: through the catalogue; prints.
"""

from __future__ import annotations

import glob
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from pxresearch import cli_gateway
from pxresearch.cli_common import (
    DEFAULT_CATALOG,
    CatalogOption,
    JsonOption,
    progress_bar,
    quiet_stdout,
    say,
    say_json,
    table,
)
from pxresearch.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="Import, download, record, list and show market data.")
app.command()(cli_gateway.download)
app.command()(cli_gateway.record)

_LISTED = ("contract", "kind", "spec", "sessions", "from", "to", "rows", "bytes", "sources")
_MOST_WEEKS = 8  # of the demo: a holiday follows


@app.command("import")
def import_(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Files; * and ? work.")],
    contract: Annotated[
        str | None, typer.Option(help="Contract of the file, two-digit year: ESU13.")
    ] = None,
    tz: Annotated[
        str | None, typer.Option(help="Zone of its clock: UTC, America/Chicago ...")
    ] = None,
    stamp: Annotated[
        str | None, typer.Option(help="What the time of a bar marks: start or end.")
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(help="Columns of a CSV or Parquet: ts=DateTime,price=Price,size=Volume"),
    ] = None,
    kind: Annotated[str | None, typer.Option(help="trades, quotes or bars.")] = None,
    tick: Annotated[
        float | None, typer.Option(help="Tick size of the file, where it differs.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Put the file in the place of what overlaps it.")
    ] = False,
    resort_ms: Annotated[
        float | None, typer.Option(help="Allow a re-sort of rows that are late by at most this.")
    ] = None,
    catalog: CatalogOption = DEFAULT_CATALOG,
    json: JsonOption = False,
) -> None:
    """Import market data files.

    Databento, Lean, NinjaTrader, Sierra Chart, ProjectX bars, JBookTrader, CSV and Parquet.
    """
    paths = _expand(files)
    from pxresearch.catalog import Catalog
    from pxresearch.importers import import_file

    store, reports = Catalog(catalog), []
    for path in paths:
        with quiet_stdout(json), progress_bar(path.name, hidden=json) as update:
            report = import_file(
                path, store, contract=contract, tz=tz, stamp=stamp, columns=_columns(columns),
                kind=kind, tick=tick, replace=replace, resort_ms=resort_ms, progress=update,
            )  # fmt: skip
        reports.append(report)
        if not json:
            say(str(report))
    if json:
        plain = [report.to_dict() for report in reports]
        say_json({"catalog": str(catalog), "imports": plain})


@app.command("list")
def list_(catalog: CatalogOption = DEFAULT_CATALOG, json: JsonOption = False) -> None:
    """List what the catalogue holds."""
    from pxresearch.catalog import Catalog

    store = Catalog(catalog)
    rows = store.list()
    if json:
        say_json({"catalog": str(catalog), "series": rows})
    else:
        say(table(rows, _LISTED) if rows else store.holds())


@app.command()
def show(
    contract: Annotated[str, typer.Argument(help="Contract code, for example ESU13.")],
    rows: Annotated[int, typer.Option(min=0, help="First rows to show of each kind.")] = 5,
    catalog: CatalogOption = DEFAULT_CATALOG,
    json: JsonOption = False,
) -> None:
    """Show one contract: days, checks, first rows."""
    from pxresearch.catalog import Catalog
    from pxresearch.instruments import contract as read_code

    code = read_code(contract).code
    store = Catalog(catalog)
    report = store.check(code)
    files = store.coverage()
    held = _dicts(files.filter(files["contract"] == code))
    heads = _heads(store, code, held, rows)
    if json:
        say_json({"contract": code, "coverage": held, "report": report.to_dict(), "rows": heads})
        return
    say(table(held, ("session", "kind", "spec", "rows", "first", "last", "source")))
    say(f"\n{report}")
    for name, lines in heads.items():
        say(f"\nfirst rows, {name}\n{table(lines)}")


@app.command()
def demo(
    catalog: CatalogOption = DEFAULT_CATALOG,
    weeks: Annotated[int, typer.Option(help="Weeks, from 14 September 2026 on.")] = 1,
    json: JsonOption = False,
) -> None:
    """Make a week of synthetic ticks to try on, or several."""
    from pxresearch.catalog import Catalog
    from pxresearch.demo import DAYS, make_demo

    if not 1 <= weeks <= _MOST_WEEKS:
        raise UsageError(f"--weeks: received {weeks}, allowed is 1 to {_MOST_WEEKS}")
    store = Catalog(catalog)
    with quiet_stdout(json):
        make_demo(store, days=[day + timedelta(weeks=n) for n in range(weeks) for day in DAYS])
    rows = [row for row in store.list() if row["contract"] in ("MNQZ26", "MESZ26")]
    if json:
        say_json({"catalog": str(catalog), "series": rows})
        return
    say(f"SYNTHETIC data, made for trying things out, is in {catalog}:\n{table(rows, _LISTED)}")
    say("\nNext: pxresearch backtest ema_cross --contract MNQZ26 --out out")


def _expand(files: Sequence[str]) -> list[Path]:
    """Paths of the arguments; wildcards are resolved here because Windows shells leave them."""
    paths: list[Path] = []
    for text in files:
        found = [text] if Path(text).exists() else sorted(glob.glob(text, recursive=True))
        if not found:
            raise UsageError(f"there is no file {text}")
        paths += map(Path, found)
    return paths


def _columns(text: str | None) -> dict[str, str] | None:
    """Mapping of ``ours=theirs,ours=theirs``."""
    if text is None:
        return None
    pairs = [part.partition("=") for part in text.split(",")]
    if any(not sep or not ours.strip() or not theirs.strip() for ours, sep, theirs in pairs):
        raise UsageError(
            f"--columns takes ours=theirs, for example ts=DateTime,price=Price; received {text!r}"
        )
    return {ours.strip(): theirs.strip() for ours, _, theirs in pairs}


def _heads(store: Any, code: str, held: Sequence[dict[str, Any]], count: int) -> dict[str, Any]:
    """First rows of each kind, from the first day that has it."""
    from pxresearch.tickdata import load

    heads: dict[str, Any] = {}
    for row in held:
        name = f"{row['kind']} {row['spec'] or ''}".strip()
        if count and name not in heads:
            day = load(code, row["session"], catalog=store, kinds=(row["kind"],), bars=row["spec"])
            heads[name] = _dicts(day.frame(row["kind"]).head(count))
    return heads


def _dicts(frame: Any) -> list[dict[str, Any]]:
    """Rows as plain values; times as text, because Python's datetime would lose nanoseconds."""
    import polars.selectors as cs

    days = cs.date().dt.to_string("iso")
    times = cs.datetime().dt.strftime("%Y-%m-%dT%H:%M:%S%.9fZ")
    return frame.with_columns(days, times).to_dicts()

"""The verb ``journal``: list, show, verify, explain, export and prune journals.

All of them only read, but ``export`` and ``prune``; they work while a session runs.

I/O: reads the state folder; prints; writes Parquet files; deletes journals.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pxresearch.cli_common import (
    DEFAULT_STATE,
    JsonOption,
    StateOption,
    quiet_stdout,
    say,
    say_json,
    table,
)
from pxresearch.errors import UsageError

if TYPE_CHECKING:
    from pxresearch.journal import Listed, Row

app = typer.Typer(
    invoke_without_command=True, help="Read the journals: what a session was told, decided and did."
)

AccountOption = Annotated[int | None, typer.Option("--account", help="Id of the account.")]
ModeOption = Annotated[str | None, typer.Option("--mode", help="paper or live.")]
KindOption = Annotated[
    list[str] | None, typer.Option("--kind", help="Kind of row, refusal for one; repeatable.")
]
RowsOption = Annotated[int, typer.Option("--rows", min=0, help="Newest rows to show; 0: all.")]
WhichArgument = Annotated[
    str, typer.Argument(metavar="PATH|DATE", help="A journal, or its trading day.")
]
_NEWEST = 20


@app.callback()
def journal(
    context: typer.Context,
    account: AccountOption = None,
    date: Annotated[str | None, typer.Option(help="Trading day; shows its rows.")] = None,
    mode: ModeOption = None,
    kind: KindOption = None,
    rows: RowsOption = _NEWEST,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """List the journals, or with --date or --kind show rows of one."""
    context.obj = state, account, mode
    if context.invoked_subcommand is not None:
        return
    if date is None and kind is None:
        _list(state, account, mode, json)
    else:
        _show(path_of_choice(date, state, account, mode), kind, rows, json)


@app.command()
def show(
    context: typer.Context,
    which: WhichArgument,
    kind: KindOption = None,
    rows: RowsOption = _NEWEST,
    account: AccountOption = None,
    mode: ModeOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Show the newest rows of a journal."""
    _show(path_of_choice(which, *_where(context, state, account, mode)), kind, rows, json)


@app.command()
def verify(
    context: typer.Context,
    which: Annotated[
        str | None, typer.Argument(metavar="[PATH|DATE]", help="One journal; else all.")
    ] = None,
    account: AccountOption = None,
    mode: ModeOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Check chain, gaps and version. Exit code 1 on damage, with the row where it begins."""
    from pxresearch.journal import check

    where = _where(context, state, account, mode)
    paths = [path_of_choice(which, *where)] if which else [one.path for one in _listed(*where)]
    found = {str(path): check(path) for path in paths}
    if json:
        import msgspec

        say_json({"journals": msgspec.to_builtins(found)})
    else:
        for path, one in found.items():
            end = "ended" if one.ended else "without an end"
            lost = f", {one.missed} rows lost to the disk" if one.missed else ""
            text = one.damage or f"whole, {one.rows:,} rows, {end}{lost}, head {one.head[:16]}"
            say(f"{path}: {text}")
        if not found:
            say(f"no journals in {where[0]}")
    if any(one.damage for one in found.values()):
        raise typer.Exit(1)


@app.command()
def explain(
    context: typer.Context,
    seq: Annotated[int, typer.Argument(help="Number of a row.")],
    which: Annotated[
        str | None, typer.Argument(metavar="[PATH|DATE]", help="Journal; else the newest.")
    ] = None,
    account: AccountOption = None,
    mode: ModeOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Show the inputs, the state and the risk numbers behind one row."""
    from pxresearch.journal import explain as run

    path = path_of_choice(which, *_where(context, state, account, mode))
    with quiet_stdout(json):
        found = run(path, seq)
    if json:
        say_json({"journal": str(path), **found})
    else:
        say(_explained(found))


@app.command()
def export(
    context: typer.Context,
    which: WhichArgument,
    out: Annotated[Path, typer.Option("--out", help="Folder for the Parquet files.")],
    account: AccountOption = None,
    mode: ModeOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Write a journal as Parquet files, one a kind of row."""
    from pxresearch.journal import export as run

    path = path_of_choice(which, *_where(context, state, account, mode))
    written = [str(one) for one in run(path, out)]
    if json:
        say_json({"journal": str(path), "files": written})
    else:
        say("\n".join(f"saved {one}" for one in written))


@app.command()
def prune(
    context: typer.Context,
    keep_days: Annotated[int | None, typer.Option(min=0, help="Never newer ones.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Delete; else only list.")] = False,
    account: AccountOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Delete old paper journals that promotion does not count. Live ones are never deleted."""
    from pxresearch.journal import KEEP_DAYS, prunable
    from pxresearch.journal import prune as delete

    days = KEEP_DAYS if keep_days is None else keep_days
    found = prunable(_listed(*_where(context, state, account, "paper")), days)
    if yes:
        delete(found)
    rows = [_line(one) for one in found]
    if json:
        say_json({"deleted": yes, "keep_days": days, "journals": rows})
        return
    say(table(rows))
    if rows and not yes:
        say("\nNothing was deleted: add --yes.")


def _where(
    context: typer.Context, state: Path, account: int | None, mode: str | None
) -> tuple[Path, int | None, str | None]:
    """Options of the verb itself, or else those given before it."""
    before = context.obj
    return (
        state if state != DEFAULT_STATE else before[0],
        before[1] if account is None else account,
        before[2] if mode is None else mode,
    )


def _listed(state: Path, account: int | None, mode: str | None) -> list[Listed]:
    from pxresearch.journal import MODES, listing

    if mode is not None and mode not in MODES:
        raise UsageError(f"--mode: received {mode!r}, allowed are {' and '.join(MODES)}")
    found = listing(state.expanduser(), None if account is None else str(account))
    return [one for one in found if mode in (None, one.mode)]


def path_of_choice(which: str | None, state: Path, account: int | None, mode: str | None) -> Path:
    """The journal that was named; the newest when none was."""
    from pxresearch.journal import find

    there = _listed(state, account, mode)
    if which is not None:
        return find(there, which)
    if not there:
        raise UsageError(f"there are no journals in {state}; --state names another folder")
    newest = [one for one in there if one.day == there[-1].day]
    return newest[0].path if len(newest) == 1 else find(there, there[-1].day.isoformat())


def _list(state: Path, account: int | None, mode: str | None, json: bool) -> None:
    rows = [_line(one) for one in _listed(state, account, mode)]
    if json:
        say_json({"state": str(state), "journals": rows})
    elif rows:
        hidden = ("path", "run", "damage")
        say(table(rows, [name for name in rows[0] if name not in hidden]))
        for row in rows:
            if row["damage"]:
                say(f"{row['path']}: {row['damage']}")
    else:
        say(f"no journals in {state}")


def _line(one: Listed) -> dict[str, Any]:
    header, end = one.header, one.end
    return {
        "account": one.account, "mode": one.mode, "day": one.day.isoformat(),
        "strategy": header.strategy if header else None,
        "contracts": list(header.contracts) if header else None,
        "rows": one.rows, "mb": round(one.bytes / 1e6, 2),
        "complete": end.complete if end else None, "flat": end.flat if end else None,
        "day_pnl_usd": end.day_pnl / 1e6 if end else None, "run": header.run if header else None,
        "damage": one.damage, "path": str(one.path),
    }  # fmt: skip


def _show(path: Path, kinds: list[str] | None, count: int, json: bool) -> None:
    from collections import deque

    from pxresearch.journal import Kind, read

    try:
        wanted = None if kinds is None else [Kind(kind) for kind in kinds]
    except ValueError:
        allowed = ", ".join(kind.value for kind in Kind)
        raise UsageError(f"--kind: received {kinds}, allowed are {allowed}") from None
    rows = [_row(row) for row in deque(read(path, wanted), maxlen=count or None)]
    if json:
        say_json({"journal": str(path), "rows": rows})
    else:
        say(f"{path}\n{table([{**row, 'data': _short(row['data'])} for row in rows])}")


def _row(row: Row) -> dict[str, Any]:
    import msgspec

    from pxresearch.core.records import INPUTS
    from pxresearch.journal import Input
    from pxresearch.journal.view import when

    if isinstance(row.data, bytes):
        data: Any = {"bytes": len(row.data)}
    elif isinstance(row.data, Input):
        data = {**row.data._asdict(), "what": INPUTS[row.data.what]}
    else:
        data = msgspec.to_builtins(row.data)
    return {"seq": row.seq, "ts": when(row.ts), "kind": row.kind.value, "data": data}


def _short(data: dict[str, Any]) -> str:
    parts = [f"{k}={v}" for k, v in data.items() if k not in ("source", "programme", "fills")]
    text = " ".join(parts).replace("\n", " ")
    return text if len(text) <= 120 else text[:117] + "..."


def _explained(found: dict[str, Any]) -> str:
    """An explanation as text: row, input, decision, then the state before it."""
    row, state = found["row"], found["before"]
    blocks = [
        f"row {row['seq']}  {row['kind']}  {row['ts']}\n{_short(row.get('data', {}))}".strip()
    ]
    if found["input"] is not None:
        told = {k: v for k, v in found["input"].items() if k != "seq"}
        blocks.append(f"input {found['input']['seq']} that led to it\n{table([told])}")
    blocks += [f"decided: {name}\n{table(rows)}" for name, rows in found["decided"].items() if rows]
    if not any(found["decided"].values()):
        blocks.append("decided: nothing")
    blocks.append(f"just before\n{table([state['account']])}")
    for name in ("market", "positions", "orders", "limits"):
        blocks.append(f"{name}\n{table(state[name])}")
    strategy = state["strategy"]
    blocks.append(f"strategy {strategy['class']} {_short(strategy['parameters'])}")
    blocks += [f"  {name} = {value}" for name, value in strategy["state"].items()]
    if not found["same_core"]:
        blocks.append("written by another version of the core: the state here may differ")
    return "\n\n".join(blocks).replace("\n\n  ", "\n  ")

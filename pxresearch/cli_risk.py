"""The verb ``risk explain``: every rule of an account, what it is set to, and what is left.

I/O: reads the state folder; prints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from pxresearch.standing import Standing

app = typer.Typer(no_args_is_help=True, help="The rules of an account, and how it stands.")


@app.callback()
def risk() -> None:
    """Keep ``explain`` a verb of its own."""


@app.command()
def explain(
    account: Annotated[int | None, typer.Option("--account", help="Id of the account.")] = None,
    mode: Annotated[str | None, typer.Option("--mode", help="paper or live.")] = None,
    which: Annotated[
        str | None, typer.Argument(metavar="[PATH|DATE]", help="Journal; else the newest.")
    ] = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Print each rule with its value, what it is now, the distance, and pass or fail.

    The engine is rebuilt from the journal, so the numbers are those of the running session.
    """
    from pxresearch.accountdir import Latch
    from pxresearch.cli_journal import path_of_choice
    from pxresearch.journal import rebuild
    from pxresearch.journal.view import when
    from pxresearch.standing import standing

    path = path_of_choice(which, state, account, mode)
    with quiet_stdout(json):
        session = rebuild(path, whole=False)
    rows, halt = standing(session), Latch(path.parent).read()
    at = when(int(session.engine["now"][0]))
    switch = "" if halt is None else str(halt)
    if json:
        import msgspec

        found = {"journal": str(path), "at": at, "kill_switch": switch,
                 "may_open": not switch and all(one.passes for one in rows),
                 "rules": msgspec.to_builtins(rows)}  # fmt: skip
        say_json(found)
        return
    say(f"account {path.parent.name}, {path.stem}, at {at}")
    say(f"programme {session.programme.name}, from {session.programme.source}")
    say(table([_line(one) for one in rows]))
    if switch:
        say(f"\nkill switch: {switch}")
    failed = [one.rule for one in rows if not one.passes]
    if switch and "kill switch" not in failed:
        failed.insert(0, "kill switch")
    say(f"\nnothing opens: {', '.join(failed)}" if failed else "\nan entry may pass")


def _line(one: Standing) -> dict[str, str]:
    """A rule as a line of the table."""
    return {
        "rule": one.rule, "set to": _number(one.set_to, one.unit),
        "now": _number(one.now, one.unit), "left": _number(one.left, one.unit),
        "": "pass" if one.passes else "FAIL", " ": one.says,
    }  # fmt: skip


def _number(value: float | str | None, unit: str) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if unit == "s" and value >= 60:
        return f"{value // 3600:.0f} h {value // 60 % 60:02.0f} min"
    return f"{value:,.2f}".rstrip("0").rstrip(".") + (f" {unit}" if unit else "")

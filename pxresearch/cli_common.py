"""What the verbs of the command line share: where data lies, tables, JSON and progress bars.

stdout carries results only; progress and messages go to stderr.

I/O: writes to stdout and stderr; reads the environment.
"""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

CatalogOption = Annotated[
    Path,
    typer.Option("--catalog", envvar="PXRESEARCH_CATALOG", help="Folder of the data catalogue."),
]
StateOption = Annotated[
    Path,
    typer.Option("--state", envvar="PXRESEARCH_STATE", help="Folder of all accounts' state."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object, nothing else.")]

DEFAULT_CATALOG = Path("data")
DEFAULT_STATE = Path("~/.pxresearch")


def say(text: str) -> None:
    """Print a result."""
    typer.echo(text)


def tell(text: str) -> None:
    """Print a message about the work that goes on."""
    typer.echo(f"pxresearch: {text}", err=True)


def say_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object on one line, in ASCII; what is not a finite number becomes null."""
    typer.echo(json.dumps(_finite(value), default=str, allow_nan=False))


def price(code: str, ticks: int | None) -> str:
    """A price of a contract; a dash where there is none."""
    from pxresearch.instruments import contract

    return "-" if ticks is None else contract(code).instrument.price_text(ticks)


@contextlib.contextmanager
def quiet_stdout(active: bool) -> Iterator[None]:
    """While `active`, what other code prints (a strategy, a library) goes to stderr."""
    if not active:
        yield
        return
    with contextlib.redirect_stdout(sys.stderr):
        yield


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> str:
    """Aligned plain-text table; numbers to the right.

    >>> print(table([{"a": 1, "b": "x"}]))
    a  b
    1  x
    """
    if not rows:
        return "(none)"
    names = list(columns or rows[0])
    cells = [[_cell(row[name]) for name in names] for row in rows]
    widths = [max(len(line[i]) for line in [names, *cells]) for i in range(len(names))]
    right = [all(_number(row[name]) for row in rows) for name in names]
    lines = [
        "  ".join(
            c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right, strict=True)
        )
        for line in [names, *cells]
    ]
    return "\n".join(line.rstrip() for line in lines)


@contextlib.contextmanager
def progress_bar(title: str, *, hidden: bool = False) -> Iterator[Callable[..., None]]:
    """Yield ``update(done, total)`` or ``update(stage, done, total)``; a bar if stderr is a tty."""
    if hidden or not sys.stderr.isatty():
        yield lambda *news: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    layout = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*layout, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title)

        def update(*news: Any) -> None:
            *stage, done, total = news
            text = f"{title}: {stage[0]}" if stage else title
            bar.update(task, description=text, completed=float(done), total=float(total))

        yield update


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value)


def _number(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))

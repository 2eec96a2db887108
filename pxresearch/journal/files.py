"""The journals of a state folder: their names, what each is, and which may be deleted.

``STATE/<account id>/<mode>-<trading day>.journal``, mode "paper" or "live".

I/O: reads and deletes files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import msgspec

from pxresearch.errors import JournalError, UsageError
from pxresearch.journal.reader import last_seq, newest, read
from pxresearch.journal.records import Header, Kind, SessionEnd
from pxresearch.journal.tail import tail_of

SUFFIX = ".journal"
MODES = ("paper", "live")
KEEP_DAYS = 400
KEEP_SESSIONS = 20
"""Newest complete paper sessions of each strategy source; promotion counts five of them."""

_LAST = 2**62


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A journal in a state folder.

    Attributes
    ----------
    header
        The newest; None if it cannot be read.
    end
        None while the session goes on, or if it was cut off.
    bytes
        On the disk.
    """

    path: Path
    account: str
    mode: str
    day: date
    bytes: int
    rows: int
    header: Header | None
    end: SessionEnd | None
    damage: str = ""


def path_of(folder: Path, mode: str, day: date) -> Path:
    """Path of a journal in an account's folder.

    Examples
    --------
    >>> path_of(Path("12"), "paper", date(2026, 10, 1)).name
    'paper-2026-10-01.journal'
    """
    return folder / f"{mode}-{day.isoformat()}{SUFFIX}"


def day_of(path: Path) -> tuple[str, date]:
    """Mode and trading day by a journal's name.

    Raises
    ------
    JournalError
        It is not a journal's name.
    """
    mode, _, text = path.stem.partition("-")
    try:
        if mode in MODES and path.suffix == SUFFIX:
            return mode, date.fromisoformat(text)
    except ValueError:
        pass
    raise JournalError(f"{path.name} is not a journal's name such as paper-2026-10-01{SUFFIX}")


def listing(state: Path, account: str | None = None) -> list[Listed]:
    """Journals of a state folder, of one account or all, oldest first."""
    found = []
    for path in sorted(state.glob(f"{account or '*'}/*{SUFFIX}")):
        try:
            mode, day = day_of(path)
        except JournalError:
            continue
        found.append(_listed(path, mode, day))
    return sorted(found, key=lambda one: (one.day, one.account, one.mode))


def _listed(path: Path, mode: str, day: date) -> Listed:
    header, end, rows, damage = None, None, 0, ""
    try:
        if at := newest(path, Kind.RUN, _LAST):
            header = next(read(path, (Kind.RUN,), at)).data
        rows = last_seq(path)
        if (at := newest(path, Kind.END, _LAST)) and at == rows:
            end = next(read(path, (Kind.END,), at)).data
    except JournalError as error:
        damage = str(error)
    return Listed(
        path=path, account=path.parent.name, mode=mode, day=day, bytes=path.stat().st_size,
        rows=rows, header=header, end=end, damage=damage,
    )  # fmt: skip


def find(journals: Sequence[Listed], which: str) -> Path:
    """Journal by its path, or by its trading day among those listed.

    Raises
    ------
    UsageError
        None, or more than one.
    """
    path = Path(which)
    if path.is_file():
        return path
    try:
        day = date.fromisoformat(which)
    except ValueError:
        raise UsageError(
            f"received {which!r}: there is no such file, and it is no day such as 2026-10-01"
        ) from None
    fitting = [one for one in journals if one.day == day]
    if len(fitting) == 1:
        return fitting[0].path
    if not fitting:
        days = ", ".join(dict.fromkeys(one.day.isoformat() for one in journals[-10:])) or "none"
        raise UsageError(f"there is no journal of {which}; the newest days: {days}")
    names = ", ".join(f"{one.account}/{one.path.name}" for one in fitting)
    raise UsageError(f"{which} is the day of {names}: give --account, --mode or the path")


def prunable(journals: Sequence[Listed], keep_days: int = KEEP_DAYS) -> list[Listed]:
    """Journals that nobody needs any more.

    Never among them: live ones; damaged ones and ones without an end; what is not older than
    `keep_days` before the newest; and of each account and strategy source the newest
    `KEEP_SESSIONS` complete paper sessions.
    """
    if keep_days < 0:
        raise UsageError(f"keep_days must be 0 or more, received {keep_days}")
    kept: Counter[tuple[str, str]] = Counter()
    found = []
    for one in sorted(journals, key=lambda j: j.day, reverse=True):
        if one.mode != "paper" or one.header is None or one.end is None:
            continue
        key = (one.account, one.header.source_hash)
        kept[key] += one.end.complete
        counted = one.end.complete and kept[key] <= KEEP_SESSIONS
        if not counted and max(j.day for j in journals) - one.day > timedelta(days=keep_days):
            found.append(one)
    return found[::-1]


def prune(journals: Sequence[Listed]) -> None:
    """Delete journals that `prunable` gave."""
    for one in journals:
        one.path.unlink()
        tail_of(one.path).unlink(missing_ok=True)

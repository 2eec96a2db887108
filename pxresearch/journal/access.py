"""A journal's rows, read: the committed ones and, behind them, those of its tail.

I/O: reads SQLite files and the `tail` beside them.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from pxresearch.errors import JournalError
from pxresearch.journal.store import SEED, UNREADABLE, Stored, chain, check_format
from pxresearch.journal.tail import left, tail_of

_PAGE = 500  # rows a read takes at once: a reader never holds the file for long
_BEHIND = """
CREATE TEMP TABLE behind AS SELECT * FROM main.rows WHERE 0;
CREATE TEMP VIEW rows AS
    SELECT * FROM main.rows WHERE seq <= {last} UNION ALL SELECT * FROM behind;
"""


@contextlib.contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A journal open for reading; its writer may be at work.

    What stands in its `tail` only is seen as if it were committed.

    Raises
    ------
    JournalError
        No such file, no journal, another version, or damaged.
    """
    if not path.is_file():
        raise JournalError(f"there is no journal {path}")
    try:
        db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
        db.text_factory = lambda raw: raw.decode("utf-8", "replace")  # damage is for the chain
        with contextlib.closing(db):
            check_format(db, empty_is_fine=False)
            _with_tail(db, path)
            yield db
    except UNREADABLE as error:
        raise JournalError(f"the journal {path} cannot be read: {error}") from error
    except JournalError as error:
        raise JournalError(f"{path}: {error}") from error


def has_rows(path: Path) -> bool:
    """Whether anything is there; a writer that was killed before has left an empty file.

    Raises
    ------
    JournalError
        It cannot be read.
    """
    try:
        db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
        with contextlib.closing(db):
            tables = db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'rows'")
            if tables.fetchone()[0] == 0:
                return False
            found = db.execute("SELECT count(*) FROM (SELECT 1 FROM rows LIMIT 1)").fetchone()[0]
            return found > 0 or bool(left(path, 0))
    except sqlite3.Error as error:
        raise JournalError(f"the journal {path} cannot be read: {error}") from error


def _with_tail(db: sqlite3.Connection, path: Path) -> None:
    """Put the rows of the tail behind the committed ones, for this connection."""
    if not tail_of(path).is_file():
        return
    row = db.execute("SELECT seq + n - 1, hash FROM rows ORDER BY seq DESC LIMIT 1").fetchone()
    last, head = row or (0, SEED)
    if rows := left(path, last):
        db.executescript(_BEHIND.format(last=last))
        db.executemany("INSERT INTO behind VALUES (?,?,?,?,?,?)", chain(head, rows))


def stored_rows(db: sqlite3.Connection, since: int = 0, where: str = "1") -> Iterator[Stored]:
    """Rows that cover `since` or come after it, in order; `where` is a condition in SQL."""
    query = (
        "SELECT seq, n, ts, kind, CAST(data AS BLOB), CAST(hash AS BLOB) FROM rows "
        f"WHERE seq + n > ? AND seq > ? AND ({where}) ORDER BY seq LIMIT {_PAGE}"
    )
    at = _floor(db, since)
    while True:
        rows, damage = [], None
        try:
            rows.extend(db.execute(query, (since, at)))
        except UNREADABLE as error:
            damage = error
        yield from map(Stored._make, rows)
        if damage is not None:
            raise damage
        if not rows:
            return
        at = rows[-1][0]


def structure(db: sqlite3.Connection) -> str:
    """What is wrong with the pages of the file; empty when nothing is."""
    (said,) = db.execute("PRAGMA quick_check(1)").fetchone()
    return "" if said == "ok" else f"the file's structure: {' '.join(said.split())}"


def _floor(db: sqlite3.Connection, since: int) -> int:
    """A sequence number below the row that covers `since`, close to it: keeps the search short."""
    found = db.execute("SELECT max(seq) FROM rows WHERE seq <= ?", (since,)).fetchone()[0]
    return -1 if found is None else found - 1

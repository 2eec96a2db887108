"""The file: one SQLite table of rows, each chained to the one before it.

The hash of a row is SHA-256 over the hash before it, the row's numbers, its kind and its data; the
first row follows `SEED`. A row covers `n` sequence numbers: a block of inputs one each, a gap the
ones that were lost, any other row one. Rows are never changed or removed: the file itself forbids
it.

SQLite keeps a file whole whenever the process dies. What is committed survives the process; what
`sync` has forced to the disk survives the power.

I/O: reads and writes one SQLite file (and the two that SQLite keeps beside it).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pxresearch.errors import JournalError
from pxresearch.journal.backlog import Waiting
from pxresearch.journal.blocks import pack
from pxresearch.journal.records import VERSION, Kind

SEED = hashlib.sha256(b"pxresearch journal 1").digest()
UNREADABLE = (sqlite3.Error, UnicodeDecodeError)
"""What SQLite raises for a damaged file: its messages may quote the damage."""

_APPLICATION = 0x50584A31  # "PXJ1"
_NUMBERS = struct.Struct("<qqq")
_DB_PAGE = 4096
_WAL_BYTES = 8 << 20  # what may stand beside the file before it is moved into it
_TABLE = """
CREATE TABLE IF NOT EXISTS rows (
    seq INTEGER PRIMARY KEY, n INTEGER NOT NULL, ts INTEGER NOT NULL, kind TEXT NOT NULL,
    data BLOB NOT NULL, hash BLOB NOT NULL);
CREATE TRIGGER IF NOT EXISTS no_update BEFORE UPDATE ON rows
    BEGIN SELECT RAISE(ABORT, 'a journal is append-only'); END;
CREATE TRIGGER IF NOT EXISTS no_delete BEFORE DELETE ON rows
    BEGIN SELECT RAISE(ABORT, 'a journal is append-only'); END;
"""


class Stored(NamedTuple):
    """A row as it stands in the file; covers seq to seq + n - 1."""

    seq: int
    n: int
    ts: int
    kind: str
    data: bytes
    hash: bytes


def chained(before: bytes, seq: int, n: int, ts: int, kind: str, data: bytes) -> Stored:
    """The row that follows a hash."""
    digest = hashlib.sha256(before + _NUMBERS.pack(seq, n, ts) + kind.encode() + b"\0")
    digest.update(data)
    return Stored(seq, n, ts, kind, data, digest.digest())


def chain(head: bytes, batch: Sequence[Waiting]) -> list[Stored]:
    """Rows as they are committed behind a hash."""
    rows = []
    for one in batch:
        data = bytes(one.data)
        if one.kind == Kind.INPUT:
            data = pack(data)
        elif one.kind == Kind.SNAPSHOT:
            data = zlib.compress(data, 1)
        row = chained(head, one.seq, one.n, one.ts, one.kind.value, data)
        rows.append(row)
        head = row.hash
    return rows


class Store:
    """A journal's file, open for writing. One thread appends, another may `sync`.

    Raises
    ------
    JournalError
        It cannot be opened, or is not a journal of this version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self.db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise JournalError(f"the journal {path} cannot be opened: {error}") from error
        try:
            self._prepare()
        except (*UNREADABLE, JournalError) as error:
            self.db.close()
            raise JournalError(f"the journal {path} cannot be used: {error}") from error

    def _prepare(self) -> None:
        check_format(self.db, empty_is_fine=True)
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "wal_autocheckpoint=0"):
            self.db.execute(f"PRAGMA {pragma}")
        self.db.execute(f"PRAGMA application_id={_APPLICATION}")
        self.db.execute(f"PRAGMA user_version={VERSION}")
        self.db.executescript(_TABLE)
        last = self.db.execute("SELECT * FROM rows ORDER BY seq DESC LIMIT 1").fetchone()
        row = Stored(*last) if last else Stored(1, 0, 0, "", b"", SEED)
        self.last_seq, self.head = row.seq + row.n - 1, row.hash
        self._unmoved = 0

    def append(self, rows: Sequence[Stored]) -> None:
        """Commit rows; all of them or none."""
        try:
            self.db.execute("BEGIN IMMEDIATE")
            self.db.executemany("INSERT INTO rows VALUES (?,?,?,?,?,?)", rows)
            self.db.execute("COMMIT")
        except sqlite3.Error:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise
        self.last_seq, self.head = rows[-1].seq + rows[-1].n - 1, rows[-1].hash
        self._unmoved += sum(len(row.data) for row in rows) + _DB_PAGE

    @property
    def wal(self) -> Path:
        """The file beside it in which commits stand first."""
        return self.path.with_name(self.path.name + "-wal")

    def sync(self) -> None:
        """Force what is committed to the disk; move it into the file proper now and then."""
        with contextlib.suppress(FileNotFoundError), self.wal.open("r+b") as file:
            os.fsync(file.fileno())
        if self._unmoved < _WAL_BYTES:
            return
        self._unmoved = 0
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as db:
            db.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def size(self) -> int:
        """Bytes on the disk."""
        paths = (self.path, self.wal)
        return sum(p.stat().st_size for p in paths if p.exists())

    def close(self) -> None:
        """Close; one plain file is left, unless somebody reads it just now."""
        try:
            with contextlib.suppress(sqlite3.OperationalError):
                self.db.execute("PRAGMA busy_timeout=0")
                self.db.execute("PRAGMA journal_mode=DELETE")
        finally:
            self.db.close()


def check_format(db: sqlite3.Connection, *, empty_is_fine: bool) -> None:
    """Refuse a file that is no journal, or one of another version."""
    application = db.execute("PRAGMA application_id").fetchone()[0]
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if empty_is_fine and db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
        return
    if application != _APPLICATION:
        raise JournalError("it is not a journal of pxresearch")
    if version != VERSION:
        raise JournalError(
            f"it is of version {version}, this pxresearch reads version {VERSION}: "
            "use the pxresearch that wrote it"
        )

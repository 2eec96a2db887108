"""Journals read back: their rows, whether they are whole, and what a restart goes on from.

Any journal can be read while its writer is at work; a reader sees what is committed.

I/O: reads SQLite files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from pxresearch.errors import JournalError
from pxresearch.journal.access import opened, stored_rows, structure
from pxresearch.journal.blocks import unpack
from pxresearch.journal.records import Header, Input, Kind, Row, decode
from pxresearch.journal.store import SEED, Stored, chained


def read(path: Path, kinds: Iterable[Kind] | None = None, since: int = 0) -> Iterator[Row]:
    """Rows of a journal in order; inputs come one by one, whatever block they stand in.

    Parameters
    ----------
    kinds
        Only these; all by default.
    since
        Least sequence number.

    Raises
    ------
    JournalError
        No journal, or a row that cannot be read. Use `verify` to know that it is whole.
    """
    where = "1"
    if kinds is not None:
        where = "kind IN ({})".format(", ".join(f"'{Kind(kind).value}'" for kind in kinds))
    with opened(path) as db:
        for row in stored_rows(db, since, where):
            yield from _rows(path, row, since)


def _rows(path: Path, row: Stored, since: int) -> Iterator[Row]:
    try:
        kind = Kind(row.kind)
        if kind != Kind.INPUT:
            yield Row(row.seq, row.ts, kind, decode(kind, row.data))
            return
        for seq, values in enumerate(unpack(row.data, row.n).tolist(), row.seq):
            if seq >= since:
                told = Input(*values)
                yield Row(seq, told.ts, kind, told)
    except (ValueError, JournalError) as error:
        raise JournalError(f"{path}, row {row.seq}: {error}") from None


def newest(path: Path, kind: Kind, until: int) -> int:
    """Number of the newest row of a kind that begins at or before another; 0 if there is none."""
    query = "SELECT max(seq) FROM rows WHERE kind = ? AND seq <= ?"
    with opened(path) as db:
        return db.execute(query, (kind.value, until)).fetchone()[0] or 0


def last_seq(path: Path) -> int:
    """The last number of a journal; 0 in an empty one."""
    with opened(path) as db:
        row = db.execute("SELECT seq + n - 1 FROM rows ORDER BY seq DESC LIMIT 1").fetchone()
    return row[0] if row else 0


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """What a look at a whole journal found.

    Attributes
    ----------
    rows
        Numbered things in it, inputs one each.
    damage
        What is wrong, and where; empty when nothing is.
    head
        Hash of the last row: kept elsewhere, it proves that nothing was changed since.
    ended
        The last row is the session's end.
    missed
        Rows that the disk did not take, for which GAP rows stand.
    """

    rows: int
    damage: str
    head: str
    ended: bool
    missed: int


def check(path: Path) -> Check:
    """Look at every row of a journal: chain, gaps, version, and whether it can be read."""
    head, last, missed, kind, damage = SEED, 0, 0, "", ""
    try:
        with opened(path) as db:
            for row in stored_rows(db):
                damage = _damage(row, head, last)
                if damage:
                    break
                head, last, kind = row.hash, row.seq + row.n - 1, row.kind
                missed += row.n if kind == Kind.GAP and row.n > 1 else 0
            damage = damage or structure(db)  # the chain does not see rows cut off its end
    except JournalError as error:
        damage = f"after row {last}: {error}"
    if not damage and not last:
        damage = "it is empty"
    return Check(
        rows=last, damage=damage, head=head.hex(), ended=kind == Kind.END and not damage,
        missed=missed,
    )  # fmt: skip


def verify(path: Path) -> str:
    """What is wrong with a journal, and at which row; empty when nothing is."""
    return check(path).damage


def _damage(row: Stored, head: bytes, last: int) -> str:
    if row.seq != last + 1:
        return f"row {last + 1} is missing: row {row.seq} follows row {last}"
    numbers = isinstance(row.n, int) and isinstance(row.ts, int) and row.n > 0
    if not numbers or not isinstance(row.kind, str) or chained(head, *row[:-1]).hash != row.hash:
        return f"row {row.seq} was changed after it was written, or one before it was taken out"
    if last == 0 and row.kind != Kind.RUN:
        return f"row 1 is of kind {row.kind}, where a header must stand"
    try:
        if row.kind == Kind.INPUT:
            unpack(row.data, row.n)
        else:
            decode(Kind(row.kind), row.data)
    except (ValueError, JournalError) as error:
        return f"row {row.seq}: {error}"
    return ""


class Recovered(msgspec.Struct, frozen=True, kw_only=True):
    """What a restart goes on from.

    Attributes
    ----------
    header
        The newest.
    snapshot, snapshot_seq
        The newest state, and its number; None and 0 without one.
    last_seq
        The journal's last number; a `Journal` on this path goes on behind it.
    ended
        The session came to its end; there is nothing to go on with.
    """

    path: Path
    header: Header
    snapshot: bytes | None
    snapshot_seq: int
    last_seq: int
    ended: bool

    def inputs(self) -> Iterator[Row]:
        """What the engine was told after the snapshot."""
        return read(self.path, (Kind.INPUT,), self.snapshot_seq + 1)


def recover(path: Path) -> Recovered:
    """Read what a restart needs from a journal, whose writer is gone.

    Raises
    ------
    JournalError
        It is damaged: the text says where.
    """
    found = check(path)
    if found.damage:
        raise JournalError(
            f"the journal {path} is damaged: {found.damage}. Keep it, move it out of the folder, "
            "and start again: the state then comes from the venue alone"
        )
    header = next(read(path, (Kind.RUN,), newest(path, Kind.RUN, found.rows))).data
    at = newest(path, Kind.SNAPSHOT, found.rows)
    snapshot = next(read(path, (Kind.SNAPSHOT,), at)).data if at else None
    return Recovered(
        path=path, header=header, snapshot=snapshot, snapshot_seq=at,
        last_seq=found.rows, ended=found.ended,
    )  # fmt: skip

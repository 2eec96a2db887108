"""What happens to a journal: kill -9, a torn file, a full disk, and somebody who changes it."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pxresearch.errors import JournalError
from pxresearch.journal import Journal, Kind, backlog, check, read, recover, verify, writer
from pxresearch.journal.store import Store
from tests.journal_child import value_of
from tests.journal_play import header_of, market, play

HEADER = header_of()
ROOT = Path(__file__).resolve().parents[1]


# ------------------------------------------------------------------ the process dies
@pytest.mark.parametrize("seed", range(3))
def test_what_was_said_to_be_stored_survives_kill(seed: int, tmp_path: Path) -> None:
    """At any moment: what is left is whole, a prefix, and holds all that was promised."""
    path, chance, promised = tmp_path / "a.journal", random.Random(seed), 0
    begun = Journal(path, threaded=False)
    begun.write(Kind.RUN, 1, HEADER)
    begun.close()
    for life in range(2):
        command = [sys.executable, "-m", "tests.journal_child", str(path), f"{seed}{life}"]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            for _ in range(chance.randrange(1, 40)):
                promised = int(child.stdout.readline())
            child.kill()
            rest = child.stdout.read().split("\n")[:-1]
            promised = int(rest[-1]) if rest else promised
        found = check(path)
        assert found.damage == ""
        assert found.rows >= promised
        for row in read(path, since=2):
            if row.kind == Kind.INPUT:
                assert row.data == value_of(row.seq)
            else:
                assert row.data == {"n": row.seq}


def copy_of(path: Path, to: Path, wal_bytes: int | None = None) -> Path:
    """A journal as a crash leaves it: file and write-ahead log, which may be cut short."""
    to.mkdir()
    for part in (path, path.with_name(f"{path.name}-wal")):
        if part.exists():
            data = part.read_bytes()
            (to / part.name).write_bytes(data if part == path else data[:wal_bytes])
    return to / path.name


@pytest.fixture(scope="module")
def torn(tmp_path_factory):
    """A journal under way, and how long its log was after each commit."""
    folder = tmp_path_factory.mktemp("torn")
    journal, commits = Journal(folder / "a.journal", threaded=False), []
    journal.write(Kind.RUN, 1, HEADER)
    for event in market(HEADER, 400):
        seq = journal.input(*event)
        if seq % 40 == 0:
            asyncio.run(journal.stored(seq))
            wal = folder / "a.journal-wal"
            commits.append((wal.stat().st_size, seq))
    left = copy_of(folder / "a.journal", folder / "crashed")
    whole = list(read(folder / "a.journal"))
    journal.close()
    return left, commits, whole


@settings(max_examples=60)
@given(data=st.data())
def test_a_torn_record_costs_that_record_and_no_other(torn, data) -> None:
    """Cut the log anywhere: every commit that is whole in it is there, in order."""
    crashed, commits, whole = torn
    cut = data.draw(st.integers(commits[0][0], commits[-1][0]))
    with tempfile.TemporaryDirectory() as folder:
        path = copy_of(crashed, Path(folder) / "x", cut)
        least = max(seq for size, seq in commits if size <= cut)
        found = check(path)
        assert found.damage == ""
        assert found.rows == least
        assert list(read(path)) == whole[:least]
        journal = Journal(path, threaded=False)  # and it can be gone on with
        journal.write(Kind.NOTE, 1, {"back": True})
        journal.close()
        assert check(path).rows == least + 1
        assert verify(path) == ""


# ------------------------------------------------------------------ the disk refuses
def pages(journal: Journal, most: int | None) -> None:
    """Let the file have so many pages and no more; None: no bound."""
    journal._store.db.execute(f"PRAGMA max_page_count={most or 2**31}")


def full(journal: Journal) -> None:
    """No room for one more page."""
    (used,) = journal._store.db.execute("PRAGMA page_count").fetchone()
    pages(journal, used)


def note(i: int) -> dict:
    return {"i": i, "text": "x" * 3_000}


@pytest.mark.parametrize("threaded", [True, False])
def test_a_full_disk_loses_nothing(threaded: bool, tmp_path: Path, monkeypatch) -> None:
    """It is visible, nobody is told that anything is stored, and later all of it is written."""
    monkeypatch.setattr(writer, "RETRY_S", 0.01)
    path = tmp_path / "a.journal"

    async def main() -> None:
        journal = Journal(path, threaded=threaded, tail=False)
        await journal.stored(journal.write(Kind.RUN, 1, HEADER))
        full(journal)
        for i in range(2, 50):
            with pytest.raises(JournalError, match="full"):
                await journal.stored(journal.write(Kind.NOTE, i, note(i)))
            assert journal.failed is not None
            assert "full" in journal.failed
            journal.input(0, 0, i, 0, 0, 0, 0, i)
        assert journal.lag_s > 0
        assert check(path).rows == journal.stored_seq
        pages(journal, None)
        await until_stored(journal)
        assert journal.failed is None
        assert journal.lag_s == 0
        journal.close()

    asyncio.run(main())
    rows = list(read(path, since=2))
    assert [row.data for row in rows if row.kind == Kind.NOTE] == [note(i) for i in range(2, 50)]
    assert [row.ts for row in rows] == [i for i in range(2, 50) for _ in (1, 2)]
    assert verify(path) == ""


async def until_stored(journal: Journal) -> None:
    """Ask until the writer has had its next attempt."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await journal.stored(journal.last_seq)
            except JournalError:
                await asyncio.sleep(0.01)


def test_what_no_memory_is_left_for_becomes_a_gap(tmp_path: Path, monkeypatch) -> None:
    """Its numbers are taken by one row that says so; nothing of it counts as stored."""
    monkeypatch.setattr(backlog, "MOST_BYTES", 20_000)
    path = tmp_path / "a.journal"

    async def main() -> tuple[int, int]:
        journal = Journal(path, threaded=False)
        await journal.stored(journal.write(Kind.RUN, 1, HEADER))
        full(journal)
        seqs = [journal.write(Kind.NOTE, i, note(i)) for i in range(2, 30)]
        assert seqs == list(range(2, 30))
        pages(journal, None)
        with pytest.raises(JournalError, match="lost"):
            await journal.stored(journal.last_seq)
        for i in range(30, 34):
            seq = journal.write(Kind.NOTE, i, note(i))
        await journal.stored(seq)
        with pytest.raises(JournalError, match="lost"):
            await journal.stored(29)
        journal.close()
        return seq, journal.last_seq

    last, at_end = asyncio.run(main())
    rows = list(read(path))
    (gap,) = [row for row in rows if row.kind == Kind.GAP]
    kept = [row.data["i"] for row in rows if row.kind == Kind.NOTE]
    assert kept == [*range(2, gap.seq), *range(gap.seq + gap.data.missed, last + 1)]
    assert gap.data.of == "journal"
    assert check(path).missed == gap.data.missed > 20
    assert check(path).rows == at_end == last
    assert verify(path) == ""


def test_a_gap_at_the_end_is_written_on_closing(tmp_path: Path, monkeypatch) -> None:
    """Rows that were only counted have their row even if nothing comes after them."""
    monkeypatch.setattr(backlog, "MOST_BYTES", 20_000)
    path = tmp_path / "a.journal"
    journal = Journal(path, threaded=False)
    journal.write(Kind.RUN, 1, HEADER)
    for i in range(2, 30):
        journal.write(Kind.NOTE, i, note(i))
    journal.close()
    found = check(path)
    assert found.damage == ""
    assert found.rows == journal.last_seq == 29
    assert found.missed > 20


def test_a_disk_that_never_comes_back_is_said_at_the_end(tmp_path: Path, monkeypatch) -> None:
    """Closing takes a few attempts, then tells how many rows are lost."""
    monkeypatch.setattr(writer, "RETRY_S", 0.01)
    journal = Journal(tmp_path / "a.journal", tail=False)
    journal.write(Kind.RUN, 1, HEADER)
    asyncio.run(journal.stored(1))
    full(journal)
    for i in range(20):
        journal.write(Kind.NOTE, i, note(i))
    with pytest.raises(JournalError, match=r"the last 20 rows are lost: .*full"):
        journal.close()
    assert check(tmp_path / "a.journal").rows == 1


def test_a_failed_fsync_is_visible(tmp_path: Path, monkeypatch) -> None:
    """Under "always" nothing is stored meanwhile; what is committed is not written twice."""
    sync, broken = Store.sync, [True]

    def fail(self: Store) -> None:
        if broken[0]:
            raise OSError(5, "Input/output error")
        sync(self)

    monkeypatch.setattr(Store, "sync", fail)
    journal = Journal(tmp_path / "a.journal", fsync="always", threaded=False)
    with pytest.raises(JournalError, match="Input/output"):
        asyncio.run(journal.stored(journal.write(Kind.RUN, 1, HEADER)))
    assert journal.stored_seq == 0
    broken[0] = False
    asyncio.run(journal.stored(1))
    assert journal.failed is None
    journal.close()
    assert check(tmp_path / "a.journal").rows == 1


# ------------------------------------------------------------------ somebody changes it
class Finished:
    """A finished journal and its rows."""

    def __init__(self, path: Path) -> None:
        play(path, HEADER, 300)
        self.path, self.raw, self.rows = path, path.read_bytes(), list(read(path))


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Finished:
    return Finished(tmp_path_factory.mktemp("finished") / "a.journal")


def altered(finished: Finished, at: int, flip: int) -> None:
    """Either `verify` finds the byte, or it held nothing and every row reads as before."""
    raw = bytearray(finished.raw)
    raw[at % len(raw)] ^= flip
    with tempfile.TemporaryDirectory() as folder:
        changed = Path(folder) / "a.journal"
        changed.write_bytes(raw)
        if not verify(changed):
            assert list(read(changed)) == finished.rows
        else:
            with pytest.raises(JournalError, match="damaged"):
                recover(changed)


@settings(max_examples=150)
@given(at=st.integers(0, 2**20), flip=st.integers(1, 255))
def test_a_changed_byte_is_found(finished: Finished, at: int, flip: int) -> None:
    """Wherever in the file it is."""
    altered(finished, at, flip)


def test_rows_cut_off_the_end_are_found(finished: Finished) -> None:
    """The chain ends well without them; the page that held them does not add up."""
    page = 4_096
    for start in range(page, len(finished.raw), page):
        altered(finished, start + 4, 1)  # the count of the page's cells


EDITS = (
    "UPDATE rows SET ts = ts + 1 WHERE seq = {seq}",
    "UPDATE rows SET kind = 'note' WHERE seq = {seq}",
    "UPDATE rows SET data = data || x'20' WHERE seq = {seq}",
    "UPDATE rows SET n = n + 1 WHERE seq = {seq}",
    "UPDATE rows SET hash = zeroblob(32) WHERE seq = {seq}",
    "UPDATE rows SET n = 'many' WHERE seq = {seq}",
    "UPDATE rows SET ts = 'never' WHERE seq = {seq}",
    "UPDATE rows SET kind = x'ff' WHERE seq = {seq}",
    "UPDATE rows SET kind = CAST(x'ff' AS TEXT) WHERE seq = {seq}",
    "DELETE FROM rows WHERE seq = {seq}",
)


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_row_is_named(edit: str, finished: Finished, tmp_path: Path) -> None:
    """With the triggers out of the way: the damage begins at the row, or at the one behind it."""
    path = tmp_path / "a.journal"
    shutil.copy(finished.path, path)
    db = sqlite3.connect(path)
    db.executescript("DROP TRIGGER no_update; DROP TRIGGER no_delete;")
    seqs = [seq for (seq,) in db.execute("SELECT seq FROM rows ORDER BY seq")]
    seq, after = seqs[len(seqs) // 2 : len(seqs) // 2 + 2]
    db.execute(edit.format(seq=seq))
    db.commit()
    db.close()
    damage = verify(path)
    assert any(f"row {n} " in damage for n in (seq, after)), damage


def test_an_empty_or_headless_journal_is_damage(tmp_path: Path) -> None:
    """A header comes first, or nothing in it can be replayed."""
    Journal(tmp_path / "a.journal", threaded=False).close()
    assert "empty" in verify(tmp_path / "a.journal")
    journal = Journal(tmp_path / "b.journal", threaded=False)
    journal.write(Kind.NOTE, 1, {})
    journal.close()
    assert "header" in verify(tmp_path / "b.journal")
    assert "there is no journal" in verify(tmp_path / "c.journal")

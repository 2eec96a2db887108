"""The tail of a journal: what it holds is there after any death of the process, and no more."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pxresearch.errors import JournalError
from pxresearch.journal import Journal, Kind, check, has_rows, read, tail, writer
from pxresearch.journal.tail import SIZE, tail_of
from tests.journal_play import header_of
from tests.test_journal_faults import copy_of, full, pages

HEADER = header_of()


def killed(path: Path, to: Path) -> Path:
    """The files as `kill -9` leaves them."""
    left = copy_of(path, to)
    shutil.copy(tail_of(path), tail_of(left))
    return left


def begun(path: Path) -> Journal:
    """A journal with a tail, whose rows are only committed when the test says so."""
    journal = Journal(path, threaded=False, tail=True)
    journal.write(Kind.RUN, 1, HEADER)
    return journal


STEPS = st.lists(st.sampled_from(("input", "note", "keep", "commit")), max_size=60)


@settings(max_examples=150, deadline=None)
@given(steps=STEPS)
def test_what_was_kept_is_there_whatever_was_committed(steps: list[str]) -> None:
    """Rows, in order and chained, up to the last that was kept or committed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.journal"
        journal, safe = begun(path), 0
        for i, step in enumerate(steps):
            if step == "input":
                journal.input(0, 0, i, i, 0, 0, 0, i)
            elif step == "note":
                journal.write(Kind.NOTE, i, {"i": i})
            else:
                if step == "keep":
                    assert journal.keep()
                else:
                    journal._flush()
                safe = journal.last_seq
                assert journal.stored_seq == safe
        left = killed(path, Path(folder) / "killed")
        assert has_rows(left) == bool(safe)
        found = list(read(left))
        again = Journal(left, threaded=False)  # a restart commits them
        assert again.last_seq == safe
        again.close()
        assert list(read(left)) == found
        assert not safe or check(left).damage == ""
        journal.close()
        assert list(read(path))[:safe] == found
        assert not tail_of(path).exists()


@settings(max_examples=100, deadline=None)
@given(cut=st.integers(0, 3_000), flip=st.integers(0, 255))
def test_a_copy_that_was_cut_short_costs_its_own_rows(cut: int, flip: int) -> None:
    """Cut or changed anywhere, what is before that place is read, and nothing of it is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        journal, ends = begun(Path(folder) / "a.journal"), []
        journal._flush()
        for i in range(20):
            journal.write(Kind.NOTE, i, {"i": i})
            assert journal._tail is not None
            assert journal.keep()
            ends.append(journal._tail._end)
        left = killed(journal.path, Path(folder) / "killed")
        raw = bytearray(tail_of(left).read_bytes())
        raw[cut] ^= flip
        tail_of(left).write_bytes(raw)
        rows = list(read(left))[1:]
        whole = len(ends) if flip == 0 else sum(end <= cut for end in ends)
        assert [row.data["i"] for row in rows] == list(range(whole))
        journal.close()


def test_an_older_use_of_the_file_is_not_read(tmp_path: Path) -> None:
    """A short tail lies over a long one, all of whose rows were committed."""
    journal = begun(tmp_path / "a.journal")
    for i in range(50):
        journal.write(Kind.NOTE, i, {"i": i})
    journal.keep()
    journal._flush()
    journal.write(Kind.NOTE, 50, {"i": 50})
    journal.keep()
    left = killed(journal.path, tmp_path / "killed")
    assert [row.seq for row in read(left)] == list(range(1, 53))
    assert check(left).damage == ""
    journal.close()


def test_the_tail_of_a_journal_that_was_moved_away_is_nobodys(tmp_path: Path) -> None:
    """A damaged journal is put aside; the next one of that day does not begin with its rows."""
    journal = begun(tmp_path / "a.journal")
    assert journal.keep()
    left = killed(journal.path, tmp_path / "killed")
    left.unlink()
    again = Journal(left, threaded=False)
    assert again.last_seq == 0
    again.close()
    assert not tail_of(left).exists()
    journal.close()


def test_a_full_tail_is_a_matter_for_the_commit(tmp_path: Path) -> None:
    """With no room left `stored` waits for the disk, and then the tail is used again."""
    journal = begun(tmp_path / "a.journal")

    async def main() -> None:
        big = {"text": "x" * (SIZE - 10_000)}
        await journal.stored(journal.write(Kind.NOTE, 1, big))
        assert journal._committed == 0
        await journal.stored(journal.write(Kind.NOTE, 2, big))
        assert journal._committed == journal.last_seq
        await journal.stored(journal.write(Kind.NOTE, 3, {}))
        assert journal._committed == journal.last_seq - 1

    asyncio.run(main())
    journal.close()


def test_a_refusing_disk_keeps_nothing_that_opens(tmp_path: Path) -> None:
    """Once a commit has failed, stored says so; on closing the tail takes what waits."""
    journal = begun(tmp_path / "a.journal")
    journal._flush()
    full(journal)
    for i in range(2, 30):
        journal.write(Kind.NOTE, i, {"i": i, "text": "x" * 3_000})
    journal._flush()
    assert not journal.keep()
    with pytest.raises(JournalError, match="full"):
        asyncio.run(_stored(journal))
    journal.write(Kind.NOTE, 2, {"i": 2})
    with pytest.raises(JournalError, match=r"30 rows stand in a\.journal-tail until the next"):
        journal.close()
    again = Journal(tmp_path / "a.journal", threaded=False)
    pages(again, None)
    again.close()
    assert [row.data["i"] for row in read(again.path, (Kind.NOTE,))] == [*range(2, 30), 1, 2]


async def _stored(journal: Journal) -> None:
    await journal.stored(journal.write(Kind.NOTE, 1, {"i": 1}))


@pytest.mark.parametrize("way", ["always", "no file"])
def test_without_a_tail_stored_waits_for_the_disk(way: str, tmp_path: Path, monkeypatch) -> None:
    """By the policy, or because the file cannot be made."""
    if way == "no file":
        monkeypatch.setattr(tail, "tail_of", lambda path: path / "nowhere")
    fsync = "always" if way == "always" else "interval"
    journal = Journal(tmp_path / "a.journal", fsync=fsync)
    asyncio.run(journal.stored(journal.write(Kind.RUN, 1, HEADER)))
    assert journal._committed == 1
    assert not journal.keep()
    journal.close()
    assert check(journal.path).damage == ""


def test_the_thread_commits_what_the_tail_holds(tmp_path: Path, monkeypatch) -> None:
    """Nobody has to ask: the file has it a moment later, and an order did not wait for that."""
    monkeypatch.setattr(writer, "WAIT_S", 0.01)

    async def main() -> None:
        journal = Journal(tmp_path / "a.journal")
        await journal.stored(journal.write(Kind.RUN, 1, HEADER))
        async with asyncio.timeout(20):
            while journal._committed < 1:
                await asyncio.sleep(0.005)
        journal.close()

    asyncio.run(main())
    assert check(tmp_path / "a.journal").rows == 1

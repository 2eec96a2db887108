"""The journal's writer and reader: what is handed over is what is read, in order, without gaps."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import struct
import tempfile
import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pxresearch.brokers.fillmodel import FillModel, Latency
from pxresearch.clock import NS, VirtualClock
from pxresearch.errors import JournalError, UsageError
from pxresearch.journal import Gap, Input, Journal, Kind, Row, check, read, verify
from pxresearch.journal.blocks import ROW, pack, unpack
from pxresearch.journal.store import Store
from pxresearch.programmes import programme
from tests.find_secrets import JWT, PLANTED
from tests.journal_play import end_of, header_of, market

HEADER = header_of()
int64 = st.one_of(
    st.integers(-(2**63), 2**63 - 1), st.integers(-3, 3), st.sampled_from((-(2**63), 2**63 - 1))
)
inputs = st.tuples(*[int64] * 8)


@given(rows=st.lists(inputs, min_size=1, max_size=300))
def test_a_block_holds_every_input_exactly(rows: list) -> None:
    """Any int64 comes back, and a block of another length is refused."""
    block = pack(b"".join(ROW.pack(*row) for row in rows))
    assert unpack(block, len(rows)).tolist() == [list(row) for row in rows]
    with pytest.raises(JournalError, match="does not hold"):
        unpack(block, len(rows) + 1)


RUN = (Kind.RUN, HEADER.first_ns, HEADER)
rows = st.tuples(
    st.sampled_from((Kind.ORDER, Kind.HUB, Kind.NOTE, Kind.COMMAND)),
    int64,
    st.dictionaries(st.sampled_from("abc"), st.one_of(int64, st.text(max_size=5), st.none())),
)
acts = st.one_of(inputs, inputs, rows, st.just("stored"), st.just("reopened"))


@settings(max_examples=25)
@given(script=st.lists(acts, max_size=60), threaded=st.booleans(), data=st.data())
def test_what_is_handed_over_is_what_is_read(script: list, threaded: bool, data) -> None:
    """In order, numbered without a gap, over restarts; any filter gives the matching part."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "paper-2026-09-15.journal"
        expected = asyncio.run(write_all(path, [RUN, *script], threaded))
        assert list(read(path)) == expected
        assert [row.seq for row in expected] == list(range(1, len(expected) + 1))
        assert verify(path) == ""
        kinds = data.draw(st.sets(st.sampled_from(Kind)))
        since = data.draw(st.integers(0, len(expected) + 2))
        part = [row for row in expected if row.kind in kinds and row.seq >= since]
        assert list(read(path, kinds, since)) == part


async def write_all(path: Path, script: list, threaded: bool) -> list[Row]:
    """Hand all of a script over; returns the rows that must be there."""
    journal, expected = Journal(path, threaded=threaded), []
    for act in script:
        if act == "stored":
            await journal.stored(journal.last_seq)
            assert journal.stored_seq == journal.last_seq == len(expected)
        elif act == "reopened":
            journal.close()
            journal = Journal(path, threaded=threaded)
        elif isinstance(act[0], Kind):
            expected.append(Row(journal.write(act[0], act[1], act[2]), act[1], act[0], act[2]))
        else:
            expected.append(Row(journal.input(*act), act[2], Kind.INPUT, Input(*act)))
    journal.close()
    return expected


@pytest.mark.parametrize("name", ["combine-50k", "combine-150k", "express-50k", "express-100k"])
def test_a_header_comes_back_whole(name: str, tmp_path: Path) -> None:
    """Programme with its dated lists, fill model with its samples: equal to what ran."""
    fills = FillModel(limit_fill="queue", latency=Latency(feed=3, entry=[1, 2], ack=[5]))
    header = header_of(programme=programme(name), fills=fills)
    gap = Gap(of="market hub", since=1, until=2, missed=None, why="the connection was lost")
    path = tmp_path / "a.journal"
    journal = Journal(path, threaded=False)
    journal.write(Kind.RUN, 1, header)
    journal.write(Kind.GAP, 2, gap)
    journal.write(Kind.END, 3, end_of(header))
    journal.close()
    one, two, three = read(path)
    assert msgspec.to_builtins(one.data) == msgspec.to_builtins(header)
    assert one.data.programme == header.programme
    assert two.data == gap
    assert three.data == end_of(header)
    assert check(path).ended


TOKEN = "eyJhbGciOiJIUzI1NiIsInR5cCI6.eyJzdWIiOiJQTEFOVEVEIiwiaWF0Ijox.c2lnbmF0dXJlLXNpZ25hdHVy"
SECRETS = (
    {"apiKey": "PLANTED-KEY"},
    {"token": "PLANTED-TOKEN", "errorCode": 0},
    {"headers": [{"Authorization": f"Bearer {TOKEN}"}]},
    {"url": "wss://rtc/hubs/user?access_token=PLANTED-TOKEN&x=1"},
    {"trace": f"in login, line 3: {TOKEN} is not valid"},
    {"deep": {"list": [{"newToken": "PLANTED-TOKEN"}]}},
    {"Password": "PLANTED-KEY"},
    {"text": "sent Bearer PLANTED-TOKEN"},
)


@settings(max_examples=20)
@given(chosen=st.lists(st.sampled_from(SECRETS), min_size=1, max_size=4))
def test_no_secret_gets_into_the_file(chosen: list) -> None:
    """Keys, tokens and addresses with a token in them are hidden; the rest of the row stays."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.journal"
        journal = Journal(path, threaded=False)
        for i, secret in enumerate(chosen):
            journal.write(Kind.RESPONSE, i, {"n": i, "why": "a token was renewed", **secret})
        journal.close()
        assert not PLANTED.search(path.read_bytes())
        assert not JWT.search(path.read_bytes())
        kept = [(row.data["n"], row.data["why"]) for row in read(path)]
        assert kept == [(i, "a token was renewed") for i in range(len(chosen))]


def test_values_of_numpy_and_paths_are_written_as_plain_ones(tmp_path: Path) -> None:
    """A row is never lost because a value in it is of an odd type."""
    import numpy as np

    journal = Journal(tmp_path / "a.journal", threaded=False)
    odd = {"a": np.int64(3), "b": np.arange(2), "c": Path("x"), "d": ValueError("no")}
    journal.write(Kind.NOTE, 1, odd)
    journal.close()
    (row,) = read(tmp_path / "a.journal")
    assert row.data == {"a": 3, "b": [0, 1], "c": "x", "d": "no"}


def test_a_row_is_copied_when_it_is_handed_over(tmp_path: Path) -> None:
    """The caller may go on changing its dict."""
    journal, data = Journal(tmp_path / "a.journal"), {"a": 1}
    journal.write(Kind.NOTE, 1, data)
    data["a"] = 2
    journal.close()
    assert next(read(tmp_path / "a.journal")).data == {"a": 1}


def test_a_live_journal_can_be_read(tmp_path: Path) -> None:
    """A second terminal sees what is stored, while the writer goes on."""
    path = tmp_path / "a.journal"

    async def main() -> None:
        journal = Journal(path)
        journal.write(*RUN)
        reader = None
        for n, event in enumerate(market(HEADER, 300), 1):
            seq = journal.input(*event)
            if n % 30 == 0:
                await journal.stored(seq)
                assert check(path).rows == seq
                if reader is None:
                    reader = read(path)  # left in the middle: it must not hold the writer up
                    next(reader)
        await journal.stored(journal.last_seq)
        assert reader is not None
        reader.close()
        journal.close()

    asyncio.run(main())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.journal"], "one plain file is left"


def test_always_is_on_the_disk_before_stored_returns(tmp_path: Path, monkeypatch) -> None:
    """The policy "always" forces the file; "interval" does it on its own time."""
    forced: list[int] = []
    force = os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: (forced.append(1), force(number))[1])

    async def main(policy: str) -> int:
        journal = Journal(tmp_path / f"{policy}.journal", fsync=policy, fsync_s=60)
        forced.clear()
        for i in range(5):
            await journal.stored(journal.write(Kind.NOTE, i, {}))
        count = len(forced)
        journal.close()
        return count

    assert asyncio.run(main("always")) == 5
    assert asyncio.run(main("interval")) == 0


def test_who_asks_while_it_is_being_stored_is_answered(tmp_path: Path, monkeypatch) -> None:
    """The writer may finish between the look at its progress and the waiting for it."""

    async def main() -> None:
        journal, loop = Journal(tmp_path / "a.journal"), asyncio.get_running_loop()
        seq, make = journal.write(*RUN), loop.create_future

        def late() -> asyncio.Future:
            deadline = time.monotonic() + 20
            while journal.stored_seq < seq and time.monotonic() < deadline:
                time.sleep(0.001)
            time.sleep(0.02)  # and it has told everybody
            return make()

        waiting = asyncio.ensure_future(journal.stored(seq))
        with monkeypatch.context() as patch:
            patch.setattr(loop, "create_future", late)
            await asyncio.sleep(0)
        await asyncio.wait((waiting,), timeout=20)
        assert waiting.done()
        journal.close()

    asyncio.run(main())


def test_interval_reaches_the_disk_by_itself(tmp_path: Path, monkeypatch) -> None:
    """Nothing has to be asked for: what was handed over is committed and then forced."""
    import threading

    done, force = threading.Event(), Store.sync
    monkeypatch.setattr(Store, "sync", lambda self: (force(self), done.set())[0])
    journal = Journal(tmp_path / "a.journal", fsync_s=0.01)
    journal.write(Kind.NOTE, 1, {})
    assert done.wait(10)
    assert journal.stored_seq == 1
    journal.close()


def test_the_lag_is_the_age_of_what_waits(tmp_path: Path) -> None:
    """Measured by the clock that was handed in."""
    clock = VirtualClock(5 * NS)
    journal = Journal(tmp_path / "a.journal", clock=clock, threaded=False)
    assert journal.lag_s == 0.0
    journal.input(0, 0, 1, 2, 3, 4, 5, 6)
    clock.advance(8 * NS)
    journal.write(Kind.NOTE, 1, {})
    assert journal.lag_s == 3.0
    asyncio.run(journal.stored(2))
    assert journal.lag_s == 0.0
    assert journal.size > 0
    journal.close()


def test_the_file_itself_forbids_changes(tmp_path: Path) -> None:
    """Append-only is not a promise of the writer alone."""
    journal = Journal(tmp_path / "a.journal", threaded=False)
    journal.write(*RUN)
    journal.close()
    db = sqlite3.connect(tmp_path / "a.journal")
    for change in ("UPDATE rows SET ts = 1", "DELETE FROM rows"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            db.execute(change)
    db.close()


def test_a_file_of_another_version_or_kind_is_refused(tmp_path: Path) -> None:
    """By reader and writer alike, and left as it is."""
    path = tmp_path / "a.journal"
    journal = Journal(path, threaded=False)
    journal.write(*RUN)
    journal.close()
    for pragma, text in (("user_version=99", "version 99"), ("application_id=5", "not a journal")):
        db = sqlite3.connect(path)
        db.execute(f"PRAGMA {pragma}")
        db.close()
        before = path.read_bytes()
        with pytest.raises(JournalError, match=text):
            Journal(path)
        with pytest.raises(JournalError, match=text):
            list(read(path))
        assert text in verify(path)
        assert path.read_bytes() == before
    path.write_bytes(b"something else" * 1000)
    with pytest.raises(JournalError, match="cannot be used"):
        Journal(path)
    with pytest.raises(JournalError, match="there is no journal"):
        list(read(tmp_path / "b.journal"))


def test_a_closed_journal_takes_nothing(tmp_path: Path) -> None:
    """And says so, rather than lose it; closing twice is fine."""
    journal = Journal(tmp_path / "a.journal")
    journal.write(*RUN)
    journal.close()
    journal.close()
    with pytest.raises(JournalError, match="closed"):
        journal.write(Kind.NOTE, 1, {})
    with pytest.raises(JournalError, match="closed"):
        journal.input(0, 0, 1, 2, 3, 4, 5, 6)
    with pytest.raises(JournalError, match="closed"):
        asyncio.run(journal.stored(2))
    assert [row.kind for row in read(tmp_path / "a.journal")] == [Kind.RUN]


def test_what_could_never_be_written_gets_no_number(tmp_path: Path) -> None:
    """It is refused at once, rather than stand in the way of all that comes after."""
    journal = Journal(tmp_path / "a.journal")
    journal.write(*RUN)
    with pytest.raises(struct.error):
        journal.input(0, 0, 2**63, 0, 0, 0, 0, 0)
    with pytest.raises(ValueError, match="int64"):
        journal.write(Kind.NOTE, 2**63, {})
    with pytest.raises(ValueError, match="odd"):
        journal.write("odd", 1, {})  # type: ignore[arg-type]
    assert journal.write(Kind.NOTE, 1, {}) == 2
    journal.close()
    assert verify(tmp_path / "a.journal") == ""


def test_an_unknown_policy_is_refused(tmp_path: Path) -> None:
    """Nothing is made."""
    with pytest.raises(UsageError, match="interval, always"):
        Journal(tmp_path / "a.journal", fsync="never")
    assert not list(tmp_path.iterdir())


def test_bytes_per_event_are_as_stated(tmp_path: Path) -> None:
    """10 to 16 bytes an input in large blocks, a few more in small ones."""
    for size, most in ((2_000, 16.0), (50, 20.0)):
        journal = Journal(tmp_path / f"{size}.journal", threaded=False)
        for n, event in enumerate(market(HEADER, 20_000)):
            journal.input(*event)
            if n % size == size - 1:
                asyncio.run(journal.stored(journal.last_seq))
        journal.close()
        assert (tmp_path / f"{size}.journal").stat().st_size / 20_000 < most

"""Kill switch, commands and own limits: what a file holds, whatever happened to it."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pxresearch.accountdir import Box, Halt, Latch, Limits, account_folder, account_ids
from pxresearch.accountdir.commands import LIFE_S
from pxresearch.accountdir.folder import write_whole
from pxresearch.accountdir.limits import RULES
from pxresearch.clock import NS, VirtualClock
from pxresearch.errors import StateError, UnknownName, UsageError
from pxresearch.programmes import programme
from pxresearch.sessions import trading_day

NOW = 1_790_865_000 * NS  # Thursday 2026-10-01 14:30 UTC
HOUR = 3_600 * NS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return account_folder(tmp_path / "state", 77)


def test_one_folder_an_account(tmp_path: Path) -> None:
    """Found again by their ids; other files are no accounts."""
    assert account_ids(tmp_path / "none") == []
    for account in (9, 77, 8):
        assert account_folder(tmp_path, account).is_dir()
    (tmp_path / "notes.txt").touch()
    assert account_ids(tmp_path) == [8, 9, 77]


# ---------------------------------------------------------------- files
@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_file_is_the_old_one_or_the_new_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """A write that fails anywhere leaves the old file, and nothing beside it."""
    path = folder / "some.json"
    write_whole(path, b"old")

    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as patch:
        patch.setattr(*((os, "fsync") if broken == "fsync" else (Path, "replace")), fail)
        with pytest.raises(OSError, match="no space"):
            write_whole(path, b"new")
    assert [one.name for one in folder.iterdir()] == ["some.json"]
    assert path.read_bytes() == b"old"
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_reader_never_sees_half(folder: Path) -> None:
    """Written over and over, and read meanwhile."""
    path, over = folder / "some.json", threading.Event()
    whole = [bytes([digit]) * 60_000 for digit in b"ab"]
    write_whole(path, whole[0])

    def write() -> None:
        for k in range(120):
            write_whole(path, whole[k % 2])
        over.set()

    thread = threading.Thread(target=write)
    thread.start()
    while not over.is_set():
        assert path.read_bytes() in whole
    thread.join()


# ---------------------------------------------------------------- kill switch
def test_a_latch_outlives_its_process(folder: Path) -> None:
    """K14: another object, as after a restart, reads the same."""
    assert Latch(folder).read() is None
    assert Latch(folder.parent / "none").read() is None
    halt = Latch(folder).set(NOW, why="enough", by="a run")
    assert Latch(folder).read() == halt == Halt(
        since=NOW, trading_day=20261001, why="enough", by="a run"
    )  # fmt: skip


@given(data=st.binary(max_size=80))
def test_whatever_the_file_holds_it_counts_as_set(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    """Fail closed: damaged, empty, of another version, but there."""
    latch = Latch(tmp_path_factory.mktemp("latch"))
    latch.path.write_bytes(data)
    held = latch.read()
    assert held is not None
    with pytest.raises(UsageError, match="not known"):
        latch.clear("", NOW + 1_000 * HOUR)
    assert latch.read() is not None
    assert latch.clear("looked at the file", NOW) == held
    assert latch.read() is None


def test_a_path_that_cannot_be_read_counts_as_set(folder: Path) -> None:
    """Not a file at all."""
    (folder / "halt.json").mkdir()
    assert Latch(folder).read() is not None


def test_a_full_disk_halts_all_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be written, but an empty file made: it counts as set."""

    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(os, "fsync", full)
    Latch(folder).set(NOW, why="enough", by="a run")
    assert [one.name for one in folder.iterdir()] == ["halt.json"]
    assert Latch(folder).read() is not None


@given(
    set_at=st.integers(NOW, NOW + 24 * 14 * HOUR), hours=st.floats(0, 100),
    reason=st.text(max_size=14),
)  # fmt: skip
def test_released_on_a_later_trading_day_or_with_a_reason(
    tmp_path_factory: pytest.TempPathFactory, set_at: int, hours: float, reason: str
) -> None:
    """S59: the calendar's next trading day, not the next date; blanks are no reason."""
    latch = Latch(tmp_path_factory.mktemp("latch"))
    halt = latch.set(set_at, why="limit", by="a run")
    now = set_at + round(hours * HOUR)
    may = trading_day(now) > trading_day(set_at) or len(reason.strip()) >= 10
    if may:
        assert latch.clear(reason, now) == halt
        assert latch.read() is None
        assert latch.clear(reason, now) is None
    else:
        with pytest.raises(UsageError, match="halted since"):
            latch.clear(reason, now)
        assert latch.read() == halt


def test_set_again_on_a_later_day(folder: Path) -> None:
    """The day counts from the newest: yesterday's latch does not open today's."""
    Latch(folder).set(NOW, why="one", by="a run")
    Latch(folder).set(NOW + 24 * HOUR, why="two", by="a run")
    with pytest.raises(UsageError, match="two"):
        Latch(folder).clear("", NOW + 25 * HOUR)


# ---------------------------------------------------------------- commands
def test_commands_in_order_and_once(folder: Path) -> None:
    """Kept while nobody runs; taken in the order of sending; then gone."""
    clock = VirtualClock(NOW)
    box = Box(folder, clock=clock)
    assert box.take() == []
    sent = []
    for k in range(12):
        clock.advance(NOW + k // 2)  # some at the same instant
        sent.append(box.send("limit", rule="daily_loss", value=k + 1, reason=f"no. {k}"))
    assert all(map(box.waiting, sent))
    assert Box(folder, clock=clock).take() == sent
    assert box.take() == []
    assert not any(map(box.waiting, sent))


def test_two_takers_share_no_command(folder: Path) -> None:
    """Whoever removes the file has it."""
    box = Box(folder)
    sent = [box.send("stop") for _ in range(200)]
    start, taken = threading.Barrier(3), [[] for _ in range(3)]

    def take(mine: list[Any]) -> None:
        start.wait()
        mine += Box(folder).take()

    threads = [threading.Thread(target=take, args=(mine,)) for mine in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.id for mine in taken for one in mine) == [one.id for one in sent]


@given(kind=st.sampled_from(sorted(LIFE_S)), age=st.floats(0, 6 * 86_400))
def test_too_old_is_told_and_not_carried_out(
    tmp_path_factory: pytest.TempPathFactory, kind: Any, age: float
) -> None:
    """A stop of yesterday does not end today's session; the note says what to do."""
    clock, notes = VirtualClock(NOW), []
    box = Box(tmp_path_factory.mktemp("box"), clock=clock, on_note=notes.append)
    box.send(kind)
    clock.advance(NOW + round(age * NS))
    fresh = round(age * NS) <= LIFE_S[kind] * NS
    assert (len(box.take()), len(notes)) == ((1, 0) if fresh else (0, 1))
    assert fresh or "send it again" in notes[0]
    assert box.take() == []


def test_a_damaged_command_is_told_once(folder: Path) -> None:
    """It neither stops the others nor comes back; a draft is none."""
    notes: list[str] = []
    box = Box(folder, on_note=notes.append)
    box.send("halt", reason="first")
    (box.path / "0-broken.json").write_bytes(b'{"kind": "sell everything"}')
    (box.path / ".draft.json.77.1").write_bytes(b"")
    assert [one.reason for one in box.take()] == ["first"]
    assert len(notes) == 1
    assert "0-broken.json" in notes[0]
    assert box.take() == []


# ---------------------------------------------------------------- limits
LOSS = st.integers(1, 12).map(lambda n: n * 100_000_000)


@settings(max_examples=40)  # each step waits for the disk
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 1), st.sampled_from(["ask", "apply"]), LOSS, LOSS), max_size=15
    )
)
def test_a_limit_is_never_loosened_within_a_day(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, str, int, int]]
) -> None:
    """K33: neither by asking, nor by a restart with looser rules; the next day has what was asked.

    `wish` is the last that was asked for, `floor` the tightest that has held today.
    """
    limits = Limits(tmp_path_factory.mktemp("limits"))
    day, wish, floor = 20261001, None, None
    for later, act, value, given_limit in steps:
        if later:
            day, floor = day + 1, None
        if act == "ask":
            answer = limits.ask("daily_loss", value, day)
            standing = [one for one in (wish_today(wish, day), floor) if one is not None]
            assert answer.now == (not standing or value <= min(standing))
            wish = (value, day, answer.now, min(standing, default=value))
            floor = value if answer.now else floor
        else:
            rules = programme("combine-50k", daily_loss_limit=given_limit // 1_000_000)
            held = limits.apply(rules, day).daily_loss_limit_micros
            parts = [given_limit, *(x for x in (wish_today(wish, day), floor) if x is not None)]
            assert held == min(parts)
            floor = held


def wish_today(wish: tuple[int, int, bool, int] | None, day: int) -> int | None:
    """What the trader's last wish makes of the limit on a day."""
    if wish is None:
        return None
    value, since, now, before = wish
    return value if now or day > since else before


def test_all_limits_of_the_programme(folder: Path) -> None:
    """Each of them, and None where neither side has one."""
    rules = programme("combine-50k", daily_loss_limit=None)
    assert Limits(folder).apply(rules, 20261001) == rules
    for rule, field in RULES.items():
        assert Limits(folder).ask(rule, 1, 20261001).now
        assert getattr(Limits(folder).apply(rules, 20261001), field) == 1


def test_limits_that_cannot_be_read(folder: Path) -> None:
    """Nobody knows which hold: nothing is traded, and the file stays for a person."""
    (folder / "limits.json").write_bytes(b'{"own": {"daily_loss"')
    with pytest.raises(StateError, match="mend it"):
        Limits(folder).apply(programme("combine-50k"), 20261001)
    with pytest.raises(StateError, match="mend it"):
        Limits(folder).ask("daily_loss", 1, 20261001)
    assert (folder / "limits.json").read_bytes().startswith(b'{"own"')


def test_limits_that_are_none(folder: Path) -> None:
    """An unknown name names the known ones; zero is no limit."""
    with pytest.raises(UnknownName, match="daily_loss"):
        Limits(folder).ask("daily_los", 1, 20261001)
    with pytest.raises(UsageError, match="positive"):
        Limits(folder).ask("daily_loss", 0, 20261001)
    assert not (folder / "limits.json").exists()


def test_the_file_is_readable(folder: Path) -> None:
    """By a person and any JSON reader."""
    Limits(folder).ask("max_size", 5, 20261001)
    found = msgspec.json.decode((folder / "limits.json").read_bytes())
    assert found["own"] == {"max_size": 5}

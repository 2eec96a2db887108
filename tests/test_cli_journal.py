"""``pxresearch journal``: what it shows, what it exits with, and what it never deletes."""

from __future__ import annotations

import json
import sqlite3
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxresearch.cli import main
from pxresearch.errors import UsageError
from pxresearch.journal import (
    Journal,
    Kind,
    Listed,
    find,
    listing,
    path_of,
    prunable,
    read,
)
from pxresearch.journal.files import KEEP_SESSIONS
from pxresearch.journal.tail import tail_of
from tests.journal_play import DAY, end_of, header_of, play

LATER = DAY + timedelta(days=1)


@pytest.fixture(scope="module")
def state(tmp_path_factory) -> Path:
    """Two accounts: an ended session, one cut off, and what is no journal."""
    folder = tmp_path_factory.mktemp("state")
    play(path_of(folder / "7", "paper", DAY), header_of(), 400, snapshots=100)
    play(path_of(folder / "7", "paper", LATER), header_of(), 100, ended=False)
    play(path_of(folder / "8", "paper", LATER), header_of("ema_cross", account=8), 100)
    (folder / "7" / "status.json").write_text("{}")
    (folder / "7" / "notes.journal").write_text("mine")
    return folder


def run(capsys, *args: str, code: int = 0) -> str:
    """Standard output of a command; for a failure, what it says on standard error."""
    left = 0
    try:
        main(["journal", *args])
    except SystemExit as error:
        left = error.code or 0
    out = capsys.readouterr()
    assert left == code, out
    return out.out if code in (0, 1) and out.out else out.err


def run_json(capsys, *args: str, code: int = 0) -> dict:
    return json.loads(run(capsys, *args, "--json", code=code))


def test_it_lists_what_is_there(state: Path, capsys) -> None:
    """One line a journal: whose, what ran, how it ended."""
    found = run_json(capsys, "--state", str(state))["journals"]
    assert [(x["account"], x["day"], x["complete"]) for x in found] == [
        ("7", "2026-09-15", True), ("7", "2026-09-16", None), ("8", "2026-09-16", True),
    ]  # fmt: skip
    assert found[0]["strategy"] == "QuoteFade"
    assert found[0]["day_pnl_usd"] == -12.34
    assert found[0]["rows"] == len(list(read(Path(found[0]["path"]))))
    one = run_json(capsys, "--state", str(state), "--account", "8")["journals"]
    assert [x["account"] for x in one] == ["8"]
    assert "EmaCross" in run(capsys, "--state", str(state))
    assert "no journals" in run(capsys, "--state", str(state / "nothing"))


def test_it_shows_rows_by_day_and_kind(state: Path, capsys) -> None:
    """The newest of them; all with --rows 0."""
    where = ("--state", str(state))
    path = path_of(state / "7", "paper", DAY)
    orders = [row.seq for row in read(path, (Kind.ORDER,))]
    shown = run_json(capsys, *where, "--date", "2026-09-15", "--kind", "order", "--rows", "3")
    assert [row["seq"] for row in shown["rows"]] == orders[-3:]
    every = run_json(capsys, "show", "2026-09-15", "--rows", "0", *where)["rows"]
    assert [row["seq"] for row in every] == [row.seq for row in read(path)]
    assert every[1]["data"]["what"] in ("quote", "trade")
    assert "event=approved" in run(capsys, "show", str(path), "--kind", "order")
    assert "allowed are run, snapshot" in run(capsys, "show", str(path), "--kind", "x", code=2)


def test_a_day_of_two_accounts_must_be_settled(state: Path, capsys) -> None:
    """A guess could show the wrong account."""
    where = ("--state", str(state))
    said = run(capsys, "show", "2026-09-16", *where, code=2)
    assert "7/paper-2026-09-16.journal, 8/paper-2026-09-16.journal" in said
    assert run_json(capsys, "show", "2026-09-16", *where, "--account", "8")["rows"]
    assert "newest days: 2026-09-15" in run(capsys, "show", "2026-01-02", *where, code=2)
    assert "no day such as" in run(capsys, "show", "tuesday", *where, code=2)
    assert "--mode" in run(capsys, "show", "2026-09-16", *where, "--mode", "dry", code=2)


def test_verify_names_the_damaged_row_and_fails(state: Path, tmp_path: Path, capsys) -> None:
    """Exit code 0 for a whole journal, 1 for a damaged one."""
    whole = run_json(capsys, "verify", "--state", str(state))["journals"]
    assert [x["damage"] for x in whole.values()] == ["", "", ""]
    path = path_of(tmp_path / "7", "paper", DAY)
    play(path, header_of(), 300, snapshots=100)
    db = sqlite3.connect(path)
    db.execute("DROP TRIGGER no_delete")
    (seq,) = db.execute("SELECT seq FROM rows WHERE kind = 'order' LIMIT 1").fetchone()
    db.execute("DELETE FROM rows WHERE seq = ?", (seq,))
    db.commit()
    db.close()
    assert f"row {seq} is missing" in run(capsys, "verify", str(path), code=1)
    found = run_json(capsys, "verify", "--state", str(tmp_path), code=1)["journals"]
    assert f"row {seq} is missing" in found[str(path)]["damage"]


def test_explain_tells_what_stood_behind_a_row(state: Path, capsys) -> None:
    """As text for a person, as JSON for a program."""
    path = path_of(state / "7", "paper", DAY)
    order = next(row for row in read(path, (Kind.ORDER,)))
    found = run_json(capsys, "explain", str(order.seq), str(path))
    assert found["input"]["seq"] < order.seq
    assert found["decided"]["orders"][0]["id"] == order.data["order"]
    text = run(capsys, "explain", str(order.seq), "2026-09-15", "--state", str(state))
    for part in ("led to it", "daily_loss_usd", "QuoteFade", "mean = ", "decided: orders"):
        assert part in text
    assert "has no row 999999" in run(capsys, "explain", "999999", str(path), code=2)


def test_export_writes_a_file_for_each_kind(state: Path, tmp_path: Path, capsys) -> None:
    """Parquet, with as many rows as the journal has."""
    path = path_of(state / "7", "paper", DAY)
    files = run_json(capsys, "export", str(path), "--out", str(tmp_path / "out"))["files"]
    assert {Path(f).stem for f in files} == {"run", "input", "order", "snapshot", "end"}
    assert sum(len(pl.read_parquet(f)) for f in files) == len(list(read(path)))


def test_a_running_session_can_be_looked_at(tmp_path: Path, capsys) -> None:
    """From a second terminal, while its writer goes on."""
    import asyncio

    path = path_of(tmp_path / "7", "live", DAY)
    journal = Journal(path)
    journal.write(Kind.RUN, 1, header_of(mode="live"))
    asyncio.run(journal.stored(1))
    assert run_json(capsys, "--state", str(tmp_path))["journals"][0]["mode"] == "live"
    asyncio.run(journal.stored(journal.write(Kind.NOTE, 2, {"a": 1})))
    assert len(run_json(capsys, "show", str(path))["rows"]) == 2
    run(capsys, "verify", str(path))
    journal.close()


# ------------------------------------------------------------------ retention
HEADERS = [header_of(source_hash=name * 64) for name in "ab"]
NEWEST = date(2026, 9, 15)


@st.composite
def folders(draw) -> list[Listed]:
    """What a state folder may hold after some years."""
    found = []
    for age in draw(st.lists(st.integers(0, 1_000), max_size=80)):
        header = draw(st.sampled_from([*HEADERS, None]))
        mode = draw(st.sampled_from(("paper", "paper", "live")))
        end = draw(st.sampled_from((True, True, False, None)))
        found.append(
            Listed(
                path=Path(f"{len(found)}"), account=draw(st.sampled_from("78")), mode=mode,
                day=NEWEST - timedelta(days=age), bytes=1, rows=1, header=header,
                end=None if end is None else end_of(HEADERS[0], complete=end),
            )
        )  # fmt: skip
    return found


@given(there=folders(), keep=st.integers(0, 500))
def test_pruning_never_takes_what_somebody_needs(there: list[Listed], keep: int) -> None:
    """Nor new ones, nor live ones, nor those without an end, nor those that promotion counts."""
    gone = prunable(there, keep)
    newest = max((one.day for one in there), default=NEWEST)
    for one in gone:
        assert one.mode == "paper"
        assert newest - one.day > timedelta(days=keep)
        assert one.header is not None
        assert one.end is not None
    left = [one for one in there if one not in gone]
    for account in "78":
        for header in HEADERS:

            def counts(one, account=account, header=header):
                mine = one.account == account and one.header is header and one.mode == "paper"
                return mine and one.end is not None and one.end.complete

            had, have = filter(counts, there), filter(counts, left)
            days = [sorted((one.day for one in some), reverse=True) for some in (had, have)]
            assert days[0][:KEEP_SESSIONS] == days[1][:KEEP_SESSIONS]
    old = [one for one in there if one.mode == "paper" and one.header and one.end]
    old = [one for one in old if not one.end.complete and newest - one.day > timedelta(days=keep)]
    assert all(one in gone for one in old)


def test_prune_deletes_only_when_it_is_told_to(tmp_path: Path, capsys) -> None:
    """Without --yes it lists; with it nothing of a journal is left, its tail included."""
    for age in (0, 500):
        path = path_of(tmp_path / "7", "paper", DAY - timedelta(days=age))
        journal = Journal(path, threaded=False)
        journal.write(Kind.RUN, 1, HEADERS[0])
        journal.write(Kind.END, 2, end_of(HEADERS[0], complete=age == 0))
        journal.close()
        tail_of(path).touch()
    where = ("--state", str(tmp_path))
    assert "add --yes" in run(capsys, "prune", *where)
    assert len(listing(tmp_path)) == 2
    assert not run_json(capsys, "prune", *where, "--keep-days", "600", "--yes")["journals"]
    assert len(run_json(capsys, "prune", *where, "--yes")["journals"]) == 1
    assert [one.day for one in listing(tmp_path)] == [DAY]
    assert len(list((tmp_path / "7").iterdir())) == 2
    with pytest.raises(UsageError, match="no journal of 2025"):
        find(listing(tmp_path), "2025-01-01")

"""A journal replays to the byte-identical state, and explains each decision by the core itself."""

from __future__ import annotations

import sqlite3
import zlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pxresearch.core import records as r
from pxresearch.errors import JournalError, StrategyError, UsageError
from pxresearch.journal import (
    Journal,
    Kind,
    build,
    explain,
    frames,
    read,
    rebuild,
    recover,
    verify,
    view,
)
from pxresearch.journal.access import opened, stored_rows
from pxresearch.journal.blocks import ROW, pack, unpack
from pxresearch.journal.store import SEED, chained
from pxresearch.programmes import programme
from tests.journal_play import CLASSES, end_of, header_of, market, play


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("compiled", [True, False])
def test_a_journal_replays_to_the_same_state(name: str, compiled: bool, tmp_path: Path) -> None:
    """Byte by byte, for every shipped strategy, compiled and in plain Python."""
    path = tmp_path / "a.journal"
    session = play(path, header_of(name, compiled=compiled), 3_000 if compiled else 500)
    assert rebuild(path).snapshot() == session.snapshot()
    assert rebuild(path, whole=False).snapshot() == session.snapshot()


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """A journal with snapshots, and the state after each of its rows."""
    path, header = tmp_path_factory.mktemp("played") / "a.journal", header_of()
    play(path, header, 1_200, snapshots=300)
    session, states = build(header), {}
    for row in read(path):
        if row.kind == Kind.INPUT:
            session.tell(*row.data[:-1])
        states[row.seq] = session.snapshot()
    return path, states


@settings(max_examples=40)
@given(data=st.data())
def test_it_can_be_rebuilt_up_to_any_row(played, data) -> None:
    """From the first row or from the newest snapshot: the same state."""
    path, states = played
    seq = data.draw(st.sampled_from(sorted(states)))
    whole = data.draw(st.booleans())
    assert rebuild(path, seq, whole=whole).snapshot() == states[seq]


def test_a_class_can_take_the_place_of_the_stored_source(played) -> None:
    """With a debugger, for one; the result is the same."""
    from pxresearch.strategy import load_strategy
    from tests.journal_play import STRATEGIES

    path, states = played
    cls = load_strategy(STRATEGIES / "quote_fade.py")
    assert rebuild(path, strategy=cls).snapshot() == states[max(states)]


def rewritten(path: Path, to: Path, change) -> Path:
    """A journal with rows changed and the chain made anew, as a forger would."""
    with opened(path) as db:
        rows = list(stored_rows(db))
    out, head = [], SEED
    for row in rows:
        out.append(chained(head, row.seq, row.n, row.ts, row.kind, change(row)))
        head = out[-1].hash
    Journal(to, threaded=False).close()
    db = sqlite3.connect(to)
    db.executemany("INSERT INTO rows VALUES (?,?,?,?,?,?)", out)
    db.commit()
    db.close()
    assert verify(to) == ""
    return to


def test_a_forged_input_is_found_by_the_next_snapshot(played, tmp_path: Path) -> None:
    """The chain can be made anew, the states can not: the row and the fields are named."""
    path, _ = played
    victim = 650

    def forge(row):
        if row.kind != "input" or not row.seq <= victim < row.seq + row.n:
            return row.data
        table = unpack(row.data, row.n).copy()
        table[victim - row.seq, 3:5] += 40
        return pack(b"".join(ROW.pack(*values) for values in table.tolist()))

    snapshots = [row.seq for row in read(path, (Kind.SNAPSHOT,))]
    named = next(seq for seq in snapshots if seq > victim)
    with pytest.raises(JournalError, match=f"row {named}: the replay comes to another state"):
        rebuild(rewritten(path, tmp_path / "b.journal", forge))


def test_a_forged_snapshot_is_found(played, tmp_path: Path) -> None:
    """With the name of the field that is not what the replay makes of it."""
    path, _ = played

    def forge(row):
        if row.kind != "snapshot":
            return row.data
        state = bytearray(zlib.decompress(row.data))
        at = r.ENGINE.fields["balance"][1]
        state[at] ^= 1
        return zlib.compress(state)

    with pytest.raises(JournalError, match="another state than the session had: balance"):
        rebuild(rewritten(path, tmp_path / "b.journal", forge))


def test_another_core_is_named_when_the_replay_differs(played, tmp_path: Path) -> None:
    """The trader is told which version to use."""
    path, _ = played

    def forge(row):
        if row.kind == "run":
            return row.data.replace(b'"core":"', b'"core":"x')
        return (
            zlib.compress(b"\1" * len(zlib.decompress(row.data)))
            if row.kind == "snapshot"
            else (row.data)
        )

    with pytest.raises(JournalError, match="written by another core"):
        rebuild(rewritten(path, tmp_path / "b.journal", forge))


def test_a_session_goes_on_after_a_restart(tmp_path: Path) -> None:
    """Cut off and recovered as often as it likes: the state of one that ran through."""
    header, path = header_of(), tmp_path / "a.journal"
    events, whole = list(market(header, 900)), build(header)
    for event in events:
        whole.tell(*event[:-1])
    for life in range(3):
        session = build(header)
        if path.exists():
            found = recover(path)
            assert not found.ended
            assert found.header.run == f"run{life - 1}"
            if found.snapshot is not None:
                session.restore(found.snapshot)
            for row in found.inputs():
                session.tell(*row.data[:-1])
            assert rebuild(path).snapshot() == session.snapshot()
        journal = Journal(path, threaded=False)
        journal.write(Kind.RUN, 1, msgspec.structs.replace(header, run=f"run{life}"))
        for i, event in enumerate(events[300 * life : 300 * life + 300]):
            journal.input(*event)
            session.tell(*event[:-1])
            if i == 150 and life:
                journal.write(Kind.SNAPSHOT, event[2], session.snapshot())
        journal.close()
    journal = Journal(path, threaded=False)
    journal.write(Kind.END, header.last_ns, end_of(header))
    journal.close()
    assert recover(path).ended
    assert rebuild(path).snapshot() == whole.snapshot()


def test_a_restart_with_other_settings_starts_from_its_snapshot(tmp_path: Path) -> None:
    """What was built anew is not compared with what ran before; it begins where it says."""
    path, one = tmp_path / "a.journal", header_of()
    play(path, one, 200, ended=False)
    other = msgspec.structs.replace(one, programme=programme("combine-100k"), run="other")
    session, journal = build(other), Journal(path, threaded=False)
    for event in list(market(one, 200, seed=5))[:50]:
        session.tell(*event[:-1])
    journal.write(Kind.RUN, 1, other)
    journal.write(Kind.SNAPSHOT, 1, session.snapshot())
    for event in list(market(one, 200, seed=5))[50:]:
        session.tell(*event[:-1])
        journal.input(*event)
    journal.close()
    assert rebuild(path).snapshot() == session.snapshot()
    assert recover(path).header == other


def test_after_lost_rows_the_state_is_unknown_until_the_next_snapshot(tmp_path: Path) -> None:
    """Never a guess: an error that names the gap, or the state behind it."""
    header, path = header_of(), tmp_path / "a.journal"
    session, journal = build(header), Journal(path, threaded=False)
    journal.write(Kind.RUN, 1, header)
    gap = {"of": "journal", "since": 1, "until": 2, "missed": 3, "why": "full"}
    for i, event in enumerate(market(header, 300)):
        session.tell(*event[:-1])
        if i == 100:
            lost = journal.write(Kind.GAP, event[2], gap)
        elif i == 200:
            journal.input(*event)
            state = journal.write(Kind.SNAPSHOT, event[2], session.snapshot())
        elif i != 101:
            journal.input(*event)
    journal.close()
    rebuild(path, lost - 1)
    for seq in (lost, state - 1):
        with pytest.raises(JournalError, match=f"row {lost}: rows were lost there"):
            rebuild(path, seq)
    assert rebuild(path).snapshot() == session.snapshot()


RAISES = """
import pxresearch as px

class Breaks(px.Strategy):
    def on_quote(self, quote, position):
        if quote.bid_size == 7:
            raise ValueError("seven")
        return px.hold() if position != 0 else px.buy(1, stop_ticks=200)
"""


def test_a_strategy_that_raised_is_left_out_from_there_on(tmp_path: Path) -> None:
    """As in the session: positions go on without it, and the replay does the same."""
    header = header_of(strategy="Breaks", source=RAISES, parameters={}, compiled=False)
    path, session = tmp_path / "a.journal", build(header)
    journal, raised = Journal(path, threaded=False), []
    journal.write(Kind.RUN, 1, header)
    for event in market(header, 400):
        seq = journal.input(*event)
        try:
            session.tell(*event[:-1])
        except StrategyError:
            raised.append(seq)
            session.disarm()
    journal.close()
    assert len(raised) == 1
    assert rebuild(path).snapshot() == session.snapshot()
    assert "seven" in explain(path, raised[0])["decided"]["errors"][0]["strategy"]


# ------------------------------------------------------------------ explain
@pytest.fixture(scope="module")
def refused(tmp_path_factory):
    """A session whose orders are refused now and then, and each refusal's row."""
    path = tmp_path_factory.mktemp("refused") / "a.journal"
    header = header_of(programme=programme("combine-50k", max_orders_per_minute=3))
    session, journal, found = build(header), Journal(path, threaded=False), []
    journal.write(Kind.RUN, 1, header)
    for event in market(header, 1_500):
        cause, had = journal.input(*event), len(session.logs()["refusals"])
        session.tell(*event[:-1])
        for row in session.logs()["refusals"][had:]:
            data = {"reason": r.REASONS[row["reason"]], "value": int(row["value"])}
            found.append((journal.write(Kind.REFUSAL, event[2], data), cause, row))
    journal.close()
    assert len(found) > 5
    return path, found


def test_a_refusal_is_explained_with_its_rule_and_numbers(refused) -> None:
    """Rule, value and limit come from the core, rebuilt up to the input that led to it."""
    path, found = refused
    for seq, cause, row in found[:6]:
        told = explain(path, seq)
        assert told["input"]["seq"] == cause
        assert told["row"]["kind"] == "refusal"
        (refusal,) = told["decided"]["refusals"]
        assert refusal["rule"] == r.REASONS[row["reason"]] == "RATE"
        assert (refusal["value"], refusal["limit"]) == (row["value"], row["limit"]) == (4, 3)
        assert told["before"] == view.of_engine(rebuild(path, cause - 1))
        assert told["after"] == view.of_engine(rebuild(path, cause))
        assert told["same_core"]


def test_every_row_can_be_explained(played) -> None:
    """Whatever its kind; what the strategy kept is shown by name, limits with what is left."""
    path, states = played
    for seq in (1, 2, 300, max(states)):
        told = explain(path, seq)
        assert told["row"]["seq"] == seq
        assert msgspec.json.encode(told)
    assert told["after"]["strategy"]["state"].keys() == {"mean", "square", "resting"}
    daily = next(x for x in told["after"]["limits"] if x["limit"] == "daily_loss_usd")
    assert daily["left"] == daily["allowed"] - daily["now"]
    assert daily["now"] == -told["after"]["account"]["day_pnl"]
    with pytest.raises(UsageError, match="has no row"):
        explain(path, max(states) + 1)


def test_frames_hold_every_row(played) -> None:
    """By kind, with typed columns; inputs as they were told."""
    path, states = played
    tables = frames(path)
    assert sum(map(len, tables.values())) == len(states)
    rows = [row for row in read(path) if row.kind == Kind.INPUT]
    table = tables["input"]
    assert table["seq"].to_list() == [row.seq for row in rows]
    assert table["ts"].to_physical().to_list() == [row.ts for row in rows]
    assert table["a"].to_list() == [row.data.a for row in rows]
    assert table["what"].to_list() == [r.INPUTS[row.data.what] for row in rows]
    assert set(table["contract"]) == {"MNQZ26"}
    assert tables["order"]["order"].to_list() == list(range(1, len(tables["order"]) + 1))
    assert tables["end"]["day_pnl"].to_list() == [-12_340_000]

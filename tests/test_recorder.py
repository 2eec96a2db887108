"""Recorder: what arrives is stored once and in order, and a crash costs the last second at most."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pxresearch as px
from pxresearch.catalog import Catalog
from pxresearch.clock import NS, VirtualClock
from pxresearch.demo import make_demo
from pxresearch.errors import NotReachable
from pxresearch.gateway.recorder import FOLDER, Recorded, Recorder, recover
from pxresearch.gateway.records import Depth, Event, Gap, Hub, Notice, Stale
from pxresearch.gateway.spool import Note, Spool, frames, in_use
from pxresearch.sessions import CHICAGO, to_ns
from pxresearch.validation.schema import BAD_CLOCK, SNAPSHOT
from tests.recorder_kit import CONTRACT_ID, LISTING, Script, quote, trade

START = to_ns(datetime(2026, 9, 14, 9, 0, tzinfo=CHICAGO))
Batches = list[tuple[int, list[Event]]]


def record(
    root: Path, batches: Batches, seconds: float | None = 60, depth: bool = False,
    start: int = START, hub: type[Script] = Script, flush_s: float = 1,
) -> Recorded:  # fmt: skip
    """Record a script on virtual time."""
    clock = VirtualClock(start)

    async def run() -> Recorded:
        recorder = Recorder(
            hub(clock, batches), Catalog(root), [LISTING], clock=clock, depth=depth, flush_s=flush_s
        )
        return await clock.run(recorder.run(seconds))

    return asyncio.run(run())


def held(root: Path, kind: str) -> pl.DataFrame:
    """Rows of the catalogue."""
    frame = px.load("MNQZ26", catalog=root, kinds=(kind,)).scan(kind).collect()
    return frame.with_columns(pl.col("ts").to_physical())


def test_rows_are_stored_as_they_came(tmp_path: Path) -> None:
    """Receipt and exchange time, empty sides, sides of trades, one order over all kinds."""
    one, two = START + NS, START + 2 * NS
    level = Depth(contract_id=CONTRACT_ID, ts=one, received=one, type=4, price=99, size=7)
    batches: Batches = [
        (one, [quote(one, 100, None), trade(one, 101, 3, -1), level, quote(one, 100, 102)]),
        (two, [trade(two, 102, 1, 1), quote(two, None, 103, coalesced=5)]),
    ]
    report = record(tmp_path, batches, depth=True)
    assert report.rows == {"MNQZ26 quotes": 3, "MNQZ26 trades": 2, "MNQZ26 depth": 1}
    assert report.coalesced == 5
    quotes = held(tmp_path, "quotes")
    assert quotes["ts"].to_list() == [one, one, two]
    assert quotes["ts_event"].to_list() == [t - 3_000_000 for t in (one, one, two)]
    assert quotes["bid_px"].to_list() == [100, 100, None]
    assert quotes["ask_px"].to_list() == [None, 102, 103]
    assert quotes["bid_sz"].to_list() == [None] * 3
    assert quotes["flags"].to_list() == [SNAPSHOT, 0, 0]
    trades = held(tmp_path, "trades")
    assert trades.select("px", "size", "side", "ts_event").rows() == [
        (101, 3, -1, None), (102, 1, 1, None),
    ]  # fmt: skip
    book = held(tmp_path, "depth")
    assert book.select("type", "px", "size").rows() == [(4, 99, 7)]
    order = sorted([*quotes["seq"], *trades["seq"], *book["seq"]])
    assert order == [1, 2, 3, 4, 5, 6]
    assert not list((tmp_path / FOLDER).iterdir())


def test_depth_is_asked_for_only_when_wanted(tmp_path: Path) -> None:
    """It is most of the traffic; a default load of the day leaves it out."""
    clock = VirtualClock(START)
    for depth in (False, True):
        hub = Script(clock, ())

        async def run(hub: Script = hub, depth: bool = depth) -> None:
            recorder = Recorder(hub, Catalog(tmp_path), [LISTING], clock=clock, depth=depth)
            await clock.run(recorder.run(1))

        asyncio.run(run())
        assert hub.subscribed == {CONTRACT_ID: (True, True, depth)}


def test_gaps_are_kept_with_the_data(tmp_path: Path) -> None:
    """Only finished ones; the first quote after one is marked; the files tell of them."""
    at = [START + s * NS for s in range(1, 7)]
    user = Gap(hub=Hub.USER, since=at[0], until=at[1], reason="user hub")
    events: list[Event] = [
        quote(at[0], 1, 2), user, Gap(hub=Hub.MARKET, since=at[1], until=None, reason="dropped"),
        Gap(hub=Hub.MARKET, since=at[1], until=at[2], reason="dropped"), quote(at[3], 1, 2),
        quote(at[4], 1, 2), Stale(contract_id=CONTRACT_ID, ts=at[5], silent_s=40, fresh=True),
        Notice(ts=at[5], hub=Hub.MARKET, kind="logout", text="another session"),
    ]  # fmt: skip
    report = record(tmp_path, [(at[5], events)])
    assert [(n.since, n.until) for n in report.gaps] == [
        (at[1], at[2]), (at[5] - 40 * NS, at[5]), (at[5], at[5]),
    ]  # fmt: skip
    assert held(tmp_path, "quotes")["flags"].to_list() == [SNAPSHOT, SNAPSHOT, 0]
    (part,) = Catalog(tmp_path).parts("MNQZ26", "quotes")
    assert json.loads(part.meta["gaps"])[0]["text"] == "dropped"
    assert "gap of 1.0 s from 2026-09-14 14:00:02 UTC: dropped" in str(report)


def test_a_session_is_stored_when_it_ends(tmp_path: Path) -> None:
    """The catalogue has Monday's rows while Tuesday's are still being received."""
    roll = to_ns(datetime(2026, 9, 14, 17, 0, tzinfo=CHICAGO))
    late = [(roll + s * NS, [trade(roll + s * NS, 10 + s)]) for s in (-2, 1, 3)]

    class Looking(Script):
        async def get(self) -> list[Event]:
            if len(self.batches) == 1:
                seen.append([p.rows for p in Catalog(tmp_path).parts("MNQZ26", "trades")])
            return await super().get()

    seen: list[list[int]] = []
    record(tmp_path, late, start=roll - 10 * NS, hub=Looking)
    assert seen == [[1]]
    days = {part.session: part.rows for part in Catalog(tmp_path).parts("MNQZ26", "trades")}
    assert days == {date(2026, 9, 14): 1, date(2026, 9, 15): 2}


def test_a_clock_that_is_set_back_does_not_run_back_in_the_file(tmp_path: Path) -> None:
    """The row keeps the last time and carries a flag."""
    at = [START + 3 * NS, START + NS, START + 4 * NS]
    record(tmp_path, [(START + 4 * NS, [trade(ts, 7) for ts in at])])
    trades = held(tmp_path, "trades")
    assert trades["ts"].to_list() == [at[0], at[0], at[2]]
    assert trades["flags"].to_list() == [0, BAD_CLOCK, 0]
    assert trades["ts_event"].to_list() == [None, at[1], None]


def test_what_was_received_is_stored_however_it_ends(tmp_path: Path) -> None:
    """Hubs that give up end the recording with their error, after its rows are safe."""

    class GivesUp(Script):
        async def get(self) -> list[Event]:
            if not self.batches:
                raise NotReachable("ten attempts")
            return await super().get()

    with pytest.raises(NotReachable):
        record(tmp_path, [(START + NS, [trade(START + NS, 7)])], None, hub=GivesUp)
    assert held(tmp_path, "trades")["px"].to_list() == [7]


def test_what_cannot_be_stored_is_kept_and_named(tmp_path: Path) -> None:
    """The time is covered by another source already: the spool stays, nothing is overwritten."""
    make_demo(tmp_path, quotes=500, trades=200, days=[date(2026, 9, 14)])
    report = record(tmp_path, [(START + NS, [trade(START + NS, 7)])])
    ((path, why),) = report.kept.items()
    assert Path(path).exists()
    assert "already imported" in why
    assert len(held(tmp_path, "trades")) == 200


# ---------------------------------------------------------------- crashes
def spool_of(path: Path, count: int) -> list[int]:
    """A spool of so many frames of one trade; its length after each."""
    spool = Spool(path)
    sizes = []
    for i in range(count):
        spool.append({"MNQZ26 trades": [(START + i, START, i, 100 + i, 1, 0, 0)]}, [])
        sizes.append(path.stat().st_size)
    spool.close()
    return sizes


@given(st.data())
def test_a_torn_spool_gives_its_whole_frames(data: st.DataObject) -> None:
    """Cut anywhere, or damaged anywhere: all other frames, nothing raised or made up."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.spool"
        sizes = spool_of(path, 6)
        whole = path.read_bytes()
        cut = data.draw(st.integers(0, len(whole)))
        path.write_bytes(whole[:cut])
        found = [int(rows[0][3]) - 100 for f in frames(path) for _, rows in f.series()]
        assert found == [i for i, size in enumerate(sizes) if size <= cut]
        at = data.draw(st.integers(0, len(whole) - 1))
        damaged = bytearray(whole)
        damaged[at] ^= data.draw(st.integers(1, 255))
        path.write_bytes(damaged)
        found = [int(rows[0][3]) - 100 for f in frames(path) for _, rows in f.series()]
        hit = sum(size <= at for size in sizes)
        assert found == [i for i in range(6) if i != hit]


def test_recovery_is_done_once_and_repeats_safely(tmp_path: Path) -> None:
    """A crash between storing and removing the spool leads to the same files, not to doubles."""
    path = tmp_path / FOLDER / "1-aa.spool"
    spool_of(path, 3)
    again = path.read_bytes()
    assert recover(Catalog(tmp_path)) == 3
    assert not path.exists()
    path.write_bytes(again)
    assert recover(Catalog(tmp_path)) == 3
    assert recover(Catalog(tmp_path)) == 0
    assert held(tmp_path, "trades")["px"].to_list() == [100, 101, 102]


def test_a_spool_in_use_is_left_alone(tmp_path: Path) -> None:
    """Another recording of the same catalogue may be running."""
    spool = Spool(tmp_path / FOLDER / "1-aa.spool")
    spool.append({}, [Note(1, 2, "x")])
    assert in_use(spool.path)
    assert recover(Catalog(tmp_path)) == 0
    assert spool.path.exists()
    spool.close()
    assert not in_use(spool.path)
    recover(Catalog(tmp_path))
    assert not spool.path.exists()


def test_a_killed_process_loses_a_second_at_most(tmp_path: Path) -> None:
    """SIGKILL in the middle: every row but those of the last second is in the catalogue, once."""
    root = Path(__file__).resolve().parents[1]
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.recorder_kit", str(tmp_path)], stdout=subprocess.PIPE,
        text=True, cwd=root, env=os.environ | {"PYTHONPATH": str(root)},
    )  # fmt: skip
    assert child.stdout is not None
    said = []
    with child:
        for line in child.stdout:
            said.append([int(part) for part in line.split()])
            if said[-1][1] - said[0][1] > 2.6 * NS:
                child.kill()
                break
        said += [[int(p) for p in line.split()] for line in child.stdout if line.endswith("\n")]
    assert list(Catalog(tmp_path).parts()) == []
    stored = recover(Catalog(tmp_path))
    trades = held(tmp_path, "trades")
    assert trades["px"].to_list() == list(range(stored))
    lost_since = next((ns for number, ns in said if number > stored), said[-1][1])
    assert said[-1][1] - lost_since < 1.5 * NS  # a second, and what the disk took
    assert stored >= 1000


# ---------------------------------------------------------------- replay
def test_a_recorded_day_replays_like_the_day_itself(tmp_path: Path) -> None:
    """The same ticks by way of the hub and a recording: the same backtest, to the dollar."""
    make_demo(tmp_path / "demo", quotes=3_000, trades=600, days=[date(2026, 9, 14)])
    day = px.load("MNQZ26", catalog=tmp_path / "demo")
    rows: list[tuple[int, int, Event]] = []
    for ts, seq, bid, ask in day.scan("quotes").select(
        pl.col("ts").to_physical(), "seq", "bid_px", "ask_px").collect().rows():  # fmt: skip
        rows.append((ts, seq, quote(ts, bid, ask)))
    for ts, seq, price, size, side in day.scan("trades").select(
        pl.col("ts").to_physical(), "seq", "px", "size", "side").collect().rows():  # fmt: skip
        rows.append((ts, seq, trade(ts, price, size, side)))
    rows.sort(key=lambda row: row[:2])
    start, end = rows[0][0], rows[-1][0]
    batches = [(chunk[-1][0], [row[2] for row in chunk])
               for chunk in (rows[i : i + 50] for i in range(0, len(rows), 50))]  # fmt: skip
    record(tmp_path / "mine", batches, (end - start) / NS + 60, start=start, flush_s=60)
    mine = px.load("MNQZ26", catalog=tmp_path / "mine")
    assert mine.rows == day.rows

    class Turn(px.Strategy):
        bars = "1m"
        count = px.state(int)

        def on_bar(self, bar, position):
            self.count = self.count + 1
            if self.count % 20:
                return px.hold()
            return px.buy(1) if position <= 0 else px.sell(1)

    first, second = (px.backtest(Turn(), ticks, account="combine-50k") for ticks in (day, mine))
    assert len(first.fills) > 10
    assert second.fills.equals(first.fills)
    assert second.equity.equals(first.equity)

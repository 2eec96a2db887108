"""Sessions stream through the engine: memory stays that of one, and no boundary leaves a trace."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass
from datetime import date, timedelta
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pxresearch as px
from pxresearch.block import canonical
from pxresearch.brokers.feeds import Feed
from pxresearch.brokers.fillmodel import FillModel, Latency
from pxresearch.brokers.replay import Replay, _set_stream
from pxresearch.brokers.session import LOG_ROWS, EngineSession
from pxresearch.core import records as r
from pxresearch.tickdata import Ticks
from tests import invariants
from tests.desk import MINUTE, SECOND, chicago
from tests.test_lookahead import Everything, as_ticks, walk

ROWS = 30_000  # quotes a session, half a second apart
ES = px.contract("ESZ26")


@dataclass(frozen=True)
class Made:
    """A session that exists only while somebody reads it."""

    day: date
    rows: int = ROWS
    source: str = "memory"

    @property
    def first(self):
        return chicago(f"{self.day} 05:00:00")

    @property
    def last(self):
        return self.first + (self.rows - 1) * SECOND // 2

    def frame(self, columns=None):
        rng = np.random.default_rng(self.day.toordinal())
        bid = (24_000 + np.cumsum(rng.integers(-1, 2, self.rows))).astype(np.int32)
        stamps = self.first + np.arange(self.rows) * (SECOND // 2)
        rows = canonical(ES, "quotes", {"ts": stamps, "bid": bid, "ask": bid + np.int32(1)})
        return rows.drop("session").select(columns) if columns else rows.drop("session")

    def lazy(self):
        return self.frame().lazy()


def weekdays(n):
    found, day = [], date(2026, 2, 23)  # five weeks without a holiday
    while len(found) < n:
        if day.weekday() < 5:
            found.append(day)
        day += timedelta(days=1)
    return found


def made(n):
    return Ticks(ES, {day: {"quotes": [Made(day)]} for day in weekdays(n)})


class Slow(px.Strategy):
    """Reverses every fourth hour."""

    bars = "4h"

    def on_bar(self, bar, position):
        return px.buy(1 - position) if position <= 0 else px.sell(1 + position)


RULES = px.programme("own", start_balance=50_000)


def peak(n):
    """Most memory (bytes, as traced) that a replay of n sessions needed on top."""
    replay = Replay(Slow(), [made(n)], RULES, FillModel())
    tracemalloc.start()
    try:
        with invariants.off():
            session = replay.run()
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert int(session.engine["events"][0]) == n * ROWS
    return most


def test_many_sessions_need_the_memory_of_two():
    """Nine sessions take what three take: one in work, one read ahead, and the logs."""
    peak(2)  # whatever is imported or compiled on first use
    few, many = peak(3), peak(9)
    assert few > ROWS * 16, "nothing was measured"
    assert many < 1.25 * few + 200_000, (few, many)


def test_progress_is_told_after_each_session():
    told = []
    Replay(Slow(), [made(4)], RULES, FillModel()).run(told.append)
    assert told == [ROWS] * 4


# ------------------------------------------------------------------ chunks
def streams_of(source):
    """(kind, arrays) of all sessions joined, and the sequence that merges them."""
    blocks = list(source.blocks())
    found = []
    for kind, name in ((r.QUOTES, "quotes"), (r.TRADES, "trades")):
        parts = [getattr(b, name) for b in blocks if getattr(b, name) is not None]
        if parts:
            names = [f for f, a in vars(parts[0]).items() if a is not None]
            found.append((kind, {n: np.concatenate([getattr(p, n) for p in parts]) for n in names}))
    return found


def engine(source, strategy, fills):
    return EngineSession(
        strategy, [Feed(source.contract, source.kinds)], rules(), fills,
        first_ns=source.first, last_ns=source.last, keep_bars=True,
    )  # fmt: skip


def rules():
    return px.programme(
        "own", start_balance=50_000, max_loss=5_000, daily_loss_limit=2_000, max_minis=3,
        loss_pause_after=4, loss_pause_s=30,
    )  # fmt: skip


def in_chunks(source, strategy, fills, cuts):
    """All streams cut at the same instants, one GO for each piece."""
    session = engine(source, strategy, fills)
    streams = streams_of(source)
    for low, high in zip([0, *cuts], [*cuts, r.NEVER], strict=True):
        held = []
        for kind, arrays in streams:
            at = np.searchsorted(arrays["ts"], [low, high])
            piece = {n: np.ascontiguousarray(a[slice(*at)]) for n, a in arrays.items()}
            if len(piece["ts"]):
                absent = dict.fromkeys(("bid_sz", "ask_sz", "seq"))
                data = SimpleNamespace(**{**absent, **piece})
                _set_stream(session.wires["stream"][0][len(held)], kind, 0, data)
                held.append(data)
        if held:
            session.wires["streams_n"] = len(held)
            session.tell(r.GO)
    session.wires["streams_n"] = 0
    session.tell(r.FINISH, a=1)
    return session


def one_by_one(source, strategy, fills):
    """Each event on its own, as paper and live do it."""
    session = engine(source, strategy, fills)
    events = []
    for kind, a in streams_of(source):
        for i in range(len(a["ts"])):
            if kind == r.QUOTES:
                values = (a["bid"][i], a["ask"][i], a["bid_sz"][i], a["ask_sz"][i])
            else:
                values = (a["px"][i], a["size"][i], a["side"][i])
            events.append((int(a["ts"][i]), int(a["seq"][i]), kind, [int(v) for v in values]))
    for ts, _, kind, values in sorted(events, key=lambda e: e[:3]):
        session.tell(kind, 0, ts, *values)
    session.tell(r.FINISH, a=1)
    return session


def story(session):
    """All rows as plain data, without the engine's own event count."""
    logs = session.logs()
    told = {}
    for name, rows in logs.items():
        kept = [n for n in rows.dtype.names if n != "seq"]
        told[name] = rows[kept].tolist()
    told["account"] = [
        int(session.engine[n][0])
        for n in ("balance", "level", "peak", "drawdown", "min_room", "events", "orders_made")
    ]
    return told


def same(left, right):
    for name, rows in left.items():
        assert rows == right[name], (name, len(rows), len(right[name]))


MODELS = {
    "plain": FillModel(),
    "queue": FillModel(limit_fill="queue", partial_fills=True),
    "latency": FillModel(
        latency=Latency(feed=10_000_000, entry=[400_000_000, 900_000_000], ack=700_000_000)
    ),
}


@pytest.mark.parametrize("model", MODELS)
@settings(max_examples=6)
@given(seed=st.integers(0, 10**6), shares=st.lists(st.floats(0, 1), max_size=6))
def test_chunk_boundaries_leave_no_trace(model, seed, shares):
    """The same ticks in any pieces give the same rows, to the micro-dollar."""
    data = walk(seed, 800)
    source, span = as_ticks(data), int(data["ts"][-1] - data["ts"][0])
    cuts = sorted(int(data["ts"][0]) + int(share * span) for share in shares)
    whole = story(in_chunks(source, Everything(), MODELS[model], []))
    same(whole, story(in_chunks(source, Everything(), MODELS[model], cuts)))
    replayed = Replay(Everything(), [source], rules(), MODELS[model], keep_bars=True).run()
    same(whole, story(replayed))


@pytest.mark.parametrize("model", MODELS)
@settings(max_examples=4)
@given(seed=st.integers(0, 10**6))
def test_one_event_at_a_time_is_the_replay(model, seed):
    """Paper's way of driving the engine and the loop over arrays tell the same story."""
    source = as_ticks(walk(seed, 600))
    replayed = Replay(Everything(), [source], rules(), MODELS[model], keep_bars=True).run()
    same(story(replayed), story(one_by_one(source, Everything(), MODELS[model])))


@settings(max_examples=4)
@given(seed=st.integers(0, 10**6), share=st.floats(0.1, 0.9))
def test_a_snapshot_in_the_middle_changes_nothing(seed, share):
    """Stopped, saved, restored into a fresh engine, and gone on with: the same end."""
    data = walk(seed, 600)
    source = as_ticks(data)
    cut = int(data["ts"][int(share * 600)])
    whole = in_chunks(source, Everything(), FillModel(), [])
    first = engine(source, Everything(), FillModel())
    second = engine(source, Everything(), FillModel())
    for session, low, high in ((first, 0, cut), (second, cut, r.NEVER)):
        if session is second:
            session.restore(first.snapshot())
        held = []
        for kind, arrays in streams_of(source):
            at = np.searchsorted(arrays["ts"], [low, high])
            piece = {n: np.ascontiguousarray(a[slice(*at)]) for n, a in arrays.items()}
            if len(piece["ts"]):
                held.append(SimpleNamespace(**{**dict.fromkeys(("bid_sz", "ask_sz")), **piece}))
                _set_stream(session.wires["stream"][0][len(held) - 1], kind, 0, held[-1])
        session.wires["streams_n"] = len(held)
        session.tell(r.GO)
    second.wires["streams_n"] = 0
    second.tell(r.FINISH, a=1)
    assert second.engine["balance"] == whole.engine["balance"]
    for name in ("fills", "trades", "orders", "risk"):
        joined = [*first.logs()[name].tolist(), *second.logs()[name].tolist()]
        assert joined == whole.logs()[name].tolist(), name


def test_logs_longer_than_their_buffers_are_complete():
    """A refusal or two for each event: several buffers full, every one counted."""

    class Nagging(px.Strategy):
        def on_quote(self, quote, position):
            return px.buy(0), px.sell(0), px.buy(1, limit=quote.bid + 0.1)

    day = weekdays(1)[0]
    source = Ticks(ES, {day: {"quotes": [Made(day, LOG_ROWS)]}})
    refused = Replay(Nagging(), [source], RULES, FillModel()).run().logs()["refusals"]
    assert len(refused) > 2 * LOG_ROWS
    assert int(refused["count"].sum()) == 3 * LOG_ROWS
    stamps = np.unique(refused["ts"])
    assert len(stamps) == LOG_ROWS
    assert (np.diff(refused["ts"]) >= 0).all()


def test_two_contracts_session_by_session():
    """Contracts with different sessions in the data are merged by time all the same."""
    days = weekdays(3)
    one = Ticks(ES, {d: {"quotes": [Made(d, 2_000)]} for d in days[:2]})
    other = Ticks(px.contract("NQZ26"), {d: {"quotes": [Made(d, 2_000)]} for d in days[1:]})

    class Both(px.Strategy):
        last = px.state(int)
        late = px.state(int)

        def on_quote(self, quote, position):
            if quote.ts < self.last:
                self.late = self.late + 1
            self.last = quote.ts
            return px.hold()

    session = Replay(Both(), [one, other], RULES, FillModel()).run()
    assert int(session.record["late"][0]) == 0
    assert int(session.engine["events"][0]) == 8_000
    assert [int(d) for d in session.logs()["days"]["events"]] == [2_000, 4_000, 2_000]
    assert session.engine["now"][0] >= chicago(f"{days[2]} 05:00:00") + MINUTE

"""Drift: a session replayed from its recording, paper against a backtest, live against paper."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pxresearch.brokers.fillmodel import FillModel, Latency
from pxresearch.core import records as r
from pxresearch.drift import account, report
from pxresearch.drift import replay as drift_replay
from pxresearch.drift.compare import against_backtest, against_paper
from pxresearch.drift.recording import parts
from pxresearch.drift.replay import check_parts, replay_check
from pxresearch.drift.report import DriftReport
from pxresearch.journal import Journal, Kind
from pxresearch.promotion import sessions
from tests import invariants
from tests import journal_kit as kit

STRATEGIES = {
    "ema_cross": ("EmaCross", kit.Setup().parameters, ("MNQZ26",)),
    "opening_range": (
        "OpeningRange", {"start_minute": 62, "minutes": 5, "last_minute": 90, "flat_minute": 95},
        ("MNQZ26",),
    ),
    "quote_fade": ("QuoteFade", {"length": 20, "width": 1.0, "least_ticks": 1.0}, ("MNQZ26",)),
    "two_contracts": ("TwoContracts", {}, ("MNQZ26", "MESZ26")),
}  # fmt: skip
MONDAY, TUESDAY = kit.DAYS[0], kit.DAYS[1]


@pytest.fixture(autouse=True)
def unwatched():
    """The invariants are checked in the tests of the engine; here they would take most time."""
    with invariants.off():
        yield


def setup_of(name: str) -> kit.Setup:
    cls, parameters, contracts = STRATEGIES[name]
    source = (kit.ROOT / "strategies" / f"{name}.py").read_text(encoding="utf-8")
    return kit.Setup(source=source, strategy=cls, parameters=parameters, contracts=contracts)


def with_commands(rows, seed):
    """The market with commands between and clocks before, at and after what follows."""
    rng = np.random.default_rng(seed)
    found = []
    for row in rows:
        ts = row[2]
        draw = rng.random()
        if draw < 0.005:
            found.append((r.COMMAND, 0, ts, r.BLOCK, int(rng.integers(0, 2)), 0, 0))
        elif draw < 0.007:
            found.append((r.COMMAND, -1, ts, r.FLATTEN_NOW, r.BY_HAND, 0, 0))
        elif draw < 0.01:
            found.append((r.COMMAND, 0, ts, r.TIGHTEN, r.ORDER_QTY, int(rng.integers(20, 60)), 0))
        elif draw < 0.1:
            found.append((r.CLOCK, 0, ts + int(rng.integers(-3, 4)) * 10**9, 0, 0, 0, 0))
        found.append(row)
    return found


# ------------------------------------------------------------------ 1. its own recording
@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_every_example_decides_the_same_from_its_recording(tmp_path, name):
    """Told event by event or run over arrays: orders, refusals, fills and state are equal."""
    setup = setup_of(name)
    rows = with_commands(kit.market(MONDAY, setup.contracts), seed=3)
    path = kit.write_session(tmp_path, MONDAY, setup, inputs=rows).path
    ran = check_parts(parts(path))
    assert ran.check.differences == ()
    assert replay_check(path) == []
    assert ran.check.orders >= 4
    assert ran.check.fills >= 2
    assert ran.check.events == sum(row[0] <= r.TRADES for row in rows) + len(setup.contracts)


ORDERLY = """
import pxresearch as px

class Orderly(px.Strategy):
    bars = "30s"
    path = px.state(int)  # of everything seen, in its order

    def on_quote(self, quote, position):
        self.path = (self.path * 31 + quote.contract * 7 + quote.bid_ticks) % 1000003
        if self.path % 9 == 0 and position == 0:
            return px.buy(1, stop_ticks=9, target_ticks=6, contract=quote.contract)
        return px.hold()

    def on_trade(self, trade, position):
        self.path = (self.path * 37 + trade.contract * 5 + trade.side) % 1000003
        return px.flatten() if self.path % 40 == 0 else px.hold()

    def on_bar(self, bar, position):
        self.path = (self.path * 41 + bar.contract) % 1000003
        return px.hold()
"""


@settings(max_examples=10)
@given(st.integers(0, 10**6), st.booleans())
def test_any_order_of_inputs_is_kept(tmp_path_factory, seed, latency):
    """Ties between contracts in any order, clocks and commands anywhere: still no difference.

    The strategy's state and orders depend on the order of all that it has seen.
    """
    folder = tmp_path_factory.mktemp("any")
    setup = kit.Setup(
        source=ORDERLY, strategy="Orderly", parameters={}, contracts=("MNQZ26", "MESZ26"),
        fills=FillModel(latency=Latency(entry=10**9, ack=(1, 10**9)) if latency else Latency()),
    )  # fmt: skip
    rows = kit.market(MONDAY, setup.contracts, n=300, seed=seed)
    rng = np.random.default_rng(seed)
    keys = [(row[2], rng.random()) for row in rows]
    rows = [row for _, row in sorted(zip(keys, rows, strict=True), key=lambda pair: pair[0])]
    path = kit.write_session(folder, MONDAY, setup, inputs=with_commands(rows, seed)).path
    assert replay_check(path) == []


def test_a_replay_that_does_otherwise_is_told(tmp_path, monkeypatch):
    """Quotes lost in the replay: the check names log, row and numbers, not only that it failed."""
    path = kit.write_session(tmp_path, MONDAY).path
    loop = drift_replay._loop

    def lossy(session, inputs):
        loop(session, np.delete(inputs, slice(300, 400), axis=0))

    monkeypatch.setattr(drift_replay, "_loop", lossy)
    check = check_parts(parts(path)).check
    assert not check.clean
    assert any(text.startswith("orders") for text in check.differences)
    assert any(text.startswith("events: session") for text in check.differences)
    assert "more)" in check.text


def test_a_snapshot_that_is_not_the_state_is_told(tmp_path):
    """The state that was written must be the state at that input."""
    path = kit.write_session(tmp_path, MONDAY, end=False).path
    other = kit.write_session(tmp_path, TUESDAY, seed=9).state
    journal = Journal(path, threaded=False)
    journal.write(Kind.SNAPSHOT, 1, other)
    journal.close()
    assert any("snapshot of row" in text for text in replay_check(path))


def test_a_restart_goes_on_in_the_same_check(tmp_path):
    """Two runs of a day, the second with a longer calendar, are checked each from its own state."""
    first = kit.write_session(tmp_path, MONDAY, inputs=kit.market(MONDAY, ("MNQZ26",), n=600))
    later = kit.market(MONDAY, ("MNQZ26",), n=300, start_s=22 * 3600 + 1800)
    path = kit.write_session(tmp_path, MONDAY, inputs=later, before=first, longer_days=3).path
    recorded = parts(path)
    assert [len(part.inputs) > 100 for part in recorded] == [True, True]
    assert check_parts(recorded).check.differences == ()


RAISED_BY = kit.market(MONDAY, ("MNQZ26",))[0][2] + 40 * 60 * 10**9  # it sees 30 bars
RAISES = """
import pxresearch as px

class Raises(px.Strategy):
    bars = "1m"
    seen = px.state(int)

    def on_bar(self, bar, position):
        self.seen += 1
        if self.seen == 30:
            raise ValueError("thirty")
        return px.buy(1, stop_ticks=8) if position == 0 else px.hold()
"""


def test_a_strategy_that_raised_is_out_in_the_replay_too(tmp_path):
    """The session goes on without the strategy from that event on, and so does its replay."""
    setup = kit.Setup(source=RAISES, strategy="Raises", parameters={})
    path = kit.write_session(tmp_path, MONDAY, setup).path
    ran = check_parts(parts(path))
    assert ran.check.differences == ()
    assert ran.check.orders > 2
    assert int(ran.logs[0]["orders"]["decided"].max()) < RAISED_BY
    assert all(part.inputs[-1, 2] > RAISED_BY for part in ran.recorded)


# ------------------------------------------------------------------ 2. paper against a backtest
def test_paper_over_days_is_one_backtest_of_those_days(tmp_path):
    """Days that follow one another: the same orders, fills and P&L to the micro-dollar."""
    days = [check_parts(parts(w.path)) for w in kit.write_days(tmp_path, kit.DAYS[:3])]
    found = against_backtest(days)
    assert found.days == (20260914, 20260915, 20260916)
    assert found.first_pnl == found.second_pnl
    assert any(found.first_pnl)
    assert len(found.pairs) > 100
    assert all(p.first == p.second and p.first_share == p.second_share for p in found.pairs)
    assert found.drifting == ()


def test_a_day_that_forgot_the_days_before_drifts_from_the_backtest(tmp_path):
    """Each day from scratch: other averages, other orders, and the metric that says so."""
    setup = replace(kit.Setup(), parameters={**kit.Setup().parameters, "fast": 40, "slow": 60})
    days = [check_parts(parts(kit.write_session(tmp_path, d, setup).path)) for d in kit.DAYS[:3]]
    assert all(day.check.clean for day in days)
    assert report.ORDERS_MATCHED in against_backtest(days).drifting


# ------------------------------------------------------------------ 3. live against paper
def live_comparison(folder: Path, setup=None, **venue):
    days = (date(2026, 9, 21), date(2026, 9, 22))
    written = kit.write_days(folder, days, setup, mode="live", **venue)
    return against_paper([check_parts(parts(w.path)) for w in written])


@pytest.mark.parametrize("entry_s", [0, 7])
def test_a_venue_that_fills_as_paper_does_shows_nothing(tmp_path, entry_s):
    """Fill by fill and to the micro-dollar, brackets, cancels, flattens and latency included."""
    setup = kit.Setup(fills=FillModel(latency=Latency(entry=entry_s * 10**9)))
    found = live_comparison(tmp_path, setup=setup)
    assert found.first_pnl == found.second_pnl
    assert {p.role for p in found.pairs} >= {"entry", "stop_loss", "target", "flatten"}
    assert all(p.first == p.second for p in found.pairs)
    assert found.drifting == ()


def test_flattens_of_the_strategy_are_followed(tmp_path):
    """A strategy that flattens in mid-session does so on both sides at the same fill."""
    setup = kit.Setup(source=ORDERLY, strategy="Orderly", parameters={})
    found = live_comparison(tmp_path, setup=setup)
    assert sum(p.role == "flatten" and p.second is not None for p in found.pairs) > 10
    assert all(p.first == p.second for p in found.pairs)
    assert found.first_pnl == found.second_pnl


@pytest.mark.parametrize("slip", [1, 3])
def test_slippage_of_a_venue_is_measured_to_the_tick(tmp_path, slip):
    """Every entry shows exactly the ticks that the venue took, and the metric drifts."""
    found = live_comparison(tmp_path, slip=slip)
    entries = [p.slippage for p in found.pairs if p.role == "entry" and p.slippage is not None]
    assert len(entries) > 30
    assert set(entries) == {slip}
    targets = [p.slippage for p in found.pairs if p.role == "target" and p.slippage is not None]
    assert set(targets) == {0}
    assert found.drifting[0] == report.SLIPPAGE
    assert all(a < b for a, b in zip(found.first_pnl, found.second_pnl, strict=True))


def test_entries_that_a_venue_does_not_fill_show_in_the_rate(tmp_path):
    """Every fourth entry missed: the rates differ by a quarter, and the metric drifts."""
    found = live_comparison(tmp_path, miss=4)
    hits, n, low, high = report.fill_rate(found.pairs, first=True)
    assert n > 30
    assert low < hits / n < high
    assert hits / n == pytest.approx(0.75, abs=0.05)
    assert report.FILL_RATE in found.drifting
    assert report.SLIPPAGE not in found.drifting


# ------------------------------------------------------------------ the account's report
def test_update_checks_once_and_again_only_what_changed(tmp_path, monkeypatch):
    """A second look replays nothing; a new session makes it look again; drift is named."""
    kit.write_days(tmp_path, kit.DAYS[:2])
    kit.write_session(tmp_path, date(2026, 9, 21), mode="live", slip=3)
    kit.write_session(tmp_path, kit.DAYS[2], end=False)  # still running: not looked at
    first = account.update(tmp_path)
    assert sorted(first.days) == [
        "live-2026-09-21.journal", "paper-2026-09-14.journal", "paper-2026-09-15.journal",
    ]  # fmt: skip
    assert [c.name for c in first.comparisons] == ["paper against backtest", "live against paper"]
    assert first.drifting == ("live against paper: slippage",)
    assert report.stored(tmp_path) == first
    assert all(s.check is not None and s.check.clean for s in sessions(tmp_path)[:2])
    monkeypatch.setattr(account, "check_parts", None)
    assert account.update(tmp_path) == first
    monkeypatch.undo()
    kit.write_session(tmp_path, kit.DAYS[3])
    assert len(account.update(tmp_path).days) == 4


def test_a_session_that_cannot_be_replayed_is_a_difference(tmp_path):
    """A source that no longer loads: told as such, and the other sessions are still checked."""
    kit.write_session(tmp_path, MONDAY)
    path = kit.write_session(tmp_path, TUESDAY, inputs=[], end=False).path
    path.unlink()
    broken = kit.header(replace(kit.Setup(), source="import nowhere\n"), TUESDAY, "paper")
    journal = Journal(path, threaded=False)
    journal.write(Kind.RUN, 1, broken)
    journal.write(Kind.END, 2, kit.SessionEnd(
        date=20260915, mode="paper", complete=True, covered_s=1.0, hours_s=1.0, faults=(),
        flat=True, events=0, orders=0, fills=0, refusals=0, day_pnl=0, costs=0, balance=0,
        reason="",
    ))  # fmt: skip
    journal.close()
    found = account.update(tmp_path)
    assert "cannot be replayed" in found.days[path.name].text
    assert found.drifting == (f"replay of {path.name}",)


def test_a_report_that_cannot_be_read_is_none(tmp_path):
    """Rubbish or an old version means: not checked."""
    assert report.stored(tmp_path) == DriftReport()
    (tmp_path / report.FILE).write_text('{"days": 3}')
    assert report.stored(tmp_path) == DriftReport()

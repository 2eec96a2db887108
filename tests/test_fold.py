"""The fold by itself: what it tells the broker, and what is kept before anything else happens."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pxresearch as px
from pxresearch.brokers.session import EngineSession
from pxresearch.clock import NS, VirtualClock
from pxresearch.core import records as r
from pxresearch.journal import Journal, Kind, read
from pxresearch.runner.fold import Fold
from pxresearch.runner.timeline import Timeline
from tests import test_core_live as core
from tests.journal_play import header_of
from tests.test_journal_tail import killed

MS = 1_000_000
BID = core.BID


class Bench:
    """A fold with a journal of its own and a broker that only remembers."""

    def __init__(self, path: Path, session: EngineSession) -> None:
        self.journal = Journal(path, threaded=False, tail=True)
        self.journal.write(Kind.RUN, 1, header_of())
        self.line = Timeline(VirtualClock(core.MORNING))
        self.since: list[int | None] = []
        watcher: Any = SimpleNamespace(decided=lambda *_: None, approved=lambda _: None)
        self.fold = Fold(session, self.journal, watcher, self.line)
        broker: Any = SimpleNamespace(
            submit=lambda order, after, since: self.since.append(since), events=list,
            flatten=lambda k: None, cancel=lambda number: None,
        )  # fmt: skip
        self.fold.broker = broker

    def quote(self, ts: int, bid: int, *signals: Any, delay: int = 0) -> None:
        """A quote that took ten milliseconds and `delay`, and what the strategy says to it."""
        core._SAID["answer"] = signals
        got = ts + 10 * MS + delay
        self.fold.market(r.QUOTES, 0, self.line.event(ts, got), bid, bid + 1, 10, 10, got)
        core._SAID["answer"] = ()


def test_an_order_is_as_old_as_the_quote_behind_it(tmp_path: Path) -> None:
    """Four seconds on the way, and received this moment: the broker is told of the four seconds."""
    bench = Bench(tmp_path / "a.journal", core.session(at_venue=True))
    bench.quote(core.MORNING, BID)
    bench.quote(core.MORNING + NS, BID, px.buy(1), delay=4 * NS)
    assert bench.since == [core.MORNING + NS + 10 * MS]
    bench.journal.close()


def test_a_lock_outlives_the_process_from_the_event_on(tmp_path: Path) -> None:
    """The process dies right after the quote that lost the day: the journal has the lock."""
    bench = Bench(tmp_path / "a.journal", core.session(at_venue=False))
    bench.quote(core.MORNING, BID, px.buy(1))
    bench.quote(core.MORNING + NS, BID)
    bench.quote(core.MORNING + 2 * NS, BID - 100)
    (lock,) = read(killed(bench.journal.path, tmp_path / "killed"), (Kind.RISK,))
    assert lock.data["cause"] == "daily_loss_limit"
    bench.journal.close()

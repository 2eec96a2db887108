"""A session over real sockets, its journal told again, and its recording as arrays: all the same.

`PXRESEARCH_PROOF=4` runs the whole synthetic week at full density, five sessions and about a
million events for each contract of a strategy; without it one thinner day each.
"""

from __future__ import annotations

import asyncio
import os
import warnings
from datetime import date
from pathlib import Path

import pytest

import pxresearch as px
from pxresearch.brokers.fillmodel import FillModel, Latency
from pxresearch.demo import make_demo
from pxresearch.drift.recording import parts
from pxresearch.drift.replay import check_parts
from pxresearch.journal import Kind, read, rebuild, verify
from pxresearch.rehearsal import rehearse
from pxresearch.settings import find_strategy, load_settings
from pxresearch.strategy import load_strategy

FULL = int(os.environ.get("PXRESEARCH_PROOF", "1")) >= 4
FIRST, LAST = date(2026, 9, 14), date(2026, 9, 18 if FULL else 14)
NAMES = ("ema_cross", "opening_range", "quote_fade", "two_contracts")


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("week")
    make_demo(folder, **({} if FULL else {"quotes": 8_000, "trades": 2_000}))
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_live_loop_journal_and_arrays_decide_the_same(
    name: str, week: Path, tmp_path: Path
) -> None:
    path, _ = find_strategy(name)
    cls = load_strategy(path)
    settings = load_settings(path.with_suffix(".toml"), cls._parameters)
    feed, entry, ack = settings.fills.latency_ns()
    fills = FillModel(
        limit_fill=settings.fills.limit_fill, stop_trigger=settings.fills.stop_trigger,
        slippage_ticks=settings.fills.slippage_ticks,
        latency=Latency(feed=feed, entry=entry, ack=ack),
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        journals = asyncio.run(
            rehearse(
                cls(**settings.parameters), path, settings.contracts,
                px.programme(settings.account, **settings.account_changes), state=tmp_path,
                first=FIRST, last=LAST, catalog=week, fills=fills, poll_s=20.0 if FULL else 100.0,
            )
        )  # fmt: skip
    assert len(journals) == (LAST - FIRST).days + 1
    events = orders = filled = 0
    for journal in journals:
        assert verify(journal) == ""
        snapshots = list(read(journal, (Kind.SNAPSHOT,)))
        assert rebuild(journal).snapshot() == snapshots[-1].data
        (end,) = [row.data for row in read(journal, (Kind.END,))]
        assert end.complete or not FULL  # the thin day is silent for long at night
        assert end.flat
        assert end.faults == ()
        check = check_parts(parts(journal)).check
        assert check.differences == ()
        events, orders, filled = events + check.events, orders + check.orders, filled + check.fills
    print(f"{name}: {len(journals)} sessions, {events:,} events, {orders} orders, {filled} fills")
    assert events >= 8_000 * len(journals)
    assert (orders, filled) != (0, 0) or name == "opening_range"

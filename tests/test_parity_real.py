"""Parity on a real day: every trade of the ES session of 3 September 2013 over real sockets.

The data has no quotes, so each change of the price makes one by the tick rule: a trade above the
last price was at the ask, one below it at the bid, and the other side is a tick away. No session
runs on a day that the calendar does not vouch for, so the Tuesday after Labor Day 2013 becomes the
one of 2026; nothing else is changed. `PXRESEARCH_PROOF=4` takes the whole day, without it the last
40,000 trades.
"""

from __future__ import annotations

import asyncio
import os
import warnings
from datetime import date
from pathlib import Path

import numpy as np
import pytest

import pxresearch as px
from pxresearch.brokers.fillmodel import FillModel, Latency
from pxresearch.clock import NS
from pxresearch.drift.recording import parts
from pxresearch.drift.replay import check_parts
from pxresearch.journal import Kind, read, rebuild, verify
from pxresearch.rehearsal import rehearse
from pxresearch.settings import find_strategy
from pxresearch.strategy import load_strategy
from tests import trade_kit as kit

pytestmark = [
    pytest.mark.realdata, pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning"),
]  # fmt: skip
THEN, DAY = date(2013, 9, 3), date(2026, 9, 8)
CODE = "ESZ26"
TRADES = 444_201 if int(os.environ.get("PXRESEARCH_PROOF", "1")) >= 4 else 40_000
PARAMETERS = {
    "ema_cross": {"fast": 2, "slow": 4, "stop_ticks": 3, "target_ticks": 3},
    "quote_fade": {"length": 100, "width": 1.0, "least_ticks": 1.0, "target_ticks": 2},
}  # fmt: skip


@pytest.fixture(scope="module")
def es_day(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue with the day's trades, and quotes by the tick rule."""
    folder = tmp_path_factory.mktemp("es")
    raw = real_data / "mlfinpy" / "es_ticks_session_20130903.csv.gz"
    px.import_file(raw, folder / "raw", contract="ESU13", tz="America/Chicago")
    (block,) = px.load("ESU13", catalog=folder / "raw").blocks(sizes=True)
    assert block.trades is not None
    ts = block.trades.ts[-TRADES:] + (DAY - THEN).days * 24 * 3600 * NS
    price, size = block.trades.px[-TRADES:], block.trades.size[-TRADES:]
    steps = np.diff(price, prepend=price[0] - 1)
    at = np.flatnonzero(steps)
    bid = np.where(steps[at] > 0, price[at] - 1, price[at])
    seq, one = np.arange(TRADES), np.ones(TRADES, np.int32)
    return kit.store(folder / "data", {CODE: {
        "quotes": {"ts": ts[at], "seq": 2 * seq[at], "bid_px": bid, "bid_sz": one[at],
                   "ask_px": bid + 1, "ask_sz": one[at]},
        "trades": {"ts": ts, "seq": 2 * seq + 1, "px": price, "size": size,
                   "side": np.zeros(TRADES, np.int8)},
    }})  # fmt: skip


@pytest.mark.parametrize("name", PARAMETERS)
def test_live_loop_journal_and_arrays_agree_on_a_real_day(
    name: str, es_day: Path, tmp_path: Path
) -> None:
    path, _ = find_strategy(name)
    strategy = load_strategy(path)(**PARAMETERS[name])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        (journal,) = asyncio.run(
            rehearse(
                strategy, path, (CODE,), px.programme("combine-50k"),
                state=tmp_path, first=DAY, last=DAY, catalog=es_day,
                fills=FillModel(slippage_ticks=1, latency=Latency(entry=20_000_000)),
            )
        )  # fmt: skip
    assert verify(journal) == ""
    assert rebuild(journal).snapshot() == list(read(journal, (Kind.SNAPSHOT,)))[-1].data
    check = check_parts(parts(journal)).check
    print(f"{name}: {check.events:,} events, {check.orders} orders, {check.fills} fills")
    assert check.differences == ()
    assert check.events > TRADES
    assert check.orders > 10
    assert check.fills > 2

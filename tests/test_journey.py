"""The whole way on the simulator, over real sockets and in its time: five days on paper, then live.

The commands of docs/trading.md: backtest, paper sessions, `--live` refused before the fifth, then
a live day on which the daily loss limit trips, and one that ends with a position open.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import warnings
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pxresearch as px
from pxresearch import cli_trade, steering
from pxresearch.clock import NS
from pxresearch.errors import UsageError
from pxresearch.gateway.profiles import profile
from pxresearch.instruments import contract
from pxresearch.journal import Kind, read, rebuild, verify
from pxresearch.sessions import session, to_ns
from pxresearch.simulator.server import Simulator
from pxresearch.strategy import load_strategy
from tests import trade_kit as kit

CODE, EVERY_S = "MNQZ26", 20
PAPER = tuple(date(2026, 10, day) for day in (5, 6, 7, 8, 9))
LOSING, HOLDING = date(2026, 10, 13), date(2026, 10, 14)
DAYS = (*PAPER, LOSING, HOLDING)

STRATEGY = '''import pxresearch as px


class Always(px.Strategy):
    """Long again after every exit, bracketed."""

    bars = "1m"
    qty: int = 5

    def on_bar(self, bar, position, orders):
        if position == 0 and orders.working == 0:
            return px.buy(self.qty, stop_ticks=400, target_ticks=40)
        return px.hold()
'''
SETTINGS = """account = "combine-50k"
contracts = ["MNQZ26"]

[account_changes]
check_bracket_risk = false
"""


def at(day: date, clock: str) -> int:
    """Ns UTC of a time in UTC; Chicago is five hours behind in October."""
    return to_ns(datetime.combine(day, datetime.strptime(clock, "%H:%M").time(), UTC))  # noqa: DTZ007


def tape(folder: Path) -> Path:
    """A wave of 60 ticks in 40 minutes; on one day it falls two ticks a quote from 14:00 on."""
    parts: dict[str, list[np.ndarray]] = {"ts": [], "px": []}
    for day in DAYS:
        span = session(contract(CODE), day)
        ts = np.arange(span.open + NS, span.close, EVERY_S * NS)
        price = 98_000 + np.round(30 * np.sin((ts - span.open) / NS / 382)).astype(np.int64)
        if day == LOSING:
            price -= np.clip((ts - at(day, "19:00")) // (EVERY_S * NS), 0, 150) * 2
        parts["ts"].append(ts)
        parts["px"].append(price)
    ts, price = np.concatenate(parts["ts"]), np.concatenate(parts["px"])
    one, seq = np.ones(len(ts), np.int64), 2 * np.arange(len(ts))
    quotes = {"ts": ts, "seq": seq, "bid_px": price, "bid_sz": 9 * one, "ask_px": price + 1,
              "ask_sz": 9 * one}  # fmt: skip
    trades = {"ts": ts + 1_000_000, "seq": seq + 1, "px": price, "size": one, "side": -one}
    return kit.store(folder, {CODE: {"quotes": quotes, "trades": trades}})


class Journey:
    """One user's commands against one simulator."""

    def __init__(self, venue: Simulator, folder: Path) -> None:
        self.venue, self.folder, self.state = venue, folder, folder / "state"
        self.file = folder / "always.py"

    async def trade(self, *, live: bool = False, override: str | None = None) -> Any:
        """``pxresearch trade always.py --account ID --step [--live]``, in this process."""
        asked = cli_trade._Asked(
            strategy=str(self.file), contracts=(), account=self.venue.account_id, rules=None,
            sets=(), live=live, override=override, level=None, state=self.state, days=1,
            compiled=True, reconcile_s=300.0, fsync="interval", step=True,
        )  # fmt: skip
        return await cli_trade._trade(profile("simulator", url=self.venue.url), asked)

    async def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Any command, in a process of its own."""
        line = [sys.executable, "-m", "pxresearch.cli", *words]
        return await asyncio.to_thread(
            subprocess.run, line, capture_output=True, text=True, cwd=self.folder, check=False
        )

    async def live_by_command(self) -> subprocess.CompletedProcess[str]:
        return await self.command(
            "trade", str(self.file), "--account", str(self.venue.account_id), "--live", "--step",
            "--profile", "simulator", "--url", self.venue.url, "--state", str(self.state),
        )  # fmt: skip

    def journal(self, mode: str, day: date) -> Path:
        return self.state / str(self.venue.account_id) / f"{mode}-{day}.journal"

    def truth(self) -> dict[str, Any]:
        return self.venue.control.truth(self.venue.account_id)

    def flat_at_the_venue(self, by: int) -> None:
        """Nothing held, nothing working, and nothing traded after `by`."""
        truth = self.truth()
        assert truth["positions"] == []
        assert [o for o in truth["orders"] if o["status"] in (1, 6, 7, 8)] == []
        last = max(to_ns(datetime.fromisoformat(t["creationTimestamp"])) for t in truth["trades"])
        assert last < by


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PROJECT_X_USERNAME", "trader")
    monkeypatch.setenv("PROJECT_X_API_KEY", "secret")
    monkeypatch.setattr(steering, "POLL_S", 100.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("environment")
def test_backtest_five_paper_sessions_then_live(tmp_path: Path) -> None:
    catalog = tape(tmp_path / "data")
    (tmp_path / "always.py").write_text(STRATEGY, encoding="utf-8")
    (tmp_path / "always.toml").write_text(SETTINGS, encoding="utf-8")

    async def main() -> None:
        async with kit.simulator(catalog, days=DAYS, codes=(CODE,)) as venue:
            await journey(Journey(venue, tmp_path), catalog)

    asyncio.run(main())


async def journey(one: Journey, catalog: Path) -> None:
    cls = load_strategy(one.file)
    rules = px.programme("combine-50k", check_bracket_risk=False)
    tested = px.backtest(cls(), px.load(CODE, PAPER[0], PAPER[-1], catalog=catalog), account=rules)
    assert tested.fills.height > 0
    for number, day in enumerate(PAPER, 1):
        ended = await one.trade()
        assert (ended.clean, ended.flat, ended.days) == (True, True, (day.year * 10_000
                                                         + day.month * 100 + day.day,))  # fmt: skip
        assert verify(one.journal("paper", day)) == ""
        if number == 4:
            refused = await one.live_by_command()
            assert refused.returncode == 1
            assert "4 of 5" in refused.stderr
            assert refused.stderr.count("yes") >= 4  # the table of what counts
            assert not one.journal("live", day).exists()
    assert one.truth()["orders"] == []  # paper has sent nothing
    status = await one.command("status", "--json", "--state", str(one.state))
    (told,) = json.loads(status.stdout)["accounts"]
    assert told["promotion"]["counted"] == 5
    await losing_day(one)
    await holding_day(one)
    await edited(one)


async def losing_day(one: Journey) -> None:
    """250 USD a day on the first live days: five micros lose 2.50 USD a tick."""
    one.venue.control.advance_to(at(LOSING, "18:45"))
    ended = await one.trade(live=True)
    assert (ended.clean, ended.flat) == (True, True)
    path = one.journal("live", LOSING)
    rows = list(read(path))
    risk = [row for row in rows if row.kind is Kind.RISK]
    (tripped,) = [row for row in risk if row.data["cause"] == "daily_loss_limit"]
    assert tripped.data["limit"] == -250_000_000
    approved = [row for row in rows if row.kind is Kind.ORDER and row.data["event"] == "approved"]
    entries = [row for row in approved if row.data["role"] == "entry"]
    assert entries
    assert max(row.ts for row in entries) < tripped.ts
    assert {row.data["reason"] for row in rows if row.kind is Kind.REFUSAL} >= {"DAY_LOCKED"}
    assert any("daily loss" in row.data["kind"] for row in rows if row.kind is Kind.ALERT)
    brackets = [o for o in one.truth()["orders"] if (o["customTag"] or "").endswith("-SL")]
    assert len(brackets) == len(entries)  # every entry had its stop at the venue
    one.flat_at_the_venue(tripped.ts + 60 * NS)
    snapshot = [row for row in rows if row.kind is Kind.SNAPSHOT][-1]
    assert rebuild(path).snapshot() == snapshot.data


async def holding_day(one: Journey) -> None:
    """The flatten time, 15:07 in Chicago, finds a position and leaves none."""
    one.venue.control.advance_to(at(HOLDING, "19:15"))
    ended = await one.trade(live=True)
    assert (ended.clean, ended.flat) == (True, True)
    rows = list(read(one.journal("live", HOLDING)))
    (deadline,) = [
        row for row in rows if row.kind is Kind.RISK and row.data["cause"] == "flatten_deadline"
    ]
    assert deadline.data["value"] == 5  # held until then
    assert deadline.ts == at(HOLDING, "20:07")
    closed = [row for row in rows if row.kind is Kind.FILL and row.data["role"] == "flatten"]
    assert sum(row.data["qty"] for row in closed) == 5
    one.flat_at_the_venue(at(HOLDING, "20:10"))
    truth = one.truth()
    (end,) = [row.data for row in rows if row.kind is Kind.END]
    assert end.balance == round(float(truth["account"]["balance"]) * 1_000_000)


async def edited(one: Journey) -> None:
    """One word of the strategy, and the five days begin again; an override needs a reason."""
    one.file.write_text(STRATEGY.replace("bracketed", "bracketed!"), encoding="utf-8")
    refused = await one.live_by_command()
    assert refused.returncode == 1
    assert "0 of 5" in refused.stderr
    assert "source" in refused.stderr  # what has changed since
    with pytest.raises(UsageError, match="reason"):
        await one.trade(live=True, override="short")

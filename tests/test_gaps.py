"""A strategy is told when it has not seen the market: S33."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import pxresearch as px
from pxresearch.brokers.feeds import Feed
from pxresearch.brokers.fillmodel import FillModel
from pxresearch.brokers.session import EngineSession
from pxresearch.clock import NS
from pxresearch.core import records as r
from pxresearch.core.events import Gap
from pxresearch.gateway.records import Hub
from pxresearch.journal import Kind, rebuild
from pxresearch.journal.explain import explain
from tests.controls_kit import BID, Puppet, Stage, play
from tests.desk import MINUTE, MORNING, SECOND

SINCE, UNTIL = MORNING + SECOND, MORNING + 31 * SECOND


class Forgetful(px.Strategy):
    """Counts quotes; a gap of half a minute is a new beginning, and nothing is held over it."""

    most_s: int = 30
    quotes = px.state(int)
    contract = px.state(int)
    since = px.state(int)
    until = px.state(int)

    def on_quote(self, quote, position):
        self.quotes += 1
        if position == 0 and self.quotes == 1:
            return px.buy(1)
        return px.hold()

    def on_gap(self, gap, position, orders, account):
        self.contract, self.since, self.until = gap.contract, gap.since, gap.until
        if gap.until - gap.since >= self.most_s * 1_000_000_000:
            self.quotes = 0
            return px.flatten() if position != 0 and not account.locked else px.hold()
        return px.hold()


def engine(strategy: px.Strategy, *, compiled: bool) -> EngineSession:
    feeds = [Feed(px.contract(code), ("quotes",)) for code in ("ESH26", "MESH26")]
    rules = px.programme("own", start_balance=50_000, max_loss=2_000, daily_loss_limit=1_000)
    return EngineSession(
        strategy, feeds, rules, FillModel(), first_ns=MORNING - MINUTE,
        last_ns=MORNING + 86_400 * SECOND, compiled=compiled,
    )  # fmt: skip


def state(one: EngineSession) -> dict[str, int]:
    record = one.record if one.twin is None else one.twin.to_record(one.record)
    return {name: int(record[name][0]) for name in ("quotes", "contract", "since", "until")}


# ------------------------------------------------------------------ the engine
@pytest.mark.parametrize("compiled", [True, False])
def test_the_hook_gets_contract_and_times_and_its_answer_counts(compiled: bool) -> None:
    one = engine(Forgetful(), compiled=compiled)
    for n in range(3):
        one.tell(r.QUOTES, 1, MORNING + n, 20_000, 20_001, 10, 10)
    assert int(one.engine[0]["contract"][1]["position"]) == 1
    one.tell(r.COMMAND, 1, UNTIL - SECOND, r.GAP, SINCE, UNTIL - SECOND)  # a short one
    assert state(one) == {"quotes": 3, "contract": 1, "since": SINCE, "until": UNTIL - SECOND}
    assert int(one.engine[0]["contract"][1]["flattening"]) == 0
    one.tell(r.COMMAND, 1, UNTIL, r.GAP, SINCE, UNTIL)
    assert state(one) == {"quotes": 0, "contract": 1, "since": SINCE, "until": UNTIL}
    one.tell(r.QUOTES, 1, UNTIL + 1, 20_000, 20_001, 10, 10)
    assert int(one.engine[0]["contract"][1]["position"]) == 0


@pytest.mark.parametrize("compiled", [True, False])
def test_what_it_asks_for_is_judged_like_any_signal(compiled: bool) -> None:
    class Eager(px.Strategy):
        def on_gap(self, gap):
            return px.buy(1)

    one = engine(Eager(), compiled=compiled)
    one.tell(r.COMMAND, 0, MORNING, r.BLOCK, r.HUB_AWAY)
    one.tell(r.COMMAND, 0, MORNING, r.GAP, SINCE, UNTIL)
    (refusal,) = one.logs()["refusals"]
    assert r.REASONS[refusal["reason"]] == "BLOCKED"


def test_a_strategy_without_the_hook_is_not_disturbed() -> None:
    class Deaf(px.Strategy):
        def on_quote(self, quote):
            return px.hold()

    one = engine(Deaf(), compiled=True)
    one.tell(r.COMMAND, 0, MORNING, r.GAP, SINCE, UNTIL)
    assert len(one.logs()["orders"]) == 0


# ------------------------------------------------------------------ the runner
def gaps(stage: Stage) -> list[Any]:
    """Rows of the journal by which gaps were told."""
    return [
        row for row in stage.rows(Kind.INPUT) if (row.data[0], row.data[3]) == (r.COMMAND, r.GAP)
    ]


def test_a_lost_market_hub_is_a_gap_and_a_lost_user_hub_is_none(tmp_path: Path) -> None:
    """Told before the first quote after it; what it returns closes the position."""
    heard: list[Any] = []

    def flat(gap: Any, _position: int, _orders: Any) -> Any:
        heard.append(gap)
        return px.flatten()

    async def script(stage: Stage) -> None:
        async with stage.session():
            await stage.show(BID, px.buy(1, stop_ticks=400))
            assert stage.held == 1
            stage.say(lambda *_: heard.append("quote") or px.hold(), flat)
            stage.venue.control.add("hub_drop", hub=Hub.USER.value)
            await stage.until(lambda: stage.blocked)
            await stage.until(lambda: not stage.blocked)
            heard.clear()
            stage.quote(BID + 1)
            await stage.pause(0.5)
            assert heard == ["quote"]
            before = stage.one.clock.now()
            stage.venue.control.add("hub_refuse", hub=Hub.MARKET.value, step="connect", count=2)
            stage.venue.control.add("hub_drop", hub=Hub.MARKET.value)
            await stage.until(lambda: not stage.live.hub(Hub.MARKET).connected)
            await stage.until(lambda: stage.live.hub(Hub.MARKET).connected)
            stage.quote(BID + 2)
            await stage.until(lambda: not stage.held and not stage.working)
            gap, *rest = heard[1:]
            assert isinstance(gap, Gap)
            assert rest[0] == "quote"
            assert before - NS <= gap.since < gap.until <= stage.one.clock.now()
        (row,) = gaps(stage)
        told = explain(row_path(stage), row.seq, Puppet)["input"]
        assert (told["what"], told["command"], told["contract"]) == ("command", "gap", "MNQZ26")
        assert told["since"] < told["until"]

    play(tmp_path, script)


def test_after_a_restart_it_is_told_since_when_nobody_looked(tmp_path: Path) -> None:
    """And the journal of both replays to the same state."""

    async def script(stage: Stage) -> None:
        async with stage.session():
            await stage.show(BID)
            assert gaps(stage) == []  # a first start has missed nothing
            last = int(stage.engine["contract"][0]["event_ts"])
            await stage.pause(60)  # it lives, and sees nothing
        assert last + 60 * NS <= int(stage.engine["now"])
        await stage.pause(600)
        async with stage.session():
            stage.quote(BID + 1)
            await stage.pause(1)
            state = stage.live.engine
        (row,) = gaps(stage)
        since, until = row.data[4:6]
        assert since == last
        assert until - since >= 660 * NS
        assert rebuild(row_path(stage), strategy=Puppet).snapshot() == state.snapshot()

    play(tmp_path, script)


def row_path(stage: Stage) -> Path:
    """The newest journal."""
    return sorted(stage.folder.glob("*.journal"))[-1]

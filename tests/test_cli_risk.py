"""``pxresearch risk explain``: a rule says FAIL exactly when the risk manager refuses by it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

import pxresearch as px
from pxresearch.accountdir import Latch
from pxresearch.brokers.session import EngineSession
from pxresearch.cli import main
from pxresearch.core import records as r
from pxresearch.journal import path_of
from pxresearch.standing import standing
from tests.desk import MORNING, SECOND, chicago
from tests.journal_play import DAY, header_of, play
from tests.test_core_live import BID, session, show

Change = Callable[[EngineSession], None]


def command(*values: int) -> Change:
    return lambda one: one.tell(r.COMMAND, 0, MORNING + SECOND, *values)


def lose(ticks: int) -> Change:
    """Buy one of 12.50 USD a tick, and let the market fall."""

    def change(one: EngineSession) -> None:
        show(one, MORNING, BID, px.buy(1))
        show(one, MORNING + SECOND, BID)
        show(one, MORNING + 2 * SECOND, BID - ticks)
        show(one, MORNING + 3 * SECOND, BID - ticks)

    return change


def hold(qty: int) -> Change:
    def change(one: EngineSession) -> None:
        show(one, MORNING, BID, px.buy(qty))
        show(one, MORNING + SECOND, BID)

    return change


def wide(one: EngineSession) -> None:
    one.tell(r.QUOTES, 0, MORNING, BID, BID + 9, 10, 10)


CASES: dict[str, tuple[dict, Change, str, str]] = {
    "nothing": ({}, lambda one: show(one, MORNING, BID), "", ""),
    "kill switch": ({}, command(r.HALT, r.KILL_SWITCH), "kill switch", "HALTED"),
    "blocked": ({}, command(r.BLOCK, r.HUB_AWAY), "session", "BLOCKED"),
    "day lost": ({}, lose(100), "trading day", "DAY_LOCKED"),
    "account over": ({"daily_loss_limit": None}, lose(200), "account", "ACCOUNT_OVER"),
    "size": ({"max_minis": 2}, hold(2), "position", "POSITION_CAP"),
    "product": ({"product_caps": {"ES": 1}}, hold(1), "ESH26 product cap", "PRODUCT_CAP"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_fail_is_what_refuses(case: str) -> None:
    """The rule that fails is the reason of the next refusal; where none fails, none refuses."""
    rules, change, rule, reason = CASES[case]
    one = session(at_venue=False, **rules)
    change(one)
    failed = [row.rule for row in standing(one) if not row.passes]
    assert (rule in failed) if rule else not failed
    before = len(one.logs()["refusals"])
    show(one, MORNING + 10 * SECOND, BID, px.buy(1))
    reasons = [r.REASONS[row["reason"]] for row in one.logs()["refusals"][before:]]
    assert len(reasons) == bool(reason)
    assert all(found.startswith(reason) for found in reasons), reasons


@pytest.mark.parametrize(("spread", "passes"), [(2, False), (9, True)])
def test_the_market_is_compared_as_it_is(spread: int, passes: bool) -> None:
    one = session(at_venue=False, max_spread_ticks=spread, max_quote_age_s=5)
    wide(one)
    rows = {row.rule: row for row in standing(one)}
    assert rows["ESH26 spread"].passes is passes
    assert (rows["ESH26 spread"].now, rows["ESH26 spread"].left) == (9, spread - 9)
    assert rows["ESH26 quote age"].left == 5
    one.tell(r.CLOCK, 0, MORNING + 6 * SECOND, 0, 0, 0, 0)
    rows = {row.rule: row for row in standing(one)}
    assert not rows["ESH26 quote age"].passes


def test_levels_are_the_accounts_own() -> None:
    """Ten ticks of 12.50 USD and a round turn's cost are gone."""
    one = session(at_venue=False)
    lose(10)(one)
    rows = {row.rule: row for row in standing(one)}
    cost = int(one.engine["costs"][0]) / 1e6
    lost = 11 * 12.5 + cost  # bought at the ask, marked at the bid
    assert rows["daily loss limit"].left == 1_000 - lost
    assert rows["maximum loss level"].left == 2_000 - lost
    assert rows["own orders do not meet"].set_to == "off"


def test_nothing_opens_after_the_cut_off() -> None:
    one = session(at_venue=False)
    show(one, MORNING, BID)
    cut = chicago("2026-01-13 15:05:00")
    hours = next(row for row in standing(one) if row.rule == "ESH26 hours")
    assert (hours.set_to, hours.passes) == ("15:05:00 Chicago", True)
    assert hours.left == (cut - MORNING) / 1e9
    one.tell(r.CLOCK, 0, cut, 0, 0, 0, 0)
    assert not next(row for row in standing(one) if row.rule == "ESH26 hours").passes


# ------------------------------------------------------------------ the command
@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("state")
    play(path_of(folder / "7", "paper", DAY), header_of(), 200, snapshots=100, ended=False)
    return folder


def run(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    with contextlib.suppress(SystemExit):
        main(["risk", "explain", *args])
    return capsys.readouterr().out


def test_the_table_and_the_json_say_the_same(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = run(capsys, "--account", "7", "--state", str(state))
    found = json.loads(run(capsys, "--account", "7", "--state", str(state), "--json"))
    assert found["may_open"] is True
    assert "an entry may pass" in text
    for row in found["rules"]:
        assert any(line.startswith(row["rule"]) for line in text.splitlines())
    assert "daily loss limit" in text
    assert "1,000 USD" in text


def test_a_kill_switch_of_another_process_is_seen(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The journal may not have it yet: the file counts."""
    latch = Latch(state / "7")
    latch.set(1, why="a person", by="a test")
    try:
        found = json.loads(run(capsys, "--account", "7", "--state", str(state), "--json"))
        assert found["may_open"] is False
        assert "a person" in found["kill_switch"]
        text = run(capsys, "--account", "7", "--state", str(state))
        assert "nothing opens: kill switch" in text
    finally:
        latch.path.unlink()


def test_without_a_journal_it_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["risk", "explain", "--state", str(tmp_path)])
    assert ended.value.code == 2
    assert "--state" in capsys.readouterr().err

"""``pxresearch status``: who trades, what counts, what drifts, in text, JSON and a picture."""

from __future__ import annotations

import json
import shutil
import struct
from datetime import date

import msgspec
import pytest

from pxresearch import cli, overview
from pxresearch.accountdir import AccountLock, Latch
from pxresearch.accountdir.folder import account_folder
from pxresearch.clock import WallClock
from pxresearch.drift import account as drift_account
from pxresearch.health import Health, Line
from pxresearch.promotion_ramp import ramp
from tests import invariants
from tests import journal_kit as kit

LIVE_DAY = date(2026, 9, 21)


@pytest.fixture(autouse=True)
def unwatched():
    with invariants.off():
        yield


@pytest.fixture
def run(tmp_path, capsys):
    """Run the verb on the state folder: exit code, stdout, stderr."""

    def go(*args: object):
        with pytest.raises(SystemExit) as left:
            cli.main(["status", "--state", str(tmp_path), *map(str, args)])
        return int(left.value.code or 0), *capsys.readouterr()

    return go


@pytest.fixture(scope="module")
def traded(tmp_path_factory):
    """An account with four paper days and a live one under ramped rules, all of them checked."""
    folder = account_folder(tmp_path_factory.mktemp("state"), 7)
    with invariants.off():
        kit.write_days(folder, kit.DAYS[:4])
        setup = kit.Setup(rules=ramp(0, kit.Setup().rules)[0])
        flaw = {"faults": ("a test",)}
        kit.write_session(folder, LIVE_DAY, setup, mode="live", slip=2, end=flaw)
        drift_account.update(folder)
    return folder


def health(**changes) -> Health:
    line = Line(code="MNQZ26", position=2, bid=98_000, ask=98_001, last=98_000, feed_age_s=0.4,
                open_pnl=-12_500_000, flatten_at=None, session_open=True, protected=2)  # fmt: skip
    values = {
        "ts": WallClock().now(), "account": 7, "account_name": "50KTC", "mode": "paper",
        "strategy": "EmaCross", "run": "r1", "trading_day": 20260921, "contracts": (line,),
        "balance": 50_000_000_000, "day_pnl": -120_500_000, "realized": -100_000_000,
        "open_pnl": -12_500_000, "costs": 8_000_000, "daily_loss_limit": 1_000_000_000,
        "day_room": 879_500_000, "max_loss_room": None, "flatten_at": None, "user_hub": True,
        "market_hub": False, "reconciled": True, "blocked": ("a hub is away",), "unresolved": (),
        "halted": False, "locked": "", "calls": {"Order/place": 3}, "order_ms": None,
        "journal_lag_s": 0.1, "journal_failed": None, "alerts_failed": 0, "events": 1, "orders": 2,
        "fills": 3, "refusals": 4, "last_signal": "", "last_refusal": "",
    }  # fmt: skip
    return Health(**{**values, **changes})


def test_json_holds_everything_there_is(run, tmp_path, traded):
    """Promotion with reasons, live sessions, the ramp, checks and comparisons with intervals."""
    shutil.copytree(traded, tmp_path / "7")
    code, out, err = run("--json")
    assert (code, err) == (0, "")
    (found,) = json.loads(out)["accounts"]
    assert found["account"] == 7
    assert found["running"] is False
    assert found["promotion"]["counted"] == 4
    assert "1 more full trading day" in found["promotion"]["missing"]
    assert [s["counts"] for s in found["promotion"]["sessions"]] == [True] * 4
    (live,) = found["live_sessions"]
    assert live["faults"] == ["a test"]
    assert live["fills"] > 10
    assert found["next_live_day"].startswith("live day 1:")
    assert len(found["checks"]) == 5
    assert all(check["clean"] for check in found["checks"].values())
    names = [one["name"] for one in found["comparisons"]]
    assert names == ["paper against backtest", "live against paper"]
    assert found["drifting"] == ["live against paper: slippage"]
    for one in found["comparisons"]:
        for metric in one["metrics"]:
            assert metric["low"] is None or metric["low"] <= metric["value"] <= metric["high"]


def test_text_shows_tables_and_what_drifts(run, tmp_path, traded):
    """A person sees what counts and what is missing, and the metric that drifts in capitals."""
    shutil.copytree(traded, tmp_path / "7")
    code, out, _ = run("--account", 7)
    assert code == 0
    assert "that count: 4 of 5" in out
    assert "1 more full trading day" in out
    assert "2026-09-14  yes" in out
    assert "5 of 5 sessions, replayed, decide the same" in out
    drifting = [line for line in out.splitlines() if "DRIFTS" in line]
    assert len(drifting) == 1
    assert drifting[0].startswith("slippage")
    assert "a test" in out


def test_check_makes_the_report(run, tmp_path):
    """Without a check the verb says how; with it the report is there and stays."""
    folder = account_folder(tmp_path, 7)
    kit.write_session(folder, kit.DAYS[0])
    assert "status --check" in run()[1]
    assert "1 of 1 sessions" in run("--check")[1]
    assert "1 of 1 sessions" in run()[1]


def test_figure_is_a_picture_of_one_account(run, tmp_path, traded):
    """PNG of two rows; it needs one account; without a comparison it says so and is drawn."""
    folder = account_folder(tmp_path, 8)
    code, _, err = run("--account", 8, "--figure", tmp_path / "empty.png")
    assert code == 0
    assert "empty.png" in err
    shutil.copytree(traded, tmp_path / "7")
    run("--account", 7, "--figure", tmp_path / "drift.png")
    sizes = []
    for name in ("empty", "drift"):
        data = (tmp_path / f"{name}.png").read_bytes()
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        sizes.append(struct.unpack(">II", data[16:24]))
    assert sizes[1][0] == sizes[0][0] > 1_000
    assert sizes[1][1] > sizes[0][1]
    code, _, err = run("--figure", tmp_path / "two.png")
    assert code == 2
    assert "--account" in err
    assert folder.is_dir()


def test_a_running_session_is_shown_with_its_limits(run, tmp_path):
    """Position, P&L against its limits, hubs, calls and blocks, and whose process it is."""
    folder = account_folder(tmp_path, 7)
    (folder / overview.STATUS_FILE).write_bytes(msgspec.json.encode(health()))
    with AccountLock(folder, mode="paper", run="r1"):
        out = run("--account", 7)[1]
        found = json.loads(run("--json")[1])["accounts"][0]
    for text in ("account 7 (50KTC)", "running: process", "day P&L -120.50", "today 879.50 of",
                 "market DOWN", "user up", "Order/place 3", "blocked: a hub is away", "24,500.25",
                 "to the maximum loss -"):  # fmt: skip
        assert text in out, text
    assert "NO NEWS" not in out
    assert (found["running"], found["stale"]) == (True, False)
    assert found["status"]["contracts"][0]["position"] == 2
    assert found["owner"]["run"] == "r1"


@pytest.mark.parametrize("written", [True, False])
def test_a_hung_process_is_told(run, tmp_path, written):
    """It has the account and has not said for long, or never, how it stands."""
    folder = account_folder(tmp_path, 7)
    if written:
        old = health(ts=WallClock().now() - 60 * 10**9)
        (folder / overview.STATUS_FILE).write_bytes(msgspec.json.encode(old))
    with AccountLock(folder, mode="live"):
        out = run()[1]
    assert "NO NEWS FROM IT" in out
    assert ("60 s old" if written else "never written") in out
    assert "NO NEWS" not in run()[1]  # gone: nobody is expected to say anything


def test_kill_switch_and_damage_are_told(run, tmp_path):
    """A latch, a status file that cannot be read, and a damaged journal."""
    folder = account_folder(tmp_path, 7)
    Latch(folder).set(1, why="a test", by="me")
    (folder / overview.STATUS_FILE).write_text("{")
    (folder / "paper-2026-09-14.journal").write_bytes(b"x" * 4096)
    code, out, _ = run()
    assert code == 0
    assert "KILL SWITCH: halted" in out
    assert "DAMAGED: paper-2026-09-14.journal" in out


def test_an_unknown_account_is_bad_usage(run, tmp_path):
    """The text says which accounts there are; no account at all is no error."""
    assert run()[:2] == (0, f"no account in {tmp_path} yet\n")
    account_folder(tmp_path, 7)
    code, _, err = run("--account", 8)
    assert code == 2
    assert "holds 7" in err

"""The verbs of a second terminal against a simulator on a socket: what the venue has afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pxresearch import cli
from pxresearch.accountdir import AccountLock, Box, Latch, Limits, account_folder
from pxresearch.gateway.wire import OrderSide
from tests.safety_kit import ACCOUNT, KEY, OTHER, Place

Said = tuple[int, str, str]


@pytest.fixture(scope="module")
def venue() -> Iterator[Place]:
    with Place() as place:
        yield place


@pytest.fixture
def place(venue: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Place]:
    """The venue without faults, credentials and state folder in the environment."""
    monkeypatch.setenv("PROJECT_X_USERNAME", "trader")
    monkeypatch.setenv("PROJECT_X_API_KEY", KEY)
    monkeypatch.setenv("PXRESEARCH_PROFILE", "simulator")
    monkeypatch.setenv("PXRESEARCH_STATE", str(tmp_path))
    yield venue
    venue.calm()


def run(capsys: pytest.CaptureFixture[str], *args: object) -> Said:
    """Exit code, stdout and stderr of a command."""
    with pytest.raises(SystemExit) as left:
        cli.main([str(a) for a in args])
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    assert KEY not in said.out + said.err
    return int(left.value.code or 0), said.out, said.err


def flatten(capsys: pytest.CaptureFixture[str], place: Place, *args: object) -> Said:
    given = args if {"--account", "--all"} & set(args) else ("--account", ACCOUNT, *args)
    return run(capsys, "flatten", "--url", place.url, *given)


def folder(tmp_path: Path, account: int = ACCOUNT) -> Path:
    return account_folder(tmp_path, account)


# ---------------------------------------------------------------- flatten
def test_flat_halted_and_a_line_for_each_contract(
    place: Place, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """S50: the venue is flat, the kill switch says why, the table says what was done."""
    place.busy()
    code, out, _ = flatten(capsys, place, "--reason", "the news was bad")
    assert code == 0
    assert place.is_flat()
    rows = {line.split()[1]: line.split()[2:5] for line in out.splitlines() if "CON." in line}
    assert rows == {place.id("MNQ"): ["3", "3", "yes"], place.id("MES"): ["1", "-2", "yes"]}
    assert f"account {ACCOUNT}: flat, verified" in out
    held = Latch(folder(tmp_path)).read()
    assert held is not None
    assert (held.why, held.by) == ("the news was bad", "flatten")


def test_keep_armed(place: Place, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """On request the kill switch is left alone."""
    place.busy()
    assert flatten(capsys, place, "--keep-armed")[0] == 0
    assert place.is_flat()
    assert Latch(folder(tmp_path)).read() is None


def test_all_accounts(place: Place, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """K13: every account of the user, and one object on stdout."""
    place.busy(ACCOUNT)
    place.busy(OTHER)
    code, out, _ = flatten(capsys, place, "--all", "--json")
    found = json.loads(out)
    assert (code, found["flat"]) == (0, True)
    assert [one["account"] for one in found["accounts"]] == [ACCOUNT, OTHER]
    assert all(len(one["contracts"]) == 2 for one in found["accounts"])
    for account in (ACCOUNT, OTHER):
        assert place.is_flat(account)
        assert Latch(folder(tmp_path, account)).read() is not None


def test_one_account_leaves_the_other(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Only the account that was named."""
    place.busy(OTHER)
    code, out, _ = flatten(capsys, place)
    assert (code, place.is_flat(OTHER)) == (0, False)
    assert "nothing was open" in out


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("rate_limit_storm", {"skip": 1, "count": 6}),
        ("lose_response", {"skip": 1, "when": "after", "how": "reset", "count": 4}),
        ("lose_response", {"when": "before", "operation": "Account/search", "count": 1}),
    ],
)
def test_whatever_the_venue_does(
    place: Place, capsys: pytest.CaptureFixture[str], name: str, given: dict[str, Any]
) -> None:
    """Requests refused, answers lost: flat in the end, and proven. More in test_emergency."""
    place.busy()
    place.fault(name, **given)
    code, out, err = flatten(capsys, place, "--limit-s", 60)
    assert code == 0, out + err
    assert place.is_flat()


def test_a_market_that_is_halted_and_opens_again(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """Halted: not flat, exit code 1, the venue's word. Open again: the same command does it."""
    place.busy()
    place.do(lambda venue: venue.exchange.halt(place.id("MNQ"), True))
    code, out, _ = flatten(capsys, place, "--limit-s", 1.5)
    assert code == 1
    assert "NOT FLAT" in out
    assert place.held() == {place.id("MNQ"): 3}
    line = next(one for one in out.splitlines() if place.id("MNQ") in one)
    assert "NO" in line.split()
    assert len(line.split()) > 6  # with a word of the venue
    opens = threading.Timer(
        1.0, lambda: place.do(lambda venue: venue.exchange.halt(place.id("MNQ"), False))
    )
    opens.start()
    assert flatten(capsys, place)[0] == 0
    opens.join()
    assert place.is_flat()


def test_a_position_that_comes_back(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody buys by hand while it flattens: that is closed too."""
    place.busy()
    place.fault("slow_response", operation="Position/closeContract", count=2, seconds=0.6)

    def meddle() -> None:
        control = place.simulator.control
        place.do(lambda _: control.manual(ACCOUNT, place.id("MNQ"), 1, 2))

    timers = [threading.Timer(after, meddle) for after in (0.5, 0.9, 1.3)]
    for one in timers:
        one.start()
    code = flatten(capsys, place)[0]
    for one in timers:
        one.join()
    # What came after the venue was seen flat twice is not this command's.
    assert code == 0
    trades = place.do(lambda venue: venue.exchange.truth(ACCOUNT).trades)
    ours = [t for t in trades if t.contract_id == place.id("MNQ") and t.side is OrderSide.SELL]
    assert sum(t.size for t in ours) > 3


def test_a_venue_that_cannot_be_asked_is_not_flat(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, the reason, and one object on stdout all the same."""
    place.fault("status", operation="Position/searchOpen", status=400, count=None)
    code, out, _ = flatten(capsys, place, "--limit-s", 1, "--json")
    found = json.loads(out)
    assert (code, found["flat"]) == (1, False)
    assert "400" in found["accounts"][0]["trouble"]


def test_an_account_that_is_not_ours(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """A mistyped id is never called flat; the accounts that there are are named."""
    code, out, err = flatten(capsys, place, "--account", 71)
    assert (code, out) == (2, "")
    assert str(ACCOUNT) in err


@pytest.mark.parametrize(
    ("args", "text"),
    [((), "--account"), (("--account", ACCOUNT, "--limit-s", "0"), "--limit-s"),
     (("--account", ACCOUNT, "--profile", "nowhere"), "nowhere")],
)  # fmt: skip
def test_bad_usage(
    place: Place, capsys: pytest.CaptureFixture[str], args: tuple[object, ...], text: str
) -> None:
    """Exit code 2, and nothing was done."""
    place.busy()
    code, out, err = run(capsys, "flatten", *args)
    assert (code, out) == (2, "")
    assert text in err
    assert not place.is_flat()


def test_a_wrong_key_is_told_at_once(
    place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    """No minute of trying; the kill switch is set all the same."""
    monkeypatch.setenv("PROJECT_X_API_KEY", "wrong")
    code, _, err = flatten(capsys, place, "--limit-s", 600)
    assert code == 1
    assert "do not belong together" in err
    assert Latch(folder(tmp_path)).read() is not None


@pytest.mark.skipif(sys.platform == "win32", reason="the size of files cannot be limited there")
def test_a_full_disk(place: Place, tmp_path: Path) -> None:
    """K13: with no byte to be written to any file it is flat, and the kill switch counts as set."""
    place.busy()
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0));"
        "from pxresearch import cli; cli.main(sys.argv[1:])"
    )
    command = [sys.executable, "-B", "-c", code, "flatten", "--account", str(ACCOUNT), "--url"]
    done = subprocess.run(
        [*command, place.url], env=os.environ.copy(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert place.is_flat()
    held = Latch(folder(tmp_path))
    assert held.path.read_bytes() == b""
    assert held.read() is not None


@pytest.mark.skipif(sys.platform == "win32", reason="file modes mean something else there")
def test_a_state_folder_that_cannot_be_written(
    place: Place, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """It is said that the kill switch is not set, and the account is flattened."""
    place.busy()
    (tmp_path / "file").touch()
    code, _, err = flatten(capsys, place, "--state", tmp_path / "file")
    assert code == 0
    assert place.is_flat()
    assert "could not be set" in err


# ---------------------------------------------------------------- rearm
def test_rearm(place: Place, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """K14: a reason is needed on the same day, and it is left for the process to journal."""
    here = folder(tmp_path)
    assert flatten(capsys, place)[0] == 0
    code, _, err = run(capsys, "rearm", "--account", ACCOUNT, "--reason", "too short")
    assert code == 2
    assert "10" in err
    assert Box(here).take() == []
    code, out, _ = run(capsys, "rearm", "--account", ACCOUNT, "--reason", "the feed is back again")
    assert code == 0
    assert "when it is traded again" in out
    assert [(one.kind, one.reason) for one in Box(here).take()] == [
        ("rearm", "the feed is back again")
    ]
    assert Latch(here).read() is not None  # whoever takes the command releases it
    assert run(capsys, "rearm", "--account", 5)[0] == 2


def test_a_command_that_is_taken(
    place: Place, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """With a process that trades the answer waits until it has the command."""
    here, taken = folder(tmp_path), []
    over = threading.Event()

    def trader() -> None:
        while not over.wait(0.02):
            taken.extend(Box(here).take())

    with AccountLock(here, mode="live"):
        thread = threading.Thread(target=trader)
        thread.start()
        code, out, _ = run(capsys, "limits", "--account", ACCOUNT, "--daily-loss", "300.50")
        over.set()
        thread.join()
    assert code == 0
    assert "tightened now" in out
    assert [(one.kind, one.rule, one.value) for one in taken] == [
        ("limit", "daily_loss", 300_500_000)
    ]


# ---------------------------------------------------------------- limits
def test_tighter_now_looser_tomorrow(
    place: Place, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """K33: and each says so."""
    args = ("limits", "--account", ACCOUNT, "--daily-loss")
    assert "holds from now on" in run(capsys, *args, 500)[1]
    assert "holds from now on" in run(capsys, *args, 300)[1]
    said = run(capsys, *args, 1_000)[1]
    assert "from the next trading day on" in said
    assert "300.00 USD" in said
    kept = json.loads((folder(tmp_path) / "limits.json").read_bytes())
    assert (kept["own"], kept["later"]) == (
        {"daily_loss": 300_000_000}, {"daily_loss": 1_000_000_000},
    )  # fmt: skip
    assert Limits(folder(tmp_path)).ask("daily_loss", 300_000_000, kept["day"]).now


@pytest.mark.parametrize("value", ["0", "-5", "0.0000001", "nan", "inf", "much"])
def test_an_amount_that_is_none(
    place: Place, capsys: pytest.CaptureFixture[str], tmp_path: Path, value: str
) -> None:
    """Exit code 2, and nothing was kept."""
    code, out, err = run(capsys, "limits", "--account", ACCOUNT, "--daily-loss", value)
    assert (code, out) == (2, "")
    assert "--daily-loss" in err
    assert not (folder(tmp_path) / "limits.json").exists()

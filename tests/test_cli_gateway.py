"""The verbs of the gateway, against a simulator on a socket: exit codes and what is printed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

import pxresearch as px
from pxresearch import cli
from pxresearch.catalog import Catalog
from pxresearch.gateway import checks
from pxresearch.gateway.recorder import FOLDER
from pxresearch.simulator import Simulator, SimulatorSettings, start
from pxresearch.simulator.settings import VenueSettings

SECRET = "planted-key-8472"
IN_TABLE = 1_790_000_000 * 10**9  # 2026-09-21
Said = tuple[int, str, str]


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """A simulator in a thread of its own, for the module."""
    settings = SimulatorSettings(
        port=0, api_key=SECRET, market="demo", catalog=tmp_path_factory.mktemp("market"),
        most_silence_s=0.2, history_days=30, venue=VenueSettings(always_open=True),
    )  # fmt: skip
    ready, over = threading.Event(), asyncio.Event()
    held: list[Simulator] = []
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with start(settings) as one:
            held.append(one)
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(60)
    yield held[0]
    loop.call_soon_threadsafe(over.set)
    thread.join(30)
    loop.close()
    assert not thread.is_alive()


@pytest.fixture
def where(simulator: Simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Options that lead to the simulator, with its credentials in the environment."""
    monkeypatch.setenv("PROJECT_X_USERNAME", simulator.username)
    monkeypatch.setenv("PROJECT_X_API_KEY", SECRET)
    monkeypatch.delenv("PXRESEARCH_PROFILE", raising=False)
    return ["--profile", "simulator", "--url", simulator.url]


def front(simulator: Simulator, root: str) -> str:
    """Code of a product's active contract, which the date decides."""
    listed = simulator.venue.exchange.listed
    return next(one.code for one in listed if one.product.root == root)


def run(capsys: pytest.CaptureFixture[str], *args: object) -> Said:
    """Exit code, stdout and stderr of a command."""
    with pytest.raises(SystemExit) as left:
        cli.main([str(a) for a in args])
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    assert SECRET not in said.out + said.err
    return int(left.value.code or 0), said.out, said.err


# ---------------------------------------------------------------- credentials
@pytest.mark.parametrize("verb", [("data", "download", "MNQ", "--from", "2026-11-02"),
                                  ("data", "record", "MNQ", "--for", "1s")])  # fmt: skip
@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("PROJECT_X_API_KEY", None, "no API key"), ("PROJECT_X_USERNAME", None, "no user name"),
        ("PROJECT_X_API_KEY", " ", "blank"), ("PROJECT_X_API_KEY", SECRET + "\n", "line break"),
        ("PROJECT_X_API_KEY", "wrong", "do not belong together"),
    ],
)  # fmt: skip
def test_four_kinds_of_wrong_credentials(
    where: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path, verb: tuple[str, ...], name: str, value: str | None, text: str,
) -> None:  # fmt: skip
    """Missing, blank, with a line break, wrong: one clear line, an exit code that is not 0."""
    monkeypatch.delenv(name)
    if value is not None:
        monkeypatch.setenv(name, value)
    code, out, err = run(capsys, *verb, *where, "--catalog", tmp_path / "c")
    assert code in (1, 2)
    assert out == ""
    assert text in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("verb", [("data", "download"), ("data", "record"), ("doctor",)])
def test_help(capsys: pytest.CaptureFixture[str], verb: tuple[str, ...]) -> None:
    """Each verb explains itself, with the profile that it would use."""
    code, out, _ = run(capsys, *verb, "--help")
    assert code == 0
    assert "--profile" in out


# ---------------------------------------------------------------- doctor
def test_doctor(
    where: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One object and exit code 0, on a day that the session table covers."""
    judge = checks.check_calendar
    monkeypatch.setattr(checks, "check_calendar", lambda now: judge(IN_TABLE))
    code, out, err = run(capsys, "doctor", *where, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["ok"] is True
    assert {check["name"] for check in found["checks"]} > {"REST", "user hub", "market hub"}


def test_doctor_of_a_sick_gateway(
    where: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 1, and still one object."""
    monkeypatch.setenv("PROJECT_X_API_KEY", "wrong")
    code, out, _ = run(capsys, "doctor", *where, "--json")
    assert code == 1
    assert json.loads(out)["ok"] is False
    code, out, _ = run(capsys, "doctor", *where)
    assert code == 1
    assert "to do: " in out


# ---------------------------------------------------------------- download
def test_download_twice(
    simulator: Simulator, where: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The first run stores what the venue has, the second nothing; the bars can be loaded."""
    first = date.today() - timedelta(days=8)  # noqa: DTZ011 - the simulator's days end today
    args = ("data", "download", "MNQ", "--from", first, *where, "--catalog", tmp_path, "--json")
    code, out, err = run(capsys, *args)
    assert (code, err) == (0, "")
    report = json.loads(out)
    assert report["contract"] == front(simulator, "MNQ")
    assert len(report["stored"]) >= 4
    bars = px.load(report["contract"], catalog=tmp_path, bars="1m")
    assert bars.rows == {"bars": report["rows"]}
    assert [str(day) for day in bars.sessions] == report["stored"]
    again = json.loads(run(capsys, *args)[1])
    assert (again["stored"], again["held"]) == ([], report["stored"])
    assert "held already" in run(capsys, *args[:-1])[1]


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (("download", "MNQ", "--from", "yesterday"), "--from"),
        (("download", "MNQ", "--from", "2026-11-02", "--unit", "1w"), "unit"),
        (("download", "MNQ", "--from", "2026-11-02", "--to", "2026-11-01"), "before it begins"),
        (("download", "XYZZ26", "--from", "2026-11-02"), "XYZ"),
        (("record", "MNQ", "--for", "8"), "--for"), (("record", "XYZ"), "XYZ"),
    ],
)  # fmt: skip
def test_bad_usage_of_data(
    where: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, args: tuple[str, ...],
    text: str,
) -> None:  # fmt: skip
    """Exit code 2, the flag or the name in the message, nothing written."""
    code, out, err = run(capsys, "data", *args, *where, "--catalog", tmp_path / "c")
    assert (code, out) == (2, "")
    assert text in err
    assert not list((tmp_path / "c").rglob("*.parquet"))


def test_an_unknown_profile_and_url(capsys: pytest.CaptureFixture[str]) -> None:
    """A profile that does not exist names those that do; a plain http host is refused."""
    code, _, err = run(capsys, "doctor", "--profile", "topstep")
    assert code == 2
    assert "topstepx" in err
    assert run(capsys, "doctor", "--url", "http://example.com")[0] == 2


# ---------------------------------------------------------------- record
def test_record_for_a_while(
    simulator: Simulator, where: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Two contracts with depth: every kind is in the catalogue, and no spool is left."""
    mnq, mes = front(simulator, "MNQ"), front(simulator, "MES")
    args = ("MNQ", mes, mnq, "--for", "2s", "--depth", "--catalog", tmp_path, "--json")
    code, out, err = run(capsys, "data", "record", *args, *where)
    assert (code, err) == (0, f"pxresearch: recording {mnq}, {mes}; Ctrl-C ends and stores it\n")
    report = json.loads(out)
    held = {(p.contract, p.kind): p.rows for p in Catalog(tmp_path).parts()}
    assert {f"{code} {kind}": rows for (code, kind), rows in held.items()} == report["rows"]
    assert {name for name in report["rows"] if "trades" not in name} == {
        f"{code} {kind}" for code in (mnq, mes) for kind in ("quotes", "depth")
    }
    assert not list((tmp_path / FOLDER).iterdir())
    shown = run(capsys, "data", "show", mnq, "--catalog", tmp_path)
    assert shown[0] == 0
    assert "depth" in shown[1]


@pytest.mark.skipif(sys.platform == "win32", reason="a console signal cannot be sent to one child")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_a_recording(
    simulator: Simulator, where: list[str], tmp_path: Path, number: int
) -> None:
    """Ctrl-C and SIGTERM store what came and leave with 0; after SIGKILL the next start does."""
    record = [sys.executable, "-m", "pxresearch.cli", "data", "record", "MNQ", *where,
              "--catalog", str(tmp_path)]  # fmt: skip
    child = subprocess.Popen(
        record, env=os.environ.copy(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with child:
        until = time.monotonic() + 60
        while not any(p.stat().st_size for p in (tmp_path / FOLDER).glob("*.spool")):
            assert time.monotonic() < until
            assert child.poll() is None, child.stderr and child.stderr.read()
            time.sleep(0.05)
        child.send_signal(number)
        out, err = child.communicate(timeout=30)
    if number == signal.SIGKILL:
        assert not list(tmp_path.rglob("*.parquet"))
        done = subprocess.run([*record, "--for", "1s"], capture_output=True, text=True, check=True)
        assert "of an earlier recording were saved" in done.stdout
    else:
        assert (child.returncode, err.count("\n")) == (0, 1)
        assert f"{front(simulator, 'MNQ')} quotes" in out
    assert px.load(front(simulator, "MNQ"), catalog=tmp_path).rows["quotes"] >= 1
    assert not list((tmp_path / FOLDER).iterdir())

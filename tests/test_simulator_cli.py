"""``pxresearch simulator``: what it prints, how it ends, what it refuses."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pxresearch.simulator.fault_table import COMMON, FAULTS
from pxresearch.simulator.pointers import pointers
from pxresearch.simulator.server import SimulatorSettings
from pxresearch.simulator.switches import switched, switches

LIMIT = 60  # seconds at most for a process, on a busy machine
QUIET = ["--port", "0", "--market", "none", "--always-open"]
DOCS = Path(__file__).parents[1] / "docs" / "simulator.md"


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pxresearch.cli", "simulator", *arguments]


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A simulator that is ready, and its first line; killed at the end if it still runs."""
    with subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline()
        finally:
            if process.poll() is None:
                process.kill()


def test_it_is_ready_when_it_says_so_and_tells_where() -> None:
    """The first line begins with ready and its URL answers; --json gives the rest on the next."""
    with running(*QUIET, "--username", "me", "--json") as (process, line):
        ready, url, *rest = line.split()
        assert (ready, rest) == ("ready", ["user", "me", "account", "7001122"])
        with urllib.request.urlopen(f"{url}/api/Status/ping", timeout=LIMIT) as answer:
            assert answer.read() == b"pong"
        assert process.stdout is not None
        facts = json.loads(process.stdout.readline())
        assert facts["marketHub"] == f"{url}/hubs/market"
        assert facts["accounts"] == [7_001_122]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no kill that can be caught")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly_on_a_signal(number: signal.Signals) -> None:
    """Exit code 0 and nothing on stderr."""
    with running(*QUIET) as (process, line):
        assert line.startswith("ready http://127.0.0.1:")
        process.send_signal(number)
        assert process.wait(timeout=LIMIT) == 0
        assert process.stdout is not None
        assert process.stderr is not None
        out, errors = process.stdout.read(), process.stderr.read()
    assert errors == ""
    for client in ("project-x-py", "topstep-sdk", "signalrcore", "@microsoft/signalr"):
        assert client in out


def test_a_taken_port_is_told_with_what_to_do() -> None:
    """Exit code 1, the port, and the option that helps."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            command(*QUIET, "--port", port), capture_output=True, text=True, timeout=LIMIT,
            check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert f"port {port} of 127.0.0.1" in done.stderr
    assert "--port 0" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--market", "moon"], "demo, catalog, none"),
        (["--clock", "sundial"], "now, data, step"),
        (["--account", "rich"], "practice, combine"),
        (["--account", "practice:auto_oco:x"], "BALANCE dollars"),
        (["--account", "practice:auto_oco:1:2"], "KIND[:MODE[:BALANCE]]"),
        (["--user", "nobody"], "NAME:KEY"),
        (["--from", "soon", "--market", "catalog"], "2026-09-14"),
        (["--speed", "3"], "clock 'data'"),
        (["--api-key", " "], "a name and an api key"),
        (["--set", "answer_first"], "NAME=VALUE"),
        (["--set", "answer_frist=true"], "'answer_first'"),
        (["--set", "answer_first=maybe"], "'maybe' is no bool"),
        (["--set", "limit_fill=magic"], "through, touch, queue"),
    ],
)
def test_bad_usage_is_exit_code_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what was received and what is allowed, before anything listens."""
    from pxresearch.cli import main

    with pytest.raises(SystemExit) as left:
        main(["simulator", "--port", "0", "--market", "none", *arguments])
    assert left.value.code == 2
    assert words in capsys.readouterr().err


def test_every_switch_of_the_page_can_be_set() -> None:
    """Each is a member of the settings, with the default that the page shows; none is left out."""
    page = DOCS.read_text(encoding="utf-8")
    known = switches()
    shown = dict(re.findall(r"^\| `(\w+)=([^`]*)` \|", page, re.MULTILINE))
    assert set(shown) == set(known)
    plain = SimulatorSettings()
    assert switched(plain, [f"{name}={value}" for name, value in shown.items()]) == plain
    changed = switched(plain, ["answer_first=true", "ping_s=3", "history_days=5"])
    assert (changed.api.answer_first, changed.hub.ping_s, changed.history_days) == (True, 3.0, 5)


def test_the_lines_to_paste_name_this_simulator() -> None:
    """Every URL in them is the running one's."""
    lines = "\n".join(pointers("http://127.0.0.1:9", "me", "key"))
    assert lines.count("http://127.0.0.1:9") >= 7
    assert "ws://127.0.0.1:9/hubs/market" in lines
    assert "{" not in lines.replace("{\n", "").replace("options={", "")


def test_the_page_has_the_table_of_faults() -> None:
    """docs/simulator.md shows each fault with its text and parameters, and no other."""
    page = DOCS.read_text(encoding="utf-8")
    rows = [line.split("|")[1:-1] for line in page.splitlines() if line.startswith("| `")]
    shown = {row[0].strip().strip("`"): [cell.strip() for cell in row[1:]] for row in rows}
    assert set(shown) >= set(FAULTS)
    for name, kind in FAULTS.items():
        text, parameters = shown[name]
        assert text == kind.text
        wanted = ", ".join(f"`{key}={value!r}`" for key, value in kind.parameters.items())
        assert parameters == wanted
    assert all(f"`{name}`" in page for name in COMMON)

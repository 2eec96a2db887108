"""Real processes: ``pxresearch trade`` killed at random, started again, flat in the end.

A simulator in a process of its own plays a made day twenty times as fast; each seed is a state
folder, some lives of ``trade --live`` that end with kill -9, and ``pxresearch flatten``. What is
checked is what the simulator itself says. 2 seeds by default, PXRESEARCH_PROOF=50 runs a hundred;
a failure names its seed.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pxresearch.gateway.tags import read_tag
from pxresearch.journal import rebuild, verify
from pxresearch.simulator.server import FIRST_ACCOUNT
from tests.crash_kit import PROBE
from tests.trade_kit import DAY, make_tape

SEEDS = 2 * int(os.environ.get("PXRESEARCH_PROOF", "1"))
LIVES = 3
SPEED = 20
KEYS = {"PROJECT_X_USERNAME": "trader", "PROJECT_X_API_KEY": "secret"}
REJECTED, OPEN, STOP = 5, 1, 4  # as on the wire
LEGS = ("S", "T")
PATIENCE_S = 60.0


def pxresearch(*words: str, output: Any = subprocess.PIPE) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "pxresearch.cli", *words], stdout=output,
        stderr=subprocess.STDOUT, env={**os.environ, **KEYS},
    )  # fmt: skip


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day of one contract, a quote every second."""
    folder = tmp_path_factory.mktemp("tape")
    return make_tape(folder, days=DAY, codes=("MNQZ26",), quiet_s=1.0, busy_s=1.0)


@pytest.fixture
def url(tape: Path) -> Iterator[str]:
    """A simulator that plays it; each seed's account begins with its whole loss limit."""
    process = pxresearch(
        "simulator", "--port", "0", "--market", "catalog", "--catalog", str(tape), "--clock",
        "data", "--speed", str(SPEED), "--contract", "MNQZ26", "--from", str(DAY[0]), "--to",
        str(DAY[0]),
    )  # fmt: skip
    assert process.stdout is not None
    try:
        line = process.stdout.readline().decode()
        found = re.match(r"ready (\S+)", line)
        assert found, line
        yield found.group(1)
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def truth(url: str) -> dict[str, Any]:
    """The account as the simulator has it."""
    with urllib.request.urlopen(f"{url}/control/state", timeout=10) as answer:
        accounts = json.load(answer)["accounts"]
    return next(one for one in accounts if one["account"]["id"] == FIRST_ACCOUNT)


def working(account: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in account["orders"] if one["status"] in (0, 1, 6, 7, 8)]


def start(url: str, state: Path, seed: int) -> subprocess.Popen[bytes]:
    with (state / "output.txt").open("ab") as output:
        return pxresearch(
            "trade", f"{PROBE}:CrashProbe", "--contract", "MNQZ26", "--account",
            str(FIRST_ACCOUNT), "--rules", "combine-150k", "--profile", "simulator", "--url", url,
            "--state", str(state), "--live", "--override", "a seeded run that is killed", "--set",
            f"seed={seed}", "--set", "often=50", output=output,
        )  # fmt: skip


def wait_for(state: Path, process: subprocess.Popen[bytes], since: float) -> None:
    """Until this process has told of its health for the first time."""
    status = state / str(FIRST_ACCOUNT) / "status.json"
    limit = time.monotonic() + PATIENCE_S
    while not (status.exists() and status.stat().st_mtime > since):
        assert process.poll() is None, (state / "output.txt").read_text()
        assert time.monotonic() < limit, (state / "output.txt").read_text()
        time.sleep(0.02)


def check_orders(account: dict[str, Any], since: int) -> int:
    """One order an intent, of those placed after `since`; how many there are."""
    orders = [one for one in account["orders"] if one["id"] > since and one["status"] != REJECTED]
    tags = [tag for one in orders if (tag := read_tag(one["customTag"])) and tag.leg not in LEGS]
    doubled = [n for n, times in Counter(tag.intent for tag in tags).items() if times > 1]
    assert not doubled, [one["customTag"] for one in orders]
    return len(tags)


def check_stops(account: dict[str, Any]) -> None:
    """A dead process leaves no position without its stop at the venue."""
    for position in account["positions"]:
        closing = 1 if position["type"] == 1 else 0
        stops = sum(
            one["size"] - one["fillVolume"]
            for one in account["orders"]
            if one["status"] == OPEN and one["type"] == STOP and one["side"] == closing
        )
        assert stops >= position["size"], (position, working(account))


@pytest.mark.parametrize("seed", range(SEEDS))
def test_killed_processes_double_nothing_and_end_flat(url: str, tmp_path: Path, seed: int) -> None:
    """kill -9 while it starts or trades, again and again; then flat from outside."""
    rng = random.Random(seed)
    before = max((one["id"] for one in truth(url)["orders"]), default=0)
    for _ in range(LIVES):
        since = time.time()
        process = start(url, tmp_path, seed)
        with contextlib.ExitStack() as stack:
            stack.callback(process.wait)
            stack.callback(process.kill)
            if rng.random() < 0.8:
                wait_for(tmp_path, process, since)
                time.sleep(rng.uniform(0, 2.5))
            else:
                time.sleep(rng.uniform(0.2, 2.5))
        account = truth(url)
        check_orders(account, before)
        check_stops(account)
    with (tmp_path / "output.txt").open("ab") as output:
        flat = pxresearch(
            "flatten", "--account", str(FIRST_ACCOUNT), "--profile", "simulator", "--url", url,
            "--state", str(tmp_path), "--reason", "the run is over", output=output,
        )  # fmt: skip
        assert flat.wait(120) == 0, (tmp_path / "output.txt").read_text()
    account = truth(url)
    assert not account["positions"]
    assert not working(account)
    assert check_orders(account, before) > 0
    (journal,) = (tmp_path / str(FIRST_ACCOUNT)).glob("live-*.journal")
    assert verify(journal) == ""
    rebuild(journal)

"""A strategy that never comes back, in a process of its own: its account is flattened all the same.

The process is real, and so are the sockets. Compiled code holds nothing up because it runs without
the interpreter's lock; plain Python because it has to give it up.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pxresearch.accountdir import Latch, account_folder, owner
from tests.safety_kit import ACCOUNT, KEYS, Place

ROOT = Path(__file__).resolve().parents[1]
SPIN = """
import pxresearch as px


class Spin(px.Strategy):
    \"\"\"Turns for ever at the first quote.\"\"\"

    turns: int = 3

    def on_quote(self, quote, position):
        n = 0
        while n < self.turns:
            n = n + 1 if n + 1 < self.turns else 0
        return px.hold()
"""


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with Place() as one:
        yield one


@pytest.mark.parametrize("how", ["compiled", "plain"])
def test_a_strategy_that_hangs(place: Place, tmp_path: Path, how: str) -> None:
    """The flatten time passes while it turns; the venue is flat, and the latch says by whom."""
    folder = account_folder(tmp_path, ACCOUNT)
    before, traded = logins(place), opened(place)
    with hung(place, folder, how, due_s=2) as child:
        assert _until(lambda: place.is_flat() and Latch(folder).read() is not None)
        assert child.poll() is None  # it hangs to this day
        assert owner(folder) is not None
    held = Latch(folder).read()
    assert held is not None
    assert held.by == "guardian"
    assert "no sign of life" in held.why
    assert opened(place) - traded == 3
    assert logins(place) - before == 1  # the guardian's token was lent


@pytest.mark.skipif(sys.platform == "win32", reason="no process can be stopped there")
def test_a_process_that_is_stopped_whole(place: Place, tmp_path: Path) -> None:
    """Its guardian with it: a second terminal flattens, and asks nothing of it."""
    folder = account_folder(tmp_path, ACCOUNT)
    with hung(place, folder, "plain", due_s=600) as child:
        os.kill(child.pid, signal.SIGSTOP)
        assert not place.is_flat()
        flatten = [sys.executable, "-m", "pxresearch.cli", "flatten", "--account", str(ACCOUNT)]
        keys = {"PROJECT_X_USERNAME": KEYS.user_name, "PROJECT_X_API_KEY": KEYS.api_key}
        done = subprocess.run(
            [*flatten, "--profile", "simulator", "--url", place.url, "--state", str(tmp_path)],
            env=os.environ | keys, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert place.is_flat()
        held = Latch(folder).read()
        assert held is not None
        assert held.by == "flatten"
        assert owner(folder) is not None  # it has the account to this day


@contextlib.contextmanager
def hung(place: Place, folder: Path, how: str, due_s: int) -> Iterator[subprocess.Popen[str]]:
    """A process with a position and a resting entry, whose strategy has just begun to turn."""
    (folder / "spin.py").write_text(SPIN, encoding="utf-8")
    command = [sys.executable, "-m", "tests.hung_child", place.url, str(folder)]
    child = subprocess.Popen(
        [*command, str(folder / "spin.py"), how, str(due_s)], cwd=ROOT, stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    with child:
        assert child.stdout is not None
        try:
            assert child.stdout.readline() == "hanging\n"
            yield child
        finally:
            child.kill()


def opened(place: Place) -> int:
    """Contracts that were opened so far; a trade without a profit opened."""
    trades = place.do(lambda venue: list(venue.exchange.truth(ACCOUNT).trades))
    return sum(one.size for one in trades if one.profit_and_loss is None)


def logins(place: Place) -> int:
    return len(place.do(lambda venue: venue.log.since(0, "request", "loginKey")))


def _until(true: Callable[[], bool]) -> bool:
    pause = threading.Event()
    for _ in range(600):
        if true():
            return True
        pause.wait(0.05)
    return False

"""A strategy that never comes back, in a process of its own: its account is flattened all the same.

The process is real, and so are the sockets. Compiled code holds nothing up because it runs without
the interpreter's lock; plain Python because it has to give it up.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pxresearch.accountdir import Latch, account_folder, owner
from tests.safety_kit import ACCOUNT, Place

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
    (tmp_path / "spin.py").write_text(SPIN, encoding="utf-8")
    before = logins(place)
    command = [sys.executable, "-m", "tests.hung_child", place.url, str(folder)]
    child = subprocess.Popen(
        [*command, str(tmp_path / "spin.py"), how], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout is not None
        try:
            assert child.stdout.readline() == "hanging\n"
            assert place.held() == {place.id("MNQ"): 3}
            assert _until(lambda: place.is_flat() and Latch(folder).read() is not None)
            assert child.poll() is None  # it hangs to this day
            assert owner(folder) is not None
        finally:
            child.kill()
    held = Latch(folder).read()
    assert held is not None
    assert held.by == "guardian"
    assert "no sign of life" in held.why
    assert logins(place) - before == 1  # the guardian's token was lent


def logins(place: Place) -> int:
    return len(place.do(lambda venue: venue.log.since(0, "request", "loginKey")))


def _until(true: Callable[[], bool]) -> bool:
    pause = threading.Event()
    for _ in range(600):
        if true():
            return True
        pause.wait(0.05)
    return False

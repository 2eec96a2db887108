"""The shipped engine is of this source; kept hooks are never taken for one another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from pxresearch import hooks
from pxresearch.core import jit, kept, prebuilt
from pxresearch.core.replay import drive
from pxresearch.core.venue import venue


@pytest.mark.parametrize("name", prebuilt.NAMES)
def test_the_shipped_files_are_of_this_source(name: str) -> None:
    """After a change of the core: python -m pxresearch.core.prebuilt."""
    with prebuilt.file_of(name).open("rb") as file:
        assert json.loads(file.readline())["stamp"] == jit.core_stamp()


@pytest.mark.parametrize(("name", "entry"), [("engine", drive), ("venue", venue)])
def test_the_shipped_entries_are_what_runs(name: str, entry: jit.Entry, tmp_path: Path) -> None:
    call = prebuilt.load(name, jit.core_stamp(), str(tmp_path))
    assert call is not None
    assert len(list(tmp_path.glob(f"pxresearch-{name}-*.bin"))) == 1
    again = prebuilt.load(name, jit.core_stamp(), str(tmp_path))
    assert again is not None
    assert again.code.address != 0  # type: ignore[attr-defined]
    assert entry.dispatcher.py_func.__name__ in ("drive", "venue")


def test_another_source_is_not_served(tmp_path: Path) -> None:
    assert prebuilt.load("engine", "another stamp", str(tmp_path)) is None
    assert list(tmp_path.iterdir()) == []


def test_a_torn_file_is_not_served(tmp_path: Path) -> None:
    prebuilt.load("engine", jit.core_stamp(), str(tmp_path))
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert kept.read(path) is None


STRATEGY = """
import sys
import numpy as np
import pxresearch as px

class {name}(px.Strategy):
    count = px.state(int)

    def on_quote(self, quote, position):
        self.count += 1
        if self.count == {at}:
            return px.{side}({qty})
        return px.hold()

n = 50
ts = np.arange(n, dtype=np.int64) * 10**9 + 1768921200 * 10**9
bid = np.full(n, 80000, dtype=np.int32)
ticks = px.ticks("NQH26", quotes={{"ts": ts, "bid": bid, "ask": bid + 1}})
result = px.backtest({name}(), ticks, account="combine-50k")
print(result.fills["side"][0], result.fills["qty"][0])
"""


def run(folder: Path, source: str) -> str:
    path = folder / f"s{len(list(folder.glob('*.py')))}.py"
    path.write_text(source)
    env = {**os.environ, "NUMBA_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_hooks_of_other_processes_are_told_apart(tmp_path: Path) -> None:
    """Alike in name and number, compiled in processes of their own, then loaded together."""
    first = STRATEGY.format(name="Same", at=5, side="buy", qty=1)
    second = STRATEGY.format(name="Same", at=7, side="sell", qty=2)
    assert run(tmp_path, first) == "buy 1"
    assert run(tmp_path, second) == "sell 2"
    both = first + "\n" + second.split("import pxresearch as px\n")[1]
    assert run(tmp_path, both).splitlines() == ["buy 1", "sell 2"]
    assert run(tmp_path, first) == "buy 1"


def test_a_hook_of_unknown_ingredients_is_not_kept() -> None:
    space: dict[str, object] = {}
    exec(
        textwrap.dedent("""
        import math
        LIMIT = 3.0
        def helper(x): return x
        helper.__module__ = "somewhere"
        def plain(self, quote): return math.floor(quote.bid) > LIMIT
        def uses_helper(self, quote): return helper(quote.bid)
        """),
        space,
    )
    first = hooks.ingredients(space["plain"])
    assert first is not None
    assert hooks.ingredients(space["uses_helper"]) is None
    space["LIMIT"] = 4.0
    assert hooks.ingredients(space["plain"]) != first


@pytest.mark.parametrize("name", ["reach", "PartLibrary", "EntryLibrary"])
def test_what_the_one_module_trick_relies_on(name: str) -> None:
    """numba still has the methods that core/onemodule.py overrides."""
    from numba.core.codegen import JITCodeLibrary

    from pxresearch.core import onemodule

    assert hasattr(onemodule, name)
    for method in ("finalize", "_get_module_for_linking", "_optimize_functions"):
        assert callable(getattr(JITCodeLibrary, method))

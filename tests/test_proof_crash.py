"""Crash anywhere: sessions killed at any write and any request, under faults, and started again.

The venue, the hubs, the disk and the clock are the simulator's and this process'; what runs is the
runner of a live session. 60 sessions by default, PXRESEARCH_PROOF=170 runs ten thousand. A failure
names its seed; `python -m tests.test_proof_crash SEED ...` plays it again.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest

from tests import invariants
from tests.crash_kit import Bench, run

CHUNKS = 4
EACH = 15 * int(os.environ.get("PXRESEARCH_PROOF", "1"))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("crash"))


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_no_crash_costs_an_order_a_stop_or_the_flat_end(bench: Bench, chunk: int) -> None:
    """I1 to I8 and I12 after every event; see `crash_checks`."""
    seen: Counter[str] = Counter()
    with invariants.off():  # the engine's own are checked by its own tests
        for seed in range(chunk * EACH, (chunk + 1) * EACH):
            told = run(bench, seed)
            seen.update(
                lives=told.lives, kills=sum(told.kills.values()), orders=told.orders,
                fills=told.fills, checks=told.checks, faults=sum(told.faults.values()),
            )  # fmt: skip
    print(dict(seen))
    assert seen["kills"] > EACH / 2, seen
    assert seen["orders"] > 3 * EACH, seen
    assert seen["fills"] > EACH, seen
    assert seen["checks"] > 50 * EACH, seen


def test_a_seed_is_the_same_run_each_time(bench: Bench) -> None:
    """A failure can be played again: kills, faults, orders and checks are those of the seed."""
    with invariants.off():
        assert run(bench, 7) == run(bench, 7)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        again = Bench(Path(folder))
        for seed in map(int, sys.argv[1:]):
            print(run(again, seed))

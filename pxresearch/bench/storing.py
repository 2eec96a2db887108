"""Ticks on disk for the benchmark, and a backtest that streams them in a process of its own.

I/O: writes and reads a temporary catalogue; reads the clock and the size of its own process.
"""

from __future__ import annotations

import hashlib
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from pxresearch.bench import data
from pxresearch.block import canonical
from pxresearch.catalog import Batch, Catalog
from pxresearch.instruments import contract

SESSION_TICKS = 2_000_000


def write_quotes(folder: str | Path, code: str, arrays: dict[str, Any]) -> None:
    """Write quotes into a catalogue, as an import does."""
    named = contract(code)
    frame = canonical(named, "quotes", arrays)
    digest = hashlib.sha256(np.ascontiguousarray(arrays["ts"]).tobytes()).hexdigest()
    facts = {
        "source": "synthetic", "source_format": "synthetic", "source_sha256": digest,
        "source_tz": "UTC", "stamp": "none", "ts_resolution_ns": "1", "clock": "event",
        "importer_version": "1",
    }  # fmt: skip
    Catalog(folder).write([Batch(named, "quotes", frame)], facts)


def write_many(folder: str, n: int) -> None:
    """Write n quotes, at most two million a session, a session at a time."""
    sessions = max(5, -(-n // SESSION_TICKS))
    each = n // sessions
    for k, day in enumerate(data.full_days(sessions)):
        count = each + (n - each * sessions if k == sessions - 1 else 0)
        write_quotes(folder, "NQZ25", data.quotes(count, days=[day], seed=k))


def stream(folder: str, n: int) -> tuple[float, float]:
    """Backtest W1 over n stored quotes: (million ticks a second, peak resident size in MiB)."""
    from pxresearch.backtesting import backtest
    from pxresearch.bench import _account
    from pxresearch.bench.strategies import W1
    from pxresearch.tickdata import load

    backtest(W1(), load("NQZ25", catalog=folder), account=_account())
    start = time.perf_counter()
    result = backtest(W1(), load("NQZ25", catalog=folder), account=_account())
    taken = time.perf_counter() - start
    if result.to_json()["ticks"] != n:
        raise AssertionError(f"{n} ticks stored, {result.to_json()['ticks']} replayed")
    return round(n / taken / 1e6, 2), round(peak_mib(), 1)


def peak_mib() -> float:
    """Largest resident size of this process so far, MiB; 0.0 where the system does not tell."""
    if sys.platform == "win32":
        try:
            import psutil
        except ImportError:
            return 0.0
        return psutil.Process().memory_info().peak_wset / 2**20
    status = Path("/proc/self/status")
    if status.is_file():  # ru_maxrss would count what the parent held when it started this process
        text = status.read_text(encoding="ascii")
        return int(text.split("VmHWM:")[1].split()[0]) / 2**10
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


__all__ = ["peak_mib", "stream", "write_many", "write_quotes"]

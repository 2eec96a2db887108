"""`pxresearch bench`: the speed of this machine, as ratios to a bare loop in the same run.

Every engine figure goes through `px.backtest`, with account, costs, both loss limits and the
flatten deadline judged on every event. Runs of an engine and its bare loop alternate; medians are
shown.

I/O: reads the clock, starts processes of its own, writes a temporary catalogue.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

RUNS = 5
TICKS = 5_000_000


def run_bench(quick: bool = False) -> dict[str, Any]:
    """Measure; about a minute, or a few seconds when `quick`.

    Returns
    -------
    dict
        ``w1``, ``w2``, ``w3``, ``on_bar``, ``resting_16``, ``replace_each_tick``: mticks_per_s,
        bare_mticks_per_s and ratio; ``uncompiled``, ``parquet``, ``mixed``, ``contracts_2``:
        mticks_per_s; step_us; import_s; ``linear``: ticks → mticks_per_s and peak resident MiB in a
        process of its own; machine.
    """
    n = TICKS // 10 if quick else TICKS
    runs = 3 if quick else RUNS
    report: dict[str, Any] = {"machine": machine(), "ticks": n, "runs": runs}
    report |= _quote_workloads(n, runs)
    report |= _bar_workload(n // 10, runs)
    report |= _other_paths(n, runs)
    report["step_us"] = _step_us(2_000 if quick else 20_000)
    report["import_s"] = _import_s(3 if quick else 5)
    report["linear"] = _linear((n,) if quick else (1_000_000, 10_000_000, 100_000_000))
    return report


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    import numba

    return {
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "numba": numba.__version__,
        "numpy": np.__version__,
    }


def _account() -> Any:
    """Every limit present, none reached, so that each is judged to the last tick."""
    from pxresearch.programmes import programme

    return programme(
        "combine-50k", start_balance=50_000_000, max_loss=10_000_000, max_loss_lock=None,
        daily_loss_limit=5_000_000,
    )  # fmt: skip


def _alternate(
    engine: Callable[[], Any], bare: Callable[[], Any], events: int, runs: int
) -> dict[str, float]:
    """Medians of alternating runs after one warm-up, in million events a second."""
    engine()
    bare()
    taken: dict[str, list[float]] = {"engine": [], "bare": []}
    for _ in range(runs):
        for name, call in (("engine", engine), ("bare", bare)):
            start = time.perf_counter()
            call()
            taken[name].append(time.perf_counter() - start)
    fast, base = (events / statistics.median(taken[k]) / 1e6 for k in ("engine", "bare"))
    return {
        "mticks_per_s": round(fast, 2),
        "bare_mticks_per_s": round(base, 2),
        "ratio": round(fast / base, 3),
    }


def _median(call: Callable[[], Any], events: int, runs: int) -> dict[str, float]:
    call()
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return {"mticks_per_s": round(events / statistics.median(taken) / 1e6, 2)}


def _quote_workloads(n: int, runs: int) -> dict[str, Any]:
    from pxresearch.backtesting import backtest
    from pxresearch.bench import bare, data, strategies
    from pxresearch.tickdata import ticks

    arrays = data.quotes(n)
    ts, bid, ask = arrays["ts"], arrays["bid"], arrays["ask"]
    firsts = np.append(np.flatnonzero(np.diff(ts, prepend=ts[0] - 10**13) > 30 * 60 * 10**9), n)
    held = ticks("NQZ25", quotes=arrays)
    rules, delay = _account(), 5_000_000

    def engine(strategy: Any, latency: int = 0) -> Callable[[], Any]:
        return lambda: backtest(strategy, held, account=rules, latency=latency)

    def bare_w1() -> Any:
        return bare.w1(bid, ask, firsts, 150, 600)

    def bare_w2() -> Any:
        return bare.w2(ts, bid, ask, firsts, 150, 600, delay)

    _same("W1", engine(strategies.W1())(), bare_w1())
    _same("W2", engine(strategies.W2(), delay)(), bare_w2())
    found = {
        "w1": _alternate(engine(strategies.W1()), bare_w1, n, runs),
        "w2": _alternate(engine(strategies.W2(), delay), bare_w2, n, runs),
        "on_bar": _alternate(engine(strategies.OnBar()), bare_w1, n, runs),
        "resting_16": _alternate(engine(strategies.Resting16()), bare_w1, n, runs),
        "replace_each_tick": _alternate(engine(strategies.ReplaceEachTick()), bare_w1, n, 1),
    }
    few = ticks("NQZ25", quotes={k: v[: n // 10] for k, v in arrays.items()})
    found["uncompiled"] = _median(
        lambda: backtest(strategies.W1Plain(), few, account=rules, compiled=False), n // 10, 3
    )
    return found


def _same(name: str, result: Any, expected: tuple[int, int]) -> None:
    """The bare loop must give the engine's fills and profit, or the ratio means nothing."""
    fills, ticks = expected
    gross = round(result.metrics.gross_pnl_usd * 1e6)
    if len(result.fills) != fills or gross != ticks * 5_000_000:
        raise AssertionError(
            f"{name}: engine {len(result.fills)} fills, {gross} micros; "
            f"bare loop {fills}, {ticks * 5_000_000}"
        )


def _bar_workload(n: int, runs: int) -> dict[str, Any]:
    from pxresearch.backtesting import backtest
    from pxresearch.bench import bare, data, strategies
    from pxresearch.tickdata import ticks

    arrays = data.minute_bars(n)
    held = ticks("NQZ25", bars=arrays)
    rules = _account()
    closes, opens = arrays["close"], arrays["open"]
    return {
        "w3": _alternate(
            lambda: backtest(strategies.W3(), held, account=rules, keep_bars=False),
            lambda: bare.w3(closes, opens, 20, 100),
            n,
            runs,
        )
    }


def _other_paths(n: int, runs: int) -> dict[str, Any]:
    """From Parquet; quotes and trades mixed; two contracts."""
    from pxresearch.backtesting import backtest
    from pxresearch.bench import data, strategies
    from pxresearch.tickdata import load, ticks

    rules = _account()
    arrays = data.quotes(n)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        store(folder, "NQZ25", arrays)
        found["parquet"] = _median(
            lambda: backtest(
                strategies.W1(), load("NQZ25", catalog=folder), account=rules
            ),
            n, runs,
        )  # fmt: skip
    prints = data.trades(n // 5)
    both = ticks("NQZ25", quotes=arrays, trades=prints)
    found["mixed"] = _median(
        lambda: backtest(strategies.W1(), both, account=rules), n + n // 5, runs
    )
    half = {k: v[::2] for k, v in arrays.items()}
    pair = [ticks("NQZ25", quotes=half), ticks("ESZ25", quotes=data.quotes(n // 2, seed=11))]
    found["contracts_2"] = _median(
        lambda: backtest(strategies.W1(), pair, account=rules), len(half["ts"]) + n // 2, runs
    )
    return found


def store(folder: str, code: str, arrays: dict[str, Any]) -> None:
    """Write arrays into a catalogue, as an import does."""
    from pxresearch.bench.storing import write_quotes

    write_quotes(folder, code, arrays)


def _step_us(count: int) -> float:
    """Median time of one live event from Python, microseconds."""
    from pxresearch.bench import data, strategies
    from pxresearch.brokers.feeds import Feed
    from pxresearch.brokers.fillmodel import FillModel
    from pxresearch.brokers.session import EngineSession
    from pxresearch.core.records import QUOTES
    from pxresearch.instruments import contract

    arrays = data.quotes(count, days=data.full_days(1))
    rows = list(zip(*(a.tolist() for a in arrays.values()), strict=True))
    session = EngineSession(
        strategies.W1(), [Feed(contract("NQZ25"), ("quotes",))], _account(), FillModel(),
        first_ns=rows[0][0], last_ns=rows[-1][0],
    )  # fmt: skip
    taken = []
    for ts, bid, ask, bid_sz, ask_sz in rows:
        start = time.perf_counter_ns()
        session.tell(QUOTES, 0, ts, bid, ask, bid_sz, ask_sz)
        taken.append(time.perf_counter_ns() - start)
    return round(statistics.median(taken) / 1000, 3)


def _python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600
    )
    return done.stdout.strip()


def _import_s(runs: int) -> float:
    """Median time of `import pxresearch` in a new process, seconds."""
    code = "import time; t = time.perf_counter(); import pxresearch; print(time.perf_counter() - t)"
    return round(statistics.median(float(_python(code)) for _ in range(runs)), 3)


def _linear(sizes: tuple[int, ...]) -> dict[str, Any]:
    """Cost by number of ticks, streamed session by session from Parquet in a process of its own."""
    found = {}
    for n in sizes:
        with tempfile.TemporaryDirectory() as folder:
            _python(f"from pxresearch.bench.storing import write_many; write_many({folder!r}, {n})")
            out = _python(
                f"from pxresearch.bench.storing import stream; print(*stream({folder!r}, {n}))"
            )
        speed, peak = out.split()
        found[str(n)] = {"mticks_per_s": float(speed), "peak_rss_mib": float(peak)}
    return found


def format_bench(report: dict[str, Any]) -> str:
    """The report as text for a terminal."""
    m = report["machine"]
    lines = [
        f"{m['platform']}, {m['cores']} cores, Python {m['python']}, numba {m['numba']}",
        f"{report['ticks']:,} ticks, medians of {report['runs']} alternating runs, one core",
        "",
        f"{'workload':<20}{'engine':>12}{'bare loop':>12}{'ratio':>8}",
    ]
    for name in ("w1", "w2", "w3", "on_bar", "resting_16", "replace_each_tick"):
        row = report[name]
        lines.append(
            f"{name:<20}{row['mticks_per_s']:>8.1f} M/s"
            f"{row['bare_mticks_per_s']:>8.1f} M/s{row['ratio']:>8.2f}"
        )
    lines.append("")
    lines += [
        f"{name:<20}{report[name]['mticks_per_s']:>8.1f} M/s"
        for name in ("uncompiled", "parquet", "mixed", "contracts_2")
    ]
    lines += [
        f"{'one live step':<20}{report['step_us']:>8.2f} us",
        f"{'import':<20}{report['import_s']:>8.3f} s",
        "",
    ]
    lines += [
        f"{int(n):>13,} ticks streamed {row['mticks_per_s']:>8.1f} M/s, "
        f"peak {row['peak_rss_mib']:,.0f} MiB"
        for n, row in report["linear"].items()
    ]
    return "\n".join(lines)

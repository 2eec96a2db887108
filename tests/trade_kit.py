"""Trading days of a simulator in seconds: a thin synthetic tape, a stepped clock, a client.

A quote of each contract comes at least every twenty seconds of the session, so that no contract
counts as silent, and more often in the hour after the stock market opens.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from pxresearch.catalog import Batch, Catalog
from pxresearch.clock import NS, Clock
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.credentials import Credentials
from pxresearch.gateway.hubs import Hubs
from pxresearch.gateway.profiles import Profile, profile
from pxresearch.gateway.records import Hub
from pxresearch.gateway.rest import Rest
from pxresearch.instruments import contract
from pxresearch.sessions import session
from pxresearch.simulator.server import Simulator, SimulatorSettings, start
from pxresearch.steering import Pace, follow
from pxresearch.validation.schema import SCHEMAS, session_date

WEEK = tuple(date(2026, 10, day) for day in range(5, 10))  # Monday to Friday
CODES = ("MNQZ26", "ESZ26")
_PRICES = {"MNQ": 24_500.0, "ES": 6_650.0}
_CASH_S = 15.5 * 3600  # 08:30 Chicago, after 17:00
_FACTS = {
    "source": "synthetic", "source_format": "synthetic", "source_sha256": "0" * 64,
    "source_tz": "UTC", "stamp": "none", "ts_resolution_ns": "1", "clock": "event",
    "importer_version": "1",
}  # fmt: skip


# ------------------------------------------------------------------ the tape
def make_tape(
    folder: Path, *, days: Sequence[date] = WEEK, codes: Sequence[str] = CODES,
    quiet_s: float = 20.0, busy_s: float = 2.0, busy_hours: float = 1.0, seed: int = 1,
) -> Path:  # fmt: skip
    """Write days into a catalogue; the folder."""
    batches = []
    for k, code in enumerate(codes):
        made: dict[str, list[pl.DataFrame]] = {"quotes": [], "trades": []}
        level = float(contract(code).instrument.to_ticks(_PRICES[contract(code).instrument.root]))
        for n, day in enumerate(days):
            rng = np.random.default_rng([seed, k, n])
            span = session(contract(code), day)
            ts = _stamps(span.open, span.close, k, quiet_s, busy_s, busy_hours)
            quotes, level = _quotes(rng, ts, level)
            made["quotes"].append(_frame("quotes", quotes))
            made["trades"].append(_frame("trades", _trades(rng, quotes)))
        batches += [Batch(contract(code), kind, pl.concat(rows)) for kind, rows in made.items()]
    Catalog(folder).write(batches, _FACTS)
    return folder


def _stamps(
    opens: int, closes: int, k: int, quiet_s: float, busy_s: float, busy_hours: float
) -> np.ndarray:
    """Times of quotes; the contracts take turns, and none comes on a whole second."""
    length, shift = (closes - opens) / NS, 0.137 + 0.311 * k
    quiet = np.arange(shift, length, quiet_s)
    busy = np.arange(_CASH_S + shift, min(_CASH_S + 3600 * busy_hours, length), busy_s)
    seconds = np.unique(np.concatenate([quiet, busy]))
    return opens + (seconds * 1e6).astype(np.int64) * 1_000


def _quotes(
    rng: np.random.Generator, ts: np.ndarray, level: float
) -> tuple[dict[str, np.ndarray], float]:
    seconds = (ts - ts[0]) / NS
    steps = rng.standard_normal(len(ts)) * np.sqrt(np.diff(seconds, prepend=-1.0))
    path = level + 0.5 * np.cumsum(steps) + 40 * np.sin(seconds / 2_900)
    bid = np.floor(path).astype(np.int32)
    one = np.ones(len(ts), np.int32)
    columns = {
        "ts": ts, "seq": 2 * np.arange(len(ts)), "bid_px": bid, "bid_sz": 5 * one,
        "ask_px": bid + 1, "ask_sz": 5 * one,
    }  # fmt: skip
    return columns, float(path[-1])


def _trades(rng: np.random.Generator, quotes: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A trade at every third quote."""
    at = np.arange(0, len(quotes["ts"]), 3)
    side = rng.choice(np.array([-1, 1], np.int8), len(at))
    return {
        "ts": quotes["ts"][at], "seq": quotes["seq"][at] + 1,
        "px": np.where(side > 0, quotes["ask_px"][at], quotes["bid_px"][at]),
        "size": np.ones(len(at), np.int32), "side": side,
    }  # fmt: skip


def _frame(kind: str, columns: dict[str, np.ndarray]) -> pl.DataFrame:
    frame = pl.DataFrame(columns).with_columns(
        pl.lit(None, dtype=pl.Int64).alias("ts_event"), pl.lit(0, dtype=pl.UInt16).alias("flags")
    )
    schema = SCHEMAS[kind]
    return frame.select(list(schema)).cast(schema).with_columns(session_date(pl.col("ts")))  # pyright: ignore[reportArgumentType]


# ------------------------------------------------------------------ the simulator
def settings(folder: Path, *, days: Sequence[date] = WEEK, codes: Sequence[str] = CODES,
             **more: object) -> SimulatorSettings:  # fmt: skip
    """A simulator that plays a tape on a clock that stands still."""
    return SimulatorSettings(
        port=0, market="catalog", contracts=codes, first=days[0], last=days[-1], catalog=folder,
        clock="step", **more,  # pyright: ignore[reportArgumentType]
    )  # fmt: skip


def simulator(folder: Path, **more: object) -> Simulator:
    """The same in this process."""
    return start(settings(folder, **more))  # pyright: ignore[reportArgumentType]


@contextlib.asynccontextmanager
async def process(
    folder: Path, *options: str, days: Sequence[date] = WEEK, codes: Sequence[str] = CODES
) -> AsyncIterator[str]:
    """The same in a process of its own; its URL."""
    command = [
        "-m", "pxresearch.cli", "simulator", "--port", "0", "--market", "catalog", "--catalog",
        str(folder), "--clock", "step", "--from", str(days[0]), "--to", str(days[-1]),
        *(word for code in codes for word in ("--contract", code)), *options,
    ]  # fmt: skip
    running = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert running.stdout is not None
        line = (await running.stdout.readline()).decode()
        found = re.match(r"ready (\S+)", line)
        assert found, f"the simulator said {line!r}"
        yield found.group(1)
    finally:
        running.terminate()
        await running.wait()


# ------------------------------------------------------------------ a client
@dataclass
class Client:
    """One user of a gateway, on the pace of its clock."""

    where: Profile
    pace: Pace
    rest: Rest
    hubs: Hubs
    names: Directory

    @property
    def clock(self) -> Clock:
        return self.pace.clock


@contextlib.asynccontextmanager
async def client(
    url: str, hubs: tuple[Hub, ...] = (Hub.USER, Hub.MARKET), *, step: bool = True,
    step_s: float = 1.0,
) -> AsyncIterator[Client]:  # fmt: skip
    """A client that steers the simulator's clock; its hubs are not started."""
    where = profile("simulator", url=url)
    async with follow(where, step=step, step_s=step_s) as pace:
        keys = Credentials("trader", "secret")
        async with Rest(where, keys, clock=pace.clock, settings=pace.rest) as rest:
            names = Directory(await rest.available())
            made = Hubs(where, rest, names, clock=pace.clock, settings=pace.hubs(hubs), seed=1)
            try:
                yield Client(where, pace, rest, made, names)
            finally:
                await made.stop()

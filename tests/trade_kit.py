"""Trading days of a simulator in seconds: a thin synthetic tape, a stepped clock, a client.

A quote of each contract comes at least every twenty seconds of the session, so that no contract
counts as silent, and more often in the hour after the stock market opens.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
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
from pxresearch.gateway.records import Event, Hub, Quote, Trade
from pxresearch.gateway.rest import Rest
from pxresearch.instruments import contract
from pxresearch.sessions import session
from pxresearch.simulator.server import Simulator, SimulatorSettings, start
from pxresearch.simulator.tape import TRADE, Tape, recorded
from pxresearch.steering import Pace, follow
from pxresearch.validation.schema import SCHEMAS, session_date

WEEK = tuple(date(2026, 10, day) for day in range(5, 10))  # Monday to Friday
DAY = WEEK[:1]
CODES = ("MNQZ26", "ESZ26")
Row = tuple[int, int, bool, int]
"""ns, contract, whether a trade, bid or price."""
Rows = pl.DataFrame | dict[str, np.ndarray]
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
    rows: dict[str, dict[str, pl.DataFrame]] = {}
    for k, code in enumerate(codes):
        made: list[tuple[pl.DataFrame, pl.DataFrame]] = []
        level = float(contract(code).instrument.to_ticks(_PRICES[contract(code).instrument.root]))
        for n, day in enumerate(days):
            rng = np.random.default_rng([seed, k, n])
            span = session(contract(code), day)
            ts = _stamps(span.open, span.close, k, quiet_s, busy_s, busy_hours)
            quotes, level = _quotes(rng, ts, level)
            made.append((_frame("quotes", quotes), _frame("trades", _trades(rng, quotes))))
        quoted, traded = zip(*made, strict=True)
        rows[code] = {"quotes": pl.concat(quoted), "trades": pl.concat(traded)}
    return store(folder, rows)


def store(folder: Path, rows: Mapping[str, Mapping[str, Rows]]) -> Path:
    """Write rows by contract and kind into a catalogue; the folder."""
    batches = [
        Batch(contract(code), kind, one if isinstance(one, pl.DataFrame) else _frame(kind, one))
        for code, kinds in rows.items()
        for kind, one in kinds.items()
    ]
    Catalog(folder).write(batches, _FACTS)
    return folder


def _stamps(
    opens: int, closes: int, k: int, quiet_s: float, busy_s: float, busy_hours: float
) -> np.ndarray:
    """Times of quotes; whole milliseconds, as the hub tells them, and the contracts take turns."""
    length, shift = (closes - opens) / NS, 0.137 + 0.311 * k
    quiet = np.arange(shift, length, quiet_s)
    busy = np.arange(_CASH_S + shift, min(_CASH_S + 3600 * busy_hours, length), busy_s)
    seconds = np.unique(np.concatenate([quiet, busy]))
    return opens + np.round(seconds * 1_000).astype(np.int64) * 1_000_000


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
    step_s: float = 1.0, late_s: float = 0.0,
) -> AsyncIterator[Client]:  # fmt: skip
    """A client that steers the simulator's clock; its hubs are not started."""
    where = profile("simulator", url=url)
    async with follow(where, step=step, step_s=step_s, late_s=late_s) as pace:
        keys = Credentials("trader", "secret")
        async with Rest(where, keys, clock=pace.clock, settings=pace.rest) as rest:
            names = Directory(await rest.available())
            made = Hubs(where, rest, names, clock=pace.clock, settings=pace.hubs(hubs), seed=1)
            try:
                yield Client(where, pace, rest, made, names)
            finally:
                await made.stop()


# ------------------------------------------------------------------ what a client received
def tape_of(folder: Path, codes: tuple[str, ...] = CODES) -> Tape:
    """What a simulator of `steered` plays."""
    return recorded(codes, DAY[0], DAY[0], folder)


def due(tape: Tape, until: int) -> list[Row]:
    """Rows of a tape up to a time: ns, contract, trade, bid or price."""
    n = int(np.searchsorted(tape.ts, until, "right"))
    columns = (tape.ts[:n], tape.k[:n], tape.kind[:n] == TRADE, tape.a[:n])
    return list(zip(*(one.tolist() for one in columns), strict=True))


class Taker:
    """Takes what the hubs bring; quotes that only repeat a trade's are passed over."""

    def __init__(self, one: Client, codes: tuple[str, ...] = CODES) -> None:
        self.one = one
        self.events: list[Event] = []
        self.rows: list[Row] = []
        self.wrong_stamps = 0
        ids = [one.names.find(code).id for code in codes]
        self._index = {each: k for k, each in enumerate(ids)}
        for each in ids:
            one.hubs.subscribe_contract(each)

    async def take(self, on_row: Callable[[Row], Awaitable[None]] | None = None) -> None:
        last: Trade | None = None
        while events := await self.one.hubs.get():
            for event in events:
                self.events.append(event)
                if isinstance(event, Quote) and not (last and last.ts == event.ts):
                    self._row(event.contract_id, event.ts, event.received, event.bid)
                elif isinstance(event, Trade):
                    last = event
                    self._row(event.contract_id, event.ts, event.received, event.price)
                else:
                    continue
                if on_row is not None:
                    await on_row(self.rows[-1])

    def _row(self, contract_id: str, ts: int, received: int, price: int | None) -> None:
        assert price is not None
        kind = isinstance(self.events[-1], Trade)
        self.rows.append((ts, self._index[contract_id], kind, price))
        self.wrong_stamps += not ts <= received <= self.one.clock.now()


@contextlib.asynccontextmanager
async def steered(
    folder: Path, *, codes: tuple[str, ...] = CODES, step_s: float = 1.0, late_s: float = 0.0
) -> AsyncIterator[tuple[Simulator, Client]]:
    """A simulator on the first day, and a client that steers it."""
    async with (
        simulator(folder, days=DAY, codes=codes) as venue,
        client(venue.url, step_s=step_s, late_s=late_s) as one,
    ):
        yield venue, one


async def for_a_while(
    one: Client, taker: Taker, seconds: float, tick_s: float = 60.0,
    look: Callable[[], None] = lambda: None,
    on_row: Callable[[Row], Awaitable[None]] | None = None,
) -> None:  # fmt: skip
    """Take events for a time of the client's clock, and look at every tick of it."""

    async def work() -> None:
        await one.hubs.start()
        taking = asyncio.ensure_future(taker.take(on_row))
        end = one.clock.now() + round(seconds * NS)
        while one.clock.now() < end:
            await one.clock.sleep(min(tick_s, (end - one.clock.now()) / NS))
            look()
            if taking.done():
                taking.result()
        await one.hubs.stop()
        await taking

    await one.pace.run(work(), one.rest, one.hubs)

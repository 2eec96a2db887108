"""Synthetic sample data: five trading days of two micro contracts, for a first run without data.

The prices are made, not recorded: a log price with volatility that follows the day's U-shaped
profile and drifts back to a slowly moving mean, a book of one or two ticks, and trades that come
in bursts. Every file says ``source = synthetic`` and so does the text of `Ticks`.

The seed is fixed (NumPy's PCG64), so the data is the same on every run.

I/O: writes the catalogue.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from pxresearch.catalog import Batch, Catalog
from pxresearch.instruments import contract
from pxresearch.sessions import session
from pxresearch.validation import Report, Series
from pxresearch.validation.schema import SCHEMAS, session_date

VERSION = "1"
SEED = 20_260_914
DAYS = tuple(date(2026, 9, day) for day in range(14, 19))
"""Monday to Friday of an ordinary week."""

_SECOND = 10**9
_OPEN_S = 15.5 * 3600  # 08:30 Chicago, in seconds after 17:00
_CLOSE_S = 22.0 * 3600  # 15:00 Chicago


@dataclass(frozen=True)
class Model:
    """How a synthetic contract moves.

    Attributes
    ----------
    code
        Contract.
    price
        First price.
    daily_ticks
        Standard deviation of a day's move, in ticks.
    wide
        Share of quotes with a spread of two ticks.
    depth
        Typical displayed size, contracts.
    """

    code: str
    price: float
    daily_ticks: float
    wide: float
    depth: float


MODELS = (
    Model("MNQZ26", 24_500.0, 900.0, 0.35, 6.0),
    Model("MESZ26", 6_650.0, 200.0, 0.06, 25.0),
)


def make_demo(
    catalog: str | os.PathLike[str] | Catalog = "data",
    *,
    quotes: int = 150_000,
    trades: int = 30_000,
    days: Sequence[date] = DAYS,
) -> list[Report]:
    """Write the sample week into a catalogue, in place of an earlier one.

    Parameters
    ----------
    catalog
        Folder of the catalogue.
    quotes, trades
        Rows of each kind per contract and day.
    days
        Trading days to make.

    Returns
    -------
    list of Report
        One for each contract.

    Examples
    --------
    >>> make_demo("data")  # doctest: +SKIP
    """
    store = catalog if isinstance(catalog, Catalog) else Catalog(catalog)
    return [_make(store, at, model, quotes, trades, days) for at, model in enumerate(MODELS)]


def _make(
    store: Catalog, at: int, model: Model, n_quotes: int, n_trades: int, days: Sequence[date]
) -> Report:
    named = contract(model.code)
    level = float(named.instrument.to_ticks(model.price))
    made: dict[str, list[pl.DataFrame]] = {"quotes": [], "trades": []}
    for index, day in enumerate(days):
        rng = np.random.Generator(np.random.PCG64([SEED, at, index]))
        span = session(named, day)
        book, level = _quotes(rng, model, level, span.open, span.close, n_quotes)
        made["quotes"].append(_frame("quotes", book))
        made["trades"].append(_frame("trades", _trades(rng, book, n_trades)))
    batches = [Batch(named, kind, pl.concat(frames)) for kind, frames in made.items()]
    store.write(batches, _facts(model, n_quotes, n_trades), replace=True)
    rows = sum(len(batch.frame) for batch in batches)
    return Report(
        source="synthetic", source_format="synthetic", rows_read=rows, rows_kept=rows, tz="UTC",
        stamp="none", series=tuple(Series.of(named, b.kind, b.frame, None) for b in batches),
        warnings=("synthetic prices: good for trying the program, worth nothing as evidence",),
    )  # fmt: skip


def _facts(model: Model, n_quotes: int, n_trades: int) -> dict[str, str]:
    recipe = f"pxresearch demo {VERSION} {SEED} {model} {n_quotes} {n_trades}"
    return {
        "source": "synthetic", "source_format": "synthetic",
        "source_sha256": hashlib.sha256(recipe.encode()).hexdigest(), "source_tz": "UTC",
        "stamp": "none", "ts_resolution_ns": "1000", "clock": "event",
        "importer_version": VERSION,
    }  # fmt: skip


def _activity(seconds: np.ndarray) -> np.ndarray:
    """Relative activity by seconds after 17:00 Chicago: quiet nights, a U in the cash hours."""
    day = np.exp(-(((seconds - _OPEN_S) / 2_400) ** 2)) + 0.8 * np.exp(
        -(((seconds - _CLOSE_S) / 2_000) ** 2)
    )
    cash = 0.6 * ((seconds > _OPEN_S) & (seconds < _CLOSE_S))
    europe = 0.15 * np.exp(-(((seconds - 10 * 3600) / 7_200) ** 2))
    return 0.05 + europe + cash + day


def _stamps(rng: np.random.Generator, start: int, end: int, count: int) -> np.ndarray:
    """Ascending int64 ns in whole microseconds, crowded in bursts where the profile is high."""
    length = (end - start) / _SECOND
    grid = np.linspace(0, length, 4_001)
    weight = np.cumsum(_activity(grid) * rng.lognormal(0.0, 0.5, len(grid)))
    share = np.sort(rng.random(count // 3 + 1))
    heads = np.interp(share * weight[-1], weight, grid)
    bursts = np.repeat(heads, 3)[:count] + rng.exponential(0.02, count)
    inside = np.clip(np.sort(bursts), 0.001, length - 0.001)
    return start + (inside * 1e6).astype(np.int64) * 1_000


def _quotes(
    rng: np.random.Generator, model: Model, level: float, start: int, end: int, count: int
) -> tuple[dict[str, np.ndarray], float]:
    ts = _stamps(rng, start, end, count)
    seconds = (ts - start) / _SECOND
    # Rows crowd where activity is high, so an even step per row already gives the U of volatility.
    step = model.daily_ticks / np.sqrt(count)
    path = level + np.cumsum(rng.standard_normal(count) * step)
    trend = model.daily_ticks * rng.normal(0.0, 0.5) * seconds / seconds[-1]
    wave = 0.15 * model.daily_ticks * np.sin(seconds / rng.uniform(2_400, 5_400))
    price = path + trend + wave
    bid = np.floor(price).astype(np.int32)
    spread = 1 + (rng.random(count) < model.wide).astype(np.int32)
    return {
        "ts": ts,
        "seq": 2 * np.arange(count, dtype=np.int64),
        "bid_px": bid,
        "bid_sz": _sizes(rng, model.depth, count),
        "ask_px": bid + spread,
        "ask_sz": _sizes(rng, model.depth, count),
    }, float(price[-1])


def _sizes(rng: np.random.Generator, mean: float, count: int) -> np.ndarray:
    return (1 + rng.exponential(mean, count)).astype(np.int32)


def _trades(
    rng: np.random.Generator, book: dict[str, np.ndarray], count: int
) -> dict[str, np.ndarray]:
    """Trades at the standing quotes; a rising bid draws buyers, so sides are not a coin toss."""
    at = np.sort(rng.choice(len(book["ts"]), count, replace=False))
    drift = np.sign(book["bid_px"][np.minimum(at + 20, len(book["ts"]) - 1)] - book["bid_px"][at])
    side = np.where(rng.random(count) < 0.5 + 0.1 * drift, 1, -1).astype(np.int8)
    resting = np.where(side > 0, book["ask_sz"][at], book["bid_sz"][at])
    size = np.minimum(rng.geometric(0.45, count), resting).astype(np.int32)
    return {
        "ts": book["ts"][at],
        "seq": book["seq"][at] + 1,
        "px": np.where(side > 0, book["ask_px"][at], book["bid_px"][at]).astype(np.int32),
        "size": np.maximum(size, 1),
        "side": side,
    }


def _frame(kind: str, columns: dict[str, np.ndarray]) -> pl.DataFrame:
    frame = pl.DataFrame(columns).with_columns(
        pl.lit(None, dtype=pl.Int64).alias("ts_event"), pl.lit(0, dtype=pl.UInt16).alias("flags")
    )
    frame = frame.select(list(SCHEMAS[kind])).cast(SCHEMAS[kind])  # pyright: ignore[reportArgumentType]
    return frame.with_columns(session_date(pl.col("ts")))

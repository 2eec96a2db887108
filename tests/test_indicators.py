"""Indicators: against TA-Lib and batch sums on real bars, compiled against uncompiled, windows."""

from __future__ import annotations

import doctest
import gzip
import io
import math
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
import numpy as np
import polars as pl
import pytest
import talib
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from numpy.testing import assert_allclose, assert_array_equal

from pxresearch.core import (
    indicators,
    indicators_channel,
    indicators_range,
    indicators_session,
    indicators_smooth,
    indicators_window,
)
from pxresearch.core.indicators import FUNCTIONS, LAYOUTS

MINUTE = 60_000_000_000
DAY = 1440 * MINUTE
SIZE = 32
Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """One indicator with its input columns, its periods and the number of values it returns."""

    layout: str
    columns: tuple[str, ...]
    params: tuple[float, ...]
    outputs: int = 1


HLC = ("high", "low", "close")
CASES = {
    "sma": Case("Sma", ("close",), (20,)),
    "ema": Case("Ema", ("close",), (20,)),
    "wma": Case("Wma", ("close",), (20,)),
    "std": Case("Std", ("close",), (20,)),
    "zscore": Case("ZScore", ("close",), (20,)),
    "rsi": Case("Rsi", ("close",), (14,)),
    "macd": Case("Macd", ("close",), (12, 26, 9), 3),
    "bollinger": Case("Bollinger", ("close",), (20, 2.0), 3),
    "atr": Case("Atr", HLC, (14,)),
    "adx": Case("Adx", HLC, (14,), 3),
    "keltner": Case("Keltner", HLC, (20, 10, 2.0), 3),
    "donchian": Case("Donchian", ("high", "low"), (20,), 3),
    "stochastic": Case("Stochastic", HLC, (14, 3, 5), 2),
    "vwap": Case("Vwap", ("close", "volume", "session"), ()),
    "opening_range": Case("OpeningRange", ("high", "low", "ts", "session_open"), (30,), 2),
}
WINDOWED = tuple(name for name, case in CASES.items() if LAYOUTS[case.layout].sized)


# ---------------------------------------------------------------- running an indicator, both ways


@lru_cache
def loop(name: str) -> Any:
    """A plain function that feeds the columns to the indicator, row by row."""
    columns = CASES[name].columns
    source = f"""
def run(states, {", ".join(columns)}, params, out):
    state = states[0]
    for i in range(len(out)):
        out[i] = function(state, {", ".join(f"{c}[i]" for c in columns)}, *params)
"""
    scope: dict[str, Any] = {"function": FUNCTIONS[name]}
    exec(source, scope)
    return scope["run"]


@lru_cache
def compiled_loop(name: str) -> Any:
    return numba.njit(loop(name))


def record(name: str, size: int = SIZE) -> np.ndarray:
    return np.zeros(1, LAYOUTS[CASES[name].layout].dtype(size))


def empty(name: str, rows: int) -> np.ndarray:
    outputs = CASES[name].outputs
    return np.full(rows if outputs == 1 else (rows, outputs), -1.0)


def run_compiled(
    name: str, bars: Columns, params: tuple[float, ...] | None = None, states: Any = None
) -> np.ndarray:
    case = CASES[name]
    columns = [bars[c] for c in case.columns]
    out = empty(name, len(columns[0]))
    states = record(name) if states is None else states
    compiled_loop(name)(states, *columns, case.params if params is None else params, out)
    return out


def run_plain(
    name: str, bars: Columns, params: tuple[float, ...] | None = None, size: int = SIZE
) -> np.ndarray:
    case = CASES[name]
    columns = [bars[c].tolist() for c in case.columns]
    out = empty(name, len(columns[0]))
    states = [LAYOUTS[case.layout].cell(size)]
    loop(name)(states, *columns, case.params if params is None else params, out)
    return out


# ---------------------------------------------------------------- bars


def with_sessions(frame: pl.DataFrame, open_utc: int) -> Columns:
    """Columns of a frame of ts, high, low, close, volume; sessions open daily at open_utc ns."""
    bars = {c: frame[c].cast(pl.Float64).to_numpy() for c in ("high", "low", "close", "volume")}
    ts = frame["ts"].to_numpy().astype(np.int64)
    session = (ts - 1 - open_utc) // DAY
    return {**bars, "ts": ts, "session": session, "session_open": session * DAY + open_utc}


def random_bars(rows: int, seed: int = 0) -> Columns:
    """A random walk off any tick grid, with flat stretches, repeated values and empty ranges."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0.0, 1.0, rows) * (rng.random(rows) < 0.7)
    steps[rows // 2 : rows // 2 + 100] = 0.0
    close = 5000.0 + np.cumsum(steps)
    flat = rng.random(rows) < 0.2
    flat[rows // 2 : rows // 2 + 100] = True
    frame = pl.DataFrame(
        {
            "ts": (np.arange(rows, dtype=np.int64) + 1) * 15 * MINUTE,
            "high": close + np.where(flat, 0.0, rng.exponential(0.7, rows)),
            "low": close - np.where(flat, 0.0, rng.exponential(0.7, rows)),
            "close": close,
            "volume": rng.integers(0, 50, rows),
        }
    )
    return with_sessions(frame, open_utc=0)


@lru_cache
def euro_bars(folder: Path) -> Columns:
    """6EH4, January 2024, ticks of 0.00005 rewritten as ticks of 0.25: prices near 5,500."""
    path = next(folder.glob("nautilus-xcme/6EH4*_1min_*.csv.gz"))
    frame = pl.read_csv(io.BytesIO(gzip.decompress(path.read_bytes())), try_parse_dates=True)
    ticks = ((pl.col(c) / 0.00005).round() * 0.25 for c in HLC)
    frame = frame.with_columns(*ticks, ts=pl.col("timestamp_utc").dt.timestamp("ns"))
    return with_sessions(frame, open_utc=23 * 60 * MINUTE)


@lru_cache
def es_bars(folder: Path) -> Columns:
    """ESZ13, minutes of 6 to 8 October and 18 December 2013, stamped at their end."""
    names = ["ms", "open", "high", "low", "close", "volume"]
    parts = []
    for day in ("20131006", "20131007", "20131008", "20131218"):
        with zipfile.ZipFile(folder / f"lean/future/cme/minute/es/{day}_trade.zip") as archive:
            text = archive.read(f"{day}_es_minute_trade_201312.csv")
        part = pl.read_csv(io.BytesIO(text), has_header=False, new_columns=names)
        midnight = np.datetime64(f"{day[:4]}-{day[4:6]}-{day[6:]}", "ns").astype(np.int64)
        parts.append(part.with_columns(ts=pl.col("ms") * 1_000_000 + int(midnight) + MINUTE))
    return with_sessions(pl.concat(parts), open_utc=22 * 60 * MINUTE)


@pytest.fixture(scope="module", params=["6EH4", "ESZ13"])
def bars(request: pytest.FixtureRequest, real_data: Path) -> Columns:
    """Real one-minute bars."""
    found = euro_bars(real_data) if request.param == "6EH4" else es_bars(real_data)
    assert len(found["close"]) == {"6EH4": 29_996, "ESZ13": 3_972}[request.param]
    return found


# ---------------------------------------------------------------- (1) against TA-Lib


def columns(*arrays: np.ndarray) -> np.ndarray:
    return np.column_stack(arrays)


TALIB = [
    ("sma", (20,), lambda h, low, c: talib.SMA(c, 20)),
    ("ema", (20,), lambda h, low, c: talib.EMA(c, 20)),
    ("ema", (2,), lambda h, low, c: talib.EMA(c, 2)),
    ("wma", (20,), lambda h, low, c: talib.WMA(c, 20)),
    ("std", (20,), lambda h, low, c: talib.STDDEV(c, 20)),
    ("rsi", (14,), lambda h, low, c: talib.RSI(c, 14)),
    ("rsi", (2,), lambda h, low, c: talib.RSI(c, 2)),
    ("macd", (12, 26, 9), lambda h, low, c: columns(*talib.MACD(c, 12, 26, 9))),
    ("macd", (3, 30, 2), lambda h, low, c: columns(*talib.MACD(c, 3, 30, 2))),
    ("bollinger", (20, 2.0), lambda h, low, c: columns(*talib.BBANDS(c, 20, 2.0, 2.0))),
    ("atr", (14,), lambda h, low, c: talib.ATR(h, low, c, 14)),
    ("atr", (1,), lambda h, low, c: talib.ATR(h, low, c, 1)),
    (
        "adx",
        (14,),
        lambda h, low, c: columns(
            talib.ADX(h, low, c, 14), talib.PLUS_DI(h, low, c, 14), talib.MINUS_DI(h, low, c, 14)
        ),
    ),
    ("stochastic", (14, 3, 5), lambda h, low, c: columns(*talib.STOCH(h, low, c, 14, 3, 0, 5, 0))),
    ("stochastic", (5, 1, 3), lambda h, low, c: columns(*talib.STOCHF(h, low, c, 5, 3, 0))),
]


@pytest.mark.realdata
@pytest.mark.parametrize(("name", "params", "reference"), TALIB)
def test_equals_talib(name, params, reference, bars: Columns) -> None:
    expected = reference(bars["high"], bars["low"], bars["close"])
    assert_allclose(run_compiled(name, bars, params), expected, rtol=1e-9, atol=1e-9)


# ---------------------------------------------------------------- (1) against batch sums


def after(rows: int, warm_up: int, values: np.ndarray) -> np.ndarray:
    """Values preceded by warm_up NaN."""
    assert len(values) == rows - warm_up
    return np.concatenate([np.full(warm_up, np.nan), values])


def batch_average(x: np.ndarray, n: int, weight: float) -> np.ndarray:
    """Exponential average seeded with the mean of the first n, by polars."""
    seeded = np.concatenate([[x[:n].mean()], x[n:]])
    values = pl.Series(seeded).ewm_mean(alpha=weight, adjust=False).to_numpy()
    return after(len(x), n - 1, values)


def batch_keltner(bars: Columns, n: int, atr_n: int, width: float) -> np.ndarray:
    high, low, close = bars["high"][1:], bars["low"][1:], bars["close"]
    ranges = np.max([high - low, abs(high - close[:-1]), abs(low - close[:-1])], axis=0)
    band = width * np.concatenate([[np.nan], batch_average(ranges, atr_n, 1 / atr_n)])
    middle = batch_average(close, n, 2 / (n + 1))
    return np.where(
        np.isnan(band + middle)[:, None], np.nan, columns(middle + band, middle, middle - band)
    )


def batch_donchian(bars: Columns, n: int) -> np.ndarray:
    upper = pl.Series(bars["high"]).rolling_max(n).cast(pl.Float64).to_numpy()
    lower = pl.Series(bars["low"]).rolling_min(n).cast(pl.Float64).to_numpy()
    return columns(upper, (upper + lower) / 2, lower)


def batch_zscore(bars: Columns, n: int) -> np.ndarray:
    windows = sliding_window_view(bars["close"], n)
    deviation = windows.std(axis=1)
    with np.errstate(invalid="ignore"):
        scores = (windows[:, -1] - windows.mean(axis=1)) / deviation
    return after(len(bars["close"]), n - 1, np.where(np.ptp(windows, axis=1) > 0, scores, 0.0))


def batch_vwap(bars: Columns) -> np.ndarray:
    frame = pl.DataFrame({k: bars[k] for k in ("session", "close", "volume")})
    turnover = (pl.col("close") * pl.col("volume")).cum_sum().over("session")
    return (
        frame.select(turnover / pl.col("volume").cum_sum().over("session")).to_series().to_numpy()
    )


def batch_opening_range(bars: Columns, minutes: int) -> np.ndarray:
    """One window filter per session, then a join: no running state."""
    age = bars["ts"] - bars["session_open"]
    out = np.full((len(age), 2), np.nan)
    for session in np.unique(bars["session"]):
        mine = bars["session"] == session
        within = mine & (age <= minutes * MINUTE)
        if within.any():
            rows = mine & (age >= minutes * MINUTE)
            out[rows] = bars["high"][within].max(), bars["low"][within].min()
    return out


BATCH = [
    ("keltner", (20, 10, 2.0), batch_keltner),
    ("keltner", (5, 30, 1.5), batch_keltner),
    ("donchian", (20,), batch_donchian),
    ("donchian", (1,), batch_donchian),
    ("zscore", (20,), batch_zscore),
    ("vwap", (), batch_vwap),
    ("opening_range", (30,), batch_opening_range),
    ("opening_range", (1,), batch_opening_range),
]


@pytest.mark.realdata
@pytest.mark.parametrize(("name", "params", "batch"), BATCH)
def test_equals_batch_on_real_bars(name, params, batch, bars: Columns) -> None:
    found = run_compiled(name, bars, params)
    assert_allclose(found, batch(bars, *params), rtol=1e-9, atol=1e-9)
    assert np.isfinite(found).any()


@pytest.mark.realdata
def test_std_keeps_the_digits_that_cancel_in_a_difference_of_squares(bars: Columns) -> None:
    close = bars["close"] * 1e-4 + 1e4  # a spread of 1e-4 on a price of 10,000
    exact = sliding_window_view(close - close[0], 20).std(axis=1)
    found = run_compiled("std", {"close": close}, (20,))
    assert_allclose(found, after(len(close), 19, exact), rtol=1e-9, atol=0.0)


# ---------------------------------------------------------------- (2) compiled = uncompiled


def test_every_indicator_has_a_case() -> None:
    assert set(CASES) == set(FUNCTIONS)
    assert {case.layout for case in CASES.values()} == set(LAYOUTS)


@pytest.mark.realdata
@pytest.mark.parametrize("name", CASES)
def test_compiled_equals_uncompiled_on_real_bars(name: str, bars: Columns) -> None:
    assert_array_equal(run_compiled(name, bars), run_plain(name, bars))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", CASES)
def test_compiled_equals_uncompiled_on_random_bars(name: str, seed: int) -> None:
    bars = random_bars(2_000, seed)
    found = run_compiled(name, bars)
    assert_array_equal(found, run_plain(name, bars))
    assert np.isfinite(found[-1]).all()


@pytest.mark.parametrize("name", CASES)
def test_result_is_a_float_in_every_row(name: str) -> None:
    case, bars = CASES[name], random_bars(100)
    state = LAYOUTS[case.layout].cell(SIZE)
    for row in zip(*(bars[c].tolist() for c in case.columns), strict=True):
        result = FUNCTIONS[name](state, *row, *case.params)
        values = result if case.outputs > 1 else (result,)
        assert [type(v) for v in values] == [float] * case.outputs


def test_state_nested_in_a_strategy_record() -> None:
    """As a strategy holds it: two states inside one record, used by one compiled step."""
    nested = [("fast", LAYOUTS["Ema"].dtype()), ("mean", LAYOUTS["Sma"].dtype(SIZE))]
    states = np.zeros(1, np.dtype(nested, align=True))
    ema, sma = FUNCTIONS["ema"], FUNCTIONS["sma"]

    @numba.njit
    def run(states, close, out):
        state = states[0]
        for i in range(len(close)):
            out[i, 0] = ema(state.fast, close[i], 20)
            out[i, 1] = sma(state.mean, close[i], 20)

    bars = random_bars(500)
    out = np.empty((500, 2))
    run(states, bars["close"], out)
    assert_array_equal(out, columns(run_plain("ema", bars), run_plain("sma", bars)))


# ---------------------------------------------------------------- (3) streaming = batch

PRICES = st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=80)
BOUNDED = [  # indicators with a finite memory, the periods for n, and the rows they look back on
    ("sma", lambda n: (n,), lambda n: n),
    ("wma", lambda n: (n,), lambda n: n),
    ("std", lambda n: (n,), lambda n: n),
    ("zscore", lambda n: (n,), lambda n: n),
    ("bollinger", lambda n: (n, 2.0), lambda n: n),
    ("donchian", lambda n: (n,), lambda n: n),
    ("stochastic", lambda n: (n, 3, 2), lambda n: n + 3),
]


def price_bars(prices: list[float]) -> Columns:
    close = np.array(prices)
    return {"close": close, "high": close * 1.01, "low": close * 0.99}


@pytest.mark.parametrize(("name", "params", "lookback"), BOUNDED)
@given(prices=PRICES, n=st.integers(1, SIZE))
def test_stream_equals_a_fresh_start_on_the_last_window(name, params, lookback, prices, n) -> None:
    bars = price_bars(prices)
    found = run_plain(name, bars, params(n))
    rows = lookback(n)
    assert np.isnan(found[: rows - 1]).all()
    for end in range(rows, len(prices) + 1, 7):
        window = {k: v[end - rows : end] for k, v in bars.items()}
        assert_array_equal(run_plain(name, window, params(n))[-1], found[end - 1])


@given(prices=PRICES, n=st.integers(1, SIZE))
def test_sma_is_the_rounded_exact_sum(prices: list[float], n: int) -> None:
    found = run_plain("sma", price_bars(prices), (n,))
    for end in range(n, len(prices) + 1):
        assert found[end - 1] == math.fsum(prices[end - n : end]) / n


@given(prices=PRICES, n=st.integers(1, SIZE))
def test_batch_formulas(prices: list[float], n: int) -> None:
    bars = price_bars(prices)
    rows = len(prices)
    if rows < n:
        return
    windows = sliding_window_view(bars["close"], n)
    weights = np.arange(1, n + 1)
    expected = after(rows, n - 1, windows @ weights / weights.sum())
    assert_allclose(run_plain("wma", bars, (n,)), expected, rtol=1e-12)
    tolerance = 1e-12 * max(prices)
    expected = after(rows, n - 1, windows.std(axis=1))
    assert_allclose(run_plain("std", bars, (n,)), expected, rtol=1e-9, atol=tolerance)
    expected = batch_average(bars["close"], n, 2 / (n + 1))
    assert_allclose(run_plain("ema", bars, (n,)), expected, rtol=1e-12)
    assert_array_equal(run_plain("donchian", bars, (n,)), batch_donchian(bars, n))


def test_sma_does_not_drift_over_ten_million_updates() -> None:
    close = np.random.default_rng(7).normal(0.1, 1e3, 10_000_000)
    found = run_compiled("sma", {"close": close}, (20,))
    assert found[-1] == math.fsum(close[-20:]) / 20


def test_equal_values_have_no_spread() -> None:
    bars = {"close": np.full(50, 0.1)}
    assert (run_plain("std", bars)[19:] == 0.0).all()
    assert (run_plain("zscore", bars)[19:] == 0.0).all()
    assert (run_plain("bollinger", bars)[19:] == 0.1).all()


def test_rsi_of_a_market_that_does_not_move_is_zero() -> None:
    assert (run_plain("rsi", {"close": np.full(50, 0.1)})[14:] == 0.0).all()


def test_adx_stays_where_it_is_while_nothing_moves() -> None:
    state = LAYOUTS["Adx"].cell()
    rows = [(2.0, 1.0, 2.0), (4.0, 2.0, 3.0), (4.0, 2.0, 3.0), (3.0, 3.0, 3.0), (3.0, 3.0, 3.0)]
    found = [FUNCTIONS["adx"](state, *row, 1) for row in rows]
    still = (100.0, 0.0, 0.0)
    assert_array_equal(found, [(math.nan,) * 3, (100.0, 100.0, 0.0), still, still, still])


# ---------------------------------------------------------------- vwap and opening range by hand


def test_vwap_waits_for_volume_and_begins_anew_with_the_session() -> None:
    rows = [(10.0, 0, 1), (10.0, 2, 1), (16.0, 1, 1), (30.0, 0, 2), (20.0, 5, 2)]
    state = LAYOUTS["Vwap"].cell()
    found = [FUNCTIONS["vwap"](state, *row) for row in rows]
    assert_array_equal(found, [math.nan, 10.0, 12.0, math.nan, 20.0])


def test_opening_range_before_within_after_and_empty() -> None:
    opened, later = 10 * DAY, 11 * DAY
    rows = [
        (9.0, 1.0, opened, opened),  # ends as the range begins: not in it
        (5.0, 4.0, opened + MINUTE, opened),
        (6.0, 5.0, opened + 2 * MINUTE, opened),  # ends with the range: in it, and completes it
        (9.0, 1.0, opened + 3 * MINUTE, opened),
        (9.0, 1.0, later - MINUTE, later),  # next session announced before it opens
        (3.0, 2.0, later + MINUTE, later),
        (8.0, 7.0, later + 9 * MINUTE, later),  # no bar ended with the range: complete all the same
        (9.0, 1.0, later + DAY + 3 * MINUTE, later + DAY),  # a session that began without bars
    ]
    state = LAYOUTS["OpeningRange"].cell()
    found = [FUNCTIONS["opening_range"](state, *row, 2) for row in rows]
    nothing = (math.nan, math.nan)
    expected = [nothing, nothing, (6.0, 4.0), (6.0, 4.0), nothing, nothing, (3.0, 2.0), nothing]
    assert_array_equal(found, expected)


# ---------------------------------------------------------------- (4) periods that do not fit


@pytest.mark.parametrize("run", [run_plain, run_compiled], ids=["uncompiled", "compiled"])
@pytest.mark.parametrize("name", WINDOWED)
def test_window_longer_than_declared_is_refused(name: str, run: Any) -> None:
    params = (SIZE + 1, *CASES[name].params[1:])
    with pytest.raises(ValueError, match=r"declare the state with size=N"):
        run(name, random_bars(5), params)


@pytest.mark.parametrize("run", [run_plain, run_compiled], ids=["uncompiled", "compiled"])
@pytest.mark.parametrize("params", [(14, SIZE + 1, 5), (14, 3, SIZE + 1)])
def test_smoothing_longer_than_declared_is_refused(params: tuple[int, ...], run: Any) -> None:
    with pytest.raises(ValueError, match=r"declare the state with size=N"):
        run("stochastic", random_bars(5), params)


@pytest.mark.parametrize("run", [run_plain, run_compiled], ids=["uncompiled", "compiled"])
@pytest.mark.parametrize("bad", [0, -3])
@pytest.mark.parametrize("name", [name for name in CASES if name != "vwap"])
def test_period_below_one_is_refused(name: str, bad: int, run: Any) -> None:
    params = (bad, *CASES[name].params[1:])
    with pytest.raises(ValueError, match="must be at least 1"):
        run(name, random_bars(5), params)


@pytest.mark.parametrize("run", [run_plain, run_compiled], ids=["uncompiled", "compiled"])
def test_macd_with_fast_above_slow_is_refused(run: Any) -> None:
    with pytest.raises(ValueError, match="fast period"):
        run("macd", random_bars(5), (26, 12, 9))


@pytest.mark.parametrize("name", WINDOWED)
def test_a_period_that_changes_stays_inside_the_window(name: str) -> None:
    """Not supported, so the values mean nothing, but nothing beside the state is written."""
    case, bars = CASES[name], random_bars(100)
    layout = LAYOUTS[case.layout]
    states = np.zeros(3, layout.dtype(SIZE))
    cells = [layout.cell(SIZE)]
    inputs = [bars[c].tolist() for c in case.columns]
    for n in (20, 5, SIZE, 1, 31):
        params = (n, *case.params[1:])
        run_compiled(name, bars, params, states[1:2])
        loop(name)(cells, *inputs, params, empty(name, 100))  # IndexError outside the list
    assert not any(states[0].tobytes())
    assert any(states[1].tobytes())
    assert not any(states[2].tobytes())


# ---------------------------------------------------------------- (5) snapshot


@pytest.mark.parametrize("name", CASES)
def test_a_copied_record_continues_with_the_same_values(name: str) -> None:
    bars = random_bars(400)
    whole = run_compiled(name, bars)
    first = {k: v[:137] for k, v in bars.items()}
    rest = {k: v[137:] for k, v in bars.items()}
    states = record(name)
    run_compiled(name, first, states=states)
    snapshot = np.frombuffer(states.tobytes(), states.dtype).copy()
    for copy in (states, snapshot):
        assert_array_equal(run_compiled(name, rest, states=copy), whole[137:])


# ---------------------------------------------------------------- examples


@pytest.mark.parametrize(
    "module",
    [
        indicators,
        indicators_channel,
        indicators_range,
        indicators_session,
        indicators_smooth,
        indicators_window,
    ],
)
def test_examples_in_docstrings(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0

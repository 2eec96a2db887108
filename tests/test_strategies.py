"""The shipped strategies on real and made data: what they promise, and plain equal to compiled."""

from __future__ import annotations

from datetime import date, datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

import pxresearch as px
from pxresearch.settings import load_settings
from pxresearch.tickdata import ticks as make_ticks

FOLDER = Path(__file__).resolve().parents[1] / "strategies"
NAMES = ("ema_cross", "opening_range", "quote_fade", "two_contracts")
CHICAGO = ZoneInfo("America/Chicago")
LEAN = "lean/future"
MINUTE = 60_000_000_000
FILES: dict[str, tuple[str, ...]] = {  # catalogue → files
    "ESU13": ("mlfinpy/es_ticks_session_20130903.csv.gz",),
    "GCZ13": tuple(f"{LEAN}/comex/tick/gc/201310{d}_trade.zip" for d in ("07", "08")),
    "GCZ13 bars": tuple(f"{LEAN}/comex/minute/gc/201310{d}_trade.zip" for d in ("07", "08")),
    "ESH24": ("databento/nautilus/esh4-glbx-mdp3-20231225.mbo.dbn.zst",),
    "ESU24": ("databento/nautilus/historical_bars_catalog/"
              "futures_mbp-1_2024-07-01T23-58_2024-07-02T00-02.dbn.zst",),
    "ESZ13": tuple(f"{LEAN}/cme/minute/es/201310{d}_trade.zip" for d in ("06", "07", "08")),
    "6EH24": ("nautilus-xcme/6EH4.XCME_1min_bars_20240101_20240131.csv.gz",),
}  # fmt: skip
OPTIONS: dict[str, dict[str, Any]] = {
    "ESU13": {"tz": "America/Chicago"}, "ESH24": {"contract": None}, "ESU24": {"contract": None},
    "6EH24": {"tz": "UTC", "stamp": "end"},
}  # fmt: skip
pytestmark = pytest.mark.filterwarnings("ignore::pxresearch.sessions.CalendarWarning")


@pytest.fixture(scope="session")
def real(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Ticks of a real contract, imported once."""
    folder = tmp_path_factory.mktemp("real")

    def get(name: str) -> px.Ticks:
        code = name.split()[0]
        if not (folder / name).exists():
            for file in FILES[name]:
                options = {"contract": code} | OPTIONS.get(name, {})
                px.import_file(real_data / file, folder / name, **options)
        return px.load(code, catalog=folder / name)

    return get


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small sample week, for both demonstration contracts."""
    folder = tmp_path_factory.mktemp("demo")
    px.make_demo(folder, quotes=20_000, trades=4_000)
    return folder


def shipped(name: str) -> type[px.Strategy]:
    return px.load_strategy(FOLDER / f"{name}.py")


def both(strategy: px.Strategy, data: Any, account: str = "combine-50k", **fills: Any) -> px.Result:
    """Result of a compiled run, after a plain one has given exactly the same rows."""
    one, other = (
        px.backtest(strategy, data, account=account, compiled=compiled, **fills)
        for compiled in (True, False)
    )
    for log, rows in one.run.logs.items():
        assert np.array_equal(rows, other.run.logs[log]), log
    return one


def check(result: px.Result) -> px.Result:
    """Flat at each day's end, no order left, every entry with a stop, no malformed order."""
    assert result.days["open_position"].to_list() == [0] * len(result.days)
    orders = result.orders
    entries = orders.filter(pl.col("role") == "entry")
    filled = entries.filter(pl.col("filled") > 0)["order"].to_list()
    stops = orders.filter(pl.col("role") == "stop_loss")["parent"].to_list()
    reducing = {row["order"] for row in result.fills.iter_rows(named=True) if row["position"] == 0}
    assert set(filled) - reducing <= set(stops), "an entry without a protective stop"
    ours = {"BAD_CONTRACT", "BAD_QUANTITY", "BAD_PRICE", "OFF_GRID", "NO_PRICE", "DUPLICATE"}
    assert not ours & set(result.refusals_by_reason)
    return result


# ------------------------------------------------------------------ all of them
@pytest.mark.parametrize("name", NAMES)
def test_each_runs_with_its_own_settings_on_the_sample_week(name: str, demo: Path) -> None:
    """The TOML beside it fits its parameters, the account and the sample contracts."""
    cls = shipped(name)
    chosen = load_settings(FOLDER / f"{name}.toml", cls._parameters)
    data = [px.load(code, catalog=demo) for code in chosen.contracts]
    account = px.programme(chosen.account, **chosen.account_changes)
    fills, delay = chosen.fills, chosen.fills.latency_ns()
    result = check(both(
        cls(**chosen.parameters), data, account, limit_fill=fills.limit_fill,
        slippage_ticks=fills.slippage_ticks,
        latency=px.Latency(feed=delay[0], entry=delay[1], ack=delay[2]),
    ))  # fmt: skip
    assert len(result.trades) > 0


@pytest.mark.parametrize("name", NAMES)
def test_each_says_what_it_does_and_what_hurts_it(name: str) -> None:
    text = (FOLDER / f"{name}.py").read_text().split('"""')[1]
    plain = " ".join(text.split())
    assert all(word in plain for word in ("What it does:", "When it suits:", "What hurts it:"))
    assert all(len(line) <= 100 for line in text.splitlines())


# ------------------------------------------------------------------ ema_cross
@pytest.mark.realdata
@pytest.mark.parametrize("code", ["ESU13", "GCZ13", "ESZ13", "6EH24"])
def test_ema_cross_on_real_data(real: Any, code: str) -> None:
    result = check(both(shipped("ema_cross")(), real(code)))
    assert len(result.trades) > 0


@pytest.mark.realdata
@pytest.mark.parametrize("code", ["ESH24", "ESU24"])
def test_ema_cross_with_quotes(real: Any, code: str) -> None:
    """An hour and four minutes of order book: bars are made of the trades."""
    strategy = shipped("ema_cross")(fast=1, slow=3, stop_ticks=8, target_ticks=8)
    result = check(both(strategy, real(code), latency=20_000_000))
    assert len(result.bars) == {"ESH24": 59, "ESU24": 3}[code]
    assert code == "ESU24" or len(result.trades) > 0


# ------------------------------------------------------------------ opening_range
@pytest.mark.realdata
@pytest.mark.parametrize("code", ["ESU13", "GCZ13", "ESZ13", "6EH24"])
def test_opening_range_trades_once_a_day_at_most(real: Any, code: str) -> None:
    """Stops one tick outside the range of 08:30 to 08:45; the other is cancelled by the fill."""
    ticks = real(code)
    result = check(both(shipped("opening_range")(), ticks))
    entries = result.orders.filter(pl.col("role") == "entry")
    assert set(entries["kind"]) == {"stop"}
    assert len(result.trades) > 0
    for day in entries["trading_day"].unique():
        pair = entries.filter(pl.col("trading_day") == day)
        assert len(pair) <= 2
        assert pair["filled"].sum() <= 1
        high, low = range_of(ticks, day)
        tick = ticks.contract.instrument.tick_size
        for side, stop in zip(pair["side"], pair["stop"], strict=True):
            expected = high + float(tick) if side == "buy" else low - float(tick)
            assert stop == pytest.approx(expected, abs=1e-9)
    closed = result.trades["exit_ts"].dt.convert_time_zone("America/Chicago").dt.time().max()
    assert closed is not None
    assert closed <= time(15, 1), "closed at 15:00"


def range_of(ticks: px.Ticks, day: date) -> tuple[float, float]:
    """Highest and lowest price of the minutes from 08:30 to 08:45 Chicago."""
    start = datetime(day.year, day.month, day.day, 8, 30, tzinfo=CHICAGO)
    end = start.replace(minute=45)
    minute = pl.col("ts").dt.convert_time_zone("America/Chicago").dt.cast_time_unit("us")
    inside = px.bars(ticks, "1m").filter(minute.is_between(start, end, closed="left"))
    return inside["high"].max(), inside["low"].min()  # type: ignore[return-value]


def quiet_day(path: dict[int, float], until: int) -> px.Ticks:
    """One trade a minute of ESU24 on 2024-07-08; `path` gives the price from a minute on."""
    start = int(datetime(2024, 7, 7, 17, tzinfo=CHICAGO).timestamp()) * 10**9
    price, prices = 5500.0, []
    for minute in range(until):
        price = path.get(minute, price)
        prices.append(price)
    ts = start + MINUTE * np.arange(until) + MINUTE // 2
    return make_ticks("ESU24", trades={"ts": ts, "price": prices})


def test_opening_range_without_a_breakout_cancels_both() -> None:
    """At `last_minute` what still waits is taken away."""
    ticks = quiet_day({932: 5502.0, 934: 5498.0, 936: 5500.0}, 1_300)
    orders = both(shipped("opening_range")(), ticks).orders
    assert orders["stop"].to_list() == [5502.25, 5497.75]
    assert orders["status"].to_list() == ["canceled"] * 2
    ended = orders["ended"].dt.convert_time_zone("America/Chicago").dt.strftime("%H:%M").to_list()
    assert ended == ["13:00"] * 2


def test_opening_range_is_flat_at_its_own_minute() -> None:
    """A breakout that goes nowhere is closed at 15:00, not left to the risk manager."""
    ticks = quiet_day({932: 5502.0, 934: 5498.0, 936: 5500.0, 960: 5502.25, 961: 5503.0}, 1_375)
    result = both(shipped("opening_range")(), ticks)
    (trade,) = result.trades.iter_rows(named=True)
    assert (trade["side"], trade["exit"], trade["cause"]) == (
        "long",
        "flatten",
        "strategy",
    )
    assert trade["exit_ts"].astimezone(CHICAGO).strftime("%H:%M") == "15:00"
    assert result.orders["status"].to_list().count("canceled") >= 1, "the sell stop"


@pytest.mark.realdata
def test_opening_range_after_the_evening_open(real: Any) -> None:
    """Another start: the first ten minutes from 17:05 Chicago, with quotes."""
    strategy = shipped("opening_range")(start_minute=5, minutes=10)
    result = check(both(strategy, real("ESH24"), slippage_ticks=1, latency=50_000_000))
    assert len(result.trades) == 1


# ------------------------------------------------------------------ quote_fade
@pytest.mark.realdata
@pytest.mark.parametrize("code", ["ESH24", "ESU24"])
@pytest.mark.parametrize("limit_fill", ["through", "touch", "queue"])
def test_quote_fade_on_real_quotes(real: Any, code: str, limit_fill: str) -> None:
    """It enters by limit at the best price only, and never worse than it asked."""
    strategy = shipped("quote_fade")(length=200, width=1.5, least_ticks=1.0)
    result = check(both(strategy, real(code), limit_fill=limit_fill, latency=5_000_000))
    entries = result.orders.filter(pl.col("role") == "entry")
    assert len(entries) > 0
    assert set(entries["kind"]) == {"limit"}
    fills = result.fills.filter(pl.col("role") == "entry").join(
        entries.select("order", "limit"), on="order"
    )
    worse = pl.when(pl.col("side") == "buy").then(pl.col("price") - pl.col("limit"))
    assert fills.select(worse.otherwise(pl.col("limit") - pl.col("price")).max()).item() in (
        None,
        0.0,
    )
    if code == "ESH24" and limit_fill == "touch":
        assert len(result.trades) > 0


def test_quote_fade_rests_replaces_and_takes_profit() -> None:
    """A push of eight ticks: offered at the ask, moved after the market, bought back lower."""
    start = int(datetime(2024, 7, 7, 17, tzinfo=CHICAGO).timestamp()) * 10**9
    swing = [0, 1] * 40
    push = [8, 5, 5, 5]  # rests at 9, is left behind at 6, rests there
    back = [8, 6, 4, 2, 1, 0, 0]  # is filled at 6, takes its profit at 2
    bid = 5500.0 + 0.25 * np.array(swing + push + back)
    ts = start + 10**9 * np.arange(len(bid))
    size = np.full(len(bid), 5)
    quotes = {"ts": ts, "bid": bid, "ask": bid + 0.25, "bid_size": size, "ask_size": size}
    ticks = make_ticks("ESU24", quotes=quotes)
    strategy = shipped("quote_fade")(length=20, width=1.0, target_ticks=4, stop_ticks=20)
    result = both(strategy, ticks, account=px.programme("own", start_balance=50_000))
    entries = result.orders.filter(pl.col("role") == "entry")
    assert entries["side"].to_list()[:2] == ["sell", "sell"]
    assert entries["status"].to_list()[:2] == ["canceled", "filled"]
    assert result.trades["exit"].to_list()[:1] == ["target"]


# ------------------------------------------------------------------ two_contracts
@pytest.mark.realdata
def test_two_contracts_on_gold_and_es(real: Any) -> None:
    """Both legs in, both legs out; no leg is left alone for longer than a bar."""
    strategy = shipped("two_contracts")(stop_ticks_0=40, stop_ticks_1=30)
    result = check(both(strategy, [real("GCZ13 bars"), real("ESZ13")]))
    assert len(result.trades) > 10
    assert set(result.trades["contract"]) == {"GCZ13", "ESZ13"}
    assert longest_torn(result) <= 5 * MINUTE


def test_two_contracts_on_the_sample_week(demo: Path) -> None:
    data = [px.load(code, catalog=demo) for code in ("MNQZ26", "MESZ26")]
    result = check(both(shipped("two_contracts")(), data))
    sides = result.fills.filter(pl.col("role") == "entry").group_by("ts").agg("side")
    assert {tuple(sorted(s)) for s in sides["side"].to_list()} <= {
        ("buy", "sell"),
        ("buy",),
        ("sell",),
    }
    assert longest_torn(result) <= 5 * MINUTE


def longest_torn(result: px.Result) -> int:
    """Longest time, ns, with a position in one contract only."""
    held: dict[str, int] = {}
    since, longest = None, 0
    for row in result.fills.sort("ts", maintain_order=True).iter_rows(named=True):
        held[row["contract"]] = row["position"]
        torn = sum(position != 0 for position in held.values()) == 1
        now = row["ts"].timestamp() * 1e9
        if since is not None:
            longest = max(longest, int(now - since))
        since = (since or now) if torn else None
    return longest


def test_two_contracts_closes_the_other_leg_when_one_is_stopped() -> None:
    """Contract 0 runs away from its short: its stop fills, and the hedge goes with it."""
    start = int(datetime(2024, 7, 7, 17, tzinfo=CHICAGO).timestamp()) * 10**9
    n = 40
    ts = start + MINUTE * np.arange(n) + MINUTE // 2
    wobble = np.array([0.0, 0.25] * (n // 2))
    rise = np.concatenate([np.zeros(25), [2.0, 2.5, 3, 4, 5, 6], np.full(n - 31, 6.0)])
    first = make_ticks("ESU24", trades={"ts": ts, "price": 5500.0 + wobble + rise})
    second = make_ticks("NQU24", trades={"ts": ts, "price": np.full(n, 20_000.0)})
    strategy = shipped("two_contracts")(window=20, stop_ticks_0=6, stop_ticks_1=60, give_up=20.0)
    result = both(strategy, [first, second], account=px.programme("own", start_balance=50_000))
    fills = result.fills.filter(pl.col("role") != "entry")
    assert fills["contract"].to_list()[:2] == ["ESU24", "NQU24"]
    assert fills["role"].to_list()[:2] == ["stop_loss", "flatten"]
    assert longest_torn(result) <= MINUTE

"""px.bars: against vendors' bars, against a naive grouping, against the engine's own bars."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pxresearch as px
from pxresearch.errors import DataError, UsageError
from pxresearch.sessions import Session, session, to_ns
from pxresearch.tickdata import ticks as make_ticks

GC = "lean/future/comex"
NAUTILUS = "databento/nautilus"
FOUR = f"{NAUTILUS}/historical_bars_catalog/futures_"
OHLC = ["open", "high", "low", "close"]
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
CHICAGO = ZoneInfo("America/Chicago")
SUNDAY = to_ns(datetime(2024, 7, 7, 17, tzinfo=CHICAGO))  # open of ESU24 on Monday 2024-07-08


# ------------------------------------------------------------------ real data
@pytest.mark.realdata
@pytest.mark.parametrize(("day", "count"), [("07", 1_314), ("08", 1_377)])
def test_gold_ticks_rebuild_the_vendors_minutes(
    real_data: Path, tmp_path: Path, day: str, count: int
) -> None:
    """Every price equal; the volume in every minute but the vendor's last."""
    for what in ("tick", "minute"):
        file = real_data / GC / f"{what}/gc/201310{day}_trade.zip"
        px.import_file(file, tmp_path / what, contract="GCZ13")
    mine = px.bars(px.load("GCZ13", catalog=tmp_path / "tick"), "1m")
    vendor = px.load("GCZ13", catalog=tmp_path / "minute", bars="1m").scan("bars").collect()
    assert len(mine) == len(vendor) == count
    assert mine["ts"].equals(vendor["ts_open"])
    assert (mine.select(OHLC).to_numpy() == vendor.select("o", "h", "l", "c").to_numpy() / 10).all()
    differ = mine["volume"] != vendor["volume"]
    assert mine["ts"].filter(differ).dt.strftime("%H:%M").to_list() == ["23:59"]


@pytest.mark.realdata
def test_es_trades_rebuild_databentos_minutes(real_data: Path, tmp_path: Path) -> None:
    span = "2024-07-01T23-58_2024-07-02T00-02.dbn.zst"
    px.import_file(real_data / f"{FOUR}trades_{span}", tmp_path / "t")
    bars_file = real_data / f"{FOUR}ohlcv-1m_2024-07-01T23-40_2024-07-02T00-10.dbn.zst"
    px.import_file(bars_file, tmp_path / "b", contract="ESU24")
    mine = px.bars(px.load("ESU24", catalog=tmp_path / "t"), "1m")
    theirs = px.load("ESU24", catalog=tmp_path / "b", bars="1m").frame("bars")
    theirs = theirs.filter(pl.col("ts_open").is_in(mine["ts"].implode()))
    assert mine["volume"].to_list() == [18, 23, 175, 37] == theirs["volume"].to_list()
    assert mine.select(OHLC).equals(theirs.select(OHLC))


@pytest.mark.realdata
def test_trades_of_the_order_book_file(real_data: Path, tmp_path: Path) -> None:
    px.import_file(real_data / f"{NAUTILUS}/esh4-glbx-mdp3-20231225.mbo.dbn.zst", tmp_path)
    ticks = px.load("ESH24", catalog=tmp_path)
    made = px.bars(ticks, "1m")
    assert (len(made), made["volume"].sum()) == (60, 9_892)
    first = made.row(0, named=True)
    assert first["ts"].strftime("%H:%M") == "23:00"
    assert [first[name] for name in OHLC] == [4800.25, 4805.0, 4800.25, 4804.75]
    assert first["volume"] == 600
    quotes = px.bars(ticks, "1m", kind="quotes")
    before = quotes.filter(pl.col("ts") < made["ts"][0])
    assert before["count"].sum() == 16, "rows before the open make bars of their own"
    assert quotes["count"].sum() == ticks.rows["quotes"]
    assert (px.bars(ticks, "1d")["volume"].to_list(), len(px.bars(ticks, "1h"))) == ([9_892], 1)


@pytest.mark.realdata
@pytest.mark.filterwarnings("ignore::pxresearch.sessions.CalendarWarning")
@pytest.mark.parametrize("timeframe", ["1m", "1h", "1d", "250t", "1000v", "12r"])
def test_a_backtest_on_real_ticks_makes_the_same_bars(
    real_data: Path, tmp_path: Path, timeframe: str
) -> None:
    """Two days of gold, a third that begins: the engine lacks only the bar the data cuts off."""
    for day in ("07", "08"):
        file = real_data / GC / f"tick/gc/201310{day}_trade.zip"
        px.import_file(file, tmp_path, contract="GCZ13")
    same_bars(px.load("GCZ13", catalog=tmp_path), timeframe)


# ------------------------------------------------------------------ the engine's own bars
class Watcher(px.Strategy):
    """Looks at one-minute bars and does nothing."""

    bars = "1m"

    def on_bar(self, bar):
        """Look."""
        return px.hold()


WATCHERS = {"1m": Watcher} | {
    name: type("Watcher", (Watcher,), {"bars": name})
    for name in ("1s", "7s", "1h", "4h", "1d", "3t", "250t", "9v", "1000v", "2r", "12r", "3m")
}


def same_bars(ticks: px.Ticks, timeframe: str) -> None:
    """The engine's bars are the first of px.bars; it lacks at most the last."""
    account = px.programme("own", start_balance=50_000)
    seen = px.backtest(WATCHERS[timeframe](), ticks, account=account).bars
    made = px.bars(ticks, timeframe)
    assert len(made) - 1 <= len(seen) <= len(made)
    columns = [*OHLC, "volume", "count"]
    assert made.head(len(seen)).select(columns).equals(seen.select(columns))
    assert made["ts"].head(len(seen)).equals(seen["ts_open"], check_names=False)
    assert made["end"].head(len(seen)).equals(seen["ts"], check_names=False)


def trades_of(steps: list[tuple[int, int, int]], start: int = SUNDAY) -> px.Ticks:
    """Trades from (ns since the one before, ticks up, size)."""
    gaps, moves, sizes = (np.array(column, dtype=np.int64) for column in zip(*steps, strict=True))
    price = 5_500.0 + 0.25 * np.cumsum(moves)
    return make_ticks(
        "ESU24", trades={"ts": start + np.cumsum(gaps), "price": price, "size": sizes}
    )


def quotes_of(steps: list[tuple[int, int, int]]) -> px.Ticks:
    """Quotes with spreads of one to three ticks, some without a bid."""
    gaps, moves, sizes = (np.array(column, dtype=np.int64) for column in zip(*steps, strict=True))
    bid = 5_500.0 + 0.25 * np.cumsum(moves)
    ask = bid + 0.25 * (1 + sizes % 3)
    given = [None if s == 0 else b for s, b in zip(sizes, bid, strict=True)]
    return make_ticks("ESU24", quotes={"ts": SUNDAY + np.cumsum(gaps), "bid": given, "ask": ask})


STEPS = st.lists(
    st.tuples(
        st.sampled_from([0, 1, SECOND // 3, SECOND, 20 * SECOND, MINUTE, 7 * MINUTE, 47 * MINUTE]),
        st.integers(-3, 3),
        st.integers(0, 5),
    ),
    min_size=1,
    max_size=60,
)
FRAMES = st.sampled_from(["1s", "7s", "1m", "3m", "1h", "4h", "1d", "3t", "9v", "2r"])


def naive(rows: list[tuple[int, float, int]], timeframe: str, tick: float) -> list[tuple]:
    """One session's bars by a plain reading of the rules: (open, high, low, close, volume, n)."""
    groups: list[list[tuple[int, float, int]]] = []
    size, unit = int(timeframe[:-1]), timeframe[-1]
    length = size * {"s": SECOND, "m": MINUTE, "h": 60 * MINUTE}.get(unit, 0)
    full = True
    for row in rows:
        slot = (row[0] - SUNDAY) // length if length else 0
        if full or (length and slot != (groups[-1][-1][0] - SUNDAY) // length):
            groups.append([])
        groups[-1].append(row)
        prices = [price for _, price, _ in groups[-1]]
        full = {
            "t": len(groups[-1]) >= size,
            "v": sum(volume for _, _, volume in groups[-1]) >= size,
            "r": max(prices) - min(prices) >= size * tick,
        }.get(unit, False)
    return [
        (g[0][1], max(p for _, p, _ in g), min(p for _, p, _ in g), g[-1][1], sum(v for *_, v in g),
         len(g))
        for g in groups
    ]  # fmt: skip


def in_one_session(ticks: px.Ticks) -> bool:
    hours = session(ticks.contract, date(2024, 7, 8))
    return ticks.last < hours.close


@given(STEPS, FRAMES)
@settings(max_examples=60)
def test_bars_of_trades_are_a_plain_grouping(steps: list, timeframe: str) -> None:
    """Time, session, tick, volume and range bars; zero-size trades count."""
    ticks = trades_of(steps)
    if not in_one_session(ticks):
        return
    frame = ticks.frame()
    rows = list(zip(frame["ts"].to_physical(), frame["price"], frame["size"], strict=True))
    made = px.bars(ticks, timeframe).select(*OHLC, "volume", "count").rows()
    assert made == naive(rows, timeframe, 0.25)


@given(STEPS, FRAMES)
@settings(max_examples=40)
def test_bars_of_quotes_are_a_grouping_of_middles(steps: list, timeframe: str) -> None:
    """One-sided quotes do not count."""
    ticks = quotes_of(steps)
    if not in_one_session(ticks):
        return
    frame = ticks.frame().drop_nulls("bid")
    middles = (frame["bid"] + frame["ask"]) / 2
    rows = list(zip(frame["ts"].to_physical(), middles, [0] * len(frame), strict=True))
    made = px.bars(ticks, timeframe).select(*OHLC, "volume", "count").rows()
    assert made == naive(rows, timeframe, 0.25)


@given(STEPS, FRAMES)
@settings(max_examples=40)
def test_bars_equal_the_engines(steps: list, timeframe: str) -> None:
    """Also over the close, where rows outside the session are left out first."""
    ticks = trades_of(steps)
    inside = pl.concat([_inside(ticks, day) for day in ticks.sessions])
    if len(inside):
        same_bars(make_ticks("ESU24", trades=inside), timeframe)


def _inside(ticks: px.Ticks, day: date) -> pl.DataFrame:
    hours: Session = session(ticks.contract, day)
    ts = pl.col("ts").to_physical()
    return ticks.frame().filter((ts >= hours.open) & (ts < hours.close)).drop("session")


# ------------------------------------------------------------------ sessions and their edges
def test_rows_outside_the_session_make_bars_of_their_own() -> None:
    """A bar of before the open ends at the open, one of after the close is not mixed in."""
    close = session(px.contract("ESU24"), date(2024, 7, 8)).close
    ts = [SUNDAY - 90 * SECOND, SUNDAY - 1, SUNDAY, close - 1, close, close + 5 * MINUTE]
    ticks = make_ticks("ESU24", trades={"ts": ts, "price": [5500.0] * 6})
    hourly = px.bars(ticks, "1h")
    assert hourly["count"].to_list() == [2, 1, 1, 2]
    ends = hourly["end"].to_physical().to_list()
    assert ends == [SUNDAY, SUNDAY + 60 * MINUTE, close, close + 60 * MINUTE]
    assert px.bars(ticks, "100t")["count"].to_list() == [2, 2, 2]
    daily = px.bars(ticks, "1d")
    assert daily["count"].sum() == 6
    assert set(daily["session"]) == set(ticks.sessions)


def test_an_old_pause_ends_every_bar() -> None:
    """Until 2021 equity futures paused from 15:15 to 15:30 Chicago."""
    pause = session(px.contract("ESU13"), date(2013, 9, 3))
    ts = [pause.pause_from - SECOND, pause.pause_to, pause.pause_to + SECOND]
    ticks = make_ticks("ESU13", trades={"ts": ts, "price": [1640.0, 1641.0, 1642.0]})
    assert px.bars(ticks, "1h")["count"].to_list() == [1, 2]
    assert px.bars(ticks, "1h")["end"].to_physical()[0] == pause.pause_from
    assert px.bars(ticks, "2t")["count"].to_list() == [1, 2]


@pytest.mark.parametrize(
    ("day", "opens"),
    [("2024-03-08", "23:00"), ("2024-03-11", "22:00"), ("2024-11-01", "22:00"),
     ("2024-11-04", "23:00")],
)  # fmt: skip
def test_four_hour_bars_follow_the_session_over_a_clock_change(day: str, opens: str) -> None:
    """The grid begins at 17:00 Chicago, whatever that is in UTC."""
    hours = session(px.contract("ESZ24"), date.fromisoformat(day))
    ts = np.arange(hours.open, hours.close, 10 * MINUTE)
    made = px.bars(make_ticks("ESZ24", trades={"ts": ts, "price": [6000.0] * len(ts)}), "4h")
    assert made["ts"][0].strftime("%H:%M") == opens
    assert made["count"].to_list() == [24] * 5 + [18], "five bars of four hours and one of three"
    assert made["end"].to_physical()[-1] == hours.close
    assert made["session"].to_list() == [date.fromisoformat(day)] * 6


def test_bars_of_bars() -> None:
    """Minute bars become five-minute bars: first open, extremes, last close, sums."""
    opens = SUNDAY + MINUTE * np.arange(7)
    data = {"ts_open": opens, "ts_close": opens + MINUTE, "open": [10.0, 11, 12, 13, 14, 15, 16],
            "high": [12.0, 15, 13, 14, 15, 17, 18], "low": [9.0, 10, 8, 12, 13, 14, 15],
            "close": [11.0, 12, 13, 14, 15, 16, 17], "volume": [1, 2, 3, 4, 5, 6, 7]}  # fmt: skip
    ticks = make_ticks("ESU24", bars=data)
    made = px.bars(ticks, "5m").select(*OHLC, "volume", "count").rows()
    assert made == [(10.0, 15.0, 8.0, 15.0, 15, 5), (15.0, 18.0, 14.0, 17.0, 13, 2)]
    assert px.bars(ticks, "1m").select(OHLC).equals(ticks.frame().select(OHLC))
    same_bars(ticks, "3m")
    for finer in ("30s", "90s"):
        with pytest.raises(UsageError, match="choose a multiple"):
            px.bars(ticks, finer)


def test_bad_requests_say_what_is_allowed() -> None:
    ticks = trades_of([(0, 0, 1)])
    with pytest.raises(UsageError, match="timeframe '5x' is not known"):
        px.bars(ticks, "5x")
    with pytest.raises(UsageError, match="kind must be one of"):
        px.bars(ticks, "1m", kind="mids")
    with pytest.raises(DataError, match="has no 'quotes'"):
        px.bars(ticks, "1m", kind="quotes")


def test_no_whole_quote_gives_an_empty_frame() -> None:
    ticks = make_ticks("ESU24", quotes={"ts": [SUNDAY], "bid": [None], "ask": [5500.0]})
    made = px.bars(ticks, "1m")
    assert len(made) == 0
    assert made.columns == ["ts", "end", *OHLC, "volume", "count", "session"]


def test_more_rows_than_the_buffer_holds() -> None:
    """Long sessions go through in pieces; a bar may span two of them."""
    n = 150_000
    ts = SUNDAY + SECOND // 4 * np.arange(n)
    ticks = make_ticks("ESU24", trades={"ts": ts, "price": np.full(n, 5500.0)})
    assert px.bars(ticks, "1t")["count"].to_list() == [1] * n
    assert px.bars(ticks, "40000t")["count"].to_list() == [40_000, 40_000, 40_000, 30_000]

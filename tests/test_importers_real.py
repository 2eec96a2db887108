"""Real exchange files through our importers, against the numbers measured by other means."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pxresearch.errors import DataError
from pxresearch.importers import detect, import_file
from pxresearch.tickdata import Ticks, load

pytestmark = pytest.mark.realdata

ES_DAY = "mlfinpy/es_ticks_session_20130903.csv.gz"
GC = "lean/future/comex"
NAUTILUS = "databento/nautilus"
BARS = f"{NAUTILUS}/historical_bars_catalog"
MBO = f"{NAUTILUS}/esh4-glbx-mdp3-20231225.mbo.dbn.zst"
MBP = f"{BARS}/futures_mbp-1_2024-07-01T23-58_2024-07-02T00-02.dbn.zst"
TRADES = f"{BARS}/futures_trades_2024-07-01T23-58_2024-07-02T00-02.dbn.zst"
OHLCV = f"{BARS}/futures_ohlcv-1m_2024-07-01T23-40_2024-07-02T00-10.dbn.zst"


def minute_bars(ticks: Ticks) -> pl.DataFrame:
    """Minute bars of trades, in ticks, zero-size rows included."""
    minute = pl.col("ts").dt.truncate("1m").alias("ts_open")
    return (
        ticks.scan("trades")
        .group_by(minute)
        .agg(
            pl.col("px").first().alias("o"),
            pl.col("px").max().alias("h"),
            pl.col("px").min().alias("l"),
            pl.col("px").last().alias("c"),
            pl.col("size").cast(pl.Int64).sum().alias("volume"),
        )
        .sort("ts_open")
        .collect()
    )


def test_the_es_day_is_imported_whole(real_data: Path, tmp_path: Path) -> None:
    """Rows, lots, range and ties are those that the README measured."""
    report = import_file(real_data / ES_DAY, tmp_path, contract="ESU13", tz="America/Chicago")
    (series,) = report.series
    assert (report.rows_read, series.rows, series.volume) == (444_201, 444_201, 1_655_449)
    assert (series.price_low, series.price_high) == (1630.75, 1650.0)
    assert (series.ties, series.backward, series.zero_sizes) == (374_417, 0, 0)
    day = load("ESU13", "2013-09-03", catalog=tmp_path)
    frame = day.frame()
    assert str(frame["ts"][0]) == "2013-09-02 22:00:00.026000+00:00"
    late = frame.filter(
        pl.col("ts").dt.convert_time_zone("America/Chicago").dt.time() >= pl.time(8, 30),
        pl.col("ts").dt.convert_time_zone("America/Chicago").dt.date() == pl.date(2013, 9, 3),
    )
    assert (len(late), late["size"].sum()) == (358_004, 1_399_605)


@pytest.mark.parametrize(
    ("day", "bars", "built", "vendor"), [("07", 1_314, 16, 14), ("08", 1_377, 4, 3)]
)
def test_gold_ticks_give_the_vendors_minutes(
    real_data: Path, tmp_path: Path, day: str, bars: int, built: int, vendor: int
) -> None:
    """Oracle 1: every price equal; the volume too, but for the vendor's last minute."""
    import_file(real_data / GC / f"tick/gc/201310{day}_trade.zip", tmp_path / "t", contract="GCZ13")
    import_file(
        real_data / GC / f"minute/gc/201310{day}_trade.zip", tmp_path / "m", contract="GCZ13"
    )
    mine = minute_bars(load("GCZ13", catalog=tmp_path / "t"))
    theirs = load("GCZ13", catalog=tmp_path / "m", bars="1m").scan("bars").collect()
    assert len(mine) == len(theirs) == bars
    prices = ["ts_open", "o", "h", "l", "c"]
    assert mine.select(prices).equals(theirs.select(prices))
    differ = mine["volume"] != theirs["volume"]
    assert mine["volume"].filter(differ).to_list() == [built]
    assert theirs["volume"].filter(differ).to_list() == [vendor]
    assert mine["ts_open"].filter(differ)[0].strftime("%H:%M") == "23:59"


def test_two_utc_day_files_make_one_session(real_data: Path, tmp_path: Path) -> None:
    """The session of 10-08 comes from two zips; both stay, in order, also after a second import."""
    for _ in range(2):
        for day in ("07", "08"):
            import_file(
                real_data / GC / f"tick/gc/201310{day}_trade.zip", tmp_path, contract="GCZ13"
            )
    both = load("GCZ13", catalog=tmp_path)
    assert both.rows == {"trades": 39_702 + 52_038}
    assert [str(d) for d in both.sessions] == ["2013-10-07", "2013-10-08", "2013-10-09"]
    blocks = list(both.blocks())
    assert all((np.diff(b.trades.ts) >= 0).all() for b in blocks if b.trades)
    parts = list(tmp_path.glob("**/session=2013-10-08/part-*.parquet"))
    assert len(parts) == 2


def test_zero_size_rows_are_kept_and_flagged(real_data: Path, tmp_path: Path) -> None:
    report = import_file(real_data / GC / "tick/gc/20131007_trade.zip", tmp_path, contract="GCZ13")
    assert report.series[0].zero_sizes == 92
    frame = load("GCZ13", catalog=tmp_path).scan("trades").collect()
    assert frame.filter(pl.col("size") == 0)["flags"].unique().to_list() == [1]


def test_the_book_rebuilt_from_orders(real_data: Path, tmp_path: Path) -> None:
    """25,423 tops from 23:00, none locked or crossed; T rows are the only trades."""
    report = import_file(real_data / MBO, tmp_path)
    assert report.rows_read == 68_792
    ticks = load("ESH24", catalog=tmp_path)
    quotes = ticks.scan("quotes").collect()
    opening = pl.lit("2023-12-25 23:00:00").str.to_datetime(time_unit="ns", time_zone="UTC")
    regular = quotes.filter(pl.col("ts") >= opening)
    assert len(regular) == 25_423
    assert regular.filter(pl.col("ask_px") <= pl.col("bid_px")).is_empty()
    before = quotes.filter(pl.col("ts") < opening)
    assert before.filter(pl.col("ask_px") < pl.col("bid_px")).height == 15
    assert (before["flags"] & 32 > 0).all()
    end = ticks.frame("quotes").row(-1, named=True)
    assert [end[k] for k in ("bid_size", "bid", "ask_size", "ask")] == [22, 4810.0, 28, 4810.25]
    trades = ticks.scan("trades").collect()
    assert (len(trades), trades["size"].sum()) == (2_973, 9_892)
    bars = minute_bars(ticks)
    assert len(bars) == 60
    assert bars.row(0)[1:] == (19_201, 19_220, 19_201, 19_219, 600)


def test_trades_hit_the_standing_quote(real_data: Path, tmp_path: Path) -> None:
    """Merged by (ts, seq), all trades but the opening cross are at the opposite quote or beyond it.

    Beyond: one order swept several levels, and the book is shown only after the whole event.
    """
    import_file(real_data / MBO, tmp_path)
    ticks = load("ESH24", catalog=tmp_path)
    quotes = ticks.scan("quotes").select("ts", "seq", "bid_px", "ask_px")
    merged = (
        pl.concat([quotes, ticks.scan("trades").select("ts", "seq", "px", "side")], how="diagonal")
        .sort("ts", "seq")
        .with_columns(pl.col("bid_px", "ask_px").forward_fill())
        .filter(pl.col("px").is_not_null())
        .collect()
    )
    hit = ((pl.col("side") == 1) & (pl.col("px") >= pl.col("ask_px"))) | (
        (pl.col("side") == -1) & (pl.col("px") <= pl.col("bid_px"))
    )
    missed = merged.filter(~hit)
    assert len(merged) - len(missed) == 2_972
    assert missed["side"].to_list() == [0]


def test_trades_of_the_book_file_equal_the_trades_file(real_data: Path, tmp_path: Path) -> None:
    """Oracle 2: 120 equal trades, and the minutes that they make equal the vendor's."""
    import_file(real_data / MBP, tmp_path / "a")
    import_file(real_data / TRADES, tmp_path / "b")
    import_file(real_data / OHLCV, tmp_path / "c")
    columns = ["ts", "ts_event", "px", "size", "side"]
    a, b = (
        load("ESU24", catalog=tmp_path / d, kinds=["trades"]).scan("trades").collect() for d in "ab"
    )
    assert a.select(columns).equals(b.select(columns))
    assert (len(a), a["size"].sum()) == (120, 253)
    assert a["side"].value_counts().sort("side")["count"].to_list() == [54, 66]
    mine = minute_bars(load("ESU24", catalog=tmp_path / "a"))
    theirs = load("ESU24", catalog=tmp_path / "c").scan("bars").collect()
    same = ["ts_open", "o", "h", "l", "c", "volume"]
    joined = theirs.join(mine.select("ts_open"), on="ts_open", how="semi").select(same)
    assert mine.equals(joined)
    assert mine["volume"].to_list() == [18, 23, 175, 37]
    quotes = load("ESU24", catalog=tmp_path / "a").frame("quotes")
    assert (quotes["ask"] > quotes["bid"]).all()
    assert load("NQU24", catalog=tmp_path / "c").rows == {"bars": 30}


def test_end_stamped_minutes_of_a_currency(real_data: Path, tmp_path: Path) -> None:
    """29,996 bars; stamped at the end, which the daily break confirms."""
    path = real_data / "nautilus-xcme/6EH4.XCME_1min_bars_20240101_20240131.csv.gz"
    with pytest.raises(DataError, match=r"The daily break says end\. Say --stamp start or"):
        import_file(path, tmp_path, contract="6EH24")
    assert not list(tmp_path.iterdir())
    report = import_file(path, tmp_path, contract="6EH24", stamp="end")
    assert not report.warnings
    (series,) = report.series
    assert (series.rows, series.volume) == (29_996, 4_310_578)
    assert (series.price_low, series.price_high) == (1.081, 1.10785)
    assert "15:59 to 17:00 Chicago" in report.evidence
    wrong = import_file(path, tmp_path / "w", contract="6EH24", stamp="start")
    assert "the daily break says that bars are stamped at their end" in wrong.warnings[0]


def test_jbooktrader_quotes(real_data: Path, tmp_path: Path) -> None:
    path = real_data / "jbooktrader/ES-IB-Aug18toAug19.zip"
    with pytest.raises(DataError, match="--contract"):
        import_file(path, tmp_path)
    report = import_file(path, tmp_path, contract="ESU08")
    (series,) = report.series
    assert (series.rows, series.locked, series.crossed, series.ties) == (52_145, 2, 0, 0)
    assert (series.price_low, series.price_high) == (1262.75, 1305.75)
    assert report.tz == "America/New_York"


def test_a_recording_across_a_roll_is_refused(real_data: Path, tmp_path: Path) -> None:
    path = real_data / "jbooktrader/ES-IB-May30ToJuly23.zip"
    with pytest.raises(DataError, match="after the delivery month of ESM08"):
        import_file(path, tmp_path, contract="ESM08")


def test_lean_minutes_and_hours(real_data: Path, tmp_path: Path) -> None:
    """Bars of the main contract by day; hours are the sums of minutes."""
    rows = {}
    for day in ("06", "07", "08"):
        path = real_data / f"lean/future/cme/minute/es/201310{day}_trade.zip"
        report = import_file(path, tmp_path, contract="ESZ13")
        rows[day] = report.series[0].rows
        import_file(
            real_data / f"lean/future/cme/minute/es/201310{day}_quote.zip",
            tmp_path, contract="ESZ13",
        )  # fmt: skip
    assert rows == {"06": 118, "07": 1_344, "08": 1_372}
    import_file(real_data / "lean/future/cme/hour/es_trade.zip", tmp_path, contract="ESZ13")
    with pytest.raises(DataError, match="has bars of 1h, 1m; choose one with"):
        load("ESZ13", catalog=tmp_path, kinds=["bars"])
    minutes = load("ESZ13", "2013-10-07", "2013-10-08", catalog=tmp_path, bars="1m")
    hours = load("ESZ13", "2013-10-07", "2013-10-08", catalog=tmp_path, bars="1h")
    hour = pl.col("ts_open").dt.truncate("1h")
    summed = minutes.frame().group_by(hour).agg(pl.col("volume").sum().alias("built"))
    joined = hours.frame().join(summed, on="ts_open")
    # The vendor has no hour for 16:00 to 16:15 Chicago, which was trading time in 2013.
    assert len(joined) == len(hours.frame()) == 46
    assert joined["built"].equals(joined["volume"], check_names=False)


def test_the_roll_of_december_2013(real_data: Path, tmp_path: Path) -> None:
    report = import_file(real_data / "lean/future/cme/minute/es/20131218_trade.zip", tmp_path)
    volume = {s.contract: (s.rows, s.volume) for s in report.series}
    assert volume["ESZ13"] == (1_138, 284_376)
    assert volume["ESH14"] == (1_348, 2_261_640)


def test_lean_open_interest_is_refused(real_data: Path, tmp_path: Path) -> None:
    path = real_data / "lean/future/cme/minute/es/20131007_openinterest.zip"
    with pytest.raises(DataError, match="open interest has no prices"):
        import_file(path, tmp_path)
    assert not list(tmp_path.iterdir())


SCHEMAS = {
    "mbo": None, "mbp-1": "quotes", "mbp-10": "quotes", "tbbo": "quotes", "trades": "trades",
    "ohlcv-1s": "bars", "ohlcv-1m": "bars", "ohlcv-1h": "bars", "ohlcv-1d": "bars",
    "bbo-1s": "quotes", "bbo-1m": "quotes", "definition": None, "status": None,
    "statistics": None,
}  # fmt: skip


@pytest.mark.parametrize("schema", SCHEMAS)
def test_every_databento_schema(real_data: Path, tmp_path: Path, schema: str) -> None:
    """Schemas with prices import; the others are refused by name, and nothing is stored."""
    path = real_data / f"databento/databento-python/GLBX.MDP3/test_data.{schema}.dbn.zst"
    assert detect(path) == "databento"
    kind = SCHEMAS[schema]
    if kind is None:
        # The mbo sample is four snapshot orders of an event that never ends: no book, no trade.
        said = "nothing to import" if schema == "mbo" else f"schema '{schema}'"
        with pytest.raises(DataError, match=said):
            import_file(path, tmp_path)
        assert not list(tmp_path.iterdir())
        return
    report = import_file(path, tmp_path)
    held = {s.kind for s in report.series}
    assert kind in held
    assert {s.contract for s in report.series} == {"ESH21"}
    ticks = load("ESH21", catalog=tmp_path)
    assert 3600 < ticks.frame(kind).select(pl.col(pl.Float64)).row(-1)[0] < 3800


def test_a_definition_file_of_spreads_is_refused(real_data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="definition"):
        import_file(real_data / NAUTILUS / "definition-glbx-es-futspread.dbn.zst", tmp_path)


def test_a_truncated_dbn_file_is_refused(real_data: Path, tmp_path: Path) -> None:
    whole = (real_data / MBP).read_bytes()
    for size in (len(whole) // 2, 40):
        cut = tmp_path / "cut.dbn.zst"
        cut.write_bytes(whole[:size])
        with pytest.raises(DataError, match="cut short"):
            import_file(cut, tmp_path / "cat")
    assert not (tmp_path / "cat").exists()


def test_a_dbn_file_cut_inside_a_record_is_refused(real_data: Path, tmp_path: Path) -> None:
    import pyarrow as pa

    raw = pa.CompressedInputStream(pa.OSFile(str(real_data / TRADES)), "zstd").read()
    cut = tmp_path / "cut.dbn"
    cut.write_bytes(raw[:-17])
    with pytest.raises(DataError, match="cut short"):
        import_file(cut, tmp_path / "cat")

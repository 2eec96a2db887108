"""Formats without a free sample: each layout is written from one set of ticks and read back."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pxresearch.errors import AmbiguousInput, DataError
from pxresearch.importers import detect, import_file
from pxresearch.tickdata import load

OPEN = 1_378_159_200_000_000_000  # 2013-09-02 22:00 UTC, 17:00 Chicago
N = 400


def made_ticks() -> pl.DataFrame:
    """ES trades over two evenings, in whole milliseconds, with ties and a book."""
    rng = np.random.default_rng(7)
    first = OPEN + np.sort(rng.integers(0, 3_600_000, N // 2)) * 1_000_000
    ts = np.concatenate([first, first + 24 * 3600 * 10**9])
    ts[1::4] = ts[0::4]
    bid = 6560 + np.cumsum(rng.choice([-1, 0, 1], N))
    side = rng.choice([-1, 1], N)
    return pl.DataFrame(
        {
            "ts": np.sort(ts),
            "bid": bid * 0.25,
            "ask": (bid + 1) * 0.25,
            "px": np.where(side > 0, bid + 1, bid) * 0.25,
            "size": rng.integers(1, 50, N),
            "side": side,
        }
    )


TICKS = made_ticks()
BARS = (
    TICKS.group_by((pl.col("ts") // (60 * 10**9)) * (60 * 10**9), maintain_order=True)
    .agg(
        pl.col("px").first().alias("o"),
        pl.col("px").max().alias("h"),
        pl.col("px").min().alias("l"),
        pl.col("px").last().alias("c"),
        pl.col("size").sum().alias("v"),
    )
    .sort("ts")
)


def text_of(ns: int, layout: str) -> str:
    return datetime.fromtimestamp(ns // 10**9, UTC).strftime(layout)


def stored(catalog: Path, kind: str = "trades") -> pl.DataFrame:
    return load("ESU13", catalog=catalog, kinds=[kind]).scan(kind).collect()


def same_trades(catalog: Path, *, side: bool = False, seconds: bool = False) -> None:
    found = stored(catalog)
    unit = 10**9 if seconds else 1
    assert found["ts"].to_physical().to_list() == (TICKS["ts"] // unit * unit).to_list()
    assert (found["px"] * 0.25).to_list() == TICKS["px"].to_list()
    assert found["size"].to_list() == TICKS["size"].to_list()
    if side:
        assert found["side"].to_list() == TICKS["side"].to_list()


def same_quotes(catalog: Path) -> None:
    found = stored(catalog, "quotes")
    assert (found["bid_px"] * 0.25).to_list() == TICKS["bid"].to_list()
    assert (found["ask_px"] * 0.25).to_list() == TICKS["ask"].to_list()
    assert (found["seq"].to_numpy() < stored(catalog)["seq"].to_numpy()).all()


def same_bars(catalog: Path) -> None:
    found = stored(catalog, "bars")
    assert found["ts_open"].to_physical().to_list() == BARS["ts"].to_list()
    assert ((found["ts_close"] - found["ts_open"]).dt.total_seconds() == 60).all()
    for name in "ohlc":
        assert (found[name] * 0.25).to_list() == BARS[name].to_list()
    assert found["volume"].to_list() == BARS["v"].to_list()


def fraction(ns: int) -> str:
    return f"{ns % 10**9 // 100:07d}"


Line = Callable[[dict[str, float]], str]
NINJA: dict[str, Line] = {
    "tick": lambda r: f"{text_of(int(r['ts']), '%Y%m%d %H%M%S')};{r['px']};{r['size']}",
    "sub-second": lambda r: (
        f"{text_of(int(r['ts']), '%Y%m%d %H%M%S')} {fraction(int(r['ts']))};{r['px']};{r['size']}"
    ),
    "replay": lambda r: (
        f"{text_of(int(r['ts']), '%Y%m%d %H%M%S')} {fraction(int(r['ts']))};"
        f"{r['px']};{r['bid']};{r['ask']};{r['size']}"
    ),
}


@pytest.mark.parametrize("layout", NINJA)
def test_ninjatrader_ticks(tmp_path: Path, layout: str) -> None:
    """The contract comes from the file's name, the clock is UTC, fractions count 100 ns."""
    path = tmp_path / "ES 09-13.Last.txt"
    path.write_text("\r\n".join(NINJA[layout](r) for r in TICKS.to_dicts()))
    assert detect(path) == "ninjatrader"
    import_file(path, tmp_path / "cat")
    same_trades(tmp_path / "cat", seconds=layout == "tick")
    if layout == "replay":
        same_quotes(tmp_path / "cat")


def test_ninjatrader_decimal_comma(tmp_path: Path) -> None:
    path = tmp_path / "ES 09-13.Last.txt"
    lines = (NINJA["tick"](r).replace(".", ",") for r in TICKS.to_dicts())
    path.write_text("\n".join(lines))
    import_file(path, tmp_path / "cat")
    same_trades(tmp_path / "cat", seconds=True)


def ninja_bars(path: Path, shift: int) -> Path:
    path.write_text(
        "\n".join(
            text_of(r["ts"] + shift, "%Y%m%d %H%M%S") + "".join(f";{r[k]}" for k in "ohlcv")
            for r in BARS.to_dicts()
        )
    )
    return path


def test_ninjatrader_minutes_are_stamped_at_their_end(tmp_path: Path) -> None:
    """The documented habit is the default; a break that says otherwise makes us ask."""
    path = ninja_bars(tmp_path / "ES 09-13.Last.txt", 60 * 10**9)
    report = import_file(path, tmp_path / "cat")
    assert (report.stamp, report.tz, report.warnings) == ("end", "UTC", ())
    same_bars(tmp_path / "cat")
    start = ninja_bars(tmp_path / "ES 09-13.Start.txt", 0)
    with pytest.raises(AmbiguousInput, match="--stamp start or --stamp end"):
        import_file(start, tmp_path / "cat2")
    import_file(start, tmp_path / "cat2", stamp="start")
    same_bars(tmp_path / "cat2")


def test_ninjatrader_daily_bars_keep_their_day(tmp_path: Path) -> None:
    path = tmp_path / "ES 09-13.Last.txt"
    path.write_text("20130903;1640;1650.25;1630.5;1640;100\n20130904;1640;1650;1630;1641;90\n")
    import_file(path, tmp_path / "cat")
    days = load("ESU13", catalog=tmp_path / "cat")
    assert [str(d) for d in days.sessions] == ["2013-09-03", "2013-09-04"]
    assert days.bar_spec == "1d"


def test_ninjatrader_bid_and_ask_files_are_joined(tmp_path: Path) -> None:
    for name, column in (("Bid", "bid"), ("Ask", "ask")):
        lines = (
            f"{text_of(r['ts'], '%Y%m%d %H%M%S')} {fraction(r['ts'])};{r[column]};7"
            for r in TICKS.to_dicts()
        )
        (tmp_path / f"ES 09-13.{name}.txt").write_text("\n".join(lines))
    import_file(tmp_path / "ES 09-13.Ask.txt", tmp_path / "cat")
    last = stored(tmp_path / "cat", "quotes").row(-1, named=True)
    row = TICKS.row(-1, named=True)
    assert (last["bid_px"] / 4, last["ask_px"] / 4) == (row["bid"], row["ask"])
    (tmp_path / "ES 09-13.Bid.txt").unlink()
    with pytest.raises(DataError, match=r"ES 09-13\.Bid\.txt is not beside it"):
        import_file(tmp_path / "ES 09-13.Ask.txt", tmp_path / "cat2")


def test_a_merged_series_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ES ##-##.Last.txt"
    path.write_text(NINJA["tick"](TICKS.row(0, named=True)))
    with pytest.raises(AmbiguousInput, match="continuous"):
        import_file(path, tmp_path / "cat")


SCID_EPOCH = 2_209_161_600_000_000


def scid(records: list[bytes], tail: bytes = b"") -> bytes:
    return b"SCID" + struct.pack("<IIHHI36x", 56, 40, 1, 0, 0) + b"".join(records) + tail


def scid_trade(row: dict[str, float], *, days: bool = False) -> bytes:
    micros = int(row["ts"]) // 1_000 + SCID_EPOCH
    stamp = struct.pack("<d", micros / 86_400e6) if days else struct.pack("<q", micros)
    size = int(row["size"])
    sides = (0, size) if row["side"] > 0 else (size, 0)
    return stamp + struct.pack("<ffffIIII", 0.0, row["ask"], row["bid"], row["px"], 1, size, *sides)


@pytest.mark.parametrize("days", [False, True])
def test_sierra_trades(tmp_path: Path, days: bool) -> None:
    """Trades with side and the book that stood; old files count days; a torn tail is counted."""
    path = tmp_path / "ESU13.scid"
    path.write_bytes(scid([scid_trade(r, days=days) for r in TICKS.to_dicts()], b"torn"))
    report = import_file(path, tmp_path / "cat")
    assert report.quarantined == {"torn last record": 1}
    same_trades(tmp_path / "cat", side=True)
    same_quotes(tmp_path / "cat")


def test_sierra_bars_and_mixtures(tmp_path: Path) -> None:
    bars = [
        struct.pack(
            "<qffffIIII",
            r["ts"] // 1_000 + SCID_EPOCH, r["o"], r["h"], r["l"], r["c"], 5, r["v"], 0, r["v"],
        )
        for r in BARS.to_dicts()
    ]  # fmt: skip
    path = tmp_path / "ESU13-CME.scid"
    path.write_bytes(scid(bars))
    import_file(path, tmp_path / "cat")
    same_bars(tmp_path / "cat")
    trade = dict(TICKS.row(-1, named=True), ts=int(BARS["ts"][-1]) + 3600 * 10**9)
    path.write_bytes(scid([*bars, scid_trade(trade)]))
    with pytest.raises(AmbiguousInput, match="--kind trades or --kind bars"):
        import_file(path, tmp_path / "cat2")
    report = import_file(path, tmp_path / "cat2", kind="bars")
    assert report.quarantined == {"of the other kind": 1}


def test_projectx_bars(tmp_path: Path) -> None:
    """Newest first, pages that overlap; success is checked before bars."""
    rows = [
        {"t": text_of(r["ts"], "%Y-%m-%dT%H:%M:%S+00:00"), **{k: r[k] for k in "ohlcv"}}
        for r in BARS.reverse().to_dicts()
    ]
    answer = {"bars": rows, "success": True, "errorCode": 0, "errorMessage": None}
    pages = [dict(answer, bars=rows[:50]), dict(answer, bars=rows[49:])]
    for content, repeated in ((answer, {}), (pages, {"repeated where pages overlap": 1})):
        path = tmp_path / f"bars{len(repeated)}.json"
        path.write_text(json.dumps(content))
        assert detect(path) == "projectx"
        report = import_file(path, tmp_path / f"cat{len(repeated)}", contract="ESU13")
        assert report.quarantined == repeated
        same_bars(tmp_path / f"cat{len(repeated)}")
    failed = dict(answer, success=False, bars=[], errorMessage="no such contract")
    path.write_text(json.dumps(failed))
    with pytest.raises(DataError, match="no such contract"):
        import_file(path, tmp_path / "no", contract="ESU13")


def table(layout: str) -> pl.DataFrame:
    ts = TICKS["ts"].cast(pl.Datetime("ns", "UTC"))
    if layout == "chicago":
        text = ts.dt.convert_time_zone("America/Chicago").dt.strftime("%Y-%m-%d %H:%M:%S%.3f")
    elif layout == "iso":
        text = ts.dt.strftime("%Y-%m-%dT%H:%M:%S%.9fZ")
    else:
        text = TICKS["ts"] // {"ns": 1, "us": 10**3, "ms": 10**6}[layout]
    return TICKS.select(
        text.alias("DateTime"), pl.col("px").alias("Price"), pl.col("size").alias("Volume"),
        pl.when(pl.col("side") > 0).then(pl.lit("B")).otherwise(pl.lit("A")).alias("Side"),
    )  # fmt: skip


@pytest.mark.parametrize("layout", ["chicago", "iso", "ns", "us", "ms"])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_tables_of_trades(tmp_path: Path, layout: str, suffix: str) -> None:
    path = tmp_path / f"es.{suffix}"
    frame = table(layout)
    if suffix == "csv":
        frame.write_csv(path)
    else:
        frame.write_parquet(path)
    tz = "America/Chicago" if layout == "chicago" else None
    import_file(path, tmp_path / "cat", contract="ESU13", tz=tz)
    same_trades(tmp_path / "cat", side=True)


def test_named_columns_and_a_date_column(tmp_path: Path) -> None:
    """Columns of any name, and Kibot's split of date and time with the book beside the trade."""
    ts = TICKS["ts"].cast(pl.Datetime("ns", "UTC"))
    frame = TICKS.select(
        ts.dt.strftime("%m/%d/%Y").alias("Date"), ts.dt.strftime("%H:%M:%S%.3f").alias("Time"),
        pl.col("px").alias("Traded"), pl.col("bid").alias("Bid"), pl.col("ask").alias("Ask"),
        pl.col("size").alias("Size"),
    )  # fmt: skip
    path = tmp_path / "kibot.csv"
    frame.write_csv(path)
    import_file(path, tmp_path / "cat", contract="ESU13", tz="UTC", columns={"price": "Traded"})
    same_trades(tmp_path / "cat")
    same_quotes(tmp_path / "cat")


def test_a_databento_csv(tmp_path: Path) -> None:
    """Two clocks, integer prices of 1e-9, ISO times: ordered by ts_recv."""
    frame = TICKS.select(
        pl.col("ts").cast(pl.Datetime("ns")).dt.strftime("%Y-%m-%dT%H:%M:%S%.9fZ").alias("ts_recv"),
        (pl.col("ts") - 150).alias("ts_event"),
        (pl.col("px") * 1e9).cast(pl.Int64).alias("price"), "size",
        pl.when(pl.col("side") > 0).then(pl.lit("B")).otherwise(pl.lit("A")).alias("side"),
    )  # fmt: skip
    path = tmp_path / "glbx.csv"
    frame.write_csv(path)
    import_file(path, tmp_path / "cat", contract="ESU13")
    same_trades(tmp_path / "cat", side=True)

"""The store: what is written comes back, whole imports or none, and errors that list what is."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pxresearch import catalog as module
from pxresearch.catalog import Catalog, part
from pxresearch.errors import AmbiguousInput, CatalogError, DataError, OffGridPrice, UsageError
from pxresearch.importers import import_file
from pxresearch.tickdata import NO_ASK, NO_BID, load, ticks
from tests.test_importers_bad import digest

NOON = 1_378_217_000_000_000_000  # 2013-09-03 14:03:20 UTC


def write_csv(path: Path, days: int = 3, price: float = 1640.0) -> Path:
    """Trades on consecutive days from 2013-09-03."""
    stamps = [NOON + d * 86_400 * 10**9 + i * 10**9 for d in range(days) for i in range(5)]
    pl.DataFrame({"ts": stamps, "price": price, "size": 1}).write_csv(path)
    return path


def test_coverage_lists_every_file(tmp_path: Path) -> None:
    store = Catalog(tmp_path / "cat")
    import_file(write_csv(tmp_path / "a.csv"), store, contract="ESU13")
    held = store.coverage()
    assert held.columns == [
        "contract", "kind", "spec", "session", "rows", "first", "last", "bytes", "source",
    ]  # fmt: skip
    assert held["rows"].to_list() == [5, 5, 5]
    (row,) = store.list()
    assert (row["contract"], row["from"], row["to"], row["rows"]) == (
        "ESU13", "2013-09-03", "2013-09-05", 15,
    )  # fmt: skip
    assert Catalog(tmp_path / "none").list() == []


def test_importing_again_changes_nothing(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv")
    import_file(path, tmp_path / "cat", contract="ESU13")
    before = digest(tmp_path / "cat")
    import_file(path, tmp_path / "cat", contract="ESU13")
    assert digest(tmp_path / "cat") == before
    assert set(before) == {
        f"kind=trades/root=ES/contract=ESU13/session=2013-09-0{d}/"
        f"part-{next(iter(before)).rsplit('-', 1)[1]}"
        for d in (3, 4, 5)
    }


@pytest.mark.parametrize("fail_at", range(7))
def test_a_failure_at_any_rename_restores_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fail_at: int
) -> None:
    """Three old files go and four new ones come; whichever rename fails, all is as it was."""
    store = Catalog(tmp_path / "cat")
    import_file(write_csv(tmp_path / "a.csv"), store, contract="ESU13")
    before = digest(store.root)
    real, calls = os.replace, iter(range(100))

    def flaky(a: object, b: object) -> None:
        if next(calls) == fail_at:
            raise OSError("disk full")
        real(a, b)  # type: ignore[arg-type]

    monkeypatch.setattr(module.os, "replace", flaky)
    other = write_csv(tmp_path / "b.csv", days=4, price=1650.0)
    with pytest.raises(OSError, match="disk full"):
        import_file(other, store, contract="ESU13", replace=True)
    assert digest(store.root) == before
    assert not [p for p in store.root.rglob("session=2013-09-06")]


def test_a_corrected_zone_leaves_nothing_behind(tmp_path: Path) -> None:
    """The same file with another zone moves to other sessions; the wrong ones go."""
    path = tmp_path / "a.csv"
    path.write_text(
        "DateTime,Price,Volume\n2013-09-03 16:30:00,1640,1\n2013-09-03 17:30:00,1640,1\n"
    )
    import_file(path, tmp_path / "cat", contract="ESU13", tz="America/Chicago")
    assert len(load("ESU13", catalog=tmp_path / "cat").sessions) == 2
    import_file(path, tmp_path / "cat", contract="ESU13", tz="UTC")
    data = load("ESU13", catalog=tmp_path / "cat")
    assert [str(d) for d in data.sessions] == ["2013-09-03"]
    assert data.rows == {"trades": 2}


def test_a_failure_while_writing_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Catalog(tmp_path / "cat")
    real, calls = part.pq.write_table, iter(range(100))

    def flaky(*args: object, **kwargs: object) -> None:
        if next(calls) == 1:
            raise KeyboardInterrupt
        real(*args, **kwargs)

    monkeypatch.setattr(part.pq, "write_table", flaky)
    with pytest.raises(KeyboardInterrupt):
        import_file(write_csv(tmp_path / "a.csv"), store, contract="ESU13")
    assert not list(store.root.rglob("*"))


def test_load_by_trading_day(tmp_path: Path) -> None:
    cat = tmp_path / "cat"
    import_file(write_csv(tmp_path / "a.csv"), cat, contract="ESU13")
    assert len(load("ESU13", catalog=cat).sessions) == 3
    assert [str(d) for d in load("ESU13", "2013-09-04", catalog=cat).sessions] == ["2013-09-04"]
    assert len(load("esu13", "2013-09-04", "2013-09-05", catalog=cat).sessions) == 2
    assert len(load("ESU13", end="2013-09-04", catalog=cat).sessions) == 2
    assert load("ESU3", "2013-09-04", catalog=cat).contract.code == "ESU13"
    with pytest.raises(CatalogError, match=r"ESU13 trades 2013-09-03\.\.2013-09-05 \(3 days\)"):
        load("ESU13", "2014-01-01", catalog=cat)
    with pytest.raises(CatalogError, match="is empty: import a file"):
        load("ESU13", catalog=tmp_path / "other")
    with pytest.raises(UsageError, match="is not a day"):
        load("ESU13", "3.9.2013", catalog=cat)
    with pytest.raises(UsageError, match="allowed: quotes, trades, bars"):
        load("ESU13", catalog=cat, kinds=["ticks"])
    with pytest.raises(CatalogError, match=r"\(quotes\)"):
        load("ESU13", catalog=cat, kinds=["quotes"])


def test_ticks_reads_as_a_trader_speaks(tmp_path: Path) -> None:
    cat = tmp_path / "cat"
    import_file(write_csv(tmp_path / "a.csv"), cat, contract="ESU13")
    data = load("ESU13", catalog=cat)
    assert repr(data) == (
        "Ticks(ESU13, 3 trading days 2013-09-03 to 2013-09-05: 15 trades; "
        "2013-09-03 14:03:20 UTC to 2013-09-05 14:03:24 UTC)"
    )
    assert data._repr_html_().startswith("<code>Ticks(ESU13")
    assert (data.first, data.last, len(data)) == (NOON, NOON + 2 * 86_400 * 10**9 + 4 * 10**9, 15)
    frame = data.frame()
    assert frame.columns == ["session", "ts", "price", "size", "side"]
    assert frame.schema["ts"] == pl.Datetime("ns", "UTC")
    with pytest.raises(DataError, match="has no 'quotes' here; it has trades"):
        data.only("quotes")


def test_blocks_are_repeatable(tmp_path: Path) -> None:
    cat = tmp_path / "cat"
    import_file(write_csv(tmp_path / "a.csv"), cat, contract="ESU13")
    data = load("ESU13", catalog=cat)
    first = [b.trades.px.copy() for b in data.blocks() if b.trades]
    for block in data.blocks():
        assert block.trades is not None
        assert block.trades.ts.dtype == np.int64
        assert block.trades.px.dtype == np.int32
        assert block.trades.px.flags.c_contiguous
    again = [b.trades.px for b in data.blocks() if b.trades]
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    stopped = data.blocks()
    next(stopped)
    stopped.close()


def test_check_examines_what_is_stored(tmp_path: Path) -> None:
    store = Catalog(tmp_path / "cat")
    import_file(write_csv(tmp_path / "a.csv"), store, contract="ESU13")
    report = store.check("ESU13")
    assert (report.rows_kept, report.series[0].price_high) == (15, 1640.0)
    with pytest.raises(CatalogError, match="nothing is held for ESZ13"):
        store.check("ESZ13")


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    store = Catalog(tmp_path / "cat")
    import_file(write_csv(tmp_path / "a.csv"), store, contract="ESU13")
    path = store.parts()[1].path
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CatalogError, match=r"2013-09-04.*not readable Parquet"):
        load("ESU13", catalog=store)


PRICES = st.one_of(st.none(), st.integers(-4_000, 400_000))
ROWS = st.lists(
    st.tuples(st.integers(0, 6 * 86_400 * 10**9), PRICES, PRICES, st.integers(0, 9_999)),
    min_size=1, max_size=40,
)  # fmt: skip


@settings(max_examples=40)
@given(rows=ROWS)
def test_what_is_written_is_read_back(
    rows: list[tuple[int, int | None, int | None, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Any quotes, with empty sides and ties, over any days: the same rows in the same order."""
    folder = tmp_path_factory.mktemp("round")
    rows = sorted(rows, key=lambda row: row[0])
    frame = pl.DataFrame(
        {
            "ts": [NOON + row[0] for row in rows],
            "bid": [None if row[1] is None else row[1] / 4 for row in rows],
            "ask": [None if row[2] is None else row[2] / 4 for row in rows],
            "bid_size": [row[3] for row in rows],
            "ask_size": [row[3] + 1 for row in rows],
        },
        schema_overrides={"bid": pl.Float64, "ask": pl.Float64},
    )
    frame.write_parquet(folder / "q.parquet")
    import_file(folder / "q.parquet", folder / "cat", contract="ESU13")
    for data in (load("ESU13", catalog=folder / "cat"), ticks("ESU13", quotes=frame)):
        blocks = list(data.blocks())
        assert [b.session for b in blocks] == sorted({b.session for b in blocks})
        quotes = [b.quotes for b in blocks if b.quotes is not None]
        assert [t for q in quotes for t in q.ts] == frame["ts"].to_list()
        bids = [NO_BID if row[1] is None else row[1] for row in rows]
        asks = [NO_ASK if row[2] is None else row[2] for row in rows]
        assert [p for q in quotes for p in q.bid] == bids
        assert [p for q in quotes for p in q.ask] == asks
        assert [s for q in quotes if q.bid_sz is not None for s in q.bid_sz] == [
            row[3] for row in rows
        ]
        lean = [b.quotes for b in data.blocks(sizes=False) if b.quotes is not None]
        assert [p for q in lean for p in q.ask] == asks
        assert lean[0].bid_sz is None


def test_arrays_are_checked_as_files_are() -> None:
    good = {"ts": [NOON, NOON + 1], "bid": [1640.25, 1640.5], "ask": [1640.5, 1640.75]}
    data = ticks("ESU13", quotes=good, trades={"ts": [NOON], "price": [1640.25]})
    assert data.kinds == ("quotes", "trades")
    whole = ticks("ESU13", quotes={**good, "bid": np.array([6561, 6562], np.int32)})
    assert whole.frame("quotes")["bid"].to_list() == good["bid"]
    with pytest.raises(DataError, match=r"bid_px: row 1 .* is nan"):
        ticks("ESU13", quotes={**good, "bid": [1640.25, float("nan")]})
    with pytest.raises(OffGridPrice, match=r"1640\.3 \(row 0\)"):
        ticks("ESU13", quotes={**good, "bid": [1640.3, 1640.5]})
    with pytest.raises(DataError, match="clock runs backward"):
        ticks("ESU13", quotes={**good, "ts": [NOON, NOON - 1]})
    with pytest.raises(DataError, match="column 'ask_px' is missing"):
        ticks("ESU13", quotes={"ts": [0], "bid": [1640.25]})
    with pytest.raises(DataError, match="no rows were given"):
        ticks("ESU13")
    naive = pl.Series([0], dtype=pl.Datetime("ns"))
    with pytest.raises(AmbiguousInput, match="no time zone"):
        ticks("ESU13", trades=pl.DataFrame({"ts": naive, "price": [1640.25]}))


def test_bars_know_their_length() -> None:
    minute = 60 * 10**9
    bars = {"ts_open": [NOON], "ts": [NOON + minute], "open": [1640.0], "high": [1640.0],
            "low": [1640.0], "close": [1640.0], "volume": [3]}  # fmt: skip
    data = ticks("ESU13", bars=bars)
    assert data.bar_spec == "1m"
    (block,) = data.blocks()
    assert block.bars is not None
    assert (block.bars.ts[0], block.bars.c[0]) == (NOON + minute, 6560)

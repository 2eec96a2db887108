"""The sample week: always the same, plainly synthetic, and shaped like a market."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from pxresearch.catalog import Catalog
from pxresearch.demo import DAYS, make_demo
from pxresearch.tickdata import load
from tests.test_importers_bad import digest


def test_the_week_is_deterministic_and_can_be_made_again(tmp_path: Path) -> None:
    small = {"quotes": 2_000, "trades": 300, "days": DAYS[:2]}
    make_demo(tmp_path / "a", **small)  # type: ignore[arg-type]
    make_demo(tmp_path / "b", **small)  # type: ignore[arg-type]
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    make_demo(tmp_path / "a", quotes=1_000, trades=100, days=DAYS[:2])
    assert load("MNQZ26", catalog=tmp_path / "a").rows == {"quotes": 2_000, "trades": 200}


def test_the_week_says_that_it_is_synthetic(tmp_path: Path) -> None:
    reports = make_demo(tmp_path, quotes=1_000, trades=100)
    assert [r.source for r in reports] == ["synthetic", "synthetic"]
    data = load("MESZ26", catalog=tmp_path)
    assert "SYNTHETIC, 5 trading days 2026-09-14 to 2026-09-18" in repr(data)
    assert set(Catalog(tmp_path).coverage()["source"]) == {"synthetic"}


def test_the_market_is_plausible(tmp_path: Path) -> None:
    """Spreads of one or two ticks, in session, trades at the quote, busiest at the open."""
    (nasdaq, _) = make_demo(tmp_path, quotes=20_000, trades=4_000)
    for series in nasdaq.series:
        assert (series.crossed, series.locked, series.outside, series.backward) == (0, 0, 0, 0)
    data = load("MNQZ26", catalog=tmp_path)
    quotes = data.scan("quotes").collect()
    assert set((quotes["ask_px"] - quotes["bid_px"]).unique()) == {1, 2}
    hours = quotes["ts"].dt.convert_time_zone("America/Chicago").dt.hour()
    by_hour = dict(hours.value_counts().iter_rows())
    assert by_hour[8] > by_hour[11] < by_hour[14]
    assert by_hour[11] > 3 * by_hour[2]
    joined = data.scan("trades").collect().join_asof(
        quotes.with_columns(pl.col("seq")), on="seq", by="session", check_sortedness=False
    )  # fmt: skip
    at_quote = (joined["px"] == joined["ask_px"]) | (joined["px"] == joined["bid_px"])
    assert at_quote.all()
    move = np.diff(quotes.group_by("session", maintain_order=True).last()["bid_px"].to_numpy())
    assert (np.abs(move) < 6_000).all()

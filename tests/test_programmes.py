"""Programmes: the published numbers typed by hand, exact money, and what is refused.

I/O: reads the reference tables beside the repository.
"""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pxresearch as px
from pxresearch.errors import UnknownName, UsageError
from pxresearch.programmes import (
    NewsWindow,
    Programme,
    Restriction,
    cpi_window,
    micros,
    programme,
    programmes,
)
from pxresearch.sessions import trading_day
from tests.desk import MORNING, SECOND, Desk

USD = 1_000_000
RULES_FROM = date(2026, 10, 8)

# rules.md section 2: target, maximum loss, daily loss, minis; start balance by kind.
NUMBERS = {
    "50k": (3_000, 2_000, 1_000, 5),
    "100k": (6_000, 3_000, 2_000, 10),
    "150k": (9_000, 4_500, 3_000, 15),
}


@pytest.mark.parametrize("size", NUMBERS)
def test_combine_numbers(size: str):
    """Start, target, distance, lock at the start balance, optional daily limit, 55 %, size."""
    target, loss, daily, minis = NUMBERS[size]
    start = int(size[:-1]) * 1_000
    rules = programme(f"combine-{size}")
    assert (rules.kind, rules.start_balance_micros) == ("combine", start * USD)
    assert rules.profit_target_micros == target * USD
    assert rules.max_loss_micros == loss * USD
    assert rules.max_loss_lock_micros == start * USD
    assert rules.daily_loss_limit_micros == daily * USD
    assert rules.consistency == Decimal("0.55")
    assert (rules.max_size_tenths, rules.max_order_qty) == (minis * 10, minis * 10)
    assert rules.size_tenths(10**12) == minis * 10
    assert rules.scaling == ()


@pytest.mark.parametrize("size", NUMBERS)
def test_express_numbers(size: str):
    """Starts at 0 and locks at 0; no target, no consistency; the same limits."""
    _, loss, daily, minis = NUMBERS[size]
    rules = programme(f"express-{size}")
    assert (rules.kind, rules.start_balance_micros, rules.max_loss_lock_micros) == ("express", 0, 0)
    assert rules.max_loss_micros == loss * USD
    assert rules.daily_loss_limit_micros == daily * USD
    assert rules.profit_target_micros is None
    assert rules.consistency is None
    assert rules.max_size_tenths == minis * 10


@pytest.mark.parametrize(
    ("size", "tiers"),
    [
        ("50k", (2, 3, 5, 5, 5)),
        ("100k", (3, 4, 5, 10, 10)),
        ("150k", (3, 4, 5, 10, 15)),
    ],
)
def test_scaling_tiers(size: str, tiers: tuple[int, ...]):
    """rules.md section 6: 1500 itself opens its tier; 2000, 3000 and 4500 must be exceeded."""
    rules = programme(f"express-{size}")
    lot = [tier * 10 for tier in tiers]
    edges = [
        (-2_000 * USD, lot[0]),
        (1_500 * USD - 1, lot[0]),
        (1_500 * USD, lot[1]),
        (2_000 * USD, lot[1]),
        (2_000 * USD + 1, lot[2]),
        (3_000 * USD, lot[2]),
        (3_000 * USD + 1, lot[3]),
        (4_500 * USD, lot[3]),
        (4_500 * USD + 1, lot[4]),
    ]
    assert [rules.size_tenths(balance) for balance, _ in edges] == [tenths for _, tenths in edges]
    assert programme(f"express-{size}", max_minis="1.5").size_tenths(10**10) == 15
    floor, _ = rules.scaling[0]
    assert floor == -(2**63)


def test_product_caps_of_the_newest_rules_hold_for_older_data():
    """The restrictions of 8 October 2026 by size, also before; SI, HG, PL not tradable."""
    rules = programme("combine-50k")
    assert rules.product_caps(date(2013, 9, 3)) == rules.product_caps(RULES_FROM) != {}
    assert programme("combine-50k", on=RULES_FROM).product_caps(date(2013, 9, 3))["SI"] == 0
    assert programme("combine-50k", on=date(2026, 10, 7)).product_caps(RULES_FROM) == {}
    for column, size in enumerate(NUMBERS):
        for kind in ("combine", "express"):
            caps = programme(f"{kind}-{size}").product_caps(RULES_FROM)
            few, many, two = (3, 6, 9)[column], (30, 60, 90)[column], (2, 4, 6)[column]
            assert caps == {
                **dict.fromkeys(("CL", "QM", "RB", "HO", "GC"), few),
                **dict.fromkeys(("MCL", "MGC"), many),
                **dict.fromkeys(("SIL", "MHG"), two),
                **dict.fromkeys(("SI", "HG", "PL"), 0),
            }


def test_the_users_caps_only_tighten():
    """The smaller of the user's and the firm's holds; None drops them all."""
    caps = programme("combine-50k", product_caps={"es": 2, "CL": 9, "GC": 1}).product_caps
    for day in (date(2013, 9, 3), RULES_FROM):
        assert [caps(day)[root] for root in ("ES", "CL", "GC", "SI")] == [2, 3, 1, 0]
    assert programme("combine-50k", product_caps=None).product_caps(RULES_FROM) == {}
    assert programme("own", start_balance=1, product_caps={"ES": 2}).product_caps(RULES_FROM) == {
        "ES": 2
    }


def test_lists_of_product_caps_replace_one_another():
    """Each list holds from its day; before the first, the newest; a span takes the smallest."""
    early, late = date(2026, 3, 2), date(2026, 6, 1)
    rules = dataclasses.replace(
        programme("own", start_balance=1, product_caps={"NQ": 7}),
        restrictions=(
            Restriction("NQ", 7, date(1970, 1, 1), "the user"),
            Restriction("ES", 2, early, "x"),
            Restriction("CL", 1, early, "x"),
            Restriction("ES", 5, late, "y"),
        ),
    )
    before, caps = early - timedelta(days=1), rules.product_caps
    assert caps(before) == caps(late) == {"NQ": 7, "ES": 5}
    assert caps(early) == caps(late - timedelta(days=1)) == {"NQ": 7, "ES": 2, "CL": 1}
    assert caps(early, late) == caps(before, early) == caps(before, late) == caps(early)
    assert caps(late, late) == caps(late)


def test_a_run_holds_the_smallest_cap_of_its_days():
    """Caps that begin in the midst of a run hold from its first order on."""
    tomorrow = trading_day(MORNING + 86_400 * SECOND)
    rules = dataclasses.replace(
        programme("own", start_balance=50_000),
        restrictions=(
            Restriction("ES", 2, tomorrow - timedelta(days=40), "x"),
            Restriction("ES", 1, tomorrow, "y"),
        ),
    )
    desk = Desk("ESH26", account=rules).quote(24_000, 24_001, px.buy(2))
    assert desk.last_reason() == "PRODUCT_CAP"
    assert int(Desk("NQH26", account=rules).contract()["cap"]) == -1
    assert int(Desk("SIH26", account="combine-50k").contract()["cap"]) == 0  # the newest rules


def test_the_loss_buffer_only_tightens_the_bracket_risk():
    """What its docstring says: a bracket is refused for it, the day does not end for it."""
    limits = {"daily_loss_limit": 1_000, "loss_buffer": 200, "cost": 0}
    desk = Desk("ESH26", **limits).quote(24_000, 24_000, px.buy(1, stop_ticks=68))  # 850 USD
    assert desk.last_reason() == "BRACKET_RISK"
    desk = Desk("ESH26", **limits).quote(24_000, 24_000, px.buy(1, stop_ticks=64)).quote(24_000)
    assert (desk.last_reason(), desk.position()) == ("APPROVED", 1)
    desk = Desk("ESH26", **limits).quote(24_000, 24_000, px.buy(1)).quote(24_000)
    desk.quote(24_000 - 68)
    assert (desk.position(), int(desk.e["locked"])) == (1, 0)
    desk.quote(24_000 - 80)
    assert int(desk.e["locked"]) == 1


def test_the_defaults_of_the_framework():
    """Bot clock 15:07 and 15:05; checks without an official number are off."""
    for name in programmes()[:-1]:
        rules = programme(name)
        assert (rules.flatten_margin_s, rules.no_open_margin_s) == (180, 300)
        assert (rules.require_bracket, rules.check_bracket_risk) == (False, True)
        assert rules.loss_buffer_micros == 0
        assert rules.news_windows == ()
        for field in (
            "daily_profit_lock_micros",
            "collar_ticks",
            "max_orders_per_minute",
            "duplicate_window_ms",
            "max_quote_age_s",
            "feed_silence_s",
            "loss_pause_after",
            "loss_pause_s",
        ):
            assert getattr(rules, field) is None
        assert rules.source.startswith("Topstep")
        assert rules.valid_from >= date(2024, 8, 25)


def test_rules_are_dated():
    """50 % until 16 September 2026, 55 % after; the newest by default; none before the table."""
    shares = [
        programme("combine-50k", on=day).consistency
        for day in (date(2026, 9, 16), date(2026, 9, 17), None)
    ]
    assert shares == [Decimal("0.50"), Decimal("0.55"), Decimal("0.55")]
    with pytest.raises(UsageError, match="no rules of 'combine-50k' are known for 2020-01-01"):
        programme("combine-50k", on=date(2020, 1, 1))


def test_own_account_has_only_what_is_given():
    """No limit is invented; the start balance is required."""
    rules = programme("own", start_balance="25000.5", max_loss=1_000)
    assert rules.start_balance_micros == 25_000_500_000
    assert rules.max_loss_micros == 1_000 * USD
    assert rules.max_loss_lock_micros is None
    assert rules.daily_loss_limit_micros is None
    assert rules.max_size_tenths is rules.max_order_qty is rules.size_tenths(0) is None
    with pytest.raises(UsageError, match="needs start_balance"):
        programme("own")


def test_changes_in_usd_are_exact():
    """int, str, Decimal and float mean the number written; None switches a rule off."""
    for value in (1000.1, "1000.1", Decimal("1000.1")):
        rules = programme("combine-50k", daily_loss_limit=value)
        assert rules.daily_loss_limit_micros == 1_000_100_000
    assert programme("combine-50k", daily_loss_limit=None).daily_loss_limit_micros is None
    bare = programme("combine-50k", max_loss=None)
    assert bare.max_loss_micros is bare.max_loss_lock_micros is None
    rules = programme("Combine-50K ", max_minis=2, daily_profit_lock=500, loss_buffer="0.000001")
    assert (rules.max_size_tenths, rules.max_order_qty) == (20, 20)
    assert (rules.daily_profit_lock_micros, rules.loss_buffer_micros) == (500 * USD, 1)
    assert programme("combine-50k", max_order_qty=3, collar_ticks=40).max_order_qty == 3


@given(st.integers(-(10**15), 10**15))
def test_every_micro_dollar_survives(amount: int):
    assert micros("x", str(Decimal(amount) / USD)) == amount
    assert micros("x", amount / USD) == amount


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"daily_loss_limit": -1}, r"daily_loss_limit=-1\.00 .*above 0.*None switches"),
        ({"daily_loss_limit": 0}, r"daily_loss_limit=0\.00"),
        ({"daily_loss_limit": "1,000"}, "not an amount in USD"),
        ({"daily_loss_limit": float("nan")}, "not an amount in USD"),
        ({"daily_loss_limit": True}, "not an amount in USD"),
        ({"daily_loss_limit": "0.0000001"}, "finer than a micro-dollar"),
        ({"start_balance": 10**10}, "not an amount in USD"),
        ({"start_balance": -1}, r"start_balance=-1\.00"),
        ({"max_loss_lock": 47_999}, r"47,999\.00 .*start_balance - max_loss = 48,000\.00"),
        ({"max_loss": None, "max_loss_lock": 60_000}, "needs a max_loss"),
        ({"loss_buffer": 1_000}, r"loss_buffer=1,000\.00 leaves nothing"),
        ({"loss_buffer": None}, "0 or more$"),
        ({"max_minis": 0}, "max_minis=0 must be a number of minis"),
        ({"max_minis": "0.05"}, "not a whole number of micros"),
        ({"consistency": 55}, "at most 1"),
        ({"consistency": "much"}, r"not a share, such as 0\.55"),
        ({"collar_ticks": 1.5}, r"collar_ticks=1\.5 must be a whole number"),
        ({"loss_pause_after": 0}, "loss_pause_after=0"),
        ({"require_bracket": 1}, "write True or False"),
        ({"product_caps": {"ES": -1}}, "product_caps: ES=-1"),
        ({"product_caps": {"XX": 1}}, "unknown product 'XX'"),
        ({"news_windows": [(1, 2)]}, "cpi_window"),
        ({"no_open_margin_s": 60}, "no_open_margin_s=60 is less than flatten_margin_s=180"),
        ({"flatten_margin_s": -1}, "flatten_margin_s=-1"),
    ],
)
def test_impossible_values_are_named(changes: dict, text: str):
    """What was received and what is allowed."""
    with pytest.raises(UsageError, match=text):
        programme("combine-50k", **changes)


def test_unknown_names_get_a_suggestion():
    with pytest.raises(UnknownName, match="'daily_loss_limit'"):
        programme("combine-50k", daily_los_limit=3)
    with pytest.raises(UnknownName, match="'combine-50k'"):
        programme("combine-50")
    for internal in ("daily_loss_limit_micros", "max_size_tenths", "kind"):
        with pytest.raises(UnknownName):
            programme("combine-50k", **{internal: 1})


@pytest.mark.parametrize("name", ["live-50k", "Live", "live-funded"])
def test_live_funded_is_refused(name: str):
    with pytest.raises(UsageError, match="does not offer the API on Live Funded"):
        programme(name)


def test_a_programme_cannot_change():
    rules = programme("combine-50k")
    with pytest.raises(dataclasses.FrozenInstanceError):
        rules.max_loss_micros = 1  # pyright: ignore
    with pytest.raises(UsageError, match="daily_loss_limit"):
        dataclasses.replace(rules, daily_loss_limit_micros=-1)
    assert hash(rules) == hash(programme("combine-50k"))
    assert isinstance(rules, Programme)


def test_consistency_runs_of_the_golden_file(reference: Path):
    """C01 - C04: total, target to the cent and whether it is met, day by day."""
    runs = json.loads((reference / "golden_pnl.json").read_text())["consistency"]
    assert [run["id"][:3] for run in runs] == ["C01", "C02", "C03", "C04"]
    for run in runs:
        rules = programme("combine-50k", profit_target=run["start_target"], consistency=run["frac"])
        total = best = 0
        for net, want in zip(run["days"], run["expect"], strict=True):
            total += micros("net", net)
            best = max(best, micros("net", net))
            assert total == Decimal(want["total"]) * USD
            assert rules.consistency_target(best) == Decimal(want["target"]), run["id"]
            assert rules.target_met(total, best) == want["passed"], run["id"]


def test_consistency_without_a_target_or_share():
    """55 % exactly passes, a micro-dollar more does not; no target is never met."""
    rules = programme("combine-50k")
    assert rules.target_met(4_000 * USD, 2_200 * USD)
    assert not rules.target_met(4_000 * USD, 2_200 * USD + 1)
    assert not rules.target_met(3_000 * USD - 1, 100 * USD)
    assert rules.consistency_target(2_000 * USD) == Decimal("3636.36")
    half = programme("combine-50k", consistency="0.5")
    assert half.consistency_target(2_000_002_500) == Decimal("4000.01")  # half a cent goes up
    free = programme("combine-50k", consistency=None)
    assert free.target_met(3_000 * USD, 3_000 * USD)
    assert free.consistency_target(9_000 * USD) == 3_000
    express = programme("express-50k")
    assert express.consistency_target(USD) is None
    assert not express.target_met(10**12, 1)


def test_cpi_window():
    """Five minutes either side; minis and metals barred, micros capped at 3, 6 and 9."""
    release = datetime(2026, 11, 12, 13, 30, tzinfo=UTC)
    window = cpi_window(release, "50k")
    start = int(datetime(2026, 11, 12, 13, 25, tzinfo=UTC).timestamp()) * 10**9
    assert (window.start_ns, window.end_ns) == (start, start + 600 * 10**9)
    assert set(window.no_opening) == {"ES", "NQ", "RTY", "YM", "NKD", "GC", "SI", "HG", "PL"}
    assert set(window.capped) == {"MES", "MNQ", "M2K", "MYM", "MGC", "SIL", "MHG"}
    assert [cpi_window(release, size).cap for size in NUMBERS] == [3, 6, 9]
    assert programme("combine-50k", news_windows=[window]).news_windows == (window,)
    with pytest.raises(UnknownName):
        cpi_window(release, "25k")
    with pytest.raises(UsageError, match="no time zone"):
        cpi_window(release.replace(tzinfo=None), "50k")
    with pytest.raises(UsageError, match="ends after it starts"):
        NewsWindow(start_ns=2, end_ns=2)

"""The numbers of a refusal in words: every reason and cause of the core, worked out by hand."""

from __future__ import annotations

import pytest

from pxresearch.core import records as r
from pxresearch.instruments import instrument
from pxresearch.measures import number, phrase

NOON = 1_790_096_400_000_000_000  # 2026-09-22 17:00 UTC, 12:00 in Chicago
MNQ = instrument("MNQ")  # four ticks a point
USD = 1_000_000

WORDS = {
    "APPROVED": (0, 0, ""),
    "BAD_CONTRACT": (3, 1, ""),
    "BAD_QUANTITY": (0, 0, ""),
    "BAD_PRICE": (1, 0, ""),
    "OFF_GRID": (1, 0, ""),
    "HALTED": (1, 0, ""),
    "BLOCKED": (
        r.UNRECONCILED | r.HUB_AWAY,
        0,
        "the account is not reconciled with the venue; a hub is away",
    ),
    "ACCOUNT_OVER": (47_999 * USD, 48_000 * USD, "equity 47,999.00 USD, level 48,000.00 USD"),
    "DAY_LOCKED": (-1_000_250_000, -1000 * USD, "day P&L -1,000.25 USD, limit -1,000.00 USD"),
    "PROFIT_LOCKED": (900 * USD, 800 * USD, "day P&L 900.00 USD, lock 800.00 USD"),
    "REDUCE_ONLY": (12_340_000_000, 5_000_000_000, "no event for 12.3 s, allowed 5.0 s"),
    "FLATTENING": (-2, 0, "position -2 contracts"),
    "SESSION_CLOSED": (NOON, NOON, "at 12:00:00 Chicago, session from 12:00:00 Chicago"),
    "AFTER_CUTOFF": (
        NOON + 5 * 10**9,
        NOON,
        "at 12:00:05 Chicago, nothing opens from 12:00:00 Chicago",
    ),
    "LOSS_PAUSE": (NOON, r.NEVER, "at 12:00:00 Chicago, until never"),
    "NEWS_WINDOW": (NOON, NOON + 60 * 10**9, "at 12:00:00 Chicago, until 12:01:00 Chicago"),
    "NOT_PERMITTED": (1, 0, ""),
    "ORDER_SIZE": (1_200, 50, "order 1,200 contracts, maximum 50 contracts"),
    "NO_PRICE": (0, 0, ""),
    "STALE_QUOTE": (6 * 10**9, 5 * 10**9, "quote's age 6.0 s, maximum 5.0 s"),
    "WRONG_SIDE": (96_789, 96_788, "price 24,197.25, against 24,197.00"),
    "COLLAR": (401, 400, "distance 401 ticks, collar 400 ticks"),
    "SPREAD": (-1, 4, "spread -1 ticks, maximum 4 ticks"),
    "ORDER_VALUE": (
        2_500_000 * USD,
        1_000_000 * USD,
        "order value 2,500,000.00 USD, maximum 1,000,000.00 USD",
    ),
    "BRACKET_MISSING": (0, 1, ""),
    "SELF_TRADE": (96_789, 96_788, "entry 24,197.25, own order at 24,197.00"),
    "DUPLICATE": (200_000_000, 500_000_000, "after 0.2 s, window 0.5 s"),
    "REPEATED": (4, 3, "same order 4 times, maximum 3 times"),
    "RATE": (31, 30, "in a minute 31 orders, maximum 30 orders"),
    "PRODUCT_CAP": (6, 5, "position would be 6 contracts, cap 5 contracts"),
    "POSITION_CAP": (51, 50, "position would be 5.1 minis, cap 5.0 minis"),
    "BRACKET_RISK": (300 * USD, 250_500_000, "risk 300.00 USD, left 250.50 USD"),
    "TOO_MANY_ORDERS": (57, 56, "live 57 orders, room for 56 orders"),
    "flatten_deadline": (-3, NOON, "position -3, flat by 12:00:00 Chicago"),
    "daily_loss_limit": (-1_000_250_000, -1000 * USD, "day P&L -1,000.25 USD, limit -1,000.00 USD"),
    "max_loss_limit": (47_999 * USD, 48_000 * USD, "equity 47,999.00 USD, level 48,000.00 USD"),
    "daily_profit_lock": (900 * USD, 800 * USD, "day P&L 900.00 USD, lock 800.00 USD"),
    "consecutive_losses": (3, 3, "lost in a row 3 times, limit 3 times"),
    "repeated_order": (4, 3, "same order 4 times, maximum 3 times"),
    "kill_switch": (1, 0, ""),
}


@pytest.mark.parametrize("name", WORDS)
def test_words(name: str) -> None:
    value, limit, words = WORDS[name]
    assert phrase(name, value, limit, MNQ) == words


def test_every_reason_is_among_them() -> None:
    assert set(r.REASONS) <= set(WORDS)


def test_a_cap_of_a_news_window_is_no_time() -> None:
    words = "position would be 3 contracts, cap 2 contracts"
    assert phrase("NEWS_WINDOW", 3, 2, MNQ) == words


def test_a_price_of_an_unknown_contract_is_in_ticks() -> None:
    assert phrase("WRONG_SIDE", 96_789, 96_788) == "price 96,789 ticks, against 96,788 ticks"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("DAY_LOCKED", -1_000_250_000, -1000.25),
        ("STALE_QUOTE", 6 * 10**9, 6),
        ("POSITION_CAP", 51, 5.1),
        ("consecutive_losses", 3, 3),
        ("flatten_deadline", NOON, "2026-09-22T17:00:00.000000000Z"),
        ("AFTER_CUTOFF", NOON + 1, "2026-09-22T17:00:00.000000001Z"),
        ("WRONG_SIDE", 96_789, 96_789),
    ],
)
def test_numbers(name: str, value: int, expected: float | str) -> None:
    assert number(name, value) == expected

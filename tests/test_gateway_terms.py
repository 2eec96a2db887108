"""What a person types for an order becomes ticks, or is refused; an account is never guessed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxresearch.core.records import LIMIT, MARKET, STOP
from pxresearch.errors import OffGridPrice, UsageError
from pxresearch.gateway.choice import choose
from pxresearch.gateway.records import Account
from pxresearch.gateway.terms import Asked, Terms, terms
from tests.hub_kit import MNQ, Directory

LISTING = Directory([MNQ]).listing(MNQ.id)
TICK = Decimal("0.25")


def read(qty: int, **members: Any) -> Terms:
    return terms(Asked(qty=qty, **members), LISTING)


def of(kind: int, side: int, qty: int, **members: Any) -> Terms:
    rest: dict[str, Any] = {"limit": None, "stop": None, "stop_ticks": 0, "target_ticks": 0}
    return Terms(kind=kind, side=side, qty=qty, trailing_stop=False, **{**rest, **members})


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ({"qty": 2}, of(MARKET, 1, 2)),
        ({"qty": -3, "stop_ticks": 40, "target_ticks": 80},
         of(MARKET, -1, 3, stop_ticks=40, target_ticks=80)),
        ({"qty": 1, "limit": 25_000.25}, of(LIMIT, 1, 1, limit=100_001)),
        ({"qty": -1, "stop": Decimal("24999.75")}, of(STOP, -1, 1, stop=99_999)),
        # long at 25000: the stop 10 points below is 40 ticks, the target 20 above is 80
        ({"qty": 1, "limit": 25_000.0, "stop_loss": 24_990, "take_profit": 25_020},
         of(LIMIT, 1, 1, limit=100_000, stop_ticks=40, target_ticks=80)),
        # short at 25000: the stop is above, the target below
        ({"qty": -1, "stop": 25_000.0, "stop_loss": 25_002.5, "take_profit": 24_990},
         of(STOP, -1, 1, stop=100_000, stop_ticks=10, target_ticks=40)),
        ({"qty": 1, "stop_ticks": 15, "target_r": 1.5}, of(MARKET, 1, 1, stop_ticks=15,
                                                           target_ticks=22)),
        ({"qty": 1, "limit": 25_000, "stop_loss": 24_995, "target_r": 3},
         of(LIMIT, 1, 1, limit=100_000, stop_ticks=20, target_ticks=60)),
    ],
)  # fmt: skip
def test_terms(asked: dict[str, Any], meant: Terms) -> None:
    """Ticks, prices and multiples of the risk; expected values by hand at 0.25 a tick."""
    assert read(**asked) == meant


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"qty": 0}, "quantity 0"),
        ({"qty": 1.5}, "whole number of contracts"),
        ({"qty": True}, "whole number of contracts"),
        ({"qty": 1, "limit": 25_000, "stop": 25_010}, "no stop-limit"),
        ({"qty": 1, "limit": float("nan")}, "limit nan is not a price"),
        ({"qty": 1, "stop_loss": 24_990}, "stop_ticks"),
        ({"qty": 1, "take_profit": 25_010}, "target_ticks"),
        ({"qty": 1, "limit": 25_000, "stop_loss": 25_010}, "wrong side"),
        ({"qty": -1, "limit": 25_000, "stop_loss": 24_990}, "wrong side"),
        ({"qty": 1, "limit": 25_000, "take_profit": 25_000}, "wrong side"),
        ({"qty": 1, "limit": 25_000, "stop_ticks": 40, "stop_loss": 24_990}, "not both"),
        ({"qty": 1, "limit": 25_000, "target_ticks": 40, "take_profit": 25_010}, "not both"),
        ({"qty": 1, "stop_ticks": -40}, "positive"),
        ({"qty": 1, "target_r": 2}, "target_r"),
        ({"qty": 1, "stop_ticks": 40, "target_r": -1}, "target_r"),
        ({"qty": 1, "stop_ticks": 40, "target_ticks": 9, "target_r": 2}, "target_r"),
        ({"qty": 1, "trailing": True}, "trailing"),
    ],
)
def test_what_could_mean_two_things_is_refused(asked: dict[str, Any], says: str) -> None:
    """Nothing is guessed, and nothing given is passed over in silence."""
    with pytest.raises(UsageError, match=says):
        read(**asked)


def test_a_price_off_the_grid_is_refused() -> None:
    """Prices are never rounded."""
    with pytest.raises(OffGridPrice, match=r"25000\.1"):
        read(1, limit=25_000.1)
    with pytest.raises(OffGridPrice):
        read(1, limit=25_000, stop_loss=24_990.13)


@given(
    level=st.integers(1_000, 10**6), side=st.sampled_from([1, -1]), loss=st.integers(1, 900),
    gain=st.integers(1, 900),
)  # fmt: skip
def test_prices_and_distances_say_the_same(level: int, side: int, loss: int, gain: int) -> None:
    """Whichever way a bracket is written, it is one bracket."""
    by_price = read(
        side, limit=level * TICK, stop_loss=(level - side * loss) * TICK,
        take_profit=(level + side * gain) * TICK,
    )  # fmt: skip
    assert by_price == read(side, limit=level * TICK, stop_ticks=loss, target_ticks=gain)
    assert by_price == read(side, limit=float(level * TICK), stop_ticks=loss, target_r=gain / loss)


# ------------------------------------------------------------------ accounts
def account(number: int, name: str, *, able: bool = True, simulated: bool | None = True) -> Account:
    return Account(id=number, name=name, balance=0, can_trade=able, simulated=simulated)


PRACTICE, COMBINE = account(1, "PRAC-V2-1"), account(2, "150KTC-V2-2")
ENDED, LIVE = account(3, "50KTC-V2-3", able=False), account(4, "XFA-4", simulated=False)
NAMED_LIVE = account(5, "LIVE-V2-5", simulated=None)
EVERY = [PRACTICE, COMBINE, ENDED, LIVE, NAMED_LIVE]


def test_an_account_is_chosen_by_the_user() -> None:
    """S24: by id or by name; the first one is never taken because it is first."""
    assert choose(EVERY, 2) is COMBINE
    assert choose(EVERY, "150KTC-V2-2") is COMBINE
    assert choose(EVERY, None) is None
    assert choose([], None) is None
    assert choose([PRACTICE, ENDED], None) is PRACTICE


@pytest.mark.parametrize("one", [LIVE, NAMED_LIVE])
def test_a_live_funded_account_is_refused(one: Account) -> None:
    """By the venue's word, or by its name where the venue is silent."""
    for wanted in (one.id, one.name):
        with pytest.raises(UsageError, match="live-funded"):
            choose(EVERY, wanted)
    assert choose([one], None) is None


def test_the_error_lists_the_accounts() -> None:
    """What was received, and what there is."""
    with pytest.raises(UsageError) as caught:
        choose(EVERY, "PRAC")
    assert str(caught.value) == (
        "account 'PRAC' is not among those of this user, which are: PRAC-V2-1 (1), "
        "150KTC-V2-2 (2), 50KTC-V2-3 (3, cannot trade), XFA-4 (4, live-funded), "
        "LIVE-V2-5 (5, live-funded)"
    )
    twice = [PRACTICE, account(9, "PRAC-V2-1")]
    with pytest.raises(UsageError, match=r"2 accounts 'PRAC-V2-1' are"):
        choose(twice, "PRAC-V2-1")

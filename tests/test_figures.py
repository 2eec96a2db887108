"""Own balance and the venue's: other lots are no difference, another cent is."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pxresearch.brokers.base import Input
from pxresearch.brokers.feeds import Feed
from pxresearch.brokers.fillmodel import FillModel
from pxresearch.brokers.session import EngineSession
from pxresearch.core import records as r
from pxresearch.gateway.mirror import Mirror
from pxresearch.gateway.records import Account, Fill
from pxresearch.instruments import contract
from pxresearch.programmes import programme
from pxresearch.runner.account import adopt_account
from pxresearch.runner.figures import CENT, balance_off
from tests.desk import MORNING, SECOND, chicago
from tests.exchange_kit import ACCOUNT, MNQ, Kit
from tests.test_core_live import Told
from tests.venue_life import directory

NAMES = directory(Kit())
LISTING = NAMES.listing(MNQ)
START = 150_000_000_000
BID = 98_000


def told(fills: list[tuple[int, int]]) -> EngineSession:
    """An engine that was told of fills (signed quantity, price) in this order."""
    one = EngineSession(
        Told(), [Feed(contract("MNQZ26"), ("quotes",))], programme("own", start_balance=150_000),
        FillModel(), first_ns=MORNING, last_ns=chicago("2026-01-14 10:00:00"), compiled=False,
        at_venue=True,
    )  # fmt: skip
    one.tell(r.QUOTES, 0, MORNING, BID, BID + 1, 10, 10)
    for n, (qty, price) in enumerate(fills, 1):
        number = n if qty > 0 else -n
        one.tell(r.VENUE_FILL, 0, MORNING + n * SECOND, 0, abs(qty), price, number)
    return one


COST = int(told([]).engine[0]["contract"][0]["cost"])  # a side, of that account on that day


def at_the_venue(fills: list[tuple[int, int]], off: int = 0) -> Mirror:
    """The venue's account after fills in this order; its balance by its own first in, first out."""
    mirror, lots, balance = Mirror(ACCOUNT, NAMES), [], START
    for n, (qty, price) in enumerate(fills, 1):
        left, gross = qty, 0
        while left and lots and lots[0][0] * left < 0:
            held, at = lots.pop(0)
            closed = min(abs(held), abs(left)) * (1 if held > 0 else -1)
            gross += closed * (price - at) * LISTING.tick_value
            left += closed
            if held != closed:
                lots.insert(0, (held - closed, at))
        if left:
            lots.append((left, price))
        balance += gross - COST * abs(qty)
        fill: Any = dict(
            id=n, account=ACCOUNT, contract_id=MNQ, order=n, ts=n, side=1 if qty > 0 else -1,
            qty=abs(qty), price=price, gross=gross, cost=COST * abs(qty), voided=False,
        )  # fmt: skip
        mirror.apply(Fill(**fill))
    mirror.apply(
        Account(id=ACCOUNT, name="a", balance=balance - off, can_trade=True, simulated=True)
    )
    return mirror


FILLS = st.lists(
    st.tuples(st.sampled_from((-2, -1, 1, 2)), st.integers(BID - 20, BID + 20)), max_size=8
)


@given(fills=FILLS, order=st.randoms(use_true_random=False), off=st.integers(-3, 3))
def test_only_what_differs_in_sum_is_a_difference(
    fills: list[tuple[int, int]], order: Any, off: int
) -> None:
    """Told in any other order, the sum is the venue's; a balance that is off, is by just that."""
    mixed = fills.copy()
    order.shuffle(mixed)
    found = balance_off(told(mixed), at_the_venue(fills, off * 3 * CENT), (LISTING,))
    assert found == off * 3 * CENT


def test_a_position_that_differs_excuses_nothing() -> None:
    """What is open is only taken out where both hold the same."""
    assert balance_off(told([(1, BID)]), at_the_venue([(1, BID), (-1, BID + 9)]), (LISTING,)) < 0


def seed_of(one: EngineSession, mirror: Mirror, level: int | None = None) -> tuple[Input, ...]:
    return adopt_account(
        one, mirror, (LISTING,), one.programme, now=MORNING, day_start_ns=0, level=level,
        fresh=False,
    ).inputs  # fmt: skip


def test_a_restart_takes_the_venues_balance_for_the_lots_that_it_has() -> None:
    """Nothing where only lots differ; else so that both agree once flat."""
    fills = [(1, BID), (1, BID + 8), (-1, BID + 3)]
    mixed = [fills[1], fills[0], fills[2]]
    assert seed_of(told(mixed), at_the_venue(fills)) == ()
    one, venue = told(mixed), at_the_venue(fills, off=70_000)
    (said,) = seed_of(one, venue)
    one.tell(*said)
    assert balance_off(one, venue, (LISTING,)) == 0
    one.tell(r.VENUE_FILL, 0, MORNING + 60 * SECOND, 0, 1, BID + 5, -9)
    flat = at_the_venue([*fills, (-1, BID + 5)], off=70_000)
    assert flat.account is not None
    assert int(one.engine["balance"][0]) == flat.account.balance


def test_a_level_that_is_given_is_taken() -> None:
    """As the platform shows it, also where nothing else differs."""
    one, venue = told([]), at_the_venue([])
    assert seed_of(one, venue) == ()
    (said,) = seed_of(one, venue, level=149_000_000_000)
    one.tell(*said)
    assert int(one.engine["level"][0]) == 149_000_000_000
    assert int(one.engine["balance"][0]) == START

"""The account at the start of a live session: what the venue has becomes what the engine has.

The venue is right. What the engine does not know of (a position taken by hand, a balance after a
payout) is told to it; what cannot be told blocks.

Money is micro-dollars, prices ticks.

I/O: none
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

import msgspec

from pxresearch.brokers.base import Input
from pxresearch.brokers.session import EngineSession
from pxresearch.core import records as r
from pxresearch.errors import UsageError
from pxresearch.gateway.contracts import Listing
from pxresearch.gateway.mirror import Mirror
from pxresearch.programmes import Programme
from pxresearch.runner.figures import balance_off


class Seed(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine is to be told of an account, and what that means in words."""

    inputs: tuple[Input, ...]
    words: tuple[str, ...]


def differences(session: EngineSession, mirror: Mirror, listings: tuple[Listing, ...]) -> list[str]:
    """Positions of the engine that are not the venue's, in words."""
    found = []
    for k, listing in enumerate(listings):
        here = int(session.engine[0]["contract"][k]["position"])
        there = mirror.position(listing.id)
        if here != there:
            found.append(f"{listing.code}: the venue has {there:+d}, the journal {here:+d}")
    return found


def adopt_account(
    session: EngineSession, mirror: Mirror, listings: tuple[Listing, ...], programme: Programme,
    *, now: int, day_start_ns: int, level: int | None, fresh: bool,
    practice: bool = False,
) -> Seed:  # fmt: skip
    """What the engine has to be told so that it is the venue's account.

    Parameters
    ----------
    day_start_ns
        When the trading day began: what was made since then is the day's.
    level
        Maximum loss level as the user gave it; None where the engine knows it, or it follows from
        a fresh account.
    fresh
        The engine has no earlier day: its balance and level are nobody's yet.
    practice
        A local simulator: a level that nobody knows is taken from the day's first balance.

    Raises
    ------
    UsageError
        The level cannot be known.
    """
    assert mirror.account is not None, "an account is adopted after it was read"
    inputs, words = _positions(session, mirror, listings, now)
    balance = mirror.account.balance
    today = [f for f in mirror.fills.values() if f.ts >= day_start_ns and not f.voided]
    made = sum((f.gross or 0) - f.cost for f in today)
    e = session.engine[0]
    held = int(e["level"])
    if fresh or level is not None:
        held = _level(programme, balance - made, level, practice)
    off = 0 if fresh or inputs else balance_off(session, mirror, listings)
    if fresh or inputs or off or held != int(e["level"]):
        if not fresh and (inputs or off):
            words.append(
                f"the balance is {balance / 1e6:,.2f} USD at the venue, the journal had "
                f"{int(e['balance']) / 1e6:,.2f}"
            )
        # What is open here has its own lots, and the balance that goes with them.
        kept = balance if fresh or inputs else int(e["balance"]) - off
        inputs.append(Input(r.COMMAND, 0, now, r.ACCOUNT_IS, kept, balance - made, held))
    return Seed(inputs=tuple(inputs), words=tuple(words))


def _positions(
    session: EngineSession, mirror: Mirror, listings: tuple[Listing, ...], now: int
) -> tuple[list[Input], list[str]]:
    inputs: list[Input] = []
    words = differences(session, mirror, listings)
    for k, listing in enumerate(listings):
        c = session.engine[0]["contract"][k]
        qty = mirror.position(listing.id) - int(c["position"])
        if qty == 0:
            continue
        price = _entry(mirror, listing)
        if price is None:
            price = int(c["mark"]) if c["marked"] else int(c["last"])
        # A number of no fill: the engine is only told that there is a position.
        number = 1 if qty > 0 else -1
        inputs.append(Input(r.VENUE_FILL, k, now, 0, abs(qty), price, number))
    return inputs, words


def _entry(mirror: Mirror, listing: Listing) -> int | None:
    """Average entry of a position, in ticks, the nearest; its value is then off by half a tick."""
    average = mirror.average_price(listing.id)
    if average is None:
        return None
    ticks = average * listing.tick.denominator / listing.tick.numerator
    return int(Decimal(ticks).to_integral_value(ROUND_HALF_EVEN))


def _level(programme: Programme, day_start: int, given: int | None, practice: bool) -> int:
    """Maximum loss level; the gateway does not tell it."""
    if given is not None:
        return given
    loss = programme.max_loss_micros
    if loss is None:
        return -(2**62)
    if practice or day_start == programme.start_balance_micros:
        return day_start - loss
    raise UsageError(
        f"the account has {day_start / 1e6:,.2f} USD at the day's start and its rules begin with "
        f"{programme.start_balance_micros / 1e6:,.2f}; the gateway does not tell the maximum loss "
        "level, and no journal does: give --max-loss-level in USD, as the platform shows it"
    )

"""Which account is traded: the one that the user named, never simply the first.

I/O: none
"""

from __future__ import annotations

from collections.abc import Sequence

from pxresearch.errors import UsageError
from pxresearch.gateway.records import Account

_LIVE = "LIVE"  # how the names of live-funded accounts begin


def choose(rows: Sequence[Account], wanted: int | str | None) -> Account | None:
    """Return the account of an id or a name; without one, the only one that can trade.

    None where several can trade, or none: market data needs no account.

    Raises
    ------
    UsageError
        No such account, several of that name, or a live-funded one; with a list of them.
    """
    if wanted is None:
        able = [one for one in rows if one.can_trade]
        return able[0] if len(able) == 1 and not is_live(able[0]) else None
    text = str(wanted)
    found = [one for one in rows if text in (str(one.id), one.name)]
    if len(found) != 1:
        problem = f"account {text!r} is not" if not found else f"{len(found)} accounts {text!r} are"
        raise UsageError(f"{problem} among those of this user, which are: {listed(rows)}")
    if is_live(found[0]):
        raise UsageError(
            f"account {found[0].name} is a live-funded one; the gateway does not trade those, and "
            "neither does this program"
        )
    return found[0]


def is_live(account: Account) -> bool:
    """Whether it is a live-funded account, by the venue's word or by its name."""
    return account.simulated is False or account.name.upper().startswith(_LIVE)


def listed(rows: Sequence[Account]) -> str:
    """Accounts by name and id, in one line."""
    notes = ((one, _note(one)) for one in rows)
    return ", ".join(f"{one.name} ({one.id}{note})" for one, note in notes) or "none"


def _note(account: Account) -> str:
    if is_live(account):
        return ", live-funded"
    return "" if account.can_trade else ", cannot trade"

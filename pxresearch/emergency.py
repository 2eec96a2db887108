"""Every account flat, from outside: with the process that trades it hung, dead or out of disk.

The kill switch is set first, so that a process that does live opens nothing more; that it cannot be
set stops nothing. Then the accounts are flattened side by side, each until the venue shows it flat.

I/O: the network; the kill switches' files.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from pxresearch.clock import Clock
from pxresearch.errors import GatewayError, LoginRefused, UsageError
from pxresearch.gateway.choice import listed
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.flatten import Flat, flatten
from pxresearch.gateway.rest import Rest
from pxresearch.accountdir.folder import account_folder
from pxresearch.accountdir.latch import Latch

_PASSES = "UnknownError"  # of a login: the gateway failed, and may not the next time


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How it ended for an account."""

    account: int
    flat: Flat


def halt(
    state: Path,
    accounts: Sequence[int],
    *,
    why: str,
    clock: Clock,
    on_trouble: Callable[[str], None],
) -> None:
    """Set the kill switch of accounts; where it cannot be set, say so and go on."""
    for account in accounts:
        try:
            Latch(account_folder(state, account)).set(clock.now(), why=why, by="flatten")
        except OSError as error:
            on_trouble(
                f"the kill switch of account {account} could not be set ({error}): a process that "
                "trades it may open positions again; stop that process"
            )


async def flatten_accounts(
    rest: Rest, accounts: Sequence[int], *, clock: Clock, limit_s: float
) -> list[Outcome]:
    """Flatten accounts side by side.

    Parameters
    ----------
    rest
        A session that has not logged in yet.
    limit_s
        When to give up and say that an account is not flat.

    Raises
    ------
    LoginRefused
        For a reason that will not pass by itself.
    UsageError
        The user has no such account; the others have been flattened.
    """
    await log_in(rest)
    work = (flatten(rest, one, clock=clock, limit_s=limit_s) for one in accounts)
    found = [
        Outcome(account=account, flat=flat)
        for account, flat in zip(accounts, await asyncio.gather(*work), strict=True)
    ]
    # A venue may call an account empty that it does not know. Asked last: first things first.
    if any(not one.flat.contracts for one in found):
        return await _known(rest, found)
    return found


async def log_in(rest: Rest) -> None:
    """Log in; a login that fails in passing is left to the requests, which repeat it.

    Raises
    ------
    LoginRefused
        For a reason that will not pass by itself.
    """
    try:
        await rest.token()
    except LoginRefused as error:
        if error.reason != _PASSES:
            raise
    except GatewayError:
        return


async def account_numbers(rest: Rest) -> list[int]:
    """Ids of the user's active accounts."""
    return sorted(one.id for one in await rest.accounts())


async def _known(rest: Rest, found: list[Outcome]) -> list[Outcome]:
    try:
        rows = await rest.accounts(only_active=False)
    except GatewayError as error:
        return [_doubtful(one, str(error)) for one in found]
    unknown = {one.account for one in found} - {row.id for row in rows}
    if unknown:
        names = listed([Directory().account(row) for row in rows])
        raise UsageError(
            f"account {', '.join(map(str, sorted(unknown)))} is not among those of this user, "
            f"which are: {names}"
        )
    return found


def _doubtful(one: Outcome, why: str) -> Outcome:
    if one.flat.contracts:
        return one
    trouble = f"nothing was open, but whether there is such an account is not known: {why}"
    return Outcome(
        account=one.account, flat=msgspec.structs.replace(one.flat, verified=False, trouble=trouble)
    )

"""Every account flat, from outside: with the process that trades it hung, dead or out of disk.

The kill switch is set first, so that a process that does live opens nothing more; that it cannot be
set stops nothing. Then the accounts are flattened side by side, each until the venue shows it flat.

I/O: the network; the kill switches' files.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from pxresearch.accountdir.folder import account_folder
from pxresearch.accountdir.latch import Latch
from pxresearch.clock import Clock
from pxresearch.errors import GatewayError, LoginRefused, UsageError
from pxresearch.gateway.caller import RestSettings
from pxresearch.gateway.choice import listed
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.flatten import Flat, flatten
from pxresearch.gateway.rest import Rest

URGENT = RestSettings(attempts=2, backoff_s=0.25, backoff_max_s=1.0, login_pause_s=2.0)
"""Of a session that has to flatten: a flatten repeats everything itself, and soon."""
_PASSES = (None, "UnknownError")
"""Refusals of a login after which the next one may succeed: a 401, and a gateway that failed."""


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How it ended for an account."""

    account: int
    flat: Flat


def halt(
    state: Path, accounts: Iterable[int], *, why: str, clock: Clock,
    on_trouble: Callable[[str], None],
) -> None:  # fmt: skip
    """Set the kill switch of accounts; where it cannot be set, say so and go on."""
    for account in accounts:
        try:
            Latch(account_folder(state, account)).set(clock.now(), why=why, by="flatten")
        except OSError as error:
            on_trouble(
                f"the kill switch of account {account} could not be set ({error}): a process that "
                "trades it may open positions again; stop that process"
            )


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
        if error.reason not in _PASSES:
            raise
    except GatewayError:
        return


async def flatten_accounts(
    rest: Rest, accounts: Sequence[int], *, clock: Clock, limit_s: float
) -> list[Ended]:
    """Flatten accounts side by side.

    Parameters
    ----------
    rest
        A session made with `URGENT`.
    limit_s
        When to give up and say that an account is not flat.

    Raises
    ------
    UsageError
        The user has no such account; nothing is said about the others.
    """
    work = {
        one: asyncio.ensure_future(flatten(rest, one, clock=clock, limit_s=limit_s))
        for one in accounts
    }
    # A venue may call an account empty that it does not know. Asked beside: nothing waits for it.
    known = asyncio.ensure_future(_refuse_unknown(rest, accounts))
    try:
        await asyncio.wait({known, *work.values()}, return_when=asyncio.FIRST_EXCEPTION)
        if known.done() and isinstance(error := known.exception(), UsageError):
            raise error
        ended = [Ended(account=one, flat=await task) for one, task in work.items()]
        return [await _believed(one, known) for one in ended]
    finally:
        for task in (known, *work.values()):
            task.cancel()
        await asyncio.gather(known, *work.values(), return_exceptions=True)


async def _refuse_unknown(rest: Rest, accounts: Sequence[int]) -> None:
    rows = await rest.accounts(only_active=False)
    unknown = sorted(set(accounts) - {row.id for row in rows})
    if unknown:
        names = listed([Directory().account(row) for row in rows])
        raise UsageError(
            f"account {', '.join(map(str, unknown))} is not among those of this user, which are: "
            f"{names}"
        )


async def _believed(one: Ended, known: asyncio.Future[None]) -> Ended:
    """Nothing was open: that counts only for an account that exists."""
    if one.flat.contracts or not one.flat.verified:
        return one
    try:
        await known
    except GatewayError as error:
        why = f"nothing was open, but whether there is such an account is not known: {error}"
        doubt = msgspec.structs.replace(one.flat, verified=False, trouble=why)
        return Ended(account=one.account, flat=doubt)
    return one

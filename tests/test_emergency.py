"""Accounts flattened from outside, on a virtual clock: logins that fail, a venue that misleads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pxresearch.accountdir import Latch, account_folder
from pxresearch.clock import NS, VirtualClock
from pxresearch.emergency import URGENT, Ended, flatten_accounts, halt, log_in
from pxresearch.errors import LoginRefused, UsageError
from pxresearch.gateway.credentials import Credentials
from pxresearch.gateway.profiles import profile
from pxresearch.gateway.rest import Rest
from pxresearch.simulator.inprocess import InProcess
from tests.client_kit import ACCOUNT, KEY, Desk, spec
from tests.exchange_kit import MNQ, START

OTHER = ACCOUNT + 1


def desk() -> Desk:
    return Desk([spec(ACCOUNT), spec(OTHER)])


def flatten(
    made: Desk, *accounts: int, key: str = KEY, limit_s: float = 60.0,
    fault: tuple[str, dict[str, Any]] | None = None,
) -> list[Ended]:  # fmt: skip
    """What `pxresearch flatten` does, after both accounts have bought 2."""
    exchange = made.venue.exchange
    for account in (ACCOUNT, OTHER):
        exchange.manual(account, MNQ, 1, 2, now=made.clock.now())
    if fault is not None:
        made.venue.faults.add(fault[0], made.clock.now(), **fault[1])

    async def main() -> list[Ended]:
        rest = Rest(
            profile("simulator"), Credentials("trader", key), clock=made.clock, settings=URGENT,
            http=InProcess(made.venue, made.clock),
        )  # fmt: skip
        try:
            await log_in(rest)
            return await flatten_accounts(rest, accounts, clock=made.clock, limit_s=limit_s)
        finally:
            await rest.close()

    async def virtual() -> list[Ended]:
        return await made.clock.run(main())

    return asyncio.run(virtual())


def held(made: Desk, account: int) -> list[Any]:
    return list(made.venue.exchange.truth(account).positions)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("refuse_refresh", {"count": 1}), ("refuse_refresh", {"count": 3}),
        ("unauthorised", {"count": 5}), ("unauthorised", {"skip": 1, "count": 5}),
        ("status", {"status": 503, "count": 9}), ("rate_limit_storm", {"count": 9}),
        ("rate_limit_storm", {"count": 6, "retry_after": 3}),
        ("slow_response", {"count": 3, "seconds": 40.0}), ("malformed_json", {"count": 9}),
        ("lose_response", {"when": "before", "count": 9}),
        ("lose_response", {"operation": "Account/search", "count": None}),
        ("error_code", {"operation": "Account/search", "count": None}),
    ],
)  # fmt: skip
def test_flat_in_the_end(name: str, given: dict[str, Any]) -> None:
    """A login that fails in passing and requests that fail are repeated; the proof counts."""
    made = desk()
    found = flatten(made, ACCOUNT, OTHER, fault=(name, given), limit_s=300)
    assert [one.account for one in found] == [ACCOUNT, OTHER]
    assert all(one.flat.verified for one in found)
    assert not held(made, ACCOUNT)
    assert not held(made, OTHER)


def test_a_login_that_fails_in_passing_costs_seconds() -> None:
    """Not the half minute after which a session that has time tries again."""
    made = desk()
    flatten(made, ACCOUNT, fault=("refuse_refresh", {"count": 1}))
    assert made.clock.now() - START < 10 * NS


def test_a_login_that_is_refused_ends_it() -> None:
    """A key that is wrong is wrong the next time too."""
    made = desk()
    with pytest.raises(LoginRefused, match="do not belong together"):
        flatten(made, ACCOUNT, key="another-key")
    assert made.clock.now() - START < 10 * NS


def test_an_account_of_nobody_is_not_flat() -> None:
    """Whatever the venue says of its orders and positions; and one that is ours is named."""
    made = desk()
    with pytest.raises(UsageError, match=f"71 is not among .*{ACCOUNT}"):
        flatten(made, 71)


@pytest.mark.parametrize("busy", [True, False])
def test_nothing_open_in_an_account_that_may_not_exist(busy: bool) -> None:
    """What was seen open and is gone proves itself; an empty account has to be known."""
    made = desk()
    if not busy:
        made.venue.exchange.manual(ACCOUNT, MNQ, -1, 2, now=made.clock.now())
    fault = ("error_code", {"operation": "Account/search", "count": None})
    (found,) = flatten(made, ACCOUNT, fault=fault)
    assert found.flat.verified is busy
    assert busy or "not known" in (found.flat.trouble or "")


def test_one_account_that_stays_open_does_not_hold_up_the_other() -> None:
    """Side by side: each has its own end."""
    made = desk()
    fault = ("error_code", {"operation": "Position/closeContract", "count": None})
    made.venue.exchange.manual(OTHER, MNQ, -1, 2, now=made.clock.now())
    first, second = flatten(made, ACCOUNT, OTHER, fault=fault, limit_s=30)
    assert (first.flat.verified, held(made, ACCOUNT) == []) == (False, False)
    assert first.flat.contracts[0].last_word
    assert second.flat.verified
    assert second.flat.took_s < 5 < first.flat.took_s


def test_the_kill_switch_is_set_where_it_can_be(tmp_path: Path) -> None:
    """One that cannot be set is told, and stops neither the others nor the flattening."""
    (tmp_path / str(ACCOUNT)).touch()  # a file where the folder should be
    troubles: list[str] = []
    tell: Callable[[str], None] = troubles.append
    halt(tmp_path, [ACCOUNT, OTHER], why="a drill", clock=VirtualClock(START), on_trouble=tell)
    assert [str(ACCOUNT) in one for one in troubles] == [True]
    held_by = Latch(account_folder(tmp_path, OTHER)).read()
    assert held_by is not None
    assert held_by.since == START

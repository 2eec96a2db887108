"""What paper approves and the gateway would refuse is found while it is still paper."""

from __future__ import annotations

import msgspec
import pytest

from pxresearch.brokers.base import Approved
from pxresearch.core import records as r
from pxresearch.gateway.profiles import profile
from pxresearch.runner.venuecheck import refusal
from tests.exchange_kit import MNQ, Kit
from tests.venue_life import directory

LISTING = directory(Kit()).listing(MNQ)
ENTRY = Approved(
    order=1, parent=0, contract=0, side=1, qty=1, kind=r.MARKET, role=r.ENTRY, limit=None,
    stop=None, trail=0, stop_ticks=8, target_ticks=8, stop_loss=None, take_profit=None,
    trailing_stop=False, tag=0, decided=0, reduces=False,
)  # fmt: skip


def asked(**changes: object) -> str:
    order = msgspec.structs.replace(ENTRY, **changes)
    return refusal(order, LISTING, profile("simulator"), 98_000)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        ({"stop_ticks": 4, "target_ticks": 4}, ""),
        ({"target_ticks": 3}, "target 3 ticks away"),
        ({"stop_ticks": 3}, "stop 3 ticks away"),
        ({"kind": r.STOP_LIMIT, "limit": 98_010, "stop": 98_008}, "no stop-limit orders"),
        ({"kind": r.TRAILING, "trail": 10}, ""),
        ({"role": r.STOP_LOSS, "kind": r.STOP_LIMIT}, ""),  # a leg is not sent
    ],
)
def test_what_the_gateway_would_say(changes: dict[str, object], said: str) -> None:
    assert said in asked(**changes)
    assert bool(asked(**changes)) == bool(said)

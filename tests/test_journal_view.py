"""What the engine was told, as a person reads it: names, units, the contract where it matters."""

from __future__ import annotations

import pytest

from pxresearch.core import records as r
from pxresearch.journal.records import Input
from pxresearch.journal.view import of_input
from tests.desk import Desk

AT = 1_768_320_000_000_000_000  # 2026-01-13T16:00:00Z


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ((r.HALT, r.KILL_SWITCH, 0, 0), {"command": "halt", "cause": "kill_switch"}),
        ((r.REARM, 0, 0, 0), {"command": "rearm"}),
        ((r.BLOCK, r.HUB_AWAY | r.ENDING, 0, 0),
         {"command": "block", "blocked": ["a hub is away", "the session is ending"]}),
        ((r.FLATTEN_NOW, r.DEADLINE, 0, 0), {"command": "flatten", "cause": "flatten_deadline"}),
        ((r.TIGHTEN, r.DAILY_LOSS_LIMIT, 300_000_000, 0),
         {"command": "tighten", "rule": "daily_loss_limit", "limit": 300.0}),
        ((r.TIGHTEN, r.SIZE_TENTHS, 15, 0),
         {"command": "tighten", "rule": "max_size", "limit": 1.5}),
        ((r.TIGHTEN, r.ORDER_QTY, 2, 0),
         {"command": "tighten", "rule": "max_order_qty", "limit": 2}),
        ((r.ACCOUNT_IS, 50_400_250_000, 50_900_000_000, 49_000_000_000),
         {"command": "account_is", "balance": 50_400.25, "day_start": 50_900.0,
          "max_loss_level": 49_000.0}),
        ((r.NUMBER_FROM, 311, 0, 0), {"command": "number_from", "last_number": 311}),
        ((r.GAP, AT - 90_000_000_000, AT, 0),
         {"command": "gap", "since": "2026-01-13T15:58:30.000000000Z",
          "until": "2026-01-13T16:00:00.000000000Z"}),
    ],
)  # fmt: skip
def test_a_command_says_what_it_demands(
    values: tuple[int, int, int, int], says: dict[str, object]
) -> None:
    told = of_input(Desk().session, Input(r.COMMAND, 0, AT, *values, AT))
    of_one = values[0] in (r.FLATTEN_NOW, r.GAP)
    assert told == {
        "what": "command", "contract": "ESH26" if of_one else None, **says,
        "ts": "2026-01-13T16:00:00.000000000Z", "received": "2026-01-13T16:00:00.000000000Z",
    }  # fmt: skip


def test_prices_are_prices() -> None:
    quote = of_input(Desk().session, Input(r.QUOTES, 0, AT, 20_000, 20_001, 5, 7, AT))
    assert (quote["bid"], quote["ask"], quote["bid_size"]) == (5_000.0, 5_000.25, 5)
    fill = of_input(Desk().session, Input(r.VENUE_FILL, 0, AT, 3, 2, 20_002, -907, AT))
    assert (fill["order"], fill["qty"], fill["price"]) == (3, 2, 5_000.5)
    assert (fill["side"], fill["fill"]) == ("sell", 907)

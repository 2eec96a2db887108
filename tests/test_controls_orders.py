"""What is let through and what is not, with the venue's truth as the witness: K5 and K17.

A live session over real sockets, in a time that the test moves.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import pxresearch as px
from pxresearch.clock import NS
from pxresearch.gateway.outcome import NOT_SENT
from pxresearch.gateway.wire import BUDGET, OrderType
from pxresearch.journal import Kind
from tests.controls_kit import BID, TURN_S, Stage, play

EXIT_S = 1.0
FAR = BID / 4 - 100.0  # a price at which no bid fills
ONE = px.buy(1, stop_ticks=1_000)


# ------------------------------------------------------------------ K5
def most_in_a_minute(times: list[int]) -> int:
    return max(sum(t <= one < t + 60 * NS for one in times) for t in times)


@pytest.mark.parametrize("rule", [20, None])
def test_a_burst_of_ten_times_the_rate_leaves_the_exit_its_way(
    tmp_path: Path, rule: int | None
) -> None:
    """Held to the rule, and without one to what the venue takes; and the exit leaves at once.

    When the daily loss is reached in the midst of the burst, the position is closed and proven
    flat within a second, and the venue has refused nothing.
    """
    each_s = 60.0 / (10 * (rule or BUDGET))

    def spam(_quote: Any, _position: int, orders: Any) -> Any:
        """An order and its cancel, in turn."""
        return px.cancel(1) if orders.buying else px.buy(1, limit=FAR, tag=1)

    async def script(stage: Stage) -> None:
        async with stage.session(max_orders_per_minute=rule):
            await stage.show(BID, px.buy(5, stop_ticks=1_000))
            await stage.pause(61)
            stage.say(spam)
            for _ in range(round(20 / each_s)):
                stage.quote(BID)
                await stage.pause(each_s)
            assert (stage.held, stage.stops) == (5, 5)
            stage.quote(BID - 900)
            assert await stage.until(lambda: not stage.held and not stage.working, 70) <= EXIT_S
        asked = stage.venue.control.log(kind="request")
        assert {row["status"] for row in asked} == {200}
        assert most_in_a_minute([row["ts"] for row in asked]) <= BUDGET
        placed = [row["ts"] for row in asked if row["what"].endswith("Order/place")]
        refused = [row.data["reason"] for row in stage.rows(Kind.REFUSAL)]
        unsent = [row for row in stage.rows(Kind.RESPONSE) if row.data.get("reason") == NOT_SENT]
        if rule:
            assert most_in_a_minute(placed) == rule
            assert "RATE" in refused
        else:
            assert len(unsent) > len(placed)

    play(tmp_path, script)


# ------------------------------------------------------------------ K17
STATES = {
    "wide": ((BID, BID + 5), {}, "SPREAD"),
    "crossed": ((BID + 2, BID), {}, "SPREAD"),
    "no bid": ((BID, BID + 1), {"bestBid": "0"}, "NO_PRICE"),
    "no ask": ((BID, BID + 1), {"bestAsk": "0"}, "NO_PRICE"),
    "locked": ((BID, BID), {}, ""),
    "as wide as it may be": ((BID, BID + 4), {}, ""),
}  # fmt: skip


@pytest.mark.parametrize("state", STATES)
def test_a_market_out_of_order_takes_no_entry_and_every_exit(tmp_path: Path, state: str) -> None:
    """What opens waits until the market is sound again; what reduces goes to the venue."""
    (bid, ask), members, reason = STATES[state]

    async def script(stage: Stage) -> None:
        async with stage.session(max_spread_ticks=4):
            await stage.show(BID, px.buy(3, stop_ticks=1_000))
            stage.quote(bid, ask)
            await stage.pause(TURN_S)
            for signal, passes in ((ONE, not reason), (px.sell(1), True)):
                placed = len(stage.truth.orders)
                if members:
                    await stage.tell(members, signal)
                else:
                    await stage.show(bid, signal, ask=ask)
                new = [one for one in stage.truth.orders[placed:] if one.type is OrderType.MARKET]
                assert len(new) == passes, (signal, stage.live.last_refusal)
                assert passes or stage.live.last_refusal.startswith(reason)
            stage.quote(BID + 20)
            await stage.show(BID + 10, ONE)
            assert stage.held == (3 if reason else 4)

    play(tmp_path, script)

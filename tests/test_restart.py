"""A session that is started again on the same day: what it numbers, and what it forgets."""

from __future__ import annotations

from pathlib import Path

import pxresearch as px
from pxresearch.gateway.tags import read_tag
from tests.controls_kit import BID, Stage, play


def numbers(stage: Stage) -> list[int]:
    """Of the session's orders at the venue, as they came."""
    tags = [read_tag(order.custom_tag) for order in stage.truth.orders]
    return [tag.intent for tag in tags if tag is not None and not tag.leg.startswith(("S", "T"))]


def test_a_number_is_used_once_whatever_was_lost(tmp_path: Path) -> None:
    """Rows of a dying process may be gone: the next begins well beyond what it can have sent."""

    async def script(stage: Stage) -> None:
        async with stage.session():
            await stage.show(BID, px.buy(1, stop_ticks=400))
            await stage.until(lambda: stage.held == 1)
        first = numbers(stage)
        async with stage.session():
            await stage.show(BID, px.buy(1, stop_ticks=400))
            await stage.until(lambda: stage.held == 1)
        (second,) = set(numbers(stage)) - set(first)
        assert second > max(first) + 100

    play(tmp_path, script)


def test_an_order_that_only_the_hub_knew_is_let_go(tmp_path: Path) -> None:
    """Cancelled at the flatten, unknown to the venue: and nothing is flattened for it again."""

    async def script(stage: Stage) -> None:
        async with stage.session():
            await stage.show(BID, px.buy(1, stop_ticks=400))
            await stage.until(lambda: stage.held == 1)
            stage.venue.control.add("unknown_event", contract_id=stage.contract_id)
            await stage.until(lambda: len(stage.live.mirror.working) == 2)
            await stage.show(BID, px.flatten())
            await stage.until(lambda: not stage.held and not stage.working)
            await stage.until(lambda: stage.live.mirror.working == [], 10)

    play(tmp_path, script)

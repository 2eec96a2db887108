"""An order of ours that fills when nothing is left for it to fill: what it opens is closed."""

from __future__ import annotations

import asyncio
from pathlib import Path

from pxresearch.core import records as r
from pxresearch.journal import Kind, read
from tests.disconnect_kit import ACCOUNT, BID, scene


def test_a_stop_that_outlives_its_position_opens_none(tmp_path: Path) -> None:
    """The position is closed by hand, and the market falls to its stop at the same moment."""

    async def main() -> None:
        async with scene(tmp_path) as one:
            began = one.clock.now()
            venue = one.venue.venue
            venue.exchange.manual(ACCOUNT, one.contract_id, -1, 1, now=venue.clock.now())
            one.quote(BID - 60)
            assert one.held == -1
            await one.until(lambda: one.held == 0, 20)
            await one.until(lambda: one.alert("opened one: closed", began), 5)
        (path,) = tmp_path.rglob("*.journal")
        rows = [row.data for row in read(path, (Kind.FILL,))]
        over = [row for row in rows if row["cause"] == r.CAUSES[r.OVERFILLED]]
        assert [(row["side"], row["qty"], row["position"]) for row in over] == [(-1, 1, -1)]

    asyncio.run(main())

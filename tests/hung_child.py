"""A process that opens a position and then hangs in its strategy; run by test_guardian_hung.

python hung_child.py URL FOLDER STRATEGY.py compiled|plain SECONDS_TO_FLATTEN_TIME
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from pxresearch.accountdir import AccountLock, Latch
from pxresearch.brokers.feeds import Feed
from pxresearch.brokers.fillmodel import FillModel
from pxresearch.brokers.session import EngineSession
from pxresearch.clock import NS, WallClock
from pxresearch.core import records as r
from pxresearch.emergency import URGENT
from pxresearch.gateway.client import Gateway
from pxresearch.gateway.rest import Rest
from pxresearch.guardian import Duty, Guardian, GuardSettings
from pxresearch.instruments import contract
from pxresearch.programmes import programme
from pxresearch.strategy import load_strategy
from tests.safety_kit import ACCOUNT, KEYS

QUOTE = 1_790_865_000 * NS
SETTINGS = GuardSettings(look_s=0.05, hung_s=1.0)


def engine(path: str, *, compiled: bool) -> EngineSession:
    """A session whose strategy never answers a quote."""
    return EngineSession(
        load_strategy(path)(), [Feed(contract("MNQZ26"), ("quotes",))], programme("combine-50k"),
        FillModel(), first_ns=QUOTE, last_ns=QUOTE + NS, compiled=compiled,
    )  # fmt: skip


async def main(url: str, folder: Path, path: str, how: str, due: str) -> None:
    """Open, and hang at the next quote."""
    clock = WallClock()
    hung = engine(path, compiled=how == "compiled")
    async with Gateway("simulator", account=ACCOUNT, url=url, keys=KEYS) as gw:
        await gw.buy("MNQ", 3, stop_ticks=40, target_ticks=80)
        await gw.buy("MNQ", 1, limit=24_900.0)

        def spare() -> Rest:
            one = Rest(gw.profile, KEYS, settings=URGENT)
            one.borrow(gw.rest)
            return one

        guardian = Guardian(ACCOUNT, spare, Latch(folder), clock=clock, settings=SETTINGS)
        guardian.duty = Duty(exposed=True, flatten_at=clock.now() + int(due) * NS)
        guardian.beat(clock.now())
        guardian.start()
        print("hanging", flush=True)
        hung.tell(r.QUOTES, 0, QUOTE, 100_000, 100_001, 5, 5)


if __name__ == "__main__":
    with AccountLock(Path(sys.argv[2]), mode="live"):
        asyncio.run(main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:]))

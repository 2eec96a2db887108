"""A simulator on a socket, in a thread of its own, with a market that stands still."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, TypeVar

from pxresearch.gateway import wire
from pxresearch.gateway.client import Gateway
from pxresearch.gateway.credentials import Credentials
from pxresearch.gateway.outcome import Accepted
from pxresearch.simulator import Simulator, SimulatorSettings, start
from pxresearch.simulator.accounts import AccountSpec
from pxresearch.simulator.routes import ApiSettings
from pxresearch.simulator.server import FIRST_ACCOUNT
from pxresearch.simulator.settings import VenueSettings

T = TypeVar("T")
KEY = "planted-key-5518"
KEYS = Credentials("trader", KEY)
ACCOUNT, OTHER = FIRST_ACCOUNT, FIRST_ACCOUNT + 1


class Place:
    """The simulator; MNQ at 100,000 ticks, MES at 25,000, one tick wide."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._ready, self._over = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))
        self.simulator: Simulator

    async def _serve(self) -> None:
        accounts = [AccountSpec(id=one, owner="trader") for one in (ACCOUNT, OTHER)]
        settings = SimulatorSettings(
            port=0, api_key=KEY, market="none", accounts=accounts,
            venue=VenueSettings(always_open=True), api=ApiSettings(rate_limits=False),
        )  # fmt: skip
        async with start(settings) as self.simulator:
            self._ready.set()
            await self._over.wait()

    def __enter__(self) -> Place:
        self._thread.start()
        assert self._ready.wait(60)
        self.url = self.simulator.url
        self.quote()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(30)
        self._loop.close()
        assert not self._thread.is_alive()

    # ------------------------------------------------------------ the hand on it
    def do(self, act: Callable[[Any], T]) -> T:
        """Result of an act on the venue, in its own thread."""

        async def inner() -> T:
            return act(self.simulator.venue)

        return asyncio.run_coroutine_threadsafe(inner(), self._loop).result(30)

    def id(self, root: str) -> str:
        """Id of a product's active contract."""
        listed = self.simulator.venue.exchange.listed
        return next(one.id for one in listed if one.product.root == root)

    def quote(self, mnq: int = 100_000) -> None:
        """Move the market."""

        def act(venue: Any) -> None:
            for at, bid in ((self.id("MNQ"), mnq), (self.id("MES"), 25_000)):
                venue.quote(at, bid, bid + 1, 50, 50)
                venue.trade(at, bid)

        self.do(act)

    def fault(self, name: str, **given: Any) -> None:
        """Arm a fault."""
        self.do(lambda _: self.simulator.control.add(name, **given))

    def calm(self) -> None:
        """Disarm every fault, end every halt, leave both accounts flat."""
        self.do(lambda _: self.simulator.control.remove())
        for root in ("MNQ", "MES"):
            self.do(lambda venue, root=root: venue.exchange.halt(self.id(root), False))
        self.quote()

        async def each(gw: Gateway) -> None:
            assert (await gw.flatten(limit_s=10)).verified

        for account in (ACCOUNT, OTHER):
            if not self.is_flat(account):
                self.session(each, account)

    # ------------------------------------------------------------ a client, and the truth
    def session(self, script: Callable[[Gateway], Awaitable[T]], account: int = ACCOUNT) -> T:
        """Result of a script with a session of the account."""

        async def main() -> T:
            async with Gateway("simulator", account=account, url=self.url, keys=KEYS) as gw:
                return await script(gw)

        return asyncio.run(main())

    def busy(self, account: int = ACCOUNT) -> None:
        """Long 3 MNQ with a bracket, short 2 MES, a resting entry in each."""

        async def script(gw: Gateway) -> None:
            for outcome in (
                await gw.buy("MNQ", 3, stop_ticks=40, target_ticks=80),
                await gw.sell("MES", 2),
                await gw.buy("MNQ", 1, limit=24_900.0),
                await gw.sell("MES", 1, limit=6_300.0),
            ):
                assert isinstance(outcome, Accepted)

        self.session(script, account)

    def held(self, account: int = ACCOUNT) -> dict[str, int]:
        """Open positions by contract id, signed, as the venue has them."""
        rows = self.do(lambda venue: list(venue.exchange.truth(account).positions))
        long = wire.PositionType.LONG
        return {one.contract_id: one.size if one.type is long else -one.size for one in rows}

    def working(self, account: int = ACCOUNT) -> list[wire.Order]:
        """Working orders as the venue has them."""
        rows = self.do(lambda venue: list(venue.exchange.truth(account).orders))
        return [one for one in rows if not one.status.done]

    def is_flat(self, account: int = ACCOUNT) -> bool:
        """Whether the venue has nothing open and nothing working."""
        return not self.held(account) and not self.working(account)

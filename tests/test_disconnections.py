"""What a trader is told when something is cut, and when: every line of docs/disconnections.md.

Each case cuts something under a session that holds a position with its stop, over real sockets and
on a clock that runs fast. The page's bounds are asserted here, so it cannot say what is not so.
``python -m tests.test_disconnections`` prints what was measured.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from pxresearch.clock import NS
from tests.disconnect_kit import BID, Scene, scene

PAGE = Path(__file__).parents[1] / "docs" / "disconnections.md"


class Measured(NamedTuple):
    """Seconds after the cut (`over`: after it has healed, or after the cut where it does not).

    `rests`: the stop was working at the venue all the while.
    """

    blocked: float | None
    told: float
    title: str
    over: float
    rests: bool = True


class Watched:
    """What has happened since something was cut."""

    def __init__(self, one: Scene) -> None:
        self.one, self.began = one, one.clock.now()
        self.blocked: float | None = None
        self.rests = True

    @property
    def passed(self) -> float:
        """Seconds of the session."""
        return (self.one.clock.now() - self.began) / NS

    async def until(self, true: Callable[[], object], seconds: float) -> None:
        """Look on until something is so."""
        one = self.one

        def look() -> object:
            if self.blocked is None and one.blocked:
                self.blocked = self.passed
            self.rests = self.rests and one.stops >= one.held
            return true()

        await one.until(look, seconds)

    async def come(self, seconds: float) -> None:
        """Look on for so long."""
        await self.until(lambda: self.passed >= seconds, seconds + 10)

    def result(self, words: str, healed: float) -> Measured:
        """Of the first alert with these words."""
        found = self.one.alert(words, self.began)
        assert found is not None, [alert.title for _, alert in self.one.told.alerts]
        title = found[1].split(": ", 1)[-1].removeprefix(f"live {self.one.runner.plan.account}: ")
        return Measured(self.blocked, found[0], title, self.passed - healed, self.rests)


async def back(one: Scene, watched: Watched, words: str) -> Measured:
    """Heal every wire, and wait until all is well again."""
    healed = watched.passed
    for wire in one.wires:
        wire.heal()
    await watched.until(lambda: not one.blocked, 90)
    assert one.held == 1
    return watched.result(words, healed)


async def network_cut(one: Scene) -> Measured:
    watched = Watched(one)
    for wire in one.wires:
        wire.cut()
    await watched.come(20)
    return await back(one, watched, "user hub lost")


async def cable_pulled(one: Scene) -> Measured:
    """Nothing passes, and nobody says so."""
    watched = Watched(one)
    for wire in one.wires:
        wire.mute()
    await watched.come(45)
    return await back(one, watched, "feed stale")


async def hub_cut(one: Scene, name: str) -> Measured:
    watched = Watched(one)
    getattr(one, name).cut()
    await watched.come(15)
    assert one.resting == 0  # the entry that worked was taken back
    return await back(one, watched, f"{name} hub lost")


async def user_hub_dumb(one: Scene) -> Measured:
    watched = Watched(one)
    one.user.mute()
    await watched.come(40)
    return await back(one, watched, "user hub lost")


async def feed_silent(one: Scene) -> Measured:
    """The market hub lives, and no quote comes."""
    watched = Watched(one)
    one.flows = False
    await watched.until(lambda: one.alert("feed stale", watched.began), 60)
    assert watched.blocked is None
    one.flows = True
    healed = watched.passed
    await watched.until(lambda: one.alert("feed is fresh", watched.began), 10)
    return watched.result("feed stale", healed)


async def rest_down_at_an_order(one: Scene) -> Measured:
    """The hubs live; an order leaves into nothing."""
    one.rest.cut()
    watched = Watched(one)
    one.bid = BID + 4
    await watched.until(lambda: one.blocked, 30)
    one.bid = BID + 6
    await watched.come(20)
    return await back(one, watched, "outcome unknown")


async def rest_down(one: Scene) -> Measured:
    """The hubs live, and nothing has to be asked before the next reading."""
    watched = Watched(one)
    one.rest.cut()
    await watched.until(lambda: one.alert("cannot be read", watched.began), 400)
    return await back(one, watched, "cannot be read")


async def hubs_refused(one: Scene) -> Measured:
    """They do not come back; REST lives."""
    watched = Watched(one)
    one.user.cut()
    one.market.cut()
    await watched.until(lambda: one.alert("attempts to connect", watched.began), 300)
    failed = watched.passed
    await one.until(lambda: one.held == 0 and one.stops == 0, 60)
    await one.until(lambda: one.alert("flat, verified", watched.began), 30)
    assert one.latch.read() is not None
    return watched.result("attempts to connect", failed)


async def token_refused(one: Scene) -> Measured:
    """No login and no renewal passes; the token has forty seconds until its renewal."""
    watched = Watched(one)
    one.venue.control.add("refuse_refresh", count=None)
    await watched.until(lambda: one.alert("the token is not renewed", watched.began), 200)
    told = watched.passed
    await one.until(lambda: one.held == 0 and one.stops == 0, 600)
    await one.until(lambda: one.alert("flat, verified", 0), 30)
    assert one.latch.read() is not None
    left = one.session.at.rest.token_left_s
    assert left is not None
    assert left > 60
    assert watched.passed - told > 300  # it is tried for minutes before hope is given up
    return watched.result("the token is not renewed", told)


Case = Callable[[Scene], Awaitable[Measured]]
CASES: dict[str, tuple[Case, dict[str, float]]] = {
    "the network is cut": (network_cut, {}),
    "the cable is pulled": (cable_pulled, {}),
    "the market hub is cut": (partial(hub_cut, name="market"), {}),
    "the user hub is cut": (partial(hub_cut, name="user"), {}),
    "the user hub goes dumb": (user_hub_dumb, {}),
    "no quotes come": (feed_silent, {}),
    "REST is down, an order leaves": (rest_down_at_an_order, {}),
    "REST is down, nothing leaves": (rest_down, {"speed": 60.0}),
    "the hubs stay away": (hubs_refused, {}),
    "the token is refused": (token_refused, {"speed": 60.0, "token_s": 640}),
}


def measure(case: str) -> Measured:
    """One case, on a session of its own."""
    work, how = CASES[case]

    async def main() -> Measured:
        with tempfile.TemporaryDirectory() as folder:
            async with scene(Path(folder), **how) as one:  # type: ignore[arg-type]
                return await work(one)

    return asyncio.run(main())


ROW = re.compile(r"^\| (?P<cut>[^|]+) \| (?P<cells>.+) \|$")
NUMBER = re.compile(r"[\d.]+ \((\d+)\)")


def lines() -> dict[str, list[str]]:
    """The page's table: the other cells by the first."""
    found = (ROW.match(line) for line in PAGE.read_text(encoding="utf-8").splitlines())
    cells = {one["cut"]: one["cells"].split(" | ") for one in found if one is not None}
    return {cut: row for cut, row in cells.items() if cut != "cut"}


def bound(cell: str) -> float | None:
    """What is allowed at most, seconds; None where nothing is to happen."""
    found = NUMBER.fullmatch(cell)
    return None if found is None else float(found[1])


def test_the_page_has_a_line_for_each_case() -> None:
    assert list(lines()) == list(CASES)


@pytest.mark.parametrize("case", CASES)
def test_what_the_page_says_is_so(case: str) -> None:
    """Told, blocked and over within its bounds, in its words, with the stop at the venue."""
    blocked, told, words, over, _ = lines()[case]
    seen = measure(case)
    assert seen.rests
    assert words in seen.title
    assert (seen.blocked is None) == (bound(blocked) is None)
    for took, cell in ((seen.blocked, blocked), (seen.told, told), (seen.over, over)):
        most = bound(cell)
        assert took is None or most is None or took <= most, (cell, seen)


if __name__ == "__main__":
    for case in CASES:
        print(case, measure(case), flush=True)

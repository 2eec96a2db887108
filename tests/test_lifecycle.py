"""An order's life is what docs/engine.md draws: every arrow happens, and nothing else does. S47."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import pxresearch as px
from pxresearch.brokers.feeds import Feed
from pxresearch.brokers.fillmodel import FillModel, Latency
from pxresearch.brokers.session import EngineSession
from pxresearch.core import records as r
from tests.desk import MORNING, SECOND, Desk, chicago

DOCS = Path(__file__).parents[1] / "docs" / "engine.md"
BID = 20_000
HOUR = 3_600 * SECOND
ENDS = (r.CANCELED, r.REJECTED, r.EXPIRED)
OUTSIDE = "[*]"
Step = tuple[str, str]
_SAID: dict[str, tuple] = {"answer": ()}


class Told(px.Strategy):
    """Answers each quote with what the test says."""

    def on_quote(self, quote, position):
        return _SAID["answer"]


def drawn() -> set[Step]:
    """Arrows of the diagram, but for those into and out of the picture."""
    (text,) = re.findall(r"```mermaid\nstateDiagram-v2\n(.*?)```", DOCS.read_text("utf-8"), re.S)
    arrows = {tuple(one) for one in re.findall(r"(\S+) --> (\w+|\[\*\])", text)}
    return {(a, b) for a, b in arrows if OUTSIDE not in (a, b)}


class Watched:
    """A session, and every step that its first order has made."""

    def __init__(self, session: EngineSession) -> None:
        self.session, self.state = session, "in_flight"
        self.steps: list[Step] = []

    def after(self, act: Callable[[], object]) -> None:
        """Do something, and look at what it did to the order."""
        act()
        now = self._state()
        if now != self.state:
            self.steps.append((self.state, now))
        self.state = now

    def _state(self) -> str:
        e = self.session.engine[0]
        for slot in e["live"][: int(e["live_n"])]:
            o = e["order"][int(slot)]
            if int(o["id"]) == 1:
                part = o["status"] == r.WORKING and o["filled"] > 0
                return "partly_filled" if part else r.STATUS_NAMES[o["status"]]
        (row,) = [row for row in self.session.logs()["orders"] if row["id"] == 1]
        return r.STATUS_NAMES[row["status"]]


def at_venue(qty: int = 3) -> Watched:
    """An order of three that a venue is to fill."""
    rules = px.programme("own", start_balance=50_000)
    one = EngineSession(
        Told(), [Feed(px.contract("ESH26"), ("quotes",))], rules, FillModel(),
        first_ns=MORNING - SECOND, last_ns=MORNING + 3 * 24 * HOUR, compiled=False, at_venue=True,
    )  # fmt: skip
    _SAID["answer"] = (px.buy(qty, limit=BID / 4),)
    one.tell(r.QUOTES, 0, MORNING, BID, BID + 1, 10, 10)
    _SAID["answer"] = ()
    return Watched(one)


def says(what: int, a: int = 1, b: int = 0, c: int = 0, d: int = 0) -> Callable[[Watched], object]:
    return lambda w: w.session.tell(what, 0, MORNING + SECOND, a, b, c, d)


ACK = says(r.VENUE_ACK)
ONE, ALL = (says(r.VENUE_FILL, 1, qty, BID, 7 + qty) for qty in (1, 3))
REST = says(r.VENUE_FILL, 1, 2, BID, 30)
END = {r.STATUS_NAMES[status]: says(r.VENUE_END, 1, status) for status in ENDS}
CHANGE = says(r.VENUE_CHANGE, 1, 5, r.LOWEST, r.LOWEST)
CANCEL = says(r.COMMAND, r.FLATTEN_NOW, r.BY_HAND)
REACHED: dict[str, tuple[Callable[[Watched], object], ...]] = {
    "in_flight": (), "working": (ACK,), "partly_filled": (ACK, ONE), "filled": (ALL,),
    **{name: (ACK, end) for name, end in END.items()},
}  # fmt: skip
SAID = {
    "ack": ACK, "fill of one": ONE, "fill of the rest": REST, "fill of all": ALL,
    "change": CHANGE, "cancel asked": CANCEL, **END,
}  # fmt: skip


def brought(state: str) -> Watched:
    """An order in a state."""
    one = at_venue()
    for act in REACHED[state]:
        one.after(lambda act=act: act(one))
    assert one.state == state
    return one


# ------------------------------------------------------------------ what a venue can say
@pytest.mark.parametrize("said", SAID)
@pytest.mark.parametrize("state", REACHED)
def test_whatever_a_venue_says_in_whatever_state_is_an_arrow_or_nothing(
    state: str, said: str
) -> None:
    one = brought(state)
    before = list(one.steps)
    one.after(lambda: SAID[said](one))
    for step in one.steps[len(before) :]:
        assert step in drawn()
    if state in ("filled", *END):
        assert one.steps == before, "an end is an end"


# ------------------------------------------------------------------ what the replay does
def replayed(act: Callable[[Desk], object], **settings: object) -> list[Step]:
    """Steps of a limit of three in a replay with a latency of two seconds."""
    late = Latency(entry=2 * SECOND)
    desk = Desk(fills=FillModel(latency=late, **settings))  # pyright: ignore[reportArgumentType]
    desk.quote(BID, BID + 1, px.buy(3, limit=BID / 4))
    one = Watched(desk.session)
    tell = desk.session.tell

    def watched(*args, **kwargs):
        one.after(lambda: tell(*args, **kwargs))

    desk.session.tell = watched  # pyright: ignore[reportAttributeAccessIssue]
    act(desk)
    return one.steps


REPLAYS: dict[str, tuple[Callable[[Desk], object], dict[str, object], list[Step]]] = {
    "rests and fills": (
        lambda d: d.quote(BID, BID + 1, step=3 * SECOND).quote(BID - 2, BID - 1), {},
        [("in_flight", "working"), ("working", "filled")],
    ),
    "fills as it arrives": (
        lambda d: d.quote(BID - 2, BID - 1, step=3 * SECOND), {}, [("in_flight", "filled")],
    ),
    "fills in parts": (
        lambda d: d.quote(BID, BID + 1, step=3 * SECOND)
        .quote(BID - 2, BID - 1, sizes=(1, 1)).quote(BID - 2, BID - 1, sizes=(9, 9)),
        {"partial_fills": True},
        [("in_flight", "working"), ("working", "partly_filled"), ("partly_filled", "filled")],
    ),
    "is cancelled": (
        lambda d: d.quote(BID, BID + 1, step=3 * SECOND).quote(BID, BID + 1, px.cancel())
        .quote(BID, BID + 1, step=3 * SECOND), {},
        [("in_flight", "working"), ("working", "canceled")],
    ),
    "expires with its session": (
        lambda d: d.quote(BID, BID + 1, step=3 * SECOND).clock(chicago("2026-01-13 16:00:01")), {},
        [("in_flight", "working"), ("working", "expired")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REPLAYS)
def test_a_replay_takes_the_same_arrows(name: str) -> None:
    act, settings, steps = REPLAYS[name]
    assert replayed(act, **settings) == steps
    assert set(steps) <= drawn()


# ------------------------------------------------------------------ the drawing
def test_every_arrow_happens() -> None:
    """Nothing is drawn that cannot be."""
    seen: set[Step] = set()
    for state in ("in_flight", "working", "partly_filled"):
        for act in SAID.values():
            one = brought(state)
            one.after(lambda act=act, one=one: act(one))
            seen |= set(one.steps)
    assert seen == drawn()
    assert {name for step in seen for name in step} <= {*r.STATUS_NAMES, "partly_filled"}

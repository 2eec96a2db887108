"""Faults of a hub's connections, and acts that wait for their time."""

from __future__ import annotations

from typing import Any

import pytest

from pxresearch.errors import UnknownName
from tests.test_simulator_hub import DONE, everything, told
from tests.venue_kit import ACCOUNT, END, Room


def test_a_connection_ends_at_the_step_that_was_asked_for() -> None:
    """At the handshake, at the first subscription, within a record, after so many records."""
    room = Room()
    room.control.add("hub_drop", step="handshake")
    link = room.link(open_=False)
    room.say(link, {"protocol": "json", "version": 1})
    assert (room.raw(link), link.cut is None) == ("", False)
    room.control.add("hub_reset", step="subscribe")
    link = room.link()
    assert room.invoke(link, "SubscribeAccounts") == []
    assert link.cut is not None
    assert link.cut.reset
    room.control.add("hub_drop", step="record", records=3)
    link = everything_quietly(room)
    assert link.cut is not None
    room.control.add("hub_drop", step="mid_record", records=1)
    link = room.link(open_=False)
    room.say(link, {"protocol": "json", "version": 1})
    assert room.raw(link) == "{}" + END
    room.say(link, {"type": 1, "invocationId": "1", "target": "SubscribeAccounts", "arguments": []})
    half = room.raw(link)
    assert half
    assert not half.endswith(END)
    assert link.cut is not None


def everything_quietly(room: Room) -> Any:
    """Handshake and three subscriptions, whatever is answered; three records are heard."""
    link = room.link(open_=False)
    room.say(link, {"protocol": "json", "version": 1})
    for n in range(3):
        call = {"invocationId": str(n), "target": "SubscribeOrders", "arguments": [ACCOUNT]}
        room.say(link, {"type": 1, **call})
    assert len(room.heard(link)) == 3
    return link


def test_open_connections_suffer_now() -> None:
    """A Close message or none, half-open, silence of data or of everything, split records."""
    for close, record in (
        ("none", []), ("close", [{"type": 7}]),
        ("reconnect", [{"type": 7, "allowReconnect": True}]),
        ("error", [{"type": 7, "error": "Connection closed with an error."}]),
    ):  # fmt: skip
        room = Room()
        user, market = room.link(), room.link("market")
        room.control.add("hub_drop", hub="user", close=close)
        room.venue.switch.suffer_now(room.clock.now())
        assert room.heard(user) == record
        assert (user.cut is None, market.cut is None) == (False, True)
    room = Room()
    link = everything(room)
    room.control.add("hub_half_open")
    room.venue.switch.suffer_now(room.clock.now())
    room.place()
    room.pass_(60)
    assert (link.frozen, room.raw(link)) == (True, "")


@pytest.mark.parametrize(("what", "pings"), [("data", 1), ("all", 0)])
def test_a_silent_connection_loses_what_comes_meanwhile(what: str, pings: int) -> None:
    """Data alone or pings too; afterwards only what is new comes."""
    room = Room()
    link = everything(room)
    room.control.add("hub_silent", what=what, seconds=20.0)
    room.venue.switch.suffer_now(room.clock.now())
    room.place()
    assert room.raw(link) == ""
    room.pass_(19)
    assert len(room.heard(link)) == pings
    room.pass_(1)
    room.heard(link)
    room.place()
    assert len(told(room.heard(link))) == 5


def test_split_records_and_completions_that_lie() -> None:
    """A record in two messages; a completion with an error, or none at all though it works."""
    room = Room()
    room.control.add("completion_error", message="no")
    room.control.add("completion_missing", skip=1)
    link = room.link()
    assert "no" in room.invoke(link, "SubscribeOrders", ACCOUNT)[0]["error"]
    assert room.invoke(link, "SubscribeOrders", ACCOUNT) == [DONE]
    assert room.invoke(link, "SubscribeOrders", ACCOUNT) == []
    room.control.add("hub_split")
    room.venue.switch.suffer_now(room.clock.now())
    room.invoke(link, "SubscribeTrades", ACCOUNT)
    room.place()
    frames = link.frames(room.clock.now())
    assert len(frames) == 2
    assert not frames[0].endswith(END)
    assert "".join(frames).endswith(END)


def test_an_act_that_is_due_later_happens_then_or_says_why_not() -> None:
    """A halt after ten seconds; one of a contract that is not there is in the log."""
    room = Room()
    room.control.add("halt", after_s=10.0)
    room.control.add("halt", after_s=10.0, contract_id="CON.X")
    with pytest.raises(UnknownName):
        room.control.add("halt", contract_id="CON.X")
    room.pass_(9)
    assert room.place()["success"]
    room.pass_(1)
    assert not room.place()["success"]
    (trouble,) = room.control.log(kind="trouble")
    assert "CON.X" in trouble["body"]
    assert room.control.faults() == []

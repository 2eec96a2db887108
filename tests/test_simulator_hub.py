"""The hub protocol of the simulator: records in, records out, no socket."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pxresearch.clock import NS
from pxresearch.gateway import wire
from pxresearch.simulator.accounts import AccountSpec
from pxresearch.simulator.hub import HubSettings
from pxresearch.simulator.negotiate import Negotiations
from pxresearch.simulator.outbox import KEPT, OWN, Outbox
from pxresearch.simulator.users import User
from tests.exchange_kit import MNQ
from tests.venue_kit import ACCOUNT, END, Room

USER_METHODS = ("Orders", "Positions", "Trades")


def everything(room: Room) -> Any:
    """A user connection subscribed to all four streams."""
    link = room.link()
    assert room.invoke(link, "SubscribeAccounts") == [DONE]
    for name in USER_METHODS:
        assert room.invoke(link, f"Subscribe{name}", ACCOUNT) == [DONE]
    return link


DONE = {"type": 3, "invocationId": "1", "result": None}


def told(records: list[Any]) -> list[tuple[str, Any]]:
    return [(one["target"], one["arguments"]) for one in records if one.get("type") == 1]


# ---------------------------------------------------------------- handshake
@pytest.mark.parametrize("version", [0, 1, 2])
def test_versions_are_accepted_unless_strict(version: int) -> None:
    """0, 1 and 2; strict, as older servers are, 1 alone, with their words and the end."""
    room = Room()
    link = room.link(open_=False)
    room.say(link, {"protocol": "json", "version": version})
    assert room.heard(link) == [{}]
    strict = Room(hub=HubSettings(strict_version=True))
    link = strict.link(open_=False)
    strict.say(link, {"protocol": "json", "version": version})
    (answer,) = strict.heard(link)
    assert (answer == {}) is (version == 1)
    assert (link.cut is None) is (version == 1)
    if version != 1:
        words = f"The server does not support version {version} of the 'json' protocol."
        assert answer == {"error": words}


def test_other_protocols_and_junk_are_refused() -> None:
    """MessagePack gets an error; junk gets the end without a word, for there was no handshake."""
    room = Room()
    link = room.link(open_=False)
    room.say(link, {"protocol": "messagepack", "version": 1})
    assert "error" in room.heard(link)[0]
    assert link.cut is not None
    link = room.link(open_=False)
    link.receive("not json" + END, 0)
    assert room.raw(link) == ""
    assert link.cut is not None


def test_nothing_is_sent_before_the_handshake() -> None:
    """Events before it are not for this connection; a silent client is dropped after 15 s."""
    room = Room()
    link = room.link(open_=False)
    room.place()
    assert room.raw(link) == ""
    room.pass_(14)
    assert link.cut is None
    room.pass_(1)
    assert link.cut is not None
    assert room.heard(link) == [{"error": "Handshake was canceled."}]


@given(st.lists(st.integers(1, 40), max_size=40))
@settings(max_examples=40)
def test_records_may_come_in_any_pieces(cuts: list[int]) -> None:
    """However the bytes are cut into messages, the same answers come in the same order."""
    records = [{"protocol": "json", "version": 1}, {"type": 6}]
    records += [
        {"type": 1, "invocationId": str(n), "target": f"Subscribe{name}", "arguments": [ACCOUNT]}
        for n, name in enumerate((*USER_METHODS, "Nothing"))
    ]
    text = "".join(json.dumps(one) + END for one in records)
    room = Room(market=False)
    link = room.link(open_=False)
    for size in [*cuts, len(text)]:
        piece, text = text[:size], text[size:]
        link.receive(piece.encode(), room.clock.now())
    heard = room.heard(link)
    assert heard[0] == {}
    assert [one["invocationId"] for one in heard[1:]] == ["0", "1", "2", "3"]
    assert ["error" in one for one in heard[1:]] == [False, False, False, True]


# ---------------------------------------------------------------- invocations
def test_unknown_methods_and_wrong_arguments_get_an_error_and_nothing_ends() -> None:
    """One completion each with an id, none without; the connection stays."""
    room = Room()
    link = room.link()
    for method, arguments in (
        ("Heartbeat", []), ("subscribeOrders", [ACCOUNT]), ("SubscribeOrders", []),
        ("SubscribeOrders", ["x"]), ("SubscribeOrders", [True]), ("SubscribeAccounts", [ACCOUNT]),
        ("SubscribeContractQuotes", [MNQ]), ("Subscribe", []),
    ):  # fmt: skip
        (answer,) = room.invoke(link, method, *arguments)
        assert answer["type"] == 3
        assert answer["error"].startswith(f"Failed to invoke '{method}' due to an error")
        assert "result" not in answer
        assert room.invoke(link, method, *arguments, number=None) == []
    room.say(link, {"type": 4, "invocationId": "9", "target": "x", "arguments": []})
    assert room.heard(link)[0]["error"]
    room.say(link, {"type": 5, "invocationId": "9"}, {"type": 99}, {"type": 3, "x": 1})
    assert room.heard(link) == []
    assert link.cut is None


def test_another_users_account_is_refused() -> None:
    """Its orders are not to be had, and none of its events come."""
    specs = [AccountSpec(id=ACCOUNT, owner="trader"), AccountSpec(id=2, owner="other")]
    room = Room(accounts=specs, users=[User(name="other", api_key="k")])
    link = room.link(owner="other")
    assert "Account not found" in room.invoke(link, "SubscribeOrders", ACCOUNT)[0]["error"]
    room.invoke(link, "SubscribeAccounts")
    room.place()
    assert room.heard(link) == []


def test_subscribing_twice_does_not_double_and_unsubscribing_ends() -> None:
    """One subscription however often it is asked for."""
    room = Room()
    link = room.link()
    room.invoke(link, "SubscribeTrades", ACCOUNT)
    room.invoke(link, "SubscribeTrades", ACCOUNT)
    room.place()
    assert [target for target, _ in told(room.heard(link))] == [wire.USER_TRADE]
    assert room.invoke(link, "UnsubscribeTrades", ACCOUNT) == [DONE]
    room.place()
    assert room.heard(link) == []


def test_no_snapshot_on_the_user_hub_and_no_replay() -> None:
    """What happened before the subscription is never told."""
    room = Room()
    room.place()
    link = everything(room)
    assert room.heard(link) == []
    room.venue.switch.remove(link)
    room.place()
    assert room.raw(everything(room)) == ""


def test_user_events_are_wrapped_with_nulls_left_out() -> None:
    """{action, data}; order, trade, position, account of a fill; no member is null."""
    room = Room()
    link = everything(room)
    answer = room.place(customTag="t1")
    events = told(room.heard(link))
    assert [t.removeprefix("GatewayUser") for t, _ in events] == [
        "Order", "Order", "Trade", "Position", "Account",
    ]  # fmt: skip
    for target, (argument,) in events:
        assert set(argument) == {"action", "data"}
        assert None not in argument["data"].values()
        wire.user_record(target, json.dumps([argument]).encode())
    pending, filled = events[0][1][0]["data"], events[1][1][0]["data"]
    assert (pending["status"], filled["status"]) == (6, 2)
    assert pending["fillVolume"] == 0
    assert filled["id"] == answer["orderId"]
    assert filled["filledPrice"] == 25_000.25
    assert events[2][1][0]["action"] == 0
    room.post("Position/closeContract", {"accountId": ACCOUNT, "contractId": MNQ})
    events = dict(told(room.heard(link)))
    closed = events[wire.USER_POSITION][0]
    assert (closed["action"], closed["data"]["size"], closed["data"]["type"]) == (2, 0, 0)


def test_bare_events_are_a_switch() -> None:
    """Switched on, the argument is the record itself, as documented."""
    room = Room(hub=HubSettings(bare_events=True))
    link = everything(room)
    room.place()
    assert all("id" in argument for _, (argument,) in told(room.heard(link)))


# ---------------------------------------------------------------- time
def test_pings_come_after_own_silence_alone() -> None:
    """After 15 s without a record of ours; a record puts it off."""
    room = Room()
    link = everything(room)
    room.pass_(14)
    assert room.heard(link) == []
    room.place()
    assert len(room.heard(link)) == 5
    room.pass_(14)
    assert room.heard(link) == []
    room.pass_(1)
    assert room.heard(link) == [{"type": 6}]


def test_a_client_that_never_pings_is_kept_one_that_stops_is_dropped() -> None:
    """From the first ping on, 30 s without any record end the connection."""
    room = Room()
    quiet, pinging = room.link(), room.link()
    room.say(pinging, {"type": 6})
    room.pass_(20)
    room.invoke(pinging, "SubscribeAccounts")
    room.pass_(29)
    assert pinging.cut is None
    room.pass_(1)
    assert pinging.cut is not None
    room.pass_(200)
    assert quiet.cut is None


def test_records_over_32_kb_end_the_connection() -> None:
    """The limit holds for one record, not for a message of many."""
    room = Room()
    link = room.link()
    room.say(link, *[{"type": 6, "x": "y" * 20_000}] * 4)
    assert link.cut is None
    room.say(link, {"type": 6, "x": "y" * 33_000})
    assert room.heard(link)[0]["type"] == 7
    assert link.cut is not None
    endless = room.link()
    for _ in range(40):
        endless.receive("x" * 1000, room.clock.now())
    assert endless.cut is not None


def test_a_close_of_the_client_ends_it() -> None:
    """Type 7 is answered by the end."""
    room = Room()
    link = room.link()
    room.say(link, {"type": 7})
    assert link.cut is not None


# ---------------------------------------------------------------- slow clients
def test_a_slow_client_keeps_trades_and_gets_the_newest_quote() -> None:
    """Quotes shrink to one complete record of the present; every trade and order event stays."""
    room = Room(hub=HubSettings(queue=50))
    market, user = room.link("market"), everything(room)
    room.invoke(market, "SubscribeContractQuotes", MNQ)
    room.invoke(market, "SubscribeContractTrades", MNQ)
    for n in range(300):
        room.venue.quote(MNQ, 100_000 + n, 100_001 + n, 1, 1)
        if n % 10 == 0:
            room.venue.trade(MNQ, 100_000 + n, size=n + 1)
            room.place(type=1, limitPrice=24_000)
    assert market.left_out > 200
    events = told(room.heard(market))
    sizes = [a[1][0]["volume"] for t, a in events if t == wire.MARKET_TRADE]
    assert sizes == list(range(1, 300, 10))
    quotes = [a[1] for t, a in events if t == wire.MARKET_QUOTE]
    assert quotes[-1]["bestBid"] == (100_299) / 4
    assert len(quotes) < 60
    stamps = [one["lastUpdated"] for one in quotes]
    assert stamps == sorted(stamps)
    assert len(told(room.heard(user))) == 2 * 30


@given(
    puts=st.lists(
        st.tuples(st.sampled_from(["kept", "own", "q1", "q2"]), st.booleans()), max_size=200
    ),
    limit=st.integers(1, 20),
)
def test_a_queue_loses_nothing_that_must_stay(puts: list[tuple[str, bool]], limit: int) -> None:
    """Kept records all come, in order; of a key the last thing heard is its newest state."""
    newest: dict[Any, str] = {}
    box = Outbox(limit, lambda key: [newest[key]])
    wanted, got = [], []
    for n, (kind, drain) in enumerate(puts):
        key = {"kept": KEPT, "own": OWN}.get(kind, kind)
        newest[key] = f"{kind} {n}"
        box.put(newest[key], key)
        if kind in ("kept", "own"):
            wanted.append(newest[key])
        if drain:
            got += box.take(3)
    got += box.take(10_000)
    assert [one for one in got if one[0] in "ko"] == wanted
    for kind in ("q1", "q2"):
        heard = [int(one.split()[1]) for one in got if one.startswith(kind)]
        assert heard == sorted(heard)
        assert (heard[-1:] == [int(newest[kind].split()[1])]) if kind in newest else not heard


def test_a_client_that_stays_full_is_reset() -> None:
    """Five seconds full of what cannot be left out; one that drains in time stays."""
    room = Room(hub=HubSettings(queue=20))
    stuck, slow = everything(room), everything(room)
    for _ in range(50):
        room.place(type=1, limitPrice=24_000)
    room.pass_(3)
    room.heard(slow)
    room.pass_(3)
    assert slow.cut is None
    assert stuck.cut is not None
    assert stuck.cut.reset


# ---------------------------------------------------------------- negotiate
def test_negotiate_versions_and_ids() -> None:
    """Version 1 has a connection token, 0 has none; an id is good once and for its hub alone."""
    ids = Negotiations(0, 15.0)
    new, old = ids.answer("user", "1", 0), ids.answer("user", None, 0)
    assert new["negotiateVersion"] == 1
    assert new["connectionToken"] != new["connectionId"]
    assert ids.answer("user", "7", 0)["negotiateVersion"] == 1
    assert "connectionToken" not in old
    assert [one["transport"] for one in new["availableTransports"]] == ["WebSockets"]
    token = new["connectionToken"]
    assert ids.take("market", token, 1) == 404
    assert ids.take("user", new["connectionId"], 1) == 404
    assert ids.take("user", token, 1) == 200
    assert ids.take("user", token, 2) == 409
    ids.give_back(token)
    assert ids.take("user", token, 3) == 404
    assert ids.take("user", old["connectionId"], 15 * NS) == 404

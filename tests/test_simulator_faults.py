"""Faults of the simulator: each does what the table says, as often as it was armed, by its seed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import httpx
import pytest

from pxresearch.errors import PxError, UnknownName, UsageError
from pxresearch.gateway import wire
from pxresearch.gateway.wire import OrderStatus
from pxresearch.simulator.fault_table import COMMON, FAULTS
from pxresearch.simulator.faults import Faults
from pxresearch.simulator.inprocess import InProcess
from pxresearch.simulator.messages import CLOSED, RESET, TORN, TRICKLE
from tests.exchange_kit import MNQ
from tests.test_simulator_hub import everything, told
from tests.venue_kit import ACCOUNT, Room

PLACE = "Order/place"
ORDER = {"accountId": ACCOUNT, "contractId": MNQ, "type": 2, "side": 0, "size": 1}


# ---------------------------------------------------------------- arming
def test_every_fault_can_be_armed_and_says_what_it_takes() -> None:
    """With its defaults; with a parameter it has not, or a value that cannot be, it is refused."""
    for name, kind in FAULTS.items():
        faults = Faults()
        number = faults.add(name)
        assert [one.id for one in faults.armed()] == [number]
        assert faults.armed()[0].given == kind.parameters
        with pytest.raises(UsageError, match="has no parameter 'nonsense'"):
            faults.add(name, nonsense=1)
        for parameter in {**COMMON, **kind.parameters}:
            with pytest.raises(UsageError, match=parameter):
                faults.add(name, **{parameter: [1]})
    with pytest.raises(UnknownName, match="lose_response"):
        Faults().add("lose_respons")
    for wrong in ({"count": 0}, {"probability": 0.0}, {"when": "later"}, {"wait_s": -1}):
        with pytest.raises(UsageError):
            Faults().add("lose_response", **wrong)


def test_count_skip_and_after_decide_which_requests_are_met() -> None:
    """Skip the first, then so many; not before its time; for the named operation alone."""
    room = Room()
    room.control.add("status", operation="position/SEARCHOPEN", count=2, skip=1, status=502)
    asked = [room.status("Position/searchOpen", {"accountId": ACCOUNT}) for _ in range(5)]
    assert asked == [200, 502, 502, 200, 200]
    room.control.add("status", after_s=10.0)
    assert room.status("Position/searchOpen", {"accountId": ACCOUNT}) == 200
    room.pass_(10)
    assert room.status("Position/searchOpen", {"accountId": ACCOUNT}) == 503
    number = room.control.add("status", count=None)
    assert [room.status(PLACE, ORDER) for _ in range(9)] == [503] * 9
    room.control.remove(number)
    assert room.status(PLACE, ORDER) == 200


def test_chance_is_the_seeds() -> None:
    """The same seed meets the same requests; another seed others; about the share asked for."""

    def met(seed: int) -> list[int]:
        faults = Faults(seed)
        faults.add("status", count=None, probability=0.3)
        return [i for i in range(1000) if faults.first("request", 0, operation=PLACE)]

    assert met(1) == met(1) != met(2)
    assert 250 < len(met(1)) < 350


# ---------------------------------------------------------------- REST
def met(name: str, **parameters: Any) -> tuple[Room, Any, int]:
    """The delivery of an order's request under a fault, and how many orders there are then."""
    room = Room()
    room.control.add(name, operation=PLACE, **parameters)
    delivery = room.deliver(PLACE, ORDER)
    return room, delivery, len(room.truth.orders)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "name", ["lose_response", "status", "error_code", "malformed_json", "html", "torn_json",
             "torn_response", "unauthorised", "rate_limit_storm"]
)  # fmt: skip
def test_the_venue_acted_exactly_when_the_fault_says_so(name: str, when: str) -> None:
    """Before: no order. After: one, and the client cannot read that from what it gets."""
    _, delivery, orders = met(name, when=when)
    assert orders == (when == "after")
    whole = delivery.ending == "whole" and delivery.response.status == 200
    if whole and name != "error_code":
        with pytest.raises(PxError):
            wire.decode(delivery.response.body, wire.PlaceAnswer)
    elif whole:
        answer = wire.decode(delivery.response.body, wire.PlaceAnswer)
        assert not answer.success
        assert wire.PLACE.codes[answer.error_code] == "UnknownError"


def test_endings_and_statuses_of_the_faults() -> None:
    """How the connection ends, and what comes when it does not."""
    assert met("lose_response")[1].ending == CLOSED
    assert met("lose_response", how="reset")[1].ending == RESET
    torn = met("torn_response", share=0.25)[1]
    assert (torn.ending, torn.sent) == (TORN, len(torn.response.body) // 4)
    assert met("slow_trickle", seconds=3.0)[1].seconds == 3.0
    assert met("slow_trickle")[1].ending == TRICKLE
    page = met("status", status=500)[1].response
    assert (page.status, page.content_type) == (500, "text/html")
    assert met("unauthorised")[1].response.body == b""
    assert met("rate_limit_storm", retry_after=7)[1].response.headers["Retry-After"] == "7"
    refused = json.loads(met("error_code", code=3, message="no funds")[1].response.body)
    assert (refused["errorCode"], refused["errorMessage"]) == (3, "no funds")


def test_answers_with_new_members_and_numbers_are_still_read() -> None:
    """A new member is passed over; an unknown status is never taken for done."""
    room = Room()
    room.place(type=1, limitPrice=24_000)
    room.control.add("new_field", operation="Order/searchOpen")
    room.control.add("unknown_enum", operation="Order/searchOpen")
    body = room.deliver("Order/searchOpen", {"accountId": ACCOUNT}).response.body
    assert b"newField" in body
    (order,) = wire.decode(body, wire.OrdersAnswer).orders
    assert order.status is OrderStatus.UNKNOWN
    assert not order.status.done


def test_tokens_expire_and_refreshes_are_refused_on_request() -> None:
    """Every token ends at once; login and validate fail with UnknownError as often as armed."""
    room = Room()
    old = room.token
    room.control.add("expire_tokens")
    assert room.status("Position/searchOpen", {"accountId": ACCOUNT}, token=old) == 401
    room.control.add("refuse_refresh", count=2)
    assert room.status("Position/searchOpen", {"accountId": ACCOUNT}, token=old) == 401
    keys = {"userName": "trader", "apiKey": room.settings.api_key}
    codes = [room.post("Auth/loginKey", keys, token=None)["errorCode"] for _ in range(3)]
    assert codes == [8, 8, 0]


# ---------------------------------------------------------------- in process, virtual time
def run(room: Room, script: Callable[[httpx.AsyncClient], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        transport = InProcess(room.venue, room.clock)
        headers = {"Authorization": f"Bearer {room.token}"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://venue", headers=headers, timeout=5
        ) as client:
            return await room.clock.run(script(client))

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("name", "parameters", "error", "orders", "seconds"),
    [
        ("lose_response", {"when": "before"}, httpx.RemoteProtocolError, 0, 0),
        ("lose_response", {"when": "after", "wait_s": 2.0}, httpx.RemoteProtocolError, 1, 2),
        ("lose_response", {"how": "reset"}, httpx.ReadError, 1, 0),
        ("torn_response", {}, httpx.RemoteProtocolError, 1, 0),
        ("slow_response", {"when": "before", "seconds": 60.0}, httpx.ReadTimeout, 0, 5),
        ("slow_response", {"when": "after", "seconds": 60.0}, httpx.ReadTimeout, 1, 5),
        ("slow_response", {"seconds": 4.0}, None, 1, 4),
        ("slow_trickle", {"seconds": 8.0}, None, 1, 8),
    ],
)
def test_the_transport_fails_as_a_network_does(
    name: str, parameters: Any, error: Any, orders: int, seconds: int
) -> None:
    """The right exception at the right virtual time; a late request is still carried out."""
    room = Room()
    room.control.add(name, operation=PLACE, **parameters)
    begun = room.clock.now()

    async def script(client: httpx.AsyncClient) -> None:
        if error is None:
            assert (await client.post("/api/Order/place", json=ORDER)).json()["success"]
        else:
            with pytest.raises(error):
                await client.post("/api/Order/place", json=ORDER)
        assert room.clock.now() - begun == seconds * 10**9
        assert len(room.truth.orders) == orders
        if name == "slow_response" and parameters.get("when") == "before":
            await room.clock.sleep(56)
            assert len(room.truth.orders) == 1

    run(room, script)


# ---------------------------------------------------------------- user events
def fills(room: Room, link: Any) -> list[tuple[str, Any]]:
    room.place()
    return told(room.heard(link))


def test_events_double_vanish_and_turn_round() -> None:
    """Only those of the target, only as often as armed; the venue itself is not changed."""
    room = Room()
    link = everything(room)
    plain = [target for target, _ in fills(room, link)]
    room.control.add("duplicate_event", target=wire.USER_TRADE)
    assert [t for t, _ in fills(room, link)] == [*plain[:2], wire.USER_TRADE, *plain[2:]]
    room.control.add("drop_event", target=wire.USER_TRADE)
    assert [t for t, _ in fills(room, link)] == [t for t in plain if t != wire.USER_TRADE]
    room.control.add("reorder_events")
    assert [t for t, _ in fills(room, link)] == plain[::-1]
    room.control.add("reorder_events", target=wire.USER_ORDER)
    statuses = [a[0]["data"]["status"] for t, a in fills(room, link) if t == wire.USER_ORDER]
    assert statuses == [2, 6]
    assert [t for t, _ in fills(room, link)] == plain
    assert len(room.truth.trades) == 6


def test_events_that_lie_or_come_from_nowhere() -> None:
    """A position of another size, a status and a member nobody knows, an order nobody placed."""
    room = Room()
    link = everything(room)
    for name in ("position_disagrees", "unknown_enum", "new_field"):
        room.control.add(name)
    events = fills(room, link)
    data = [argument["data"] for _, (argument,) in events]
    assert [one["size"] for one in data if "averagePrice" in one] == [2]
    assert [one["status"] for one in data if "status" in one] == [99, 2]
    assert "newField" in data[0]
    room.control.add("unknown_event")
    ((target, (argument,)),) = told(room.heard(link))
    assert target == wire.USER_ORDER
    wire.user_record(target, json.dumps([argument]).encode())
    assert argument["data"]["id"] not in [one.id for one in room.truth.orders]


# ---------------------------------------------------------------- venue
def test_the_venues_own_faults_reach_the_exchange() -> None:
    """Partial fill, a refused leg, an order by hand, a halt, a permission: each shows."""
    room = Room()
    link = everything(room)
    room.control.add("partial_fill")
    room.place(size=3)
    assert [one.fill_volume for one in room.truth.orders] == [1]
    room.control.add("hold_ack")
    room.place()
    assert room.truth.orders[-1].status is OrderStatus.PENDING
    room.control.add("manual_order", side="sell", size=2, limit_price="25001.5")
    by_hand = room.truth.orders[-1]
    assert (by_hand.custom_tag, by_hand.limit_price, by_hand.size) == (None, Decimal("25001.5"), 2)
    room.control.add("halt")
    assert room.place()["errorMessage"].startswith("Trading is currently unavailable")
    room.control.add("halt", halted=False)
    assert room.place()["success"]
    room.control.add("can_trade")
    assert room.place()["errorCode"] == 10
    account = [a[0]["data"] for t, a in told(room.heard(link)) if t == wire.USER_ACCOUNT][-1]
    assert account["canTrade"] is False
    room.control.add("logout", hub="user")
    assert [t for t, _ in told(room.heard(link))] == [wire.LOGOUT_EVENT]


@pytest.mark.parametrize(
    ("name", "parameters", "bid", "ask"),
    [("one_sided_quote", {}, 25_000, None), ("one_sided_quote", {"side": "bid"}, None, 25_000.25),
     ("crossed_quote", {"ticks": 3}, 25_001, 25_000.25)],
)  # fmt: skip
def test_odd_books_reach_market_and_hub(name: str, parameters: Any, bid: Any, ask: Any) -> None:
    """An empty side is a null; a crossed book has its bid above its ask."""
    room = Room()
    link = room.link("market")
    first = room.invoke(link, "SubscribeContractQuotes", MNQ)[1]["arguments"][1]
    room.control.add(name, **parameters)
    quote = {**first, **told(room.heard(link))[-1][1][1]}
    assert (quote["bestBid"], quote["bestAsk"]) == (bid, ask)
    wire.market_record(wire.MARKET_QUOTE, json.dumps([MNQ, quote]).encode())


@pytest.mark.parametrize(
    ("garbage", "shown"), [("text", "NaN"), ("zero", 0), ("negative", -1.25), ("huge", 1e300)]
)
def test_garbage_is_told_and_never_traded(garbage: str, shown: Any) -> None:
    """What cannot be a price is on the hub and leaves the exchange as it was."""
    room = Room()
    link = room.link("market")
    room.invoke(link, "SubscribeContractQuotes", MNQ)
    before = room.venue.exchange.market(MNQ)
    room.control.add("garbage_quote", garbage=garbage)
    assert told(room.heard(link))[-1][1][1]["bestBid"] == shown
    room.control.add("off_tick_price")
    assert (told(room.heard(link))[-1][1][1]["bestBid"] * 4) % 1 != 0
    assert room.venue.exchange.market(MNQ) == before


def test_a_burst_is_told_whole_to_whoever_keeps_up() -> None:
    """Ten thousand quotes at once; a queue that is smaller shrinks to the newest."""
    room = Room()
    link = room.link("market")
    room.invoke(link, "SubscribeContractQuotes", MNQ)
    room.control.add("burst")
    heard = told(room.heard(link))
    assert link.left_out == 10_000 - len(heard) > 0
    assert heard[-1][1][1]["bestBid"] == 24_999.75

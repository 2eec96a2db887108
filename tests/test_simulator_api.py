"""REST of the simulator: statuses, envelopes, tokens, limits, bodies in any case."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pxresearch.clock import NS
from pxresearch.gateway import wire
from pxresearch.simulator.accounts import AccountSpec
from pxresearch.simulator.routes import ApiSettings
from pxresearch.simulator.users import User
from tests.exchange_kit import MNQ
from tests.venue_kit import ACCOUNT, KEY, Room

OF_ACCOUNT = {"accountId": ACCOUNT}
WINDOW = {**OF_ACCOUNT, "startTimestamp": "2026-01-01T00:00:00Z"}
BODIES: dict[str, Any] = {
    "Account/search": {"onlyActiveAccounts": True},
    "Contract/search": {"searchText": "NQ", "live": False},
    "Contract/searchById": {"contractId": MNQ},
    "Contract/available": {"live": False},
    "History/retrieveBars": {
        "contractId": MNQ, "live": False, "startTime": "2026-11-25T00:00:00Z",
        "endTime": "2026-11-26T00:00:00Z", "unit": 2, "unitNumber": 1, "limit": 10,
        "includePartialBar": True,
    },
    "Order/place": {**OF_ACCOUNT, "contractId": MNQ, "type": 2, "side": 0, "size": 1},
    "Order/modify": {**OF_ACCOUNT, "orderId": 1},
    "Order/cancel": {**OF_ACCOUNT, "orderId": 1},
    "Order/search": WINDOW,
    "Order/searchOpen": OF_ACCOUNT,
    "Order/searchById": {**OF_ACCOUNT, "orderId": 1},
    "Order/v2/query": {"filter": OF_ACCOUNT},
    "Position/searchOpen": OF_ACCOUNT,
    "Position/closeContract": {**OF_ACCOUNT, "contractId": MNQ},
    "Position/partialCloseContract": {**OF_ACCOUNT, "contractId": MNQ, "size": 1},
    "Trade/search": WINDOW,
}  # fmt: skip
REST = [one for one in wire.OPERATIONS if one.kind != wire.AUTH]


def upper(value: Any) -> Any:
    """The same body, every member in capitals."""
    if isinstance(value, dict):
        return {name.upper(): upper(inner) for name, inner in value.items()}
    return value


@pytest.mark.parametrize("operation", REST, ids=lambda one: one.name)
def test_every_operation_answers_in_its_shape(operation: wire.Operation) -> None:
    """An envelope on 200, readable by the client's own record; 401 without a token, 405 by GET."""
    room = Room()
    response = room.deliver(operation.name, BODIES[operation.name]).response
    assert response.status == 200
    assert response.content_type.startswith("application/json")
    answer = wire.decode(response.body, operation.answer)
    assert answer.error_code in operation.codes
    assert room.status(operation.name, BODIES[operation.name], token=None) == 401
    assert room.deliver(operation.name, token=None).response.body == b""
    assert room.status(operation.name, method="GET") == 405


@pytest.mark.parametrize("operation", REST, ids=lambda one: one.name)
def test_case_and_unknown_members_do_not_matter(operation: wire.Operation) -> None:
    """Paths and members in any case, and members nobody knows, get the same answer."""
    body = BODIES[operation.name]
    plain = Room().deliver(operation.name, body).response.body
    odd = {**upper(body), "nobodyKnows": {"a": 1}}
    assert Room().deliver(operation.path.upper(), odd).response.body == plain


@pytest.mark.parametrize("operation", REST, ids=lambda one: one.name)
def test_a_body_that_lacks_or_garbles_a_member_is_a_400(operation: wire.Operation) -> None:
    """Each required member missing, null or of another type: the problem document names it."""
    room = Room(api=ApiSettings(rate_limits=False))
    for name in BODIES[operation.name]:
        if name == "searchText":
            continue
        for changed in ({}, {name: None}, {name: [1]}):
            body = {k: v for k, v in BODIES[operation.name].items() if k != name} | changed
            response = room.deliver(operation.name, body).response
            assert response.status == 400, (name, changed)
            assert response.content_type.startswith("application/problem+json")
            document = json.loads(response.body)
            assert document["status"] == 400
            assert name in "".join(document["errors"])
    for raw in (b"", b"{", b"[]", b"\xff", b"null", b'{"accountId":1e999}', b"[" * 5000):
        assert room.status(operation.name, raw) == 400


@pytest.mark.parametrize(
    "member",
    [{"size": 2**31}, {"size": 1.5}, {"accountId": "7"}, {"limitPrice": 10**40}, {"type": "x"},
     {"side": True}, {"stopLossBracket": {"ticks": 4}}],
)  # fmt: skip
def test_numbers_that_do_not_fit_are_a_400(member: dict[str, Any]) -> None:
    """A number beyond its width, a text for a number: the venue is never asked."""
    room = Room()
    assert room.status("Order/place", {**BODIES["Order/place"], **member}) == 400
    assert room.truth.orders == []


def test_filters_of_the_query_belong_inside_filter() -> None:
    """The members of the filter at the root of v2/query are a 400, as measured."""
    assert Room().status("Order/v2/query", {"accountId": ACCOUNT}) == 400


def test_nulls_are_explicit_over_rest_and_few_members_only_when_set() -> None:
    """filledPrice, customTag and prices are null; parent and linked id are there only with legs."""
    room = Room()
    room.place(type=1, limitPrice=24_900)
    (order,) = room.post("Order/searchOpen", OF_ACCOUNT)["orders"]
    for name in ("filledPrice", "customTag", "stopPrice"):
        assert order[name] is None
    assert order["fillVolume"] == 0
    assert not {"parentOrderId", "linkedOrderId", "trailPrice"} & set(order)
    (account,) = room.post("Account/search", {"onlyActiveAccounts": True})["accounts"]
    assert set(account) == {"id", "name", "balance", "canTrade", "isVisible", "simulated"}
    body = room.deliver("Order/place", BODIES["Order/place"]).response.body
    assert list(json.loads(body)) == ["orderId", "success", "errorCode", "errorMessage"]


def test_trades_tell_that_they_opened_by_a_null() -> None:
    """profitAndLoss is an explicit null on the opening half-turn."""
    room = Room()
    room.place()
    (trade,) = room.post("Trade/search", WINDOW)["trades"]
    assert trade["profitAndLoss"] is None


# ---------------------------------------------------------------- tokens
def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def test_a_token_is_a_jwt_of_24_hours() -> None:
    """Three parts, an exp on the venue's clock; good up to its last second, 401 from then on."""
    room = Room()
    assert len(room.token.split(".")) == 3
    start = room.clock.now()
    assert claims(room.token)["exp"] * NS == start + 24 * 3600 * NS
    room.clock.advance(start + 24 * 3600 * NS - 1)
    assert room.status("Account/search", BODIES["Account/search"]) == 200
    room.clock.advance(start + 24 * 3600 * NS)
    assert room.status("Account/search", BODIES["Account/search"]) == 401


@given(at=st.integers(0, 400), letter=st.sampled_from("AZaz09-_."))
@settings(max_examples=40)
def test_a_changed_token_is_no_token(at: int, letter: str) -> None:
    """Any other letter anywhere: 401 (or the very same token)."""
    room = Room(market=False)
    at %= len(room.token)
    changed = room.token[:at] + letter + room.token[at + 1 :]
    owner = room.venue.users.owner(changed, room.clock.now())
    assert owner is None or claims(changed) == claims(room.token)
    assert changed == room.token or owner is None or at == len(room.token) - 1


def test_validate_gives_a_new_token_and_keeps_the_old() -> None:
    """newToken is good for 24 hours more; the old one works on; logout ends one alone."""
    room = Room()
    room.clock.advance(room.clock.now() + 20 * 3600 * NS)
    new = room.post("Auth/validate", b"")["newToken"]
    assert new != room.token
    for token in (new, room.token):
        assert room.status("Account/search", BODIES["Account/search"], token=token) == 200
    assert room.post("Auth/logout")["success"]
    assert room.status("Account/search", BODIES["Account/search"]) == 401
    assert room.status("Account/search", BODIES["Account/search"], token=new) == 200


@pytest.mark.parametrize(
    ("name", "key", "code"),
    [("TRADER", KEY, 0), ("trader", "wrong", 3), ("nobody", KEY, 3), ("unpaid", "k", 9),
     ("unsigned", "k", 7), ("switched", "k", 10)],
)  # fmt: skip
def test_login_codes(name: str, key: str, code: int) -> None:
    """Name in any case; each refusal has its own code and no token."""
    room = Room(
        users=[
            User(name="unpaid", api_key="k", subscribed=False),
            User(name="unsigned", api_key="k", agreements_signed=False),
            User(name="switched", api_key="k", key_login=False),
        ]
    )
    answer = room.post("Auth/loginKey", {"userName": name, "apiKey": key}, token=None)
    assert (answer["errorCode"], answer["success"]) == (code, code == 0)
    assert (answer["token"] is None) is (code != 0)


def test_login_by_app_is_refused() -> None:
    """The withdrawn flow is there and knows no application."""
    body = dict.fromkeys(("userName", "password", "deviceId", "appId", "verifyKey"), "trader")
    assert Room().post("Auth/loginApp", body, token=None)["errorCode"] == 4
    assert Room().status("Auth/loginKey", {"userName": "trader"}, token=None) == 400


def test_another_users_account_does_not_exist() -> None:
    """Neither listed, nor read, nor traded: AccountNotFound."""
    specs = [AccountSpec(id=1, owner="trader"), AccountSpec(id=2, owner="other")]
    room = Room(accounts=specs, users=[User(name="other", api_key="k")])
    listed = room.post("Account/search", {"onlyActiveAccounts": True})["accounts"]
    assert [one["id"] for one in listed] == [1]
    assert room.place(accountId=2)["errorCode"] == 1
    assert room.post("Position/searchOpen", {"accountId": 2})["errorCode"] == 1
    other = room.login("other", "k")
    listed = room.post("Account/search", {"onlyActiveAccounts": True}, token=other)["accounts"]
    assert [one["id"] for one in listed] == [2]


# ---------------------------------------------------------------- limits
def brute(times: list[int], limit: int, length: int) -> list[bool]:
    """Whether each request is taken: fewer than the limit were taken in the time before."""
    taken: list[int] = []
    for at in times:
        if sum(at - length < one for one in taken) < limit:
            taken.append(at)
    return [at in taken for at in times]


@given(st.lists(st.integers(1, 1_500_000_000), min_size=205, max_size=320, unique=True))
@settings(max_examples=6)
def test_the_window_slides(steps: list[int]) -> None:
    """200 requests in 60 s and 50 for bars in 30 s, each budget of its own; 429 has no body."""
    room = Room()
    room.clock.advance(room.clock.now() + 60 * NS)  # the login is counted too
    for name, limit, length in (("Position/searchOpen", 200, 60), ("History/retrieveBars", 50, 30)):
        start, times, statuses = room.clock.now(), [], []
        for step in sorted(steps):
            room.clock.advance(max(start + 40 * step, room.clock.now()))
            times.append(room.clock.now())
            response = room.deliver(name, BODIES[name]).response
            assert response.status in (200, 429)
            assert response.status == 200 or (response.body, "Retry-After" in response.headers) == (
                b"", False,
            )  # fmt: skip
            statuses.append(response.status == 200)
        assert statuses == brute(times, limit, length * NS)


def test_retry_after_is_a_switch() -> None:
    """Switched on, a 429 tells the seconds after which a request is taken."""
    room = Room(api=ApiSettings(retry_after=True))
    replies = [room.deliver("Position/searchOpen", OF_ACCOUNT).response for _ in range(201)]
    assert replies[-1].headers["Retry-After"] == "60"
    room.clock.advance(room.clock.now() + 60 * NS)
    assert room.status("Position/searchOpen", OF_ACCOUNT) == 200


# ---------------------------------------------------------------- the rest
@pytest.mark.parametrize(
    ("accept", "body"), [("application/json", b'"pong"'), ("text/plain", b"pong"), ("*/*", b"pong")]
)
def test_ping_honours_accept(accept: str, body: bytes) -> None:
    """A JSON text where JSON is asked for, the bare word otherwise; no token needed."""
    headers = {"accept": accept}
    got = Room().deliver("Status/ping", method="GET", token=None, headers=headers).response
    assert (got.status, got.body) == (200, body)


@pytest.mark.parametrize("path", ["Order/cancelAll", "orders", "positions/flatten", "auth/login"])
def test_paths_of_the_blogs_do_not_exist(path: str) -> None:
    """What the real gateway has not, this one has not."""
    assert Room().status(path) == 404


def test_the_log_shows_no_secret() -> None:
    """Neither key nor token is in the log, however long or odd the body."""
    room = Room()
    room.deliver("Auth/loginKey", {"x": "y" * 3_970, "USERNAME": "a", "APIKEY": KEY}, token=None)
    room.post("Auth/validate")
    shown = [room.control.log(), room.control.state(), repr(room.settings)]
    text = wire.encode(shown).decode()
    assert KEY not in text
    assert KEY[:6] not in text
    assert room.token.split(".")[2] not in text
    assert repr(User(name="a", api_key=KEY)) == "User(name='a')"

"""Every operation and every way in which it can go wrong: accepted, rejected or unknown.

The tables are written out by hand from the API's reference (sections 2 and 3), not taken from the
code: which code of which operation is certain, which HTTP status tells that nothing was done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest

from pxresearch.clock import VirtualClock
from pxresearch.errors import GatewayError, LoginRefused, NotReachable, NotUnderstood, ReadRefused
from pxresearch.gateway import wire
from pxresearch.gateway.outcome import Accepted, Outcome, Rejected, Unknown
from pxresearch.gateway.rest import Rest
from tests.payloads import ANSWERS, REQUESTS
from tests.stub_gateway import Gateway, Reply, refusal, run

ACCOUNT, MNQ = 7001122, "CON.F.US.MNQ.Z26"
ORDER = 3900000103
SINCE = wire.to_ns("2026-10-01T14:30:00+00:00")
UNTIL = wire.to_ns("2026-10-01T14:32:00+00:00")

MUTATIONS: dict[str, Callable[[Rest], Awaitable[Outcome]]] = {
    "Order/place": lambda r: r.place(
        wire.decode(REQUESTS["Order/place"].encode(), wire.PlaceOrder)
    ),
    "Order/modify": lambda r: r.modify(
        wire.ModifyOrder(account_id=ACCOUNT, order_id=ORDER, limit_price=Decimal("25130.75"))
    ),
    "Order/cancel": lambda r: r.cancel(ACCOUNT, ORDER),
    "Position/closeContract": lambda r: r.close_contract(ACCOUNT, MNQ),
    "Position/partialCloseContract": lambda r: r.partial_close(ACCOUNT, MNQ, 1),
}
READS: dict[str, Callable[[Rest], Awaitable[object]]] = {
    "Account/search": lambda r: r.accounts(),
    "Contract/search": lambda r: r.search_contracts("NQ"),
    "Contract/searchById": lambda r: r.contract(MNQ),
    "Contract/available": lambda r: r.available(),
    "History/retrieveBars": lambda r: r.bars(MNQ, SINCE, UNTIL, wire.BarUnit.MINUTE, 1),
    "Order/search": lambda r: r.orders(ACCOUNT, SINCE, UNTIL),
    "Order/searchOpen": lambda r: r.open_orders(ACCOUNT),
    "Order/searchById": lambda r: r.order(ACCOUNT, ORDER),
    "Order/v2/query": lambda r: r.working_orders(ACCOUNT),
    "Position/searchOpen": lambda r: r.positions(ACCOUNT),
    "Trade/search": lambda r: r.trades(ACCOUNT, SINCE),
}

# Reference 3.9-3.11, 3.14, 3.15: all codes; those after which nobody knows; a few names.
CODES = {
    "Order/place": 10, "Order/modify": 7, "Order/cancel": 6, "Position/closeContract": 8,
    "Position/partialCloseContract": 9,
}  # fmt: skip
UNCLEAR = {
    "Order/place": (6, 7), "Order/modify": (4, 5), "Order/cancel": (4, 5),
    "Position/closeContract": (6, 7), "Position/partialCloseContract": (7, 8),
}  # fmt: skip
NAMES = {
    ("Order/place", 2): "OrderRejected", ("Order/place", 9): "ContractNotActive",
    ("Order/modify", 3): "Rejected", ("Order/cancel", 2): "OrderNotFound",
    ("Position/closeContract", 2): "PositionNotFound",
    ("Position/closeContract", 5): "OrderRejected",
    ("Position/partialCloseContract", 5): "InvalidCloseSize",
    ("Position/partialCloseContract", 6): "OrderRejected",
}  # fmt: skip
READ_CODES = {
    "Contract/searchById": {1: "ContractNotFound"},
    "History/retrieveBars": {
        1: "ContractNotFound", 2: "UnitInvalid", 3: "UnitNumberInvalid", 4: "LimitInvalid",
    },
    "Order/search": {1: "AccountNotFound"}, "Order/searchOpen": {1: "AccountNotFound"},
    "Order/v2/query": {1: "AccountNotFound"}, "Position/searchOpen": {1: "AccountNotFound"},
    "Trade/search": {1: "AccountNotFound"},
}  # fmt: skip

HTML = b"<html><head><title>502</title></head><body>Bad gateway</body></html>"
PROBLEM = (
    b'{"title":"One or more validation errors occurred.","errors":{"$.size":["not a number"]}}'
)
NOBODY_KNOWS = {
    "401": Reply(401), "403": Reply(403, HTML), "408": Reply(408), "429": Reply(429),
    "500": Reply(500), "502": Reply(502, HTML), "503": Reply(503, b"maintenance"),
    "307": Reply(307, headers={"location": "?again"}), "html": Reply(200, HTML),
    "empty": Reply(200), "torn": Reply(200, b'{"orderId":39000001'), "array": Reply(200, b"[]"),
    "no envelope": Reply(200, b'{"orderId":1}'), "code unknown to us": refusal(99),
    "success with a code": Reply(200, b'{"success":true,"errorCode":2,"orderId":1}'),
    "failure without": refusal(0), "silence": Reply(fate="silence"), "reset": Reply(fate="reset"),
    "late": Reply(after_s=11, body=ANSWERS["Order/place"].encode()),
}  # fmt: skip
CERTAIN = {"400": Reply(400, PROBLEM), "404": Reply(404, HTML)}
AGAIN = {
    "408": Reply(408), "429": Reply(429), "500": Reply(500), "502": Reply(502, HTML),
    "503": Reply(503), "html": Reply(200, HTML), "empty": Reply(200), "torn": Reply(200, b'{"su'),
    "silence": Reply(fate="silence"), "reset": Reply(fate="reset"), "refused": Reply(fate="refuse"),
}  # fmt: skip
FINAL = {"400": Reply(400, PROBLEM), "403": Reply(403, HTML), "404": Reply(404, HTML)}


def sensible(text: str) -> None:
    """A trader can read it: a sentence, without markup or a program's words."""
    assert len(text) > 15, text
    for word in ("None", "<html", "Traceback", "object at 0x", "Exception"):
        assert word not in text, text


def outcome_of(operation: str, reply: Reply) -> tuple[Outcome, Gateway]:
    async def work(rest: Rest, gateway: Gateway, clock: VirtualClock) -> tuple[Outcome, Gateway]:
        gateway.next(operation, reply)
        return await MUTATIONS[operation](rest), gateway

    return run(work)


@pytest.mark.parametrize("operation", MUTATIONS)
def test_a_mutation_is_accepted_by_success_alone(operation: str) -> None:
    """Success with code 0 is accepted, and the request has the recorded bytes."""
    outcome, gateway = outcome_of(operation, Reply(200, ANSWERS[operation].encode()))
    assert isinstance(outcome, Accepted)
    assert not outcome.found
    assert outcome.order_id == (3900000101 if operation == "Order/place" else None)
    assert gateway.seen[-1].body.decode() == REQUESTS[operation]
    assert gateway.count(operation) == 1


@pytest.mark.parametrize(
    ("operation", "code"), [(op, n) for op, last in CODES.items() for n in range(1, last + 1)]
)
def test_each_error_code_of_a_mutation(operation: str, code: int) -> None:
    """Each code is certain or unclear by its own operation's table; it is sent once."""
    outcome, gateway = outcome_of(operation, refusal(code))
    if code in UNCLEAR[operation]:
        assert isinstance(outcome, Unknown)
        sensible(outcome.why)
    else:
        assert isinstance(outcome, Rejected)
        assert outcome.code == code
        assert outcome.reason == NAMES.get((operation, code), outcome.reason)
        sensible(outcome.text)
    assert gateway.count(operation) == 1


@pytest.mark.parametrize("kind", NOBODY_KNOWS)
@pytest.mark.parametrize("operation", MUTATIONS)
def test_what_is_no_answer_leaves_a_mutation_unknown(operation: str, kind: str) -> None:
    """Nothing that can hide an accepted order is called rejected, and nothing is sent again."""
    outcome, gateway = outcome_of(operation, NOBODY_KNOWS[kind])
    assert isinstance(outcome, Unknown), outcome
    sensible(outcome.why)
    assert operation in outcome.why
    assert gateway.count(operation) == 1


@pytest.mark.parametrize("kind", CERTAIN)
@pytest.mark.parametrize("operation", MUTATIONS)
def test_a_request_that_was_not_taken_is_rejected(operation: str, kind: str) -> None:
    """HTTP 400 and 404 come from in front of the order book."""
    outcome, gateway = outcome_of(operation, CERTAIN[kind])
    assert isinstance(outcome, Rejected)
    assert outcome.reason == "BAD_REQUEST"
    sensible(outcome.text)
    assert gateway.count(operation) == 1
    if kind == "400":
        assert "$.size: not a number" in outcome.text


@pytest.mark.parametrize("operation", MUTATIONS)
def test_without_a_connection_nothing_was_sent(operation: str) -> None:
    """A refused connection is the one failure that says for certain: it never left."""
    outcome, gateway = outcome_of(operation, Reply(fate="refuse"))
    assert isinstance(outcome, Rejected)
    assert outcome.reason == "NOT_SENT"
    sensible(outcome.text)
    assert gateway.count(operation) == 0


def test_place_without_an_id_is_unknown() -> None:
    """Success that names no order could be any order."""
    outcome, _ = outcome_of("Order/place", Reply(200, b'{"success":true,"errorCode":0}'))
    assert isinstance(outcome, Unknown)


def test_a_refusal_with_an_id_is_still_a_refusal() -> None:
    """A rejected order may leave a record: its id is told, and nothing more is made of it."""
    body = (
        b'{"orderId":3900000102,"success":false,"errorCode":2,"errorMessage":"Brackets cannot be '
        b'used with Position Brackets. You must enable Auto OCO Brackets."}'
    )
    outcome, _ = outcome_of("Order/place", Reply(200, body))
    assert isinstance(outcome, Rejected)
    assert (outcome.order_id, outcome.code) == (3900000102, 2)
    assert "Auto OCO" in outcome.text
    assert "Risk Settings" in outcome.text


# ------------------------------------------------------------------ reads
def read(operation: str, *replies: Reply) -> tuple[object, Gateway]:
    """Result of a read, or the error that it raised."""

    async def work(rest: Rest, gateway: Gateway, clock: VirtualClock) -> tuple[object, Gateway]:
        gateway.next(operation, *replies)
        try:
            return await READS[operation](rest), gateway
        except GatewayError as error:
            return error, gateway

    return run(work)


@pytest.mark.parametrize("operation", READS)
def test_a_read_gives_what_was_recorded(operation: str) -> None:
    """Rows come in the wire's own records."""
    found, gateway = read(operation)
    assert found
    assert not isinstance(found, GatewayError)
    assert gateway.count(operation) == 1


@pytest.mark.parametrize(
    ("operation", "code"), [(op, code) for op, codes in READ_CODES.items() for code in codes]
)
def test_each_error_code_of_a_read(operation: str, code: int) -> None:
    """A code is an answer: it is told by name, and not asked for again."""
    found, gateway = read(operation, refusal(code))
    assert isinstance(found, ReadRefused)
    assert (found.code, found.name) == (code, READ_CODES[operation][code])
    sensible(str(found))
    assert gateway.count(operation) == 1


def test_an_order_that_is_not_there_is_none() -> None:
    """Order/searchById answers a question with its code 1."""
    assert read("Order/searchById", refusal(1))[0] is None


@pytest.mark.parametrize("kind", AGAIN)
@pytest.mark.parametrize("operation", READS)
def test_a_read_is_tried_again(operation: str, kind: str) -> None:
    """Once: the answer comes all the same. Every time: it ends after five attempts."""
    found, gateway = read(operation, AGAIN[kind])
    assert not isinstance(found, GatewayError), found
    assert gateway.count(operation) == (1 if kind == "refused" else 2)

    found, gateway = read(operation, *[AGAIN[kind]] * 9)
    assert isinstance(found, NotReachable)
    assert operation in str(found)
    sensible(str(found))
    assert gateway.count(operation) == (0 if kind == "refused" else 5)


@pytest.mark.parametrize("kind", FINAL)
@pytest.mark.parametrize("operation", READS)
def test_a_request_that_is_wrong_is_not_repeated(operation: str, kind: str) -> None:
    """400, 403 and 404 do not get better."""
    found, gateway = read(operation, FINAL[kind])
    assert isinstance(found, ReadRefused)
    assert found.code == int(kind)
    sensible(str(found))
    assert gateway.count(operation) == 1


@pytest.mark.parametrize("operation", READS)
def test_a_read_that_meets_401_logs_in_once(operation: str) -> None:
    """One 401: a fresh token, the same question, an answer. Two: it is told."""
    found, gateway = read(operation, Reply(401))
    assert not isinstance(found, GatewayError), found
    asked = [one for one in gateway.seen if one.operation == operation]
    assert len(asked) == 2
    assert asked[0].token != asked[1].token
    assert gateway.count("Auth/loginKey") == 2

    found, gateway = read(operation, Reply(401), Reply(401))
    assert isinstance(found, LoginRefused)
    sensible(str(found))
    assert (gateway.count(operation), gateway.count("Auth/loginKey")) == (2, 2)


@pytest.mark.parametrize("operation", READS)
def test_success_without_rows_is_not_an_empty_account(operation: str) -> None:
    """``null`` and absence are never read as none."""
    found, _ = read(operation, Reply(200, b'{"success":true,"errorCode":0,"errorMessage":null}'))
    assert isinstance(found, NotUnderstood)
    sensible(str(found))


# ------------------------------------------------------------------ login
LOGIN = {  # code: a word of its text
    1: "no such user name", 2: "another way", 3: "do not belong together", 4: "another way",
    5: "another way", 6: "another way", 7: "agreements", 8: "does not say why",
    9: "no API subscription", 10: "login by key off",
}  # fmt: skip


def login(*replies: Reply) -> tuple[Exception | None, list[Gateway]]:
    kept: list[Gateway] = []

    def prepare(gateway: Gateway) -> None:
        kept.append(gateway)
        gateway.next("Auth/loginKey", *replies)

    async def work(rest: Rest, gateway: Gateway, clock: VirtualClock) -> None:
        await rest.token()

    try:
        run(work, prepare=prepare)
    except GatewayError as error:
        return error, kept
    return None, kept


@pytest.mark.parametrize("code", LOGIN)
def test_each_login_code_has_its_own_sentence(code: int) -> None:
    """Wrong credentials, no subscription and unsigned agreements are told apart."""
    error, (gateway,) = login(refusal(code))
    assert isinstance(error, LoginRefused)
    assert LOGIN[code] in str(error)
    sensible(str(error))
    assert gateway.count("Auth/loginKey") == 1


def test_the_gateways_own_words_are_kept() -> None:
    """Agreements come with a message that says where to go."""
    error, _ = login(refusal(7, "Please log in and sign the CME agreement."))
    assert "sign the CME agreement" in str(error)


@pytest.mark.parametrize("kind", AGAIN)
def test_a_login_that_fails_is_tried_again_and_ends(kind: str) -> None:
    """Login is a read: it may be repeated, five times at most."""
    assert login(AGAIN[kind])[0] is None
    error, (gateway,) = login(*[AGAIN[kind]] * 9)
    assert isinstance(error, NotReachable)
    sensible(str(error))
    assert gateway.count("Auth/loginKey") == (0 if kind == "refused" else 5)


@pytest.mark.parametrize("kind", ["400", "401", "403", "404"])
def test_a_login_that_is_not_taken_is_told_at_once(kind: str) -> None:
    """Nothing is gained by asking again."""
    error, (gateway,) = login(Reply(int(kind), HTML))
    assert isinstance(error, LoginRefused)
    sensible(str(error))
    assert gateway.count("Auth/loginKey") == 1

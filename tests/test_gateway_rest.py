"""The client as a whole: what goes over the wire, pages, the call log, real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxresearch.clock import NS, VirtualClock, WallClock
from pxresearch.errors import NotReachable, NotUnderstood
from pxresearch.gateway.calllog import CallRecord
from pxresearch.gateway.credentials import Credentials
from pxresearch.gateway.outcome import Accepted, Rejected, Unknown
from pxresearch.gateway.profiles import profile
from pxresearch.gateway.rest import Rest, RestSettings
from pxresearch.gateway.tokens import Token
from tests.payloads import ANSWERS, ORDER
from tests.stub_gateway import KEY, START, Gateway, Reply, refusal, run, served

ACCOUNT, MNQ = 7001122, "CON.F.US.MNQ.Z26"


# ------------------------------------------------------------------ the wire
def test_every_call_but_login_and_ping_carries_the_token() -> None:
    """A Bearer header on all others, one token for all."""

    async def work(rest: Rest, gateway: Gateway, clock: VirtualClock) -> None:
        await rest.ping()
        await rest.accounts()
        await rest.working_orders(ACCOUNT)
        await rest.trades(ACCOUNT, START)
        await rest.cancel(ACCOUNT, 1)
        token = await rest.token()
        sent = {one.operation: one.token for one in gateway.seen}
        assert sent.pop("Auth/loginKey") is None
        assert sent.pop("Status/ping") is None
        assert set(sent.values()) == {token}
        assert len(sent) == 4

    run(work)


def test_the_venues_clock_is_compared() -> None:
    """A Date header three seconds ahead of ours is a skew of minus three and a half."""

    async def work(rest: Rest, gateway: Gateway, clock: VirtualClock) -> None:
        assert rest.clock_skew_s is None
        date = {"Date": "Thu, 01 Oct 2026 14:30:03 GMT"}
        gateway.next("Status/ping", Reply(200, b'"pong"', date))
        assert await rest.ping() == 0
        assert rest.clock_skew_s == -3.5
        gateway.next("Status/ping", Reply(200, b"pong", {"Date": "yesterday"}))
        await rest.ping()
        assert rest.clock_skew_s == -3.5

    run(work)


@pytest.mark.parametrize(
    "reply", [Reply(200, b"<html>"), Reply(502), Reply(fate="refuse"), Reply(fate="silence")]
)
def test_a_ping_without_pong_is_told(reply: Reply) -> None:
    """Something answers, or nothing: either way it is no gateway."""

    async def work(rest: Rest, gateway: Gateway, clock: VirtualClock) -> None:
        gateway.next("Status/ping", reply)
        with pytest.raises(NotReachable, match=r"127\.0\.0\.1:8800"):
            await rest.ping()

    run(work)


class Book:
    """A venue's orders behind v2/query: rows by id, a cap on the page, total or none."""

    def __init__(self, ids: list[int], cap: int = 100, total: bool = True) -> None:
        self.ids, self.cap, self.total, self.asked = ids, cap, total, 0
        self.between: Callable[[int], None] = lambda page: None
        self.blind = False

    def __call__(self, operation: str, body: Any) -> bytes | None:
        if operation != "Order/v2/query":
            return None
        self.asked += 1
        start = 0 if self.blind else body["pageOffset"]
        rows = sorted(self.ids)[start : start + min(self.cap, body["pageSize"])]
        found = [{**json.loads(ORDER), "id": n} for n in rows]
        answer = {"orders": found, "success": True, "errorCode": 0, "errorMessage": None}
        if self.total:
            answer["totalCount"] = len(self.ids)
        self.between(self.asked)
        return json.dumps(answer).encode()


def queried(book: Book) -> list[int]:
    async def work(rest: Rest, gateway: Gateway, clock: VirtualClock) -> list[int]:
        gateway.handler = book
        return [row.id for row in await rest.query_orders(ACCOUNT)]

    return run(work, settings=RestSettings(budget=10**6))


@given(count=st.integers(0, 450), total=st.booleans(), cap=st.sampled_from([100, 60]))
def test_all_pages_of_a_query(count: int, total: bool, cap: int) -> None:
    """Whatever the number of rows, each once; a smaller page of the venue needs its total."""
    ids = list(range(1, count + 1))
    if cap == 60 and not total and count > cap:
        return
    assert queried(Book(ids, cap, total)) == ids


def test_orders_that_end_between_two_pages_hide_none() -> None:
    """Nine rows vanish from the front and one comes at the end: every survivor is seen."""
    book = Book(list(range(1, 251)))

    def between(page: int) -> None:
        if page == 1:
            del book.ids[:9]
            book.ids.append(900)

    book.between = between
    assert set(queried(book)) >= set(book.ids)


def test_a_venue_that_gives_the_first_page_for_ever_is_not_believed() -> None:
    """No endless loop, and no answer that pretends to be whole."""
    book = Book(list(range(1, 300)))
    book.blind = True
    with pytest.raises(NotUnderstood, match="offset 90"):
        queried(book)


def test_the_contract_of_a_query_is_looked_at_here() -> None:
    """The venue's own filter is blind."""

    async def work(rest: Rest, gateway: Gateway, clock: VirtualClock) -> None:
        assert len(await rest.query_orders(ACCOUNT, contract_id=MNQ)) == 3
        assert await rest.query_orders(ACCOUNT, contract_id="CON.F.US.ENQ.Z26") == []
        inner = gateway.seen[-1].json["filter"]
        assert inner == {"accountId": ACCOUNT}

    run(work)


# ------------------------------------------------------------------ the call log
def test_calls_are_counted_and_recorded() -> None:
    """Counters by operation and verdict, times, and a record of each without secrets."""
    records: list[CallRecord] = []

    async def work(rest: Rest, gateway: Gateway, clock: VirtualClock) -> None:
        gateway.next("Account/search", Reply(503, after_s=2), Reply(after_s=4, body=b"{"))
        gateway.next("Order/cancel", refusal(2), Reply(fate="silence"))
        await rest.accounts()
        await rest.cancel(ACCOUNT, 5)
        await rest.cancel(ACCOUNT, 6)
        assert rest.calls.sent == {"Auth/loginKey": 1, "Account/search": 3, "Order/cancel": 2}
        assert rest.calls.verdicts["Account/search", "Again"] == 2
        assert rest.calls.verdicts["Account/search", "Answer"] == 1
        assert rest.calls.verdicts["Order/cancel", "Rejected"] == 1
        assert rest.calls.verdicts["Order/cancel", "Unknown"] == 1
        assert rest.calls.percentiles() == {"p50": 0.0, "p95": 4000.0, "p99": 4000.0, "max": 4000.0}

    run(work, on_call=records.append)
    assert [(one.operation, one.status, one.verdict) for one in records] == [
        ("Auth/loginKey", 200, "Answer"), ("Account/search", 503, "Again"),
        ("Account/search", 200, "Again"), ("Account/search", 200, "Answer"),
        ("Order/cancel", 200, "Rejected"), ("Order/cancel", None, "Unknown"),
    ]  # fmt: skip
    assert records[0].request == {"userName": "trader", "apiKey": "(hidden)"}
    assert records[0].response["token"] == "(hidden)"
    assert records[4].request == {"accountId": ACCOUNT, "orderId": 5}
    assert records[4].response["errorCode"] == 2
    assert records[5].took_s == 10


def test_a_log_that_fails_loses_no_outcome() -> None:
    """The disk is full: the order's outcome comes all the same, and the failure is told."""
    told: list[str] = []

    def full(record: CallRecord) -> None:
        raise OSError("no space left on device")

    async def work(rest: Rest, gateway: Gateway, clock: VirtualClock) -> None:
        assert isinstance(await rest.cancel(ACCOUNT, 5), Accepted)

    run(work, on_call=full, on_notice=told.append)
    assert any("no space left" in text for text in told)


# ------------------------------------------------------------------ sockets
def test_the_http_library_sends_nothing_twice() -> None:
    """The connection, kept open, is cut when the order arrives: unknown, and on the wire once."""

    async def work(rest: Rest) -> None:
        await rest.accounts()
        for _ in range(3):
            assert isinstance(await rest.cancel(ACCOUNT, 1), Unknown)
            await rest.accounts()

    def answer(path: str, body: bytes) -> bytes | None:
        return None if path == "Order/cancel" else ANSWERS[path].encode()

    seen = asyncio.run(served(answer, work))
    assert seen.count("Order/cancel") == 3
    assert seen.count("Account/search") == 4


def test_without_a_listener_nothing_is_sent() -> None:
    """A refused connection on a real socket is NOT_SENT."""

    async def work() -> None:
        rest = Rest(profile("simulator", url="http://127.0.0.1:1"), Credentials("trader", KEY))
        rest._caller.tokens._token = Token("from an earlier login", WallClock().now())
        outcome = await rest.cancel(ACCOUNT, 1)
        await rest.close()
        assert isinstance(outcome, Rejected)
        assert outcome.reason == "NOT_SENT"

    asyncio.run(work())


def test_times_are_counted_in_ns() -> None:
    """A record's time of sending is the clock's."""
    records: list[CallRecord] = []

    async def work(rest: Rest, gateway: Gateway, clock: VirtualClock) -> None:
        await clock.sleep(7)
        await rest.accounts()

    run(work, on_call=records.append)
    assert [one.sent for one in records] == [START, START + 7 * NS]

"""The hubs come back from everything that can happen to a connection, and say what may be lost."""

from __future__ import annotations

import asyncio
import socket

import pytest

from pxresearch.clock import NS
from pxresearch.errors import LoginRefused, NotReachable
from pxresearch.gateway.records import Gap, Hub, Notice, Quote, Stale
from tests.hub_kit import (
    ES,
    ID,
    MARKET_LIVE,
    QUOTE,
    TOKEN,
    FastClock,
    Tokens,
    both_live,
    events_until,
    make,
    running,
    until,
)  # fmt: skip
from tests.hub_server import HubServer

OPENING_FAULTS = [
    "401", "404", "409", "500", "503", "drop upgrade", "reset upgrade", "silent upgrade",
    "drop handshake", "reset handshake", "silent handshake", "handshake error",
    "garbled handshake", "drop after handshake", "drop in subscribe", "close in subscribe",
    "half record", "unanswered",
]  # fmt: skip


NEED_LIMITS = ("silent upgrade", "silent handshake", "unanswered")


@pytest.mark.parametrize("fault", OPENING_FAULTS)
def test_recovers_from_a_drop_at_each_step_of_the_opening(fault: str) -> None:
    """A hub that fails while it opens is tried again until the server has the desired set."""

    async def run() -> None:
        tokens = Tokens()
        with HubServer() as server:
            server.faults = [fault, fault]
            patient = fault not in NEED_LIMITS
            async with running(server, tokens=tokens, clock=FastClock(), patient=patient) as hubs:
                await until(lambda: both_live(server, hubs))
                found = await events_until(
                    hubs, lambda seen: sum(isinstance(e, Gap) and e.until is not None
                                           for e in seen) >= 1
                )  # fmt: skip
                gaps = [e for e in found if isinstance(e, Gap)]
                assert gaps[0].until is None
                assert gaps[0].reason
                assert len(server.requests) == 4  # two for each hub, or three and one
                assert tokens.asked + tokens.logins == len(server.requests)
                assert (tokens.logins > 0) == (fault == "401")

    asyncio.run(run())


def test_recovers_from_a_server_that_is_not_there() -> None:
    """Connections that are refused count as attempts, and the hubs come once the server does."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]

    async def run() -> None:
        hubs = make(f"http://127.0.0.1:{port}", clock=FastClock())
        await hubs.start()
        await until(lambda: hubs.state(Hub.MARKET).attempts >= 3)
        assert "refused" in hubs.state(Hub.MARKET).reason.lower()
        with HubServer(port) as server:
            await until(lambda: both_live(server, hubs))
            await hubs.stop()

    asyncio.run(run())


@pytest.mark.parametrize("how", ["reset", "close", "close frame", "no reconnect", "half a record"])
def test_recovers_from_the_end_of_a_live_connection(how: str) -> None:
    """Lost after it lived: a gap without an end, a gap with one, and the same subscriptions."""

    async def run() -> None:
        with HubServer() as server:
            async with running(server, clock=FastClock()) as hubs:
                assert both_live(server, hubs)
                server.event("market", "GatewayQuote", ID, QUOTE)
                await events_until(hubs, lambda seen: seen)
                _break(server, how)
                found = await events_until(hubs, lambda seen: len(seen) >= 2)
                lost, back = found
                assert isinstance(lost, Gap)
                assert isinstance(back, Gap)
                assert (lost.hub, lost.until) == (Hub.MARKET, None)
                assert back.until is not None
                assert back.since == lost.since < back.until
                assert both_live(server, hubs)
                assert hubs.state(Hub.MARKET).generation == 2
                assert hubs.state(Hub.USER).generation == 1

    asyncio.run(run())


def _break(server: HubServer, how: str) -> None:
    live = server.live("market")
    assert live is not None
    if how == "reset":
        server.abort("market")
    elif how == "close":
        server.send("market", '{"type":7,"error":"over","allowReconnect":true}\x1e')
    elif how == "no reconnect":
        server.send("market", '{"type":7,"allowReconnect":false}\x1e')
    elif how == "close frame":
        server.do(lambda: live.socket.close(code=1012))
    else:
        server.send("market", '{"type":1,"target":"GatewayQuo')
        server.do(lambda: live.socket._req.transport.close())


def test_resubscribes_after_three_drops_without_doubling() -> None:
    """The server's set after three reconnects is the desired set, each stream once."""

    async def run() -> None:
        with HubServer() as server:
            async with running(server, clock=FastClock()) as hubs:
                for n in range(1, 4):
                    server.abort("user")
                    await until(lambda n=n: hubs.state(Hub.USER).generation == n + 1)
                    await until(lambda: both_live(server, hubs))

    asyncio.run(run())


def test_contracts_come_and_go_at_run_time() -> None:
    """The roll: the new contract is added while the old one runs; nothing is asked for twice."""

    async def run() -> None:
        with HubServer() as server:
            async with running(server) as hubs:
                both = {**MARKET_LIVE, f"ContractQuotes({ES})": 1,
                        f"ContractMarketDepth({ES})": 1}  # fmt: skip
                live = server.live("market")
                assert live is not None
                hubs.subscribe_contract(ES, trades=False, depth=True)
                hubs.subscribe_contract(ES, trades=False, depth=True)
                await until(lambda: live.live == both)
                hubs.unsubscribe_contract(ID)
                await until(lambda: not set(live.live) & set(MARKET_LIVE))
                await until(lambda: len(hubs.state(Hub.MARKET).subscribed) == 2)
                assert len(live.calls) == len(set(map(str, live.records))) == 6
                assert hubs.state(Hub.MARKET).generation == 1

    asyncio.run(run())


@pytest.mark.parametrize("set_back", [False, True])
def test_half_open_connection_is_noticed_within_its_limit(set_back: bool) -> None:
    """32 s without any record end a connection, also when the clock is set back meanwhile."""

    async def run() -> None:
        clock = FastClock(40)
        with HubServer() as server:
            async with running(server, clock=clock, hubs=(Hub.USER,), silent_s=32) as hubs:
                begin, clock.offset = clock.now(), -3600 * NS if set_back else 0
                (lost, back) = await events_until(hubs, lambda seen: len(seen) >= 2)
                assert isinstance(lost, Gap)
                assert "nothing was received" in lost.reason
                assert isinstance(back, Gap)
                took = (clock.now() - clock.offset - begin) / NS
                assert 32 <= took < 50
                first = server.connections[0]
                assert sum(r["type"] == 6 for r in first.records) == 2  # pings at 12 and 24 s

    asyncio.run(run())


def test_pings_of_the_server_keep_a_silent_user_hub_alive() -> None:
    """A flat account sends nothing; that is neither stale nor a reason to connect again."""

    async def run() -> None:
        clock = FastClock(40)
        with HubServer() as server:
            async with running(server, clock=clock, hubs=(Hub.USER,), silent_s=32) as hubs:
                begin = clock.now()
                while clock.now() - begin < 90 * NS:
                    server.send("user", {"type": 6})
                    await clock.sleep(5)
                assert len(server.requests) == 1
                assert hubs.state(Hub.USER).connected

    asyncio.run(run())


def test_frozen_market_hub_is_connected_anew_and_its_contract_is_stale() -> None:
    """Up, pinging, no data in open hours: stale after 30 s, a new connection after 120 s."""

    async def run() -> None:
        clock = FastClock(100)
        with HubServer() as server:
            async with running(server, clock=clock, hubs=(Hub.MARKET,)) as hubs:
                server.event("market", "GatewayQuote", ID, QUOTE)
                begin, found = clock.now(), []
                while len(server.requests) < 2 or not hubs.state(Hub.MARKET).connected:
                    if server.live("market"):
                        server.send("market", {"type": 6})
                    await clock.sleep(5)
                    assert clock.now() - begin < 200 * NS
                server.event("market", "GatewayQuote", ID, QUOTE)
                found = await events_until(hubs, lambda seen: len(seen) >= 6)
                kinds = [type(e) for e in found]
                assert kinds == [Quote, Stale, Gap, Gap, Quote, Stale]
                stale, lost, fresh = found[1], found[2], found[5]
                assert isinstance(stale, Stale)
                assert 30 <= stale.silent_s < 40
                assert isinstance(lost, Gap)
                assert "no market data" in lost.reason
                assert isinstance(fresh, Stale)
                assert fresh.fresh
                assert not hubs.state(Hub.MARKET).stale

    asyncio.run(run())


def test_flapping_server_sees_no_more_than_the_back_off_allows() -> None:
    """Accepted and dropped at once, each time: at most 9 attempts in the first minute."""

    async def run() -> None:
        clock = FastClock(60)
        with HubServer() as server:
            server.always = "drop after handshake"
            async with running(server, clock=clock, hubs=(Hub.MARKET,)) as hubs:
                begin = clock.now()
                await clock.sleep(60)
                took = (clock.now() - begin) / NS
                # shortest waits, by hand: .25 .5 1 2 4 8 15 15 15 ...
                allowed = 9 + max(0, int((took - 60.75) // 15 + 1))
                assert 5 <= len(server.requests) <= allowed
                assert hubs.state(Hub.MARKET).attempts >= 4

    asyncio.run(run())


def test_logout_is_told_and_not_fought() -> None:
    """After GatewayLogout the next attempt waits for at least 15 s."""

    async def run() -> None:
        clock = FastClock(60)
        with HubServer() as server:
            async with running(server, clock=clock, hubs=(Hub.USER,)) as hubs:
                server.event("user", "GatewayLogout", {"reason": "other session"})
                (told, lost) = await events_until(hubs, lambda seen: len(seen) >= 2)
                at = clock.now()
                assert isinstance(told, Notice)
                assert told.kind == "logout"
                assert isinstance(lost, Gap)
                await events_until(hubs, lambda seen: seen)
                assert clock.now() - at > 14 * NS
                assert len(server.requests) == 2

    asyncio.run(run())


def test_refused_subscription_is_told_and_asked_for_again() -> None:
    """The connection stays, but the gap is open until a later yes: orders would go unheard."""

    async def run() -> None:
        clock = FastClock()
        with HubServer() as server:
            server.refused_methods = {"SubscribeOrders"}
            async with running(server, clock=clock, hubs=(Hub.USER,)) as hubs:
                told, lost = await events_until(hubs, lambda seen: len(seen) >= 2)
                assert isinstance(told, Notice)
                assert "SubscribeOrders(7001122)" in told.text
                assert isinstance(lost, Gap)
                assert "Orders(7001122)" in lost.reason
                assert [str(one) for one in hubs.state(Hub.USER).refused] == ["Orders(7001122)"]
                assert not hubs.state(Hub.USER).connected
                server.refused_methods = set()
                (back,) = await events_until(hubs, lambda seen: seen)
                assert isinstance(back, Gap)
                assert back.until is not None
                assert len(hubs.state(Hub.USER).subscribed) == 4
                assert hubs.state(Hub.USER).connected
                assert len(server.requests) == 1

    asyncio.run(run())


def test_login_that_is_refused_counts_as_an_attempt_and_gives_up_when_told_to() -> None:
    """With max_attempts a hub that cannot be had ends `get` with the reason."""

    class Refusing(Tokens):
        async def token(self) -> str:
            raise LoginRefused("no subscription")

    async def run() -> None:
        with HubServer() as server:
            async with running(
                server, tokens=Refusing(), clock=FastClock(), max_attempts=3
            ) as hubs:
                with pytest.raises(NotReachable, match=r"3 times.*no subscription"):
                    await events_until(hubs, lambda seen: len(seen) > 9)
                assert not server.requests

    asyncio.run(run())


def test_a_supervisor_that_dies_is_heard() -> None:
    """A bug behind the tokens ends `get` with its exception: no silent dead task."""

    class Broken(Tokens):
        async def token(self) -> str:
            raise ZeroDivisionError("planted")

    async def run() -> None:
        with HubServer() as server:
            async with running(server, tokens=Broken()) as hubs:
                with pytest.raises(ZeroDivisionError, match="planted"):
                    await hubs.get()

    asyncio.run(run())


def test_each_attempt_has_its_own_token() -> None:
    """A token that has expired meanwhile is not used again: 401, login, another token."""

    async def run() -> None:
        tokens = Tokens()
        with HubServer() as server:
            async with running(server, tokens=tokens, clock=FastClock(), hubs=(Hub.USER,)) as hubs:
                server.faults = ["401"]
                server.abort("user")
                await until(lambda: hubs.state(Hub.USER).generation == 2)
                used = [one.token for one in server.connections]
                assert used == [f"{TOKEN}.0", f"{TOKEN}.0", f"{TOKEN}.1"]

    asyncio.run(run())

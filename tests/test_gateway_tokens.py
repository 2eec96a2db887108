"""The token: renewed ahead of its end, whole for every call, one renewal for all who ask."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxresearch.clock import NS, VirtualClock
from pxresearch.errors import GatewayError, LoginRefused, NotReachable
from pxresearch.gateway.outcome import Accepted, Unknown
from pxresearch.gateway.rest import Rest, RestSettings
from pxresearch.gateway.tokens import Token
from tests.stub_gateway import START, Gateway, Reply, refusal, run

ACCOUNT = 7001122
HOUR = 3600
DAY = 24 * HOUR


def jwt(**claims: object) -> str:
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{part}.c2ln"


# ------------------------------------------------------------------ the life of a token
NOW_S = START // NS


@pytest.mark.parametrize(
    ("value", "life"),
    [
        (jwt(exp=NOW_S + HOUR), HOUR),
        (jwt(iat=NOW_S, exp=NOW_S + HOUR), HOUR),
        # our clock is ten minutes behind, or ahead: never beyond what was given, nor beyond exp
        (jwt(iat=NOW_S + 600, exp=NOW_S + 600 + DAY), DAY),
        (jwt(iat=NOW_S - 600, exp=NOW_S - 600 + DAY), DAY - 600),
        # our clock is two days ahead: a token just issued cannot have ended
        (jwt(iat=NOW_S - 2 * DAY, exp=NOW_S - DAY), DAY),
        (jwt(exp=NOW_S - 1), DAY),
        (jwt(), DAY),
        (jwt(exp="soon"), DAY),
        (jwt(exp=1e300), DAY),
        (jwt(exp=-5), DAY),
        (jwt(iat=NOW_S + HOUR, exp=NOW_S), DAY),
        ("opaque", DAY),
        ("a.%%%.c", DAY),
        ("a.e30", DAY),
    ],
)
def test_the_end_of_a_token(value: str, life: int) -> None:
    """By its claims where they can be true, 24 hours otherwise; five seconds are kept back."""
    token = Token(value, START)
    assert token.expires == START + life * NS
    assert token.left_s(START) == life - 5
    assert token.reveal() == value
    assert value not in repr(token)


@given(st.text(max_size=60))
def test_no_text_breaks_a_token(value: str) -> None:
    """Whatever the venue calls a token is taken."""
    assert Token(value, START).expires == START + DAY * NS


# ------------------------------------------------------------------ renewal
def test_renewal_begins_ten_minutes_before_the_end() -> None:
    """At 23:49 nothing, at 23:50:06 one validate, at 24:01 the new token serves."""

    async def work(rest: Rest, gateway: Gateway, clock: VirtualClock) -> None:
        gateway.checks_tokens = True
        first = await rest.token()
        await clock.sleep(23 * HOUR + 49 * 60)
        assert rest.token_left_s == 11 * 60 - 5
        await rest.accounts()
        assert gateway.count("Auth/validate") == 0
        await clock.sleep(66)
        assert await rest.token() == first, "the old one serves while it is renewed"
        await clock.sleep(0.001)
        second = await rest.token()
        assert second != first
        assert (gateway.count("Auth/validate"), gateway.count("Auth/loginKey")) == (1, 1)
        await clock.sleep(11 * 60)
        await rest.accounts()
        assert gateway.seen[-1].token == second
        assert gateway.count("Account/search") == 2, "no 401 on the way"

    run(work)


def test_72_hours_meet_no_401() -> None:
    """Three days with a call every five minutes, and a token every ten seconds for a hub."""

    async def work(rest: Rest, gateway: Gateway, clock: VirtualClock) -> None:
        gateway.checks_tokens = True
        keeper = asyncio.ensure_future(rest.keep_fresh())
        for n in range(72 * 12):
            await rest.positions(ACCOUNT)
            assert gateway.seen[-1].token is not None
            assert gateway.alive[gateway.seen[-1].token] > clock.now()
            assert gateway.alive[await rest.token()] > clock.now()
            if n % 12 == 0:
                assert isinstance(await rest.cancel(ACCOUNT, n), Accepted)
            await clock.sleep(300)
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
        assert gateway.count("Position/searchOpen") == 72 * 12, "no read was repeated"
        assert gateway.count("Auth/loginKey") == 1
        assert gateway.count("Auth/validate") == 3

    run(work)


def test_nothing_called_for_days_still_renews() -> None:
    """The keeper alone keeps a token alive through a weekend."""

    async def work(rest: Rest, gateway: Gateway, clock: VirtualClock) -> None:
        gateway.checks_tokens = True
        keeper = asyncio.ensure_future(rest.keep_fresh())
        await clock.sleep(50 * HOUR)
        assert gateway.alive[await rest.token()] > clock.now()
        assert gateway.count("Auth/validate") == 2
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)

    run(work)


@pytest.mark.parametrize(
    ("answer", "logins"),
    [
        (Reply(body=b'{"newToken":null,"success":true,"errorCode":0}'), 1),
        (Reply(body=b'{"success":true,"errorCode":0}'), 1),
        (refusal(1), 1), (refusal(2), 1), (refusal(3), 1), (refusal(4), 1), (Reply(401), 1),
    ],
)  # fmt: skip
def test_without_a_new_token_a_login_follows(answer: Reply, logins: int) -> None:
    """Whatever validate answers but a longer token, the client logs in, in time."""

    async def work(rest: Rest, gateway: Gateway, clock: VirtualClock) -> None:
        await clock.sleep(DAY - 300)
        gateway.next("Auth/validate", answer)
        first = await rest.token()
        await clock.sleep(5)
        assert await rest.token() != first
        assert gateway.count("Auth/loginKey") == 1 + logins

    run(work)


def test_the_same_token_again_is_no_renewal() -> None:
    """A venue that echoes the old token is not asked for ever: a login gives a longer one."""

    async def work(rest: Rest, gateway: Gateway, clock: VirtualClock) -> None:
        await clock.sleep(DAY - 300)
        old = await rest.token()
        echo = json.dumps({"newToken": old, "success": True, "errorCode": 0}).encode()
        gateway.always["Auth/validate"] = Reply(body=echo)
        await rest.token()
        await clock.sleep(1)
        assert await rest.token() != old
        assert (gateway.count("Auth/validate"), gateway.count("Auth/loginKey")) == (1, 2)

    run(work)


def test_tokens_shorter_than_the_margin_do_not_loop() -> None:
    """A five-minute token is renewed every half minute at most, not on every call."""

    async def work(rest: Rest, gateway: Gateway, clock: VirtualClock) -> None:
        for _ in range(600):
            await rest.token()
            await clock.sleep(1)
        assert gateway.count("Auth/validate") + gateway.count("Auth/loginKey") <= 22

    run(work, life_s=300)


def test_many_callers_share_one_renewal_and_each_has_one_whole_token() -> None:
    """A hundred calls around a slow renewal: one login, no torn header, none fails."""

    async def work(rest: Rest, gateway: Gateway, clock: VirtualClock) -> None:
        gateway.checks_tokens = True
        await clock.sleep(DAY - 60)
        gateway.next("Auth/validate", Reply(fate="reset"))

        async def later(n: int) -> None:
            await clock.sleep(n * 0.7)
            await rest.positions(ACCOUNT)

        await asyncio.gather(*(later(n) for n in range(100)))
        used = {one.token for one in gateway.seen if one.operation == "Position/searchOpen"}
        assert used <= set(gateway.alive)
        assert len(used) == 2
        assert gateway.count("Position/searchOpen") == 100
        assert (gateway.count("Auth/validate"), gateway.count("Auth/loginKey")) == (2, 1)

    run(work)


def test_many_reads_that_meet_401_log_in_once() -> None:
    """The venue forgets all tokens: twenty reads at a time, one login, twenty answers."""

    async def work(rest: Rest, gateway: Gateway, clock: VirtualClock) -> None:
        gateway.checks_tokens = True
        gateway.alive.clear()
        await asyncio.gather(*(rest.positions(ACCOUNT) for _ in range(20)))
        assert gateway.count("Auth/loginKey") == 2
        assert gateway.count("Position/searchOpen") == 40

    run(work)


def test_a_mutation_that_meets_401_is_unknown_and_the_look_up_logs_in() -> None:
    """Never resent; the next read has a fresh token."""

    async def work(rest: Rest, gateway: Gateway, clock: VirtualClock) -> None:
        gateway.checks_tokens = True
        gateway.alive.clear()
        assert isinstance(await rest.cancel(ACCOUNT, 1), Unknown)
        await rest.order(ACCOUNT, 1)
        assert (gateway.count("Order/cancel"), gateway.count("Auth/loginKey")) == (1, 2)
        assert gateway.count("Order/searchById") == 1

    run(work)


# ------------------------------------------------------------------ when it fails
def test_a_failed_renewal_is_told_while_the_old_token_serves() -> None:
    """Refused for nine minutes: told each half minute, calls go on, then it works again."""
    told: list[str] = []

    async def work(rest: Rest, gateway: Gateway, clock: VirtualClock) -> None:
        gateway.checks_tokens = True
        gateway.always["Auth/validate"] = gateway.always["Auth/loginKey"] = refusal(3)
        await clock.sleep(DAY - 599)
        for _ in range(540):
            await rest.token()
            await clock.sleep(1)
        await rest.positions(ACCOUNT)
        assert isinstance(await rest.cancel(ACCOUNT, 1), Accepted)
        ends = [text for text in told if "was not renewed" in text]
        assert 17 <= len(ends) <= 19
        assert "9.9 min" in ends[0]
        assert "do not belong together" in ends[0]
        gateway.always.clear()
        await clock.sleep(30)
        await rest.token()
        await clock.sleep(1)
        assert (rest.token_left_s or 0) > DAY - 60

    run(work, on_notice=told.append)


def test_a_refused_login_does_not_loop() -> None:
    """Wrong credentials are tried once in half a minute, whoever asks, and each is told why."""

    async def work(rest: Rest, gateway: Gateway, clock: VirtualClock) -> None:
        gateway.always["Auth/loginKey"] = gateway.always["Auth/validate"] = refusal(3)
        await clock.sleep(2 * DAY)
        for _ in range(120):
            with pytest.raises(LoginRefused, match="do not belong together"):
                await rest.token()
            outcome = await rest.cancel(ACCOUNT, 1)
            assert getattr(outcome, "reason", "") == "NOT_SENT"
            await clock.sleep(1)
        assert gateway.count("Auth/loginKey") <= 1 + 5

    run(work)


def test_a_login_that_meets_429_ends_and_is_tried_later() -> None:
    """A rate-limited login backs off, gives up after its attempts, and works when it may."""

    async def work(rest: Rest, gateway: Gateway, clock: VirtualClock) -> None:
        gateway.next("Auth/loginKey", *[Reply(429)] * 5)
        before = gateway.count("Auth/loginKey")
        with pytest.raises(NotReachable, match="429"):
            await rest.fresh_token()
        assert gateway.count("Auth/loginKey") == before + 5
        with pytest.raises(NotReachable, match="next login"):
            await rest.fresh_token()
        assert gateway.count("Auth/loginKey") == before + 5
        await clock.sleep(3)
        assert await rest.fresh_token()

    run(work)


def test_a_caller_that_gives_up_takes_the_token_from_nobody() -> None:
    """One of two waiting for a login is cancelled; the other gets the token."""

    async def work(rest: Rest, gateway: Gateway, clock: VirtualClock) -> None:
        gateway.next("Auth/loginKey", Reply(503), Reply(503))
        one = asyncio.ensure_future(rest.fresh_token())
        two = asyncio.ensure_future(rest.fresh_token())
        await clock.sleep(0.001)
        one.cancel()
        assert await two
        assert one.cancelled()
        assert gateway.count("Auth/loginKey") == 4

    run(work)


def test_the_clock_may_be_set_back_without_a_login_storm() -> None:
    """An hour back: the old token serves, and at its end one login brings another."""

    async def work(rest: Rest, gateway: Gateway, clock: VirtualClock) -> None:
        clock._now -= HOUR * NS
        for _ in range(50):
            await rest.positions(ACCOUNT)
        assert gateway.count("Auth/loginKey") == 1

    run(work)


def test_the_margin_can_be_set() -> None:
    """An hour's margin renews at the twenty-third hour."""

    async def work(rest: Rest, gateway: Gateway, clock: VirtualClock) -> None:
        await clock.sleep(23 * HOUR - 10)
        await rest.token()
        await clock.sleep(0.01)
        assert gateway.count("Auth/validate") == 0
        await clock.sleep(10)
        await rest.token()
        await clock.sleep(0.01)
        assert gateway.count("Auth/validate") == 1

    run(work, settings=RestSettings(token_margin_s=HOUR))


def test_a_session_that_cannot_log_in_closes_its_connections() -> None:
    """`async with` raises what the login said, and nothing stays open."""

    async def work(rest: Rest, gateway: Gateway, clock: VirtualClock) -> None:
        raise AssertionError("never entered")

    with pytest.raises(GatewayError, match="no API subscription"):
        run(work, prepare=lambda gateway: gateway.next("Auth/loginKey", refusal(9)))

"""What silence means: of a contract, of a whole hub, by the session table and by the time line."""

from __future__ import annotations

import asyncio
import random
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxresearch import sessions
from pxresearch.clock import NS, VirtualClock
from pxresearch.errors import NotUnderstood, UsageError
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.pace import Backoff, Elapsed
from pxresearch.gateway.records import Hub, Stale
from pxresearch.gateway.silence import Silence, open_hours
from pxresearch.gateway.subscriptions import Desired, Progress, Subscription
from pxresearch.gateway.wire import Event
from tests.hub_kit import ES, ID, MNQ, START, FastClock, Tokens, make

FRIDAY = datetime(2026, 11, 20, 15, 50, tzinfo=sessions.CHICAGO)  # ten minutes before the close


def ns(when: datetime) -> int:
    return sessions.to_ns(when)


def always(_contract: str, _now: int) -> bool:
    return True


def run_silence(
    silence: Silence, seconds: int, data: dict[int, str], begin: int = START
) -> list[tuple[int, Stale]]:
    """Look once a second; `data` says in which second a contract speaks."""
    seen: dict[str, int] = {}
    found: list[tuple[int, Stale]] = []
    for second in range(seconds):
        now = begin + second * NS
        if second in data:
            seen[data[second]] = now
        found += [(second, e) for e in silence.look((ID, ES), seen, now, second * NS)]
    return found


def test_stale_once_and_fresh_once() -> None:
    """By hand: MNQ speaks at 5 and at 50 s, ES never: stale at 30 (ES) and 35, fresh at 50."""
    silence = Silence(always, stale_s=30, frozen_s=1000)
    found = run_silence(silence, 70, {5: ID, 50: ID})
    assert [(at, e.contract_id, e.fresh, e.silent_s) for at, e in found] == [
        (30, ES, False, 30.0), (35, ID, False, 30.0), (50, ID, True, 45.0),
    ]  # fmt: skip
    assert silence.stale == (ES,)
    assert not silence.frozen


def test_frozen_only_when_every_open_contract_is_silent() -> None:
    """One that speaks keeps the hub; none, and the limit is the hub's."""
    silence = Silence(always, stale_s=30, frozen_s=120)
    run_silence(silence, 240, {n: ID for n in range(0, 240, 50)})
    assert not silence.frozen
    silence.restart()
    for second in range(121):
        assert not silence.frozen
        silence.look((ID, ES), {}, START, second * NS)
    assert silence.frozen
    silence.restart()
    silence.look((ID, ES), {}, START, 300 * NS)
    assert not silence.frozen  # a new connection has its own two minutes


def test_the_night_does_not_count() -> None:
    """The hour before Sunday's opening is silent and says nothing; from then on it counts. By hand:
    the last closed look is at 16:59:59, so the contract is stale at 17:00:29."""
    is_open = open_hours(Directory([MNQ]))
    assert is_open(ID, ns(FRIDAY))
    assert not is_open(ID, ns(datetime(2026, 11, 21, 12, tzinfo=sessions.CHICAGO)))
    opening = ns(datetime(2026, 11, 22, 17, tzinfo=sessions.CHICAGO))
    assert is_open(ID, opening)
    assert not is_open(ID, opening - 1)
    silence = Silence(is_open, stale_s=30, frozen_s=120)
    begin = opening - 3600 * NS
    found = []
    for second in range(3700):
        found += silence.look((ID,), {}, begin + second * NS, second * NS)
        assert not silence.frozen
    assert [(e.ts - opening) / NS for e in found] == [29.0]


def test_a_product_without_a_session_is_never_stale() -> None:
    """It cannot be traded either."""
    strange = MNQ.__class__(
        id="CON.F.US.ZZZ.Z26", name="ZZZ", description="", tick_size=MNQ.tick_size,
        tick_value=MNQ.tick_value, active_contract=True, symbol_id="F.US.ZZZ",
    )  # fmt: skip
    assert not open_hours(Directory([strange]))(strange.id, ns(FRIDAY))


def test_a_contract_that_is_wanted_no_more_is_forgotten() -> None:
    """Neither stale nor fresh is told of it."""
    silence = Silence(always, stale_s=30, frozen_s=1000)
    silence.look((ID,), {}, START, 0)
    assert len(silence.look((ID,), {}, START, 31 * NS)) == 1
    assert silence.look((), {ID: 5}, START, 32 * NS) == []
    assert silence.stale == ()


@given(st.lists(st.tuples(st.integers(-(10**12), 10**12), st.floats(0, 1)), max_size=30))
def test_the_time_line_never_runs_back(steps: list[tuple[int, float]]) -> None:
    """It moves at least by what was waited, and as far as the clock where that went further."""
    clock = VirtualClock(START)
    line = Elapsed(clock)
    for jump, waited in steps:
        before = line.ns
        clock._now += jump  # a clock that somebody sets
        line.step(waited)
        assert line.ns - before == max(jump, round(waited * NS), 0)


@given(st.integers(0, 2**32), st.integers(1, 60))
def test_back_off_stays_in_its_bounds(seed: int, count: int) -> None:
    """Each wait is between a quarter of a second and 30 s, doubles, and begins anew on reset."""
    waits = Backoff(0.25, 30.0, random.Random(seed))
    for n in range(count):
        span = min(30.0, 0.5 * 2**n)
        assert span / 2 <= waits.next() <= span
    waits.reset()
    assert 0.25 <= waits.next() <= 0.5
    waits.longest()
    assert 15 <= waits.next() <= 30


# ---------------------------------------------------------------- subscriptions
STEP = st.tuples(
    st.booleans(), st.sampled_from([ID, ES]),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
)  # fmt: skip


@given(st.lists(STEP, max_size=40))
def test_whatever_is_wanted_and_answered_the_hub_ends_with_the_desired_set(
    steps: list[tuple[bool, str, tuple[bool, bool, bool]]],
) -> None:
    """A model of the hub: no stream is on twice or off twice, and in the end all is right."""
    desired, now = Desired(), 0
    progress = Progress(desired, answer_s=5, retry_s=1)
    hub: set[tuple[str, object]] = set()
    waiting: list[Event] = []

    def call() -> None:
        for one in progress.due(now):
            key = (one.method.partition("ubscribe")[2], one.arguments[0])
            on = one.method.startswith("Subscribe")
            assert (key in hub) != on
            (hub.add if on else hub.discard)(key)
            waiting.append(Event(type=3, invocation_id=one.id))

    def answer() -> None:
        while waiting:
            record = waiting.pop(0)
            assert progress.answered(record, now) is None

    for wanted, contract, (quotes, trades, depth) in steps:
        now += NS
        if wanted:
            desired.set_contract(contract, quotes=quotes, trades=trades, depth=depth)
        else:
            answer()
        call()
    for _ in range(3):
        answer()
        call()
    assert progress.settled
    assert hub == {(one.stream, one.of) for one in desired}
    assert set(progress.live) == set(desired)


def test_a_call_without_its_completion_is_named() -> None:
    """After 5 s, not before."""
    desired = Desired()
    desired.add_account(7)
    progress = Progress(desired, answer_s=5, retry_s=30)
    calls = progress.due(0)
    assert [c.method for c in calls] == [
        "SubscribeAccounts", "SubscribeOrders", "SubscribePositions", "SubscribeTrades",
    ]  # fmt: skip
    assert [c.arguments for c in calls] == [[], [7], [7], [7]]
    assert progress.overdue(5 * NS - 1) is None
    assert progress.overdue(5 * NS) == "SubscribeAccounts"
    progress.answered(Event(type=3, invocation_id=calls[0].id), 5 * NS)
    assert progress.overdue(5 * NS) == "SubscribeOrders(7)"
    assert progress.live == (Subscription("Accounts"),)
    assert progress.answered(Event(type=3, invocation_id="never sent"), 5 * NS) is None


def test_wrong_uses_say_so() -> None:
    """A contract that was not looked up, a hub that is not connected, hubs that were stopped."""

    async def run() -> None:
        hubs = make("http://127.0.0.1:1", tokens=Tokens(), clock=FastClock(), hubs=(Hub.USER,))
        with pytest.raises(NotUnderstood, match="looked up"):
            hubs.subscribe_contract("CON.F.US.CLE.Z26")
        with pytest.raises(UsageError, match="market"):
            hubs.state(Hub.MARKET)
        await hubs.stop()
        with pytest.raises(UsageError, match="stopped"):
            await hubs.start()

    asyncio.run(run())

"""The budgets: never more requests than the venue allows, and room kept for what must get out."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxresearch.clock import NS, VirtualClock
from pxresearch.errors import GatewayError, NotReachable, UsageError
from pxresearch.gateway import wire
from pxresearch.gateway.budget import Budget
from pxresearch.gateway.outcome import Accepted, Rejected
from pxresearch.gateway.rest import Rest, RestSettings
from tests.stub_gateway import START, Gateway, Reply, run

ACCOUNT, MNQ = 7001122, "CON.F.US.MNQ.Z26"
MARKET = wire.PlaceOrder(
    account_id=ACCOUNT, contract_id=MNQ, type=wire.OrderType.MARKET, side=wire.OrderSide.BUY,
    size=1, is_automated=True,
)  # fmt: skip


def most_in_a_window(times: list[int], seconds: float) -> int:
    """Most requests in any half-open window of that length, counted the slow way."""
    span = round(seconds * NS)
    return max((sum(start <= t < start + span for t in times) for start in times), default=0)


@given(
    limit=st.integers(1, 8),
    reserve=st.integers(0, 7),
    steps=st.lists(
        st.tuples(st.floats(0, 3), st.booleans(), st.sampled_from(["", "429"])), max_size=60
    ),
)
def test_no_window_holds_more_than_the_limit(
    limit: int, reserve: int, steps: list[tuple[float, bool, str]]
) -> None:
    """Whoever waits as told never breaks the limit, and the ordinary never touch the reserve."""
    reserve = min(reserve, limit - 1)
    budget, now = Budget(limit, 10.0, reserve), START
    sent: list[int] = []
    ordinary: list[int] = []
    for pause, urgent, answer in steps:
        now += round(pause * NS)
        wait = budget.wait(now, urgent=urgent)
        now += round(wait * NS)
        assert budget.wait(now, urgent=urgent) < 1e-6, "the wait that was told is enough"
        budget.take(now)
        sent.append(now)
        assert budget.used(now) <= limit
        if not urgent:
            ordinary.append(now)
            recent = sum(t > now - 10 * NS for t in sent)
            assert recent <= limit - reserve
        if answer:
            budget.refused(now)
    assert most_in_a_window(sent, 10.0) <= limit


def test_no_wait_is_longer_than_it_must_be() -> None:
    """Full by the limit: the next may go when the first has left the window, half a second later.

    The half second is for the way: the venue counts when a request arrives.
    """
    budget = Budget(3, 60.0, 1)
    for _ in range(2):
        assert budget.wait(START) == 0
        budget.take(START)
    assert budget.wait(START) == 60.5
    assert budget.wait(START + 20 * NS) == 40.5
    assert budget.wait(START + 20 * NS, urgent=True) == 0
    budget.take(START + 20 * NS)
    assert budget.wait(START + 20 * NS, urgent=True) == 40.5
    assert budget.wait(START + round(60.5 * NS)) == 0


def test_a_429_closes_for_longer_each_time_and_not_for_the_urgent() -> None:
    """5, 10, 20, 40, 60 seconds; another answer begins anew; Retry-After counts, within bounds."""
    budget, now, waits = Budget(200, 60.0, 40), START, []
    for _ in range(6):
        budget.refused(now)
        budget.refused(now)  # the second call of the same storm
        waits.append(budget.wait(now))
        assert budget.closed(now)
        assert budget.wait(now, urgent=True) == 0
        now += round(waits[-1] * NS)
    assert waits == [5, 10, 20, 40, 60, 60]
    budget.answered()
    budget.refused(now, after_s=17)
    assert budget.wait(now) == 17
    now += 17 * NS
    budget.refused(now, after_s=86_400)
    assert budget.wait(now) == 60


@given(back=st.integers(1, 10**6))
def test_a_clock_that_is_set_back_closes_nothing(back: int) -> None:
    """An hour back is no hour of waiting."""
    budget = Budget(2, 60.0)
    budget.take(START)
    budget.take(START)
    budget.refused(START)
    earlier = START - back * NS
    assert budget.wait(earlier) == 60.5
    assert budget.wait(earlier + round(60.5 * NS)) == 0


@pytest.mark.parametrize("reserve", [-1, 200, 201])
def test_a_reserve_leaves_room(reserve: int) -> None:
    """A reserve of everything would stop everything."""
    with pytest.raises(UsageError, match="reserve"):
        Budget(200, 60.0, reserve)


# ------------------------------------------------------------------ in the client
def test_entries_find_room_or_are_not_sent_while_cancels_go_out() -> None:
    """159 orders and the login fill the ordinary share; 40 more cancels and closes get through."""

    async def work(rest: Rest, gateway: Gateway, clock: VirtualClock) -> None:
        for _ in range(159):
            assert isinstance(await rest.place(MARKET), Accepted)
        refused = await rest.place(MARKET)
        assert isinstance(refused, Rejected)
        assert refused.reason == "NOT_SENT"
        assert "60.5 s" in refused.text
        assert "40 more are kept for cancels and closes" in refused.text
        assert gateway.count("Order/place") == 159
        for n in range(20):
            assert isinstance(await rest.cancel(ACCOUNT, n), Accepted)
            assert isinstance(await rest.close_contract(ACCOUNT, MNQ), Accepted)
        assert clock.now() == START, "nothing has waited so far"
        assert isinstance(await rest.cancel(ACCOUNT, 99), Accepted)
        assert clock.now() == START + round(60.5 * NS), "the window itself is full now"
        assert isinstance(await rest.place(MARKET), Accepted)

    run(work)


def test_reads_wait_for_room() -> None:
    """A read may come late: it waits, and no window of 60 s sees more than 160 of them."""

    async def work(rest: Rest, gateway: Gateway, clock: VirtualClock) -> None:
        await asyncio.gather(*(rest.positions(ACCOUNT) for _ in range(400)))
        times = [one.at for one in gateway.seen]
        assert len(times) == 401
        assert most_in_a_window(times, 60) == 160

    run(work)


def test_bars_have_a_window_of_their_own() -> None:
    """50 in 30 s, beside the other 200: a download does not hold up a position."""

    async def work(rest: Rest, gateway: Gateway, clock: VirtualClock) -> None:
        async def bars() -> None:
            await rest.bars(MNQ, START - 60 * NS, START, wire.BarUnit.MINUTE, 1)

        download = asyncio.gather(*(bars() for _ in range(120)))
        await clock.sleep(0.001)
        assert rest.room() == {"all": (1, 200), "bars": (50, 50)}
        before = clock.now()
        await rest.positions(ACCOUNT)
        assert clock.now() == before
        await download
        times = [one.at for one in gateway.seen if one.operation == "History/retrieveBars"]
        assert most_in_a_window(times, 30) == 50

    run(work)


def test_after_a_429_cancels_go_first_and_entries_do_not_go() -> None:
    """A storm of 429: no entry leaves, a cancel does, and a read backs off until it has passed."""

    async def work(rest: Rest, gateway: Gateway, clock: VirtualClock) -> None:
        gateway.next("Position/searchOpen", *[Reply(429)] * 2)
        reading = asyncio.ensure_future(rest.positions(ACCOUNT))
        await clock.sleep(0.001)
        refused = await rest.place(MARKET)
        assert isinstance(refused, Rejected)
        assert "429" in refused.text
        assert gateway.count("Order/place") == 0
        assert isinstance(await rest.cancel(ACCOUNT, 1), Accepted)
        await reading
        times = [one.at for one in gateway.seen if one.operation == "Position/searchOpen"]
        assert len(times) == 3
        assert times[1] - times[0] >= 5 * NS
        # the cancel's answer in between showed that the venue answers: the next 429 begins anew
        assert times[2] - times[1] >= 5 * NS
        assert isinstance(await rest.place(MARKET), Accepted)

    run(work)


def test_back_off_has_jitter_is_capped_and_honours_retry_after() -> None:
    """Waits of one seed are the same, of two seeds not; each is within its doubling span."""

    def waits(seed: int, headers: dict[str, str]) -> list[float]:
        async def work(rest: Rest, gateway: Gateway, clock: VirtualClock) -> list[float]:
            gateway.next("Account/search", *[Reply(503, headers=headers)] * 9)
            with pytest.raises(NotReachable):
                await rest.accounts()
            times = [one.at for one in gateway.seen if one.operation == "Account/search"]
            return [(b - a) / NS for a, b in itertools.pairwise(times)]

        return run(work, seed=seed, settings=RestSettings(attempts=8))

    first = waits(1, {})
    assert first == waits(1, {})
    assert first != waits(2, {})
    spans = [0.5, 1, 2, 4, 8, 15, 15]
    assert all(0 <= wait <= span for wait, span in zip(first, spans, strict=True))
    assert all(wait >= 3 for wait in waits(1, {"Retry-After": "3"}))


def test_a_day_of_retry_after_is_told_not_slept() -> None:
    """Nobody waits a day for a read; the text says what the gateway wants."""

    async def work(rest: Rest, gateway: Gateway, clock: VirtualClock) -> None:
        gateway.next("Account/search", Reply(503, headers={"Retry-After": "86400"}))
        with pytest.raises(GatewayError, match="86400 s"):
            await rest.accounts()
        assert clock.now() == START

    run(work)


def test_settings_that_make_no_sense_are_refused() -> None:
    """No attempt at all, or no time for one."""
    for wrong in ({"attempts": 0}, {"timeout_s": 0.0}, {"token_margin_s": -1.0}):
        with pytest.raises(UsageError, match="positive"):
            RestSettings(**wrong)

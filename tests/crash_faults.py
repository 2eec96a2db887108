"""What goes wrong in a seeded run; each is drawn with its time, and all of it stops in the end."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from pxresearch.clock import NS
from pxresearch.errors import UsageError
from pxresearch.gateway.records import Hub
from tests.exchange_kit import MNQ

if TYPE_CHECKING:
    from tests.crash_kit import Life

OPERATIONS = (
    "Order/place", "Order/place", "Order/cancel", "Position/closeContract", "Order/v2/query",
    "Order/search", "Trade/search", "Position/searchOpen", "Account/search", "Order/searchById",
)  # fmt: skip
REQUESTS: tuple[tuple[str, dict[str, Any]], ...] = (
    *(("lose_response", {"when": w, "how": h}) for w in ("before", "after")
      for h in ("close", "reset")),
    *(("slow_response", {"when": w, "seconds": s}) for w in ("before", "after")
      for s in (2.0, 11.0, 25.0)),
    *(("status", {"when": w, "status": s}) for w in ("before", "after")
      for s in (401, 403, 429, 500, 503)),
    *((name, {"when": w}) for w in ("before", "after")
      for name in ("malformed_json", "html", "torn_json", "torn_response", "error_code")),
)  # fmt: skip
TARGETS = ("GatewayUserOrder", "GatewayUserTrade", "GatewayUserPosition", "GatewayUserAccount", "")


async def inflict(life: Life) -> None:
    """Let things go wrong until shortly after the flatten time, then stop."""
    rng, clock, stops = life.rng, life.clock, life.faults_end
    begins = clock.now() + 3 * NS
    number = rng.choice((0, 1, 2, 4, 8))
    times = sorted(rng.randint(begins, stops) for _ in range(number))
    for at in times:
        await clock.sleep(max(at - clock.now(), 0) / NS)
        name, act = rng.choice(KINDS)
        life.told.faults[name] += 1
        act(life)
    await clock.sleep(max(stops - clock.now(), 0) / NS)
    life.control.remove()
    life.away.clear()
    life.venue.exchange.halt(MNQ, False)
    life.venue.exchange.set_can_trade(life.plan.account, True)
    life.venue.flush()
    if life.process is not None:
        life.process.broken = False
        if life.process.hubs is not None:
            life.process.hubs.delay_s = 0.0
            life.process.hubs.release()


def _trouble(life: Life, seconds: float) -> None:
    life.troubled_until = max(life.troubled_until, life.clock.now() + round(seconds * NS))


def _request(life: Life) -> None:
    rng = life.rng
    name, parameters = rng.choice(REQUESTS)
    life.control.add(
        name, operation=rng.choice(OPERATIONS), count=rng.choice((1, 1, 2, 4)), **parameters
    )
    _trouble(life, 40)


def _storm(life: Life) -> None:
    life.control.add(
        "rate_limit_storm", count=life.rng.randint(1, 6), retry_after=life.rng.choice((0, 2))
    )
    _trouble(life, 40)


def _token(life: Life) -> None:
    life.control.add("expire_tokens")
    if life.rng.random() < 0.3:
        life.control.add("refuse_refresh", count=1)
        _trouble(life, 60)


async def _returns(life: Life, hubs: set[Hub], seconds: float) -> None:
    await life.clock.sleep(seconds)
    life.away -= hubs


def _away(life: Life) -> None:
    hubs = life.rng.choice(({Hub.USER}, {Hub.MARKET}, set(Hub)))
    seconds = life.rng.choice((0.5, 3.0, 20.0, 45.0))
    life.away |= hubs
    _trouble(life, seconds + 10)
    life.later(_returns(life, set(hubs), seconds))


def _delay(life: Life) -> None:
    if life.process is not None and life.process.hubs is not None:
        life.process.hubs.delay_s = life.rng.choice((0.3, 1.5, 4.0))
        _trouble(life, 10)


def _event(life: Life) -> None:
    rng = life.rng
    name = rng.choice((
        "drop_event", "drop_event", "duplicate_event", "reorder_events", "position_disagrees",
        "unknown_enum", "new_field",
    ))  # fmt: skip
    target = {"position_disagrees": "GatewayUserPosition", "unknown_enum": "GatewayUserOrder"}
    life.control.add(name, target=target.get(name, rng.choice(TARGETS)), count=rng.randint(1, 4))
    _trouble(life, 20)


def _venue(life: Life) -> None:
    name = life.rng.choice((
        "partial_fill", "fill_during_cancel", "refuse_leg", "keep_sibling", "hold_ack",
    ))  # fmt: skip
    life.told.faults[name] += 1
    life.control.add(name, times=life.rng.randint(1, 2))


def _by_hand(life: Life) -> None:
    life.checks.by_hand = True
    life.control.add(
        "manual_order",
        contract_id=MNQ,
        side=life.rng.choice(("buy", "sell")),
        size=life.rng.randint(1, 2),
    )  # fmt: skip


def _stranger(life: Life) -> None:
    life.control.add("unknown_event", contract_id=MNQ)
    _trouble(life, 20)


async def _resumes(life: Life, seconds: float) -> None:
    await life.clock.sleep(seconds)
    life.venue.exchange.halt(MNQ, False)


def _halt(life: Life) -> None:
    seconds = life.rng.uniform(2, 40)
    life.control.add("halt", contract_id=MNQ, halted=True)
    _trouble(life, seconds + 10)
    life.later(_resumes(life, seconds))


def _odd(life: Life) -> None:
    name = life.rng.choice(("one_sided_quote", "crossed_quote", "garbage_quote", "off_tick_price"))
    with contextlib.suppress(UsageError):
        life.control.add(name, contract_id=MNQ)


def _burst(life: Life) -> None:
    with contextlib.suppress(UsageError):  # there must be a market on both sides
        life.control.add("burst", contract_id=MNQ, quotes=200)


def _clock(life: Life) -> None:
    life.skew.off += round(life.rng.choice((-1.5, -0.4, 0.4, 1.5)) * NS)
    life.skew.off = max(-2 * NS, min(life.skew.off, 2 * NS))


def _switch(life: Life) -> None:
    life.latch.set(life.clock.now(), why="a test", by="a second terminal")
    life.checks.bar(life.clock.now())


def _disk(life: Life) -> None:
    if life.process is not None:
        life.process.broken = True


KINDS = (
    ("request", _request), ("request", _request), ("request", _request), ("storm", _storm),
    ("token", _token), ("away", _away), ("delay", _delay), ("event", _event), ("event", _event),
    ("venue", _venue), ("venue", _venue), ("by hand", _by_hand), ("stranger", _stranger),
    ("halt", _halt), ("odd", _odd), ("burst", _burst), ("clock", _clock), ("switch", _switch),
    ("disk", _disk),
)  # fmt: skip

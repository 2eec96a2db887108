"""How an account stands against each of its rules: what is set, what it is now, what is left.

Money is USD, sizes are minis, times seconds; the numbers are those of the engine, so what is told
here is what the next order would meet.

I/O: none
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from pxresearch.brokers.session import EngineSession
from pxresearch.core import records as r
from pxresearch.journal.view import of_engine
from pxresearch.measures import blocks, clock_time
from pxresearch.sessions import trading_day

OFF = "off"
_LEVELS = {
    "daily_loss_usd": ("daily loss limit", "USD"), "max_loss_usd": ("maximum loss level", "USD"),
    "profit_lock_usd": ("daily profit lock", "USD"), "position_minis": ("position", "minis"),
    "losses_in_a_row": ("losses in a row", "losses"),
}  # fmt: skip
_ORDERS = (
    ("order size", "max_order_qty", "contracts", 1),
    ("order value", "order_value", "USD", r.MICROS), ("price collar", "collar", "ticks", 1),
    ("orders a minute", "rate", "orders", 1), ("same order again", "repeats", "times", 1),
    ("repeated within", "duplicate_ns", "s", 10**9),
)  # fmt: skip
_SWITCHES = (
    ("stop on every entry", "require_bracket"), ("bracket risk against the limits", "bracket_risk"),
    ("own orders do not meet", "no_self_trade"),
)  # fmt: skip


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """One rule of an account.

    Attributes
    ----------
    set_to, now, left
        The limit, what it is compared with, and the distance, in `unit`; None where there is no
        number. A rule that judges each order by itself has no `now`.
    passes
        Whether an entry may pass it now.
    says
        In words: why it does not, or when it will not.
    """

    rule: str
    set_to: float | str | None
    now: float | None = None
    left: float | None = None
    unit: str = ""
    passes: bool = True
    says: str = ""


def standing(session: EngineSession) -> list[Standing]:
    """Every rule, the account's own state first."""
    return [
        *_state(session), *_levels(session), *_markets(session), *_orders(session),
    ]  # fmt: skip


def _state(session: EngineSession) -> Iterator[Standing]:
    e = session.engine[0]
    yield _flag("kill switch", not e["halted"], "it is set: `pxresearch rearm`")
    yield _flag("account", not e["over"], "the maximum loss limit was touched: it is over")
    locked = "locked until the next trading day"
    yield _flag("trading day", not (e["locked"] or e["profit_locked"]), locked)
    words = blocks(int(e["blocked"]))
    yield _flag("session", not words, "; ".join(words))
    pause = int(e["pause_until"])
    yield _flag("pause after losses", pause <= int(e["now"]), f"until {clock_time(pause)}")


def _flag(rule: str, passes: object, says: str) -> Standing:
    return Standing(rule=rule, set_to=None, passes=bool(passes), says="" if passes else says)


def _levels(session: EngineSession) -> Iterator[Standing]:
    found = {one["limit"]: one for one in of_engine(session)["limits"]}
    for key, (rule, unit) in _LEVELS.items():
        one = found.get(key)
        if one is None:
            yield Standing(rule=rule, set_to=OFF)
            continue
        passes = one["left"] > 0 or key == "losses_in_a_row"  # that one pauses, and says so above
        yield Standing(
            rule=rule, set_to=one["allowed"], now=one["now"], left=one["left"], unit=unit,
            passes=passes, says="" if passes else "nothing is left",
        )  # fmt: skip


def _markets(session: EngineSession) -> Iterator[Standing]:
    """Hours, flatten time, price and spread of each contract."""
    e = session.engine[0]
    now = int(e["now"])
    for k, feed in enumerate(session.feeds):
        c, code = e["contract"][k], feed.contract.code
        until, flat = int(c["session"]["no_open_from"]), int(c["session"]["flatten_at"])
        opens = bool(c["in_session"]) and now < until
        left = max(0.0, (until - now) / 1e9)
        yield Standing(
            rule=f"{code} hours", set_to=clock_time(until), left=left, unit="s", passes=opens,
            says=f"flat from {clock_time(flat)}" if opens else "nothing may open now",
        )  # fmt: skip
        cap = session.programme.product_caps(trading_day(now)).get(feed.contract.instrument.root)
        if cap is not None:
            held = abs(int(c["position"]))
            yield Standing(
                rule=f"{code} product cap", set_to=cap, now=held, left=cap - held, unit="contracts",
                passes=held < cap, says="" if held < cap else "no more of it",
            )  # fmt: skip
        yield from _quote(session, k, now)


def _quote(session: EngineSession, k: int, now: int) -> Iterator[Standing]:
    c, rules = session.engine[0]["contract"][k], session.engine[0]["rules"]
    code, known = session.feeds[k].contract.code, int(c["quote_ts"]) > 0
    age, oldest = (now - int(c["quote_ts"])) / 1e9, int(rules["quote_age_ns"]) / 1e9
    if not oldest:
        yield Standing(rule=f"{code} quote age", set_to=OFF)
    else:
        fresh = known and age <= oldest
        yield Standing(
            rule=f"{code} quote age", set_to=oldest, now=age if known else None,
            left=oldest - age if known else None, unit="s", passes=fresh,
            says="" if fresh else "the last quote is too old",
        )  # fmt: skip
    spread, widest = int(c["ask"]) - int(c["bid"]), int(rules["spread"])
    two_sided = int(c["bid"]) != r.NO_BID and int(c["ask"]) != r.NO_ASK
    if not widest:
        yield Standing(rule=f"{code} spread", set_to=OFF)
        return
    narrow = two_sided and 0 < spread <= widest
    yield Standing(
        rule=f"{code} spread", set_to=widest, now=spread if two_sided else None,
        left=widest - spread if two_sided else None, unit="ticks", passes=narrow,
        says="" if narrow else "too wide, crossed or one-sided",
    )  # fmt: skip


def _orders(session: EngineSession) -> Iterator[Standing]:
    """What judges each order by itself."""
    rules = session.engine[0]["rules"]
    for rule, name, unit, scale in _ORDERS:
        value = int(rules[name])
        if value:
            yield Standing(rule=rule, set_to=value / scale, unit=unit, says="each order")
        else:
            yield Standing(rule=rule, set_to=OFF)
    for rule, name in _SWITCHES:
        on = bool(rules[name])
        yield Standing(rule=rule, set_to="on" if on else OFF, says="each order" if on else "")

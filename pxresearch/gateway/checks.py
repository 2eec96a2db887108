"""The doctor's judgements: from what was seen to one `Check` each.

Times are int64 ns UTC, ages and skews float seconds.

I/O: none
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from pxresearch.clock import NS
from pxresearch.errors import CalendarError, ContractMismatch, NotUnderstood
from pxresearch.gateway import wire
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.diagnosis import Check, Level
from pxresearch.gateway.hubstate import HubState
from pxresearch.gateway.latency import Latency
from pxresearch.gateway.records import Hub
from pxresearch.sessions import check_horizon, from_ns

OK, WARN, FAIL, SKIP = Level.OK, Level.WARN, Level.FAIL, Level.SKIP
LOGIN_CHECKS = {"ApiSubscriptionNotFound": "subscription", "AgreementsNotSigned": "agreements"}
"""Which check a refused login fails; any other reason is one of the credentials."""
SLOW_MS = 500.0  # p95 of a round trip
WARN_SKEW_S, FAIL_SKEW_S = 1.5, 5.0
HORIZON_DAYS = 14  # for so long the session table should hold


def check_login(refused: str | None, user: str, why: str = "") -> list[Check]:
    """Checks credentials, subscription and agreements, from the reason of a refused login.

    Parameters
    ----------
    refused
        Name of the error code; None after a login.
    why
        The refusal's text.
    """
    names = ("credentials", *LOGIN_CHECKS.values())
    if refused is None:
        texts = (f"user {user!r}, the key is right", "there is API access", "signed")
        return [Check(name=n, level=OK, text=t) for n, t in zip(names, texts, strict=True)]
    culprit = LOGIN_CHECKS.get(refused, "credentials")
    return [
        Check(name=name, level=FAIL, text=why, remedy="put that right and run doctor again")
        if name == culprit
        else Check(name=name, level=SKIP, text="the login was refused before")
        for name in names
    ]


def check_accounts(rows: Sequence[wire.Account], wanted: int | None) -> Check:
    """Whether there is an account that can trade, and is not a live-funded one."""
    figures = {
        "accounts": [
            {"id": row.id, "name": row.name, "can_trade": row.can_trade, "simulated": row.simulated}
            for row in rows
        ]
    }
    wrong = {row.id: reason for row in rows if (reason := _unfit(row))}
    listed = "; ".join(f"{row.id} {row.name}: {wrong.get(row.id, 'can trade')}" for row in rows)

    def said(level: Level, text: str, remedy: str = "") -> Check:
        return Check(name="accounts", level=level, text=text, remedy=remedy, figures=figures)

    if wanted is not None and wanted not in {row.id for row in rows}:
        return said(FAIL, f"there is no active account {wanted}; there are: {listed or 'none'}",
                    "give the id of one of these")  # fmt: skip
    if not rows:
        return said(FAIL, "this user has no active account", "open one in the platform")
    if wanted in wrong or len(wrong) == len(rows):
        return said(FAIL, listed, "choose or open an account that can trade through the API")
    return said(WARN if wrong else OK, listed, "name the account to trade, never take the first")


def _unfit(row: wire.Account) -> str | None:
    if row.simulated is False:
        return "live-funded: it takes no orders through the API"
    return None if row.can_trade else "cannot trade now (a rule of the firm, or locked)"


def check_contracts(rows: Iterable[wire.Contract]) -> tuple[Check, Directory]:
    """Whether ticks are those of the shipped table; and the contracts of which that is true."""
    directory, wrong, count = Directory(), [], 0
    for row in rows:
        count += 1
        try:
            directory.add(row)
        except (ContractMismatch, NotUnderstood) as error:
            wrong.append(str(error))
    foreign = [one.id for one in directory if one.contract is None]
    figures = {"contracts": count, "mismatches": wrong, "not_in_table": foreign}

    def said(level: Level, text: str, remedy: str = "") -> Check:
        return Check(name="contracts", level=level, text=text, remedy=remedy, figures=figures)

    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        return said(FAIL, wrong[0] + more, "do not trade before both agree"), directory
    if not count:
        return said(
            FAIL, "the gateway lists no contract", "ask the firm for market data"
        ), directory
    if foreign:
        text = f"{count} contracts; not in the shipped table, so not tradable: {', '.join(foreign)}"
        return said(WARN, text, "update pxresearch"), directory
    return said(OK, f"{count} contracts, tick sizes and values as in the shipped table"), directory


def check_hub(hub: Hub, state: HubState, now: int, *, listened_to: str | None) -> Check:
    """Whether a hub is connected and subscribed, and speaks where it should.

    Parameters
    ----------
    listened_to
        Code of a contract whose market is open, so that silence is a fault; None: it may be silent.
    """
    age = None if state.last_data is None else (now - state.last_data) / NS
    figures = {
        "connected": state.connected, "last_message_age_s": None if age is None else round(age, 3),
        "attempts": state.attempts, "unreadable": state.junk, "unknown": state.unknown,
    }  # fmt: skip

    def said(level: Level, text: str, remedy: str = "") -> Check:
        return Check(name=f"{hub} hub", level=level, text=text, remedy=remedy, figures=figures)

    if not state.connected:
        remedy = "check a firewall or proxy that lets no WebSocket through, or wait for the venue"
        return said(FAIL, f"not connected: {state.reason or 'no answer in time'}", remedy)
    if state.refused:
        refused = ", ".join(str(one) for one in state.refused)
        return said(FAIL, f"it refuses {refused}", "is the account, or the contract, this user's?")
    last = "no event yet" if age is None else f"last event {age:.1f} s ago"
    if listened_to is None:
        return said(OK, f"connected; {last}, which is normal")
    if age is None:
        return said(FAIL, f"connected, but silent about {listened_to} in open hours",
                    "run doctor again; if it stays so, the venue's feed is frozen")  # fmt: skip
    if state.junk:
        return said(WARN, f"connected; {state.junk} events could not be read", "report them")
    return said(OK, f"connected, {listened_to}; {last}")


def check_skew(by_date_s: float | None, ages_s: Sequence[float]) -> Check:
    """Whether this machine's clock is the venue's.

    Parameters
    ----------
    by_date_s
        Our clock less the venue's by an HTTP header, good to a second; None: there was none.
    ages_s
        Receipt less the venue's stamp, of events: one cannot come before it was sent.
    """
    least = min(ages_s, default=None)
    figures = {"date_header_s": _rounded(by_date_s), "least_event_age_s": _rounded(least)}
    skew = by_date_s
    if least is not None and (least < 0 or skew is None):
        skew = least  # the finer of the two; positive, it is latency for the greater part
    remedy = "switch on time synchronisation (NTP); deadlines and stale quotes hang on the clock"
    if skew is None:
        return Check(name="clock", level=SKIP, text="the venue gave no time", figures=figures)
    text = f"{abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} the venue's clock"
    level = FAIL if abs(skew) >= FAIL_SKEW_S else WARN if abs(skew) >= WARN_SKEW_S else OK
    if level is OK:
        text = f"within {WARN_SKEW_S:g} s of the venue's clock"
    return Check(name="clock", level=level, text=text, remedy=remedy, figures=figures)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def check_budget(room: Mapping[str, tuple[int, int]], statuses: Mapping[int | None, int]) -> Check:
    """How much of the venue's rate limits is left, and whether it has refused anything."""
    figures = {name: {"used": used, "allowed": most} for name, (used, most) in room.items()}
    text = ", ".join(f"{name}: {used} of {most} used" for name, (used, most) in room.items())
    refused = statuses.get(429, 0)
    if refused:
        return Check(
            name="rate budget", level=WARN, figures=figures,
            text=f"the venue answered 429 to {refused} requests though {text}",
            remedy="another program uses this key; let one program trade a user",
        )  # fmt: skip
    return Check(name="rate budget", level=OK, text=text, figures=figures)


def check_latency(name: str, samples_s: Iterable[float], limit_ms: float = SLOW_MS) -> Check:
    """Histogram of some times, and whether the slow end is too slow."""
    found = Latency.of(samples_s)
    if found is None:
        return Check(name=name, level=SKIP, text="nothing was timed")
    figures = {"p50_ms": found.p50, "p95_ms": found.p95, "max_ms": found.max, "count": found.count,
               "classes": list(found.classes)}  # fmt: skip
    slow = found.p95 > limit_ms
    text = f"{found}{f', slower than {limit_ms:g} ms' if slow else ''}"
    return Check(
        name=name, level=WARN if slow else OK, text=text, figures=figures, chart=found.chart(),
        remedy="use a cable, close what loads the line, keep the bot's stops at the venue",
    )  # fmt: skip


def check_calendar(now: int) -> Check:
    """Whether the shipped session table covers now and the days to come."""
    for days, level in ((0, FAIL), (HORIZON_DAYS, WARN)):
        end = from_ns(now) + timedelta(days=days)
        try:
            check_horizon(now, end, trading=True)
        except CalendarError as error:
            return Check(name="calendar", level=level, text=str(error), remedy="update pxresearch")
    text = f"the session table holds for the next {HORIZON_DAYS} days and more"
    return Check(name="calendar", level=OK, text=text)

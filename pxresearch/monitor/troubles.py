"""The states that are bad while they last, read off a session's health.

One function a subject; each yields what is bad now and nothing else. When a trouble has lasted long
enough, and when it is over, is not decided here.

I/O: none
"""

from __future__ import annotations

from collections.abc import Iterator

from pxresearch.alerts.alert import Level
from pxresearch.health import Health
from pxresearch.monitor.memory import Trouble
from pxresearch.monitor.topics import Thresholds, Topic

GRACE_S = 2.0
"""A session that has just opened, and a hub that has just come back, have no fresh price yet."""


def troubles(health: Health, thresholds: Thresholds) -> Iterator[Trouble]:
    """Everything that is bad now."""
    yield from _connections(health, thresholds)
    yield from _feeds(health, thresholds)
    yield from _positions(health, thresholds)
    yield from _account(health, thresholds)
    yield from _machine(health, thresholds)


def _connections(health: Health, thresholds: Thresholds) -> Iterator[Trouble]:
    exposed = any(line.position for line in health.contracts)
    for up, hub, lacking in (
        (health.user_hub, "user hub", "orders and fills are not told"),
        (health.market_hub, "market hub", "there are no prices"),
    ):
        if not up:
            yield Trouble(
                topic=Topic.CONNECTION, subject=hub, sick=True, after_s=thresholds.connection_s,
                level=Level.CRITICAL if exposed else Level.WARNING,
                title=f"{hub} lost", over=f"{hub} is back",
                text=f"Down for {thresholds.connection_s:g} s: {lacking}. It is connected again by "
                f"itself; until then nothing that adds exposure passes. {_held(health)}",
            )  # fmt: skip


def _feeds(health: Health, thresholds: Thresholds) -> Iterator[Trouble]:
    if not health.market_hub:
        return
    for line in health.contracts:
        age = line.feed_age_s
        if line.session_open and (age is None or age >= thresholds.feed_s):
            since = "yet" if age is None else f"for {age:.0f} s"
            yield Trouble(
                topic=Topic.FEED, subject=line.code, level=Level.WARNING, sick=True,
                after_s=thresholds.feed_s if age is None else GRACE_S,
                title=f"{line.code}: feed stale", over=f"{line.code}: feed is fresh again",
                text=f"No quote or trade {since}, with the hub connected and the session open. "
                f"{_held(health)}",
            )  # fmt: skip


def _positions(health: Health, thresholds: Thresholds) -> Iterator[Trouble]:
    if thresholds.unprotected_s is None:
        return
    for line in health.contracts:
        bare = abs(line.position) - line.protected
        if bare > 0:
            yield Trouble(
                topic=Topic.PROTECTION, subject=line.code, level=Level.CRITICAL, sick=True,
                after_s=thresholds.unprotected_s,
                title=f"{line.code}: position without protection",
                over=f"{line.code}: position is protected, or closed",
                text=f"Position {line.position:+}, and no working stop covers {bare} of it. "
                f"To close it: pxresearch flatten --account {health.account}",
            )  # fmt: skip


def _account(health: Health, thresholds: Thresholds) -> Iterator[Trouble]:
    if not health.reconciled:
        yield Trouble(
            topic=Topic.RECONCILED, level=Level.WARNING, sick=True,
            after_s=thresholds.unreconciled_s,
            title="account not reconciled", over="account is reconciled",
            text=f"For {thresholds.unreconciled_s:g} s the venue and the session have not agreed; "
            f"entries are blocked. {'; '.join(health.blocked)}",
        )  # fmt: skip
    for what in health.unresolved:
        yield Trouble(
            topic=Topic.UNKNOWN, subject=what, level=Level.CRITICAL, sick=True,
            title=f"outcome unknown: {what}", over=f"outcome known: {what}",
            text="It was sent and nobody knows what became of it. It is looked up, never sent "
            f"again; until then nothing that adds exposure passes. {_held(health)}",
        )  # fmt: skip
    if health.halted:
        yield Trouble(
            topic=Topic.KILL_SWITCH, level=Level.CRITICAL,
            title="kill switch is on", over="kill switch is off",
            text="Entries are refused until the next trading day, or until 'pxresearch rearm "
            f"--account {health.account}'. {_held(health)}",
        )  # fmt: skip
    if health.locked:
        yield Trouble(
            topic=Topic.LOCKED, subject=health.locked, level=Level.CRITICAL,
            title=f"locked: {health.locked}", over=f"lock is over: {health.locked}",
            text=f"Nothing is opened any more. {_held(health)}",
        )  # fmt: skip


def _machine(health: Health, thresholds: Thresholds) -> Iterator[Trouble]:
    if health.journal_failed is not None:
        yield Trouble(
            topic=Topic.JOURNAL, subject="failed", level=Level.CRITICAL, sick=True,
            title="journal cannot be written", over="journal is written again",
            text=f"{health.journal_failed}. Entries are refused, exits pass. Make room on the "
            "disk, or see to its permissions.",
        )  # fmt: skip
    elif health.journal_lag_s > thresholds.journal_lag_s:
        yield Trouble(
            topic=Topic.JOURNAL, subject="behind", level=Level.WARNING,
            title="journal is behind", over="journal has caught up",
            text=f"The disk is {health.journal_lag_s:.1f} s behind, allowed are "
            f"{thresholds.journal_lag_s:g} s: entries wait for it.",
        )  # fmt: skip
    times = health.order_ms
    if times and times.n >= thresholds.order_least and times.p95 > thresholds.order_ms:
        yield Trouble(
            topic=Topic.LATENCY, level=Level.WARNING,
            title="orders are slow", over="orders are fast again",
            text=f"Round trip p95 {times.p95:,.0f} ms over {times.n} orders (p50 "
            f"{times.p50:,.0f} ms, p99 {times.p99:,.0f} ms); the threshold is "
            f"{thresholds.order_ms:,.0f} ms.",
        )  # fmt: skip


def _held(health: Health) -> str:
    held = [f"{line.code} {line.position:+}" for line in health.contracts if line.position]
    return f"Open: {', '.join(held)}." if held else "No position is open."

"""How one account stands: who trades it now, how far promotion is, what drifts.

Read from the account's folder alone, so it works from a second terminal, with the process that
trades at work, hung or gone. Money is micro-dollars, times ns UTC, ages seconds.

I/O: reads the folder of one account; `drift.account.update` when it is asked to check.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from pxresearch.accountdir.latch import Latch
from pxresearch.accountdir.lock import Owner, owner
from pxresearch.drift.report import Comparison, DriftReport, stored
from pxresearch.errors import PxError, StateError
from pxresearch.health import Health
from pxresearch.promotion import (
    Identity,
    PaperSession,
    Promotion,
    count_live_days,
    judge_sessions,
    sessions,
)
from pxresearch.promotion_ramp import ramp
from pxresearch.sessions import trading_day

STATUS_FILE = "status.json"
STALE_S = 5.0
"""A status is written about every second: an older one is not believed to be the present."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """One account.

    Attributes
    ----------
    running
        A living process has the account; `owner` is None when it does not say which.
    health, age_s
        The newest status that was written, and how old it is; None without one.
    halted
        Why the kill switch is on; empty when it is off.
    identity
        Of the newest session: what `promotion` and `next_day` speak of. None without a session.
    live
        Live sessions, oldest first.
    damaged
        Journals that cannot be believed, by name, and why.
    next_day
        What the ramp allows on the next live day, in words.
    """

    account: int
    running: bool
    owner: Owner | None
    health: Health | None
    age_s: float | None
    halted: str
    identity: Identity | None
    promotion: Promotion | None
    live: tuple[PaperSession, ...]
    damaged: dict[str, str]
    next_day: str
    drift: DriftReport

    @property
    def stale(self) -> bool:
        """Whether a process runs and does not say how it stands."""
        return self.running and (self.age_s is None or self.age_s > STALE_S)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values for JSON."""
        return {
            "account": self.account,
            "running": self.running,
            "stale": self.stale,
            "owner": _plain(self.owner),
            "status": _plain(self.health),
            "status_age_s": self.age_s,
            "halted": self.halted,
            "strategy": self.identity and self.identity.strategy,
            "promotion": self.promotion and promotion_dict(self.promotion),
            "live_sessions": [live_row(one) for one in self.live],
            "damaged": self.damaged,
            "next_live_day": self.next_day,
            "drifting": list(self.drift.drifting),
            "checks": {
                name: {**msgspec.to_builtins(check), "clean": check.clean}
                for name, check in self.drift.days.items()
            },
            "comparisons": [_comparison(one) for one in self.drift.comparisons],
        }


def overview(folder: Path, now: int) -> Overview:
    """Read how an account stands.

    Parameters
    ----------
    folder
        ``STATE/<account id>``.
    now
        ns UTC; for the age of the status and for the ramp.
    """
    running, who = _running(folder)
    health = _health(folder)
    paper, live = sessions(folder), sessions(folder, "live")
    identity = _newest(paper, live)
    latch = Latch(folder).read()
    return Overview(
        account=int(folder.name),
        running=running,
        owner=who,
        health=health,
        age_s=None if health is None else (now - health.ts) / 1e9,
        halted="" if latch is None else str(latch),
        identity=identity,
        promotion=None if identity is None else judge_sessions(paper, identity),
        live=tuple(live),
        damaged={one.path.name: one.damage for one in (*paper, *live) if one.damage},
        next_day="" if identity is None else _next_day(live, identity, now),
        drift=stored(folder),
    )


def promotion_dict(found: Promotion) -> dict[str, Any]:
    """Promotion as plain values."""
    return {
        "ok": found.ok,
        "counted": found.counted,
        "needed": found.needed,
        "missing": found.missing,
        "sessions": [
            {"day": str(row.day), "counts": row.counts, "coverage": row.coverage, "why": row.why}
            for row in found.rows
        ],
    }


def live_row(one: PaperSession) -> dict[str, Any]:
    """One live session as plain values; money None while it runs, or when it died."""
    end = one.end
    return {
        "day": str(one.day),
        "strategy": one.identities[-1].strategy if one.identities else None,
        "ended": end is not None,
        "flat": None if end is None else end.flat,
        "orders": None if end is None else end.orders,
        "fills": None if end is None else end.fills,
        "refusals": None if end is None else end.refusals,
        "day_pnl": None if end is None else end.day_pnl,
        "costs": None if end is None else end.costs,
        "faults": [one.damage] if one.damage else list(end.faults) if end else [],
    }


def _newest(paper: Sequence[PaperSession], live: Sequence[PaperSession]) -> Identity | None:
    """Identity of the newest session; a live one's before the ramp, where paper knows it."""
    held = [one for one in (*live, *paper) if one.identities]
    if not held:
        return None
    newest = max(held, key=lambda one: one.day).identities[-1]
    known = [one.identities[-1] for one in paper if one.identities]
    alike = [one for one in known if not one.changes(newest, ramp=True)]
    return alike[-1] if alike else newest


def _running(folder: Path) -> tuple[bool, Owner | None]:
    try:
        who = owner(folder)
    except StateError:
        return True, None
    return who is not None, who


def _health(folder: Path) -> Health | None:
    """The status; one that cannot be read is none."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode((folder / STATUS_FILE).read_bytes(), type=Health)
    return None


def _next_day(live: Sequence[PaperSession], identity: Identity, now: int) -> str:
    try:
        days = count_live_days(live, identity, trading_day(now))
        return ramp(days, identity.programme)[1]
    except PxError as error:
        return str(error)


def _comparison(one: Comparison) -> dict[str, Any]:
    return {**msgspec.to_builtins(one), "drifting": list(one.drifting)}


def _plain(value: msgspec.Struct | None) -> Any:
    return None if value is None else msgspec.to_builtins(value)

"""Five clean paper sessions before an order may leave: which ones count, and what is missing.

A session counts for the very thing that is to trade: the same source, class, parameters, contracts,
account programme and fill model. Anything else starts again, and the table says what changed.
What counts is read from the journals of the account's folder and from nothing else.

Money is micro-dollars, coverage a share of 0 to 1, days are trading days.

I/O: reads the journals of one account's folder, and the drift report beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from pxresearch.drift.report import DayCheck, stored
from pxresearch.errors import PxError, UsageError
from pxresearch.instruments import contract
from pxresearch.journal import Kind, SessionEnd, check, read
from pxresearch.promotion_identity import Identity, listed, source_hash
from pxresearch.sessions import session

NEEDED = 5
"""Paper sessions, each on a trading day of its own."""

COVERAGE = 0.95
"""Least share of its trading hours that a session must have been running and fed."""

LEAST_REASON = 10
"""Characters of the reason that an override needs."""

__all__ = [
    "COVERAGE", "LEAST_REASON", "NEEDED", "Identity", "PaperSession", "Promotion", "Verdict",
    "count_live_days", "journals", "judge", "judge_sessions", "live_days", "override", "sessions",
    "source_hash",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperSession:
    """One journal: who ran, how it ended, and what speaks against it.

    Attributes
    ----------
    day
        The trading day.
    identities
        Of every run in the file, in order: a session that was restarted has several.
    end
        How it ended; None while it runs, or when it died.
    damage
        Why the file cannot be believed; empty when its chain holds.
    head
        Hash of its last row.
    check
        Its drift check; None when nobody made one.
    """

    path: Path
    day: date
    identities: tuple[Identity, ...]
    end: SessionEnd | None
    damage: str = ""
    head: str = ""
    check: DayCheck | None = None

    @property
    def coverage(self) -> float:
        """Share of its trading hours, 0 to 1."""
        if self.end is None or not self.end.hours_s > 0:
            return 0.0
        return min(self.end.covered_s / self.end.hours_s, 1.0)

    def faults(self, wanted: Identity, *, ramp: bool = False) -> list[str]:
        """Why it does not count for `wanted`, in words; empty when it counts."""
        if self.damage:
            return [f"the journal is damaged: {self.damage}"]
        found = [
            text for identity in self.identities for text in identity.changes(wanted, ramp=ramp)
        ]
        if not any(_trades(code, self.day) for code in wanted.contracts):
            found.append(f"{self.day} is no trading day of {listed(wanted.contracts)}")
        found += self._ending()
        if self.check is not None and not self.check.clean:
            found.append(f"drift: {self.check.text}")
        return list(dict.fromkeys(found))

    def _ending(self) -> list[str]:
        end = self.end
        if end is None:
            return ["it has not ended: it is still running, or it died"]
        found = [f"unresolved: {fault}" for fault in end.faults]
        if self.coverage < COVERAGE:
            found.append(f"covers {_percent(self.coverage)}, needs {_percent(COVERAGE)}")
        elif not end.complete:
            why = end.reason or "no reason given"
            found.append(f"it did not run to the end of its day ({why})")
        if not end.flat:
            found.append("it was not flat at the end")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether one session counts, and why not."""

    day: date
    counts: bool
    coverage: float
    why: str

    def row(self) -> dict[str, Any]:
        """Row of the table that is printed."""
        share = _percent(self.coverage)
        return {"day": self.day, "counts": "yes" if self.counts else "no", "coverage": share,
                "why": self.why or "-"}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """Whether a strategy may trade live.

    Attributes
    ----------
    counted
        Distinct trading days that count.
    rows
        One a session, oldest first.
    missing
        What is missing, in a sentence or two; empty when nothing is.
    """

    counted: int
    needed: int
    rows: tuple[Verdict, ...]
    missing: str

    @property
    def ok(self) -> bool:
        """Whether enough sessions count."""
        return self.counted >= self.needed


def sessions(folder: Path, mode: str = "paper") -> list[PaperSession]:
    """Every session of a mode in an account's folder, oldest first; damaged ones too."""
    checks = stored(folder).days if folder.is_dir() else {}
    found = [_read(path, checks) for path in journals(folder, mode)]
    return sorted(found, key=lambda one: (one.day, one.path.name))


def journals(folder: Path, mode: str) -> list[Path]:
    """Journal files of a mode, oldest first."""
    return sorted(folder.glob(f"{mode}-*.journal"))


def judge(folder: Path, wanted: Identity, *, needed: int = NEEDED) -> Promotion:
    """Judge whether `wanted` may trade live on the account of this folder.

    Parameters
    ----------
    folder
        ``STATE/<account id>``.
    wanted
        With the programme as the user gave it, before the ramp.
    needed
        Distinct trading days.
    """
    return judge_sessions(sessions(folder), wanted, needed=needed)


def judge_sessions(
    found: Sequence[PaperSession], wanted: Identity, *, needed: int = NEEDED
) -> Promotion:
    """Judge paper sessions that have been read; see :func:`judge`."""
    rows, days = [], set()
    for one in found:
        why = one.faults(wanted)
        if not why and one.day in days:
            why = ["a second session of the same day"]
        if not why:
            days.add(one.day)
        rows.append(Verdict(day=one.day, counts=not why, coverage=one.coverage, why="; ".join(why)))
    return Promotion(
        counted=len(days), needed=needed, rows=tuple(rows), missing=_missing(len(days), needed)
    )


def live_days(folder: Path, wanted: Identity, today: date) -> int:
    """Distinct earlier days on which `wanted` traded live and ended flat, without a fault.

    A short day counts here: the ramp asks for days that went well, not for hours. A day whose
    drift check failed does not count, so the ramp stays where it is.
    """
    return count_live_days(sessions(folder, "live"), wanted, today)


def count_live_days(found: Sequence[PaperSession], wanted: Identity, today: date) -> int:
    """Count live sessions that have been read; see :func:`live_days`."""
    return len({
        one.day
        for one in found
        if one.day < today and one.end is not None and one.end.flat and not one.end.faults
        and not one.damage and (one.check is None or one.check.clean)
        and not any(identity.changes(wanted, ramp=True) for identity in one.identities)
    })  # fmt: skip


def override(reason: str, promotion: Promotion) -> dict[str, Any]:
    """Row for the journal that says who went past the rule, and past what.

    Raises
    ------
    UsageError
        The reason is too short to be one.
    """
    text = " ".join(reason.split())
    if len(text) < LEAST_REASON:
        raise UsageError(
            f"the override of the five paper sessions needs a reason of {LEAST_REASON} characters "
            f"or more, received {reason!r}; it is written to the journal"
        )
    return {
        "event": "promotion_override",
        "reason": text,
        "counted": promotion.counted,
        "needed": promotion.needed,
        "missing": promotion.missing,
    }


def _read(path: Path, checks: Mapping[str, DayCheck]) -> PaperSession:
    """Read one journal; what cannot be read is damage, never an exception."""
    day, known = _day_of(path), checks.get(path.name)
    try:
        whole = check(path)
        damage, head = whole.damage, whole.head
        rows = [] if damage else list(read(path, kinds=(Kind.RUN, Kind.END)))
    except PxError as error:
        damage, head, rows = str(error), "", []
    headers = [row.data for row in rows if row.kind == Kind.RUN]
    mode = path.name.partition("-")[0]
    if any(h.mode != mode or h.live != (mode == "live") for h in headers):
        damage = f"it is not a {mode} session, whatever its name says"
    if any(_date(h.date) != day for h in headers):
        damage = "its header is of another day than its name"
    ended = bool(rows) and rows[-1].kind == Kind.END
    return PaperSession(
        path=path,
        day=day,
        identities=tuple(map(Identity.of, headers)),
        end=rows[-1].data if ended else None,
        damage=damage,
        head=head,
        check=known if known is not None and known.head == head else None,
    )


def _missing(counted: int, needed: int) -> str:
    if counted >= needed:
        return ""
    more = needed - counted
    plural = "s" if more > 1 else ""
    return (
        f"{counted} of {needed} paper sessions count; {more} more full trading day{plural} on "
        "paper with this very strategy, its parameters, contracts and account rules are needed"
    )


def _trades(code: str, day: date) -> bool:
    return session(contract(code), day).trades


def _day_of(path: Path) -> date:
    try:
        return date.fromisoformat(path.stem.partition("-")[2])
    except ValueError:
        return date.min


def _date(yyyymmdd: int) -> date:
    return date(yyyymmdd // 10_000, yyyymmdd // 100 % 100, yyyymmdd % 100)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"

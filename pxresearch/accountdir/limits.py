"""A trader's own limits of an account: tighter at once, looser from the next trading day on.

They hold beside the rules of the account programme, and the tighter of the two counts. What has
once held on a trading day holds until its end: neither a restart nor a changed setting loosens it.
For every limit here the smaller number is the tighter one.

I/O: one file.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec

from pxresearch.accountdir.folder import write_whole
from pxresearch.errors import StateError, UnknownName, UsageError
from pxresearch.programmes import Programme

LIMITS_FILE = "limits.json"
RULES = {
    "daily_loss": "daily_loss_limit_micros",
    "max_order_qty": "max_order_qty",
    "max_size": "max_size_tenths",
}
"""Limits that can be set, and the field of `Programme` that each of them is."""


class Kept(msgspec.Struct, kw_only=True):
    """What the file holds; numbers in the units of the programme's fields.

    Attributes
    ----------
    day
        Trading day, yyyymmdd, of `held`, and before which `later` does not hold.
    own
        The trader's limits that hold now.
    later
        Looser ones, from the trading day after `day` on.
    held
        The tightest that have held on `day`, the programme's among them.
    """

    day: int = 0
    own: dict[str, int] = {}
    later: dict[str, int] = {}
    held: dict[str, int] = {}


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a limit that was asked for: it holds `now`, or from the next day on.

    `standing` is the one that holds until then; None where none is known.
    """

    now: bool
    standing: int | None


class Limits:
    """The limits of an account.

    Parameters
    ----------
    folder
        Of the account.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LIMITS_FILE

    def ask(self, rule: str, value: int, day: int) -> Asked:
        """Set a limit.

        Parameters
        ----------
        rule
            One of `RULES`.
        value
            In the unit of its field.
        day
            The trading day now, yyyymmdd.

        Raises
        ------
        UsageError
            No such rule, or a value that is not positive.
        StateError
            The file cannot be read.
        """
        _check(rule, value)
        kept = self._on(day)
        standing = min((d[rule] for d in (kept.own, kept.held) if rule in d), default=None)
        now = standing is None or value <= standing
        kept.later.pop(rule, None)
        if now:
            kept.own[rule] = kept.held[rule] = value
        else:
            kept.later[rule] = value
        self._save(kept)
        return Asked(now=now, standing=standing)

    def apply(self, programme: Programme, day: int) -> Programme:
        """Return the rules under which the account is traded on a day, and hold it to them.

        Parameters
        ----------
        programme
            Rules of the account.
        day
            Its trading day, yyyymmdd.

        Raises
        ------
        StateError
            The file cannot be read: which limits hold is not known, so nothing may be traded.
        """
        kept = self._on(day)
        for rule, field in RULES.items():
            given = getattr(programme, field)
            known = [d[rule] for d in (kept.own, kept.held) if rule in d]
            if known or given is not None:
                kept.held[rule] = min(known if given is None else [given, *known])
        self._save(kept)
        return replace(programme, **{RULES[rule]: value for rule, value in kept.held.items()})

    def _on(self, day: int) -> Kept:
        """What holds on a day; a day that has begun ends what was held on the one before."""
        kept = self._read()
        if day > kept.day:
            kept.own |= kept.later
            kept.day, kept.later, kept.held = day, {}, {}
        return kept

    def _read(self) -> Kept:
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=Kept)
        except FileNotFoundError:
            return Kept()
        except (OSError, msgspec.DecodeError) as error:
            raise StateError(
                f"{self.path} cannot be read ({error}), so nobody knows which limits hold; mend "
                "it, or remove it and set your limits anew"
            ) from None

    def _save(self, kept: Kept) -> None:
        write_whole(self.path, msgspec.json.format(msgspec.json.encode(kept)))


def _check(rule: str, value: int) -> None:
    if rule not in RULES:
        raise UnknownName("limit", rule, RULES)
    if value < 1:
        raise UsageError(f"limit {rule}: received {value}, allowed is a positive number")

"""The kill switch of an account: set at once from anywhere, released only on purpose.

It is a file. It outlives every process, and whatever is wrong with it, it counts as set. It can be
released from the next trading day on, or before with a reason that goes into the journal.

I/O: one file.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from pxresearch.accountdir.folder import remove, write_whole
from pxresearch.errors import UsageError
from pxresearch.sessions import from_ns, trading_day

LATCH_FILE = "halt.json"
SHORTEST_REASON = 10
"""Characters of a reason to release it on the day on which it was set."""


class Halt(msgspec.Struct, frozen=True, kw_only=True):
    """That an account is halted.

    Attributes
    ----------
    since
        ns UTC; 0 where it is not known.
    trading_day
        On which it was set, yyyymmdd; 0 where it is not known.
    why, by
        In words, and who: ``flatten``, ``guardian``, a run.
    """

    since: int
    trading_day: int
    why: str
    by: str

    def __str__(self) -> str:
        since = f" since {from_ns(self.since).isoformat(' ', 'seconds')}" if self.since else ""
        return f"halted{since} by {self.by}: {self.why}"


class Latch:
    """The kill switch of an account.

    Parameters
    ----------
    folder
        Of the account.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LATCH_FILE

    def set(self, now: int, *, why: str, by: str) -> Halt:
        """Halt the account from now on, ns UTC; one that was set is set anew.

        Raises
        ------
        OSError
            Not even an empty file can be made. On a full disk it can: that one counts as set.
        """
        halt = Halt(since=now, trading_day=day_number(now), why=why, by=by)
        try:
            write_whole(self.path, msgspec.json.encode(halt))
        except OSError:
            self.path.touch(0o600)
        return halt

    def read(self) -> Halt | None:
        """Whether the account is halted; a file that cannot be read says that it is."""
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=Halt)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            why = f"{self.path} cannot be read ({error}), which counts as set"
            return Halt(since=0, trading_day=0, why=why, by="an unreadable file")

    def clear(self, reason: str, now: int) -> Halt | None:
        """Release it; what it said, for the journal, or None when it was not set.

        Parameters
        ----------
        reason
            Needed on the trading day on which it was set, and where that day is not known.
        now
            ns UTC.

        Raises
        ------
        UsageError
            Neither a later trading day nor a reason; it stays set.
        """
        halt = self.read()
        if halt is not None:
            check_release(halt, reason, now)
            remove(self.path)
        return halt


def check_release(halt: Halt, reason: str, now: int) -> None:
    """Refuse what `Latch.clear` would refuse.

    Raises
    ------
    UsageError
        Neither a later trading day nor a reason.
    """
    later = 0 < halt.trading_day < day_number(now)
    typed = len(reason.strip())
    if not later and typed < SHORTEST_REASON:
        day = f"trading day {halt.trading_day}" if halt.trading_day else "a day that is not known"
        raise UsageError(
            f"{halt} (on {day}). It is released without a word from the next trading day on, and "
            f"before that with a reason of {SHORTEST_REASON} characters or more; received {typed}"
        )


def day_number(now: int) -> int:
    """Trading day of an instant, yyyymmdd."""
    day = trading_day(now)
    return day.year * 10_000 + day.month * 100 + day.day

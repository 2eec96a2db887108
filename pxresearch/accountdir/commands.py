"""A box into which a second terminal drops commands for the process that trades.

Each command is a file. The process takes what is there once a second; one that is not running takes
it when it starts. A command is taken once: whoever removes its file has it. One that is too old is
not carried out.

I/O: files in ``commands/``.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from pxresearch.accountdir.folder import remove, write_whole
from pxresearch.clock import NS, Clock, WallClock

Kind = Literal["rearm", "halt", "limit", "stop"]
FOLDER = "commands"
_DAY_S = 86_400.0
LIFE_S: dict[Kind, float] = {"rearm": 4 * _DAY_S, "halt": _DAY_S, "limit": 60.0, "stop": 60.0}
"""Seconds after which a command is too old. A rearm outlives a weekend; a stop and a limit are
meant for the process that runs now, and a limit is kept in `limits` besides."""
_SUFFIX = ".json"
_numbers = itertools.count()


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A command.

    Attributes
    ----------
    kind
        ``rearm`` (release the kill switch), ``halt`` (flatten and set it), ``limit`` (`rule` is
        tightened to `value`), ``stop`` (end the session).
    sent
        ns UTC.
    id
        Name of its file; unique in the account, and in the order of sending.
    reason, by
        For the journal.
    rule, value
        One of `limits.RULES`, in the unit of its field.
    """

    kind: Kind
    sent: int
    id: str
    reason: str = ""
    by: str = ""
    rule: str = ""
    value: int = 0


class Box:
    """The box of an account.

    Parameters
    ----------
    folder
        Of the account.
    clock
        Stamps what is sent and judges its age; the same on both sides, so the machine's.
    on_note
        Gets a sentence about each command that is not carried out.
    """

    def __init__(
        self, folder: Path, *, clock: Clock | None = None,
        on_note: Callable[[str], None] | None = None,
    ) -> None:  # fmt: skip
        self.path = folder / FOLDER
        self._clock = clock or WallClock()
        self._on_note = on_note

    def send(
        self, kind: Kind, *, reason: str = "", by: str = "", rule: str = "", value: int = 0
    ) -> Command:
        """Drop a command; on return it is on the disk."""
        now = self._clock.now()
        name = f"{now:020d}-{os.getpid()}-{next(_numbers):06d}"
        command = Command(
            kind=kind, sent=now, id=name, reason=reason, by=by, rule=rule, value=value
        )
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(self.path / (name + _SUFFIX), msgspec.json.encode(command))
        return command

    def waiting(self, command: Command) -> bool:
        """Whether nobody has taken a command yet."""
        return (self.path / (command.id + _SUFFIX)).exists()

    def take(self) -> list[Command]:
        """Take what is there, in the order of sending; nobody else gets it."""
        try:
            with os.scandir(self.path) as entries:
                names = sorted(one.name for one in entries if one.name.endswith(_SUFFIX))
        except FileNotFoundError:
            return []
        return [command for name in names if (command := self._claim(name)) is not None]

    def _claim(self, name: str) -> Command | None:
        path = self.path / name
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        if not remove(path):
            return None
        try:
            command = msgspec.json.decode(data, type=Command)
        except msgspec.DecodeError as error:
            return self._refuse(f"command {name} cannot be read and is not carried out: {error}")
        age = (self._clock.now() - command.sent) / NS
        if age > LIFE_S[command.kind]:
            return self._refuse(
                f"command {command.kind!r} was sent {age:.0f} s ago and is not carried out: it "
                f"lives for {LIFE_S[command.kind]:.0f} s; send it again if it is still meant"
            )
        return command

    def _refuse(self, text: str) -> None:
        if self._on_note is not None:
            self._on_note(text)

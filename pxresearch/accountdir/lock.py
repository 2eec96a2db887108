"""One process an account: a lock that the operating system gives up when its owner dies.

The lock is the system's, on a byte far behind the text of the file; the text only says whose it is,
so what a dead process left there is no obstacle.

I/O: one file.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import msgspec

from pxresearch.clock import Clock, WallClock
from pxresearch.errors import AccountInUse, StateError
from pxresearch.sessions import from_ns

LOCK_FILE = "lock"
_FAR = 1 << 40  # beyond any text: Windows forbids reading what is locked
_TRIES, _PAUSE_S = 30, 0.01  # `owner` holds the lock for a moment while it looks


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """Whose an account is.

    Attributes
    ----------
    pid, host
        The process, and the machine it runs on.
    since
        ns UTC.
    mode, run
        ``paper`` or ``live``, and the name of the run.
    """

    pid: int
    host: str
    since: int
    mode: str
    run: str

    def __str__(self) -> str:
        since = from_ns(self.since).isoformat(" ", "seconds")
        return f"process {self.pid} on {self.host}, {self.mode}, since {since}"


class AccountLock:
    """The lock of an account; a context, or `close` it.

    Parameters
    ----------
    folder
        Of the account.
    mode, run
        For whoever is refused.

    Raises
    ------
    AccountInUse
        Another process has it; the text says which.
    """

    def __init__(
        self, folder: Path, *, mode: str, run: str = "", clock: Clock | None = None
    ) -> None:
        self.path = folder / LOCK_FILE
        self.path.touch(0o600)
        self._file = self.path.open("r+b")
        try:
            if not _locked(self._file, _TRIES):
                raise AccountInUse(
                    f"account {folder.name} is already traded by {_read(self.path) or 'a process'}"
                    "; one process an account: stop that one first, or use another account"
                )
            now = (clock or WallClock()).now()
            self.owner = Owner(
                pid=os.getpid(), host=socket.gethostname(), since=now, mode=mode, run=run
            )
            self._write(msgspec.json.encode(self.owner))
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> AccountLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    def close(self) -> None:
        """Give the account up; any number of times."""
        if not self._file.closed:
            self._write(b"")
            self._file.close()

    def _write(self, text: bytes) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._file.write(text)
        self._file.flush()


def owner(folder: Path) -> Owner | None:
    """Whose an account is now; None when no living process has it.

    Raises
    ------
    StateError
        A process has it, and its text cannot be read.
    """
    path = folder / LOCK_FILE
    try:
        file = path.open("r+b")
    except FileNotFoundError:
        return None
    with file:
        if _locked(file, 1):
            return None
    found = _read(path)
    if found is None:
        raise StateError(f"{path}: a process has this account, and does not say which")
    return found


def _read(path: Path) -> Owner | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Owner)
    except (OSError, msgspec.DecodeError):
        return None


def _locked(file: BinaryIO, tries: int) -> bool:
    """Lock a file for this process if no other has it; closing it unlocks."""
    pause = threading.Event()
    for again in range(tries):
        if again:
            pause.wait(_PAUSE_S)
        with contextlib.suppress(OSError):
            _lock(file)
            return True
    return False


def _lock(file: BinaryIO) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        file.seek(_FAR)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        file.seek(0)
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

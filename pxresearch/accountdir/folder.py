"""Where the state of an account lies, and how a file of it is replaced whole.

I/O: makes folders, writes files.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable
from pathlib import Path

_REPLACING = 1_000  # attempts: on Windows a file that is being read at this moment cannot be
_numbers = itertools.count()


def account_folder(state: Path, account: int) -> Path:
    """Folder of an account; made if need be, for its owner's eyes only.

    Parameters
    ----------
    state
        The folder of all accounts; a leading ``~`` is the user's home.
    account
        Id of the account.
    """
    folder = state.expanduser() / str(account)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def account_ids(state: Path) -> list[int]:
    """Ids of the accounts that have a folder, ascending."""
    with contextlib.suppress(FileNotFoundError):
        return sorted(int(one.name) for one in state.expanduser().iterdir() if one.name.isdigit())
    return []


def write_whole(path: Path, data: bytes, *, lasting: bool = True) -> None:
    """Replace a file, or make it, in one step: a reader sees the old one or the new one.

    On return it is on the disk, where it is to be `lasting`: what is written anew every second need
    not outlive a power cut, and the disk takes milliseconds. OSError: the old one is still there.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.{next(_numbers)}")
    try:
        with draft.open("xb") as file:
            file.write(data)
            if lasting:
                file.flush()
                os.fsync(file.fileno())
        _stubborn(lambda: draft.replace(path))
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
    if lasting:
        _settle(path.parent)


def remove(path: Path) -> bool:
    """Remove a file; False when it was not there, or another process was first."""
    try:
        _stubborn(path.unlink)
    except FileNotFoundError:
        return False
    _settle(path.parent)
    return True


def _stubborn(act: Callable[[], object]) -> None:
    for _ in range(_REPLACING):
        try:
            act()
        except PermissionError:
            if os.name != "nt":
                raise
        else:
            return
    act()


def _settle(folder: Path) -> None:
    """Bring a new name to the disk too; Windows has no such call and does it by itself."""
    if os.name == "nt":
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)

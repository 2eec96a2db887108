"""S113: one process an account; the system gives the lock up when its owner dies."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pxresearch.accountdir import AccountLock, account_folder, owner
from pxresearch.clock import NS, VirtualClock
from pxresearch.errors import AccountInUse, StateError

NOW = 1_790_865_000 * NS
HOLD = """
import sys
from pathlib import Path
from pxresearch.accountdir import AccountLock
lock = AccountLock(Path(sys.argv[1]), mode="live", run="a-run")
print("held", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the account until it is killed."""
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    with child:
        assert child.stdout is not None
        try:
            assert child.stdout.readline() == "held\n"
            yield child
        finally:
            child.kill()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return account_folder(tmp_path, 77)


def test_a_second_process_is_refused_with_the_owner(folder: Path) -> None:
    """Its pid, its host, its mode and since when; the text can be read while it is locked."""
    assert owner(folder) is None
    with holder(folder) as child:
        found = owner(folder)
        assert found is not None
        assert (found.pid, found.host, found.mode, found.run) == (
            child.pid, socket.gethostname(), "live", "a-run",
        )  # fmt: skip
        with pytest.raises(AccountInUse) as refused:
            AccountLock(folder, mode="paper")
        for part in ("account 77", str(child.pid), socket.gethostname(), "live", "since 20"):
            assert part in str(refused.value)
        assert owner(folder) == found  # the one that was refused changed nothing
        with AccountLock(account_folder(folder.parent, 78), mode="paper"):
            pass  # another account is another lock


def test_a_killed_owner_is_no_obstacle(folder: Path) -> None:
    """kill -9 leaves its text behind, and no lock."""
    with holder(folder) as child:
        child.kill()
        child.wait()
    assert str(child.pid) in (folder / "lock").read_text()
    assert owner(folder) is None
    with AccountLock(folder, mode="paper", run="next", clock=VirtualClock(NOW)) as lock:
        assert owner(folder) == lock.owner
        assert (lock.owner.pid, lock.owner.since) == (os.getpid(), NOW)


def test_given_up_and_taken_again(folder: Path) -> None:
    """Closed any number of times; within a process there is no second one either."""
    lock = AccountLock(folder, mode="paper")
    with pytest.raises(AccountInUse):
        AccountLock(folder, mode="paper")
    lock.close()
    lock.close()
    assert owner(folder) is None
    AccountLock(folder, mode="live").close()


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\x00", b'{"pid": "x"}', b"x" * 5_000])
def test_whatever_stands_in_the_file(folder: Path, text: bytes) -> None:
    """Unlocked, it is overwritten whole; locked, nobody guesses whose it is."""
    (folder / "lock").write_bytes(text)
    assert owner(folder) is None
    with AccountLock(folder, mode="paper") as lock:
        assert owner(folder) == lock.owner
        (folder / "lock").write_bytes(text)
        with pytest.raises(StateError, match="does not say which"):
            owner(folder)
        with pytest.raises(AccountInUse, match="a process"):
            AccountLock(folder, mode="paper")


def test_looking_does_not_get_in_the_way(folder: Path) -> None:
    """`owner` holds the lock while it looks; whoever starts meanwhile gets it all the same."""
    look = "import sys; from pathlib import Path; from pxresearch.accountdir import owner\n" \
           "print('go', flush=True)\nwhile True: owner(Path(sys.argv[1]))"  # fmt: skip
    child = subprocess.Popen(
        [sys.executable, "-c", look, str(folder)], stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout is not None
        try:
            child.stdout.readline()
            for _ in range(300):
                AccountLock(folder, mode="paper").close()
        finally:
            child.kill()

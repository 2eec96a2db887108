"""What reaches a running session from outside its loop: the kill switch, commands, the status file.

I/O: the account's folder; the status is written by a thread, so that a slow disk holds up nothing.
"""

from __future__ import annotations

import queue
import threading
from pathlib import Path

import msgspec

from pxresearch.accountdir.folder import write_whole
from pxresearch.health import Health

STATUS_FILE = "status.json"
_EVERY_NS = 60_000_000_000


class StatusFile:
    """The newest health of a session, for other processes; what is too fast is left out.

    Parameters
    ----------
    threaded
        False writes in the caller's thread, one a minute of the session's time at most, because
        there a write holds everything up.

    Attributes
    ----------
    failed
        Why the last one could not be written.
    """

    def __init__(self, folder: Path, *, threaded: bool = True) -> None:
        self.path = folder / STATUS_FILE
        self.failed: str | None = None
        self._latest: queue.Queue[Health | None] = queue.Queue(1)
        self._thread = None
        self._held: Health | None = None
        self._next = 0
        if threaded:
            self._thread = threading.Thread(target=self._run, name="status", daemon=True)
            self._thread.start()

    def put(self, health: Health) -> None:
        """Hand over; an older one that still waits is dropped."""
        if self._thread is None:
            self._held = health
            if health.ts >= self._next:
                self._next = health.ts + _EVERY_NS
                self._write(health)
            return
        while True:
            try:
                self._latest.put_nowait(health)
            except queue.Full:
                try:
                    self._latest.get_nowait()
                except queue.Empty:
                    continue
            else:
                return

    def close(self) -> None:
        """Write the last one and end."""
        if self._thread is not None:
            self._latest.put(None)
            self._thread.join(2.0)
        elif self._held is not None:
            self._write(self._held)

    def _run(self) -> None:
        while (health := self._latest.get()) is not None:
            self._write(health)

    def _write(self, health: Health) -> None:
        try:
            write_whole(self.path, msgspec.json.encode(health), lasting=False)
            self.failed = None
        except OSError as error:
            self.failed = str(error)


def read_status(folder: Path) -> Health | None:
    """The last health that a session of this account has written; None without one."""
    try:
        return msgspec.json.decode((folder / STATUS_FILE).read_bytes(), type=Health)
    except (OSError, msgspec.DecodeError):
        return None

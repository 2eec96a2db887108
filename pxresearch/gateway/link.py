"""One connection's thread, and its bridge to the loop.

The thread reads, decodes and puts events in the inbox. The loop hears of three things only: the
handshake is done, a control record has come, the connection is over.

I/O: one thread with one TCP connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable

from pxresearch.clock import Clock
from pxresearch.gateway.inbox import Inbox
from pxresearch.gateway.reader import Reader
from pxresearch.gateway.signalr import Connection
from pxresearch.gateway.websocket import Lost

_END_S = 0.5  # a thread that is told to end has noticed by then


class Link:
    """A connection on its way through life; never used twice.

    Parameters
    ----------
    url, token
        Where to, and what opens it.
    reader, inbox
        What turns its records into events, and where those go.
    changed
        Called on the loop whenever something happened.

    Attributes
    ----------
    open
        The handshake is done.
    lost
        Why it is over; None while it is not.
    received, data
        When the last record, and the last market or user event came, ns UTC.
    count
        Records that have been read, and whose events are in the inbox.
    port
        Our port, by which the other end knows the connection.
    """

    def __init__(
        self, url: str, token: str, reader: Reader, inbox: Inbox, clock: Clock,
        changed: Callable[[], None], name: str,
    ) -> None:  # fmt: skip
        self.reader = reader
        self.open = False
        self.lost: Lost | None = None
        self.received: int | None = None
        self.data: int | None = None
        self.count = self.port = 0
        self._inbox, self._clock, self._changed = inbox, clock, changed
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._cut = False
        self._connection = Connection(url, token, self)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    # ------------------------------------------------------------ from the loop
    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def call(self, invocation_id: str, method: str, arguments: list[object]) -> None:
        """Call a method of the hub; Lost if that cannot be sent."""
        self._connection.call(invocation_id, method, arguments)

    def ping(self) -> None:
        """Send a ping; Lost if that cannot be sent."""
        self._connection.ping()

    def cut(self) -> None:
        """Take no more events from it, whatever still arrives."""
        self._cut = True

    async def end(self) -> None:
        """End it and wait for its thread; under a second, any number of times."""
        self.cut()
        self._connection.end(politely=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_END_S):
                await self._over.wait()
            self._thread.join(_END_S)

    # ------------------------------------------------------------ from its thread
    def opened(self) -> None:
        """Note that the handshake is done."""
        self.received, self.port = self._clock.now(), self._connection.port
        self.open = True
        self._tell(self._changed)

    def records(self, records: list[bytes]) -> None:
        """Read records and pass their events on."""
        if self._cut:
            return
        self.received = now = self._clock.now()
        events = self.reader.read(records, now)
        if events:
            self.data = now
            self._inbox.put(events)
        if self.reader.controls:
            self._tell(self._changed)
        self.count += len(records)  # last: who has seen the count finds the events

    def _run(self) -> None:
        try:
            self._connection.run()
        except Lost as lost:
            self.lost = lost
        except Exception as error:  # noqa: BLE001 - a thread must not die without a word
            self.lost = Lost(f"the connection failed here: {type(error).__name__}: {error}")
        self._tell(self._finish)

    def _finish(self) -> None:
        self._over.set()
        self._changed()

    def _tell(self, what: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended before us
            self._loop.call_soon_threadsafe(what)

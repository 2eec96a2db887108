"""The delivery of alerts: handed over in microseconds, delivered by threads, one a channel.

A channel that is slow or down holds up neither the trading loop nor another channel. Each gets its
alerts in order. What it does not take is tried again, later and later; what is still not taken
after the last try is given up and counted. The queue is bounded: when it is full, the oldest of the
least important alerts makes room.

I/O: threads; the network, through the channels.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from pxresearch.alerts.alert import Alert
from pxresearch.alerts.channel import Channel
from pxresearch.clock import NS, Clock

RETRY_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, *(60.0,) * 14)
"""Waits between the tries: an outage of a quarter of an hour loses nothing."""

MOST_WAITING = 500  # alerts a channel


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try to deliver one alert on one channel.

    Attributes
    ----------
    number
        1 for the first.
    error
        Why it was not taken, without secrets; empty when it was.
    last
        No further try follows: delivered, or given up.
    seconds
        From the alert's own time to the end of this try.
    """

    channel: str
    alert: Alert
    number: int
    error: str
    last: bool
    seconds: float


class Alerts:
    """Sends alerts to every channel.

    Parameters
    ----------
    channels
        Where to; see `pxresearch.alerts.channels`. Without any, nothing is sent.
    clock
        Only tells how long a delivery took; the waits between tries are real time.
    on_result
        Told of each try, in the channel's thread.
    retry_s
        Waits between the tries, seconds.
    most
        Alerts that may wait on one channel.

    Attributes
    ----------
    failed
        Tries that failed; the alert may have been delivered later.
    lost
        Alerts given up, or pushed out of a full queue; each channel counts.
    last_error
        The channel that failed last, and why; empty when none did.
    """

    def __init__(
        self,
        channels: Sequence[Channel],
        *,
        clock: Clock,
        on_result: Callable[[Attempt], None] | None = None,
        retry_s: Sequence[float] = RETRY_S,
        most: int = MOST_WAITING,
    ) -> None:
        self._clock, self._on_result = clock, on_result
        self._lock = threading.Lock()
        self.failed = self.lost = 0
        self.last_error = ""
        self._lanes = [_Lane(one, retry_s, most, self._tried, self._pushed_out) for one in channels]

    def __repr__(self) -> str:
        names = ", ".join(lane.channel.name for lane in self._lanes)
        return f"Alerts({names}; {self.failed} failed tries, {self.lost} lost)"

    def send(self, alert: Alert) -> None:
        """Hand an alert over; never blocks, never raises."""
        for lane in self._lanes:
            lane.put(alert)

    @property
    def waiting(self) -> int:
        """Alerts that are not delivered yet; each channel counts."""
        return sum(lane.waiting for lane in self._lanes)

    def close(self, timeout: float = 10.0) -> int:
        """Deliver what waits, each alert tried once more, and end the threads.

        Parameters
        ----------
        timeout
            Seconds, for all channels together. Who is slower is left behind.

        Returns
        -------
        int
            Alerts that were lost, from the start on, or are left behind.
        """
        for lane in self._lanes:
            lane.close()
        # a thread that adds up the others' ends lets the whole of it have one limit
        ends = threading.Thread(target=lambda: [lane.join() for lane in self._lanes], daemon=True)
        ends.start()
        ends.join(timeout)
        return self.lost + self.waiting

    def _tried(self, lane: _Lane, alert: Alert, number: int, error: str, last: bool) -> None:
        with self._lock:
            if error:
                self.failed += 1
                self.lost += last
                self.last_error = f"{lane.channel.name}: {error}"
        if self._on_result is not None:
            attempt = Attempt(
                channel=lane.channel.name, alert=alert, number=number, error=error, last=last,
                seconds=(self._clock.now() - alert.ts) / NS,
            )  # fmt: skip
            try:
                self._on_result(attempt)
            except Exception as wrong:  # noqa: BLE001 - a listener's fault must not end the channel
                self.last_error = f"a listener to deliveries raised {type(wrong).__name__}"

    def _pushed_out(self, lane: _Lane, why: str) -> None:
        with self._lock:
            self.lost += 1
            self.last_error = f"{lane.channel.name}: {why}"


class _Lane:
    """The queue and the thread of one channel."""

    def __init__(
        self,
        channel: Channel,
        retry_s: Sequence[float],
        most: int,
        tried: Callable[[_Lane, Alert, int, str, bool], None],
        pushed_out: Callable[[_Lane, str], None],
    ) -> None:
        self.channel = channel
        self._retry_s, self._most = retry_s, most
        self._tried, self._pushed_out = tried, pushed_out
        self._queue: deque[Alert] = deque()
        self._busy = False
        self._wake = threading.Condition()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Queued, and the one that is being tried."""
        with self._wake:
            return len(self._queue) + self._busy

    def put(self, alert: Alert) -> None:
        """Queue an alert."""
        why = ""
        with self._wake:
            if self._closing.is_set():
                why = "closed before an alert was sent"
            else:
                if len(self._queue) >= self._most:
                    del self._queue[self._least()]
                    why = f"more than {self._most} alerts wait"
                self._queue.append(alert)
                self._wake.notify()
        if why:
            self._pushed_out(self, why)

    def close(self) -> None:
        """Have what waits tried without a pause, and then end."""
        with self._wake:
            self._closing.set()
            self._wake.notify()

    def join(self) -> None:
        """Wait for the end of the thread."""
        self._thread.join()

    def _least(self) -> int:
        """Index of the oldest of the least important."""
        return min(range(len(self._queue)), key=lambda i: self._queue[i].rank)

    def _run(self) -> None:
        while (alert := self._next()) is not None:
            self._deliver(alert)
            with self._wake:
                self._busy = False

    def _next(self) -> Alert | None:
        with self._wake:
            self._wake.wait_for(lambda: self._queue or self._closing.is_set())
            self._busy = bool(self._queue)
            return self._queue.popleft() if self._queue else None

    def _deliver(self, alert: Alert) -> None:
        for number in range(1, len(self._retry_s) + 2):
            closing = self._closing.is_set()
            error = self.channel.deliver(alert)
            last = not error or closing or number > len(self._retry_s)
            self._tried(self, alert, number, error, last)
            if last:
                return
            self._closing.wait(self._retry_s[number - 1])

"""The heartbeat: a URL of an outside monitor, asked for while all is well.

A dead machine sends no alert. Who watches from outside, in the manner of healthchecks.io, raises
one when the heartbeat stays out. The URL holds a secret and is shown nowhere.

I/O: reads the environment and the keyring; one thread; the network.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from queue import SimpleQueue

import httpx

from pxresearch.clock import NS
from pxresearch.errors import UsageError
from pxresearch.gateway.credentials import look_up

VARIABLE = "PXRESEARCH_HEARTBEAT"
PERIOD_S = 60.0
_PATIENCE_S = 10.0


class Heartbeat:
    """Beats on the outside monitor, off the trading path.

    Parameters
    ----------
    url
        Is asked for with GET.
    period_s
        Least time between two beats, seconds.

    Raises
    ------
    UsageError
        Not an http or https URL. It is not shown.
    """

    def __init__(self, url: str, *, period_s: float = PERIOD_S) -> None:
        if not url.startswith(("http://", "https://")) or any(c.isspace() for c in url):
            raise UsageError(
                f"{VARIABLE} holds no URL that begins with http:// or https:// (it is not shown, "
                "for it may hold a secret); copy the ping URL of your monitor"
            )
        self._url = url
        # httpx writes each URL it asks for into its logger
        for name in ("httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self._period, self._last = round(period_s * NS), 0
        self._client = httpx.Client(timeout=_PATIENCE_S, follow_redirects=True)
        self._due: SimpleQueue[bool] = SimpleQueue()
        self.sent = self.failed = 0
        self.last_error = ""
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        return f"Heartbeat({self.sent} sent, {self.failed} failed)"

    def beat(self, ts: int) -> None:
        """Tell that all is well; call it as often as that is known. Never blocks.

        Parameters
        ----------
        ts
            Now, ns UTC.
        """
        if ts - self._last >= self._period:
            self._last = ts
            self._due.put(True)

    def close(self, timeout: float = 2.0) -> None:
        """End the thread; a beat that is due goes out first.

        Parameters
        ----------
        timeout
            Longest wait, seconds.
        """
        self._due.put(False)
        self._thread.join(timeout)

    def _run(self) -> None:
        with self._client:
            while self._due.get():
                self._ask()

    def _ask(self) -> None:
        try:
            status = self._client.get(self._url).status_code
        # whatever it is, it is counted; its text is not kept, for it may hold the URL
        except Exception as error:  # noqa: BLE001
            self._count(type(error).__name__)
        else:
            self._count("" if status < 300 else f"HTTP {status}")

    def _count(self, error: str) -> None:
        if error:
            self.failed, self.last_error = self.failed + 1, error
        else:
            self.sent += 1


def heartbeat(environ: Mapping[str, str] | None = None) -> Heartbeat | None:
    """Heartbeat that is configured; None when no URL is set.

    Parameters
    ----------
    environ
        Environment variables; those of the process when left out. PXRESEARCH_HEARTBEAT holds the
        URL; without it the keyring is asked, service ``pxresearch``, user ``PXRESEARCH_HEARTBEAT``.

    Raises
    ------
    UsageError
        What is set is no URL.
    """
    url = (look_up(VARIABLE, VARIABLE, environ) or "").strip()
    return Heartbeat(url) if url else None

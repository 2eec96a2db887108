"""What the tests of alerts share: a server that takes, refuses or hangs, and a good health."""

from __future__ import annotations

import contextlib
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pxresearch.alerts import Alert, Channel, channels
from pxresearch.clock import NS
from pxresearch.core.records import MICROS
from pxresearch.health import Health, Line

PATIENCE_S = 10.0

START = 1_790_000_000 * NS
FLATTEN = START + 3_600 * NS
LINE = Line(
    code="MNQZ26", position=0, bid=80_000, ask=80_001, last=80_000, feed_age_s=0.2, open_pnl=0,
    flatten_at=FLATTEN, session_open=True,
)  # fmt: skip
GOOD = Health(
    ts=START, account=17, account_name="50KTC-17", mode="paper", strategy="EmaCross", run="r1",
    trading_day=20_717, contracts=(LINE,), balance=50_000 * MICROS, day_pnl=0, realized=0,
    open_pnl=0, costs=0, daily_loss_limit=1_000 * MICROS, day_room=1_000 * MICROS,
    max_loss_room=2_000 * MICROS, flatten_at=FLATTEN, user_hub=True, market_hub=True,
    reconciled=True, blocked=(), unresolved=(), halted=False, locked="", calls={}, order_ms=None,
    journal_lag_s=0.0, journal_failed=None, alerts_failed=0, events=0, orders=0, fills=0,
    refusals=0, last_signal="", last_refusal="",
)  # fmt: skip


class Server:
    """Records what it is sent; answers with what `status` says of the path and the try's number."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.status: Callable[[str, int], int] = lambda path, number: 200
        self.hang = threading.Event()  # set: /hang answers
        self._news = threading.Condition()
        kit = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                kit.answer(self, self.rfile.read(int(self.headers["Content-Length"])))

            def do_GET(self) -> None:
                kit.answer(self, b"{}")

            def log_message(self, *args: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()
        self.port = self._http.server_address[1]

    def answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        """Record one request, and answer it."""
        if "/hang" in handler.path:
            self.hang.wait(PATIENCE_S)
        with self._news:
            self.paths.append(handler.path)
            status = self.status(handler.path, len(self.paths))
            if status < 300:
                self.bodies.append(json.loads(body))
            self._news.notify_all()
        with contextlib.suppress(OSError):  # who asked may have left
            handler.send_response(status)
            handler.send_header("Content-Length", "0")
            handler.end_headers()

    def wait(self, ready: Callable[[], bool]) -> None:
        """Wait until something is so; fail when it never is."""
        with self._news:
            assert self._news.wait_for(ready, PATIENCE_S), (self.paths, self.bodies)

    @property
    def texts(self) -> list[str]:
        """Texts of the alerts that were taken, in order."""
        return [body["message"] for body in self.bodies]

    def channels(self, *paths: str) -> tuple[Channel, ...]:
        """Real channels of apprise, one a path."""
        urls = " ".join(f"json://127.0.0.1:{self.port}/{path}" for path in paths)
        return channels({"PXRESEARCH_ALERTS": urls})

    def close(self) -> None:
        """Let who hangs go, and end."""
        self.hang.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


@contextlib.contextmanager
def server() -> Iterator[Server]:
    """A server on a free port of this machine."""
    one = Server()
    try:
        yield one
    finally:
        one.close()


class _Mailbox(socketserver.StreamRequestHandler):
    """Just enough SMTP to take one letter."""

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline().strip().upper():
            if line == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                lines = iter(self.rfile.readline, b".\r\n")
                self.server.letters.append(b"".join(lines))  # type: ignore[attr-defined]
            self.wfile.write(b"221 bye\r\n" if line == b"QUIT" else b"250 fine\r\n")


@contextlib.contextmanager
def mailbox() -> Iterator[tuple[int, list[bytes]]]:
    """Port of an SMTP server on this machine, and the letters that it took."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Mailbox) as smtp:
        smtp.letters = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=smtp.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield smtp.server_address[1], smtp.letters  # type: ignore[attr-defined]
        finally:
            smtp.shutdown()
            thread.join()


def alert(text: str, level: str = "warning", ts: int = 0) -> Alert:
    """Alert with a text."""
    return Alert(ts=ts, kind="test", level=level, title=f"about {text}", text=text, key=text)

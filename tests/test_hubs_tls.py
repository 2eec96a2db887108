"""The same connection over TLS, where reading and writing share one state.

The ciphers are anonymous ones, so that no certificate and no key has to lie about.
"""

from __future__ import annotations

import ssl
import threading
import time

import pytest

from pxresearch.gateway.signalr import Connection
from pxresearch.gateway.websocket import Lost
from tests.hub_server import HubServer


def context(side: int) -> ssl.SSLContext:
    """TLS without certificates."""
    made = ssl.SSLContext(side)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.maximum_version = ssl.TLSVersion.TLSv1_2
    made.set_ciphers("AECDH-AES128-SHA:@SECLEVEL=0")
    return made


class Sink:
    """Collects what a connection tells."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.rows: list[bytes] = []

    def opened(self) -> None:
        self.open.set()

    def records(self, records: list[bytes]) -> None:
        self.rows += records


def wait(condition, seconds: float = 10.0) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.005)


def test_records_both_ways_at_once() -> None:
    """Large frames come in while pings go out; nothing is mixed up and the end is clean."""
    sink, ended = Sink(), []
    with HubServer(context=context(ssl.PROTOCOL_TLS_SERVER)) as server:
        one = Connection(f"{server.url}/hubs/market", "t", sink, context(ssl.PROTOCOL_TLS_CLIENT))

        def run() -> None:
            try:
                one.run()
            except Lost as lost:
                ended.append(str(lost))

        thread = threading.Thread(target=run)
        thread.start()
        assert sink.open.wait(10)
        big = ['{"type":6,"filler":"' + "x" * size + '"}\x1e' for size in (10, 70_000, 200_000)]
        sending = threading.Thread(target=lambda: server.send("market", *big * 30))
        sending.start()
        for _ in range(200):
            one.ping()
        sending.join()
        wait(lambda: len(sink.rows) == 90)
        assert [len(row) for row in sink.rows] == [len(row) - 1 for row in big] * 30
        live = server.live("market")
        assert live is not None
        wait(lambda: len(live.records) == 200)
        one.end(politely=True)
        thread.join(5)
        assert not thread.is_alive()
        assert len(ended) == 1  # by us, or by the server that answered our close first
        wait(lambda: live.records[-1] == {"type": 7})


def test_a_server_that_cannot_prove_itself_gets_no_token() -> None:
    """With the default context an anonymous server is refused, before a token is sent."""
    with HubServer(context=context(ssl.PROTOCOL_TLS_SERVER)) as server:
        one = Connection(f"{server.url}/hubs/market", "t", Sink())
        with pytest.raises(Lost, match="network failed"):
            one.run()
        assert not server.requests

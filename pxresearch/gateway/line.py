"""Connections that are kept open for orders, so that none waits for a handshake.

A general HTTP client takes over a millisecond for what is one write and one read; here the bytes of
a request are put together and written at once. h11 reads the answers: it knows how they are framed.

A request is written once, to a connection that shows no sign of its end, and a connection whose
answer did not come whole is never used again. What `open` or `ask` raises says that nothing was
sent; once `ask` has returned, the request may have arrived.

No variable that outlives a write holds a request, because its token would show in a traceback.

I/O: the network, one TCP connection a line, with TLS for https.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import NamedTuple, cast
from urllib.parse import urlsplit

import h11
import httpx

from pxresearch.clock import NS, Clock

_MAX_BODY = 1 << 20  # bytes of an answer; that to an order has a few hundred
_LONGEST_PAUSE_S = 60.0  # between attempts to open one ahead
_LIVED_S = 10.0  # one that lasted so long was good: the next is opened at once


class Answer(NamedTuple):
    """An answer as it came; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Broken(Exception):
    """The connection ended, or what came is no answer; the request may have arrived."""


class Line(asyncio.Protocol):
    """One connection; `Lines` makes them."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._transport: asyncio.Transport | None = None
        self._readable: Callable[[], bool] = lambda: True
        self._reader = h11.Connection(h11.CLIENT)
        self._answer: asyncio.Future[Answer] | None = None
        self._head: h11.Response | None = None
        self._body = bytearray()

    @property
    def usable(self) -> bool:
        """Whether it is open and quiet: what can be read from an idle one is its end."""
        transport = self._transport
        return transport is not None and not transport.is_closing() and not self._readable()

    def ask(self, request: Callable[[], bytes]) -> asyncio.Future[Answer]:
        """Write a request now; the future gets its answer, or `Broken`. One at a time.

        Raises
        ------
        ConnectionError
            It has ended, or is in use. Nothing was written, whatever is raised.
        """
        if self._transport is None or self._transport.is_closing():
            raise ConnectionError("the connection was closed")
        if self._reader.our_state is not h11.IDLE:
            raise ConnectionError("the connection is in use")
        answer = asyncio.get_running_loop().create_future()
        self._transport.write(request())
        self._answer = answer
        answer.add_done_callback(self._over)
        self._expect()
        return answer

    def drop(self) -> None:
        """Close it at once."""
        if self._transport is not None:
            self._transport.abort()

    # ------------------------------------------------------------ of the loop
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)
        self._readable = _watch(transport.get_extra_info("socket"))

    def data_received(self, data: bytes) -> None:
        """Read on in the answer that is awaited; anything else ends the connection."""
        if self._answer is None or self._answer.done():
            self.drop()
        else:
            self._read(data)

    def eof_received(self) -> None:
        """Read an answer that ends with its connection."""
        if self._answer is not None and not self._answer.done():
            self._read(b"")

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits, and see to the next."""
        self._fail(f"{exc or 'the connection was closed'}")
        self._lines.lost(self)

    # ------------------------------------------------------------ the answer
    def _expect(self) -> None:
        """Tell h11 of the request, after the write: it would take longer than all the rest."""
        self._body.clear()
        self._reader.send(h11.Request(method="POST", target="/", headers=[("Host", "gateway")]))
        self._reader.send(h11.EndOfMessage())

    def _over(self, answer: asyncio.Future[Answer]) -> None:
        """Make ready for the next, where the answer came whole and the connection stays open."""
        whole = not answer.cancelled() and answer.exception() is None
        self._answer, self._head = None, None
        reader = self._reader
        if whole and reader.their_state is h11.DONE and not reader.trailing_data[0]:
            reader.start_next_cycle()
            self._lines.give_back(self)
        else:
            self.drop()

    def _read(self, data: bytes) -> None:
        try:
            self._reader.receive_data(data)
            while (event := self._reader.next_event()) is not h11.NEED_DATA:
                if isinstance(event, h11.Response):
                    self._head = event
                elif isinstance(event, h11.Data):
                    self._body += event.data
                elif isinstance(event, h11.EndOfMessage):
                    self._finish()
                    return
                elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
                    return
            if len(self._body) > _MAX_BODY:
                self._fail(f"an answer of more than {_MAX_BODY} bytes")
        except h11.RemoteProtocolError as error:
            ended = "the connection was closed"
            self._fail(f"what came is not HTTP: {error}" if data else ended)

    def _finish(self) -> None:
        assert self._head is not None
        assert self._answer is not None
        headers = {name.decode(): value.decode("latin-1") for name, value in self._head.headers}
        self._answer.set_result(Answer(self._head.status_code, headers, bytes(self._body)))

    def _fail(self, why: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(Broken(why))


class Lines:
    """The lines to one gateway; after `warm` one is always open, or being opened.

    Parameters
    ----------
    url
        Base of the gateway's addresses.
    headers
        Sent with every request.
    """

    def __init__(self, url: str, headers: Mapping[str, str], clock: Clock) -> None:
        where = urlsplit(url)
        self._host, secure = where.hostname or "", where.scheme == "https"
        self._port = where.port or (443 if secure else 80)
        self._tls: ssl.SSLContext | None = httpx.create_ssl_context() if secure else None
        self._base = where.path.rstrip("/")
        lines = [f"Host: {where.netloc.rpartition('@')[2]}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._head = "\r\n".join(lines)
        self._clock = clock
        self._all: set[Line] = set()
        self._idle: list[Line] = []
        self._opening: asyncio.Task[None] | None = None
        self._warm = False
        self._pause_s = 0.0
        self._opened = clock.now()

    def request(self, path: str, token: str, body: bytes) -> bytes:
        """Bytes of a POST.

        Raises
        ------
        ValueError
            A token that is no header value.
        """
        if not (token.isascii() and token.isprintable()):
            raise ValueError("the token has characters that cannot be sent")
        head = (
            f"POST {self._base}{path} HTTP/1.1\r\n{self._head}\r\nAuthorization: Bearer {token}"
            f"\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def take(self) -> Line | None:
        """An open line for one request; None without one."""
        while self._idle:
            line = self._idle.pop()
            if line.usable:
                return line
            line.drop()
        return None

    def give_back(self, line: Line) -> None:
        """Take a line that may be used again."""
        self._idle.append(line)

    async def open(self) -> Line:
        """Open a line; OSError if that fails, and then nothing was sent."""
        _, line = await asyncio.get_running_loop().create_connection(
            lambda: Line(self), self._host, self._port, ssl=self._tls
        )
        self._all.add(line)
        return line

    def warm(self) -> None:
        """From now on keep a line open ahead of the next request."""
        self._warm = True
        if not self._all and (self._opening is None or self._opening.done()):
            self._opening = asyncio.ensure_future(self._ahead())

    def lost(self, line: Line) -> None:
        """Forget a line that has ended, and open another if they are kept warm."""
        self._all.discard(line)
        with contextlib.suppress(ValueError):
            self._idle.remove(line)
        if self._warm:
            self.warm()

    async def close(self) -> None:
        """Close all."""
        self._warm = False
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        for line in list(self._all):
            line.drop()
        while self._all:  # the loop closes their sockets in its next turns
            await asyncio.sleep(0)

    async def _ahead(self) -> None:
        """Open one, at once if the last was good, else after a pause that grows."""
        if self._clock.now() - self._opened > _LIVED_S * NS:
            self._pause_s = 0.0
        while True:
            if self._pause_s:
                await self._clock.sleep(self._pause_s)
            self._pause_s = min(max(1.0, 2 * self._pause_s), _LONGEST_PAUSE_S)
            with contextlib.suppress(OSError):
                line = await self.open()
                self._opened = self._clock.now()
                self.give_back(line)
                return


def _watch(sock: socket.socket) -> Callable[[], bool]:
    """Something that tells whether a socket has anything to read, or its end."""
    if not hasattr(select, "poll"):
        return lambda: bool(select.select([sock], [], [], 0)[0])
    poll = select.poll()  # `select` takes no descriptor above 1023
    poll.register(sock, select.POLLIN)
    return lambda: bool(poll.poll(0))

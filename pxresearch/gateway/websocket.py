"""The WebSocket below a hub connection: signalrcore's, made to end, to answer and to keep a lock.

The library's own takes pings for data, never answers them, cannot be stopped while it waits, has no
limit on anything and loses what follows the answer to the upgrade in the same packet.

I/O: one TCP connection, with TLS for https; never a word in a log.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
import logging
import os
import selectors
import socket
import ssl
import threading
from urllib.parse import urlsplit

from signalrcore.transport.websockets.websocket_client import WebSocketClient

from pxresearch.gateway import wsframes

_CHUNK = 1 << 18  # bytes of one read
_TICK_S = 0.2  # how often a wait looks whether it should end
_SEND_TICKS = 1  # some bytes that do not leave in that time, into an idle buffer: the peer is gone
_MAX_HEAD = 1 << 16  # bytes of an answer's head
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455
_PENDING = (0, errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY)
_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)  # neither opens a file
QUIET = logging.getLogger("SignalRCoreClient.silenced")
"""For the library's objects: at DEBUG they write every record, at a quarter of the speed."""
QUIET.disabled = True


class Lost(Exception):
    """The connection is over, or never was; the text says why and holds no secret.

    Parameters
    ----------
    reason
        For a person.
    status
        HTTP status of a refused upgrade.
    """

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


class Socket(WebSocketClient):
    """The WebSocket; `connect` returns only by raising `Lost`.

    The socket never blocks, and reading and writing share one lock: a TLS connection may not be
    read and written at the same time.
    """

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self.logger = QUIET
        self.sock: socket.socket | None = None
        self._ending = False
        self._io = threading.Lock()
        self._key = base64.b64encode(os.urandom(16))

    # ------------------------------------------------------------ life
    def connect(self) -> None:
        """Open and receive; raises Lost once it is over, and then the socket is closed."""
        try:
            self.sock = self.create_socket()
            reader, chunk = wsframes.FrameReader(), self._upgrade()
            self.running = True
            self.on_open()
            while True:
                self._deliver(reader, chunk)
                chunk = self._read()
        except ssl.SSLCertVerificationError as error:
            raise Lost(f"the hub's certificate is not accepted: {error.verify_message}") from None
        except socket.gaierror as error:
            host = urlsplit(self.url).hostname
            raise Lost(f"the name {host!r} could not be looked up: {error.strerror}") from None
        except OSError as error:
            raise Lost(f"the network failed: {error.strerror or error}") from None
        except wsframes.BadFrame as error:
            raise Lost(f"the hub does not speak WebSocket: {error}") from None
        finally:
            self.running = False
            with self._io:
                if self.sock is not None:
                    self.sock.close()

    def close(self) -> None:
        """Ask the connection to end: its thread notices at once, at the latest in a tick."""
        self._ending = True
        with contextlib.suppress(OSError):
            if self.sock is not None:
                self.sock.shutdown(socket.SHUT_RDWR)

    # ------------------------------------------------------------ opening
    def create_socket(self) -> socket.socket:
        """A connected socket, with TLS where the address says so; tries each address."""
        where = urlsplit(self.url)
        secure = where.scheme in ("https", "wss")
        host, port = where.hostname or "", where.port or (443 if secure else 80)
        error: OSError = OSError(f"{host} has no address")
        for family, kind, proto, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        ):
            self.sock = raw = socket.socket(family, kind, proto)
            try:
                self._reach(raw, address)
            except OSError as failed:
                raw.close()
                error = failed
                continue
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return self._secured(raw, host) if secure else raw
        raise error

    def _reach(self, raw: socket.socket, address: tuple[object, ...]) -> None:
        raw.setblocking(False)
        code = raw.connect_ex(address)
        if code not in _PENDING:
            raise OSError(code, os.strerror(code))
        self._wait(raw, selectors.EVENT_WRITE)
        code = raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))

    def _secured(self, raw: socket.socket, host: str) -> socket.socket:
        self.sock = tls = self.ssl_context.wrap_socket(
            raw, server_hostname=host, do_handshake_on_connect=False
        )
        while True:
            try:
                tls.do_handshake()
                return tls
            except ssl.SSLWantReadError:
                self._wait(tls, selectors.EVENT_READ)
            except ssl.SSLWantWriteError:
                self._wait(tls, selectors.EVENT_WRITE)

    def get_socket_headers(self) -> list[str]:
        """Head of the request that opens the WebSocket."""
        where = urlsplit(self.url)
        return [
            f"GET {where.path or '/'}{'?' + where.query if where.query else ''} HTTP/1.1",
            f"Host: {where.netloc.rpartition('@')[2]}",
            "User-Agent: pxresearch",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {self._key.decode()}",
            "Sec-WebSocket-Version: 13",
        ]

    def _upgrade(self) -> bytes:
        """Bytes that came after the answer's head; they may hold the first frames."""
        self._write(("\r\n".join(self.get_socket_headers()) + "\r\n\r\n").encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self._read()
            if len(answer) > _MAX_HEAD:
                raise Lost("the hub answered the upgrade with no HTTP head")
        head, _, rest = answer.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        words = first.split()
        if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
            raise Lost("the hub answered the upgrade with something that is not HTTP")
        if words[1] != b"101":
            status = int(words[1])
            raise Lost(f"the hub refused the connection: HTTP {status}", status)
        headers = {k.strip().lower(): v.strip() for k, _, v in (ln.partition(b":") for ln in lines)}
        wanted = base64.b64encode(hashlib.sha1(self._key + _GUID, usedforsecurity=False).digest())
        if headers.get(b"sec-websocket-accept") != wanted:
            raise Lost("the hub's answer does not fit the request; is a proxy between?")
        return rest

    # ------------------------------------------------------------ reading and writing
    def _deliver(self, reader: wsframes.FrameReader, chunk: bytes) -> None:
        payloads = reader.feed(chunk) if chunk else []
        if payloads:
            self.on_message(self, payloads)
        for opcode, payload in reader.controls:
            if opcode == wsframes.PING:
                self.send(payload, wsframes.PONG)
            elif opcode == wsframes.CLOSE:
                code = int.from_bytes(payload[:2], "big")
                with contextlib.suppress(Lost):
                    self.send(payload[:2], wsframes.CLOSE)
                raise Lost(f"the hub closed the connection (WebSocket code {code or 'none'})")
        reader.controls.clear()

    def send(self, message: str | bytes, opcode: int = wsframes.TEXT) -> None:
        """Send one message whole; from any thread."""
        if not self.running:
            raise Lost("the connection is not open")
        payload = message.encode() if isinstance(message, str) else message
        try:
            self._write(wsframes.frame(opcode, payload))
        except OSError as error:
            raise Lost(f"the network failed: {error.strerror or error}") from None

    def _write(self, data: bytes) -> None:
        with self._io:
            sock, view = self._open_socket(), memoryview(data)
            while view:
                try:
                    view = view[sock.send(view) :]
                except (BlockingIOError, ssl.SSLWantWriteError):
                    self._wait(sock, selectors.EVENT_WRITE, _SEND_TICKS)
                except ssl.SSLWantReadError:
                    self._wait(sock, selectors.EVENT_READ, _SEND_TICKS)

    def _read(self) -> bytes:
        sock, event = self._open_socket(), selectors.EVENT_READ
        while True:
            # What TLS has decrypted already does not show in the socket.
            if not (isinstance(sock, ssl.SSLSocket) and sock.pending()):
                self._wait(sock, event)
            try:
                with self._io:
                    chunk = sock.recv(_CHUNK)
                if chunk:
                    return chunk
                raise Lost("stopped" if self._ending else "the connection was closed")
            except (BlockingIOError, ssl.SSLWantReadError):
                event = selectors.EVENT_READ
            except ssl.SSLWantWriteError:
                event = selectors.EVENT_WRITE

    def _open_socket(self) -> socket.socket:
        if self.sock is None or self._ending:
            raise Lost("stopped")
        return self.sock

    def _wait(self, sock: socket.socket, event: int, ticks: int | None = None) -> None:
        with _Selector() as selector:
            selector.register(sock, event)
            while not self._ending:
                if selector.select(_TICK_S):
                    return
                if ticks is not None and (ticks := ticks - 1) <= 0:
                    raise Lost("the connection takes no more bytes")
        raise Lost("stopped")

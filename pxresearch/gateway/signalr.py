"""One connection to a hub over signalrcore, with the library's traps closed.

The library is used for what it does well: messages, states, the request that opens a WebSocket.
Replaced are the parts that lose data or hang: its protocol object (sends version 0, raises on what
it does not know, copies the token into every call), its socket (see `websocket`) and its threads. A
connection here is one thread, which connects, shakes hands, receives and closes; everything else
only sends, or asks it to end.

Private parts of signalrcore 1.0.2 are overridden, so that version is pinned;
`tests/test_hubs_protocol.py` fails when they change.

I/O: one TCP connection; the address with the token in it is in no log, text or repr.
"""

from __future__ import annotations

import contextlib
import ssl
from typing import Protocol
from urllib.parse import quote, urlsplit

import msgspec
from signalrcore.hub.base_hub_connection import BaseHubConnection
from signalrcore.hub.errors import HubConnectionError
from signalrcore.messages.base_message import BaseMessage
from signalrcore.messages.close_message import CloseMessage
from signalrcore.messages.handshake.request import HandshakeRequestMessage
from signalrcore.messages.invocation_message import InvocationMessage
from signalrcore.messages.ping_message import PingMessage
from signalrcore.protocol.json_hub_protocol import JsonHubProtocol
from signalrcore.transport.base_transport import TransportState
from signalrcore.transport.websockets.websocket_transport import WebsocketTransport

from pxresearch.gateway import wire, wsframes
from pxresearch.gateway.websocket import QUIET, Lost, Socket

_VERSION = 1  # of the hub protocol; a server may refuse any other
_END = wire.RECORD_END.encode()


class Sink(Protocol):
    """What a connection tells, in its own thread. It must not raise and must not wait."""

    def opened(self) -> None:
        """Tell that the handshake is done: calls may be sent."""
        ...

    def records(self, records: list[bytes]) -> None:
        """Hand over records as they came, complete, without their end mark."""
        ...


class HubProtocol(JsonHubProtocol):
    """The JSON hub protocol, version 1: joins what was split, splits what was joined."""

    def __init__(self) -> None:
        super().__init__(_VERSION)
        self.logger = QUIET
        self._tail = b""

    def cut(self, payloads: list[bytes]) -> list[bytes]:
        """Complete records of some messages; an incomplete one waits for its rest."""
        *records, self._tail = (self._tail + b"".join(payloads)).split(_END)
        if len(self._tail) > wsframes.MAX_MESSAGE:
            raise Lost("the hub sent a record without an end")
        return [record for record in records if record]

    def encode(self, message: BaseMessage | HandshakeRequestMessage) -> str:
        """One record. The headers of a call are left out: the library puts the token there."""
        if isinstance(message, HandshakeRequestMessage):
            row: dict[str, object] = {"protocol": message.protocol, "version": message.version}
        elif isinstance(message, InvocationMessage):
            row = {
                "type": message.type.value, "invocationId": message.invocation_id,
                "target": message.target, "arguments": message.arguments,
            }  # fmt: skip
        else:
            row = {"type": message.type.value}
        return wire.encode(row).decode() + self.record_separator


class Transport(WebsocketTransport):
    """signalrcore's transport with our socket: no reconnecting, no log, records by the chunk."""

    def __init__(self, sink: Sink, url: str, context: ssl.SSLContext) -> None:
        self._records = HubProtocol()
        super().__init__(url=url, ssl_context=context, protocol=self._records)
        self.logger = QUIET
        self._sink = sink
        self._client: Socket = self.create_client()

    def create_client(self) -> Socket:
        """Make the socket of this connection."""
        return Socket(
            url=self.url, ssl_context=self.ssl_context, on_open=self.send_handshake,
            on_message=self.on_message,
        )  # fmt: skip

    def start(self, reconnection: bool = False) -> bool:
        """Run the connection to its end, which is a `Lost`."""
        self.state = TransportState.connecting
        try:
            self._client.connect()
        finally:
            self.state = TransportState.disconnected
        return False

    def send(self, message: BaseMessage | HandshakeRequestMessage) -> None:  # type: ignore[override]
        """Send one message."""
        self._client.send(self._records.encode(message))

    def end(self, politely: bool) -> None:
        """Let the connection end soon."""
        if politely and self.state is TransportState.connected:
            with contextlib.suppress(Lost):
                self.send(CloseMessage(None, None))
                self._client.send((1000).to_bytes(2, "big"), wsframes.CLOSE)
        self._client.close()

    @property
    def port(self) -> int:
        """Our port; 0 while the socket is not open."""
        sock = self._client.sock
        with contextlib.suppress(OSError):
            return 0 if sock is None else sock.getsockname()[1]
        return 0

    def on_message(self, app: object, raw_message: list[bytes]) -> None:
        """Hand the records of some messages on; the very first is the answer to the handshake."""
        records = self._records.cut(raw_message)
        if not self.handshake_received and records:
            answer = records.pop(0)
            try:
                error = msgspec.json.decode(answer, type=wire.Event).error
            except (msgspec.DecodeError, UnicodeDecodeError):
                raise Lost("the hub answered the handshake with something else") from None
            if error:
                raise Lost(f"the hub refused the handshake: {error[:200]}")
            self.handshake_received = True
            self.state = TransportState.connected
            self._sink.opened()
        if records:
            self._sink.records(records)


class Connection(BaseHubConnection):
    """One connection to one hub, never used twice.

    Parameters
    ----------
    url
        Of the hub, http(s) or ws(s).
    token
        Goes into the address, which is where ProjectX looks for it.
    sink
        What is told, in the thread that runs `run`.
    context
        For TLS; by default the system's certificates are trusted.
    """

    def __init__(
        self, url: str, token: str, sink: Sink, context: ssl.SSLContext | None = None
    ) -> None:
        joint = "&" if urlsplit(url).query else "?"
        super().__init__(
            url=f"{url}{joint}access_token={quote(token, safe='')}", headers={},
            skip_negotiation=True,
        )  # fmt: skip
        self.logger = QUIET
        self.transport: Transport = Transport(sink, self.url, context or self.ssl_context)

    def run(self) -> None:
        """Connect and receive until it is over; always ends in `Lost`."""
        try:
            self.transport.start()
        except Lost as lost:  # the frames below hold the address in their locals
            raise lost.with_traceback(None) from None

    @property
    def port(self) -> int:
        """Our port, by which the other end knows the connection; 0 while it is not open."""
        return self.transport.port

    def call(self, invocation_id: str, method: str, arguments: list[object]) -> None:
        """Call a method of the hub; its completion comes among the records.

        Raises
        ------
        Lost
            It could not be sent.
        """
        try:
            self.invoke(method, arguments, invocation_id=invocation_id)
        except HubConnectionError:
            raise Lost("the connection is not open") from None

    def ping(self) -> None:
        """Tell the hub that we are there.

        Raises
        ------
        Lost
            It could not be sent.
        """
        self.transport.send(PingMessage())

    def end(self, *, politely: bool = False) -> None:
        """Let it end soon; `run` raises. Politely: with a Close message and a close frame before.

        From any thread, any number of times.
        """
        self.transport.end(politely)

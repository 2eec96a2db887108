"""One connection of a hub: the SignalR protocol, records in and records out.

Text in, text out, the time handed in; the adapter owns the socket. Handshake, invocations answered
in order, pings after own silence, time-outs, the Close message, and what the faults make of them.

Times are ns of the machine's clock, not of the market's: a connection lives in real time.

I/O: none
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable
from typing import Any, Protocol

import msgspec

from pxresearch.clock import NS
from pxresearch.gateway.wire import RECORD_END
from pxresearch.simulator.faults import Fault
from pxresearch.simulator.outbox import KEPT, OWN, Outbox

INVOCATION, COMPLETION, STREAM_INVOCATION, PING, CLOSE = 1, 3, 4, 6, 7
PING_RECORD = '{"type":6}' + RECORD_END
ENDINGS = ("hub_drop", "hub_reset", "hub_half_open", "hub_silent", "hub_split", "hub_delay")
"""Faults that a connection can suffer at any step."""
_FRAME = 64  # records of one message at most


class HubSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Switches of the hubs. Seconds.

    Attributes
    ----------
    ping_s, timeout_s, handshake_s
        Ping after so long an own silence; end a connection so long after its last record once it
        has pinged; wait so long for the handshake.
    record_bytes
        Largest record of a client.
    strict_version
        Accept version 1 of the protocol only, as older servers do.
    queue
        Records that may wait for a slow client before quotes and depth shrink to their newest.
    full_s
        A client whose queue stays full so long is disconnected.
    id_s
        How long an id of negotiate is good for.
    bare_events
        User events without the wrapper ``{action, data}``, as documented.
    one_object
        Trades and depth as one object a record instead of a list.
    """

    ping_s: float = 15.0
    timeout_s: float = 30.0
    handshake_s: float = 15.0
    record_bytes: int = 32_768
    strict_version: bool = False
    queue: int = 2_000
    full_s: float = 5.0
    id_s: float = 15.0
    bare_events: bool = False
    one_object: bool = False


class Cut(msgspec.Struct, frozen=True):
    """How the adapter is to end the connection, once what waits has been sent."""

    reset: bool = False


class Host(Protocol):
    """What a connection asks the venue for."""

    def subscribe(self, link: Link, method: str, arguments: list[Any]) -> list[str]:
        """Records that follow at once; raises `Refused`."""
        ...

    def fault(self, hub: str, step: str, name: str) -> Fault | None:
        """A fault of this name that happens now at a step of the protocol."""
        ...

    def newest(self, key: Hashable) -> list[str]:
        """Records of the present state of a contract's quotes or depth."""
        ...


class Refused(Exception):
    """An invocation that cannot be done; its text goes to the client."""


class Link:
    """One connection after its upgrade.

    Parameters
    ----------
    hub
        ``user`` or ``market``.
    owner
        User name behind its token.
    wake
        Called when there is something for the adapter to do.
    """

    def __init__(
        self, hub: str, owner: str, host: Host, settings: HubSettings, now: int,
        wake: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self.hub, self.owner, self.wake = hub, owner, wake
        self.cut: Cut | None = None
        self.frozen = False  # half-open: nothing is read or written
        self.open = False  # the handshake is done
        self.sent = 0
        self.port = 0  # of the client, as the adapter sees it
        self.pings: list[str] = []  # payloads of WebSocket pings for the adapter to send
        self._host, self._settings = host, settings
        self._outbox = Outbox(settings.queue, host.newest)
        self._partial = ""
        self._started = self._received = self._sent_at = now
        self._pinged = False
        self._full_since: int | None = None
        self._hold_until = self._mute_until = 0
        self._mute = ""
        self._split = False
        self._planned: list[Fault] = []  # faults that wait for a number of records
        for step in ("mid_record", "record"):
            self._planned += self._faults(step)

    # ------------------------------------------------------------ in
    def receive(self, data: str | bytes, now: int) -> None:
        """Take a message of the client: records, or parts of them."""
        if self.frozen or self.cut is not None:
            return
        text = data if isinstance(data, str) else data.decode("utf-8", "replace")
        *records, self._partial = (self._partial + text).split(RECORD_END)
        self._received = now
        if max(map(len, (*records, self._partial))) > self._settings.record_bytes:
            limit = self._settings.record_bytes
            self.close(f"The maximum message size of {limit}B was exceeded.")
            return
        for record in records:
            if self.cut is None and not self.frozen:
                self._record(record, now)
        self.wake()

    def _record(self, record: str, now: int) -> None:
        try:
            shown = msgspec.json.decode(record)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            shown = None
        if not isinstance(shown, dict):
            self.close("Connection closed with an error.")
        elif not self.open:
            self._handshake(shown, now)
        else:
            self._message(shown, now)

    def _handshake(self, shown: dict[str, Any], now: int) -> None:
        if not self._suffer_step("handshake", now):
            return
        protocol, version = shown.get("protocol"), shown.get("version")
        refusal = self._host.fault(self.hub, "handshake", "handshake_error")
        if refusal is not None:
            self._refuse_handshake(refusal["message"])
        elif protocol != "json":
            self._refuse_handshake(f"The protocol '{protocol}' is not supported.")
        elif version not in ((1,) if self._settings.strict_version else (0, 1, 2)):
            self._refuse_handshake(
                f"The server does not support version {version} of the 'json' protocol."
            )
        else:
            self.open = True
            self._send("{}" + RECORD_END)

    def _refuse_handshake(self, text: str) -> None:
        self._send(json.dumps({"error": text}) + RECORD_END)
        self.cut = Cut()

    def _message(self, shown: dict[str, Any], now: int) -> None:
        kind = shown.get("type")
        if kind == INVOCATION:
            self._invoke(shown, now)
        elif kind == STREAM_INVOCATION:
            self._complete(shown.get("invocationId"), "The hub has no streams.")
        elif kind == PING:
            self._pinged = True
        elif kind == CLOSE:
            self.cut = Cut()

    def _invoke(self, shown: dict[str, Any], now: int) -> None:
        method, arguments = shown.get("target"), shown.get("arguments")
        number = shown.get("invocationId")
        if not isinstance(method, str) or not isinstance(arguments, list):
            self.close("Connection closed with an error.")
            return
        if not self._suffer_step("subscribe", now):
            return
        try:
            for name in ("completion_error", "completion_missing"):
                fault = self._host.fault(self.hub, "subscribe", name)
                if fault is not None and name == "completion_error":
                    raise Refused(fault["message"])
                number = None if fault is not None else number
            first = self._host.subscribe(self, method, arguments)
        except Refused as refusal:
            self._complete(number, f"Failed to invoke '{method}' {refusal}")
            return
        self._complete(number)
        for record in first:
            self.put(record)

    def _complete(self, number: Any, error: str | None = None) -> None:
        if isinstance(number, str):
            end: dict[str, Any] = {"result": None} if error is None else {"error": error}
            record = {"type": COMPLETION, "invocationId": number, **end}
            self._send(msgspec.json.encode(record).decode() + RECORD_END)

    # ------------------------------------------------------------ out
    def _send(self, record: str) -> None:
        self._outbox.put(record, OWN)
        self.wake()

    def put(self, record: str, key: Hashable = KEPT) -> None:
        """Add a record of data; a key says that a newer state can replace it."""
        if self.open and not self.frozen and self.cut is None and not self._mute:
            self._outbox.put(record, key)
            self.wake()

    def close(self, error: str | None = None, *, reconnect: bool = False) -> None:
        """Send a Close message and end."""
        record: dict[str, Any] = {"type": CLOSE}
        if error is not None:
            record["error"] = error
        if reconnect:
            record["allowReconnect"] = True
        if self.open:
            self._send(json.dumps(record) + RECORD_END)
        self.cut = Cut()
        self.wake()

    def ping(self, payload: str) -> None:
        """Have the adapter send a WebSocket ping."""
        self.pings.append(payload)
        self.wake()

    def frames(self, now: int) -> list[str]:
        """Messages to send now."""
        if self.frozen or now < self._hold_until:
            return []
        if self._mute and 0 < self._mute_until <= now:
            self._mute = ""
        if self._mute == "all":
            self._outbox.clear()
            return []
        records = self._outbox.take(_FRAME)
        if not records:
            return []
        self._sent_at = now
        records, rest = self._reached(records, now)
        self.sent += len(records)
        if self._split:
            text = "".join(records)
            return [text[: len(text) // 2], text[len(text) // 2 :], *rest]
        return ["".join(records), *rest] if records else rest

    def _reached(self, records: list[str], now: int) -> tuple[list[str], list[str]]:
        """Records to send before a planned fault is reached, and the part of one that goes out."""
        for fault in self._planned:
            wanted = max(fault["records"] - self.sent, 0)
            if len(records) <= wanted:
                continue
            self._planned.remove(fault)
            half = records[wanted][: len(records[wanted]) // 2]
            before = records[:wanted]
            self.suffer(fault, now)
            return before, [half] if fault["step"] == "mid_record" else []
        return records, []

    def tick(self, now: int) -> float:
        """See to pings and time-outs; seconds until the next look."""
        s = self._settings
        if self.frozen or self.cut is not None:
            return s.ping_s
        if not self.open and now - self._started >= s.handshake_s * NS:
            self._refuse_handshake("Handshake was canceled.")
        elif self._pinged and now - self._received >= s.timeout_s * NS:
            self.cut = Cut()
        elif self._full_too_long(now):
            self.cut = Cut(reset=True)
        elif self.open and now - self._sent_at >= s.ping_s * NS:
            self._sent_at = now
            self._send(PING_RECORD)
        due = [self._sent_at + s.ping_s * NS, self._received + s.timeout_s * NS]
        if not self.open:
            due.append(self._started + s.handshake_s * NS)
        due += [at for at in (self._hold_until, self._mute_until) if at > now]
        return max(min(*due, now + NS) - now, 0.001 * NS) / NS

    def _full_too_long(self, now: int) -> bool:
        if not self._outbox.full:
            self._full_since = None
            return False
        self._full_since = self._full_since or now
        return now - self._full_since >= self._settings.full_s * NS

    @property
    def waiting(self) -> int:
        """Records that wait."""
        return len(self._outbox)

    @property
    def told(self) -> int:
        """Records after the handshake that the client has been sent, or will be at once."""
        return max(self.sent + (0 if self.frozen else self.waiting) - 1, 0)

    @property
    def left_out(self) -> int:
        """Records that a newer state replaced or a fault swallowed."""
        return self._outbox.left_out

    # ------------------------------------------------------------ faults
    def _faults(self, step: str) -> list[Fault]:
        found = [self._host.fault(self.hub, step, name) for name in ENDINGS]
        return [fault for fault in found if fault is not None]

    def _suffer_step(self, step: str, now: int) -> bool:
        """Let the faults of a step happen; whether the connection goes on."""
        for fault in self._faults(step):
            self.suffer(fault, now)
        return self.cut is None and not self.frozen

    def suffer(self, fault: Fault, now: int) -> None:
        """Let a fault happen to this connection."""
        name, given = fault.name, fault.given
        if name == "hub_drop" and given["close"] != "none":
            error = "Connection closed with an error." if given["close"] == "error" else None
            self.close(error, reconnect=given["close"] == "reconnect")
        elif name in ("hub_drop", "hub_reset"):
            self._outbox.clear()
            self.cut = Cut(reset=name == "hub_reset")
        elif name == "hub_half_open":
            self.frozen = True
        elif name == "hub_silent":
            self._mute = given["what"]
            self._mute_until = now + round(given["seconds"] * NS) if given["seconds"] else 0
            self._outbox.clear(data_only=given["what"] == "data")
        elif name == "hub_split":
            self._split = True
        elif name == "hub_delay":
            self._hold_until = now + round(given["seconds"] * NS)
        self.wake()

"""WebSocket frames, pure: bytes in, messages out (RFC 6455, the client's side).

signalrcore takes control frames for data and reads each frame with several system calls; here a
whole chunk of the stream is cut at once, pings and closes are told apart, and a message may come in
parts.

I/O: none
"""

from __future__ import annotations

import os

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
MAX_MESSAGE = 16 << 20  # bytes; a depth snapshot has some 10 KB, so this is nobody's honest message
_FIN, _MASKED, _CONTROL = 0x80, 0x80, 0x8
_WHOLE_TEXT = _FIN | TEXT


class BadFrame(Exception):
    """The peer does not speak WebSocket; nothing after it can be trusted."""


class FrameReader:
    """Cuts a stream of bytes into messages and control frames.

    Attributes
    ----------
    controls
        Control frames since they were last taken: ``(opcode, payload)``.
    """

    def __init__(self) -> None:
        self.controls: list[tuple[int, bytes]] = []
        self._rest = b""
        self._parts: list[bytes] | None = None  # of a message that is not finished yet

    def feed(self, chunk: bytes) -> list[bytes]:
        """Payloads of the data messages that end in this chunk.

        Raises
        ------
        BadFrame
            A masked, oversized or misplaced frame.
        """
        data = self._rest + chunk if self._rest else chunk
        at, end, found = 0, len(data), []
        while end - at >= 2:
            first, length, start = data[at], data[at + 1], at + 2
            if length >= 126:
                if length & _MASKED:
                    raise BadFrame("a server must not mask its frames")
                start += 2 if length == 126 else 8
                if start > end:
                    break
                length = int.from_bytes(data[at + 2 : start], "big")
                if length > MAX_MESSAGE:
                    raise BadFrame(f"a frame of {length} bytes, the limit is {MAX_MESSAGE}")
            stop = start + length
            if stop > end:
                break
            if first == _WHOLE_TEXT and self._parts is None:
                found.append(data[start:stop])
            else:
                self._take(first, data[start:stop], found)
            at = stop
        self._rest = data[at:]
        return found

    def _take(self, first: int, payload: bytes, found: list[bytes]) -> None:
        opcode, fin = first & 0x0F, first & _FIN
        if opcode & _CONTROL:
            if not fin or len(payload) > 125:
                raise BadFrame("a control frame that is split or too long")
            self.controls.append((opcode, payload))
            return
        if (opcode == 0) == (self._parts is None):
            raise BadFrame("a message begins before the one before it has ended, or never began")
        parts = self._parts = self._parts or []
        parts.append(payload)
        if sum(map(len, parts)) > MAX_MESSAGE:
            raise BadFrame(f"a message beyond the limit of {MAX_MESSAGE} bytes")
        if fin:
            found.append(b"".join(parts))
            self._parts = None


def frame(opcode: int, payload: bytes) -> bytes:
    """One frame of a client, masked as the standard demands."""
    length = len(payload)
    head = bytes((_FIN | opcode,))
    if length < 126:
        head += bytes((_MASKED | length,))
    elif length < 1 << 16:
        head += bytes((_MASKED | 126,)) + length.to_bytes(2, "big")
    else:
        head += bytes((_MASKED | 127,)) + length.to_bytes(8, "big")
    key = os.urandom(4)
    mask = int.from_bytes((key * (length // 4 + 1))[:length], "big")
    masked = (int.from_bytes(payload, "big") ^ mask).to_bytes(length, "big")
    return head + key + masked

"""The opening of the WebSocket, byte for byte, against a server that is a bare socket."""

from __future__ import annotations

import base64
import hashlib
import random
import socket
import threading
from collections.abc import Callable

import pytest

from pxresearch.gateway.signalr import Connection
from pxresearch.gateway.websocket import Lost

HANDSHAKE = b"\x81\x03{}\x1e"
RECORD = b'\x81\x0b{"type":6}\x1e'


class Sink:
    """Collects what a connection tells."""

    def __init__(self) -> None:
        self.rows: list[bytes] = []

    def opened(self) -> None:
        self.rows.append(b"opened")

    def records(self, records: list[bytes]) -> None:
        self.rows += records


def talk(answer: Callable[[bytes], list[bytes]]) -> tuple[bytes, Sink, Lost]:
    """Let one connection run against an answer, sent in the given pieces, then closed."""
    sink, requests = Sink(), []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            peer, _ = listening.accept()
            with peer:
                peer.settimeout(10)
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                request = b""
                while b"\r\n\r\n" not in request:
                    request += peer.recv(4096)
                requests.append(request)
                for piece in answer(request):
                    peer.sendall(piece)
                peer.shutdown(socket.SHUT_WR)
                while peer.recv(4096):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        port = listening.getsockname()[1]
        one = Connection(f"http://127.0.0.1:{port}/hubs/user", "a.b+c", sink)
        with pytest.raises(Lost) as caught:
            one.run()
        thread.join(10)
    return requests[0], sink, caught.value


def accepted(request: bytes) -> bytes:
    """The right answer, computed from RFC 6455."""
    key = request.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
    digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nConnection: Upgrade\r\n"
        b"SEC-WEBSOCKET-ACCEPT:  " + base64.b64encode(digest) + b"\r\n\r\n"
    )


def test_the_request_names_host_port_version_and_token() -> None:
    """What a front end and ProjectX look at; the token is escaped, and in the address only."""
    request, _, _ = talk(lambda _request: [b"HTTP/1.1 404 no\r\n\r\n"])
    first, *lines = request.decode().split("\r\n")
    assert first == "GET /hubs/user?access_token=a.b%2Bc HTTP/1.1"
    headers = dict(line.split(": ", 1) for line in lines if line)
    assert headers["Host"].startswith("127.0.0.1:")
    assert headers["Sec-WebSocket-Version"] == "13"
    assert len(base64.b64decode(headers["Sec-WebSocket-Key"])) == 16
    assert "Authorization" not in headers


@pytest.mark.parametrize(
    ("answer", "text", "status"),
    [
        (b"HTTP/1.1 401 Unauthorized\r\n\r\n", "HTTP 401", 401),
        (b"HTTP/1.1 200 OK\r\n\r\n<html>", "HTTP 200", 200),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "not HTTP", None),
        (b"HTTP/1.1 101 ok\r\nSec-WebSocket-Accept: wrong\r\n\r\n", "proxy", None),
        (b"HTTP/1.1 101 ok\r\n" + b"x" * 70_000, "no HTTP head", None),
        (b"HTTP/1.1 101", "closed", None),
        (b"", "closed", None),
    ],
    ids=["401", "200", "ssh", "accept", "endless", "cut", "nothing"],
)
def test_an_answer_that_opens_nothing(answer: bytes, text: str, status: int | None) -> None:
    """Each ends the attempt with a reason for a person, and a status where there was one."""
    _, sink, lost = talk(lambda _request: [answer])
    assert text in str(lost)
    assert lost.status == status
    assert sink.rows == []


def test_what_follows_the_answer_in_one_packet_is_not_lost() -> None:
    """Handshake and first record may come with the head; the library throws them away."""
    _, sink, lost = talk(lambda request: [accepted(request) + HANDSHAKE + RECORD])
    assert sink.rows == [b"opened", b'{"type":6}']
    assert "closed" in str(lost)


@pytest.mark.parametrize("seed", range(5))
def test_pieces_of_any_size(seed: int) -> None:
    """A slow trickle, cut anywhere, is the same conversation."""

    def answer(request: bytes) -> list[bytes]:
        rng, whole = random.Random(seed), accepted(request) + HANDSHAKE + RECORD * 5
        pieces = []
        while whole:
            size = rng.randint(1, 40)
            pieces.append(whole[:size])
            whole = whole[size:]
        return pieces

    _, sink, _ = talk(answer)
    assert sink.rows == [b"opened"] + [b'{"type":6}'] * 5, f"seed {seed}"


@pytest.mark.parametrize(
    ("frames", "text"),
    [
        (b"\x81\x06null\x1e" + b"\x20", "something else"),
        (b'\x81\x10{"error":"no!"}\x1e', "refused the handshake: no!"),
        (HANDSHAKE + b"\x88\x02\x03\xf4", "WebSocket code 1012"),
        (HANDSHAKE + b"\x81\x85abcd", "does not speak WebSocket"),
    ],
    ids=["null", "error", "close", "masked"],
)
def test_a_conversation_that_ends_at_once(frames: bytes, text: str) -> None:
    """The reason says which rule was broken, or what the hub said."""
    _, _, lost = talk(lambda request: [accepted(request) + frames])
    assert text in str(lost)

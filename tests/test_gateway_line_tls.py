"""The connection for orders over TLS."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from pxresearch.gateway import line
from pxresearch.gateway.transport import NoReply, Reply
from tests.line_kit import BODY, Server, place, serving, until
from tests.test_hubs_tls import context


def good(reply: Reply | NoReply) -> bool:
    return isinstance(reply, Reply) and (reply.status, reply.body) == (200, BODY)


def test_it_speaks_tls_and_keeps_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two orders, one handshake; the end of an idle connection shows there too."""
    client = context(ssl.PROTOCOL_TLS_CLIENT)
    monkeypatch.setattr(line.httpx, "create_ssl_context", lambda: client)

    async def run() -> None:
        async with serving(context(ssl.PROTOCOL_TLS_SERVER)) as (server, transport):
            assert good(await place(transport))
            assert good(await place(transport))
            assert server.opened == 1
            server.open[0].transport.abort()
            await until(lambda: not server.open)
            assert good(await place(transport))
            assert server.opened == 2

    asyncio.run(run())


def test_a_server_that_cannot_prove_itself_gets_no_token() -> None:
    """With the default certificates the handshake fails, and nothing was sent."""

    async def run() -> tuple[NoReply | Reply, Server]:
        async with serving(context(ssl.PROTOCOL_TLS_SERVER)) as (server, transport):
            return await place(transport), server

    reply, server = asyncio.run(run())
    assert isinstance(reply, NoReply)
    assert not reply.sent
    assert not server.requests

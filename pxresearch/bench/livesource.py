"""A bare gateway that sends quotes at a rate and notes when the order for a marked one arrives.

The other end of `bench live`, in a process of its own. A marked quote has a spread of two ticks,
all others have one. A quote is stamped when its bytes are handed to the socket, an order when its
first bytes are read from one: neither stamp waits for the server that this is built on.

I/O: listens on a free port of 127.0.0.1; reads the clock; prints its port.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import WSMsgType, web

from pxresearch.bench.hubsource import ACCOUNT, END, order, quote, trade
from pxresearch.gateway import wire

TRADES_A_SECOND, USER_EVENTS_A_SECOND = 100, 20
_DONE: dict[str, Any] = {"success": True, "errorCode": 0, "errorMessage": None}
_NOTHING = {"orders": [], "positions": [], "trades": [], "totalCount": 0}
_ACCOUNT = {"id": ACCOUNT, "name": "BENCH", "balance": 50_000, "canTrade": True, "simulated": True}
_PLACE = f"POST {wire.PLACE.path} ".encode()
_READS = (
    wire.ORDER_SEARCH, wire.ORDER_OPEN, wire.ORDER_QUERY, wire.POSITION_OPEN, wire.TRADE_SEARCH,
)  # fmt: skip


def marked(n: int, ns: int) -> str:
    """Record of the n-th quote with its ask a tick higher."""
    head, _, tail = quote(n, ns).partition('"bestAsk":')
    price, _, rest = tail.partition(",")
    return f'{head}"bestAsk":{float(price) + 0.25},{rest}'


def text_frame(payload: bytes) -> bytes:
    """A whole text frame of a server, 126 to 65535 bytes."""
    return b"\x81\x7e" + len(payload).to_bytes(2, "big") + payload


class Stamped(asyncio.Protocol):
    """Notes when an order's first bytes arrive, then leaves everything to the server's protocol."""

    def __init__(self, inner: asyncio.Protocol, arrived: Callable[[], None]) -> None:
        self._inner, self._arrived = inner, arrived
        self.connection_made, self.connection_lost = inner.connection_made, inner.connection_lost
        self.pause_writing, self.resume_writing = inner.pause_writing, inner.resume_writing
        self.eof_received = inner.eof_received

    def data_received(self, data: bytes) -> None:
        """Stamp and pass on."""
        if data.startswith(_PLACE):
            self._arrived()
        self._inner.data_received(data)


class Source:
    """One run: quotes at `rate` for `seconds`, every `every`-th marked."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._sent = {"quotes": 0, "trades": 0, "user": 0}
        self._marks: list[int] = []
        self._orders: list[int] = []

    def app(self) -> web.Application:
        """Routes: the two hubs, the login, empty reads, an order, the report."""
        app = web.Application()
        app.router.add_get(wire.MARKET_HUB, self._market)
        app.router.add_get(wire.USER_HUB, self._users)
        app.router.add_post(wire.LOGIN_KEY.path, _answers(token="none"))
        app.router.add_post(wire.ACCOUNT_SEARCH.path, _answers(accounts=[_ACCOUNT]))
        for operation in _READS:
            app.router.add_post(operation.path, _answers(**_NOTHING))
        app.router.add_post(wire.PLACE.path, self._place)
        app.router.add_get("/report", self._report)
        return app

    def arrived(self) -> None:
        """Note an order."""
        self._orders.append(self._now())

    def _now(self) -> int:
        return time.time_ns() + self._options.offset

    async def _place(self, request: web.Request) -> web.Response:
        await request.read()
        return web.json_response({"orderId": len(self._orders), **_DONE})

    async def _report(self, request: web.Request) -> web.Response:
        return web.json_response({"sent": self._sent, "marks": self._marks, "orders": self._orders})

    async def _market(self, request: web.Request) -> web.WebSocketResponse:
        return await _hub(request, "SubscribeContractQuotes", self._flow)

    async def _users(self, request: web.Request) -> web.WebSocketResponse:
        return await _hub(request, "SubscribeOrders", self._user_events)

    async def _flow(self, out: asyncio.Transport) -> None:
        """Each millisecond what is due, one record a frame; marks wait for no batch."""
        o, sent = self._options, self._sent
        await asyncio.sleep(1.0)  # the client reads the account first
        start = time.perf_counter()
        while (elapsed := time.perf_counter() - start) < o.seconds:
            for n in range(sent["quotes"], int(elapsed * o.rate)):
                self._quote(out, n)
            for n in range(sent["trades"], int(elapsed * TRADES_A_SECOND)):
                out.write(text_frame(trade(n, self._now()).encode()))
                sent["trades"] += 1
            await asyncio.sleep(0.0005)
        await asyncio.sleep(0.5)
        out.write(text_frame(trade(-1, self._now()).encode()))  # of size 0: the end

    def _quote(self, out: asyncio.Transport, n: int) -> None:
        now = self._now()
        mark = n % self._options.every == self._options.every - 1
        frame = text_frame((marked if mark else quote)(n, now).encode())
        self._sent["quotes"] += 1
        if mark:
            self._marks.append(self._now())
        out.write(frame)

    async def _user_events(self, out: asyncio.Transport) -> None:
        sent = self._sent
        for n in range(int(self._options.seconds * USER_EVENTS_A_SECOND)):
            await asyncio.sleep(1 / USER_EVENTS_A_SECOND)
            out.write(text_frame(order(n, self._now()).encode()))
            sent["user"] += 1


def _answers(**members: Any) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.json_response({**members, **_DONE})

    return answer


async def _hub(
    request: web.Request, starts_with: str, work: Callable[[asyncio.Transport], Awaitable[None]]
) -> web.WebSocketResponse:
    """Handshake and subscriptions; `work` begins once the named method has been called."""
    socket = web.WebSocketResponse(compress=False, max_msg_size=0)
    await socket.prepare(request)
    running: asyncio.Future[None] | None = None
    async for message in socket:
        if message.type is not WSMsgType.TEXT:
            break
        for text in filter(None, message.data.split(END)):
            record = json.loads(text)
            if "protocol" in record:
                await socket.send_str("{}" + END)
            elif record.get("type") == 1:
                answer = {"type": 3, "invocationId": record.get("invocationId"), "result": None}
                await socket.send_str(json.dumps(answer) + END)
                if record["target"] == starts_with and running is None:
                    assert request.transport is not None
                    running = asyncio.ensure_future(work(request.transport))
    if running is not None:
        running.cancel()
    return socket


async def serve(options: argparse.Namespace) -> None:
    """Listen until standard input ends."""
    source = Source(options)
    runner = web.AppRunner(source.app(), access_log=None)
    await runner.setup()
    make = runner.server
    assert make is not None
    server = await asyncio.get_running_loop().create_server(
        lambda: Stamped(make(), source.arrived), "127.0.0.1", 0
    )
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    server.close()
    await runner.cleanup()


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--offset", type=int, default=0)
    parser.add_argument("--every", type=int, default=50)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()

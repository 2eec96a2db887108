"""A bare gateway that sends what it is told as fast as it can; the other end of `bench gateway`.

It runs in a process of its own and checks nothing: token, handshake and subscriptions are answered,
then frames go out. What a frame holds is the shape of real quotes, about 420 bytes a record.

    blast    `count` quotes, `per_frame` records in each frame, encoded before
    paced    `rate` quotes a second for `seconds`, 100 trades a second among them, 20 user events
             a second on the other hub, each stamped when it is sent
    orders   a quote, then the wait for the order that answers it, `count` times

I/O: listens on a free port of 127.0.0.1; reads the clock; prints its port and its report.
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

from pxresearch.gateway import wire

CONTRACT = "CON.F.US.MNQ.Z26"
ACCOUNT = 1
END = wire.RECORD_END
TRADES_A_SECOND, USER_EVENTS_A_SECOND = 100, 20
_EMPTY = b'{"success":true,"errorCode":0,"errorMessage":null}'


def quote(n: int, ns: int) -> str:
    """Record of the n-th quote: a whole one, about 420 bytes."""
    bid = 25_000 + (n * 7 % 400) * 0.25
    at = wire.to_iso(ns)
    return (
        f'{{"type":1,"target":"GatewayQuote","arguments":["{CONTRACT}",{{"symbol":"F.US.MNQ",'
        f'"symbolName":"/MNQ","lastPrice":{bid},"bestBid":{bid},"bestAsk":{bid + 0.25},'
        f'"change":12.25,"changePercent":0.0491,"open":24990.0,"high":25120.25,"low":24950.5,'
        f'"volume":{1_000_000 + n},"lastUpdated":"{at}","timestamp":"{at}",'
        f'"contract":"{CONTRACT}"}}]}}{END}'
    )


def trade(n: int, ns: int) -> str:
    """Record of the n-th trade; its size is its number, so that a lost one shows."""
    return (
        f'{{"type":1,"target":"GatewayTrade","arguments":["{CONTRACT}",[{{"symbolId":"F.US.MNQ",'
        f'"price":25000.25,"timestamp":"{wire.to_iso(ns)}","type":{n % 2},"volume":{n + 1},'
        f'"contractId":"{CONTRACT}"}}]]}}{END}'
    )


def order(n: int, ns: int) -> str:
    """Record of the n-th order event."""
    at = wire.to_iso(ns)
    return (
        f'{{"type":1,"target":"GatewayUserOrder","arguments":[{{"action":1,"data":{{"id":{n + 1},'
        f'"accountId":{ACCOUNT},"contractId":"{CONTRACT}","symbolId":"F.US.MNQ",'
        f'"creationTimestamp":"{at}","updateTimestamp":"{at}","status":1,"type":1,"side":0,'
        f'"size":1,"limitPrice":24000.25,"fillVolume":0}}}}]}}{END}'
    )


class Source:
    """One run of the source."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.sent: dict[str, int] = {"quotes": 0, "trades": 0, "user": 0}
        self.sent_at = 0
        self.answered: asyncio.Queue[int] = asyncio.Queue()
        self.latency_ns: list[int] = []
        self.frames = self._frames() if options.mode == "blast" else []

    def _frames(self) -> list[str]:
        o, now = self.options, time.time_ns()
        records = [quote(n, now + n * 100_000) for n in range(20 * 500)]
        step = o.per_frame
        return ["".join(records[i : i + step]) for i in range(0, len(records), step)]

    def app(self) -> web.Application:
        """Routes: the two hubs, a login, an order, the report."""
        app = web.Application()
        app.router.add_get(wire.MARKET_HUB, self.market)
        app.router.add_get(wire.USER_HUB, self.user)
        app.router.add_post(wire.LOGIN_KEY.path, self.login)
        app.router.add_post(wire.PLACE.path, self.place)
        app.router.add_get("/report", self.report)
        return app

    async def login(self, request: web.Request) -> web.Response:
        """Give a token that nobody checks."""
        body = {"token": "none", "success": True, "errorCode": 0, "errorMessage": None}
        return web.json_response(body)

    async def place(self, request: web.Request) -> web.Response:
        """Take an order; the time since its quote went out is the sample."""
        arrived = time.perf_counter_ns()
        await request.read()
        self.answered.put_nowait(arrived)
        body = b'{"orderId":1,' + _EMPTY[1:]
        return web.Response(body=body, content_type="application/json")

    async def report(self, request: web.Request) -> web.Response:
        """What was sent, and the samples of latency."""
        return web.json_response({"sent": self.sent, "latency_ns": self.latency_ns})

    async def market(self, request: web.Request) -> web.WebSocketResponse:
        """The market hub."""
        modes = {"blast": self.blast, "paced": self.paced, "orders": self.orders}
        return await self.hub(request, "SubscribeContractQuotes", modes[self.options.mode])

    async def user(self, request: web.Request) -> web.WebSocketResponse:
        """The user hub."""
        return await self.hub(request, "SubscribeOrders", self.user_events)

    async def hub(
        self,
        request: web.Request,
        starts_with: str,
        work: Callable[[web.WebSocketResponse], Awaitable[None]],
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
                    await self._complete(socket, record)
                    if record["target"] == starts_with and running is None:
                        running = asyncio.ensure_future(work(socket))
        if running is not None:
            running.cancel()
        return socket

    async def _complete(self, socket: web.WebSocketResponse, record: dict[str, Any]) -> None:
        if "invocationId" in record:
            answer = {"type": 3, "invocationId": record["invocationId"], "result": None}
            await socket.send_str(json.dumps(answer) + END)

    async def blast(self, socket: web.WebSocketResponse) -> None:
        """Send every frame as fast as the other end takes it."""
        await asyncio.sleep(0.3)
        left = self.options.count
        while left > 0:
            for frame in self.frames:
                await socket.send_str(frame)
                left -= self.options.per_frame
                if left <= 0:
                    break
        self.sent["quotes"] = self.options.count

    async def paced(self, socket: web.WebSocketResponse) -> None:
        """Send at a steady rate; each millisecond what is due, one record a frame."""
        o, start = self.options, time.perf_counter()
        while (elapsed := time.perf_counter() - start) < o.seconds:
            for _ in range(int(elapsed * o.rate) - self.sent["quotes"]):
                await socket.send_str(quote(self.sent["quotes"], time.time_ns()))
                self.sent["quotes"] += 1
            for _ in range(int(elapsed * TRADES_A_SECOND) - self.sent["trades"]):
                await socket.send_str(trade(self.sent["trades"], time.time_ns()))
                self.sent["trades"] += 1
            await asyncio.sleep(0.001)
        # The last trade has size 0: the end of the stream.
        await socket.send_str(trade(-1, time.time_ns()))

    async def user_events(self, socket: web.WebSocketResponse) -> None:
        """Order events at a steady rate while the market runs."""
        if self.options.mode != "paced":
            return
        for n in range(int(self.options.seconds * USER_EVENTS_A_SECOND)):
            await socket.send_str(order(n, time.time_ns()))
            self.sent["user"] += 1
            await asyncio.sleep(1 / USER_EVENTS_A_SECOND)

    async def orders(self, socket: web.WebSocketResponse) -> None:
        """One quote after the other, each when the order for the one before has come."""
        await asyncio.sleep(0.3)
        for n in range(self.options.count):
            record = quote(n, time.time_ns())
            sent = time.perf_counter_ns()
            await socket.send_str(record)
            self.latency_ns.append(await self.answered.get() - sent)
            await asyncio.sleep(0.002)
        await socket.send_str(trade(-1, time.time_ns()))


async def serve(options: argparse.Namespace) -> None:
    """Listen until standard input ends."""
    runner = web.AppRunner(Source(options).app(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=("blast", "paced", "orders"))
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--per-frame", type=int, default=1)
    parser.add_argument("--rate", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()

"""A bare gateway that sends quotes at a rate and notes when the order for a marked one arrives.

The other end of `bench live`, in a process of its own. A marked quote has a spread of two ticks,
all others have one. An order fills whole, at once, at the last quote. A quote is stamped when its
bytes are handed to the socket, an order when its first bytes are read from one: neither stamp waits
for the server that this is built on.

I/O: listens on a free port of 127.0.0.1; reads the clock; prints its port.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import WSMsgType, web

from pxresearch.bench.hubsource import ACCOUNT, CONTRACT, END, quote, trade
from pxresearch.gateway import wire

TRADES_A_SECOND, USER_EVENTS_A_SECOND = 100, 20
BALANCE = 10_000_000
_OTHERS = 1_000_000_000  # ids of orders that are not the strategy's begin here
_DONE: dict[str, Any] = {"success": True, "errorCode": 0, "errorMessage": None}
_CONTRACT = {
    "id": CONTRACT, "name": "MNQZ6", "description": "", "tickSize": 0.25, "tickValue": 0.5,
    "activeContract": True, "symbolId": "F.US.MNQ",
}  # fmt: skip
_PLACE = f"POST {wire.PLACE.path} ".encode()
_GRAIN = 100  # ns of the times on the wire
_COST = 0.61  # USD a contract and side, as in the table of costs
_TICK, _TICK_USD = 0.25, 0.5


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

    def __init__(
        self, inner: asyncio.Protocol, arrived: Callable[[asyncio.BaseTransport], None]
    ) -> None:
        self._inner, self._arrived = inner, arrived
        self._transport: asyncio.BaseTransport | None = None
        self.connection_lost = inner.connection_lost
        self.pause_writing, self.resume_writing = inner.pause_writing, inner.resume_writing
        self.eof_received = inner.eof_received

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, by which the server's handler is known again."""
        self._transport = transport
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Stamp and pass on."""
        if data.startswith(_PLACE) and self._transport is not None:
            self._arrived(self._transport)
        self._inner.data_received(data)


class Account:
    """Position, balance and fills of the one account; what opened first is closed first."""

    def __init__(self) -> None:
        self.balance = float(BALANCE)
        self.orders: list[dict[str, Any]] = []
        self.fills: list[dict[str, Any]] = []
        self._lots: deque[float] = deque()  # entry price of each open contract
        self._side = 0

    @property
    def position(self) -> int:
        """Signed contracts."""
        return self._side * len(self._lots)

    def row(self, at: str) -> dict[str, Any]:
        """The position; its type is 0 when it is closed."""
        size = len(self._lots)
        kind = 0 if size == 0 else (1 if self._side > 0 else 2)
        average = sum(self._lots) / size if size else 0.0
        return {"id": 1, **_of(at), "type": kind, "size": size, "averagePrice": average}

    def fill(self, number: int, asked: dict[str, Any], price: float, at: str) -> dict[str, Any]:
        """An order fills whole: its record, the fill and the position, by name of the event."""
        side, size, sign = asked["side"], asked["size"], -1 if asked["side"] else 1
        gross = None
        for _ in range(size):
            if self._lots and self._side != sign:
                points = (self._lots.popleft() - price) * sign
                gross = (gross or 0.0) + points / _TICK * _TICK_USD
            else:
                self._side = sign
                self._lots.append(price)
        self.balance += (gross or 0.0) - _COST * size
        order = {"id": number, **_of(at), "updateTimestamp": at, "status": 2, "type": 2,
                 "side": side, "size": size, "fillVolume": size, "filledPrice": price,
                 "customTag": asked["customTag"]}  # fmt: skip
        fill = {"id": number, **_of(at), "price": price, "profitAndLoss": gross,
                "fees": _COST * size, "side": side, "size": size, "voided": False,
                "orderId": number}  # fmt: skip
        self.orders.append(order)
        self.fills.append(fill)
        return {wire.USER_ORDER: order, wire.USER_TRADE: fill, wire.USER_POSITION: self.row(at)}


def _of(at: str) -> dict[str, Any]:
    return {"accountId": ACCOUNT, "contractId": CONTRACT, "creationTimestamp": at}


class Source:
    """One run: quotes at `rate` for `seconds`, every `every`-th marked."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._sent = {"quotes": 0, "trades": 0, "user": 0}
        self._marks: dict[int, int] = {}  # time of the quote to that of its write
        self._orders: dict[str, int] = {}  # tag to arrival
        self._arrivals: dict[asyncio.BaseTransport, int] = {}
        self._prices = (0.0, 0.0)  # of the last quote: bid, ask
        self._account = Account()
        self._numbers = itertools.count(1)
        self._user: asyncio.Transport | None = None
        self._running = True

    def app(self) -> web.Application:
        """Routes: the two hubs, the login, empty reads, an order, the report."""
        app = web.Application()
        app.router.add_get(wire.MARKET_HUB, self._market)
        app.router.add_get(wire.USER_HUB, self._users)
        app.router.add_post(wire.LOGIN_KEY.path, _answers(token="none"))
        app.router.add_post(wire.ACCOUNT_SEARCH.path, self._accounts)
        app.router.add_post(wire.CONTRACT_AVAILABLE.path, _answers(contracts=[_CONTRACT]))
        app.router.add_post(wire.POSITION_OPEN.path, self._positions)
        app.router.add_post(wire.TRADE_SEARCH.path, self._trades)
        app.router.add_post(wire.CLOSE.path, self._close)
        app.router.add_post(wire.ORDER_SEARCH.path, self._past_orders)
        for operation in (wire.ORDER_OPEN, wire.ORDER_QUERY):  # none ever works for long
            app.router.add_post(operation.path, _answers(orders=[], totalCount=0))
        app.router.add_post(wire.PLACE.path, self._place)
        app.router.add_get("/report", self._report)
        return app

    def arrived(self, transport: asyncio.BaseTransport) -> None:
        """Note that an order begins to come."""
        self._arrivals[transport] = self._now()

    def _now(self) -> int:
        return time.time_ns() + self._options.offset

    async def _place(self, request: web.Request) -> web.Response:
        asked = json.loads(await request.read())
        assert request.transport is not None
        self._orders[asked["customTag"]] = self._arrivals.pop(request.transport)
        number = next(self._numbers)
        asyncio.get_running_loop().call_soon(self._fill, number, asked)
        return web.json_response({"orderId": number, **_DONE})

    async def _close(self, request: web.Request) -> web.Response:
        await request.read()
        if qty := self._account.position:
            asked = {"side": int(qty > 0), "size": abs(qty), "customTag": None}
            asyncio.get_running_loop().call_soon(self._fill, next(self._numbers), asked)
        return web.json_response(_DONE)

    def _fill(self, number: int, asked: dict[str, Any]) -> None:
        """Tell the user hub of an order, its fill and the position, in one go."""
        price = self._prices[0 if asked["side"] else 1]
        self._tell(self._account.fill(number, asked, price, wire.to_iso(self._now())))

    def _tell(self, rows: dict[str, dict[str, Any]]) -> None:
        if self._user is not None:
            records = [
                {"type": 1, "target": target, "arguments": [{"action": 1, "data": row}]}
                for target, row in rows.items()
            ]
            text = "".join(json.dumps(record) + END for record in records)
            self._user.write(text_frame(text.encode()))
            self._sent["user"] += len(rows) if self._running else 0

    async def _accounts(self, request: web.Request) -> web.Response:
        await request.read()
        row = {"id": ACCOUNT, "name": "BENCH", "balance": round(self._account.balance, 2),
               "canTrade": True, "simulated": True}  # fmt: skip
        return web.json_response({"accounts": [row], **_DONE})

    async def _positions(self, request: web.Request) -> web.Response:
        await request.read()
        row = self._account.row(wire.to_iso(self._now()))
        return web.json_response({"positions": [row] if row["size"] else [], **_DONE})

    async def _past_orders(self, request: web.Request) -> web.Response:
        await request.read()
        return web.json_response({"orders": self._account.orders, **_DONE})

    async def _trades(self, request: web.Request) -> web.Response:
        await request.read()
        return web.json_response({"trades": self._account.fills, **_DONE})

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
        self._running = False  # what follows is the client's way home
        out.write(text_frame(trade(-1, self._now()).encode()))  # of size 0: the end

    def _quote(self, out: asyncio.Transport, n: int) -> None:
        now = self._now() // _GRAIN * _GRAIN
        mark = n % self._options.every == self._options.every - 1
        record = (marked if mark else quote)(n, now)
        frame = text_frame(record.encode())
        if mark:
            bid = float(record.partition('"bestBid":')[2].partition(",")[0])
            self._prices = (bid, bid + 0.5)
        self._sent["quotes"] += 1
        if mark:
            self._marks[now] = self._now()
        out.write(frame)

    async def _user_events(self, out: asyncio.Transport) -> None:
        """Orders that another program makes and takes back."""
        self._user = out
        await asyncio.sleep(1.0)
        for n in range(int(self._options.seconds * USER_EVENTS_A_SECOND)):
            at = wire.to_iso(self._now())
            self._tell({wire.USER_ORDER: {
                "id": _OTHERS + n, **_of(at), "updateTimestamp": at, "status": 3, "type": 1,
                "side": 0, "size": 1, "limitPrice": 24_000.25, "fillVolume": 0,
            }})  # fmt: skip
            await asyncio.sleep(1 / USER_EVENTS_A_SECOND)


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

"""The venue without a socket: an httpx transport that runs it in this process, on its own clock.

Ten thousand lost answers cost no waiting: a time-out happens when the virtual clock reaches it.

I/O: none
"""

from __future__ import annotations

import asyncio

import httpx

from pxresearch.clock import NS, Clock
from pxresearch.simulator.api import Venue
from pxresearch.simulator.messages import CLOSED, RESET, TORN, TRICKLE, Delivery, HttpRequest


class InProcess(httpx.AsyncBaseTransport):
    """Give it to an httpx client, or to `gateway.rest.Rest`, as the transport.

    Parameters
    ----------
    venue
        What answers.
    clock
        On which waits and time-outs happen.

    Raises
    ------
    httpx.ReadTimeout
        The answer takes longer than the client's read time-out; the venue goes on.
    httpx.RemoteProtocolError
        The connection ended without a whole answer.
    httpx.ReadError
        It was reset.
    """

    def __init__(self, venue: Venue, clock: Clock) -> None:
        self._venue, self._clock = venue, clock
        self._running: set[asyncio.Task[Delivery]] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        asked = HttpRequest(
            method=request.method, path=request.url.path, body=await request.aread(),
            headers={name.lower(): value for name, value in request.headers.items()},
            query=dict(request.url.params),
        )  # fmt: skip
        fate = self._venue.fate(asked)
        if fate.wait_s("before") or fate.wait_s("after"):
            task = asyncio.ensure_future(self._venue.serve(asked, fate, self._clock))
            self._running.add(task)  # the venue goes on when the client has given up
            task.add_done_callback(self._running.discard)
            delivery = await self._within(request, task)
        else:
            delivery = await self._venue.serve(asked, fate, self._clock)
        return await self._deliver(request, delivery)

    async def _within(self, request: httpx.Request, task: asyncio.Task[Delivery]) -> Delivery:
        limit = request.extensions.get("timeout", {}).get("read")
        if limit is None:
            return await asyncio.shield(task)
        try:
            return await self._clock.within(limit, asyncio.shield(task))
        except TimeoutError:
            raise httpx.ReadTimeout("no answer in time", request=request) from None

    async def _deliver(self, request: httpx.Request, delivery: Delivery) -> httpx.Response:
        if delivery.ending == RESET:
            raise httpx.ReadError("connection reset", request=request)
        if delivery.ending in (CLOSED, TORN):
            raise httpx.RemoteProtocolError(
                "Server disconnected without sending a whole response.", request=request
            )
        if delivery.ending == TRICKLE:
            await self._clock.sleep(delivery.seconds)
        if self._venue.api.answer_first:
            self._venue.flush()
        response = delivery.response
        headers = dict(response.headers)
        if response.content_type:
            headers["Content-Type"] = response.content_type
        return httpx.Response(response.status, headers=headers, content=response.body)

    async def play(self) -> None:
        """Let the market flow with the clock, until cancelled or over."""
        while (due := self._venue.next_due()) is not None:
            await self._clock.sleep(max(due - self._venue.now(), 0) / NS)
            self._venue.advance()

    async def aclose(self) -> None:
        """Stop what still runs."""
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

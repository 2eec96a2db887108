"""A wire between a session and the simulator: it forwards, until it is cut or goes dumb."""

from __future__ import annotations

import asyncio


class Wire:
    """Forwards connections to a port of this machine, unless it is cut."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._cut = self._mute = False

    async def open(self) -> int:
        """Begin to listen; the port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    def cut(self) -> None:
        """End every connection by a reset, and every new one at once."""
        self._cut = True
        for writer in self._writers:
            writer.transport.abort()

    def mute(self) -> None:
        """Pass nothing on any more, and tell nobody: a cable that is pulled."""
        self._mute = True

    def heal(self) -> None:
        """Be whole again for new connections; those of before are gone."""
        if self._mute:
            for writer in self._writers:
                writer.transport.abort()
        self._cut = self._mute = False

    async def close(self) -> None:
        """Listen no more, and end what there is."""
        self._server.close()
        self._cut = True
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._writers.add(writer)
        if self._cut:
            writer.transport.abort()
            return
        there_reader, there = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers.add(there)
        if self._cut:  # meanwhile
            writer.transport.abort()
            there.transport.abort()
        await asyncio.gather(
            self._pass(reader, there), self._pass(there_reader, writer), return_exceptions=True
        )
        for one in (writer, there):
            one.transport.abort()
            self._writers.discard(one)

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65_536):
            if not self._mute:
                target.write(data)
        target.close()

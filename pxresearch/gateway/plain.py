"""The notebook client without ``await``: the same calls on an event loop of their own.

    gw = px.connect("simulator", url="http://127.0.0.1:8800")
    gw.bars("MNQ", days=5)
    gw.buy("MNQ", 1, stop_ticks=40, target_r=2)
    gw.close_session()

Each call runs on one background thread, so that a notebook whose own loop is running can use it.

I/O: the network; one thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
from collections.abc import Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any

from pxresearch.errors import UsageError
from pxresearch.gateway.client import Gateway
from pxresearch.gateway.records import Event

_NOT_PLAIN = {"rest", "desk", "stream"}


def connect(profile: str = "topstepx", **options: Any) -> PlainGateway:
    """Open a session at a gateway for plain calls; the options are those of `Gateway`."""
    return PlainGateway(profile, **options)


class PlainGateway:
    """Every method of `Gateway`, to be called plainly; also a context manager."""

    def __init__(self, profile: str = "topstepx", **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="pxresearch gateway", daemon=True
        )
        self._thread.start()
        try:
            self._inner = Gateway(profile, **options)
            self._wait(self._inner.__aenter__())
        except BaseException:
            self._end()
            raise

    def __repr__(self) -> str:
        return repr(self._inner)

    def _repr_html_(self) -> str:
        return self._inner._repr_html_()

    def __dir__(self) -> list[str]:
        named = {n for n in dir(self._inner) if n[0] != "_"} - _NOT_PLAIN
        return sorted({*super().__dir__(), *named})

    def __getattr__(self, name: str) -> Any:
        if name in _NOT_PLAIN:
            raise AttributeError(f"{name!r} belongs to asyncio; use events(), or px.Gateway")
        if name.startswith("_"):
            raise AttributeError(name)
        value = getattr(self._inner, name)
        return self._plain(value) if inspect.iscoroutinefunction(value) else value

    def __enter__(self) -> PlainGateway:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close_session()

    def _plain(self, method: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            return self._wait(method(*args, **named))

        call.__name__, call.__doc__ = method.__name__, method.__doc__
        return call

    def _wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        if not self._thread.is_alive():
            work.close()
            raise UsageError("this session is closed; open another with px.connect(...)")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise

    @contextlib.contextmanager
    def events(self, *codes: str, depth: bool = False) -> Iterator[Iterator[Event]]:
        """Stream events of some contracts and of the account, as a plain iterator.

        Examples
        --------
        >>> with gw.events("MNQ") as events:  # doctest: +SKIP
        ...     for event in events:
        ...         print(event)
        """
        stream = self._inner.stream(*codes, depth=depth)

        def each() -> Iterator[Event]:
            while batch := self._wait(stream.get()):
                yield from batch

        try:
            self._wait(stream.start())
            yield each()
        finally:
            self._wait(stream.stop())

    def close_session(self) -> None:
        """End the session; any number of times."""
        if self._thread.is_alive():
            try:
                self._wait(self._inner.__aexit__(None, None, None))
            finally:
                self._end()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

"""A local ProjectX Gateway: REST, both hubs, market replay and faults on 127.0.0.1.

``async with start(SimulatorSettings(port=0)) as simulator`` runs one in this process; `make_venue`
and `inprocess.InProcess` do without a socket. docs/simulator.md tells all.

I/O: none here; `app` listens on a socket.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pxresearch.simulator.server import (
        Simulator,
        SimulatorSettings,
        make_venue,
        start,
    )  # fmt: skip

__all__ = ["Simulator", "SimulatorSettings", "make_venue", "start"]


def __getattr__(name: str) -> Any:
    # The server needs aiohttp and polars; the exchange alone does not.
    if name in __all__:
        from pxresearch.simulator import server

        return getattr(server, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

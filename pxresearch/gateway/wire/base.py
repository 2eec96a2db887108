"""The root of every JSON object of the API.

I/O: none
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec


class Wire(msgspec.Struct, rename="camel", kw_only=True, frozen=True):
    """A JSON object with camelCase members."""


class Secret(Wire, kw_only=True, frozen=True):
    """A JSON object with a key or a token in it: no repr shows its members."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(hidden)"

    def __rich_repr__(self) -> Iterator[str]:
        yield "hidden"

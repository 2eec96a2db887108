"""The root of every JSON object of the API.

I/O: none
"""

from __future__ import annotations

import msgspec


class Wire(msgspec.Struct, rename="camel", kw_only=True, frozen=True):
    """A JSON object with camelCase members."""

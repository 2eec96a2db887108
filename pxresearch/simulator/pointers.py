"""How to point public clients at a simulator: the lines to paste.

I/O: none
"""

from __future__ import annotations


def pointers(url: str, username: str, api_key: str) -> list[str]:
    """Lines for each client."""
    return []

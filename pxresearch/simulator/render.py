"""How records look in JSON: over REST with explicit nulls, on the hubs with nulls left out.

I/O: none
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from pxresearch.gateway import wire
from pxresearch.gateway.wire.base import Wire

_WHEN_SET = {"parent_order_id", "linked_order_id", "trail_distance", "trail_price", "total_count"}
_ENVELOPE = ("success", "error_code", "error_message")


@cache
def _members(kind: type[Wire]) -> tuple[tuple[str, str], ...]:
    """Attribute and JSON name of each member; the envelope comes last, as in real answers."""
    fields = [(one.name, one.encode_name) for one in msgspec.structs.fields(kind)]
    return (
        *(one for one in fields if one[0] not in _ENVELOPE),
        *(one for one in fields if one[0] in _ENVELOPE),
    )


@cache
def _is_whole(kind: type[Wire]) -> bool:
    """Whether every member always has a value, so that the record can be written as it is."""
    return all(one.required for one in msgspec.structs.fields(kind))


def rest(record: Wire) -> dict[str, Any]:
    """Members of an answer or a row over REST: what has no value is null, few members left out."""
    shown: dict[str, Any] = {}
    for name, member in _members(type(record)):
        value = getattr(record, name)
        if value is None and name in _WHEN_SET:
            continue
        if isinstance(value, list):
            value = [one if _is_whole(type(one)) else rest(one) for one in value]
        elif isinstance(value, Wire):
            value = rest(value)
        shown[member] = value
    return shown


def event(record: Wire) -> dict[str, Any]:
    """Members of a row on the hub: those without a value are left out."""
    return {
        member: value
        for name, member in _members(type(record))
        if (value := getattr(record, name)) is not None
    }


def invocation(target: str, *arguments: Any) -> str:
    """The record of an event, with its end mark."""
    body = wire.encode({"type": 1, "target": target, "arguments": arguments}).decode()
    return body + wire.RECORD_END

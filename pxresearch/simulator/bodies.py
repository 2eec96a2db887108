"""Bodies of requests: JSON with members in any case into the API's records, or what is wrong.

What the real server's framework would refuse before the venue sees it is refused here too: a wrong
type, a missing member, a number that does not fit. Members that nobody knows are passed over.

I/O: none
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from typing import Any

import msgspec

from pxresearch.errors import NotUnderstood
from pxresearch.gateway import wire
from pxresearch.gateway.wire.base import Wire

_INT32 = 2**31
_INT64 = 2**63
_LONG = {"order_id"}  # members of 64 bits; every other whole number has 32
_LARGEST = Decimal("79228162514264337593543950335")  # of a .NET decimal
_JSON = msgspec.json.Decoder(float_hook=Decimal)
_TIMES = {
    "start_time", "end_time", "start_timestamp", "end_timestamp", "created_after",
    "created_before",
}  # fmt: skip


class BadBody(Exception):
    """The body is not the operation's; `member` is a JSON path or a name."""

    def __init__(self, member: str, text: str) -> None:
        self.member, self.text = member, text
        super().__init__(f"{member}: {text}")


def read(body: bytes, kind: type[Wire]) -> Any:
    """Record of a request.

    Raises
    ------
    BadBody
        Not JSON, a member missing or of another type, a number or time that cannot be.
    """
    if not body.strip() and kind is wire.Nothing:
        return wire.Nothing()
    if not body.strip():
        raise BadBody("", "A non-empty request body is required.")
    try:
        given = _JSON.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ArithmeticError) as error:
        raise BadBody("$", f"The body is not valid JSON: {error}") from None
    if kind is wire.Nothing:
        return wire.Nothing()
    try:
        record = msgspec.convert(_renamed(given, kind), kind)
    except msgspec.ValidationError as error:
        raise _bad(str(error)) from None
    _check(record)
    return record


@cache
def _known(kind: type[msgspec.Struct]) -> dict[str, tuple[str, type[msgspec.Struct] | None, bool]]:
    """By lower-case name: the member's name, the record inside, whether it may be left out."""
    known: dict[str, tuple[str, type[msgspec.Struct] | None, bool]] = {}
    hints = msgspec.inspect.type_info(kind)
    assert isinstance(hints, msgspec.inspect.StructType)
    for one in hints.fields:
        kinds = one.type.types if isinstance(one.type, msgspec.inspect.UnionType) else (one.type,)
        inner = next((k.cls for k in kinds if isinstance(k, msgspec.inspect.StructType)), None)
        known[one.encode_name.lower()] = one.encode_name, inner, not one.required
    return known


def _renamed(given: Any, kind: type[msgspec.Struct]) -> Any:
    if not isinstance(given, dict):
        return given
    known, members = _known(kind), {}
    for name, value in given.items():
        found = known.get(name.lower())
        if found is None or (value is None and found[2]):
            continue
        members[found[0]] = value if found[1] is None else _renamed(value, found[1])
    return members


def _check(record: Wire) -> None:
    """Widths of numbers, and times that exist."""
    for name, shown in zip(record.__struct_fields__, record.__struct_encode_fields__, strict=True):
        value, member = getattr(record, name), f"$.{shown}"
        if isinstance(value, Wire):
            _check(value)
        elif isinstance(value, Decimal):
            if not value.is_finite() or abs(value) > _LARGEST:
                raise BadBody(member, "The JSON value could not be converted to System.Decimal.")
        elif isinstance(value, int):
            bound = _INT64 if name in _LONG else _INT32
            if not -bound <= value < bound:
                raise BadBody(member, "The JSON value could not be converted to an integer.")
        elif name in _TIMES and value is not None:
            _check_time(member, value)


def _check_time(member: str, text: str) -> None:
    try:
        wire.to_ns(text)
    except NotUnderstood:
        raise BadBody(
            member, "The JSON value could not be converted to System.DateTimeOffset."
        ) from None


def _bad(text: str) -> BadBody:
    """Error of msgspec in the words of the real server."""
    said, _, path = text.partition(" - at ")
    if "missing required field" in said:
        name = said.rpartition(" ")[2].strip("`")
        return BadBody(name, f"The {name} field is required.")
    where = path.strip("`") or "$"
    return BadBody(where, f"The JSON value could not be converted. {said}. Path: {where}.")

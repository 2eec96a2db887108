"""JSON in and out.

I/O: none
"""

from __future__ import annotations

from typing import Any

import msgspec

from pxresearch.errors import NotUnderstood

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_DECODERS: dict[Any, msgspec.json.Decoder[Any]] = {}


def encode(value: Any) -> bytes:
    """JSON of a record or of plain values; a Decimal becomes a number, digit by digit."""
    return _ENCODER.encode(value)


def decode(data: bytes | str | msgspec.Raw, kind: Any) -> Any:
    """Record of the given type out of JSON.

    Raises
    ------
    NotUnderstood
        Not JSON, or not of that shape; the text names the member.
    """
    decoder = _DECODERS.get(kind)
    if decoder is None:
        decoder = _DECODERS[kind] = msgspec.json.Decoder(kind)
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotUnderstood(
            f"not the {getattr(kind, '__name__', kind)} of the API: {error}"
        ) from None

"""Switches by name: ``answer_first=true`` sets that member, wherever among the settings it is.

I/O: none
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from pxresearch.errors import UnknownName, UsageError
from pxresearch.simulator.hub import HubSettings
from pxresearch.simulator.routes import ApiSettings
from pxresearch.simulator.server import SimulatorSettings
from pxresearch.simulator.settings import VenueSettings

_PARTS: dict[str, type[msgspec.Struct]] = {
    "venue": VenueSettings, "api": ApiSettings, "hub": HubSettings,
}  # fmt: skip
_OWN = ("most_silence_s", "history_days")
_BY_OPTION = ("always_open", "max_minis")


def switches() -> dict[str, tuple[str, msgspec.structs.FieldInfo]]:
    """Part of the settings ("" is the whole) and field of every switch, by name."""
    found = {
        field.name: (part, field)
        for part, kind in _PARTS.items()
        for field in msgspec.structs.fields(kind)
        if field.name not in _BY_OPTION
    }
    own = {f.name: f for f in msgspec.structs.fields(SimulatorSettings)}
    return {**found, **{name: ("", own[name]) for name in _OWN}}


def switched(settings: SimulatorSettings, wishes: Iterable[str]) -> SimulatorSettings:
    """Settings with switches set, each wish ``name=value``.

    Raises
    ------
    UnknownName
        No such switch.
    UsageError
        Not name=value, or a value of another type.
    """
    known = switches()
    for wish in wishes:
        name, equals, text = wish.partition("=")
        if not equals:
            raise UsageError(f"--set: received {wish!r}, allowed is NAME=VALUE")
        if name not in known:
            raise UnknownName("switch", name, known)
        part, field = known[name]
        try:
            value: Any = msgspec.convert(text, field.type, strict=False)
        except msgspec.ValidationError:
            wanted = getattr(field.type, "__name__", field.type)
            raise UsageError(f"--set {name}: {text!r} is no {wanted}") from None
        changed = msgspec.structs.replace(getattr(settings, part) if part else settings,
                                          **{name: value})  # fmt: skip
        settings = msgspec.structs.replace(settings, **{part: changed}) if part else changed
    return settings

"""User events on their way out, and what the faults make of them.

I/O: none
"""

from __future__ import annotations

from typing import Any

import msgspec

from pxresearch.simulator import render
from pxresearch.simulator.events import UserEvent
from pxresearch.simulator.fate import UNKNOWN_STATUS
from pxresearch.simulator.fault_table import EVENT
from pxresearch.simulator.faults import Faults

_CHANGING = ("position_disagrees", "new_field", "unknown_enum")


class Outgoing(msgspec.Struct):
    """A user event as it will be written."""

    owner: str
    account_id: int
    target: str
    action: int
    data: dict[str, Any]

    @classmethod
    def of(cls, told: UserEvent) -> Outgoing:
        """The event as the exchange told of it."""
        data = render.event(told.record)
        return cls(told.owner, told.account_id, told.target, told.action, data)

    def text(self, bare: bool) -> str:
        """The record, its argument wrapped or bare."""
        argument = self.data if bare else {"action": self.action, "data": self.data}
        return render.invocation(self.target, argument)


def tampered(events: list[Outgoing], faults: Faults, now: int) -> list[Outgoing]:
    """Events of one moment after the faults: changed, doubled, dropped, reversed."""
    sent: list[Outgoing] = []
    for one in events:
        for name in _CHANGING:
            fault = faults.first(EVENT, now, name=name, target=one.target)
            if fault is not None:
                _change(one, name, fault.given)
        if faults.first(EVENT, now, name="drop_event", target=one.target):
            continue
        sent.append(one)
        if faults.first(EVENT, now, name="duplicate_event", target=one.target):
            sent.append(one)
    if len(sent) > 1:
        fault = faults.first(EVENT, now, name="reorder_events")
        if fault is not None:
            places = [i for i, one in enumerate(sent) if fault["target"] in ("", one.target)]
            backward = [sent[i] for i in reversed(places)]
            for i, one in zip(places, backward, strict=True):
                sent[i] = one
    return sent


def _change(one: Outgoing, name: str, given: dict[str, Any]) -> None:
    if name == "new_field":
        one.data["newField"] = "new"
    elif name == "unknown_enum":
        one.data["status"] = UNKNOWN_STATUS
    elif name == "position_disagrees":
        one.data["size"] += given["contracts"]

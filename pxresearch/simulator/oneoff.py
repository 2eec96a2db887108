"""One-off misbehaviour of the exchange, armed by name and used up by the next occasion.

I/O: none
"""

from __future__ import annotations

from enum import StrEnum

from pxresearch.errors import UsageError


class OneOff(StrEnum):
    """What can be armed.

    PARTIAL_FILL: the next order of two or more contracts that would fill gets one, and the rest at
    the next event. REFUSE_LEG: the next bracket leg to become active is rejected. KEEP_SIBLING: the
    next leg that fills leaves its sibling working. FILL_DURING_CANCEL: the next order to be
    cancelled fills instead. HOLD_ACK: the next order stays pending for a while. DROP_EVENT: the
    next user event is never told.
    """

    PARTIAL_FILL = "partial_fill"
    REFUSE_LEG = "refuse_leg"
    KEEP_SIBLING = "keep_sibling"
    FILL_DURING_CANCEL = "fill_during_cancel"
    HOLD_ACK = "hold_ack"
    DROP_EVENT = "drop_event"


class OneOffs:
    """How often each is still to happen."""

    def __init__(self) -> None:
        self._left: dict[OneOff, int] = {}

    def arm(self, what: OneOff, times: int = 1) -> None:
        """Let it happen the next `times` times; 0 disarms."""
        if times < 0:
            raise UsageError(f"{what}: times must be 0 or more, received {times}")
        self._left[what] = times

    def armed(self, what: OneOff) -> bool:
        """Whether it is to happen."""
        return self._left.get(what, 0) > 0

    def use(self, what: OneOff) -> bool:
        """Whether it happens now; counts down."""
        left = self._left.get(what, 0)
        if left == 0:
            return False
        self._left[what] = left - 1
        return True

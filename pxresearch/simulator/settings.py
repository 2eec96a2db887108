"""What a venue does where the real one is not known, and what it permits: one switch each.

The defaults are those of the reference ([SIM] choices) and of the backtest: an order fills here
when it would fill there.

I/O: none
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from pxresearch.core.records import LIMIT_FILLS
from pxresearch.errors import UsageError

STOP_TRIGGERS = ("trade", "quote")
MAX_MINIS = 25  # 250 micros: each contract may be a lot of its own, and the core keeps 256


class AccountKind(StrEnum):
    """What an account is; on a live one the API may not trade."""

    PRACTICE = "practice"
    COMBINE = "combine"
    FUNDED = "funded"
    LIVE = "live"


class BracketMode(StrEnum):
    """Whether brackets belong to the order (Auto OCO) or to the position."""

    AUTO_OCO = "auto_oco"
    POSITION = "position"


class VenueSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Switches of the exchange.

    Attributes
    ----------
    limit_fill, stop_trigger, slippage_ticks, partial_fills
        Fill rules of the core: through, touch or queue; trade or quote; ticks against a market or
        stop order; whether displayed size limits a fill.
    always_open
        Trade at any hour instead of by the session calendar.
    two_rows_through_zero
        A fill that reverses a position makes two trades: one that closes, one that opens.
    leg_update_stays
        A bracket leg's update time stays at the moment the leg became active.
    query_ignores_contract
        The contract filter of Order/v2/query has no effect, as measured.
    ack_delay_ms
        How long a held acknowledgement (`OneOff.HOLD_ACK`) keeps an order pending.
    max_minis
        Largest worst-case position by account kind, in minis (ten micros each).
    """

    limit_fill: str = "through"
    stop_trigger: str = "trade"
    slippage_ticks: int = 0
    partial_fills: bool = False
    always_open: bool = False
    two_rows_through_zero: bool = True
    leg_update_stays: bool = True
    query_ignores_contract: bool = True
    ack_delay_ms: int = 1000
    max_minis: dict[AccountKind, int] = msgspec.field(
        default_factory=lambda: dict.fromkeys(AccountKind, 15)
    )

    def __post_init__(self) -> None:
        _one_of("limit_fill", self.limit_fill, LIMIT_FILLS)
        _one_of("stop_trigger", self.stop_trigger, STOP_TRIGGERS)
        for name in ("slippage_ticks", "ack_delay_ms"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} must be 0 or more, received {getattr(self, name)}")
        for kind in AccountKind:
            cap = self.max_minis.get(kind)
            if cap is None or not 0 < cap <= MAX_MINIS:
                raise UsageError(
                    f"max_minis needs 1 to {MAX_MINIS} for {kind.value} accounts, received {cap}"
                )


def _one_of(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise UsageError(f"{name} must be one of {', '.join(allowed)}; received {value!r}")

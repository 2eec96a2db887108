"""What alerts are about, and the thresholds from which they are raised.

Times are seconds unless named otherwise, shares per cent.

I/O: none
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from pxresearch.errors import UsageError


class Topic(StrEnum):
    """What an alert is about: its `kind`."""

    CONNECTION = "connection"
    FEED = "feed"
    TOKEN = "token"
    DAY_LOSS = "daily loss limit"
    MAX_LOSS = "maximum loss limit"
    FLATTEN = "flatten"
    FLAT = "flat"
    PROTECTION = "protection"
    REFUSED = "refused"
    REJECTED = "rejected"
    UNKNOWN = "unknown outcome"
    RECONCILED = "reconciled"
    KILL_SWITCH = "kill switch"
    LOCKED = "locked"
    LATENCY = "latency"
    DRIFT = "drift"
    JOURNAL = "journal"
    ALERTS = "alerts"
    ERROR = "error"
    SUMMARY = "summary"


class Thresholds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From when on something deserves an alert.

    Attributes
    ----------
    connection_s
        A hub that is down for so long.
    feed_s
        A contract without quote or trade for so long while its session is open.
    loss_percent
        Shares of a loss limit, ascending; each is told once a day.
    flatten_minutes
        Times before a flatten deadline, descending; each is told once, and only while there is a
        position or a working order.
    unprotected_s
        A position without stop for so long; None for a strategy that uses none.
    unreconciled_s
        The account and the venue not agreed for so long.
    order_ms
        The 95th percentile of an order's round trip, milliseconds.
    order_least
        Orders from which on that percentile is looked at.
    journal_lag_s
        How far the journal on the disk is behind.
    gather_s
        The same thing happening again within this time is counted, and told at its end.
    """

    connection_s: float = 3.0
    feed_s: float = 15.0
    loss_percent: tuple[float, ...] = (50.0, 80.0, 95.0)
    flatten_minutes: tuple[float, ...] = (15.0, 5.0, 1.0)
    unprotected_s: float | None = 3.0
    unreconciled_s: float = 30.0
    order_ms: float = 1_000.0
    order_least: int = 10
    journal_lag_s: float = 2.0
    gather_s: float = 60.0

    def __post_init__(self) -> None:
        _ordered("loss_percent", self.loss_percent, sorted(self.loss_percent), "ascending")
        falling = sorted(self.flatten_minutes, reverse=True)
        _ordered("flatten_minutes", self.flatten_minutes, falling, "descending")
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, int | float) and not value > 0:
                raise UsageError(f"alerts: {name} = {value!r}: allowed is a number above 0")

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> Thresholds:
        """Thresholds out of a settings table; what it does not name keeps its default.

        Raises
        ------
        UsageError
            A name that does not exist, or a value of the wrong kind.
        """
        try:
            return msgspec.convert(dict(table), cls)
        except msgspec.ValidationError as error:
            names = ", ".join(cls.__struct_fields__)
            raise UsageError(f"alerts: {error}; allowed are {names}") from None


def _ordered(name: str, given: tuple[float, ...], wanted: list[float], order: str) -> None:
    if list(given) != wanted or len(set(given)) < len(given) or any(not x > 0 for x in given):
        raise UsageError(f"alerts: {name} = {list(given)}: allowed are numbers above 0, {order}")

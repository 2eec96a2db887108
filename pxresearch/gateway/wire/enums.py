"""Enum numbers of the API; one that is not known decodes as ``UNKNOWN``, never as done.

I/O: none
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from pxresearch.errors import NotUnderstood


class _Numbered(IntEnum):
    @classmethod
    def _missing_(cls, value: object) -> Any:
        return cls(-1)


class OrderType(_Numbered):
    """Kind of an order."""

    UNKNOWN = -1
    NONE = 0
    LIMIT = 1
    MARKET = 2
    STOP_LIMIT = 3
    STOP = 4
    TRAILING_STOP = 5
    JOIN_BID = 6
    JOIN_ASK = 7


class OrderSide(_Numbered):
    """Side of an order or a trade of ours."""

    UNKNOWN = -1
    BUY = 0
    SELL = 1

    @property
    def sign(self) -> int:
        """+1 buy, -1 sell.

        Raises
        ------
        NotUnderstood
            A side that is neither.
        """
        if self is OrderSide.UNKNOWN:
            raise NotUnderstood("an order side that is neither 0 (buy) nor 1 (sell)")
        return 1 if self is OrderSide.BUY else -1


class OrderStatus(_Numbered):
    """Where an order is in its life."""

    UNKNOWN = -1
    NONE = 0
    OPEN = 1
    FILLED = 2
    CANCELLED = 3
    EXPIRED = 4
    REJECTED = 5
    PENDING = 6
    PENDING_CANCELLATION = 7
    SUSPENDED = 8

    @property
    def done(self) -> bool:
        """Whether nothing can happen to the order any more; an unknown status is never done."""
        return self in _DONE


_DONE = (OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.REJECTED)
WORKING = (
    OrderStatus.OPEN, OrderStatus.PENDING, OrderStatus.PENDING_CANCELLATION, OrderStatus.SUSPENDED,
)  # fmt: skip
"""Statuses to ask v2/query for: searchOpen leaves suspended bracket legs out."""


class PositionType(_Numbered):
    """Direction of a position; its size has no sign."""

    UNKNOWN = -1
    UNDEFINED = 0
    LONG = 1
    SHORT = 2


class BarUnit(_Numbered):
    """Unit of a bar's length."""

    UNKNOWN = -1
    UNSPECIFIED = 0
    SECOND = 1
    MINUTE = 2
    HOUR = 3
    DAY = 4
    WEEK = 5
    MONTH = 6
    TICK = 7


class TapeSide(_Numbered):
    """Aggressor of a trade on the tape."""

    UNKNOWN = -1
    BUY = 0
    SELL = 1


class DepthType(_Numbered):
    """What a depth item says."""

    UNKNOWN = -1
    NONE = 0
    ASK = 1
    BID = 2
    BEST_ASK = 3
    BEST_BID = 4
    TRADE = 5
    RESET = 6
    LOW = 7
    HIGH = 8
    NEW_BEST_BID = 9
    NEW_BEST_ASK = 10
    FILL = 11


class OrderSort(_Numbered):
    """What Order/v2/query sorts by."""

    UNKNOWN = -1
    CREATED_AT = 0
    ID = 1


class SortDirection(_Numbered):
    """Direction of that sort."""

    UNKNOWN = -1
    ASCENDING = 0
    DESCENDING = 1

"""What a person types for an order, as ticks: prices, distances and multiples of the risk.

Pure. Nothing is guessed: two ways of saying one thing, or a price that cannot be turned into a
distance, are refused with what to give instead.

I/O: none
"""

from __future__ import annotations

import math
from decimal import Decimal

import msgspec

from pxresearch.core.records import LIMIT, MARKET, STOP
from pxresearch.errors import UsageError
from pxresearch.gateway.contracts import Listing

Price = float | Decimal


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """An order as it was typed.

    Attributes
    ----------
    qty
        Contracts; negative sells.
    limit, stop
        Price of a limit or a stop order; neither is a market order.
    stop_ticks, target_ticks
        Distances of the bracket's legs from the fill, positive.
    stop_loss, take_profit
        The same as prices; for a limit or stop order, whose own price is known.
    target_r
        Target as a multiple of the stop's distance, to the nearest tick.
    trailing
        The bracket's stop trails.
    """

    qty: int
    limit: Price | None = None
    stop: Price | None = None
    stop_ticks: int = 0
    target_ticks: int = 0
    stop_loss: Price | None = None
    take_profit: Price | None = None
    target_r: float | None = None
    trailing: bool = False


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """The same in the words of `NewOrder`."""

    kind: int
    side: int
    qty: int
    limit: int | None
    stop: int | None
    stop_ticks: int
    target_ticks: int
    trailing_stop: bool


def terms(asked: Asked, listing: Listing) -> Terms:
    """Terms of what was asked.

    Raises
    ------
    UsageError
        No whole number of contracts, both of two ways, a bracket price on the wrong side.
    OffGridPrice
        A price that is not a whole number of ticks; it is never rounded.
    """
    if type(asked.qty) is not int or asked.qty == 0:
        raise UsageError(f"quantity {asked.qty!r}: a whole number of contracts, at least 1")
    if asked.limit is not None and asked.stop is not None:
        raise UsageError("give limit or stop, not both: the gateway takes no stop-limit orders")
    limit, stop = _ticks(listing, "limit", asked.limit), _ticks(listing, "stop", asked.stop)
    level = stop if limit is None else limit
    side = 1 if asked.qty > 0 else -1
    loss = _leg("stop_ticks", asked.stop_ticks, "stop_loss",
                _distance(listing, level, asked.stop_loss, -side, "stop_loss"))  # fmt: skip
    gain = _leg("target_ticks", asked.target_ticks, "take_profit",
                _distance(listing, level, asked.take_profit, side, "take_profit"))  # fmt: skip
    if asked.target_r is not None:
        gain = _multiple(asked.target_r, loss, gain)
    if asked.trailing and not loss:
        raise UsageError("trailing is of the bracket's stop; give stop_ticks or stop_loss with it")
    return Terms(
        kind=MARKET if level is None else LIMIT if stop is None else STOP, side=side,
        qty=abs(asked.qty), limit=limit, stop=stop, stop_ticks=loss, target_ticks=gain,
        trailing_stop=asked.trailing,
    )  # fmt: skip


def price_ticks(listing: Listing, name: str, price: Price) -> int:
    """Ticks of a price that a person typed."""
    if not math.isfinite(price):
        raise UsageError(f"{name} {price} is not a price")
    return listing.to_ticks(price)


def _ticks(listing: Listing, name: str, price: Price | None) -> int | None:
    return None if price is None else price_ticks(listing, name, price)


def _distance(
    listing: Listing, level: int | None, price: Price | None, sign: int, name: str
) -> int | None:
    """Ticks from the order's level to a bracket price on the side `sign`."""
    if price is None:
        return None
    if level is None:
        raise UsageError(
            f"{name} is a price, and where a market order fills is not known before; give it in "
            f"ticks: {'stop_ticks' if name == 'stop_loss' else 'target_ticks'}"
        )
    ticks = (price_ticks(listing, name, price) - level) * sign
    if ticks <= 0:
        raise UsageError(
            f"{name} {price} is on the wrong side of the order's price {listing.to_price(level)}"
        )
    return ticks


def _leg(name: str, ticks: int, other: str, distance: int | None) -> int:
    if type(ticks) is not int or ticks < 0:
        raise UsageError(f"{name} {ticks!r}: a distance in whole ticks, positive")
    if ticks and distance is not None:
        raise UsageError(f"give {name} or {other}, not both")
    return ticks if distance is None else distance


def _multiple(ratio: float, stop_ticks: int, target_ticks: int) -> int:
    if target_ticks or not stop_ticks or not (math.isfinite(ratio) and ratio > 0):
        raise UsageError(
            "target_r is a positive multiple of the stop's distance; give it with stop_ticks or "
            "stop_loss, and without a target of its own"
        )
    return max(1, round(stop_ticks * ratio))

"""What data each contract of a session has, and which together would look ahead.

I/O: none
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pxresearch.brokers.fillmodel import FillModel
from pxresearch.core import records as r
from pxresearch.errors import UsageError
from pxresearch.instruments import Contract
from pxresearch.timeframes import parse_timeframe


@dataclass(frozen=True, slots=True)
class Feed:
    """What data a contract of the session has."""

    contract: Contract
    kinds: tuple[str, ...]
    bar_spec: str | None = None  # length of the bars, for a contract that has nothing finer


def check_feeds(feeds: Sequence[Feed], fills: FillModel) -> None:
    """Refuse what cannot be a session, and a fill model that its data cannot carry."""
    if not 1 <= len(feeds) <= r.MAX_CONTRACTS:
        raise UsageError(f"a session has 1 to {r.MAX_CONTRACTS} contracts, received {len(feeds)}")
    codes = [f.contract.code for f in feeds]
    if len(set(codes)) != len(codes):
        raise UsageError(f"each contract once, received {', '.join(codes)}")
    for feed in feeds:
        if "bars" in feed.kinds and len(feed.kinds) > 1:
            others = ", ".join(k for k in feed.kinds if k != "bars")
            raise UsageError(
                f"{feed.contract.code} has bars beside {others}; "
                "choose: ticks.only('bars') or ticks.only('quotes', 'trades')"
            )
        if fills.limit_fill == "queue" and "quotes" not in feed.kinds:
            raise UsageError(
                "limit_fill='queue' needs quotes with sizes; "
                f"{feed.contract.code} has {', '.join(feed.kinds)}"
            )
        if fills.partial_fills and feed.kinds == ("bars",):
            raise UsageError(
                f"partial_fills needs quotes or trades; {feed.contract.code} has bars only"
            )


def check_bars(feeds: Sequence[Feed], timeframes: Sequence[str]) -> None:
    """Refuse bars that would let one contract, or a finer timeframe, see another's future.

    A bar is worked off at its open, with all its prices.
    """
    barred = [f for f in feeds if f.kinds == ("bars",)]
    if not barred:
        return
    if len(barred) < len(feeds):
        ticks = next(f for f in feeds if f not in barred)
        raise UsageError(
            f"{barred[0].contract.code} has bars only and {ticks.contract.code} has "
            f"{', '.join(ticks.kinds)}: in one run all contracts have ticks, or all have bars"
        )
    specs = {f.bar_spec for f in barred if f.bar_spec is not None}
    if len(specs) > 1:
        raise UsageError(
            f"bars of {' and '.join(sorted(specs))} in one run: use one length for all contracts"
        )
    for spec in specs:
        length = parse_timeframe(spec)[1]
        for text in timeframes:
            kind, period = parse_timeframe(text)
            if kind == r.TIME_BARS and (period < length or period % length):
                raise UsageError(
                    f"timeframe {text} cannot be made of {spec} bars: use a multiple of {spec}"
                )

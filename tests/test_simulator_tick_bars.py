"""Bars of so many trades in a market that never closes: a weekend is passed, no trade is lost."""

from __future__ import annotations

from pxresearch.clock import NS
from pxresearch.gateway import wire
from pxresearch.simulator.history import History, Series
from pxresearch.simulator.listing import listed_contracts

HOUR = 3_600 * NS
NOW = wire.to_ns("2026-11-25T17:00:00Z")  # a Wednesday
DAYS = 9  # two weekends


def _bars(number: int, limit: int = wire.MAX_BARS) -> list[wire.Bar]:
    listed = listed_contracts(NOW)
    contract = next(one for one in listed if one.product.root == "MNQ")
    history = History(listed, {contract.id: Series()})
    for hour in range(DAYS * 24):
        history.by_hand(contract.id, NOW - DAYS * 24 * HOUR + hour * HOUR, 100_000 + hour, 1)
    request = wire.RetrieveBars(
        contract_id=contract.id, live=False, start_time=wire.to_iso(NOW - 30 * 24 * HOUR, 0),
        end_time=wire.to_iso(NOW, 0), unit=wire.BarUnit.TICK, unit_number=number, limit=limit,
        include_partial_bar=True,
    )  # fmt: skip
    answer = history.answer(request, NOW)
    assert answer.success
    return answer.bars or []


def test_every_trade_of_a_weekend_is_in_one_bar() -> None:
    opened = [wire.to_ns(bar.t) for bar in _bars(1)]
    assert opened == [NOW - HOUR * k for k in range(1, DAYS * 24 + 1)]


def test_bars_of_several_trades_keep_their_volume_and_their_size() -> None:
    bars = _bars(5)
    assert sum(bar.v for bar in bars) == DAYS * 24
    assert max(bar.v for bar in bars) == 5


def test_the_newest_bars_are_kept_at_the_limit() -> None:
    assert _bars(1, limit=60) == _bars(1)[:60]

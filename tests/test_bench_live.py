"""`bench live`: a whole session against the source, and what the source says of its account."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from pxresearch.bench import live
from pxresearch.bench.hubsource import quote
from pxresearch.bench.livesource import BALANCE, Account, marked, text_frame
from pxresearch.gateway import wire
from pxresearch.gateway.wsframes import FrameReader
from pxresearch.instruments import instrument
from pxresearch.sessions import trading_day


def test_every_mark_is_answered_and_nothing_is_lost() -> None:
    """Forty quotes, of which two are marked: two orders, each stage takes its time, all arrives."""
    report = asyncio.run(live.measure(40, 1.0, 20))
    assert (report["unanswered"], report["refused"]) == (0, {})
    assert report["timed"] == report["orders"] == report["sent"]["quotes"] // 20 > 0
    assert report["lost"] == {"quotes": 0, "trades": 0, "user": 0}
    assert report["received"]["user"] >= 3 * report["orders"]  # order, fill and position each
    assert all(report["stages_us"][name]["p50"] > 0 for name in live.STAGES)
    longest = sum(report["stages_us"][name]["max"] for name in live.STAGES)
    assert longest >= report["us"]["max"] - 1e-6
    assert report["journal_bytes"] > 0
    text = live.format_live_bench(
        {"machine": {"platform": "p", "cores": 2, "python": "3"}, "latency": report, "load": report}
    )
    assert "lost: 0 trades, 0 of" in text
    assert "refused" not in text


def test_a_marked_quote_differs_in_its_ask_alone() -> None:
    """Two ticks of spread instead of one."""
    rows = []
    for make in (quote, marked):
        frame = text_frame(make(7, live.OPEN).encode())
        payload = FrameReader().feed(frame)[0].rstrip(wire.RECORD_END.encode())
        rows.append(wire.decode(payload, wire.MarketCall).arguments[1])
    plain, mark = (wire.encode(row) for row in rows)
    assert rows[0].best_ask - rows[0].best_bid == 0.25
    assert rows[1].best_ask - rows[1].best_bid == 0.5
    assert plain.replace(b"%r" % rows[0].best_ask, b"") == mark.replace(
        b"%r" % rows[1].best_ask, b""
    )


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 3), st.integers(0, 40)), max_size=30))
def test_the_sources_account_is_the_sum_of_its_fills(orders: list[tuple[int, int, int]]) -> None:
    """Position and cash, by an oracle: every contract is bought or sold at its price."""
    account, position, cash = Account(), 0, Decimal(BALANCE)
    cost = Decimal(instrument("MNQ").cost_micros(trading_day(live.OPEN))) / 10**6
    for number, (side, size, ticks) in enumerate(orders):
        price = 25_000 + ticks * 0.25
        account.fill(number, {"side": side, "size": size, "customTag": None}, price, "")
        signed = -size if side else size
        position += signed
        cash -= signed * Decimal(price) * 2 + cost * size
    open_value = position * Decimal(account.row("")["averagePrice"]) * 2
    gross = [Decimal(fill["profitAndLoss"] or 0) for fill in account.fills]
    assert all(one % Decimal("0.5") == 0 for one in gross)
    assert account.position == position
    assert abs(Decimal(account.balance) - (cash + open_value)) < Decimal("0.001")

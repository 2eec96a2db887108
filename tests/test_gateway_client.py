"""The notebook client: frames, one-line orders, accounts, and the same without ``await``."""

from __future__ import annotations

import asyncio
import threading
from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

import pxresearch as px
from pxresearch.clock import WallClock
from pxresearch.errors import LoginRefused, UnknownName, UsageError
from pxresearch.gateway.client import Gateway
from pxresearch.gateway.credentials import Credentials
from pxresearch.gateway.outcome import NOT_FOUND, REFUSED_HERE, Accepted, Rejected
from pxresearch.gateway.plain import PlainGateway
from pxresearch.simulator.inprocess import InProcess
from pxresearch.simulator.settings import AccountKind
from tests.client_kit import ACCOUNT, KEY, Desk, spec
from tests.exchange_kit import MNQ


# ------------------------------------------------------------------ orders
def test_a_bracket_in_one_line() -> None:
    """S78, S43: signed bracket ticks, the automated mark and the tag are on the wire."""
    desk = Desk()

    async def script(gw: Gateway) -> Any:
        return await gw.buy("MNQ", 2, stop_ticks=40, target_r=2)

    outcome = desk.run(script)
    assert isinstance(outcome, Accepted)
    entry, stop, target = desk.truth.orders
    assert entry.id == outcome.order_id
    assert entry.custom_tag.startswith("px.notebook.")
    filled = Decimal("25000.25")  # the ask; 40 ticks are 10 points
    assert (stop.size, stop.stop_price) == (2, filled - 10)
    assert (target.size, target.limit_price) == (2, filled + 20)
    [body] = desk.sent["Order/place"]
    assert body["isAutomated"] is True
    assert (body["stopLossBracket"]["ticks"], body["takeProfitBracket"]["ticks"]) == (-40, 80)
    assert body["customTag"] == entry.custom_tag


def test_limits_stops_and_changes_by_price() -> None:
    """Prices as a person types them; what is left out of a change stays."""
    desk = Desk()

    async def script(gw: Gateway) -> None:
        low = await gw.buy("MNQZ26", 1, limit=24_950.25)
        high = await gw.sell(MNQ, 1, stop=24_940.0, stop_loss=24_950.0)
        assert isinstance(low, Accepted)
        assert isinstance(high, Accepted)
        assert isinstance(await gw.modify(low.order_id or 0, qty=3, limit=24_951.5), Accepted)
        frame = await gw.working()
        shown = frame.filter(pl.col("id") == low.order_id).row(0, named=True)
        assert (shown["kind"], shown["qty"], shown["limit"]) == ("limit", 3, 24_951.5)
        other = frame.filter(pl.col("id") == high.order_id).row(0, named=True)
        assert (other["kind"], other["qty"], other["stop"]) == ("stop", -1, 24_940.0)
        assert isinstance(await gw.cancel(low.order_id or 0), Accepted)
        ended = await gw.cancel(low.order_id or 0)
        assert isinstance(ended, Rejected)
        unknown = await gw.modify(17, qty=1)
        assert isinstance(unknown, Rejected)
        assert unknown.reason == NOT_FOUND

    desk.run(script)


@pytest.mark.parametrize(("verb", "qty"), [("buy", -1), ("sell", -1), ("buy", 0), ("sell", 1.0)])
def test_a_sign_never_turns_an_order_round(verb: str, qty: Any) -> None:
    """A negative quantity could mean either, so nothing is sent."""
    desk = Desk()

    async def script(gw: Gateway) -> None:
        with pytest.raises(UsageError, match="quantity"):
            await getattr(gw, verb)("MNQ", qty)

    desk.run(script)
    assert list(desk.truth.orders) == []


def test_refusals_are_values_with_the_reason() -> None:
    """Two ticks of stop are refused here, an account that may not trade at the venue."""
    desk = Desk()

    async def script(gw: Gateway) -> list[Any]:
        near = await gw.buy("MNQ", 1, stop_ticks=2)
        desk.venue.exchange.set_can_trade(ACCOUNT, False)
        return [near, await gw.buy("MNQ", 1)]

    here, there = desk.run(script)
    assert (type(here), here.reason) == (Rejected, REFUSED_HERE)
    assert "4" in here.text
    assert isinstance(there, Rejected)
    assert there.code is not None


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_answer_that_is_lost_is_looked_up(when: str) -> None:
    """S48: accepted or not, one order at most, and the outcome is known in the end."""
    desk = Desk()

    async def script(gw: Gateway) -> Any:
        desk.venue.faults.add("lose_response", operation="Order/place", when=when)
        return await gw.buy("MNQ", 1)

    outcome = desk.run(script)
    assert isinstance(outcome, Accepted if when == "after" else Rejected)
    assert len(desk.truth.orders) == (when == "after")
    assert len(desk.sent["Order/place"]) == 1


# ------------------------------------------------------------------ frames
def test_the_account_as_frames() -> None:
    """S49, S81: times have a zone, each row its session, quantities a sign, money is USD."""
    desk = Desk()

    async def script(gw: Gateway) -> list[pl.DataFrame]:
        await gw.buy("MNQ", 3)
        desk.move(100_020)
        await gw.close("MNQ", 1)
        assert await gw.balance() == 150_000 - 4 * 0.61 + (100_020 - 100_001) * 0.5
        return [await gw.positions(), await gw.trades(), await gw.orders(), await gw.accounts()]

    held, trades, orders, accounts = desk.run(script)
    row = held.row(0, named=True)
    assert (row["contract"], row["qty"], row["average_price"]) == ("MNQZ26", 3 - 1, 25_000.25)
    assert row["open_pnl"] is None  # nobody looked at the market: unknown, not 0
    assert trades["qty"].to_list() == [3, -1]
    assert trades["gross"].to_list() == [None, 9.5]
    assert trades["cost"].to_list() == [1.83, 0.61]
    assert orders["status"].to_list() == ["filled", "filled"]
    for frame, name in ((held, "created"), (trades, "ts"), (orders, "created")):
        assert frame.schema[name] == pl.Datetime("ns", "UTC")
        assert set(frame["session"]) == {date(2026, 11, 25)}
    assert accounts["name"].to_list() == [f"PRAC-V2-{ACCOUNT}"]


def test_empty_frames_have_their_columns() -> None:
    """A flat account is a table without rows, not an error."""
    desk = Desk()

    async def script(gw: Gateway) -> None:
        for frame in (await gw.positions(), await gw.trades(), await gw.orders()):
            assert frame.height == 0
            assert "session" in frame.columns

    desk.run(script)


def test_contracts_are_found_by_what_they_are() -> None:
    """NQ is not crude oil, and an unknown code says what there is."""
    desk = Desk()

    async def script(gw: Gateway) -> None:
        assert gw.contract("NQ").symbol_id == "F.US.ENQ"
        assert gw.contract("mnqz26").id == MNQ
        with pytest.raises(UnknownName, match="MNQZ26"):
            gw.contract("MNQZ36")
        assert (await gw.contracts())["code"].is_unique().all()

    desk.run(script)


# ------------------------------------------------------------------ accounts and secrets
def test_with_several_accounts_none_is_taken() -> None:
    """S24: the error lists them, nothing is sent; market data needs none."""
    several = [spec(ACCOUNT), spec(9, kind=AccountKind.COMBINE), spec(8, kind=AccountKind.LIVE)]
    desk = Desk(accounts=several)

    async def script(gw: Gateway) -> None:
        with pytest.raises(UsageError, match=rf"PRAC-V2-{ACCOUNT} \({ACCOUNT}\), 150KTC-V2-9 \(9"):
            await gw.buy("MNQ", 1)
        assert "none is chosen" in gw._repr_html_()
        assert (await gw.contracts()).height > 10

    desk.run(script)
    assert list(desk.truth.orders) == []

    async def chosen(gw: Gateway) -> int:
        return gw.account.id

    assert desk.run(chosen, account="150KTC-V2-9") == 9
    with pytest.raises(UsageError, match="live-funded"):
        desk.run(chosen, account=8)


def test_no_secret_shows() -> None:
    """S27: neither key nor token in any repr, nor in the error of a refused login."""
    desk = Desk()

    async def script(gw: Gateway) -> str:
        held = [gw, gw.rest, gw.desk, gw.profile, gw.account, *vars(gw).values()]
        text = "".join(map(repr, held)) + gw._repr_html_()
        assert await gw.rest.token() not in text
        return text

    assert KEY not in desk.run(script)
    desk.venue.users.end_all()
    with pytest.raises(LoginRefused) as caught:
        plain(desk, keys=Credentials("trader", KEY + "x"))
    assert KEY not in str(caught.value)


# ------------------------------------------------------------------ without await
def plain(desk: Desk, **options: Any) -> PlainGateway:
    transport = InProcess(desk.venue, WallClock())
    options.setdefault("keys", Credentials("trader", KEY))
    return px.connect("simulator", http=transport, **options)


def test_the_same_calls_without_await() -> None:
    """From a plain function, and from inside a running loop as in a notebook."""
    desk = Desk()

    def script() -> None:
        with plain(desk) as gw:
            assert isinstance(gw.buy("MNQ", 1, stop_ticks=40), Accepted)
            assert gw.positions()["qty"].to_list() == [1]
            assert gw.account.id == ACCOUNT
            assert gw.contract("MNQ").code == "MNQZ26"
            assert gw.flatten().verified
            assert "local simulator" in repr(gw) + gw._repr_html_()
            assert {"buy", "bars", "flatten", "events"} <= set(dir(gw))
            for name in ("rest", "desk", "stream"):
                with pytest.raises(AttributeError, match="asyncio"):
                    getattr(gw, name)
        with pytest.raises(UsageError, match="closed"):
            gw.positions()
        gw.close_session()

    script()

    async def notebook() -> None:
        script()

    asyncio.run(notebook())
    assert not [t for t in threading.enumerate() if "pxresearch gateway" in t.name]


def test_every_call_has_its_plain_twin() -> None:
    """Nothing is written twice, so nothing can be forgotten."""
    calls = {n for n in vars(Gateway) if not n.startswith("_")} - {"stream"}
    with plain(Desk()) as gw:
        assert calls <= set(dir(gw))
        assert gw.buy.__doc__ == Gateway.buy.__doc__


def test_an_interrupted_call_is_settled_later() -> None:
    """Ctrl-C while an order is on its way: nothing new goes out until it has been looked up."""
    desk = Desk()

    async def script(gw: Gateway) -> None:
        desk.venue.faults.add("slow_response", operation="Order/place", seconds=5.0)
        call = asyncio.ensure_future(gw.buy("MNQ", 1))
        await desk.clock.sleep(1.0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        [tag] = gw.unresolved
        refused = await gw.buy("MNQ", 1)
        assert isinstance(refused, Rejected)
        assert refused.reason == REFUSED_HERE
        assert isinstance((await gw.settle())[tag], Accepted)
        assert gw.unresolved == ()
        assert isinstance(await gw.buy("MNQ", 1), Accepted)

    desk.run(script)
    assert len(desk.sent["Order/place"]) == 2

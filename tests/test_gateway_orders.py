"""Orders in ticks to requests of the API: exact bytes, every refusal, tags that read back."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxresearch.core.records import LIMIT, MARKET, STOP, STOP_LIMIT, TRAILING
from pxresearch.errors import OffGridPrice, UsageError
from pxresearch.gateway import wire
from pxresearch.gateway.contracts import Directory, Listing
from pxresearch.gateway.orders import Change, Market, NewOrder, modify_request, place_request
from pxresearch.gateway.outcome import Rejected
from pxresearch.gateway.profiles import profile
from pxresearch.gateway.tags import ENTRY, LEGS, Tag, make_tag, read_tag, run_name
from tests.payloads import CONTRACT, YEN

NAMES = Directory([wire.decode(text, wire.Contract) for text in (CONTRACT, YEN)])
MNQ, JPY = NAMES.find("MNQ"), NAMES.find("6J")
AT = Market(bid=100_400, ask=100_402, last=100_401)  # 25100.00, 25100.50, 25100.25
HERE = profile("simulator")


def order(**changes: Any) -> NewOrder:
    base = {
        "account": 7001122, "contract_id": MNQ.id, "kind": MARKET, "side": 1, "qty": 2,
        "tag": "px.EmaCross.k3f9z0.17.E", "is_automated": True,
    }  # fmt: skip
    return NewOrder(**{**base, **changes})


def sent(market: Market | None = AT, listing: Listing = MNQ, **changes: Any) -> dict[str, Any]:
    request = place_request(order(**changes), listing, market, HERE)
    assert isinstance(request, wire.PlaceOrder), request
    return json.loads(wire.encode(request), parse_float=Decimal)


def refused(market: Market | None = AT, listing: Listing = MNQ, **changes: Any) -> str:
    found = place_request(order(**changes), listing, market, HERE)
    assert isinstance(found, Rejected), found
    assert found.reason == "REFUSED_HERE"
    return found.text


# ------------------------------------------------------------------ what goes out
def test_a_bracketed_market_order_to_the_byte() -> None:
    """Stop below and target above for a buy; the automated mark is there."""
    found = place_request(order(stop_ticks=60, target_ticks=120), MNQ, None, HERE)
    assert wire.encode(found).decode() == (
        '{"accountId":7001122,"contractId":"CON.F.US.MNQ.Z26","type":2,"side":0,"size":2,'
        '"customTag":"px.EmaCross.k3f9z0.17.E","stopLossBracket":{"ticks":-60,"type":4},'
        '"takeProfitBracket":{"ticks":120,"type":1},"isAutomated":true}'
    )


def test_the_signs_of_a_sell_are_turned_round() -> None:
    """A short's stop lies above its fill, its target below; a trailing stop is type 5."""
    found = sent(side=-1, stop_ticks=4, target_ticks=1000, trailing_stop=True)
    assert found["side"] == 1
    assert found["stopLossBracket"] == {"ticks": 4, "type": 5}
    assert found["takeProfitBracket"] == {"ticks": -1000, "type": 1}


def test_prices_are_exact() -> None:
    """A quarter on MNQ, half of a millionth on the yen: digit by digit, no float between."""
    assert sent(kind=LIMIT, limit=100_401)["limitPrice"] == Decimal("25100.25")
    found = sent(None, JPY, contract_id=JPY.id, kind=STOP, stop=13_571)
    assert str(found["stopPrice"]) == "0.0067855"
    assert found["type"] == 4
    assert sent(kind=LIMIT, limit=-3)["limitPrice"] == Decimal("-0.75")


def test_a_trailing_stop_is_a_level_from_the_last_trade() -> None:
    """The venue takes |last - level| for the distance: below for a sell, above for a buy."""
    assert sent(kind=TRAILING, side=-1, trail=20)["trailPrice"] == Decimal("25095.25")
    assert sent(kind=TRAILING, side=1, trail=1000)["trailPrice"] == Decimal("25350.25")


def test_a_profile_can_switch_the_mark_off_on_the_wire_only() -> None:
    """The order itself has no way to be without it."""
    quiet = profile("simulator", automated_flag=False)
    assert b"isAutomated" not in wire.encode(place_request(order(), MNQ, None, quiet))
    assert "automated mark" in refused(is_automated=False)
    with pytest.raises(TypeError):
        NewOrder(account=1, contract_id=MNQ.id, kind=MARKET, side=1, qty=1, tag="a")  # type: ignore[call-arg]


@given(
    side=st.sampled_from([1, -1]),
    kind=st.sampled_from([MARKET, LIMIT, STOP, TRAILING]),
    level=st.integers(1, 200_000),
    stop=st.one_of(st.just(0), st.integers(4, 1000)),
    target=st.one_of(st.just(0), st.integers(4, 1000)),
    qty=st.integers(1, 50),
)
def test_what_goes_out_is_on_the_grid_and_on_the_right_side(
    side: int, kind: int, level: int, stop: int, target: int, qty: int
) -> None:
    """Read back by the contract's own grid, prices are the ticks; legs lie where they protect."""
    market = Market(last=level)
    prices = {LIMIT: {"limit": level}, STOP: {"stop": level + side}, TRAILING: {"trail": 7}}
    found = sent(
        market, side=side, kind=kind, qty=qty, stop_ticks=stop, target_ticks=target,
        **prices.get(kind, {}),
    )  # fmt: skip
    names = {LIMIT: "limitPrice", STOP: "stopPrice", TRAILING: "trailPrice"}
    wanted = {LIMIT: level, STOP: level + side, TRAILING: level + side * 7}
    assert {name for name in names.values() if name in found} == {names.get(kind)} - {None}
    if kind in names:
        assert MNQ.to_ticks(Decimal(found[names[kind]])) == wanted[kind]
    legs = {name: found.get(name, {"ticks": 0})["ticks"] for name in (
        "stopLossBracket", "takeProfitBracket")}  # fmt: skip
    assert legs == {"stopLossBracket": -side * stop, "takeProfitBracket": side * target}
    assert (found["side"], found["size"]) == (0 if side > 0 else 1, qty)


# ------------------------------------------------------------------ what does not
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kind": STOP_LIMIT, "limit": 1, "stop": 1}, "takes no stop-limit"),
        ({"kind": 77}, "order kind 77"),
        ({"side": 0}, "+1 buys, -1 sells"),
        ({"qty": 0}, "at least 1"), ({"qty": -1}, "at least 1"), ({"qty": 2**31}, "quantity"),
        ({"qty": 1.0}, "whole number of contracts"), ({"qty": True}, "whole number"),
        ({"kind": LIMIT, "limit": 25100.25}, "25100.25 is not a whole number of ticks"),
        ({"kind": LIMIT}, "needs a limit price"), ({"kind": STOP}, "needs a stop price"),
        ({"limit": 5}, "takes no limit price"), ({"stop": 5}, "takes no stop price"),
        ({"kind": LIMIT, "limit": 5, "stop": 5}, "takes no stop price"),
        ({"trail": 5}, "has no trail"),
        ({"kind": TRAILING}, "a trail of 0 ticks: 1 to 1000"),
        ({"kind": TRAILING, "trail": 1001}, "a trail of 1001 ticks: 1 to 1000"),
        ({"stop_ticks": 3}, "stop 3 ticks away: 4 to 1000"),
        ({"stop_ticks": 1001}, "stop 1001 ticks away: 4 to 1000"),
        ({"target_ticks": 3}, "target 3 ticks away: 4 to 1000"),
        ({"stop_ticks": -60}, "always positive; the side gives the sign"),
        ({"trailing_stop": True}, "give stop_ticks"),
        ({"tag": ""}, "1 to 60"), ({"tag": "x" * 61}, "1 to 60"), ({"tag": "zwölf"}, "letters"),
        ({"tag": "two words"}, "letters"),
        ({"kind": STOP, "stop": 100_400}, "above it, at 25100.75 or beyond"),
        ({"kind": STOP, "side": -1, "stop": 100_402}, "below it, at 25099.75 or beyond"),
        ({"contract_id": JPY.id}, "the listing for CON.F.US.MNQ.Z26"),
    ],
)  # fmt: skip
def test_what_the_venue_would_reject_is_refused_here(changes: dict[str, Any], said: str) -> None:
    """What was received, what is allowed."""
    assert said in refused(**changes)


def test_a_trailing_stop_needs_a_last_trade() -> None:
    """Its level cannot be made from nothing."""
    for market in (None, Market(bid=1, ask=2)):
        assert "none is known" in refused(market, kind=TRAILING, trail=5)


def test_a_stop_is_judged_only_by_what_is_known() -> None:
    """Between the prices of a moving market the venue decides; without any price too."""
    assert sent(kind=STOP, stop=100_401)["stopPrice"] == Decimal("25100.25")
    assert sent(None, kind=STOP, stop=1)
    assert sent(Market(), kind=STOP, stop=1)


def test_a_contract_that_is_not_active_or_not_ours_is_not_traded() -> None:
    """The front month by name; a product without a table has no risk figures."""
    old = msgspec.structs.replace(MNQ, active=False)
    assert "MNQZ26 is not the contract that is traded now" in refused(listing=old)
    strange = msgspec.structs.replace(MNQ, contract=None)
    assert "no product of this program's table" in refused(listing=strange)


def test_an_off_grid_price_names_its_neighbours() -> None:
    """Never rounded; both valid prices are told."""
    with pytest.raises(OffGridPrice, match=r"nearest are 25100\.25 and 25100\.50?$"):
        MNQ.to_ticks(Decimal("25100.3"))


# ------------------------------------------------------------------ changes
def changed(market: Market | None = AT, **values: Any) -> Any:
    change = Change(account=7001122, order_id=3900000103, contract_id=MNQ.id, **values)
    found = modify_request(change, MNQ, market)
    return found.text if isinstance(found, Rejected) else json.loads(wire.encode(found))


def test_a_change_sends_what_changes_and_nothing_else() -> None:
    """What is left out stays."""
    base = {"accountId": 7001122, "orderId": 3900000103}
    assert changed(limit=100_523) == base | {"limitPrice": 25130.75}
    assert changed(qty=3, stop=100_410, side=1) == base | {"size": 3, "stopPrice": 25102.5}
    assert changed(trail=8, side=-1) == base | {"trailPrice": 25098.25}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "nothing to change"), ({"qty": 0}, "to end an order, cancel it"),
        ({"qty": 1.5}, "whole number"), ({"stop": 1.5}, "whole number of ticks"),
        ({"trail": 0, "side": 1}, "1 to 1000"), ({"trail": 1001, "side": 1}, "1 to 1000"),
        ({"trail": 10}, "give side"), ({"stop": 100_400, "side": 1}, "wrong side"),
    ],
)  # fmt: skip
def test_changes_that_are_refused(values: dict[str, Any], said: str) -> None:
    """The venue checks no trail in Order/modify; this does."""
    assert said in changed(**values)


# ------------------------------------------------------------------ tags
@given(
    strategy=st.from_regex(r"[A-Za-z0-9_]{1,20}", fullmatch=True),
    started=st.integers(1, 4 * 10**18),
    intent=st.integers(0, 10**12 - 1),
    leg=st.sampled_from(sorted(LEGS)),
)
def test_a_tag_reads_back(strategy: str, started: int, intent: int, leg: str) -> None:
    """Strategy, run, intent and leg; within the limit with the venue's suffix behind it."""
    text = make_tag(strategy, run_name(started), intent, leg)
    assert len(text + "-SL") <= 60
    wanted = Tag(strategy=strategy, run=run_name(started), intent=intent, leg=leg)
    assert read_tag(text) == wanted
    assert read_tag(text + "-SL") == msgspec.structs.replace(wanted, leg="S")
    assert read_tag(text + "-TP") == msgspec.structs.replace(wanted, leg="T")
    assert isinstance(place_request(order(tag=text), MNQ, None, HERE), wire.PlaceOrder)


@given(st.text(max_size=40))
def test_tags_of_others_are_nobodys(text: str) -> None:
    """Whatever is no tag of ours reads as None."""
    assert read_tag(text) is None or text.startswith("px.")


def test_two_runs_never_share_a_name() -> None:
    """A microsecond apart is another run."""
    assert len({run_name(1_790_865_000 * 10**9 + n * 1000) for n in range(1000)}) == 1000


@pytest.mark.parametrize(
    ("strategy", "run", "intent", "leg"),
    [
        ("", "a", 1, ENTRY), ("x" * 21, "a", 1, ENTRY), ("Ema-Cross", "a", 1, ENTRY),
        ("Ema.X", "a", 1, ENTRY), ("Ema", "A!", 1, ENTRY), ("Ema", "a", -1, ENTRY),
        ("Ema", "a", 10**12, ENTRY), ("Ema", "a", 1, "Q"),
    ],
)  # fmt: skip
def test_a_tag_that_would_not_read_back_is_not_made(
    strategy: str, run: str, intent: int, leg: str
) -> None:
    """Better no order than one that cannot be found again."""
    with pytest.raises(UsageError, match="tag"):
        make_tag(strategy, run, intent, leg)

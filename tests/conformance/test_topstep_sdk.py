"""topstep-sdk, unmodified, against the simulator: its decoding judges every answer and event."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.conformance.kit import KEY, simulator, until

sdk = pytest.importorskip("topstep_sdk", reason="needs topstep-sdk (Python 3.12 or newer)")
LIMIT, STOP, TRAILING, JOIN_BID = 1, 4, 5, 6
FILLED = 2
MARKET = ("quote", "trade", "depth")


async def _place_and_end(client: Any, account: int, contract: str) -> None:
    """Every kind of order, a bracket, changes, cancels, both ways to close."""
    orders, positions = client.orders, client.positions
    entry = await orders.buy(account, contract, 3, stop_loss_ticks=200, take_profit_ticks=400)
    filled = await orders.wait_for_fill(account, entry, timeout=5, poll_interval=0.02)
    assert (filled.status, filled.fill_volume) == (FILLED, 3)
    legs = await orders.search_open(account)
    assert {one.parent_order_id for one in legs} == {entry}
    limit = await orders.buy(account, contract, 1, type=LIMIT, limit_price=24_900)
    stop = await orders.sell(account, contract, 1, type=STOP, stop_price=24_890, custom_tag="t")
    trail = await orders.sell(account, contract, 1, type=TRAILING, trail_price=24_950)
    join = await orders.buy(account, contract, 1, type=JOIN_BID)
    await orders.modify(account, limit, limit_price=24_880.25, size=2)
    changed = await orders.get(account, limit)
    assert (changed.size, float(changed.limit_price)) == (2, 24_880.25)
    page = await orders.query(account, statuses=[1, 6, 7, 8], page_size=3, include_total_count=True)
    assert len(page.orders) == 3
    assert page.total_count >= 5  # the joined bid may have filled
    await orders.cancel(account, stop)
    await positions.partial_close(account, contract, 1)
    await orders.cancel_all(account)
    await positions.close_all(account)
    assert await orders.search_open(account) == []
    assert await positions.search_open(account) == []
    placed = {entry, limit, stop, trail, join}
    since = datetime.now(UTC) - timedelta(hours=1)
    assert placed <= {one.id for one in await orders.search(account, start_timestamp=since)}
    assert len(await client.trades.search(account, start_timestamp=since)) >= 3


def test_every_call_and_stream_of_the_sdk_works() -> None:
    """Log in, look up, bars, orders, both hubs, each event decoded into the SDK's own types."""

    async def run() -> None:
        heard: dict[str, list[Any]] = defaultdict(list)
        async with simulator() as running:
            config = sdk.Config(
                "trader", KEY, rest_base_url=running.url,
                user_hub_url=f"{running.url}/hubs/user",
                market_hub_url=f"{running.url}/hubs/market",
            )  # fmt: skip
            async with sdk.AsyncTopstepClient(config) as client:
                assert await client.ping() == "pong"
                await client.authenticate()
                await client.validate()
                (account,) = [one.id for one in await client.accounts.search()]
                contract = (await client.contracts.get_by_symbol("MNQ")).id
                assert (await client.contracts.search_by_id(contract)).id == contract
                assert len(await client.contracts.available()) > 20
                async with client.user_hub() as user, client.market_hub() as market:
                    for name in ("account", "order", "position", "trade"):
                        getattr(user, f"on_{name}")(heard[name].append)
                    for name in MARKET:
                        take = heard[f"market {name}"].append
                        getattr(market, f"on_{name}")(lambda *row, take=take: take(row))
                    await user.subscribe_accounts()
                    for name in ("orders", "positions", "trades"):
                        await getattr(user, f"subscribe_{name}")(account)
                    for name in ("quotes", "trades", "depth"):
                        await getattr(market, f"subscribe_{name}")(contract)
                    await until(lambda: min(len(heard[f"market {n}"]) for n in MARKET) > 2)
                    await _place_and_end(client, account, contract)
                    await until(lambda: heard["position"] and heard["position"][-1].size == 0)
                    await until(lambda: heard["account"] and heard["order"] and heard["trade"])
                now = datetime.now(UTC)
                bars = await client.history.retrieve_bars(
                    contract, unit=1, unit_number=1, start_time=now - timedelta(minutes=5),
                    end_time=now, include_partial_bar=True,
                )  # fmt: skip
                assert bars
                assert bars[0].t >= bars[-1].t

    asyncio.run(run())

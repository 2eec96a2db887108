"""project-x-py, unmodified, against the simulator: its client, hubs and managers."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.conformance.kit import KEY, simulator, until

px = pytest.importorskip("project_x_py", reason="needs project-x-py (Python 3.12 or newer)")
STREAMS = ("quote_update", "market_trade", "market_depth")
pytestmark = pytest.mark.filterwarnings("ignore")  # its own


async def _trade(orders: Any, positions: Any, contract: str, seen: Counter[str]) -> None:
    """Every kind of order, changes, a bracket, both ways to close; its own events tell of each."""
    entry = (await orders.place_market_order(contract, 0, 2)).orderId
    await until(lambda: seen["order_filled"] and seen["position_opened"])
    assert await orders.is_order_filled(entry)
    limit = (await orders.place_limit_order(contract, 0, 1, 24_900.0)).orderId
    stop = (await orders.place_stop_order(contract, 1, 1, 24_800.0)).orderId
    trail = (await orders.place_trailing_stop_order(contract, 1, 1, 24_950.0)).orderId
    assert await orders.modify_order(limit, limit_price=24_890.25)
    assert await orders.modify_order(stop, stop_price=24_790.0)
    working = {one.id: one for one in await orders.search_open_orders()}
    assert working[limit].limitPrice == 24_890.25
    assert working.keys() >= {limit, stop, trail}
    assert await orders.cancel_order(limit)
    await orders.cancel_all_orders()
    assert (await positions.partially_close_position(contract, 1))["success"]
    assert (await positions.close_position_direct(contract))["success"]
    await until(lambda: seen["position_closed"])

    bracket = await orders.place_bracket_order(
        contract, 0, 1, None, 24_950.0, 25_100.0, entry_type="market"
    )
    assert bracket.success
    assert bracket.stop_order_id
    assert bracket.target_order_id
    assert (await positions.close_position_direct(contract))["success"]
    await orders.cancel_all_orders()
    native = await orders.place_order(
        contract, 2, 1, 1, stop_loss_bracket={"ticks": 200, "type": 4},
        take_profit_bracket={"ticks": -400, "type": 1},
    )  # fmt: skip
    assert native.success
    assert (await positions.close_position_direct(contract))["success"]
    await orders.cancel_all_orders()
    assert await orders.search_open_orders() == []
    assert await positions.get_all_positions() == []


def test_client_hubs_and_managers_work() -> None:
    """Log in, contracts, bars, both hubs, quotes and depth, orders and positions."""

    async def run() -> None:
        seen: Counter[str] = Counter()
        bus = px.EventBus()

        async def count(event: Any) -> None:
            seen[event.type.value] += 1

        def heard(kind: str) -> Any:
            async def take(_: Any) -> None:
                seen[kind] += 1

            return take

        for kind in px.EventType:
            await bus.on(kind, count)
        async with simulator() as running:
            config = px.ProjectXConfig(
                api_url=f"{running.url}/api", user_hub_url=f"{running.url}/hubs/user",
                market_hub_url=f"{running.url}/hubs/market", requests_per_minute=200,
            )  # fmt: skip
            async with px.ProjectX(username="trader", api_key=KEY, config=config) as client:
                assert await client.ping() == "pong"
                await client.authenticate()
                assert await client.validate_session()
                contract = (await client.get_instrument("MNQ")).id
                realtime = px.ProjectXRealtimeClient(
                    client.session_token, str(client.account_info.id), config=config
                )
                assert await realtime.connect()
                for kind in STREAMS:
                    await realtime.add_callback(kind, heard(kind))
                assert await realtime.subscribe_user_updates()
                assert await realtime.subscribe_market_data([contract])
                orders = px.OrderManager(client, event_bus=bus)
                positions = px.PositionManager(client, event_bus=bus)
                await orders.initialize(realtime_client=realtime)
                await positions.initialize(realtime_client=realtime, order_manager=orders)
                await until(lambda: min(seen[kind] for kind in STREAMS) > 2)
                await _trade(orders, positions, contract, seen)
                bars = await client.get_bars(contract, days=1, interval=1, unit=1)
                assert bars.height > 0
                assert await client.search_trades()
                await positions.cleanup()
                await orders.cleanup()
                await realtime.disconnect()
                assert await client.logout()

    asyncio.run(run())

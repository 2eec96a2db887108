"""Two engines, one contract: random scenarios through both must agree to the micro-dollar.

The adapter is `tests/real_engine.py`: `run_real(scenario)` returns an object with the same lists
of dicts as the oracle's `Result` (names instead of enum numbers, ticks, None for no price).
"""

from __future__ import annotations

import importlib.util
import os
import random
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.oracle import Oracle
from tests.scenarios import ALL, NONE, OracleScript, build, run_oracle, scenarios

COMPARED = {
    "fills": (
        "ts", "order", "contract", "side", "qty", "price", "cost", "realized", "position", "role",
        "cause", "ambiguous", "slippage",
    ),
    "trades": (
        "contract", "side", "qty", "entry_ts", "exit_ts", "entry_price", "exit_price", "gross",
        "cost", "mae", "mfe", "entry_order", "exit_order", "tag", "exit_role", "exit_cause",
        "ambiguous",
    ),
    "orders": (
        "id", "parent", "contract", "side", "kind", "role", "status", "cause", "qty", "filled",
        "limit", "stop", "trail", "stop_ticks", "target_ticks", "tag", "decided", "active_from",
        "ended", "value",
    ),
    "refusals": (
        "ts", "last_ts", "count", "contract", "side", "kind", "reason", "qty", "value", "limit",
    ),
    "equity": ("ts", "balance", "equity", "low", "high"),
    "risk": ("ts", "cause", "contract", "value", "limit"),
    "days": (
        "date", "start_balance", "end_balance", "end_equity", "costs", "trades", "fills",
        "min_equity", "max_equity", "drawdown", "level", "locked", "profit_locked", "over",
        "open_orders", "open_position", "events", "in_market",
    ),
    "bars": (
        "contract", "frame", "ts", "end", "open", "high", "low", "close", "volume", "count",
    ),
}  # fmt: skip
SCALARS = ("events", "dropped", "balance", "drawdown")
PLAIN = replace(
    ALL, contracts=1, trailing=False, stop_limits=False, flattens=False, flatten_time=False,
    limits=False, brackets=False, queue=False, mark_last=False, frames=False, bars_alone=False,
)  # fmt: skip
STAGES = {
    "plain": PLAIN,
    "plain, frames": replace(PLAIN, frames=True),
    "plain, stops that change": replace(PLAIN, trailing=True, stop_limits=True),
    "plain, brackets": replace(PLAIN, brackets=True, one_leg=False),
    "plain, queue": replace(PLAIN, queue=True),
    "plain, last": replace(PLAIN, mark_last=True),
    "plain, flatten": replace(PLAIN, flatten_time=True, flattens=True),
    "plain, limits": replace(PLAIN, limits=True),
    "plain, bars": replace(PLAIN, bars_alone=True, quotes=False, trades=False, frames=True,
                           latency=False),
    "quotes": NONE,
    "trades": replace(NONE, quotes=False, trades=True),
    "orders": replace(NONE, trades=True, stops=True, stop_limits=True, trailing=True,
                      slippage=True, cancels=True, flattens=True),
    "brackets": replace(NONE, trades=True, brackets=True, trailing_brackets=True, stops=True),
    "fills": replace(ALL, limits=False, caps=False, bars_alone=False, latency=False),
    "latency": replace(ALL, limits=False, caps=False, bars_alone=False),
    "limits": replace(ALL, caps=False, bars_alone=False),
    "bars alone": replace(ALL, quotes=False, trades=False),
    "quiet": replace(NONE, trades=True, stops=True, stop_limits=True, trailing=True, brackets=True,
                     trailing_brackets=True, queue=True, limits=True, calm=True),
    "calm": replace(ALL, calm=True, bars_alone=False),
    "everything": ALL,
}  # fmt: skip


def differences(oracle, real, limit=5):
    """The first differing rows of each table, as text; empty when the engines agree."""
    found = []
    for table, names in COMPARED.items():
        left, right = getattr(oracle, table), getattr(real, table)
        if table == "orders":
            left, right = (sorted(rows, key=lambda row: row["id"]) for rows in (left, right))
        found += table_differences(table, names, left, right)[:limit]
    for name in SCALARS:
        left, right = getattr(oracle, name), getattr(real, name)
        if left != right:
            found.append(f"{name}: oracle {left}, engine {right}")
    return found + calls_differ(oracle.calls, getattr(real, "calls", None))


def calls_differ(left, right):
    """What the hooks were shown; the account only where the engine's strategy looked at it."""
    if right is None:
        return []
    left = [
        call if k >= len(right) or right[k][3] is not None else (*call[:3], None)
        for k, call in enumerate(left)
    ]
    if left == right:
        return []
    pairs = enumerate(zip(left, right, strict=False))
    at = next((k for k, (a, b) in pairs if a != b), min(len(left), len(right)))
    return [f"hook call {at}: {left[at : at + 2]} / {right[at : at + 2]}"]


def table_differences(table, names, left, right):
    found = []
    for k in range(max(len(left), len(right))):
        if k >= len(left) or k >= len(right):
            row, who = (left[k], "oracle") if k < len(left) else (right[k], "engine")
            found.append(f"{table}[{k}] only the {who} has {row}")
            continue
        wrong = {n: (left[k][n], right[k][n]) for n in names if left[k][n] != right[k][n]}
        if wrong:
            found.append(f"{table}[{k}] (oracle, engine) {wrong} in {left[k]}")
    return found


def agree(scenario, seed=0):
    """Oracle and engine are the same, with compiled and with plain hooks, each fed in some way."""
    from tests.real_engine import WAYS, run_real

    expected = run_oracle(scenario)
    for compiled in (True, False):
        way = WAYS[(seed + compiled) % len(WAYS)]
        found = differences(expected, run_real(scenario, way, compiled))
        what = f"compiled: {compiled}, fed: {way}"
        assert not found, "\n".join([what, *found, "", str(scenario)])


HAS_ENGINE = importlib.util.find_spec("tests.real_engine") is not None
needs_engine = pytest.mark.skipif(not HAS_ENGINE, reason="the engine's adapter is not here yet")
BULK = int(os.environ.get("PXRESEARCH_SCENARIOS", "100"))


@needs_engine
@pytest.mark.parametrize("stage", STAGES)
def test_engines_agree_on_seeded_scenarios(stage):
    """PXRESEARCH_SCENARIOS of them a stage; a seed in the message repeats a failure."""
    for seed in range(3 * BULK if stage in ("quiet", "calm") else BULK):
        scenario = build(random.Random(seed), STAGES[stage])
        try:
            agree(scenario, seed)
        except AssertionError as error:
            raise AssertionError(f"stage {stage!r}, seed {seed}\n{error}") from None


@needs_engine
@settings(max_examples=2_000, suppress_health_check=list(HealthCheck), database=None)
@given(stage=st.sampled_from(list(STAGES)), seed=st.integers(0, 2**40))
def test_engines_agree(stage, seed):
    """Two thousand scenarios; a failure is repeated by its stage and seed."""
    agree(build(random.Random(seed), STAGES[stage]), seed)


@needs_engine
@settings(max_examples=400, suppress_health_check=list(HealthCheck))
@given(scenario=scenarios())
def test_engines_agree_on_what_shrinks(scenario):
    """Every draw of the scenario is hypothesis' own, so that a difference shrinks."""
    agree(scenario)


# ---------------------------------------------------------------- the oracle on its own
class Watched(Oracle):
    """Checks the standing invariants after each event."""

    def step(self, event):
        super().step(event)
        for contract, state in enumerate(self.states):
            live = self.live(contract)
            position = state.position
            groups = {}
            for child in (order for order in live if order.child):
                assert child.side * position < 0
                groups[child.parent] = max(groups.get(child.parent, 0), child.left)
            assert sum(groups.values()) <= abs(position)
            assert all(order.left > 0 for order in live)
            assert sum(order.role == "flatten" for order in live) <= 1
            assert len({lot.side for lot in state.lots}) <= 1


def watched(scenario):
    engine = Watched(
        scenario.contracts, scenario.rules, scenario.fill, scenario.latency, scenario.days,
        scenario.sessions, OracleScript(scenario.script), scenario.frames,
    )  # fmt: skip
    return engine.run(scenario.events, scenario.close)


def never_worse_than_the_limit(result):
    orders = {row["id"]: row for row in result.orders}
    for row in result.fills:
        order = orders[row["order"]]
        if order["kind"] in ("limit", "stop_limit"):
            assert order["side"] * (order["limit"] - row["price"]) >= 0


def causal(result):
    """No fill before its order could be there; none after its end."""
    orders = {row["id"]: row for row in result.orders}
    for row in result.fills:
        order = orders[row["order"]]
        live = order["status"] in ("in_flight", "working")
        assert order["active_from"] <= row["ts"]
        assert live or row["ts"] <= order["ended"]
    for order in result.orders:
        filled = sum(row["qty"] for row in result.fills if row["order"] == order["id"])
        assert filled == order["filled"] <= order["qty"]
        if order["status"] == "filled":
            assert order["filled"] == order["qty"] > 0


def adds_up(scenario, result):
    realized = sum(row["realized"] for row in result.fills)
    costs = sum(row["cost"] for row in result.fills)
    assert result.balance == scenario.rules.start_balance + realized - costs
    assert sum(row["gross"] for row in result.trades) == realized
    assert not result.days or result.days[-1]["end_balance"] == result.balance
    assert sum(row["fills"] for row in result.days) == len(result.fills)
    position = [0] * len(scenario.contracts)
    for row in result.fills:
        position[row["contract"]] += row["side"] * row["qty"]
        assert position[row["contract"]] == row["position"]
    for row in result.trades:
        assert row["mae"] <= min(0, row["gross"]) <= max(0, row["gross"]) <= row["mfe"]


@pytest.mark.parametrize("stage", STAGES)
def test_the_oracle_keeps_the_invariants(stage):
    """Money adds up, children protect and only reduce, nothing fills early, late or worse."""
    for seed in range(60):
        scenario = build(random.Random(seed), STAGES[stage])
        result = watched(scenario)
        never_worse_than_the_limit(result)
        causal(result)
        adds_up(scenario, result)
        assert run_oracle(scenario).fills == result.fills


def test_scenarios_reach_every_corner():
    """The generator is worth nothing where it never goes."""
    reasons, ends, risks = set(), set(), set()
    for seed in range(600):
        result = run_oracle(build(random.Random(seed)))
        reasons |= {row["reason"] for row in result.refusals}
        ends |= {(row["role"], row["status"]) for row in result.orders}
        risks |= {row["cause"] for row in result.risk}
    assert len(reasons) >= 24
    assert {(role, "filled") for role in ("entry", "stop_loss", "target", "flatten")} <= ends
    assert len(risks) == 5

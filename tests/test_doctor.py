"""Doctor: what is broken is the one thing that is red, and each finding says what to do."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import json
import socket
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxresearch.gateway import checks, wire
from pxresearch.gateway.diagnosis import Check, Diagnosis, Level
from pxresearch.gateway.doctor import AFTER_LOGIN, DoctorSettings, diagnose
from pxresearch.gateway.hubstate import HubState
from pxresearch.gateway.latency import BOUNDS_MS, Latency
from pxresearch.gateway.machine import check_machine
from pxresearch.gateway.profiles import Profile, profile
from pxresearch.gateway.records import Hub
from pxresearch.sessions import CHICAGO, to_ns
from pxresearch.simulator import SimulatorSettings, start
from tests import payloads

KEYS = {"PROJECT_X_USERNAME": "trader", "PROJECT_X_API_KEY": "secret"}
IN_TABLE = 1_790_000_000 * 10**9  # 2026-09-21
QUICK = DoctorSettings(pings=4, listen_s=3, events=5, timeout_s=2)
ACCOUNT = wire.decode(payloads.ACCOUNT, wire.Account)
CONTRACT = wire.decode(payloads.CONTRACT, wire.Contract)


def visit(
    faults: Sequence[tuple[str, dict[str, Any]]] = (), environ: dict[str, str] | None = None,
    change: dict[str, str] | None = None, account: int | None = None,
) -> Diagnosis:  # fmt: skip
    """Diagnose a simulator with faults; `change` moves parts of its profile elsewhere."""

    async def run() -> Diagnosis:
        async with start(SimulatorSettings(port=0, market="none", rate=100)) as simulator:
            for name, parameters in faults:
                simulator.control.add(name, **parameters)
            where: Profile = profile("simulator", url=simulator.url)
            where = dataclasses.replace(where, **(change or {}))
            return await diagnose(where, environ=environ or KEYS, settings=QUICK, account=account)

    return asyncio.run(run())


def red(found: Diagnosis) -> list[str]:
    """Names of the checks that failed."""
    return [check.name for check in found.checks if check.level is Level.FAIL]


@pytest.fixture(autouse=True)
def in_table(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """The session table is asked about a day that it covers, whenever the test runs."""
    judge = checks.check_calendar
    if request.node.name != "test_calendar":
        monkeypatch.setattr(checks, "check_calendar", lambda now: judge(IN_TABLE))


def dead_url() -> str:
    """A port on which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{one.getsockname()[1]}"


# ---------------------------------------------------------------- against the simulator
def test_a_sound_gateway() -> None:
    """Nothing red; every check was made; one JSON object; an aligned text."""
    found = visit()
    assert red(found) == []
    assert found.ok
    made = {check.name for check in found.checks if check.level is not Level.SKIP}
    assert made >= {"REST", "credentials", "subscription", "agreements", *AFTER_LOGIN, "calendar"}
    plain = json.loads(json.dumps(found.to_dict()))
    assert (plain["ok"], plain["profile"]) == (True, "simulator")
    by_name = {check["name"]: check for check in plain["checks"]}
    assert by_name["REST latency"]["figures"]["count"] == 4
    assert by_name["contracts"]["figures"]["contracts"] == 51
    assert by_name["market hub"]["figures"]["last_message_age_s"] < 10
    lines = str(found).splitlines()
    assert len({line.index(c.text) for c in found.checks for line in lines if c.text in line}) == 1


@pytest.mark.parametrize("hub", ["user", "market"])
def test_a_dead_hub_is_the_only_red_one(hub: str) -> None:
    """The other hub and REST go on being looked at."""
    found = visit([("hub_refuse", {"hub": hub, "count": None})])
    assert red(found) == [f"{hub} hub"]
    assert not found.ok
    assert found[f"{hub} hub"].remedy


def test_dead_rest_is_the_only_red_one() -> None:
    """What needs a token is not checked, which is not failed."""
    found = visit(change={"rest": dead_url()})
    assert red(found) == ["REST"]
    assert {found[name].level for name in AFTER_LOGIN} == {Level.SKIP}


@pytest.mark.parametrize(
    ("code", "name", "text"),
    [(3, "credentials", "API key"), (9, "subscription", "subscription"),
     (7, "agreements", "agreements"), (10, "credentials", "turned login by key off")],
)  # fmt: skip
def test_refused_logins_are_told_apart(code: int, name: str, text: str) -> None:
    """Wrong key, no subscription, agreements: three different reds."""
    fault = {"operation": "Auth/loginKey", "code": code, "count": None}
    found = visit([("error_code", fault)])
    assert red(found) == [name]
    assert text in found[name].text


def test_wrong_key() -> None:
    """The key that was given is not shown."""
    found = visit(environ={**KEYS, "PROJECT_X_API_KEY": "planted-key"})
    assert red(found) == ["credentials"]
    assert "planted-key" not in str(found) + json.dumps(found.to_dict())


@pytest.mark.parametrize(
    ("environ", "text"),
    [
        ({"PROJECT_X_API_KEY": "k"}, "no user name"),
        ({"PROJECT_X_USERNAME": "trader"}, "no API key"),
        ({**KEYS, "PROJECT_X_API_KEY": "  "}, "blank"),
        ({**KEYS, "PROJECT_X_API_KEY": "secret\n"}, "line break"),
    ],
)
def test_credentials_that_cannot_be(environ: dict[str, str], text: str) -> None:
    """Missing, blank, with a line break: named before the network is touched."""
    where = profile("simulator", url=dead_url())
    found = asyncio.run(diagnose(where, environ=environ, settings=QUICK))
    assert red(found) == ["credentials"]
    assert text in found["credentials"].text
    assert "secret" not in str(found)


def test_a_read_that_fails_is_red_and_the_rest_is_looked_at() -> None:
    """Account/search answers 503: contracts and hubs are still checked."""
    found = visit([("status", {"operation": "Account/search", "status": 503, "count": None})])
    assert red(found) == ["accounts"]
    assert found["market hub"].level is Level.OK


def test_an_account_that_is_not_there() -> None:
    """The accounts that are there are named."""
    found = visit(account=5)
    assert red(found) == ["accounts"]
    assert "7001122" in found["accounts"].text


# ---------------------------------------------------------------- judgements
def other(row: wire.Account, **change: object) -> wire.Account:
    """The account, changed."""
    return msgspec.structs.replace(row, **change)


@pytest.mark.parametrize(
    ("rows", "wanted", "level", "text"),
    [
        ([], None, "fail", "no active account"),
        ([ACCOUNT], None, "ok", "can trade"),
        ([other(ACCOUNT, can_trade=False)], None, "fail", "cannot trade now"),
        ([other(ACCOUNT, simulated=False)], None, "fail", "live-funded"),
        ([ACCOUNT, other(ACCOUNT, id=2, can_trade=False)], None, "warn", "2 PRAC"),
        ([ACCOUNT, other(ACCOUNT, id=2, can_trade=False)], 2, "fail", "cannot trade"),
        ([other(ACCOUNT, simulated=None)], 7001122, "ok", "can trade"),
    ],
)
def test_accounts(rows: list[wire.Account], wanted: int | None, level: str, text: str) -> None:
    """One that can trade is enough, unless another one was named."""
    found = checks.check_accounts(rows, wanted)
    assert found.level == level
    assert text in found.text


def test_contracts_that_differ_fail_with_both_numbers() -> None:
    """And only those that agree may be listened to."""
    wrong = msgspec.structs.replace(CONTRACT, tick_value=Decimal("0.6"))
    check, directory = checks.check_contracts([wrong, wire.decode(payloads.YEN, wire.Contract)])
    assert check.level is Level.FAIL
    assert "0.6" in check.text
    assert "0.5" in check.text
    assert [one.code for one in directory] == ["6JZ26"]
    assert checks.check_contracts([])[0].level is Level.FAIL
    foreign = msgspec.structs.replace(CONTRACT, id="CON.F.US.XX.Z26", symbol_id="F.US.XX")
    assert checks.check_contracts([CONTRACT, foreign])[0].level is Level.WARN


def hub_state(**change: object) -> HubState:
    """A connected hub, changed."""
    return msgspec.structs.replace(
        HubState(connected=True, since=0, generation=1, attempts=0, reason="", last_received=90,
                 last_data=None, coalesced=0, lag_s=0, junk=0, unknown=0, subscribed=(),
                 refused=(), stale=()), **change,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "listened", "level"),
    [
        ({}, None, "ok"), ({}, "MNQZ26", "fail"), ({"last_data": 10}, "MNQZ26", "ok"),
        ({"connected": False, "reason": "401"}, None, "fail"), ({"refused": ("x",)}, None, "fail"),
        ({"last_data": 10, "junk": 3}, "MNQZ26", "warn"),
    ],
)  # fmt: skip
def test_hubs(change: dict[str, object], listened: str | None, level: str) -> None:
    """A silent market hub in open hours is a fault, a silent user hub is not."""
    found = checks.check_hub(Hub.MARKET, hub_state(**change), 100, listened_to=listened)
    assert found.level == level
    assert found.remedy or level == "ok"


@pytest.mark.parametrize(
    ("by_date", "ages", "level"),
    [
        (0.4, [0.05], "ok"), (-2.0, [], "warn"), (7.0, [0.1], "fail"), (None, [], "not checked"),
        (0.0, [-3.0, 0.1], "warn"), (None, [0.08, 0.2], "ok"), (0.2, [-9.0], "fail"),
    ],
)  # fmt: skip
def test_clock_skew(by_date: float | None, ages: list[float], level: str) -> None:
    """An event cannot come before it was sent, so one that does shows a clock that is behind."""
    assert checks.check_skew(by_date, ages).level == level


def test_calendar() -> None:
    """The table vouches for 2023 to 2026 for trading; its last days are a warning."""
    day = {
        level: checks.check_calendar(to_ns(datetime(*when, 12, tzinfo=CHICAGO))).level  # type: ignore[misc]
        for level, when in (
            ("ok", (2026, 11, 25)), ("warn", (2026, 12, 28)), ("fail", (2027, 1, 11)),
        )
    }  # fmt: skip
    assert {str(level): name for name, level in day.items()} == {
        "ok": "ok", "warn": "warn", "fail": "fail",
    }  # fmt: skip


def test_a_refused_request_shows_another_program() -> None:
    """429 though the budget is nearly untouched."""
    room = {"all": (12, 200)}
    assert checks.check_budget(room, {200: 12}).level is Level.OK
    found = checks.check_budget(room, {200: 11, 429: 1})
    assert found.level is Level.WARN
    assert "another program" in found.remedy


def test_slow_answers_are_a_warning() -> None:
    """By the 95th percentile; without samples nothing is said."""
    assert checks.check_latency("x", [0.01] * 19 + [0.9]).level is Level.OK
    assert checks.check_latency("x", [0.01] * 17 + [0.9] * 3).level is Level.WARN
    assert checks.check_latency("x", []).level is Level.SKIP


@given(st.lists(st.floats(0, 20), min_size=1))
def test_latency_against_counting(samples: list[float]) -> None:
    """Percentiles by nearest rank, classes by counting, and a line for each class in between."""
    found = Latency.of(samples)
    assert found is not None
    ms = sorted(one * 1e3 for one in samples)
    for share, value in ((0.5, found.p50), (0.95, found.p95), (1.0, found.max)):
        value_at = next(one for i, one in enumerate(ms, 1) if i >= share * len(ms) - 1e-9)
        assert value == round(value_at, 3)
    edges = [-1.0, *BOUNDS_MS, float("inf")]
    assert list(found.classes) == [
        sum(low < one <= high for one in ms) for low, high in itertools.pairwise(edges)
    ]
    assert sum(int(line.split("ms")[1].split()[0]) for line in found.chart()) == len(samples)


def fake_psutil(plugged: bool | None, *cards: str) -> Any:
    """A stand-in for psutil."""
    battery = None if plugged is None else SimpleNamespace(percent=40, power_plugged=plugged)
    return SimpleNamespace(
        sensors_battery=lambda: battery,
        net_if_stats=lambda: {name: SimpleNamespace(isup=True) for name in ("lo", *cards)},
    )


@pytest.mark.parametrize(
    ("machine", "levels"),
    [
        (fake_psutil(None, "eth0"), ["ok", "ok"]),
        (fake_psutil(True, "eth0", "wlan0"), ["ok", "ok"]),
        (fake_psutil(False, "wlp3s0"), ["warn", "warn"]),
    ],
)  # fmt: skip
def test_the_machine(machine: Any, levels: list[str]) -> None:
    """Battery and Wi-Fi are warned of."""
    found: list[Check] = check_machine(machine)
    assert [check.level for check in found] == levels

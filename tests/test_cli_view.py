"""The terminal of a running session, as it is drawn and as it is told in lines."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from rich.console import Console

import pxresearch as px
from pxresearch.alerts import Alert
from pxresearch.brokers.fillmodel import FillModel
from pxresearch.cli_view import View, bar, draw
from pxresearch.clock import NS
from pxresearch.core.records import MICROS
from pxresearch.health import Health
from pxresearch.runner import Plan
from tests.alert_kit import GOOD, LINE, START
from tests.controls_kit import RULES, Puppet

REFUSED = Alert(
    ts=START, kind="refused", level="info", title="order refused: AFTER_CUTOFF", key="x",
    text="buy 1: at 15:06\nand more",
)  # fmt: skip
HELD = replace(LINE, position=-2, protected=2, open_pnl=-12 * MICROS)


def shown(*alerts: Alert, **changes: Any) -> str:
    """The text of the picture, 120 columns wide."""
    health: Health = replace(GOOD, **changes)
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(draw(health, list(alerts)))
    return console.export_text()


def test_a_position_with_its_numbers() -> None:
    """Prices as prices, money in USD, the stops that cover it, the time until it is flattened."""
    text = shown(
        contracts=(HELD,), day_pnl=-250 * MICROS, day_room=750 * MICROS, costs=3_500_000,
        calls={"Order/place": 3, "Auth/loginKey": 1}, last_signal="sell 2 MNQZ26 market",
    )  # fmt: skip
    words = text.split()
    for word in ("-2", "20,000.00", "20,000.25", "-12.00", "-250.00", "+750.00", "+3.50"):
        assert word in words, text
    assert "flat in 1:00:00" in text
    assert "REST 4" in text
    assert "sell 2 MNQZ26 market" in text
    assert bar(750, 1000) in text


def test_what_is_not_known_is_a_dash_or_a_question() -> None:
    """Before the first quote there is no price, no age, no open P&L; never a 0."""
    bare = replace(LINE, bid=None, ask=None, last=None, feed_age_s=None, open_pnl=None)
    (line,) = [
        line for line in shown(contracts=(bare,), day_pnl=None).splitlines() if "MNQZ26" in line
    ]
    assert line.strip("│ ").split() == ["MNQZ26", "+0", "-", "-", "?", "0", "-"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"blocked": ("a hub is away",)}, "a hub is away"),
        ({"unresolved": ("px-1",)}, "unknown: px-1"),
        ({"halted": True}, "KILL SWITCH"),
        ({"locked": "daily loss limit"}, "daily loss limit"),
        ({"journal_failed": "No space left"}, "journal: No space left"),
        ({"mode": "live"}, "reconciled"),
        ({"mode": "live", "user_hub": False}, "user hub"),
    ],
)
def test_what_stands_in_the_way(changes: dict[str, Any], words: str) -> None:
    """Each reason why nothing opens is in the picture; the hub of orders only where there are."""
    assert words in shown(**changes)


def test_alerts_stand_below() -> None:
    """With their time in Chicago, and their level."""
    alert = replace(REFUSED, ts=START + 5 * NS)
    assert "09:13:25 Chicago info  order refused: AFTER_CUTOFF" in shown(alert)


def test_without_a_terminal_alerts_and_a_line_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    """An alert with its text at once; of the healths the first of each minute."""
    plan = Plan(
        strategy=Puppet(), source="", source_hash="", contracts=(LINE.code,),
        programme=px.programme("own", **RULES), fills=FillModel(), mode="paper",
        account=17, state=Path(), compiled=False,
    )  # fmt: skip
    view = View(plan, fancy=False)
    with view:
        view.alert(REFUSED)
        for second in range(0, 130, 10):
            view.show(replace(GOOD, ts=START + second * NS, contracts=(HELD,), halted=True))
    lines = capsys.readouterr().err.splitlines()
    assert lines[1] == (
        "pxresearch: 09:13:20 Chicago info: order refused: AFTER_CUTOFF (buy 1: at 15:06)"
    )
    assert [line[:31] for line in lines[2:]] == [
        f"pxresearch: 09:{minute}:20 Chicago | " for minute in (13, 14, 15)
    ]
    assert "MNQZ26 -2" in lines[2]
    assert "KILL SWITCH" in lines[2]


@pytest.mark.parametrize(
    ("left", "whole", "full"), [(1000, 1000, 24), (500, 1000, 12), (0, 1000, 0), (-5, 1000, 0),
                                (1500, 1000, 24), (5, 0, 0)],
)  # fmt: skip
def test_bar(left: int, whole: int, full: int) -> None:
    """Full, half, empty; never longer than it is."""
    assert bar(left, whole) == "█" * full + "░" * (24 - full)

"""The monitor: each thing told once, at the right time, and over when it is over."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxresearch.alerts import Alert
from pxresearch.clock import NS
from pxresearch.core.records import MICROS
from pxresearch.errors import UsageError
from pxresearch.health import Health, OrderTimes
from pxresearch.journal import SessionEnd
from pxresearch.monitor import Level, Thresholds, Topic, Watch
from tests.alert_kit import FLATTEN, GOOD, LINE, START


def at(second: float, line: dict[str, Any] | None = None, **changes: Any) -> Health:
    """The good health, so many seconds later, with changes of it and of its contract."""
    contract = msgspec.structs.replace(LINE, **(line or {}))
    changes = {"contracts": (contract,)} | changes
    return msgspec.structs.replace(GOOD, ts=START + round(second * NS), **changes)


def kinds(alerts: list[Alert]) -> list[tuple[str, str]]:
    """Topic and level of each."""
    return [(one.kind, one.level) for one in alerts]


def test_a_good_day_is_silent() -> None:
    """Nothing is told of a session in which nothing is wrong."""
    watch = Watch("paper 17")
    said = [one for second in range(3_600) for one in watch.look(at(second))]
    assert said == []
    assert watch.close() == []
    assert watch.sound


HELD = {"position": 2, "protected": 2}
SLOW = OrderTimes(p50=20.0, p95=1_500.0, p99=2_000.0, n=10)
TROUBLES = [
    # topic, level, first told after s, what is wrong, whether the heartbeat stops
    ("connection", "warning", 3, {"user_hub": False}, True),
    ("connection", "warning", 3, {"market_hub": False}, True),
    ("connection", "critical", 3, {"market_hub": False, "line": HELD}, True),
    ("feed", "warning", 2, {"line": {"feed_age_s": 15.0}}, True),
    ("feed", "warning", 15, {"line": {"feed_age_s": None}}, True),
    ("protection", "critical", 3, {"line": {"position": -2, "protected": 1}}, True),
    ("reconciled", "warning", 30, {"reconciled": False}, True),
    ("unknown outcome", "critical", 0, {"unresolved": ("order 12, buy 1",)}, True),
    ("kill switch", "critical", 0, {"halted": True}, False),
    ("locked", "critical", 0, {"locked": "daily loss limit"}, False),
    ("latency", "warning", 0, {"order_ms": SLOW}, False),
    ("journal", "critical", 0, {"journal_failed": "no space left"}, True),
    ("journal", "warning", 0, {"journal_lag_s": 2.5}, False),
]


@pytest.mark.parametrize(("topic", "level", "after", "wrong", "sick"), TROUBLES)
def test_a_trouble_is_told_once_in_time_and_so_is_its_end(
    topic: str, level: str, after: int, wrong: dict[str, Any], sick: bool
) -> None:
    """Not before its time, not twice while it lasts, and once when it is over."""
    watch = Watch("paper 17")
    assert watch.look(at(0)) == []
    told = {second: watch.look(at(second, **wrong)) for second in range(1, 101)}
    assert {s: kinds(found) for s, found in told.items() if found} == {1 + after: [(topic, level)]}
    assert watch.sound is not sick
    over = watch.look(at(101))
    assert kinds(over) == [(topic, "info")]
    begun = told[1 + after][0]
    assert over[0].key == begun.key
    assert "1 min 40 s" in over[0].text
    assert begun.title.startswith("paper 17: ")
    assert watch.look(at(102)) == []
    assert watch.sound


def test_the_edges_of_a_threshold() -> None:
    """Just below is no trouble: feed, latency, its number of orders, lag of the journal."""
    watch = Watch()
    few = OrderTimes(p50=20.0, p95=9_000.0, p99=9_000.0, n=9)
    fast = OrderTimes(p50=20.0, p95=1_000.0, p99=9_000.0, n=100)
    for second in range(60):
        assert watch.look(at(second, {"feed_age_s": 14.99}, order_ms=few)) == []
        assert watch.look(at(second, {"position": 2, "protected": 2}, order_ms=fast)) == []
        assert watch.look(at(second, journal_lag_s=2.0)) == []


@given(st.lists(st.booleans(), max_size=60), st.integers(0, 5))
def test_a_flapping_connection_against_the_rule(down: list[bool], after: int) -> None:
    """Begins are runs of at least `after` seconds; each begin that ends is ended once."""
    watch = Watch(thresholds=Thresholds(connection_s=after or 0.5))
    said = [
        (second, one.level) for second, bad in enumerate(down)
        for one in watch.look(at(second, user_hub=not bad))
    ]  # fmt: skip
    wanted, run = [], 0
    for second, bad in enumerate(down):
        if bad and run == (after or 1):
            wanted.append((second, "warning"))
        if not bad and run > (after or 1):
            wanted.append((second, "info"))
        run = run + 1 if bad else 0
    assert said == wanted


def test_a_feed_is_stale_in_open_hours_only_and_fresh_only_when_it_is() -> None:
    """The close ends it without a word; with the hub down nobody can say."""
    watch, stale = Watch(), {"feed_age_s": 100.0}
    closed = {"feed_age_s": 5_000.0, "session_open": False}
    assert [watch.look(at(s, closed)) for s in range(10)] == [[]] * 10
    assert kinds(watch.look(at(20, stale)) + watch.look(at(22, stale))) == [("feed", "warning")]
    assert watch.look(at(23, closed)) == []
    assert watch.look(at(24)) == []
    assert kinds(watch.look(at(30, stale)) + watch.look(at(32, stale))) == [("feed", "warning")]
    assert kinds(watch.look(at(40, stale, market_hub=False))) == []
    assert kinds(watch.look(at(43, stale, market_hub=False))) == [("connection", "warning")]
    assert kinds(watch.look(at(50, stale))) == [("connection", "info")]
    assert kinds(watch.look(at(51))) == [("feed", "info")]


def test_each_unknown_outcome_is_told_and_resolved_by_itself() -> None:
    """Two orders, found at different times."""
    watch = Watch()
    said = [
        one.title
        for second, unresolved in enumerate([("a",), ("a", "b"), ("b",), ()])
        for one in watch.look(at(second, unresolved=unresolved))
    ]
    assert said == ["outcome unknown: a", "outcome unknown: b", "outcome known: a",
                    "outcome known: b"]  # fmt: skip


def percents(alerts: list[Alert]) -> list[tuple[str, float]]:
    """Topic and share of the loss alerts."""
    return [
        (a.kind, float(m[1])) for a in alerts if (m := re.search(r"([\d.]+) % used", a.title))
    ]  # fmt: skip


@given(
    st.lists(st.tuples(st.integers(-500, 1_300), st.integers(-500, 2_600)), max_size=40),
    st.integers(1, 39),
)
def test_loss_limits_are_told_once_a_step_and_day(path: list[tuple[int, int]], turn: int) -> None:
    """Against the furthest step of the day so far; a new trading day begins anew."""
    watch = Watch(max_loss_limit=2_000 * MICROS)
    furthest: dict[tuple[str, int], float] = {}
    for second, (day_loss, max_loss) in enumerate(path):
        day = 20_717 + (second >= turn)
        said = watch.look(
            at(
                second, trading_day=day, day_pnl=-day_loss * MICROS,
                day_room=(1_000 - day_loss) * MICROS, max_loss_room=(2_000 - max_loss) * MICROS,
            )
        )  # fmt: skip
        wanted = []
        for topic, used in ((Topic.DAY_LOSS, day_loss / 10), (Topic.MAX_LOSS, max_loss / 20)):
            step = max((p for p in (50, 80, 95) if used >= p), default=0)
            if step > furthest.get((topic, day), 0):
                furthest[topic, day] = step
                wanted.append((str(topic), step))
        assert percents(said) == wanted
        assert len(said) == len(wanted)


def test_a_loss_limit_tells_what_is_left() -> None:
    """To the cent, and the last step is critical; without the limit nothing is told."""
    watch = Watch()
    pnl = -800 * MICROS - 10_000
    (one,) = watch.look(at(0, day_pnl=pnl, day_room=200 * MICROS - 10_000))
    assert one.text.startswith("199.99 USD left of 1,000.00 USD; day P&L -800.01 USD")
    assert one.level == "warning"
    (one,) = watch.look(at(1, day_pnl=None, day_room=50 * MICROS))
    assert (one.level, "95 %" in one.title) == ("critical", True)
    assert Watch().look(at(0, daily_loss_limit=None, day_room=None, max_loss_room=0)) == []


def test_a_deadline_is_told_at_15_5_and_1_minutes() -> None:
    """Once each, while there is something to flatten."""
    watch = Watch()
    said = [
        (3_600 - second, one.level)
        for second in range(3_700)
        for one in watch.look(at(second, HELD))
    ]
    assert said == [(900, "warning"), (300, "warning"), (60, "critical")]


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ({"position": 0}, []),
        ({"working": 1}, [240, 60]),
        ({"position": -1, "protected": 1}, [240, 60]),
    ],
)
def test_a_deadline_needs_exposure(line: dict[str, Any], wanted: list[int]) -> None:
    """What is opened four minutes before is told of at once, by the nearest step alone."""
    watch = Watch()
    said = [
        3_600 - second
        for second in range(3_600)
        for one in watch.look(at(second, line if second >= 3_360 else None))
        if one.kind == Topic.FLATTEN
    ]
    assert said == wanted


def test_a_deadline_that_is_past_is_not_approaching() -> None:
    """A position found after it is the flatten's business."""
    assert Watch().look(at(3_600, HELD)) == []
    assert Watch().look(at(3_700, HELD)) == []


def test_contracts_with_different_deadlines_are_told_apart() -> None:
    """Each deadline names its own contracts."""
    watch = Watch()
    early = msgspec.structs.replace(
        LINE, code="MGCZ26", position=1, protected=1, flatten_at=FLATTEN - 1_800 * NS
    )
    late = msgspec.structs.replace(LINE, position=-3, protected=3)
    said = [
        (second, one.text) for second in range(3_600)
        for one in watch.look(at(second, contracts=(early, late)))
    ]  # fmt: skip
    assert [second for second, _ in said] == [900, 1_500, 1_740, 2_700, 3_300, 3_540]
    assert ["MGCZ26 +1" in text for _, text in said] == [True] * 3 + [False] * 3
    assert ["MNQZ26 -3" in text for _, text in said] == [False] * 3 + [True] * 3


@given(st.lists(st.tuples(st.integers(0, 90), st.sampled_from("ab")), max_size=15))
def test_no_refusal_is_lost_when_they_are_gathered(gaps: list[tuple[int, str]]) -> None:
    """Told at once or counted; a reason is told at most once in its window."""
    watch, second, said = Watch(), 0, []
    for gap, reason in gaps:
        for _ in range(gap):
            second += 1
            said += watch.look(at(second))
        said += watch.refused(START + second * NS, reason, f"at {second}")
    moments = len(said)
    said += watch.close()
    told: Counter[str] = Counter()
    for one in said:
        more = re.search(r"\((\d+) more\)", one.title)
        told[one.key] += int(more[1]) if more else 1
    assert told == Counter(f"refused: {reason}" for _, reason in gaps)
    for reason in "ab":
        ts = [a.ts for a in said[:moments] if a.key.endswith(reason) and "more)" not in a.title]
        assert all(later - one >= 60 * NS for one, later in pairwise(ts))


def test_what_was_counted_is_told_when_its_window_is_over() -> None:
    """Without another event; three within a minute are one, and two more."""
    watch = Watch()
    said = [watch.refused(START + s * NS, "cap", f"{s} of 5") for s in (0, 10, 20)]
    assert [len(one) for one in said] == [1, 0, 0]
    assert watch.look(at(59)) == []
    (more,) = watch.look(at(60))
    assert more.title == "order refused: cap (2 more)"
    assert more.text == "2 more within 60 s. The last: 20 of 5"
    assert watch.look(at(200)) == []


def test_events_have_their_words() -> None:
    """The trace, the metric, the reason and the venue's word are in them."""
    watch = Watch("live 17")
    (error,) = watch.error(START, "EmaCross.on_bar", ZeroDivisionError("by zero"), 4_711)
    assert error.level == "critical"
    assert "EmaCross.on_bar: ZeroDivisionError" in error.title
    assert "trace 4711" in error.text
    (drift,) = watch.drift(START, "slippage", "1.4 ticks, the backtest has 0.3")
    assert drift.title == "live 17: drift of slippage"
    (rejected,) = watch.rejected(START, "no funds", "order 3, buy 1 MNQZ26")
    assert (rejected.kind, rejected.level) == ("rejected", "warning")
    (flat,) = watch.flattened(START, "deadline", True)
    (open_,) = watch.flattened(START, "deadline", False, "MNQZ26 +1 after 60 s.")
    assert kinds([flat, open_]) == [("flat", "info"), ("flat", "critical")]
    assert "NOT verified flat" in open_.title
    assert "MNQZ26 +1 after 60 s." in open_.text


def test_the_summary_of_a_day() -> None:
    """Its figures; a fault or an open position makes it a warning."""
    end = SessionEnd(
        date=20_261_001, mode="paper", complete=True, covered_s=36_000.0, hours_s=36_000.0,
        faults=(), flat=True, events=1_000, orders=4, fills=8, refusals=1, day_pnl=-12_340_000,
        costs=2_960_000, balance=49_987_660_000, reason="end of the session",
    )  # fmt: skip
    (one,) = Watch("paper 17").summary(START, end)
    assert (one.level, one.title) == ("info", "paper 17: 2026-10-01: -12.34 USD, 8 fills")
    for part in ("2.96 USD costs", "49,987.66 USD", "1 refusals", "10 h 00 min of 10 h 00 min"):
        assert part in one.text
    for wrong in ({"flat": False}, {"faults": ("journal behind",)}):
        (one,) = Watch().summary(START, msgspec.structs.replace(end, **wrong))
        assert one.level == "warning"
    assert "journal behind" in one.text


def test_failing_alerts_do_not_feed_on_themselves() -> None:
    """A channel that is down all day brings four alerts, not thousands."""
    watch = Watch()
    said = [one for n in range(5_000) for one in watch.look(at(n / 10, alerts_failed=n))]
    assert kinds(said) == [("alerts", "warning")] * 4


@pytest.mark.parametrize(
    "table",
    [{"loss_percent": [80, 50]}, {"flatten_minutes": [1, 5]}, {"flatten_minutes": [5, 5]},
     {"feed_s": 0}, {"feed_s": -1.0}, {"feed_s": "soon"}, {"feeds": 3.0}, {"loss_percent": [0, 5]}],
)  # fmt: skip
def test_thresholds_that_make_no_sense_are_refused(table: dict[str, Any]) -> None:
    """With what was received and what is allowed."""
    with pytest.raises(UsageError, match=r"alerts: .*allowed"):
        Thresholds.of(table)


def test_thresholds_can_be_set() -> None:
    """Other steps, and no watch over protection."""
    thresholds = Thresholds.of({"loss_percent": [25], "flatten_minutes": []})
    watch = Watch(thresholds=msgspec.structs.replace(thresholds, unprotected_s=None))
    bare = {"position": 1, "flatten_at": START + 60 * NS}
    said = [one for s in range(60) for one in watch.look(at(s, bare, day_room=750 * MICROS))]
    assert kinds(said) == [("daily loss limit", Level.CRITICAL)]

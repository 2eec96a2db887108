"""Promotion: which sessions count, for what exactly, and how the first live days are held back."""

from __future__ import annotations

import sqlite3
from dataclasses import fields, replace
from datetime import date, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxresearch.brokers.fillmodel import FillModel, Latency
from pxresearch.drift.report import DayCheck, DriftReport, store
from pxresearch.errors import UsageError
from pxresearch.journal import Journal, Kind
from pxresearch.programmes import Programme, programme
from pxresearch.promotion import (
    NEEDED,
    Identity,
    PaperSession,
    count_live_days,
    judge,
    judge_sessions,
    live_days,
    override,
    sessions,
    source_hash,
)
from pxresearch.promotion_ramp import RAMP, ramp
from tests import journal_kit as kit

SETUP = kit.Setup()
WANTED = Identity.of(kit.header(SETUP, kit.DAYS[0], "paper"))
MONDAY = date(2026, 9, 14)
END = kit.SessionEnd(
    date=20260914, mode="paper", complete=True, covered_s=100.0, hours_s=100.0, faults=(),
    flat=True, events=1, orders=0, fills=0, refusals=0, day_pnl=0, costs=0, balance=0,
    reason="the day is over",
)  # fmt: skip
CLEAN = DayCheck(day=1, head="", events=1, orders=0, fills=0, differences=())
UNEQUAL = msgspec.structs.replace(CLEAN, differences=("orders: session 3, replay 4",))


def one(day: date = MONDAY, **changes) -> PaperSession:
    """A session that counts, but for the changes; `end_` changes members of its end."""
    end = {k.removeprefix("end_"): v for k, v in changes.items() if k.startswith("end_")}
    rest = {k: v for k, v in changes.items() if not k.startswith("end_")}
    values = {
        "path": Path(f"paper-{day}.journal"), "day": day, "identities": (WANTED,),
        "end": msgspec.structs.replace(END, **end), "check": CLEAN,
    }  # fmt: skip
    return PaperSession(**{**values, **rest})


EDITED = replace(WANTED, source_hash=source_hash("another"))
FLAWS = {
    "none": {},
    "unchecked": {"check": None},
    "at the bound": {"end_covered_s": 95.0},
    "short": {"end_covered_s": 94.99},
    "no hours": {"end_hours_s": 0.0},
    "incomplete": {"end_complete": False},
    "open": {"end_flat": False},
    "fault": {"end_faults": ("an outcome is unknown",)},
    "running": {"end": None},
    "damaged": {"damage": "row 7 was changed"},
    "edited": {"identities": (EDITED,)},
    "edited and back": {"identities": (WANTED, EDITED, WANTED)},
    "drifting": {"check": UNEQUAL},
}
GOOD = {"none", "unchecked", "at the bound"}


# ------------------------------------------------------------------ what counts
@given(
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from(sorted(FLAWS))), max_size=14),
    st.integers(1, 6),
)
def test_only_flawless_distinct_trading_days_count(drawn, needed):
    """Whatever the sessions: days that count are the distinct weekdays with a flawless session."""
    found = [one(MONDAY + timedelta(days=offset), **FLAWS[flaw]) for offset, flaw in drawn]
    want = {s.day for s, (_, flaw) in zip(found, drawn, strict=True)
            if flaw in GOOD and s.day.weekday() < 5}  # fmt: skip
    judged = judge_sessions(found, WANTED, needed=needed)
    assert judged.counted == len(want)
    assert judged.ok == (len(want) >= needed) == (judged.missing == "")
    assert sorted(row.day for row in judged.rows if row.counts) == sorted(want)
    assert all(row.counts == (row.why == "") for row in judged.rows)
    if not judged.ok:
        assert f"{len(want)} of {needed}" in judged.missing
        assert f"{needed - len(want)} more" in judged.missing


@pytest.mark.parametrize(
    ("day", "counts"),
    [
        (date(2026, 11, 27), True),  # the day after Thanksgiving: half a day
        (date(2026, 12, 25), False),  # closed
        (date(2026, 9, 19), False),  # a Saturday
    ],
)
def test_days_are_counted_by_the_calendar(day, counts):
    """A half day is a trading day; a closed one has no session to count."""
    assert judge_sessions([one(day)], WANTED, needed=1).ok == counts


@pytest.mark.parametrize("flaw", sorted(FLAWS.keys() - GOOD))
def test_the_table_says_why(flaw):
    """Each session that does not count has its reason in the row."""
    row = judge_sessions([one(**FLAWS[flaw])], WANTED).rows[0].row()
    assert row["counts"] == "no"
    word = {"short": "95.0 %", "no hours": "95.0 %", "incomplete": "end of its day",
            "open": "not flat", "fault": "an outcome is unknown", "running": "has not ended",
            "damaged": "row 7", "edited": "source", "edited and back": "source",
            "drifting": "replay 4"}[flaw]  # fmt: skip
    assert word in row["why"]


# ------------------------------------------------------------------ for what exactly
@pytest.mark.parametrize("name", [f.name for f in fields(Programme)])
def test_every_rule_of_the_programme_is_part_of_the_identity(name):
    """A rule that changed starts again and is named; where a number was read is no rule."""
    other = replace(WANTED.programme)
    object.__setattr__(other, name, "something else")
    if name == "restrictions":
        object.__setattr__(other, name, ())
    changes = replace(WANTED, programme=other).changes(WANTED)
    assert changes == [] if name == "source" else changes[0].startswith(name)


@pytest.mark.parametrize(
    "fills",
    [
        FillModel(limit_fill="touch"), FillModel(stop_trigger="quote"), FillModel(mark="last"),
        FillModel(slippage_ticks=1), FillModel(partial_fills=True),
        FillModel(latency=Latency(entry=1)), FillModel(latency=Latency(feed=(0, 1))),
        FillModel(latency=Latency(ack=5)),
    ],
)  # fmt: skip
def test_how_paper_fills_is_part_of_the_identity(fills):
    """Another fill model is another measurement."""
    assert len(replace(WANTED, fills=fills).changes(WANTED)) == 1


def test_latency_of_one_sample_is_the_number():
    """A number and an array of it fill alike, so they are the same."""
    same = replace(WANTED, fills=FillModel(latency=Latency(entry=[0])))
    assert same.changes(WANTED) == []


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"strategy": "Other"}, "strategy"),
        ({"parameters": {**SETUP.parameters, "fast": 3}}, "fast 2 -> 3"),
        ({"parameters": {**SETUP.parameters, "fast": 2.0}}, "fast"),
        ({"parameters": {**SETUP.parameters, "more": 1}}, "more"),
        ({"contracts": ("MESZ26",)}, "contracts MNQZ26 -> MESZ26"),
        ({"contracts": ("MNQZ26", "MESZ26")}, "contracts"),
    ],
)
def test_what_changed_is_named(change, word):
    """Strategy, parameters and contracts: the table says from what to what."""
    assert word in WANTED.changes(replace(WANTED, **change))[0]


def test_the_next_month_of_a_product_is_no_change():
    """A roll keeps the sessions; another product, or another order of products, does not."""
    assert WANTED.changes(replace(WANTED, contracts=("MNQH27",))) == []
    two = replace(WANTED, contracts=("MNQZ26", "MESZ26"))
    assert two.changes(replace(WANTED, contracts=("MNQH27", "MESH27"))) == []
    assert two.changes(replace(WANTED, contracts=("MESZ26", "MNQZ26"))) != []


@given(st.text(alphabet="ab \t\n#", max_size=40), st.text(alphabet="ab \t\n#", max_size=40))
def test_source_hash_sees_every_edit_but_line_endings(text, other):
    """The same lines on Windows are the same strategy; any other text is another."""
    assert source_hash(text.replace("\n", "\r\n")) == source_hash(text)
    assert (source_hash(text) == source_hash(other)) == (text == other)


# ------------------------------------------------------------------ from the files
def test_five_days_of_journals_promote_and_an_edit_starts_again(tmp_path):
    """Refused after four days, accepted after five, refused again when the source is edited."""
    for day in kit.DAYS[:4]:
        kit.write_session(tmp_path, day, inputs=[])
    assert not judge(tmp_path, WANTED).ok
    assert "1 more full trading day " in judge(tmp_path, WANTED).missing
    kit.write_session(tmp_path, kit.DAYS[4], inputs=[])
    assert judge(tmp_path, WANTED).ok
    edited = replace(SETUP, source=SETUP.source + "\n# a comment\n")
    again = judge(tmp_path, Identity.of(kit.header(edited, kit.DAYS[0], "paper")))
    assert again.counted == 0
    assert all("source" in row.why for row in again.rows)
    assert NEEDED == 5


def test_header_comes_back_from_the_file_as_it_was(tmp_path):
    """Programme and fill model survive the journal, so that nothing differs by way of it."""
    setup = replace(
        SETUP, rules=programme("express-50k", product_caps={"MNQ": 3}, collar_ticks=20),
        fills=FillModel(latency=Latency(entry=(1, 2, 3))),
    )  # fmt: skip
    kit.write_session(tmp_path, MONDAY, setup, inputs=[])
    read_back = sessions(tmp_path)[0].identities[0]
    assert read_back.changes(Identity.of(kit.header(setup, MONDAY, "paper"))) == []


def test_a_tampered_journal_does_not_count(tmp_path):
    """One changed byte anywhere in a row takes the session out, and the reason names the row."""
    path = kit.write_session(tmp_path, MONDAY, inputs=[]).path
    assert judge(tmp_path, WANTED, needed=1).ok
    db = sqlite3.connect(path)
    db.execute("DROP TRIGGER no_update")
    db.execute("UPDATE rows SET data = replace(data, '\"flat\":true', '\"flat\":null')"
               " WHERE kind = 'end'")  # fmt: skip
    db.execute("UPDATE rows SET ts = ts + 1 WHERE kind = 'end'")
    db.commit()
    db.close()
    row = judge(tmp_path, WANTED, needed=1).rows[0]
    assert "damaged" in row.why
    assert "row " in row.why


def test_a_file_that_is_no_journal_is_damage_not_a_crash(tmp_path):
    """Rubbish in the folder is a row in the table."""
    (tmp_path / "paper-2026-09-14.journal").write_bytes(b"rubbish" * 100)
    assert "damaged" in judge(tmp_path, WANTED).rows[0].why


@pytest.mark.parametrize("name", ["paper-2026-09-15", "paper-now", "live-2026-09-14"])
def test_a_renamed_journal_does_not_count(tmp_path, name):
    """Neither another day nor another mode by another name."""
    path = kit.write_session(tmp_path, MONDAY, inputs=[]).path
    path.rename(tmp_path / f"{name}.journal")
    found = sessions(tmp_path, name.partition("-")[0])
    assert [bool(s.damage) for s in found] == [True]
    assert judge(tmp_path, WANTED).counted == 0


def test_a_session_that_went_on_after_its_end_is_not_over(tmp_path):
    """A header behind the END row: it is running again, or it died."""
    written = kit.write_session(tmp_path, MONDAY, inputs=[])
    journal = Journal(written.path, threaded=False)
    journal.write(Kind.RUN, 1, written.header)
    journal.close()
    assert "has not ended" in judge(tmp_path, WANTED).rows[0].why


def test_a_check_holds_for_the_journal_that_was_checked(tmp_path):
    """A drift check speaks against the very file it was made of, and against no other."""
    path = kit.write_session(tmp_path, MONDAY, inputs=[]).path
    head = sessions(tmp_path)[0].head
    for known, counts in ((head, 0), ("another", 1)):
        check = msgspec.structs.replace(UNEQUAL, head=known)
        store(tmp_path, DriftReport(days={path.name: check}))
        assert judge(tmp_path, WANTED).counted == counts


# ------------------------------------------------------------------ override and ramp
def test_override_needs_a_reason_and_says_past_what():
    """The row for the journal holds the reason and what was missing."""
    judged = judge_sessions([one()], WANTED)
    for reason in ("", "because", "  a \n b  ", "         x          "):
        with pytest.raises(UsageError, match="10 characters"):
            override(reason, judged)
    row = override("the venue moved  the account", judged)
    assert row["reason"] == "the venue moved the account"
    assert row["counted"] == 1
    assert row["missing"] == judged.missing


RULES = st.builds(
    lambda size, loss, most: programme(
        "own", start_balance=50_000, max_minis=size, daily_loss_limit=loss, max_loss=most
    ),
    st.one_of(st.none(), st.integers(1, 400).map(lambda tenths: tenths / 10)),
    st.one_of(st.none(), st.integers(1, 5_000)),
    st.one_of(st.none(), st.integers(1, 9_000)),
)


def at_most(limit, own) -> bool:
    return own is None or (limit is not None and limit <= own)


@given(RULES)
def test_the_ramp_only_tightens_and_only_grows(rules):
    """No step is looser than the account or tighter than the step before; the last is the account.

    An account that limits no loss at all gets no live day.
    """
    if rules.daily_loss_limit_micros is None and rules.max_loss_micros is None:
        with pytest.raises(UsageError, match="daily_loss_limit"):
            ramp(0, rules)
        return
    before = None
    for day in range(8):
        step = ramp(day, rules)[0]
        for name in ("max_size_tenths", "max_order_qty", "daily_loss_limit_micros"):
            assert at_most(getattr(step, name), getattr(rules, name)), (day, name)
            if before is not None and getattr(step, name) is not None:
                assert getattr(before, name) <= getattr(step, name), (day, name)
        before = step
    assert before == rules
    first = ramp(0, rules)[0]
    base = rules.daily_loss_limit_micros or rules.max_loss_micros // 2
    assert first.daily_loss_limit_micros == max(base // 4, 1)
    assert first.max_size_tenths <= 10
    assert first.max_order_qty <= 10


def test_the_ramp_says_what_it_allows():
    """The text of each step has its numbers; the steps are days 1-2, 3-5 and from 6 on."""
    rules = programme("combine-50k")
    assert [step.first_day for step in RAMP] == [1, 3, 6]
    texts = [ramp(n, rules)[1] for n in range(6)]
    assert [text.split(":")[0] for text in texts] == [f"live day {n + 1}" for n in range(6)]
    assert "1 mini (10 micros) and 250.00 USD" in texts[1]
    assert "2.5 minis (25 micros) and 500.00 USD" in texts[4]
    assert texts[5].endswith("own limits")
    with pytest.raises(UsageError):
        ramp(-1, rules)


def test_live_days_are_those_that_went_well(tmp_path):
    """The ramp moves on with clean days of the same strategy, under ramped rules, before today."""
    ramped = replace(WANTED, programme=ramp(0, WANTED.programme)[0])
    looser = replace(WANTED, programme=replace(WANTED.programme, collar_ticks=50))
    days = [MONDAY + timedelta(days=n) for n in range(5)]
    found = [
        one(days[0], identities=(ramped,), end_complete=False, end_covered_s=1.0),
        one(days[1], identities=(looser,)),
        one(days[2], identities=(ramped,), check=UNEQUAL),
        one(days[3], identities=(WANTED,)),
        one(days[3], identities=(WANTED,)),
        one(days[4], identities=(WANTED,)),
    ]
    assert count_live_days(found, WANTED, days[4]) == 2
    for flaw in ("open", "fault", "running", "damaged", "edited"):
        assert count_live_days([one(**FLAWS[flaw])], WANTED, days[4]) == 0
    kit.write_session(tmp_path, MONDAY, inputs=[], mode="live")
    assert live_days(tmp_path, WANTED, MONDAY) == 0
    assert live_days(tmp_path, WANTED, days[1]) == 1

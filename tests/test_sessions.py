"""Sessions: the reference answers to the second, and the invariants of every schedule.

I/O: reads the reference tables and the real data beside the repository.
"""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import warnings
import zipfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxresearch.errors import CalendarError, UsageError
from pxresearch.instruments import contract, instrument
from pxresearch.sessions import (
    CHICAGO,
    DAY,
    SESSION,
    CalendarWarning,
    check_horizon,
    flatten_deadline,
    from_ns,
    may_open,
    schedule,
    session,
    to_ns,
    trading_day,
)

SECOND = 10**9
ROOTS = ("ES", "ZN", "6E", "MBT", "CL", "GC", "ZC", "HE")  # one of each group
GROUP_COLUMNS = dict(
    zip(
        ROOTS,
        ("equity", "rates", "fx", "crypto", "energy", "metals", "grains", "livestock"),
        strict=True,
    )
)


def chicago(year: int, month: int, day: int, hour: int = 0, minute: int = 0, sec: int = 0) -> int:
    """Ns UTC of a Chicago wall time, by way of the zone library."""
    when = datetime(year, month, day, hour, minute, sec, tzinfo=CHICAGO)
    return int(when.timestamp()) * SECOND


def built(roots=ROOTS, first=date(2023, 1, 3), last=date(2026, 12, 31), **changes):
    """Schedule of some products between noon of two dates."""
    margins = {"flatten_margin_s": 180, "no_open_margin_s": 300, **changes}
    return schedule(
        [instrument(root) for root in roots],
        chicago(first.year, first.month, first.day, 12),
        chicago(last.year, last.month, last.day, 12),
        **margins,
    )


def row_of(days: np.ndarray, day: date) -> int:
    return int(np.flatnonzero(days["date"] == day.year * 10_000 + day.month * 100 + day.day)[0])


def test_reference_cases_to_the_second(reference: Path):
    """Trading day, deadline and permission of all 49 hand-typed cases."""
    with open(reference / "trading_day_cases.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 49
    for row in rows:
        when = datetime.fromisoformat(row["utc"].replace("Z", "+00:00"))
        want = datetime.fromisoformat(row["flatten_deadline_utc"].replace("Z", "+00:00"))
        for ts in (when, to_ns(when), when.astimezone(ZoneInfo("Asia/Tokyo"))):
            assert trading_day(ts).isoformat() == row["trading_day"], row
            assert flatten_deadline(ts) == to_ns(want), row
            assert may_open(ts) == (row["may_open"] == "Y"), row


def test_instants_convert_exactly():
    """Microseconds survive; a datetime without a zone is refused."""
    when = datetime(2026, 1, 15, 21, 9, 59, 123456, tzinfo=UTC)
    assert to_ns(when) == 1_768_511_399_123_456_000
    assert from_ns(to_ns(when) + 999) == when
    assert to_ns(datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)) == -SECOND
    with pytest.raises(UsageError, match="no time zone"):
        trading_day(datetime(2026, 1, 15, 12))  # noqa: DTZ001


@given(st.datetimes(datetime(2023, 1, 3), datetime(2026, 12, 30), timezones=st.just(UTC)))  # noqa: DTZ001
def test_every_instant_lies_in_its_own_day(when: datetime):
    """The schedule's row of an instant has the date that trading_day gives, and holds it."""
    ns = to_ns(when)
    days, _ = schedule([], ns, ns, flatten_margin_s=0, no_open_margin_s=0)
    day = trading_day(ns)
    assert days["date"].tolist() == [day.year * 10_000 + day.month * 100 + day.day]
    assert days["start"][0] <= ns < days["end"][0]
    assert trading_day(int(days["start"][0])) == day
    assert trading_day(int(days["start"][0]) - 1) < day


def test_four_years_of_days_are_contiguous():
    """No gap, no overlap, no weekend, no closed day; each begins at 17:00 Chicago."""
    days, sessions = built()
    assert (days.dtype, sessions.dtype, sessions.shape) == (DAY, SESSION, (len(days), len(ROOTS)))
    assert (days["end"][:-1] == days["start"][1:]).all()
    assert (np.diff(days["date"]) > 0).all()
    for start in days["start"].tolist():
        local = from_ns(start).astimezone(CHICAGO)
        assert (local.hour, local.minute, local.second) == (17, 0, 0)
    assert not np.isin([20230407 + 2, 20240329, 20251225, 20260101], days["date"]).any()
    # 52 weeks of five days less the closed weekdays of 2026: 1 January and 25 December.
    assert ((days["date"] // 10_000) == 2026).sum() == 261 - 2


def test_sessions_lie_inside_their_day_in_order():
    """start <= open < close <= end; pause inside; no_open <= flatten_at <= deadline <= close."""
    days, sessions = built()
    for column in sessions.T:
        trades = column["open"] < column["close"]
        assert (column["open"] >= days["start"]).all()
        assert (column["close"] < days["end"]).all()
        assert (column["no_open_from"] <= column["flatten_at"]).all()
        live = column[trades]
        assert (live["deadline"] <= live["close"]).all()
        # Day of mourning: the account is flat by 08:15, before livestock opens; nothing may open.
        late = live["deadline"] <= live["open"]
        assert days["date"][trades][late].tolist() in ([], [20250109])
        assert (live["no_open_from"][late] < live["open"][late]).all()
        assert (live["flatten_at"] == live["deadline"] - 180 * SECOND).all()
        assert (live["no_open_from"] == live["deadline"] - 300 * SECOND).all()
        assert (live["open"] <= live["pause_from"]).all()
        assert (live["pause_from"] <= live["pause_to"]).all()
        assert (live["pause_to"] <= live["close"]).all()
        shut = column[~trades]
        assert (shut["open"] == shut["close"]).all()
        assert (shut["no_open_from"] == shut["open"]).all()
    assert (sessions[:, 6]["pause_from"] < sessions[:, 6]["pause_to"]).sum() > 900  # grains


def test_every_holiday_row_is_in_the_schedule(reference: Path):
    """Closed days are absent; on the others each group closes when the reference says."""
    days, sessions = built(last=date(2027, 12, 31))
    with open(reference / "holiday_closes.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        day = date.fromisoformat(row["date"])
        if row["topstep_sim_flat_by_ct"] == "closed":
            assert not (days["date"] == int(row["date"].replace("-", ""))).any(), row
            assert not session(instrument("ES"), day).trades
            continue
        at = row_of(days, day)
        hour, minute = map(int, row["topstep_sim_flat_by_ct"].split(":"))
        flat_by = chicago(day.year, day.month, day.day, hour, minute)
        for column, root in enumerate(ROOTS):
            cell, found = row[f"{GROUP_COLUMNS[root]}_close_ct"], sessions[at, column]
            mourning = (row["date"], root) == ("2025-01-09", "ZC")  # 08:15 lies in the pause
            assert found["deadline"] == (found["pause_from"] if mourning else flat_by), row["date"]
            assert (found["open"] == found["close"]) == (cell == "C"), (row["date"], root)
            if ":" in cell:
                hour, minute = map(int, cell.split(":"))
                assert found["close"] == chicago(day.year, day.month, day.day, hour, minute)


def test_regular_hours_in_summer_and_winter():
    """17:00 - 16:00; grains 19:00 - 07:45, 08:30 - 13:20; livestock 08:30 - 13:05, local."""
    for day in (date(2026, 1, 15), date(2026, 3, 9), date(2026, 7, 15), date(2026, 11, 2)):
        eve = day - timedelta(days=1)

        def at(when: date, hour: int, minute: int) -> int:
            return chicago(when.year, when.month, when.day, hour, minute)

        es = session(instrument("ES"), day)
        assert (es.open, es.close, es.deadline) == (at(eve, 17, 0), at(day, 16, 0), at(day, 15, 10))
        assert es.pause_from == es.pause_to
        corn = session(contract("ZCZ26"), day)
        assert (corn.open, corn.close, corn.deadline) == (
            at(eve, 19, 0),
            at(day, 13, 20),
            at(day, 13, 20),
        )
        assert (corn.pause_from, corn.pause_to) == (at(day, 7, 45), at(day, 8, 30))
        hogs = session(instrument("HE"), day)
        assert (hogs.open, hogs.close, hogs.deadline) == (
            at(day, 8, 30),
            at(day, 13, 5),
            at(day, 13, 5),
        )
        assert es.open_time.hour == 17
        assert (es.close_time.hour, es.deadline_time.minute) == (16, 10)


def test_opening_follows_the_product_and_its_pause():
    """Corn: not at 07:45, again at 08:30, not at 13:20; hogs from 08:30; ES through all of it."""
    corn, hogs, es = instrument("ZC"), instrument("HE"), instrument("ES")

    def opens(product, hour: int, minute: int) -> bool:
        return may_open(chicago(2026, 7, 15, hour, minute), product)

    assert [opens(corn, *t) for t in ((7, 44), (7, 45), (8, 29), (8, 30), (13, 19), (13, 20))] == [
        True,
        False,
        False,
        True,
        True,
        False,
    ]
    assert [opens(hogs, *t) for t in ((8, 29), (8, 30), (13, 4), (13, 5))] == [
        False,
        True,
        True,
        False,
    ]
    assert [opens(es, *t) for t in ((7, 45), (15, 9), (15, 10))] == [True, True, False]
    assert not may_open(chicago(2026, 7, 14, 17, 30), corn)  # account open, grains from 19:00
    assert may_open(chicago(2026, 7, 14, 17, 30), es)
    assert flatten_deadline(chicago(2026, 7, 15, 9), corn) == chicago(2026, 7, 15, 13, 20)
    # MLK Monday: the grains are shut, the account's cut-off is 11:45.
    assert not may_open(chicago(2026, 1, 19, 9), corn)
    assert flatten_deadline(chicago(2026, 1, 19, 9), corn) == chicago(2026, 1, 19, 11, 45)


def test_clocks_change_between_sessions():
    """The Monday after each change opens at 17:00 of its own zone; its weekend is an hour off."""
    for sunday, opening in ((date(2026, 3, 8), 22), (date(2026, 11, 1), 23)):
        monday = session(instrument("ES"), sunday + timedelta(days=1))
        assert from_ns(monday.open) == datetime(
            sunday.year, sunday.month, sunday.day, opening, tzinfo=UTC
        )
    days, _ = built(("ES",), date(2026, 3, 6), date(2026, 11, 6))
    hours = (days["end"] - days["start"]) // (3600 * SECOND)
    assert hours[row_of(days, date(2026, 3, 9))] == 71
    assert hours[row_of(days, date(2026, 3, 16))] == 72
    assert hours[row_of(days, date(2026, 11, 2))] == 73


def test_a_friday_holiday_reopens_on_sunday():
    """Juneteenth 2026: Friday until 12:00, then nothing before Sunday 17:00."""
    friday = session(instrument("GC"), date(2026, 6, 19))
    assert friday.close == chicago(2026, 6, 19, 12)
    assert trading_day(chicago(2026, 6, 19, 17, 30)) == date(2026, 6, 22)
    assert session(instrument("GC"), date(2026, 6, 22)).open == chicago(2026, 6, 21, 17)


@pytest.mark.parametrize(
    ("flat_by", "deadline"),
    [
        ("07:44", (7, 44)),
        ("07:45", (7, 45)),
        ("07:46", (7, 45)),
        ("08:15", (7, 45)),
        ("08:30", (7, 45)),
        ("08:31", (8, 31)),
    ],
)
def test_a_deadline_never_lies_in_the_pause(flat_by: str, deadline: tuple[int, int]):
    """Corn, paused 07:45 - 08:30: flatten and last opening come before the pause with it."""
    day = date(2026, 5, 13)
    _, sessions = built(("ZC", "ES"), day, day, overrides={day: flat_by})
    corn = sessions[0, 0]
    assert corn["deadline"] == chicago(2026, 5, 13, *deadline)
    assert corn["flatten_at"] == corn["deadline"] - 180 * SECOND
    assert corn["no_open_from"] == corn["deadline"] - 300 * SECOND
    hour, minute = map(int, flat_by.split(":"))
    assert sessions[0, 1]["deadline"] == chicago(2026, 5, 13, hour, minute)


def test_no_deadline_of_four_years_lies_in_a_pause():
    _, sessions = built()
    inside = (sessions["pause_from"] < sessions["deadline"]) & (
        sessions["deadline"] <= sessions["pause_to"]
    )
    assert not (inside & (sessions["pause_from"] < sessions["pause_to"])).any()


def test_hours_are_dated():
    """Equity closed 16:15 with a 15:15 halt until 18 September 2015, metals and energy 16:15."""
    es, gold = instrument("ES"), instrument("GC")
    day = session(es, date(2013, 9, 3))
    assert (day.close_time.hour, day.close_time.minute) == (16, 15)
    assert day.pause_from == chicago(2013, 9, 3, 15, 15)
    assert day.pause_to == chicago(2013, 9, 3, 15, 30)
    assert not day.is_open(chicago(2013, 9, 3, 15, 20))
    assert day.is_open(chicago(2013, 9, 3, 16, 14, 59))
    assert session(gold, date(2015, 9, 18)).close == chicago(2015, 9, 18, 16, 15)
    assert session(gold, date(2015, 9, 21)).close == chicago(2015, 9, 21, 16, 0)
    assert session(es, date(2015, 9, 21)).close == chicago(2015, 9, 21, 16, 0)


def test_the_span_the_table_vouches_for():
    """2027 is good for research only; beyond it research warns; trading is refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_horizon(chicago(2023, 1, 3), chicago(2027, 12, 30))
        check_horizon(chicago(2026, 12, 1), chicago(2026, 12, 31, 12), trading=True)
        built(("ES",), last=date(2026, 12, 31), trading=True)
    for first, last in (
        (date(2013, 9, 3), date(2013, 9, 4)),
        (date(2027, 12, 1), date(2028, 1, 5)),
    ):
        with pytest.warns(CalendarWarning, match="every weekday counts") as caught:
            built(("ES",), first, last)
        assert caught[0].filename == __file__
    with pytest.raises(CalendarError, match=r"2023-01-01 to 2026-12-31.*update pxresearch"):
        built(("ES",), date(2026, 12, 30), date(2027, 1, 5), trading=True)


def test_the_user_overrides_single_dates():
    """A date closed by the user is no trading day; a flat-by time replaces 15:10."""
    mourning = date(2026, 5, 12)
    kept, _ = built(("ES",), date(2026, 5, 11), date(2026, 5, 13))
    days, sessions = built(
        ("ES", "ZC"),
        date(2026, 5, 11),
        date(2026, 5, 14),
        overrides={mourning: "closed", date(2026, 5, 13): "08:15", date(2026, 5, 14): "15:30"},
    )
    assert kept["date"].tolist() == [20260511, 20260512, 20260513]
    assert days["date"].tolist() == [20260511, 20260513, 20260514]
    assert days["start"][1] == chicago(2026, 5, 11, 17)
    # 08:15 lies in the pause of the grains, in which nothing can be closed.
    assert sessions["deadline"][1].tolist() == [
        chicago(2026, 5, 13, 8, 15),
        chicago(2026, 5, 13, 7, 45),
    ]
    assert sessions["deadline"][2, 0] == chicago(2026, 5, 14, 15, 10)  # never after 15:10
    noon = chicago(2026, 5, 12, 12)
    assert trading_day(noon, overrides={mourning: "closed"}) == date(2026, 5, 13)
    assert may_open(noon)
    assert not may_open(noon, overrides={mourning: "08:15"})
    assert flatten_deadline(noon, overrides={mourning: "08:15"}) == chicago(2026, 5, 12, 8, 15)
    # A closed date of the table can be opened; its products then keep ordinary hours.
    assert session(
        instrument("ES"), date(2026, 12, 25), overrides={date(2026, 12, 25): "12:00"}
    ).trades


@pytest.mark.parametrize("overrides", [{date(2026, 5, 12): "8:15"}, {date(2026, 5, 12): "shut"}])
def test_a_bad_override_names_what_is_allowed(overrides: dict[date, str]):
    with pytest.raises(UsageError, match="'closed' or the Chicago time"):
        built(("ES",), overrides=overrides)
    with pytest.raises(UsageError, match="an override is for a date"):
        trading_day(0, overrides={"2026-05-12": "closed"})  # pyright: ignore


def test_bad_spans_and_margins_are_refused():
    with pytest.raises(UsageError, match=r"ends .* before it begins"):
        schedule([], 10, 9, flatten_margin_s=0, no_open_margin_s=0)
    with pytest.raises(UsageError, match="flatten_margin_s=-1"):
        built(("ES",), flatten_margin_s=-1)
    _, sessions = built(("ES",), flatten_margin_s=600, no_open_margin_s=60)
    assert (sessions["no_open_from"] == sessions["flatten_at"]).all()


def test_import_is_light():
    """Neither polars nor the tables are loaded by the import."""
    code = (
        "import sys, pxresearch.sessions as s; assert 'polars' not in sys.modules;"
        "assert s._holidays.cache_info().currsize == 0"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("root", "path"),
    [
        ("ES", "cme/minute/es/20131007_trade.zip"),
        ("ES", "cme/minute/es/20131218_trade.zip"),
        ("GC", "comex/minute/gc/20131007_trade.zip"),
    ],
)
def test_real_minutes_of_2013_lie_in_session(real_data: Path, root: str, path: str):
    """Every traded minute is in session, and the last one before the break is 16:14 Chicago."""
    file = real_data / "lean" / "future" / path
    day = datetime.strptime(file.name[:8], "%Y%m%d").replace(tzinfo=UTC)
    product, stamps = instrument(root), set()
    with zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            rows = csv.reader(io.TextIOWrapper(archive.open(name)))
            stamps |= {to_ns(day) + int(row[0]) * 1_000_000 for row in rows}
    outside = [ns for ns in stamps if not session(product, trading_day(ns)).is_open(ns)]
    assert stamps
    assert not outside, [str(from_ns(ns)) for ns in sorted(outside)[:5]]
    late = [from_ns(ns).astimezone(CHICAGO) for ns in stamps]
    assert max((t.hour, t.minute) for t in late if t.hour < 17) == (16, 14)

"""Trading days, sessions, flatten deadlines and holidays of the CME products.

Words and units
---------------
- An instant is int64 nanoseconds UTC inside; functions also take aware datetimes.
- A *trading day* runs from 17:00 Chicago to the next 17:00 on which a day begins; Monday begins on
  Friday evening, because nothing else owns the weekend. A Topstep holiday Monday is its own day.
- The *deadline* is the instant at which a position must be gone: the earliest of 15:10 Chicago, the
  product's own close and the day's early cut-off; one that falls in the product's pause cannot be
  kept there and moves to the beginning of the pause.
- Wall times become instants through the zone rules of their own date; no offset is stored.

Facts live in ``tables/hours.csv`` (regular hours, dated), ``tables/holiday_closes.csv`` (closed
days and early closes, each with its source) and ``tables/calendar_validity.csv`` (the span the
holiday table vouches for). Outside that span every weekday counts as a full day:
:func:`check_horizon` refuses it for trading and warns for research.

I/O: reads the three tables and the zone database once, on first use.
"""

from __future__ import annotations

import functools
import re
import warnings
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from pxresearch.errors import CalendarError, UsageError
from pxresearch.instruments import Contract, Instrument, read_table

CHICAGO = ZoneInfo("America/Chicago")
"""The exchange's zone; every wall time of the tables is in it."""

DAY = np.dtype([("date", "i4"), ("start", "i8"), ("end", "i8")], align=True)
"""A trading day: yyyymmdd; its 17:00 roll; the next roll (the next day's start), ns UTC."""

SESSION = np.dtype(
    [
        ("open", "i8"),
        ("close", "i8"),
        ("pause_from", "i8"),
        ("pause_to", "i8"),
        ("no_open_from", "i8"),
        ("flatten_at", "i8"),
        ("deadline", "i8"),
    ],
    align=True,
)
"""A contract's session on one day, ns UTC; open == close: it does not trade that day;
pause_from == pause_to: no pause. Each span includes its first instant and not its last."""

Overrides = Mapping[date, str]
"""The user's word on single dates: ``"closed"``, or ``"HH:MM"`` Chicago by which to be flat."""

_SECOND = 1_000_000_000
_MINUTE = 60 * _SECOND
_DAY_NS = 86_400 * _SECOND
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_ACCOUNT = "account"  # the row of hours.csv that holds the day's roll and the 15:10 rule
_CLOSED = "closed"
_ONE_DAY = timedelta(days=1)


class CalendarWarning(UserWarning):
    """Research reaches beyond the holiday table: holidays there count as ordinary days."""


@dataclass(frozen=True, slots=True)
class Session:
    """One product's trading on one day, in ns UTC; ``open == close`` when it does not trade.

    ``deadline`` is the instant by which a position must be closed; never after ``close`` and never
    in the pause.
    """

    date: date
    open: int
    close: int
    pause_from: int
    pause_to: int
    deadline: int

    @property
    def trades(self) -> bool:
        """Whether the product trades on this day at all."""
        return self.open < self.close

    @property
    def open_time(self) -> datetime:
        """Opening, Chicago time."""
        return from_ns(self.open).astimezone(CHICAGO)

    @property
    def close_time(self) -> datetime:
        """Close, Chicago time."""
        return from_ns(self.close).astimezone(CHICAGO)

    @property
    def deadline_time(self) -> datetime:
        """When a position must be closed, Chicago time."""
        return from_ns(self.deadline).astimezone(CHICAGO)

    def is_open(self, ts: int | datetime) -> bool:
        """Whether the exchange trades the product at this instant."""
        ns = to_ns(ts)
        return self.open <= ns < self.close and not self.pause_from <= ns < self.pause_to


def to_ns(ts: int | datetime) -> int:
    """Nanoseconds UTC of an aware datetime, exact; an int passes through.

    Raises
    ------
    UsageError
        A datetime without a zone.
    """
    if not isinstance(ts, datetime):
        return int(ts)
    if ts.tzinfo is None:
        raise UsageError(f"{ts} has no time zone; write it with tzinfo=UTC or ZoneInfo(...)")
    delta = ts - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * _SECOND + delta.microseconds * 1_000


def from_ns(ns: int) -> datetime:
    """Aware UTC datetime of an instant, cut to the microsecond."""
    return _EPOCH + timedelta(microseconds=int(ns) // 1_000)


def trading_day(ts: int | datetime, *, overrides: Overrides | None = None) -> date:
    """Trading day to which an instant belongs.

    Examples
    --------
    >>> trading_day(datetime(2026, 1, 16, 17, 30, tzinfo=CHICAGO))
    datetime.date(2026, 1, 19)
    """
    return _calendar(_frozen(overrides)).day_of(to_ns(ts))


def session(
    product: Instrument | Contract, day: date, *, overrides: Overrides | None = None
) -> Session:
    """Session of a product on a day; one with ``trades`` false on closed days and weekends."""
    return _calendar(_frozen(overrides)).session(_group(product), day)


def flatten_deadline(
    ts: int | datetime,
    product: Instrument | Contract | None = None,
    *,
    overrides: Overrides | None = None,
) -> int:
    """Instant (ns UTC) by which to be flat on the trading day of `ts`; it may have passed.

    Without a product it is the account's: 15:10 Chicago or the early cut-off.
    """
    calendar = _calendar(_frozen(overrides))
    return calendar.session(_group(product), calendar.day_of(to_ns(ts))).deadline


def may_open(
    ts: int | datetime,
    product: Instrument | Contract | None = None,
    *,
    overrides: Overrides | None = None,
) -> bool:
    """Whether a position may be opened now: in session, not in a pause, before the deadline.

    The deadline itself is too late. No margin is applied; :func:`schedule` has those.
    """
    ns = to_ns(ts)
    calendar = _calendar(_frozen(overrides))
    found = calendar.session(_group(product), calendar.day_of(ns))
    return found.is_open(ns) and ns < found.deadline


def schedule(
    instruments: Sequence[Instrument],
    first_ns: int,
    last_ns: int,
    *,
    flatten_margin_s: int,
    no_open_margin_s: int,
    trading: bool = False,
    overrides: Overrides | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """All trading days that cover a span, with each instrument's session on each.

    Parameters
    ----------
    instruments
        One column of the second array each, in this order.
    first_ns, last_ns
        First and last instant to cover, ns UTC, both included.
    flatten_margin_s, no_open_margin_s
        Seconds before the deadline at which to flatten, and from which not to open.
    trading
        True where orders may be sent: an uncovered span is then an error.
    overrides
        ``"closed"`` or a flat-by time ``"HH:MM"`` Chicago for single dates.

    Returns
    -------
    tuple
        :data:`DAY` of shape (n,) and :data:`SESSION` of shape (n, len(instruments)).
        ``no_open_from`` is never after ``flatten_at``. A product that does not trade on a day has
        every time but ``flatten_at`` and ``deadline`` (the account's) at the day's start.

    Raises
    ------
    UsageError
        The span is empty, or a margin negative.
    CalendarError
        ``trading`` and the span is not covered by the holiday table.

    Warns
    -----
    CalendarWarning
        Not ``trading`` and the span is not covered.
    """
    if first_ns > last_ns:
        raise UsageError(f"the span ends ({last_ns}) before it begins ({first_ns})")
    if flatten_margin_s < 0 or no_open_margin_s < 0:
        raise UsageError(
            f"margins are seconds before the deadline, 0 or more; received "
            f"flatten_margin_s={flatten_margin_s}, no_open_margin_s={no_open_margin_s}"
        )
    check_horizon(first_ns, last_ns, trading=trading, _stacklevel=3)
    calendar = _calendar(_frozen(overrides))
    dates = calendar.dates(calendar.day_of(int(first_ns)), calendar.day_of(int(last_ns)))
    rolls = [calendar.start(day) for day in (*dates, calendar.following(dates[-1]))]
    days = np.empty(len(dates), DAY)
    days["date"] = [day.year * 10_000 + day.month * 100 + day.day for day in dates]
    days["start"], days["end"] = rolls[:-1], rolls[1:]
    margins = (flatten_margin_s * _SECOND, no_open_margin_s * _SECOND)
    columns = {
        group: _session_column([calendar.session(group, day) for day in dates], *margins)
        for group in {item.group for item in instruments}
    }
    sessions = np.empty((len(dates), len(instruments)), SESSION)
    for at, item in enumerate(instruments):
        sessions[:, at] = columns[item.group]
    return days, sessions


def check_horizon(
    first: int | datetime, last: int | datetime, *, trading: bool = False, _stacklevel: int = 2
) -> None:
    """Compare a span with what the holiday table vouches for.

    Raises
    ------
    CalendarError
        ``trading``, and a trading day of the span is not covered.

    Warns
    -----
    CalendarWarning
        Likewise, for research. Python shows it once for each calling line.
    """
    begin, end = _validity()["trading" if trading else "research"]
    days = trading_day(first), trading_day(last)
    if begin <= days[0] and days[1] <= end:
        return
    text = (
        f"trading days {days[0]} to {days[1]} reach outside the holiday table, which vouches for "
        f"{begin} to {end}"
    )
    if trading:
        raise CalendarError(f"{text}; no orders are sent there: update pxresearch")
    warnings.warn(
        f"{text}; outside it every weekday counts as a full trading day",
        CalendarWarning,
        stacklevel=_stacklevel,
    )


class _Hours(NamedTuple):
    """Regular hours; minutes after midnight Chicago of the day, negative on the evening before."""

    valid_from: date
    open: int
    close: int
    pause_from: int
    pause_to: int


class _Calendar:
    """The holiday table with the user's overrides laid over it."""

    def __init__(self, overrides: tuple[tuple[date, str], ...]) -> None:
        self._holidays = dict(_holidays())
        for day, word in overrides:
            known = self._holidays.get(day, {})
            # A user who opens a closed date means ordinary hours, not the table's closed ones.
            kept = {} if known.get(_ACCOUNT) == _CLOSED else known
            self._holidays[day] = {**kept, _ACCOUNT: word}
        self._sessions: dict[tuple[str, date], Session] = {}

    def is_closed(self, day: date) -> bool:
        return day.weekday() >= 5 or self._holidays.get(day, {}).get(_ACCOUNT) == _CLOSED

    def following(self, day: date) -> date:
        day += _ONE_DAY
        while self.is_closed(day):
            day += _ONE_DAY
        return day

    def day_of(self, ns: int) -> date:
        local = datetime.fromtimestamp(ns // _SECOND, CHICAGO)
        minute = local.hour * 60 + local.minute - 24 * 60
        day = local.date()
        rolled = minute >= _regular(_ACCOUNT, day).open
        return self.following(day if rolled else day - _ONE_DAY)

    def dates(self, first: date, last: date) -> list[date]:
        found = [first]
        while found[-1] < last:
            found.append(self.following(found[-1]))
        return found

    def start(self, day: date) -> int:
        """Roll that begins a trading day: 17:00 of the trading day before it."""
        before = day - _ONE_DAY
        while self.is_closed(before):
            before -= _ONE_DAY
        return _instant(before + _ONE_DAY, _regular(_ACCOUNT, day).open)

    def session(self, group: str, day: date) -> Session:
        found = self._sessions.get((group, day))
        if found is None:
            found = self._sessions[group, day] = self._build(group, day)
        return found

    def _build(self, group: str, day: date) -> Session:
        hours, account = _regular(group, day), _regular(_ACCOUNT, day)
        cells = self._holidays.get(day, {})
        flat_by = account.close
        if cells and not self.is_closed(day):
            flat_by = min(flat_by, _minutes(cells[_ACCOUNT]))
        word = cells.get(group, "-")
        if self.is_closed(day) or word in ("C", _CLOSED):
            start = self.start(day)
            return Session(day, start, start, start, start, _instant(day, flat_by))
        close = hours.close if word == "-" else min(hours.close, _minutes(word))
        # A pause that an early close cuts off is no pause.
        pause = (hours.pause_from, hours.pause_to) if hours.pause_to < close else (close, close)
        deadline = min(flat_by, close)
        if pause[0] < deadline <= pause[1]:
            deadline = pause[0]  # nothing can be closed in a pause
        times = (hours.open, close, *pause, deadline)
        return Session(day, *(_instant(day, minutes) for minutes in times))


def _session_column(rows: list[Session], flatten: int, no_open: int) -> np.ndarray:
    column = np.empty(len(rows), SESSION)
    for name in ("open", "close", "pause_from", "pause_to", "deadline"):
        column[name] = [getattr(row, name) for row in rows]
    column["flatten_at"] = column["deadline"] - flatten
    last_opening = np.minimum(column["deadline"] - no_open, column["flatten_at"])
    trades = column["open"] < column["close"]
    column["no_open_from"] = np.where(trades, last_opening, column["open"])
    return column


def _group(product: Instrument | Contract | None) -> str:
    if product is None:
        return _ACCOUNT
    return (product.instrument if isinstance(product, Contract) else product).group


def _instant(day: date, minutes: int) -> int:
    """Ns UTC of a wall time; negative minutes are on the evening before."""
    back = minutes < 0
    ordinal = day.toordinal() - back
    wall = (ordinal - _EPOCH_ORDINAL) * _DAY_NS + (minutes + 24 * 60 * back) * _MINUTE
    return wall - _offset(ordinal)


@functools.cache
def _offset(ordinal: int) -> int:
    # Clocks change at 02:00 on a Sunday, and nothing here lies between a Sunday's midnight and
    # noon: the offset at noon is the offset of every wall time of that date.
    offset = datetime.combine(date.fromordinal(ordinal), _NOON, CHICAGO).utcoffset()
    assert offset is not None
    return int(offset.total_seconds()) * _SECOND


def _regular(group: str, day: date) -> _Hours:
    rows = _hours()[group]
    return rows[max(bisect_right(rows, day, key=_valid_from) - 1, 0)]


def _valid_from(hours: _Hours) -> date:
    return hours.valid_from


_NOON = time(12)
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


def _minutes(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:5])


def _frozen(overrides: Overrides | None) -> tuple[tuple[date, str], ...]:
    if not overrides:
        return ()
    for day, word in overrides.items():
        if isinstance(day, datetime) or not isinstance(day, date):
            raise UsageError(f"an override is for a date, such as date(2026, 1, 9); got {day!r}")
        if word != _CLOSED and not _CLOCK.fullmatch(word):
            raise UsageError(
                f"override for {day}: {word!r}; write 'closed' or the Chicago time by which to be "
                "flat, such as '11:45'"
            )
    return tuple(sorted(overrides.items()))


@functools.lru_cache(maxsize=8)
def _calendar(overrides: tuple[tuple[date, str], ...]) -> _Calendar:
    return _Calendar(overrides)


@functools.cache
def _hours() -> dict[str, list[_Hours]]:
    table: dict[str, list[_Hours]] = {}
    for row in read_table("hours.csv"):
        opens, close = _minutes(row["open_ct"]), _minutes(row["close_ct"])
        pause = [
            _minutes(row[name]) if row[name] else close for name in ("pause_from_ct", "pause_to_ct")
        ]
        # A session that opens later than it closes opened on the evening before.
        hours = _Hours(
            date.fromisoformat(row["valid_from"]),
            opens - 24 * 60 if opens > close else opens,
            close,
            *pause,
        )
        table.setdefault(row["group"], []).append(hours)
    for rows in table.values():
        rows.sort()
    return table


@functools.cache
def _holidays() -> dict[date, dict[str, str]]:
    groups = [group for group in _hours() if group != _ACCOUNT]
    return {
        date.fromisoformat(row["date"]): {
            _ACCOUNT: row["topstep_sim_flat_by_ct"],
            **{group: row[f"{group}_close_ct"] for group in groups},
        }
        for row in read_table("holiday_closes.csv")
    }


@functools.cache
def _validity() -> dict[str, tuple[date, date]]:
    return {
        row["use"]: (date.fromisoformat(row["valid_from"]), date.fromisoformat(row["valid_until"]))
        for row in read_table("calendar_validity.csv")
    }

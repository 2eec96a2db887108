"""Bars of the past, built from the market's own trades (or its bids where it has no trades).

A looped market has always been there: its history goes back turn by turn, as far as the settings
say. Trades made by hand are in the bars too.

A bar is stamped at its opening, and a request gets the bars that open from its start on and before
its end. Seconds, minutes and hours are aligned to UTC; days, weeks and months to trading days,
which begin at 17:00 Chicago; tick bars count anew on each trading day (the real alignment is not
known). Bars without a trade are left out.

I/O: none
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal

import numpy as np
import polars as pl

from pxresearch.clock import NS
from pxresearch.gateway import wire
from pxresearch.gateway.wire import BarUnit
from pxresearch.simulator.listing import Listed, by_id
from pxresearch.simulator.tape import MINUTE, QUOTE, TRADE, Tape
from pxresearch.validation.schema import CHICAGO, session_date

DAY = 86_400 * NS
_CLOCK = {BarUnit.SECOND: NS, BarUnit.MINUTE: MINUTE, BarUnit.HOUR: 60 * MINUTE}
_CALENDAR = (BarUnit.DAY, BarUnit.WEEK, BarUnit.MONTH)
_COLUMNS = ("ts", "end", "o", "h", "l", "c", "v")
_EMPTY = pl.DataFrame(schema=dict.fromkeys(_COLUMNS, pl.Int64))
_NOT_FOUND, _BAD_UNIT, _BAD_NUMBER, _BAD_LIMIT = 1, 2, 3, 4
_MOST_UNITS = 10_000  # of one bar
_NO_SIDE = 2**30  # prices beyond stand for an empty side


class Series:
    """Trades of one contract in the course of time.

    Parameters
    ----------
    tape, k
        Whose rows of one contract; None: only what is made by hand.
    origin
        Venue time of the tape's time 0.
    since
        Earliest time of history, ns UTC.
    """

    def __init__(
        self, tape: Tape | None = None, k: int = 0, origin: int = 0, since: int = 0
    ) -> None:
        self.since = since
        self._origin, self._length = origin, tape.length if tape is not None else 0
        self._by_hand: list[tuple[int, int, int]] = []
        self._ticks = _EMPTY if tape is None else _ticks_of(tape, k)
        self._minutes: pl.DataFrame | None = None

    def by_hand(self, ts: int, price: int, size: int) -> None:
        """Add a trade that is not on the tape."""
        self._by_hand.append((ts, price, size))

    @property
    def first(self) -> int:
        """No trade is before this time."""
        if self._length:
            return self.since
        found = [self._ticks["ts"][0] + self._origin] if len(self._ticks) else []
        return max(self.since, min([*found, *(one[0] for one in self._by_hand)], default=0))

    def rows(self, start: int, end: int, *, fine: bool) -> pl.DataFrame:
        """Rows with start <= ts < end in order: single trades, or (not `fine`) minutes."""
        start = max(start, self.since)
        if not fine and self._minutes is None:
            self._minutes = _merged(self._ticks, pl.col("ts") // MINUTE)
        base = self._ticks if fine or self._minutes is None else self._minutes
        frames = [_between(base, start, end, shift) for shift in self._shifts(start, end)]
        hand = [one for one in self._by_hand if start <= one[0] < end]
        if hand:
            frames.append(_of_trades(*map(np.array, zip(*hand, strict=True))))
        return pl.concat([_EMPTY, *frames]).sort("ts", maintain_order=True)

    def _shifts(self, start: int, end: int) -> list[int]:
        if not self._length:
            return [self._origin]
        first, last = (start - self._origin) // self._length, (end - self._origin) // self._length
        return [self._origin + turn * self._length for turn in range(first, last + 1)]


class History:
    """Bars of the venue's contracts.

    Parameters
    ----------
    listed
        The active contracts.
    series
        Trades by contract id.
    """

    def __init__(self, listed: Iterable[Listed], series: dict[str, Series]) -> None:
        self._listed = {one.id: one for one in listed}
        self._series = series

    def by_hand(self, contract_id: str, ts: int, price: int, size: int) -> None:
        """Add a trade that is not on the tape."""
        self._series.setdefault(contract_id, Series()).by_hand(ts, price, size)

    def answer(self, request: wire.RetrieveBars, now: int) -> wire.BarsAnswer:
        """History/retrieveBars."""
        code = self._refusal(request, now)
        if code:
            return wire.BarsAnswer(success=False, error_code=code)
        series = self._series.get(request.contract_id)
        bars: list[wire.Bar] = []
        if series is not None:
            listed = self._listed[request.contract_id]
            rows = _newest(series, request, now).select("ts", "o", "h", "l", "c", "v")
            prices = {ticks: listed.price(ticks) for ticks in _prices(rows)}
            bars = [_bar(prices, *row) for row in rows.iter_rows()]
        return wire.BarsAnswer(success=True, error_code=0, bars=bars)

    def _refusal(self, request: wire.RetrieveBars, now: int) -> int:
        if by_id(self._listed, request.contract_id, now) is None:
            return _NOT_FOUND
        if request.unit not in (*_CLOCK, *_CALENDAR, BarUnit.TICK):
            return _BAD_UNIT
        if not 0 < request.unit_number <= _MOST_UNITS:
            return _BAD_NUMBER
        return 0 if 0 < request.limit <= wire.MAX_BARS else _BAD_LIMIT

    def day(self, contract_id: str, now: int) -> tuple[tuple[int, ...], int | None] | None:
        """Open, high, low, last, volume of the trading day so far, and the last price before it."""
        series = self._series.get(contract_id)
        if series is None:
            return None
        opened = _began(now)
        rows = series.rows(opened, now + 1, fine=True)
        if not len(rows):
            return None
        before = series.rows(opened - 7 * DAY, opened, fine=False)["c"]
        so_far = _merged(rows, pl.lit(0)).select("o", "h", "l", "c", "v").row(0)
        return so_far, int(before[-1]) if len(before) else None


def _newest(series: Series, request: wire.RetrieveBars, now: int) -> pl.DataFrame:
    """The newest bars of the window, newest first."""
    start, end = wire.to_ns(request.start_time), wire.to_ns(request.end_time)
    end = min(end, now + 1)
    if request.unit is BarUnit.TICK:
        frame = _tick_bars(series, request, start, end)
    elif request.unit in _CALENDAR:
        frame = _calendar_bars(series, request, start, end, now)
    else:
        frame = _clock_bars(series, request, start, end, now)
    return frame.tail(request.limit).reverse()


def _clock_bars(
    series: Series, request: wire.RetrieveBars, start: int, end: int, now: int
) -> pl.DataFrame:
    """Bars of seconds, minutes or hours; ever further back until there are enough."""
    length = _CLOCK[request.unit] * request.unit_number
    first, last = -(-max(start, series.since) // length), -(-end // length)
    if not request.include_partial_bar:
        last = min(last, now // length)
    reach = request.limit
    while True:
        low = max(first, last - reach)
        rows = _rows(series, low * length, last * length, now, fine=length % MINUTE != 0)
        frame = _merged(rows, pl.col("ts") // length)
        if low <= first or len(frame) >= request.limit:
            return frame.with_columns(ts=pl.col("ts") // length * length)
        reach *= 4


def _calendar_bars(
    series: Series, request: wire.RetrieveBars, start: int, end: int, now: int
) -> pl.DataFrame:
    """Bars of days, weeks or months of the trading calendar."""
    margin = 32 * request.unit_number * DAY  # the bar that is open at the start began before it
    rows = _rows(series, start - margin, now + 1, now, fine=False)
    number = request.unit_number
    frame = _merged(rows, _numbered(_days(rows["ts"]), request.unit) // number, name="key")
    current = _numbered(_days([now]), request.unit)[0] // number
    if not request.include_partial_bar:
        frame = frame.filter(pl.col("key") < current)
    frame = frame.with_columns(ts=_opening(_first_day(frame["key"] * number, request.unit)))
    return frame.filter((pl.col("ts") >= start) & (pl.col("ts") < end))


def _tick_bars(series: Series, request: wire.RetrieveBars, start: int, end: int) -> pl.DataFrame:
    """Bars of so many trades, counted from the opening of each trading day."""
    number, frames, count = request.unit_number, [], 0
    high, first = end, max(start, series.first)
    while high > first and count <= request.limit:
        low = _began(high - 1)
        rows = series.rows(low, high, fine=True).with_row_index("n")
        bars = _merged(rows, pl.col("n") // number, name="key")
        if not request.include_partial_bar and high == end and len(rows) % number:
            bars = bars.head(-1)
        bars = bars.filter(pl.col("ts") >= first)
        frames.insert(0, bars)
        count += len(bars)
        high = low
    return pl.concat(frames) if frames else _EMPTY


def _rows(series: Series, start: int, end: int, now: int, *, fine: bool) -> pl.DataFrame:
    """Rows up to now; of minutes that are over as minutes, unless `fine`."""
    end = min(end, now + 1)
    if fine:
        return series.rows(start, end, fine=True)
    over = min(end, now // MINUTE * MINUTE)
    parts = [series.rows(start, over, fine=False), series.rows(max(start, over), end, fine=True)]
    return pl.concat(parts)


# ---------------------------------------------------------------- frames
def _ticks_of(tape: Tape, k: int) -> pl.DataFrame:
    own = tape.k == k
    trades = own & (tape.kind == TRADE)
    if trades.any():
        return _of_trades(tape.ts[trades], tape.a[trades], tape.b[trades])
    bids = own & (tape.kind == QUOTE) & (np.abs(tape.a.astype(np.int64)) < _NO_SIDE)
    return _of_trades(tape.ts[bids], tape.a[bids], np.zeros(int(bids.sum()), np.int64))


def _of_trades(ts: np.ndarray, price: np.ndarray, size: np.ndarray) -> pl.DataFrame:
    columns = (ts, ts, price, price, price, price, size)
    return pl.DataFrame(dict(zip(_COLUMNS, columns, strict=True))).cast(pl.Int64)


def _between(frame: pl.DataFrame, start: int, end: int, shift: int) -> pl.DataFrame:
    """Rows with start <= ts < end once they are shifted."""
    low, high = np.searchsorted(frame["ts"].to_numpy(), [start - shift, end - shift])
    part = frame.slice(int(low), max(int(high - low), 0))
    return part.with_columns(pl.col("ts", "end") + shift)


def _merged(frame: pl.DataFrame, key: pl.Expr | pl.Series, name: str = "") -> pl.DataFrame:
    """One row for all rows of a key, in order; with the key where it has a name."""
    made = frame.with_columns(key.alias("key")).group_by("key", maintain_order=True).agg(
        pl.col("ts").first(), pl.col("end").max(), pl.col("o").first(), pl.col("h").max(),
        pl.col("l").min(), pl.col("c").sort_by("end", maintain_order=True).last(),
        pl.col("v").sum(),
    )  # fmt: skip
    return made if name else made.drop("key")


def _prices(bars: pl.DataFrame) -> list[int]:
    """Every price that is in bars, once: there are far fewer than bars."""
    return pl.concat([bars[name] for name in ("o", "h", "l", "c")]).unique().to_list()


def _bar(prices: dict[int, Decimal], ts: int, o: int, h: int, low: int, c: int, v: int) -> wire.Bar:
    return wire.Bar(t=wire.to_iso(ts, 0), o=prices[o], h=prices[h], l=prices[low], c=prices[c], v=v)


# ---------------------------------------------------------------- trading days
def _days(ts: Iterable[int]) -> pl.Series:
    """Trading day of instants."""
    column = pl.Series("ts", ts, dtype=pl.Int64).cast(pl.Datetime("ns", "UTC"))
    return pl.select(session_date(pl.lit(column))).to_series()


def _began(ts: int) -> int:
    """When the trading day of an instant began; that of a Monday has the weekend before it too."""
    days = _days([ts])
    return int(_opening(days - timedelta(days=2 if days[0].weekday() == 0 else 0))[0])


def _opening(days: pl.Series) -> pl.Series:
    """When trading days open: 17:00 Chicago the day before, ns UTC."""
    local = pl.select(
        (pl.lit(days).cast(pl.Datetime("ns")) - pl.duration(hours=7)).dt.replace_time_zone(CHICAGO)
    ).to_series()
    return local.dt.convert_time_zone("UTC").cast(pl.Datetime("ns", "UTC")).to_physical()


def _numbered(days: pl.Series, unit: BarUnit) -> pl.Series:
    """Running number of the day, week (from Monday) or month of a date."""
    if unit is BarUnit.MONTH:
        return days.dt.year().cast(pl.Int64) * 12 + days.dt.month().cast(pl.Int64) - 1
    number = days.cast(pl.Int32).cast(pl.Int64)  # days since Thursday, 1 January 1970
    return (number + 3) // 7 if unit is BarUnit.WEEK else number


def _first_day(numbers: pl.Series, unit: BarUnit) -> pl.Series:
    """First date of what `_numbered` counts."""
    if unit is BarUnit.MONTH:
        made = pl.date(pl.lit(numbers // 12), pl.lit(numbers % 12 + 1), 1)
        return pl.select(made).to_series()
    days = numbers * 7 - 3 if unit is BarUnit.WEEK else numbers
    return days.cast(pl.Int32).cast(pl.Date)

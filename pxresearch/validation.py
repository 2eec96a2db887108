"""What an import found: the checks on market data and the report that tells of them.

Units: times are int64 ns UTC, prices inside are int32 ticks, prices in the report are floats.

I/O: none
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime

import numpy as np
import polars as pl

from pxresearch.errors import AmbiguousInput, DataError, OffGridPrice
from pxresearch.instruments import Contract, Instrument

KINDS = ("quotes", "trades", "bars")
CHICAGO = "America/Chicago"
_TS = pl.Datetime("ns", "UTC")
SCHEMAS: dict[str, dict[str, pl.DataType]] = {
    "trades": {
        "ts": _TS, "ts_event": pl.Int64(), "seq": pl.Int64(), "px": pl.Int32(),
        "size": pl.Int32(), "side": pl.Int8(), "flags": pl.UInt16(),
    },
    "quotes": {
        "ts": _TS, "ts_event": pl.Int64(), "seq": pl.Int64(), "bid_px": pl.Int32(),
        "bid_sz": pl.Int32(), "ask_px": pl.Int32(), "ask_sz": pl.Int32(), "flags": pl.UInt16(),
    },
    "bars": {
        "ts_open": _TS, "ts_close": _TS, "o": pl.Int32(), "h": pl.Int32(), "l": pl.Int32(),
        "c": pl.Int32(), "volume": pl.Int64(), "n_trades": pl.Int32(), "flags": pl.UInt16(),
    },
}  # fmt: skip
PRICES = {"trades": ("px",), "quotes": ("bid_px", "ask_px"), "bars": ("o", "h", "l", "c")}

ZERO_SIZE, AUCTION, SNAPSHOT, IMPLIED, BAD_CLOCK, OUTSIDE, SOURCE = 1, 2, 4, 8, 16, 32, 64
"""Bits of the column `flags`."""

GAP_NS = 300_000_000_000  # a silence longer than this inside a session is listed
_GRID = 1e-6  # of a tick: float64 noise
_GRID32 = 0.02  # of a tick: float32 noise, as in Sierra Chart files


def time_column(kind: str) -> str:
    """Name of the column by which rows of this kind are ordered."""
    return "ts_open" if kind == "bars" else "ts"


def utc(ns: int) -> str:
    """Text of a time, for messages."""
    whole, part = divmod(int(ns), 10**9)
    text = datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f"{text}.{part:09d}".rstrip("0").rstrip(".") + " UTC"


def session_date(ts: pl.Expr) -> pl.Expr:
    """Trading session of a time: Chicago date of ts + 7 h, weekends moved on to Monday."""
    day = (ts + pl.duration(hours=7)).dt.convert_time_zone(CHICAGO).dt.date()
    weekday = day.dt.weekday()  # Monday 1 to Sunday 7
    ahead = pl.when(weekday > 5).then(8 - weekday).otherwise(0)
    return (day + pl.duration(days=ahead)).alias("session")


def to_ticks(prices: pl.Series, product: Instrument, tick: float | None = None) -> pl.Series:
    """Int32 ticks of a column of prices; nulls stay null and nothing is rounded.

    Parameters
    ----------
    prices
        Float64 or Float32 prices, Int64 prices in units of 1e-9, or Int32 ticks (returned as is).
    product
        Whose tick size holds.
    tick
        A coarser grid that the prices must keep as well, as a price.

    Raises
    ------
    OffGridPrice
        With the number of prices off the grid and the first of them.
    DataError
        A price is not a number, or does not fit 32 bits of ticks.
    """
    if prices.dtype == pl.Int32:
        return prices
    if prices.dtype == pl.Int64:
        scaled = prices.to_frame("x").select(pl.col("x") * product.tick_den)["x"]
        unit = product.tick_num * 10**9
        near, off = scaled // unit, (scaled % unit) != 0
        shown = prices / 1e9
    else:
        shown = prices.cast(pl.Float64)
        _finite(shown)
        exact = shown * product.tick_den / product.tick_num
        near = exact.round()
        off = (exact - near).abs() > (_GRID32 if prices.dtype == pl.Float32 else _GRID)
    if tick is not None:
        step = product.to_ticks(tick)
        off = off | ((near.cast(pl.Int64) % step) != 0)
    if off.any():
        _refuse_off_grid(shown, off, product, tick)
    try:
        return near.cast(pl.Int32).alias(prices.name)
    except pl.exceptions.InvalidOperationError:
        raise DataError(
            f"{product.root}: {prices.name} reaches {shown.max()}, too far off for a price; is it "
            "scaled? Divide it, or name the right column"
        ) from None


def _finite(prices: pl.Series) -> None:
    bad = ~prices.is_finite().fill_null(value=True)
    if bad.any():
        row = bad.arg_true()[0]
        raise DataError(
            f"{prices.name}: row {row} (counted from 0) is {prices[row]}, not a price "
            f"({bad.sum()} such rows); write an empty field for an empty side, or drop the rows"
        )


def _refuse_off_grid(
    prices: pl.Series, off: pl.Series, product: Instrument, tick: float | None
) -> None:
    rows = off.arg_true()[:3].to_list()
    examples = ", ".join(f"{prices[r]} (row {r})" for r in rows)
    raise OffGridPrice(
        f"{int(off.sum() or 0):,} of {len(prices):,} values of {prices.name} are not whole ticks "
        f"of {tick or product.tick_size} ({product.root}); the first: {examples}. Adjusted or "
        "scaled prices, or another product? Import unadjusted prices of one contract; prices are "
        "never rounded"
    )


def backward(ts: np.ndarray) -> np.ndarray:
    """Rows whose time lies before that of the row above, as indices."""
    return np.flatnonzero(ts[1:] < ts[:-1]) + 1


def refuse_backward(ts: np.ndarray, what: str) -> None:
    """Raise DataError when the clock runs backward somewhere in `ts` (ns)."""
    rows = backward(ts)
    if not len(rows):
        return
    row = int(rows[0])
    worst = int((np.maximum.accumulate(ts) - ts).max())
    raise DataError(
        f"{what}: the clock runs backward at {len(rows):,} rows, first at row {row} (counted from "
        f"0): {utc(ts[row])} after {utc(ts[row - 1])}; the worst row is {worst / 1e6:g} ms late. "
        "Rows are not re-ordered silently: repair the file, or allow a bounded re-sort with "
        f"--resort-ms {int(np.ceil(worst / 1e6))} (resort_ms=...)"
    )


@dataclass(frozen=True)
class Gap:
    """A silence inside a session."""

    from_ns: int
    to_ns: int

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return (self.to_ns - self.from_ns) / 1e9


@dataclass(frozen=True)
class Series:
    """What one contract and kind looks like; counts are rows, prices are floats."""

    contract: str
    kind: str
    spec: str | None
    rows: int
    first_ns: int
    last_ns: int
    price_low: float | None
    price_high: float | None
    volume: int | None
    ties: int
    backward: int
    zero_sizes: int
    crossed: int
    locked: int
    one_sided: int
    outside: int
    snapshot: int
    largest_gap_s: float
    gaps: tuple[Gap, ...]
    sessions: tuple[date, ...]

    @classmethod
    def of(cls, contract: Contract, kind: str, frame: pl.DataFrame, spec: str | None) -> Series:
        """Measure a canonical frame, sorted by time."""
        ts = frame[time_column(kind)].to_physical().to_numpy()
        diffs = np.diff(ts)
        days = frame.select(session_date(pl.col(time_column(kind))))["session"]
        gaps = _gaps(ts, days)
        quiet = GAP_NS if kind != "bars" else max(GAP_NS, 2 * _length(frame))
        low, high = _range(frame, kind, contract.instrument)
        flags = frame["flags"].to_numpy()
        book = _book_counts(frame) if kind == "quotes" else (0, 0, 0)
        volume = {"trades": "size", "bars": "volume"}.get(kind)
        return cls(
            contract=contract.code, kind=kind, spec=spec, rows=len(frame), first_ns=int(ts[0]),
            last_ns=int(ts[-1]), price_low=low, price_high=high,
            volume=int(frame[volume].cast(pl.Int64).sum()) if volume else None,
            ties=int((diffs == 0).sum()), backward=int((diffs < 0).sum()),
            zero_sizes=int((flags & ZERO_SIZE > 0).sum()), crossed=book[0], locked=book[1],
            one_sided=book[2], outside=int((flags & OUTSIDE > 0).sum()),
            snapshot=int((flags & SNAPSHOT > 0).sum()),
            largest_gap_s=max((g.seconds for g in gaps), default=0.0),
            gaps=tuple(g for g in gaps if g.to_ns - g.from_ns > quiet)[:20],
            sessions=tuple(days.unique(maintain_order=True).to_list()),
        )  # fmt: skip

    def __str__(self) -> str:
        name = f"{self.contract} {self.kind}{' ' + self.spec if self.spec else ''}"
        span = f"{utc(self.first_ns)} .. {utc(self.last_ns)}"
        prices = "no prices" if self.price_low is None else f"{self.price_low}..{self.price_high}"
        volume = "" if self.volume is None else f", {self.volume:,} lots"
        oddities = [
            f"{count:,} {text}"
            for count, text in (
                (self.ties, "at the time of the row before"),
                (self.backward, "backward in time"),
                (self.zero_sizes, "of size zero"),
                (self.crossed, "crossed"),
                (self.locked, "locked"),
                (self.one_sided, "with an empty side"),
                (self.outside, "outside the session"),
                (self.snapshot, "of a snapshot"),
                (len(self.gaps), "long silences"),
            )
            if count
        ]
        noted = f"\n    {', '.join(oddities)}" if oddities else ""
        days = f"{len(self.sessions)} session{'' if len(self.sessions) == 1 else 's'}"
        return (
            f"  {name}: {self.rows:,} rows, {span}, {prices}{volume}, {days}, "
            f"largest gap {self.largest_gap_s:g} s{noted}"
        )


def _length(bars: pl.DataFrame) -> int:
    first = bars.select(pl.col("ts_close") - pl.col("ts_open")).to_series()
    return int(first.to_physical()[0])


def _gaps(ts: np.ndarray, days: pl.Series) -> list[Gap]:
    """Longest silences between rows of the same session, longest first."""
    diffs = np.diff(ts)
    same = (days[1:] == days[:-1]).to_numpy() if len(ts) > 1 else np.zeros(0, bool)
    inside = np.where(same, diffs, 0)
    rows = np.flatnonzero(inside > GAP_NS)
    if not len(rows) and len(inside):
        rows = np.array([int(inside.argmax())])
    rows = rows[np.argsort(-inside[rows], kind="stable")]
    return [Gap(int(ts[r]), int(ts[r + 1])) for r in rows]


def _range(
    frame: pl.DataFrame, kind: str, product: Instrument
) -> tuple[float | None, float | None]:
    columns = {"trades": ("px", "px"), "quotes": ("bid_px", "ask_px"), "bars": ("l", "h")}[kind]
    low, high = frame[columns[0]].min(), frame[columns[1]].max()
    return (
        None if low is None else product.to_price(int(low)),  # type: ignore[arg-type]
        None if high is None else product.to_price(int(high)),  # type: ignore[arg-type]
    )


def _book_counts(frame: pl.DataFrame) -> tuple[int, int, int]:
    spread = pl.col("ask_px") - pl.col("bid_px")
    return frame.select(
        (spread < 0).sum().alias("crossed"),
        (spread == 0).sum().alias("locked"),
        spread.is_null().sum().alias("one_sided"),
    ).row(0)


@dataclass(frozen=True)
class Report:
    """What an import read, kept, left out and assumed.

    Attributes
    ----------
    rows_read, rows_kept
        Rows of the file, and rows stored (one row may give a quote and a trade).
    quarantined
        Rows left out, by reason.
    skipped
        Parts of the file left out (an expiry, a spread), with the reason.
    tz, stamp
        Zone of the source's clock; what a bar's stamp marks (start, end, or none for ticks).
    evidence
        Where the daily break fell: what speaks for the zone and the stamp.
    warnings
        What a careful reader should look at.
    resorted
        Rows that a bounded re-sort moved.
    """

    source: str
    source_format: str
    rows_read: int
    rows_kept: int
    tz: str
    stamp: str
    series: tuple[Series, ...]
    quarantined: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    evidence: str = ""
    warnings: tuple[str, ...] = ()
    resorted: int = 0

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON; dates as ISO text, times as ns."""
        plain = asdict(self)
        for series in plain["series"]:
            series["sessions"] = [day.isoformat() for day in series["sessions"]]
        return plain

    def __str__(self) -> str:
        lines = [
            f"{self.source} ({self.source_format}): {self.rows_read:,} rows read, "
            f"{self.rows_kept:,} kept; clock {self.tz}, stamps: {self.stamp}"
        ]
        lines += [str(series) for series in self.series]
        lines += [f"  left out: {n:,} rows, {why}" for why, n in self.quarantined.items()]
        lines += [f"  skipped {what}: {why}" for what, why in self.skipped.items()]
        if self.resorted:
            lines.append(f"  re-sorted: {self.resorted:,} rows moved")
        if self.evidence:
            lines.append(f"  evidence: {self.evidence}")
        lines += [f"  warning: {text}" for text in self.warnings]
        return "\n".join(lines)


def daily_break(ts: Sequence[int] | np.ndarray) -> str:
    """Where the longest regular silences fall, as Chicago wall-clock text; empty when none.

    Examples
    --------
    >>> daily_break([0, 1])
    ''
    """
    stamps = np.asarray(ts, dtype=np.int64)
    rows = np.flatnonzero(np.diff(stamps) > 30 * 60 * 10**9)
    if not len(rows):
        return ""
    frame = pl.DataFrame({"a": stamps[rows], "b": stamps[rows + 1]}).with_columns(
        pl.col("a", "b").cast(_TS).dt.convert_time_zone(CHICAGO).dt.strftime("%H:%M")
    )
    top = frame.group_by("a", "b").len().sort("len", "a", descending=[True, False]).row(0)
    return (
        f"silent from {top[0]} to {top[1]} Chicago ({top[2]} of {len(rows)} breaks over 30 minutes)"
    )


def first_in_session(ts: np.ndarray) -> np.ndarray:
    """Chicago seconds of day of the first row after each silence of over 30 minutes."""
    rows = np.concatenate(([0], np.flatnonzero(np.diff(ts) > 30 * 60 * 10**9) + 1))
    local = pl.Series(ts[rows]).cast(_TS).dt.convert_time_zone(CHICAGO)
    return (local.dt.hour().cast(pl.Int64) * 3600 + local.dt.minute().cast(pl.Int64) * 60
            + local.dt.second().cast(pl.Int64)).to_numpy()  # fmt: skip


def require_zone(tz: str | None, example: str) -> str:
    """Return `tz` when it names a zone; say what to give when it does not or is missing."""
    if tz is None:
        raise AmbiguousInput(
            f"the times carry no zone (the first is {example!r}); say which clock wrote them with "
            "--tz, for example --tz UTC, --tz America/Chicago or --tz America/New_York"
        )
    return tz

"""What an import found: the checks on market data and the report that tells of them.

Units: times are int64 ns UTC, prices inside are int32 ticks, prices in the report are floats.

I/O: none
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import date

import numpy as np
import polars as pl

from pxresearch.instruments import Contract, Instrument
from pxresearch.validation.schema import (
    CHICAGO,
    OUTSIDE,
    SNAPSHOT,
    TS,
    ZERO_SIZE,
    session_date,
    time_column,
    utc,
)

GAP_NS = 300_000_000_000  # a silence longer than this inside a session is listed


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
    columns = {"quotes": ("bid_px", "ask_px"), "bars": ("l", "h")}.get(kind, ("px", "px"))
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
        pl.col("a", "b").cast(TS).dt.convert_time_zone(CHICAGO).dt.strftime("%H:%M")
    )
    top = frame.group_by("a", "b").len().sort("len", "a", descending=[True, False]).row(0)
    return (
        f"silent from {top[0]} to {top[1]} Chicago ({top[2]} of {len(rows)} breaks over 30 minutes)"
    )

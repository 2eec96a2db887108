"""What every importer is given and gives back.

An importer turns the bytes of a file into `Piece`s: plain frames with source prices. Everything
that all formats share (ticks, order, flags, sessions, storage) happens afterwards, in one place.

I/O: `Source.read` reads the file.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pyarrow as pa

from pxresearch.errors import AmbiguousInput, DataError, UnknownName, UsageError
from pxresearch.instruments import Contract
from pxresearch.instruments import contract as read_code
from pxresearch.validation.schema import KINDS, SCHEMAS

DAY_NS = 86_400 * 10**9
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True)
class Options:
    """What the caller said about the file; see :func:`pxresearch.importers.import_file`."""

    contract: str | None = None
    tz: str | None = None
    stamp: str | None = None
    columns: Mapping[str, str] | None = None
    kind: str | None = None
    tick: float | None = None
    resort_ms: float | None = None

    def __post_init__(self) -> None:
        if self.stamp not in (None, "start", "end"):
            raise UsageError(f"stamp={self.stamp!r}: bars are stamped at their 'start' or 'end'")
        if self.kind not in (None, *KINDS):
            raise UsageError(f"kind={self.kind!r}: allowed are {', '.join(KINDS)}")
        if self.resort_ms is not None and not self.resort_ms >= 0:
            raise UsageError(f"resort_ms={self.resort_ms!r}: give milliseconds, 0 or more")
        if self.tz is not None:
            check_zone(self.tz)


def check_zone(tz: str) -> str:
    """Return `tz` if the zone database knows it."""
    try:
        pl.Series([0], dtype=pl.Datetime("ns", "UTC")).dt.convert_time_zone(tz)
    except pl.exceptions.PolarsError:
        raise UsageError(
            f"unknown time zone {tz!r}; use an IANA name such as UTC, America/Chicago, "
            "America/New_York or Europe/Berlin"
        ) from None
    return tz


@dataclass(frozen=True)
class Source:
    """A file with its bytes, unpacked from gzip or Zstandard."""

    path: Path
    data: bytes
    sha256: str

    @property
    def name(self) -> str:
        """File name without folders."""
        return self.path.name

    @classmethod
    def read(cls, path: Path) -> Source:
        """Read and unpack a file.

        Raises
        ------
        DataError
            No such file, an empty one, or a damaged compression.
        """
        if not path.is_file():
            raise DataError(f"no such file: {path}")
        raw = path.read_bytes()
        if not raw:
            raise DataError(f"{path.name} is empty (0 bytes); fetch it again")
        digest = hashlib.sha256(raw).hexdigest()
        try:
            if raw.startswith(_GZIP):
                raw = gzip.decompress(raw)
            elif raw.startswith(_ZSTD):
                raw = pa.CompressedInputStream(io.BytesIO(raw), "zstd").read()
        except (OSError, EOFError, zlib.error, pa.ArrowException) as error:
            raise DataError(
                f"{path.name} is cut short or damaged ({error}); fetch it again"
            ) from error
        if not raw:
            raise DataError(f"{path.name} holds nothing once unpacked; fetch it again")
        return cls(path, raw, digest)


@dataclass(frozen=True)
class Piece:
    """Rows of one contract and kind as the source has them.

    Attributes
    ----------
    frame
        Canonical column names. `ts` (bars: `ts_open` and `ts_close`) is int64 ns UTC; prices are
        Float64, Float32, Int64 units of 1e-9, or Int32 ticks. Columns left out get their default.
    """

    contract: Contract
    kind: str
    frame: pl.DataFrame
    spec: str | None = None


@dataclass(frozen=True)
class Parsed:
    """What an importer found in a file."""

    source_format: str
    pieces: list[Piece]
    rows_read: int
    tz: str
    stamp: str = "none"
    clock: str = "event"
    quarantined: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def need_contract(options: Options, name: str, hint: str | None = None) -> Contract:
    """Return the contract that the caller, or else the file's own name, states.

    Raises
    ------
    AmbiguousInput
        Neither says it.
    """
    if options.contract is not None:
        return read_code(options.contract)
    if hint is not None:
        return read_code(hint)
    raise AmbiguousInput(
        f"{name} does not say which contract it holds; name it with --contract, for example "
        "--contract ESU13"
    )


def wanted(code: str, options: Options, on: object = None) -> Contract | str:
    """Return the contract of a code in a file of several, or the reason why it is left out."""
    try:
        found = read_code(code, on=on)  # type: ignore[arg-type]
    except (UsageError, UnknownName, AmbiguousInput) as error:
        return str(error).split(";")[0].split(". ")[0]
    if options.contract is not None and found.code != read_code(options.contract).code:
        return f"not the contract asked for ({options.contract})"
    return found


def bar_length(stamps: pl.Series, name: str) -> int:
    """Length of bars in ns, from the smallest step between stamps (ns, ascending).

    Raises
    ------
    AmbiguousInput
        Fewer than two different stamps.
    DataError
        The smallest step is no usual length, or stamps do not lie on its grid.
    """
    steps = stamps.diff().drop_nulls()
    steps = steps.filter(steps > 0)
    if steps.is_empty():
        raise AmbiguousInput(
            f"{name}: the length of its bars cannot be told from {len(stamps)} bar; give a file "
            "with two bars or more"
        )
    length = int(steps.min())  # type: ignore[arg-type]
    usual = (1, 2, 3, 5, 10, 15, 20, 30, 60, 120, 180, 300, 600, 900, 1200, 1800, 3600, 7200,
             10800, 14400, 86400)  # fmt: skip
    if length not in {s * 10**9 for s in usual}:
        raise DataError(
            f"{name}: the smallest step between bars is {length / 1e9:g} s, no length of a time "
            "bar; tick, volume and range bars cannot be stored: import the ticks"
        )
    return length


def bar_times(stamps: pl.Series, length: int, stamp: str) -> tuple[pl.Series, pl.Series]:
    """Opening and closing times of bars stamped at their start or end.

    A daily bar's date is the name of its day under either habit; it is known when that day ends.
    """
    opens = stamps if stamp == "start" or length == DAY_NS else stamps - length
    return opens.alias("ts_open"), (opens + length).alias("ts_close")


def defaults(kind: str) -> dict[str, int | None]:
    """Value of each column that an importer may leave out."""
    empty: dict[str, int | None] = {n: None for n in SCHEMAS[kind] if n in ("ts_event", "n_trades")}
    zero = [n for n in ("side", "flags", "volume") if n in SCHEMAS[kind]]
    sizes = [n for n in ("bid_sz", "ask_sz") if n in SCHEMAS[kind]]
    return {**empty, **dict.fromkeys(zero, 0), **dict.fromkeys(sizes, None)}

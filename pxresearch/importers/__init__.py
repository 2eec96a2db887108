"""Import market data files into the catalogue: one small module per format.

The format is told by the content, not by the name. What a file does not say (a zone, a contract,
whether bars are stamped at start or end) is asked for, never guessed. Either the whole file is
stored or the catalogue stays as it was.

I/O: reads the file, writes the catalogue.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pxresearch.catalog import Batch, Catalog
from pxresearch.errors import DataError
from pxresearch.importers import dbn, jbooktrader, lean, ninjatrader, projectx, sierra, table
from pxresearch.importers.base import Options, Parsed, Source
from pxresearch.importers.normal import doubts, evidence, normal
from pxresearch.validation import Report, Series
from pxresearch.validation.schema import time_column

VERSION = "1"
"""Version of the importers, kept in every file they write."""

Progress = Callable[[str, int, int], None]
"""Called with a stage, steps done and steps in all."""


@dataclass(frozen=True)
class Format:
    """A format: its name, how its content is known, and its importer."""

    name: str
    known: Callable[[Source], bool]
    parse: Callable[[Source, Options], Parsed]


FORMATS = (
    Format("databento", dbn.known, dbn.parse),
    Format("lean", lean.known, lean.parse),
    Format("jbooktrader", jbooktrader.known, jbooktrader.parse),
    Format("sierra", sierra.known, sierra.parse),
    Format("projectx", projectx.known, projectx.parse),
    Format("ninjatrader", ninjatrader.known, ninjatrader.parse),
    Format("table", table.known, table.parse),
)
"""In the order in which content is tried; ``table`` is CSV and Parquet."""


def detect(path: str | os.PathLike[str]) -> str:
    """Name of the format of a file, by its content.

    Raises
    ------
    DataError
        No such file, an empty one, or no known format.
    """
    return _format(Source.read(Path(path))).name


def _format(source: Source) -> Format:
    for candidate in FORMATS:
        if candidate.known(source):
            return candidate
    raise DataError(
        f"{source.name} is of no known format (it begins with {source.data[:12]!r}). Known: "
        "Databento DBN, Lean zip, JBookTrader zip, Sierra Chart .scid, ProjectX bars JSON, "
        "NinjaTrader text, CSV, Parquet"
    )


def import_file(
    path: str | os.PathLike[str],
    catalog: str | os.PathLike[str] | Catalog,
    *,
    contract: str | None = None,
    tz: str | None = None,
    stamp: str | None = None,
    columns: Mapping[str, str] | None = None,
    kind: str | None = None,
    tick: float | None = None,
    replace: bool = False,
    resort_ms: float | None = None,
    progress: Progress | None = None,
) -> Report:
    """Store a file of market data, whole or not at all.

    Parameters
    ----------
    path
        The file; gzip and Zstandard are unpacked.
    catalog
        Folder of the catalogue; made if it does not exist.
    contract
        Code such as ``"ESU13"``; needed where the file does not say it, and picks one contract of
        several.
    tz
        IANA name of the zone of the file's clock, where the file does not say it.
    stamp
        ``"start"`` or ``"end"``: what the stamp of a bar marks.
    columns
        Names of the file's columns by ours, for example ``{"price": "Last"}``. Ours are ts, date,
        time, price, size, side, bid, ask, bid_size, ask_size, open, high, low, close, volume.
    kind
        trades, quotes or bars; picks one kind of several.
    tick
        A coarser tick size that held when the file was recorded, as a price.
    replace
        Remove what another source stored for the same sessions and times.
    resort_ms
        Sort rows that are at most this late, in milliseconds. Left out, a late row is an error.
    progress
        Called with a stage, the steps done and the steps in all.

    Returns
    -------
    Report
        Counts, ranges, gaps, and the zone and stamp assumed with the evidence for them.

    Raises
    ------
    AmbiguousInput
        Something that the file does not say; the text names the option.
    OffGridPrice
        Prices that are not whole ticks.
    DataError
        The file cannot be used. The catalogue is as it was before.

    Examples
    --------
    >>> import_file("es.csv.gz", "data", contract="ESU13", tz="UTC")  # doctest: +SKIP
    """
    options = Options(contract, tz, stamp, columns, kind, tick, resort_ms)
    told = progress or (lambda stage, done, total: None)
    told("read", 0, 3)
    source = Source.read(Path(path))
    parsed = _format(source).parse(source, options)
    told("check", 1, 3)
    batches, moved = _batches(parsed, options, source.name)
    told("write", 2, 3)
    store = catalog if isinstance(catalog, Catalog) else Catalog(catalog)
    done = store.write(batches, _facts(source, parsed, batches), replace=replace)
    parsed.warnings.extend(f"replaced {text}" for text in done.replaced)
    told("write", 3, 3)
    return _report(source, parsed, batches, moved)


def _batches(parsed: Parsed, options: Options, name: str) -> tuple[list[Batch], int]:
    pieces = [p for p in parsed.pieces if options.kind in (None, p.kind)]
    if not pieces:
        asked = " ".join(str(o) for o in (options.contract, options.kind) if o)
        text = f"{name} holds nothing to import{f' for {asked}' if asked else ''}"
        held = sorted({f"{p.contract.code} {p.kind}" for p in parsed.pieces})
        if held:
            text += f"; it holds {', '.join(held)}"
        if parsed.skipped:
            reasons = [f"{what}: {why}" for what, why in parsed.skipped.items()]
            text += f". Left out: {'; '.join(reasons[:5])}"
        raise DataError(text)
    done = [normal(piece, options) for piece in pieces]
    return [batch for batch, _ in done], sum(moved for _, moved in done)


def _facts(source: Source, parsed: Parsed, batches: list[Batch]) -> dict[str, str]:
    return {
        "source": source.name,
        "source_format": parsed.source_format,
        "source_sha256": source.sha256,
        "source_tz": parsed.tz,
        "stamp": parsed.stamp,
        "ts_resolution_ns": str(min(_resolution(batch) for batch in batches)),
        "clock": parsed.clock,
        "importer_version": VERSION,
    }


def _resolution(batch: Batch) -> int:
    """Coarsest decimal unit (ns) of which every stamp is a multiple."""
    ts = batch.frame[time_column(batch.kind)].to_physical()
    for unit in (10**9, 10**6, 10**3):
        if not (ts % unit != 0).any():
            return unit
    return 1


def _report(source: Source, parsed: Parsed, batches: list[Batch], moved: int) -> Report:
    largest = max(batches, key=lambda batch: len(batch.frame))
    notes = [*parsed.warnings, *(text for batch in batches for text in doubts(batch, parsed))]
    return Report(
        source=source.name,
        source_format=parsed.source_format,
        rows_read=parsed.rows_read,
        rows_kept=sum(len(batch.frame) for batch in batches),
        tz=parsed.tz,
        stamp=parsed.stamp,
        series=tuple(Series.of(b.contract, b.kind, b.frame, b.spec) for b in batches),
        quarantined=parsed.quarantined,
        skipped=parsed.skipped,
        evidence=evidence(largest),
        warnings=tuple(notes),
        resorted=moved,
    )


__all__ = ["FORMATS", "VERSION", "Format", "Progress", "detect", "import_file"]

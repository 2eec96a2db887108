"""The local store of market data: Parquet files by contract and trading session.

Layout, hive style, one file per source in a session::

    CATALOG/kind=trades/root=ES/contract=ESU13/session=2013-09-03/part-<sha12>.parquet
    CATALOG/kind=bars/root=ES/contract=ESU13/spec=1m/session=2013-09-03/part-<sha12>.parquet

Prices are int32 ticks, times are int64 ns UTC, and rows are sorted by (ts, seq). `session` is the
Chicago date of (ts + 7 h), weekends moved on to Monday. Two files of one session and kind come
from two sources and never overlap in time, so reading them in order of their first row is sorting.

I/O: reads and writes files below the catalogue's folder.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pxresearch.catalog.part import Batch, Part, part_at, stage
from pxresearch.errors import CatalogError
from pxresearch.instruments import contract
from pxresearch.validation import Report, Series
from pxresearch.validation.schema import utc

_HIDDEN = ".import-"


@dataclass(frozen=True)
class Written:
    """What a write did: the files it made, and what it removed for them, in words."""

    files: list[Path]
    replaced: list[str]


class Catalog:
    """A folder of market data.

    Parameters
    ----------
    root
        The folder; it need not exist before the first import.
    """

    def __init__(self, root: str | os.PathLike[str] = "data") -> None:
        self.root = Path(root)

    def __repr__(self) -> str:
        return f"Catalog({str(self.root)!r})"

    def parts(self, code: str | None = None, kind: str | None = None) -> list[Part]:
        """Return the files of one contract, or of all, ordered by contract, kind and session."""
        wanted = f"contract={code}" if code else "contract=*"
        found = self.root.glob(f"kind={kind or '*'}/root=*/{wanted}/**/part-*.parquet")
        parts = [part_at(path, self.root) for path in found]
        return sorted(parts, key=lambda p: (p.contract, p.kind, p.spec or "", p.session, p.path))

    def coverage(self) -> pl.DataFrame:
        """Return what is held, one row per file; only file footers are read.

        Returns
        -------
        polars.DataFrame
            contract, kind, spec, session, rows, first and last (UTC), bytes, source.
        """
        rows = [
            (p.contract, p.kind, p.spec, p.session, p.rows, p.first, p.last,
             p.path.stat().st_size, p.source)
            for p in self.parts()
        ]  # fmt: skip
        when = pl.Datetime("ns", "UTC")
        schema = {
            "contract": pl.String, "kind": pl.String, "spec": pl.String, "session": pl.Date,
            "rows": pl.Int64, "first": pl.Int64, "last": pl.Int64, "bytes": pl.Int64,
            "source": pl.String,
        }  # fmt: skip
        frame = pl.DataFrame(rows, schema=schema, orient="row")
        return frame.with_columns(pl.col("first", "last").cast(when))

    def list(self) -> list[dict[str, object]]:
        """Return one plain dictionary per contract and kind, ready for JSON."""
        held = self.coverage()
        totals = held.group_by("contract", "kind", "spec", maintain_order=True).agg(
            pl.col("session").n_unique().alias("sessions"),
            pl.col("session").min().cast(pl.String).alias("from"),
            pl.col("session").max().cast(pl.String).alias("to"),
            pl.col("rows").sum(),
            pl.col("first").min().dt.strftime("%Y-%m-%dT%H:%M:%S%.9fZ"),
            pl.col("last").max().dt.strftime("%Y-%m-%dT%H:%M:%S%.9fZ"),
            pl.col("bytes").sum(),
            pl.col("source").unique(maintain_order=True).alias("sources"),
        )
        return totals.to_dicts()

    def holds(self) -> str:
        """One sentence that tells what is held, for error messages."""
        lines = [
            f"{row['contract']} {row['kind']}{' ' + str(row['spec']) if row['spec'] else ''} "
            f"{row['from']}..{row['to']} ({row['sessions']} days)"
            for row in self.list()
        ]
        if not lines:
            return (
                f"The catalogue {self.root} is empty: import a file with 'pxresearch data import "
                "FILE', or make sample data with 'pxresearch data demo'."
            )
        more = f"; and {len(lines) - 30} more" if len(lines) > 30 else ""
        return f"The catalogue {self.root} holds: {'; '.join(lines[:30])}{more}."

    def check(self, code: str) -> Report:
        """Examine the stored rows of a contract anew.

        Raises
        ------
        CatalogError
            Nothing is held for the contract, or a file cannot be read.
        """
        code = contract(code).code
        parts = self.parts(code)
        if not parts:
            raise CatalogError(f"nothing is held for {code}. {self.holds()}")
        groups: dict[tuple[str, str | None], list[Part]] = {}
        for part in parts:
            groups.setdefault((part.kind, part.spec), []).append(part)
        series = []
        for (kind, spec), members in groups.items():
            members.sort(key=lambda p: p.first)
            frame = pl.concat([p.frame() for p in members])
            series.append(Series.of(contract(code), kind, frame, spec))
        rows = sum(s.rows for s in series)
        origin = ", ".join(sorted({p.source for p in parts}))
        meta = parts[0].meta
        return Report(
            source=origin, source_format="catalogue", rows_read=rows, rows_kept=rows,
            tz=meta["source_tz"], stamp=meta["stamp"], series=tuple(series),
        )  # fmt: skip

    def write(
        self, batches: Iterable[Batch], facts: Mapping[str, str], *, replace: bool = False
    ) -> Written:
        """Store all batches of one source, or nothing.

        Every file is first written to a hidden folder of the catalogue and then renamed; a failure
        at any moment puts back what was there. The same source again replaces its own files of the
        same contracts and kinds, also where a corrected zone moves rows to another session.

        Parameters
        ----------
        batches
            What the source holds, each contract and kind once.
        facts
            Metadata of the source; ``source_sha256`` names the files.
        replace
            Remove other sources' files of the same sessions where they overlap in time.

        Raises
        ------
        CatalogError
            Another source already covers part of the same time and `replace` is false.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=_HIDDEN, dir=self.root))
        try:
            moves = [m for batch in batches for m in stage(batch, facts, work)]
            others = self._overlapped(moves, work, replace=replace)
            said = [f"{p.rows:,} rows of {p.source}, session {p.session}" for p in others]
            doomed = [p.path for p in others] + self._stale(moves, work)
            return Written(_publish(moves, doomed, work, self.root), said)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _overlapped(self, moves: Sequence[Path], work: Path, *, replace: bool) -> list[Part]:
        """Files of other sources that share time with the new ones."""
        found: list[Part] = []
        for staged in moves:
            target = self.root / staged.relative_to(work)
            new = part_at(staged, work)
            for path in sorted(target.parent.glob("part-*.parquet")):
                old = part_at(path, self.root)
                if path == target or old.last < new.first or old.first > new.last:
                    continue
                if not replace:
                    raise CatalogError(_overlap(new, old))
                found.append(old)
        return found

    def _stale(self, moves: Sequence[Path], work: Path) -> list[Path]:
        """Files of an earlier import of this source in sessions that it no longer reaches."""
        targets = {self.root / staged.relative_to(work) for staged in moves}
        series = {target.parent.parent for target in targets}
        name = moves[0].name if moves else ""
        return sorted(p for s in series for p in s.glob(f"session=*/{name}") if p not in targets)


def _overlap(new: Part, old: Part) -> str:
    return (
        f"{new.contract} {new.kind} of session {new.session}: {new.source} covers "
        f"{utc(new.first)} to {utc(new.last)}, and {old.source}, already imported, covers "
        f"{utc(old.first)} to {utc(old.last)}; nothing was stored. To put the new file in the "
        "place of the old one use --replace (replace=True)."
    )


def _publish(moves: Sequence[Path], doomed: Sequence[Path], work: Path, root: Path) -> list[Path]:
    """Rename staged files into place; undo everything if one of the renames fails."""
    attic = work / "attic"
    attic.mkdir()
    saved: list[tuple[Path, Path]] = []
    placed: list[Path] = []
    try:
        for target in [*doomed, *(t for m in moves if (t := root / m.relative_to(work)).exists())]:
            if all(target != old for old, _ in saved):
                keep = attic / str(len(saved))
                os.replace(target, keep)
                saved.append((target, keep))
        for staged in moves:
            target = root / staged.relative_to(work)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(staged, target)
            placed.append(target)
    except BaseException:
        for target in placed:
            target.unlink(missing_ok=True)
        for target, keep in saved:
            os.replace(keep, target)
        _prune([m.relative_to(work) for m in moves], root)
        raise
    return placed


def _prune(relative: Iterable[Path], root: Path) -> None:
    """Remove the empty folders that an undone import left."""
    for path in relative:
        for folder in (root / path).parents:
            if folder == root:
                break
            with contextlib.suppress(OSError):
                folder.rmdir()


__all__ = ["Batch", "Catalog", "Part", "Written"]

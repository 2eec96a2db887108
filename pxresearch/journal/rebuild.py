"""A journal replayed through the core, to the state that the session had.

The engine is built from the header and told every input in order. Each snapshot on the way must be
equal to the state at that point, byte by byte: a difference is an error that names the row.

I/O: reads a journal; writes the strategy's source to a temporary folder.
"""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pxresearch.brokers.feeds import Feed
from pxresearch.brokers.session import EngineSession
from pxresearch.core import records as r
from pxresearch.core.jit import core_stamp
from pxresearch.errors import JournalError, StrategyError
from pxresearch.instruments import contract
from pxresearch.journal.reader import newest, read
from pxresearch.journal.records import Header, Kind, Row
from pxresearch.strategy import Strategy, load_strategy

TOLD = (Kind.RUN, Kind.SNAPSHOT, Kind.INPUT, Kind.GAP)
_BUILT_FROM = (
    "strategy", "source", "parameters", "contracts", "programme", "fills", "first_ns", "last_ns",
    "kinds", "live", "compiled",
)  # fmt: skip


def rebuild(
    path: Path, until: int | None = None, strategy: type[Strategy] | None = None, *,
    whole: bool = True,
) -> EngineSession:  # fmt: skip
    """Replay a journal; returns the engine as it stood.

    Parameters
    ----------
    until
        Last sequence number to take; all of them by default.
    strategy
        Its class; by default it is made from the source in the header.
    whole
        From the very first row, comparing every snapshot; False begins at the newest snapshot that
        is not past `until`, which is faster and proves less.

    Raises
    ------
    JournalError
        It does not replay to what it says, or the state at `until` is not known because rows were
        lost.

    Examples
    --------
    >>> rebuild(Path("paper-2026-10-01.journal")).snapshot() == state  # doctest: +SKIP
    True
    """
    player = Player(path, strategy)
    for row in _rows(path, until, whole):
        player.take(row)
    return player.engine()


def _rows(path: Path, until: int | None, whole: bool) -> Iterator[Row]:
    last = until if until is not None else r.NEVER
    state = 0 if whole else newest(path, Kind.SNAPSHOT, last)
    if state:
        yield next(read(path, (Kind.RUN,), newest(path, Kind.RUN, state)))
    for row in read(path, TOLD, state):
        if row.seq > last:
            return
        yield row


class Player:
    """Takes the rows of a journal in order and keeps the engine that they make.

    Parameters
    ----------
    path
        For the messages.
    strategy
        Its class; None makes it from the header's source.
    """

    def __init__(self, path: Path, strategy: type[Strategy] | None = None) -> None:
        self._path, self._strategy = path, strategy
        self._header: Header | None = None
        self._session: EngineSession | None = None
        self._at = 0
        self._fresh = False  # nothing was told yet: a snapshot is taken over, not compared
        self._lost = 0  # row of a gap behind which the state is not known

    def engine(self) -> EngineSession:
        """The engine as it stands."""
        if self._session is None:
            raise self._error(1, "there is no header before it")
        if self._lost:
            raise self._error(
                self._lost, "rows were lost there, so the state is unknown until the next snapshot"
            )
        return self._session

    @property
    def header(self) -> Header:
        """The newest header."""
        if self._header is None:
            raise self._error(1, "there is no header")
        return self._header

    def take(self, row: Row) -> None:
        """Take the next row; what is told to no engine is passed over."""
        self._at = row.seq
        if row.kind == Kind.INPUT:
            self._tell(row)
        elif row.kind == Kind.RUN:
            self._run(row.data)
        elif row.kind == Kind.SNAPSHOT:
            self._state(row)
        elif row.kind == Kind.GAP and row.data.of == "journal":
            self._lost = row.seq

    def _run(self, header: Header) -> None:
        before, self._header = self._header, header
        if before is None or any(getattr(before, n) != getattr(header, n) for n in _BUILT_FROM):
            self._session = build(header, self._strategy)
            self._fresh = True

    def _tell(self, row: Row) -> None:
        if self._session is None:
            raise self._error(row.seq, "there is no header before it")
        if self._lost:
            return
        self._fresh = False
        try:
            self._session.tell(*row.data[:-1])
        except StrategyError:
            self._session.disarm()  # as the runner did: it went on without the strategy

    def _state(self, row: Row) -> None:
        if self._session is None:
            raise self._error(row.seq, "there is no header before it")
        if self._fresh or self._lost:
            self._session.restore(row.data)
            self._fresh, self._lost = False, 0
            return
        mine = self._session.snapshot()
        if mine != row.data:
            names = ", ".join(_differences(self._session, mine, row.data))
            raise self._error(
                row.seq, f"the replay comes to another state than the session had: {names}"
            )

    def _error(self, seq: int, text: str) -> JournalError:
        core = self._header.core if self._header is not None else ""
        if core and core != core_stamp():
            text += (
                f". It was written by another core (pxresearch {self.header.package}, {core[:8]}; "
                f"here {core_stamp()[:8]}): replay it with that one"
            )
        return JournalError(f"the journal {self._path}, row {seq}: {text}")


def build(header: Header, strategy: type[Strategy] | None = None) -> EngineSession:
    """The engine that a header describes, nothing told yet.

    Parameters
    ----------
    strategy
        Its class; None makes it from the header's source.
    """
    cls = strategy or _from_source(header.source, header.strategy)
    feeds = [
        Feed(contract(code), kinds)
        for code, kinds in zip(header.contracts, header.kinds, strict=True)
    ]
    return EngineSession(
        cls(**header.parameters), feeds, header.programme, header.fills,
        first_ns=header.first_ns, last_ns=header.last_ns, compiled=header.compiled,
        at_venue=header.live,
    )  # fmt: skip


@functools.cache
def _from_source(source: str, name: str) -> type[Strategy]:
    """Strategy class of a source text; its file lives as long as the process, for tracebacks."""
    folder = Path(tempfile.mkdtemp(prefix="pxresearch-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "strategy.py"
    path.write_text(source, encoding="utf-8")
    return load_strategy(f"{path}:{name}")


def _differences(session: EngineSession, mine: bytes, theirs: bytes) -> list[str]:
    """Names of the fields in which two states differ."""
    size = session.engine.nbytes
    if len(mine) != len(theirs):
        return [f"it has {len(theirs)} bytes, not {len(mine)}"]
    found = []
    for kind, span in (
        (r.ENGINE, slice(0, size)),
        (session.record.dtype, slice(size, None)),
    ):
        a, b = (np.frombuffer(state[span], kind)[0] for state in (mine, theirs))
        found += [n for n in kind.names or () if a[n].tobytes() != b[n].tobytes()]
    return found or ["in bytes that belong to no field"]

"""The journal: everything that a session was told, decided and did, one file per account and day.

`Journal` writes it, `read`, `verify` and `recover` read it, `rebuild` replays it through the core
to the same state, byte by byte, `explain` shows what stood behind one decision, and `frames` gives
it as polars frames.

I/O: reads and writes SQLite files.
"""

from pxresearch.journal.explain import explain
from pxresearch.journal.files import (
    KEEP_DAYS,
    MODES,
    Listed,
    find,
    listing,
    path_of,
    prunable,
    prune,
)
from pxresearch.journal.reader import Check, Recovered, check, last_seq, read, recover, verify
from pxresearch.journal.rebuild import build, rebuild
from pxresearch.journal.records import Gap, Header, Input, Kind, Row, SessionEnd
from pxresearch.journal.tables import export, frames
from pxresearch.journal.writer import Journal

__all__ = [
    "KEEP_DAYS", "MODES", "Check", "Gap", "Header", "Input", "Journal", "Kind", "Listed",
    "Recovered", "Row", "SessionEnd", "build", "check", "explain", "export", "find", "frames",
    "last_seq", "listing", "path_of", "prunable", "prune", "read", "rebuild", "recover", "verify",
]  # fmt: skip

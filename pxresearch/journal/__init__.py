"""The journal: everything that a session was told, decided and did, one file per account and day.

`Journal` writes it, `read`, `verify` and `recover` read it, `rebuild` replays it through the core
to the same state, byte by byte, `explain` shows what stood behind one decision, and `frames` gives
it as polars frames.

Disk use: 10 to 16 bytes a quote or trade, some hundred a decision, 5 KB a snapshot; a million
events are about 16 MB, and while it is written 1 MB stands beside it (`tail`). Files are kept until
``pxresearch journal prune`` takes the old paper ones.

What it proves: no row was changed, put in or taken out, from the first to the last that is there.
Whoever rewrites a whole file can make a new chain; the head hash that ``journal verify`` prints,
kept elsewhere, shows that too. A crash can cost rows that were never said to be stored; a session
that came to its end has an END row.

I/O: reads and writes SQLite files.
"""

from pxresearch.journal.access import has_rows
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
from pxresearch.journal.reader import (
    Check,
    Recovered,
    check,
    last_seq,
    newest,
    read,
    recover,
    verify,
)
from pxresearch.journal.rebuild import build, rebuild
from pxresearch.journal.records import Gap, Header, Input, Kind, Row, SessionEnd
from pxresearch.journal.tables import export, frames
from pxresearch.journal.writer import Journal

__all__ = [
    "KEEP_DAYS", "MODES", "Check", "Gap", "Header", "Input", "Journal", "Kind", "Listed",
    "Recovered", "Row", "SessionEnd", "build", "check", "explain", "export", "find", "frames",
    "has_rows", "last_seq", "listing", "newest", "path_of", "prunable", "prune", "read", "rebuild",
    "recover", "verify",
]  # fmt: skip

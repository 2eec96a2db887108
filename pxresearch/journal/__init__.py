"""The journal: everything that a session was told, decided and did, one file per account and day.

`Journal` writes it, `read`, `verify` and `recover` read it, `rebuild` replays it through the core
to the same state, byte by byte, and `explain` shows what stood behind one decision.

I/O: reads and writes SQLite files.
"""

from pxresearch.journal.reader import Check, Recovered, check, read, recover, verify
from pxresearch.journal.records import Gap, Header, Input, Kind, Row, SessionEnd
from pxresearch.journal.writer import Journal

__all__ = [
    "Check",
    "Gap",
    "Header",
    "Input",
    "Journal",
    "Kind",
    "Recovered",
    "Row",
    "SessionEnd",
    "check",
    "read",
    "recover",
    "verify",
]

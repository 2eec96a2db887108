"""What stands in a journal: the kinds of rows, the header, the end, and how data becomes bytes.

Money is micro-dollars, times ns UTC, prices ticks. Data is JSON; snapshots and blocks of inputs are
compressed binary. Secrets never get in: `encode` hides them.

I/O: none
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from pxresearch.brokers.fillmodel import FillModel
from pxresearch.errors import JournalError
from pxresearch.gateway.calllog import HIDDEN, redacted
from pxresearch.programmes import Programme

VERSION = 1
"""Of the file format; a reader refuses any other."""


class Kind(StrEnum):
    """What a row is about."""

    RUN = "run"
    """A header: the first row, and again after each restart."""
    SNAPSHOT = "snapshot"
    INPUT = "input"
    ORDER = "order"
    REFUSAL = "refusal"
    FILL = "fill"
    RISK = "risk"
    REQUEST = "request"
    RESPONSE = "response"
    HUB = "hub"
    COMMAND = "command"
    ALERT = "alert"
    ERROR = "error"
    RECONCILED = "reconciled"
    NOTE = "note"
    GAP = "gap"
    """Something is lacking: of the feed, or of the journal itself."""
    END = "end"


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a session was built from: everything that a rebuild needs.

    Attributes
    ----------
    date
        Trading day, yyyymmdd.
    run
        Name of the process's run, as in the tags of its orders.
    source, source_hash
        Text of the strategy's file, and the hash that promotion compares.
    first_ns, last_ns
        Span of the calendar.
    kinds
        Data kinds per contract, such as ``("quotes", "trades")``.
    live
        A venue fills the orders; the engine's own matching is off.
    package, core
        Version of pxresearch, and stamp of the core that ran.
    """

    version: int = VERSION
    account: int
    mode: str
    date: int
    run: str
    strategy: str
    source: str
    source_hash: str
    parameters: dict[str, int | float | bool]
    contracts: tuple[str, ...]
    contract_ids: tuple[str, ...]
    programme: Programme
    fills: FillModel
    first_ns: int
    last_ns: int
    kinds: tuple[tuple[str, ...], ...]
    live: bool
    compiled: bool
    package: str
    core: str


class SessionEnd(msgspec.Struct, frozen=True, kw_only=True):
    """How a session ended; data of the END row.

    Attributes
    ----------
    complete
        It ran the whole trading day.
    covered_s, hours_s
        How long it was running and fed inside its trading hours, and how long those are.
    faults
        What was not resolved, in words.
    flat
        The venue says so.
    """

    date: int
    mode: str
    complete: bool
    covered_s: float
    hours_s: float
    faults: tuple[str, ...]
    flat: bool
    events: int
    orders: int
    fills: int
    refusals: int
    day_pnl: int
    costs: int
    balance: int
    reason: str


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Between two times something is lacking; data of a GAP row.

    Attributes
    ----------
    of
        What: "journal", "market hub", "user hub".
    since, until
        The last and the first time of what there is, ns UTC.
    missed
        How many rows; None when nobody knows.
    """

    of: str
    since: int
    until: int
    missed: int | None
    why: str


class Input(NamedTuple):
    """What the engine was told, and when it arrived here; see `core.replay.drive`."""

    what: int
    k: int
    ts: int
    a: int
    b: int
    c: int
    d: int
    received: int


class Row(NamedTuple):
    """One row; `data` is an `Input`, a struct of above, bytes (a snapshot) or a dict."""

    seq: int
    ts: int
    kind: Kind
    data: Any


_STRUCTS = {Kind.RUN: Header, Kind.END: SessionEnd, Kind.GAP: Gap}
_NAMES = rb"apikey|token|newtoken|password|verifykey|appid|deviceid"
_SUSPECT = re.compile(
    rb'"(?:' + _NAMES + rb')"\s*:|eyJ[\w-]{15,}\.|access_token=|bearer ', re.IGNORECASE
)
_HINTS = (*_NAMES.split(b"|"), b"eyj", b"access_token=", b"bearer ")
"""Without one of these, in small letters, nothing is suspect: a look takes a microsecond."""
_IN_TEXT = re.compile(
    rb'eyJ[\w-]{15,}\.[\w-]+(?:\.[\w-]*)?|(?<=access_token=)[^&"\s\\]+|(?<=bearer )[^"\s\\]+',
    re.IGNORECASE,
)


def _plain(value: Any) -> Any:
    """Scalars and arrays of NumPy as Python's own; of anything else its text."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


_ENCODE = msgspec.json.Encoder(enc_hook=_plain).encode


def encode(data: Mapping[str, Any] | msgspec.Struct | bytes) -> bytes:
    """Bytes of a row's data, every secret hidden; a snapshot stays as it is.

    Examples
    --------
    >>> encode({"url": "wss://hub?access_token=abc", "apiKey": "k"})
    b'{"url":"wss://hub?access_token=(hidden)","apiKey":"(hidden)"}'
    """
    if isinstance(data, bytes):
        return data
    body = _ENCODE(data)
    small = body.lower()
    if not any(hint in small for hint in _HINTS) or _SUSPECT.search(body) is None:
        return body
    return _IN_TEXT.sub(HIDDEN.encode(), _ENCODE(redacted(body)))


def decode(kind: Kind, body: bytes) -> Any:
    """Data of a row other than a block of inputs.

    Raises
    ------
    JournalError
        It is not what such a row holds.
    """
    try:
        if kind == Kind.SNAPSHOT:
            return zlib.decompress(body)
        return msgspec.json.decode(body, type=_STRUCTS.get(kind, dict))
    except (msgspec.MsgspecError, zlib.error, ValueError) as error:
        raise JournalError(f"a row of kind {kind} cannot be read: {error}") from None

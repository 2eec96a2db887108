"""The tag of an order: which strategy and intent it belongs to, and which leg it is.

    px.EmaCross.k3f9z0.17.E

The venue demands that a tag is unique in the account for ever, returns it with the order, and gives
a bracket's legs the entry's tag with ``-SL`` or ``-TP`` behind it. So a tag is how an order whose
answer was lost is found again, and how a restart puts a bracket together again.

I/O: none
"""

from __future__ import annotations

import re

import msgspec

from pxresearch.errors import UsageError
from pxresearch.gateway.wire import MAX_TAG, STOP_SUFFIX, TARGET_SUFFIX

ENTRY, STOP, TARGET, EXIT = "E", "S", "T", "X"
LEGS = {ENTRY: "entry", STOP: "stop_loss", TARGET: "target", EXIT: "flatten"}
_MARK = "px"
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_PARTS = re.compile(
    rf"{_MARK}\.([A-Za-z0-9_]{{1,20}})\.([0-9a-z]{{1,13}})\.([0-9]{{1,12}})\.([ESTX])"
    rf"({STOP_SUFFIX}|{TARGET_SUFFIX})?"
)
_NAME = re.compile(r"[A-Za-z0-9_]{1,20}")


class Tag(msgspec.Struct, frozen=True, kw_only=True):
    """What a tag says.

    Attributes
    ----------
    strategy
        Its name, 20 letters, digits and underscores at most.
    run
        Of the process that made the order; unique in the account.
    intent
        Number of the intent in the run; the legs of a bracket share it.
    leg
        ENTRY, STOP, TARGET or EXIT.
    """

    strategy: str
    run: str
    intent: int
    leg: str

    def __str__(self) -> str:
        return f"{_MARK}.{self.strategy}.{self.run}.{self.intent}.{self.leg}"


def run_name(started_ns: int) -> str:
    """Name of a run by its start, in microseconds: two runs of an account never share it."""
    number, text = started_ns // 1_000, ""
    while number:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text or "0"


def make_tag(strategy: str, run: str, intent: int, leg: str) -> str:
    """Tag of an order.

    Raises
    ------
    UsageError
        A part that a tag cannot hold.

    Examples
    --------
    >>> make_tag("EmaCross", "k3f9z0", 17, ENTRY)
    'px.EmaCross.k3f9z0.17.E'
    """
    if not _NAME.fullmatch(strategy):
        raise UsageError(
            f"{strategy!r} cannot stand in an order's tag: 1 to 20 letters, digits or underscores"
        )
    text = str(Tag(strategy=strategy, run=run, intent=intent, leg=leg))
    if read_tag(text) is None or len(text) > MAX_TAG:
        raise UsageError(f"{text!r} is not a tag: run {run!r}, intent {intent!r}, leg {leg!r}")
    return text


def read_tag(text: str | None) -> Tag | None:
    """What a tag of ours says; None for any other. A leg made by the venue says STOP or TARGET.

    Examples
    --------
    >>> read_tag("px.EmaCross.k3f9z0.17.E-SL").leg
    'S'
    """
    found = _PARTS.fullmatch(text or "")
    if found is None:
        return None
    strategy, run, intent, leg, suffix = found.groups()
    leg = {STOP_SUFFIX: STOP, TARGET_SUFFIX: TARGET, None: leg}[suffix]
    return Tag(strategy=strategy, run=run, intent=int(intent), leg=leg)

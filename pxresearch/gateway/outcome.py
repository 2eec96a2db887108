"""What became of a request: the pure judgement of an answer, for reads and for mutations.

A mutation is *accepted*, *rejected* or *unknown*. Unknown means that it was sent and nobody here
can say whether it took effect: it is never sent again and never called rejected, but looked up
(`resolve`). A read may be tried again, so for it there is one more verdict, *again*.

Why 401, 403, 408, 429 and 5xx are unknown for a mutation: each can come from something in front of
the order book or from behind it, and clients have seen orders that lived after every one of them
(reference: gateway API, trap 1).

I/O: none
"""

from __future__ import annotations

from typing import Any

import msgspec

from pxresearch.errors import NotUnderstood
from pxresearch.gateway import wire

NOT_SENT = "NOT_SENT"
BAD_REQUEST = "BAD_REQUEST"
NOT_FOUND = "NOT_FOUND"
REFUSED_HERE = "REFUSED_HERE"


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """The venue did it. `answer` is the envelope, None when it was found by looking it up."""

    order_id: int | None = None
    answer: Any = None
    found: bool = False


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """The venue did not do it, for certain.

    Attributes
    ----------
    reason
        Name of the error code in the operation's own table, or NOT_SENT, BAD_REQUEST, NOT_FOUND,
        REFUSED_HERE.
    text
        For a trader.
    order_id
        The record that a refused order may leave behind; it is not a working order.
    """

    reason: str
    text: str
    code: int | None = None
    order_id: int | None = None


class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """Sent, and nobody knows; `why` says what came instead of an answer."""

    why: str
    status: int | None = None


class Again(msgspec.Struct, frozen=True, kw_only=True):
    """A read that may be tried again; `after` seconds if the server said so."""

    why: str
    status: int | None = None
    after: float | None = None


class Unauthorised(msgspec.Struct, frozen=True, kw_only=True):
    """A read met 401: one fresh login, then once more."""

    why: str = "the gateway answered 401: the token is missing, wrong or expired"


Outcome = Accepted | Rejected | Unknown
"""Of a mutation."""

_DEFINITE = (400, 404, 405, 413, 415, 422)  # the order book was never asked
_AGAIN = (408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524)


def judge_mutation(operation: wire.Operation, status: int, body: bytes) -> Outcome:
    """Outcome of a mutation that was answered with an HTTP status and a body."""
    if status == 200:
        try:
            answer = wire.decode(body, operation.answer)
        except NotUnderstood as error:
            return Unknown(why=f"{operation.name}: {error}", status=status)
        return _of_envelope(operation, answer)
    if status in _DEFINITE:
        return Rejected(
            reason=BAD_REQUEST, code=status,
            text=f"the gateway did not take the request: HTTP {status}{problem(body)}",
        )  # fmt: skip
    return Unknown(why=f"{operation.name}: HTTP {status}{problem(body)}", status=status)


def _of_envelope(operation: wire.Operation, answer: wire.Answer) -> Outcome:
    order_id = getattr(answer, "order_id", None)
    if answer.success and answer.error_code == 0:
        if operation is wire.PLACE and order_id is None:
            return Unknown(why="Order/place: success without an order id", status=200)
        return Accepted(order_id=order_id, answer=answer)
    name = operation.code_name(answer.error_code)
    if answer.success or answer.error_code == 0 or answer.error_code not in operation.codes:
        return Unknown(
            why=f"{operation.name}: success={answer.success} with code {answer.error_code} "
            f"({name})",
            status=200,
        )
    if answer.error_code in operation.unclear:
        return Unknown(why=f"{operation.name}: code {answer.error_code} ({name})", status=200)
    return Rejected(
        reason=name, code=answer.error_code, order_id=order_id,
        text=explain(name, answer.error_message),
    )  # fmt: skip


def judge_read(
    operation: wire.Operation, status: int, body: bytes, retry_after: float | None = None
) -> Any:
    """Answer of a read, or Rejected, Again or Unauthorised.

    Returns
    -------
    Answer, Rejected, Again or Unauthorised
        Rejected carries the operation's error code; a garbled body may be tried again.
    """
    if status == 200:
        try:
            answer = wire.decode(body, operation.answer)
        except NotUnderstood as error:
            return Again(why=f"{operation.name}: {error}", status=status)
        if answer.success and answer.error_code == 0:
            return answer
        name = operation.code_name(answer.error_code)
        text = explain(name, answer.error_message)
        return Rejected(reason=name, code=answer.error_code, text=text)
    if status == 401:
        return Unauthorised()
    why = f"{operation.name}: HTTP {status}{problem(body)}"
    if status in _AGAIN:
        return Again(why=why, status=status, after=retry_after)
    return Rejected(reason=BAD_REQUEST, code=status, text=why)


class _Problem(msgspec.Struct):
    title: str | None = None
    detail: str | None = None
    errors: dict[str, list[str]] = {}


def problem(body: bytes) -> str:
    """What a body says went wrong, as ``: text``; empty for HTML, nothing or a riddle."""
    try:
        found = msgspec.json.decode(body, type=_Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        text = body[:120].decode("utf-8", "replace").strip()
        return f": {text}" if text and not text.startswith(("<", "{", "[")) else ""
    members = [f"{name}: {' '.join(said)}" for name, said in found.errors.items()]
    text = "; ".join(part for part in (found.detail or found.title, *members) if part)
    return f": {text}" if text else ""


_EXPLAINED = {
    "AccountNotFound": "the gateway knows no such account for this login",
    "AccountRejected": "this account may not do that through the API (live-funded and follower "
    "accounts are excluded)",
    "AccountViolation": "the account breaks a rule of the firm and takes no order",
    "ContractNotActive": "the contract is not the one that is traded now; take the front month",
    "ContractNotFound": "the gateway knows no such contract",
    "InsufficientFunds": "the account has not enough funds for that size",
    "InvalidCloseSize": "more was to be closed than is open, or nothing",
    "OrderNotFound": "there is no such order, or it is done already",
    "OutsideTradingHours": "the market is closed",
    "PositionNotFound": "there is no such position, or it is closed already",
}
_BY_MESSAGE = (
    ("Brackets cannot be used with Position Brackets", "switch the account to Auto OCO Brackets: "
     "platform, Settings, Risk Settings"),
    ("Trading is currently unavailable", "the market is closed, halted or between sessions"),
    ("Invalid price. Price is outside allowed range", "the market is already at or past that "
     "price"),
)  # fmt: skip


def explain(name: str, message: str | None) -> str:
    """Sentence for a trader, out of the name of a code and the gateway's own words."""
    ours = _EXPLAINED.get(name)
    for start, hint in _BY_MESSAGE:
        if message and message.startswith(start):
            ours = hint
    if ours and message:
        return f"{message} ({ours})"
    return ours or message or f"the gateway gave no reason beyond {name}"

"""What was sent and what came back: counters, times, and a record of each call without secrets.

I/O: none; the records go to whoever asked for them.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import msgspec

from pxresearch.errors import NotUnderstood
from pxresearch.gateway import wire

HIDDEN = "(hidden)"
_SECRET = frozenset({"apikey", "token", "newtoken", "password", "verifykey", "appid", "deviceid"})
_SAMPLES = 2_000
_SHOWN = 4_000  # characters of an answer that is not JSON


class CallRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One request.

    Attributes
    ----------
    sent, took_s
        When (ns UTC), and how long the answer took.
    status
        HTTP status; None when none came.
    verdict
        What it was taken for: Accepted, Rejected, Unknown, Again, Unauthorised, Answer or Lost.
    request, response
        Plain values, secrets hidden.
    """

    operation: str
    sent: int
    took_s: float
    status: int | None
    verdict: str
    request: Any
    response: Any


class CallLog:
    """Counts calls and keeps the times of the last ones.

    Parameters
    ----------
    on_call
        Gets a `CallRecord` of each call.
    """

    def __init__(self, on_call: Callable[[CallRecord], None] | None = None) -> None:
        self._on_call = on_call
        self.sent: Counter[str] = Counter()
        self.verdicts: Counter[tuple[str, str]] = Counter()
        self.latency_s: deque[float] = deque(maxlen=_SAMPLES)

    def __repr__(self) -> str:
        return f"CallLog({sum(self.sent.values())} calls)"

    def note(
        self, operation: wire.Operation, request: object, response: object, verdict: object, *,
        sent: int, took_s: float, status: int | None,
    ) -> None:  # fmt: skip
        """Take a call in; request and response as `redacted` gives them."""
        self.sent[operation.name] += 1
        kind = "Answer" if isinstance(verdict, wire.Answer) else type(verdict).__name__
        self.verdicts[operation.name, kind] += 1
        if status is not None:
            self.latency_s.append(took_s)
        if self._on_call is not None:
            record = CallRecord(
                operation=operation.name, sent=sent, took_s=took_s, status=status, verdict=kind,
                request=request, response=response,
            )  # fmt: skip
            self._on_call(record)

    @property
    def wanted(self) -> bool:
        """Whether anybody gets the records: only then are bodies read again."""
        return self._on_call is not None

    def percentiles(self) -> dict[str, float]:
        """Round trips of the last calls, ms: p50, p95, p99, max; empty without any."""
        ordered = sorted(self.latency_s)
        if not ordered:
            return {}
        top = len(ordered) - 1
        shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
        return {name: round(ordered[round(top * q)] * 1e3, 3) for name, q in shares.items()}


def redacted(body: bytes) -> Any:
    """Plain values of a JSON body, with every secret member hidden; text of anything else."""
    try:
        return _hide(wire.decode(body, Any)) if body else None
    except NotUnderstood:
        text = body[:_SHOWN].decode("utf-8", "replace")
        # Torn JSON may hold a token that can no longer be told apart.
        return HIDDEN if any(name in text.lower() for name in _SECRET) else text


def _hide(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: HIDDEN if k.lower() in _SECRET and v else _hide(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_hide(item) for item in value]
    return value

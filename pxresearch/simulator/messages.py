"""HTTP as the pure part of the venue sees it: a request, a response, and how it is delivered.

I/O: none
"""

from __future__ import annotations

from typing import Any

import msgspec

JSON, PROBLEM, HTML = (
    "application/json; charset=utf-8", "application/problem+json; charset=utf-8", "text/html",
)  # fmt: skip
WHOLE, CLOSED, RESET, TORN, TRICKLE = "whole", "closed", "reset", "torn", "trickle"


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request; names of headers in lower case."""

    method: str
    path: str
    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    body: bytes = b""

    @property
    def token(self) -> str | None:
        """Bearer token of the header, else the query's ``access_token``."""
        scheme, _, value = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and value:
            return value.strip()
        return self.query.get("access_token")


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """A response before anything happens to it on the way."""

    status: int
    body: bytes = b""
    content_type: str = ""
    headers: dict[str, str] = {}


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """What the client gets.

    Attributes
    ----------
    ending
        WHOLE; CLOSED or RESET: no answer at all; TORN: `sent` bytes of the body, then the end of
        the connection; TRICKLE: the body over `seconds`.
    """

    response: Response
    ending: str = WHOLE
    sent: int = 0
    seconds: float = 0.0


def problem(status: int, title: str, errors: dict[str, list[str]] | None = None,
            detail: str | None = None) -> Response:  # fmt: skip
    """Problem document of the real server's framework, with errors by member or with a detail."""
    section = {400: "15.5.1", 404: "15.5.5", 405: "15.5.6"}[status]
    shown: dict[str, Any] = {
        "type": f"https://tools.ietf.org/html/rfc9110#section-{section}", "title": title,
        "status": status,
    }  # fmt: skip
    if errors is not None:
        shown["errors"] = errors
    if detail is not None:
        shown["detail"] = detail
    return Response(status=status, body=msgspec.json.encode(shown), content_type=PROBLEM)

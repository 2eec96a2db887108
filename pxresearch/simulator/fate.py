"""What happens to one request: the faults that meet it, and what they make of its response.

A request waits, reaches the venue or not, is answered, waits again, and is delivered or not.

I/O: none
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from pxresearch.gateway import wire
from pxresearch.simulator import render
from pxresearch.simulator.fault_table import REQUEST
from pxresearch.simulator.faults import Fault, Faults
from pxresearch.simulator.messages import (
    CLOSED,
    HTML,
    JSON,
    RESET,
    TORN,
    TRICKLE,
    Delivery,
    Response,
)

_PAGE = b"<!DOCTYPE html><html><head><title>%d</title></head><body><h1>%d</h1></body></html>"
UNKNOWN_STATUS = 99


class Fate:
    """The faults of one request, in the order in which they were armed."""

    def __init__(self, faults: Faults, operation: wire.Operation | None, name: str, now: int):
        self._operation = operation
        self._faults = list(faults.take(REQUEST, now, operation=name)) if faults else []

    @property
    def names(self) -> list[str]:
        """Which they are."""
        return [one.name for one in self._faults]

    def wait_s(self, when: str) -> float:
        """How long the request waits before the venue acts, or the answer after it."""
        seconds = 0.0
        for one in self._faults:
            if one.name == "slow_response" and one["when"] == when:
                seconds += one["seconds"]
            elif one.name == "lose_response" and one["when"] == when:
                seconds += one["wait_s"]
            elif one.name == "event_before_answer" and when == "after":
                seconds += one["seconds"]
        return seconds

    def instead(self) -> Delivery | None:
        """What comes although the venue never saw the request; None: it sees it."""
        for one in self._faults:
            made = self._made(one) if one.given.get("when") == "before" else None
            if one.name == "refuse_refresh":
                made = Delivery(response=_code(self._operation, 0, "")[0])
            if made is not None:
                return made
        return None

    def deliver(self, response: Response) -> Delivery:
        """What becomes of the venue's own response."""
        delivery = Delivery(response=response)
        for one in self._faults:
            if one.given.get("when", "after") == "after":
                delivery = self._made(one, delivery.response) or delivery
        return delivery

    def _made(self, fault: Fault, response: Response | None = None) -> Delivery | None:
        maker = _MAKERS.get(fault.name)
        if maker is None:
            return None
        whole = response or Response(status=200, content_type=JSON)
        return maker(fault, whole, self._operation)


Maker = Callable[[Fault, Response, wire.Operation | None], Delivery]


def _lost(fault: Fault, response: Response, _: wire.Operation | None) -> Delivery:
    return Delivery(response=response, ending=RESET if fault["how"] == "reset" else CLOSED)


def _status(fault: Fault, _: Response, __: wire.Operation | None) -> Delivery:
    number = fault["status"]
    return Delivery(
        response=Response(status=number, body=_PAGE % (number, number), content_type=HTML)
    )


def _html(_: Fault, __: Response, ___: wire.Operation | None) -> Delivery:
    return Delivery(response=Response(status=200, body=_PAGE % (200, 200), content_type=HTML))


def _code(operation: wire.Operation | None, code: int, message: str) -> tuple[Response, int]:
    if code == 0 and operation is not None:
        unclear = [n for n, name in operation.codes.items() if name == "UnknownError"]
        code = (unclear or [max(operation.codes)])[0] or 1
    kind = wire.Answer if operation is None else operation.answer
    answer = kind(success=False, error_code=code, error_message=message or None)
    body = wire.encode(render.rest(answer))
    return Response(status=200, body=body, content_type=JSON), code


def _error_code(fault: Fault, _: Response, operation: wire.Operation | None) -> Delivery:
    return Delivery(response=_code(operation, fault["code"], fault["message"])[0])


def _malformed(_: Fault, response: Response, __: wire.Operation | None) -> Delivery:
    body = response.body.replace(b":", b"=", 1) or b"{success=true}"
    return Delivery(response=Response(status=200, body=body, content_type=JSON))


def _torn_json(fault: Fault, response: Response, _: wire.Operation | None) -> Delivery:
    body = response.body[: int(len(response.body) * fault["share"])]
    return Delivery(response=Response(status=200, body=body, content_type=JSON))


def _torn(fault: Fault, response: Response, _: wire.Operation | None) -> Delivery:
    sent = int(len(response.body) * fault["share"])
    return Delivery(response=response, ending=TORN, sent=sent)


def _trickle(fault: Fault, response: Response, _: wire.Operation | None) -> Delivery:
    return Delivery(response=response, ending=TRICKLE, seconds=fault["seconds"])


def _unauthorised(_: Fault, __: Response, ___: wire.Operation | None) -> Delivery:
    return Delivery(response=Response(status=401, headers={"WWW-Authenticate": "Bearer"}))


def _storm(fault: Fault, _: Response, __: wire.Operation | None) -> Delivery:
    wait = fault["retry_after"]
    headers = {"Retry-After": str(wait)} if wait else {}
    return Delivery(response=Response(status=429, headers=headers))


def _new_field(_: Fault, response: Response, __: wire.Operation | None) -> Delivery:
    return Delivery(response=_changed(response, lambda shown: shown.update(newField="new")))


def _unknown_enum(_: Fault, response: Response, __: wire.Operation | None) -> Delivery:
    def change(shown: dict[str, Any]) -> None:
        one = shown.get("order")
        for order in [*(shown.get("orders") or []), *([one] if one else [])]:
            order["status"] = UNKNOWN_STATUS

    return Delivery(response=_changed(response, change))


def _changed(response: Response, change: Callable[[dict[str, Any]], None]) -> Response:
    if response.content_type != JSON or response.body[:1] != b"{":
        return response
    shown = msgspec.json.decode(response.body)
    change(shown)
    return msgspec.structs.replace(response, body=msgspec.json.encode(shown))


_MAKERS: dict[str, Maker] = {
    "lose_response": _lost, "status": _status, "html": _html, "error_code": _error_code,
    "malformed_json": _malformed, "torn_json": _torn_json, "torn_response": _torn,
    "slow_trickle": _trickle, "unauthorised": _unauthorised, "rate_limit_storm": _storm,
    "new_field": _new_field, "unknown_enum": _unknown_enum,
}  # fmt: skip

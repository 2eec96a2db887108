"""The table of faults: where each happens, what it does, its parameters and their defaults.

docs/simulator.md shows this table; a test compares the two.

I/O: none
"""

from __future__ import annotations

from typing import Any

import msgspec

REQUEST, LINK, EVENT = "request", "connection", "event"
AT_ONCE = "at once"


class Kind(msgspec.Struct, frozen=True):
    """A fault as the table has it.

    Attributes
    ----------
    where
        Place at which it happens; of two, the first is meant when an operation is named.
    only
        Operations that it can meet; none named: any.
    """

    where: str | tuple[str, ...]
    text: str
    parameters: dict[str, Any] = {}
    only: tuple[str, ...] = ()

    def at(self, place: str, given: dict[str, Any] | None = None) -> bool:
        """Whether it happens at this place, with these parameters."""
        if isinstance(self.where, str):
            return place == self.where
        return place == self.where[0 if given and given["operation"] else 1]


COMMON: dict[str, Any] = {"count": 1, "probability": 1.0, "after_s": 0.0, "skip": 0}
"""Parameters of every fault: how often (null: always), how likely at each occasion, from how many
seconds on, how many occasions pass first."""

CHOICES: dict[str, tuple[str, ...]] = {
    "when": ("before", "after"),
    "how": ("close", "reset"),
    "hub": ("", "user", "market"),
    "step": ("now", "connect", "negotiate", "upgrade", "handshake", "subscribe", "mid_record",
             "record"),
    "close": ("none", "close", "reconnect", "error"),
    "what": ("data", "all"),
    "side": ("bid", "ask", "buy", "sell"),
    "garbage": ("text", "zero", "negative", "huge"),
}  # fmt: skip

_AFTER = {"operation": "", "when": "after"}
_BEFORE = {"operation": "", "when": "before"}
_OF_CONTRACT = {"contract_id": ""}

FAULTS: dict[str, Kind] = {
    # ---------------------------------------------------------------- REST
    "lose_response": Kind(
        REQUEST, "The connection ends without an answer, before or after the venue acted.",
        {**_AFTER, "how": "close", "wait_s": 0.0},
    ),
    "slow_response": Kind(
        REQUEST, "The request waits before the venue acts, or the answer afterwards.",
        {**_AFTER, "seconds": 10.0},
    ),
    "slow_trickle": Kind(
        REQUEST, "The answer's body comes in pieces over so many seconds.",
        {"operation": "", "seconds": 10.0},
    ),
    "status": Kind(
        REQUEST, "An HTTP status with a body of HTML, the venue having acted or not.",
        {**_BEFORE, "status": 503},
    ),
    "error_code": Kind(
        REQUEST, "HTTP 200 with success false and a code; 0: the operation's own unclear one.",
        {**_BEFORE, "code": 0, "message": ""},
    ),
    "malformed_json": Kind(REQUEST, "HTTP 200 with a body that is no JSON.", dict(_AFTER)),
    "html": Kind(REQUEST, "HTTP 200 with a page of HTML.", dict(_AFTER)),
    "torn_json": Kind(
        REQUEST, "HTTP 200 with the first part of the JSON, as if it were the whole.",
        {**_AFTER, "share": 0.5},
    ),
    "torn_response": Kind(
        REQUEST, "The connection ends within the body.", {**_AFTER, "share": 0.5}
    ),
    "unauthorised": Kind(REQUEST, "HTTP 401 although the token is good.", dict(_BEFORE)),
    "rate_limit_storm": Kind(
        REQUEST, "HTTP 429; retry_after seconds in the header unless 0.",
        {**_BEFORE, "retry_after": 0},
    ),
    "refuse_refresh": Kind(
        REQUEST, "Auth/loginKey and validate answer success false with UnknownError.",
        {"operation": ""}, ("Auth/loginKey", "Auth/validate"),
    ),
    "event_before_answer": Kind(
        REQUEST, "The answer waits so long that the events of the request come first.",
        {"operation": "", "seconds": 0.2},
    ),
    "new_field": Kind(
        (REQUEST, EVENT),
        "A member that nobody knows, in a user event, or in an answer of `operation`.",
        {"operation": "", "target": ""},
    ),
    "unknown_enum": Kind(
        (REQUEST, EVENT),
        "Status 99 in an order event, or in the orders of an answer of `operation`.",
        {"operation": "", "target": "GatewayUserOrder"},
    ),
    # ---------------------------------------------------------------- hubs
    "hub_refuse": Kind(
        LINK, "The hub answers negotiate or upgrade with a status; step connect: not at all.",
        {"hub": "", "step": "upgrade", "status": 503},
    ),
    "hub_delay": Kind(
        LINK, "The answer to a step (negotiate, upgrade, handshake, subscribe) comes late.",
        {"hub": "", "step": "upgrade", "seconds": 10.0},
    ),
    "hub_drop": Kind(
        LINK, "The connection ends at a step, now, or after so many records; close: with a Close "
        "message or without.",
        {"hub": "", "step": "now", "records": 0, "close": "none"},
    ),
    "hub_reset": Kind(
        LINK, "The same by a TCP reset.", {"hub": "", "step": "now", "records": 0}
    ),
    "hub_half_open": Kind(
        LINK, "The connection stays, and nothing is read or written any more.",
        {"hub": "", "step": "now", "records": 0},
    ),
    "hub_silent": Kind(
        LINK, "No data, or not even pings, for so many seconds (0: for good); what comes "
        "meanwhile is lost.",
        {"hub": "", "step": "now", "what": "data", "seconds": 0.0},
    ),
    "hub_split": Kind(
        LINK, "Records come cut in two messages.", {"hub": "", "step": "now"}
    ),
    "hub_ping": Kind(AT_ONCE, "A WebSocket ping with a payload.", {"hub": "", "payload": "ping"}),
    "handshake_error": Kind(
        LINK, "The handshake is answered with an error.",
        {"hub": "", "step": "handshake", "message": "Handshake refused by a fault."},
    ),
    "completion_error": Kind(
        LINK, "A subscription is answered with an error.",
        {"hub": "", "step": "subscribe", "message": "Failed to invoke by a fault."},
    ),
    "completion_missing": Kind(
        LINK, "A subscription works, and its completion never comes.",
        {"hub": "", "step": "subscribe"},
    ),
    # ---------------------------------------------------------------- user events
    "duplicate_event": Kind(EVENT, "The event comes twice.", {"target": ""}),
    "drop_event": Kind(EVENT, "The event never comes.", {"target": ""}),
    "reorder_events": Kind(
        EVENT, "The events of one moment come in reverse: the fill before the order.",
        {"target": ""},
    ),
    "position_disagrees": Kind(
        EVENT, "A position event tells of so many contracts more than there are.",
        {"target": "GatewayUserPosition", "contracts": 1},
    ),
    "unknown_event": Kind(
        AT_ONCE, "An event for an order that nobody placed.", {"account_id": 0, **_OF_CONTRACT}
    ),
    # ---------------------------------------------------------------- venue
    "partial_fill": Kind(AT_ONCE, "The next orders of two or more fill one first.", {"times": 1}),
    "fill_during_cancel": Kind(AT_ONCE, "The next orders to be cancelled fill.", {"times": 1}),
    "refuse_leg": Kind(AT_ONCE, "The next bracket legs are rejected.", {"times": 1}),
    "keep_sibling": Kind(AT_ONCE, "The next legs that fill leave their sibling.", {"times": 1}),
    "hold_ack": Kind(AT_ONCE, "The next orders stay pending for a while.", {"times": 1}),
    "manual_order": Kind(
        AT_ONCE, "An order by hand in the platform: market, or a limit at a price.",
        {"account_id": 0, **_OF_CONTRACT, "side": "buy", "size": 1, "limit_price": ""},
    ),
    "logout": Kind(AT_ONCE, "GatewayLogout on the hubs, as when another session takes over.",
                   {"hub": ""}),
    "halt": Kind(AT_ONCE, "Trading in a contract halts, or goes on.",
                 {**_OF_CONTRACT, "halted": True}),
    "can_trade": Kind(AT_ONCE, "An account loses or regains the permission to trade.",
                      {"account_id": 0, "allowed": False}),
    "expire_tokens": Kind(AT_ONCE, "Every token given so far ends."),
    # ---------------------------------------------------------------- market data
    "one_sided_quote": Kind(AT_ONCE, "A book with no bid or no ask.",
                            {**_OF_CONTRACT, "side": "ask"}),
    "crossed_quote": Kind(AT_ONCE, "A bid so many ticks above the ask.",
                          {**_OF_CONTRACT, "ticks": 2}),
    "garbage_quote": Kind(AT_ONCE, "A price that is text, zero, negative or huge.",
                          {**_OF_CONTRACT, "garbage": "zero"}),
    "off_tick_price": Kind(AT_ONCE, "A price between two ticks.", dict(_OF_CONTRACT)),
    "burst": Kind(AT_ONCE, "So many quotes at once.", {**_OF_CONTRACT, "quotes": 10_000}),
}  # fmt: skip

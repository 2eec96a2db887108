"""How the hubs are kept, and how one of them is: settings in, state out.

I/O: none
"""

from __future__ import annotations

import msgspec

from pxresearch.gateway.records import Hub
from pxresearch.gateway.subscriptions import Subscription


class HubSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the hubs are kept; seconds.

    Attributes
    ----------
    hubs
        Which to connect.
    connect_s, answer_s
        Limits of a connection's opening, and of the completion of a call.
    ping_s, silent_s
        When we ping, and after what silence (no record at all) a hub is given up.
    backoff_s, backoff_max_s, healthy_s
        First and longest wait between attempts, and how long a connection must have lived for the
        next wait to be the first again.
    retry_s
        When a refused subscription is asked for again.
    stale_s
        A subscribed contract without data in open hours for so long is stale.
    market_silence_reconnect_s
        All of them silent for so long: the hub is frozen and connected anew.
    always_open
        The market has no hours, as in the simulator.
    max_attempts
        Failed attempts in a row after which it gives up and `get` raises; None: never.
    capacity, limit
        Events waiting from which on quotes are coalesced, and at the very most.
    tick_s
        How often the watchdogs look.
    """

    hubs: tuple[Hub, ...] = (Hub.USER, Hub.MARKET)
    connect_s: float = 10.0
    answer_s: float = 5.0
    ping_s: float = 12.0
    silent_s: float = 32.0
    backoff_s: float = 0.25
    backoff_max_s: float = 30.0
    healthy_s: float = 10.0
    retry_s: float = 30.0
    stale_s: float = 30.0
    market_silence_reconnect_s: float = 120.0
    always_open: bool = False
    max_attempts: int | None = None
    capacity: int = 10_000
    limit: int = 200_000
    tick_s: float = 0.25


class HubState(msgspec.Struct, frozen=True, kw_only=True):
    """How a hub is.

    Attributes
    ----------
    connected
        Everything that is wanted has been subscribed. The market hub may have refused some of it;
        a user hub that refused anything does not count as connected.
    since
        When that began or ended, ns UTC.
    generation
        Number of the connection.
    attempts
        Failed attempts in a row.
    reason
        Why it is not connected.
    last_received, last_data
        When the last record, and the last event came, ns UTC.
    coalesced, lag_s
        Of the inbox, which both hubs share: quotes and depth that newer ones replaced; age of the
        oldest event of the last batch.
    junk, unknown
        Records that could not be read; events and records of a kind that nobody knows.
    subscribed, refused
        Streams that the hub confirmed, and those that it refused.
    stale
        Contracts that are silent in open hours.
    """

    connected: bool
    since: int
    generation: int
    attempts: int
    reason: str
    last_received: int | None
    last_data: int | None
    coalesced: int
    lag_s: float
    junk: int
    unknown: int
    subscribed: tuple[Subscription, ...]
    refused: tuple[Subscription, ...]
    stale: tuple[str, ...]

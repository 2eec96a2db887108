"""What the exchange tells its users.

I/O: none
"""

from __future__ import annotations

import msgspec

from pxresearch.gateway import wire

INSERTED, UPDATED, CLOSED = 0, 1, 2  # `action` on the wire; its meaning is a guess of the reference


class UserEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event of the user hub.

    Attributes
    ----------
    owner
        User name it is for.
    target
        ``GatewayUserOrder`` and so on.
    """

    owner: str
    account_id: int
    target: str
    action: int
    record: wire.Account | wire.Order | wire.Position | wire.Trade


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """All of an account as it really is: every order and trade, oldest first."""

    account: wire.Account
    orders: list[wire.Order]
    positions: list[wire.Position]
    trades: list[wire.Trade]

"""Answers: the envelope, and what each operation puts in it.

I/O: none
"""

from __future__ import annotations

from pxresearch.gateway.wire.base import Secret, Wire
from pxresearch.gateway.wire.rows import Account, Bar, Contract, Order, Position, Trade


class Answer(Wire, kw_only=True, frozen=True):
    """The envelope of every answer; HTTP 200 does not mean success."""

    success: bool
    error_code: int
    error_message: str | None = None


class TokenAnswer(Secret, Answer, kw_only=True, frozen=True):
    """Auth/loginKey and loginApp."""

    token: str | None = None


class ValidateAnswer(Secret, Answer, kw_only=True, frozen=True):
    """Auth/validate; without a new token the old one stays."""

    new_token: str | None = None


class AccountsAnswer(Answer, kw_only=True, frozen=True):
    """Account/search."""

    accounts: list[Account] | None = None


class ContractsAnswer(Answer, kw_only=True, frozen=True):
    """Contract/search and available."""

    contracts: list[Contract] | None = None


class ContractAnswer(Answer, kw_only=True, frozen=True):
    """Contract/searchById."""

    contract: Contract | None = None


class BarsAnswer(Answer, kw_only=True, frozen=True):
    """History/retrieveBars, newest first."""

    bars: list[Bar] | None = None


class PlaceAnswer(Answer, kw_only=True, frozen=True):
    """Order/place; an id may come with a refusal."""

    order_id: int | None = None


class OrdersAnswer(Answer, kw_only=True, frozen=True):
    """Order/search, searchOpen and v2/query."""

    orders: list[Order] | None = None
    total_count: int | None = None


class OrderAnswer(Answer, kw_only=True, frozen=True):
    """Order/searchById."""

    order: Order | None = None


class PositionsAnswer(Answer, kw_only=True, frozen=True):
    """Position/searchOpen."""

    positions: list[Position] | None = None


class TradesAnswer(Answer, kw_only=True, frozen=True):
    """Trade/search, newest first."""

    trades: list[Trade] | None = None

"""What a session trades, decided before anything is connected.

I/O: none
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from pxresearch.brokers.fillmodel import FillModel
from pxresearch.errors import UsageError
from pxresearch.gateway.tags import make_tag
from pxresearch.programmes import Programme
from pxresearch.strategy import Strategy

PAPER, LIVE = "paper", "live"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A session to be run.

    Attributes
    ----------
    strategy
        An instance; `source` is the text of its file.
    contracts
        Codes as the venue lists them, in the order of the strategy's indices.
    programme
        The account's rules; what the ramp and the trader's own limits take off is off already.
    fills
        How paper fills; live it is only kept.
    account
        Id at the venue. A paper session trades nothing there, it only has the name.
    state
        Folder of all accounts' state.
    max_loss_level
        Micro-dollars; None where it follows from the journal, or from a fresh account.
    note
        Rows for the journal's beginning: an override of the promotion, the ramp's step.
    """

    strategy: Strategy
    source: str
    source_hash: str
    contracts: tuple[str, ...]
    programme: Programme
    fills: FillModel
    mode: str
    account: int
    state: Path
    compiled: bool = True
    max_loss_level: int | None = None
    note: Sequence[dict[str, object]] = ()

    def __post_init__(self) -> None:
        if self.mode not in (PAPER, LIVE):
            raise UsageError(f"mode must be {PAPER} or {LIVE}, received {self.mode!r}")
        if self.fills.partial_fills or self.fills.limit_fill == "queue":
            raise UsageError(
                "the gateway's quotes have no sizes, so paper cannot fill by size: use limit_fill "
                "'through' or 'touch', and partial_fills false"
            )
        make_tag(self.name, "0", 1, "E")  # a name that no tag can hold is refused now

    @property
    def name(self) -> str:
        """The strategy's name."""
        return type(self.strategy).__name__

    @property
    def live(self) -> bool:
        """Whether orders go to the venue."""
        return self.mode == LIVE


class RunnerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a session is run; seconds.

    Attributes
    ----------
    poll_s
        How often everything that has no event of its own is looked at: commands, the kill switch,
        limits of time, the health.
    lag_s
        How long after its time a quote may still come and be in order.
    snapshot_s
        Between two snapshots in the journal, so that a restart has little to replay.
    protect_s
        How long a position may be without its stop at the venue before it is closed.
    surplus_s
        How long a leg may work at the venue for more than the position before it is taken back.
    figures_s
        After a fill: when own figures must be the venue's.
    withdraw_s
        How long a hub may be away before entries that work are taken back.
    attempts
        Failed attempts in a row of a hub after which the account is flattened by REST.
    token_s
        Life of a token that cannot be renewed, with which a live session is flattened.
    unfed_s
        How long no contract may have data until the time counts as not covered.
    horizon_days
        How far the calendar of a session reaches.
    days
        Trading days to run.
    """

    poll_s: float = 1.0
    lag_s: float = 0.25
    snapshot_s: float = 900.0
    protect_s: float = 5.0
    surplus_s: float = 1.0
    figures_s: float = 3.0
    withdraw_s: float = 10.0
    attempts: int = 10
    token_s: float = 180.0
    unfed_s: float = 600.0
    horizon_days: int = 10
    days: int = 1
    fsync: str = "interval"
    threaded: bool = True

"""What paper would have filled: the orders of a live session, matched on its own recording.

The live session is run again from its journal. Whenever it makes an entry, the same order goes into
a *shadow*: an engine without strategy and limits, which matches on the recorded market as paper
does. Brackets are the shadow's own, made of its own fills; flattens and the strategy's cancels
follow the live session's. What was traded by hand is left out.

What is compared is the fill, not the decision: the live session decided once, for both.

I/O: none
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from pxresearch.brokers.session import EngineSession, Logs
from pxresearch.core import records as r
from pxresearch.core import venue
from pxresearch.drift.recording import TS, WHAT, Part, begun, tell
from pxresearch.journal import Header, build
from pxresearch.programmes import Programme
from pxresearch.strategy import Strategy

COPIED = (
    "limit", "stop", "trail", "tag", "bracket", "stop_ticks", "target_ticks", "stop_loss",
    "take_profit", "trailing_stop", "stop_distance",
)  # fmt: skip
"""Members of an entry that make it the same order, and its bracket the same bracket."""


class _Silent(Strategy):
    """A strategy that never says anything."""


class Shadow:
    """A live session and its double on paper, told the same market.

    Parameters
    ----------
    part
        Recording of a live session; `go_on` takes the next of the same day.

    Attributes
    ----------
    live, paper
        Both engines; their logs hold the fills to compare.
    """

    def __init__(self, part: Part) -> None:
        self.paper = build(_without_limits(part.header), _Silent)
        latency = part.header.fills.latency
        self._delays = [latency.samples(name).tolist() for name in ("feed", "entry")]
        self._ids: dict[int, int] = {}  # of a live entry: its double's
        self._cancelled: set[int] = set()
        self.go_on(part)

    def go_on(self, part: Part) -> None:
        """Take the live session up where a restart did; its double never stopped."""
        self.live = begun(part)
        self._made = self.live.engine["orders_made"]  # views: one look an input
        self._asked = self.live.engine["asked"]
        self._known = int(self._made[0])

    def tell(self, row: list[int]) -> None:
        """Tell one input: the live session all of it, its double the market and the clock."""
        asked, ts = int(self._asked[0]), row[TS]
        tell(self.live, row)
        if row[WHAT] in (r.QUOTES, r.TRADES, r.CLOCK):
            self.paper.tell(*row)
        if self._made[0] != self._known:
            self._follow_orders(ts)
        if self._asked[0] != asked:  # perhaps of an order made in the same moment
            self._follow_cancels(ts)

    # -------------------------------------------------------------- what the live session does
    def _follow_orders(self, ts: int) -> None:
        """Double the orders that have been made since the last look."""
        for order in _live_orders(self.live):
            if order["id"] <= self._known or order["cause"] in (r.BY_HAND, r.OVERFILLED):
                continue
            if order["role"] == r.ENTRY:
                self._double(order)
            elif order["role"] == r.EXIT:
                self._flatten(int(order["contract"]), int(order["cause"]), ts)
        self._known = int(self._made[0])

    def _double(self, order: Any) -> None:
        self.paper.drain(last=True)  # an entry of `venue` begins with empty logs
        k, side, qty = (int(order[name]) for name in ("contract", "side", "qty"))
        slot = venue.venue(
            *self.paper.address, venue.ADD, k, int(order["decided"]), side, qty,
            int(order["kind"]), 0,
        )  # fmt: skip
        double = self.paper.engine[0]["order"][slot]
        for name in COPIED:
            double[name] = order[name]
        number = int(order["id"])
        double["active_from"] += self._delay(number)
        self._ids[number] = int(double["id"])

    def _follow_cancels(self, ts: int) -> None:
        """Cancel the doubles of the entries that the live session has asked to cancel."""
        doubles = {int(o["id"]): o for o in _live_orders(self.paper)}
        for order in _live_orders(self.live):
            number = int(order["id"])
            if order["cancel_at"] == r.NEVER or number in self._cancelled:
                continue
            self._cancelled.add(number)
            double = doubles.get(self._ids.get(number, 0))
            if double is not None and double["cancel_at"] == r.NEVER:
                double["cancel_at"] = ts + self._delay(number)
                double["cancel_cause"] = order["cancel_cause"]
                self.paper.engine["cancels"] += 1

    def _delay(self, number: int) -> int:
        """Way of an order to the venue in paper's model, ns; a live engine knows none."""
        return sum(samples[(number - 1) % len(samples)] for samples in self._delays)

    def _flatten(self, k: int, cause: int, ts: int) -> None:
        """Flatten the double where the live session flattens, unless it does already."""
        if self.paper.engine[0]["contract"][k]["flattening"] == 0:
            self.paper.tell(r.COMMAND, k, ts, r.FLATTEN_NOW, cause)


def shadowed(recorded: Sequence[Part]) -> tuple[list[Logs], Logs]:
    """What the engines of a live session wrote, part by part, and what its double on paper did."""
    shadow = Shadow(recorded[0])
    live = []
    for number, part in enumerate(recorded):
        if number:
            shadow.go_on(part)
        for row in part.inputs.tolist():
            shadow.tell(row)
        shadow.live.tell(r.FINISH, a=0)
        live.append(shadow.live.logs())
    shadow.paper.tell(r.FINISH, a=0)
    return live, shadow.paper.logs()


def _live_orders(session: EngineSession) -> list[Any]:
    """Records of the orders that live, in the order of their ids; changes go to the engine."""
    state = session.engine[0]
    return [state["order"][slot] for slot in state["live"][: int(state["live_n"])]]


def _without_limits(header: Header) -> Header:
    """A paper session of the same hours, without limits: the live session has judged already."""
    own = header.programme
    free = Programme(
        name="shadow",
        kind="own",
        start_balance_micros=own.start_balance_micros,
        check_bracket_risk=False,
        flatten_margin_s=own.flatten_margin_s,
        no_open_margin_s=own.no_open_margin_s,
    )
    return msgspec.structs.replace(header, programme=free, parameters={}, live=False)

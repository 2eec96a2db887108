"""What the stream brings, one event after another, into the fold.

I/O: none; the stream and the broker have theirs.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from pxresearch import journal
from pxresearch.brokers.base import Input
from pxresearch.clock import NS
from pxresearch.core import records as r
from pxresearch.gateway.records import (
    Event,
    Gap,
    Hub,
    Notice,
    Quote,
    Resynced,
    Trade,
    Update,
)
from pxresearch.journal import Kind
from pxresearch.runner.account import adopt_account
from pxresearch.runner.doubt import Doubt
from pxresearch.runner.house import House
from pxresearch.runner.session import Session

_ON_THE_WAY = 100  # more orders than a dying process can have sent unseen


class Events:
    """The events of one session."""

    def __init__(self, session: Session, house: House) -> None:
        self._s, self._house = session, house
        self._doubts = [Doubt() for _ in session.listings]
        self._away = False
        self._tells = hasattr(session.plan.strategy, "on_gap")
        self._missing = [0 for _ in session.listings]  # since when, ns UTC; 0: nothing is
        if self._tells and (session.start.resumed or session.start.carried):
            # The last run may have been blind before it ended: what counts is what it saw last.
            seen = session.engine.engine["contract"][0]["event_ts"]
            self._missing = [int(seen[k]) for k in range(len(session.listings))]

    async def run(self, roll: Callable[[int], None]) -> None:
        """Take events in until the stream has stopped; `roll` begins another trading day."""
        s = self._s
        while events := await s.stream.get():
            told = False
            for event in events:
                if isinstance(event, Quote):
                    self._quote(event, roll)
                elif isinstance(event, Trade):
                    self._trade(event, roll)
                else:
                    self._other(event)
                    told = True
            if told:  # the stream's copy of the account is as far as the whole batch
                self._house.gate(s.timeline.now())

    # ------------------------------------------------------------ the market
    def _quote(self, quote: Quote, roll: Callable[[int], None]) -> None:
        s = self._s
        k = s.index.get(quote.contract_id)
        if k is None or (quote.bid is None and quote.ask is None):
            return
        sides = self._believed(k, quote.bid, quote.ask, quote)
        if sides == (None, None):
            return
        ts = self._time(quote)
        if ts >= s.day_end:
            roll(ts)
        if self._missing[k]:
            self._seen(k, ts, quote.received)
        s.received[k] = quote.received
        bid = r.NO_BID if sides[0] is None else sides[0]
        ask = r.NO_ASK if sides[1] is None else sides[1]
        s.day.counts["events"] += 1
        s.fold.market(r.QUOTES, k, ts, bid, ask, 0, 0, quote.received)

    def _trade(self, trade: Trade, roll: Callable[[int], None]) -> None:
        s = self._s
        k = s.index.get(trade.contract_id)
        if k is None or self._believed(k, trade.price, None, trade)[0] is None:
            return
        ts = self._time(trade)
        if ts >= s.day_end:
            roll(ts)
        if self._missing[k]:
            self._seen(k, ts, trade.received)
        s.received[k] = trade.received
        s.day.counts["events"] += 1
        s.fold.market(r.TRADES, k, ts, trade.price, trade.size, trade.side, 0, trade.received)

    def _believed(
        self, k: int, bid: int | None, ask: int | None, event: Quote | Trade
    ) -> tuple[int | None, int | None]:
        """Its prices, without those that cannot be any; what is passed over is told."""
        s, doubt = self._s, self._doubts[k]
        before, last = doubt.passed, doubt.last
        sides = doubt.take(bid, ask, event.received)
        if doubt.passed != before:
            s.fold.journal.write(Kind.NOTE, s.timeline.now(), {"passed_over": _plain(event)})
            far = bid if sides[0] is None and bid is not None else ask
            code, shown = s.listings[k].code, s.engine.feeds[k].contract.instrument.price_text
            near = "anything that can be" if last is None else f"the last price of {shown(last)}"
            text = f"{code}: {shown(far or 0)} is far from {near}"
            s.alarms("price", "warning", f"{text}: passed over", subject=code)
        return sides

    def _time(self, event: Quote | Trade) -> int:
        """Its engine time; a stamp that is not believed is told."""
        s, timeline = self._s, self._s.timeline
        before = timeline.doubted
        ts = timeline.event(event.ts, event.received)
        if timeline.doubted != before:
            ahead = (event.ts - event.received) / NS
            code = s.listings[s.index[event.contract_id]].code
            text = f"{code}: a quote or trade is stamped {ahead:,.0f} s ahead of our clock"
            s.alarms("clock", "warning", f"{text}: its receipt counts", subject=code)
        return ts

    def _miss(self, since: int) -> None:
        """Market data is missing from now on; a strategy that wants to know is told at its end."""
        if self._tells:
            self._missing = [min(since, one or since) for one in self._missing]

    def _seen(self, k: int, ts: int, received: int) -> None:
        """The first event of a contract after a gap, before it is told."""
        since, self._missing[k] = self._missing[k], 0
        self._s.fold.tell(Input(r.COMMAND, k, ts, r.GAP, since, received), received)

    # ------------------------------------------------------------ the account and the connection
    def _other(self, event: Event) -> None:
        s, now = self._s, self._s.timeline.now()
        if isinstance(event, Resynced):
            self._resynced(event)
        else:
            s.fold.journal.write(Kind.HUB, now, _told(event))
            if isinstance(event, Gap) and event.until is not None:
                s.fold.journal.write(Kind.GAP, now, _lacking(event))
        if isinstance(event, Update) and s.venue is not None and self._house.adopted:
            s.venue.saw(event.record)
            s.fold.settle(event.received)
        elif isinstance(event, Notice):
            s.alarms(event.kind, "warning", event.text)
        if isinstance(event, Gap):
            self._house.gate(now)
            if event.hub is Hub.MARKET:
                if not self._away:  # else it was noted when the hub went
                    self._miss(event.since)
                self._away = event.until is None

    def _resynced(self, event: Resynced) -> None:
        """The account was read: what is new goes to the engine before anything else does."""
        s, now = self._s, self._s.timeline.now()
        told = {"changes": list(event.changes), "learnt": len(event.learnt)}
        venue, mirror = s.venue, s.mirror
        if venue is None or mirror is None:
            return
        if not self._house.adopted:
            self._adopt()
        else:
            for record in event.learnt:
                venue.saw(record)
            venue.resynced()
        s.fold.settle(s.clock.now())
        strangers = [f"order {o.id} of {o.contract_id}" for o in venue.strangers()]
        s.fold.journal.write(Kind.RECONCILED, now, {**told, "strangers": strangers})
        if event.changes and self._house.adopted:
            s.alarms("reconciled", "warning", "; ".join(event.changes)[:500])

    def _adopt(self) -> None:
        """The first reading: the engine's account becomes the venue's."""
        s, now = self._s, self._s.timeline.now()
        venue, mirror = s.venue, s.mirror
        assert venue is not None
        assert mirror is not None
        fresh = not (s.start.resumed or s.start.carried)
        # A number is used once, also one whose row was lost with the disk or is on its way yet.
        last = max(int(s.engine.engine["orders_made"][0]), venue.last_number) + _ON_THE_WAY
        if not fresh:
            s.fold.tell(Input(r.COMMAND, 0, now, r.NUMBER_FROM, last), s.clock.now())
        venue.adopt(s.fold.outbox.live())
        if fresh:
            venue.book.told.update(mirror.fills)
            s.fold.journal.write(Kind.NOTE, now, {"told": sorted(venue.book.told)})
        else:
            for fill in sorted(mirror.fills.values(), key=lambda f: (f.ts, f.id)):
                venue.saw(fill)
            venue.resynced()
        s.fold.settle(s.clock.now())
        seed = adopt_account(
            s.engine, mirror, s.listings, s.engine.programme, now=now,
            day_start_ns=s.day_start, level=s.plan.max_loss_level, fresh=fresh,
            practice=s.at.profile.is_local,
        )  # fmt: skip
        for one in seed.inputs:
            s.fold.tell(one, s.clock.now())
        if seed.words:
            s.alarms("start", "warning", "At the start: " + "; ".join(seed.words))
        self._house.resume()


def _lacking(gap: Gap) -> journal.Gap:
    """A hub that is back: between the two times its events are lacking."""
    return journal.Gap(
        of=f"{gap.hub.value} hub", since=gap.since, until=gap.until or gap.since, missed=None,
        why=gap.reason,
    )  # fmt: skip


def _told(event: Event) -> dict[str, object]:
    kind = type(event).__name__.lower()
    if isinstance(event, Update):
        kind = type(event.record).__name__.lower()
    return {"event": kind, **_plain(event)}


def _plain(event: Event) -> dict[str, object]:
    told: dict[str, object] = msgspec.to_builtins(event)
    return told

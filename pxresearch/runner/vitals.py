"""Health, counts and alerts of one session: what a person sees of it.

I/O: through the status file and the alarms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pxresearch import measures
from pxresearch.brokers.base import Approved
from pxresearch.clock import NS
from pxresearch.core import records as r
from pxresearch.gateway.lookup import ALREADY
from pxresearch.gateway.records import Hub
from pxresearch.health import Health
from pxresearch.journal import Kind, SessionEnd
from pxresearch.monitor import Topic
from pxresearch.runner import look
from pxresearch.runner.outside import StatusFile
from pxresearch.runner.session import Session
from pxresearch.runner.venuecheck import refusal

_ROWS = {
    "accepted": Kind.RESPONSE, "rejected": Kind.RESPONSE, "unknown": Kind.RESPONSE,
    "request": Kind.REQUEST,
}  # fmt: skip
_ALARMS = {
    "ghost": ("critical", "order {order}, given up as lost, is at the venue: it is cancelled"),
    "voided": (
        "critical",
        "the venue took back fill {fill} of order {order}: see the platform",
    ),
    "trouble": ("warning", "{why}"),
}
_AGAIN = 1800 * NS


class Vitals:
    """The signs of life of one session."""

    def __init__(
        self, session: Session, status: StatusFile, on_health: Callable[[Health], None] | None
    ) -> None:
        self._s, self._status, self._on_health = session, status, on_health
        self._refusals: dict[str, int] = {}  # when a reason was told of

    # ------------------------------------------------------------ what happens
    def decided(self, name: str, row: Mapping[str, Any]) -> None:
        """One row of the engine's logs."""
        s = self._s
        if name in ("fills", "refusals"):
            s.day.counts[name] += 1
        if name == "refusals":
            self._refused(row)
        elif name == "risk":
            self._of_risk(row)
        elif name == "fills" and row["cause"] == r.CAUSES[r.BY_HAND]:
            code = s.listings[row["contract"]].code
            text = f"{code}: {row['side'] * row['qty']:+d} traded by hand; it counts for the limits"
            s.alarms("by hand", "warning", text, subject=code)

    def _refused(self, row: Mapping[str, Any]) -> None:
        s = self._s
        reason, now = str(row["reason"]), s.clock.now()
        side = "buy" if row["side"] > 0 else "sell"
        numbers = self._numbers(reason, row)
        text = f"{side} {row['qty']} {self._code(row['contract'])}" + (numbers and f": {numbers}")
        s.last_refusal = f"{reason} ({text})"
        # A locked day refuses at every bar: the journal has them all, a person needs one of them.
        if now - self._refusals.get(reason, now - _AGAIN) >= _AGAIN:
            self._refusals[reason] = now
            s.alarms.all(s.alarms.watch.refused(now, reason, text))

    def _code(self, k: int) -> str:
        listings = self._s.listings
        return listings[k].code if 0 <= k < len(listings) else f"contract {k}"

    def _numbers(self, name: str, row: Mapping[str, Any]) -> str:
        listings, k = self._s.listings, int(row["contract"])
        contract = listings[k].contract if 0 <= k < len(listings) else None
        instrument = contract and contract.instrument
        return measures.phrase(name, int(row["value"]), int(row["limit"]), instrument)

    def _of_risk(self, row: Mapping[str, Any]) -> None:
        s = self._s
        cause, k = str(row["cause"]), int(row["contract"])
        if cause != r.CAUSES[r.KILL_SWITCH]:  # the monitor tells of that by itself
            where = self._code(k) if k >= 0 else "everything"
            level = "info" if cause == r.CAUSES[r.DEADLINE] else "critical"
            s.alarms(
                Topic.FLATTEN, level, f"{cause.replace('_', ' ')}: {where} is closed",
                self._numbers(cause, row), cause,
            )  # fmt: skip
        if s.venue is not None:
            for each in range(len(s.listings)) if k < 0 else (k,):
                s.broker.flatten(each)

    def approved(self, order: Approved) -> None:
        """An order passed the risk manager."""
        s = self._s
        s.day.counts["orders"] += 1
        side = "buy" if order.side > 0 else "sell"
        if s.venue is None:
            self._would_be_refused(order)
        s.last_signal = (
            f"{side} {order.qty} {s.listings[order.contract].code} {r.ORDER_KINDS[order.kind]} "
            f"({r.ROLES[order.role]} {order.order})"
        )

    def _would_be_refused(self, order: Approved) -> None:
        s, k = self._s, order.contract
        last = int(s.engine.engine[0]["contract"][k]["last"])
        why = refusal(order, s.listings[k], s.at.profile, last)
        if why and why not in s.day.faults:
            s.day.faults.append(why)
            now = s.clock.now()
            s.alarms.all(s.alarms.watch.rejected(now, "the venue would refuse this order", why))

    def of_broker(self, kind: str, facts: Mapping[str, Any]) -> None:
        """What the broker has to say."""
        s, watch, now = self._s, self._s.alarms.watch, self._s.clock.now()
        row = _ROWS.get(kind, Kind.NOTE)
        s.fold.journal.write(row, s.timeline.now(), {"broker": kind, **facts})
        why = str(facts.get("why", ""))
        if kind == "rejected":
            reason = str(facts.get("reason", "not sent"))
            if (
                facts.get("what") != "cancel" or reason not in ALREADY
            ):  # else it came to what it should
                s.alarms.all(watch.rejected(now, reason, why))
        elif kind in ("flat", "not_flat"):
            text = str(facts.get("trouble") or "")
            code = self._code(int(facts["contract"]))
            s.alarms.all(watch.flattened(now, code, kind == "flat", text))
        elif kind in _ALARMS:
            level, words = _ALARMS[kind]
            s.alarms(kind, level, words.format_map(facts)[:300])

    # ------------------------------------------------------------ looking
    def look(self) -> None:
        """Tell how things are."""
        health, alarms = self.health(), self._s.alarms
        alarms.all(alarms.watch.look(health))
        alarms.beat(health.ts)
        self._status.put(health)
        if self._on_health is not None:
            self._on_health(health)

    def health(self) -> Health:
        """How things are now."""
        s, e = self._s, self._s.engine.engine[0]
        lines = look.lines(s.engine, s.clock.now(), s.received)
        opened = [line.open_pnl for line in lines]
        open_pnl = None if None in opened else sum(one or 0 for one in opened)
        balance, start = int(e["balance"]), int(e["day_start"])
        rules = e["rules"]
        limit = int(rules["daily_loss"]) if rules["has_daily_loss"] else None
        day = None if open_pnl is None else balance + open_pnl - start
        to_level = int(e["level"]) if rules["has_max_loss"] else None
        times = [at for at in look.flatten_times(s.engine, s.day.date) if at > s.timeline.now()]
        user, market = s.hub(Hub.USER), s.hub(Hub.MARKET)
        account = s.mirror.account if s.mirror is not None else None
        return Health(
            ts=s.clock.now(), account=s.plan.account,
            account_name=account.name if account is not None else str(s.plan.account),
            mode=s.plan.mode, strategy=s.plan.name, run=s.run, trading_day=s.day.date,
            contracts=lines, balance=balance, day_pnl=day,
            realized=balance - start + int(e["day_costs"]), open_pnl=open_pnl,
            costs=int(e["day_costs"]), daily_loss_limit=limit,
            day_room=None if limit is None or day is None else day + limit,
            max_loss_room=None if to_level is None or open_pnl is None
            else balance + open_pnl - to_level,
            flatten_at=min(times, default=None),
            user_hub=user.connected if user is not None else not s.plan.live,
            market_hub=market is not None and market.connected,
            reconciled=s.stream.reconciled, blocked=s.gate.reasons,
            unresolved=s.venue.unresolved if s.venue is not None else (),
            halted=bool(e["halted"]), locked=look.locked(s.engine),
            calls=dict(s.at.rest.calls.sent), order_ms=look.order_times(s.at.rest.calls),
            journal_lag_s=s.fold.journal.lag_s, journal_failed=s.fold.journal.failed,
            alerts_failed=s.alarms.failed, events=s.day.counts["events"],
            orders=s.day.counts["orders"],
            fills=s.day.counts["fills"], refusals=s.day.counts["refusals"],
            last_signal=s.last_signal, last_refusal=s.last_refusal,
        )  # fmt: skip

    def settle_faults(self) -> None:
        """What still stands in the way at the end of a day is a fault of that day."""
        s = self._s
        ending = f"{r.BLOCKS[r.ENDING.bit_length() - 1]}"
        s.day.faults.extend(text for text in s.gate.reasons if not text.startswith(ending))
        if s.engine.engine[0]["over"]:
            s.day.faults.append("the maximum loss limit was touched: the account would be over")

    def summary(self, done: SessionEnd) -> None:
        """Tell how a day went."""
        alarms = self._s.alarms
        alarms.all(alarms.watch.summary(self._s.clock.now(), done))

    def close(self) -> None:
        """Tell the last."""
        self._s.alarms.all(self._s.alarms.watch.close())
        self._status.put(self.health())

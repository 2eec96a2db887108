"""What is looked at again and again, because nothing would tell of it: limits, locks, silence.

Each look takes microseconds; whatever must wait (the venue, the disk) goes on beside the loop.

I/O: the account's folder.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pxresearch.accountdir import Box, Command, Latch
from pxresearch.accountdir.latch import check_release
from pxresearch.brokers.base import Input
from pxresearch.clock import NS
from pxresearch.core import records as r
from pxresearch.errors import GatewayError, UsageError
from pxresearch.gateway.records import Hub
from pxresearch.journal import Kind
from pxresearch.monitor import Topic
from pxresearch.runner.account import differences
from pxresearch.runner.figures import balance_off
from pxresearch.runner.flattimes import FlattenTimes
from pxresearch.runner.session import Session
from pxresearch.runner.tokenwatch import TokenWatch

_RULES = {"daily_loss": r.DAILY_LOSS_LIMIT, "max_order_qty": r.ORDER_QTY, "max_size": r.SIZE_TENTHS}


class House:
    """The looks of one session."""

    def __init__(self, session: Session) -> None:
        self._s = session
        clock = session.clock
        self._box = Box(session.folder, on_note=self._note)  # stamped by the machine's clock
        self._latch = Latch(session.folder)
        self._next_snapshot = clock.now() + round(session.settings.snapshot_s * NS)
        self._figures_due: int | None = None
        self._asking: asyncio.Task[None] | None = None
        self._differ = ""
        self._flat_times = FlattenTimes(session)
        self._lost = self._withdrawn = False
        self._token = TokenWatch(session, self.halt)
        self._too_many: dict[int, int] = {}
        self.adopted = not session.plan.live
        self.rearmed: Callable[[], None] = lambda: None

    # ------------------------------------------------------------ the start
    def begin(self) -> None:
        """Before anything is received: what is forbidden now."""
        now = self._s.timeline.now()
        self._kill_switch(now)
        self.gate(now)

    def resume(self) -> None:
        """The account has been adopted: go on with a flatten that the last run did not end."""
        s = self._s
        self.adopted = True
        e = s.engine.engine[0]
        for k in range(len(s.listings)):
            if e["halted"] or e["contract"][k]["flattening"]:
                s.broker.flatten(k)

    # ------------------------------------------------------------ the look
    def look(self) -> None:
        """Look at everything once."""
        s = self._s
        now = s.timeline.now()
        self.clock(now)
        self._commands(now)
        self._kill_switch(now)
        self._connection(now)
        self._token.look()
        self.gate(now)
        self._protection(now)
        self._surplus()
        if self.adopted:
            self._flat_times.look(now)
        self._figures()
        s.day.coverage.look(now, self._fed())
        if s.clock.now() >= self._next_snapshot:
            self._next_snapshot = s.clock.now() + round(s.settings.snapshot_s * NS)
            s.day.snapshot(now)

    def clock(self, now: int) -> None:
        """Let the engine's timers that are due fire."""
        s = self._s
        if now >= int(s.engine.engine["timer_ts"][0]):
            s.timeline.reached(now)
            s.fold.tell(Input(r.CLOCK, 0, now), s.clock.now())

    def next_timer(self) -> int:
        """When the engine's next timer is due, ns UTC."""
        return int(self._s.engine.engine["timer_ts"][0])

    def close(self) -> None:
        """Ask nobody any more."""
        if self._asking is not None:
            self._asking.cancel()

    # ------------------------------------------------------------ what blocks
    def gate(self, now: int) -> None:
        """Work out why nothing may open, and tell the engine if that has changed."""
        s, gate, changed = self._s, self._s.gate, False
        for bit, words in self._blocks():
            changed |= gate.set(bit, bool(words), now, words)
        if changed or gate.mask != int(s.engine.engine["blocked"][0]):
            s.fold.tell(Input(r.COMMAND, 0, now, r.BLOCK, gate.mask), s.clock.now())
            s.fold.journal.write(Kind.COMMAND, now, {"blocked": list(gate.reasons)})

    def _blocks(self) -> list[tuple[int, str]]:
        s = self._s
        found = [
            (r.NO_JOURNAL, s.fold.journal.failed or ""),
            (r.HUB_AWAY, self._away()),
            (r.ENDING, s.stopping),
        ]
        venue, mirror = s.venue, s.mirror
        if venue is None or mirror is None:
            return found
        exposed = {k: n for k, n in venue.exposed().items() if n}
        may = mirror.account is None or mirror.account.can_trade
        return [
            *found, (r.UNRECONCILED, self._unreconciled()),
            (r.UNKNOWN_OUTCOME, ", ".join(venue.unresolved)),
            (r.FIGURES_DIFFER, self._differ),
            (r.UNPROTECTED, ", ".join(
                f"{n} {s.listings[k].code} without a working stop" for k, n in exposed.items()
            )),
            (r.CANNOT_TRADE, "" if may else f"account {s.plan.account}"),
        ]  # fmt: skip

    def _away(self) -> str:
        away = [
            f"{hub.value} hub: {state.reason or 'not connected'}"
            for hub in Hub
            if (state := self._s.hub(hub)) is not None and not state.connected
        ]
        return "; ".join(away)

    def _unreconciled(self) -> str:
        s = self._s
        if not self.adopted:
            return "not read yet"
        if not s.stream.reconciled:
            return "it has to be read again"
        mirror, venue = s.mirror, s.venue
        if mirror is None or venue is None:
            return ""
        if venue.book.waiting():
            return f"{len(venue.book.waiting())} fills whose order is not known"
        found = differences(s.engine, mirror, s.listings)
        return "; ".join([*found, *s.stream.doubts])

    def _fed(self) -> bool:
        """Whether the session sees the market: a thin one may be silent for minutes, a hub not."""
        state = self._s.hub(Hub.MARKET)
        if state is None or not state.connected or state.last_data is None:
            return False
        silent = (self._s.clock.now() - state.last_data) / NS
        followed = not self._s.plan.live or self._s.stream.reconciled
        return followed and silent < self._s.settings.unfed_s

    # ------------------------------------------------------------ getting flat
    def _protection(self, now: int) -> None:
        """Close what has been without its stop for too long."""
        s = self._s
        if s.gate.age_s(r.UNPROTECTED, now) <= s.settings.protect_s or s.venue is None:
            return
        for k in s.venue.exposed():
            if k not in s.venue.flattening:
                code = s.listings[k].code
                text = f"{code}: its stop does not work at the venue; it is closed"
                s.alarms(Topic.PROTECTION, "critical", text, subject=code)
                self.flatten(k, r.NO_PROTECTION)

    def _surplus(self) -> None:
        """Take back legs that the venue should have taken back, once it had time to."""
        s = self._s
        if s.venue is None or not self.adopted or s.venue.unresolved:
            return
        now, found = s.clock.now(), s.venue.surplus()
        self._too_many = {one: self._too_many.get(one, now) for one in found}
        for venue_id, since in self._too_many.items():
            if now - since >= round(s.settings.surplus_s * NS):
                self._too_many[venue_id] = now
                s.venue.trim(venue_id, found[venue_id])

    def flatten(self, k: int, cause: int) -> None:
        """Flatten a contract, or all (-1), through the engine, and prove it at the venue."""
        s = self._s
        now = s.timeline.now()
        s.fold.tell(Input(r.COMMAND, k, now, r.FLATTEN_NOW, cause), s.clock.now())
        for each in range(len(s.listings)) if k < 0 else (k,):
            s.broker.flatten(each)

    def new_day(self) -> None:
        """Another trading day has begun."""
        self._flat_times.new_day()

    def _connection(self, now: int) -> None:
        """Too many failed attempts: flat by REST, and nothing opens until a person has looked."""
        s = self._s
        states = [state for hub in Hub if (state := s.hub(hub)) is not None]
        failed = max((state.attempts for state in states if not state.connected), default=0)
        self._withdraw(now)
        if failed < s.settings.attempts:
            self._lost = False
        elif not self._lost:
            self._lost = True
            why = f"{failed} attempts to connect a hub have failed"
            s.alarms(Topic.CONNECTION, "critical", f"{why}: flattening, and the kill switch is set")
            self.halt(why, r.CONNECTION_LOST)

    def _withdraw(self, now: int) -> None:
        """Entries that work while a hub is away are taken back; what protects is left (K15)."""
        s = self._s
        if s.gate.age_s(r.HUB_AWAY, now) < s.settings.withdraw_s:
            self._withdrawn = False
        elif s.venue is not None and self.adopted and not self._withdrawn:
            self._withdrawn = True
            for order in s.fold.outbox.live():
                if order.role == r.ENTRY:
                    s.venue.cancel(order.order)

    def halt(self, why: str, cause: int) -> None:
        """Set the kill switch, and flatten."""
        s = self._s
        now = s.timeline.now()
        try:
            self._latch.set(s.clock.now(), why=why, by=f"run {s.run}")
        except OSError as error:
            s.alarms(Topic.KILL_SWITCH, "critical", f"the kill switch cannot be stored: {error}")
        s.fold.journal.write(Kind.COMMAND, now, {"command": "halt", "why": why})
        s.fold.tell(Input(r.COMMAND, 0, now, r.HALT, cause), s.clock.now())
        for k in range(len(s.listings)):
            s.broker.flatten(k)

    def _kill_switch(self, now: int) -> None:
        """The switch may be set by another process; here it is only obeyed."""
        s = self._s
        if s.engine.engine["halted"][0]:
            return
        halt = self._latch.read()
        if halt is not None:
            s.fold.journal.write(Kind.COMMAND, now, {"command": "halt", "why": str(halt)})
            s.fold.tell(Input(r.COMMAND, 0, now, r.HALT, r.KILL_SWITCH), s.clock.now())
            for k in range(len(s.listings)):
                s.broker.flatten(k)

    # ------------------------------------------------------------ commands
    def _commands(self, now: int) -> None:
        for command in self._box.take():
            self._s.fold.journal.write(
                Kind.COMMAND, now,
                {"command": command.kind, "reason": command.reason, "by": command.by,
                 "rule": command.rule, "value": command.value},
            )  # fmt: skip
            self._obey(command, now)

    def _obey(self, command: Command, now: int) -> None:
        s = self._s
        if command.kind == "halt":
            self.halt(command.reason or "asked for", r.KILL_SWITCH)
        elif command.kind == "stop":
            s.stopping = s.stopping or (command.reason or "asked for from a second terminal")
        elif command.kind == "rearm":
            self._rearm(command, now)
        elif command.kind == "limit" and command.rule in _RULES:
            one = Input(r.COMMAND, 0, now, r.TIGHTEN, _RULES[command.rule], command.value)
            s.fold.tell(one, s.clock.now())

    def _rearm(self, command: Command, now: int) -> None:
        s = self._s
        halt = self._latch.read()
        try:
            if halt is not None:
                check_release(halt, command.reason, s.clock.now())
                self._latch.clear(command.reason, s.clock.now())
        except UsageError as error:
            self._note(f"the kill switch stays set: {error}")
            return
        s.fold.tell(Input(r.COMMAND, 0, now, r.REARM), s.clock.now())
        self.rearmed()
        s.alarms(Topic.KILL_SWITCH, "warning", f"the kill switch was released: {command.reason}")

    def _note(self, text: str) -> None:
        self._s.fold.journal.write(Kind.NOTE, self._s.timeline.now(), {"note": text})
        self._s.alarms("command", "warning", text)

    # ------------------------------------------------------------ own figures against the venue's
    def filled(self) -> None:
        """A fill: when its burst is over, own figures must be the venue's."""
        if self._s.plan.live:
            self._figures_due = self._s.clock.now() + round(self._s.settings.figures_s * NS)

    def _figures(self) -> None:
        s = self._s
        due = self._figures_due
        if due is None or s.clock.now() < due or not self.adopted or self._asking is not None:
            return
        if s.venue is None or s.venue.unresolved or s.venue.book.waiting():
            return
        if self._difference() == 0:
            self._figures_due, self._differ = None, ""
            return
        self._asking = asyncio.ensure_future(self._ask_balance())

    def _difference(self) -> int:
        """Own balance less the venue's, micro-dollars; see `figures`."""
        s, mirror = self._s, self._s.mirror
        if mirror is None or mirror.account is None:
            return 0
        return balance_off(s.engine, mirror, s.listings)

    async def _ask_balance(self) -> None:
        """The account's event may be late: ask before anything is believed."""
        s = self._s
        try:
            for row in await s.at.rest.accounts(only_active=False):
                if row.id == s.plan.account and s.mirror is not None:
                    s.mirror.apply(s.at.directory.account(row))
        except GatewayError as error:
            self._note(f"the balance cannot be read: {error}")
        finally:
            self._asking = None
        self._figures_due = s.clock.now() + round(s.settings.figures_s * NS)
        off = self._difference()
        before, self._differ = self._differ, f"{off / 1e6:+,.2f} USD" if off else ""
        if off and not before:
            text = f"own balance is {off / 1e6:+,.2f} USD off the venue's: nothing opens"
            s.alarms("figures", "critical", text)

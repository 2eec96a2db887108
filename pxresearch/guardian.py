"""A watchdog that brings an account to safety when the process that trades it hangs.

It is a thread with an event loop and connections of its own. The runner says three things, each by
one plain write: that it lives (`Guardian.beat`), what there is to lose and until when, and whether
it is flattening already (`Guardian.duty`). While it lives and does its duty the guardian does
nothing. When it has not been heard of for `hung_s` seconds:

- entries that work at the venue are withdrawn and protection is left (control K15), whatever the
  runner said there was to lose: it may have hung before it could say more;
- once a flatten time has come, or the runner was flattening, or the kill switch is set, the account
  is flattened if there is anything to lose, again and again until the venue shows it flat.

A runner that lives but has not begun to flatten `late_s` seconds after its time counts likewise.
Hanging is counted in looks, not by a clock, so neither a clock that was set nor a machine that
slept looks like it. A thread is enough: compiled strategies run without the interpreter's lock, and
plain Python gives it up every few milliseconds.

Times are ns UTC, spans seconds.

I/O: the network, the kill switch's file; two threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from enum import StrEnum

import msgspec

from pxresearch.accountdir.latch import Latch
from pxresearch.clock import Clock, WallClock
from pxresearch.errors import UsageError
from pxresearch.gateway.flatten import flatten
from pxresearch.gateway.rest import Rest
from pxresearch.gateway.withdraw import withdraw
from pxresearch.sessions import from_ns


class Act(StrEnum):
    """What a guardian does."""

    WITHDRAW = "withdraw"
    FLATTEN = "flatten"


class Duty(msgspec.Struct, frozen=True, kw_only=True):
    """What the runner has to see to; written whole, so never seen half.

    Attributes
    ----------
    exposed
        A position or a working order exists, or may: said before an order is sent.
    flatten_at
        Earliest flatten time of what is open; None without one.
    flattening
        Why the runner is flattening; empty when it is not.
    """

    exposed: bool = False
    flatten_at: int | None = None
    flattening: str = ""


class GuardSettings(msgspec.Struct, frozen=True, kw_only=True):
    """When a guardian acts; seconds.

    Attributes
    ----------
    look_s
        Between two looks at the runner.
    hung_s
        Without a beat, after which the runner counts as hung.
    late_s
        After a flatten time, when a runner that lives must have begun.
    limit_s
        Of one attempt to flatten; another follows.
    """

    look_s: float = 0.25
    hung_s: float = 5.0
    late_s: float = 15.0
    limit_s: float = 60.0

    def __post_init__(self) -> None:
        if not 0 < self.look_s <= min(self.hung_s, self.late_s) or self.limit_s <= 0:
            raise UsageError(
                f"times must be positive, and hung_s and late_s at least look_s; received {self}"
            )


class Guard:
    """The decisions of a guardian: pure, told everything."""

    def __init__(self, settings: GuardSettings) -> None:
        self._settings = settings
        self._beats = -1
        self._still = self._late = 0  # looks
        self._done: set[Act] = set()
        self._open = False  # as the venue has shown it since the last beat

    def look(self, now: int, beats: int, duty: Duty, *, halted: bool) -> tuple[Act, str] | None:
        """What has to be done now, and why; to be asked every `look_s` seconds.

        Parameters
        ----------
        now
            Session time.
        beats
            Beats of the runner so far.
        halted
            The kill switch is set.
        """
        if beats != self._beats:
            self._beats, self._still, self._open = beats, 0, False
            self._done.clear()
        else:
            self._still += 1
        due = duty.flatten_at is not None and now >= duty.flatten_at
        self._late = self._late + 1 if due and duty.exposed and not duty.flattening else 0
        if Act.FLATTEN in self._done:
            return None
        if self._still * self._settings.look_s >= self._settings.hung_s:
            return self._of_hung(due, duty, halted)
        if self._late * self._settings.look_s >= self._settings.late_s:
            return Act.FLATTEN, f"the flatten time {_utc(duty.flatten_at)} has passed unheeded"
        return None

    def _of_hung(self, due: bool, duty: Duty, halted: bool) -> tuple[Act, str] | None:
        hung = f"no sign of life for {self._still * self._settings.look_s:.0f} s"
        exposed = duty.exposed or self._open
        if exposed and duty.flattening:
            return Act.FLATTEN, f"{hung} while it flattened ({duty.flattening})"
        if exposed and halted:
            return Act.FLATTEN, f"{hung}, and the kill switch is set"
        if exposed and due:
            return Act.FLATTEN, f"{hung}, and its flatten time {_utc(duty.flatten_at)} has come"
        if Act.WITHDRAW not in self._done:
            return Act.WITHDRAW, hung
        return None

    def done(self, act: Act, *, left: bool = False) -> None:
        """The venue has shown that it is done; it need not be done again until the next beat.

        Parameters
        ----------
        left
            It showed a position or an order all the same.
        """
        self._done.add(act)
        self._late, self._open = 0, left


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a guardian does or has done.

    Attributes
    ----------
    ok
        None at the beginning; then whether the venue has shown it.
    text
        For a trader.
    """

    ts: int
    account: int
    act: Act
    ok: bool | None
    text: str


class Guardian:
    """The watchdog of one account.

    Parameters
    ----------
    account
        Id.
    make_rest
        Makes its own session with the gateway; called in its thread. `Rest.borrow` spares a second
        login, which might end the first.
    latch
        The kill switch; set before anything is flattened.
    clock
        Session time. Only read, and from another thread.
    on_report
        Called in the guardian's thread.

    Attributes
    ----------
    duty
        To be replaced by the runner whenever it changes.
    took_over
        Why the account was flattened over the runner's head; empty when it was not. A runner that
        finds it set when it wakes up sends nothing that adds exposure.
    """

    def __init__(
        self, account: int, make_rest: Callable[[], Rest], latch: Latch, *, clock: Clock,
        settings: GuardSettings | None = None, on_report: Callable[[Report], None] | None = None,
    ) -> None:  # fmt: skip
        self.duty = Duty()
        self.took_over = ""
        self._account, self._make_rest, self._latch = account, make_rest, latch
        self._clock, self._settings = clock, settings or GuardSettings()
        self._on_report = on_report
        self._guard = Guard(self._settings)
        self._beats, self._heard = 0, clock.now()
        self._halted = False
        self._stopping = threading.Event()
        name = f"guardian {account}"
        self._threads = [
            threading.Thread(target=self._act_when_due, name=name, daemon=True),
            threading.Thread(target=self._watch_latch, name=f"{name} latch", daemon=True),
        ]

    def start(self) -> None:
        """Begin to watch."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Watch no more; what is under way has `timeout_s` seconds to end."""
        self._stopping.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(timeout_s)

    def beat(self, now: int) -> None:
        """Say that the runner lives; `now` is for the report only."""
        self._beats += 1
        self._heard = now

    def release(self) -> None:
        """The account may be traded again: the kill switch has been released."""
        self.took_over = ""

    # ------------------------------------------------------------ its threads
    def _watch_latch(self) -> None:
        # A thread of its own: a disk that hangs must not hold up the other one.
        while not self._stopping.wait(self._settings.look_s):
            self._halted = self._latch.read() is not None

    def _act_when_due(self) -> None:
        try:
            asyncio.run(self._watch())
        except Exception as error:  # noqa: BLE001 - a watchdog that is gone has to be known
            self._tell(Act.FLATTEN, False, f"guardian: it ended, and watches no more: {error!r}")

    async def _watch(self) -> None:
        rest = self._make_rest()
        pace = WallClock()
        try:
            while not self._stopping.is_set():
                found = self._guard.look(
                    self._clock.now(), self._beats, self.duty, halted=self._halted
                )
                if found is not None:
                    await self._act(rest, *found)
                await pace.sleep(self._settings.look_s)
        finally:
            await rest.close()

    async def _act(self, rest: Rest, act: Act, why: str) -> None:
        heard = f"last heard of at {_utc(self._heard)}"
        self._tell(act, None, f"guardian: {_DOES[act]}; the runner: {why} ({heard})")
        try:
            if act is Act.FLATTEN:
                ok, text = await self._flatten(rest, why)
            else:
                ok, text = await self._withdraw(rest)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next attempt follows
            ok, text = False, f"it failed, and is tried again: {error!r}"
        self._tell(act, ok, f"guardian: {text}")

    async def _flatten(self, rest: Rest, why: str) -> tuple[bool, str]:
        self.took_over = why
        threading.Thread(target=self._set_latch, args=(why,), daemon=True).start()
        flat = await flatten(rest, self._account, clock=WallClock(), limit_s=self._settings.limit_s)
        if flat.verified:
            self._guard.done(Act.FLATTEN)
            return True, f"flat, and the venue shows it, after {flat.took_s:.1f} s"
        words = [one.last_word for one in flat.contracts if one.last_word]
        last = flat.trouble or "; ".join(words) or "it still shows orders or positions"
        return False, f"NOT FLAT after {flat.took_s:.0f} s, and tried again: {last}"

    async def _withdraw(self, rest: Rest) -> tuple[bool, str]:
        done = await withdraw(rest, self._account, clock=WallClock())
        if done.verified:
            self._guard.done(Act.WITHDRAW, left=done.left)
            kept = "protection left" if done.left else "and nothing is open"
            return True, f"{len(done.entries)} entries withdrawn, {kept}"
        return False, f"entries may still work, and it is tried again: {done.trouble or 'no end'}"

    def _set_latch(self, why: str) -> None:
        try:
            self._latch.set(self._clock.now(), why=why, by="guardian")
        except OSError as error:
            self._tell(Act.FLATTEN, None, f"guardian: the kill switch cannot be stored: {error}")

    def _tell(self, act: Act, ok: bool | None, text: str) -> None:
        report = Report(ts=self._clock.now(), account=self._account, act=act, ok=ok, text=text)
        if self._on_report is not None:
            with contextlib.suppress(Exception):  # of a runner that is past hearing it
                self._on_report(report)


_DOES = {
    Act.WITHDRAW: "entries are withdrawn, protection is left",
    Act.FLATTEN: "the account is flattened and the kill switch set",
}


def _utc(ts: int | None) -> str:
    return "-" if ts is None else from_ns(ts).isoformat(" ", "seconds")

"""What was sent and nobody knows yet: each case is looked up until the venue's answer is certain.

*Found* is found. *Not there* counts only after a while and after several looks, because a slow
venue may still be working on the request.

I/O: through the look-ups that it is given.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from pxresearch.clock import NS, Clock
from pxresearch.errors import GatewayError
from pxresearch.gateway.outcome import Accepted, Outcome, Rejected, Unknown
from pxresearch.gateway.pace import Elapsed

_LOOKS = 3  # empty look-ups before "not there" is believed


class DeskSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How an unknown outcome is looked up; seconds.

    Attributes
    ----------
    first_s, longest_s
        Pauses between look-ups, doubling.
    settle_s
        What is not there so long after the answer failed to come was not accepted.
    repeat_s
        The same for a cancel or a close, which may safely be sent a second time.
    give_up_s
        The venue cannot be asked for so long: the outcome stays unknown.
    """

    first_s: float = 0.25
    longest_s: float = 5.0
    settle_s: float = 30.0
    repeat_s: float = 10.0
    give_up_s: float = 600.0


class Case(msgspec.Struct, kw_only=True):
    """A request, and how it is looked up.

    Attributes
    ----------
    what
        The tag of an order, or the request in words.
    look
        Asks the venue; None while the answer settles nothing.
    absent
        What it means when that stays so for `settle_s`.
    """

    what: str
    look: Callable[[], Awaitable[Accepted | Rejected | None]]
    absent: Callable[[], Rejected | Unknown]
    settle_s: float
    being_asked: bool = False


class Pending:
    """The cases that are open."""

    def __init__(self, clock: Clock, settings: DeskSettings) -> None:
        self._clock, self._settings = clock, settings
        self._open: dict[str, Case] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """What is open, sorted."""
        return tuple(sorted(self._open))

    async def send(self, call: Awaitable[Outcome], case: Case) -> Outcome:
        """Outcome of a call, looked up if need be; open as well if it is cut off on its way."""
        try:
            outcome = await call
        except BaseException:
            self._open[case.what] = case
            raise
        if not isinstance(outcome, Unknown):
            return outcome
        self._open[case.what] = case
        return await self._resolve(case, outcome)

    async def settle(self) -> dict[str, Outcome]:
        """Look up again whatever is open and not being asked about; what became of each."""
        waiting = [case for case in self._open.values() if not case.being_asked]
        return {
            case.what: await self._resolve(case, Unknown(why=f"{case.what}: no answer"))
            for case in waiting
        }

    def give_back(self, what: str) -> bool:
        """Whether a case was open with nobody asking about it; it is closed now."""
        case = self._open.get(what)
        if case is None or case.being_asked:
            return False
        del self._open[what]
        return True

    async def _resolve(self, case: Case, unknown: Unknown) -> Outcome:
        case.being_asked = True
        try:
            outcome = await self._ask(case, unknown)
        finally:
            case.being_asked = False
        if not isinstance(outcome, Unknown) and self._open.get(case.what) is case:
            del self._open[case.what]
        return outcome

    async def _ask(self, case: Case, unknown: Unknown) -> Outcome:
        s, elapsed = self._settings, Elapsed(self._clock)
        pause, empty = s.first_s, 0
        while True:
            await self._clock.sleep(pause)
            elapsed.step(pause)
            pause = min(2 * pause, s.longest_s)
            try:
                found = await case.look()
            except GatewayError as error:
                if elapsed.ns >= s.give_up_s * NS:
                    why = f"{unknown.why}; and it cannot be looked up: {error}"
                    return Unknown(why=why, status=unknown.status)
                continue
            if found is not None:
                return found
            empty += 1
            if empty >= _LOOKS and elapsed.ns >= case.settle_s * NS:
                return case.absent()

"""The watch over one session: health and events in, alerts out, each thing told once.

Money is micro-dollars, times ns UTC.

I/O: none
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from pxresearch.alerts.alert import Alert, Level
from pxresearch.core.records import MICROS
from pxresearch.health import Health, Line
from pxresearch.journal import SessionEnd
from pxresearch.monitor.memory import Gathering, Spells, Steps
from pxresearch.monitor.topics import Thresholds, Topic
from pxresearch.monitor.troubles import troubles
from pxresearch.report.summary import duration, money
from pxresearch.sessions import CHICAGO, from_ns

_MINUTE = 60 * 1_000_000_000
_FAILED_ALERTS = (1, 10, 100, 1_000)


class Watch:
    """Decides what deserves an alert.

    Parameters
    ----------
    name
        Of the session, for example ``"paper 50KTC-17"``; every title begins with it, if given.
    thresholds
        From when on.
    max_loss_limit
        The programme's maximum loss, from which its shares are taken; None without one.
    """

    def __init__(
        self,
        name: str = "",
        *,
        thresholds: Thresholds | None = None,
        max_loss_limit: int | None = None,
    ) -> None:
        self._prefix = f"{name}: " if name else ""
        self._max_loss_limit = max_loss_limit
        self._thresholds = thresholds or Thresholds()
        self._spells, self._steps = Spells(), Steps()
        self._gathering = Gathering(self._thresholds.gather_s)

    @property
    def sound(self) -> bool:
        """Whether nothing was told that makes the session itself unsound: the heartbeat beats.

        A kill switch and a lock do not: they are the session doing its work.
        """
        return not any(trouble.sick for trouble in self._spells.told)

    def look(self, health: Health) -> list[Alert]:
        """What is to be told of a session as it stands. To be asked about once a second."""
        return [
            *self._troubles(health),
            *self._losses(health),
            *self._deadlines(health),
            *self._failed_alerts(health),
            *self._gathering.due(health.ts),
        ]

    def event(
        self, ts: int, topic: str, level: str, title: str, text: str = "", subject: str = ""
    ) -> list[Alert]:
        """What is to be told of something that happened.

        The first of a topic and subject is told at once; those that follow shortly are counted and
        told by `look`.
        """
        return self._gathering.take(self._alert(ts, topic, level, title, text, subject))

    def refused(self, ts: int, reason: str, text: str) -> list[Alert]:
        """The risk manager refused an order, for `reason`; `text` has the numbers."""
        return self.event(ts, Topic.REFUSED, Level.INFO, f"order refused: {reason}", text, reason)

    def rejected(self, ts: int, why: str, text: str) -> list[Alert]:
        """The venue rejected an order."""
        return self.event(ts, Topic.REJECTED, Level.WARNING, f"order rejected: {why}", text, why)

    def error(self, ts: int, what: str, error: BaseException, trace: int | str) -> list[Alert]:
        """Something raised; `trace` is the number under which the journal has the trace."""
        name = type(error).__name__
        return self.event(
            ts, Topic.ERROR, Level.CRITICAL, f"error in {what}: {name}",
            f"{error} (trace {trace}; 'pxresearch journal explain {trace}' shows it)",
            f"{what} {name}",
        )  # fmt: skip

    def drift(self, ts: int, metric: str, text: str) -> list[Alert]:
        """A metric of the session left what the backtest lets expect; `text` has both numbers."""
        return self.event(ts, Topic.DRIFT, Level.WARNING, f"drift of {metric}", text, metric)

    def flattened(self, ts: int, why: str, verified: bool, text: str = "") -> list[Alert]:
        """A flatten came to its end, verified by the venue or not."""
        if verified:
            return self.event(ts, Topic.FLAT, Level.INFO, f"flat, verified: {why}", text, why)
        return self.event(
            ts, Topic.FLAT, Level.CRITICAL, f"NOT verified flat: {why}",
            f"{text} Look at the platform now, and close by hand what is open.".strip(),
            f"not {why}",
        )  # fmt: skip

    def summary(self, ts: int, end: SessionEnd) -> list[Alert]:
        """The end of a session."""
        day = date.fromisoformat(str(end.date))
        sound = end.flat and not end.faults
        faults = f" Faults: {'; '.join(end.faults)}." if end.faults else ""
        return self.event(
            ts, Topic.SUMMARY, Level.INFO if sound else Level.WARNING,
            f"{day}: {_usd(end.day_pnl, sign=True)}, {end.fills} fills",
            f"Day P&L {_usd(end.day_pnl, sign=True)} after {_usd(end.costs)} costs, balance "
            f"{_usd(end.balance)}. {end.orders} orders, {end.fills} fills, {end.refusals} "
            f"refusals. {duration(end.covered_s)} of {duration(end.hours_s)} covered; "
            f"{'flat' if end.flat else 'NOT FLAT'}. Ended: {end.reason}.{faults}",
            str(end.date),
        )  # fmt: skip

    def close(self) -> list[Alert]:
        """What is still counted, at the end."""
        return self._gathering.due(None)

    def _troubles(self, health: Health) -> Iterator[Alert]:
        feeds = {(Topic.FEED.value, line.code): line for line in health.contracts}
        for key, line in feeds.items():
            if not line.session_open:
                self._spells.drop(key)
        held = () if health.market_hub else feeds
        begun, ended = self._spells.see(troubles(health, self._thresholds), health.ts, held)
        for one, lasted in ended:
            text = f"It lasted {duration(lasted)}."
            yield self._alert(health.ts, one.topic, Level.INFO, one.over, text, one.subject)
        for one in begun:
            yield self._alert(health.ts, one.topic, one.level, one.title, one.text, one.subject)

    def _losses(self, health: Health) -> Iterator[Alert]:
        for topic, limit, room in (
            (Topic.DAY_LOSS, health.daily_loss_limit, health.day_room),
            (Topic.MAX_LOSS, self._max_loss_limit, health.max_loss_room),
        ):
            if not limit or room is None:
                continue
            used = 100 * (limit - room)  # per cent of the limit, in exact numbers
            steps = self._thresholds.loss_percent
            step = self._steps.reach(
                (topic, health.trading_day), [used >= s * limit for s in steps]
            )
            if step is not None:
                yield self._alert(
                    health.ts, topic, _worse(step, steps), f"{topic}: {steps[step]:g} % used",
                    f"{_usd(room)} left of {_usd(limit)}; day P&L "
                    f"{'unknown' if health.day_pnl is None else _usd(health.day_pnl, sign=True)}. "
                    "At the limit everything is flattened and locked.",
                )  # fmt: skip

    def _deadlines(self, health: Health) -> Iterator[Alert]:
        minutes = self._thresholds.flatten_minutes
        ends: dict[int, list[str]] = {}
        for line in health.contracts:
            if line.flatten_at is not None and (line.position or line.working):
                ends.setdefault(line.flatten_at, []).append(_exposure(line))
        for end, exposed in sorted(ends.items()):
            left = end - health.ts
            step = self._steps.reach(
                (Topic.FLATTEN, end), [0 < left <= m * _MINUTE for m in minutes]
            )
            if step is not None:
                at = f"{from_ns(end).astimezone(CHICAGO):%H:%M:%S} Chicago"
                yield self._alert(
                    health.ts, Topic.FLATTEN, _worse(step, minutes),
                    f"flatten in {duration(left / 1e9)}",
                    f"At {at} everything is cancelled and closed: {', '.join(exposed)}.", at,
                )  # fmt: skip

    def _failed_alerts(self, health: Health) -> Iterator[Alert]:
        passed = [health.alerts_failed >= n for n in _FAILED_ALERTS]
        if self._steps.reach(Topic.ALERTS, passed) is not None:
            yield self._alert(
                health.ts, Topic.ALERTS, Level.WARNING, "alerts fail to be delivered",
                f"{health.alerts_failed:,} tries failed since the start; 'pxresearch alert test' "
                "shows which channel, and why.",
            )  # fmt: skip

    def _alert(
        self, ts: int, topic: str, level: str, title: str, text: str, subject: str = ""
    ) -> Alert:
        return Alert(
            ts=ts, kind=str(topic), level=str(level), title=self._prefix + title,
            text=text or title, key=f"{topic}: {subject}" if subject else str(topic),
        )  # fmt: skip


def _worse(step: int, steps: Sequence[float]) -> Level:
    """Level of a step: the last is critical."""
    return Level.CRITICAL if step == len(steps) - 1 else Level.WARNING


def _exposure(line: Line) -> str:
    return f"{line.code} {line.position:+}, {line.working} working"


def _usd(micros: int, *, sign: bool = False) -> str:
    return f"{money(micros / MICROS, sign)} USD"

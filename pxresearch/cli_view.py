"""The terminal of a running session: position, P&L against the limits, deadline, feed, refusals.

On a terminal it is drawn anew with each health; elsewhere a line a minute and each alert.

I/O: prints to stderr.
"""

from __future__ import annotations

import contextlib
import sys
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from pxresearch.cli_common import price, tell

if TYPE_CHECKING:
    from pxresearch.alerts import Alert
    from pxresearch.clock import Clock
    from pxresearch.health import Health, Line
    from pxresearch.runner import Plan

_EVERY_NS = 60_000_000_000
_BAR = 24


class View:
    """Shows a session; a context."""

    def __init__(self, plan: Plan, *, fancy: bool | None = None) -> None:
        self._fancy = sys.stderr.isatty() if fancy is None else fancy
        self._alerts: deque[Alert] = deque(maxlen=5)
        self._live: Any = None
        self._next = 0
        self.deliver = _Shown(self)
        tell(
            f"{plan.name} on {', '.join(plan.contracts)}, {plan.mode}, account {plan.account}, "
            f"rules {plan.programme.name}; Ctrl-C flattens and ends"
        )

    def __enter__(self) -> View:
        if self._fancy:
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(stderr=True), refresh_per_second=4)
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        if self._live is not None:
            self._live.__exit__(kind, error, trace)

    def show(self, health: Health) -> None:
        """Show how things are."""
        if self._live is not None:
            self._live.update(draw(health, list(self._alerts)))
        elif health.ts >= self._next:
            self._next = health.ts + _EVERY_NS
            tell(one_line(health))

    def alert(self, alert: Alert) -> None:
        """Show an alert."""
        self._alerts.append(alert)
        if self._live is None:
            text = alert.text.partition("\n")[0]
            said = f"{alert.title} ({text})" if text else alert.title
            tell(f"{_clock(alert.ts)} {alert.level}: {said}")


class _Shown:
    """Alerts go to the terminal, and to the channels of the user if there are any."""

    def __init__(self, view: View) -> None:
        self._view = view
        self.channels: Any = None
        self.heart: Any = None

    @property
    def failed(self) -> int:
        """Alerts that the channels could not deliver."""
        return 0 if self.channels is None else self.channels.failed

    def send(self, alert: Alert) -> None:
        """Show it, and pass it on."""
        self._view.alert(alert)
        if self.channels is not None:
            self.channels.send(alert)

    def beat(self, ts: int) -> None:
        """Pass a sign of life on."""
        if self.heart is not None:
            self.heart.beat(ts)


@contextlib.contextmanager
def channels_of(view: View, clock: Clock) -> Iterator[None]:
    """Connect a view to the user's channels of alerts and outside monitor, as far as there are."""
    from pxresearch.alerts import Alerts, channels, heartbeat

    found, heart = channels(), heartbeat()
    alerts = Alerts(found, clock=clock) if found else None
    view.deliver.channels, view.deliver.heart = alerts, heart
    try:
        yield
    finally:
        if alerts is not None:
            alerts.close(5.0)
        if heart is not None:
            heart.close()


# ------------------------------------------------------------------ text
def one_line(health: Health) -> str:
    """A health in one line."""
    held = ", ".join(f"{line.code} {line.position:+d}" for line in health.contracts)
    parts = [
        _clock(health.ts), held, f"day {_usd(health.day_pnl)}", f"events {health.events:,}",
        f"orders {health.orders}, fills {health.fills}, refusals {health.refusals}",
        f"REST {sum(health.calls.values())}",
    ]  # fmt: skip
    if health.flatten_at is not None:
        parts.append(f"flat in {_span((health.flatten_at - health.ts) / 1e9)}")
    if health.blocked:
        parts.append(f"BLOCKED: {health.blocked[0]}")
    if health.halted:
        parts.append("KILL SWITCH")
    if health.locked:
        parts.append(health.locked)
    return " | ".join(parts)


def draw(health: Health, alerts: list[Alert]) -> Any:
    """A health as a picture of the terminal."""
    from rich.console import Group
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    market = Table(box=None, pad_edge=False)
    for name in ("contract", "position", "bid", "ask", "open P&L", "stops", "feed"):
        market.add_column(name, justify="left" if name == "contract" else "right")
    for line in health.contracts:
        market.add_row(*_cells(line))
    money = Table.grid(padding=(0, 2))
    money.add_row("day P&L", _usd(health.day_pnl), "realized", _usd(health.realized),
                  "costs", _usd(health.costs))  # fmt: skip
    if health.daily_loss_limit is not None and health.day_room is not None:
        left = bar(health.day_room, health.daily_loss_limit)
        money.add_row(
            "daily loss limit", _usd(-health.daily_loss_limit), "left", _usd(health.day_room), left
        )
    if health.max_loss_room is not None:
        money.add_row("maximum loss level", "", "left", _usd(health.max_loss_room))
    state = Text()
    for text, good in _states(health):
        state.append(f" {text} ", style="green" if good else "bold white on red")
        state.append(" ")
    footer = Table.grid(padding=(0, 2))
    footer.add_row("last signal", health.last_signal or "-")
    footer.add_row("last refusal", health.last_refusal or "-")
    for alert in alerts:
        footer.add_row(f"{_clock(alert.ts)} {alert.level}", alert.title)
    title = f"{health.strategy} {health.mode.upper()} {health.account_name} {health.trading_day}"
    return Panel(
        Group(market, "", money, "", state, "", footer), title=title,
        subtitle=f"events {health.events:,}  orders {health.orders}  fills {health.fills}  "
        f"refusals {health.refusals}  REST {sum(health.calls.values())}",
        border_style="red" if health.mode == "live" else "cyan",
    )  # fmt: skip


def _cells(line: Line) -> list[str]:
    return [
        line.code, f"{line.position:+d}", price(line.code, line.bid), price(line.code, line.ask),
        _usd(line.open_pnl), str(line.protected),
        "-" if line.feed_age_s is None else f"{line.feed_age_s:.1f} s",
    ]  # fmt: skip


def _states(health: Health) -> list[tuple[str, bool]]:
    found = [("market hub", health.market_hub)]
    if health.mode == "live":
        found += [("user hub", health.user_hub), ("reconciled", health.reconciled)]
    if health.flatten_at is not None:
        left = (health.flatten_at - health.ts) / 1e9
        found.append((f"flat in {_span(left)}", left > 300))
    found += [(text, False) for text in health.blocked]
    if health.unresolved:
        found.append((f"unknown: {', '.join(health.unresolved)}", False))
    if health.halted:
        found.append(("KILL SWITCH", False))
    if health.locked:
        found.append((health.locked, False))
    if health.journal_failed:
        found.append((f"journal: {health.journal_failed}", False))
    return found


def bar(left: int, whole: int) -> str:
    """What is left of a limit, as a bar."""
    full = max(0, min(_BAR, round(_BAR * left / whole))) if whole > 0 else 0
    return "█" * full + "░" * (_BAR - full)


def _usd(micros: int | None) -> str:
    return "?" if micros is None else f"{micros / 1e6:+,.2f}"


def _clock(ts: int) -> str:
    from pxresearch.measures import clock_time

    return clock_time(ts)


def _span(seconds: float) -> str:
    whole = max(0, int(seconds))
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"

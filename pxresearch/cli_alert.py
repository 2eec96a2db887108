"""The verb ``alert test``: is what is configured delivered?

I/O: the environment, the keyring and the network; prints.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pxresearch.cli_common import JsonOption, quiet_stdout, say, say_json, table
from pxresearch.clock import NS
from pxresearch.errors import UsageError

if TYPE_CHECKING:
    from pxresearch.alerts import Attempt, Channel, Heartbeat

Row = dict[str, Any]

app = typer.Typer(
    help="Alerts: Telegram, e-mail, SMS, desktop ... one apprise URL each.", no_args_is_help=True
)


@app.callback()
def _group() -> None:
    """Keeps ``test`` a verb of its own."""


@app.command("test")
def try_out(
    timeout_s: Annotated[float, typer.Option("--timeout-s", help="Longest wait, seconds.")] = 30.0,
    json: JsonOption = False,
) -> None:
    """Send one alert on every channel. Exit code 1: one was not delivered.

    The channels come from PXRESEARCH_ALERTS, URLs of apprise with blanks between them, or from the
    keyring. A PXRESEARCH_HEARTBEAT URL is asked for as well.
    """
    if timeout_s <= 0:
        raise UsageError(f"--timeout-s: received {timeout_s:g}, allowed is a positive time")
    from pxresearch.alerts import channels, heartbeat

    with quiet_stdout(json):
        found, beat = channels(), heartbeat()
        if not found and beat is None:
            raise UsageError(
                "no channel: set PXRESEARCH_ALERTS to URLs of apprise, for example "
                "tgram://TOKEN/CHAT, or PXRESEARCH_HEARTBEAT to the URL of an outside monitor"
            )
        rows = _send(found, timeout_s)
        if beat is not None:
            rows.append(_beat(beat, timeout_s))
    if json:
        say_json({"ok": all(row["delivered"] for row in rows), "channels": rows})
    else:
        say(table(rows))
    if not all(row["delivered"] for row in rows):
        raise typer.Exit(1)


def _send(channels: Sequence[Channel], timeout_s: float) -> list[Row]:
    """One alert on each channel, each tried once."""
    from pxresearch.alerts import Alert, Alerts
    from pxresearch.clock import WallClock

    clock = WallClock()
    tried: dict[str, Attempt] = {}
    alerts = Alerts(
        channels, clock=clock, on_result=lambda one: tried.update({one.channel: one}), retry_s=()
    )
    alerts.send(
        Alert(
            ts=clock.now(), kind="test", level="info", title="pxresearch: test",
            text="This is what an alert looks like. Nothing has happened.", key="test",
        )
    )  # fmt: skip
    alerts.close(timeout_s)
    return [_row(one.name, tried.get(one.name), timeout_s) for one in channels]


def _row(name: str, attempt: Attempt | None, timeout_s: float) -> Row:
    if attempt is None:
        return _result(name, None, f"no answer within {timeout_s:g} s")
    return _result(name, round(attempt.seconds, 2), attempt.error)


def _beat(heartbeat: Heartbeat, timeout_s: float) -> Row:
    from pxresearch.clock import WallClock

    clock = WallClock()
    start = clock.now()
    heartbeat.beat(start)
    heartbeat.close(timeout_s)
    seconds = round((clock.now() - start) / NS, 2)
    silent = "" if heartbeat.sent else f"no answer within {timeout_s:g} s"
    return _result("heartbeat", seconds, heartbeat.last_error or silent)


def _result(channel: str, seconds: float | None, error: str) -> Row:
    return {"channel": channel, "delivered": not error, "seconds": seconds, "error": error}

"""``pxresearch simulator``: a local ProjectX Gateway for any client, until it is interrupted.

I/O: prints; serves on a port of 127.0.0.1; handles SIGINT and SIGTERM.
"""

from __future__ import annotations

import asyncio
import json as json_text
import signal
import sys
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pxresearch.cli_common import DEFAULT_CATALOG, CatalogOption, JsonOption, say
from pxresearch.errors import DataError, UsageError

if TYPE_CHECKING:
    from pxresearch.simulator.server import Simulator, SimulatorSettings


def simulator(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.")] = 8800,
    username: Annotated[str, typer.Option(help="Login name.")] = "trader",
    api_key: Annotated[str, typer.Option(help="Its key.")] = "secret",
    market: Annotated[
        str, typer.Option(help="demo, catalog (recorded data) or none (by hand).")
    ] = "demo",
    contract: Annotated[
        list[str] | None, typer.Option(help="Contract to play from the catalogue; repeatable.")
    ] = None,
    from_: Annotated[str | None, typer.Option("--from", help="First trading day.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="Last trading day.")] = None,
    catalog: CatalogOption = DEFAULT_CATALOG,
    clock: Annotated[
        str, typer.Option(help="now (the data is moved to now), data (its own time) or step.")
    ] = "now",
    speed: Annotated[float, typer.Option(help="With --clock data: so many times as fast.")] = 1.0,
    rate: Annotated[int, typer.Option(help="Made-up quotes a second, for load tests.")] = 0,
    always_open: Annotated[
        bool, typer.Option("--always-open", help="Trade at any hour, not by the calendar.")
    ] = False,
    account: Annotated[
        list[str] | None,
        typer.Option(help="KIND[:MODE[:BALANCE]], for example combine:position:50000; repeatable."),
    ] = None,
    user: Annotated[
        list[str] | None, typer.Option(help="NAME:KEY, a further login; repeatable.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Switch, for example answer_first=true; repeatable."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything that happens by chance.")] = 0,
    json: JsonOption = False,
) -> None:
    """Serve a local ProjectX Gateway: REST, both hubs and faults, until Ctrl-C."""
    from pxresearch.simulator.server import SimulatorSettings
    from pxresearch.simulator.settings import VenueSettings
    from pxresearch.simulator.switches import switched

    settings = SimulatorSettings(
        port=port, username=username, api_key=api_key, market=market, clock=clock, speed=speed,
        rate=rate, seed=seed, contracts=tuple(contract or ()), catalog=catalog,
        first=_day("--from", from_), last=_day("--to", to),
        accounts=_accounts(username, account or ()), users=[_user(one) for one in user or ()],
        venue=VenueSettings(always_open=always_open),
    )  # fmt: skip
    asyncio.run(_serve(switched(settings, set_ or ()), json))


async def _serve(settings: SimulatorSettings, json: bool) -> None:
    from pxresearch.simulator.server import start

    stop = _on_signal()
    try:
        async with start(settings) as running:
            say(_ready(running, json))
            sys.stdout.flush()
            await stop.wait()
    except OSError as error:
        raise DataError(
            f"cannot listen on port {settings.port} of 127.0.0.1 ({error.strerror}); choose "
            "another with --port, or --port 0 for a free one"
        ) from error


def _on_signal() -> asyncio.Event:
    """An event that Ctrl-C and a polite kill set, on every system."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    names = ("SIGINT", "SIGTERM", "SIGBREAK")
    for number in (getattr(signal, name) for name in names if hasattr(signal, name)):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    return stop


def _ready(running: Simulator, json: bool) -> str:
    facts = _facts(running)
    first = f"ready {running.url} user {running.username} account {running.account_id}"
    if json:
        return f"{first}\n{json_text.dumps(facts)}"
    settings = running.settings
    return "\n".join(
        [first, "", *_rows(facts), "", *_how_to(running), "",
         f"market {settings.market}, clock {settings.clock}; Ctrl-C ends it. docs/simulator.md"]
    )  # fmt: skip


def _facts(running: Simulator) -> dict[str, Any]:
    venue = running.venue
    return {
        "url": running.url,
        "userHub": f"{running.url}/hubs/user",
        "marketHub": f"{running.url}/hubs/market",
        "control": f"{running.url}/control",
        "username": running.username,
        "apiKey": running.api_key,
        "accounts": venue.exchange.account_ids,
        "contracts": [one for ids in venue.places for one in ids],
    }


def _rows(facts: dict[str, Any]) -> list[str]:
    labels = {
        "url": "REST", "userHub": "user hub", "marketHub": "market hub", "control": "control",
        "username": "user name", "apiKey": "api key", "accounts": "accounts",
        "contracts": "with a market",
    }  # fmt: skip
    return [
        f"  {label:<14}{', '.join(map(str, value)) if isinstance(value, list) else value}"
        for key, label in labels.items()
        for value in [facts[key]]
    ]


def _how_to(running: Simulator) -> list[str]:
    from pxresearch.simulator.pointers import pointers

    return pointers(running.url, running.username, running.api_key)


# ---------------------------------------------------------------- options
def _day(flag: str, text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{flag}: received {text!r}, allowed is a day such as 2026-09-14"
        ) from None


def _accounts(owner: str, wishes: list[str] | tuple[str, ...]) -> list[Any]:
    from pxresearch.simulator.accounts import AccountSpec
    from pxresearch.simulator.server import FIRST_ACCOUNT
    from pxresearch.simulator.settings import AccountKind, BracketMode

    made = []
    for number, wish in enumerate(wishes):
        kind, mode, balance, *rest = [*wish.split(":"), "", ""][: max(3, wish.count(":") + 1)]
        try:
            if rest:
                raise ValueError
            spec = AccountSpec(
                id=FIRST_ACCOUNT + number, owner=owner, kind=AccountKind(kind),
                bracket_mode=BracketMode(mode or BracketMode.AUTO_OCO),
                balance=Decimal(balance or 150_000),
            )  # fmt: skip
            made.append(spec)
        except (ValueError, InvalidOperation):
            raise UsageError(
                f"--account: received {wish!r}, allowed is KIND[:MODE[:BALANCE]] with KIND one of "
                f"{', '.join(AccountKind)}, MODE one of {', '.join(BracketMode)}, BALANCE dollars"
            ) from None
    return made


def _user(wish: str) -> Any:
    from pxresearch.simulator.users import User

    name, colon, key = wish.partition(":")
    if not (name and colon and key):
        raise UsageError("--user: allowed is NAME:KEY")
    return User(name=name, api_key=key)

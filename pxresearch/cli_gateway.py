"""The verbs that speak to a gateway: ``data download``, ``data record``, ``doctor``.

The credentials come from the environment or the system's keyring, never from the command line.

I/O: the network and the catalogue; prints; handles signals.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pxresearch.cli_common import (
    DEFAULT_CATALOG,
    CatalogOption,
    JsonOption,
    progress_bar,
    quiet_stdout,
    say,
    say_json,
    tell,
)
from pxresearch.errors import UsageError

if TYPE_CHECKING:
    from pxresearch.gateway.diagnosis import Diagnosis
    from pxresearch.gateway.download import Downloaded, Progress
    from pxresearch.gateway.profiles import Profile
    from pxresearch.gateway.recorder import Recorded

ProfileOption = Annotated[
    str,
    typer.Option("--profile", envvar="PXRESEARCH_PROFILE", help="Gateway: topstepx, simulator ..."),
]
UrlOption = Annotated[
    str | None, typer.Option("--url", help="Base URL of REST and both hubs, in place of its own.")
]
DEFAULT_PROFILE = "topstepx"


def download(
    contract: Annotated[
        str, typer.Argument(help="Code MNQZ26, or product MNQ for its active contract.")
    ],
    from_: Annotated[str, typer.Option("--from", help="First trading day.")],
    to: Annotated[
        str | None, typer.Option("--to", help="Last trading day; else the newest finished one.")
    ] = None,
    unit: Annotated[str, typer.Option(help="Length of a bar: 1s, 1m, 5m, 1h, 1d.")] = "1m",
    profile: ProfileOption = DEFAULT_PROFILE,
    url: UrlOption = None,
    catalog: CatalogOption = DEFAULT_CATALOG,
    json: JsonOption = False,
) -> None:
    """Fetch bars from the gateway; what is there is not fetched again.

    Finished sessions only. The credentials come from PROJECT_X_USERNAME and PROJECT_X_API_KEY.
    """
    days = _day("--from", from_), None if to is None else _day("--to", to)
    from pxresearch.gateway.profiles import profile as read_profile

    where = read_profile(profile, url=url)
    with quiet_stdout(json), progress_bar(f"{contract} {unit}", hidden=json) as update:
        report = asyncio.run(_download(where, contract, days, unit, catalog, update))
    if json:
        say_json({"catalog": str(catalog), **report.to_dict()})
    else:
        say(str(report))


async def _download(
    where: Profile, code: str, days: tuple[date, date | None], unit: str, catalog: Path,
    progress: Progress,
) -> Downloaded:  # fmt: skip
    from pxresearch.catalog import Catalog
    from pxresearch.clock import WallClock
    from pxresearch.gateway.credentials import credentials
    from pxresearch.gateway.download import download as fetch
    from pxresearch.gateway.history import find_listing
    from pxresearch.gateway.rest import Rest

    clock = WallClock()
    async with Rest(where, credentials(), clock=clock) as rest:
        listing = await find_listing(rest, code)
        return await fetch(
            rest, Catalog(catalog), listing, *days, unit, clock=clock, progress=progress
        )


def record(
    contracts: Annotated[
        list[str], typer.Argument(metavar="CONTRACT...", help="Codes, or products as MNQ.")
    ],
    for_: Annotated[
        str | None, typer.Option("--for", help="How long, as 90s, 30m or 8h; else until Ctrl-C.")
    ] = None,
    depth: Annotated[bool, typer.Option("--depth", help="Also changes of the book.")] = False,
    profile: ProfileOption = DEFAULT_PROFILE,
    url: UrlOption = None,
    catalog: CatalogOption = DEFAULT_CATALOG,
    json: JsonOption = False,
) -> None:
    """Record quotes, trades and depth from the market hub; a crash costs the last second at most.

    Ctrl-C ends it and stores what came. The credentials come from PROJECT_X_USERNAME and
    PROJECT_X_API_KEY.
    """
    seconds = None if for_ is None else _seconds(for_)
    from pxresearch.gateway.profiles import profile as read_profile

    where = read_profile(profile, url=url)
    with quiet_stdout(json):
        report = asyncio.run(_record(where, contracts, seconds, depth, catalog))
    if json:
        say_json({"catalog": str(catalog), **report.to_dict()})
    else:
        say(str(report))
    if report.kept:
        raise typer.Exit(1)


async def _record(
    where: Profile, codes: list[str], seconds: float | None, depth: bool, catalog: Path
) -> Recorded:
    from pxresearch.catalog import Catalog
    from pxresearch.clock import WallClock
    from pxresearch.gateway.contracts import Directory
    from pxresearch.gateway.credentials import credentials
    from pxresearch.gateway.hubs import Hubs, HubSettings
    from pxresearch.gateway.recorder import Recorder
    from pxresearch.gateway.records import Hub
    from pxresearch.gateway.rest import Rest

    clock = WallClock()
    async with Rest(where, credentials(), clock=clock) as rest:
        directory = Directory(await rest.available())
        listings = list({one.id: one for one in map(directory.find, codes)}.values())
        hubs = Hubs(where, rest, directory, clock=clock, settings=HubSettings(hubs=(Hub.MARKET,)))
        recorder = Recorder(
            hubs, Catalog(catalog), listings, clock=clock, depth=depth,
            on_note=lambda note: tell(str(note)),
        )  # fmt: skip
        tell(f"recording {', '.join(one.code for one in listings)}; Ctrl-C ends and stores it")
        with on_interrupt(recorder.stop):
            return await recorder.run(seconds)


def doctor(
    profile: ProfileOption = DEFAULT_PROFILE,
    url: UrlOption = None,
    account: Annotated[int | None, typer.Option(help="Id of the account that is to trade.")] = None,
    json: JsonOption = False,
) -> None:
    """Check credentials, account, contracts, hubs, clock, calendar and speed. Exit code 1: a fault.

    It reads and listens, and places no order.
    """
    from pxresearch.gateway.profiles import profile as read_profile

    where = read_profile(profile, url=url)
    with quiet_stdout(json):
        found = asyncio.run(_doctor(where, account))
    if json:
        say_json(found.to_dict())
    else:
        say(str(found))
    if not found.ok:
        raise typer.Exit(1)


async def _doctor(where: Profile, account: int | None) -> Diagnosis:
    from pxresearch.gateway.doctor import diagnose

    return await diagnose(where, account=account)


def _day(flag: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{flag}: received {text!r}, allowed is a day such as 2026-09-14"
        ) from None


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d{1,6})([smh])", text)
    if match is None or int(match[1]) == 0:
        raise UsageError(f"--for: received {text!r}, allowed are times such as 90s, 30m or 8h")
    return int(match[1]) * {"s": 1.0, "m": 60.0, "h": 3600.0}[match[2]]


@contextlib.contextmanager
def on_interrupt(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` in the running loop on Ctrl-C or SIGTERM, on Windows too."""
    loop = asyncio.get_running_loop()
    wanted = (signal.SIGINT, signal.SIGTERM)
    before = {one: signal.signal(one, lambda *_: loop.call_soon_threadsafe(stop)) for one in wanted}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)

"""Paper sessions of a strategy on the local simulator: a trading day in seconds, in one process.

It is `pxresearch trade` against `pxresearch simulator --clock step`, with both ends in this process
and real sockets between them; for a notebook, and to see a journal before there is an account.

I/O: listens on a free port of this machine; reads the catalogue; writes the state folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from pxresearch.brokers.fillmodel import FillModel
from pxresearch.gateway.contracts import Directory
from pxresearch.gateway.credentials import Credentials
from pxresearch.gateway.hubs import Hubs
from pxresearch.gateway.profiles import profile
from pxresearch.gateway.records import Hub
from pxresearch.gateway.rest import Rest
from pxresearch.programmes import Programme
from pxresearch.promotion import journals
from pxresearch.promotion_identity import source_hash
from pxresearch.runner import PAPER, Connection, Plan, Runner, RunnerSettings
from pxresearch.simulator.server import SimulatorSettings, start
from pxresearch.steering import POLL_S, follow
from pxresearch.strategy import Strategy


async def rehearse(
    strategy: Strategy, source: Path, contracts: Sequence[str], account: Programme, *,
    state: Path, first: date, last: date, catalog: Path = Path("data"),
    fills: FillModel | None = None, poll_s: float = POLL_S,
) -> list[Path]:  # fmt: skip
    """Run paper sessions on recorded days; their journals, oldest first.

    Parameters
    ----------
    strategy, source
        An instance, and the file that it is from.
    contracts
        Codes that the catalogue holds.
    account
        Its rules.
    state
        Folder of the state.
    first, last
        Trading days, both included.
    poll_s
        How often what has no event is looked at, in the venue's time; longer is quicker.

    Raises
    ------
    CatalogError
        Nothing is held for a contract and those days.
    """
    text = source.read_text(encoding="utf-8")
    settings = SimulatorSettings(
        port=0, market="catalog", contracts=tuple(contracts), first=first, last=last,
        catalog=catalog, clock="step",
    )  # fmt: skip
    async with start(settings) as venue:
        where = profile("simulator", url=venue.url)
        keys = Credentials(user_name=venue.username, api_key=venue.api_key)
        plan = Plan(
            strategy=strategy, source=text, source_hash=source_hash(text),
            contracts=tuple(contracts), programme=account, fills=fills or FillModel(), mode=PAPER,
            account=venue.account_id, state=state,
        )  # fmt: skip
        async with (
            follow(where, step=True, step_s=poll_s, late_s=poll_s, poll_s=poll_s) as pace,
            Rest(where, keys, clock=pace.clock, settings=pace.rest) as rest,
        ):
            directory = Directory(await rest.available())
            hubs = Hubs(where, rest, directory, clock=pace.clock, settings=pace.hubs((Hub.MARKET,)))
            runner = Runner(
                plan, Connection(profile=where, rest=rest, hubs=hubs, directory=directory),
                clock=pace.clock,
                settings=RunnerSettings(
                    days=_weekdays(first, last), poll_s=pace.poll_s, threaded=pace.threaded
                ),
            )  # fmt: skip
            await pace.run(runner.run(), rest, hubs)
        return journals(state / str(venue.account_id), PAPER)


def _weekdays(first: date, last: date) -> int:
    every = range(first.toordinal(), last.toordinal() + 1)
    return sum(date.fromordinal(day).weekday() < 5 for day in every)

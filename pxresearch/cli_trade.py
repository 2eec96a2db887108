"""``pxresearch trade``: paper on live quotes, or live with a flag.

I/O: the network, the state folder, the terminal; handles signals.
"""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from pxresearch.cli_common import DEFAULT_STATE, StateOption, say, table, tell
from pxresearch.cli_gateway import DEFAULT_PROFILE, ProfileOption, UrlOption, on_interrupt
from pxresearch.errors import PxError, UsageError

if TYPE_CHECKING:
    from pxresearch.cli_view import View
    from pxresearch.gateway.profiles import Profile
    from pxresearch.monitor import Thresholds
    from pxresearch.promotion import Identity
    from pxresearch.runner import Ended, Plan


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The arguments of one run, as typed."""

    strategy: str
    contracts: tuple[str, ...]
    account: int
    rules: str | None
    sets: tuple[str, ...]
    live: bool
    override: str | None
    level: str | None
    state: Path
    days: int
    compiled: bool
    reconcile_s: float
    fsync: str
    step: bool


def trade(
    strategy: Annotated[
        str, typer.Argument(metavar="STRATEGY", help="Shipped name, file.py or file.py:Class.")
    ],
    account: Annotated[int, typer.Option(help="Id of the account at the venue.")],
    contract: Annotated[
        list[str] | None, typer.Option(help="Code MNQZ26, or product MNQ; repeat for several.")
    ] = None,
    rules: Annotated[str | None, typer.Option(help="Account rules: combine-50k ...")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Strategy parameter, fast=10; repeatable.")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Send orders. Refused before five clean paper sessions.")
    ] = False,
    override: Annotated[
        str | None,
        typer.Option("--override", metavar="REASON", help="Go live without them; journaled."),
    ] = None,
    max_loss_level: Annotated[
        str | None, typer.Option(help="Maximum loss level in USD, as the platform shows it.")
    ] = None,
    days: Annotated[int, typer.Option(help="Trading days to run.")] = 1,
    profile: ProfileOption = DEFAULT_PROFILE,
    url: UrlOption = None,
    state: StateOption = DEFAULT_STATE,
    reconcile_s: Annotated[
        float, typer.Option("--reconcile-s", help="Between two readings of the account, seconds.")
    ] = 300.0,
    fsync: Annotated[
        str, typer.Option(help="When an intent is on the disk: interval (0.2 s) or always.")
    ] = "interval",
    step: Annotated[
        bool, typer.Option("--step", help="Move the clock of a simulator that stands still.")
    ] = False,
    uncompiled: Annotated[
        bool, typer.Option("--uncompiled", help="Run the strategy in plain Python.")
    ] = False,
) -> None:
    """Run a strategy on live quotes until the end of the trading day: on paper, or live.

    Ctrl-C flattens, proves it and ends. Exit code 0: the session came to its end and is flat.
    """
    if days < 1:
        raise UsageError(f"--days: received {days}, allowed is 1 or more")
    if override is not None and not live:
        raise UsageError("--override goes with --live; paper needs no permission")
    from pxresearch.gateway.profiles import profile as read_profile

    asked = _Asked(
        strategy=strategy, contracts=tuple(contract or ()), account=account, rules=rules,
        sets=tuple(set_ or ()), live=live, override=override, level=max_loss_level,
        state=state.expanduser(), days=days, compiled=not uncompiled, reconcile_s=reconcile_s,
        fsync=fsync, step=step,
    )  # fmt: skip
    ended = asyncio.run(_trade(read_profile(profile, url=url), asked))
    say(f"{ended.reason}; {'flat' if ended.flat else 'NOT PROVEN FLAT'}")
    if not ended.clean:
        raise typer.Exit(1)


async def _trade(where: Profile, asked: _Asked) -> Ended:
    from pxresearch.cli_view import View, channels_of
    from pxresearch.gateway.contracts import Directory
    from pxresearch.gateway.credentials import credentials
    from pxresearch.gateway.hubs import Hubs
    from pxresearch.gateway.records import Hub
    from pxresearch.gateway.rest import Rest
    from pxresearch.gateway.stream import StreamSettings
    from pxresearch.runner import Connection, Runner, RunnerSettings
    from pxresearch.steering import POLL_S, follow

    keys = credentials()
    # Nothing of a paper session reaches the market, so its steps may be long.
    longer = {} if asked.live else dict.fromkeys(("step_s", "late_s", "poll_s"), POLL_S)
    async with follow(where, step=asked.step, **longer) as pace:
        rest = Rest(where, keys, clock=pace.clock, settings=pace.rest, on_notice=tell)
        async with rest:
            directory = Directory(await rest.available())
            await _check_account(rest, asked.account, live=asked.live)
            plan, thresholds = _plan(asked, directory, pace.clock.now())
            hubs = Hubs(
                where, rest, directory, clock=pace.clock,
                settings=pace.hubs((Hub.USER, Hub.MARKET) if asked.live else (Hub.MARKET,)),
            )  # fmt: skip
            spare = None
            if asked.live and pace.threaded:
                spare = lambda: _spare(where, keys, rest)  # noqa: E731
            connection = Connection(
                profile=where, rest=rest, hubs=hubs, directory=directory, spare=spare
            )
            settings = RunnerSettings(
                days=asked.days, fsync=asked.fsync, poll_s=pace.poll_s, threaded=pace.threaded
            )
            with View(plan) as view, channels_of(view, pace.clock):
                runner = Runner(
                    plan, connection, clock=pace.clock, deliver=view.deliver, on_health=view.show,
                    settings=settings, stream=StreamSettings(reconcile_s=asked.reconcile_s),
                    thresholds=thresholds,
                )  # fmt: skip
                gc.collect()
                gc.freeze()  # what lives as long as the session is not looked through again
                with on_interrupt(runner.stop):
                    ended = await pace.run(runner.run(), rest, hubs)
                _tell_drift(plan, view, pace.clock.now())
                return ended


def _tell_drift(plan: Plan, view: View, now: int) -> None:
    """Replay the day from its recording and compare its fills; what drifts is an alert."""
    from pxresearch.accountdir import account_folder
    from pxresearch.drift.account import update
    from pxresearch.monitor import Watch

    try:
        report = update(account_folder(plan.state, plan.account))
    except PxError as error:
        tell(f"drift could not be checked: {error}")
        return
    watch = Watch(f"{plan.mode} {plan.account}")
    for metric in report.drifting:
        text = "'pxresearch status' shows the figures, its --figure the picture"
        for alert in watch.drift(now, metric, text):
            view.deliver.send(alert)
    checked = report.days.values()
    sessions = "session" if len(checked) == 1 else "sessions"
    tell(
        f"replayed from their recordings: {len(checked)} {sessions}, "
        f"{sum(not one.clean for one in checked)} with differences"
    )


def _spare(where: Profile, keys: Any, rest: Any) -> Any:
    """Another session with the gateway that uses the first one's token."""
    from pxresearch.gateway.rest import Rest

    other = Rest(where, keys)
    other.borrow(rest)
    return other


async def _check_account(rest: Any, account: int, *, live: bool) -> None:
    """The account is named by its owner, exists, and may trade."""
    rows = {row.id: row for row in await rest.accounts(only_active=False)}
    if account not in rows:
        listed = ", ".join(f"{row.id} ({row.name})" for row in rows.values()) or "none"
        raise UsageError(f"--account: received {account}; the accounts of this user are: {listed}")
    if live and not rows[account].can_trade:
        raise UsageError(f"account {account} ({rows[account].name}) may not trade, says the venue")


# ------------------------------------------------------------------ the plan
def _plan(asked: _Asked, directory: Any, now: int) -> tuple[Plan, Thresholds | None]:
    from pxresearch.brokers.fillmodel import FillModel, Latency
    from pxresearch.programmes import micros, programme
    from pxresearch.promotion import Identity, source_hash
    from pxresearch.runner import LIVE, PAPER, Plan
    from pxresearch.settings import find_strategy, load_settings
    from pxresearch.strategy import load_strategy

    path, name = find_strategy(asked.strategy)
    cls = load_strategy(f"{path}:{name}" if name else str(path))
    settings = load_settings(
        path.with_suffix(".toml"), cls._parameters, account=asked.rules,
        contracts=asked.contracts, sets=asked.sets,
    )  # fmt: skip
    if not settings.contracts:
        raise UsageError("no contract chosen: give --contract, for example --contract MNQZ26")
    feed, entry, ack = settings.fills.latency_ns()
    fills = FillModel(
        limit_fill=settings.fills.limit_fill, stop_trigger=settings.fills.stop_trigger,
        slippage_ticks=settings.fills.slippage_ticks, partial_fills=settings.fills.partial_fills,
        latency=Latency(feed=feed, entry=entry, ack=ack),
    )  # fmt: skip
    source = path.read_text(encoding="utf-8")
    strategy = cls(**settings.parameters)
    rules = programme(settings.account, **settings.account_changes)
    codes = tuple(directory.find(code).code for code in settings.contracts)
    identity = Identity(
        strategy=cls.__name__, source_hash=source_hash(source), parameters=strategy.parameters,
        contracts=codes, programme=rules, fills=fills,
    )  # fmt: skip
    rules, notes = _permitted(asked, identity, now)
    plan = Plan(
        strategy=strategy, source=source, source_hash=identity.source_hash, contracts=codes,
        programme=rules, fills=fills, mode=LIVE if asked.live else PAPER, account=asked.account,
        state=asked.state, compiled=asked.compiled, note=notes,
        max_loss_level=None if asked.level is None else micros("max_loss_level", asked.level),
    )  # fmt: skip
    return plan, settings.alerts


def _permitted(asked: _Asked, identity: Identity, now: int) -> tuple[Any, list[dict[str, object]]]:
    """Rules of the session, and notes for its journal; live needs five sessions, or a reason."""
    from pxresearch.accountdir import Limits, account_folder
    from pxresearch.promotion import judge, live_days, override
    from pxresearch.promotion_ramp import ramp
    from pxresearch.runner.build import day_number
    from pxresearch.sessions import trading_day

    folder = account_folder(asked.state, asked.account)
    rules, notes = identity.programme, []
    if asked.live:
        found = judge(folder, identity)
        if not found.ok:
            if found.rows:
                tell("paper sessions of this account:\n" + table([one.row() for one in found.rows]))
            if asked.override is None:
                raise NotPromoted(f"--live is refused: {found.missing}")
            notes.append(override(asked.override, found))
            tell(f"the five paper sessions are overridden: {asked.override}")
        rules, text = ramp(live_days(folder, identity, trading_day(now)), rules)
        tell(text)
        notes.append({"event": "ramp", "text": text})
        rules = Limits(folder).apply(rules, day_number(now))
    return rules, notes


class NotPromoted(PxError):
    """Live trading is refused for want of paper sessions."""

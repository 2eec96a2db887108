"""The verbs for a second terminal: ``flatten``, ``rearm``, ``limits``.

``flatten`` asks nothing of the process that trades. The other two drop a command that it takes
within a second, or when it starts.

I/O: the network and the state folder; prints.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pxresearch.cli_common import (
    DEFAULT_STATE,
    JsonOption,
    StateOption,
    quiet_stdout,
    say,
    say_json,
    table,
    tell,
)
from pxresearch.cli_gateway import DEFAULT_PROFILE, ProfileOption, UrlOption
from pxresearch.errors import UsageError

if TYPE_CHECKING:
    from pxresearch.accountdir import Box, Command
    from pxresearch.emergency import Ended
    from pxresearch.gateway.profiles import Profile

AccountOption = Annotated[int, typer.Option("--account", help="Id of the account.")]
_TAKEN_S = 5.0  # a process takes its commands once a second


def flatten(
    account: Annotated[int | None, typer.Option("--account", help="Id of the account.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every account of the user.")] = False,
    profile: ProfileOption = DEFAULT_PROFILE,
    url: UrlOption = None,
    state: StateOption = DEFAULT_STATE,
    reason: Annotated[str, typer.Option(help="Why; it is kept with the kill switch.")] = "",
    keep_armed: Annotated[
        bool, typer.Option("--keep-armed", help="Leave the kill switch off: a strategy goes on.")
    ] = False,
    limit_s: Annotated[float, typer.Option("--limit-s", help="When to give up, seconds.")] = 60.0,
    json: JsonOption = False,
) -> None:
    """Cancel and close everything. Exit code 0 only when the venue itself shows it flat.

    It works without the process that trades, which is halted by it until 'rearm'.
    """
    if account is None and not all_:
        raise UsageError("which account? give --account ID, or --all for every one")
    if limit_s <= 0:
        raise UsageError(f"--limit-s: received {limit_s:g}, allowed is a positive time")
    from pxresearch.gateway.profiles import profile as read_profile

    where = read_profile(profile, url=url)
    with quiet_stdout(json):
        found = asyncio.run(
            _flatten(where, account, all_, state, None if keep_armed else reason, limit_s)
        )
    if json:
        say_json(_to_dict(found))
    else:
        say(_text(found))
    if not all(one.flat.verified for one in found):
        raise typer.Exit(1)


async def _flatten(
    where: Profile, account: int | None, all_: bool, state: Path, reason: str | None,
    limit_s: float,
) -> list[Ended]:  # fmt: skip
    """Halt, then flatten; without a reason (None) nothing is halted."""
    from pxresearch.accountdir import account_ids
    from pxresearch.clock import WallClock
    from pxresearch.emergency import URGENT, flatten_accounts, halt, log_in
    from pxresearch.gateway.credentials import credentials
    from pxresearch.gateway.rest import Rest

    clock = WallClock()

    def stop(numbers: list[int]) -> None:
        if reason is not None:
            why = reason or "pxresearch flatten"
            halt(state, numbers, why=why, clock=clock, on_trouble=tell)

    wanted = [] if account is None else [account]
    stop([*account_ids(state), *wanted] if all_ else wanted)
    rest = Rest(where, credentials(), clock=clock, settings=URGENT)
    try:
        await log_in(rest)
        if all_:
            wanted = sorted({*wanted, *(one.id for one in await rest.accounts())})
            stop(wanted)
        tell(f"flattening account {', '.join(map(str, wanted))}")
        return await flatten_accounts(rest, wanted, clock=clock, limit_s=limit_s)
    finally:
        await rest.close()


def _to_dict(found: list[Ended]) -> dict[str, Any]:
    import msgspec

    rows = [{"account": one.account, **msgspec.to_builtins(one.flat)} for one in found]
    return {"flat": all(one.flat.verified for one in found), "accounts": rows}


def _text(found: list[Ended]) -> str:
    rows = [
        {
            "account": str(one.account), "contract": proof.contract_id,
            "cancelled": proof.cancelled, "closed": proof.closed,
            "flat": "yes" if proof.flat else "NO", "last word of the venue": proof.last_word,
        }
        for one in found
        for proof in one.flat.contracts
    ]  # fmt: skip
    return "\n".join([*([table(rows)] if rows else []), *map(_verdict, found)])


def _verdict(one: Ended) -> str:
    flat = one.flat
    if flat.verified:
        nothing = "" if flat.contracts else "nothing was open; "
        return f"account {one.account}: {nothing}flat, verified in {flat.took_s:.1f} s"
    why = f": {flat.trouble}" if flat.trouble else ""
    return (
        f"account {one.account}: NOT FLAT after {flat.took_s:.0f} s{why}. Close it in the "
        "platform, or call the firm's trade desk, and run this again"
    )


def rearm(
    account: AccountOption,
    reason: Annotated[
        str, typer.Option(help="Why; needed on the trading day on which it was halted.")
    ] = "",
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Release the kill switch of an account; the journal keeps the reason."""
    from pxresearch.accountdir import Box, Latch, account_folder, account_ids
    from pxresearch.accountdir.latch import check_release
    from pxresearch.clock import WallClock

    if account not in (known := account_ids(state)):
        raise UsageError(
            f"account {account} has no state in {state}; there is: "
            f"{', '.join(map(str, known)) or 'none'}"
        )
    folder, clock = account_folder(state, account), WallClock()
    held = Latch(folder).read()
    if held is None:
        say(f"account {account} is not halted")
        return
    check_release(held, reason, clock.now())
    box = Box(folder, clock=clock)
    command = box.send("rearm", reason=reason, by="pxresearch rearm")
    say(f"account {account}: the kill switch is released {_when(box, command, folder)}")


def _when(box: Box, command: Command, folder: Path) -> str:
    from pxresearch.accountdir import owner
    from pxresearch.clock import NS, WallClock

    async def taken() -> bool:
        clock = WallClock()
        until = clock.now() + round(_TAKEN_S * NS)
        while box.waiting(command) and clock.now() < until:
            await clock.sleep(0.1)
        return not box.waiting(command)

    holder = owner(folder)
    if holder is None:
        return "when it is traded again"
    if asyncio.run(taken()):
        return f"now ({holder})"
    return f"once {holder} takes the command, which it has not within {_TAKEN_S:g} s"


def limits(
    account: AccountOption,
    daily_loss: Annotated[str | None, typer.Option(help="Daily loss limit, USD.")] = None,
    max_order_qty: Annotated[
        int | None, typer.Option(min=1, help="Contracts in one order.")
    ] = None,
    max_size: Annotated[
        str | None, typer.Option(help="Position in minis; 0.1 is one micro.")
    ] = None,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Tighten limits of an account at once, or loosen them from the next trading day on."""
    asked = {
        "daily_loss": _amount("--daily-loss", daily_loss, _MICROS),
        "max_order_qty": max_order_qty,
        "max_size": _amount("--max-size", max_size, 10),
    }
    wanted = {rule: value for rule, value in asked.items() if value is not None}
    if not wanted:
        raise UsageError("which limit? give for example --daily-loss 500")
    from pxresearch.accountdir import Box, Limits, account_folder, owner

    folder = account_folder(state, account)
    day = _trading_day(folder)
    for rule, value in wanted.items():
        answer = Limits(folder).ask(rule, value, day)
        if not answer.now:
            say(
                f"{rule} {_shown(rule, value)}: from the next trading day on. It is looser than "
                f"{_shown(rule, answer.standing or 0)}, which holds until the end of {day}"
            )
        elif owner(folder) is None:
            say(f"{rule} {_shown(rule, value)}: holds from now on")
        else:
            box = Box(folder)
            command = box.send("limit", rule=rule, value=value, by="pxresearch limits")
            say(f"{rule} {_shown(rule, value)}: tightened {_when(box, command, folder)}")


_MICROS = 1_000_000


def _amount(flag: str, text: str | None, scale: int) -> int | None:
    if text is None:
        return None
    try:
        value = Decimal(text) * scale
    except ArithmeticError:
        raise UsageError(f"{flag}: received {text!r}, allowed is a number such as 500") from None
    if not value.is_finite() or value != value.to_integral_value() or value <= 0:
        raise UsageError(
            f"{flag}: received {text!r}, allowed is a positive multiple of {Decimal(1) / scale:f}"
        )
    return int(value)


def _shown(rule: str, value: int) -> str:
    if rule == "daily_loss":
        return f"{Decimal(value) / _MICROS:,.2f} USD"
    return f"{Decimal(value) / 10} minis" if rule == "max_size" else f"{value} contracts"


def _trading_day(folder: Path) -> int:
    """Trading day of the session that runs, whose clock may not be the machine's; else today's."""
    import msgspec

    from pxresearch.accountdir import owner
    from pxresearch.accountdir.latch import day_number
    from pxresearch.clock import WallClock
    from pxresearch.health import Health

    if owner(folder) is not None:
        try:
            status = (folder / "status.json").read_bytes()
            return msgspec.json.decode(status, type=Health).trading_day
        except (OSError, msgspec.DecodeError):
            tell("how the session that runs stands cannot be read; the machine's date is taken")
    return day_number(WallClock().now())

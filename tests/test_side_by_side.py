"""Several accounts, several terminals: each session has its own fate, and a second hand is obeyed.

Live sessions over real sockets on the simulator's time; what is believed is the venue's own state.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pxresearch.accountdir import Box, Latch
from pxresearch.errors import AccountInUse
from pxresearch.journal import Kind, read
from tests.session_kit import ACCOUNT, OTHER, Floor, floor, run

pytestmark = pytest.mark.slow
KEYS = {"PROJECT_X_USERNAME": "trader", "PROJECT_X_API_KEY": "secret"}


async def command(place: Floor, verb: str, *words: object) -> tuple[int, str]:
    """Exit code of a command from a second terminal, and all that it said."""
    line = [sys.executable, "-m", "pxresearch.cli", verb, *map(str, words)]
    line += ["--account", str(ACCOUNT), "--state", str(place.state)]
    done = await asyncio.to_thread(
        subprocess.run, line, env={**os.environ, **KEYS}, text=True, encoding="utf-8", check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return done.returncode, done.stdout


def at_the_venue(place: Floor) -> tuple[object, ...]:
    return ("--profile", "simulator", "--url", place.venue.url)


def test_the_fault_of_one_account_leaves_the_other_running(tmp_path: Path) -> None:
    """One strategy raises: its account is flattened and its run fails; the other keeps its stop."""

    async def main() -> None:
        async with floor(tmp_path) as place:
            bad, good = place.session(ACCOUNT, raises_after=20), place.session(OTHER)

            async def both() -> None:
                other = asyncio.ensure_future(good.runner.run())
                failed = await bad.runner.run()
                assert (failed.clean, failed.flat) == (False, True)
                assert "does not know what to do" in failed.reason
                assert (place.held(ACCOUNT), place.working(ACCOUNT)) == (0, [])
                halt = Latch(bad.folder).read()  # so it stays, whatever starts it again
                assert halt is not None
                assert "the strategy raised" in halt.why
                before = len(good.healths)
                await place.until(lambda: len(good.healths) > before + 60)
                assert good.health.contracts[0].position == place.held(OTHER) == 1
                assert good.health.contracts[0].protected == 1
                assert len(place.working(OTHER)) == 2  # stop and target
                assert (good.health.blocked, good.health.halted) == ((), False)
                good.runner.stop("enough")
                ended = await other
                assert (ended.clean, ended.flat, ended.reason) == (True, True, "enough")

            await place.drive(both())
            assert (place.held(OTHER), place.working(OTHER)) == (0, [])
            (error,) = bad.rows(Kind.ERROR)
            assert "Traceback" in error.data["trace"]
            assert good.rows(Kind.ERROR) == []
            (end,) = good.rows(Kind.END)
            assert end.data.faults == ()

    run(main)


def test_a_second_instance_is_refused_and_told_whose_the_account_is(tmp_path: Path) -> None:
    """The first one is not disturbed; another account is free."""

    async def main() -> None:
        async with floor(tmp_path) as place:
            first, second = place.session(), place.session(mode="paper")

            async def work() -> None:
                running = asyncio.ensure_future(first.runner.run())
                await place.until(lambda: place.held() == 1)
                with pytest.raises(AccountInUse, match=rf"process {os.getpid()} .* live"):
                    await second.runner.run()
                code, said = await command(
                    place, "trade", place.file, "--contract", "MNQZ26", "--rules", "combine-50k",
                    *at_the_venue(place),
                )  # fmt: skip
                assert (code, f"process {os.getpid()}" in said) == (1, True)
                assert place.held() == 1
                first.runner.stop()
                assert (await running).clean

            await place.drive(work())

    run(main)


def test_flatten_from_a_second_terminal_and_rearm(tmp_path: Path) -> None:
    """Flat by the venue's word, halted in the running session and in the next, until rearmed."""

    async def main() -> None:
        async with floor(tmp_path) as place:
            one = place.session()

            async def first() -> None:
                running = asyncio.ensure_future(one.runner.run())
                await place.until(lambda: place.held() == 1)
                code, said = await command(
                    place, "flatten", "--reason", "the news was bad", *at_the_venue(place)
                )
                assert (code, "flat, verified" in said) == (0, True)
                await place.until(lambda: one.health.halted)
                assert (place.held(), place.working()) == (0, [])
                sent = len(place.truth()["orders"])
                await place.until(lambda: one.health.contracts[0].position == 0)
                await place.one.clock.sleep(1_800.0)
                assert len(place.truth()["orders"]) == sent  # it wants to buy every minute
                assert one.health.refusals > 10
                one.runner.stop()
                ended = await running
                assert (ended.clean, ended.flat) == (True, True)

            await place.drive(first())
            assert Latch(one.folder).read() is not None
            again = place.session()

            async def second() -> None:
                running = asyncio.ensure_future(again.runner.run())
                await place.until(lambda: again.healths)
                await place.one.clock.sleep(600.0)
                assert (again.health.halted, place.held()) == (True, 0)
                code, _ = await command(place, "rearm", "--reason", "spoke with the risk desk")
                assert code == 0
                await place.until(lambda: place.held() == 1)
                assert not again.health.halted
                again.runner.stop()
                assert (await running).clean

            await place.drive(second())
            told = [row.data for row in again.rows(Kind.COMMAND)]
            assert "spoke with the risk desk" in str(told)
            assert Latch(one.folder).read() is None

    run(main)


def test_a_limit_is_tightened_and_a_stop_obeyed_from_a_second_terminal(tmp_path: Path) -> None:
    """A size of nothing lets nothing open; what is open stays protected until the stop."""

    async def main() -> None:
        async with floor(tmp_path) as place:
            one = place.session()
            box = Box(one.folder)

            async def work() -> None:
                running = asyncio.ensure_future(one.runner.run())
                await place.until(lambda: place.held() == 1)
                code, said = await command(place, "limits", "--daily-loss", "100")
                assert code == 0, said
                await place.until(lambda: one.health.daily_loss_limit == 100_000_000)
                code, said = await command(place, "limits", "--daily-loss", "900")
                await place.one.clock.sleep(300.0)
                assert one.health.daily_loss_limit == 100_000_000  # looser only from tomorrow on
                box.send("stop", reason="home for dinner", by="the test")
                ended = await running
                assert (ended.reason, ended.clean, ended.flat) == ("home for dinner", True, True)
                assert (place.held(), place.working()) == (0, [])

            await place.drive(work())

    run(main)


def test_an_override_needs_a_reason_which_the_journal_keeps(tmp_path: Path) -> None:
    """S95: without five sessions and a reason nothing is sent; with one, by the command, it is."""

    async def main() -> None:
        async with floor(tmp_path) as place:
            words = (
                "trade", place.file, "--contract", "MNQZ26", "--rules", "combine-50k", "--live",
                "--step", *at_the_venue(place),
            )  # fmt: skip
            code, said = await command(place, *words)
            assert (code, "0 of 5" in said) == (1, True)
            code, said = await command(place, *words, "--override", "because")
            assert (code, "reason" in said) == (2, True)
            assert place.truth()["orders"] == []
            reason = "the fifth session was cut by a power failure"
            running = asyncio.ensure_future(command(place, *words, "--override", reason))
            while place.held() == 0 and not running.done():
                await asyncio.sleep(0.05)
            Box(place.state / str(ACCOUNT)).send("stop", reason="enough", by="the test")
            code, said = await running
            assert (code, "enough; flat" in said) == (0, True), said
            assert (place.held(), place.working()) == (0, [])
            (journal,) = (place.state / str(ACCOUNT)).glob("live-*.journal")
            notes = [row.data for row in read(journal, (Kind.NOTE,))]
            (kept,) = [note for note in notes if note.get("event") == "promotion_override"]
            assert (kept["reason"], kept["counted"]) == (reason, 0)

    run(main)

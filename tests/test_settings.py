"""Settings: a TOML file beside the strategy, then the flags; every slip is an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from pxresearch.errors import UnknownName, UsageError
from pxresearch.monitor import Thresholds
from pxresearch.programmes import programme
from pxresearch.settings import (
    Fills,
    Settings,
    find_strategy,
    load_settings,
    parse_set,
)

TYPES = {"fast": int, "share": float, "both_ways": bool}


def settings(tmp_path: Path, text: str, **flags: object) -> Settings:
    """Settings from TOML text and flags."""
    file = tmp_path / "s.toml"
    file.write_text(text, encoding="utf-8")
    return load_settings(file, TYPES, **flags)  # type: ignore[arg-type]


FULL = """
account = "combine-50k"
contracts = ["MNQZ26"]
[parameters]
fast = 20
share = 1
[account_changes]
daily_loss_limit = 800
daily_profit_lock = "off"
[fills]
limit_fill = "touch"
slippage_ticks = 1
latency_ms = 20
"""


def test_a_full_file_is_read(tmp_path: Path) -> None:
    """Each section arrives, numbers in the type of the parameter."""
    found = settings(tmp_path, FULL)
    assert found == Settings(
        account="combine-50k",
        contracts=("MNQZ26",),
        parameters={"fast": 20, "share": 1.0},
        account_changes={"daily_loss_limit": 800, "daily_profit_lock": None},
        fills=Fills(limit_fill="touch", slippage_ticks=1, entry_ms=20.0),
    )
    assert isinstance(found.parameters["share"], float)
    assert found.fills.latency_ns() == (0, 20_000_000, 0)


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    """Account, contracts and parameters of the command line replace those of the file."""
    found = settings(tmp_path, FULL, account="express-50k", contracts=["ESZ26"], sets=["fast=5"])
    assert (found.account, found.contracts) == ("express-50k", ("ESZ26",))
    assert found.parameters == {"fast": 5, "share": 1.0}


def test_no_file_is_an_empty_file(tmp_path: Path) -> None:
    """A strategy needs no settings file when the flags say enough."""
    found = load_settings(tmp_path / "none.toml", TYPES, account="combine-50k")
    assert found == Settings(account="combine-50k")


def test_an_account_must_be_chosen(tmp_path: Path) -> None:
    """There is no default for a path that decides about money."""
    with pytest.raises(UsageError, match="--account combine-50k"):
        settings(tmp_path, "")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('acount = "x"', "Did you mean 'account'"),
        ("[parameters]\nfsat = 1", "Did you mean 'fast'"),
        ("[fills]\nlimit_fil = 'touch'", "Did you mean 'limit_fill'"),
        ("[fills]\nlimit_fill = 'tuch'", "Did you mean 'touch'"),
    ],
)
def test_a_wrong_name_is_told_with_the_nearest(tmp_path: Path, line: str, message: str) -> None:
    """A key that does not exist never passes silently."""
    with pytest.raises(UnknownName, match=message):
        settings(tmp_path, line)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("account = 5", ("account", "5", "text")),
        ('contracts = "MNQZ26"', ("contracts", "a list of texts")),
        ("parameters = 1", ("parameters", "section")),
        ('[parameters]\nfast = "20"', ("parameters.fast", "'20'", "whole number")),
        ("[parameters]\nfast = 20.0", ("parameters.fast", "20.0", "whole number")),
        ("[parameters]\nfast = true", ("parameters.fast", "True", "whole number")),
        ("[parameters]\nshare = nan", ("parameters.share", "nan")),
        ("[parameters]\nboth_ways = 1", ("parameters.both_ways", "true or false")),
        ("[fills]\nslippage_ticks = -1", ("fills.slippage_ticks", "-1", "zero or more")),
        ("[fills]\nlatency_ms = 1\nack_ms = 1", ("latency_ms", "ack_ms", "exclude")),
        ("[account_changes]\ndaily_loss_limit = [1]", ("daily_loss_limit", "[1]")),
        ("fast = = 1", ("not a TOML file",)),
    ],
)
def test_a_wrong_value_names_file_key_and_what_is_allowed(
    tmp_path: Path, line: str, words: tuple[str, ...]
) -> None:
    """The message is enough to repair the file."""
    with pytest.raises(UsageError) as caught:
        settings(tmp_path, line)
    assert all(word in str(caught.value) for word in (*words, "s.toml"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("fast=10", 10),
        ("fast = -3", -3),
        ("share=0.5", 0.5),
        ("share=2", 2.0),
        ("both_ways=off", False),
    ],
)
def test_set_reads_by_the_parameters_type(text: str, value: object) -> None:
    """``--set`` gives an int, a float or a bool as the class declares."""
    found = parse_set(text, TYPES)[1]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["fast", "fast=", "=1", "fast=1.5", "both_ways=2", "share=inf"])
def test_set_refuses_what_it_cannot_read(text: str) -> None:
    """Neither rounded nor guessed."""
    with pytest.raises(UsageError):
        parse_set(text, TYPES)


def test_set_proposes_the_nearest_parameter() -> None:
    """A misspelt parameter is told with the right one."""
    with pytest.raises(UnknownName, match="Did you mean 'fast'"):
        parse_set("fsat=1", TYPES)


def test_a_strategy_is_a_path_a_class_or_a_name(tmp_path: Path) -> None:
    """Paths are taken as they are; bare names are looked up folder by folder."""
    file = tmp_path / "mine.py"
    file.touch()
    assert find_strategy(str(file)) == (file, None)
    assert find_strategy(f"{file}:Mine") == (file, "Mine")
    assert find_strategy("mine", [tmp_path / "none", tmp_path]) == (file, None)
    assert find_strategy("mine:Mine", [tmp_path]) == (file, "Mine")
    with pytest.raises(UnknownName, match="Did you mean 'mine'"):
        find_strategy("mien", [tmp_path])
    with pytest.raises(UsageError, match="no strategy file"):
        find_strategy(str(tmp_path / "other.py"))


@pytest.mark.parametrize("page", ["README.md", "docs/cli.md"])
def test_the_settings_in_the_docs_are_valid(page: str, tmp_path: Path) -> None:
    """What a reader copies is accepted, account changes included."""
    text = (Path(__file__).resolve().parents[1] / page).read_text(encoding="utf-8")
    shown = text.split("```toml\n")[1].split("```")[0]
    found = settings(tmp_path, shown)
    assert programme(found.account, **found.account_changes).daily_loss_limit_micros == 800_000_000


def test_thresholds_of_alerts(tmp_path: Path) -> None:
    """What the table names, and the defaults for the rest; none without a table."""
    text = 'account = "own"\n[alerts]\nfeed_s = 30\nloss_percent = [25, 50]\n'
    found = settings(tmp_path, text).alerts
    assert found == Thresholds(feed_s=30.0, loss_percent=(25.0, 50.0))
    assert settings(tmp_path, 'account = "own"').alerts is None


@pytest.mark.parametrize(
    "line", ["fed_s = 30", 'feed_s = "30"', "feed_s = 0", "loss_percent = [50, 25]"]
)
def test_thresholds_that_make_no_sense_name_the_file(tmp_path: Path, line: str) -> None:
    with pytest.raises(UsageError, match=rf"s\.toml: alerts: .*{line.split()[0]}"):
        settings(tmp_path, f'account = "own"\n[alerts]\n{line}')

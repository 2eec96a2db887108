"""The command line: exit codes, one clear message, one JSON object, and the first run."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from pxresearch import __version__, cli, demo
from pxresearch.cli_common import say_json, table
from pxresearch.errors import DataError

STRATEGY = '''
import pxresearch as px

class Often(px.Strategy):
    """Turns round every few bars, so that each run has trades."""
    bars = "1m"
    every: int = 30
    count = px.state(int)

    def on_bar(self, bar, position):
        self.count = self.count + 1
        if self.count % self.every:
            return px.hold()
        if position <= 0:
            return px.buy(1, stop_ticks=40, target_ticks=80)
        return px.sell(1, stop_ticks=40, target_ticks=80)
'''


class Said(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


Run = Callable[..., Said]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PXRESEARCH_CATALOG", raising=False)
    monkeypatch.delenv("PXRESEARCH_DEBUG", raising=False)

    def call(*args: object) -> Said:
        with pytest.raises(SystemExit) as left:
            cli.main([str(a) for a in args])
        return Said(int(left.value.code or 0), *capsys.readouterr())

    return call


@pytest.fixture(scope="session")
def demo_catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo data, made once."""
    from pxresearch.catalog import Catalog
    from pxresearch.demo import make_demo

    root = tmp_path_factory.mktemp("demo")
    make_demo(Catalog(root))
    return root


@pytest.fixture
def often(tmp_path: Path) -> Path:
    """A strategy file with settings beside it."""
    file = tmp_path / "often.py"
    file.write_text(STRATEGY, encoding="utf-8")
    file.with_suffix(".toml").write_text('account = "combine-50k"\n', encoding="utf-8")
    return file


def test_version(run: Run) -> None:
    """``--version`` prints the version and succeeds."""
    assert run("--version") == Said(0, f"pxresearch {__version__}\n", "")


@pytest.mark.parametrize(
    "verb",
    [(), ("data",), ("data", "import"), ("data", "list"), ("data", "show"), ("data", "demo"),
     ("backtest",), ("bench",)],
)  # fmt: skip
def test_help_on_each_verb(run: Run, verb: tuple[str, ...]) -> None:
    """Every verb explains itself."""
    said = run(*verb, "--help")
    assert said.code == 0
    assert "Usage: pxresearch" in said.out


@pytest.mark.parametrize(
    "args",
    [("bogus",), ("backtest",), ("backtest", "x.py"), ("backtest", "nosuchname"),
     ("data", "import", "none.csv"), ("data", "import"), ("bench", "--fast")],
)  # fmt: skip
def test_bad_usage_is_exit_code_2(run: Run, args: tuple[str, ...]) -> None:
    """Nothing on stdout, a message without stack trace on stderr."""
    said = run(*args)
    assert said.code == 2
    assert said.out == ""
    assert said.err
    assert "Traceback" not in said.err


def test_data_errors_are_exit_code_1(run: Run) -> None:
    """What cannot be used is told in one line that says what to do."""
    said = run("data", "show", "MNQZ26")
    assert said.code == 1
    assert said.err.startswith("pxresearch: nothing is held for MNQZ26")
    assert "pxresearch data demo" in said.err
    assert said.err.count("\n") == 1


def test_debug_shows_the_trace(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--debug`` after the verb, and the environment variable, both work."""
    assert "Traceback" in run("data", "show", "MNQZ26", "--debug").err
    monkeypatch.setenv("PXRESEARCH_DEBUG", "1")
    assert "Traceback" in run("data", "show", "MNQZ26").err


@pytest.mark.parametrize(
    ("error", "text"),
    [(DataError("bad row"), "bad row"), (ZeroDivisionError("x"), "defect"),
     (KeyboardInterrupt(), "interrupted"), (PermissionError(13, "denied", "f"), "denied")],
)  # fmt: skip
def test_every_failure_has_a_message(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, text: str
) -> None:
    """Whatever is raised, stderr says it and the exit code is 1."""

    def fail(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    said = run("bench")
    assert said.code == 1
    assert text in said.err
    assert "Traceback" not in said.err


def test_list_of_an_empty_catalogue(run: Run) -> None:
    """An empty catalogue is an answer, with the way out."""
    said = run("data", "list")
    assert said.code == 0
    assert "pxresearch data demo" in said.out
    assert json.loads(run("data", "list", "--json").out)["series"] == []


def test_demo_makes_weeks(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two weeks are ten trading days, the second seven days after the first; none is refused."""
    made: list[date] = []
    monkeypatch.setattr(demo, "make_demo", lambda _, days: made.extend(days))
    assert run("data", "demo", "--catalog", tmp_path, "--weeks", 2).code == 0
    assert made[:5] == list(demo.DAYS)
    assert made[5:] == [day + timedelta(days=7) for day in demo.DAYS]
    said = run("data", "demo", "--catalog", tmp_path, "--weeks", 0)
    assert (said.code, "1 to 8" in said.err) == (2, True)


def test_import_list_show(run: Run, tmp_path: Path) -> None:
    """A small CSV goes in by its column names, and is listed and shown."""
    rows = [f"2026-09-14 14:30:{s:02d}.000,20000.{25 * (s % 4):02d},1" for s in range(60)]
    (tmp_path / "mine.csv").write_text("DateTime,Last,Qty\n" + "\n".join(rows) + "\n")
    columns = "ts=DateTime,price=Last,size=Qty"
    args = ("--contract", "MNQZ26", "--tz", "UTC", "--columns", columns, "--catalog", "store")
    said = run("data", "import", "mi*.csv", *args, "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out)["imports"][0]["rows_kept"] == 60
    listed = json.loads(run("data", "list", "--catalog", "store", "--json").out)
    assert [(s["contract"], s["rows"]) for s in listed["series"]] == [("MNQZ26", 60)]
    shown = run("data", "show", "MNQZ26", "--catalog", "store")
    assert "first rows, trades" in shown.out
    assert "20000.25" in shown.out


def test_columns_that_cannot_be_read(run: Run, tmp_path: Path) -> None:
    """``--columns`` says how it is written."""
    (tmp_path / "mine.csv").touch()
    said = run("data", "import", "mine.csv", "--columns", "ts")
    assert said.code == 2
    assert "ours=theirs" in said.err


def test_backtest_prints_a_summary_and_saves(
    run: Run, demo_catalog: Path, often: Path, tmp_path: Path
) -> None:
    """The first run: a summary on stdout, files in --out, paths printed."""
    args = ("--contract", "MNQZ26", "--catalog", demo_catalog, "--from", "2026-09-14")
    said = run("backtest", often, *args, "--to", "2026-09-14", "--out", tmp_path / "out")
    assert said.code == 0, said.err
    assert "MNQZ26" in said.out
    assert list((tmp_path / "out").glob("*.png"))
    assert said.out.count("saved ") == len(list((tmp_path / "out").iterdir()))


def test_backtest_json_is_one_object(run: Run, demo_catalog: Path, often: Path) -> None:
    """stdout is JSON even when the strategy file prints."""
    often.write_text(STRATEGY + "\nprint('noise')\n", encoding="utf-8")
    args = ("--contract", "MNQZ26", "--catalog", demo_catalog, "--from", "2026-09-14")
    said = run("backtest", often, *args, "--to", "2026-09-14", "--set", "every=45", "--json")
    assert said.code == 0, said.err
    assert isinstance(json.loads(said.out), dict)
    assert "noise" in said.err


def test_uncompiled_gives_the_same_result(run: Run, demo_catalog: Path, often: Path) -> None:
    """``--uncompiled`` changes the speed only."""
    args = ("backtest", often, "--contract", "MESZ26", "--catalog", demo_catalog, "--json")
    day = ("--from", "2026-09-15", "--to", "2026-09-15")
    fast, slow = (json.loads(run(*args, *day, *more).out) for more in ((), ("--uncompiled",)))
    assert fast["fills"] > 2
    own = {"compiled", "elapsed_s"}
    assert {k: v for k, v in fast.items() if k not in own} == {
        k: v for k, v in slow.items() if k not in own
    }


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (("--set", "evry=3", "--contract", "MNQZ26"), "Did you mean 'every'"),
        (("--set", "every=x", "--contract", "MNQZ26"), "whole number"),
        ((), "--contract"),
        (("--contract", "MNQZ26", "--account", "combine-55k"), "combine-50k"),
        (("--contract", "MNQZ26", "--from", "yesterday"), "2026-09-14"),
    ],
)
def test_backtest_usage_errors_say_what_to_do(
    run: Run, often: Path, flags: tuple[str, ...], text: str
) -> None:
    """Each wrong flag is told with what is allowed; exit code 2."""
    said = run("backtest", often, *flags)
    assert said.code == 2
    assert text in said.err


def test_backtest_without_account_or_data(run: Run, often: Path) -> None:
    """No account is bad usage; no data is a failure that names the demo."""
    said = run("backtest", often, "--contract", "MNQZ26")
    assert said.code == 1
    assert "pxresearch data demo" in said.err
    often.with_suffix(".toml").unlink()
    assert run("backtest", often, "--contract", "MNQZ26").code == 2


def test_shipped_strategy_by_name(run: Run, demo_catalog: Path) -> None:
    """``ema_cross`` needs no file in the current folder."""
    said = run("backtest", "ema_cross", "--contract", "MNQZ26", "--catalog", demo_catalog)
    assert said.code == 0, said.err


def test_two_contracts(run: Run, demo_catalog: Path, often: Path) -> None:
    """``--contract`` repeats."""
    both = ("--contract", "MNQZ26", "--contract", "MESZ26")
    day = ("--from", "2026-09-14", "--to", "2026-09-14")
    said = run("backtest", often, *both, *day, "--catalog", demo_catalog)
    assert said.code == 0, said.err


@pytest.mark.slow
def test_bench_quick(run: Run) -> None:
    """The benchmark runs and answers in JSON."""
    said = run("bench", "--quick", "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out)


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    """A figure that does not exist is null, so that any reader takes it."""
    say_json({"a": float("nan"), "b": [float("inf"), 1.5]})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [None, 1.5]}


def test_table_aligns() -> None:
    """Numbers to the right, texts to the left, nothing missing."""
    rows = [{"name": "ES", "rows": 1200}, {"name": "longer", "rows": None}]
    assert table(rows) == "name     rows\nES      1,200\nlonger      -"

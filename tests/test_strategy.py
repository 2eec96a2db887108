"""Strategy classes: parameters, state, hooks, what is said about mistakes; snapshot and restore."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

import pxresearch as px
from pxresearch.brokers.feeds import Feed
from pxresearch.brokers.fillmodel import FillModel
from pxresearch.brokers.session import EngineSession
from pxresearch.core import records as r
from pxresearch.errors import StrategyError, UnknownName, UsageError
from pxresearch.sessions import to_ns
from pxresearch.strategy import fingerprint, new_record
from pxresearch.tickdata import ticks as make_ticks

CHICAGO = ZoneInfo("America/Chicago")
OPEN = to_ns(datetime(2024, 7, 7, 17, tzinfo=CHICAGO))  # of ESU24 on Monday 2024-07-08
SECOND = 1_000_000_000
ACCOUNT = px.programme("own", start_balance=50_000)
BOTH = pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "plain"])


class Follow(px.Strategy):
    """Long above the average, flat below."""

    bars = "1m"
    length: int = 5
    factor: float = 1.0
    eager: bool = False

    average = px.state(px.Ema)
    entries = px.state(int)
    last = px.state(float, size=3)

    def on_bar(self, bar, position):
        """Compare with the average."""
        mean = px.ema(self.average, bar.close, self.length)
        self.last[bar.contract] = bar.close
        if bar.close > mean * self.factor and position == 0:
            self.entries += 1
            return px.buy(1, stop_ticks=8, target_ticks=8, tag=self.entries)
        if bar.close < mean and position > 0:
            return px.flatten()
        return px.hold()


def walk(n: int = 3_000, seed: int = 1, start: int = OPEN) -> px.Ticks:
    """Trades of a random walk, one each second."""
    rng = np.random.default_rng(seed)
    price = 5_500 + 0.25 * np.cumsum(rng.integers(-2, 3, n))
    return make_ticks("ESU24", trades={"ts": start + SECOND * np.arange(n), "price": price})


def run(strategy: px.Strategy, ticks: px.Ticks | None = None, compiled: bool = True) -> px.Result:
    return px.backtest(strategy, ticks or walk(200), account=ACCOUNT, compiled=compiled)


# ------------------------------------------------------------------ parameters
def test_parameters_have_defaults_types_and_a_repr() -> None:
    plain = Follow()
    assert plain.parameters == {"length": 5, "factor": 1.0, "eager": False}
    given = Follow(length=np.int64(9), factor=2, eager=True)
    assert given.parameters == {"length": 9, "factor": 2.0, "eager": True}
    assert [type(v) for v in given.parameters.values()] == [int, float, bool]
    assert repr(given) == "Follow(length=9, factor=2.0, eager=True)"
    record = new_record(given)
    assert (record["length"][0], record["factor"][0], record["eager"][0]) == (9, 2.0, 1)
    assert record["last"].shape == (1, 3)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"length": 5.5}, "Follow.length must be int, received 5.5"),
        ({"length": "5"}, "Follow.length must be int, received '5'"),
        ({"length": True}, "Follow.length must be int, received True"),
        ({"factor": float("nan")}, "Follow.factor must be float, received nan"),
        ({"factor": None}, "Follow.factor must be float, received None"),
        ({"eager": 1}, "Follow.eager must be bool, received 1"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(given: dict, said: str) -> None:
    with pytest.raises(StrategyError, match=said):
        Follow(**given)


def test_an_unknown_parameter_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"parameter of Follow 'lenght'.*Did you mean 'length'"):
        Follow(lenght=3)


def test_parameters_and_state_are_inherited_and_overridden() -> None:
    class Base(px.Strategy):
        a: int = 1
        total = px.state(float)

    class Child(Base):
        a: int = 2
        b: float = 0.5
        seen = px.state(int)

        def on_trade(self, trade):
            self.total += trade.price
            self.seen += self.a
            return px.hold()

    assert Child().parameters == {"a": 2, "b": 0.5}
    assert Base().parameters == {"a": 1}
    assert set(Child._states) == {"total", "seen"}
    run(Child())


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"__annotations__": {"name": str}, "name": "x"}, "annotated int, float or bool"),
        ({"__annotations__": {"n": int}}, "a parameter needs a default"),
        ({"__annotations__": {"n": int}, "n": 0.5}, "must be int, received 0.5"),
        ({"on_bars": lambda self, bar: None}, "on_bars is not a hook; did you mean on_bar"),
        ({"on_bar": lambda self, bar: None}, "no timeframe: add"),
        ({"on_quote": lambda self, quote, orders: None}, "position, orders, account in this order"),
        ({"on_trade": lambda self: None}, "a hook takes self, its event"),
        ({"bars": ("1m", "2m", "3m", "4m", "5m")}, "5 timeframes; at most 4"),
    ],
)
def test_a_wrong_class_is_refused_where_it_is_written(body: dict, said: str) -> None:
    with pytest.raises(StrategyError, match=said):
        type("Wrong", (px.Strategy,), body)


@pytest.mark.parametrize("arguments", [(str,), (float, -1), (list,)])
def test_state_is_numbers_or_an_indicators(arguments: tuple) -> None:
    with pytest.raises(StrategyError, match="allowed are an indicator's state, float, int or bool"):
        px.state(*arguments)


def test_the_fingerprint_follows_code_and_parameters() -> None:
    assert fingerprint(Follow()) == fingerprint(Follow())
    assert fingerprint(Follow()) != fingerprint(Follow(length=6))


# ------------------------------------------------------------------ what a hook returns
class Mixed(px.Strategy):
    """Returns now one signal, now several."""

    seen = px.state(int)

    def on_trade(self, trade, position):
        self.seen += 1
        if self.seen == 1:
            return px.buy(1, limit=trade.price - 5.0, tag=1), px.sell(
                1, limit=trade.price + 5.0, tag=2
            )
        if self.seen == 2:
            return px.cancel(tag=1)
        if self.seen == 3:
            return px.cancel(tag=2), px.buy(1)
        if self.seen == 4:
            return px.hold(), px.hold()
        if self.seen == 5:
            return px.flatten()
        return px.hold()


@BOTH
def test_a_hook_may_return_one_signal_or_several(compiled: bool) -> None:
    result = run(Mixed(), walk(20), compiled)
    assert result.orders["kind"].to_list() == ["limit", "limit", "market", "market"]
    assert result.orders["status"].to_list() == ["canceled", "canceled", "filled", "filled"]
    assert result.fills["position"].to_list() == [1, 0]


@BOTH
def test_a_hook_may_return_nothing(compiled: bool) -> None:
    class Silent(px.Strategy):
        def on_trade(self, trade, position):
            if position == 0:
                return px.buy(1)

        def on_fill(self, fill):
            return None

        def on_session(self, session):
            pass

    assert len(run(Silent(), walk(20), compiled).orders) == 2, "the entry, and the end of the data"


# ------------------------------------------------------------------ snapshot and restore
def session_of(ticks: px.Ticks, compiled: bool) -> EngineSession:
    return EngineSession(
        Follow(), [Feed(ticks.contract, ticks.kinds)], ACCOUNT, FillModel(),
        first_ns=ticks.first, last_ns=ticks.last, compiled=compiled, keep_bars=True,
    )  # fmt: skip


def feed(session: EngineSession, ticks: px.Ticks, first: int, stop: int) -> None:
    (block,) = list(ticks.blocks())
    assert block.trades is not None
    t = block.trades
    for i in range(first, stop):
        session.tell(r.TRADES, ts=int(t.ts[i]), a=int(t.px[i]), b=int(t.size[i]), c=0)


@BOTH
def test_a_restored_session_goes_on_as_if_nothing_had_happened(compiled: bool) -> None:
    """Account, orders, running bars and the strategy's state are in the snapshot."""
    ticks, cut = walk(1_500), 777
    whole = session_of(ticks, compiled)
    feed(whole, ticks, 0, 1_500)
    first = session_of(ticks, compiled)
    feed(first, ticks, 0, cut)
    second = session_of(ticks, compiled)
    second.restore(first.snapshot())
    feed(second, ticks, cut, 1_500)
    assert second.snapshot() == whole.snapshot()
    together, before, after = whole.logs(), first.logs(), second.logs()
    assert len(together["fills"]) > 0
    for name in ("fills", "trades", "orders", "bars"):
        assert np.array_equal(np.concatenate([before[name], after[name]]), together[name]), name


def test_a_snapshot_moves_between_compiled_and_plain() -> None:
    ticks = walk(1_500)
    one, other = session_of(ticks, True), session_of(ticks, False)
    feed(one, ticks, 0, 800)
    other.restore(one.snapshot())
    feed(one, ticks, 800, 1_500)
    feed(other, ticks, 800, 1_500)
    assert one.record.tobytes() == other.twin.to_record(other.record).tobytes()  # type: ignore[union-attr]


def test_a_snapshot_of_another_strategy_is_refused() -> None:
    session = session_of(walk(10), True)
    with pytest.raises(UsageError, match="it is of another strategy or version"):
        session.restore(b"too short")


# ------------------------------------------------------------------ loading from a file
ONE = 'import pxresearch as px\nclass One(px.Strategy):\n    """One."""\n    n: int = 2\n'
TWO = ONE + "class Two(One):\n    pass\n"


def test_a_class_is_loaded_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "one.py"
    file.write_text(ONE)
    assert px.load_strategy(file)().parameters == {"n": 2}
    assert px.load_strategy(f"{file}:One").__name__ == "One"


@pytest.mark.parametrize(
    ("text", "wanted", "said"),
    [
        (TWO, "", r"holds 2 strategy classes \(One, Two\); name one"),
        ("x = 1\n", "", r"holds 0 strategy classes \(none\)"),
        (TWO, ":Tow", "strategy class in .* 'Tow'.*Did you mean 'Two'"),
        ("import nothing_like_this\n", "", "cannot be imported: ModuleNotFoundError"),
        ("def f(:\n", "", "cannot be imported: SyntaxError"),
        (ONE.replace("n: int = 2", "n: int = 'a'"), "", "One.n must be int, received 'a'"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(
    tmp_path: Path, text: str, wanted: str, said: str
) -> None:
    file = tmp_path / "s.py"
    file.write_text(text)
    with pytest.raises(UsageError, match=said):
        px.load_strategy(f"{file}{wanted}")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(StrategyError, match=r"no strategy file nowhere\.py; give a path such as"):
        px.load_strategy("nowhere.py")

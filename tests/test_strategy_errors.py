"""What is said about mistakes in a strategy: when it is made, compiled and run."""

from __future__ import annotations

import inspect
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from numba.extending import register_jitable

import pxresearch as px
from pxresearch.errors import StrategyError
from pxresearch.sessions import to_ns
from pxresearch.tickdata import ticks as make_ticks

CHICAGO = ZoneInfo("America/Chicago")
OPEN = to_ns(datetime(2024, 7, 7, 17, tzinfo=CHICAGO))  # of ESU24 on Monday 2024-07-08
SECOND = 1_000_000_000
ACCOUNT = px.programme("own", start_balance=50_000)
BOTH = pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "plain"])
THRESHOLDS = [1.0, 2.0]


def walk(n: int = 3_000, seed: int = 1, start: int = OPEN) -> px.Ticks:
    """Trades of a random walk, one each second."""
    rng = np.random.default_rng(seed)
    price = 5_500 + 0.25 * np.cumsum(rng.integers(-2, 3, n))
    return make_ticks("ESU24", trades={"ts": start + SECOND * np.arange(n), "price": price})


def run(strategy: px.Strategy, ticks: px.Ticks | None = None, compiled: bool = True) -> px.Result:
    return px.backtest(strategy, ticks or walk(200), account=ACCOUNT, compiled=compiled)


def line_of(function: object, text: str) -> int:
    """Line of the file on which a text stands in a function."""
    lines, first = inspect.getsourcelines(function)  # type: ignore[arg-type]
    return first + next(i for i, line in enumerate(lines) if text in line)


# ------------------------------------------------------------------ mistakes in the code
class Bad:
    """Strategies with one mistake each; the line with the mistake ends in the word `here`."""

    class Assigns(px.Strategy):
        def on_trade(self, trade):
            self.lost = trade.price  # here
            return px.hold()

    class Reads(px.Strategy):
        entries = px.state(int)

        def on_trade(self, trade):
            x = 1
            if self.entires > x:  # here
                return px.buy(1)
            return px.hold()

    class SetsParameter(px.Strategy):
        n: int = 3

        def on_trade(self, trade):
            self.n = 4  # here
            return px.hold()

    class OverwritesIndicator(px.Strategy):
        mean = px.state(px.Ema)

        def on_trade(self, trade):
            self.mean = trade.price  # here
            return px.hold()

    class PlainAttribute(px.Strategy):
        limit = 5

        def on_trade(self, trade):
            return px.buy(self.limit)  # here

    class OwnMethod(px.Strategy):
        def on_trade(self, trade):
            return self.decide(trade)  # here

        def decide(self, trade):
            return px.hold()

    class EventTypo(px.Strategy):
        def on_trade(self, trade):
            if trade.prize > 0.0:  # here
                return px.buy(1)
            return px.hold()

    class AccountTypo(px.Strategy):
        def on_trade(self, trade, position, orders, account):
            if account.ballance > 0.0:  # here
                return px.buy(1)
            return px.hold()

    class UnknownName(px.Strategy):
        def on_trade(self, trade):
            if trade.price > threshold:  # noqa: F821  here
                return px.buy(1)
            return px.hold()

    class UnknownSignal(px.Strategy):
        def on_trade(self, trade):
            return px.by(1)  # here

    class UnknownArgument(px.Strategy):
        def on_trade(self, trade):
            return px.buy(1, stop_tick=4)  # here

    class MissingArgument(px.Strategy):
        mean = px.state(px.Ema)

        def on_trade(self, trade):
            px.ema(self.mean, trade.price)  # here
            return px.hold()

    class OtherState(px.Strategy):
        mean = px.state(px.Sma, size=5)

        def on_trade(self, trade):
            px.ema(self.mean, trade.price, 3)  # here
            return px.hold()


CAUSES = {
    "Assigns": "self.lost is not declared; declare it in the class, as in `lost = px.state",
    "Reads": r"self.entires is not declared \(did you mean entries\?\)",
    "SetsParameter": "self.n is a parameter and stays as given",
    "OverwritesIndicator": "self.mean is an indicator's state",
    "PlainAttribute": "self.limit is neither a parameter nor declared state; annotate it",
    "OwnMethod": "self.decide is a method, and only hooks can be methods",
    "EventTypo": r"trade has no 'prize' \(did you mean price\?\); it has contract, ts, price",
    "AccountTypo": r"account has no 'ballance' \(did you mean balance\?\)",
    "UnknownName": "name 'threshold' is not defined",
    "UnknownSignal": r"pxresearch has no 'by' \(did you mean buy\?\)",
    "UnknownArgument": "px.buy: got an unexpected keyword argument 'stop_tick'; it takes qty",
    "MissingArgument": "px.ema: missing a required argument: 'n'; it takes state, x, n",
    "OtherState": "px.ema needs state of its own kind, and self.mean is Sma",
}


@pytest.mark.parametrize("name", CAUSES)
def test_a_mistake_is_told_with_its_line_when_the_strategy_is_made(name: str) -> None:
    """Before anything runs, and so alike for compiled and plain runs."""
    cls = getattr(Bad, name)
    line = line_of(cls.on_trade, "here")
    with pytest.raises(StrategyError) as caught:
        cls()
    assert f"{name}.on_trade, line {line} of test_strategy_errors.py: `" in str(caught.value)
    with pytest.raises(StrategyError, match=CAUSES[name]):
        cls()


class Uncompilable:
    """Plain Python that numba cannot take."""

    class GlobalList(px.Strategy):
        def on_trade(self, trade):
            if trade.price > THRESHOLDS[0]:  # here
                return px.buy(1)
            return px.hold()

    class Formats(px.Strategy):
        def on_trade(self, trade):
            text = f"{trade.price:.2f}"  # here
            return px.buy(len(text))

    class OtherType(px.Strategy):
        def on_trade(self, trade):
            qty = 1
            if trade.price > 1.0:
                qty = "one"
            return px.buy(qty)  # here

    class ReturnsNumber(px.Strategy):
        def on_trade(self, trade):
            return 1  # here

    class ReturnsBoth(px.Strategy):
        def on_trade(self, trade):
            if trade.price > 1.0:
                return 1
            return px.hold()  # here

    class TwoLengths(px.Strategy):
        def on_trade(self, trade):
            if trade.price > 1.0:
                return px.buy(1), px.sell(1)
            return px.buy(1), px.sell(1), px.buy(2)  # here

    class Prints(px.Strategy):
        def on_trade(self, trade):
            open("file")  # noqa: SIM115  here
            return px.hold()


NUMBA_CAUSES = {
    "GlobalList": "THRESHOLDS cannot be used in compiled code",
    "Formats": "format spec",
    "OtherType": "qty is here int and there str",
    "ReturnsNumber": "a hook must return a signal, a tuple of at most 8 signals, or nothing; got",
    "ReturnsBoth": "the returns do not fit together: each must be a signal or",
    "TwoLengths": r"all tuples of one length \(at most 4; fill up with px.hold\(\)\)",
    "Prints": r"open \(of type builtin_function_or_method\) cannot be used in compiled code",
}


@pytest.mark.parametrize("name", NUMBA_CAUSES)
def test_what_cannot_be_compiled_is_told_with_line_and_cause(name: str) -> None:
    cls = getattr(Uncompilable, name)
    line = line_of(cls.on_trade, "here")
    with pytest.raises(StrategyError) as caught:
        run(cls())
    said = str(caught.value)
    assert f"{name}.on_trade, line {line} of test_strategy_errors.py: `" in said
    assert "run it with compiled=False" in said
    with pytest.raises(StrategyError, match=NUMBA_CAUSES[name]):
        run(cls())


def test_what_cannot_be_compiled_runs_plain() -> None:
    assert len(run(Uncompilable.GlobalList(), compiled=False).fills) > 0


@register_jitable
def half(price: float) -> float:
    """A helper that runs compiled and plain."""
    return price / 2


@BOTH
def test_a_helper_function_outside_the_class(compiled: bool) -> None:
    class Helped(px.Strategy):
        def on_trade(self, trade, position):
            if half(trade.price) < 2_750.0 and position == 0:
                return px.buy(1)
            return px.hold()

    assert run(Helped(), compiled=compiled).fills["qty"].sum() > 0


# ------------------------------------------------------------------ errors while running
class RaisesOnBar(px.Strategy):
    """Fails at 17:03."""

    bars = "1m"
    bar_no = px.state(int)

    def on_bar(self, bar):
        self.bar_no += 1
        if self.bar_no == 3:
            raise ValueError("third bar")
        return px.hold()


class RaisesOnTrade(px.Strategy):
    """Fails on the trade of 17:01:10, in the middle of quiet ones."""

    seen = px.state(int)

    def on_trade(self, trade):
        self.seen += 1
        if self.seen == 71:
            raise ValueError("trade 71")
        return px.hold()


class RaisesOnQuote(px.Strategy):
    """Fails on the quote of 17:01:10."""

    seen = px.state(int)

    def on_quote(self, quote):
        self.seen += 1
        if self.seen == 71:
            raise ValueError("quote 71")
        return px.hold()


@BOTH
@pytest.mark.parametrize(
    ("cls", "when"),
    [
        (RaisesOnBar, "22:03:00"),
        pytest.param(RaisesOnTrade, "22:01:10"),
        pytest.param(RaisesOnQuote, "22:01:10"),
    ],
)
def test_an_exception_in_a_hook_names_hook_and_time(cls: type, when: str, compiled: bool) -> None:
    hook = f"on_{cls.__name__.removeprefix('RaisesOn').lower()}"
    trades = walk(400).frame()
    quotes = {"ts": trades["ts"], "bid": trades["price"], "ask": trades["price"] + 0.25}
    quoted = make_ticks("ESU24", quotes=quotes)
    with pytest.raises(StrategyError) as caught:
        run(cls(), quoted if hook == "on_quote" else walk(400), compiled)
    assert f"{cls.__name__}.{hook} raised at 2024-07-07T{when}" in str(caught.value)
    if compiled:
        assert "compiled=False" in str(caught.value)
    else:
        assert isinstance(caught.value.__cause__, ValueError)

"""What a user can get wrong, and what is said: received, allowed, and what to do about it."""

from __future__ import annotations

import re
from datetime import datetime

import numpy as np
import pytest

import pxresearch as px
from pxresearch.backtesting import backtest
from pxresearch.brokers.session import FillModel, Latency
from pxresearch.errors import (
    AmbiguousInput,
    CatalogError,
    DataError,
    OffGridPrice,
    StrategyError,
    UnknownName,
    UsageError,
)
from pxresearch.sessions import CalendarWarning
from pxresearch.tickdata import ticks
from tests.desk import MINUTE, MORNING, SECOND


class Quiet(px.Strategy):
    fast: int = 3
    sure: bool = True
    rate: float = 1.0

    def on_quote(self, quote, position):
        return px.hold()


def quotes(**changes):
    """Two good quotes, with some columns exchanged."""
    return {
        "ts": [MORNING, MORNING + SECOND], "bid": [6000.0, 6000.25], "ask": [6000.25, 6000.5],
        **changes,
    }  # fmt: skip


def good():
    return ticks("ESH26", quotes=quotes())


def minute_bar():
    return ticks(
        "ESH26",
        bars={
            "ts_open": [MORNING], "ts_close": [MORNING + MINUTE], "open": [6000.0],
            "high": [6001.0], "low": [5999.0], "close": [6000.0],
        },
    )  # fmt: skip


def run(strategy=None, data=None, **settings):
    return backtest(strategy or Quiet(), data or good(), **{"account": "combine-50k", **settings})


# Each: what is done, the exception, and words that its text must hold (received, allowed, remedy).
DATA = {
    "NaN": (quotes(bid=[6000.0, float("nan")]), DataError,
            ["bid", "row 1", "nan", "drop the rows"]),
    "infinite": (quotes(ask=[6000.25, float("inf")]), DataError, ["ask", "row 1", "inf"]),
    "off the grid": (quotes(bid=[6000.0, 6000.1]), OffGridPrice,
                     ["6000.1", "row 1", "0.25", "ES", "never rounded"]),
    "scaled": (quotes(bid=[6000.0, 6e12]), DataError, ["ES", "bid", "scaled?"]),
    "backwards": (quotes(ts=[MORNING, MORNING - 1]), DataError,
                  ["ESH26", "clock runs backward", "row 1", "15:59:59.999999999", "resort_ms"]),
    "no ask": ({"ts": [MORNING], "bid": [6000.0]}, DataError, ["ask", "missing", "ts, bid"]),
    "no rows": (quotes(ts=[], bid=[], ask=[]), DataError, ["ESH26", "no rows", "quotes="]),
    "no zone": (quotes(ts=[datetime(2026, 1, 13, 1), datetime(2026, 1, 13, 2)]),  # noqa: DTZ001
                AmbiguousInput, ["ts", "no time zone", "replace_time_zone"]),
}  # fmt: skip


@pytest.mark.parametrize("name", DATA)
def test_bad_data(name):
    """px.ticks refuses what an importer refuses, with the row and a remedy."""
    given, error, words = DATA[name]
    with pytest.raises(error) as caught:
        ticks("ESH26", quotes=given)
    assert_says(caught.value, words)


def assert_says(error, words):
    text = str(error)
    for word in words:
        assert word in text, (word, text)
    assert len(text) < 900
    assert not re.search(r"0x[0-9a-f]{6}|Traceback|<class '", text), text


def test_nothing_given_at_all():
    with pytest.raises(DataError, match="quotes=, trades= or bars="):
        ticks("ESH26")


CODES = {
    "EZZ26": (UnknownName, ["unknown product 'EZ'", "Did you mean", "Known: ", "ES"]),
    "ESH6": (AmbiguousInput, ["one-digit year", "ESH26", "on="]),
    "ESA26": (UsageError, ["'A'", "H, M, U, Z"]),
    "ES": (UsageError, ["'ES'", "ESU13"]),
    "": (UsageError, ["''", "ESU13"]),
}


@pytest.mark.parametrize("code", CODES)
def test_bad_contract(code):
    """What is wrong with the code, and one that is right."""
    error, words = CODES[code]
    with pytest.raises(error) as caught:
        ticks(code, quotes=quotes())
    assert_says(caught.value, words)


PARAMETERS = {
    "fats": (3, UnknownName, ["'fats'", "Did you mean 'fast'", "Known: fast, rate, sure"]),
    "fast": ("3", StrategyError, ["Quiet.fast", "int", "'3'", "str"]),
    "sure": (1, StrategyError, ["Quiet.sure", "bool", "received 1"]),
    "rate": (float("nan"), StrategyError, ["Quiet.rate", "float", "nan"]),
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_bad_parameter(name):
    """Class, parameter, type and value are named."""
    value, error, words = PARAMETERS[name]
    with pytest.raises(error) as caught:
        Quiet(**{name: value})
    assert_says(caught.value, words)


def test_a_fraction_for_a_whole_number():
    with pytest.raises(StrategyError, match=r"Quiet\.fast must be int, received 3\.5"):
        Quiet(fast=3.5)
    assert Quiet(fast=np.int64(4)).fast == 4


SETTINGS = {
    "account misspelt": ({"account": "combine-5k"}, UnknownName,
                         ["'combine-5k'", "Did you mean 'combine-50k'", "express-50k", "own"]),
    "live account": ({"account": "live-50k"}, UsageError, ["'live-50k'", "API", "combine"]),
    "own without balance": ({"account": "own"}, UsageError, ["own", "start_balance"]),
    "limit fill": ({"limit_fill": "thru"}, UsageError, ["'thru'", "through, touch, queue"]),
    "mark": ({"mark": "mid"}, UsageError, ["'mid'", "exit, last"]),
    "stop trigger": ({"stop_trigger": "bid"}, UsageError, ["'bid'", "trade, quote"]),
    "slippage": ({"slippage_ticks": -1}, UsageError, ["slippage_ticks", "-1", "0 or more"]),
    "half a tick": ({"slippage_ticks": 0.5}, UsageError, ["slippage_ticks", "0.5", "whole"]),
    "latency": ({"latency": -5}, UsageError, ["latency entry", "0 ns or longer"]),
    "latency in seconds": ({"latency": 0.5}, UsageError, ["latency entry", "whole nanoseconds"]),
    "finish": ({"finish": "shut"}, UsageError, ["'shut'", "'close' or 'open'"]),
}  # fmt: skip


@pytest.mark.parametrize("name", SETTINGS)
def test_bad_setting(name):
    """The setting, what was received and what is allowed."""
    settings, error, words = SETTINGS[name]
    with pytest.raises(error) as caught:
        run(**settings)
    assert_says(caught.value, words)


def test_account_settings():
    with pytest.raises(UnknownName) as caught:
        px.programme("combine-50k", daily_loss=500)
    assert_says(caught.value, ["'daily_loss'", "Did you mean 'daily_loss_limit'"])
    with pytest.raises(UsageError) as wrong:
        px.programme("combine-50k", daily_loss_limit=-500)
    assert_says(wrong.value, ["daily_loss_limit", "-500.00", "above 0", "None switches"])


def test_a_class_where_an_instance_belongs():
    with pytest.raises(UsageError, match=r"instance of a strategy, such as EmaCross\(fast=10\)"):
        run(Quiet)
    with pytest.raises(UsageError, match="instance of a strategy"):
        backtest(None, good(), account="combine-50k")


def test_data_that_does_not_go_together():
    """Bars beside ticks, one contract twice, a fill model that the data cannot feed."""
    with pytest.raises(UsageError, match=r"each contract once, received ESH26, ESH26"):
        run(data=[good(), good()])
    both = ticks(
        "ESH26", quotes=quotes(),
        bars={"ts_open": [MORNING], "ts_close": [MORNING + MINUTE], "open": [6000.0],
              "high": [6001.0], "low": [5999.0], "close": [6000.0]},
    )  # fmt: skip
    with pytest.raises(UsageError, match=r"choose: ticks\.only\('bars'\)"):
        run(data=both)
    with pytest.raises(UsageError, match=r"needs quotes with sizes; ESH26 has bars"):
        run(data=minute_bar(), limit_fill="queue")
    with pytest.raises(UsageError, match=r"partial_fills needs quotes or trades; ESH26 has bars"):
        run(data=minute_bar(), partial_fills=True)
    with pytest.raises(DataError, match=r"ESH26 has no 'trades' here; it has quotes"):
        good().only("trades")


def test_nothing_in_the_catalogue(tmp_path):
    with pytest.raises(UsageError, match="'yesterday' is not a day; write it as '2013-09-03'"):
        px.load("ESU13", "yesterday", catalog=tmp_path)
    with pytest.raises(CatalogError, match="nothing is held for ESU13 2013-09-03"):
        px.load("ESU13", "2013-09-03", catalog=tmp_path)


def test_beyond_the_holiday_table_is_said():
    """Research may go there, with a warning that says what it assumes."""
    early = ticks("ESH26", quotes=quotes(ts=[10**18, 10**18 + SECOND]))
    with pytest.warns(CalendarWarning, match="every weekday counts as a full trading day"):
        run(data=early)


# ------------------------------------------------------------------ strategies that misbehave
class Raises(px.Strategy):
    def on_quote(self, quote, position):
        if quote.ts > 0:
            raise ValueError("mine")
        return px.hold()


class Undeclared(px.Strategy):
    def on_quote(self, quote, position):
        self.count = 1


class AnswersSeven(px.Strategy):
    def on_quote(self, quote, position):
        return 7


def test_a_hook_that_raises():
    """Class, hook and instant; in plain Python the cause as well, and its own traceback."""
    for compiled in (True, False):
        with pytest.raises(StrategyError, match=r"Raises\.on_quote .*2026-01-13T16:00") as caught:
            run(Raises(), compiled=compiled)
    assert "mine" in str(caught.value)
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize(
    ("strategy", "words"),
    [(Undeclared, ["Undeclared.on_quote", "count"]), (AnswersSeven, ["AnswersSeven.on_quote"])],
)
def test_a_hook_that_breaks_the_rules(compiled, strategy, words):
    """The same mistake is an error both ways."""
    with pytest.raises(StrategyError) as caught:
        run(strategy(), compiled=compiled)
    for word in words:
        assert word in str(caught.value)


def test_latency_samples():
    with pytest.raises(UsageError, match="latency ack"):
        FillModel(latency=Latency(ack=[5, -5]))


def test_an_empty_side_is_no_mistake():
    """A null price is a missing side: accepted, marked as such, and nothing trades against it."""

    class Buys(px.Strategy):
        def on_quote(self, quote, position):
            return px.buy(1) if position == 0 else px.hold()

    gap = ticks("ESH26", quotes=quotes(ask=[6000.25, None]))
    result = run(Buys(), gap, account="combine-50k")
    assert len(result.fills) == 0
    assert len(result.refusals) == 1

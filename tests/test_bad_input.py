"""What a user can get wrong, and what is said: received, allowed, and what to do about it."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

import pxresearch as px
from pxresearch.backtesting import backtest
from pxresearch.brokers.fillmodel import FillModel, Latency
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
    data = good() if data is None else data
    return backtest(strategy or Quiet(), data, **{"account": "combine-50k", **settings})


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


def trades(**changes):
    return {"ts": [MORNING, MORNING + SECOND], "price": [6000.0, 6000.25], **changes}


def bars(**changes):
    """Two good bars, with some columns exchanged."""
    return {
        "ts_open": [MORNING, MORNING + MINUTE],
        "ts_close": [MORNING + MINUTE, MORNING + 2 * MINUTE],
        "open": [6000.0, 6000.0], "high": [6001.0, 6001.0], "low": [5999.0, 5999.0],
        "close": [6000.0, 6000.0], **changes,
    }  # fmt: skip


class Opaque:
    def __repr__(self):
        return "Opaque()"


# Each: what is passed, the exception, and words that its text must hold.
ARRAYS = {
    "high below low": (dict(bars=bars(high=[6001.0, 5990.0])), DataError,
                       ["bars of ESH26", "row 1", "high 5990.0", "low 5999.0", "drop the rows"]),
    "close above high": (dict(bars=bars(close=[6001.25, 6000.0])), DataError,
                         ["row 0", "close 6001.25", "outside low to high", "1 such rows"]),
    "open below low": (dict(bars=bars(open=[6000.0, 5998.75])), DataError,
                       ["row 1", "open 5998.75", "right columns"]),
    "ends before it begins": (
        dict(bars=bars(ts_close=[MORNING + MINUTE, MORNING - MINUTE])), DataError,
        ["row 1", "2026-01-13 16:01:00 UTC", "before it begins", "ts_close its end"]),
    "no length": (dict(bars=bars(ts_close=[MORNING, MORNING + 2 * MINUTE])), DataError, ["row 0"]),
    "overlapping": (dict(bars=bars(ts_open=[MORNING, MORNING + SECOND])), DataError,
                    ["row 1", "16:00:01", "16:01:00", "overlap", "each row once"]),
    "twice the same bar": (dict(bars=bars(ts_open=[MORNING] * 2, ts_close=[MORNING + MINUTE] * 2)),
                           DataError, ["row 1", "overlap"]),
    "negative volume": (dict(bars=bars(volume=[1, -1])), DataError, ["row 1", "volume -1"]),
    "negative size": (dict(trades=trades(size=[-3, 1])), DataError,
                      ["trades of ESH26", "row 0", "size -3", "negative", "column side"]),
    "negative quote size": (dict(quotes=quotes(bid_size=[5, -5])), DataError,
                            ["row 1", "bid_sz -5"]),
    "side 7": (dict(trades=trades(side=[0, 7])), DataError,
               ["row 1", "side 7", "1 (buyer", "-1 (seller)", "0 (unknown)"]),
    "side 300": (dict(trades=trades(side=[0, 300])), DataError, ["row 1", "side 300", "Int8"]),
    "side in letters": (dict(trades=trades(side=["B", "S"])), DataError,
                        ["row 0", "'B'", "1 buyer, -1 seller"]),
    "half a contract": (dict(trades=trades(size=[1, 1.5])), DataError,
                        ["row 1", "size 1.5", "not whole"]),
    "size not a number": (dict(trades=trades(size=[1.0, float("nan")])), DataError,
                          ["row 1", "size nan"]),
    "size in billions": (dict(trades=trades(size=[1, 10**10])), DataError, ["row 1", "Int32"]),
    "true and false": (dict(trades=trades(size=[True, False])), DataError, ["row 0", "Boolean"]),
    "float times": (dict(quotes=quotes(ts=[1.5e18, 1.6e18])), DataError,
                    ["quotes of ESH26", "ts holds floats", "row 0", "int64 ns UTC"]),
    "text times": (dict(quotes=quotes(ts=["2026-01-01", "2026-01-02"])), DataError,
                   ["row 0", "'2026-01-01'", "str.to_datetime(time_zone='UTC')"]),
    "days for times": (dict(quotes=quotes(ts=[date(2026, 1, 1), date(2026, 1, 2)])), DataError,
                       ["row 0", "Date", "datetimes with a zone"]),
    "a time left out": (dict(quotes=quotes(ts=[MORNING, None])), DataError,
                        ["ts", "row 1", "drop"]),
    "times beyond int64": (dict(quotes=quotes(ts=[MORNING, 2**63])), DataError, ["ts", "row 1"]),
    "times beyond anything": (dict(quotes=quotes(ts=[MORNING, 2**200])), DataError, ["ts"]),
    "text prices": (dict(quotes=quotes(bid=["6000.00", "n/a"])), DataError,
                    ["bid_px", "row 1", "'n/a'", "float prices"]),
    "one text price": (dict(quotes=quotes(bid=[6000.0, "a"])), DataError,
                       ["bid", "row 1", "'a'", "one type"]),
    "a text first": (dict(quotes=quotes(bid=["a", 6000.0])), DataError,
                     ["bid", "row 1", "6000.0", "'a'", "one type"]),
    "NumPy times in a list": (dict(quotes=quotes(ts=[np.datetime64("2026-01-01")] * 2)), DataError,
                              ["ts", "row 0", "NumPy array"]),
    "objects": (dict(quotes=quotes(bid=[Opaque(), Opaque()])), DataError,
                ["bid", "row 0", "Opaque()"]),
    "objects in an array": (dict(quotes=quotes(bid=np.array([Opaque(), 1.0], object))), DataError,
                            ["bid", "Opaque()"]),
    "two dimensions": (dict(quotes=quotes(bid=np.zeros((2, 2)))), DataError, ["bid_px", "row 0"]),
    "ticks too large": (dict(quotes=quotes(bid=[24_000, 6 * 10**12])), DataError,
                        ["bid_px", "row 1", "whole numbers are ticks", "floats"]),
    "unequal columns": (dict(quotes=quotes(ts=[MORNING])), DataError,
                        ["quotes of ESH26", "unequal length", "ts 1", "bid 2", "ask 2"]),
    "a column twice": (dict(quotes=quotes(bid_px=[24_000, 24_001])), DataError,
                       ["'bid'", "'bid_px'", "keep one"]),
    "a list": (dict(quotes=[1, 2]), UsageError, ["quotes=", "dict of columns", "list"]),
    "other ticks": (dict(bars=good()), UsageError, ["bars=", "dict of columns", "Ticks"]),
}  # fmt: skip


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_that_cannot_be(name):
    """Row, value and remedy; never an exception of polars, and nothing cut or rounded."""
    given, error, words = ARRAYS[name]
    with pytest.raises(error) as caught:
        ticks("ESH26", **given)
    assert_says(caught.value, words)


@pytest.mark.parametrize("kind", ["quotes", "trades", "bars"])
def test_frames_are_checked_like_dicts(kind):
    """The same mistake in a polars frame; and one price of text in any of the columns."""
    given = pl.DataFrame({"quotes": quotes, "trades": trades, "bars": bars}[kind]())
    for name in given.columns:
        with pytest.raises(DataError, match=r"row 0"):
            ticks("ESH26", **{kind: given.with_columns(pl.lit("x").alias(name))})


def test_arrays_that_are_good():
    """What the checks must let pass: touching bars, flat bars, gaps, zero sizes, whole floats."""
    day = ticks("ESH26", bars=bars(open=[6001.0, 5999.0], close=[5999.0, 6001.0]))
    assert day.rows == {"bars": 2}
    assert ticks("ESH26", bars=bars(high=[6000.0] * 2, low=[6000.0] * 2)).rows == {"bars": 2}
    later = [MORNING, MORNING + 5 * MINUTE], [MORNING + MINUTE, MORNING + 6 * MINUTE]
    assert ticks("ESH26", bars=bars(ts_open=later[0], ts_close=later[1])).bar_spec == "1m"
    held = ticks("ESH26", trades=trades(size=np.array([0.0, 2.0]), side=[-1, 1]))
    assert held.frame()["size"].to_list() == [0, 2]
    exact = ticks("ESH26", trades=trades(price=[Decimal("6000"), Decimal("6000.25")],
                                         size=[Decimal(1), Decimal(2)]))  # fmt: skip
    assert exact.frame()["price"].to_list() == [6000.0, 6000.25]
    mixed = ticks("ESH26", quotes=quotes(bid=[6000, 6000.25], ask=[None, 6001]))
    assert mixed.frame()["bid"].to_list() == [6000.0, 6000.25]
    empty = ticks("ESH26", quotes=quotes(), trades={"ts": np.zeros(0), "price": np.zeros(0)})
    assert empty.rows == {"quotes": 2}


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
    "no account": ({"account": None}, UsageError,
                   ["account", "None", "'combine-50k'", "px.programme('own'"]),
    "a number for the account": ({"account": 50_000}, UsageError, ["account", "int", "programme"]),
    "the class of the account": ({"account": px.Programme}, UsageError, ["account", "a type"]),
    "no ticks": ({"data": []}, UsageError, ["px.load", "px.ticks", "an empty list"]),
    "None for ticks": ({"data": [None]}, UsageError, ["px.load", "None"]),
    "a frame for ticks": ({"data": good().frame()}, UsageError, ["px.ticks", "a DataFrame"]),
    "a list of frames": ({"data": [good(), good().frame()]}, UsageError, ["a DataFrame"]),
    "a strategy for ticks": ({"data": Quiet()}, UsageError, ["px.load", "a Quiet"]),
    "a code for ticks": ({"data": "ESH26"}, UsageError, ["px.load('ESU13'", "a str"]),
    "ticks for the strategy": ({"strategy": good()}, UsageError, ["instance", "first", "a Ticks"]),
    "the class of the strategy": ({"strategy": Quiet}, UsageError,
                                  ["EmaCross(fast=10)", "the class Quiet", "write Quiet(...)"]),
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


OPTIONS = {
    "limit_fill='queue'": {"limit_fill": "queue"},
    "partial_fills=True": {"partial_fills": True},
    "limit_fill='queue' and partial_fills=True": {"limit_fill": "queue", "partial_fills": True},
}


@pytest.mark.parametrize("option", OPTIONS)
def test_quotes_without_sizes(option):
    """A fill model that needs sizes would fill nothing, ever: an error, at the first such day."""
    sized = {"bid_size": [5, 5], "ask_size": [5, 5]}
    assert run(data=ticks("ESH26", quotes=quotes(**sized)), **OPTIONS[option]) is not None
    for given in ({}, {"bid_size": [5, 5]}, {"ask_size": [5, 5]}):
        with pytest.raises(DataError) as caught:
            run(data=ticks("ESH26", quotes=quotes(**given)), **OPTIONS[option])
        assert_says(caught.value, [option, "ESH26", "2026-01-13", "bid_size and ask_size"])
    day = 86_400 * SECOND
    later = quotes(ts=[MORNING, MORNING + day], bid_size=[5, None], ask_size=[5, None])
    with pytest.raises(DataError, match=r"ESH26 in session 2026-01-14 carry none"):
        run(data=ticks("ESH26", quotes=later), **OPTIONS[option])
    other = ticks("NQH26", quotes=quotes())
    with pytest.raises(DataError, match="NQH26"):
        run(data=[ticks("ESH26", quotes=quotes(**sized)), other], **OPTIONS[option])
    assert run(data=other) is not None


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


def bars_of(code, minutes):
    n = 5
    ts = MORNING + np.arange(n) * minutes * 60 * SECOND
    price = np.full(n, 24_000, np.int32)
    return ticks(code, bars={"ts_open": ts, "ts_close": ts + minutes * 60 * SECOND,
                             **dict.fromkeys(("open", "high", "low", "close"), price)})  # fmt: skip


class OnMinutes(px.Strategy):
    bars = "1m"

    def on_bar(self, bar, position):
        return px.hold()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (lambda: [bars_of("NQH26", 5)], ["timeframe 1m", "5m bars", "multiple"]),
        (lambda: [bars_of("NQH26", 1), bars_of("ESH26", 5)], ["1m and 5m", "one length"]),
        (
            lambda: [
                bars_of("NQH26", 1),
                ticks("ESH26", trades={"ts": [MORNING], "price": [6_000.25]}),
            ],
            ["NQH26 has bars only", "ESH26 has trades", "all have bars"],
        ),
    ],
)
def test_bars_that_would_show_the_future(data, words):
    with pytest.raises(UsageError) as caught:
        px.backtest(OnMinutes(), data(), account="combine-50k")
    assert_says(caught.value, words)

"""Backtest, paper-trade and trade CME futures with one strategy class.

The public names, importable from here::

    import pxresearch as px

    class EmaCross(px.Strategy): ...
    result = px.backtest(EmaCross(fast=10), px.load("ESU13", "2013-09-03"), account="combine-50k")

They are loaded on first use, so that importing the package is quick.

I/O: none
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "Catalog": "catalog",
    "FillModel": "brokers.fillmodel",
    "Gateway": "gateway.client",
    "Latency": "brokers.fillmodel",
    "Programme": "programmes",
    "PxError": "errors",
    "Result": "report",
    "Signal": "core.signals",
    "Strategy": "strategy",
    "Ticks": "tickdata",
    "backtest": "backtesting",
    "bars": "frames",
    "buy": "core.signals",
    "cancel": "core.signals",
    "connect": "gateway.plain",
    "contract": "instruments",
    "flatten": "core.signals",
    "hold": "core.signals",
    "import_file": "importers",
    "instrument": "instruments",
    "load": "tickdata",
    "load_strategy": "strategy",
    "make_demo": "demo",
    "programme": "programmes",
    "sell": "core.signals",
    "state": "strategy",
    "ticks": "tickdata",
}
_INDICATORS = (
    "Adx", "Atr", "Bollinger", "Donchian", "Ema", "Keltner", "Macd", "OpeningRange", "Rsi", "Sma",
    "Std", "Stochastic", "Vwap", "Wma", "ZScore", "adx", "atr", "bollinger", "donchian", "ema",
    "keltner", "macd", "opening_range", "rsi", "sma", "std", "stochastic", "vwap", "wma", "zscore",
)  # fmt: skip
_HOME |= dict.fromkeys(_INDICATORS, "core.indicators")

# The names are listed once, in _HOME.
__all__ = sorted(_HOME)  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from pxresearch.backtesting import backtest as backtest  # noqa: I001  indicators fill lines
    from pxresearch.brokers.fillmodel import FillModel as FillModel
    from pxresearch.brokers.fillmodel import Latency as Latency
    from pxresearch.catalog import Catalog as Catalog
    from pxresearch.core.indicators import (
        Adx as Adx, Atr as Atr, Bollinger as Bollinger, Donchian as Donchian, Ema as Ema,
        Keltner as Keltner, Macd as Macd, OpeningRange as OpeningRange, Rsi as Rsi, Sma as Sma,
        Std as Std, Stochastic as Stochastic, Vwap as Vwap, Wma as Wma, ZScore as ZScore,
        adx as adx, atr as atr, bollinger as bollinger, donchian as donchian, ema as ema,
        keltner as keltner, macd as macd, opening_range as opening_range, rsi as rsi, sma as sma,
        std as std, stochastic as stochastic, vwap as vwap, wma as wma, zscore as zscore,
    )  # fmt: skip
    from pxresearch.core.signals import Signal as Signal
    from pxresearch.core.signals import buy as buy
    from pxresearch.core.signals import cancel as cancel
    from pxresearch.core.signals import flatten as flatten
    from pxresearch.core.signals import hold as hold
    from pxresearch.core.signals import sell as sell
    from pxresearch.demo import make_demo as make_demo
    from pxresearch.errors import PxError as PxError
    from pxresearch.frames import bars as bars
    from pxresearch.gateway.client import Gateway as Gateway
    from pxresearch.gateway.plain import connect as connect
    from pxresearch.importers import import_file as import_file
    from pxresearch.instruments import contract as contract
    from pxresearch.instruments import instrument as instrument
    from pxresearch.programmes import Programme as Programme
    from pxresearch.programmes import programme as programme
    from pxresearch.report import Result as Result
    from pxresearch.strategy import Strategy as Strategy
    from pxresearch.strategy import load_strategy as load_strategy
    from pxresearch.strategy import state as state
    from pxresearch.tickdata import Ticks as Ticks
    from pxresearch.tickdata import load as load
    from pxresearch.tickdata import ticks as ticks


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'pxresearch' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"pxresearch.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]

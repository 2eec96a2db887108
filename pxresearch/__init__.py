"""Backtest, paper-trade and trade CME futures with one strategy class."""

__version__ = "0.1.0"

"""The engine: matching, risk, account and bars, compiled, the same in replay and in trading.

I/O: none
"""

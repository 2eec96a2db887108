"""Drift: does what trades now do what was measured?

Three questions, each of a kind of its own:

1. Every session, replayed from its own recording, must decide the same: 0 differences (`replay`).
2. Paper fills against a fresh backtest of the same days, which runs through all of them at once
   (`compare`).
3. Live fills against what paper would have filled of the same orders on the same market (`shadow`).

The first is exact. The others are samples, so each figure has an interval, and a metric drifts when
its whole interval lies beyond its limit (`report.LIMITS`). `account.update` asks all three for the
journals of one account.

I/O: none here; the modules read journals and write ``drift.json``.
"""

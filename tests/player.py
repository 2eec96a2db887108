"""A strategy that plays a scenario's script from its own state: the same compiled and in Python.

A signal is a row of numbers; `first[hook, call]` is the first row of a call, 0 for none.
"""

from __future__ import annotations

import math

from numba.extending import register_jitable

import pxresearch as px

CALLS, ROWS, WIDTH, MOST = 400, 1_200, 14, 3
BAR, QUOTE, TRADE, FILL, SESSION = range(5)
HOOKS = ("bar", "quote", "trade", "fill", "session")
KINDS = ("market", "limit", "stop", "stop_limit", "trailing")


@register_jitable
def _whole(me, row, column):
    return int(me.table[row * WIDTH + column])


@register_jitable
def _buy(me, row, price, stop):
    qty, kind = me.table[row * WIDTH + 2], _whole(me, row, 3)
    at, tag, trail = _whole(me, row, 4), _whole(me, row, 5), _whole(me, row, 6)
    loss, win, trailing = _whole(me, row, 7), _whole(me, row, 8), _whole(me, row, 9) != 0
    sl, tp = me.table[row * WIDTH + 12], me.table[row * WIDTH + 13]
    if kind == 0:
        return px.buy(qty, None, None, None, loss, win, sl, tp, trailing, tag, at)
    if kind == 1:
        return px.buy(qty, price, None, None, loss, win, sl, tp, trailing, tag, at)
    if kind == 2:
        return px.buy(qty, None, stop, None, loss, win, sl, tp, trailing, tag, at)
    if kind == 3:
        return px.buy(qty, price, stop, None, loss, win, sl, tp, trailing, tag, at)
    return px.buy(qty, None, None, trail, loss, win, sl, tp, trailing, tag, at)


@register_jitable
def _sell(me, row, price, stop):
    qty, kind = me.table[row * WIDTH + 2], _whole(me, row, 3)
    at, tag, trail = _whole(me, row, 4), _whole(me, row, 5), _whole(me, row, 6)
    loss, win, trailing = _whole(me, row, 7), _whole(me, row, 8), _whole(me, row, 9) != 0
    sl, tp = me.table[row * WIDTH + 12], me.table[row * WIDTH + 13]
    if kind == 0:
        return px.sell(qty, None, None, None, loss, win, sl, tp, trailing, tag, at)
    if kind == 1:
        return px.sell(qty, price, None, None, loss, win, sl, tp, trailing, tag, at)
    if kind == 2:
        return px.sell(qty, None, stop, None, loss, win, sl, tp, trailing, tag, at)
    if kind == 3:
        return px.sell(qty, price, stop, None, loss, win, sl, tp, trailing, tag, at)
    return px.sell(qty, None, None, trail, loss, win, sl, tp, trailing, tag, at)


@register_jitable
def _signal(me, row):
    kind = _whole(me, row, 0)
    if kind == 1:
        price, stop = me.table[row * WIDTH + 10], me.table[row * WIDTH + 11]
        if me.table[row * WIDTH + 1] > 0:
            return _buy(me, row, price, stop)
        return _sell(me, row, price, stop)
    if kind == 2:
        return px.cancel(_whole(me, row, 5), _whole(me, row, 4))
    if kind == 3:
        return px.flatten(_whole(me, row, 4))
    return px.hold()


@register_jitable
def _play(me, hook):
    """The signals of this call of the hook; row 0 holds, and so does what is past a call's last."""
    me.calls[hook] += 1
    call = me.calls[hook]
    row = me.first[hook * CALLS + call] if call < CALLS else 0
    return _signal(me, row), _signal(me, row + (row > 0)), _signal(me, row + 2 * (row > 0))


class Player(px.Strategy):
    """Plays what `load` wrote."""

    bars = "1m"
    table = px.state(float, size=ROWS * WIDTH)
    first = px.state(int, size=5 * CALLS)
    calls = px.state(int, size=5)

    def on_bar(self, bar, position):
        return _play(self, BAR)

    def on_quote(self, quote, position):
        return _play(self, QUOTE)

    def on_trade(self, trade, position):
        return _play(self, TRADE)

    def on_fill(self, fill, position):
        return _play(self, FILL)

    def on_session(self, session, position):
        return _play(self, SESSION)


def load(record, script, to_signal):
    """Write a script into the strategy's record; `to_signal` makes it an engine's signal."""
    table = record["table"][0].reshape(ROWS, WIDTH)
    first = record["first"][0].reshape(5, CALLS)
    row = 1
    for (hook, call), signals in script.items():
        assert len(signals) <= MOST
        first[HOOKS.index(hook), call] = row
        for at, signal in enumerate(signals):
            s = to_signal(signal)
            table[row + at] = (
                s.kind, s.side, s.qty, s.order, s.contract, s.tag, s.trail, s.stop_ticks,
                s.target_ticks, s.trailing_stop, s.limit, s.stop, s.stop_loss, s.take_profit,
            )  # fmt: skip
        row += MOST
    assert row < ROWS
    assert not math.isnan(table[:, 0].sum())

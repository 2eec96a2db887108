"""Rebuild the top of an order book from single orders (Databento mbo).

An order is added, cancelled in part or whole, or modified; trades and fills do not change the book
themselves, the cancel that follows them does. The top is shown after the last record of an event
and only when it changed: price or size, on either side.

I/O: none
"""

from __future__ import annotations

import numpy as np
from numba import njit

_ADD, _CANCEL, _MODIFY, _CLEAR = 0, 1, 2, 3
_ACTIONS = {b"A": _ADD, b"C": _CANCEL, b"M": _MODIFY, b"R": _CLEAR}
_UNPRICED = 2**63 - 1
TOP = np.dtype(
    [("row", "i8"), ("bid_px", "i8"), ("bid_sz", "i8"), ("ask_px", "i8"), ("ask_sz", "i8")]
)
"""A shown top: the record after which it stands, prices as in the source; size 0 = empty side."""


def book_tops(records: np.ndarray) -> np.ndarray:
    """Every change of the top of book that a reader may see.

    Parameters
    ----------
    records
        (n,) mbo records of one instrument, in file order.

    Returns
    -------
    numpy.ndarray
        :data:`TOP` records, ascending in `row`.
    """
    action = np.full(len(records), -1, np.int8)
    for letter, code in _ACTIONS.items():
        action[records["action"] == letter] = code
    side = np.where(records["side"] == b"B", 0, np.where(records["side"] == b"A", 1, -1))
    price = np.ascontiguousarray(records["price"], dtype=np.int64)
    levels = np.unique(price[price != _UNPRICED])
    level = np.searchsorted(levels, price).astype(np.int64)
    level[price == _UNPRICED] = -1
    orders, order = np.unique(records["order_id"], return_inverse=True)
    tops = np.empty(len(records), TOP)
    count = _run(
        action, side.astype(np.int8), level, order.astype(np.int64),
        records["size"].astype(np.int64), (records["flags"] & 128) != 0,
        len(orders), len(levels), levels, tops,
    )  # fmt: skip
    return tops[:count]


@njit(cache=True)
def _run(action, side, level, order, size, shown, n_orders, n_levels, levels, tops):
    resting = np.zeros((2, n_levels), np.int64)
    order_level = np.full(n_orders, -1, np.int64)
    order_side = np.zeros(n_orders, np.int8)
    order_size = np.zeros(n_orders, np.int64)
    best = np.array([-1, n_levels])
    old_bid, old_ask, old_bid_sz, old_ask_sz = np.int64(-1), n_levels, np.int64(0), np.int64(0)
    count = 0
    for i in range(len(action)):
        act, one = action[i], order[i]
        if act == _CLEAR:
            resting[:] = 0
            order_level[:] = -1
            best[0], best[1] = -1, n_levels
        elif act == _CANCEL:
            _reduce(one, size[i], resting, order_level, order_side, order_size, best)
        elif act in (_ADD, _MODIFY) and side[i] >= 0 and level[i] >= 0:
            _reduce(one, order_size[one], resting, order_level, order_side, order_size, best)
            _place(one, side[i], level[i], size[i], resting, order_level, order_side, order_size,
                   best)  # fmt: skip
        if not shown[i]:
            continue
        bid, ask = best[0], best[1]
        bid_sz = resting[0, bid] if bid >= 0 else 0
        ask_sz = resting[1, ask] if ask < n_levels else 0
        if bid != old_bid or ask != old_ask or bid_sz != old_bid_sz or ask_sz != old_ask_sz:
            tops[count].row = i
            tops[count].bid_px = levels[bid] if bid >= 0 else 0
            tops[count].ask_px = levels[ask] if ask < n_levels else 0
            tops[count].bid_sz, tops[count].ask_sz = bid_sz, ask_sz
            old_bid, old_ask, old_bid_sz, old_ask_sz = bid, ask, bid_sz, ask_sz
            count += 1
    return count


@njit(cache=True)
def _place(one, side, level, size, resting, order_level, order_side, order_size, best):
    order_level[one], order_side[one], order_size[one] = level, side, size
    if size <= 0:
        order_level[one] = -1
        return
    resting[side, level] += size
    if side == 0:
        best[0] = max(best[0], level)
    else:
        best[1] = min(best[1], level)


@njit(cache=True)
def _reduce(one, size, resting, order_level, order_side, order_size, best):
    """Take `size` off a resting order; look for the next best level when the best empties."""
    level, side = order_level[one], order_side[one]
    if level < 0:
        return
    gone = min(size, order_size[one])
    order_size[one] -= gone
    resting[side, level] -= gone
    if order_size[one] == 0:
        order_level[one] = -1
    step = -1 if side == 0 else 1
    while 0 <= best[side] < resting.shape[1] and resting[side, best[side]] == 0:
        best[side] += step

"""Standing invariants of reliability.md section 3, checked on every session of the suite.

`install` wraps the two doors that every session goes through. After each drive of an engine its
state must be consistent (`check_state`); after each replay its logs must tell a story that the
rules allow (`check_run`), which recomputes positions, working orders, caps and deadlines from the
rows alone. Where two rows carry the same instant and their order is not on record, a row is wrong
only if it is wrong in every order.

| invariant | where |
|---|---|
| I2 protective quantity within the position; nothing protects no position | state, children |
| I4 nothing opens outside its hours, after a lock or after the account is over | entries |
| I5 flat and without orders at each deadline, when the market was there to make it so | deadlines |
| I6 every order is an approved entry, the child of one, or a flatten order | orders |
| I7 worst-case position with working orders within the caps | entries |
| I9 no reduction is refused | refusals |
| I10 money is integers and adds up | state, money |
| OCO: the legs of a bracket close no more than its entry opened | children |
"""

from __future__ import annotations

import functools
from bisect import bisect_left, bisect_right
from contextlib import contextmanager

import numpy as np

from pxresearch import bench
from pxresearch.brokers.replay import Replay
from pxresearch.brokers.session import EngineSession
from pxresearch.core import records as r
from pxresearch.sessions import schedule

CHILDREN = (r.STOP_LOSS, r.TARGET)
WELL_FORMED = (r.BAD_CONTRACT, r.BAD_QUANTITY, r.BAD_PRICE, r.OFF_GRID, r.TOO_MANY_ORDERS)
MOST_ROWS = 5_000_000  # ticks beyond this are not read a second time for the deadlines
MOST_ENTRIES = 10_000  # orders beyond this are not judged one by one
ID, DECIDED, ENDED, STATUS, SIDE, QTY, ROLE = range(7)
_on = [True]


@contextmanager
def off():
    """Check nothing meanwhile: for tests that measure, or that set the account's fields by hand."""
    _on[0] = False
    try:
        yield
    finally:
        _on[0] = True


def install(patch):
    """Check every session from now on; `patch` is a pytest.MonkeyPatch."""
    tell, run = EngineSession.tell, Replay.run

    @functools.wraps(tell)
    def checked_tell(self, *args, **kwargs):
        tell(self, *args, **kwargs)
        if _on[0]:
            check_state(self)

    @functools.wraps(run)
    def checked_run(self, *args, **kwargs):
        session = run(self, *args, **kwargs)
        if _on[0]:
            check_run(self)
        return session

    patch.setattr(EngineSession, "tell", checked_tell)
    patch.setattr(Replay, "run", checked_run)
    measure = bench.run_bench

    @functools.wraps(measure)
    def unwatched(*args, **kwargs):  # what is measured there is the engine, not these checks
        with off():
            return measure(*args, **kwargs)

    patch.setattr(bench, "run_bench", unwatched)


# ------------------------------------------------------------------ the engine's state
def check_state(session):
    """The engine record agrees with itself."""
    e = session.engine[0]
    n = int(e["live_n"])
    live = [e["order"][slot] for slot in e["live"][:n]]
    assert n + int(e["free_n"]) == r.MAX_ORDERS, (n, int(e["free_n"]))
    ids = [int(o["id"]) for o in live]
    assert ids == sorted(set(ids)), ids
    assert int(e["balance"]) == int(e["start_balance"]) + int(e["realized"]) - int(e["costs"])
    for k in range(int(e["contracts_n"])):
        check_contract(e["contract"][k], [o for o in live if int(o["contract"]) == k])
    held = [int(c["position"]) for c in e["contract"]]
    assert int(e["open_contracts"]) == sum(p != 0 for p in held), held


def check_contract(c, live):
    """Lots make the position; protective orders stay within it and face it (I2)."""
    at = [(int(c["lot_head"]) + i) % r.MAX_LOTS for i in range(int(c["lot_count"]))]
    lots = [(int(c["lots"][i]["qty"]), int(c["lots"][i]["price"])) for i in at]
    position = int(c["position"])
    assert sum(qty for qty, _ in lots) == position, (lots, position)
    assert all(qty * position > 0 for qty, _ in lots), (lots, position)
    assert sum(qty * price for qty, price in lots) == int(c["value_at_entry"]), lots
    assert int(c["orders"]) == len(live), (int(c["orders"]), live)
    entries = [o for o in live if o["role"] == r.ENTRY]
    assert int(c["buying"]) == sum(o["side"] > 0 for o in entries), entries
    assert int(c["selling"]) == sum(o["side"] < 0 for o in entries), entries
    for role in CHILDREN:
        legs = [o for o in live if o["role"] == role]
        assert all(o["side"] * position < 0 for o in legs), (position, legs)
        assert sum(int(o["qty"] - o["filled"]) for o in legs) <= abs(position), (position, legs)
    assert sum(o["role"] == r.EXIT for o in live) <= 1, live
    assert all(0 <= o["filled"] < o["qty"] for o in live), live


# ------------------------------------------------------------------ the story of a run
def check_run(replay):
    """The logs of a replay obey the rules."""
    session = replay.session
    logs = session.logs()
    check_money(session, logs)
    check_orders(session, logs)
    check_children(logs)
    book = Book(session, logs)
    check_entries(book)
    check_refusals(book)
    check_deadlines(book, replay.ticks)


def check_money(session, logs):
    """I10: integers, and every sum agrees with every other."""
    e, fills, trades, days = session.engine[0], logs["fills"], logs["trades"], logs["days"]
    for rows in logs.values():
        for name in rows.dtype.names:
            kind = rows.dtype[name]
            assert kind.kind == "i" or kind.names is not None, (name, kind)
    realized, costs = int(fills["realized"].sum()), int(fills["cost"].sum())
    assert int(e["balance"]) == int(e["start_balance"]) + realized - costs
    assert int(trades["gross"].sum()) == realized, (int(trades["gross"].sum()), realized)
    assert int(days["costs"].sum()) == costs, (days["costs"], costs)
    assert int(days["fills"].sum()) == len(fills), days["fills"]
    if len(days):
        assert days["start_balance"][0] == e["start_balance"], days[0]
        assert days["end_balance"][-1] == e["balance"], days[-1]
        gap = days["start_balance"][1:] != days["end_balance"][:-1]
        assert not gap.any(), days[1:][gap]
        wild = (days["min_equity"] > days["end_equity"]) | (days["max_equity"] < days["end_equity"])
        assert not wild.any(), days[wild]
    for k in range(int(e["contracts_n"])):
        rows = fills[fills["contract"] == k]
        running = np.cumsum(rows["side"] * rows["qty"])
        assert (running == rows["position"]).all(), rows[running != rows["position"]][:1]
        closed = int(trades["qty"][trades["contract"] == k].sum())
        position = int(running[-1]) if len(running) else 0
        assert 2 * closed + abs(position) == int(rows["qty"].sum()), (k, closed, position)
    excursion = (trades["mae"] > np.minimum(0, trades["gross"])) | (
        trades["mfe"] < np.maximum(0, trades["gross"])
    )
    assert not excursion.any(), trades[excursion][:1]


def check_orders(session, logs):
    """I6: ids without a gap; each order an entry, the child of an entry, or a flatten order."""
    orders = np.sort(logs["orders"], order="id")
    made = int(session.engine["orders_made"][0])
    assert np.array_equal(orders["id"], np.arange(1, made + 1)), (orders["id"], made)
    assert (orders["ended"] >= orders["decided"]).all(), orders[orders["ended"] < orders["decided"]]
    own = orders["parent"] == 0
    assert (own == np.isin(orders["role"], (r.ENTRY, r.EXIT))).all(), orders[own][:1]
    exits = orders[orders["role"] == r.EXIT]
    assert (exits["kind"] == r.MARKET).all(), exits
    children = orders[~own]
    parents = orders[children["parent"] - 1]
    right = (
        (parents["role"] == r.ENTRY) & (parents["contract"] == children["contract"])
        & (parents["side"] == -children["side"]) & (parents["id"] < children["id"])
        & (parents["filled"] > 0)
    )  # fmt: skip
    assert right.all(), children[~right][:1]
    fills = logs["fills"]
    filled = np.bincount(fills["order"], weights=fills["qty"], minlength=made + 1)[1:]
    assert (filled == orders["filled"]).all(), orders[filled != orders["filled"]][:1]
    done = orders["filled"] == orders["qty"]  # also a leg that shrank to nothing
    wrong = ((orders["status"] == r.FILLED) != done) & (own | (orders["status"] == r.FILLED))
    assert not wrong.any(), orders[wrong][:1]
    of = orders[fills["order"] - 1]
    timely = (fills["ts"] >= of["active_from"]) & (fills["ts"] <= of["ended"])
    assert timely.all(), (fills[~timely][:1], of[~timely][:1])
    limited = np.isin(of["kind"], (r.LIMIT, r.STOP_LIMIT))
    worse = limited & ((fills["price"] - of["limit"]) * of["side"] > 0)
    assert not worse.any(), (fills[worse][:1], of[worse][:1])


def check_children(logs):
    """I2 and OCO: a leg only reduces, and the legs close no more than their entry filled."""
    orders, fills = logs["orders"], logs["fills"]
    reducing = fills[np.isin(fills["role"], (*CHILDREN, r.EXIT))]
    before = reducing["position"] - reducing["side"] * reducing["qty"]
    wrong = (np.abs(before) - np.abs(reducing["position"]) != reducing["qty"]) | (
        before * reducing["side"] >= 0
    )
    assert not wrong.any(), reducing[wrong][:1]
    filled = {int(o["id"]): int(o["filled"]) for o in orders}
    legs = {}
    for o in orders[orders["parent"] > 0]:
        parent = int(o["parent"])
        legs[parent] = legs.get(parent, 0) + int(o["filled"])
        assert legs[parent] <= filled[parent], o


class Book:
    """Positions and working orders at any instant, from the rows of a run."""

    def __init__(self, session, logs):
        self.session, self.programme = session, session.programme
        self.orders = np.sort(logs["orders"], order="id")
        self.entries = self.orders[self.orders["role"] == r.ENTRY]
        self.refusals, self.risk, self.day_rows = logs["refusals"], logs["risk"], logs["days"]
        self.instruments = [f.contract.instrument for f in session.feeds]
        self.bars = any(f.kinds == ("bars",) for f in session.feeds)
        self.fills = [
            logs["fills"][logs["fills"]["contract"] == k] for k in range(len(self.instruments))
        ]
        names = ["id", "decided", "ended", "status", "side", "qty", "role"]
        own = self.orders[self.orders["parent"] == 0]
        self.mine = [own[own["contract"] == k][names].tolist() for k in range(len(self.fills))]
        self._sweep = [(-(2**63), 0, []) for _ in self.fills]
        self.stamps = [f["ts"].tolist() for f in self.fills]
        self.rows = [f[["order", "qty", "position"]].tolist() for f in self.fills]
        self.days = session.days
        _, self.sessions = schedule(
            self.instruments, int(self.days["start"][0]), int(self.days["end"][-1]) - 1,
            flatten_margin_s=self.programme.flatten_margin_s,
            no_open_margin_s=self.programme.no_open_margin_s,
        )  # fmt: skip
        assert len(self.sessions) == len(self.days)
        self.starts = self.days["start"].tolist()

    def day(self, ts):
        return bisect_right(self.starts, ts) - 1

    def moments(self, k, ts, before):
        """Counts of fills of contract k that may have been done when order `before` was decided."""
        low, high = bisect_left(self.stamps[k], ts), bisect_right(self.stamps[k], ts)
        last = low
        while last < high and self.rows[k][last][0] < before:
            last += 1
        return range(low, last + 1)

    def position(self, k, n):
        return self.rows[k][n - 1][2] if n else 0

    def alive(self, k, ts):
        """Entries and flatten orders of contract k decided by ts that have not ended before it."""
        then, at, held = self._sweep[k]
        if ts < then:
            at, held = 0, []
        mine = self.mine[k]
        while at < len(mine) and mine[at][DECIDED] <= ts:
            held.append(mine[at])
            at += 1
        held = [o for o in held if o[ENDED] >= ts]
        self._sweep[k] = (ts, at, held)
        return held

    def working(self, k, ts, before, n, tied):
        """(side, quantity left, role) of such orders; `tied`: also what was cancelled at ts."""
        found = []
        for o in self.alive(k, ts):
            if o[ID] >= before or (o[ENDED] == ts and o[STATUS] != r.FILLED and not tied):
                continue
            left = o[QTY] - self.filled(k, o, n)
            if left > 0:
                found.append((o[SIDE], left, o[ROLE]))
        return found

    def filled(self, k, o, n):
        """How much of an entry was filled by the first n fills of contract k."""
        at = bisect_right(self.stamps[k], o[DECIDED] - 1)
        return sum(f[1] for f in self.rows[k][at:n] if f[0] == o[ID])

    def opening(self, k, side, qty, ts, before, n, tied):
        room = max(0, -side * self.position(k, n))
        if room:
            work = self.working(k, ts, before, n, tied)
            room -= sum(left for other, left, _ in work if other == side)
        return qty - min(qty, max(0, room))

    def worst(self, k, ts, before, n, buys, sells):
        for side, left, role in self.working(k, ts, before, n, False):
            left *= role == r.ENTRY
            buys, sells = buys + left * (side > 0), sells + left * (side < 0)
        position = self.position(k, n)
        return max(abs(position + buys), abs(position - sells))


def check_entries(book):
    """I4 and I7 for each order that opened something when it was decided."""
    locks = {cause: book.risk[book.risk["cause"] == cause]["ts"] for cause in
             (r.MAX_LOSS, r.DAILY_LOSS, r.PROFIT_LOCK)}  # fmt: skip
    over = locks.pop(r.MAX_LOSS)
    for o in book.entries[:MOST_ENTRIES]:
        k, ts, side, qty = int(o["contract"]), int(o["decided"]), int(o["side"]), int(o["qty"])
        moments = book.moments(k, ts, int(o["id"]))
        if any(book.opening(k, side, qty, ts, int(o["id"]), n, False) == 0 for n in moments):
            continue  # it opens nothing in some order of the events
        day = book.day(ts)
        s = book.sessions[day, k]
        assert s["open"] <= ts < s["close"], ("outside the session", o, s)
        assert not s["pause_from"] <= ts < s["pause_to"], ("in the pause", o, s)
        assert ts < min(s["no_open_from"], s["flatten_at"]), ("after the cut-off", o, s)
        assert not (over < ts).any(), ("account over", o)
        for cause, stamps in locks.items():
            today = stamps[(stamps >= book.days["start"][day]) & (stamps < ts)]
            assert not len(today), (r.CAUSES[cause], o)
        check_caps(book, o, moments)


def check_caps(book, o, moments):
    """I7: the worst case that the new order makes possible is within both caps."""
    k, ts, i = int(o["contract"]), int(o["decided"]), int(o["id"])
    buys, sells = int(o["qty"]) * (o["side"] > 0), int(o["qty"]) * (o["side"] < 0)
    worst = [
        min(
            book.worst(j, ts, i, n, buys if j == k else 0, sells if j == k else 0)
            for n in (moments if j == k else book.moments(j, ts, i))
        )
        for j in range(len(book.instruments))
    ]
    caps = book.programme.product_caps(*book.session._span())
    root = book.instruments[k].root
    if root in caps:
        same = [w for w, item in zip(worst, book.instruments, strict=True) if item.root == root]
        assert sum(same) <= caps[root], (worst, caps[root], o)
    if book.bars and len(worst) > 1:
        return  # fills inside a bar carry its end: no order between contracts
    limit = book.programme.size_tenths(start_balance(book, ts))
    size = sum(w * item.size_tenths for w, item in zip(worst, book.instruments, strict=True))
    assert limit is None or size <= limit, (worst, size, limit, o)
    most = book.programme.max_order_qty
    assert most is None or o["qty"] <= most, o


def start_balance(book, ts):
    """Balance at the start of the trading day of an instant."""
    dates, rows = book.days["date"], book.day_rows
    earlier = rows[rows["date"] < dates[book.day(ts)]]
    if len(earlier):
        return int(earlier["end_balance"][-1])
    return int(book.session.engine["start_balance"][0])


def check_refusals(book):
    """I9: what was refused would have opened something."""
    rows = book.refusals[~np.isin(book.refusals["reason"], WELL_FORMED)]
    for k in range(len(book.instruments)):
        mine = rows[rows["contract"] == k]
        done = np.searchsorted(book.fills[k]["ts"], mine["ts"])
        held = np.concatenate([[0], book.fills[k]["position"]])[done]
        check_refused(book, k, mine[held * mine["side"] < 0])


def check_refused(book, k, rows):
    """Of contract k: refusals while the other side was held before the instant."""
    for row in rows:
        ts, side, qty = int(row["ts"]), int(row["side"]), int(row["qty"])
        after = 2**62  # any order decided by then may have come first
        opening = [
            book.opening(k, side, qty, ts, after, n, True) for n in book.moments(k, ts, after)
        ]
        assert max(opening) > 0, ("a refused reduction", r.REASONS[row["reason"]], row)


def check_deadlines(book, ticks):
    """I5: where the market gave a chance between flatten time and deadline, both are clean."""
    if sum(len(t) for t in ticks) > MOST_ROWS or book.session.engine["fill"]["partial"][0]:
        return
    x = book.session.wires[0]
    delay = 0
    for name in ("feed", "entry"):
        held = [a for a in book.session._kept if getattr(a, "ctypes", None) is not None]
        samples = next(a for a in held if a.ctypes.data == int(x[name]))
        delay += int(samples.max())
    chances = 3 if delay else 1
    last = max(t.last for t in ticks)
    for k, contract_ticks in enumerate(ticks):
        stamps = takeable(contract_ticks)
        s = book.sessions[:, k]
        first = np.searchsorted(stamps, s["flatten_at"] + 2 * delay)
        count = np.searchsorted(stamps, s["deadline"]) - first
        due = (s["open"] < s["close"]) & (count >= chances) & (s["deadline"] <= last)
        resumed = ~((s["pause_from"] < s["deadline"]) & (s["pause_to"] > s["flatten_at"]))
        for at in np.flatnonzero(due & resumed):
            check_deadline(book, k, int(s["deadline"][at]))


def check_deadline(book, k, deadline):
    n = int(np.searchsorted(book.fills[k]["ts"], deadline))
    assert book.position(k, n) == 0, ("open at the deadline", deadline, book.fills[k][n - 1])
    mine = book.orders[book.orders["contract"] == k]
    open_then = mine[(mine["decided"] < deadline) & (mine["ended"] >= deadline)]
    assert not len(open_then), ("working at the deadline", deadline, open_then)


def takeable(ticks):
    """Times at which a market order of either side finds a price."""
    parts = [np.zeros(0, np.int64)]
    for block in ticks.blocks():
        if block.quotes is not None:
            q = block.quotes
            parts.append(q.ts[(q.bid != r.NO_BID) & (q.ask != r.NO_ASK)])
        elif block.trades is not None:
            parts.append(block.trades.ts)
        else:
            parts.append(block.bars.ts_open)
    return np.concatenate(parts)

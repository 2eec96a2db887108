"""The oracle's account: FIFO lots, balance, marks, equity, limits. Exact integers."""

from __future__ import annotations

from tests.oracle_types import DAILY_LOSS, MAX_LOSS, PROFIT_LOCK, Lot


class Account:
    """Balance, limits and their latches; `states` hold the lots and marks."""

    def __init__(self, rules, states):
        self.rules, self.states = rules, states
        self.balance = self.day_start = rules.start_balance
        self.realized = self.costs = 0
        self.level = None
        if rules.max_loss is not None:
            self.level = self._level_of(self.balance)
        self.over = self.locked = self.profit_locked = False
        self.streak, self.pause_until = 0, None
        self.tenths = self._tier()
        self.min_equity = self.max_equity = self.peak = self.balance
        self.drawdown = 0
        self.low = self.high = self.balance
        self.in_since = 0
        self.start_day()

    def start_day(self):
        equity = self.equity()
        self.day_min = self.day_max = self.day_peak = equity
        self.day_drawdown = self.day_costs = self.day_trades = self.day_fills = self.day_events = 0
        self.day_in_market = 0

    def in_market(self, now):
        """Time with any position open, up to now; counted on from now."""
        if any(state.lots for state in self.states):
            self.day_in_market += now - self.in_since
            self.in_since = now

    def _level_of(self, balance):
        level = balance - self.rules.max_loss
        lock = self.rules.max_loss_lock
        return level if lock is None else min(lock, level)

    def _tier(self):
        tenths = self.rules.max_tenths
        for least, cap in self.rules.tiers:
            if self.balance >= least:
                tenths = min(cap, self.rules.max_tenths or cap)
        return tenths

    # ------------------------------------------------------------ marks
    def mark(self, state):
        """Price the open position of a contract is valued at; None before any."""
        spec = state.spec
        if not spec.has_quotes or (self.rules.mark_last and spec.has_trades):
            return state.last_mark
        return state.bid_mark if state.position > 0 else state.ask_mark

    def unrealized(self):
        total = 0
        for state in self.states:
            mark = self.mark(state)
            if mark is None:
                continue
            for lot in state.lots:
                total += lot.side * lot.qty * (mark - lot.price) * state.spec.tick_value
        return total

    def equity(self):
        return self.balance + self.unrealized()

    def day_pnl(self):
        return self.equity() - self.day_start

    def note(self, state):
        """Extremes of equity, and of the open lots of the contract that had the event."""
        self.note_equity()
        mark = self.mark(state)
        if mark is not None:
            for lot in state.lots:
                move = lot.side * (mark - lot.price)
                lot.worst, lot.best = min(lot.worst, move), max(lot.best, move)

    def note_equity(self):
        """Equity is observed after each fill and at step 5 of each event."""
        equity = self.equity()
        self.min_equity, self.max_equity = (
            min(self.min_equity, equity), max(self.max_equity, equity),
        )  # fmt: skip
        self.peak = max(self.peak, equity)
        self.drawdown = max(self.drawdown, self.peak - equity)
        self.day_min, self.day_max = min(self.day_min, equity), max(self.day_max, equity)
        self.day_peak = max(self.day_peak, equity)
        self.day_drawdown = max(self.day_drawdown, self.day_peak - equity)
        self.low, self.high = min(self.low, equity), max(self.high, equity)

    # ------------------------------------------------------------ fills
    def fill(self, state, side, qty, price, ts, order=0, tag=0, in_range=False):
        """Book a fill. Returns (gross realized, closed lots as dicts, opened quantity)."""
        spec = state.spec
        cost = qty * spec.cost
        was_open = any(other.lots for other in self.states)
        self.balance -= cost
        self.costs += cost
        self.day_costs += cost
        self.day_fills += 1
        gross, closed, left = 0, [], qty
        while left and state.lots and state.lots[0].side != side:
            row = self._close(state, min(left, state.lots[0].qty), price)
            closed.append(row)
            gross += row["gross"]
            left -= row["qty"]
        self.balance += gross
        self.realized += gross
        if left:
            state.lots.append(Lot(side, left, price, ts, order, tag, spec.cost, in_range=in_range))
        is_open = any(other.lots for other in self.states)
        if was_open and not is_open:
            self.day_in_market += ts - self.in_since
        if is_open and not was_open:
            self.in_since = ts
        return gross, closed, left

    def _close(self, state, qty, price):
        lot, spec = state.lots[0], state.spec
        move = lot.side * (price - lot.price)
        row = {
            "side": lot.side, "qty": qty, "entry_ts": lot.ts, "entry_price": lot.price,
            "exit_price": price, "gross": move * qty * spec.tick_value,
            "cost": qty * (lot.cost + spec.cost),
            "mae": min(lot.worst, move) * qty * spec.tick_value,
            "mfe": max(lot.best, move) * qty * spec.tick_value,
            "entry_order": lot.order, "tag": lot.tag, "lot_in_range": lot.in_range,
        }  # fmt: skip
        lot.qty -= qty
        if not lot.qty:
            state.lots.pop(0)
        self.day_trades += 1
        return row

    def count_loss(self, row):
        self.streak = self.streak + 1 if row["gross"] - row["cost"] < 0 else 0

    def watch_losses(self, now, day_end):
        """The count is looked at after the event; returns it when a pause begins."""
        if not self.rules.loss_count or self.streak < self.rules.loss_count:
            return 0
        pause = self.rules.loss_pause_ns
        self.pause_until = now + pause if pause else day_end
        count, self.streak = self.streak, 0
        return count

    def paused(self, now):
        return self.pause_until is not None and now < self.pause_until

    # ------------------------------------------------------------ limits
    def watch(self):
        """Limits touched now, in order, each once: (cause, value, limit)."""
        if self.over:
            return []
        rules, equity, found = self.rules, self.equity(), []
        day = equity - self.day_start
        if self.level is not None and equity <= self.level:
            self.over = True
            return [(MAX_LOSS, equity, self.level)]
        if rules.daily_loss is not None and not self.locked and day <= -rules.daily_loss:
            self.locked = True
            found.append((DAILY_LOSS, day, -rules.daily_loss))
        if rules.profit_lock is not None and not self.profit_locked and day >= rules.profit_lock:
            self.profit_locked = True
            found.append((PROFIT_LOCK, day, rules.profit_lock))
        return found

    def roll(self):
        """Begin the next day."""
        if self.level is not None:
            self.level = max(self.level, self._level_of(self.balance))
        self.day_start = self.balance
        self.locked = self.profit_locked = False
        self.pause_until = None
        self.tenths = self._tier()
        self.start_day()

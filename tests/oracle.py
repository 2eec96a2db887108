"""The oracle: a slow, independent engine written from docs/engine.md alone.

It imports nothing of pxresearch. Prices are whole ticks (bars: half ticks), money whole
micro-dollars, time ns. Where the contract leaves a choice, the reading is marked `Reading:`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tests import oracle_bars, oracle_match, oracle_risk
from tests.oracle_account import Account
from tests.oracle_types import (
    BY_STRATEGY,
    CANCELED,
    DEADLINE,
    END_OF_DATA,
    ENTRY,
    EXIT,
    EXPIRED,
    FILLED,
    IN_FLIGHT,
    MARKET,
    MINUTE,
    NEVER,
    SESSION_END,
    STREAK,
    WORKING,
    Bar,
    FillModel,
    Latency,
    News,
    Order,
    Quote,
    Rules,
    Session,
    Spec,
    State,
    Trade,
)


class Silent:
    """A strategy that holds."""

    def on_bar(self, bar, position):
        return []

    on_quote = on_trade = on_fill = on_session = on_bar


@dataclass
class Result:
    """Everything a run wrote down; rows are plain dicts."""

    fills: list = field(default_factory=list)
    trades: list = field(default_factory=list)
    orders: list = field(default_factory=list)
    refusals: list = field(default_factory=list)
    days: list = field(default_factory=list)
    bars: list = field(default_factory=list)
    risk: list = field(default_factory=list)
    equity: list = field(default_factory=list)
    hooks: list = field(default_factory=list)  # (hook, instant) as called
    events: int = 0
    dropped: int = 0
    balance: int = 0
    min_equity: int = 0
    max_equity: int = 0
    drawdown: int = 0
    calls: list = field(default_factory=list)


def effective_ts(event):
    """Instant that timers and streams are compared by: a bar counts from its open."""
    return event.open_ts if isinstance(event, Bar) else event.ts


def merged(events):
    """Events of all streams in the contract's order; each stream keeps its own order."""
    streams = {}
    for event in events:
        kind = (Quote, Trade, Bar).index(type(event))
        streams.setdefault((event.contract, kind), []).append(event)
    sequenced = {
        contract: all(
            event.seq is not None
            for (owner, _), rows in streams.items() if owner == contract for event in rows
        )
        for contract, _ in streams
    }  # fmt: skip
    heads = dict.fromkeys(streams, 0)

    def key(stream):
        contract, kind = stream
        event = streams[stream][heads[stream]]
        return effective_ts(event), contract, event.seq if sequenced[contract] else 0, kind

    while heads:
        stream = min(heads, key=key)
        yield streams[stream][heads[stream]]
        heads[stream] += 1
        if heads[stream] == len(streams[stream]):
            del heads[stream]


class Oracle:
    """One run. Every method is one sentence of docs/engine.md."""

    def __init__(
        self, contracts, rules=None, fill=None, latency=None, days=(), sessions=(),
        strategy=None, timeframes=(),
    ):  # fmt: skip
        self.rules = rules or Rules()
        self.fill_model, self.latency = fill or FillModel(), latency or Latency()
        self.days, self.sessions = list(days), list(sessions)
        self.strategy, self.frames = strategy or Silent(), list(timeframes)
        self.states = [State(spec, bars=[None] * len(self.frames)) for spec in contracts]
        self.account = Account(self.rules, self.states)
        self.orders, self.alive, self.out = [], [], Result()
        self.notices, self.new_fills = [], []
        self.schedule, self.day, self.now = [], None, 0
        self.sample_at, self.last_sample, self.last_ts = NEVER, None, 0
        self.last_approved, self.approved_ts = None, []
        self.in_bar = False  # at a bar's close, before the other contracts' bars of the same time

    # ------------------------------------------------------------ the run
    def run(self, events, close=False):
        for event in merged(events):
            if self.day is None:
                self.begin()
            self.advance(effective_ts(event))
            self.now = effective_ts(event)
            self.step(event)
            self.last_ts = max(self.last_ts, event.ts)
        self.finish(close)
        return self.out

    def begin(self):
        """Reading: the run starts with the first day of the calendar."""
        self.now = self.days[0][1]
        self.enter_day(0)

    def enter_day(self, index):
        self.day = index
        _, start, end = self.days[index]
        self.schedule = [(end, 6, 0, self.roll)]
        for contract, session in enumerate(self.sessions[index]):
            self.states[contract].session = session
            if index:
                spec = self.states[contract].spec
                self.states[contract].spec = replace(spec, cost=spec.cost + spec.dearer)
            self.plan_session(contract, session, start, end)

    def plan_session(self, contract, session, start, end):
        def plan(instant, order, action):
            if start <= instant <= end:
                self.schedule.append((instant, order, contract, action))

        if session.open < session.close:
            plan(session.open, 7, self.open_session)
            plan(session.close, 5, self.close_session)
            if session.pause_from < session.pause_to:
                plan(session.pause_from, 5, self.pause)
                plan(session.pause_to, 7, self.resume)
        plan(session.flatten_at, 4, self.flatten_time)

    def finish(self, close):
        """No timer later than the last event (bar: its close) fires; what still works stays so."""
        self.advance(self.last_ts)
        self.now = self.last_ts
        if close:
            for contract in range(len(self.states)):
                self.close_out(contract)
        self.sample()
        self.account.in_market(self.now)
        self.write_day()
        account, out = self.account, self.out
        out.orders = [order_row(order) for order in self.orders]
        out.balance, out.drawdown = account.balance, account.drawdown
        out.min_equity, out.max_equity = account.min_equity, account.max_equity

    def close_out(self, contract):
        """End of data, when asked: orders are cancelled, a marked position closes at its mark."""
        for order in self.live(contract):
            self.end(order, CANCELED, END_OF_DATA, self.now)
        state = self.states[contract]
        position, mark = state.position, self.account.mark(state)
        if position and mark is not None:
            side = -1 if position > 0 else 1
            order = self.make(contract, side, MARKET, EXIT, abs(position), self.now)
            order.cause, order.active_from = END_OF_DATA, self.now
            self.book(order, abs(position), mark, self.now, False, False)

    # ------------------------------------------------------------ timers
    def advance(self, upto):
        while (instant := self.next_timer()) <= upto:
            self.now = instant
            self.run_timers(instant)

    def next_timer(self):
        ends = [bar.end or NEVER for state in self.states for bar in state.bars if bar]
        due = [notice["due"] for notice in self.notices[:1]]
        return min([self.sample_at, *ends, *due, *(row[0] for row in self.schedule)])

    def run_timers(self, instant):
        if self.sample_at == instant:
            self.sample()
        for contract, state in enumerate(self.states):
            for frame, bar in enumerate(state.bars):
                if bar and bar.end == instant:
                    self.close_bar(contract, frame, bar)
        while self.notices and self.notices[0]["due"] <= instant:
            self.deliver(self.notices.pop(0))
        for klass in (4, 5, 6, 7):
            due = [row for row in self.schedule if row[0] == instant and row[1] == klass]
            for row in sorted(due, key=lambda row: row[2]):
                self.schedule.remove(row)
                row[3](row[2])

    def sample(self):
        """A row unless all is as in the last sample; the next one while a position is open."""
        account, equity = self.account, self.account.equity()
        row = {
            "balance": account.balance, "equity": equity, "low": account.low, "high": account.high,
        }  # fmt: skip
        last = self.last_sample or (self.rules.start_balance, self.rules.start_balance)
        if tuple(row.values()) != (*last, equity, equity):
            self.out.equity.append({"ts": self.now, **row})
        self.last_sample = (account.balance, equity)
        account.low = account.high = equity
        held = any(state.position for state in self.states)
        self.sample_at = next_minute(self.now) if held else NEVER

    def flatten_time(self, contract):
        """A risk row tells of it when there is something to close or to cancel."""
        position = self.states[contract].position
        if position or self.live(contract):
            self.risk(DEADLINE, contract, position, self.states[contract].session.deadline)
        self.start_flatten(contract, DEADLINE)

    def open_session(self, contract):
        self.states[contract].in_session = True
        self.call("on_session", {"contract": contract, "open": True}, contract)

    def resume(self, contract):
        self.states[contract].in_session = True

    def pause(self, contract):
        self.end_bars(contract, False)
        self.states[contract].in_session = False

    def close_session(self, contract):
        """Bars end while it is still open, then orders expire, then the hook."""
        self.end_bars(contract, True)
        self.states[contract].in_session = False
        for order in self.live(contract):
            self.end(order, EXPIRED, SESSION_END, self.now)
        self.done_flattening(contract)
        self.call("on_session", {"contract": contract, "open": False}, contract)

    def end_bars(self, contract, closing):
        for frame, bar in enumerate(self.states[contract].bars):
            if bar and (closing or self.frames[frame][0] != "session"):
                bar.end = self.now
                self.close_bar(contract, frame, bar)

    def roll(self, _contract):
        self.account.in_market(self.now)
        self.write_day()
        self.account.roll()
        self.schedule = [row for row in self.schedule if row[0] > self.now]
        if self.day + 1 < len(self.days):
            self.enter_day(self.day + 1)
        self.watch_limits()

    def write_day(self):
        """A day without an event in session and without a fill has no row."""
        account = self.account
        if not (account.day_events or account.day_fills):
            return
        self.out.days.append({
            "date": self.days[self.day][0], "start_balance": account.day_start,
            "end_balance": account.balance, "end_equity": account.equity(),
            "costs": account.day_costs, "trades": account.day_trades,
            "fills": account.day_fills, "events": account.day_events,
            "min_equity": account.day_min, "max_equity": account.day_max,
            "drawdown": account.day_drawdown, "level": account.level,
            "locked": account.locked, "profit_locked": account.profit_locked,
            "over": account.over, "in_market": account.day_in_market,
            "open_orders": sum(order.live for order in self.orders),
            "open_position": sum(abs(state.position) for state in self.states),
        })  # fmt: skip

    # ------------------------------------------------------------ one event
    def step(self, event):
        state = self.states[event.contract]
        if not state.in_session:
            self.out.dropped += 1
            return
        if isinstance(event, Bar):
            self.flatten_inside(event)
        self.out.events += 1
        self.account.day_events += 1
        self.new_fills = []
        self.cancels_arrive(event)
        if isinstance(event, Bar):
            self.bar_event(state, event)
        else:
            self.tick_event(state, event)
        done = oracle_bars.add_event(self.frames, state, event)
        self.now = event.ts
        for notice in self.new_fills:
            if notice["due"] <= self.now and notice in self.notices:
                self.notices.remove(notice)
                self.deliver(notice)
        for frame, bar in done:
            self.write_bar(event.contract, frame, bar)
        if not isinstance(event, Bar):
            hook = "on_quote" if isinstance(event, Quote) else "on_trade"
            self.call(hook, event, event.contract)
        self.in_bar = False
        self.settle_flattening(event.contract)

    def flatten_inside(self, bar):
        """A flatten time inside a bar acts at the bar's open."""
        due = [
            row for row in self.schedule
            if row[0] < bar.ts and row[1] == 4 and row[2] == bar.contract
        ]  # fmt: skip
        for row in due:
            self.schedule.remove(row)
            self.flatten_time(bar.contract)

    def cancels_arrive(self, event):
        for order in self.live(event.contract):
            if order.cancel_at <= self.now:
                self.end(order, CANCELED, order.cancel_cause, self.now)

    def tick_event(self, state, event):
        self.see(state, event)
        oracle_match.match_tick(self, state, event)
        self.watch(state)

    def see(self, state, event):
        state.event_ts = event.ts
        if isinstance(event, Trade):
            state.last = state.last_mark = event.price
            state.last_ts = event.ts
            return
        state.bid, state.ask, state.quote_ts = event.bid, event.ask, event.ts
        state.bid_sz, state.ask_sz = event.bid_sz, event.ask_sz
        state.bid_mark = state.bid_mark if event.bid is None else event.bid
        state.ask_mark = state.ask_mark if event.ask is None else event.ask

    def bar_event(self, state, bar):
        """Open and range are two looks at the market: at the open time and at the close time."""
        self.see(state, Trade(bar.contract, bar.open_ts, bar.open))
        oracle_match.match_open(self, state, bar)
        self.watch(state)
        self.now = state.event_ts = bar.ts
        self.in_bar = True
        oracle_match.match_range(self, state, bar)
        if state.position:
            state.last_mark = bar.low if state.position > 0 else bar.high
            self.watch(state)
        self.see(state, Trade(bar.contract, bar.ts, bar.close))
        self.watch(state)

    def watch(self, state):
        self.account.note(state)
        self.watch_limits()
        if self.account.over:
            return
        losses = self.account.watch_losses(self.now, self.days[self.day][2])
        if losses:
            self.risk(STREAK, -1, losses, self.rules.loss_count)

    def watch_limits(self):
        for cause, value, limit in self.account.watch():
            self.risk(cause, -1, value, limit)
            for contract in range(len(self.states)):
                self.start_flatten(contract, cause)

    def risk(self, cause, contract, value, limit):
        self.out.risk.append({
            "ts": self.now, "cause": cause, "contract": contract, "value": value, "limit": limit,
        })  # fmt: skip

    # ------------------------------------------------------------ bars and hooks
    def close_bar(self, contract, frame, bar):
        self.states[contract].bars[frame] = None
        self.write_bar(contract, frame, bar)

    def write_bar(self, contract, frame, bar):
        row = {"contract": contract, "frame": frame, **vars(bar)}
        self.out.bars.append(row)
        self.call("on_bar", row, contract)

    def deliver(self, notice):
        self.states[notice["contract"]].seen = notice["position"]
        self.call("on_fill", notice, notice["contract"])

    def call(self, hook, payload, contract):
        self.out.hooks.append((hook, self.now))
        signals = getattr(self.strategy, hook)(payload, self.states[contract].seen)
        for signal in signals or ():
            self.take_signal(signal)

    def take_signal(self, signal):
        kind, contract = signal.get("kind", "order"), signal.get("contract", 0)
        if not 0 <= contract < len(self.states):
            self.refuse(signal, "BAD_CONTRACT", contract, len(self.states))
        elif kind == "flatten":
            self.start_flatten(contract, BY_STRATEGY)
        elif kind == "cancel":
            for order in self.live(contract):
                if order.role == ENTRY and signal.get("tag", 0) in (0, order.tag):
                    self.cancel(order, BY_STRATEGY)
        elif kind == "order":
            verdict = oracle_risk.judge(self, signal, self.now)
            if verdict:
                self.refuse(signal, *verdict)
            else:
                self.approve(signal)

    def refuse(self, signal, reason, value, limit):
        row = {
            "ts": self.now, "last_ts": self.now, "count": 1,
            "contract": signal.get("contract", 0), "side": signal.get("side", 0),
            "kind": signal.get("order", MARKET), "reason": reason, "qty": signal.get("qty", 0),
            "value": value, "limit": limit,
        }  # fmt: skip
        last = self.out.refusals[-1] if self.out.refusals else None
        if last and all(last[k] == row[k] for k in ("contract", "side", "kind", "reason")):
            last["count"] += 1
            last["last_ts"] = self.now
        else:
            self.out.refusals.append(row)

    def approve(self, signal):
        state, kind = self.states[signal.get("contract", 0)], signal["order"]
        needs = oracle_risk.NEEDS[kind]

        def price(name, wanted=True):
            value = signal.get(name)
            return int(value) if wanted and oracle_risk.present(value) else None

        self.make(
            signal.get("contract", 0), signal["side"], kind, ENTRY, signal["qty"], self.now,
            limit=price("limit", "limit" in needs), stop=price("stop", "stop" in needs),
            trail=signal.get("trail", 0) if kind == "trailing" else 0, tag=signal.get("tag", 0),
            stop_ticks=signal.get("stop_ticks", 0), target_ticks=signal.get("target_ticks", 0),
            stop_loss=price("stop_loss"), take_profit=price("take_profit"),
            trailing_stop=bool(signal.get("trailing_stop")),
            risk_ticks=oracle_risk.stop_distance(state, signal),
        )  # fmt: skip
        self.last_approved = (self.now, oracle_risk.duplicate_key(signal))
        self.approved_ts.append(self.now)

    # ------------------------------------------------------------ orders
    def live(self, contract):
        self.alive = [order for order in self.alive if order.live]
        return [order for order in self.alive if order.contract == contract]

    def make(self, contract, side, kind, role, qty, ts, **rest):
        ident = len(self.orders) + 1
        order = Order(ident, rest.pop("parent", 0), contract, side, kind, role, qty, ts, ts, **rest)
        order.cause = "" if role == EXIT else BY_STRATEGY
        if order.child:
            order.status = WORKING
        elif not self.states[contract].spec.bars_only:
            order.delay = sample_of(self.latency.feed, ident) + sample_of(self.latency.entry, ident)
            order.active_from = ts + order.delay
        self.orders.append(order)
        self.alive.append(order)
        return order

    def end(self, order, status, cause, ts):
        order.status, order.cause, order.ended = status, cause, ts

    def cancel(self, order, cause):
        early = self.in_bar and (self.states[order.contract].event_ts or 0) < self.now
        if not order.delay and not early:
            self.end(order, CANCELED, cause, self.now)
        elif order.cancel_at == NEVER:
            order.cancel_at, order.cancel_cause = self.now + order.delay, cause

    def start_flatten(self, contract, cause):
        state = self.states[contract]
        state.flattening = state.flattening or cause
        for order in self.live(contract):
            if order.role == ENTRY:
                self.cancel(order, cause)
        self.settle_flattening(contract)

    def is_flattening(self, contract):
        return bool(self.states[contract].flattening)

    def done_flattening(self, contract):
        """Reading: asked when flattening begins, after the hooks of each event, at the close."""
        state = self.states[contract]
        if state.flattening and not state.position and not self.live(contract):
            state.flattening = ""

    def settle_flattening(self, contract):
        self.done_flattening(contract)
        if self.is_flattening(contract):
            self.send_flatten(contract)

    def send_flatten(self, contract):
        position = self.states[contract].position
        if position and not any(order.role == EXIT for order in self.live(contract)):
            side = -1 if position > 0 else 1
            order = self.make(contract, side, MARKET, EXIT, abs(position), self.now)
            order.cause = self.states[contract].flattening

    def book(self, order, quantity, price, ts, in_range, other_leg, slip=0):
        """One fill: account, records, notice. Returns the quantity that opened or added."""
        state = self.states[order.contract]
        gross, closed, opened = self.account.fill(
            state, order.side, quantity, price, ts, order.id, order.tag, in_range
        )
        order.filled += quantity
        order.value += quantity * price
        if self.sample_at == NEVER:
            self.sample_at = next_minute(ts)
        if order.filled == order.qty:
            self.end(order, FILLED, order.cause, ts)
        ambiguous = False
        for row in closed:
            row["ambiguous"] = other_leg or (in_range and row.pop("lot_in_range"))
            row.pop("lot_in_range", None)
            ambiguous |= row["ambiguous"]
            self.write_trade(order, row, ts)
        self.out.fills.append({
            "ts": ts, "order": order.id, "contract": order.contract, "side": order.side,
            "qty": quantity, "price": price, "cost": quantity * state.spec.cost,
            "realized": gross, "position": state.position, "role": order.role,
            "cause": order.cause, "ambiguous": ambiguous, "slippage": slip,
        })  # fmt: skip
        self.account.note_equity()
        self.notify(order, quantity, price, ts)
        return opened

    def write_trade(self, order, row, ts):
        row |= {
            "contract": order.contract, "exit_ts": ts, "exit_order": order.id,
            "exit_role": order.role, "exit_cause": order.cause,
        }  # fmt: skip
        self.out.trades.append(row)
        self.account.count_loss(row)

    def notify(self, order, quantity, price, ts):
        """Reading: notices arrive in the order of the fills, whatever their own delays."""
        number = len(self.out.fills)
        state, due = self.states[order.contract], ts
        if not state.spec.bars_only:
            due += sample_of(self.latency.feed, number) + sample_of(self.latency.ack, number)
        if self.notices:
            due = max(due, self.notices[-1]["due"])
        notice = {
            "due": due, "ts": ts, "contract": order.contract, "side": order.side,
            "qty": quantity, "price": price, "position": state.position, "order": order.id,
            "tag": order.tag, "role": order.role,
        }  # fmt: skip
        self.notices.append(notice)
        self.new_fills.append(notice)


def next_minute(ts):
    return (ts // MINUTE + 1) * MINUTE


def sample_of(samples, number):
    return samples[(number - 1) % len(samples)]


def order_row(order):
    names = (
        "id", "parent", "contract", "side", "kind", "role", "status", "cause", "qty", "filled",
        "limit", "stop", "trail", "stop_ticks", "target_ticks", "tag", "decided", "active_from",
        "ended", "value",
    )  # fmt: skip
    row = {name: getattr(order, name) for name in names}
    return row | {"cause": "", "ended": 0} if order.live else row


__all__ = [
    "IN_FLIGHT", "Bar", "FillModel", "Latency", "News", "Oracle", "Quote", "Result", "Rules",
    "Session", "Silent", "Spec", "Trade",
]  # fmt: skip

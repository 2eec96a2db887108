"""Random scenarios as plain data, for the oracle, the engine, and both against each other.

`build(rng)` makes one from any `random.Random`: a seeded one for bulk runs, or hypothesis'
`st.randoms`, whose draws shrink. `Features` switches parts of the contract off one by one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

from hypothesis import strategies as st

from tests.oracle import (
    Bar,
    FillModel,
    Latency,
    News,
    Oracle,
    Quote,
    Rules,
    Session,
    Spec,
    Trade,
)

SECOND = 1_000_000_000
MICRO = 1_000_000
START = 1_700_000_040 * SECOND  # a whole minute
DAY = 600 * SECOND  # the calendar is data, so a day may be ten minutes
BAR = 10 * SECOND
HOOKS = {"quote": Quote, "trade": Trade}


@dataclass(frozen=True)
class Features:
    """Parts of the contract that a scenario may use."""

    quotes: bool = True
    trades: bool = True
    bars_alone: bool = True
    contracts: int = 3
    days: int = 3
    one_sided: bool = True
    pauses: bool = True
    flatten_time: bool = True
    cutoff: bool = True
    limits: bool = True  # maximum loss, daily loss, profit lock, streak
    caps: bool = True  # sizes, collar, rate, duplicate, news, age, silence
    brackets: bool = True
    trailing_brackets: bool = True
    one_leg: bool = True
    stops: bool = True
    stop_limits: bool = True
    trailing: bool = True
    latency: bool = True
    queue: bool = True
    partial: bool = True
    slippage: bool = True
    bad_signals: bool = True
    cancels: bool = True
    flattens: bool = True
    mark_last: bool = True
    sequence: bool = True
    frames: bool = True
    calm: bool = False  # long, small steps, few signals: most events are quiet


ALL = Features()
NONE = Features(**{
    f.name: 1 if f.name in ("contracts", "days") else f.name == "quotes" for f in fields(Features)
})  # fmt: skip


@dataclass
class Scenario:
    """Everything that both engines need to know of one run."""

    contracts: list
    rules: Rules
    fill: FillModel
    latency: Latency
    days: list
    sessions: list
    frames: list
    events: list
    close: bool = False  # close positions at the end of the data
    script: dict = field(default_factory=dict)  # (hook, call counted from 1) -> signals

    def __str__(self):
        """One fact a line, times relative to the start; what a failing test prints."""
        lines = [*self.contracts, self.rules, self.fill, self.latency, *self.days]
        lines += [session for day in self.sessions for session in day]
        lines += [f"frames {self.frames}", *self.events]
        lines += [f"{key}: {value}" for key, value in self.script.items()]
        return "\n".join(str(line) for line in lines)


class Script:
    """Plays a scenario's signals at given calls of a hook, and keeps what each call was shown."""

    def __init__(self, script):
        self.script, self.calls, self.log = script, {}, []

    def emit(self, hook, position, shown=(), account=None):
        self.calls[hook] = self.calls.get(hook, 0) + 1
        self.log.append((hook, int(position), shown, account))
        return self.script.get((hook, self.calls[hook]), [])


class OracleScript(Script):
    """The script as the oracle's strategy; what it is shown in the words of both engines."""

    engine = None

    def on_quote(self, q, position):
        shown = (q.contract, q.ts, q.bid, q.ask, q.bid_sz, q.ask_sz)
        return self.say("quote", position, q.contract, shown)

    def on_trade(self, t, position):
        return self.say("trade", position, t.contract, (t.contract, t.ts, t.price, t.size, t.side))

    def on_bar(self, b, position):
        names = ("contract", "frame", "ts", "end", "open", "high", "low", "close", "volume")
        shown = (*(b[name] for name in names), b["count"])
        return self.say("bar", position, b["contract"], shown)

    def on_fill(self, f, position):
        names = ("contract", "ts", "side", "qty", "price", "position", "tag", "role")
        return self.say("fill", position, f["contract"], tuple(f[name] for name in names))

    def on_session(self, s, position):
        return self.say("session", position, s["contract"], (s["contract"], s["open"]))

    def say(self, hook, position, contract, shown):
        if self.engine is None:
            return self.emit(hook, position)
        engine, a = self.engine, self.engine.account
        entries = [order for order in engine.live(contract) if order.role == "entry"]
        buying = sum(order.side > 0 for order in entries)
        positions = tuple(state.seen for state in engine.states)
        locked = engine.rules.halted or a.over or a.locked or a.profit_locked
        account = (a.balance, a.day_pnl(), positions, locked)
        orders = (len(entries), buying, len(entries) - buying)
        return self.emit(hook, position, (*shown, *orders), account)


def run_oracle(scenario):
    """The oracle's result of a scenario; `calls` is what each hook was shown."""
    strategy = OracleScript(scenario.script)
    oracle = Oracle(
        scenario.contracts, scenario.rules, scenario.fill, scenario.latency, scenario.days,
        scenario.sessions, strategy, scenario.frames,
    )  # fmt: skip
    strategy.engine = oracle
    result = oracle.run(scenario.events, scenario.close)
    result.calls = strategy.log
    return result


# ---------------------------------------------------------------- the pieces
def chance(rng, percent):
    return rng.randrange(100) < percent


def build(rng, features=ALL, length=60):
    """One scenario."""
    bars = features.bars_alone and (not (features.quotes or features.trades) or chance(rng, 25))
    contracts = [make_spec(rng, features, bars) for _ in range(rng.randint(1, features.contracts))]
    if features.caps and chance(rng, 10):
        contracts[0].cap = rng.choice([0, 1, 3])
    days = [(20240102 + k, START + k * DAY, START + (k + 1) * DAY) for k in range(features.days)]
    days = days[: rng.randint(1, len(days))]
    sessions = [[make_session(rng, features, start) for _ in contracts] for _, start, _ in days]
    make = make_bars if bars else make_ticks
    events = make(rng, features, contracts, days, sessions, length)
    return Scenario(
        contracts, make_rules(rng, features, days, len(contracts)),
        make_fill(rng, features, contracts),
        make_latency(rng, features), days, sessions, make_frames(rng, features, bars), events,
        chance(rng, 20), make_script(rng, features, events, contracts),
    )  # fmt: skip


def make_spec(rng, features, bars):
    spec = Spec(
        tick_value=rng.choice([1_250_000, 5_000_000, 12_500_000, 7_812_500]),
        cost=rng.choice([0, 610_000, 1_890_000]), size_tenths=rng.choice([1, 2, 10]),
        product=rng.randrange(2), dearer=rng.choice([0, 0, 0, 130_000]),
    )  # fmt: skip
    if bars:
        return replace(spec, has_quotes=False, has_trades=False, bars_only=True)
    kinds = [(1, 0)] * features.quotes + [(0, 1)] * features.trades
    kinds += [(1, 1)] * (features.quotes and features.trades)
    quotes, trades = rng.choice(kinds)
    return replace(spec, has_quotes=bool(quotes), has_trades=bool(trades))


def make_session(rng, features, start):
    opened = start + rng.choice([0, 1, 3]) * BAR
    close = start + rng.choice([48, 54, 60]) * BAR
    inside = rng.choice([0, 0, 0, 3 * SECOND])  # off the grid of the bars
    session = Session(opened, close - inside, opened, opened)
    if features.pauses and chance(rng, 30):
        pause = opened + rng.randint(3, 30) * BAR + inside
        session.pause_from, session.pause_to = pause, pause + rng.randint(1, 5) * BAR
    if features.flatten_time and chance(rng, 50):
        session.flatten_at = close - rng.choice([0, 1, 5, 20]) * BAR - inside
        session.deadline = session.flatten_at + SECOND
    if features.cutoff and chance(rng, 30):
        session.no_open_from = close - rng.choice([2, 6, 20]) * BAR - inside
    return session


def dollars(rng, *choices):
    value = rng.choice(choices)
    return None if value is None else value * MICRO


def make_rules(rng, features, days, contracts):
    start = rng.choice([0, 50_000, 50_000]) * MICRO
    rules = Rules(start_balance=start)
    if features.limits:
        rules.max_loss = dollars(rng, None, None, 150, 500, 2000)
        if rules.max_loss is not None:
            rules.max_loss_lock = rng.choice([None, start, start - 100 * MICRO])
        rules.daily_loss = dollars(rng, None, 60, 200, 1000)
        rules.profit_lock = dollars(rng, None, None, None, 40, 200)
        rules.loss_count = rng.choice([0, 0, 1, 2])
        rules.loss_pause_ns = rng.choice([0, 5, 90]) * SECOND
        rules.bracket_risk = chance(rng, 30)
        rules.loss_buffer = rng.choice([0, 0, 25]) * MICRO
        rules.require_bracket = features.brackets and chance(rng, 10)
    if features.caps:
        make_caps(rng, rules, days, contracts)
    rules.mark_last = features.mark_last and chance(rng, 15)
    return rules


def make_caps(rng, rules, days, contracts):
    if chance(rng, 20):
        rules.max_tenths = rng.choice([5, 20, 50])
    if chance(rng, 10):
        rules.tiers = ((rules.start_balance, 30), (rules.start_balance + 50 * MICRO, 60))
        rules.max_tenths = 20
    rules.max_order_qty = rng.choice([10**6, 10**6, 2])
    rules.halted = chance(rng, 2)
    rules.collar = rng.choice([0, 0, 0, 12])
    rules.rate = rng.choice([0, 0, 0, 3])
    rules.duplicate_ns = rng.choice([0, 0, 1, 10]) * SECOND
    rules.quote_age_ns = rng.choice([0, 0, 0, 2]) * SECOND
    rules.silence_ns = rng.choice([0, 0, 0, 15]) * SECOND
    if chance(rng, 15):
        start = days[0][1] + rng.randint(0, 50) * BAR
        pick = tuple(k for k in range(contracts) if chance(rng, 60))
        barred = chance(rng, 50)
        rules.news = (News(start, start + 10 * BAR, pick if barred else (),
                           () if barred else pick, rng.randint(0, 3)),)  # fmt: skip


def make_fill(rng, features, contracts):
    bars = contracts[0].bars_only
    quoted = all(spec.has_quotes for spec in contracts)
    modes = ["through", "touch"] + ["queue"] * (features.queue and quoted)
    return FillModel(
        limit_fill=rng.choice(modes),
        partial=features.partial and not bars and chance(rng, 35),
        slippage=rng.choice([0, 1, 2]) if features.slippage else 0,
        stop_trigger=rng.choice(["trade", "trade", "quote"]),
    )


def make_latency(rng, features):
    if not features.latency or chance(rng, 40):
        return Latency()

    def samples():
        pool = [0, 1, 1_000_000, SECOND // 2, 3 * SECOND]
        return [rng.choice(pool) for _ in range(rng.choice([1, 1, 2, 3]))]

    return Latency(samples(), samples(), samples())


def make_frames(rng, features, bars):
    if not features.frames:
        return []
    step = BAR if bars else SECOND
    pool = [
        ("time", step), ("time", 3 * step), ("time", 60 * SECOND), ("tick", 3), ("volume", 7),
        ("range", 3), ("session", 0),
    ]  # fmt: skip
    return rng.sample(pool, rng.randint(1, 3))


# ---------------------------------------------------------------- markets
def landmarks(sessions):
    """Instants at which something is due: events are drawn onto them to meet ties."""
    found = set()
    for day in sessions:
        for s in day:
            found |= {s.open, s.close, s.pause_from, s.pause_to, s.flatten_at, s.no_open_from}
    return sorted(instant for instant in found if instant < START + 10 * DAY)


def make_ticks(rng, features, contracts, days, sessions, length):
    """One common clock, one walk a contract; jumps onto landmarks and over closed hours."""
    marks, end = landmarks(sessions), days[-1][2]
    now = days[0][1] + rng.choice([0, 1, 20, 40]) * SECOND
    prices = [rng.choice([0, 400, 5000]) for _ in contracts]
    events, seq = [], rng.randrange(2) and features.sequence
    moves = [-12, -3, -2, -1, -1, 0, 0, 0, 1, 1, 2, 3, 12]
    if features.calm:
        moves, length = [-1, -1, 0, 0, 0, 0, 0, 1, 1], 6 * length
    steps = [0, 0, 1, SECOND // 1000, SECOND // 2, SECOND, 3 * SECOND, 20 * SECOND]
    for number in range(rng.randint(2, length)):
        later = [mark for mark in marks if mark > now]
        jump = later and chance(rng, 1 if features.calm else 6)
        now = rng.choice(later[:3]) if jump else now + rng.choice(steps)
        if now >= end:
            break
        contract = rng.randrange(len(contracts))
        spec = contracts[contract]
        prices[contract] += rng.choice(moves)
        tick = make_quote if spec.has_quotes and not (spec.has_trades and chance(rng, 50)) else None
        event = (tick or make_trade)(rng, features, contract, now, prices[contract])
        event.seq = number + 1 if seq else None
        events.append(event)
    first = days[0][1]
    return events or [Quote(0, first, 1, 2) if contracts[0].has_quotes else Trade(0, first, 1)]


def make_quote(rng, features, contract, now, price):
    bid, ask = price, price + rng.choice([1, 1, 1, 2, 4])
    if features.one_sided and chance(rng, 8):
        bid, ask = rng.choice([(None, ask), (bid, None), (None, None)])
    return Quote(contract, now, bid, ask, rng.randint(1, 6), rng.randint(1, 6))


def make_trade(rng, _features, contract, now, price):
    return Trade(contract, now, price + rng.choice([0, 0, 1]), rng.randint(1, 5),
                 rng.choice([-1, 0, 1]))  # fmt: skip


def make_bars(rng, _features, contracts, days, _sessions, length):
    """Ten-second bars with holes; every contract on the same grid."""
    prices = [rng.choice([0, 400, 5000]) for _ in contracts]
    start, events = days[0][1] + rng.choice([0, 0, 5]) * BAR, []
    for _ in range(rng.randint(2, length)):
        start += rng.choice([0, 0, 0, 0, 0, 1, 2, 20]) * BAR
        if start + BAR > days[-1][2]:
            break
        there = [contract for contract in range(len(contracts)) if chance(rng, 85)]
        events += [make_bar(rng, contract, start, prices) for contract in there]
        start += BAR
    return events or [Bar(0, days[0][1], days[0][1] + BAR, 1, 1, 1, 1)]


def make_bar(rng, contract, start, prices):
    opened = prices[contract] + rng.choice([-9, -1, 0, 0, 0, 1, 9])
    close = opened + rng.randint(-6, 6)
    high = max(opened, close) + rng.choice([0, 0, 1, 4, 12])
    low = min(opened, close) - rng.choice([0, 0, 1, 4, 12])
    prices[contract] = close
    return Bar(contract, start, start + BAR, opened, high, low, close, rng.randint(1, 9))


# ---------------------------------------------------------------- programs
def make_script(rng, features, events, contracts):
    """Signals at about every fourth event, priced near the market of that moment."""
    script, counts = {}, {"quote": 0, "trade": 0, "bar": 0}
    rare = [hook for hook in ("fill", "session") if chance(rng, 30)]
    for event in events:
        hook = type(event).__name__.lower()
        counts[hook] += 1
        if chance(rng, 6 if features.calm else 25):
            middle = middle_of(event)
            signals = [
                make_signal(rng, features, event.contract, middle, len(contracts))
                for _ in range(rng.choice([1, 1, 1, 2, 3]))
            ]
            script[(hook, counts[hook])] = signals
            if chance(rng, 10):
                script[("bar", rng.randint(1, 12))] = signals
            for other in rare:
                script[(other, rng.randint(1, 4))] = signals[:1]
    return script


def middle_of(event):
    if isinstance(event, Quote):
        return next((price for price in (event.bid, event.ask) if price is not None), 400)
    return event.price if isinstance(event, Trade) else event.close


def make_signal(rng, features, contract, middle, contracts):
    roll = rng.randrange(100)
    if features.flattens and roll < 5:
        wrong = features.bad_signals and chance(rng, 5)
        return {"kind": "flatten", "contract": contract + (contracts if wrong else 0)}
    if features.cancels and roll < 15:
        return {"kind": "cancel", "contract": contract, "tag": rng.randrange(3)}
    if contracts > 1 and chance(rng, 10):
        contract = rng.randrange(contracts)
    kinds = ["market", "market", "limit", "limit"] + ["stop"] * features.stops
    kinds += ["stop_limit"] * features.stop_limits + ["trailing"] * features.trailing
    side = rng.choice([1, -1])
    signal = {
        "kind": "order", "contract": contract, "side": side, "order": rng.choice(kinds),
        "qty": rng.choice([1, 1, 1, 2, 3, 5]), "tag": rng.randrange(3),
    }  # fmt: skip
    add_prices(rng, signal, middle)
    if features.brackets and chance(rng, 50):
        add_bracket(rng, features, signal, middle)
    if features.bad_signals and chance(rng, 8):
        spoil(rng, signal, contracts)
    return signal


def add_prices(rng, signal, middle):
    side, kind = signal["side"], signal["order"]
    if kind == "limit":
        signal["limit"] = middle - side * rng.randint(-3, 6)
    if kind in ("stop", "stop_limit"):
        signal["stop"] = middle + side * rng.randint(0, 6)
    if kind == "stop_limit":
        signal["limit"] = signal["stop"] + side * rng.randint(-1, 3)
    if kind == "trailing":
        signal["trail"] = rng.randint(1, 6)


def add_bracket(rng, features, signal, middle):
    side, both = signal["side"], not features.one_leg or chance(rng, 70)
    stop, target = (True, True) if both else rng.choice([(True, False), (False, True)])
    by_price = chance(rng, 30)
    entry = signal.get("limit", signal.get("stop", middle))
    if stop and by_price:
        signal["stop_loss"] = entry - side * rng.randint(1, 8)
    elif stop:
        signal["stop_ticks"] = rng.randint(1, 8)
        signal["trailing_stop"] = features.trailing_brackets and chance(rng, 25)
    if target and by_price:
        signal["take_profit"] = entry + side * rng.randint(1, 8)
    elif target:
        signal["target_ticks"] = rng.randint(1, 8)


def spoil(rng, signal, contracts):
    """Make a good order a bad one in one way."""
    nan, inf = float("nan"), float("inf")
    needed = [name for name in ("limit", "stop") if name in signal]
    price = rng.choice([*needed, "stop_loss"])
    choices = [
        {"contract": contracts}, {"contract": contracts + 9}, {"qty": 0}, {"qty": -2},
        {"stop_ticks": -1}, {"target_ticks": -3}, {price: inf}, {price: -inf}, {price: 400.5},
        {"stop_loss": 10_000}, {"take_profit": -10_000}, {"stop_loss": -10_000},
    ]  # fmt: skip
    choices += [{name: nan} for name in needed]
    choices += [{"trail": 0}, {"trail": -1}] if signal["order"] == "trailing" else []
    signal |= rng.choice(choices)
    if present_twice(signal):
        del signal["stop_ticks"]
        signal["trailing_stop"] = False
    if "take_profit" in signal:
        signal.pop("target_ticks", None)


def present_twice(signal):
    return "stop_loss" in signal and "stop_ticks" in signal


def scenarios(features=ALL, length=40):
    """Hypothesis strategy; every draw goes through a shrinkable random source."""
    return st.randoms(use_true_random=False).map(lambda rng: build(rng, features, length))

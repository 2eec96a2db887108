"""Adapter: a scenario through the engine of pxresearch, its logs as the oracle's dicts."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from pxresearch.brokers.feeds import Feed
from pxresearch.brokers.fillmodel import FillModel, Latency
from pxresearch.brokers.replay import _set_stream
from pxresearch.brokers.session import EngineSession
from pxresearch.core import records as r
from pxresearch.core.signals import Signal
from pxresearch.instruments import contract
from pxresearch.programmes import programme
from pxresearch.strategy import Strategy
from tests.oracle import Bar, Quote, Trade, merged
from tests.oracle_types import NO_ASK, NO_BID
from tests.player import Player, load
from tests.scenarios import Script

CODES = ("ESU13", "NQU13", "YMU13")  # the records are overwritten by the scenario's contracts
FRAMES = {
    "time": r.TIME_BARS, "tick": r.TICK_BARS, "volume": r.VOLUME_BARS, "range": r.RANGE_BARS,
    "session": r.SESSION_BARS,
}  # fmt: skip
KINDS = {"hold": r.HOLD, "order": r.ORDER, "cancel": r.CANCEL, "flatten": r.FLATTEN}
NO_PRICE = (r.LOWEST, r.HIGHEST)


class Scripted(Strategy):
    """Plays the script of the scenario under way; one script at a time."""

    bars = "1m"

    def on_quote(self, quote, position, orders):
        return said("quote", position, quote_shown(quote), orders)

    def on_trade(self, trade, position, orders):
        return said("trade", position, trade_shown(trade), orders)

    def on_bar(self, bar, position, orders):
        return said("bar", position, bar_shown(bar), orders)

    def on_fill(self, fill, position, orders):
        return said("fill", position, fill_shown(fill), orders)

    def on_session(self, session, position, orders):
        return said("session", position, (session.contract, session.opening), orders)


class ScriptedClosely(Strategy):
    """The same, looking at the account too, for which no event is quiet."""

    bars = "1m"

    def on_quote(self, quote, position, orders, account):
        return said("quote", position, quote_shown(quote), orders, account)

    def on_trade(self, trade, position, orders, account):
        return said("trade", position, trade_shown(trade), orders, account)

    def on_bar(self, bar, position, orders, account):
        return said("bar", position, bar_shown(bar), orders, account)

    def on_fill(self, fill, position, orders, account):
        return said("fill", position, fill_shown(fill), orders, account)

    def on_session(self, session, position, orders, account):
        return said("session", position, (session.contract, session.opening), orders, account)


CURRENT = SimpleNamespace(script=None, ticks=())


def quote_shown(q):
    bid = None if q.bid != q.bid else q.bid_ticks
    ask = None if q.ask != q.ask else q.ask_ticks
    assert bid is None or q.bid == bid * q.tick
    assert ask is None or q.ask == ask * q.tick
    return (q.contract, q.ts, bid, ask, q.bid_size, q.ask_size)


def trade_shown(t):
    assert t.price == t.price_ticks * t.tick
    return (t.contract, t.ts, t.price_ticks, t.size, t.side)


def bar_shown(b):
    halves = tuple(round(2 * price / b.tick) for price in (b.open, b.high, b.low, b.close))
    return (b.contract, b.timeframe, b.ts, b.end, *halves, b.volume, b.count)


def fill_shown(f):
    return (f.contract, f.ts, f.side, f.qty, f.price_ticks, f.position, f.tag, r.ROLES[f.role])


def said(hook, position, shown, orders, account=None):
    """Signals of this call, as the engine wants them."""
    if account is not None:
        money = (round(account.balance * r.MICROS), round(account.day_pnl * r.MICROS))
        account = (*money, account.positions[: len(CURRENT.ticks)], account.locked)
    signals = CURRENT.script.emit(hook, position, (*shown, *orders), account)
    return tuple(to_signal(signal) for signal in signals)


def to_signal(signal):
    contract_index = signal["contract"]
    tick = CURRENT.ticks[contract_index] if contract_index < len(CURRENT.ticks) else 0.25
    prices = {
        name: signal[name] * tick
        for name in ("limit", "stop", "stop_loss", "take_profit") if signal.get(name) is not None
    }  # fmt: skip
    return Signal(
        KINDS[signal["kind"]], signal.get("side", 0), signal.get("qty", 0),
        r.ORDER_KINDS.index(signal.get("order", "market")), contract_index, signal.get("tag", 0),
        signal.get("trail", 0), signal.get("stop_ticks", 0), signal.get("target_ticks", 0),
        int(signal.get("trailing_stop", False)), **prices,
    )  # fmt: skip


class ScenarioSession(EngineSession):
    """An engine whose calendar, contracts and rules come from a scenario."""

    def __init__(self, scenario, strategy, compiled):
        self.scenario = scenario
        model, delay = scenario.fill, scenario.latency
        fills = FillModel(
            limit_fill=model.limit_fill, stop_trigger=model.stop_trigger,
            slippage_ticks=model.slippage, partial_fills=model.partial,
            mark="last" if scenario.rules.mark_last else "exit",
            latency=Latency(feed=delay.feed, entry=delay.entry, ack=delay.ack),
        )  # fmt: skip
        feeds = [
            Feed(contract(code), kinds_of(spec))
            for code, spec in zip(CODES, scenario.contracts, strict=False)
        ]
        super().__init__(
            strategy, feeds, programme("own", start_balance=50_000), fills, first_ns=0, last_ns=1,
            compiled=compiled, keep_bars=True,
        )  # fmt: skip

    def _wire_calendar(self, first_ns, last_ns, trading):
        s, x = self.scenario, self.wires
        self.days = np.array(s.days, dtype=r.DAY)
        sessions = np.zeros((len(s.days), len(s.contracts)), r.SESSION)
        for day, row in enumerate(s.sessions):
            for k, session in enumerate(row):
                sessions[day, k] = tuple(vars(session).values())
        costs = np.array(
            [[spec.cost + day * spec.dearer for spec in s.contracts] for day in range(len(s.days))],
            dtype=np.int64,
        )
        news = np.zeros(len(s.rules.news), r.NEWS)
        for row, window in zip(news, s.rules.news, strict=True):
            row["start"], row["end"], row["cap"] = window.start, window.end, window.cap
            row["barred"] = sum(1 << k for k in window.barred)
            row["capped"] = sum(1 << k for k in window.capped)
        x["days"], x["days_n"] = self._keep(self.days), len(self.days)
        x["sessions"], x["costs"] = self._keep(sessions), self._keep(costs)
        x["news"], x["news_n"] = self._keep(news), len(news)

    def _set_contracts(self, fills):
        super()._set_contracts(fills)
        e = self.engine[0]
        e["frames_n"] = len(self.scenario.frames)
        for k, spec in enumerate(self.scenario.contracts):
            c = e["contract"][k]
            for name in ("tick_value", "size_tenths", "cap", "product"):
                c[name] = getattr(spec, name)
            for f, (kind, period) in enumerate(self.scenario.frames):
                c["frames"][f]["kind"], c["frames"][f]["period"] = FRAMES[kind], period

    def apply_rules(self):
        super().apply_rules()
        e, rules = self.engine[0], self.scenario.rules
        e["start_balance"], row = rules.start_balance, e["rules"]
        e["halted"] = rules.halted
        for name in ("max_loss", "daily_loss", "profit_lock"):
            value = getattr(rules, name)
            row[name], row[f"has_{name}"] = value or 0, value is not None
        row["max_loss_lock"] = rules.max_loss_lock or 0
        row["has_lock"] = rules.max_loss_lock is not None
        for name in (
            "max_tenths", "max_order_qty", "collar", "rate", "duplicate_ns", "quote_age_ns",
            "silence_ns", "loss_count", "loss_pause_ns", "require_bracket", "bracket_risk",
            "loss_buffer",
        ):  # fmt: skip
            row[name] = getattr(rules, name)
        row["tiers"] = len(rules.tiers)
        for at, (least, tenths) in enumerate(rules.tiers):
            row["tier_from"][at], row["tier_tenths"][at] = least, tenths


def kinds_of(spec):
    if spec.bars_only:
        return ("bars",)
    return ("quotes",) * spec.has_quotes + ("trades",) * spec.has_trades


# ---------------------------------------------------------------- data in
def streams_of(events, contracts):
    """(kind, contract, arrays) of each stream."""
    for k in range(contracts):
        for kind, cls in enumerate((Quote, Trade, Bar)):
            rows = [event for event in events if event.contract == k and type(event) is cls]
            if rows:
                yield kind, k, arrays_of(kind, rows)


def arrays_of(kind, rows):
    def column(name, dtype, missing=None):
        values = [getattr(row, name) for row in rows]
        return np.array([missing if value is None else value for value in values], dtype)

    data = SimpleNamespace(ts=column("ts", np.int64), seq=None)
    if all(row.seq is not None for row in rows):
        data.seq = column("seq", np.int64)
    if kind == r.QUOTES:
        data.bid, data.ask = column("bid", np.int32, NO_BID), column("ask", np.int32, NO_ASK)
        data.bid_sz, data.ask_sz = column("bid_sz", np.int32), column("ask_sz", np.int32)
    elif kind == r.TRADES:
        data.px, data.size = column("price", np.int32), column("size", np.int32)
        data.side = column("side", np.int8)
    else:
        data.ts_open, data.volume = column("open_ts", np.int64), column("volume", np.int64)
        for short, name in zip("ohlc", ("open", "high", "low", "close"), strict=True):
            setattr(data, short, column(name, np.int32))
    return data


def feed(session, events):
    """Let the engine go through these events."""
    held = list(streams_of(events, len(session.feeds)))
    for at, (kind, k, data) in enumerate(held):
        _set_stream(session.wires["stream"][0][at], kind, k, data)
    session.wires["streams_n"] = len(held)
    session.tell(r.GO)


# ---------------------------------------------------------------- logs out
NAMES = {
    "role": r.ROLES, "cause": r.CAUSES, "exit_role": r.ROLES, "exit_cause": r.CAUSES,
    "status": r.STATUS_NAMES, "reason": r.REASONS,
}  # fmt: skip


def dicts(name, rows):
    return [to_dict(name, {n: row[n].item() for n in rows.dtype.names if n != "bar"} | (
        {n: row["bar"][n].item() for n in r.BAR.names} if name == "bars" else {}
    )) for row in rows]  # fmt: skip


def to_dict(table, row):
    for name, words in NAMES.items():
        if name in row:
            row[name] = words[row[name]]
    if table in ("orders", "refusals"):
        row["kind"] = r.ORDER_KINDS[row["kind"]]
    if table == "orders":
        if row["status"] in ("in_flight", "working"):
            row["ended"] = 0
        for name in ("limit", "stop"):
            row[name] = None if row[name] in NO_PRICE else row[name]
    for name in ("ambiguous", "locked", "profit_locked", "over"):
        if name in row:
            row[name] = bool(row[name])
    return row


WAYS = ("days", "whole", "live", "closely", "restored")


def run_real(scenario, way="days", compiled=False):
    """The engine's result of a scenario.

    Parameters
    ----------
    way
        How the data goes in: "days" (as a replay), "whole" (all days at once), "live" (event by
        event, with the clock before each), "closely" (no event taken as quiet) or "restored"
        (a new session from the snapshot after each day; compiled hooks only).
    compiled
        Compiled hooks play the script; what each of them saw is then not on record.
    """
    script = CURRENT.script = Script(scenario.script)
    session = new_session(scenario, way, compiled)
    session.engine[0]["look_closely"] = way == "closely"
    tables = {name: [] for name in r.LOGS}
    if way == "live" and not scenario.contracts[0].bars_only:
        for event in merged(scenario.events):
            tell_live(session, event)
    else:
        for part in [scenario.events] if way == "whole" else days_of(scenario):
            if way == "restored" and compiled:
                session = restored(session, scenario, tables)
            feed(session, part)
    session.wires["streams_n"] = 0
    session.tell(r.FINISH, a=int(scenario.close))
    collect(session, tables)
    if scenario.rules.max_loss is None:
        for row in tables["days"]:
            row["level"] = None
    e = session.engine[0]
    return SimpleNamespace(
        **tables, calls=None if compiled else script.log, events=int(e["events"]),
        dropped=int(e["dropped"]), balance=int(e["balance"]), drawdown=int(e["drawdown"]),
    )  # fmt: skip


def new_session(scenario, way, compiled):
    plain = ScriptedClosely if way == "closely" else Scripted
    session = ScenarioSession(scenario, Player() if compiled else plain(), compiled)
    CURRENT.ticks = [feed.contract.instrument.tick_num / feed.contract.instrument.tick_den
                     for feed in session.feeds]  # fmt: skip
    if compiled:
        load(session.record, scenario.script, to_signal)
    return session


def days_of(scenario):
    when = [e.open_ts if isinstance(e, Bar) else e.ts for e in scenario.events]
    parts = [
        [e for e, ts in zip(scenario.events, when, strict=True) if start <= ts < end]
        for _, start, end in scenario.days
    ]
    return [part for part in parts if part]


def tell_live(session, event):
    session.tell(r.CLOCK, ts=event.ts - 1)
    if isinstance(event, Trade):
        session.tell(r.TRADES, event.contract, event.ts, event.price, event.size, event.side)
        return
    bid = NO_BID if event.bid is None else event.bid
    ask = NO_ASK if event.ask is None else event.ask
    session.tell(r.QUOTES, event.contract, event.ts, bid, ask, event.bid_sz, event.ask_sz)


def restored(session, scenario, tables):
    """A new session in the state of the old one, whose rows are kept."""
    collect(session, tables)
    again = new_session(scenario, "restored", compiled=True)
    again.restore(session.snapshot())
    return again


def collect(session, tables):
    """Put a session's rows after those of the sessions before it."""
    for name, rows in session.logs().items():
        for row in dicts(name, rows):
            last = tables[name][-1] if tables[name] else None
            same = ("contract", "side", "kind", "reason")
            if name == "refusals" and last and all(last[key] == row[key] for key in same):
                last["count"] += row["count"]  # a count goes on over a restart
                last["last_ts"] = row["last_ts"]
            else:
                tables[name].append(row)

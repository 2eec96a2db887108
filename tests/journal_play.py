"""A paper session of a shipped strategy, written to a journal as it runs."""

from __future__ import annotations

import random
from datetime import date
from pathlib import Path

from pxresearch import __version__
from pxresearch.brokers.fillmodel import FillModel
from pxresearch.brokers.session import EngineSession
from pxresearch.core import records as r
from pxresearch.core.jit import core_stamp
from pxresearch.instruments import contract
from pxresearch.journal import Header, Journal, Kind, SessionEnd, build
from pxresearch.programmes import programme
from pxresearch.sessions import session as hours

STRATEGIES = Path(__file__).resolve().parents[1] / "strategies"
NS = 1_000_000_000
DAY = date(2026, 9, 15)
CODES = {"two_contracts": ("ESZ26", "NQZ26")}
CLASSES = {
    "ema_cross": "EmaCross", "opening_range": "OpeningRange", "quote_fade": "QuoteFade",
    "two_contracts": "TwoContracts",
}  # fmt: skip
QUICK = {"ema_cross": {"fast": 2, "slow": 3}, "quote_fade": {"length": 20, "width": 1.0}}


def header_of(name: str = "quote_fade", *, compiled: bool = True, **changes) -> Header:
    """Header of a paper session of a shipped strategy."""
    codes = CODES.get(name, ("MNQZ26",))
    start = hours(contract(codes[0]), DAY)
    values = {
        "account": 7, "mode": "paper", "date": 20260915, "run": "k3f9z0",
        "strategy": CLASSES[name], "source": (STRATEGIES / f"{name}.py").read_text("utf-8"),
        "source_hash": "0" * 64, "parameters": QUICK.get(name, {}), "contracts": codes,
        "contract_ids": tuple(f"CON.{code}" for code in codes),
        "programme": programme("combine-50k", max_orders_per_minute=100),
        "fills": FillModel(limit_fill="touch"), "first_ns": start.open, "last_ns": start.close,
        "kinds": (("quotes", "trades"),) * len(codes), "live": False, "compiled": compiled,
        "package": __version__, "core": core_stamp(),
    }  # fmt: skip
    return Header(**(values | changes))


def market(header: Header, n: int, seed: int = 1):
    """Inputs of a random walk: quotes, trades and timers, a few a second."""
    chance, ts = random.Random(seed), header.first_ns + 10 * NS
    price = [20_000 + 50_000 * k for k in range(len(header.contracts))]
    for i in range(n):
        ts += chance.randrange(1_500_000_000)
        k = chance.randrange(len(price))
        got = ts + chance.randrange(20_000_000, 30_000_000)
        if i % 50 == 49:
            yield r.CLOCK, 0, ts, 0, 0, 0, 0, got
        elif chance.random() < 0.2:
            yield r.TRADES, k, ts, price[k], chance.randrange(1, 9), chance.choice((1, -1)), 0, got
        else:
            price[k] += chance.choice((-3, -1, 0, 0, 1, 3))
            size = chance.randrange(1, 40)
            yield r.QUOTES, k, ts, price[k], price[k] + 1, size, 41 - size, got


def end_of(header: Header, **changes) -> SessionEnd:
    """The end of a complete, clean session."""
    values = {
        "date": header.date, "mode": header.mode, "complete": True, "covered_s": 82_000.0,
        "hours_s": 82_800.0, "faults": (), "flat": True, "events": 10, "orders": 2, "fills": 2,
        "refusals": 1, "day_pnl": -12_340_000, "costs": 1_740_000, "balance": 49_987_660_000,
        "reason": "end of session",
    }  # fmt: skip
    return SessionEnd(**(values | changes))


def play(
    path: Path, header: Header, n: int = 2_000, *, seed: int = 1, snapshots: int = 500,
    ended: bool = True,
) -> EngineSession:  # fmt: skip
    """Run a session on a random market, journal all of it; returns the engine at the end."""
    session, journal = build(header), Journal(path, threaded=False)
    journal.write(Kind.RUN, header.first_ns, header)
    made = told = 0
    for told, event in enumerate(market(header, n, seed), 1):
        journal.input(*event)
        session.tell(*event[:-1])
        while made < int(session.engine["orders_made"][0]):
            made += 1
            journal.write(Kind.ORDER, event[2], {"event": "approved", "order": made})
        if told % snapshots == 0:
            journal.write(Kind.SNAPSHOT, event[2], session.snapshot())
    if ended:
        journal.write(Kind.END, header.last_ns, end_of(header, events=told))
    journal.close()
    return session

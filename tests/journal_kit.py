"""Journals of whole sessions, made fast: a made market through a real engine, written as it went.

A paper session is the engine's own matching. A live one has a venue of a few lines, which fills
what the engine makes `slip` ticks worse than paper would, or not at all. Days follow one another as
the runner's do: one calendar, and each begins with the state that the one before it left.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from pxresearch.brokers.fillmodel import FillModel
from pxresearch.brokers.session import EngineSession
from pxresearch.core import records as r
from pxresearch.core.jit import core_stamp
from pxresearch.errors import StrategyError
from pxresearch.instruments import contract
from pxresearch.journal import Header, Journal, Kind, SessionEnd, build
from pxresearch.programmes import Programme, programme
from pxresearch.promotion import source_hash
from pxresearch.sessions import session as hours
from tests import invariants

ROOT = Path(__file__).resolve().parents[1]
EMA = (ROOT / "strategies" / "ema_cross.py").read_text(encoding="utf-8")
DAYS = tuple(date(2026, 9, day) for day in range(14, 19))
SECOND = 10**9
URGENT = (r.EXIT, r.STOP_LOSS)  # visited first, as in core/matching.py


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What trades; the defaults trade often."""

    source: str = EMA
    strategy: str = "EmaCross"
    parameters: dict = field(
        default_factory=lambda: {"fast": 2, "slow": 5, "stop_ticks": 12, "target_ticks": 16}
    )
    contracts: tuple[str, ...] = ("MNQZ26",)
    rules: Programme = field(default_factory=lambda: programme("combine-50k"))
    fills: FillModel = field(default_factory=FillModel)
    compiled: bool = True


def market(day, codes, n=2_400, seed=1, start_s=3600):
    """Inputs of a day: n quotes a contract from `start_s` after its open, one trade in five."""
    rng = np.random.default_rng([seed, day.toordinal()])
    rows = []
    for k, code in enumerate(codes):
        one = hours(contract(code), day)
        ts = one.open + start_s * SECOND + np.cumsum(rng.integers(1, 5, n)) * SECOND
        bid = 98_000 + np.cumsum(rng.integers(-3, 4, n))
        for i in range(n):
            at, b = int(ts[i]), int(bid[i])
            rows.append((r.QUOTES, k, at, b, b + 1, int(rng.integers(1, 9)), 3))
            if i % 5 == 0:
                side = 1 if rng.random() < 0.5 else -1
                rows.append((r.TRADES, k, at, b + (side > 0), 2, side, 0))
    rows.sort(key=lambda row: row[2])
    return rows


def header(setup: Setup, day: date, mode: str, first_ns: int | None = None) -> Header:
    one = hours(contract(setup.contracts[0]), day)
    first = one.open if first_ns is None else first_ns
    return Header(
        account=7, mode=mode, date=day.year * 10_000 + day.month * 100 + day.day, run="r1",
        strategy=setup.strategy, source=setup.source, source_hash=source_hash(setup.source),
        parameters=setup.parameters, contracts=setup.contracts,
        contract_ids=tuple(f"CON.F.US.{code}" for code in setup.contracts),
        programme=setup.rules, fills=setup.fills, first_ns=first,
        last_ns=one.open + 10 * 86_400 * SECOND,
        kinds=(("quotes", "trades"),) * len(setup.contracts), live=mode == "live",
        compiled=setup.compiled, package="test", core=core_stamp(),
    )  # fmt: skip


class Venue:
    """Fills a live engine's orders when paper would, `slip` ticks worse.

    Resting limits fill at their price; every `miss`-th entry is cancelled instead.
    """

    def __init__(self, session: EngineSession, delay: int, slip: int = 0, miss: int = 0) -> None:
        self.session, self.delay, self.slip, self.miss = session, delay, slip, miss
        self.entries: dict[int, bool] = {}  # whether the venue will fill it
        self.known: set[int] = set()
        self.asked: dict[int, int] = {}  # when a cancel was asked: it comes after that event

    def answers(self, row):
        """What the venue says after this event to orders that were there before it."""
        if row[0] in (r.QUOTES, r.TRADES):
            yield from self._on_market(row)
        state = self.session.engine[0]
        live = state["order"][state["live"][: int(state["live_n"])]]
        self.known = set(live["id"].tolist())
        for number in live["id"][live["cancel_at"] != r.NEVER].tolist():
            self.asked.setdefault(number, row[2])

    def _on_market(self, row):
        k, ts = row[1], row[2]
        state = self.session.engine[0]
        before = self.known
        slots = state["live"][: int(state["live_n"])].tolist()
        for slot in sorted(slots, key=lambda s: state["order"][s]["role"] not in URGENT):
            o = state["order"][slot]
            number, side = int(o["id"]), int(o["side"])
            if number not in before or o["contract"] != k or o["status"] == r.FREE:
                continue
            if o["role"] in (r.ENTRY, r.EXIT) and o["decided"] + self.delay > ts:
                continue
            if ts >= self.asked.get(number, r.NEVER - self.delay) + self.delay or not self._fills(
                o
            ):
                yield (r.VENUE_END, k, ts, number, r.CANCELED, 0, 0)
            elif (price := self._price(o, side, row)) is not None:
                yield (r.VENUE_FILL, k, ts, number, int(o["qty"] - o["filled"]), price, side)

    def _fills(self, o):
        if o["role"] != r.ENTRY or not self.miss:
            return True
        return self.entries.setdefault(int(o["id"]), (len(self.entries) + 1) % self.miss != 0)

    def _price(self, o, side, row):
        c = self.session.engine[0]["contract"][row[1]]
        near = int(c["ask"] if side > 0 else c["bid"])
        if o["kind"] == r.LIMIT:
            seen = near if row[0] == r.QUOTES else row[3]
            return int(o["limit"]) if (seen - o["limit"]) * side < 0 else None
        if o["kind"] == r.STOP and (row[0] != r.TRADES or (row[3] - o["stop"]) * side < 0):
            return None
        return near + side * self.slip


class Written(NamedTuple):
    """A journal, and what the next day's goes on from."""

    path: Path
    header: Header
    state: bytes


def write_session(
    folder: Path, day: date, setup: Setup | None = None, *, mode="paper", inputs=None, end=None,
    slip=0, miss=0, seed=1, clock_every=50, before: Written | None = None, longer_days=0,
) -> Written:  # fmt: skip
    """Run a session and write its journal; `end` changes members of its END row (False: none)."""
    setup = setup or Setup()
    head = header(setup, day, mode, before and before.header.first_ns)
    head = msgspec.structs.replace(head, last_ns=head.last_ns + longer_days * 86_400 * SECOND)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{mode}-{day}.journal"
    session = build(head)
    if before is not None:
        session.restore(before.state)
        session.apply_rules()
    venue = Venue(session, int(setup.fills.latency.samples("entry")[0]), slip, miss)
    journal = Journal(path, threaded=False)
    journal.write(Kind.RUN, head.first_ns, head)
    journal.write(Kind.SNAPSHOT, head.first_ns, session.snapshot())

    def tell(*row):
        journal.input(*row, row[2])
        try:
            session.tell(*row)
        except StrategyError:
            session.disarm()
        if mode == "live" and row[0] < r.VENUE_FILL:
            for answer in venue.answers(row):
                tell(*answer)

    rows = market(day, setup.contracts, seed=seed) if inputs is None else inputs
    flat_at = hours(contract(setup.contracts[0]), day).deadline - 60 * SECOND
    with invariants.off():
        for i, row in enumerate(rows):
            tell(*row)
            if i % clock_every == 0:
                tell(r.CLOCK, 0, row[2], 0, 0, 0, 0)
        tell(r.CLOCK, 0, flat_at, 0, 0, 0, 0)
        for k in range(len(setup.contracts)):
            tell(r.QUOTES, k, flat_at + (k + 1) * SECOND, 98_000, 98_001, 5, 5)
    state = session.snapshot()
    journal.write(Kind.SNAPSHOT, head.last_ns, state)
    if end is not False:
        journal.write(Kind.END, head.last_ns, ended(session, head, **(end or {})))
    journal.close()
    return Written(path, head, state)


def write_days(folder: Path, days, setup: Setup | None = None, **how) -> list[Written]:
    """Sessions that follow one another."""
    found: list[Written] = []
    for day in days:
        found.append(write_session(folder, day, setup, before=found[-1] if found else None, **how))
    return found


def ended(session: EngineSession, head: Header, **changes) -> SessionEnd:
    e = session.engine[0]
    values = {
        "date": head.date, "mode": head.mode, "complete": True, "covered_s": 79_000.0,
        "hours_s": 79_200.0, "faults": (), "flat": not e["open_contracts"],
        "events": int(e["events"]), "orders": int(e["orders_made"]), "fills": int(e["fills_made"]),
        "refusals": 0, "day_pnl": int(e["balance"] - e["day_start"]), "costs": int(e["costs"]),
        "balance": int(e["balance"]), "reason": "the day is over",
    }  # fmt: skip
    return SessionEnd(**{**values, **changes})

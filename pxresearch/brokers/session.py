"""An engine and everything outside its record: the wires, the logs, the calendar, the hooks.

One `EngineSession` serves a replay or a live session. It allocates, connects and drains; every rule
is in the core. `snapshot` and `restore` copy the whole state, which is two records.

I/O: none
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np

from pxresearch.brokers.feeds import Feed, check_bars, check_feeds
from pxresearch.brokers.fillmodel import FillModel, Latency
from pxresearch.core import records as r
from pxresearch.core.replay import drive
from pxresearch.errors import PxError, StrategyError, UsageError
from pxresearch.programmes import Programme
from pxresearch.sessions import schedule
from pxresearch.strategy import Strategy, compile_hooks, new_record, takes_account
from pxresearch.timeframes import parse_timeframe
from pxresearch.twin import Twin

LOG_ROWS = 1 << 14
NS = 1_000_000_000


class Logs(Mapping[str, np.ndarray[Any, Any]]):
    """Rows of a run by log name; the parts of a log are put together when it is first read."""

    def __init__(self, parts: dict[str, list[np.ndarray[Any, Any]]]) -> None:
        self._parts = parts

    def __getitem__(self, name: str) -> np.ndarray[Any, Any]:
        parts = self._parts[name]
        if len(parts) != 1:
            whole = np.concatenate(parts) if parts else np.zeros(0, r.LOGS[name])
            self._parts[name] = parts = [whole]
        return parts[0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)


class EngineSession:
    """One engine wired to a strategy, an account and a calendar.

    Parameters
    ----------
    strategy
        Its parameters are read once; its state starts fresh.
    feeds
        The contracts, in the order of their indices.
    programme, fills
        Account rules and fill model.
    first_ns, last_ns
        Span of the calendar, ns UTC.
    compiled
        False runs the hooks in plain Python.
    trading
        True refuses instants that the calendar does not vouch for.
    at_venue
        A venue fills the orders: nothing is matched here, its fills are told.
    """

    def __init__(
        self,
        strategy: Strategy,
        feeds: Sequence[Feed],
        programme: Programme,
        fills: FillModel,
        *,
        first_ns: int,
        last_ns: int,
        compiled: bool = True,
        trading: bool = False,
        at_venue: bool = False,
        keep_bars: bool = False,
    ) -> None:
        check_feeds(feeds, fills)
        check_bars(feeds, strategy.timeframes)
        self.strategy, self.feeds, self.programme = strategy, tuple(feeds), programme
        self.engine = np.zeros(1, r.ENGINE)
        self.wires = np.zeros(1, r.WIRES)
        self.record = new_record(strategy)
        self._kept: list[Any] = []
        self._rows: dict[str, list[np.ndarray[Any, Any]]] = {name: [] for name in r.LOGS}
        self._wire_calendar(first_ns, last_ns, trading)
        self._wire_latency(Latency() if at_venue else fills.latency)  # the venue has its own
        self._wire_logs(keep_bars)
        self._set_contracts(fills)
        self.engine["start_balance"] = programme.start_balance_micros
        self.apply_rules()
        self._set_fills(fills)
        self.engine["at_venue"] = at_venue
        self.twin: Twin | None = None
        self._wire_hooks(compiled)
        self.address = (self.engine.ctypes.data, self.wires.ctypes.data)
        self.tell(r.BEGIN)

    # -------------------------------------------------------------- wiring
    def _keep(self, array: np.ndarray[Any, Any]) -> int:
        """Hold an array for as long as the engine may look at it; returns its address."""
        self._kept.append(array)
        return array.ctypes.data

    def _wire_calendar(self, first_ns: int, last_ns: int, trading: bool) -> None:
        instruments = [f.contract.instrument for f in self.feeds]
        days, sessions = schedule(
            instruments,
            first_ns,
            last_ns,
            flatten_margin_s=self.programme.flatten_margin_s,
            no_open_margin_s=self.programme.no_open_margin_s,
            trading=trading,
        )
        self.days, self._sessions = days, sessions
        dates = [_date(d) for d in days["date"].tolist()]
        costs = np.array([[i.cost_micros(d) for i in instruments] for d in dates], dtype=np.int64)
        x = self.wires
        x["days"], x["days_n"] = self._keep(np.ascontiguousarray(days)), len(days)
        x["sessions"] = self._keep(np.ascontiguousarray(sessions))
        x["costs"] = self._keep(costs)
        windows = self._news_windows()
        x["news"], x["news_n"] = self._keep(windows), len(windows)

    def _news_windows(self) -> np.ndarray[Any, Any]:
        roots = [f.contract.instrument.root for f in self.feeds]
        rows = np.zeros(len(self.programme.news_windows), r.NEWS)
        for row, w in zip(rows, self.programme.news_windows, strict=True):
            row["start"], row["end"], row["cap"] = w.start_ns, w.end_ns, w.cap or 0
            row["barred"] = sum(1 << k for k, root in enumerate(roots) if root in w.no_opening)
            row["capped"] = sum(1 << k for k, root in enumerate(roots) if root in w.capped)
        return rows

    def _wire_latency(self, latency: Latency) -> None:
        for name in ("feed", "entry", "ack"):
            samples = latency.samples(name)
            self.wires[name], self.wires[f"{name}_n"] = self._keep(samples), len(samples)

    def _wire_logs(self, keep_bars: bool) -> None:
        self.buffers: dict[str, np.ndarray[Any, Any]] = {}
        for k, name in enumerate(r.LOGS):
            self._fresh_buffer(k, name)
            self.wires["log_cap"][0, k] = LOG_ROWS
        self.wires["bars_wanted"] = keep_bars
        self.wires["engine"] = self.engine.ctypes.data
        self.wires["strategy"] = self.record.ctypes.data
        one = self.wires["stream"][0, r.MAX_STREAMS]
        for name, source in (
            ("ts", "one_ts"),
            ("a", "one_a"),
            ("b", "one_b"),
            ("c", "one_c"),
            ("d", "one_d"),
        ):
            one[name] = self.wires[source].ctypes.data
        one["size_mask"] = -1

    def _wire_hooks(self, compiled: bool) -> None:
        for name in ("on_quote", "on_trade"):
            if takes_account(self.strategy, name):
                self.engine["look_closely"] = 1
        if compiled:
            for name, code in compile_hooks(self.strategy).items():
                self.wires[name] = code.address
                self._kept.append(code)
        else:
            self.twin = Twin(
                self.strategy, self.engine, self.wires, [f.contract.instrument for f in self.feeds]
            )
            self.wires["plain_hooks"] = 1
            for name, address in self.twin.addresses.items():
                self.wires[name] = address

    # -------------------------------------------------------------- settings of the engine record
    def _set_contracts(self, fills: FillModel) -> None:
        e = self.engine[0]
        e["contracts_n"] = len(self.feeds)
        frames = [parse_timeframe(text) for text in self.strategy.timeframes]
        e["frames_n"] = len(frames)
        caps = self.programme.product_caps(*self._span())
        roots = [f.contract.instrument.root for f in self.feeds]
        for k, feed in enumerate(self.feeds):
            c, i = e["contract"][k], feed.contract.instrument
            c["tick_num"], c["tick_den"] = i.tick_num, i.tick_den
            c["tick_value"], c["size_tenths"] = i.tick_value_micros, i.size_tenths
            c["cap"] = caps.get(i.root, -1)
            c["product"] = roots.index(i.root)
            c["has_quotes"] = "quotes" in feed.kinds
            c["has_trades"] = "quotes" not in feed.kinds or "trades" in feed.kinds
            c["bars_only"] = feed.kinds == ("bars",)
            c["quote_stops"] = fills.stop_trigger == "quote"
            last = fills.mark == "last" and "trades" in feed.kinds
            c["mark_trades"] = last or "quotes" not in feed.kinds
            for f, (kind, period) in enumerate(frames):
                c["frames"][f]["kind"], c["frames"][f]["period"] = kind, period

    def _span(self) -> tuple[date, date]:
        """First and last trading day of the calendar."""
        first, last = (int(self.days["date"][i]) for i in (0, -1))
        return _date(first), _date(last)

    def apply_rules(self) -> None:
        """Write the programme's rules into the engine; its state stays."""
        p, rules = self.programme, self.engine[0]["rules"]
        for name, value in (
            ("max_loss", p.max_loss_micros),
            ("daily_loss", p.daily_loss_limit_micros),
            ("profit_lock", p.daily_profit_lock_micros),
        ):
            rules[name], rules[f"has_{name}"] = value or 0, value is not None
        rules["max_loss_lock"] = p.max_loss_lock_micros or 0
        rules["has_lock"] = p.max_loss_lock_micros is not None
        rules["max_tenths"] = p.max_size_tenths or 0
        rules["max_order_qty"] = p.max_order_qty or 0
        rules["collar"] = p.collar_ticks or 0
        rules["rate"] = p.max_orders_per_minute or 0
        rules["duplicate_ns"] = (p.duplicate_window_ms or 0) * 1_000_000
        rules["quote_age_ns"] = (p.max_quote_age_s or 0) * NS
        rules["silence_ns"] = (p.feed_silence_s or 0) * NS
        rules["loss_count"] = p.loss_pause_after or 0
        rules["loss_pause_ns"] = (p.loss_pause_s or 0) * NS
        rules["loss_buffer"] = p.loss_buffer_micros
        rules["require_bracket"], rules["bracket_risk"] = p.require_bracket, p.check_bracket_risk
        rules["spread"] = p.max_spread_ticks or 0
        rules["order_value"] = p.max_order_value_micros or 0
        rules["no_self_trade"], rules["repeats"] = p.prevent_self_trade, p.max_repeats or 0
        rules["tiers"] = len(p.scaling)
        for i, (least, tenths) in enumerate(p.scaling):
            rules["tier_from"][i], rules["tier_tenths"][i] = least, tenths
        if (p.max_orders_per_minute or 0) > r.MAX_RATE:
            raise UsageError(
                f"max_orders_per_minute can be at most {r.MAX_RATE}, "
                f"received {p.max_orders_per_minute}"
            )

    def _set_fills(self, fills: FillModel) -> None:
        fill = self.engine[0]["fill"]
        fill["limit_fill"] = r.LIMIT_FILLS.index(fills.limit_fill)
        fill["partial"], fill["slippage"] = fills.partial_fills, fills.slippage_ticks

    # -------------------------------------------------------------- running
    def tell(
        self, what: int, k: int = 0, ts: int = 0, a: int = 0, b: int = 0, c: int = 0, d: int = 0
    ) -> None:
        """Drive the engine once (see `core.replay.drive`), draining its logs as often as needed."""
        code = drive(*self.address, what, k, ts, a, b, c, d)
        while code == r.DRAIN:
            self.drain()
            code = drive(*self.address, r.GO, 0, 0, 0, 0, 0, 0) if what == r.GO else r.DONE
        if code == r.HOOK_FAILED:
            self._raise_hook_error()
        if code == r.OVERFLOW:
            raise PxError(
                f"the engine ran out of room: more than {r.MAX_LOTS} open lots in a contract, "
                f"{r.MAX_ORDERS} orders or {r.MAX_NOTICES} fills under way; "
                "nothing was lost silently"
            )

    def _fresh_buffer(self, k: int, name: str) -> None:
        self.buffers[name] = np.empty(LOG_ROWS, r.LOGS[name])
        self.wires["log"][0, k] = self.buffers[name].ctypes.data

    def drain(self, last: bool = False) -> None:
        """Move log rows out of the engine's buffers.

        The newest refusal stays in its buffer until the end, because it may still be counted up.
        """
        for k, name in enumerate(r.LOGS):
            n, buffer = int(self.wires["log_n"][0, k]), self.buffers[name]
            kept = 1 if name == "refusals" and n > 0 and not last else 0
            if n > LOG_ROWS // 2:  # hand the buffer over rather than copy it
                self._rows[name].append(buffer[: n - kept])
                self._fresh_buffer(k, name)
            elif n > kept:
                self._rows[name].append(buffer[: n - kept].copy())
            if kept:
                self.buffers[name][0] = buffer[n - 1]
            self.wires["log_n"][0, k] = kept
        self.wires["drain"] = 0

    def logs(self) -> Logs:
        """All rows so far, by log."""
        self.drain(last=True)
        return Logs(self._rows)

    def _raise_hook_error(self) -> None:
        hook = r.HOOKS[int(self.wires["failed_hook"][0])]
        at = int(self.wires["failed_at"][0])
        if self.twin is not None and self.twin.failed_at:
            at = self.twin.failed_at
        when = np.datetime64(at, "ns")
        where = f"{type(self.strategy).__name__}.{hook} raised at {when} UTC"
        if self.twin is not None and self.twin.error is not None:
            raise StrategyError(f"{where}: {self.twin.error!r}") from self.twin.error
        raise StrategyError(f"{where}; run it with compiled=False to see the line")

    def session_rows(self, day: int) -> np.ndarray[Any, Any]:
        """Sessions of a trading day (yyyymmdd), one a contract; empty outside the calendar."""
        at = np.flatnonzero(self.days["date"] == day)
        return self._sessions[at[0]] if len(at) else self._sessions[0][:0]

    def disarm(self) -> None:
        """After a hook has raised: go on without the strategy, so that positions can be closed."""
        for name in r.HOOKS:
            self.wires[name] = 0
        self.wires["failed"] = 0

    # -------------------------------------------------------------- state as plain data
    def snapshot(self) -> bytes:
        """The whole state of account, orders, bars and strategy."""
        state = self.record if self.twin is None else self.twin.to_record(self.record)
        return self.engine.tobytes() + state.tobytes()

    def restore(self, state: bytes) -> None:
        """Go back to a snapshot of a session with the same strategy and contracts."""
        size = self.engine.nbytes
        if len(state) != size + self.record.nbytes:
            raise UsageError(
                f"the snapshot has {len(state)} bytes, this session needs "
                f"{size + self.record.nbytes}; it is of another strategy or version"
            )
        self.engine[:] = np.frombuffer(state[:size], r.ENGINE)
        self.record[:] = np.frombuffer(state[size:], self.record.dtype)
        if self.twin is not None:
            self.twin.from_record(self.record)


def _date(yyyymmdd: int) -> date:
    return date(yyyymmdd // 10000, yyyymmdd // 100 % 100, yyyymmdd % 100)

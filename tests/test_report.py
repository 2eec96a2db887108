"""Result: summary, frames, figures and files, on runs built by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pxresearch.core import records as r
from pxresearch.instruments import contract
from pxresearch.programmes import programme
from pxresearch.report import Result, Run
from pxresearch.sessions import CHICAGO, session

MINUTE = 60_000_000_000
MILLION = 1_000_000


class Ledger:
    """Writes logs as the engine would: fills, trades, bracket orders, equity, days, bars."""

    def __init__(self, *codes: str, account: str = "combine-50k") -> None:
        self.contracts = tuple(contract(code) for code in codes)
        self.programme = programme(account)
        self.start = self.programme.start_balance_micros
        self.balance = self.peak = self.start
        self.level = self.start - (self.programme.max_loss_micros or 0)
        self.drawdown, self.room = 0, self.balance - self.level
        self.rows: dict[str, list[tuple]] = {name: [] for name in r.LOGS}
        self.events = 0

    def day(self, date, *, trades=(), bars=(), start=None, low=0, high=0, open_value=0):
        """Book one day's trades; low and high are extremes of its equity, USD from its start."""
        began, fills = self.balance, 0
        for trade in sorted(trades, key=lambda t: t["out"]):
            self._trade(**trade)
            fills += 2
        for k, n, ts, o, h, lo, c in bars:
            self._add(
                "bars", contract=k, frame=0, bar=(0, MINUTE, ts, ts + MINUTE, o, h, lo, c, n, n)
            )
        bottom = min(began + low * MILLION, self.balance, began)
        top = max(began + high * MILLION, self.balance, began)
        self.drawdown = max(self.drawdown, self.peak - bottom)
        self.peak, self.room = max(self.peak, top), min(self.room, bottom - self.level)
        self.events += 1_000
        stamp = date.year * 10_000 + date.month * 100 + date.day
        self._add(
            "days", date=stamp, start_balance=began, end_balance=self.balance,
            end_equity=self.balance + open_value, costs=0, trades=len(trades), fills=fills,
            events=1_000, min_equity=bottom, max_equity=top, drawdown=top - bottom,
            level=self.level, in_market=_union(trades),
        )  # fmt: skip
        rules = self.programme
        if rules.max_loss_micros is not None:
            self.level = max(
                self.level, min(rules.max_loss_lock_micros, self.balance - rules.max_loss_micros)
            )

    def _trade(self, *, into, out, side, entry, exit, k=0, qty=1, stop=8, target=16, how=None):
        item = self.contracts[k].instrument
        value, cost = item.tick_value_micros, qty * 1_400_000
        gross = side * qty * (exit - entry) * value
        order = len(self.rows["orders"]) + 1
        role = how if how is not None else (r.TARGET if gross > 0 else r.STOP_LOSS)
        base = {"contract": k, "qty": qty, "filled": qty, "decided": into, "active_from": into}
        self._add("orders", id=order, side=side, kind=r.MARKET, role=r.ENTRY, status=r.FILLED,
                  ended=into, **base)  # fmt: skip
        self._add("orders", id=order + 1, parent=order, side=-side, kind=r.STOP, role=r.STOP_LOSS,
                  stop=entry - side * stop, ended=out, **base)  # fmt: skip
        self._add("orders", id=order + 2, parent=order, side=-side, kind=r.LIMIT, role=r.TARGET,
                  limit=entry + side * target, ended=out, **base)  # fmt: skip
        self._fill(into, order, k, side, qty, entry, cost, 0, side * qty, r.ENTRY)
        self._fill(out, order + 1, k, -side, qty, exit, cost, gross, 0, role)
        self._add("trades", contract=k, side=side, qty=qty, entry_ts=into, exit_ts=out,
                  entry_price=entry, exit_price=exit, gross=gross, cost=2 * cost,
                  mae=min(gross, -2 * value * qty), mfe=max(gross, 3 * value * qty),
                  entry_order=order, exit_order=order + 1, exit_role=role)  # fmt: skip

    def _fill(self, ts, order, k, side, qty, price, cost, gross, position, role):
        self.balance += gross - cost
        self._add("fills", ts=ts, order=order, contract=k, side=side, qty=qty, price=price,
                  cost=cost, realized=gross, position=position, role=role)  # fmt: skip
        self._add("equity", ts=ts // MINUTE * MINUTE + MINUTE, balance=gross - cost)

    def _add(self, name, **values):
        self.rows[name].append((name, values))

    def array(self, name):
        out = np.zeros(len(self.rows[name]), r.LOGS[name])
        for row, (_, values) in zip(out, self.rows[name], strict=True):
            for key, value in values.items():
                row[key] = value
        if name == "equity":  # noted as changes, because trades may overlap
            out.sort(order="ts")
            for column in ("equity", "low", "high", "balance"):
                out[column] = self.start + np.cumsum(out["balance"])
        return out

    def run(self, first, last, **changes) -> Run:
        engine = np.zeros(1, r.ENGINE)
        engine["start_balance"], engine["balance"] = self.start, self.balance
        engine["drawdown"], engine["min_room"] = self.drawdown, self.room
        engine["rules"]["has_max_loss"] = self.programme.max_loss_micros is not None
        values = {
            "strategy": "EmaCross", "parameters": {"fast": 10, "slow": 60},
            "contracts": self.contracts, "programme": self.programme,
            "settings": {"limit_fill": "through", "slippage_ticks": 0, "entry_ms": 20},
            "logs": {name: self.array(name) for name in r.LOGS}, "engine": engine,
            "frames": ("1m",), "ticks": (), "events": self.events, "first_ts": first,
            "last_ts": last, "elapsed_s": 0.2, "compiled": True, "synthetic": False,
        }  # fmt: skip
        return Run(**{**values, **changes})


def _union(trades) -> int:
    total, until = 0, 0
    for trade in sorted(trades, key=lambda t: t["into"]):
        total += max(trade["out"] - max(trade["into"], until), 0)
        until = max(until, trade["out"])
    return total


def walk(seed, minutes, level=6600, swing=1.5):
    """Random path of closes in ticks."""
    steps = np.random.default_rng(seed).normal(0, swing, minutes)
    return (level + np.cumsum(steps)).astype(int)


def random_run(seed=1, days=("2013-09-03",), a_day=12, codes=("ESU13",), **changes) -> Run:
    """Build a run with a random price path and `a_day` random trades on each day and contract."""
    import datetime as dt

    rng = np.random.default_rng(seed)
    ledger, levels = Ledger(*codes), [6600 + 5_000 * k for k in range(len(codes))]
    first = last = 0
    for number, text in enumerate(days):
        date = dt.date.fromisoformat(text)
        hours = session(ledger.contracts[0], date)
        minutes = (hours.close - hours.open) // MINUTE
        first, last = first or hours.open, hours.close
        trades, bars = [], []
        for k in range(len(codes)):
            path = walk(seed * 1000 + number * 10 + k, minutes, levels[k])
            bars += _bars(k, hours.open, path, rng)
            trades += _trades(k, hours.open, path, rng, a_day)
            levels[k] = int(path[-1])
        low = -int(rng.integers(0, 400)) if a_day else 0
        ledger.day(date, trades=trades, bars=bars, low=low)
    return ledger.run(first, last, **changes)


def _bars(k, start, path, rng):
    opens = np.concatenate([path[:1], path[:-1]])
    spread = rng.integers(0, 3, (2, len(path)))
    high, low = np.maximum(opens, path) + spread[0], np.minimum(opens, path) - spread[1]
    return [
        (k, int(rng.integers(5, 200)), start + i * MINUTE, 2 * o, 2 * h, 2 * lo, 2 * c)
        for i, (o, h, lo, c) in enumerate(zip(opens, high, low, path, strict=True))
    ]


def _trades(k, start, path, rng, number):
    found = []
    for at in sorted(rng.integers(600, len(path) - 90, number)):
        length, side = int(rng.integers(4, 60)), int(rng.choice([1, -1]))
        found.append(
            {"into": start + int(at) * MINUTE, "out": start + int(at + length) * MINUTE, "k": k,
             "side": side, "entry": int(path[at]), "exit": int(path[at + length]),
             "qty": int(rng.integers(1, 3))}
        )  # fmt: skip
    return found


# ------------------------------------------------------------------ summary and frames
@pytest.fixture(scope="module")
def result() -> Result:
    return Result(random_run(4, codes=("ESU13", "NQU13"), days=("2013-09-03", "2013-09-04")))


def test_the_summary_fits_a_page(result):
    """About thirty aligned lines without control codes; the label of synthetic data only if so."""
    text = repr(result)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    assert 18 <= len(lines) <= 32
    assert lines[0].startswith("EmaCross  ESU13, NQU13  combine-50k")
    assert "\x1b" not in text
    assert "SYNTHETIC" not in text
    assert "SYNTHETIC DATA" in repr(Result(random_run(1, synthetic=True)))


def test_an_empty_run_can_be_read():
    """No trade, no log at all: the summary, the frames and the pictures still come."""
    bare = Result(Ledger("ESU13").run(1_378_159_200 * 10**9, 1_378_242_900 * 10**9, logs={}))
    assert "no trade was closed" in repr(bare)
    for name in r.LOG_NAMES:
        assert getattr(bare, name).height == 0
    assert bare.plot()._repr_png_()[:4] == b"\x89PNG"


def test_warnings_name_what_matters():
    """A breach, an open position, dropped events and refusals are all said."""
    run = random_run(1)
    risk = np.zeros(1, r.RISK_ROW)
    risk["ts"], risk["cause"], risk["value"] = run.last_ts, r.DAILY_LOSS, -1_000_000_000
    refused = np.zeros(2, r.REFUSAL_ROW)
    refused["reason"], refused["count"] = (r.COLLAR, r.RATE), (2, 5)
    run.logs.update(risk=risk, refusals=refused)
    run.engine["dropped"] = 17
    run.engine["contract"]["position"][0, 0] = -2
    text = "\n".join(Result(run).warnings)
    for part in ("daily loss limit touched", "17 events", "-2 ESU13", "5 RATE, 2 COLLAR"):
        assert part in text


def test_frames_hold_names_times_and_points(result):
    """Enums are names, times are aware, prices are points of the contract."""
    import polars as pl

    assert result.fills.schema["ts"] == pl.Datetime("ns", "UTC")
    assert result.fills.schema["trading_day"] == pl.Date
    assert set(result.trades["side"]) == {"long", "short"}
    assert set(result.orders["role"]) == {"entry", "stop_loss", "target"}
    assert set(result.trades["contract"]) == {"ESU13", "NQU13"}
    rows = result.run.log("trades")
    for frame, row in zip(result.trades.iter_rows(named=True), rows, strict=True):
        item = result.run.contracts[row["contract"]].instrument
        assert frame["entry_price"] == item.to_price(int(row["entry_price"]))
        assert frame["net_usd"] == int(row["gross"] - row["cost"]) / MILLION
    assert result.bars["frame"].unique().to_list() == ["1m"]
    bar = result.run.log("bars")[0]["bar"]
    assert result.bars["close"][0] == int(bar["close"]) / 2 * 0.25


def test_prices_and_times_that_do_not_apply_are_null(result):
    """A market order has no price; an order that did not end has no end."""
    run = random_run(1, a_day=2)
    run.logs["orders"]["ended"][0] = 0
    run.logs["orders"]["ended"][1] = r.NEVER
    orders = Result(run).orders
    assert orders["limit"][0] is None
    assert orders["stop"][0] is None
    assert orders["stop"][1] is not None
    assert orders["ended"].to_list()[:2] == [None, None]
    assert orders["parent"].to_list()[:2] == [None, 1]


def test_evening_fills_belong_to_the_next_trading_day():
    """17:00 Chicago starts the day; in September that is 22:00 UTC."""
    import datetime as dt

    from pxresearch.report.frames import trading_days
    from pxresearch.sessions import to_ns

    ts = [dt.datetime(2013, 9, 3, h, m, tzinfo=CHICAGO) for h, m in ((16, 59), (17, 0))]
    days = trading_days(np.array([*map(to_ns, ts), 0, r.NEVER]))
    assert days.astype(str).tolist() == ["2013-09-03", "2013-09-04", "NaT", "NaT"]


def test_fills_and_days_add_up_to_the_balance(result):
    """Realized less cost over all fills is the change of balance, and so is the sum of days."""
    fills, engine = result.run.log("fills"), result.run.engine[0]
    change = int(engine["balance"] - engine["start_balance"])
    assert int((fills["realized"] - fills["cost"]).sum()) == change
    assert result.metrics.net_pnl_usd == change / MILLION
    assert round(sum(result.days["pnl_usd"].to_list()) * MILLION) == change
    assert round(sum(result.trades["net_usd"].to_list()) * MILLION) == change


# ------------------------------------------------------------------ figures
def axes_of(figure):
    return {ax.get_title(loc="left").split("  ")[0]: ax for ax in figure.axes}


def markers(ax, label):
    found = [c for c in ax.collections if c.get_label() == label]
    return sum(len(c.get_offsets()) for c in found)


def test_the_tear_sheet_shows_every_trade_of_the_day(result):
    """Entries and exits on the price chart are the trades; the legend fits beside the title."""
    figure = result.plot("2013-09-04", contract="NQU13")
    axes = axes_of(figure)
    assert set(axes) >= {"NQU13", "Equity, USD", "Daily P&L, USD", "MAE and MFE, USD"}
    day = axes["NQU13"]
    assert markers(day, "long") + markers(day, "short") == markers(day, "exit") == 12
    assert markers(axes["MAE and MFE, USD"], "win") == result.metrics.wins
    assert sum(bar.get_height() for bar in axes["Net result of trades, USD"].patches) == 48


def test_titles_and_legends_do_not_touch(result):
    """No title of an axes meets its legend, and no text is smaller than nine points."""
    for run in (result.run, random_run(1), random_run(2, a_day=0), random_run(5, a_day=1)):
        figure = Result(run).plot()
        figure._repr_png_()
        for ax in figure.axes:
            legend = ax.get_legend()
            if legend and ax.get_title(loc="left"):
                assert not legend.get_window_extent().overlaps(ax._left_title.get_window_extent())
            for label in (*ax.get_xticklabels(), *ax.get_yticklabels(), *ax.texts):
                assert label.get_fontsize() >= 9


def test_limits_step_with_the_days(result):
    """The maximum loss line has the level of each day."""
    lines = {line.get_label(): line for line in axes_of(result.plot_equity())["Equity, USD"].lines}
    levels = result.days["max_loss_level_usd"].to_list()
    assert lines["maximum loss"].get_ydata().tolist() == [*levels, levels[-1]]


def test_prices_come_from_the_data_when_the_strategy_has_no_bars():
    """Without a bar log the picture reads the ticks of the run."""
    from pxresearch.tickdata import ticks

    run = random_run(1)
    ts = run.first_ts + np.arange(2_000) * MINUTE // 2
    mid = 1_650 + np.arange(2_000) % 40 * 0.25
    data = ticks("ESU13", quotes={"ts": ts, "bid": mid, "ask": mid + 0.25})
    run.logs.pop("bars")
    figure = Result(random_run(1, logs=run.logs, ticks=(data,))).plot_day()
    line = figure.axes[0].lines[0].get_ydata()
    assert np.nanmin(line) == 1_650.125
    assert np.nanmax(line) == 1_659.875


def test_a_part_of_a_day_fills_the_picture():
    """Between two times the price axis spans what is in view, not the day."""
    run = random_run(1)
    whole, part = Result(run).plot_day(), Result(run).plot_day(between=("08:00", "10:30"))
    spans = [np.ptp(figure.axes[0].get_ylim()) for figure in (whole, part)]
    assert spans[1] < spans[0] / 2


def test_a_day_outside_the_run_is_refused(result):
    """The message says which days there are."""
    from pxresearch.errors import UsageError

    with pytest.raises(UsageError, match="2013-09-03 to 2013-09-04"):
        result.plot("2013-09-06")
    with pytest.raises(UsageError, match="ESU13, NQU13"):
        result.plot(contract="CLZ13")
    with pytest.raises(UsageError, match="08:30"):
        result.plot_day(between=("noon", "15:00"))


def test_figures_leave_pyplot_and_the_defaults_alone(result):
    """Nothing is registered, no backend chosen, no rc setting changed."""
    import sys

    import matplotlib as mpl

    before = dict(mpl.rcParams)
    result.plot()
    assert dict(mpl.rcParams) == before
    if plt := sys.modules.get("matplotlib.pyplot"):
        assert not plt.get_fignums()


def test_ten_thousand_trades_are_drawn():
    """A crowded run still draws every marker, without brackets."""
    result = Result(random_run(6, a_day=5_000, days=("2013-09-03", "2013-09-04")))
    day = result.plot().axes[0]
    assert markers(day, "exit") == 5_000
    assert "stop" not in day.get_legend_handles_labels()[1]


# ------------------------------------------------------------------ files
def test_json_has_the_promised_names(result):
    """Plain values only, NaN nowhere."""
    import json

    value = result.to_json()
    json.dumps(value, allow_nan=False)
    promised = {"contract", "ticks", "trades", "fills", "orders", "refusals", "gross_pnl_usd",
                "costs_usd", "net_pnl_usd", "max_drawdown_usd", "breaches", "parameters",
                "account", "settings", *result.metrics.as_dict()}  # fmt: skip
    assert promised <= set(value)
    assert value["contract"] == "ESU13,NQU13"
    assert (value["trades"], value["fills"], value["breaches"]) == (48, 96, 0)


def test_saved_files_stand_on_their_own(result, tmp_path):
    """The page embeds its picture and names no address; the tables read back."""
    import polars as pl

    paths = result.save(tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(paths)
    page = paths["report.html"].read_text(encoding="utf-8")
    assert "http" not in page
    assert "data:image/png;base64," in page
    assert paths["tearsheet.png"].stat().st_size > 50_000
    assert pl.read_parquet(paths["trades.parquet"]).equals(result.trades)
    assert pl.read_csv(paths["trades.csv"]).height == 48


def test_text_of_the_user_is_escaped():
    """A parameter cannot put markup into the page."""
    html = Result(random_run(1, parameters={"name": "<script>"}))._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_importing_the_report_is_light():
    """Neither matplotlib nor polars is imported before it is used."""
    import subprocess
    import sys

    code = (
        "import sys, pxresearch.report, pxresearch.export;"
        "sys.exit(any(m in sys.modules for m in ('matplotlib', 'polars', 'numba')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

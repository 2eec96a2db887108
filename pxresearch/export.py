"""A result as files: JSON, a self-contained HTML page, tables and the picture.

The page embeds its picture and its styles and names no address, so it reads the same in ten years
and without a network. Money is USD, times are Chicago in the page and UTC in the tables.

I/O: `save` writes into the directory it is given.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import date, datetime
from decimal import Decimal
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pxresearch.core.records import MICROS
from pxresearch.report import summary
from pxresearch.sessions import from_ns

if TYPE_CHECKING:
    import polars as pl

    from pxresearch.report import Result

_PAGE_ROWS = 500  # trades listed in the page; the tables have all of them

_CSS = """
.px{font:14px/1.45 system-ui,sans-serif;max-width:1200px}
.px h1{font-size:22px;margin:0 0 2px}.px h2{font-size:16px;margin:26px 0 6px}
.px p{margin:2px 0;opacity:.8}.px .warn{opacity:1;color:#D55E00}
.px .tag{background:#D55E00;color:#fff;border-radius:3px;padding:1px 7px;font-size:12px}
.px .cols{display:flex;flex-wrap:wrap;gap:10px 44px;margin-top:10px}
.px table{border-collapse:collapse;font-variant-numeric:tabular-nums}
.px th,.px td{padding:2px 9px;text-align:right;border:0;border-bottom:1px solid #8884;
background:none}
.px th:first-child,.px td:first-child{text-align:left}
.px img{width:100%;height:auto;margin-top:14px;background:#fff}
"""


def as_json(result: Result) -> dict[str, Any]:
    """Return every figure of a result as plain values; see `Result.to_json`."""
    run, figures = result.run, result.metrics.as_dict()
    value = {
        "strategy": run.strategy,
        "parameters": run.parameters,
        "contract": run.label,
        "account": run.programme.name,
        "rules": _rules(run.programme),
        "settings": run.settings,
        "synthetic": run.synthetic,
        "compiled": run.compiled,
        "first": from_ns(run.first_ts),
        "last": from_ns(run.last_ts),
        "ticks": run.events,
        "elapsed_s": run.elapsed_s,
        **figures,
        "breach_events": [{**row, "ts": from_ns(row["ts"])} for row in result.breaches],
        "refusals_by_reason": result.refusals_by_reason,
        "warnings": result.warnings,
    }
    return {name: _plain(item) for name, item in value.items()}


def save(result: Result, directory: Path) -> dict[str, Path]:
    """Write all files of a result; see `Result.save`."""
    from pxresearch import tearsheet

    directory.mkdir(parents=True, exist_ok=True)
    names = ("result.json", "report.html", "tearsheet.png", "trades.csv", "trades.parquet")
    paths = {name: directory / name for name in names}
    picture = tearsheet.png(result.plot(), 130)
    text = json.dumps(as_json(result), indent=2, ensure_ascii=False, allow_nan=False)
    paths["result.json"].write_text(text + "\n", encoding="utf-8")
    paths["report.html"].write_text(page(result, picture), encoding="utf-8")
    paths["tearsheet.png"].write_bytes(picture)
    result.trades.write_csv(paths["trades.csv"])
    result.trades.write_parquet(paths["trades.parquet"])
    return paths


def page(result: Result, picture: bytes) -> str:
    """Return the whole HTML page, the PNG `picture` inside it."""
    run = result.run
    image = base64.b64encode(picture).decode("ascii")
    tables = [
        ("All figures", _pairs(_figures(result))),
        ("Days", _days(result)),
        (_trades_title(result), _trades(result)),
        ("Rules of the account", _pairs(_rules(run.programme).items())),
        ("Settings", _pairs(run.settings.items())),
    ]
    body = "".join(f"<h2>{escape(title)}</h2>{table}" for title, table in tables)
    title = escape(f"{run.strategy} {run.label}")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>'
        f'<body style="margin:24px auto;max-width:1200px;padding:0 16px">{fragment(result)}'
        f'<div class="px"><img alt="tear sheet" src="data:image/png;base64,{image}">{body}</div>'
        "</body></html>\n"
    )


def fragment(result: Result) -> str:
    """Return the summary as HTML for a notebook cell."""
    run = result.run
    head = f"{run.strategy}  {run.label.replace(',', ', ')}  {run.programme.name}"
    tag = ' <span class="tag">SYNTHETIC DATA</span>' if run.synthetic else ""
    facts = (summary.span(run), summary.speed(run), summary.pairs(run.parameters))
    columns = [*summary.figures(result.metrics), summary.counts(result.metrics)]
    standing = [[name, f"{value}  {text}"] for name, value, text in summary.limits(result)]
    return (
        f'<style>{_CSS}</style><div class="px"><h1>{escape(head)}{tag}</h1>'
        + "".join(f"<p>{escape(fact)}</p>" for fact in facts)
        + f'<div class="cols">{"".join(_table([], column) for column in columns)}</div>'
        + (f'<div class="cols">{_table([], standing)}</div>' if standing else "")
        + "".join(f'<p class="warn">{escape(text)}</p>' for text in result.warnings)
        + "</div>"
    )


def _figures(result: Result) -> list[tuple[str, Any]]:
    return [
        (name.removesuffix("_usd").replace("_", " "), value)
        for name, value in result.metrics.as_dict().items()
    ]


def _days(result: Result) -> str:
    columns = ("trading_day", "pnl_usd", "end_balance_usd", "min_equity_usd", "max_equity_usd",
               "drawdown_usd", "max_loss_level_usd", "trades", "costs_usd")  # fmt: skip
    frame = result.days.select(columns)
    if result.run.programme.max_loss_micros is None:
        frame = frame.drop("max_loss_level_usd")
    return _frame(frame)


def _trades_title(result: Result) -> str:
    count = result.trades.height
    return "Trades" if count <= _PAGE_ROWS else f"Trades (the first {_PAGE_ROWS:,} of {count:,})"


def _trades(result: Result) -> str:
    import polars as pl

    columns = ("entry_ts", "exit_ts", "contract", "side", "qty", "entry_price", "exit_price",
               "gross_usd", "cost_usd", "net_usd", "mae_usd", "mfe_usd", "exit")  # fmt: skip
    frame = result.trades.select(columns).head(_PAGE_ROWS)
    stamps = pl.col("entry_ts", "exit_ts").dt.convert_time_zone("America/Chicago")
    return _frame(frame.with_columns(stamps.dt.strftime("%Y-%m-%d %H:%M:%S")))


def _frame(frame: pl.DataFrame) -> str:
    if not frame.height:
        return "<p>none</p>"
    head = [name.removesuffix("_usd").replace("_", " ") for name in frame.columns]
    money = [name.endswith("_usd") for name in frame.columns]
    rows = (
        [
            summary.money(v) if usd and v is not None else v
            for v, usd in zip(row, money, strict=True)
        ]
        for row in frame.iter_rows()
    )
    return _table(head, rows)


def _pairs(items: Iterable[tuple[str, Any]]) -> str:
    return _table([], [[name, value] for name, value in items])


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(_shown(value))}</td>' for value in row)}</tr>" for row in rows
    )
    return f"<table>{f'<thead><tr>{top}</tr></thead>' if head else ''}<tbody>{body}</tbody></table>"


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.4f}".rstrip("0").rstrip(".")
    return f"{value:,}" if type(value) is int else str(value)


def _rules(programme: Any) -> dict[str, Any]:
    """Rules of an account that are set, money in USD."""
    rules: dict[str, Any] = {}
    for field in fields(programme):
        value = getattr(programme, field.name)
        if value is None or value == ():
            continue
        if field.name.endswith("_micros"):
            rules[field.name.removesuffix("_micros") + "_usd"] = value / MICROS
        elif field.name not in ("restrictions", "news_windows", "scaling"):
            rules[field.name] = _plain(value)
    return rules


def _plain(value: Any) -> Any:
    """Return a value as JSON knows it; what JSON has no number for becomes None or text."""
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if hasattr(value, "item"):  # a NumPy scalar
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)

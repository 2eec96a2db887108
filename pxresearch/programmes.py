"""Account programmes: the limits an account is held to, as dated data.

Money is an integer count of micro-dollars (10⁻⁶ USD) in every ``*_micros`` field, position size an
integer count of tenths of a mini (ES 10, MES 1). ``None`` means that the rule is not present.
Topstep's numbers come from ``tables/programmes.json``, each with its source and the day from which
it holds. Checks for which no official number exists are off until the user sets one.

Topstep's daily loss limit is optional; it is on here, because that is the safer reading, and
``daily_loss_limit=None`` switches it off.

I/O: reads the table once, on first use.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from fractions import Fraction
from importlib import resources
from typing import Any, Literal

from pxresearch.errors import UnknownName, UsageError
from pxresearch.instruments import instrument
from pxresearch.sessions import to_ns

Kind = Literal["combine", "express", "own"]

_MICROS = 1_000_000
_MAX_USD = 1_000_000_000  # keeps sums of micro-dollars far inside int64
_NO_FLOOR = -(2**63)  # the lowest balance an int64 holds: the first scaling tier has no bound
_ALWAYS = date(1970, 1, 1)
_MONEY = (
    "start_balance",
    "max_loss",
    "max_loss_lock",
    "daily_loss_limit",
    "daily_profit_lock",
    "profit_target",
    "loss_buffer",
    "max_order_value",
)


@dataclass(frozen=True, slots=True)
class Restriction:
    """At most so many contracts of one product (0: not tradable) from a day on."""

    root: str
    max_contracts: int
    valid_from: date
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewsWindow:
    """A span (ns UTC, end excluded) in which opening is forbidden or capped for some products.

    ``no_opening`` products may not be opened at all; of each ``capped`` product at most ``cap``
    contracts may be opened.
    """

    start_ns: int
    end_ns: int
    no_opening: tuple[str, ...] = ()
    capped: tuple[str, ...] = ()
    cap: int = 0

    def __post_init__(self) -> None:
        if self.start_ns >= self.end_ns or self.cap < 0:
            raise UsageError(
                f"a news window ends after it starts and its cap is 0 or more; received start_ns="
                f"{self.start_ns}, end_ns={self.end_ns}, cap={self.cap}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Programme:
    """The rules of one account; build it with :func:`programme`.

    Attributes
    ----------
    start_balance_micros
        Balance on the first day; an Express Funded account starts at 0.
    max_loss_micros
        Distance of the maximum loss level below the highest end-of-day balance.
    max_loss_lock_micros
        Balance at which that level stops rising; None: it never stops.
    daily_loss_limit_micros
        Positive; flat and locked for the day when the day's net P&L is at or below its negative.
    daily_profit_lock_micros
        Flat and locked for the day at this net day P&L; the user's own rule.
    profit_target_micros, consistency
        Target of the Combine; the best day's largest share of the total (0.55).
    max_size_tenths
        Largest gross position in tenths of a mini, working orders included.
    scaling
        ``(least balance in micro-dollars, tenths)``, ascending, by the balance at the previous
        session's end; "above 2000" is stored as 2000.000001. See :meth:`size_tenths`.
    restrictions
        Product limits, dated lists of the firm beside the user's own: see :meth:`product_caps`. A
        run holds the smallest cap of all its days throughout.
    news_windows
        Opening bans by instant. The user supplies the calendar.
    require_bracket
        Every opening order must carry a stop.
    check_bracket_risk
        Refuse an order whose stop could lose more than is left of the daily and maximum limits.
    max_order_qty
        Most contracts in one order; by default what the size limit allows in micros.
    collar_ticks, max_orders_per_minute, duplicate_window_ms, max_quote_age_s, feed_silence_s
        Price distance, order rate, repeated order, stale quote, silent feed; off by default.
    max_spread_ticks, max_order_value_micros, prevent_self_trade, max_repeats
        Widest spread at which to open, largest notional value of an order, no order that would
        trade with one of our own, and how often the very same order may follow itself within a
        minute before a person has to look (the kill switch goes on); off by default.
    loss_pause_after, loss_pause_s
        Losing trades in a row before a pause, and its length; None: the rest of the day.
    loss_buffer_micros
        Kept free above the loss limits by the check of bracket risk: no bracket is approved whose
        worst case reaches into it (docs/engine.md section 7). It tightens that check alone: the day
        still ends at the limits themselves, and orders without a stop do not feel it.
    flatten_margin_s, no_open_margin_s
        Seconds before the deadline at which to flatten, and from which not to open (15:07 and
        15:05 Chicago on a full day).
    source, valid_from
        Where the numbers were read, and the day from which they hold.
    """

    name: str
    kind: Kind
    start_balance_micros: int
    max_loss_micros: int | None = None
    max_loss_lock_micros: int | None = None
    daily_loss_limit_micros: int | None = None
    daily_profit_lock_micros: int | None = None
    profit_target_micros: int | None = None
    consistency: Decimal | None = None
    max_size_tenths: int | None = None
    scaling: tuple[tuple[int, int], ...] = ()
    restrictions: tuple[Restriction, ...] = field(default=(), repr=False)
    news_windows: tuple[NewsWindow, ...] = ()
    require_bracket: bool = False
    check_bracket_risk: bool = True
    max_order_qty: int | None = None
    collar_ticks: int | None = None
    max_orders_per_minute: int | None = None
    duplicate_window_ms: int | None = None
    max_quote_age_s: int | None = None
    feed_silence_s: int | None = None
    max_spread_ticks: int | None = None
    max_order_value_micros: int | None = None
    prevent_self_trade: bool = False
    max_repeats: int | None = None
    loss_pause_after: int | None = None
    loss_pause_s: int | None = None
    loss_buffer_micros: int = 0
    flatten_margin_s: int = 180
    no_open_margin_s: int = 300
    source: str = "the user"
    valid_from: date = _ALWAYS

    def __post_init__(self) -> None:
        _validate(self)

    def size_tenths(self, balance_micros: int) -> int | None:
        """Size limit in tenths of a mini for a balance at the previous session's end.

        Examples
        --------
        >>> programme("express-50k").size_tenths(1_500_000_000)
        30
        """
        tiers = [tenths for least, tenths in self.scaling if balance_micros >= least][-1:]
        limits = [limit for limit in (*tiers, self.max_size_tenths) if limit is not None]
        return min(limits, default=None)

    def product_caps(self, day: date, until: date | None = None) -> dict[str, int]:
        """Most contracts of each restricted product; 0 means not tradable.

        The firm's lists replace one another, each from its day on; a day before the first of them
        gets the newest, because that is the account the strategy will trade. The user's own caps
        hold on every day, and the smaller holds.

        Parameters
        ----------
        day
            A trading day.
        until
            The last one of a span: the smallest cap of all its days.
        """
        lists = sorted({rule.valid_from for rule in self.restrictions} - {_ALWAYS})
        began = [start for start in lists if start <= day]
        held = {_ALWAYS, *(began or lists)[-1:]}
        held |= {start for start in lists if until is not None and day < start <= until}
        caps: dict[str, int] = {}
        for rule in self.restrictions:
            if rule.valid_from in held:
                caps[rule.root] = min(rule.max_contracts, caps.get(rule.root, rule.max_contracts))
        return caps

    def consistency_target(self, best_day_micros: int) -> Decimal | None:
        """Profit (USD, to the cent, half up) to reach after a best day; None without a target.

        For display: :meth:`target_met` compares without rounding.

        Examples
        --------
        >>> programme("combine-50k").consistency_target(1_800_000_000)
        Decimal('3272.73')
        """
        if self.profit_target_micros is None:
            return None
        target = Decimal(self.profit_target_micros)
        if self.consistency is not None:
            target = max(target, Decimal(best_day_micros) / self.consistency)
        return (target / _MICROS).quantize(Decimal("0.01"), ROUND_HALF_UP)

    def target_met(self, total_micros: int, best_day_micros: int) -> bool:
        """Whether the total reaches the target and the best day is no larger a share of it.

        Exact; a best day of exactly the share passes. False without a target.
        """
        if self.profit_target_micros is None or total_micros < self.profit_target_micros:
            return False
        share = Fraction(1) if self.consistency is None else Fraction(self.consistency)
        return self.consistency is None or best_day_micros <= total_micros * share


def programme(name: str, *, on: date | None = None, **changes: Any) -> Programme:
    """Build the rules of an account.

    Parameters
    ----------
    name
        ``combine-50k``, ``-100k``, ``-150k``; ``express-50k`` and so on; or ``own``, which has only
        the limits given and needs ``start_balance``.
    on
        A day; the rules that held on it, product limits too. Default: the newest, also for older
        data, because that is the account the strategy will trade.
    **changes
        Other values. In USD (int, str, Decimal or float, exact to a micro-dollar): start_balance,
        max_loss, max_loss_lock, daily_loss_limit, daily_profit_lock, profit_target, loss_buffer,
        max_order_value.
        ``max_minis`` in minis; ``product_caps`` as root to contracts, beside the firm's (the
        smaller holds); the rest as in :class:`Programme`. None switches a rule off.

    Raises
    ------
    UnknownName
        No such programme or setting.
    UsageError
        A value that cannot be, ``own`` without a balance, or a Live Funded account.

    Examples
    --------
    >>> programme("combine-50k", daily_loss_limit=500).daily_loss_limit_micros
    500000000
    """
    key = name.strip().lower()
    if key.startswith("live"):
        raise UsageError(
            f"{name!r}: Topstep does not offer the API on Live Funded accounts, so pxresearch does "
            "not trade them; use a combine, express or own programme"
        )
    values = {**_base(key, on), **_parse(changes)}
    if "start_balance_micros" not in values:
        raise UsageError("the 'own' programme needs start_balance=..., in USD")
    if values.get("max_loss_micros") is None and "max_loss_lock" not in changes:
        values["max_loss_lock_micros"] = None  # without a level there is nothing to lock
    if changes.get("product_caps") is not None:  # the user's caps add to the firm's: least wins
        values["restrictions"] += _base(key, on).get("restrictions", ())
    if "max_order_qty" not in changes and values.get("max_size_tenths") is not None:
        values["max_order_qty"] = max(values["max_size_tenths"], 1)
    return Programme(**values)


def programmes() -> tuple[str, ...]:
    """Names that :func:`programme` knows, ``own`` last."""
    return (*dict.fromkeys(row["name"] for row in _table()["programmes"]), "own")


def cpi_window(release: datetime, size: str) -> NewsWindow:
    """Topstep's window round a CPI release: five minutes before to five after.

    Parameters
    ----------
    release
        Aware instant of the release. No calendar is shipped; the dates are the user's.
    size
        ``50k``, ``100k`` or ``150k``; sets the cap of the micros.

    Raises
    ------
    UnknownName
        No such size.
    UsageError
        The release has no time zone.
    """
    rule = _table()["cpi_window"]
    label = size.strip().lower()
    if label not in rule["cap"]:
        raise UnknownName("account size", size, rule["cap"])
    return NewsWindow(
        start_ns=to_ns(release - timedelta(minutes=rule["minutes_before"])),
        end_ns=to_ns(release + timedelta(minutes=rule["minutes_after"])),
        no_opening=tuple(rule["no_opening"]),
        capped=tuple(rule["capped"]),
        cap=rule["cap"][label],
    )


@functools.cache
def _table() -> dict[str, Any]:
    path = resources.files("pxresearch") / "tables" / "programmes.json"
    return json.loads(path.read_text(encoding="utf-8"))


def _base(name: str, on: date | None) -> dict[str, Any]:
    """Fields of a named programme before the user's changes."""
    if name == "own":
        return {"name": name, "kind": "own"}
    rows = [row for row in _table()["programmes"] if row["name"] == name]
    if not rows:
        raise UnknownName("programme", name, programmes())
    held = [row for row in rows if on is None or date.fromisoformat(row["valid_from"]) <= on]
    if not held:
        raise UsageError(
            f"no rules of {name!r} are known for {on}; the table begins {rows[0]['valid_from']}. "
            "Leave `on` out to apply the newest rules"
        )
    row = max(held, key=lambda row: row["valid_from"])
    money = {f"{key}_micros": micros(key, row[key]) for key in _MONEY if key in row}
    return {
        "name": name,
        "kind": row["kind"],
        **money,
        "consistency": Decimal(row["consistency"]) if "consistency" in row else None,
        "max_size_tenths": row["max_minis"] * 10,
        "scaling": tuple(_tier(*tier) for tier in row.get("scaling", ())),
        "restrictions": _restrictions(name.rpartition("-")[2], on),
        "source": row["source"],
        "valid_from": date.fromisoformat(row["valid_from"]),
    }


def _tier(word: str, balance: str | None, minis: int) -> tuple[int, int]:
    # "above" means strictly above, so the least balance is one micro-dollar more.
    least = _NO_FLOOR if balance is None else micros("scaling", balance) + (word == "above")
    return least, minis * 10


def _restrictions(size: str, on: date | None) -> tuple[Restriction, ...]:
    return tuple(
        Restriction(
            root,
            caps[page["sizes"].index(size)],
            date.fromisoformat(page["valid_from"]),
            page["source"],
        )
        for page in _table()["restrictions"]
        if on is None or date.fromisoformat(page["valid_from"]) <= on
        for root, caps in page["max_contracts"].items()
    )


def micros(name: str, value: int | str | float | Decimal) -> int:
    """Micro-dollars of an amount in USD, exact.

    Raises
    ------
    UsageError
        Not a number, finer than a micro-dollar, or beyond a billion; the text says `name`.
    """
    try:
        # repr of a float is the number its writer meant: 0.1 is a tenth here.
        amount = Decimal(repr(value) if isinstance(value, float) else value)
    except (InvalidOperation, TypeError, ValueError):
        amount = Decimal("nan")
    if isinstance(value, bool) or not amount.is_finite() or abs(amount) > _MAX_USD:
        raise UsageError(f"{name}={value!r} is not an amount in USD, such as 1000 or '1000.50'")
    exact = amount * _MICROS
    if exact != int(exact):
        raise UsageError(f"{name}={value!r} is finer than a micro-dollar (0.000001 USD)")
    return int(exact)


def _parse(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The user's settings as fields of Programme."""
    fixed = {"name", "kind", "scaling", "restrictions", "source", "valid_from"}
    plain = {item.name for item in fields(Programme) if not item.name.endswith("_micros")}
    parsed: dict[str, Any] = {}
    special: dict[str, Callable[[Any], tuple[str, Any]]] = {
        "max_minis": lambda value: ("max_size_tenths", _tenths(value)),
        "product_caps": lambda value: ("restrictions", _caps(value)),
        "news_windows": lambda value: ("news_windows", tuple(value or ())),
        "consistency": lambda value: ("consistency", _share(value)),
    }
    allowed = {*_MONEY, *special, *(plain - fixed - {"max_size_tenths"})}
    for name, value in changes.items():
        if name not in allowed:
            raise UnknownName("account setting", name, allowed)
        if name in special:
            key, value = special[name](value)
            parsed[key] = value
        elif name in _MONEY:
            parsed[f"{name}_micros"] = None if value is None else micros(name, value)
        else:
            parsed[name] = value
    return parsed


def _tenths(value: Any) -> int | None:
    if value is None:
        return None
    tenths = Fraction(micros("max_minis", value) * 10, _MICROS)
    if tenths.denominator != 1:
        raise UsageError(f"max_minis={value!r} is not a whole number of micros (0.1 mini)")
    return tenths.numerator


def _share(value: Any) -> Decimal | None:
    if value is None:
        return None
    try:
        share = Decimal(str(value))
    except InvalidOperation:
        share = Decimal("nan")
    if not share.is_finite():
        raise UsageError(f"consistency={value!r} is not a share, such as 0.55")
    return share


def _caps(value: Mapping[str, int] | None) -> tuple[Restriction, ...]:
    """The user's own caps, which hold on every day."""
    caps = {instrument(root).root: cap for root, cap in (value or {}).items()}
    return tuple(Restriction(root, cap, _ALWAYS, "the user") for root, cap in caps.items())


def _validate(rules: Programme) -> None:
    _at_least(rules, 0, ("start_balance_micros", "loss_buffer_micros"), optional=False)
    _at_least(rules, 0, ("flatten_margin_s", "no_open_margin_s"), optional=False)
    positive = [
        "max_loss_micros",
        "daily_loss_limit_micros",
        "daily_profit_lock_micros",
        "profit_target_micros",
        "max_size_tenths",
        "max_order_qty",
        "collar_ticks",
        "max_orders_per_minute",
        "duplicate_window_ms",
        "max_quote_age_s",
        "feed_silence_s",
        "max_spread_ticks",
        "max_order_value_micros",
        "max_repeats",
        "loss_pause_after",
        "loss_pause_s",
    ]
    _at_least(rules, 1, positive, optional=True)
    for name in ("require_bracket", "check_bracket_risk", "prevent_self_trade"):
        if not isinstance(getattr(rules, name), bool):
            raise UsageError(f"{name}={getattr(rules, name)!r}; write True or False")
    if rules.consistency is not None and not 0 < rules.consistency <= 1:
        raise UsageError(f"consistency={rules.consistency} must lie above 0 and be at most 1")
    for rule in rules.restrictions:
        if not isinstance(rule.max_contracts, int) or rule.max_contracts < 0:
            raise UsageError(
                f"product_caps: {rule.root}={rule.max_contracts!r}; 0 or more contracts"
            )
    if not all(isinstance(window, NewsWindow) for window in rules.news_windows):
        raise UsageError("news_windows holds NewsWindow values; cpi_window(...) builds one")
    _validate_together(rules)


def _validate_together(rules: Programme) -> None:
    """Rules that speak of two settings at once."""
    if rules.max_loss_lock_micros is not None:
        first = rules.start_balance_micros - (rules.max_loss_micros or 0)
        if rules.max_loss_micros is None or rules.max_loss_lock_micros < first:
            raise UsageError(
                f"max_loss_lock={_usd(rules.max_loss_lock_micros)} needs a max_loss and may "
                f"not lie below the first level, start_balance - max_loss = {_usd(first)}"
            )
    limits = [x for x in (rules.daily_loss_limit_micros, rules.max_loss_micros) if x is not None]
    if rules.loss_buffer_micros >= min(limits, default=rules.loss_buffer_micros + 1):
        raise UsageError(
            f"loss_buffer={_usd(rules.loss_buffer_micros)} leaves nothing of the loss limit "
            f"{_usd(min(limits))}; it must be smaller"
        )
    if rules.no_open_margin_s < rules.flatten_margin_s:
        raise UsageError(
            f"no_open_margin_s={rules.no_open_margin_s} is less than flatten_margin_s="
            f"{rules.flatten_margin_s}: positions would open after the flatten began"
        )


def _at_least(rules: Programme, least: int, names: Iterable[str], *, optional: bool) -> None:
    for key in names:
        value: Any = getattr(rules, key)
        if value is None and optional:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            money = key.endswith("_micros")
            shown = _usd(value) if money and isinstance(value, int) else repr(value)
            kind = "an amount in USD" if money else "a whole number"
            if key == "max_size_tenths":
                shown, kind = str(Decimal(str(value)) / 10), "a number of minis"
            need = "0 or more" if least == 0 else "above 0"
            off = "; None switches the rule off" if optional else ""
            name = "max_minis" if key == "max_size_tenths" else key.removesuffix("_micros")
            raise UsageError(f"{name}={shown} must be {kind}, {need}{off}")


def _usd(value: int) -> str:
    return f"{Decimal(value) / _MICROS:,.2f}"

"""What a run is told: ``NAME.toml`` beside the strategy file, then the flags of the command line.

A settings file holds::

    account = "combine-50k"       # the account programme; a money path has no default
    contracts = ["MNQZ26"]        # optional; --contract replaces the list

    [parameters]                  # of the strategy; --set fast=10 changes one
    fast = 20

    [account_changes]             # of `programme`, money in USD; "off" switches a rule off
    daily_loss_limit = 800

    [fills]                       # how orders fill in a replay (docs/engine.md, sections 2 and 3)
    limit_fill = "through"        # through, touch or queue
    stop_trigger = "trade"        # trade or quote
    slippage_ticks = 1
    partial_fills = false
    latency_ms = 20               # order entry alone; or feed_ms, entry_ms and ack_ms

    [alerts]                      # of `monitor.Thresholds`: from when on a session tells something
    feed_s = 15
    loss_percent = [50, 80, 95]

A name that does not exist and a value of the wrong type are errors, so that a slip of the pen never
runs as a different backtest.

I/O: reads one TOML file and looks for strategy files when asked to.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pxresearch.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from pxresearch.monitor import Thresholds

Value = int | float | bool
"""What a strategy parameter can be."""

LIMIT_FILLS = ("through", "touch", "queue")
STOP_TRIGGERS = ("trade", "quote")

_NS_PER_MS = 1_000_000
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_TOP = ("account", "contracts", "parameters", "account_changes", "fills", "alerts")
_PY = ".py"


@dataclass(frozen=True, slots=True)
class Fills:
    """How orders fill in a replay.

    Parameters
    ----------
    limit_fill
        ``"through"``, ``"touch"`` or ``"queue"``.
    stop_trigger
        ``"trade"`` or ``"quote"``.
    slippage_ticks
        Added against us to every market and stop fill.
    partial_fills
        Whether the displayed size limits a fill.
    feed_ms, entry_ms, ack_ms
        Latency of the feed, of the way to the venue and of the way back, in milliseconds.
    """

    limit_fill: str = "through"
    stop_trigger: str = "trade"
    slippage_ticks: int = 0
    partial_fills: bool = False
    feed_ms: float = 0.0
    entry_ms: float = 0.0
    ack_ms: float = 0.0

    def latency_ns(self) -> tuple[int, int, int]:
        """Feed, entry and acknowledgement latency in nanoseconds."""
        feed, entry, ack = (
            round(x * _NS_PER_MS) for x in (self.feed_ms, self.entry_ms, self.ack_ms)
        )
        return feed, entry, ack


@dataclass(frozen=True, slots=True)
class Settings:
    """One run, fully decided.

    Parameters
    ----------
    account
        Name of the account programme, for example ``"combine-50k"``.
    contracts
        Contract codes in the order in which the strategy sees them.
    parameters
        Strategy parameters that differ from the defaults of its class.
    account_changes
        Keyword arguments of `pxresearch.programmes.programme`; money in USD.
    fills
        Fill rules of the replay.
    alerts
        From when on a paper or live session tells something; None leaves the defaults.
    """

    account: str
    contracts: tuple[str, ...] = ()
    parameters: Mapping[str, Value] = field(default_factory=dict)
    account_changes: Mapping[str, Any] = field(default_factory=dict)
    fills: Fills = field(default_factory=Fills)
    alerts: Thresholds | None = None


def load_settings(
    toml: Path,
    types: Mapping[str, type],
    *,
    account: str | None = None,
    contracts: Iterable[str] = (),
    sets: Iterable[str] = (),
) -> Settings:
    """Settings of a run: the file (if it exists), then the flags.

    Parameters
    ----------
    toml
        The settings file; a missing one is an empty one.
    types
        Type of each strategy parameter.
    account, contracts, sets
        Flags; they win over the file. `sets` holds ``"name=value"`` texts.

    Raises
    ------
    UnknownName
        For a key or parameter that does not exist.
    UsageError
        For a value of the wrong type, or when no account was chosen.
    """
    table = _read(toml)
    where = str(toml)
    _known("setting", table, _TOP, where)
    parameters = _parameters(_section(table, "parameters", where), types, where)
    parameters.update(parse_set(text, types) for text in sets)
    chosen = account or _text(table, "account", where)
    listed = _texts(table, "contracts", where)
    changes = _changes(_section(table, "account_changes", where), where)
    fills = _fills(_section(table, "fills", where), where)
    alerts = _alerts(_section(table, "alerts", where), where)
    if not chosen:
        raise UsageError(
            f"no account chosen: {where} has no `account` and --account was not given. "
            "Choose the rules to trade under, for example --account combine-50k"
        )
    return Settings(chosen, tuple(contracts) or listed, parameters, changes, fills, alerts)


def parse_set(text: str, types: Mapping[str, type]) -> tuple[str, Value]:
    """Name and value of a ``--set name=value``, read by the parameter's annotated type.

    >>> parse_set("fast=10", {"fast": int})
    ('fast', 10)
    """
    name, sep, raw = (part.strip() for part in text.partition("="))
    if not sep or not name or not raw:
        raise UsageError(f"--set takes name=value, received {text!r}")
    if name not in types:
        raise UnknownName("strategy parameter", name, types)
    kind = types[name]
    try:
        value = _parse_bool(raw) if kind is bool else kind(raw)
        return name, _typed(value, kind, name, "--set")
    except ValueError:
        raise UsageError(f"--set {name}: received {raw!r}, allowed is {_allowed(kind)}") from None


def find_strategy(spec: str, folders: Iterable[Path] | None = None) -> tuple[Path, str | None]:
    """File and class name that a STRATEGY argument means.

    Parameters
    ----------
    spec
        ``file.py``, ``file.py:Class``, or a bare name such as ``ema_cross``: NAME.py in
        ./strategies, then among the strategies that are shipped with the package.
    folders
        Where bare names are looked up; the default is as above.
    """
    file, _, name = spec.partition(_PY + ":")
    if file.endswith(_PY) or name:
        path = Path(file + _PY if name else file)
        if not path.is_file():
            raise UsageError(f"there is no strategy file {path}")
        return path, name or None
    bare, _, name = spec.partition(":")
    shelves = list(strategy_folders() if folders is None else folders)
    for folder in shelves:
        if (path := folder / (bare + _PY)).is_file():
            return path, name or None
    known = {p.stem for folder in shelves for p in folder.glob("*.py")}
    raise UnknownName("strategy (a name, or a path that ends in .py)", bare, known)


def strategy_folders() -> tuple[Path, ...]:
    """Where bare strategy names are looked up: ./strategies, the package, a source checkout."""
    package = Path(__file__).resolve().parent
    return Path("strategies"), package / "_strategies", package.parent / "strategies"


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not a TOML file: {error}") from None


def _known(what: str, names: Iterable[str], allowed: Iterable[str], where: str) -> None:
    allowed = tuple(allowed)
    for name in names:
        if name not in allowed:
            raise UnknownName(f"{what} in {where}:", name, allowed)


def _section(table: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    value = table.get(key, {})
    if not isinstance(value, dict):
        raise _wrong(where, key, value, f"a [{key}] section")
    return value


def _text(table: Mapping[str, Any], key: str, where: str) -> str | None:
    value = table.get(key)
    if value is not None and not isinstance(value, str):
        raise _wrong(where, key, value, "a text in quotes")
    return value


def _texts(table: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _wrong(where, key, value, 'a list of texts, for example ["MNQZ26"]')
    return tuple(value)


def _parameters(
    given: Mapping[str, Any], types: Mapping[str, type], where: str
) -> dict[str, Value]:
    _known("strategy parameter", given, types, where)
    return {k: _typed(v, types[k], f"parameters.{k}", where) for k, v in given.items()}


def _changes(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    for key, value in given.items():
        if not isinstance(value, bool | int | float | str | dict):
            raise _wrong(where, f"account_changes.{key}", value, 'a number, true, false or "off"')
    return {key: None if value == "off" else value for key, value in given.items()}


def _fills(given: Mapping[str, Any], where: str) -> Fills:
    kinds = {f.name: type(f.default) for f in fields(Fills)}
    _known("fill setting", given, (*kinds, "latency_ms"), where)
    table = dict(given)
    if "latency_ms" in table:
        if clash := {"feed_ms", "entry_ms", "ack_ms"} & set(table):
            raise UsageError(f"{where}: fills.latency_ms and fills.{min(clash)} exclude each other")
        table["entry_ms"] = _typed(table.pop("latency_ms"), float, "fills.latency_ms", where)
    values = {k: _typed(v, kinds[k], f"fills.{k}", where) for k, v in table.items()}
    _choice(values, "limit_fill", LIMIT_FILLS, where)
    _choice(values, "stop_trigger", STOP_TRIGGERS, where)
    for key, value in values.items():
        if not isinstance(value, str) and value < 0:
            raise _wrong(where, f"fills.{key}", value, "zero or more")
    return Fills(**values)


def _alerts(given: Mapping[str, Any], where: str) -> Thresholds | None:
    if not given:
        return None
    from pxresearch.monitor import Thresholds  # a backtest without them does not load it

    try:
        return Thresholds.of(given)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None


def _choice(values: Mapping[str, Any], key: str, allowed: tuple[str, ...], where: str) -> None:
    if key in values and values[key] not in allowed:
        raise UnknownName(f"fills.{key} in {where}:", values[key], allowed)


def _typed(value: Any, kind: type, key: str, where: str) -> Any:
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind or (kind is float and not math.isfinite(value)):
        raise _wrong(where, key, value, _allowed(kind))
    return value


def _parse_bool(raw: str) -> bool:
    if raw.lower() in _TRUE + _FALSE:
        return raw.lower() in _TRUE
    raise ValueError(raw)


def _allowed(kind: type) -> str:
    return {
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        str: "a text in quotes",
    }[kind]


def _wrong(where: str, key: str, value: Any, allowed: str) -> UsageError:
    return UsageError(f"{where}: {key}: received {value!r}, allowed is {allowed}")

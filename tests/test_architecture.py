"""The shape of the package: imports go one way, core does no I/O, only the command line prints."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path

import pytest

import pxresearch

ROOT = Path(pxresearch.__file__).parent
FILES = sorted(p for p in ROOT.rglob("*.py") if "_strategies" not in p.parts)

# design.md section 4; a module imports from its own layer and from those before it.
LAYERS = (
    ("errors", "clock"),
    ("core",),
    ("strategy", "strategy_errors", "hooks", "twin", "twin_rows", "timeframes", "instruments",
     "sessions", "programmes", "measures"),
    ("catalog", "tickdata", "block", "bars", "importers", "validation", "demo", "gateway"),
    ("brokers.base",),
    ("brokers", "simulator", "journal", "accountdir"),
    ("promotion", "report", "frames", "summary", "metrics", "tearsheet", "export", "health",
     "alerts", "monitor", "guardian", "emergency", "drift", "overview", "standing",
     "promotion_identity", "promotion_ramp"),
    ("plan", "backtesting", "bench", "runner", "settings", "steering",
     "lockstep", "rehearsal"),
    ("cli", "cli_bench", "cli_common", "cli_data", "cli_gateway", "cli_journal",
     "cli_alert", "cli_risk", "cli_safety", "cli_simulator", "cli_status", "cli_trade",
     "cli_view"),
)  # fmt: skip
CORE_MAY_IMPORT = {
    "__future__", "collections", "dataclasses", "enum", "functools", "itertools", "math", "numba",
    "numpy", "operator", "types", "typing",
}  # fmt: skip
# These three handle compiled code, never market data: jit stamps the compilation cache with a hash
# over the core's source, kept and prebuilt read and write the code itself. llvmlite is numba's.
ALSO = {
    "core.jit": {"hashlib", "llvmlite", "pathlib"},
    "core.kept": {"hashlib", "json", "llvmlite", "os", "pathlib", "re"},
    "core.prebuilt": {"ctypes", "json", "lzma", "pathlib"},
}
# these three of bench are processes of their own; what they print is their answer
PRINTERS = {
    "bench.fanout", "bench.hubsource", "bench.livesource", "cli", "cli_bench", "cli_common",
    "cli_data", "cli_gateway", "cli_journal", "cli_safety", "cli_simulator",
    "cli_alert", "cli_risk", "cli_status", "cli_trade",
}  # fmt: skip
CLOCK = {
    ("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today"),
    ("time", "time"), ("time", "time_ns"), ("time", "sleep"), ("time", "monotonic"),
    ("time", "monotonic_ns"), ("time", "perf_counter"), ("time", "perf_counter_ns"),
}  # fmt: skip
STOPWATCH = {("time", "perf_counter"), ("time", "perf_counter_ns")}
STAMP = {("time", "time_ns"), ("time", "monotonic"), ("time", "monotonic_ns")}  # of receipt
MAY_READ_CLOCK = {
    "clock": CLOCK, "gateway.hubs": STAMP, "gateway.signalr": STAMP, "gateway.inbox": STAMP,
    "cli": CLOCK, "runner": CLOCK, "bench": CLOCK, "bench.storing": STOPWATCH,
    "bench.gateway": CLOCK, "bench.hubsource": CLOCK, "bench.fanout": CLOCK,
    "bench.live": CLOCK, "bench.livesource": CLOCK,
    "backtesting": STOPWATCH,
}  # fmt: skip


def name_of(path: Path) -> str:
    """Dotted name below ``pxresearch``; empty for the package itself."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(p): ast.parse(p.read_text(encoding="utf-8"), str(p)) for p in FILES}


def layer(module: str) -> int | None:
    """Layer of a module by the longest listed name that contains it."""
    listed = {name: i for i, names in enumerate(LAYERS) for name in names}
    parts = module.split(".")
    for n in range(len(parts), 0, -1):
        if (found := listed.get(".".join(parts[:n]))) is not None:
            return found
    return None


def imports(module: str) -> set[str]:
    """Absolute dotted names that a module imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively at line {node.lineno}"
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def own_imports(module: str) -> set[str]:
    """Modules of this package that a module imports, as names below ``pxresearch``."""
    inside = {n.removeprefix("pxresearch.") for n in imports(module) if n.startswith("pxresearch.")}
    return inside & set(MODULES)


def calls(module: str) -> set[tuple[str, str]]:
    """``(owner, name)`` of each call; the owner of a plain function is where it came from."""
    tree = MODULES[module]
    origin = {
        alias.asname or alias.name: ((node.module or "").rpartition(".")[2], alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    renamed = {
        alias.asname: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.asname
    }
    found: set[tuple[str, str]] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            func = node.func
            if isinstance(func, ast.Name):
                found.add(origin.get(func.id, ("", func.id)))
            elif isinstance(func, ast.Attribute):
                owner = ast.unparse(func.value).rpartition(".")[2]
                found.add((renamed.get(owner, owner), func.attr))
    return found


def names(*, without: set[str] = frozenset()) -> list[str]:  # type: ignore[assignment]
    return [n for n in MODULES if n and n not in without]


@pytest.mark.parametrize("module", names())
def test_every_module_has_a_layer(module: str) -> None:
    """A new module states where it stands."""
    assert layer(module) is not None, f"add {module} to LAYERS, see design.md section 4"


@pytest.mark.parametrize("module", names())
def test_imports_go_one_way(module: str) -> None:
    """A module imports its own layer and those before it, never one above."""
    upward = [n for n in own_imports(module) if (layer(n) or 0) > (layer(module) or 0)]
    assert not upward, f"{module} imports upward: {sorted(upward)}"


@pytest.mark.parametrize("module", [n for n in names() if n.split(".")[0] == "core"])
def test_core_imports_only_numpy_numba_and_itself(module: str) -> None:
    """Core is pure: no library that could reach a disk, a clock or a network."""
    outside = {
        n.split(".")[0]
        for n in imports(module)
        if not n.startswith(("pxresearch.core", "pxresearch.errors")) and n != "pxresearch"
    }
    outside -= CORE_MAY_IMPORT | ALSO.get(module, set())
    assert not outside, f"{module} imports {sorted(outside)}"


@pytest.mark.parametrize("module", [n for n in names() if n.split(".")[0] == "core"])
def test_core_does_no_io(module: str) -> None:
    """Core neither opens, nor prints, nor draws random numbers, nor saves arrays."""
    banned_plain = {"open", "print", "input", "exec", "eval", "__import__"}
    banned = {"save", "savez", "load", "fromfile", "tofile", "memmap", "genfromtxt", "default_rng"}
    used = {n for owner, n in calls(module) if (not owner and n in banned_plain)}
    used |= {n for owner, n in calls(module) if n in banned and owner in ("np", "numpy", "random")}
    assert not used, f"{module} uses {sorted(used)}"


@pytest.mark.parametrize("module", names(without=PRINTERS))
def test_only_the_command_line_prints(module: str) -> None:
    """Results are values; the command line shows them."""
    said = {("", "print"), ("typer", "echo"), ("stdout", "write"), ("stderr", "write")}
    assert not calls(module) & said
    assert "typer" not in imports(module)


@pytest.mark.parametrize("module", names())
def test_only_the_edge_reads_the_clock(module: str) -> None:
    """Time is an event; the wall clock belongs to the runner, and stopwatches to measurements."""
    assert not (calls(module) & CLOCK) - MAY_READ_CLOCK.get(module, set())


@pytest.mark.parametrize("module", names())
def test_docstring_says_what_a_module_touches(module: str) -> None:
    """The docstring of each module has a line that begins with ``I/O:``."""
    text = ast.get_docstring(MODULES[module]) or ""
    assert any(line.startswith("I/O:") for line in text.splitlines()), module


def test_public_names_are_sorted_and_there() -> None:
    """What ``__all__`` lists can be imported, and reads in order."""
    public = list(getattr(pxresearch, "__all__", ()))
    assert public == sorted(public, key=lambda n: (n.lower(), n)) or public == sorted(public)
    assert len(public) == len(set(public))
    missing = [n for n in public if not hasattr(pxresearch, n)]
    assert not missing


def test_command_line_imports_nothing_heavy() -> None:
    """``pxresearch --help`` stays fast: heavy libraries load with the verb that needs them."""
    import subprocess

    heavy = {"numba", "polars", "pyarrow", "matplotlib", "httpx", "rich"}
    code = f"import pxresearch.cli, sys; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_module_can_be_imported() -> None:
    """No module fails to import, and no import cycle is hidden by the order of imports."""
    for module in names():
        importlib.import_module(f"pxresearch.{module}")

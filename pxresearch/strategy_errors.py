"""What is wrong with a strategy's code, in one message: class, hook, line, cause, what to do.

`check_hooks` reads the source before anything runs, for compiled and plain Python alike: names that
do not exist, state that is not declared, calls that do not fit. `explain` turns what numba says of
the rest into the same form.

I/O: reads the strategy's source, to find and quote a line.
"""

from __future__ import annotations

import ast
import builtins
import difflib
import inspect
import linecache
import re
import textwrap
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from pxresearch.core import events
from pxresearch.core.indicators import FUNCTIONS
from pxresearch.core.layout import Layout
from pxresearch.core.records import HOOKS
from pxresearch.errors import StrategyError

_EVENTS = {"on_bar": events.Bar, "on_quote": events.Quote, "on_trade": events.Trade,
           "on_fill": events.Fill, "on_session": events.Session,
           "on_gap": events.Gap}  # fmt: skip
_EXTRAS = {"orders": events.Orders, "account": events.Account}


def check_hooks(cls: type) -> None:
    """Look for names in the hooks of a strategy class that cannot be right.

    Raises
    ------
    StrategyError
        The first one found.
    """
    for hook in HOOKS:
        function = getattr(cls, hook, None)
        tree = _tree(function) if function is not None else None
        if tree is not None:
            _Names(cls, hook, function, tree).visit(tree)


def _tree(function: Any) -> ast.AST | None:
    """Syntax tree with the line numbers of the file; None without the source."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return None
    return ast.increment_lineno(tree, function.__code__.co_firstlineno - 1)


class _Names(ast.NodeVisitor):
    """Every name, attribute and call of one hook, compared with what there is."""

    def __init__(self, cls: Any, hook: str, function: Any, tree: ast.AST) -> None:
        self.cls, self.hook, self.function = cls, hook, function
        code = function.__code__
        self.me, event = code.co_varnames[:2]
        nodes = list(ast.walk(tree))
        bound = [n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
        bound += [n.arg for n in nodes if isinstance(n, ast.arg)]
        self.local = {*bound, *code.co_varnames, *code.co_freevars}
        self.values = {
            name: kind
            for name, kind in {event: _EVENTS[hook], **_EXTRAS}.items()
            if bound.count(name) == 1
        }
        self.whole = all(isinstance(n, _PLAIN) or not isinstance(n, _SCOPES) for n in nodes)

    def wrong(self, node: ast.AST, cause: str) -> StrategyError:
        line = getattr(node, "lineno", self.function.__code__.co_firstlineno)
        return StrategyError(message(self.cls, self.hook, self.function, line, cause))

    def resolve(self, node: ast.AST) -> Any:
        """The object that a global name, or an attribute of a module, stands for; else None."""
        if isinstance(node, ast.Name) and node.id not in self.local:
            return self.function.__globals__.get(node.id)
        if isinstance(node, ast.Attribute):
            owner = self.resolve(node.value)
            return getattr(owner, node.attr, None) if isinstance(owner, ModuleType) else None
        return None

    def visit_Name(self, node: ast.Name) -> None:
        known = self.function.__globals__
        if (
            node.id in self.local
            or node.id in known
            or hasattr(builtins, node.id)
            or not self.whole
        ):
            return
        raise self.wrong(node, f"name {node.id!r} is not defined{_near(node.id, known)}")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        owner, name = node.value, node.attr
        if isinstance(owner, ast.Name) and owner.id == self.me:
            self.check_own(node)
        elif isinstance(owner, ast.Name) and owner.id in self.values:
            kind = self.values[owner.id]
            if not hasattr(kind, name):
                has = ", ".join(kind._fields)
                hint = _near(name, kind._fields)
                raise self.wrong(node, f"{owner.id} has no {name!r}{hint}; it has {has}")
        else:
            module = self.resolve(owner)
            if isinstance(module, ModuleType) and not hasattr(module, name):
                hint = _near(name, dir(module))
                raise self.wrong(node, f"{module.__name__} has no {name!r}{hint}")
        self.generic_visit(node)

    def check_own(self, node: ast.Attribute) -> None:
        """An attribute of the strategy itself must be a parameter or declared state."""
        cls, name = self.cls, node.attr
        me, stored = f"{self.me}.{name}", isinstance(node.ctx, ast.Store)
        if name in cls._parameters:
            if stored:
                raise self.wrong(node, f"{me} is a parameter and stays as given; {_STATE}")
        elif name in cls._states:
            if stored and isinstance(cls._states[name].kind, Layout):
                raise self.wrong(node, f"{me} is an indicator's state, which only px functions set")
        elif callable(getattr(cls, name, None)):
            raise self.wrong(node, f"{me} is a method, and only hooks can be methods; {_FUNCTION}")
        elif hasattr(cls, name):
            how = f"annotate it in the class, as in `{name}: int = 20`"
            raise self.wrong(node, f"{me} is neither a parameter nor declared state; {how}")
        else:
            hint = _near(name, (*cls._parameters, *cls._states))
            how = f"declare it in the class, as in `{name} = px.state(float)`"
            raise self.wrong(node, f"{me} is not declared{hint}; {how}")

    def visit_Call(self, node: ast.Call) -> None:
        function = self.resolve(node.func)
        if getattr(function, "__module__", "").startswith("pxresearch."):
            self.check_call(node, function)
        self.generic_visit(node)

    def check_call(self, node: ast.Call, function: Any) -> None:
        starred = any(isinstance(a, ast.Starred) for a in node.args)
        if starred or any(k.arg is None for k in node.keywords):
            return
        name = function.__name__
        try:
            signature = inspect.signature(function)
            signature.bind(*node.args, **{str(k.arg): k.value for k in node.keywords})
        except ValueError:
            return
        except TypeError as error:
            takes = ", ".join(signature.parameters)
            raise self.wrong(node, f"px.{name}: {error}; it takes {takes}") from None
        if FUNCTIONS.get(name) is function and node.args:
            self.check_state(node, name)

    def check_state(self, node: ast.Call, name: str) -> None:
        """The first argument of an indicator is its own kind of state."""
        given = node.args[0]
        if not (isinstance(given, ast.Attribute) and ast.unparse(given.value) == self.me):
            return
        state = self.cls._states.get(given.attr)
        if state is None:
            return
        kind = state.kind.name if isinstance(state.kind, Layout) else state.kind.__name__
        if kind.lower() != name.replace("_", ""):
            me = f"{self.me}.{given.attr}"
            raise self.wrong(node, f"px.{name} needs state of its own kind, and {me} is {kind}")


_STATE = "keep what changes in state, as in `px.state(float)`"
_FUNCTION = "write it outside the class, under @numba.extending.register_jitable"
_SCOPES = (ast.FunctionDef, ast.Lambda, ast.ClassDef, ast.Import, ast.ImportFrom, ast.ExceptHandler)
_PLAIN = (ast.FunctionDef,)


def _near(name: str, allowed: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, [a for a in allowed if not a.startswith("_")], n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def message(cls: type, hook: str, function: Any, line: int, cause: str) -> str:
    """The one form of all these errors."""
    path = function.__code__.co_filename
    source = linecache.getline(path, line).strip()
    where = f"{cls.__name__}.{hook}, line {line} of {Path(path).name}"
    return f"{where}: `{source}`\n  cause: {cause}"


# ------------------------------------------------------------------ what numba says
def explain(cls: type, hook: str, function: Any, error: Exception) -> str:
    """One message from numba's many."""
    text = str(error)
    cause = _cause(text, error)
    line = _return_line(function) if " return" in cause.partition(":")[0] else 0
    line = line or _line(function, text)
    advice = "Use numbers, declared state and px functions only, or run it with compiled=False."
    return f"{message(cls, hook, function, line, cause)}\n  It cannot be compiled. {advice}"


def _line(function: Any, text: str) -> int:
    """Line of the hook that numba speaks of: the last it mentions within the function."""
    code = function.__code__
    try:
        last = code.co_firstlineno + len(inspect.getsource(function).splitlines())
    except (OSError, TypeError):
        last = code.co_firstlineno
    found = [
        int(n)
        for path, n in re.findall(r'(?:File "|at )([^"\n]+?)"?,? \(?(?:line )?(\d+)\)?', text)
        if Path(path).name == Path(code.co_filename).name and code.co_firstlineno <= int(n) <= last
    ]
    return max(found, default=code.co_firstlineno)


def _return_line(function: Any) -> int:
    tree = _tree(function)
    nodes = ast.walk(tree) if tree is not None else ()
    return max((n.lineno for n in nodes if isinstance(n, ast.Return) and n.value), default=0)


_RETURNS = (
    "the returns do not fit together: each must be a signal or a tuple of signals, all tuples of "
    "one length (at most 4; fill up with px.hold()), and px.hold() instead of nothing; they are"
)
_NOTHING = "it returns now {}, now nothing: write `return px.hold()` instead of nothing"
_GLOBAL = "cannot be used in compiled code; numbers, tuples of numbers and px functions can"
_RULES = (
    (r"TypingError: a hook must .* got OptionalType\((.*)\)", _NOTHING.format(r"\1")),
    (r"TypingError: (a hook must return .*)", r"\1"),
    (r"Can't unify return type from the following types: (.*)", _RETURNS + r" \1"),
    (r"Cannot unify (.*) and (.*) for '(\w+?)(?:\.\d+)?'.*", r"\3 is here \1 and there \2"),
    (r"Cannot unify (.*) and (.*) for '.*", r"one value is here \1 and there \2"),
    (r"Untyped global name '(\w+)':.*<class '([^']+)'>.*", r"\1 (of type \2) " + _GLOBAL),
    (r"The use of an? .*, assigned to variable '(\w+)' in globals.*", r"\1 " + _GLOBAL),
    (r"TypingError: (got an unexpected keyword argument .*)", r"\1"),
    (r'.*due to "TypeError: (.*)"\.?', r"\1"),
    (r"Unknown attribute '(\w+)' of type (\w+).*", r"a \2 has no \1"),
    (r"(NameError: .*)", r"\1"),
)
_TELLING = ("No implementation of function", "not supported", "Use of unsupported", "unsupported",
            "Cannot determine Numba type", "undefined", "Invalid use")  # fmt: skip


def _cause(text: str, error: Exception) -> str:
    """The most telling line of a numba error, in our words where we know it."""
    if type(error) is KeyError:
        return f"no state or parameter named {error} is there"
    lines = [_plain(part.strip(" -")) for part in text.splitlines() if part.strip()]
    lines = [part for part in lines if not part.startswith("During:")]
    for pattern, ours in _RULES:
        for part in lines:
            if re.fullmatch(pattern, part):
                return re.sub(pattern, ours, part)
    for part in lines:
        if any(word in part for word in _TELLING):
            return part
    return lines[-1] if lines else type(error).__name__


def _plain(text: str) -> str:
    """numba's types in plainer words."""
    text = re.sub(r"Literal\[(\w+)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"Function\(<function (\w+) at \w+>\)", r"the function \1", text)
    text = re.sub(r"UniTuple\(Signal x (\d+)\)", r"a tuple of \1 signals", text)
    text = re.sub(r"\bSignals\b", "a signal or several", text)
    return text.replace("unicode_type", "str")

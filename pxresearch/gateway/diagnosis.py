"""What the doctor found: one line a check, with what to do.

I/O: none
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import msgspec


class Level(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "not checked"


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One check.

    Attributes
    ----------
    text
        What was found, a sentence.
    remedy
        What to do about it; empty where there is nothing to do.
    figures
        The numbers behind it, plain values.
    chart
        Lines to show below it.
    """

    name: str
    level: Level
    text: str
    remedy: str = ""
    figures: dict[str, Any] = {}
    chart: list[str] = []


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """All checks of one gateway, in the order in which they were made."""

    profile: str
    url: str
    checks: list[Check]

    @property
    def ok(self) -> bool:
        """Whether nothing failed; warnings are allowed."""
        return not any(check.level is Level.FAIL for check in self.checks)

    def __getitem__(self, name: str) -> Check:
        return next(check for check in self.checks if check.name == name)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        checks = [msgspec.to_builtins(check) for check in self.checks]
        for check in checks:
            del check["chart"]
        return {"profile": self.profile, "url": self.url, "ok": self.ok, "checks": checks}

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.profile} at {self.url}"
        level = max(len(check.level) for check in self.checks)
        name = max(len(check.name) for check in self.checks)
        indent = " " * (level + name + 6)
        for check in self.checks:
            yield f"  {check.level:<{level}}  {check.name:<{name}}  {check.text}"
            if check.remedy and check.level is not Level.OK:
                yield f"{indent}to do: {check.remedy}"
            for line in check.chart:
                yield f"{indent}{line}"
        count = {level: sum(c.level is level for c in self.checks) for level in Level}
        yield ", ".join(f"{n} {level}" for level, n in count.items() if n)

"""docs/controls.md names tests, and they exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "controls.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| (K\d+) \|(.*)$", PAGE, re.MULTILINE))
ASKED = [*range(1, 18), 19, 20, 23, 24, 27, *range(30, 35)]


def test_every_control_that_is_asked_for_has_a_row() -> None:
    assert sorted(ROWS) == sorted(f"K{n}" for n in ASKED)


@pytest.mark.parametrize("control", ROWS)
def test_the_proof_of_a_control_exists(control: str) -> None:
    named = re.findall(r"(test_\w+)\.(test_\w+)", ROWS[control])
    assert named, f"{control} names no test"
    for module, function in named:
        source = (TESTS / f"{module}.py").read_text(encoding="utf-8")
        assert re.search(rf"^def {function}\(", source, re.MULTILINE), f"{module}.{function}"

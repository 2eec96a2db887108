"""A token that is not renewed is told once, and the session is flat before it ends."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pxresearch.core import records as r
from pxresearch.runner.plan import RunnerSettings
from pxresearch.runner.tokenwatch import TokenWatch


def watched(*, live: bool) -> tuple[TokenWatch, Any, list[str], list[tuple[str, int]]]:
    told: list[str] = []
    halts: list[tuple[str, int]] = []
    rest = SimpleNamespace(token_trouble="", token_left_s=3_600.0)
    session: Any = SimpleNamespace(
        at=SimpleNamespace(rest=rest), settings=RunnerSettings(token_s=600),
        plan=SimpleNamespace(live=live),
        alarms=lambda topic, level, title, text="", subject="": told.append(f"{level}: {title}"),
    )  # fmt: skip
    watch = TokenWatch(session, lambda why, cause: halts.append((why, cause)))
    return watch, rest, told, halts


@pytest.mark.parametrize("live", [True, False])
def test_told_once_and_flat_while_it_still_works(live: bool) -> None:
    watch, rest, told, halts = watched(live=live)
    watch.look()
    assert (told, halts) == ([], [])
    rest.token_trouble = "HTTP 503"
    for left in (3_600.0, 1_200.0, 601.0):
        rest.token_left_s = left
        watch.look()
    assert told == ["warning: the token is not renewed"]
    assert halts == []
    for left in (600.0, 300.0, 0.0):
        rest.token_left_s = left
        watch.look()
    assert [cause for _, cause in halts] == ([r.CONNECTION_LOST] if live else [])
    rest.token_trouble = ""
    watch.look()
    assert told[-1] == "info: the token is renewed again"

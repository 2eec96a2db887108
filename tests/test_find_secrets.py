"""The search for secrets finds one, in a file of any kind."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from tests.find_secrets import main


def jwt() -> str:
    """A token in the shape of the venue's; put together here so that this file holds none."""
    parts = ({"alg": "HS256", "typ": "JWT"}, {"sub": "somebody", "exp": 1795712887})
    texts = [base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts]
    return ".".join([*texts, "x" * 43])


@pytest.mark.parametrize("secret", [jwt(), "PLANTED" + "-KEY-OF-THE-TESTS", "k3y" + "-planted"])
def test_a_secret_is_found_and_not_shown(
    secret: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also within binary data, and below folders."""
    left = tmp_path / "left"
    (left / "deep").mkdir(parents=True)
    (left / "plain.log").write_text("nothing here")
    assert main([str(left)]) == 0
    path = left / "deep" / "data.bin"
    path.write_bytes(b"\x00\xff" + secret.encode() + b"\x00")
    assert main([str(left)]) == 1
    said = capsys.readouterr().out
    assert "data.bin" in said
    assert secret not in said
    path.unlink()  # it would be found by the search over this very run


def test_nothing_to_search_is_a_failure(tmp_path: Path) -> None:
    """A search that saw no file proves nothing."""
    assert main([str(tmp_path)]) == 1

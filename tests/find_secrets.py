"""Looks for what the tests planted, and for session tokens, in all that a test run left behind.

    python tests/find_secrets.py FILE_OR_FOLDER...

`.ci/run` gives it the log of every logger at DEBUG, what pytest printed, and every temporary file.
Exit code 1 names the files; the secret itself is not shown.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

PLANTED = re.compile(rb"PLANTED-KEY|PLANTED-TOKEN|k3y-planted|planted-key|planted-t0ken")
JWT = re.compile(rb"eyJ[\w-]{15,}\.eyJ[\w-]{15,}\.[\w-]{20,}")


def files(paths: list[str]) -> Iterator[Path]:
    """Every file at or below the paths."""
    for path in map(Path, paths):
        yield from (p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def found(path: Path) -> str | None:
    """What a file holds that it must not."""
    data = path.read_bytes()
    if PLANTED.search(data):
        return "a planted key or token"
    return "a session token" if JWT.search(data) else None


def main(paths: list[str]) -> int:
    """Search; 0 when nothing was found."""
    searched = bad = 0
    for path in files(paths):
        searched += 1
        what = found(path)
        if what:
            bad += 1
            sys.stdout.write(f"{path} holds {what}\n")
    sys.stdout.write(f"secrets: {searched} files searched, {bad} with a secret\n")
    return 1 if bad or not searched else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

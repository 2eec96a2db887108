"""Shared fixtures: the real-data folder, hypothesis profiles, the invariants on every run."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests import invariants

settings.register_profile("default", deadline=None, print_blob=True)
settings.load_profile("default")

# The run's log holds every logger at DEBUG, to be searched for secrets; these two would fill it.
for noisy in ("numba", "matplotlib"):
    logging.getLogger(noisy).setLevel(logging.WARNING)

REAL = Path(__file__).resolve().parents[2] / "shared" / "data"
REFERENCE = REAL.parent / "reference"


@pytest.fixture(scope="session", autouse=True)
def standing_invariants():
    """Every session of the suite is checked; see tests/invariants.py."""
    with pytest.MonkeyPatch.context() as patch:
        invariants.install(patch)
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real exchange data; skip without it, fail when PXRESEARCH_REQUIRE_DATA is set."""
    if REAL.is_dir():
        return REAL
    reason = f"real exchange data is not on this machine (looked in {REAL})"
    if os.environ.get("PXRESEARCH_REQUIRE_DATA"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def reference() -> Path:
    """Folder of the reference tables; the same rule as real_data."""
    if REFERENCE.is_dir():
        return REFERENCE
    reason = f"the reference tables are not on this machine (looked in {REFERENCE})"
    if os.environ.get("PXRESEARCH_REQUIRE_DATA"):
        pytest.fail(reason)
    pytest.skip(reason)

"""Microsoft's own SignalR client, in node, against the simulator."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from tests.conformance.kit import KEY, simulator

SCRIPT = Path(__file__).with_name("microsoft.mjs")
FOLDER = os.environ.get("PXRESEARCH_NODE", str(Path.cwd()))
NODE = shutil.which("node")
MISSING = not NODE or not (Path(FOLDER) / "node_modules" / "@microsoft" / "signalr").is_dir()


@pytest.mark.skipif(
    MISSING,
    reason="needs node and @microsoft/signalr: npm install --prefix DIR @microsoft/signalr, "
    "then PXRESEARCH_NODE=DIR",
)
def test_every_step_of_the_javascript_client_passes() -> None:
    """Both ways to connect, streams, orders and their events, a drop and the way back."""

    async def run() -> None:
        async with simulator() as running:
            process = await asyncio.create_subprocess_exec(
                str(NODE), str(SCRIPT), running.url, KEY, FOLDER,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
            async with asyncio.timeout(60):
                printed, _ = await process.communicate()
            steps = printed.decode().splitlines()
            assert process.returncode == 0, "\n".join(steps)
            assert len(steps) == 11
            assert all(one.startswith("ok ") for one in steps)

    asyncio.run(run())

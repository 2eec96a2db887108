"""``pxresearch bench``: the speed of this machine, as ratios measured in one run.

I/O: prints; the benchmarks read the clock and start processes.
"""

from __future__ import annotations

from typing import Annotated

import typer

from pxresearch.cli_common import JsonOption, quiet_stdout, say, say_json

app = typer.Typer(invoke_without_command=True, no_args_is_help=False)

QuickOption = Annotated[bool, typer.Option("--quick", help="A few seconds, less exact.")]


@app.callback()
def engine(context: typer.Context, quick: QuickOption = False, json: JsonOption = False) -> None:
    """Measure the replay speed of this machine; or, by name, another part."""
    if context.invoked_subcommand is not None:
        return
    from pxresearch.bench import format_bench, run_bench

    with quiet_stdout(json):
        figures = run_bench(quick=quick)
    if json:
        say_json(figures)
    else:
        say(format_bench(figures))


@app.command()
def gateway(quick: QuickOption = False, json: JsonOption = False) -> None:
    """Measure the gateway client and the simulator, beside a bare client."""
    from pxresearch.bench.gateway import format_gateway_bench, run_gateway_bench

    with quiet_stdout(json):
        figures = run_gateway_bench(quick=quick)
    if json:
        say_json(figures)
    else:
        say(format_gateway_bench(figures))


@app.command()
def live(quick: QuickOption = False, json: JsonOption = False) -> None:
    """Measure the live path: hub bytes in to order bytes out, and a steady load."""
    from pxresearch.bench.live import format_live_bench, run_live_bench

    with quiet_stdout(json):
        figures = run_live_bench(quick=quick)
    if json:
        say_json(figures)
    else:
        say(format_live_bench(figures))

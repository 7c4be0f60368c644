"""`ptx demo`: the whole job on simulated studies, with a real PACS where Orthanc is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to `ptx`."""
    app.command()(demo)


def demo(
    once: Annotated[bool, typer.Option("--once", help="End when every answer is checked, instead of running on.")] = False,
    pacs: Annotated[bool, typer.Option("--pacs/--no-pacs", help="Deliver to an Orthanc, or to a folder.")] = True,
    home: Annotated[Path, typer.Option(help="Folder of the demonstration; cleared at each run.")] = Path(".demo"),
) -> None:
    """Send simulated chest studies to a node as a modality would, and read the results back from a PACS."""
    from ptx_node.demo.run import run  # noqa: PLC0415 - only this command needs it
    from ptx_node.wiring.node import stop_on_signals  # noqa: PLC0415

    with stop_on_signals() as stop:
        raise typer.Exit(run(home, once=once, with_pacs=pacs, stop=stop))

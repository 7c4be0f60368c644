"""`ptx send`: files or folders by C-STORE, as a modality would, to the node or to any other Storage SCP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ptx_node.cli.context import JsonOption, print_list
from ptx_node.outbound.association import DimsePeer
from ptx_node.simulator.modality import all_taken, send_files


def register(app: typer.Typer) -> None:
    """Add the command to `ptx`."""
    app.command()(send)


def send(
    files: Annotated[list[Path], typer.Argument(help="DICOM files, or folders of them.")],
    host: Annotated[str, typer.Option(help="Where the Storage SCP listens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 11112,
    called_ae: Annotated[str, typer.Option(help="Its AE title.")] = "PTX",
    calling_ae: Annotated[str, typer.Option(help="The AE title to call from.")] = "MODALITY",
    json: JsonOption = False,
) -> None:
    """Send DICOM files by C-STORE. Exit code 1 when any of them was not taken."""
    rows = send_files(files, DimsePeer(host, port, called_ae, calling_ae))
    print_list(rows, columns=("file", "sop_instance_uid", "verdict", "status", "detail"), json=json, title="sent", empty="no files")
    if not rows or not all_taken(rows):
        raise typer.Exit(1)

"""`ptx predict`: the model on DICOM files, without a node."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ptx_node.cli.context import ConfigOption, JsonOption, load_settings, print_list


def register(app: typer.Typer) -> None:
    """Add the command to `ptx`."""
    app.command()(predict)


def predict(
    files: Annotated[list[Path], typer.Argument(help="DICOM files, or folders of them; the slices of a CT series belong together.")],
    config: ConfigOption = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write SEG, SR and SC into this folder.")] = None,
    model: Annotated[str | None, typer.Option("--model", "-m", help="Use this model; else the first that reads the file.")] = None,
    json: JsonOption = False,
) -> None:
    """Read DICOM files with the node's models. Research software: the shipped models know simulated images only."""
    from ptx_node.wiring.prediction import predict as read  # noqa: PLC0415 - torch, only here

    rows = list(read(load_settings(config), files, model=model, out=out))
    columns = ("file", "eligible", "reason", "label", "probability", "threshold", "laterality", "area_mm2", "volume_ml")
    print_list(rows, columns=columns, json=json, title="findings (research use)", empty="no files")

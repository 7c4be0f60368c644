"""`ptx models`: which models this node has, whether their weights are intact, and what they ask of an image."""

from __future__ import annotations

import typer

from ptx_node.cli.context import ConfigOption, JsonOption, load_settings, print_list
from ptx_node.wiring.models import describe_models


def register(app: typer.Typer) -> None:
    """Add the command to `ptx`."""
    app.command()(models)


def models(config: ConfigOption = None, json: JsonOption = False) -> None:
    """List the models, each with its identity, decision rule and whether its weights match their hash."""
    rows = describe_models(load_settings(config))
    columns = ("name", "version", "reads", "threshold", "intact", "problem", "weights", "folder")
    print_list(rows, columns=columns, json=json, title="models", empty="no models: name a bundle folder in [models] of ptx.toml")
    if any(row["problem"] for row in rows):
        raise typer.Exit(1)

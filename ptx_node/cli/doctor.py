"""`ptx doctor`: is this node fit to run, and if not, what to do."""

from __future__ import annotations

from dataclasses import asdict

import typer

from ptx_node.cli.context import ConfigOption, JsonOption, load_settings, print_list
from ptx_node.wiring.doctor import FAILED, examine


def register(app: typer.Typer) -> None:
    """Add the command to `ptx`."""
    app.command()(doctor)


def doctor(config: ConfigOption = None, json: JsonOption = False) -> None:
    """Look at home, database, broker, doors, models, rules and destinations. Exit code 1 when something fails."""
    checks = examine(load_settings(config))
    print_list(
        [asdict(check) for check in checks], columns=("state", "name", "detail"), json=json, title="doctor", empty="nothing to check"
    )
    if any(check.state == FAILED for check in checks):
        raise typer.Exit(1)

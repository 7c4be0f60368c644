"""`ptx reconcile`: hold findings against the CT reports of the same patient and day."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from ptx_node.cli.context import ConfigOption, JsonOption, load_settings, print_json
from ptx_node.db import schema
from ptx_node.db.reconciled import standing_counts
from ptx_node.db.session import begin_read
from ptx_node.domain.reconciliation import Agreement, Unmatched
from ptx_node.pipeline.reconcile import reconcile
from ptx_node.wiring import open_database


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("reconcile")(run)


def run(
    *,
    config: ConfigOption = None,
    json: JsonOption = False,
    everything: Annotated[bool, typer.Option("--all", help="Look at everything again, not only at what changed.")] = False,
) -> None:
    """Hold findings against the CT reports of the same patient and local day; what changed, or everything."""
    engine = open_database(load_settings(config))
    schema.require_latest(engine)
    done = reconcile(engine, everything=everything)
    with begin_read(engine) as session:
        counts = standing_counts(session)
    if json:
        print_json({"run": asdict(done), "standing": counts})
        return
    typer.echo(
        f"{done.findings} findings and {done.reports} reports looked at: {done.written} rows written, {done.superseded} superseded\n"
        f"primary pairs: {', '.join(f'{counts.get(one, 0)} {one}' for one in Agreement)}"
    )
    for reason in Unmatched:
        if number := counts.get(f"unmatched {reason}"):
            typer.echo(f"without a partner: {number} {reason}")

"""`ptx reports relabel`: the rules of today over the reports of yesterday."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from ptx_node.cli.context import ConfigOption, JsonOption, load_settings, print_json
from ptx_node.db import schema
from ptx_node.pipeline.reconcile import reconcile
from ptx_node.pipeline.relabel import relabel as label_again
from ptx_node.reports import labeller
from ptx_node.wiring import open_database
from ptx_node.wiring.reports import read_report


def register(app: typer.Typer) -> None:
    """Add the command to `ptx reports`."""
    app.command("relabel")(relabel)


def relabel(
    *,
    config: ConfigOption = None,
    json: JsonOption = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only the counts, not each report that changed.")] = False,
) -> None:
    """Label again what another version of the rules labelled, and reconcile what changed. A person's label counts on."""
    engine = open_database(load_settings(config))
    schema.require_latest(engine)
    labelled, changed, held = 0, 0, 0
    listed = []
    for portion in label_again(engine, read_report, labeller()):
        labelled += portion.labelled
        for one in portion.changed:
            changed, held = changed + one.counts, held + (not one.counts)
            if json and not quiet:
                listed.append(asdict(one))
            elif not quiet:
                counts = "" if one.counts else "; a person decided, whose label counts"
                typer.echo(f"report {one.report_id}: {one.before or 'no label'} -> {one.after} ({one.rule}){counts}")
    done = reconcile(engine)
    if json:
        print_json({"labelled": labelled, "changed": changed, "held_by_a_person": held, "reconciled": asdict(done), "reports": listed})
        return
    typer.echo(
        f"{labelled} reports labelled by {labeller()}: {changed} changed, {held} where a person's label counts; "
        f"reconciled: {done.written} rows written, {done.superseded} superseded"
    )

"""`ptx reports import`: radiology reports from files; `ptx reports list` and `ptx reports messages`: what came, and what waits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ptx_node.cli.context import ConfigOption, JsonOption, LimitOption, load_settings, print_list
from ptx_node.db import report_overview
from ptx_node.db.session import begin_read
from ptx_node.wiring import open_database


def register(app: typer.Typer) -> None:
    """Add the commands to `ptx reports`."""
    app.command("import")(import_reports)
    app.command("list")(list_reports)
    app.command()(messages)


def import_reports(
    files: Annotated[list[Path], typer.Argument(help="CSV, Parquet, FHIR (DiagnosticReport or Bundle), DICOM SR.")],
    columns: Annotated[Path | None, typer.Option("--map", help="Which columns of a table hold what (TOML).")] = None,
    source: Annotated[str, typer.Option(help="The source's name, of FHIR and DICOM files.")] = "import",
    config: ConfigOption = None,
) -> None:
    """Take radiology reports in from files. What was taken before is not taken twice; what is wrong is said with its place."""
    from ptx_node.wiring import report_import  # noqa: PLC0415 - each command loads only what it needs

    outcome = report_import.run(
        load_settings(config), files, columns=columns, source=source, tell=lambda problem: typer.echo(f"ptx: {problem}", err=True)
    )
    typer.echo(f"{outcome.new} new, {outcome.known} already here, {outcome.parked} of these wait for their patient; {outcome.wrong} wrong")
    raise typer.Exit(1 if outcome.wrong else 0)


def list_reports(
    config: ConfigOption = None,
    json: JsonOption = False,
    limit: LimitOption = 50,
    parked: Annotated[bool, typer.Option("--parked", help="Only those whose patient is not known yet.")] = False,
) -> None:
    """List reports as they stand, with the label that counts, the newest first."""
    with begin_read(open_database(load_settings(config))) as session:
        rows = report_overview.reports(session, parked=parked, limit=limit)
    print_list(rows, columns=(*report_overview.REPORT, "label"), json=json, title="radiology reports", empty="no reports")


def messages(
    config: ConfigOption = None,
    json: JsonOption = False,
    limit: LimitOption = 50,
    not_taken: Annotated[bool, typer.Option("--not-taken", help="Only what was refused, kept aside or passed over.")] = False,
) -> None:
    """List what came to the doors for reports, and what became of it, the newest first."""
    with begin_read(open_database(load_settings(config))) as session:
        rows = report_overview.messages(session, not_taken=not_taken, limit=limit)
    columns = (
        "id",
        "via",
        "sender",
        "control_id",
        "kind",
        "verdict",
        "acknowledgement",
        "reason",
        "detail",
        "times_received",
        "received_at",
    )
    print_list(rows, columns=columns, json=json, title="messages", empty="no messages")

"""`ptx reports import`: radiology reports from files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ptx_node.cli.context import ConfigOption, load_settings


def register(app: typer.Typer) -> None:
    """Add the command to `ptx reports`."""
    app.command("import")(import_reports)


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

"""`ptx truth`: what readers say of images, beside the radiology reports: import, list, show."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ptx_node.cli.context import ConfigOption, JsonOption, LimitOption, acting_user, load_settings, print_json, print_list
from ptx_node.db import schema, truths
from ptx_node.db.session import begin_read
from ptx_node.domain.reading import TruthKind, counting
from ptx_node.errors import UsageError
from ptx_node.wiring import open_database

app = typer.Typer(no_args_is_help=True)


class Kind(StrEnum):
    """Kinds of truth that are imported."""

    READER = "reader"
    MASK = "mask"


@app.callback()
def truth() -> None:
    """Truth of other kinds than the radiology report's: readers' labels and masks."""


@app.command("import")
def import_truths(
    files: Annotated[list[Path], typer.Argument(help="CSV or Parquet with labels, DICOM SEG with masks.")],
    *,
    config: ConfigOption = None,
    columns: Annotated[Path | None, typer.Option("--map", help="Which columns of a table hold what (TOML).")] = None,
    kind: Annotated[Kind | None, typer.Option(help="What the files are; else as they look. A SEG as reader: its label alone.")] = None,
    reader: Annotated[str, typer.Option(help="Who read, where a file does not say it.")] = "",
) -> None:
    """Take readers' labels and masks in. What was taken before is not taken twice; what is wrong is said with its place."""
    from ptx_node.wiring import truths as wiring  # noqa: PLC0415 - each command loads only what it needs

    count, wrong = wiring.run(
        load_settings(config),
        files,
        who=acting_user(),
        reader=reader.strip(),
        columns=columns,
        kind=TruthKind(kind) if kind else None,
        tell=lambda problem: typer.echo(f"ptx: {problem}", err=True),
    )
    typer.echo(f"{count.new} new, {count.known} already here; {wrong} wrong")
    raise typer.Exit(1 if wrong else 0)


@app.command("list")
def list_truths(
    *,
    config: ConfigOption = None,
    json: JsonOption = False,
    limit: LimitOption = 50,
    parked: Annotated[bool, typer.Option("--parked", help="Only those whose image is not here yet.")] = False,
) -> None:
    """List readings, superseded ones too, the newest first."""
    with begin_read(_database(config)) as session:
        rows = truths.listed(session, parked=parked, limit=limit)
    columns = ("id", "kind", "reader", "level", "name", "label", "laterality", "read_at", "known")
    print_list(rows, columns=columns, json=json, title="readings", empty="no readings")


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="SOP, Series or Study Instance UID, or an accession number.")],
    *,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Show what readers say of an image or an examination: each reading, which of them count, and what they make together."""
    with begin_read(_database(config)) as session:
        findings = {row.id: row for row in truths.findings_named(session, name)}
        told = [_finding(session, row) for row in findings.values()]
        parked = [_row(row) for row in truths.readings_named(session, name)] if not any(one["readings"] for one in told) else []
    if not told and not parked:
        raise UsageError(f"nothing is known under {name}: neither a finding nor a reading. List the readings: ptx truth list")
    if json:
        print_json({"findings": told, "readings_without_finding": parked})
        return
    for one in told:
        typer.echo(f"finding {one['finding']}: {one['outcome']}")
        for kind, said in one["consensus"].items():
            figures = "".join(f", {key} {said[key]:.3g}" for key in ("area_mm2", "dice") if said[key] is not None)
            side = f" {said['laterality']}" if said["laterality"] else ""
            typer.echo(f"  {kind}: {said['label']}{side}, by {said['agreeing']} of {said['readers']}{figures}")
        _print(one["readings"], f"readings of finding {one['finding']}")
    if parked:
        typer.echo("no finding of it is here")
        _print(parked, "readings")


def _finding(session: Any, row: Any) -> dict[str, Any]:
    held = truths.readings_of(session, [row.id])
    readings = []
    for kind in (TruthKind.READER, TruthKind.MASK):
        of_kind = [(truth, figure, truths.given(truth, figure)) for _, truth, figure in held if truth.kind == kind]
        counted = counting(given for _, _, given in of_kind)
        readings += [_row(truth) | _figures(figure) | {"counts": given in counted} for truth, figure, given in of_kind]
    together = {str(kind): said for (_, kind), said in truths.truths_of(session, [row.id]).items()}
    return {
        "finding": row.id,
        "outcome": row.outcome,
        "consensus": {kind: {name: getattr(said, name) for name in said.__slots__} for kind, said in together.items()},
        "readings": readings,
    }


def _row(truth: Any) -> dict[str, Any]:
    return {"id": truth.id, **{name: getattr(truth, name) for name in truths.COLUMNS}}


def _figures(figure: Any) -> dict[str, Any]:
    names = ("area_mm2", "area_reason", "dice", "dice_reason")
    return {name: getattr(figure, name) if figure is not None else None for name in names}


def _print(rows: list[dict[str, Any]], title: str) -> None:
    columns = ("id", "kind", "reader", "level", "label", "laterality", "size", "confidence", "read_at", "area_mm2", "dice", "counts")
    print_list(rows, columns=columns, json=False, title=title, empty="no readings")


def _database(config: Path | None) -> Any:
    engine = open_database(load_settings(config))
    schema.require_latest(engine)
    return engine

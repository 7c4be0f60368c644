"""`ptx audit`: follow the audit trail's chain, and read what it says."""

from __future__ import annotations

import re
from dataclasses import asdict
from json import loads
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from ptx_node.cli.context import ConfigOption, JsonOption, LimitOption, acting_user, load_settings, moment_of, print_json, print_list
from ptx_node.db import audit, schema
from ptx_node.db.session import begin_read, begin_write
from ptx_node.domain.audit import AuditKind, Event, Link
from ptx_node.errors import UsageError
from ptx_node.wiring import open_database

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from ptx_node.db.audit import Verdict
    from ptx_node.domain.audit import Entry
    from ptx_node.settings import Settings

LONGEST_CELL = 110

app = typer.Typer(no_args_is_help=True)


@app.command()
def verify(
    config: ConfigOption = None,
    json: JsonOption = False,
    expect: Annotated[list[str] | None, typer.Option(help="SEQUENCE:HASH as an earlier run printed it; may be given again.")] = None,
    record: Annotated[bool, typer.Option("--record", help="Write into the trail that it was verified, and what was found.")] = False,
) -> None:
    """Check every row from the first to the last; exit code 1 names the first one that is broken."""
    anchors = [_anchor(text) for text in expect or ()]
    engine = _open(load_settings(config))
    with begin_read(engine) as session:
        verdict = audit.verify(session, anchors)
    if record:
        with begin_write(engine) as session:
            audit.note(session, Event(AuditKind.VERIFICATION, acting_user(), {"what": "audit trail", **_told(verdict)}))
    if json:
        print_json(_told(verdict) | {"first_at": verdict.first_at, "last_at": verdict.last_at})
    elif verdict.broken is not None:
        typer.echo(f"row {verdict.broken.sequence} is broken: {verdict.broken.problem}\n{verdict.rows} rows before it are intact")
    else:
        typer.echo(
            f"{verdict.rows} rows, none broken{f', from {verdict.first_at} to {verdict.last_at}' if verdict.rows else ''}\n"
            f"head {verdict.head}\n"
            f"Keep the head where this node cannot write, and check it later: ptx audit verify --expect {verdict.head}"
        )
    if verdict.broken is not None:
        raise typer.Exit(1)


@app.command("list")
def list_events(
    *,
    config: ConfigOption = None,
    json: JsonOption = False,
    limit: LimitOption = 50,
    since: Annotated[str, typer.Option(help="From this day or moment on: 2026-03-01 or 2026-03-01T14:30, in the site's zone.")] = "",
    until: Annotated[str, typer.Option(help="Before this day or moment.")] = "",
    kind: Annotated[list[AuditKind] | None, typer.Option(help="Only these kinds; may be given again.")] = None,
    lines: Annotated[bool, typer.Option("--lines", help="All rows, the oldest first, each as the one line that is hashed.")] = False,
) -> None:
    """List events, the newest first; with --lines every row in order, as a stranger verifies it."""
    settings = load_settings(config)
    kinds = kind or ()
    with begin_read(_open(settings)) as session:
        part = audit.segment(session, moment_of(since, settings), moment_of(until, settings))
        if lines:
            for entry in audit.entries(session, part, kinds=kinds) if part else ():
                typer.echo(entry.body)
            return
        found = audit.newest(session, part, kinds=kinds, limit=limit) if part else []
    rows = [_row(entry) for entry in found]
    if not json:
        for row in rows:
            row["detail"] = _short(row["detail"])
    print_list(rows, columns=("sequence", "recorded_at", "kind", "actor", "detail"), json=json, title="audit trail", empty="no events")


def _open(settings: Settings) -> Engine:
    engine = open_database(settings)
    schema.require_latest(engine)
    return engine


def _anchor(text: str) -> Link:
    found = re.fullmatch(r"(\d{1,18}):([0-9a-f]{64})", text.strip())
    if found is None:
        raise UsageError(f"--expect wants SEQUENCE:HASH as `ptx audit verify` prints it, not {text!r}")
    return Link(int(found[1]), found[2])


def _told(verdict: Verdict) -> dict[str, Any]:
    return {
        "intact": verdict.broken is None,
        "rows": verdict.rows,
        "head": str(verdict.head),
        "broken": asdict(verdict.broken) if verdict.broken else None,
    }


def _row(entry: Entry) -> dict[str, Any]:
    row: dict[str, Any] = {"sequence": entry.sequence, "recorded_at": entry.recorded_at, "kind": entry.kind, "sha256": entry.sha256}
    try:
        said = loads(entry.body)
        return row | {"previous_sha256": said["previous_sha256"], "actor": said["actor"], "detail": said["detail"]}
    except (ValueError, LookupError, TypeError):
        return row | {"previous_sha256": None, "actor": "", "detail": {"problem": "this row was altered: see ptx audit verify"}}


def _short(detail: dict[str, Any]) -> str:
    """The scalars of an event in one cell; `--json` has everything."""
    text = ", ".join(f"{name} {value}" for name, value in detail.items() if isinstance(value, str | int | float) and value != "")
    return escape(text if len(text) <= LONGEST_CELL else f"{text[: LONGEST_CELL - 1]}…")

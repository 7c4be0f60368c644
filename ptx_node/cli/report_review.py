"""`ptx reports review`: the labels that a person should look at, and what the person says."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from ptx_node.cli.context import ConfigOption, JsonOption, LimitOption, acting_user, load_settings, print_json, print_list
from ptx_node.db import audit, report_review, schema
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.db.tables import RadiologyReport
from ptx_node.domain.audit_events import decision
from ptx_node.domain.finding import Laterality
from ptx_node.domain.truth import LabelValue
from ptx_node.errors import UsageError
from ptx_node.wiring import open_database


def register(app: typer.Typer) -> None:
    """Add the command to `ptx reports`."""
    app.command("review")(review)


def review(
    report: Annotated[int | None, typer.Argument(help="Number of a report; without it the doubtful ones are listed.")] = None,
    *,
    config: ConfigOption = None,
    json: JsonOption = False,
    limit: LimitOption = 50,
    label: Annotated[LabelValue | None, typer.Option(help="What the report says. It counts before the rules from now on.")] = None,
    side: Annotated[Laterality | None, typer.Option(help="Side of the patient.")] = None,
    note: Annotated[str, typer.Option(help="Why, for those who look later.")] = "",
    text: Annotated[bool, typer.Option("--text", help="Print the report's text.")] = False,
) -> None:
    """List reports whose label is doubtful, show one, or say what it says."""
    engine = open_database(load_settings(config))
    schema.require_latest(engine)
    if report is None:
        if label is not None or text:
            raise UsageError("say which report: ptx reports review NUMBER --label positive")
        with begin_read(engine) as session:
            rows = report_review.doubtful(session, limit)
        print_list(
            [{**asdict(row), "review": ", ".join(row.review)} for row in rows],
            columns=("report_id", "examined_on", "label", "review", "sentence"),
            json=json,
            title="reports whose label is doubtful",
            empty="no label is in doubt",
        )
        return
    if label is None:
        with begin_read(engine) as session:
            found = session.get(RadiologyReport, report)
            if found is None:
                raise UsageError(f"there is no radiology report {report}. List the doubtful ones: ptx reports review")
            typer.echo(report_review.text_of(session, found))
        return
    if side is not None and label not in (LabelValue.POSITIVE, LabelValue.UNCERTAIN):
        raise UsageError(f"--side {side} goes with a positive or uncertain report, not with {label}")
    who = acting_user()
    with begin_write(engine) as session:
        number = report_review.decide(session, report, label, laterality=side, reviewer=who, note=note, now=now())
        audit.note(session, decision(who, "report label", report=report, label=number, value=str(label)))
    told = {"report": report, "label": str(label), "side": str(side) if side else None, "reviewer": who}
    if json:
        print_json(told)
    else:
        typer.echo(f"report {report} is {label} from now on, by {who}; the next reconciliation takes it in")

"""`ptx pull`: studies found in an archive and fetched from it by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ptx_node.cli.context import ConfigOption, JsonOption, acting_user, load_settings, print_json, print_list
from ptx_node.domain.retrieval import RetrievalState, StudyQuery
from ptx_node.errors import UsageError
from ptx_node.wiring.node import stop_on_signals
from ptx_node.wiring.retrieval import Left, Pull

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ptx_node.db.tables import Retrieval
    from ptx_node.domain.retrieval import FoundStudy
    from ptx_node.pipeline.retrieve import Step

FOUND = ("study_instance_uid", "patient_id", "issuer_of_patient_id", "accession_number", "study_date", "modalities", "instance_count")
FETCHED = ("study_instance_uid", "state", "received_count", "expected_count", "method", "attempts", "error")


def register(app: typer.Typer) -> None:
    """Add the command to `ptx`."""
    app.command()(pull)


def pull(  # noqa: PLR0917 - typer turns each argument into an option
    config: ConfigOption = None,
    archive: Annotated[str | None, typer.Option(help="Name in [[archives]]; not needed where there is one.")] = None,
    study: Annotated[str, typer.Option(help="Study Instance UID.")] = "",
    accession: Annotated[str, typer.Option(help="Accession number.")] = "",
    patient: Annotated[str, typer.Option(help="Patient ID.")] = "",
    issuer: Annotated[str, typer.Option(help="Issuer of the patient ID.")] = "",
    since: Annotated[str, typer.Option(help="First study date: 2026-03-01.")] = "",
    until: Annotated[str, typer.Option(help="Last study date.")] = "",
    modality: Annotated[str, typer.Option(help="Series of these only: CR,DX.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be fetched, and fetch nothing.")] = False,
    at_once: Annotated[bool, typer.Option("--now", help="Do not wait for the archive's window.")] = False,
    json: JsonOption = False,
) -> None:
    """Find studies in an archive and fetch them. No rule reads them and nothing is answered. Exit code 1 unless all are here."""
    query = StudyQuery(patient, issuer, accession, study, _date(since), _date(until), tuple(one for one in modality.split(",") if one))
    work = Pull(load_settings(config), archive, any_hour=at_once)
    studies = work.find(query)
    if dry_run or not studies:
        rows = [{name: _plain(getattr(one, name)) for name in FOUND} for one in studies]
        print_list(rows, columns=FOUND, json=json, title=f"studies in {work.name}", empty="no study of the archive is what was asked for")
    else:
        ids = work.want(query, studies, by=acting_user())
        left = _fetch(work, ids, studies, quiet=json)
        _report(work.rows(ids), left, json=json)
    if not studies:
        raise typer.Exit(1)


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise UsageError(f"{text!r} is not a date such as 2026-03-01") from None


def _plain(value: Any) -> Any:
    return ",".join(value) if isinstance(value, tuple) else value.isoformat() if isinstance(value, date) else value


def _fetch(work: Pull, ids: Sequence[int], studies: Sequence[FoundStudy], *, quiet: bool) -> Left:
    """Show a person how far it is: studies that are settled, and instances that came on our own connection."""
    columns = (
        TextColumn("studies"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[instances]} instances"),
        TimeElapsedColumn(),
    )
    with stop_on_signals() as stop, Progress(*columns, console=Console(stderr=True), disable=quiet, transient=True) as progress:
        task = progress.add_task("", total=len(studies), instances=0)
        instances = 0

        def seen() -> None:
            nonlocal instances
            instances += 1
            progress.update(task, instances=instances)

        def told(step: Step) -> None:
            if step.state is not RetrievalState.WAITING:
                progress.advance(task)

        return work.fetch(ids, stop=stop, told=told, seen=seen)


def _report(rows: Sequence[Retrieval], left: Left, *, json: bool) -> None:
    """What became of each study; exit code 1 unless all are here, or wait for the window as they should."""
    open_ = [row for row in rows if row.state in (RetrievalState.WAITING, RetrievalState.FETCHING)]
    failed = [row for row in rows if row.state in (RetrievalState.FAILED, RetrievalState.NOT_FOUND)]
    told = [{"id": row.id, "archive": row.archive, **{name: getattr(row, name) for name in FETCHED}} for row in rows]
    if json:
        print_json({"studies": told, "waiting": len(open_), "blocked": left.blocked, "window_opens_at": left.opens_at})
    else:
        print_list(told, columns=FETCHED, json=False, title="pulled", empty="nothing")
        if open_:
            typer.echo(_about(open_, left))
    if failed or left.blocked:
        raise typer.Exit(1)


def _about(open_: Sequence[Retrieval], left: Left) -> str:
    goes_on = "A running node (`ptx up`, `ptx schedule`) goes on with them by itself; so does this command, given again"
    if isinstance(left.opens_at, datetime):
        opens = f"{left.opens_at.astimezone(UTC):%Y-%m-%d %H:%MZ}"
        return f"{len(open_)} studies wait for the archive's window, which opens at {opens}. {goes_on}; --now does not wait"
    return f"{len(open_)} studies wait: {left.blocked}. {goes_on}"

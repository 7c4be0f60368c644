"""`ptx status`, `ptx jobs`, `ptx deliveries`: what the rows say, and the few things a person may change."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from ptx_node.cli.context import (
    ConfigOption,
    JsonOption,
    LimitOption,
    acting_user,
    load_settings,
    make_console,
    print_json,
    print_list,
)
from ptx_node.db import audit, history, overview
from ptx_node.db import jobs as job_rows
from ptx_node.db.destinations import backlog
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.domain.audit_events import RETRY_JOBS, decision
from ptx_node.errors import UsageError
from ptx_node.pipeline import deliver
from ptx_node.wiring import open_database

jobs_app = typer.Typer(invoke_without_command=True)
deliveries_app = typer.Typer(invoke_without_command=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `ptx`."""
    app.command()(status)
    app.add_typer(jobs_app, name="jobs", help="Jobs with their state, reasons and findings; retry what was quarantined.")
    app.add_typer(deliveries_app, name="deliveries", help="Results on their way; retry, suspend or resume a destination.")


def status(config: ConfigOption = None, json: JsonOption = False) -> None:
    """The node at a glance: what came, what waits, what went wrong, who lives."""
    settings = load_settings(config)
    with begin_read(open_database(settings)) as session:
        seen = overview.status(session, now=now())
        seen["destinations"] = [asdict(one) for one in backlog(session, [one.name for one in settings.destinations])]
    if json:
        print_json(seen)
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in seen.items():
        table.add_row(f"[bold]{name.replace('_', ' ')}[/bold]", _text(value))
    make_console().print(table)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{key}: {_text(item)}" for key, item in value.items() if item not in (None, {}, [])) or "-"
    if isinstance(value, list):
        return "\n".join(_text(item) for item in value) or "-"
    return "-" if value is None else escape(str(value))


@jobs_app.callback()
def jobs(
    context: typer.Context,
    config: ConfigOption = None,
    json: JsonOption = False,
    limit: LimitOption = 50,
    state: Annotated[str | None, typer.Option(help="queued, running, done, not_eligible, quarantined or superseded.")] = None,
    study: Annotated[str | None, typer.Option(help="Study Instance UID.")] = None,
) -> None:
    """List jobs, the newest first."""
    if context.invoked_subcommand:
        return
    with begin_read(open_database(load_settings(config))) as session:
        rows = overview.jobs(session, overview.JobFilter(state=state, study_instance_uid=study, limit=limit))
    columns = ("id", "rule", "model", "level", "state", "attempts", "reason", "finding", "queued_at", "accepted_at", "committed_at")
    print_list(rows, columns=columns, json=json, title="jobs", empty="no jobs")


@jobs_app.command("retry")
def retry_jobs(
    ids: Annotated[list[int] | None, typer.Argument(help="Jobs to queue again; with --all, every quarantined one.")] = None,
    config: ConfigOption = None,
    all_of_them: Annotated[bool, typer.Option("--all", help="Every quarantined job.")] = False,
) -> None:
    """Queue quarantined jobs again, with fresh attempts."""
    if bool(ids) == all_of_them:
        raise UsageError("name the jobs to retry, or give --all")
    with begin_write(open_database(load_settings(config))) as session:
        queued = job_rows.retry(session, ids or None, now=(moment := now()))
        if queued:
            audit.note(session, decision(acting_user(), RETRY_JOBS, job_ids=queued))
            history.jobs_again(session, queued, by=acting_user(), what=RETRY_JOBS, at=moment)
    typer.echo(f"queued again: {', '.join(map(str, queued)) or 'none (only quarantined jobs can be retried)'}")


@deliveries_app.callback()
def deliveries(
    context: typer.Context,
    config: ConfigOption = None,
    json: JsonOption = False,
    limit: LimitOption = 50,
    destination: Annotated[str | None, typer.Option(help="Name of a destination.")] = None,
    state: Annotated[str | None, typer.Option(help="waiting, sending, accepted, committed or failed.")] = None,
) -> None:
    """List deliveries, the newest first."""
    if context.invoked_subcommand:
        return
    with begin_read(open_database(load_settings(config))) as session:
        rows = overview.deliveries(session, destination=destination, state=state, limit=limit)
    columns = ("id", "job_id", "kind", "destination", "state", "attempts", "status", "error", "accepted_at", "committed_at", "proof")
    print_list(rows, columns=columns, json=json, title="deliveries", empty="no deliveries")


@deliveries_app.command("retry")
def retry_deliveries(
    ids: Annotated[list[int] | None, typer.Argument(help="Deliveries to send again.")] = None,
    config: ConfigOption = None,
    destination: Annotated[str, typer.Option(help="All failed deliveries of this destination.")] = "",
) -> None:
    """Send again what failed or was given up, with a new deadline."""
    if bool(ids) == bool(destination):
        raise UsageError("name the deliveries to retry, or give --destination")
    settings = load_settings(config)
    known = {one.name: one for one in settings.destinations}
    deadline_s = (
        known[destination].retry.deadline_s
        if destination in known
        else max((one.retry.deadline_s for one in known.values()), default=86400.0)
    )
    database = open_database(settings)
    count = deliver.retry(database, deadline_s=deadline_s, by=acting_user(), delivery_ids=ids or (), destination=destination)
    typer.echo(f"{count} deliveries will be sent again")


@deliveries_app.command()
def suspend(
    destination: Annotated[str, typer.Argument(help="Name of a destination.")],
    reason: Annotated[str, typer.Option(help="Why, for those who come later.")],
    config: ConfigOption = None,
) -> None:
    """Stop sending to a destination; its deliveries wait and nothing is lost."""
    settings = load_settings(config)
    _known(destination, [one.name for one in settings.destinations])
    deliver.suspend(open_database(settings), destination, reason, by=acting_user())
    typer.echo(f"{destination} is suspended; go on with: ptx deliveries resume {destination}")


@deliveries_app.command()
def resume(destination: Annotated[str, typer.Argument(help="Name of a destination.")], config: ConfigOption = None) -> None:
    """Go on sending to a suspended destination."""
    settings = load_settings(config)
    chosen = {one.name: one for one in settings.destinations}
    _known(destination, list(chosen))
    deliver.resume(open_database(settings), destination, grace_s=chosen[destination].retry.deadline_s, by=acting_user())
    typer.echo(f"{destination} goes on")


def _known(destination: str, names: list[str]) -> None:
    if destination not in names:
        raise UsageError(f"there is no destination {destination!r}; ptx.toml has: {', '.join(names) or 'none'}")

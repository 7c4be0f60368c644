"""`ptx notify`: who is told what goes wrong, what was told, and a notice by hand to see that it arrives."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from ptx_node.cli.context import ConfigOption, JsonOption, LimitOption, acting_user, load_settings, print_list
from ptx_node.db import audit, notices, schema
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.domain.audit_events import decision
from ptx_node.domain.notice import Notice, NoticeKind, NoticeState, Step
from ptx_node.errors import UsageError
from ptx_node.settings import MailReceiver
from ptx_node.wiring import open_database
from ptx_node.wiring.notices import deadline_of, make_receiver

if TYPE_CHECKING:
    from ptx_node.settings import NoticeReceiver, Settings

app = typer.Typer(no_args_is_help=True)

ReceiverOption = Annotated[str, typer.Option("--receiver", help="Only of this receiver.")]


@app.command()
def receivers(config: ConfigOption = None, json: JsonOption = False) -> None:
    """List who is told, of what, and whether studies are named."""
    rows = [
        {
            "name": one.name,
            "type": one.type,
            "recipients": " ".join(one.recipients) if isinstance(one, MailReceiver) else "",
            "kinds": " ".join(one.kinds),
            "identifiers": one.identifiers,
        }
        for one in load_settings(config).notifications.receivers
    ]
    columns = ("name", "type", "recipients", "kinds", "identifiers")
    print_list(rows, columns=columns, json=json, title="receivers", empty="nobody is told: name receivers in [[notifications.receivers]]")


@app.command("list")
def list_notices(
    *,
    config: ConfigOption = None,
    json: JsonOption = False,
    limit: LimitOption = 50,
    receiver: ReceiverOption = "",
    state: Annotated[NoticeState | None, typer.Option(help="Only in this state.")] = None,
) -> None:
    """List notices, the newest first: what was told to whom, and what still waits."""
    engine = open_database(load_settings(config))
    schema.require_latest(engine)
    with begin_read(engine) as session:
        rows = notices.newest(session, receiver=receiver, state=state or "", limit=limit)
    for row in () if json else rows:  # names come from outside: a table takes brackets for colours
        row |= {"subject": escape(row["subject"]), "error": escape(row["error"] or "")}
    columns = ("queued_at", "receiver", "recipient", "kind", "subject", "step", "state", "attempts", "told_at", "error")
    print_list(rows, columns=columns, json=json, title="notices", empty="no notices")


@app.command()
def conditions(config: ConfigOption = None, json: JsonOption = False) -> None:
    """List what lasts at this moment, as the scheduler's last look found it."""
    engine = open_database(load_settings(config))
    schema.require_latest(engine)
    with begin_read(engine) as session:
        found = notices.open_conditions(session)
    rows = [{name: getattr(one, name) for name in ("kind", "subject", "began_at", "seen_at", "facts")} for one in found]
    for row in () if json else rows:
        row["subject"] = escape(row["subject"])
    print_list(rows, columns=("kind", "subject", "began_at", "seen_at"), json=json, title="conditions", empty="nothing is wrong")


@app.command("test")
def tell(name: Annotated[str, typer.Argument(help="Name of a receiver.")], config: ConfigOption = None) -> None:
    """Send a test notice at once, to each recipient of a receiver; exit code 1 says why one did not take it."""
    settings = load_settings(config)
    receiver = make_receiver(_receiver(name, settings), settings)
    moment = now()
    for recipient in receiver.recipients:
        notice = Notice(str(uuid.uuid4()), str(uuid.uuid4()), NoticeKind.TEST, Step.BEGAN, "test", moment, moment)
        receiver.tell(notice, recipient)
        typer.echo(f"{recipient or name} took the test notice {notice.notice_id}")


@app.command()
def retry(config: ConfigOption = None, receiver: ReceiverOption = "") -> None:
    """Send at once what waits, and again what was given up, with a new deadline."""
    settings = load_settings(config)
    if receiver:
        _receiver(receiver, settings)
    deadlines = {one.name: deadline_of(one) for one in settings.notifications.receivers if receiver in ("", one.name)}
    engine = open_database(settings)
    schema.require_latest(engine)
    with begin_write(engine) as session:
        count = notices.retry(session, deadlines, now())
        if count:
            audit.note(session, decision(acting_user(), "retry notices", receivers=sorted(deadlines), count=count))
    typer.echo(f"{count} notices will be sent")


def _receiver(name: str, settings: Settings) -> NoticeReceiver:
    known = {one.name: one for one in settings.notifications.receivers}
    if name not in known:
        raise UsageError(f"there is no receiver {name!r}; ptx.toml has: {', '.join(known) or 'none'}")
    return known[name]

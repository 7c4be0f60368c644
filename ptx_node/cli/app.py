"""The `ptx` command: puts the groups together and turns errors into one clear line and an exit code."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer
import typer.exceptions

from ptx_node import __version__
from ptx_node.cli import (
    audit,
    cohort,
    commission,
    database,
    demo,
    doctor,
    export,
    init,
    lists,
    models,
    notify,
    predict,
    pull,
    reconcile,
    report_import,
    report_relabel,
    report_review,
    reports,
    roles,
    rules,
    send,
    simulate,
    thresholds,
    truth,
    users,
)
from ptx_node.errors import PtxError

if TYPE_CHECKING:
    from collections.abc import Sequence

app = typer.Typer(
    name="ptx",
    help="ptx-node: a radiology AI node for pneumothorax. Research software, not a medical device.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback(invoke_without_command=True)
def root(*, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Options of the command itself."""
    if version:
        typer.echo(__version__)
        raise typer.Exit


for module in (init, roles, demo, simulate, commission, send, pull, predict, reconcile, lists, models, doctor):
    module.register(app)
app.add_typer(rules.app, name="rules", help="Check the routing rules, or explain what they do with an instance.")
report_import.register(reports.app)
report_review.register(reports.app)
report_relabel.register(reports.app)
app.add_typer(reports.app, name="reports", help="Radiology reports: what they say of a pneumothorax.")
app.add_typer(cohort.app, name="cohort", help="Retrospective cohorts: a test set of the site's own patients.")
app.add_typer(export.app, name="export")
app.add_typer(truth.app, name="truth", help="Truth of other kinds: readers' labels and masks.")
app.add_typer(thresholds.app, name="thresholds", help="A site's own threshold: proposed from its CT reports, applied by a person.")
app.add_typer(database.app, name="db", help="The database's schema.")
app.add_typer(users.app, name="users", help="Who may come to the dashboard: add, link, list, role, disable, enable.")
app.add_typer(users.tokens_app, name="tokens", help="Tokens of programs, for the API and the doors: add, list, revoke.")
app.add_typer(notify.app, name="notify", help="Notices by webhook and e-mail: what was told, and a test.")
app.add_typer(audit.app, name="audit", help="The audit trail: verify its chain of hashes, list its events.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command: 0 done, 1 failed, 2 asked wrongly."""
    command = typer.main.get_command(app)
    try:
        code = command.main(list(arguments) if arguments is not None else None, prog_name="ptx", standalone_mode=False)
    except PtxError as error:
        print(f"ptx: {error}", file=sys.stderr)  # noqa: T201 - the command line's way to speak
        return error.exit_code
    except typer.exceptions.TyperException as error:
        print(f"ptx: {error.format_message().rstrip('.')}. See: ptx --help", file=sys.stderr)  # noqa: T201
        return 2
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if os.environ.get("PTX_NODE__LOG_LEVEL") == "DEBUG":
            raise
        line = " ".join(str(error).split()) or "no message"
        print(  # noqa: T201
            f"ptx: internal error, please report it: {type(error).__name__}: {line}. For the trace, set PTX_NODE__LOG_LEVEL=DEBUG",
            file=sys.stderr,
        )
        return 1
    return code if isinstance(code, int) else 0

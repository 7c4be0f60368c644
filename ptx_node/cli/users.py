"""`ptx users` and `ptx tokens`: who may come to the dashboard and the doors, and what for."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ptx_node.cli.context import ConfigOption, JsonOption, acting_user, load_settings, print_list
from ptx_node.db import api_tokens, schema, users
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.domain.access import Permission, Role
from ptx_node.errors import UsageError
from ptx_node.wiring import open_database
from ptx_node.wiring.dashboard_address import base_url

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from ptx_node.settings import Settings

app = typer.Typer(no_args_is_help=True)
tokens_app = typer.Typer(no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="The user's name.")]


@app.command("list")
def list_users(config: ConfigOption = None, json: JsonOption = False) -> None:
    """List people with their roles."""
    _, engine = _open(config)
    with begin_read(engine) as session:
        rows = [
            {
                "name": one.name,
                "role": one.role,
                "source": one.source,
                "password": one.password_hash is not None,
                "created_by": one.created_by,
                "created_at": one.created_at,
                "disabled_at": one.disabled_at,
            }
            for one in users.listed(session)
        ]
    columns = ("name", "role", "source", "password", "created_by", "created_at", "disabled_at")
    print_list(rows, columns=columns, json=json, title="users", empty="nobody yet: ptx users link prints the first administrator's link")


@app.command()
def add(
    name: NameArgument,
    role: Annotated[Role, typer.Option(help="What the user is here for.")] = Role.VIEWER,
    config: ConfigOption = None,
) -> None:
    """Add a user and print the one-time link by which they set a password."""
    settings, engine = _open(config)
    with begin_write(engine) as session:
        users.add(session, name, role, by=acting_user(), now=now())
        secret = users.link(session, name, by=acting_user(), now=now())
    _print_link(settings, secret)


@app.command()
def link(
    name: Annotated[str, typer.Argument(help="The user's name; without one, the first administrator's link.")] = "",
    config: ConfigOption = None,
) -> None:
    """Print a one-time link: of a user who has no password or forgot it, or of the first administrator."""
    settings, engine = _open(config)
    with begin_write(engine) as session:
        secret = users.link(session, name, by=acting_user(), now=now()) if name else users.first_link(session, by=acting_user(), now=now())
    if secret is None:
        raise UsageError("there is an administrator already: name the user, ptx users link NAME")
    _print_link(settings, secret)


@app.command()
def role(
    name: NameArgument, role: Annotated[Role, typer.Argument(help="What the user is here for from now on.")], config: ConfigOption = None
) -> None:
    """Give a user another role; it counts at once."""
    _, engine = _open(config)
    with begin_write(engine) as session:
        users.change_role(session, name, role, by=acting_user())
    typer.echo(f"{name} is {role.value} from now on")


@app.command()
def disable(name: NameArgument, config: ConfigOption = None) -> None:
    """Let a user in no more; sessions and links end at once."""
    _, engine = _open(config)
    with begin_write(engine) as session:
        users.disable(session, name, by=acting_user(), now=now())
    typer.echo(f"{name} cannot come in any more; undo it with: ptx users enable {name}")


@app.command()
def enable(name: NameArgument, config: ConfigOption = None) -> None:
    """Let a disabled user in again."""
    _, engine = _open(config)
    with begin_write(engine) as session:
        users.enable(session, name, by=acting_user())
    typer.echo(f"{name} can come in again")


@tokens_app.command("list")
def list_tokens(config: ConfigOption = None, json: JsonOption = False) -> None:
    """List tokens with their scopes; never the tokens themselves."""
    _, engine = _open(config)
    names = ("name", "scopes", "created_by", "created_at", "expires_at", "used_at", "revoked_at")
    with begin_read(engine) as session:
        rows: list[dict[str, Any]] = [{name: getattr(one, name) for name in names} for one in api_tokens.listed(session)]
    if not json:
        for row in rows:
            row["scopes"] = ", ".join(row["scopes"])
    print_list(rows, columns=names, json=json, title="tokens", empty="no tokens")


@tokens_app.command("add")
def add_token(
    name: Annotated[str, typer.Argument(help="What the program is called in the audit trail.")],
    scope: Annotated[list[Permission], typer.Option(help="What the token opens; may be given again.")],
    days: Annotated[int, typer.Option(min=1, max=3650, help="It ends after so many days.")] = 365,
    from_file: Annotated[Path | None, typer.Option(help="Take the token that this file holds, made elsewhere; again is no error.")] = None,
    config: ConfigOption = None,
) -> None:
    """Make a token for a program and print it, once."""
    _, engine = _open(config)
    if from_file is not None:
        known, life = _read(from_file), timedelta(days=days)
        with begin_write(engine) as session:
            new = api_tokens.add_known(session, name, scope, known, life=life, by=acting_user(), now=now())
        typer.echo(f"{name} has the token of {from_file}{'' if new else ' already'}")
        return
    with begin_write(engine) as session:
        token = api_tokens.add(session, name, scope, life=timedelta(days=days), by=acting_user(), now=now())
    typer.echo(token)
    typer.echo("Shown once: the node keeps only its hash. Send it as: Authorization: Bearer …", err=True)


@tokens_app.command("revoke")
def revoke_token(name: Annotated[str, typer.Argument(help="The token's name.")], config: ConfigOption = None) -> None:
    """End a token at once."""
    _, engine = _open(config)
    with begin_write(engine) as session:
        api_tokens.revoke(session, name, by=acting_user(), now=now())
    typer.echo(f"{name} opens nothing any more")


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read as a token: {error}") from error


def _open(config: Path | None) -> tuple[Settings, Engine]:
    settings = load_settings(config)
    engine = open_database(settings)
    schema.require_latest(engine)
    return settings, engine


def _print_link(settings: Settings, secret: str) -> None:
    typer.echo(f"{base_url(settings)}/welcome/{secret}")
    typer.echo("Good once and for a day.", err=True)

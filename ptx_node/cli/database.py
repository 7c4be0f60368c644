"""`ptx db`: where the schema stands, and how it is brought to this version."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from ptx_node.cli.context import ConfigOption, JsonOption, load_settings, print_json
from ptx_node.db import reader_role as reader
from ptx_node.db import schema
from ptx_node.errors import UsageError
from ptx_node.wiring import open_database

ROLE = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,62}")

app = typer.Typer(no_args_is_help=True)


@app.command()
def upgrade(config: ConfigOption = None, revision: Annotated[str, typer.Option(help="Where to; the newest by default.")] = "head") -> None:
    """Create the tables, or bring them to this version. Safe to run again."""
    engine = open_database(load_settings(config))
    schema.upgrade(engine, revision)
    typer.echo(f"database at revision {schema.current(engine)}")


@app.command()
def downgrade(revision: Annotated[str, typer.Argument(help="Revision to go back to, or `base`.")], config: ConfigOption = None) -> None:
    """Take revisions back. Make a copy of the database first: columns that go take their content along."""
    engine = open_database(load_settings(config))
    schema.downgrade(engine, revision)
    typer.echo(f"database at revision {schema.current(engine) or 'base'}")


@app.command()
def current(config: ConfigOption = None, json: JsonOption = False) -> None:
    """Which revision the database is at, and which one this version needs."""
    found, needed = schema.current(open_database(load_settings(config))), schema.latest()
    if json:
        print_json({"current": found, "latest": needed, "up_to_date": found == needed})
    else:
        typer.echo(f"database at revision {found or 'none'}; this version needs {needed}")


@app.command("reader-role")
def reader_role(name: Annotated[str, typer.Argument(help="Lower-case letters, digits and underscores.")]) -> None:
    """Print the SQL of a PostgreSQL role that may read the views for dashboards and nothing else."""
    if not ROLE.fullmatch(name):
        raise UsageError(f"{name!r} cannot be the name of the role: use lower-case letters, digits and underscores, not beginning with pg_")
    for statement in reader.statements(name):
        typer.echo(f"{statement};")

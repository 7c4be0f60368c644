"""`ptx db`: where the schema stands, and how it is brought to this version."""

from __future__ import annotations

from typing import Annotated

import typer

from ptx_node.cli.context import ConfigOption, JsonOption, load_settings, print_json
from ptx_node.db import schema
from ptx_node.wiring import open_database

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

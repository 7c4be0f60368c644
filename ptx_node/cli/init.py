"""`ptx init`: writes a site's ptx.toml with comments."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from ptx_node.errors import UsageError
from ptx_node.settings import load


def register(app: typer.Typer) -> None:
    """Add the command to `ptx`."""
    app.command()(init)


def init(
    folder: Annotated[Path, typer.Argument(help="Where to write ptx.toml.")] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Write over an existing ptx.toml.")] = False,
) -> None:
    """Write ptx.toml with comments, and a folder for secrets that only this user can read."""
    target = folder / "ptx.toml"
    if target.exists() and not force:
        raise UsageError(f"{target} exists already. Write over it with --force")
    text = files("ptx_node.cli").joinpath("ptx.toml").read_text(encoding="utf-8")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "secrets").mkdir(mode=0o700, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror}") from error
    load(target)
    typer.echo(f"wrote {target}. Next: name your modalities and your PACS in it, then `ptx doctor` and `ptx up`, with -c {target}")

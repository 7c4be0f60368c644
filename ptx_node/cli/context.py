"""What the commands share: the options that all of them have, the node they work on, and how lists are printed."""

from __future__ import annotations

import json
import os
import pwd
from dataclasses import asdict, is_dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer
from pydicom.config import IGNORE
from pydicom.config import settings as pydicom_settings
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ptx_node import log
from ptx_node.errors import UsageError
from ptx_node.settings import Settings, load

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NO_EDGE = 180

ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="The site's ptx.toml (else $PTX_CONFIG, else ./ptx.toml).")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
LimitOption = Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000, help="At most so many, the newest first.")]


def load_settings(config: Path | None) -> Settings:
    """Read the settings and set up this process's log accordingly."""
    settings = load(config)
    log.configure(level=settings.node.log_level, json=settings.node.log_json)
    # pydicom's warnings about a value quote the value, which may be a patient's; our own checks name the keyword only.
    pydicom_settings.reading_validation_mode = IGNORE
    return settings


def acting_user() -> str:
    """The actor of a command in the audit trail: the operating system's user, and who became it by sudo."""
    number = os.getuid()
    try:
        name = pwd.getpwuid(number).pw_name
    except KeyError:
        name = str(number)
    before = os.environ.get("SUDO_USER", "")
    return f"user {name}" if before in ("", name) else f"user {name} (sudo by {before})"


def moment_of(text: str, settings: Settings) -> datetime | None:
    """A day or a moment of the command line, in the site's zone unless it names its own; None when nothing was given.

    Raises:
        UsageError: it is neither.
    """
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no day or moment: write 2026-03-01, 2026-03-01T14:30 or 2026-03-01T14:30+01:00") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(settings.node.time_zone))


def as_json(value: Any) -> Any:
    """Dataclasses, times and paths as JSON has them; times in ISO 8601 with their zone."""
    if is_dataclass(value) and not isinstance(value, type):
        return {key: as_json(item) for key, item in asdict(value).items()}
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Path):
        return escape(str(value))
    return value


def print_json(value: Any) -> None:
    """One JSON value on standard output, readable by a program."""
    typer.echo(json.dumps(as_json(value), indent=2, ensure_ascii=False))


def print_list(rows: Sequence[Mapping[str, Any]], *, columns: Sequence[str], json: bool, title: str, empty: str) -> None:
    """Rows as JSON (every field) or as a table (the chosen columns)."""
    if json:
        print_json(list(rows))
        return
    console = make_console()
    if not rows:
        console.print(empty)
        return
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    console.print(table)


def make_console() -> Console:
    """The terminal; wide where the output is no terminal, since a file has no edge."""
    console = Console()
    return console if console.is_terminal else Console(width=NO_EDGE)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%SZ")
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 10 else f"{value:.0f}"  # noqa: PLR2004 - three digits say enough
    return str(value)

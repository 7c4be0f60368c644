"""`ptx reports`: what the words of radiology reports say of a pneumothorax."""

from __future__ import annotations

import json as json_text
import sys
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from ptx_node.cli.context import JsonOption, make_console, print_json
from ptx_node.errors import UsageError
from ptx_node.reports import label_report

if TYPE_CHECKING:
    from ptx_node.domain.truth import ReportLabel

app = typer.Typer(no_args_is_help=True)


class Language(StrEnum):
    """Languages of reports that the rules read."""

    EN = "en"
    FR = "fr"
    AUTO = "auto"


@app.callback()
def reports() -> None:
    """Radiology reports: what they say of a pneumothorax."""


@app.command("label")
def label(
    what: Annotated[str, typer.Argument(metavar="TEXT|FILE|-", help="The report itself, a file with it, or - for what is piped in.")],
    *,
    lang: Annotated[Language, typer.Option(help="Language of the report; auto tells it by its words.")] = Language.AUTO,
    json: JsonOption = False,
    lines: Annotated[bool, typer.Option("--lines", help="One report a line; prints one JSON object a line.")] = False,
) -> None:
    """Say whether a report tells of a pneumothorax now, on which side and how large, and which of its words decided."""
    if lines:
        with _opened(what) as stream:
            for number, line in enumerate(stream, start=1):
                text = _decoded(line).rstrip("\r\n")
                typer.echo(json_text.dumps({"line": number, **_as_row(label_report(text, lang.value), text)}, ensure_ascii=False))
        return
    text = _text(what)
    found = label_report(text, lang.value)
    if json:
        print_json(_as_row(found, text))
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in _as_row(found, text).items():
        told = ", ".join(value) if isinstance(value, list) else value
        table.add_row(f"[bold]{name.replace('_', ' ')}[/bold]", "-" if told in (None, "", []) else escape(str(told)))
    make_console().print(table)


def _text(what: str) -> str:
    if what == "-" or _is_file(what):
        with _opened(what) as stream:
            return _decoded(stream.read())
    return what


def _opened(what: str) -> IO[bytes]:
    """Bytes of a file, or of what is piped in."""
    if what == "-":
        return sys.stdin.buffer
    if not _is_file(what):
        raise UsageError(f"--lines reads a file, or - for what is piped in, and there is no file {what[:60]!r}")
    try:
        return Path(what).open("rb")
    except OSError as error:
        raise UsageError(f"{what} cannot be read: {error.strerror}") from error


def _is_file(what: str) -> bool:
    try:
        return Path(what).is_file()
    except (OSError, ValueError):  # a report is too long for a file name, or holds what no name may
        return False


def _decoded(content: bytes) -> str:
    """UTF-8, or else what Windows writes in western Europe; bytes that are neither are shown as such."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def _as_row(found: ReportLabel, text: str) -> dict[str, Any]:
    """The label with the words that its spans stand for."""
    row = {"label": str(found.value), **asdict(found)}
    del row["value"]
    row["laterality"] = None if found.laterality is None else str(found.laterality)
    row["review"] = [str(reason) for reason in found.review]
    row["needs_review"] = found.needs_review
    row["sentence_text"] = text[slice(*found.sentence)] if found.sentence else None
    row["evidence_text"] = text[slice(*found.evidence)] if found.evidence else None
    return row

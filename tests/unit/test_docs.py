"""The documents are true: settings, commands and paths that they name exist, and what exists is named."""

from __future__ import annotations

import re
import subprocess
import types
from pathlib import Path
from typing import Union, get_args, get_origin

import click
import pytest
import typer
from pydantic import BaseModel

from ptx_node.cli.app import app
from ptx_node.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
# Folders whose names begin a path of this repository.
TOP = ("ptx_node/", "docs/", "deploy/", "tests/", "alembic/", "training/", ".ci/")


def keys_of(annotation: object) -> set[str]:
    """Every key below a type of settings: groups, lists and unions of groups."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        found = set()
        for name, field in annotation.model_fields.items():
            found |= {name} | keys_of(field.annotation)
        return found
    if get_origin(annotation) in (Union, types.UnionType, tuple, list) or hasattr(annotation, "__metadata__"):
        return set().union(*(keys_of(part) for part in get_args(annotation)))
    return set()


@pytest.mark.parametrize("key", sorted(keys_of(Settings) - Settings.model_fields.keys() | {"config_file"}))
def test_every_setting_is_documented(key: str) -> None:
    assert f"`{key}`" in OPERATIONS, f"docs/operations.md does not explain the setting {key!r}"


@pytest.mark.parametrize("table", [name for name in Settings.model_fields if name != "config_file"])
def test_every_table_of_the_settings_has_a_heading(table: str) -> None:
    assert re.search(rf"^### `\[+{table}\]+`", OPERATIONS, flags=re.MULTILINE)


def test_documented_defaults_are_the_real_ones() -> None:
    """Rows such as | `port` | `11112` | … of the tables that belong to one group."""
    compared = 0
    for table, field in Settings.model_fields.items():
        group = field.annotation
        if not (isinstance(group, type) and issubclass(group, BaseModel)):
            continue
        section = re.split(r"^#+ ", OPERATIONS.split(f"### `[{table}]`")[1], flags=re.MULTILINE)[0]
        for key, written in re.findall(r"^\| `(\w+)` \| (`[^`]*`|[\d ]+) \|", section, flags=re.MULTILINE):
            if key not in group.model_fields:
                continue
            default = group.model_fields[key].get_default(call_default_factory=True)
            default = default.get_secret_value() if hasattr(default, "get_secret_value") else default
            text = written.strip("`").replace(" ", "") if written[0] != "`" else written.strip("`")
            real = str(default).lower() if isinstance(default, bool) else f"{default:g}" if isinstance(default, float) else str(default)
            assert text == real, f"{table}.{key}"
            compared += 1
    assert compared > 20


def commands(group: click.Command, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], click.Command]:
    found = {path: group}
    for name, command in getattr(group, "commands", {}).items():
        found |= commands(command, (*path, name))
    return found


COMMANDS = commands(typer.main.get_command(app))


def named_commands() -> list[tuple[str, str]]:
    """(document, words after `ptx`) of every command in code of the documents."""
    found = set()
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        code = re.findall(r"`([^`\n]+)`", text) + [
            line for block in re.findall(r"```\w*\n(.*?)```", text, flags=re.DOTALL) for line in block.splitlines()
        ]
        for piece in code:
            for words in re.findall(r"(?:^|[\s/;(])ptx ((?:[a-z-]+ ?)[^#;`]*)", " " + piece):
                found.add((document.name, words.strip()))
    return sorted(found)


@pytest.mark.parametrize(("document", "words"), named_commands())
def test_commands_in_the_documents_exist(document: str, words: str) -> None:
    path: tuple[str, ...] = ()
    parts = words.split()
    while parts and (*path, parts[0]) in COMMANDS:
        path = (*path, parts.pop(0))
    assert path, f"{document} names `ptx {words}`, which is no command"
    command = COMMANDS[path]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
    for part in parts:
        if part.startswith("-") and part != "-":
            assert part.split("=")[0] in known, f"{document}: `ptx {words}`: {part}"


def test_every_command_is_named_in_the_readme_or_operations() -> None:
    text = OPERATIONS + (ROOT / "README.md").read_text(encoding="utf-8")
    for path in COMMANDS:
        if len(path) == 1:
            assert f"ptx {path[0]}" in text, path


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_paths_in_a_document_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    named = re.findall(r"`([^`\s]+)`", text)
    for path in named:
        if path.startswith(TOP) and not any(mark in path for mark in "<>*…{"):
            assert (ROOT / path.rstrip("/").split("#")[0].split("::")[0]).exists(), f"{document.name}: {path}"
    for link in re.findall(r"\]\(([^)]+)\)", text):
        if "://" not in link and not link.startswith("#"):
            assert (document.parent / link.split("#")[0]).exists(), f"{document.name}: {link}"


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_make_targets_in_a_document_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    code = re.findall(r"`(make [a-z]+)", text) + re.findall(r"^(make [a-z]+)", text, flags=re.MULTILINE)
    for piece in code:
        assert piece.split()[1] in make_targets(), f"{document.name}: {piece}"


def test_documents_stand_in_the_repository() -> None:
    """What a document links to must not be a file that only this checkout has."""
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if tracked.returncode:
        pytest.skip("not a git checkout")
    files = set(tracked.stdout.splitlines())
    for name in (
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "LICENSE",
        "docs/operations.md",
        "docs/security.md",
        "docs/conformance-statement.md",
    ):
        assert name in files


def test_every_decision_is_in_the_index() -> None:
    index = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs" / "decisions").glob("*.md"):
        title = page.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        assert page.name == "README.md" or f"- [{title}]({page.name})" in index, f"docs/decisions/README.md: add - [{title}]({page.name})"

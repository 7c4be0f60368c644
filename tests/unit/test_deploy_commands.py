"""What deploy/ starts exists: commands and options are asked of the command line itself, the example settings of the node."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml

from ptx_node.db.schema import revisions_folder
from ptx_node.domain.routing import parse_rules
from ptx_node.settings import load

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


def commands() -> list[tuple[str, list[str]]]:
    """(where it stands, words after `ptx`) of everything in deploy/ that starts the node."""
    found = []
    for name, service in yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"].items():
        if service.get("command", [""])[0] == "ptx":
            found.append((f"compose {name}", service["command"][1:]))
    for unit in sorted((DEPLOY / "systemd").glob("*.service")):
        (line,) = re.findall(r"^ExecStart=/opt/ptx-node/\.venv/bin/ptx (.*)$", unit.read_text(), flags=re.MULTILINE)
        found += [(f"{unit.name} {queue}", shlex.split(line.replace("%i", queue))) for queue in ("infer", "flow")]
    for dockerfile in sorted(DEPLOY.glob("*.Dockerfile")):
        (line,) = re.findall(r"^CMD (\[.*\])$", dockerfile.read_text(), flags=re.MULTILINE)
        found.append((dockerfile.name, yaml.safe_load(line)[1:]))
    return found


@cache
def ptx(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    command = [sys.executable, "-m", "ptx_node", *words]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_there_are_commands_of_every_role() -> None:
    roles = {words[0] for _, words in commands()}
    assert roles == {"dashboard", "db", "receive", "worker", "schedule"}
    assert {words[-1] for _, words in commands() if words[0] == "worker"} == {"infer", "flow"}


@pytest.mark.parametrize(("place", "words"), commands(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_command_that_deploy_starts_is_understood(place: str, words: list[str]) -> None:
    """With `--help` at the end the words before it are still parsed: an unknown command, option or value fails."""
    answer = ptx(*words, "--help")
    assert answer.returncode == 0, f"{place}: {answer.stderr}"
    for word in words:
        if word.startswith("--"):
            assert word in answer.stdout, f"{place}: {word}"


def test_a_wrong_queue_is_refused() -> None:
    assert ptx("worker", "--queue", "nonsense").returncode == 2


def test_the_example_settings_load_and_their_rules_hold_together() -> None:
    settings = load(DEPLOY / "ptx.example.toml")
    rules = parse_rules(settings.rules)
    named = {destination.name for destination in settings.destinations}
    assert {wanted.name for rule in rules for wanted in rule.destinations} <= named
    peers = {peer.ae_title for peer in settings.dicom.peers}
    assert "*" not in peers, "an example that lets everybody in would be copied"
    answer = ptx("rules", "check", "--config", str(DEPLOY / "ptx.example.toml"))
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_the_settings_that_init_writes_and_the_example_name_the_same_models() -> None:
    written = load(ROOT / "ptx_node" / "cli" / "ptx.toml")
    example = load(DEPLOY / "ptx.example.toml")
    assert {rule["model"] for rule in example.rules} == {rule["model"] for rule in written.rules}


def test_images_carry_the_database_revisions_where_the_node_looks_for_them() -> None:
    """The node looks beside its own package: the images keep the layout of the repository."""
    folder = revisions_folder()
    assert folder == ROOT / "alembic"
    for dockerfile in DEPLOY.glob("*.Dockerfile"):
        lines = dockerfile.read_text().splitlines()
        assert "COPY alembic alembic" in lines
        assert "COPY ptx_node ptx_node" in lines
        assert any("--editable ." in line for line in lines)

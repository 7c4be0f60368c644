"""`ptx rules check` and `ptx rules explain`, as a person or a program calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ptx_node.cli.rules import app
from ptx_node.errors import ConfigurationError, PtxError
from tests.factories import as_file, cr

SITE = """
[node]
home = "home"

[[destinations]]
name = "pacs"
type = "folder"
folder = "out"
kinds = ["sr"]
"""
RULE = """
[[rules]]
name = "bedside chests"
model = "nowhere"
match = { all = [{ keyword = "Modality", any_of = ["CR", "DX"] }, { source = "bedside" }] }
destinations = [{ name = "pacs", kinds = ["seg"] }]
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "ptx.toml"
    path.write_text(SITE + RULE)
    return path


def test_check_lists_errors_and_fails(site: Path) -> None:
    """Exit code 1, and a line for each problem that says which rule and what there is instead."""
    result = CliRunner().invoke(app, ["check", "--config", str(site)])
    assert result.exit_code == 1
    assert "error: rule 'bedside chests': model 'nowhere' is not here" in result.stdout
    assert "destination 'pacs' does not allow seg: its kinds are sr" in result.stdout


def test_check_as_json(site: Path) -> None:
    result = CliRunner().invoke(app, ["check", "--config", str(site), "--json"])
    answer = json.loads(result.stdout)
    assert answer["rules"] == 1
    assert {one["severity"] for one in answer["problems"]} == {"error"}
    assert {one["rule"] for one in answer["problems"]} == {"bedside chests"}


def test_check_passes_with_a_warning(site: Path) -> None:
    """Without rules nothing is wrong, but nothing is read either."""
    site.write_text(SITE)
    result = CliRunner().invoke(app, ["check", "--config", str(site)])
    assert result.exit_code == 0
    assert "warning: there are no rules" in result.stdout


def test_explain_file(site: Path, tmp_path: Path) -> None:
    """Which rule, which condition did not hold, and what it saw."""
    path = tmp_path / "a.dcm"
    path.write_bytes(as_file(cr()))
    result = CliRunner().invoke(app, ["explain", str(path), "--config", str(site)])
    assert result.exit_code == 0
    assert "✗ rule bedside chests: its conditions do not hold" in result.stdout
    assert "✓ Modality is 'CR' or 'DX', seen: 'CR'" in result.stdout
    assert "✗ source is 'bedside', seen: nothing" in result.stdout
    result = CliRunner().invoke(app, ["explain", str(path), "--config", str(site), "--source", "bedside", "--json"])
    (answer,) = json.loads(result.stdout)
    assert [(one["rule"], one["acts"]) for one in answer["rules"]] == [("bedside chests", True)]


def test_explain_unknown(site: Path) -> None:
    """What is neither a file nor stored is an error with what to do."""
    result = CliRunner().invoke(app, ["explain", "1.2.3", "--config", str(site)])
    assert isinstance(result.exception, PtxError)


def test_explain_with_a_wrong_rule(site: Path) -> None:
    """A rule that cannot be read is said, not passed over."""
    site.write_text(SITE + RULE.replace("Modality", "Modalty"))
    result = CliRunner().invoke(app, ["explain", "1.2.3", "--config", str(site)])
    assert isinstance(result.exception, ConfigurationError)

"""docs/rules.md says what the code does."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from ptx_node.dicom.attributes import known_keywords
from ptx_node.domain.condition_parsing import parse_condition
from ptx_node.domain.routing import KEYS, parse_rules
from ptx_node.domain.rule_check import Site, check_rules
from ptx_node.pipeline.enqueue import RouteOutcome

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")


def test_examples_are_valid_rules() -> None:
    """Every example parses, and together they have no errors."""
    examples = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    raw = [rule for example in examples for rule in tomllib.loads(example)["rules"]]
    assert len(parse_rules(raw, known_keywords())) == 3
    site = Site(known_keywords(), {"ptx-cxr-demo", "ptx-ct-demo"}, {"pacs": {"seg", "sr"}, "folder": {"seg", "sr", "sc"}})
    for one in raw:
        assert not check_rules([one], site)


def test_condition_table_is_valid() -> None:
    """Every condition in the table parses."""
    conditions = re.findall(r"`(\{ (?:keyword|source|calling_ae|called_ae|peer_address|via) [^`]*\})`", PAGE)
    assert len(conditions) >= 12
    for condition in conditions:
        parse_condition(tomllib.loads(f"match = {condition}")["match"], condition, known_keywords())


def test_every_key_and_outcome_is_documented() -> None:
    """A key of a rule, or an outcome, that the page does not name cannot be found by anybody."""
    named = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert set(KEYS) | {str(outcome) for outcome in RouteOutcome} == named

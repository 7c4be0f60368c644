"""The alert rules and Grafana dashboards in `deploy/`, and every PromQL expression in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
BOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))


def rules() -> list[dict[str, Any]]:
    content = yaml.safe_load((PROMETHEUS / "ptx.rules.yml").read_text(encoding="utf-8"))
    return [rule for group in content["groups"] for rule in group["rules"]]


def panels(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["panels"]
    return found


def expressions() -> list[tuple[str, str]]:
    """(where, PromQL) of every alert and every panel; Grafana's own variable is an interval."""
    found = [(rule["alert"], rule["expr"]) for rule in rules()]
    for board in BOARDS:
        found += [(panel["title"], one["expr"]) for panel in panels(board) for one in panel["targets"] if "expr" in one]
    return [(where, expression.replace("$__rate_interval", "5m")) for where, expression in found]

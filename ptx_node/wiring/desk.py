"""What the dashboard's pages for those who run the node are given, from the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ptx_node.dashboard.desk import Desk, RuleBook
from ptx_node.wiring.models import known_models, site_of_rules
from ptx_node.wiring.node import load_rules, open_store

if TYPE_CHECKING:
    from ptx_node.settings import Settings


def make_desk(settings: Settings) -> Desk:
    """Rules, destinations, models and exports for the pages."""
    return Desk(rule_book=_rule_book(settings))


def _rule_book(settings: Settings) -> RuleBook:
    models = known_models(settings)
    return RuleBook(
        load_rules(settings),
        _rules_text(settings),
        site_of_rules(settings, models.requirements.keys()),
        models.requirements,
        models.device_uids,
        open_store(settings).path,
    )


def _rules_text(settings: Settings) -> str:
    """The lines of the configuration file that are rules: nothing else of it is shown to anybody."""
    if settings.config_file is None or not settings.config_file.is_file():
        return ""
    kept, ours = [], False
    for line in settings.config_file.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            ours = line.lstrip("[").startswith(("rules]", "rules."))
        if ours:
            kept.append(line)
    return "\n".join(kept).strip() + "\n" if kept else ""
